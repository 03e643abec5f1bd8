#include "service/batch.h"

/* A part of the batch's calls that is loaded, decided and committed together. */
struct batch_part {
    size_t n_calls;
    struct service_batch_call *calls;
};

void service_result_refuse(struct service_result *result, enum base_reason reason)
{
    *result = (struct service_result){.refusal = {.reason = reason}};
}

/* The call is its owner's again with `done`, and must not be looked at afterwards. It is counted
 * before, so that who has an answer finds it in the figures. */
static void call_finish(struct service_batch *batch, struct service_call *call)
{
    struct service_counters *counters = batch->counters;
    uint64_t applied = 0;
    uint64_t replayed = 0;
    for (size_t i = 0; i < call->n_commands; i++) {
        const struct service_result *result = &call->results[i];
        if (result->refusal.reason != BASE_REASON_NONE) {
            base_counter_add(&counters->refused[result->refusal.reason], 1);
        } else {
            replayed += result->replayed;
            applied += !result->replayed;
        }
    }
    base_counter_add(&counters->applied, applied);
    base_counter_add(&counters->replayed, replayed);
    call->done(call);
}

/* The records move to the call's arena, since the attempt's is used again. */
static void call_answer(struct service_batch *batch, struct service_call *call)
{
    for (size_t i = 0; i < call->n_commands; i++) {
        struct service_result *result = &call->results[i];
        if (result->refusal.reason == BASE_REASON_NONE) {
            result->record = base_arena_bytes(call->arena, result->record);
        }
    }
    base_histogram_observe(&batch->counters->durable, &base_scale_seconds,
                           (uint64_t)(base_now_mono_ns(batch->clock) - call->taken_mono_ns));
    call_finish(batch, call);
}

static void call_give_up(struct service_batch *batch, struct service_batch_call *entry,
                         enum base_reason reason)
{
    service_doubt_give_up(entry, reason);
    call_finish(batch, entry->call);
}

static void part_give_up(struct service_batch *batch, struct batch_part *part,
                         enum base_reason reason)
{
    for (size_t i = 0; i < part->n_calls; i++) {
        call_give_up(batch, &part->calls[i], reason);
    }
}

/* Calls whose deadline has passed leave the batch. Nothing of them was attempted, unless an earlier
 * attempt of this batch left them in doubt. */
static void part_drop_late(struct service_batch *batch, struct batch_part *part)
{
    int64_t now_ns = base_now_mono_ns(batch->clock);
    size_t n_kept = 0;
    for (size_t i = 0; i < part->n_calls; i++) {
        struct service_batch_call *entry = &part->calls[i];
        if (entry->call->deadline_mono_ns <= now_ns) {
            call_give_up(batch, entry, BASE_REASON_DEADLINE_EXCEEDED);
        } else {
            part->calls[n_kept++] = *entry;
        }
    }
    part->n_calls = n_kept;
}

bool service_command_decide(struct service_batch *batch, const struct service_batch_call *entry,
                            size_t index, int64_t now_us)
{
    const struct ledger_command *command = &entry->call->commands[index];
    struct ledger_outcome outcome;
    if (!ledger_decide(&batch->facts, command, now_us, &outcome)) {
        base_log(BASE_LOG_ERROR, "the record of transaction %.*s cannot be read",
                 BASE_TEXT_ARGS(command->transaction_id));
        return false;
    }
    struct service_result *result = &entry->call->results[index];
    if (outcome.result == LEDGER_REFUSED) {
        *result = (struct service_result){.refusal = outcome.refusal};
    } else {
        *result = (struct service_result){.replayed = outcome.result == LEDGER_REPLAYED,
                                          .record = outcome.record};
    }
    return true;
}

/* A call whose unknown commit is found to have happened keeps the results of that commit. */
static bool call_decide(struct service_batch *batch, struct service_batch_call *entry,
                        int64_t now_us)
{
    entry->settled = service_doubt_settle(batch, entry);
    if (entry->settled) {
        return true;
    }
    entry->results_in_doubt = false;
    if (entry->doubt_end > 0) {
        return service_doubt_decide(batch, entry, now_us);
    }
    for (size_t i = 0; i < entry->call->n_commands; i++) {
        if (!service_command_decide(batch, entry, i, now_us)) {
            return false;
        }
    }
    return true;
}

static enum store_fault part_load(struct service_batch *batch, const struct batch_part *part)
{
    base_arena_reset(&batch->arena);
    ledger_facts_open(&batch->facts, batch->kinds, &batch->arena);
    for (size_t i = 0; i < part->n_calls; i++) {
        const struct service_call *call = part->calls[i].call;
        for (size_t at = 0; at < call->n_commands; at++) {
            ledger_facts_need(&batch->facts, &call->commands[at]);
        }
    }
    return store_load(batch->store, batch->session, &batch->facts);
}

/* Not 0, and another for each commit of each session of each server: to take two for the same, two
 * servers would have to draw one of 2^64 numbers, and for the same transaction id. */
static uint64_t next_commit_mark(struct service_batch *batch)
{
    const uint64_t commit[] = {batch->seed, batch->session, ++batch->n_commits};
    uint64_t mark = base_hash((struct base_bytes){(const uint8_t *)commit, sizeof commit});
    return mark != 0 ? mark : 1;
}

/* The phase is over, and the next one begins. */
static void end_phase(struct service_batch *batch, enum service_phase phase)
{
    int64_t now_ns = base_now_mono_ns(batch->clock);
    base_counter_add(&batch->counters->phase_ns[phase], (uint64_t)(now_ns - batch->phase_mono_ns));
    batch->phase_mono_ns = now_ns;
}

/* Loads, decides and commits the part once; with STORE_OK every call of it is answered. Nothing is
 * answered before the commit: neither a success nor a replay or refusal that may rest on what the
 * same batch does (contract 3.8, 3.12). Nor what is found of an earlier commit: a database shows
 * what a standby does not have yet when somebody ended that commit's wait for it, and this commit
 * waits for both. */
static enum store_fault part_attempt(struct service_batch *batch, struct batch_part *part)
{
    batch->phase_mono_ns = base_now_mono_ns(batch->clock);
    enum store_fault fault = part_load(batch, part);
    end_phase(batch, SERVICE_LOADING);
    if (fault != STORE_OK) {
        return fault;
    }
    batch->now_us = base_now_real_us(batch->clock);
    for (size_t i = 0; i < part->n_calls; i++) {
        if (!call_decide(batch, &part->calls[i], batch->now_us)) {
            store_abandon(batch->store, batch->session, &batch->facts);
            return STORE_CORRUPT;
        }
    }
    batch->facts.commit_mark = next_commit_mark(batch);
    end_phase(batch, SERVICE_DECIDING);
    fault = store_commit(batch->store, batch->session, &batch->facts);
    end_phase(batch, SERVICE_COMMITTING);
    for (size_t i = 0; i < part->n_calls; i++) {
        if (fault == STORE_OK) {
            call_answer(batch, part->calls[i].call);
        } else if (fault == STORE_UNKNOWN && !part->calls[i].settled) {
            service_doubt_note(batch, &part->calls[i]);
        }
    }
    end_phase(batch, SERVICE_ANSWERING);
    return fault;
}

/* xorshift64*: jitter needs no more, and repeats from its seed. */
static int64_t jittered(struct service_batch *batch, int64_t duration_ns)
{
    batch->random ^= batch->random >> 12;
    batch->random ^= batch->random << 25;
    batch->random ^= batch->random >> 27;
    uint64_t random = (batch->random * UINT64_C(0x2545F4914F6CDD1D)) >> 32;
    return duration_ns / 2 + (int64_t)(random % (uint64_t)(duration_ns / 2 + 1));
}

static void wait_before_retry(struct service_batch *batch)
{
    const int64_t last_ns = BASE_RETRY_WAIT_LAST_MS * BASE_NS_PER_MS;
    int64_t duration_ns = BASE_RETRY_WAIT_FIRST_MS * BASE_NS_PER_MS;
    for (unsigned i = 0; i < batch->n_retries && duration_ns < last_ns; i++) {
        duration_ns *= 2;
    }
    batch->n_retries++;
    batch->wait(batch->wait_context, jittered(batch, duration_ns));
}

static void note_available(struct service_batch *batch)
{
    if (batch->store_is_down) {
        base_log(BASE_LOG_INFO, "the store is available again");
        batch->store_is_down = false;
    }
}

/* Whether another attempt is worth a wait. The limits are the whole batch's, also when it falls
 * into parts. */
static bool may_retry(struct service_batch *batch, enum store_fault fault)
{
    int64_t now_ns = base_now_mono_ns(batch->clock);
    bool in_time = now_ns - batch->started_mono_ns < BASE_RETRY_TIMEOUT_MS * BASE_NS_PER_MS &&
                   batch->n_retries < BASE_RETRIES_MAX;
    if (fault != STORE_UNAVAILABLE) {
        note_available(batch);
    } else {
        if (batch->last_fault != STORE_UNAVAILABLE) {
            batch->unavailable_mono_ns = now_ns;
        }
        in_time =
            in_time && !batch->store_is_down &&
            now_ns - batch->unavailable_mono_ns < BASE_UNAVAILABLE_TIMEOUT_MS * BASE_NS_PER_MS;
        if (!in_time && !batch->store_is_down) {
            base_log(BASE_LOG_WARNING, "the store is unavailable; writes are refused");
            batch->store_is_down = true;
        }
    }
    batch->last_fault = fault;
    return in_time;
}

static void part_run(struct service_batch *batch, struct batch_part part);

/* One thing that cannot be read must not fail its neighbours: the part is tried in halves, in the
 * calls' order, down to the call that asks for it. At most 10 levels, since 2^10 calls are a batch.
 * That call is told INTERNAL whole, since the load does not say which of its commands it is. */
static void part_corrupt(struct service_batch *batch, struct batch_part *part)
{
    if (part->n_calls > 1) {
        size_t half = part->n_calls / 2;
        part_run(batch, (struct batch_part){half, part->calls});
        part_run(batch, (struct batch_part){part->n_calls - half, part->calls + half});
        return;
    }
    const struct service_call *call = part->calls[0].call;
    base_log(BASE_LOG_ERROR,
             "the store is corrupt where transaction %.*s (the first of %zu) looks; refused",
             BASE_TEXT_ARGS(call->commands[0].transaction_id), call->n_commands);
    part_give_up(batch, part, BASE_REASON_INTERNAL);
}

/* To try again is right after every fault: after a conflict and when the store was unavailable
 * nothing was written, and after an unknown outcome the ids that are found settle it. Nobody is
 * told before the limits are reached, since a retry here costs less than one by the caller. */
static void part_run(struct service_batch *batch, struct batch_part part)
{
    for (;;) {
        part_drop_late(batch, &part);
        if (part.n_calls == 0) {
            return;
        }
        enum store_fault fault = part_attempt(batch, &part);
        if (fault == STORE_OK) {
            note_available(batch);
            batch->last_fault = STORE_OK;
            return;
        }
        base_counter_add(&batch->counters->store_faults[fault], 1);
        if (fault == STORE_CORRUPT) {
            part_corrupt(batch, &part);
            return;
        }
        if (!may_retry(batch, fault)) {
            part_give_up(batch, &part, BASE_REASON_STORE_UNAVAILABLE);
            return;
        }
        wait_before_retry(batch);
    }
}

void service_batch_open(struct service_batch *batch, const struct service_options *options,
                        unsigned session, struct service_counters *counters,
                        void (*wait)(void *context, int64_t duration_ns))
{
    batch->store = options->store;
    batch->counters = counters;
    batch->kinds = options->kinds;
    batch->clock = options->clock;
    batch->session = session;
    batch->seed = options->seed;
    batch->random = (options->seed + session) ^ UINT64_C(0x9E3779B97F4A7C15);
    if (batch->random == 0) {
        batch->random = 1; /* xorshift stays at zero for ever */
    }
    batch->wait = wait;
}

void service_batch_run(struct service_batch *batch, size_t n_calls, struct service_call **calls)
{
    size_t n_commands = 0;
    for (size_t i = 0; i < n_calls; i++) {
        batch->calls[i] =
            (struct service_batch_call){.call = calls[i], .doubts = &batch->doubts[n_commands]};
        n_commands += calls[i]->n_commands;
        base_assert(n_commands <= BASE_BATCH_MAX);
    }
    batch->started_mono_ns = base_now_mono_ns(batch->clock);
    batch->last_fault = STORE_OK;
    batch->n_retries = 0;
    base_counter_add(&batch->counters->batches_begun, 1);
    base_histogram_observe(&batch->counters->batch_commands, &base_scale_batch, n_commands);
    part_run(batch, (struct batch_part){n_calls, batch->calls});
    base_counter_add(&batch->counters->batches_ended, 1);
}

void service_batch_close(struct service_batch *batch)
{
    base_arena_release(&batch->arena);
}
