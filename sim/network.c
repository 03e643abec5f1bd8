/* Requests and answers on their way: each may be lost, late, twice, and overtaken by others. */
#include "sim/world.h"

static int64_t way_ns(struct sim_world *world)
{
    return SIM_MICROSECOND_NS + sim_delay(world, world->swarm.network_delay_max_ns);
}

/* --- requests --- */

static void arrive(struct sim_world *world, void *subject, uint64_t number)
{
    struct sim_server *server = &world->servers[number];
    const struct sim_attempt *attempt = subject;
    if (server->service == NULL || server->dead) {
        world->counts[SIM_COUNT_REQUESTS_LOST]++;
        return;
    }
    sim_server_hand_over(server, attempt);
}

static void set_out(struct sim_world *world, const struct sim_attempt *attempt)
{
    if (sim_misfortune(world, world->swarm.request_lost)) {
        world->counts[SIM_COUNT_REQUESTS_LOST]++;
        return;
    }
    sim_after(world, way_ns(world), arrive, (void *)(uintptr_t)attempt,
              sim_random_below(&world->random, world->swarm.n_servers));
}

void sim_network_send(struct sim_world *world, const struct sim_attempt *attempt)
{
    set_out(world, attempt);
    if (sim_misfortune(world, world->swarm.duplicated)) {
        world->counts[SIM_COUNT_DUPLICATES]++;
        set_out(world, attempt);
    }
}

/* --- answers --- */

static void come_back(struct sim_world *world, void *subject, uint64_t number)
{
    (void)number;
    sim_caller_told(world, subject);
}

void sim_network_answer(struct sim_world *world, const struct sim_delivery *delivery)
{
    if (sim_misfortune(world, world->swarm.answer_lost)) {
        world->counts[SIM_COUNT_ANSWERS_LOST]++;
        return;
    }
    sim_after(world, way_ns(world), come_back, (void *)(uintptr_t)delivery, 0);
}
