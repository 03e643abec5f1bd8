/*
 * store: rows of PostgreSQL that make no sense. The schema refuses most of them, so each test takes
 * a constraint away first, as a damaged page or a meddling hand would. Whoever asks is told of a
 * fault, and never of what such a row says.
 */
#include "batch.h"
#include "postgres_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* --- who asks --- */

static enum store_fault load_alice(struct store *store)
{
    struct batch *batch = batch_open(&postgres_kinds);
    batch_add_line(batch, "consume t9 alice points=1");
    batch_add_line(batch, "consume t1 alice points=1");
    enum store_fault fault = batch_load(batch, store);
    if (fault == STORE_OK) {
        /* Or who takes a constraint away would wait for its locks. */
        store_abandon(store, 0, &batch->facts);
    }
    batch_close(batch);
    return fault;
}

static enum store_fault read_alice(struct store *store)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct base_text id = BASE_TEXT("alice");
    struct ledger_account account;
    enum store_fault fault = store_read_accounts(store, 1, &id, &arena, &account);
    base_arena_release(&arena);
    return fault;
}

static enum store_fault read_history(struct store *store)
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

static enum store_fault walk_ids(struct store *store)
{
    return walk(store, STORE_TABLE_IDS);
}

static enum store_fault walk_accounts(struct store *store)
{
    return walk(store, STORE_TABLE_ACCOUNTS);
}

static enum store_fault walk_entries(struct store *store)
{
    return walk(store, STORE_TABLE_ENTRIES);
}

typedef enum store_fault asks(struct store *store);

/* --- what is damaged --- */

#define ASKED_MAX 4

static const struct {
    const char *damage;
    asks *told[ASKED_MAX]; /* NULL: no more */
} rows[] = {
    {"ALTER TABLE zandaka.balances DROP CONSTRAINT balances_available_check;"
     "UPDATE zandaka.balances SET available = -1",
     {load_alice, read_alice, walk_accounts}},
    {"ALTER TABLE zandaka.balances DROP CONSTRAINT balances_held_check,"
     "DROP CONSTRAINT balances_check; UPDATE zandaka.balances SET held = -1",
     {load_alice, read_alice, walk_accounts}},
    {"ALTER TABLE zandaka.balances DROP CONSTRAINT balances_check;"
     "UPDATE zandaka.balances SET available = 9223372036854775807, held = 1",
     {load_alice, read_alice, walk_accounts}},
    {"ALTER TABLE zandaka.balances DROP CONSTRAINT balances_kind_number_fkey;"
     "UPDATE zandaka.balances SET kind_number = 64",
     {load_alice, read_alice, walk_accounts}},
    {"ALTER TABLE zandaka.balances DROP CONSTRAINT balances_kind_number_fkey;"
     "UPDATE zandaka.balances SET kind_number = -1",
     {load_alice, read_alice, walk_accounts}},
    {"ALTER TABLE zandaka.accounts DROP CONSTRAINT accounts_version_check;"
     "UPDATE zandaka.accounts SET version = -1",
     {load_alice, read_alice, walk_accounts}},
    {"UPDATE zandaka.accounts SET last_time = 'infinity'", {load_alice, read_alice, walk_accounts}},
    {"UPDATE zandaka.accounts SET last_time = '0001-01-01 BC'",
     {load_alice, read_alice, walk_accounts}},
    {"ALTER TABLE zandaka.accounts DROP CONSTRAINT accounts_check;"
     "UPDATE zandaka.accounts SET last_time = NULL",
     {load_alice, read_alice, walk_accounts}},
    {"ALTER TABLE zandaka.accounts DROP CONSTRAINT accounts_account_id_check;"
     "INSERT INTO zandaka.accounts VALUES ('a b', 1, now())",
     {walk_accounts}},
    {"ALTER TABLE zandaka.accounts DROP CONSTRAINT accounts_account_id_check;"
     "INSERT INTO zandaka.accounts VALUES ('', 1, now())",
     {walk_accounts}},
    {"ALTER TABLE zandaka.transactions DROP CONSTRAINT transactions_transaction_id_check;"
     "UPDATE zandaka.transactions SET transaction_id = repeat('t', 65)",
     {walk_ids}},
    {"UPDATE zandaka.transactions SET record = '\\x00'", {read_history, walk_entries}},
    {"UPDATE zandaka.entries SET kind_number = 63", {walk_entries}},
    {"ALTER TABLE zandaka.entries DROP CONSTRAINT entries_kind_number_check;"
     "UPDATE zandaka.entries SET kind_number = 64",
     {read_history, walk_entries}},
    {"UPDATE zandaka.entries SET create_time = '-infinity'", {read_history, walk_entries}},
    {"UPDATE zandaka.entries SET operation = 7", {read_history, walk_entries}},
    {"UPDATE zandaka.entries SET operation = 3", {read_history, walk_entries}}, /* a fence */
};

static void what_makes_no_sense_is_a_fault_to_all_who_ask(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *opened;
        (void)open_world(&opened);
        struct world *world = opened;
        world->stores[0] = open_store(world);
        assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
        for (size_t asked = 0; asked < ASKED_MAX && rows[i].told[asked] != NULL; asked++) {
            assert_int_equal(rows[i].told[asked](world->stores[0]), STORE_OK);
        }
        database_run(world->database, rows[i].damage);
        for (size_t asked = 0; asked < ASKED_MAX && rows[i].told[asked] != NULL; asked++) {
            enum store_fault fault = rows[i].told[asked](world->stores[0]);
            if (fault != STORE_CORRUPT) {
                fail_msg("who asks as number %zu is told %d after: %s", asked, (int)fault,
                         rows[i].damage);
            }
        }
        (void)close_world(&opened);
    }
}

int main(void)
{
    if (!cluster_is_present()) {
        return POSTGRES_EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_a_fault_to_all_who_ask),
    };
    return cmocka_run_group_tests_name("store_postgres_damage", tests, NULL, NULL);
}
