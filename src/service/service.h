/*
 * service: the group commit. The only place where waiting, batching, retrying and refusing happen.
 *
 *   collect -> load -> decide -> commit -> answer, and again
 *
 * What arrives while a commit is under way is the next batch; a lone call on an idle server waits
 * for nobody. A batch takes lone calls before large ones, and goes round-robin over callers. Each
 * session of the store has its own line, batch and retries, and does one batch at a time; a call
 * goes to a session by the account of its first command (a Cancel: by its id), so that one
 * account's commands meet in one batch. What races all the same, conflicts and is decided again.
 * Nothing is answered before its batch is committed: no success, and no replay or refusal that
 * rests on it; reads are answered from what is durable.
 *
 * What a caller is told of what the store does (contract 4):
 *
 *   conflict       the batch is loaded and decided again, for up to 10 s; then STORE_UNAVAILABLE
 *   unavailable    tried again for up to 1 s, and for later batches not at all until the store is
 *                  back; then STORE_UNAVAILABLE
 *   unknown        loaded and decided again, for up to 10 s. What may have been written is answered
 *                  by a success, or by a refusal that rests on the record under its id, or else by
 *                  OUTCOME_UNKNOWN, whatever came later
 *   corrupt        INTERNAL for the call that asks for what cannot be read, and for no other
 *
 * A call whose deadline passes meanwhile leaves: DEADLINE_EXCEEDED when nothing of it can have been
 * written, otherwise OUTCOME_UNKNOWN. In a call that is left with an unknown outcome, the commands
 * behind the last one in doubt say STORE_UNAVAILABLE (contract 3.14).
 *
 * service_open starts one thread that writes for each session, and some that read. A simulator
 * opens with no threads and calls service_step itself.
 */
#ifndef ZANDAKA_SERVICE_H
#define ZANDAKA_SERVICE_H

#include "base/base.h"
#include "ledger/ledger.h"
#include "store/store.h"

struct service;

/* What became of one command of a call. */
struct service_result {
    /* Meaningful when there is a record: it had succeeded before this call. False for the one that
     * applied it, also where that was found out only after an unknown outcome, unless the record
     * could as well be another server's. */
    bool replayed;
    struct base_bytes record;    /* the answer, in the call's arena; empty: refused */
    struct base_refusal refusal; /* when refused; its text points into the command */
};

/* What a waiting call or read hangs by. */
struct service_link {
    struct service_link *next;
};

/*
 * Writes of one caller that travel together: one command, or a Submit's. The caller makes it, keeps
 * it and its arena untouched until `done` was called, and owns it again from then on.
 */
struct service_call {
    uint64_t caller;   /* calls of one caller stand in one line; lines are served in turn */
    size_t n_commands; /* 1 to BASE_SUBMIT_MAX; they take effect in this order */
    const struct ledger_command *commands;
    struct service_result *results; /* n_commands of them, filled in before `done` */
    int64_t deadline_mono_ns;       /* BASE_NO_DEADLINE: none */
    struct base_arena *arena;       /* where the results' records go */
    /* Called once, on a thread of the service, when every result is there. Must not wait. */
    void (*done)(struct service_call *call);
    void *context;            /* the caller's own */
    int64_t taken_mono_ns;    /* when it was submitted; this and the next are the service's own */
    struct service_link link; /* while it has the call */
};

/* A read. As a call, but for what it asks. */
struct service_read {
    /* Does the read, on one of the service's reading threads, and keeps what it found. */
    void (*run)(struct service_read *read, struct store *store);
    /* Called once: after run with BASE_REASON_NONE, or instead of it with DEADLINE_EXCEEDED. A read
     * that was taken before the service stopped is run. */
    void (*done)(struct service_read *read, enum base_reason reason);
    int64_t deadline_mono_ns;
    void *context;
    uint64_t caller;          /* reads of one caller stand in one line; lines are served in turn */
    struct service_link link; /* the service's own */
};

struct service_options {
    struct store *store; /* not owned; used by nobody else until service_close, but for reads */
    const struct ledger_kinds *kinds;
    const struct base_clock *clock;
    /* Reading threads, up to 256; 0: no threads at all, the owner calls service_step. */
    unsigned n_readers;
    /* Seeds the jitter of waits between retries, and the marks of commits: no two servers on one
     * store may have the same. */
    uint64_t seed;
};

struct service *service_open(const struct service_options *options);

/* Takes a call. BASE_REASON_NONE: `done` will be called, exactly once. OVERLOADED or SHUTTING_DOWN:
 * it was not taken, whole, and `done` will not be called. A call counts by its commands. Any
 * thread; never waits for a store. */
enum base_reason service_submit(struct service *service, struct service_call *call) BASE_MUST_USE;
enum base_reason service_submit_read(struct service *service,
                                     struct service_read *read) BASE_MUST_USE;

/* Without threads: does one batch of each session in turn (all the way to `done`), and all reads
 * that wait. False: there was nothing to do. Waits between retries go through `wait`, which may
 * advance a virtual clock. */
bool service_step(struct service *service, void (*wait)(void *context, int64_t duration_ns),
                  void *context);

/* Takes no more (SHUTTING_DOWN). Any thread. */
void service_stop(struct service *service);
/* Stops, answers everything that was accepted, ends the threads and frees. No other call to the
 * service may be under way. Without threads no time passes between retries. */
void service_close(struct service *service);

/* What a session's time goes to while it has a batch. */
enum service_phase {
    SERVICE_LOADING,
    SERVICE_DECIDING,
    SERVICE_COMMITTING,
    SERVICE_ANSWERING,
    SERVICE_PHASES
};

/* Figures for an operator: what has happened since the start, and what waits now. An answer that
 * was given is counted already. */
struct service_figures {
    uint64_t batches_begun;
    uint64_t batches_ended; /* while it lags behind, a batch is under way */
    uint64_t applied;       /* commands, as the two below */
    uint64_t replayed;
    uint64_t refused[BASE_REASON_COUNT];      /* by reason, once the call was taken */
    uint64_t store_faults[STORE_CORRUPT + 1]; /* of the writer's, by store_fault */
    uint64_t phase_ns[SERVICE_PHASES];        /* spent so far, of all sessions together */
    size_t queued_commands;
    size_t queued_reads;
    /* The service's own; they live and count as long as it does. */
    const struct base_histogram *batch_commands; /* on base_scale_batch: commands of each batch */
    /* On base_scale_seconds: from service_submit until the call's batch was durable, of the calls
     * that were answered by one. */
    const struct base_histogram *durable;
};
void service_read_figures(struct service *service, struct service_figures *ret_figures);

#endif
