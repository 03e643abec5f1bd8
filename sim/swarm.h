/*
 * What kind of world a seed makes. Each seed picks its own sizes and its own mix of faults, and
 * leaves about half of them out: a fault that happens everywhere hides what another one would show.
 */
#ifndef ZANDAKA_SIM_SWARM_H
#define ZANDAKA_SIM_SWARM_H

#include "sim/random.h"

#include <stdbool.h>

#define SIM_SERVERS_MAX 3
#define SIM_CALLERS_MAX 12
#define SIM_ACCOUNTS_MAX 8
#define SIM_KINDS_MAX 5
#define SIM_COMMANDS_MAX 3000 /* of one world, repeats included; then its callers stop */

/* Chances are per mille. */
struct sim_swarm {
    unsigned n_servers;
    unsigned n_sessions; /* of the store, for each server */
    unsigned n_callers;
    unsigned n_accounts;
    unsigned n_kinds;
    unsigned n_commands; /* after so many, the callers begin nothing new */

    unsigned request_lost;
    unsigned answer_lost;
    unsigned duplicated;
    int64_t network_delay_max_ns;

    unsigned conflict;
    unsigned unavailable;
    unsigned spell; /* the store is unavailable for a while */
    int64_t spell_max_ns;
    unsigned unknown_done;
    unsigned unknown_lost;
    unsigned unknown_late;
    int64_t late_max_ns;
    unsigned read_unavailable;
    int64_t damage_after_ns; /* something cannot be read from then on; 0: never */
    int64_t damage_max_ns;
    int64_t store_delay_max_ns;

    int64_t fall_mean_ns; /* from one restart of some server to the next; 0: none */
    unsigned fall_is_crash;
    unsigned crash_after_commit; /* of each commit */
    unsigned clock_jump;         /* of each reading of a server's clock */
    unsigned kind_limited;       /* of each kind at each start of a server */
    unsigned kind_withdrawn;

    int64_t pause_max_ns; /* of a caller between two operations */
    int64_t timeout_ns;
    unsigned tries;
    unsigned repeat; /* an id that was used before, rather than a new one */
    unsigned recent; /* how many ids back a repeat looks */
    unsigned changed;
    unsigned reordered;
    unsigned relabelled;
    unsigned cancel;
    unsigned fence_after_giving_up;
    unsigned submit;
    unsigned submit_max;
    unsigned scatter; /* of a Submit: its commands go as requests of their own, at once */
    unsigned follow;  /* of an Add within: the next command consumes just what it brings */
    unsigned read;
    unsigned hedge; /* the same request twice at once */
    unsigned deadline;
    int64_t deadline_max_ns;
    unsigned add; /* rather than consume */
    int64_t amount_max_minor;
    unsigned unknown_kind;
    unsigned bulk;         /* so many of the largest requests come at once */
    unsigned bulk_callers; /* from so many callers, who send nothing else */
    bool bulk_enriches;    /* with as much as can be for one account; else with what is repeated */
    int64_t bulk_at_ns;
};

struct sim_swarm sim_swarm_pick(struct sim_random *random);

#endif
