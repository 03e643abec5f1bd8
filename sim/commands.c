/* Commands: few ids, accounts and kinds, so that everything meets everything. */
#include "sim/world.h"

#include <string.h>

static size_t pick(struct sim_world *world, size_t bound)
{
    return (size_t)sim_random_below(&world->random, bound);
}

static bool chance(struct sim_world *world, unsigned per_mille)
{
    return sim_random_chance(&world->random, per_mille);
}

struct base_text sim_account_id(struct sim_world *world, size_t number)
{
    return base_arena_print(&world->arena, "a%zu", number);
}

static int64_t pick_amount(struct sim_world *world)
{
    return sim_random_between(&world->random, 1, world->swarm.amount_max_minor);
}

/* One kind or several, none twice; sometimes one that nobody knows. */
static void pick_amounts(struct sim_world *world, struct ledger_command *command)
{
    size_t n_kinds = world->kinds.n_kinds;
    size_t first = pick(world, n_kinds);
    size_t n = chance(world, 300) ? 1 + pick(world, n_kinds) : 1;
    struct ledger_amount *amounts = base_arena_take(&world->arena, n * sizeof *amounts);
    for (size_t i = 0; i < n; i++) {
        amounts[i] = (struct ledger_amount){world->kinds.kinds[(first + i) % n_kinds].code,
                                            pick_amount(world)};
    }
    if (chance(world, world->swarm.unknown_kind)) {
        amounts[pick(world, n)].kind = BASE_TEXT("nowhere");
    }
    command->n_amounts = n;
    command->amounts = amounts;
}

/* Labels of its own, by which the auditor knows where a record comes from. */
static void pick_labels(struct sim_world *world, struct ledger_command *command)
{
    command->description = base_arena_print(&world->arena, "v%zu", world->n_variants++);
    command->n_metadata = pick(world, 2);
    struct record_label *metadata = base_arena_take(&world->arena, sizeof *metadata);
    *metadata = (struct record_label){BASE_TEXT("order"),
                                      base_arena_print(&world->arena, "%zu", pick(world, 3))};
    command->metadata = metadata;
}

/* Keeps the command under its id; from then on it may be sent. */
static struct ledger_command keep(struct sim_world *world, struct ledger_command command)
{
    pick_labels(world, &command);
    int64_t number = 0;
    bool numbered = base_text_to_int64(
        (struct base_text){command.transaction_id.bytes + 1, command.transaction_id.length - 1},
        &number);
    base_assert(numbered);
    struct sim_id *id = &world->ids[number];
    if (id->n_variants == id->capacity) {
        struct ledger_command *before = id->variants;
        id->capacity = id->capacity > 0 ? 2 * id->capacity : 4;
        id->variants = base_arena_take(&world->arena, id->capacity * sizeof *id->variants);
        for (size_t i = 0; i < id->n_variants; i++) {
            id->variants[i] = before[i];
        }
    }
    id->variants[id->n_variants++] = command;
    struct ledger_command *announced = base_arena_take(&world->arena, sizeof *announced);
    *announced = command;
    auditor_announce(world->auditor, announced);
    return command;
}

/* A command under an id of its own, whose content is still to come. */
static struct ledger_command fresh_id(struct sim_world *world)
{
    if (world->n_ids == world->ids_capacity) {
        world->ids_capacity = world->ids_capacity > 0 ? 2 * world->ids_capacity : 64;
        world->ids = base_reallocate(world->ids, world->ids_capacity * sizeof *world->ids);
    }
    world->ids[world->n_ids] = (struct sim_id){0};
    return (struct ledger_command){.transaction_id =
                                       base_arena_print(&world->arena, "t%zu", world->n_ids++)};
}

static struct ledger_command fresh(struct sim_world *world)
{
    struct ledger_command command = fresh_id(world);
    command.operation =
        chance(world, world->swarm.add) ? RECORD_OPERATION_ADD : RECORD_OPERATION_CONSUME;
    command.account_id = sim_account_id(world, pick(world, world->swarm.n_accounts));
    pick_amounts(world, &command);
    return keep(world, command);
}

struct ledger_command sim_command_enrich(struct sim_world *world)
{
    struct ledger_amount *amount = base_arena_take(&world->arena, sizeof *amount);
    *amount = (struct ledger_amount){world->kinds.kinds[0].code, BASE_AMOUNT_MAX};
    struct ledger_command command = fresh_id(world);
    command.operation = RECORD_OPERATION_ADD;
    command.account_id = sim_account_id(world, 0);
    command.n_amounts = 1;
    command.amounts = amount;
    return keep(world, command);
}

/* A top-up and a payment of just that: the second can only be when the first is. */
static struct ledger_command consume_just_that(struct sim_world *world, struct ledger_command add)
{
    struct ledger_command command = fresh_id(world);
    command.operation = RECORD_OPERATION_CONSUME;
    command.account_id = add.account_id;
    command.n_amounts = add.n_amounts;
    command.amounts = add.amounts;
    return keep(world, command);
}

struct ledger_command sim_command_fence(struct base_text transaction_id)
{
    return (struct ledger_command){.operation = RECORD_OPERATION_CANCEL,
                                   .transaction_id = transaction_id};
}

/* Another order of the same amounts is no other content (contract 3.5). */
static void reorder(struct sim_world *world, struct ledger_command *command)
{
    size_t n = command->n_amounts;
    size_t shift = pick(world, n);
    struct ledger_amount *amounts = base_arena_take(&world->arena, n * sizeof *amounts);
    for (size_t i = 0; i < n; i++) {
        amounts[i] = command->amounts[(i + shift) % n];
    }
    command->amounts = amounts;
}

struct ledger_command sim_command_again(struct sim_world *world, struct ledger_command command)
{
    if (command.operation == RECORD_OPERATION_CANCEL) {
        return command;
    }
    bool reordered = chance(world, world->swarm.reordered);
    if (reordered) {
        reorder(world, &command);
    }
    return reordered || chance(world, world->swarm.relabelled) ? keep(world, command) : command;
}

static void change_one_amount(struct sim_world *world, struct ledger_command *command)
{
    size_t n = command->n_amounts;
    struct ledger_amount *amounts = base_arena_take(&world->arena, n * sizeof *amounts);
    memcpy(amounts, command->amounts, n * sizeof *amounts);
    amounts[pick(world, n)].amount_minor = pick_amount(world);
    command->amounts = amounts;
}

/* What a caller's bug sends: the id of one business event with the content of another. */
static struct ledger_command changed(struct sim_world *world, struct ledger_command command)
{
    switch (pick(world, 5)) {
    case 0:
        change_one_amount(world, &command);
        break;
    case 1:
        pick_amounts(world, &command);
        break;
    case 2:
        command.n_amounts = 1;
        break;
    case 3:
        command.account_id = sim_account_id(world, pick(world, world->swarm.n_accounts));
        break;
    default:
        command.operation = command.operation == RECORD_OPERATION_ADD ? RECORD_OPERATION_CONSUME
                                                                      : RECORD_OPERATION_ADD;
    }
    world->counts[SIM_COUNT_CHANGED]++;
    return keep(world, command);
}

/* Something under an id that is in use. */
static struct ledger_command under_used_id(struct sim_world *world)
{
    size_t back = world->swarm.recent < world->n_ids ? world->swarm.recent : world->n_ids;
    const struct sim_id *id = &world->ids[world->n_ids - 1 - pick(world, back)];
    struct ledger_command command = id->variants[pick(world, id->n_variants)];
    if (chance(world, world->swarm.cancel)) {
        return sim_command_fence(command.transaction_id);
    }
    return chance(world, world->swarm.changed) ? changed(world, command)
                                               : sim_command_again(world, command);
}

struct ledger_command *sim_commands_make(struct sim_world *world, size_t n)
{
    struct ledger_command *commands = base_arena_take(&world->arena, n * sizeof *commands);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && commands[i - 1].operation == RECORD_OPERATION_ADD &&
            chance(world, world->swarm.follow)) {
            commands[i] = consume_just_that(world, commands[i - 1]);
            continue;
        }
        bool is_repeat = world->n_ids > 0 && chance(world, world->swarm.repeat);
        commands[i] = is_repeat ? under_used_id(world) : fresh(world);
        if (!is_repeat && chance(world, world->swarm.cancel / 4)) {
            commands[i] = sim_command_fence(commands[i].transaction_id); /* before the attempt */
        }
    }
    return commands;
}
