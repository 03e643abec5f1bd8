/*
 * Long random sequences: the same batches go to the store and to a memory store, with the same
 * outcomes, and then both hold the same. A failure names the seed, which repeats it.
 */
#include "contract.h"
#include "store/memory/memory.h"

#include <stdio.h>

/* Few enough accounts and ids that commands meet: repeats, reuses, fences and refusals all happen.
 */
#define N_ACCOUNTS 12
struct run_size {
    int n_batches;
    uint64_t commands_max; /* of a batch */
    uint64_t n_ids;
};
static const struct run_size usual_size = {120, 40, 700};
static const struct run_size slow_size = {60, 10, 150};

struct random {
    uint64_t state;
};

/* 0 to below - 1 (splitmix64). */
static uint64_t draw(struct random *random, uint64_t below)
{
    random->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = random->state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (mixed ^ (mixed >> 31)) % below;
}

static const struct run_size *size_of(const struct contract *contract)
{
    return contract->backend->is_slow ? &slow_size : &usual_size;
}

static void add_random_command(struct batch *batch, struct random *random, uint64_t n_ids)
{
    struct base_arena *arena = &batch->arena;
    struct ledger_command command = {
        .transaction_id = base_arena_print(arena, "t%d", (int)draw(random, n_ids)),
        .operation = (enum record_operation)(RECORD_OPERATION_ADD + draw(random, 2)),
    };
    if (draw(random, 3) == 0) {
        command.caller = base_arena_print(arena, "caller-%d", (int)draw(random, 5));
    }
    if (draw(random, 12) == 0) {
        command.operation = RECORD_OPERATION_CANCEL;
        batch_add(batch, &command);
        return;
    }
    const struct ledger_kinds *kinds = batch->facts.kinds;
    command.account_id = base_arena_print(arena, "a%d", (int)draw(random, N_ACCOUNTS));
    size_t most = kinds->n_kinds < BASE_AMOUNTS_MAX ? kinds->n_kinds : BASE_AMOUNTS_MAX;
    command.n_amounts = 1 + (size_t)draw(random, most);
    struct ledger_amount *amounts = base_arena_take(arena, command.n_amounts * sizeof *amounts);
    uint64_t first = draw(random, kinds->n_kinds);
    for (size_t i = 0; i < command.n_amounts; i++) {
        amounts[i].kind = kinds->kinds[(first + i) % kinds->n_kinds].code;
        amounts[i].amount_minor = 1 + (int64_t)draw(random, 20);
    }
    command.amounts = amounts;
    if (draw(random, 2) == 0) {
        command.description = base_arena_print(arena, "paid %d", (int)draw(random, 1000));
    }
    struct record_label *label = base_arena_take(arena, sizeof *label);
    *label = (struct record_label){BASE_TEXT("order"), command.transaction_id};
    command.metadata = label;
    command.n_metadata = (size_t)draw(random, 2);
    batch_add(batch, &command);
}

static struct batch *random_batch(struct contract *contract, struct random random)
{
    struct batch *batch = batch_open(contract->kinds);
    const struct run_size *size = size_of(contract);
    size_t n_commands = (size_t)draw(&random, size->commands_max + 1);
    for (size_t i = 0; i < n_commands; i++) {
        add_random_command(batch, &random, size->n_ids);
    }
    return batch;
}

static void assert_same_outcomes(const struct batch *a, const struct batch *b)
{
    for (size_t i = 0; i < a->n_commands; i++) {
        assert_int_equal(a->outcomes[i].result, b->outcomes[i].result);
        if (a->outcomes[i].result == LEDGER_REFUSED) {
            assert_int_equal(a->outcomes[i].refusal.reason, b->outcomes[i].refusal.reason);
        } else {
            assert_bytes_equal(a->outcomes[i].record, b->outcomes[i].record);
        }
    }
}

static void assert_same_pages(struct contract *contract, struct store *reference,
                              struct random *random)
{
    struct store_entries_query query = contract_query_all("");
    const uint64_t n_seconds = (uint64_t)size_of(contract)->n_batches; /* a batch comes each */
    for (int account = 0; account <= N_ACCOUNTS; account++) {
        query.account_id = base_arena_print(&contract->arena, "a%d", account);
        query.kind_numbers = draw(random, 2) == 0 ? UINT64_MAX : draw(random, UINT64_MAX);
        query.operations = draw(random, 2) == 0 ? UINT32_MAX : 1u << (1 + draw(random, 3));
        query.limit = 1 + (size_t)draw(random, 60);
        query.scan_limit = 1 + (size_t)draw(random, 200);
        query.start_time_us = contract->now_us - 1 - (int64_t)draw(random, n_seconds) * 1000000;
        query.end_time_us = contract->now_us - (int64_t)draw(random, n_seconds) * 1000000;
        struct store_entries_page left = contract_walk_entries(contract, contract->store, query);
        struct store_entries_page right = contract_walk_entries(contract, reference, query);
        assert_int_equal(left.n_entries, right.n_entries);
        for (size_t i = 0; i < left.n_entries; i++) {
            contract_assert_same_entry(&left.entries[i], &right.entries[i]);
        }
    }
}

static void assert_same_rows(struct contract *contract, struct store *reference)
{
    for (int account = 0; account <= N_ACCOUNTS; account++) {
        struct base_text id = base_arena_print(&contract->arena, "a%d", account);
        struct ledger_account left;
        struct ledger_account right;
        assert_int_equal(store_read_accounts(contract->store, 1, &id, &contract->arena, &left),
                         STORE_OK);
        assert_int_equal(store_read_accounts(reference, 1, &id, &contract->arena, &right),
                         STORE_OK);
        contract_assert_same_account(contract->kinds, &left, &right);
    }
    for (uint64_t number = 0; number <= size_of(contract)->n_ids; number++) {
        struct base_text id = base_arena_print(&contract->arena, "t%d", (int)number);
        bool left_found;
        bool right_found;
        struct base_bytes left;
        struct base_bytes right;
        assert_int_equal(
            store_read_transaction(contract->store, id, &contract->arena, &left_found, &left),
            STORE_OK);
        assert_int_equal(
            store_read_transaction(reference, id, &contract->arena, &right_found, &right),
            STORE_OK);
        assert_int_equal(left_found, right_found);
        if (left_found) {
            assert_bytes_equal(left, right);
        }
    }
}

static void run_seed(struct contract *contract, uint64_t seed)
{
    print_message("           seed %llu\n", (unsigned long long)seed);
    struct random random = {seed};
    struct store *reference = store_memory_open(contract->kinds);
    int n_batches = size_of(contract)->n_batches;
    for (int number = 0; number < n_batches; number++) {
        /* The clock jumps back now and then. */
        contract->now_us += draw(&random, 10) == 0 ? -3000000 : 1000000;
        struct random same = {draw(&random, UINT64_MAX)};
        struct batch *batch = random_batch(contract, same);
        struct batch *expected = random_batch(contract, same);
        assert_int_equal(batch_load(batch, contract->store), STORE_OK);
        assert_int_equal(batch_load(expected, reference), STORE_OK);
        batch_decide(batch, contract->now_us);
        batch_decide(expected, contract->now_us);
        assert_same_outcomes(batch, expected);
        if (draw(&random, 10) == 0) {
            store_abandon(contract->store, 0, &batch->facts);
            store_abandon(reference, 0, &expected->facts);
        } else {
            assert_int_equal(batch_commit(batch, contract->store), STORE_OK);
            assert_int_equal(batch_commit(expected, reference), STORE_OK);
        }
        batch_close(expected);
        batch_close(batch);
        if (contract->backend->reopen != NULL && draw(&random, 40) == 0) {
            contract->store =
                contract->backend->reopen(contract->store, contract->place, contract->kinds);
        }
        if (contract->backend->crash != NULL && draw(&random, 40) == 0) {
            contract->store =
                contract->backend->crash(contract->store, contract->place, contract->kinds);
        }
        if (number % 30 == 29) {
            assert_same_rows(contract, reference);
            assert_same_pages(contract, reference, &random);
            contract_assert_same_store(contract, contract->store, reference);
            base_arena_reset(&contract->arena);
        }
    }
    store_close(reference);
}

static void random_batches_leave_what_they_leave_in_memory(void **state)
{
    run_seed(*state, 1);
}

static void random_batches_of_many_kinds_leave_what_they_leave_in_memory(void **state)
{
    run_seed(*state, 2);
}

struct contract_tests contract_random(void)
{
    static const struct CMUnitTest tests[] = {
        CONTRACT_TEST(random_batches_leave_what_they_leave_in_memory),
        CONTRACT_TEST_WIDE(random_batches_of_many_kinds_leave_what_they_leave_in_memory),
    };
    return (struct contract_tests){tests, sizeof tests / sizeof tests[0]};
}
