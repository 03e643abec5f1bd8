#include "ledger/traffic.h"

#include <string.h>

struct traffic {
    struct base_arena *arena;
    uint64_t seed;
    int64_t now_us;
    size_t n; /* commands in all: as many ids are drawn from, a part of it */
};

uint64_t traffic_random(uint64_t *seed, uint64_t bound)
{
    /* xorshift64*: small, and good enough to mix. Its state must not be 0. */
    uint64_t x = *seed == 0 ? UINT64_C(0x9E3779B97F4A7C15) : *seed;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *seed = x;
    return (x * UINT64_C(0x2545F4914F6CDD1D) >> 16) % bound;
}

static size_t pick(struct traffic *traffic, size_t bound)
{
    return (size_t)traffic_random(&traffic->seed, bound);
}

static bool one_in(struct traffic *traffic, size_t chance)
{
    return pick(traffic, chance) == 0;
}

static struct base_text kind_code(size_t number)
{
    static const char *const codes[TRAFFIC_KINDS + 1] = {"k0", "k1", "k2", "k3", "nowhere"};
    return base_text_of(codes[number]);
}

struct base_text traffic_account_id(size_t number)
{
    static const char *const ids[TRAFFIC_ACCOUNTS] = {"alice", "bob", "carol", "dave"};
    return base_text_of(ids[number]);
}

struct ledger_kinds traffic_kinds(void)
{
    struct ledger_kinds kinds = {.n_kinds = TRAFFIC_KINDS};
    for (size_t i = 0; i < TRAFFIC_KINDS; i++) {
        kinds.kinds[i] = (struct ledger_kind){kind_code(i), INT64_MAX, BASE_AMOUNT_MAX, false};
    }
    return kinds;
}

static int64_t pick_amount(struct traffic *traffic)
{
    static const int64_t edges[] = {1, 2, BASE_AMOUNT_MAX - 1, BASE_AMOUNT_MAX};
    if (one_in(traffic, 20)) {
        return edges[pick(traffic, sizeof edges / sizeof edges[0])];
    }
    return 1 + (int64_t)pick(traffic, 60);
}

/* One to four kinds, none twice: a run of the kinds from a random one on, sometimes with one that
 * nobody knows. */
static void pick_amounts(struct traffic *traffic, struct ledger_command *command)
{
    size_t n_kinds = one_in(traffic, 30) ? TRAFFIC_KINDS + 1 : TRAFFIC_KINDS;
    size_t first = pick(traffic, n_kinds);
    size_t n = one_in(traffic, 3) ? 1 + pick(traffic, n_kinds) : 1;
    struct ledger_amount *amounts = base_arena_take(traffic->arena, n * sizeof *amounts);
    for (size_t i = 0; i < n; i++) {
        amounts[i] = (struct ledger_amount){kind_code((first + i) % n_kinds), pick_amount(traffic)};
    }
    command->n_amounts = n;
    command->amounts = amounts;
}

static void pick_labels(struct traffic *traffic, struct ledger_command *command)
{
    size_t n = pick(traffic, 3);
    struct record_label *metadata = base_arena_take(traffic->arena, n * sizeof *metadata);
    for (size_t i = 0; i < n; i++) {
        metadata[i].key = i == 0 ? BASE_TEXT("order") : BASE_TEXT("branch");
        metadata[i].value = base_arena_print(traffic->arena, "%zu", pick(traffic, 1000));
    }
    command->n_metadata = n;
    command->metadata = metadata;
    command->description = base_arena_print(traffic->arena, "no. %zu", pick(traffic, 1000));
}

static struct ledger_command fence_of(struct base_text transaction_id)
{
    return (struct ledger_command){.operation = RECORD_OPERATION_CANCEL,
                                   .transaction_id = transaction_id};
}

static struct ledger_command fresh(struct traffic *traffic)
{
    struct base_text transaction_id =
        base_arena_print(traffic->arena, "t%zu", pick(traffic, traffic->n));
    if (one_in(traffic, 20)) {
        return fence_of(transaction_id);
    }
    struct ledger_command command = {.transaction_id = transaction_id};
    command.operation = one_in(traffic, 2) ? RECORD_OPERATION_ADD : RECORD_OPERATION_CONSUME;
    command.account_id = traffic_account_id(pick(traffic, TRAFFIC_ACCOUNTS));
    pick_amounts(traffic, &command);
    pick_labels(traffic, &command);
    return command;
}

/* The legs again, from another one on. */
static void turn_legs(struct traffic *traffic, struct ledger_command *command)
{
    size_t n = command->n_amounts;
    size_t shift = pick(traffic, n);
    struct ledger_amount *amounts = base_arena_take(traffic->arena, n * sizeof *amounts);
    for (size_t i = 0; i < n; i++) {
        amounts[i] = command->amounts[(i + shift) % n];
    }
    command->amounts = amounts;
}

static void change_amount(struct traffic *traffic, struct ledger_command *command)
{
    size_t n = command->n_amounts;
    struct ledger_amount *amounts = base_arena_take(traffic->arena, n * sizeof *amounts);
    memcpy(amounts, command->amounts, n * sizeof *amounts);
    amounts[pick(traffic, n)].amount_minor = pick_amount(traffic);
    command->amounts = amounts;
}

/* An earlier command again: as it was, or changed in what is content, or in what is not. */
static struct ledger_command repeat(struct traffic *traffic, const struct ledger_command *earlier)
{
    struct ledger_command command = *earlier;
    if (command.operation == RECORD_OPERATION_CANCEL) {
        return command;
    }
    if (one_in(traffic, 3)) {
        turn_legs(traffic, &command);
    }
    if (one_in(traffic, 3)) {
        pick_labels(traffic, &command);
    }
    switch (pick(traffic, 12)) {
    case 0:
        return fence_of(command.transaction_id);
    case 1:
        change_amount(traffic, &command);
        break;
    case 2:
        pick_amounts(traffic, &command);
        break;
    case 3:
        command.n_amounts = 1;
        break;
    case 4:
        command.account_id = traffic_account_id(pick(traffic, TRAFFIC_ACCOUNTS));
        break;
    case 5:
        command.operation = command.operation == RECORD_OPERATION_ADD ? RECORD_OPERATION_CONSUME
                                                                      : RECORD_OPERATION_ADD;
        break;
    default:
        break;
    }
    return command;
}

static void change_kind(struct traffic *traffic, struct traffic_command *ret_command)
{
    static const int64_t balances[] = {INT64_MAX, INT64_MAX, 500, 100, 0};
    static const int64_t amounts[] = {BASE_AMOUNT_MAX, BASE_AMOUNT_MAX, 50, 20};
    ret_command->changes_kind = true;
    ret_command->kind_number = pick(traffic, TRAFFIC_KINDS);
    ret_command->kind = (struct ledger_kind){
        kind_code(ret_command->kind_number),
        balances[pick(traffic, sizeof balances / sizeof balances[0])],
        amounts[pick(traffic, sizeof amounts / sizeof amounts[0])], one_in(traffic, 6)};
}

struct traffic_command *traffic_make(struct base_arena *arena, uint64_t seed, size_t n)
{
    struct traffic traffic = {.arena = arena, .seed = seed, .now_us = 1000000, .n = n};
    struct traffic_command *commands = base_arena_take_zeroed(arena, n, sizeof *commands);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && one_in(&traffic, 2)) {
            /* Mostly one of the last few, so that they also meet in one batch. */
            size_t back = 1 + pick(&traffic, one_in(&traffic, 3) || i < 20 ? i : 20);
            commands[i].command = repeat(&traffic, &commands[i - back].command);
        } else {
            commands[i].command = fresh(&traffic);
        }
        traffic.now_us +=
            one_in(&traffic, 10) ? -(int64_t)pick(&traffic, 500) : (int64_t)pick(&traffic, 100);
        commands[i].now_us = traffic.now_us;
        if (one_in(&traffic, 25)) {
            change_kind(&traffic, &commands[i]);
        }
    }
    return commands;
}
