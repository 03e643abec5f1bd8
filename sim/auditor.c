/*
 * The auditor's judgement of answers, each at the moment at which the server gives it.
 */
#include "sim/auditor_books.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Commands of a server that are not answered: those that wait, and some batches under way. */
#define AHEAD_MAX (BASE_QUEUE_MAX + 4 * BASE_BATCH_MAX)

static const char *name_of(enum base_reason reason)
{
    return reason == BASE_REASON_NONE ? "success" : base_error_of(reason)->reason;
}

static bool is_unknown(enum base_reason reason)
{
    return strcmp(base_error_of(reason)->applied, "unknown") == 0;
}

/* These rest on the record under the id. */
static bool rests_on_record(enum base_reason reason)
{
    return reason == BASE_REASON_TRANSACTION_ID_REUSED ||
           reason == BASE_REASON_TRANSACTION_CANCELLED ||
           reason == BASE_REASON_TRANSACTION_SUCCEEDED;
}

void auditor_handed_over(struct auditor *auditor, struct auditor_request *request)
{
    request->position = auditor->n_rows;
    request->n_damages = auditor->n_damages;
    auditor_met_damage(auditor, request);
    for (size_t i = 0; i < request->n_commands; i++) {
        struct auditor_tally *tally = auditor_tally_of(auditor, &request->commands[i]);
        tally->handed_over++;
        tally->open++;
    }
}

void auditor_store_failed(struct auditor_request *request, bool unknown)
{
    request->store_failed = true;
    request->outcome_unknown = request->outcome_unknown || unknown;
}

void auditor_damaged(struct auditor *auditor, struct base_text account_id,
                     struct base_text transaction_id)
{
    auditor->damaged_account_id = account_id;
    auditor->damaged_transaction_id = transaction_id;
    auditor->n_damages++;
}

static bool asks_for_damage(const struct auditor *auditor, const struct auditor_request *request)
{
    for (size_t i = 0; i < request->n_commands; i++) {
        const struct ledger_command *command = &request->commands[i];
        if ((auditor->damaged_account_id.length > 0 &&
             base_text_equal(auditor->damaged_account_id, command->account_id)) ||
            (auditor->damaged_transaction_id.length > 0 &&
             base_text_equal(auditor->damaged_transaction_id, command->transaction_id))) {
            return true;
        }
    }
    return false;
}

void auditor_met_damage(struct auditor *auditor, struct auditor_request *request)
{
    request->met_damage = request->met_damage || asks_for_damage(auditor, request);
}

void auditor_lost(struct auditor *auditor, const struct auditor_request *request)
{
    for (size_t i = 0; i < request->n_commands; i++) {
        struct auditor_tally *tally = auditor_tally_of(auditor, &request->commands[i]);
        tally->open--;
        tally->lost++;
    }
}

void auditor_unanswered(struct auditor *auditor, const struct auditor_request *request)
{
    auditor_fail(auditor, "contract 3.11", request->commands[0].transaction_id,
                 request->commands[0].account_id, "what was handed over was never answered");
}

/* --- one answer --- */

/* A request being judged: its commands need moments in their order. */
struct judgement {
    struct auditor *auditor;
    const struct auditor_request *request;
    const struct service_result *results;
    size_t moment; /* the journal's length at the earliest moment that the next command may have */
    size_t effect; /* the position of the last effect that is surely the request's own */
};

static void fail(const struct judgement *judgement, size_t index, const char *rule,
                 const char *what)
{
    const struct ledger_command *command = &judgement->request->commands[index];
    auditor_fail(judgement->auditor, rule, command->transaction_id, command->account_id,
                 "command %zu of %zu was told %s%s: %s", index + 1, judgement->request->n_commands,
                 name_of(judgement->results[index].refusal.reason),
                 judgement->results[index].replayed ? " (a replay)" : "", what);
}

static bool same_refusal(struct base_refusal a, struct base_refusal b)
{
    return a.reason == b.reason && base_text_equal(a.kind, b.kind) &&
           a.content_fields == b.content_fields;
}

/* The next length of the journal at which the verdict on a command may be another. */
static size_t next_moment(struct auditor *auditor, const struct ledger_command *command,
                          size_t moment)
{
    size_t next = auditor->n_rows + 1;
    const struct auditor_id *id = auditor_id_of(auditor, command->transaction_id);
    if (id->position > moment && id->position < next) {
        next = id->position;
    }
    if (command->operation != RECORD_OPERATION_CANCEL) {
        const struct auditor_account *account = auditor_account_of(auditor, command->account_id);
        const struct auditor_state *state = auditor_state_at(account, moment);
        if (state + 1 < account->states + account->n_states && state[1].position < next) {
            next = state[1].position;
        }
    }
    return next;
}

/* A refusal by the rules was right at some moment since the request was handed over, and not before
 * what the same request was told of its earlier commands (contract 3.8, 3.14). */
static void judge_refusal(struct judgement *judgement, size_t index)
{
    struct auditor *auditor = judgement->auditor;
    const struct ledger_command *command = &judgement->request->commands[index];
    struct base_refusal told = judgement->results[index].refusal;
    for (size_t moment = judgement->moment; moment <= auditor->n_rows;
         moment = next_moment(auditor, command, moment)) {
        struct base_refusal right =
            auditor_verdict(auditor, judgement->request->kinds, command, moment);
        if (same_refusal(told, right)) {
            judgement->moment = moment;
            return;
        }
    }
    struct base_refusal now =
        auditor_verdict(auditor, judgement->request->kinds, command, auditor->n_rows);
    char what[200];
    (void)snprintf(what, sizeof what,
                   "at no moment since it was handed over (journal %zu to %zu) was that right; the "
                   "last verdict is %s, kind `%.*s`, fields %" PRIx32,
                   judgement->moment, auditor->n_rows, name_of(now.reason),
                   BASE_TEXT_ARGS(now.kind), now.content_fields);
    fail(judgement, index, rests_on_record(told.reason) ? "contract 3.5, 3.7" : "contract 3.8, 4",
         what);
}

/* Whether the record comes from this very command: it was handed over just once. */
static bool took_effect_itself(const struct judgement *judgement, size_t index,
                               const struct auditor_id *id)
{
    const struct ledger_command *command = &judgement->request->commands[index];
    return command->operation != RECORD_OPERATION_CANCEL &&
           auditor_tally_of(judgement->auditor, command)->handed_over == 1 &&
           base_text_equal(auditor_origin(judgement->auditor, id)->description,
                           command->description);
}

static void judge_new_success(struct judgement *judgement, size_t index, struct auditor_id *id)
{
    struct auditor *auditor = judgement->auditor;
    const struct ledger_command *command = &judgement->request->commands[index];
    if (auditor_verdict(auditor, judgement->request->kinds, command, id->position - 1).reason !=
        BASE_REASON_NONE) {
        fail(judgement, index, "contract 4", "by its server's configuration it was not possible");
        return;
    }
    id->n_applied++;
    if (id->n_applied > 1) {
        fail(judgement, index, "contract 3.2", "it is the second success that is no replay");
    }
}

static void judge_success(struct judgement *judgement, size_t index)
{
    struct auditor *auditor = judgement->auditor;
    const struct ledger_command *command = &judgement->request->commands[index];
    const struct service_result *result = &judgement->results[index];
    struct auditor_id *id = auditor_id_of(auditor, command->transaction_id);
    if (id->position == 0) {
        fail(judgement, index, "contract 3.12", "nothing is durable under the id");
        return;
    }
    if (!base_bytes_equal(result->record, auditor->rows[id->position - 1].record)) {
        fail(judgement, index, "contract 3.4", "the answer is not the record, byte for byte");
        return;
    }
    if (auditor_verdict(auditor, judgement->request->kinds, command, auditor->n_rows).reason !=
        BASE_REASON_NONE) {
        fail(judgement, index, "contract 3.5, 3.7", "the record is that of another content");
        return;
    }
    if (!result->replayed && command->operation != RECORD_OPERATION_CANCEL &&
        !base_text_equal(auditor_origin(auditor, id)->description, command->description)) {
        fail(judgement, index, "contract 3.4", "the record has another request's labels");
        return;
    }
    /* A new success lies behind everything that the request was told before. After an unknown
     * outcome a success may be told as a replay of the request's own earlier attempt, and then what
     * is told before it may rest on that; but effects keep their order. */
    bool is_its_own = !result->replayed || took_effect_itself(judgement, index, id);
    if ((!result->replayed && id->position <= judgement->moment) ||
        (is_its_own && id->position <= judgement->effect)) {
        fail(judgement, index, "contract 3.14, 3.4",
             "it was recorded before its turn, so it is a replay or out of order");
        return;
    }
    judgement->effect = is_its_own ? id->position : judgement->effect;
    judgement->moment = id->position > judgement->moment ? id->position : judgement->moment;
    if (!result->replayed) {
        judge_new_success(judgement, index, id);
    }
}

/* What the world did, rather than the rules: it must have happened. */
static void judge_fault(struct judgement *judgement, size_t index, bool taken, int64_t now_ns)
{
    const struct auditor_request *request = judgement->request;
    switch (judgement->results[index].refusal.reason) {
    case BASE_REASON_OVERLOADED:
        /* What its caller has waiting may grow to what is left for others (contract 7). */
        if (taken ||
            request->n_ahead + request->n_ahead_own + request->n_commands <= BASE_QUEUE_MAX) {
            fail(judgement, index, "contract 4", "there was room in the line");
        }
        return;
    case BASE_REASON_SHUTTING_DOWN:
        if (taken) {
            fail(judgement, index, "contract 3.11", "the server had taken the request");
        }
        return;
    case BASE_REASON_STORE_UNAVAILABLE:
        if (!request->store_failed) {
            fail(judgement, index, "contract 4", "the store has not failed");
        }
        return;
    case BASE_REASON_OUTCOME_UNKNOWN:
        if (!request->outcome_unknown) {
            fail(judgement, index, "contract 4", "no commit's outcome was unknown");
        }
        return;
    case BASE_REASON_INTERNAL:
        if (!request->met_damage) {
            fail(judgement, index, "contract 4", "all that it asks for can be read");
        }
        return;
    case BASE_REASON_DEADLINE_EXCEEDED:
        if (request->deadline_ns > now_ns) {
            fail(judgement, index, "contract 4", "the deadline is to come");
        }
        return;
    default:
        fail(judgement, index, "contract 4", "nothing that was done deserves that");
    }
}

static bool is_refusal_by_rule(enum base_reason reason)
{
    return rests_on_record(reason) || reason == BASE_REASON_UNKNOWN_KIND ||
           reason == BASE_REASON_AMOUNT_LIMIT_EXCEEDED ||
           reason == BASE_REASON_BALANCE_LIMIT_EXCEEDED ||
           reason == BASE_REASON_INSUFFICIENT_BALANCE;
}

/* Contract 3.14: behind an unknown outcome or a failed store nothing is attempted; what is recorded
 * already may still be told. And what was not attempted has no unknown outcome behind it. */
static void judge_order(struct judgement *judgement)
{
    bool unknown_before = false;
    bool failed_before = false;
    for (size_t i = 0; i < judgement->request->n_commands; i++) {
        const struct service_result *result = &judgement->results[i];
        enum base_reason reason = result->refusal.reason;
        bool attempted = (reason == BASE_REASON_NONE && !result->replayed) ||
                         (is_refusal_by_rule(reason) && !rests_on_record(reason));
        if (attempted && (unknown_before || failed_before)) {
            fail(judgement, i, "contract 3.14", "it stands behind a failure of the store");
        }
        if (failed_before && reason == BASE_REASON_OUTCOME_UNKNOWN) {
            fail(judgement, i, "contract 3.14", "it stands behind what was not attempted");
        }
        unknown_before = unknown_before || reason == BASE_REASON_OUTCOME_UNKNOWN;
        failed_before = failed_before || reason == BASE_REASON_STORE_UNAVAILABLE;
    }
}

/* What was damaged all the time cannot be told of; and the line has an end (base/limits.h). */
static void judge_bounds(struct judgement *judgement, bool taken)
{
    const struct auditor_request *request = judgement->request;
    bool unreadable = asks_for_damage(judgement->auditor, request) &&
                      request->n_damages == judgement->auditor->n_damages;
    for (size_t i = 0; i < request->n_commands && unreadable; i++) {
        enum base_reason reason = judgement->results[i].refusal.reason;
        if (reason == BASE_REASON_NONE || is_refusal_by_rule(reason)) {
            fail(judgement, i, "contract 3.12", "nobody could read what that rests on");
        }
    }
    if (taken && request->n_ahead + request->n_commands > AHEAD_MAX) {
        fail(judgement, 0, "contract 4", "it was taken into a line that is full");
    }
}

static void settle_tally(struct auditor *auditor, const struct auditor_request *request,
                         const struct ledger_command *command, const struct service_result *result)
{
    struct auditor_tally *tally = auditor_tally_of(auditor, command);
    enum base_reason reason = result->refusal.reason;
    tally->open--;
    if (reason == BASE_REASON_NONE) {
        tally->applied += !result->replayed;
        tally->replayed_in_doubt += result->replayed && request->outcome_unknown;
        auditor->figures.applied += !result->replayed;
        auditor->figures.replayed += result->replayed;
    } else {
        tally->unknown += is_unknown(reason);
        auditor->figures.refused[reason]++;
    }
}

void auditor_answered(struct auditor *auditor, const struct auditor_request *request,
                      const struct service_result *results, bool taken, int64_t now_ns)
{
    struct judgement judgement = {auditor, request, results, request->position, 0};
    for (size_t i = 0; i < request->n_commands; i++) {
        enum base_reason reason = results[i].refusal.reason;
        settle_tally(auditor, request, &request->commands[i], &results[i]);
        if (reason == BASE_REASON_NONE) {
            judge_success(&judgement, i);
        } else if (is_refusal_by_rule(reason)) {
            judge_refusal(&judgement, i);
        } else {
            judge_fault(&judgement, i, taken, now_ns);
        }
    }
    judge_order(&judgement);
    judge_bounds(&judgement, taken);
}
