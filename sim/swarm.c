#include "sim/swarm.h"

#include "base/limits.h"

#include <stddef.h>

#define MILLISECOND_NS INT64_C(1000000)

/* Absent in about half of the worlds; else rare, common or rampant. */
static unsigned pick_chance(struct sim_random *random, unsigned most)
{
    static const unsigned shares[] = {0, 0, 0, 10, 80, 300, 1000};
    return most * shares[sim_random_below(random, sizeof shares / sizeof shares[0])] / 1000;
}

static int64_t pick_one(struct sim_random *random, size_t n, const int64_t *values)
{
    return values[sim_random_below(random, n)];
}

#define PICK_ONE(random, ...)                                                                      \
    pick_one(random, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static void pick_store(struct sim_random *random, struct sim_swarm *swarm)
{
    swarm->conflict = pick_chance(random, 400);
    swarm->unavailable = pick_chance(random, 300);
    swarm->spell = pick_chance(random, 30);
    swarm->spell_max_ns = PICK_ONE(random, 50, 500, 3000, 12000) * MILLISECOND_NS;
    swarm->unknown_done = pick_chance(random, 300);
    swarm->unknown_lost = pick_chance(random, 300);
    swarm->unknown_late = pick_chance(random, 300);
    swarm->late_max_ns = PICK_ONE(random, 2, 30, 1000, 20000) * MILLISECOND_NS;
    swarm->read_unavailable = pick_chance(random, 100);
    swarm->store_delay_max_ns = PICK_ONE(random, 0, 1, 10, 10, 200) * MILLISECOND_NS;
}

static void pick_servers(struct sim_random *random, struct sim_swarm *swarm)
{
    swarm->n_servers = (unsigned)PICK_ONE(random, 1, 1, 2, 2, SIM_SERVERS_MAX);
    swarm->fall_mean_ns = PICK_ONE(random, 0, 0, 50, 500, 5000) * MILLISECOND_NS;
    swarm->fall_is_crash = (unsigned)PICK_ONE(random, 0, 500, 1000, 1000);
    swarm->crash_after_commit = pick_chance(random, 100);
    swarm->clock_jump = pick_chance(random, 100);
    swarm->kind_limited = pick_chance(random, 600);
    swarm->kind_withdrawn = pick_chance(random, 300);
}

static void pick_callers(struct sim_random *random, struct sim_swarm *swarm)
{
    swarm->pause_max_ns = PICK_ONE(random, 0, 5, 50, 500) * MILLISECOND_NS;
    swarm->timeout_ns = PICK_ONE(random, 5, 50, 500, 5000) * MILLISECOND_NS;
    swarm->tries = (unsigned)PICK_ONE(random, 1, 3, 10);
    swarm->repeat = (unsigned)PICK_ONE(random, 100, 400, 700);
    swarm->recent = (unsigned)PICK_ONE(random, 1, 4, 20, SIM_COMMANDS_MAX);
    swarm->changed = pick_chance(random, 400);
    swarm->reordered = pick_chance(random, 500);
    swarm->relabelled = pick_chance(random, 800);
    swarm->cancel = pick_chance(random, 300);
    swarm->fence_after_giving_up = (unsigned)PICK_ONE(random, 0, 500, 1000);
    swarm->submit = pick_chance(random, 900);
    swarm->submit_max = (unsigned)PICK_ONE(random, 2, 4, 10, 40);
    swarm->scatter = (unsigned)PICK_ONE(random, 0, 300, 1000);
    swarm->follow = pick_chance(random, 800);
    swarm->read = pick_chance(random, 500);
    swarm->hedge = pick_chance(random, 500);
    swarm->deadline = pick_chance(random, 800);
    swarm->deadline_max_ns = PICK_ONE(random, 2, 20, 200, 2000) * MILLISECOND_NS;
    swarm->add = (unsigned)PICK_ONE(random, 200, 450, 500, 550, 800);
    swarm->amount_max_minor = PICK_ONE(random, 1, 3, 60, 1000000, BASE_AMOUNT_MAX);
    swarm->unknown_kind = pick_chance(random, 50);
}

/* A corner that chance alone seldom meets: a top-up and a payment of just that share a commit that
 * arrives late, and the top-up leaves at its deadline before the payment is decided again. */
static void turn_into_corner(struct sim_random *random, struct sim_swarm *swarm)
{
    swarm->n_callers = (unsigned)PICK_ONE(random, 1, 2, 3);
    swarm->network_delay_max_ns = 0;
    swarm->store_delay_max_ns = 0;
    swarm->pause_max_ns = 50 * MILLISECOND_NS;
    swarm->timeout_ns = 500 * MILLISECOND_NS;
    swarm->tries = 1;
    swarm->repeat = 100;
    swarm->unknown_late = 300;
    swarm->late_max_ns = 30 * MILLISECOND_NS;
    swarm->submit = 900;
    swarm->submit_max = 2;
    swarm->scatter = 1000;
    swarm->follow = 800;
    swarm->deadline = 500;
    swarm->deadline_max_ns = 2 * MILLISECOND_NS;
    swarm->amount_max_minor = 1000000;
}

static void damage(struct sim_random *random, struct sim_swarm *swarm)
{
    swarm->damage_after_ns = sim_random_between(random, 1, 300 * MILLISECOND_NS);
    swarm->damage_max_ns = PICK_ONE(random, 20, 200, 2000, 20000) * MILLISECOND_NS;
}

/* A line that is full, or a balance that is: what takes ten thousand commands, or more. */
static void crowd(struct sim_random *random, struct sim_swarm *swarm)
{
    swarm->bulk_enriches = sim_random_chance(random, 500);
    swarm->bulk = (unsigned)PICK_ONE(random, 10, 17, 20);
    swarm->bulk_callers = (unsigned)PICK_ONE(random, 1, 20, 20);
    swarm->bulk_at_ns = sim_random_between(random, 1, 300 * MILLISECOND_NS);
    if (swarm->bulk_enriches) {
        swarm->n_accounts = 1;
        swarm->amount_max_minor = BASE_AMOUNT_MAX;
    }
}

struct sim_swarm sim_swarm_pick(struct sim_random *random)
{
    struct sim_swarm swarm = {
        .n_callers = (unsigned)sim_random_between(random, 1, SIM_CALLERS_MAX),
        .n_accounts = (unsigned)PICK_ONE(random, 1, 1, 2, 4, SIM_ACCOUNTS_MAX),
        .n_kinds = (unsigned)sim_random_between(random, 1, SIM_KINDS_MAX),
        .n_commands = (unsigned)PICK_ONE(random, 30, 100, 300, 1000, SIM_COMMANDS_MAX),
        .request_lost = pick_chance(random, 300),
        .answer_lost = pick_chance(random, 300),
        .duplicated = pick_chance(random, 300),
        .network_delay_max_ns = PICK_ONE(random, 0, 1, 10, 100, 1000) * MILLISECOND_NS,
    };
    pick_store(random, &swarm);
    pick_servers(random, &swarm);
    pick_callers(random, &swarm);
    /* Chosen aside, so that it changes nothing else that follows from the seed. */
    struct sim_random aside = *random;
    if (sim_random_chance(&aside, 60)) {
        turn_into_corner(&aside, &swarm);
    }
    if (sim_random_chance(&aside, 150)) {
        damage(&aside, &swarm);
    }
    if (sim_random_chance(&aside, 5)) {
        crowd(&aside, &swarm);
    }
    return swarm;
}
