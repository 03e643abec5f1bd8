/* Time, and a world from its beginning to its end. */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A day that does not end would be a bug of the simulator or of a server that answers nobody. */
#define DAY_MAX_NS (INT64_C(100000) * SIM_SECOND_NS)

const char *const sim_count_names[SIM_COUNTS] = {
    [SIM_COUNT_WORLDS] = "worlds",
    [SIM_COUNT_REQUESTS] = "requests sent",
    [SIM_COUNT_COMMANDS] = "commands in them",
    [SIM_COUNT_HANDED_OVER] = "commands that reached a server",
    [SIM_COUNT_FENCES] = "fences among those sent",
    [SIM_COUNT_CHANGED] = "used ids with other content",
    [SIM_COUNT_READS] = "reads",
    [SIM_COUNT_TIMEOUTS] = "time-outs of callers",
    [SIM_COUNT_REQUESTS_LOST] = "requests lost",
    [SIM_COUNT_ANSWERS_LOST] = "answers lost",
    [SIM_COUNT_DUPLICATES] = "requests doubled by the network",
    [SIM_COUNT_CONFLICTS] = "conflicts made up",
    [SIM_COUNT_REAL_CONFLICTS] = "conflicts between servers",
    [SIM_COUNT_UNAVAILABLE] = "loads and commits that met an unavailable store",
    [SIM_COUNT_UNKNOWN_DONE] = "unknown outcomes, written",
    [SIM_COUNT_UNKNOWN_LOST] = "unknown outcomes, lost",
    [SIM_COUNT_UNKNOWN_LATE] = "unknown outcomes, on their way",
    [SIM_COUNT_LANDED] = "of these, written later",
    [SIM_COUNT_CRASHES] = "crashes",
    [SIM_COUNT_CRASHES_WORKING] = "of these, within a step",
    [SIM_COUNT_CRASHES_AFTER_COMMIT] = "crashes between a commit and its answers",
    [SIM_COUNT_STOPS] = "stops in order",
    [SIM_COUNT_COMMITS] = "commits that reached the store",
    [SIM_COUNT_DAMAGED] = "loads that met what cannot be read",
    [SIM_COUNT_CROWDS] = "times that the largest requests came all at once",
};

/* --- time --- */

void sim_after(struct sim_world *world, int64_t delay_ns,
               void (*happen)(struct sim_world *world, void *subject, uint64_t number),
               void *subject, uint64_t number)
{
    sim_events_add(&world->events, (struct sim_event){.time_ns = world->now_ns + delay_ns,
                                                      .happen = happen,
                                                      .subject = subject,
                                                      .number = number});
}

static bool over(const struct sim_world *world)
{
    return auditor_failure_of(world->auditor)->found;
}

static void happen(struct sim_world *world, const struct sim_event *event)
{
    /* Within a server's wait another one may have waited longer: then this one is late. */
    world->now_ns = event->time_ns > world->now_ns ? event->time_ns : world->now_ns;
    sim_trace(world, (uint64_t)event->time_ns);
    event->happen(world, event->subject, event->number);
}

void sim_pass_time(struct sim_world *world, int64_t duration_ns)
{
    int64_t until_ns = world->now_ns + duration_ns;
    struct sim_event event;
    while (!over(world) && sim_events_take(&world->events, until_ns, &event)) {
        happen(world, &event);
    }
    world->now_ns = until_ns > world->now_ns ? until_ns : world->now_ns;
}

int64_t sim_delay(struct sim_world *world, int64_t max_ns)
{
    if (max_ns == 0) {
        return 0;
    }
    int64_t shorter_ns = max_ns >> sim_random_below(&world->random, 12);
    return sim_random_between(&world->random, 0, shorter_ns);
}

bool sim_misfortune(struct sim_world *world, unsigned per_mille)
{
    return !world->healing && sim_random_chance(&world->random, per_mille);
}

/* FNV-1a, eight bytes at a time. */
void sim_trace(struct sim_world *world, uint64_t value)
{
    world->trace = (world->trace ^ value) * UINT64_C(0x100000001B3);
    world->trace ^= world->trace >> 29;
}

/* --- telling --- */

/* Whether somebody wants to hear of it; what is of no id and no account is of all. */
static bool is_told(const struct sim_world *world, struct base_text transaction_id,
                    struct base_text account_id)
{
    if (!world->telling) {
        return false;
    }
    bool all = world->told_id.length == 0 && world->told_account.length == 0;
    bool nobodys = transaction_id.length == 0 && account_id.length == 0;
    return all || nobodys ||
           (world->told_id.length > 0 && base_text_equal(world->told_id, transaction_id)) ||
           (world->told_account.length > 0 && base_text_equal(world->told_account, account_id));
}

static void tell(const struct sim_world *world, struct base_text transaction_id, const char *format,
                 va_list arguments)
{
    (void)printf("%14.6f ms  %-6.*s ", (double)world->now_ns / (double)SIM_MILLISECOND_NS,
                 BASE_TEXT_ARGS(transaction_id));
    (void)vprintf(format, arguments);
    (void)putchar('\n');
}

void sim_tell(struct sim_world *world, struct base_text transaction_id, struct base_text account_id,
              const char *format, ...)
{
    if (is_told(world, transaction_id, account_id)) {
        va_list arguments;
        va_start(arguments, format);
        tell(world, transaction_id, format, arguments);
        va_end(arguments);
    }
}

const char *sim_command_text(struct sim_world *world, const struct ledger_command *command)
{
    static const char *const names[] = {"?", "add", "consume", "cancel"};
    if (!world->telling) {
        return "";
    }
    struct base_text text = base_arena_print(
        &world->arena, "%s %.*s %.*s", names[command->operation],
        BASE_TEXT_ARGS(command->transaction_id), BASE_TEXT_ARGS(command->account_id));
    for (size_t i = 0; i < command->n_amounts; i++) {
        text = base_arena_print(&world->arena, "%s %.*s=%lld", text.bytes,
                                BASE_TEXT_ARGS(command->amounts[i].kind),
                                (long long)command->amounts[i].amount_minor);
    }
    return base_arena_print(&world->arena, "%s (%.*s)", text.bytes,
                            BASE_TEXT_ARGS(command->description))
        .bytes;
}

void sim_tell_command(struct sim_world *world, const struct ledger_command *command,
                      const char *format, ...)
{
    if (is_told(world, command->transaction_id, command->account_id)) {
        va_list arguments;
        va_start(arguments, format);
        tell(world, command->transaction_id, format, arguments);
        va_end(arguments);
    }
}

/* --- a world --- */

static void open_world(struct sim_world *world, uint64_t seed, struct sim_story story)
{
    static const char *const codes[SIM_KINDS_MAX] = {"points", "money", "miles", "gift", "stamps"};
    *world = (struct sim_world){.seed = seed,
                                .random = {seed},
                                .telling = story.telling,
                                .told_id = base_text_of(story.transaction_id),
                                .told_account = base_text_of(story.account_id)};
    world->swarm = sim_swarm_pick(&world->random);
    /* By the seed's number, so that half of the worlds have one, as an embedded store has. */
    world->swarm.n_sessions = seed % 4 < 2 ? 1 : (unsigned)(seed % 4);
    world->kinds.n_kinds = world->swarm.n_kinds;
    for (size_t i = 0; i < world->kinds.n_kinds; i++) {
        world->kinds.kinds[i] =
            (struct ledger_kind){base_text_of(codes[i]), INT64_MAX, BASE_AMOUNT_MAX, false};
    }
    world->memory = store_memory_open(&world->kinds);
    world->memory->n_sessions = world->swarm.n_sessions;
    world->auditor = auditor_open(world->swarm.n_accounts, &world->kinds);
    for (unsigned i = 0; i < world->swarm.n_servers; i++) {
        sim_server_open(world, i);
    }
    for (unsigned i = 0; i < world->swarm.n_callers; i++) {
        sim_caller_open(world, i);
    }
    sim_server_begin_falling(world);
    sim_store_begin_damage(world);
    sim_crowd_begin(world);
}

static void close_world(struct sim_world *world)
{
    for (unsigned i = 0; i < world->swarm.n_servers; i++) {
        sim_server_close(&world->servers[i]);
    }
    auditor_close(world->auditor);
    store_close(world->memory);
    sim_events_release(&world->events);
    free(world->ids);
    base_arena_release(&world->arena);
}

/* Until nothing is to happen any more. */
static void run_out(struct sim_world *world)
{
    struct sim_event event;
    while (!over(world) && sim_events_take(&world->events, DAY_MAX_NS, &event)) {
        happen(world, &event);
    }
}

/* The callers' day, with everything that can go wrong; it ends when they have sent enough. */
static void run_day(struct sim_world *world)
{
    struct sim_event event;
    while (!over(world) && world->n_commands < world->swarm.n_commands &&
           sim_events_take(&world->events, DAY_MAX_NS, &event)) {
        happen(world, &event);
    }
}

static void expect_all_answered(struct sim_world *world)
{
    for (unsigned i = 0; i < world->swarm.n_servers && !over(world); i++) {
        const struct sim_delivery *delivery = world->servers[i].deliveries;
        if (delivery != NULL) {
            auditor_unanswered(world->auditor, &delivery->request);
        }
    }
}

struct sim_outcome sim_world_run(uint64_t seed, struct sim_story story, uint64_t *counts,
                                 struct auditor_figures *figures)
{
    struct sim_world world;
    open_world(&world, seed, story);
    run_day(&world);
    world.healing = true;
    sim_store_mend(&world);
    run_out(&world);
    expect_all_answered(&world);
    if (!over(&world)) {
        sim_callers_settle(&world);
        run_out(&world);
        expect_all_answered(&world);
    }
    if (!over(&world)) {
        auditor_settle(world.auditor, world.memory);
    }
    struct sim_outcome outcome = {*auditor_failure_of(world.auditor), world.trace};
    world.counts[SIM_COUNT_WORLDS] = 1;
    for (size_t i = 0; i < SIM_COUNTS; i++) {
        counts[i] += world.counts[i];
    }
    auditor_add_figures(world.auditor, figures);
    close_world(&world);
    return outcome;
}
