/*
 * A server: a service without threads, which is stepped while it has something to do. It falls in
 * three ways: it stops in order; it dies between two steps; it dies within a step, wherever time
 * passes there, and then the step is left by a jump and what it had decided is forgotten. Its store
 * stays, with the commits that are still on their way.
 */
#include "sim/world.h"

/* 2026-01-01T00:00:00Z */
#define START_US INT64_C(1767225600000000)

static int64_t real_us(void *context)
{
    struct sim_server *server = context;
    struct sim_world *world = server->world;
    if (sim_misfortune(world, world->swarm.clock_jump)) {
        server->clock_offset_us = sim_random_between(&world->random, -2000000, 2000000);
        server->clock_shown_us = INT64_MIN;
    }
    int64_t now_us = START_US + world->now_ns / SIM_MICROSECOND_NS + server->clock_offset_us;
    /* No two servers see the same microsecond, and none sees one twice while its clock runs: then
     * nobody could tell their equal records apart. */
    now_us += (int64_t)server->number - now_us % SIM_SERVERS_MAX;
    if (now_us <= server->clock_shown_us) {
        now_us = server->clock_shown_us + SIM_SERVERS_MAX;
    }
    server->clock_shown_us = now_us;
    auditor_clock_read(world->auditor, now_us);
    return now_us;
}

static int64_t mono_ns(void *context)
{
    return ((const struct sim_server *)context)->world->now_ns;
}

/* --- coming up --- */

/* Limits and withdrawals differ from one start to the next, as configurations do. */
static const struct ledger_kinds *configure(struct sim_world *world)
{
    static const int64_t limits[] = {0, 1, 10, 100, 1000, BASE_AMOUNT_MAX};
    struct ledger_kinds *kinds = base_arena_take(&world->arena, sizeof *kinds);
    *kinds = world->kinds;
    for (size_t i = 0; i < kinds->n_kinds; i++) {
        struct ledger_kind *kind = &kinds->kinds[i];
        if (sim_misfortune(world, world->swarm.kind_limited)) {
            kind->max_balance_minor = limits[sim_random_below(&world->random, 6)];
        }
        if (sim_misfortune(world, world->swarm.kind_limited)) {
            kind->max_amount_minor = limits[1 + sim_random_below(&world->random, 5)];
        }
        kind->withdrawn = sim_misfortune(world, world->swarm.kind_withdrawn);
    }
    return kinds;
}

static void come_up(struct sim_world *world, void *subject, uint64_t number)
{
    (void)number;
    struct sim_server *server = subject;
    server->kinds = configure(world);
    server->dead = false;
    server->stopping = false;
    server->closing = false;
    server->step_is_due = false;
    server->incarnation++;
    server->service =
        service_open(&(struct service_options){.store = server->store,
                                               .kinds = server->kinds,
                                               .clock = &world->clocks[server->number],
                                               .seed = sim_random_next(&world->random)});
    sim_tell(world, (struct base_text){0}, (struct base_text){0}, "server %u is up",
             server->number);
}

void sim_server_open(struct sim_world *world, unsigned number)
{
    struct sim_server *server = &world->servers[number];
    server->world = world;
    server->number = number;
    server->clock_offset_us = sim_random_between(&world->random, -1000, 1000);
    world->clocks[number] = (struct base_clock){real_us, mono_ns, server};
    server->store = sim_store_open(server);
    come_up(world, server, 0);
}

void sim_server_close(struct sim_server *server)
{
    if (server->service != NULL) {
        server->closing = true;
        service_close(server->service);
        server->service = NULL;
    }
    store_close(server->store);
}

/* --- working --- */

void sim_server_pass_time(struct sim_server *server, int64_t duration_ns)
{
    sim_pass_time(server->world, duration_ns);
    if (server->dead) {
        longjmp(server->crash, 1);
    }
}

static void wait_between_retries(void *context, int64_t duration_ns)
{
    struct sim_server *server = context;
    if (!server->dead) {
        sim_server_pass_time(server, duration_ns);
    }
}

static void end_delivery(struct sim_delivery *delivery);
static void forget_deliveries(struct sim_server *server);
static void fall(struct sim_server *server);

/* Whether the step came to its end; false: the server died in it. */
static bool step_to_its_end(struct sim_server *server)
{
    if (setjmp(server->crash) != 0) {
        return false;
    }
    if (service_step(server->service, wait_between_retries, server)) {
        sim_server_wake(server);
    }
    return true;
}

static void step(struct sim_world *world, void *subject, uint64_t number)
{
    (void)world;
    struct sim_server *server = subject;
    if (server->service == NULL || server->incarnation != number) {
        return;
    }
    server->step_is_due = false;
    if (server->stepping) {
        return; /* it looks again when its step ends, which had something to do */
    }
    server->stepping = true;
    bool alive = step_to_its_end(server);
    server->stepping = false;
    if (!alive) {
        server->dead = true;
        forget_deliveries(server);
        fall(server);
    }
}

void sim_server_wake(struct sim_server *server)
{
    if (!server->step_is_due) {
        server->step_is_due = true;
        sim_after(server->world, SIM_MICROSECOND_NS, step, server, server->incarnation);
    }
}

/* --- falling --- */

static void forget_deliveries(struct sim_server *server)
{
    struct sim_world *world = server->world;
    while (server->deliveries != NULL) {
        struct sim_delivery *delivery = server->deliveries;
        end_delivery(delivery);
        auditor_lost(world->auditor, &delivery->request);
    }
}

/* Away with the service; what a dead one still does in closing counts for nobody. */
static void fall(struct sim_server *server)
{
    server->closing = true;
    service_close(server->service);
    server->service = NULL;
    sim_after(server->world, sim_delay(server->world, SIM_SECOND_NS), come_up, server, 0);
}

static void die(struct sim_server *server)
{
    struct sim_world *world = server->world;
    world->counts[SIM_COUNT_CRASHES]++;
    world->counts[SIM_COUNT_CRASHES_WORKING] += server->stepping;
    sim_tell(world, (struct base_text){0}, (struct base_text){0}, "server %u dies%s",
             server->number, server->stepping ? " at work" : "");
    server->dead = true;
    forget_deliveries(server);
    if (!server->stepping) {
        fall(server); /* else when control comes back to its step */
    }
}

static void end_in_order(struct sim_world *world, void *subject, uint64_t number)
{
    struct sim_server *server = subject;
    if (server->service == NULL || server->incarnation != number || server->dead) {
        return;
    }
    if (server->stepping) {
        sim_after(world, SIM_MILLISECOND_NS, end_in_order, server, number);
        return;
    }
    fall(server);
    base_assert(server->deliveries == NULL); /* contract 3.11: all were answered */
}

static void stop_in_order(struct sim_server *server)
{
    struct sim_world *world = server->world;
    world->counts[SIM_COUNT_STOPS]++;
    sim_tell(world, (struct base_text){0}, (struct base_text){0}, "server %u stops",
             server->number);
    server->stopping = true;
    service_stop(server->service);
    sim_after(world, sim_delay(world, SIM_SECOND_NS), end_in_order, server, server->incarnation);
}

static void some_server_falls(struct sim_world *world, void *subject, uint64_t number)
{
    (void)subject;
    (void)number;
    if (world->healing) {
        return;
    }
    struct sim_server *server =
        &world->servers[sim_random_below(&world->random, world->swarm.n_servers)];
    bool is_crash = sim_random_chance(&world->random, world->swarm.fall_is_crash);
    if (server->service != NULL && !server->dead) {
        if (is_crash) {
            die(server);
        } else if (!server->stopping) {
            stop_in_order(server);
        }
    }
    sim_server_begin_falling(world);
}

void sim_server_begin_falling(struct sim_world *world)
{
    int64_t mean_ns = world->swarm.fall_mean_ns;
    if (mean_ns > 0) {
        sim_after(world, sim_random_between(&world->random, 1, 2 * mean_ns), some_server_falls,
                  NULL, 0);
    }
}

/* --- requests --- */

/* A queue that is full holds thousands of them: sums are kept, and nothing is walked. */
static void begin_delivery(struct sim_delivery *delivery)
{
    struct sim_server *server = delivery->server;
    size_t *caller_held = &delivery->attempt->caller->n_held[server->number];
    delivery->request.n_ahead = server->n_held;
    delivery->request.n_ahead_own = *caller_held;
    server->n_held += delivery->request.n_commands;
    *caller_held += delivery->request.n_commands;
    delivery->next = server->deliveries;
    if (delivery->next != NULL) {
        delivery->next->newer = delivery;
    }
    server->deliveries = delivery;
}

static void end_delivery(struct sim_delivery *delivery)
{
    struct sim_server *server = delivery->server;
    server->n_held -= delivery->request.n_commands;
    delivery->attempt->caller->n_held[server->number] -= delivery->request.n_commands;
    if (delivery->next != NULL) {
        delivery->next->newer = delivery->newer;
    }
    *(delivery->newer != NULL ? &delivery->newer->next : &server->deliveries) = delivery->next;
    delivery->ended = true;
}

static void answer(struct sim_delivery *delivery, bool taken)
{
    struct sim_server *server = delivery->server;
    struct sim_world *world = server->world;
    const struct sim_attempt *attempt = delivery->attempt;
    base_assert(!delivery->ended);
    end_delivery(delivery);
    for (size_t i = 0; i < attempt->n_commands; i++) {
        const struct service_result *result = &delivery->call.results[i];
        sim_trace(world, (uint64_t)result->refusal.reason * 2 + result->replayed);
        sim_tell_command(world, &attempt->commands[i], "server %u answers caller %llu: %s",
                         server->number, (unsigned long long)attempt->caller->number,
                         result->refusal.reason != BASE_REASON_NONE
                             ? base_error_of(result->refusal.reason)->reason
                         : result->replayed ? "success, a replay"
                                            : "success");
    }
    auditor_answered(world->auditor, &delivery->request, delivery->call.results, taken,
                     world->now_ns);
    sim_network_answer(world, delivery);
}

static void done(struct service_call *call)
{
    struct sim_delivery *delivery = call->context;
    if (!delivery->server->dead) {
        answer(delivery, true);
    }
}

static void refuse(struct sim_delivery *delivery, enum base_reason reason)
{
    for (size_t i = 0; i < delivery->call.n_commands; i++) {
        delivery->call.results[i] = (struct service_result){.refusal = {.reason = reason}};
    }
    answer(delivery, false);
}

void sim_server_hand_over(struct sim_server *server, const struct sim_attempt *attempt)
{
    struct sim_world *world = server->world;
    struct sim_delivery *delivery = base_arena_take_zeroed(&world->arena, 1, sizeof *delivery);
    int64_t deadline_ns = attempt->timeout_ns == BASE_NO_DEADLINE
                              ? BASE_NO_DEADLINE
                              : world->now_ns + attempt->timeout_ns;
    delivery->attempt = attempt;
    delivery->server = server;
    delivery->request = (struct auditor_request){.n_commands = attempt->n_commands,
                                                 .commands = attempt->commands,
                                                 .kinds = server->kinds,
                                                 .deadline_ns = deadline_ns};
    delivery->call = (struct service_call){
        .caller = attempt->caller->number,
        .n_commands = attempt->n_commands,
        .commands = attempt->commands,
        .results = base_arena_take_zeroed(&world->arena, attempt->n_commands,
                                          sizeof(struct service_result)),
        .deadline_mono_ns = deadline_ns,
        .arena = &world->arena,
        .done = done,
        .context = delivery,
    };
    begin_delivery(delivery);
    world->counts[SIM_COUNT_HANDED_OVER] += attempt->n_commands;
    for (size_t i = 0; i < attempt->n_commands; i++) {
        sim_tell_command(world, &attempt->commands[i], "server %u gets: %s", server->number,
                         sim_command_text(world, &attempt->commands[i]));
    }
    auditor_handed_over(world->auditor, &delivery->request);
    enum base_reason reason = service_submit(server->service, &delivery->call);
    if (reason != BASE_REASON_NONE) {
        refuse(delivery, reason);
    } else {
        sim_server_wake(server);
    }
}
