#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The moment of the first batch. */
#define START_US INT64_C(1764028800000000)
#define SECOND_US INT64_C(1000000)

static const struct ledger_kind ordinary_kind = {.max_balance_minor = INT64_MAX,
                                                 .max_amount_minor = BASE_AMOUNT_MAX};

static const struct ledger_kinds *two_kinds(void)
{
    static struct ledger_kinds kinds;
    kinds.n_kinds = 2;
    kinds.kinds[0] = ordinary_kind;
    kinds.kinds[0].code = BASE_TEXT("points");
    kinds.kinds[1] = ordinary_kind;
    kinds.kinds[1].code = BASE_TEXT("money");
    return &kinds;
}

static const struct ledger_kinds *all_kinds(void)
{
    static struct ledger_kinds kinds;
    static char codes[BASE_KINDS_MAX][sizeof "kind-00"];
    kinds.n_kinds = BASE_KINDS_MAX;
    for (unsigned i = 0; i < BASE_KINDS_MAX; i++) {
        (void)snprintf(codes[i], sizeof codes[i], "kind-%02u", i % 100);
        kinds.kinds[i] = ordinary_kind;
        kinds.kinds[i].code = base_text_of(codes[i]);
    }
    return &kinds;
}

static int open_with(void **state, const struct ledger_kinds *kinds)
{
    struct contract *contract = base_allocate_zeroed(1, sizeof *contract);
    contract->backend = *state;
    contract->kinds = kinds;
    contract->now_us = START_US;
    contract->store = contract->backend->open(kinds, &contract->place);
    *state = contract;
    return 0;
}

int contract_open(void **state)
{
    return open_with(state, two_kinds());
}

int contract_open_wide(void **state)
{
    return open_with(state, all_kinds());
}

int contract_close(void **state)
{
    struct contract *contract = *state;
    contract->backend->destroy(contract->store, contract->place);
    base_arena_release(&contract->arena);
    free(contract);
    return 0;
}

int contract_run(const struct backend *backend)
{
    struct contract_tests groups[] = {contract_commits(), contract_reads(),   contract_cursors(),
                                      contract_threads(), contract_lasting(), contract_copy(),
                                      contract_random()};
    size_t n_tests = 0;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        n_tests += groups[i].n_tests;
    }
    struct CMUnitTest *tests = base_allocate(n_tests * sizeof *tests);
    size_t at = 0;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        for (size_t test = 0; test < groups[i].n_tests; test++) {
            tests[at] = groups[i].tests[test];
            tests[at++].initial_state = (void *)(uintptr_t)backend;
        }
    }
    int failed = _cmocka_run_group_tests(backend->name, tests, n_tests, NULL, NULL);
    free(tests);
    return failed;
}

void contract_commit_lines(struct contract *contract, size_t n_lines, const char *const *lines)
{
    assert_int_equal(batch_run_lines(contract->store, contract->now_us, n_lines, lines), STORE_OK);
    contract->now_us += SECOND_US;
}

void contract_assert_balance(struct contract *contract, const char *account_id, const char *balance)
{
    struct base_text id = base_text_of(account_id);
    struct ledger_account account;
    assert_int_equal(store_read_accounts(contract->store, 1, &id, &contract->arena, &account),
                     STORE_OK);
    char found[4096] = "";
    size_t length = 0;
    for (size_t i = 0; i < contract->kinds->n_kinds; i++) {
        assert_true(account.balances[i].held_minor == 0);
        length += (size_t)snprintf(found + length, sizeof found - length, "%s%.*s=%lld",
                                   i > 0 ? " " : "", BASE_TEXT_ARGS(contract->kinds->kinds[i].code),
                                   (long long)account.balances[i].available_minor);
    }
    assert_string_equal(found, balance);
}

void contract_assert_recorded(struct contract *contract, const char *transaction_id, bool recorded)
{
    bool found = !recorded;
    struct base_bytes record;
    assert_int_equal(store_read_transaction(contract->store, base_text_of(transaction_id),
                                            &contract->arena, &found, &record),
                     STORE_OK);
    assert_int_equal(found, recorded);
}

/* A row is valid until the next one is asked for, so all that it points to is copied. */
static struct store_row copy_row(struct contract *contract, enum store_table table,
                                 const struct store_row *row)
{
    struct base_arena *arena = &contract->arena;
    struct store_row copy = {.position = row->position};
    switch (table) {
    case STORE_TABLE_JOURNAL:
        copy.record = base_arena_bytes(arena, row->record);
        copy.caller = base_arena_text(arena, row->caller);
        break;
    case STORE_TABLE_IDS:
        copy.transaction_id = base_arena_text(arena, row->transaction_id);
        break;
    case STORE_TABLE_ACCOUNTS:
        copy.account = row->account;
        copy.account.account_id = base_arena_text(arena, row->account.account_id);
        copy.account.balances =
            base_arena_take(arena, contract->kinds->n_kinds * sizeof *copy.account.balances);
        memcpy(copy.account.balances, row->account.balances,
               contract->kinds->n_kinds * sizeof *copy.account.balances);
        break;
    case STORE_TABLE_ENTRIES:
        copy.entry = row->entry;
        copy.entry.account_id = base_arena_text(arena, row->entry.account_id);
        copy.entry.transaction_id = base_arena_text(arena, row->entry.transaction_id);
        copy.entry.original_transaction_id =
            base_arena_text(arena, row->entry.original_transaction_id);
        copy.entry.description = base_arena_text(arena, row->entry.description);
        break;
    }
    return copy;
}

struct contract_table contract_read_table(struct contract *contract, struct store *store,
                                          enum store_table table)
{
    struct contract_table read = {0};
    size_t capacity = 0;
    struct store_cursor *cursor = store_cursor_open(store, table);
    bool found;
    struct store_row row;
    for (;;) {
        assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
        if (!found) {
            break;
        }
        if (read.n_rows == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 64;
            struct store_row *rows = base_arena_take(&contract->arena, capacity * sizeof *rows);
            for (size_t i = 0; i < read.n_rows; i++) {
                rows[i] = read.rows[i];
            }
            read.rows = rows;
        }
        read.rows[read.n_rows++] = copy_row(contract, table, &row);
        if (table == STORE_TABLE_JOURNAL && store_journal_is_gapless(store)) {
            assert_int_equal(row.position, read.n_rows);
        }
    }
    /* The end stays the end. */
    assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
    assert_false(found);
    store_cursor_close(cursor);
    return read;
}

struct store_entries_query contract_query_all(const char *account_id)
{
    return (struct store_entries_query){
        .account_id = base_text_of(account_id),
        .below_sequence = INT64_MAX,
        .kind_numbers = UINT64_MAX,
        .operations = UINT32_MAX,
        .start_time_us = INT64_MIN,
        .end_time_us = INT64_MAX,
        .limit = BASE_PAGE_MAX,
        .scan_limit = BASE_PAGE_SCAN_MAX,
    };
}

struct store_entries_page contract_walk_entries(struct contract *contract, struct store *store,
                                                struct store_entries_query query)
{
    struct store_entries_page walk = {0};
    size_t capacity = 0;
    do {
        struct store_entries_page page;
        assert_int_equal(store_read_entries(store, &query, &contract->arena, &page), STORE_OK);
        assert_true(page.n_entries <= query.limit);
        /* Each page looks at one entry at least, so every walk ends. */
        assert_true(page.next_below_sequence < query.below_sequence);
        if (walk.n_entries + page.n_entries > capacity) {
            capacity = 2 * (walk.n_entries + page.n_entries);
            struct ledger_entry *entries =
                base_arena_take(&contract->arena, capacity * sizeof *entries);
            for (size_t i = 0; i < walk.n_entries; i++) {
                entries[i] = walk.entries[i];
            }
            walk.entries = entries;
        }
        for (size_t i = 0; i < page.n_entries; i++) {
            walk.entries[walk.n_entries++] = page.entries[i];
        }
        query.below_sequence = page.next_below_sequence;
    } while (query.below_sequence != 0);
    return walk;
}

void contract_assert_same_account(const struct ledger_kinds *kinds, const struct ledger_account *a,
                                  const struct ledger_account *b)
{
    assert_text_equal(a->account_id, b->account_id);
    assert_true(a->version == b->version);
    assert_true(a->last_time_us == b->last_time_us);
    for (size_t i = 0; i < kinds->n_kinds; i++) {
        assert_true(a->balances[i].available_minor == b->balances[i].available_minor);
        assert_true(a->balances[i].held_minor == b->balances[i].held_minor);
    }
}

void contract_assert_same_entry(const struct ledger_entry *a, const struct ledger_entry *b)
{
    assert_text_equal(a->account_id, b->account_id);
    assert_true(a->sequence == b->sequence);
    assert_text_equal(a->transaction_id, b->transaction_id);
    assert_int_equal(a->operation, b->operation);
    assert_int_equal(a->kind_number, b->kind_number);
    assert_true(a->amount_minor == b->amount_minor);
    assert_true(a->balance_after_minor == b->balance_after_minor);
    assert_true(a->held_amount_minor == b->held_amount_minor);
    assert_true(a->held_after_minor == b->held_after_minor);
    assert_true(a->create_time_us == b->create_time_us);
    assert_text_equal(a->original_transaction_id, b->original_transaction_id);
    assert_text_equal(a->description, b->description);
}

static void assert_same_record_at(struct contract *contract, struct store *a, uint64_t position_a,
                                  struct store *b, uint64_t position_b)
{
    bool found_a;
    bool found_b;
    struct base_bytes record_a;
    struct base_bytes record_b;
    assert_int_equal(store_read_journal(a, position_a, &contract->arena, &found_a, &record_a),
                     STORE_OK);
    assert_int_equal(store_read_journal(b, position_b, &contract->arena, &found_b, &record_b),
                     STORE_OK);
    assert_true(found_a && found_b);
    assert_bytes_equal(record_a, record_b);
}

void contract_assert_same_store(struct contract *contract, struct store *a, struct store *b)
{
    for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
        struct contract_table left = contract_read_table(contract, a, (enum store_table)table);
        struct contract_table right = contract_read_table(contract, b, (enum store_table)table);
        assert_int_equal(left.n_rows, right.n_rows);
        for (size_t i = 0; i < left.n_rows; i++) {
            const struct store_row *row = &left.rows[i];
            const struct store_row *other = &right.rows[i];
            if (table == STORE_TABLE_ACCOUNTS) {
                contract_assert_same_account(contract->kinds, &row->account, &other->account);
                continue;
            }
            assert_same_record_at(contract, a, row->position, b, other->position);
            if (table == STORE_TABLE_JOURNAL) {
                assert_bytes_equal(row->record, other->record);
                assert_text_equal(row->caller, other->caller);
            } else if (table == STORE_TABLE_IDS) {
                assert_text_equal(row->transaction_id, other->transaction_id);
            } else {
                contract_assert_same_entry(&row->entry, &other->entry);
            }
        }
    }
}
