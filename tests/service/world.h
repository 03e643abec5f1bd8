/*
 * The world of the service's tests: a store in memory that fails by a script, a clock that moves
 * only when somebody waits, another server on the same store, and calls written as text.
 */
#ifndef ZANDAKA_TESTS_SERVICE_WORLD_H
#define ZANDAKA_TESTS_SERVICE_WORLD_H

#include "service/service.h"
#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

/* The virtual clock's beginning, 2026-01-01T00:00:00Z. */
#define WORLD_START_US INT64_C(1767225600000000)

/*
 * What happens to loads and commits, one letter each, and nothing once they are used up; with a `*`
 * behind it the last one goes on for ever.
 *
 *   .  nothing          c  conflict          u  unavailable    x  corrupt (loads)
 *   d  unknown, done    l  unknown, lost     f  before it, the foreign server does its commands
 *   o  unknown, and on its way (commits)        (once; if it changes what was loaded, a commit
 *   a  before it, the oldest of those arrives   meets a conflict)
 */
struct world_script {
    const char *loads;
    const char *commits;
    const char *foreign; /* commands, separated by `; ` */
    int64_t ahead_us;    /* how far the clock that did what was before is ahead of ours */
};

struct world {
    int64_t now_ns;
    int64_t waited_ns;
    struct base_clock clock;
    struct ledger_kinds kinds;
    struct store *memory; /* what is really there */
    struct store *faulty; /* memory, behind the script */
    struct store *store;  /* that, behind what is corrupt */
    struct service *service;
    struct base_arena arena;
    struct world_script script;
    int64_t load_ns;        /* how long a load takes on the virtual clock */
    int64_t commit_ns;      /* and a commit */
    const char *corrupt_id; /* a load that needs this transaction is corrupt; NULL: none */
    const char *garbled_id; /* this one's record is loaded as bytes that are none; NULL: no one's */
    bool loaded; /* a working set is loaded, and neither committed nor abandoned so far */
};

/* A call and what became of it. */
struct world_call {
    struct service_call call;
    struct world *world;
    int n_done;
};

/* Opens with a service without threads, on a store with one session. */
void world_open(struct world *world);
/* The same, with so many. */
void world_open_sessions(struct world *world, unsigned n_sessions);
void world_close(struct world *world);
void world_set_script(struct world *world, struct world_script script);

/* A call made of text, in the world's arena:
 *   [@MS] command {; command}
 *   command: add ID ACCOUNT AMOUNT [KIND] | consume ID ACCOUNT AMOUNT [KIND] | cancel ID
 * KIND is points unless named; MS is the deadline on the virtual clock. */
struct world_call *world_call_make(struct world *world, const char *text);
/* `calls` separated by ` | `, submitted in their order. Returns how many. */
size_t world_submit(struct world *world, const char *calls, struct world_call **ret_calls);
/* Steps until there is nothing to do. */
void world_run(struct world *world);
/* Does commands, separated by `; `, on the real store, as another server would at `now_us`. */
void world_do(struct world *world, const char *commands, int64_t now_us);

/* What a call was told, as text: `applied`, `replayed` or the reason, separated by `; `. */
const char *world_told(struct world *world, const struct world_call *call);
/* Faults of all sorts, and refusals for all reasons, in the figures. */
uint64_t world_store_faults(const struct service_figures *figures);
uint64_t world_refused(const struct service_figures *figures);
/* The ids in the journal, in its order, separated by spaces. */
const char *world_journal(struct world *world);

#endif
