/*
 * store: what a server makes of a PostgreSQL database's schema, kinds and numbers, at its start and
 * while it runs; and what the schema itself refuses, whoever writes.
 */
#include "batch.h"
#include "postgres_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool said(struct base_text message, const char *words)
{
    bool does = message.length > 0 && strstr(message.bytes, words) != NULL;
    if (!does) {
        (void)fprintf(stderr, "it said `%.*s`, not `%s`\n", BASE_TEXT_ARGS(message), words);
    }
    return does;
}

static void a_database_without_a_schema_it_knows_is_refused(void **state)
{
    struct world *world = *state;
    struct database *empty = database_open(false);
    struct base_text message;
    struct store_postgres_options options = {.url = empty->url, .kinds = &postgres_kinds};
    assert_null(store_postgres_open(&options, &world->arena, &message));
    assert_true(said(message, "run `zandaka schema --store URL --apply`"));
    database_close(empty);

    assert_true(store_postgres_apply_schema(world->database->owner_url, &world->arena, &message));
    assert_true(said(message, "nothing to do"));
    database_run(world->database, "UPDATE zandaka.store SET schema_version = 2");
    assert_false(store_postgres_apply_schema(world->database->owner_url, &world->arena, &message));
    assert_true(said(message, "version 2"));
    options.url = world->database->url;
    assert_null(store_postgres_open(&options, &world->arena, &message));
    assert_true(said(message, "does not know"));
    options.kinds = NULL;
    assert_null(store_postgres_open(&options, &world->arena, &message));
    assert_true(said(message, "does not know"));
}

/* Half a store is none, and a store that is used is no place for a copy. */
static void a_copy_is_no_store_and_a_store_no_place_for_a_copy(void **state)
{
    struct world *world = *state;
    struct base_text message;
    struct store_postgres_options options = {.url = world->database->url, .kinds = &postgres_kinds};
    struct store_postgres_options copying = {
        .url = world->database->owner_url, .kinds = &postgres_kinds, .copying = true};
    struct store *copy = store_postgres_open(&copying, &world->arena, &message);
    assert_non_null(copy);
    store_close(copy);
    for (int i = 0; i < 2; i++) {
        options.kinds = i == 0 ? &postgres_kinds : NULL;
        assert_null(store_postgres_open(&options, &world->arena, &message));
        assert_true(said(message, "holds a copy of another store"));
    }
    assert_false(store_postgres_apply_schema(world->database->owner_url, &world->arena, &message));
    assert_true(said(message, "holds a copy of another store"));

    database_run(world->database, "UPDATE zandaka.store SET schema_version = 1");
    world->stores[0] = open_store(world);
    assert_int_equal(run_line(world->stores[0], "cancel t1"), STORE_OK);
    assert_null(store_postgres_open(&copying, &world->arena, &message));
    assert_true(said(message, "holds a store already"));
    copying.url = world->database->url; /* a server may not */
    assert_null(store_postgres_open(&copying, &world->arena, &message));
    assert_true(said(message, "the role that owns it"));
    assert_true(said(message, "permission denied"));
}

static void a_configuration_that_lacks_a_kind_that_was_served_is_refused(void **state)
{
    struct world *world = *state;
    database_run(world->database, "INSERT INTO zandaka.kinds VALUES (0, 'miles')");
    struct base_text message;
    struct store_postgres_options options = {.url = world->database->url, .kinds = &postgres_kinds};
    assert_null(store_postgres_open(&options, &world->arena, &message));
    assert_true(said(message, "[kind.miles]"));
}

/* What the tables refuse, whoever writes. */
static void wrong_states_cannot_be_written(void **state)
{
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    static const char *const statements[] = {
        "UPDATE zandaka.balances SET available = -1",
        "UPDATE zandaka.balances SET held = -1",
        "UPDATE zandaka.balances SET available = 9223372036854775807, held = 1",
        "INSERT INTO zandaka.balances VALUES ('nobody', 0, 1, 0)",
        "INSERT INTO zandaka.balances VALUES ('alice', 63, 1, 0)",
        "UPDATE zandaka.accounts SET version = -1",
        "UPDATE zandaka.accounts SET version = 0",
        "UPDATE zandaka.accounts SET last_time = NULL",
        "INSERT INTO zandaka.accounts VALUES ('two words', 0)",
        "INSERT INTO zandaka.accounts VALUES ('', 0)",
        "INSERT INTO zandaka.accounts VALUES (repeat('a', 65), 0)",
        "INSERT INTO zandaka.accounts VALUES ('alice', 0)",
        "UPDATE zandaka.transactions SET position = 0",
        "UPDATE zandaka.transactions SET record = ''",
        "UPDATE zandaka.transactions SET transaction_id = E'a\\n'",
        "INSERT INTO zandaka.transactions SELECT transaction_id, 1, record, caller, commit_mark "
        "FROM zandaka.transactions",
        "INSERT INTO zandaka.transactions SELECT 't2', position, record, caller, commit_mark "
        "FROM zandaka.transactions",
        "UPDATE zandaka.entries SET sequence = 0",
        "UPDATE zandaka.entries SET amount = 0",
        "UPDATE zandaka.entries SET balance_after = -1",
        "UPDATE zandaka.entries SET amount = 6",
        "UPDATE zandaka.entries SET held_after = -1",
        "UPDATE zandaka.entries SET kind_number = 64",
        "UPDATE zandaka.entries SET operation = 0",
        "INSERT INTO zandaka.entries SELECT * FROM zandaka.entries",
        "INSERT INTO zandaka.kinds VALUES (64, 'miles')",
        "INSERT INTO zandaka.kinds VALUES (1, 'Miles')",
        "INSERT INTO zandaka.kinds VALUES (1, 'points')",
        "INSERT INTO zandaka.store (only_row, schema_version) VALUES (false, 1)",
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (!database_refuses(world->database->owner_url, statements[i])) {
            fail_msg("it was written: %s", statements[i]);
        }
    }
}

static void a_server_can_neither_delete_nor_change_what_is_recorded(void **state)
{
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    static const char *const statements[] = {
        "DELETE FROM zandaka.transactions",
        "DELETE FROM zandaka.entries",
        "DELETE FROM zandaka.accounts",
        "DELETE FROM zandaka.balances",
        "DELETE FROM zandaka.kinds",
        "UPDATE zandaka.transactions SET record = 'a'",
        "UPDATE zandaka.entries SET amount = 1",
        "TRUNCATE zandaka.entries",
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        assert_true(database_refuses(world->database->url, statements[i]));
    }
}

/* As after a dump was restored in another cluster, whose transactions are numbered anew. */
static void positions_go_on_above_those_of_the_journal(void **state)
{
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    for (int i = 0; i < 2; i++) {
        store_close(world->stores[i]);
        world->stores[i] = NULL;
    }
    database_run(world->database,
                 "UPDATE zandaka.transactions SET position = position + 1024000000");
    struct base_text message;
    struct store_postgres_options options = {.url = world->database->url, .kinds = &postgres_kinds};
    assert_null(store_postgres_open(&options, &world->arena, &message));
    assert_true(said(message, "as after a dump was restored"));
    assert_true(store_postgres_apply_schema(world->database->owner_url, &world->arena, &message));
    assert_true(said(message, "go on above"));
    world->stores[0] = open_store(world);
    assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_OK);
    assert_int_equal(database_ask(world->database,
                                  "SELECT (max(position) FILTER (WHERE transaction_id = 't2') > "
                                  "max(position) FILTER (WHERE transaction_id = 't1'))::integer "
                                  "FROM zandaka.transactions"),
                     1);
}

static bool opens(struct world *world)
{
    struct base_text message;
    struct store_postgres_options options = {.url = world->database->url, .kinds = &postgres_kinds};
    struct store *store = store_postgres_open(&options, &world->arena, &message);
    if (store == NULL) {
        assert_true(said(message, "as after a dump was restored"));
        return false;
    }
    store_close(store);
    return true;
}

/* The next batch's number is above the journal's last, or its positions might be there already. The
 * database numbers transactions of its own, too: then it is tried again. */
static void the_journals_end_is_below_the_next_transactions_number(void **state)
{
    struct world *world = *state;
    static const char next[] = "SELECT (max(position) / 1024 - "
                               "pg_snapshot_xmax(pg_current_snapshot())::text::bigint)::integer "
                               "FROM zandaka.transactions";
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    for (long ahead = -1; ahead <= 0; ahead++) {
        char statement[128];
        (void)snprintf(statement, sizeof statement,
                       "UPDATE zandaka.transactions SET position = "
                       "(pg_current_xact_id()::text::bigint + 1 + %ld) * 1024",
                       ahead);
        bool opened = false;
        int tries = 0;
        do {
            assert_true(tries++ < 100);
            database_run(world->database, statement);
            opened = opens(world);
        } while (database_ask(world->database, next) != ahead);
        assert_int_equal(opened, ahead < 0);
    }
}

/* A dump that is restored somewhere else, while servers run: to them it is a lost connection. */
static void positions_go_on_above_those_of_the_journal_while_servers_run(void **state)
{
    struct world *world = *state;
    struct base_text message;
    const char *reason = "";
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    database_run(world->database,
                 "UPDATE zandaka.transactions SET position = position + 1024000000");
    end_connections(world);
    enum store_fault fault = STORE_OK;
    for (int i = 0; i < 3000 && strstr(reason, "after a dump was restored") == NULL; i++) {
        fault = run_line(world->stores[0], "add t2 alice points=5");
        (void)store_ready(world->stores[0], &reason);
        (void)usleep(10000);
    }
    assert_int_equal(fault, STORE_UNAVAILABLE);
    assert_non_null(strstr(reason, "after a dump was restored"));
    assert_int_equal(database_ask(world->database, "SELECT count(*) FROM zandaka.transactions"), 1);
    assert_true(store_postgres_apply_schema(world->database->owner_url, &world->arena, &message));
    run_line_in_the_end(world->stores[0], "add t2 alice points=5");
    assert_int_equal(database_ask(world->database,
                                  "SELECT (max(position) FILTER (WHERE transaction_id = 't2') > "
                                  "max(position) FILTER (WHERE transaction_id = 't1'))::integer "
                                  "FROM zandaka.transactions"),
                     1);
}

/* Whoever changes the schema does not know our statements, nor they the schema. */
static void a_schema_that_changes_while_a_server_writes_ends_its_writes(void **state)
{
    struct world *world = *state;
    const char *reason;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    database_run(world->database, "UPDATE zandaka.store SET schema_version = 2");
    enum store_fault fault = STORE_OK;
    for (int i = 0; i < 3000 && fault == STORE_OK; i++) {
        fault = run_line(world->stores[0], "add t1 alice points=5");
        (void)usleep(10000);
    }
    assert_int_equal(fault, STORE_UNAVAILABLE);
    assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_UNAVAILABLE);
    assert_false(store_ready(world->stores[0], &reason));
    assert_non_null(strstr(reason, "of a version that this zandaka does not"));
    database_run(world->database, "UPDATE zandaka.store SET schema_version = 1");
    run_line_in_the_end(world->stores[0], "add t2 alice points=5");
}

/* Money without a history came from nowhere: it is not spent, and a walk shows it to verify. */
static void a_balance_without_a_history_is_corrupt(void **state)
{
    struct world *world = *state;
    database_run(world->database, "INSERT INTO zandaka.accounts VALUES ('ghost', 0, NULL);"
                                  "INSERT INTO zandaka.balances VALUES ('ghost', 0, 100, 0)");
    assert_int_equal(run_line(world->stores[0], "consume t1 ghost points=100"), STORE_CORRUPT);
    struct store_cursor *cursor = store_cursor_open(world->stores[0], STORE_TABLE_ACCOUNTS);
    struct store_row row;
    bool found = false;
    assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
    assert_true(found && row.account.version == 0);
    assert_int_equal(row.account.balances[0].available_minor, 100);
    store_cursor_close(cursor);
}

static void a_url_is_shown_without_its_password(void **state)
{
    struct world *world = *state;
    static const char *const rows[][2] = {
        {"postgres://u:secret@h:1/d?a=b", "postgres://u:***@h:1/d?a=b"},
        {"postgres://u:secret@h,i:2/d", "postgres://u:***@h,i:2/d"},
        {"postgres://h/d?password=secret&user=u", "postgres://h/d?password=***&user=u"},
        {"postgres://u@h:1/d", "postgres://u@h:1/d"},
        {"postgres://h:1?x=a@b", "postgres://h:1?x=a@b"},
        {"rocksdb:a:b@c", "rocksdb:a:b@c"},
        {"memory:", "memory:"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text shown = store_postgres_shown_url(rows[i][0], &world->arena);
        assert_string_equal(base_arena_text(&world->arena, shown).bytes, rows[i][1]);
    }
}

int main(void)
{
    if (!cluster_is_present()) {
        return POSTGRES_EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_database_without_a_schema_it_knows_is_refused),
        WORLD_TEST(a_copy_is_no_store_and_a_store_no_place_for_a_copy),
        WORLD_TEST(a_configuration_that_lacks_a_kind_that_was_served_is_refused),
        SERVERS_TEST(wrong_states_cannot_be_written),
        SERVERS_TEST(a_server_can_neither_delete_nor_change_what_is_recorded),
        SERVERS_TEST(positions_go_on_above_those_of_the_journal),
        SERVERS_TEST(the_journals_end_is_below_the_next_transactions_number),
        SERVERS_TEST(positions_go_on_above_those_of_the_journal_while_servers_run),
        SERVERS_TEST(a_schema_that_changes_while_a_server_writes_ends_its_writes),
        SERVERS_TEST(a_balance_without_a_history_is_corrupt),
        WORLD_TEST(a_url_is_shown_without_its_password),
    };
    return cmocka_run_group_tests_name("store: PostgreSQL's schema", tests, NULL, NULL);
}
