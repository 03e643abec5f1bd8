/*
 * The simulator's world: servers on one store, callers, the network between them, under one virtual
 * clock and from one seed.
 *
 *   main.c      runs worlds, and tells what broke
 *   world.c     time: events in their order, the trace, the beginning and the end
 *   server.c    a server is a service that is stepped; it falls and comes back, also in the middle
 *               of a commit
 *   faults.c    the store of a server: store/memory behind store/faulty, with delays
 *   network.c   requests and answers on their way: lost, late, twice, out of order
 *   caller.c    callers: what they ask, when they repeat it, and when they give up
 *   crowd.c     the largest requests, many at once: the line is full, a balance near int64
 *   commands.c  commands and how they are repeated: the same, reordered, relabelled, changed
 *   auditor*.c  the judgement (auditor.h)
 *
 * A server's step runs all the way to its answers, so whatever happens meanwhile, to other servers
 * too, happens inside the waits and delays of that step: sim_pass_time is called from there.
 */
#ifndef ZANDAKA_SIM_WORLD_H
#define ZANDAKA_SIM_WORLD_H

#include "service/service.h"
#include "sim/auditor.h"
#include "sim/events.h"
#include "sim/random.h"
#include "sim/swarm.h"
#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

#include <setjmp.h>

#define SIM_MICROSECOND_NS INT64_C(1000)
#define SIM_MILLISECOND_NS INT64_C(1000000)
#define SIM_SECOND_NS INT64_C(1000000000)
/* Commits on their way to the store from one server. */
#define SIM_LATE_MAX 16

/* What is counted; the names are in world.c. */
enum sim_count {
    SIM_COUNT_WORLDS,
    SIM_COUNT_REQUESTS,
    SIM_COUNT_COMMANDS,
    SIM_COUNT_HANDED_OVER,
    SIM_COUNT_FENCES,
    SIM_COUNT_CHANGED,
    SIM_COUNT_READS,
    SIM_COUNT_TIMEOUTS,
    SIM_COUNT_REQUESTS_LOST,
    SIM_COUNT_ANSWERS_LOST,
    SIM_COUNT_DUPLICATES,
    SIM_COUNT_CONFLICTS,
    SIM_COUNT_REAL_CONFLICTS,
    SIM_COUNT_UNAVAILABLE,
    SIM_COUNT_UNKNOWN_DONE,
    SIM_COUNT_UNKNOWN_LOST,
    SIM_COUNT_UNKNOWN_LATE,
    SIM_COUNT_LANDED,
    SIM_COUNT_CRASHES,
    SIM_COUNT_CRASHES_WORKING,
    SIM_COUNT_CRASHES_AFTER_COMMIT,
    SIM_COUNT_STOPS,
    SIM_COUNT_COMMITS,
    SIM_COUNT_DAMAGED,
    SIM_COUNT_CROWDS,
    SIM_COUNTS
};
extern const char *const sim_count_names[SIM_COUNTS];

/* The store of one server, beneath the faults: it has the delays and the crashes. */
struct sim_door {
    struct store base;
    struct sim_server *server;
};

struct sim_server {
    struct sim_world *world;
    unsigned number;
    struct sim_door door;
    struct store *store;     /* faulty, over the door */
    struct service *service; /* NULL: it is down */
    const struct ledger_kinds *kinds;
    uint64_t incarnation;
    bool stepping; /* its step is under way, perhaps beneath others on the stack */
    bool step_is_due;
    bool dead;     /* it has crashed: nothing that is still done in its name counts */
    bool stopping; /* it takes no more, and ends when it can */
    bool closing;  /* within service_close: no time passes */
    bool landing;  /* a late commit is arriving */
    enum store_faulty_event event; /* of the commit under way */
    int64_t unavailable_until_ns;
    int64_t clock_offset_us;
    int64_t clock_shown_us; /* the last time that it was looked at */
    size_t n_late;
    struct sim_delivery *deliveries; /* that it has, the newest first */
    size_t n_held;                   /* commands of these */
    jmp_buf crash;
};

/* A request as a caller sends it, once. */
struct sim_attempt {
    struct sim_caller *caller;
    uint64_t operation; /* of the caller */
    size_t n_commands;
    const struct ledger_command *commands;
    int64_t timeout_ns; /* what the server is given; BASE_NO_DEADLINE: for ever */
};

/* A copy of it that a server has. */
struct sim_delivery {
    struct service_call call;
    struct auditor_request request;
    const struct sim_attempt *attempt;
    struct sim_server *server;
    bool ended; /* answered, or its server has died */
    struct sim_delivery *newer;
    struct sim_delivery *next;
};

struct sim_caller {
    uint64_t number;
    uint64_t operation; /* what it is doing now; answers to earlier ones are late */
    uint64_t send;      /* counts its sends, so that a time-out knows whether it is still meant */
    size_t n_commands;
    struct ledger_command *commands;
    unsigned tries_left;
    bool retrying;                  /* it sends again after its pause */
    bool fencing;                   /* it has given up, and wants to be certain */
    size_t n_held[SIM_SERVERS_MAX]; /* commands of its deliveries that each server has */
};

struct sim_id {
    size_t n_variants;
    size_t capacity;
    struct ledger_command *variants; /* all that were made under it, fences excepted */
};

struct sim_world {
    uint64_t seed;
    struct sim_swarm swarm;
    struct sim_random random;
    int64_t now_ns;
    struct sim_events events;
    struct base_clock clock;   /* of nobody: servers have their own */
    struct base_arena arena;   /* everything that lives as long as the world */
    struct ledger_kinds kinds; /* without limits */
    struct store *memory;
    size_t n_observed; /* rows of the journal that the auditor has been told of */
    struct auditor *auditor;
    struct sim_server servers[SIM_SERVERS_MAX];
    struct base_clock clocks[SIM_SERVERS_MAX];
    struct sim_caller callers[SIM_CALLERS_MAX];
    size_t n_ids;
    size_t ids_capacity;
    struct sim_id *ids;
    size_t n_variants;
    /* What no server can read just now; empty: nothing. */
    struct base_text damaged_account_id;
    struct base_text damaged_transaction_id;
    uint64_t n_commands; /* sent so far */
    bool healing;        /* no more faults, nothing new: what was begun comes to its end */
    uint64_t counts[SIM_COUNTS];
    uint64_t trace; /* a hash of everything that has happened */
    /* Whether events are told on standard output, and of which id or account; empty: of all. */
    bool telling;
    struct base_text told_id;
    struct base_text told_account;
};

/* --- world.c --- */

struct sim_outcome {
    struct auditor_failure failure;
    uint64_t trace;
};

struct sim_story {
    bool telling;
    const char *transaction_id; /* "" : every */
    const char *account_id;
};

/* Runs the world of a seed to its end. Adds to counts[SIM_COUNTS] and *figures. */
struct sim_outcome sim_world_run(uint64_t seed, struct sim_story story, uint64_t *counts,
                                 struct auditor_figures *figures);

/* Lets everything happen that happens within the next `duration_ns`. */
void sim_pass_time(struct sim_world *world, int64_t duration_ns);
void sim_after(struct sim_world *world, int64_t delay_ns,
               void (*happen)(struct sim_world *world, void *subject, uint64_t number),
               void *subject, uint64_t number);
/* Something random up to `max_ns`, mostly much shorter. */
int64_t sim_delay(struct sim_world *world, int64_t max_ns);
/* True per mille, and never while the world heals. */
bool sim_misfortune(struct sim_world *world, unsigned per_mille);
void sim_trace(struct sim_world *world, uint64_t value);
void sim_tell(struct sim_world *world, struct base_text transaction_id, struct base_text account_id,
              const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A command as text, in the world's arena. */
const char *sim_command_text(struct sim_world *world, const struct ledger_command *command);
void sim_tell_command(struct sim_world *world, const struct ledger_command *command,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- server.c, faults.c --- */

void sim_server_open(struct sim_world *world, unsigned number);
void sim_server_close(struct sim_server *server);
/* The server gets a request, or is told that there is a read. */
void sim_server_hand_over(struct sim_server *server, const struct sim_attempt *attempt);
void sim_server_wake(struct sim_server *server);
/* One of the servers falls, now and then: the first of such events. */
void sim_server_begin_falling(struct sim_world *world);
/* Time passes for a server that is at work. It does not return if the server dies meanwhile. */
void sim_server_pass_time(struct sim_server *server, int64_t duration_ns);
struct store *sim_store_open(struct sim_server *server);
/* Something becomes unreadable for a while, if it is that kind of world; and can be read again. */
void sim_store_begin_damage(struct sim_world *world);
void sim_store_mend(struct sim_world *world);
/* Tells the auditor of what has become durable. */
void sim_observe(struct sim_world *world);

/* --- crowd.c --- */

/* At some time, many large requests reach a server at once, if it is that kind of world. */
void sim_crowd_begin(struct sim_world *world);

/* --- network.c --- */

void sim_network_send(struct sim_world *world, const struct sim_attempt *attempt);
void sim_network_answer(struct sim_world *world, const struct sim_delivery *delivery);

/* --- caller.c --- */

void sim_caller_open(struct sim_world *world, unsigned number);
void sim_caller_told(struct sim_world *world, const struct sim_delivery *delivery);
/* What every id comes to in the end: it is repeated, fenced, and repeated again. */
void sim_callers_settle(struct sim_world *world);

/* --- commands.c --- */

/* Makes `n` commands: new, repeated, changed, fences. */
struct ledger_command *sim_commands_make(struct sim_world *world, size_t n);
/* The command once more: the same, or reordered or relabelled, which is no other content. */
struct ledger_command sim_command_again(struct sim_world *world, struct ledger_command command);
struct ledger_command sim_command_fence(struct base_text transaction_id);
/* A new Add of the largest amount there is, always to the same balance. */
struct ledger_command sim_command_enrich(struct sim_world *world);
struct base_text sim_account_id(struct sim_world *world, size_t number);

/* --- reads.c --- */

/* A caller reads something from some server. */
void sim_read_send(struct sim_world *world);

#endif
