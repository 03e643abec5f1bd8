/*
 * The largest requests, many at once. They fill the line of a server, so that some are told
 * OVERLOADED; or they bring so much into one balance that it comes near int64 (contract 3.10).
 */
#include "sim/world.h"

/* Commands of one request; and different ones among them, where they repeat each other. */
#define N_COMMANDS 1000
#define N_DIFFERENT 20

static struct ledger_command *commands_make(struct sim_world *world)
{
    struct ledger_command *commands = base_arena_take(&world->arena, N_COMMANDS * sizeof *commands);
    const struct ledger_command *repeated = NULL;
    if (!world->swarm.bulk_enriches) {
        repeated = sim_commands_make(world, N_DIFFERENT);
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        commands[i] = repeated == NULL ? sim_command_enrich(world)
                                       : sim_command_again(world, repeated[i % N_DIFFERENT]);
    }
    return commands;
}

/* Who sends them has gone on to something else, and hears no answer. Where they are many, a line is
 * full for want of room; where there is one, because it has its share (contract 7). */
static void arrive(struct sim_world *world, void *subject, uint64_t number)
{
    (void)subject;
    (void)number;
    struct sim_server *server = &world->servers[0];
    if (world->healing || server->service == NULL || server->dead) {
        return;
    }
    world->counts[SIM_COUNT_CROWDS]++;
    unsigned n_callers = world->swarm.bulk_callers;
    struct sim_caller *callers = base_arena_take_zeroed(&world->arena, n_callers, sizeof *callers);
    for (unsigned i = 0; i < n_callers; i++) {
        callers[i].number = SIM_CALLERS_MAX + i;
        callers[i].operation = 1; /* behind that of these requests */
    }
    for (unsigned i = 0; i < world->swarm.bulk; i++) {
        struct sim_attempt *attempt = base_arena_take(&world->arena, sizeof *attempt);
        *attempt = (struct sim_attempt){.caller = &callers[i % n_callers],
                                        .n_commands = N_COMMANDS,
                                        .commands = commands_make(world),
                                        .timeout_ns = BASE_NO_DEADLINE};
        world->counts[SIM_COUNT_REQUESTS]++;
        world->counts[SIM_COUNT_COMMANDS] += N_COMMANDS;
        sim_server_hand_over(server, attempt);
    }
}

void sim_crowd_begin(struct sim_world *world)
{
    if (world->swarm.bulk > 0) {
        sim_after(world, world->swarm.bulk_at_ns, arrive, NULL, 0);
    }
}
