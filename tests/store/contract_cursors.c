/* The walks over whole tables. */
#include "contract.h"

#include <malloc.h>
#include <stdio.h>

static void commit_some(struct contract *contract)
{
    contract_commit(contract, "add t3 bob points=5", "add t1 alice points=10 money=3");
    contract_commit(contract, "cancel t2", "consume t10 alice points=4", "add T bo points=1");
    contract_commit(contract, "consume t0 alice money=3", "add ~ bob! points=2");
}

static void a_cursor_over_an_empty_table_ends_at_once(void **state)
{
    struct contract *contract = *state;
    for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
        assert_int_equal(
            contract_read_table(contract, contract->store, (enum store_table)table).n_rows, 0);
    }
}

static void the_journal_is_walked_by_position_and_agrees_with_the_reads(void **state)
{
    struct contract *contract = *state;
    commit_some(contract);
    struct contract_table journal =
        contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL);
    assert_int_equal(journal.n_rows, 7);
    for (size_t i = 0; i < journal.n_rows; i++) {
        const struct store_row *row = &journal.rows[i];
        assert_true(row->position > (i > 0 ? journal.rows[i - 1].position : 0));
        bool found;
        struct base_bytes record;
        assert_int_equal(
            store_read_journal(contract->store, row->position, &contract->arena, &found, &record),
            STORE_OK);
        assert_true(found);
        assert_bytes_equal(record, row->record);
    }
}

static void ids_are_walked_in_order_and_point_into_the_journal(void **state)
{
    struct contract *contract = *state;
    commit_some(contract);
    static const char *const order[] = {"T", "t0", "t1", "t10", "t2", "t3", "~"};
    struct contract_table ids = contract_read_table(contract, contract->store, STORE_TABLE_IDS);
    assert_int_equal(ids.n_rows, sizeof order / sizeof order[0]);
    for (size_t i = 0; i < ids.n_rows; i++) {
        const struct store_row *row = &ids.rows[i];
        assert_text_equal(row->transaction_id, base_text_of(order[i]));
        bool found;
        struct base_bytes in_journal;
        struct base_bytes by_id;
        assert_int_equal(store_read_journal(contract->store, row->position, &contract->arena,
                                            &found, &in_journal),
                         STORE_OK);
        assert_true(found);
        assert_int_equal(store_read_transaction(contract->store, row->transaction_id,
                                                &contract->arena, &found, &by_id),
                         STORE_OK);
        assert_true(found);
        assert_bytes_equal(in_journal, by_id);
        struct record_transaction transaction;
        assert_true(record_decode(&contract->arena, in_journal, &transaction));
        assert_text_equal(transaction.transaction_id, row->transaction_id);
    }
}

static void accounts_are_walked_in_order_and_agree_with_the_reads(void **state)
{
    struct contract *contract = *state;
    commit_some(contract);
    static const char *const order[] = {"alice", "bo", "bob", "bob!"};
    struct contract_table accounts =
        contract_read_table(contract, contract->store, STORE_TABLE_ACCOUNTS);
    assert_int_equal(accounts.n_rows, sizeof order / sizeof order[0]);
    for (size_t i = 0; i < accounts.n_rows; i++) {
        struct base_text id = base_text_of(order[i]);
        struct ledger_account account;
        assert_int_equal(store_read_accounts(contract->store, 1, &id, &contract->arena, &account),
                         STORE_OK);
        contract_assert_same_account(contract->kinds, &accounts.rows[i].account, &account);
    }
}

static void entries_are_walked_by_account_newest_first_and_agree_with_the_reads(void **state)
{
    struct contract *contract = *state;
    commit_some(contract);
    static const char *const order[] = {"alice", "bo", "bob", "bob!"};
    struct contract_table entries =
        contract_read_table(contract, contract->store, STORE_TABLE_ENTRIES);
    size_t at = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct store_entries_page walk =
            contract_walk_entries(contract, contract->store, contract_query_all(order[i]));
        for (size_t entry = 0; entry < walk.n_entries; entry++, at++) {
            assert_true(at < entries.n_rows);
            const struct store_row *row = &entries.rows[at];
            contract_assert_same_entry(&row->entry, &walk.entries[entry]);
            assert_true(row->entry.sequence == (int64_t)(walk.n_entries - entry));
            bool found;
            struct base_bytes in_journal;
            assert_int_equal(store_read_journal(contract->store, row->position, &contract->arena,
                                                &found, &in_journal),
                             STORE_OK);
            assert_true(found);
            struct record_transaction transaction;
            assert_true(record_decode(&contract->arena, in_journal, &transaction));
            assert_text_equal(transaction.transaction_id, row->entry.transaction_id);
        }
    }
    assert_int_equal(at, entries.n_rows);
    assert_int_equal(at, 7);
}

/* Whether the row is the same as the copy of it, as far as one moment can be told from another. */
static bool same_moment(enum store_table table, const struct store_row *row,
                        const struct store_row *copy)
{
    switch (table) {
    case STORE_TABLE_JOURNAL:
        return base_bytes_equal(row->record, copy->record);
    case STORE_TABLE_IDS:
        return base_text_equal(row->transaction_id, copy->transaction_id);
    case STORE_TABLE_ACCOUNTS:
        return row->account.version == copy->account.version &&
               base_text_equal(row->account.account_id, copy->account.account_id);
    case STORE_TABLE_ENTRIES:
        return row->entry.sequence == copy->entry.sequence &&
               base_text_equal(row->entry.account_id, copy->entry.account_id);
    }
    return false;
}

static void a_walk_shows_its_table_as_of_its_opening(void **state)
{
    struct contract *contract = *state;
    commit_some(contract);
    for (int number = STORE_TABLE_JOURNAL; number <= STORE_TABLE_ENTRIES; number++) {
        enum store_table table = (enum store_table)number;
        struct contract_table before = contract_read_table(contract, contract->store, table);
        struct store_cursor *cursor = store_cursor_open(contract->store, table);
        for (size_t i = 0; i <= before.n_rows; i++) {
            char line[64];
            (void)snprintf(line, sizeof line, "add more-%d-%zu alice points=1", number, i);
            char other[64];
            (void)snprintf(other, sizeof other, "add more-%d-%zu- zoe%zu money=1", number, i, i);
            contract_commit(contract, line, other);
            bool found;
            struct store_row row;
            assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
            assert_int_equal(found, i < before.n_rows);
            assert_true(!found || same_moment(table, &row, &before.rows[i]));
        }
        store_cursor_close(cursor);
    }
}

static void a_cursor_may_be_closed_before_its_end(void **state)
{
    struct contract *contract = *state;
    commit_some(contract);
    for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
        struct store_cursor *cursor = store_cursor_open(contract->store, (enum store_table)table);
        bool found;
        struct store_row row;
        assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
        assert_true(found);
        store_cursor_close(cursor);
        store_cursor_close(store_cursor_open(contract->store, (enum store_table)table));
    }
}

/* Whatever place a row has in a store: after each new account, all of them are met. */
static void a_walk_meets_every_row(void **state)
{
    enum { ACCOUNTS = 20 };
    struct contract *contract = *state;
    /* Its hash ends in sixteen zeros: the first place of any table of hashes. */
    struct base_text first = BASE_TEXT("account-70046");
    assert_int_equal(base_hash(base_bytes_of(first)) & 0xFFFF, 0);
    contract_commit(contract, "add t account-70046 points=1");
    for (size_t i = 0; i < ACCOUNTS; i++) {
        char line[64];
        snprintf(line, sizeof line, "add t%zu account-%zu points=1", i, i);
        contract_commit(contract, line);
        for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
            assert_int_equal(
                contract_read_table(contract, contract->store, (enum store_table)table).n_rows,
                i + 2);
        }
    }
}

/* Journal, ids, accounts and entries have a row for each. */
static void make_rows(struct contract *contract, size_t n)
{
    for (size_t first = 0; first < n; first += BASE_BATCH_MAX) {
        struct batch *batch = batch_open(contract->kinds);
        for (size_t i = first; i < first + BASE_BATCH_MAX && i < n; i++) {
            struct base_text line =
                base_arena_print(&batch->arena, "add t%zu account-%zu points=1", i, i);
            batch_add_line(batch, line.bytes);
        }
        assert_int_equal(batch_run(batch, contract->store, contract->now_us), STORE_OK);
        batch_close(batch);
    }
}

/* From the first row on. A sanitizer's own memory is not seen here. */
static void a_walk_holds_few_rows_at_a_time(void **state)
{
    enum { ROWS = 20000, GROWTH_MAX_BYTES = 1 << 20 };
    struct contract *contract = *state;
    if (contract->backend->is_slow) {
        skip();
    }
    make_rows(contract, ROWS);
    for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
        struct store_cursor *cursor = store_cursor_open(contract->store, (enum store_table)table);
        size_t held_bytes = 0;
        size_t n = 0;
        struct store_row row;
        for (bool found = true; found; n += found) {
            assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
            held_bytes = n == 0 ? mallinfo2().uordblks : held_bytes;
        }
        assert_int_equal(n, ROWS);
        assert_true(mallinfo2().uordblks < held_bytes + GROWTH_MAX_BYTES);
        store_cursor_close(cursor);
    }
}

struct contract_tests contract_cursors(void)
{
    static const struct CMUnitTest tests[] = {
        CONTRACT_TEST(a_cursor_over_an_empty_table_ends_at_once),
        CONTRACT_TEST(the_journal_is_walked_by_position_and_agrees_with_the_reads),
        CONTRACT_TEST(ids_are_walked_in_order_and_point_into_the_journal),
        CONTRACT_TEST(accounts_are_walked_in_order_and_agree_with_the_reads),
        CONTRACT_TEST(entries_are_walked_by_account_newest_first_and_agree_with_the_reads),
        CONTRACT_TEST(a_walk_shows_its_table_as_of_its_opening),
        CONTRACT_TEST(a_cursor_may_be_closed_before_its_end),
        CONTRACT_TEST(a_walk_meets_every_row),
        CONTRACT_TEST(a_walk_holds_few_rows_at_a_time),
    };
    return (struct contract_tests){tests, sizeof tests / sizeof tests[0]};
}
