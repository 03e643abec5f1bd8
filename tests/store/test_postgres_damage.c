/*
 * store: rows of PostgreSQL that make no sense. The schema refuses most of them, so each test takes
 * a constraint away first, as a damaged page or a meddling hand would. Whoever asks is told of a
 * fault, and never of what such a row says.
 */
#include "asks.h"
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
