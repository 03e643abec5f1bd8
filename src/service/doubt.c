/*
 * What a commit of unknown outcome leaves behind.
 *
 * A command is in doubt when such a commit may have written its record: it was applied by it, or
 * answered from a record that the same commit would have written. It may be written still, long
 * after the store said so. From then on, and until the call is answered:
 *
 *   1. A command in doubt is answered by a success, or by a refusal that rests on a record found
 *      under its id (reused, cancelled, succeeded), which shuts the unknown commit out for ever.
 *      Every other refusal would be contradicted by a commit that arrives late: the answer is
 *      OUTCOME_UNKNOWN instead.
 *   2. When every record that a call has in doubt is found with the mark of that commit, the commit
 *      has happened: it is atomic. Then the results that were decided with it are the call's
 *      answers: also its refusals, which were decided on the facts that the commit confirmed, and
 *      also what was told of replays. To decide again would let a command that was refused take
 *      effect behind one that came after it (contract 3.14). They are given once the commit of the
 *      load that found them has confirmed it (contract 3.12).
 *   3. When that cannot be shown, the call is decided again, and no command takes effect behind a
 *      later one of its call that is found, nor behind an earlier one that stays unknown.
 *   4. A command that is not in doubt was not written: refusals write nothing. If its call is given
 *      up it is told STORE_UNAVAILABLE when no command after it is in doubt. Before one that is, it
 *      is told OUTCOME_UNKNOWN: less than could be said, but whoever reads results in their order
 *      then finds the unknown first and those that were not attempted behind it (contract 3.14).
 */
#include "service/batch.h"

#include <string.h>

static struct ledger_transaction *fact_of(const struct service_batch *batch,
                                          const struct service_batch_call *entry, size_t index)
{
    struct ledger_transaction *fact =
        ledger_facts_transaction(&batch->facts, entry->call->commands[index].transaction_id);
    base_assert(fact != NULL);
    return fact;
}

static bool has_succeeded(const struct service_result *result)
{
    return result->refusal.reason == BASE_REASON_NONE;
}

void service_doubt_note(struct service_batch *batch, struct service_batch_call *entry)
{
    const struct service_call *call = entry->call;
    if (entry->doubt_end == 0) {
        memset(entry->doubts, 0, call->n_commands * sizeof *entry->doubts);
    }
    for (size_t i = 0; i < call->n_commands; i++) {
        if (has_succeeded(&call->results[i]) && fact_of(batch, entry, i)->presence == LEDGER_NEW) {
            entry->doubts[i].in_doubt = true;
            entry->doubts[i].commit_mark = batch->facts.commit_mark;
            entry->doubt_end = i + 1 > entry->doubt_end ? i + 1 : entry->doubt_end;
        }
    }
    entry->results_in_doubt = true;
}

/* Whether a command's result of the unknown commit still holds. What it was answered with must be
 * there and readable, since it is the answer; and what is in doubt must have that commit's mark:
 * another server may have recorded the same request meanwhile, byte for byte the same where the
 * clocks agree. */
static bool holds(struct service_batch *batch, const struct service_batch_call *entry, size_t index)
{
    const struct service_doubt *doubt = &entry->doubts[index];
    if (!has_succeeded(&entry->call->results[index])) {
        return !doubt->in_doubt;
    }
    const struct ledger_transaction *fact = fact_of(batch, entry, index);
    struct record_transaction transaction;
    return fact->presence == LEDGER_RECORDED &&
           record_decode(&batch->arena, fact->record, &transaction) &&
           (!doubt->in_doubt || fact->commit_mark == doubt->commit_mark);
}

bool service_doubt_settle(struct service_batch *batch, struct service_batch_call *entry)
{
    if (entry->doubt_end == 0 || !entry->results_in_doubt) {
        return false;
    }
    const struct service_call *call = entry->call;
    for (size_t i = 0; i < call->n_commands; i++) {
        if (!holds(batch, entry, i)) {
            return false;
        }
    }
    /* The attempt's arena was used again: what its results pointed to is in the facts now. */
    for (size_t i = 0; i < call->n_commands; i++) {
        if (has_succeeded(&call->results[i])) {
            call->results[i].record = fact_of(batch, entry, i)->record;
        }
    }
    return true;
}

/* These rest on the record under the command's id. */
static bool rests_on_record(enum base_reason reason)
{
    return reason == BASE_REASON_TRANSACTION_ID_REUSED ||
           reason == BASE_REASON_TRANSACTION_CANCELLED ||
           reason == BASE_REASON_TRANSACTION_SUCCEEDED;
}

/* 1 and the index of the last command in doubt that is found recorded, by whomever; 0: none. */
static size_t end_of_found(const struct service_batch *batch,
                           const struct service_batch_call *entry)
{
    size_t end = entry->doubt_end;
    while (end > 0 && !(entry->doubts[end - 1].in_doubt &&
                        fact_of(batch, entry, end - 1)->presence == LEDGER_RECORDED)) {
        end--;
    }
    return end;
}

static void tell_unsettled(const struct service_batch_call *entry, size_t index)
{
    service_result_refuse(&entry->call->results[index], index < entry->doubt_end
                                                            ? BASE_REASON_OUTCOME_UNKNOWN
                                                            : BASE_REASON_STORE_UNAVAILABLE);
}

bool service_doubt_decide(struct service_batch *batch, struct service_batch_call *entry,
                          int64_t now_us)
{
    size_t found_end = end_of_found(batch, entry);
    bool unknown_before = false;
    for (size_t i = 0; i < entry->call->n_commands; i++) {
        /* What is recorded is answered from its record whatever is unknown around it: to decide it
         * changes nothing. */
        bool would_take_effect = fact_of(batch, entry, i)->presence == LEDGER_ABSENT;
        if (would_take_effect && (i < found_end || unknown_before)) {
            tell_unsettled(entry, i);
            unknown_before = true;
            continue;
        }
        if (!service_command_decide(batch, entry, i, now_us)) {
            return false;
        }
        enum base_reason reason = entry->call->results[i].refusal.reason;
        if (entry->doubts[i].in_doubt && reason != BASE_REASON_NONE && !rests_on_record(reason)) {
            tell_unsettled(entry, i);
            unknown_before = true;
        }
    }
    return true;
}

void service_doubt_give_up(struct service_batch_call *entry, enum base_reason reason)
{
    for (size_t i = 0; i < entry->call->n_commands; i++) {
        if (entry->doubt_end > 0) {
            tell_unsettled(entry, i);
        } else {
            service_result_refuse(&entry->call->results[i], reason);
        }
    }
}
