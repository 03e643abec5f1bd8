/* Transactions, accounts, and entries with their pages. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

static void a_transaction_is_found_by_its_id_or_not_at_all(void **state)
{
    struct contract *contract = *state;
    contract_assert_recorded(contract, "t1", false);
    contract_commit(contract, "add t1 alice points=1", "cancel t2", "consume t3 alice points=2");
    contract_assert_recorded(contract, "t1", true);
    contract_assert_recorded(contract, "t2", true);
    contract_assert_recorded(contract, "t3", false);
    contract_assert_recorded(contract, "alice", false);
    contract_assert_recorded(contract, "t", false);
}

/* --- accounts --- */

static void accounts_come_in_the_order_asked_with_repeats_and_unknown_ones(void **state)
{
    struct contract *contract = *state;
    int64_t alice_us = contract->now_us;
    contract_commit(contract, "add t1 alice points=100 money=7");
    int64_t bob_us = contract->now_us;
    contract_commit(contract, "add t2 bob money=5");
    static const struct {
        const char *id;
        int64_t version;
        int64_t points;
        int64_t money;
    } expected[] = {{"bob", 1, 0, 5},  {"nobody", 0, 0, 0}, {"alice", 2, 100, 7}, {"bob", 1, 0, 5},
                    {"alic", 0, 0, 0}, {"alice2", 0, 0, 0}, {"nobody", 0, 0, 0}};
    enum { N = sizeof expected / sizeof expected[0] };
    struct base_text ids[N];
    for (size_t i = 0; i < N; i++) {
        ids[i] = base_text_of(expected[i].id);
    }
    struct ledger_account accounts[N];
    assert_int_equal(store_read_accounts(contract->store, N, ids, &contract->arena, accounts),
                     STORE_OK);
    for (size_t i = 0; i < N; i++) {
        assert_text_equal(accounts[i].account_id, ids[i]);
        assert_true(accounts[i].version == expected[i].version);
        int64_t last_us = expected[i].version == 0   ? INT64_MIN
                          : expected[i].version == 1 ? bob_us
                                                     : alice_us;
        assert_true(accounts[i].last_time_us == last_us);
        assert_true(accounts[i].balances[0].available_minor == expected[i].points);
        assert_true(accounts[i].balances[1].available_minor == expected[i].money);
        assert_true(accounts[i].balances[0].held_minor == 0);
        assert_true(accounts[i].balances[1].held_minor == 0);
    }
}

static void as_many_accounts_are_read_at_once_as_a_call_may_ask_for(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "add t1 alice points=100");
    struct base_text *ids = base_arena_take(&contract->arena, BASE_BATCH_GET_MAX * sizeof *ids);
    struct ledger_account *accounts =
        base_arena_take(&contract->arena, BASE_BATCH_GET_MAX * sizeof *accounts);
    for (size_t i = 0; i < BASE_BATCH_GET_MAX; i++) {
        ids[i] = i % 3 == 0 ? BASE_TEXT("alice") : base_arena_print(&contract->arena, "n%zu", i);
    }
    assert_int_equal(
        store_read_accounts(contract->store, BASE_BATCH_GET_MAX, ids, &contract->arena, accounts),
        STORE_OK);
    for (size_t i = 0; i < BASE_BATCH_GET_MAX; i++) {
        assert_text_equal(accounts[i].account_id, ids[i]);
        assert_true(accounts[i].balances[0].available_minor == (i % 3 == 0 ? 100 : 0));
    }
}

static void many_accounts_keep_all_their_kinds_apart(void **state)
{
    struct contract *contract = *state;
    enum { ACCOUNTS = 60, ROUNDS = BASE_KINDS_MAX / BASE_AMOUNTS_MAX };
    struct batch *batch = batch_open(contract->kinds);
    for (size_t i = 0; i < ACCOUNTS; i++) {
        for (size_t round = 0; round < ROUNDS; round++) {
            struct ledger_amount *amounts =
                base_arena_take(&batch->arena, BASE_AMOUNTS_MAX * sizeof *amounts);
            for (size_t at = 0; at < BASE_AMOUNTS_MAX; at++) {
                size_t kind = round * BASE_AMOUNTS_MAX + at;
                amounts[at].kind = contract->kinds->kinds[kind].code;
                amounts[at].amount_minor = (int64_t)(1000 * (i + 1) + kind);
            }
            struct ledger_command command = {
                .operation = RECORD_OPERATION_ADD,
                .transaction_id = base_arena_print(&batch->arena, "t-%zu-%zu", i, round),
                .account_id = base_arena_print(&batch->arena, "account-%zu", i),
                .n_amounts = BASE_AMOUNTS_MAX,
                .amounts = amounts,
            };
            batch_add(batch, &command);
        }
    }
    assert_int_equal(batch_run(batch, contract->store, contract->now_us), STORE_OK);
    for (size_t i = 0; i < ACCOUNTS; i++) {
        struct base_text id = base_arena_print(&contract->arena, "account-%zu", i);
        struct ledger_account account;
        assert_int_equal(store_read_accounts(contract->store, 1, &id, &contract->arena, &account),
                         STORE_OK);
        assert_true(account.version == BASE_KINDS_MAX);
        for (size_t kind = 0; kind < BASE_KINDS_MAX; kind++) {
            assert_true(account.balances[kind].available_minor == (int64_t)(1000 * (i + 1) + kind));
        }
        struct store_entries_query query = contract_query_all("");
        query.account_id = id;
        query.kind_numbers = UINT64_C(1) << 63;
        struct store_entries_page page = contract_walk_entries(contract, contract->store, query);
        assert_int_equal(page.n_entries, 1);
        assert_int_equal(page.entries[0].kind_number, 63);
    }
    batch_close(batch);
}

/* --- entries --- */

static void an_entry_tells_one_legs_effect_and_both_balances_after_it(void **state)
{
    struct contract *contract = *state;
    int64_t first_us = contract->now_us;
    struct batch *batch = batch_open(contract->kinds);
    const struct ledger_amount amounts[] = {{BASE_TEXT("money"), 500}, {BASE_TEXT("points"), 100}};
    struct ledger_command command = {.operation = RECORD_OPERATION_ADD,
                                     .transaction_id = BASE_TEXT("t1"),
                                     .account_id = BASE_TEXT("alice"),
                                     .n_amounts = 2,
                                     .amounts = amounts,
                                     .description = BASE_TEXT("\xE6\xAE\x8B\xE9\xAB\x98")};
    batch_add(batch, &command);
    assert_int_equal(batch_run(batch, contract->store, first_us), STORE_OK);
    batch_close(batch);
    contract->now_us += 7;
    contract_commit(contract, "consume t2 alice points=30");
    const struct ledger_entry expected[] = {
        {.account_id = BASE_TEXT("alice"),
         .sequence = 3,
         .transaction_id = BASE_TEXT("t2"),
         .operation = RECORD_OPERATION_CONSUME,
         .kind_number = 0,
         .amount_minor = -30,
         .balance_after_minor = 70,
         .create_time_us = first_us + 7},
        {.account_id = BASE_TEXT("alice"),
         .sequence = 2,
         .transaction_id = BASE_TEXT("t1"),
         .operation = RECORD_OPERATION_ADD,
         .kind_number = 0,
         .amount_minor = 100,
         .balance_after_minor = 100,
         .create_time_us = first_us,
         .description = BASE_TEXT("\xE6\xAE\x8B\xE9\xAB\x98")},
        {.account_id = BASE_TEXT("alice"),
         .sequence = 1,
         .transaction_id = BASE_TEXT("t1"),
         .operation = RECORD_OPERATION_ADD,
         .kind_number = 1,
         .amount_minor = 500,
         .balance_after_minor = 500,
         .create_time_us = first_us,
         .description = BASE_TEXT("\xE6\xAE\x8B\xE9\xAB\x98")},
    };
    struct store_entries_query query = contract_query_all("alice");
    struct store_entries_page page;
    assert_int_equal(store_read_entries(contract->store, &query, &contract->arena, &page),
                     STORE_OK);
    assert_int_equal(page.n_entries, 3);
    assert_true(page.next_below_sequence == 0);
    for (size_t i = 0; i < 3; i++) {
        contract_assert_same_entry(&page.entries[i], &expected[i]);
    }
}

/* Ten batches a second apart, each with two entries of alice: the odd sequences add points, the
 * even ones consume points or add money, in turn. Gives the time of the first. */
static int64_t commit_history(struct contract *contract)
{
    int64_t start_us = contract->now_us;
    for (int i = 0; i < 10; i++) {
        char add[64];
        char other[64];
        (void)snprintf(add, sizeof add, "add a%d alice points=10", i);
        (void)snprintf(other, sizeof other,
                       i % 2 == 0 ? "consume c%d alice points=5" : "add m%d alice money=1", i);
        contract_commit(contract, add, other);
    }
    return start_us;
}

#define POINTS (UINT64_C(1) << 0)
#define MONEY (UINT64_C(1) << 1)
#define ADDS (1u << RECORD_OPERATION_ADD)
#define CONSUMES (1u << RECORD_OPERATION_CONSUME)

static void a_page_holds_what_is_asked_for_and_says_where_to_go_on(void **state)
{
    struct contract *contract = *state;
    int64_t start_us = commit_history(contract);
    enum { SECOND = 1000000 };
    static const struct {
        int64_t below;
        uint64_t kinds; /* 0: all */
        uint32_t operations;
        int64_t from_s; /* seconds after the first batch; -1: no bound */
        int64_t to_s;
        size_t limit;
        size_t scan_limit;
        int64_t next;
        const char *sequences;
    } rows[] = {
        /* at the limit, one less, one more */
        {INT64_MAX, 0, 0, -1, -1, 20, 100, 0, "20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1"},
        {INT64_MAX, 0, 0, -1, -1, 21, 100, 0, "20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1"},
        {INT64_MAX, 0, 0, -1, -1, 19, 100, 2, "20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2"},
        {INT64_MAX, 0, 0, -1, -1, 1, 100, 20, "20"},
        {2, 0, 0, -1, -1, 1, 100, 0, "1"},
        {2, 0, 0, -1, -1, 1, 1, 0, "1"},
        {3, 0, 0, -1, -1, 1, 100, 2, "2"},
        {1, 0, 0, -1, -1, 5, 100, 0, ""},
        {21, 0, 0, -1, -1, 2, 100, 19, "20 19"},
        {20, 0, 0, -1, -1, 2, 100, 18, "19 18"},
        /* looking at no more than so many */
        {INT64_MAX, 0, 0, -1, -1, 5, 3, 18, "20 19 18"},
        {INT64_MAX, 0, 0, -1, -1, 3, 3, 18, "20 19 18"},
        {INT64_MAX, POINTS, CONSUMES, -1, -1, 5, 1, 20, ""},
        {INT64_MAX, POINTS, CONSUMES, -1, -1, 5, 2, 19, ""},
        {INT64_MAX, POINTS, CONSUMES, -1, -1, 5, 4, 17, "18"},
        {INT64_MAX, 0, 0, -1, -1, 50, 20, 0, "20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1"},
        {INT64_MAX, 0, 0, -1, -1, 50, 19, 2, "20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2"},
        /* filters, alone and together */
        {INT64_MAX, MONEY, 0, -1, -1, 50, 100, 0, "20 16 12 8 4"},
        {INT64_MAX, POINTS, 0, -1, -1, 3, 100, 17, "19 18 17"},
        {INT64_MAX, 0, CONSUMES, -1, -1, 50, 100, 0, "18 14 10 6 2"},
        {INT64_MAX, MONEY, CONSUMES, -1, -1, 50, 100, 0, ""},
        {INT64_MAX, POINTS | MONEY, ADDS | CONSUMES, -1, -1, 2, 100, 19, "20 19"},
        {INT64_MAX, UINT64_C(1) << 63, 0, -1, -1, 2, 100, 0, ""},
        {INT64_MAX, 0, 1u << RECORD_OPERATION_CANCEL, -1, -1, 2, 100, 0, ""},
        /* the start is inclusive, the end is not */
        {INT64_MAX, 0, 0, 8, -1, 50, 100, 0, "20 19 18 17"},
        {INT64_MAX, 0, 0, -1, 2, 50, 100, 0, "4 3 2 1"},
        {INT64_MAX, 0, 0, 3, 5, 50, 100, 0, "10 9 8 7"},
        {INT64_MAX, 0, 0, 3, 5, 3, 100, 8, "10 9 8"},
        {INT64_MAX, 0, 0, 5, 5, 50, 100, 0, ""},
        {INT64_MAX, MONEY, 0, 3, 5, 50, 100, 0, "8"},
        {INT64_MAX, 0, 0, 10, -1, 50, 100, 0, ""},
        {INT64_MAX, 0, 0, -1, 0, 50, 100, 0, ""},
        {9, 0, 0, 3, -1, 50, 100, 0, "8 7"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct store_entries_query query = contract_query_all("alice");
        query.below_sequence = rows[i].below;
        query.kind_numbers = rows[i].kinds != 0 ? rows[i].kinds : UINT64_MAX;
        query.operations = rows[i].operations != 0 ? rows[i].operations : UINT32_MAX;
        if (rows[i].from_s >= 0) {
            query.start_time_us = start_us + rows[i].from_s * SECOND;
        }
        if (rows[i].to_s >= 0) {
            query.end_time_us = start_us + rows[i].to_s * SECOND;
        }
        query.limit = rows[i].limit;
        query.scan_limit = rows[i].scan_limit;
        struct store_entries_page page;
        assert_int_equal(store_read_entries(contract->store, &query, &contract->arena, &page),
                         STORE_OK);
        char sequences[256] = "";
        size_t length = 0;
        for (size_t at = 0; at < page.n_entries; at++) {
            length += (size_t)snprintf(sequences + length, sizeof sequences - length, "%s%lld",
                                       at > 0 ? " " : "", (long long)page.entries[at].sequence);
        }
        if (strcmp(sequences, rows[i].sequences) != 0 || page.next_below_sequence != rows[i].next) {
            fail_msg("row %zu: \"%s\", next %lld", i, sequences,
                     (long long)page.next_below_sequence);
        }
    }
}

static void a_walk_with_any_limits_and_filters_neither_loses_nor_repeats(void **state)
{
    struct contract *contract = *state;
    (void)commit_history(contract);
    static const uint64_t kinds[] = {UINT64_MAX, POINTS, MONEY};
    static const uint32_t operations[] = {UINT32_MAX, ADDS, CONSUMES};
    struct store_entries_page all =
        contract_walk_entries(contract, contract->store, contract_query_all("alice"));
    size_t step = contract->backend->is_slow ? 3 : 1;
    for (size_t limit = 1; limit <= 22; limit += 3 * step) {
        for (size_t scan_limit = 1; scan_limit <= 22; scan_limit += 2 * step) {
            for (size_t filter = 0; filter < 9; filter++) {
                struct store_entries_query query = contract_query_all("alice");
                query.kind_numbers = kinds[filter / 3];
                query.operations = operations[filter % 3];
                query.limit = limit;
                query.scan_limit = scan_limit;
                struct store_entries_page walk =
                    contract_walk_entries(contract, contract->store, query);
                size_t at = 0;
                for (size_t i = 0; i < all.n_entries; i++) {
                    const struct ledger_entry *entry = &all.entries[i];
                    if ((query.kind_numbers >> entry->kind_number & 1) == 0 ||
                        (query.operations >> entry->operation & 1) == 0) {
                        continue;
                    }
                    assert_true(at < walk.n_entries);
                    contract_assert_same_entry(&walk.entries[at++], entry);
                }
                assert_int_equal(at, walk.n_entries);
            }
        }
    }
}

static void an_account_without_entries_has_an_empty_page(void **state)
{
    struct contract *contract = *state;
    static const char *const ids[] = {"alice", "alic", "alice2", "bob", "~", "!"};
    for (int round = 0; round < 2; round++) {
        for (size_t i = (size_t)round; i < sizeof ids / sizeof ids[0]; i++) {
            struct store_entries_query query = contract_query_all(ids[i]);
            struct store_entries_page page;
            assert_int_equal(store_read_entries(contract->store, &query, &contract->arena, &page),
                             STORE_OK);
            assert_int_equal(page.n_entries, 0);
            assert_true(page.next_below_sequence == 0);
        }
        contract_commit(contract, "add t1 alice points=1", "consume t2 bob points=1");
    }
}

static void times_never_fall_when_the_clock_does(void **state)
{
    struct contract *contract = *state;
    int64_t later_us = contract->now_us;
    contract_commit(contract, "add t1 alice points=1");
    contract->now_us = later_us - 5000000;
    contract_commit(contract, "add t2 alice points=1", "add t3 bob points=1");
    struct store_entries_query query = contract_query_all("alice");
    query.start_time_us = later_us;
    struct store_entries_page page = contract_walk_entries(contract, contract->store, query);
    assert_int_equal(page.n_entries, 2);
    assert_true(page.entries[0].create_time_us == later_us);
    query.account_id = BASE_TEXT("bob");
    page = contract_walk_entries(contract, contract->store, query);
    assert_int_equal(page.n_entries, 0);
}

static void an_open_store_is_ready(void **state)
{
    struct contract *contract = *state;
    const char *reason = NULL;
    assert_true(store_ready(contract->store, &reason));
    contract_commit(contract, "add t1 alice points=1");
    assert_true(store_ready(contract->store, &reason));
}

struct contract_tests contract_reads(void)
{
    static const struct CMUnitTest tests[] = {
        CONTRACT_TEST(an_open_store_is_ready),
        CONTRACT_TEST(a_transaction_is_found_by_its_id_or_not_at_all),
        CONTRACT_TEST(accounts_come_in_the_order_asked_with_repeats_and_unknown_ones),
        CONTRACT_TEST(as_many_accounts_are_read_at_once_as_a_call_may_ask_for),
        CONTRACT_TEST_WIDE(many_accounts_keep_all_their_kinds_apart),
        CONTRACT_TEST(an_entry_tells_one_legs_effect_and_both_balances_after_it),
        CONTRACT_TEST(a_page_holds_what_is_asked_for_and_says_where_to_go_on),
        CONTRACT_TEST(a_walk_with_any_limits_and_filters_neither_loses_nor_repeats),
        CONTRACT_TEST(an_account_without_entries_has_an_empty_page),
        CONTRACT_TEST(times_never_fall_when_the_clock_does),
    };
    return (struct contract_tests){tests, sizeof tests / sizeof tests[0]};
}
