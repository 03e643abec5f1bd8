#include "asks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum store_fault read_alice(struct store *store)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct base_text id = BASE_TEXT("alice");
    struct ledger_account account;
    enum store_fault fault = store_read_accounts(store, 1, &id, &arena, &account);
    base_arena_release(&arena);
    return fault;
}

enum store_fault read_history(struct store *store)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct store_entries_query query = {.account_id = BASE_TEXT("alice"),
                                              .below_sequence = INT64_MAX,
                                              .kind_numbers = UINT64_MAX,
                                              .operations = UINT32_MAX,
                                              .start_time_us = INT64_MIN,
                                              .end_time_us = INT64_MAX,
                                              .limit = 10,
                                              .scan_limit = 10};
    struct store_entries_page page;
    enum store_fault fault = store_read_entries(store, &query, &arena, &page);
    base_arena_release(&arena);
    return fault;
}

static enum store_fault walk(struct store *store, enum store_table table)
{
    struct store_cursor *cursor = store_cursor_open(store, table);
    struct store_row row;
    bool found = true;
    enum store_fault fault = STORE_OK;
    while (fault == STORE_OK && found) {
        fault = store_cursor_next(cursor, &found, &row);
    }
    /* What has failed stays so. */
    assert_int_equal(store_cursor_next(cursor, &found, &row), fault);
    store_cursor_close(cursor);
    return fault;
}

enum store_fault walk_journal(struct store *store)
{
    return walk(store, STORE_TABLE_JOURNAL);
}

enum store_fault walk_ids(struct store *store)
{
    return walk(store, STORE_TABLE_IDS);
}

enum store_fault walk_accounts(struct store *store)
{
    return walk(store, STORE_TABLE_ACCOUNTS);
}

enum store_fault walk_entries(struct store *store)
{
    return walk(store, STORE_TABLE_ENTRIES);
}
