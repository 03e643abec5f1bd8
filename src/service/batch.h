/*
 * One batch: load -> decide -> commit -> answer, and again while the store asks for it. Pure of
 * threads: it runs where it is called, and waits through a function that it is given.
 *
 * The steps are in batch.c; what a commit of unknown outcome leaves behind is in doubt.c.
 */
#ifndef ZANDAKA_SERVICE_BATCH_H
#define ZANDAKA_SERVICE_BATCH_H

#include "service/service.h"

/* What happened since the start: counted by the threads that write, read by any. */
struct service_counters {
    struct base_counter batches_begun;
    struct base_counter batches_ended;
    struct base_counter applied;
    struct base_counter replayed;
    struct base_counter refused[BASE_REASON_COUNT];
    struct base_counter store_faults[STORE_CORRUPT + 1];
    struct base_counter phase_ns[SERVICE_PHASES];
    struct base_histogram batch_commands; /* on base_scale_batch */
    struct base_histogram durable;        /* on base_scale_seconds */
};

/* A command whose record a commit of unknown outcome may have written. */
struct service_doubt {
    bool in_doubt;
    uint64_t commit_mark; /* of the last such commit */
};

/* A call in the batch. */
struct service_batch_call {
    struct service_call *call;
    struct service_doubt *doubts; /* one a command; meaningful once doubt_end is above 0 */
    size_t doubt_end;             /* 1 and the index of the last command in doubt; 0: none is */
    bool results_in_doubt;        /* the results are those of a commit of unknown outcome */
    bool settled;                 /* which this attempt has found: they wait for its own commit */
};

struct service_batch {
    struct store *store;
    unsigned session; /* of the store: all that the batch does there is done on it */
    const struct ledger_kinds *kinds;
    const struct base_clock *clock;
    uint64_t random;    /* the state of the jitter */
    uint64_t seed;      /* with the session: what the marks of commits are made from */
    uint64_t n_commits; /* that were begun */
    void (*wait)(void *context, int64_t duration_ns);
    void *wait_context;
    struct service_counters *counters; /* the service's, over all sessions */

    /* Below is the batch's own. */
    struct base_arena arena; /* of one attempt */
    struct ledger_facts facts;
    int64_t started_mono_ns;
    int64_t phase_mono_ns;       /* when the present phase of the attempt began */
    int64_t now_us;              /* what the clock showed for the attempt's decisions */
    int64_t unavailable_mono_ns; /* when the store became unavailable to this batch */
    enum store_fault last_fault;
    unsigned n_retries;
    bool store_is_down; /* an earlier batch ended so: this one does not wait for it again */
    struct service_batch_call calls[BASE_BATCH_MAX];
    struct service_doubt doubts[BASE_BATCH_MAX];
};

/* Makes a batch of zeroed memory; counts into `counters`, which outlive it; `wait` waits between
 * retries. */
void service_batch_open(struct service_batch *batch, const struct service_options *options,
                        unsigned session, struct service_counters *counters,
                        void (*wait)(void *context, int64_t duration_ns));
/* Answers `n_calls` calls of at most BASE_BATCH_MAX commands together, each by one call of `done`;
 * they take effect in this order. */
void service_batch_run(struct service_batch *batch, size_t n_calls, struct service_call **calls);
/* Gives the memory back. */
void service_batch_close(struct service_batch *batch);

/* --- between batch.c and doubt.c --- */

/* A result without a record. */
void service_result_refuse(struct service_result *result, enum base_reason reason);
/* Decides one command of a call. False: a record is corrupt. */
bool service_command_decide(struct service_batch *batch, const struct service_batch_call *entry,
                            size_t index, int64_t now_us) BASE_MUST_USE;

/* Notes which commands a commit of unknown outcome may have written. */
void service_doubt_note(struct service_batch *batch, struct service_batch_call *entry);
/* After a load: whether the commit of unknown outcome is found to have happened. If so the call's
 * results stand, and their records are those that were loaded. Nothing of it is decided again, and
 * it is answered once the commit of what was loaded confirms that. */
bool service_doubt_settle(struct service_batch *batch,
                          struct service_batch_call *entry) BASE_MUST_USE;
/* Decides the commands of a call of which some are in doubt. False: a record is corrupt. */
bool service_doubt_decide(struct service_batch *batch, struct service_batch_call *entry,
                          int64_t now_us) BASE_MUST_USE;
/* The results of a call that is given up: `reason` when nothing of it can have been written. */
void service_doubt_give_up(struct service_batch_call *entry, enum base_reason reason);

#endif
