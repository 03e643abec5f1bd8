/*
 * store: what PostgreSQL has of its own. Two servers on one database, with every step in the test's
 * hand: each way in which a plausible statement would break the contract is a test here, which
 * fails when the statement is changed back. And what the database's end and its refusals mean to a
 * server.
 */
#include "batch.h"
#include "postgres_world.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* One step of a batch, or the end of a copy, in a thread of its own. */
struct step {
    pthread_t thread;
    struct store *store;
    struct batch *batch; /* NULL: it ends the copying */
    bool commits;
    enum store_fault fault;
    atomic_bool done;
};

static void *do_step(void *argument)
{
    struct step *step = argument;
    step->fault = step->batch == NULL ? store_copy_end(step->store)
                  : step->commits     ? batch_commit(step->batch, step->store)
                                      : batch_load(step->batch, step->store);
    atomic_store(&step->done, true);
    return NULL;
}

static void start_step(struct step *step)
{
    base_assert(pthread_create(&step->thread, NULL, do_step, step) == 0);
}

static enum store_fault end_step(struct step *step)
{
    base_assert(pthread_join(step->thread, NULL) == 0);
    return step->fault;
}

static struct batch *loaded(struct store *store, const char *line)
{
    struct batch *batch = batch_open(&postgres_kinds);
    batch_add_line(batch, line);
    assert_int_equal(batch_load(batch, store), STORE_OK);
    batch_decide(batch, POSTGRES_NOW_US);
    return batch;
}

/* --- the first round trip --- */

/* Both servers are asked for the same payment, which takes all that there is. The second waits for
 * the lock; what it then sees is what the first has left, and not what there was before the wait:
 * it is a replay, no lack of the balance that the payment took itself (contract 3.8). */
static void what_is_loaded_is_of_after_the_wait(struct world *world)
{
    assert_int_equal(run_line(world->stores[0], "add grant alice points=100"), STORE_OK);
    struct batch *first = loaded(world->stores[0], "consume pay alice points=100");
    struct batch *second = batch_open(&postgres_kinds);
    batch_add_line(second, "consume pay alice points=100");
    struct step load = {.store = world->stores[1], .batch = second};
    start_step(&load);
    wait_until(world, "SELECT count(*) " SERVERS "AND wait_event_type = 'Lock'");
    assert_int_equal(batch_commit(first, world->stores[0]), STORE_OK);
    assert_int_equal(end_step(&load), STORE_OK);
    assert_int_equal(second->facts.transactions[0]->presence, LEDGER_RECORDED);
    assert_true(second->facts.accounts[0]->version == 2);
    assert_true(second->facts.accounts[0]->balances[0].available_minor == 0);
    batch_decide(second, POSTGRES_NOW_US);
    assert_int_equal(second->outcomes[0].result, LEDGER_REPLAYED);
    assert_int_equal(batch_commit(second, world->stores[1]), STORE_OK);
    batch_close(first);
    batch_close(second);
}

static void ids_and_balances_are_read_behind_the_lock(void **state)
{
    what_is_loaded_is_of_after_the_wait(*state);
}

static void ids_and_balances_are_read_behind_the_lock_whatever_the_default_level(void **state)
{
    struct world *world = *state;
    database_run(world->database,
                 "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation "
                 "= ''repeatable read''', current_database()); END $$");
    for (int i = 0; i < 2; i++) {
        world->stores[i] = open_store(world);
    }
    what_is_loaded_is_of_after_the_wait(world);
}

static void an_account_that_comes_to_be_is_waited_for(void **state)
{
    struct world *world = *state;
    struct batch *first = loaded(world->stores[0], "add t1 alice points=5");
    struct batch *second = batch_open(&postgres_kinds);
    batch_add_line(second, "add t2 alice points=7");
    struct step load = {.store = world->stores[1], .batch = second};
    start_step(&load);
    wait_until(world, "SELECT count(*) " SERVERS "AND wait_event_type = 'Lock'");
    assert_int_equal(batch_commit(first, world->stores[0]), STORE_OK);
    assert_int_equal(end_step(&load), STORE_OK);
    assert_true(second->facts.accounts[0]->balances[0].available_minor == 5);
    batch_decide(second, POSTGRES_NOW_US);
    assert_int_equal(batch_commit(second, world->stores[1]), STORE_OK);
    assert_int_equal(database_ask(world->database, "SELECT available FROM zandaka.balances"), 12);
    batch_close(first);
    batch_close(second);
}

/* --- the second round trip --- */

/* A row that a transaction has inserted is not there before its commit. */
static void an_account_that_was_given_up_is_inserted_again(void **state)
{
    struct world *world = *state;
    struct batch *first = loaded(world->stores[0], "add t1 alice points=5");
    store_abandon(world->stores[0], 0, &first->facts);
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    batch_close(first);
}

/* As where a standby takes over that does not have the last commits. */
static void an_account_that_was_known_and_is_gone_is_a_conflict_once(void **state)
{
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_OK);
    database_run(world->database, "TRUNCATE zandaka.transactions, zandaka.entries, "
                                  "zandaka.balances, zandaka.accounts");
    assert_int_equal(run_line(world->stores[0], "add t3 alice points=7"), STORE_CONFLICT);
    struct batch *again = loaded(world->stores[0], "add t3 alice points=7");
    assert_true(again->facts.accounts[0]->version == 1);
    assert_true(again->facts.accounts[0]->balances[0].available_minor == 7);
    assert_int_equal(batch_commit(again, world->stores[0]), STORE_OK);
    batch_close(again);
}

static void an_id_that_another_server_records_is_not_passed_over(void **state)
{
    struct world *world = *state;
    struct batch *first = loaded(world->stores[0], "add t1 alice points=5");
    struct batch *second = loaded(world->stores[1], "add t1 bob points=5");
    assert_int_equal(batch_commit(first, world->stores[0]), STORE_OK);
    assert_int_equal(batch_commit(second, world->stores[1]), STORE_CONFLICT);
    assert_int_equal(database_ask(world->database, "SELECT count(*) FROM zandaka.entries"), 1);
    assert_int_equal(database_ask(world->database, "SELECT count(*) FROM zandaka.balances"), 1);
    assert_int_equal(
        database_ask(world->database, "SELECT count(*) FROM zandaka.accounts WHERE version > 0"),
        1);
    batch_close(first);
    batch_close(second);
    assert_int_equal(run_line(world->stores[1], "add t1 bob points=5"), STORE_OK);
}

static void a_session_is_told_what_the_contract_needs_whatever_the_defaults(void **state)
{
    struct world *world = *state;
    database_run(world->database,
                 "DO $$ DECLARE setting text; BEGIN FOREACH setting IN ARRAY ARRAY["
                 "'synchronous_commit = off', 'lock_timeout = 0', 'statement_timeout = 60000', "
                 "'idle_in_transaction_session_timeout = 0'] LOOP "
                 "EXECUTE format('ALTER DATABASE %I SET %s', current_database(), setting); "
                 "END LOOP; END $$;"
                 "CREATE TABLE seen (name text, value text);"
                 "CREATE FUNCTION see() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS "
                 "'BEGIN INSERT INTO public.seen SELECT name, current_setting(name) FROM unnest("
                 "ARRAY[''synchronous_commit'', ''lock_timeout'', ''statement_timeout'', "
                 "''idle_in_transaction_session_timeout'']) AS s (name); RETURN NULL; END';"
                 "CREATE TRIGGER see AFTER INSERT ON zandaka.transactions "
                 "FOR EACH STATEMENT EXECUTE FUNCTION see()");
    world->stores[0] = open_store(world);
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    assert_int_equal(database_ask(world->database,
                                  "SELECT count(*) FROM seen WHERE (name, value) IN ("
                                  "('synchronous_commit', 'on'), ('lock_timeout', '4s'), "
                                  "('statement_timeout', '0'), "
                                  "('idle_in_transaction_session_timeout', '3s'))"),
                     4);
}

/* --- what an end of the connection means --- */

static void a_connection_lost_before_the_commit_has_written_nothing(void **state)
{
    struct world *world = *state;
    struct batch *batch = loaded(world->stores[0], "add t1 alice points=5");
    end_connections(world);
    assert_int_equal(batch_commit(batch, world->stores[0]), STORE_UNAVAILABLE);
    batch_close(batch);
    assert_int_equal(database_ask(world->database, "SELECT count(*) FROM zandaka.transactions"), 0);
    run_line_in_the_end(world->stores[0], "add t1 alice points=5");
}

/* From now on a commit waits for a standby that never comes. */
static void demand_standby(const struct world *world, const char *name)
{
    char statement[128];
    (void)snprintf(statement, sizeof statement, "ALTER SYSTEM SET synchronous_standby_names = '%s'",
                   name);
    database_run(world->database, statement);
    database_run(world->database, "SELECT pg_reload_conf()");
}

#define TERMINATE "SELECT count(pg_terminate_backend(pid)) " SERVERS "AND wait_event = 'SyncRep'"
#define CANCEL "SELECT count(pg_cancel_backend(pid)) " SERVERS "AND wait_event = 'SyncRep'"

/* A commit of this line that waits for a standby, ended by `ends`, which says how many it has
 * ended: it is there all the same, and yet not what was asked for. The line is a repeat after the
 * first time, and then has nothing to write. */
static void a_commit_that_waits_is_unknown(struct world *world, const char *line, const char *ends)
{
    demand_standby(world, "nobody");
    bool ended = false;
    bool told = true;
    /* The database takes the setting up in its own time: until then commits go through. */
    while (!ended && told) {
        struct step commit = {
            .store = world->stores[0], .batch = loaded(world->stores[0], line), .commits = true};
        start_step(&commit);
        while (!ended && !atomic_load(&commit.done)) {
            ended = database_ask(world->database, ends) > 0;
        }
        told = end_step(&commit) == (ended ? STORE_UNKNOWN : STORE_OK);
        batch_close(commit.batch);
    }
    demand_standby(world, "");
    assert_true(told);
}

static void a_connection_lost_in_the_commit_is_unknown(void **state)
{
    a_commit_that_waits_is_unknown(*state, "add t1 alice points=5", TERMINATE);
}

static void a_commit_that_was_told_not_to_wait_is_unknown(void **state)
{
    a_commit_that_waits_is_unknown(*state, "add t1 alice points=5", CANCEL);
}

/* Nor is what is found told before the standby has it. */
static void a_repeat_that_names_no_account_waits_too(void **state)
{
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "cancel t1"), STORE_OK);
    a_commit_that_waits_is_unknown(world, "cancel t1", CANCEL);
}

/* The end of a copy that waits for a standby, ended by `ends`. */
static void an_end_of_a_copy_that_waits_is_unknown(struct world *world, const char *ends)
{
    struct store_postgres_options options = {
        .url = world->database->owner_url, .kinds = &postgres_kinds, .copying = true};
    struct base_text message;
    world->stores[0] = store_postgres_open(&options, &world->arena, &message);
    assert_non_null(world->stores[0]);
    demand_standby(world, "nobody");
    bool ended = false;
    bool told = true;
    while (!ended && told) {
        database_run(world->database, "SET synchronous_commit = off;"
                                      "UPDATE zandaka.store SET schema_version = -1");
        struct step end = {.store = world->stores[0]};
        start_step(&end);
        while (!ended && !atomic_load(&end.done)) {
            ended = database_ask(world->database, ends) > 0;
        }
        told = end_step(&end) == (ended ? STORE_UNKNOWN : STORE_OK);
    }
    demand_standby(world, "");
    assert_true(told);
}

#define WAITING "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

static void an_end_of_a_copy_that_loses_its_connection_is_unknown(void **state)
{
    an_end_of_a_copy_that_waits_is_unknown(*state,
                                           "SELECT count(pg_terminate_backend(pid)) " WAITING);
}

static void an_end_of_a_copy_that_was_told_not_to_wait_is_unknown(void **state)
{
    an_end_of_a_copy_that_waits_is_unknown(*state, "SELECT count(pg_cancel_backend(pid)) " WAITING);
}

static enum store_fault walk_one_row(struct store *store)
{
    struct store_cursor *cursor = store_cursor_open(store, STORE_TABLE_IDS);
    bool found = false;
    struct store_row row;
    enum store_fault fault = store_cursor_next(cursor, &found, &row);
    store_cursor_close(cursor);
    return fault;
}

static void lost_connections_are_replaced_without_a_word_to_readers(void **state)
{
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    bool found;
    struct base_bytes record;
    assert_int_equal(walk_one_row(world->stores[0]), STORE_OK);
    for (int i = 0; i < 3; i++) {
        end_connections(world);
        assert_int_equal(walk_one_row(world->stores[0]), STORE_OK);
        assert_int_equal(store_read_transaction(world->stores[0], BASE_TEXT("t1"), &world->arena,
                                                &found, &record),
                         STORE_OK);
        assert_true(found);
    }
}

#define READERS (2 * BASE_DATABASE_READERS_MAX)

/* Reads again and again; NULL: each time what is there. */
static void *read_again_and_again(void *argument)
{
    struct store *store = argument;
    struct base_arena arena = BASE_ARENA_EMPTY;
    bool found = true;
    enum store_fault fault = STORE_OK;
    for (int i = 0; i < 50 && fault == STORE_OK && found; i++) {
        struct base_bytes record;
        fault = store_read_transaction(store, BASE_TEXT("t1"), &arena, &found, &record);
    }
    base_arena_release(&arena);
    return fault == STORE_OK && found ? NULL : store;
}

static void many_readers_share_as_many_connections_as_there_may_be(void **state)
{
    struct world *world = *state;
    world->stores[0] = open_store(world);
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    pthread_t threads[READERS];
    bool all_read = true;
    for (int i = 0; i < READERS; i++) {
        base_assert(pthread_create(&threads[i], NULL, read_again_and_again, world->stores[0]) == 0);
    }
    for (int i = 0; i < READERS; i++) {
        void *failed = NULL;
        base_assert(pthread_join(threads[i], &failed) == 0);
        all_read = all_read && failed == NULL;
    }
    assert_true(all_read);
    /* One more writes. */
    assert_true(database_ask(world->database, "SELECT count(*) " SERVERS) <=
                BASE_DATABASE_READERS_MAX + 1);
}

/* --- a database that is not there, or takes no writes --- */

static void a_server_comes_up_before_its_database_and_outlives_it(void **state)
{
    struct world *world = *state;
    const char *reason;
    cluster_command("stop fast");
    world->stores[0] = open_store(world);
    assert_false(store_ready(world->stores[0], &reason));
    assert_non_null(strstr(reason, "cannot be reached"));
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_UNAVAILABLE);
    cluster_command("start");
    wait_until_ready(world->stores[0]);
    run_line_in_the_end(world->stores[0], "add t1 alice points=5");

    struct batch *batch = loaded(world->stores[0], "add t2 alice points=5");
    cluster_command("stop immediate");
    enum store_fault fault = batch_commit(batch, world->stores[0]);
    assert_true(fault == STORE_UNAVAILABLE || fault == STORE_UNKNOWN);
    batch_close(batch);
    assert_int_equal(run_line(world->stores[0], "add t3 alice points=5"), STORE_UNAVAILABLE);
    assert_false(store_ready(world->stores[0], &reason));
    cluster_command("start");
    wait_until_ready(world->stores[0]);
    run_line_in_the_end(world->stores[0], "add t3 alice points=5");
    assert_int_equal(database_ask(world->database, "SELECT count(*) FROM zandaka.transactions"), 2);
}

static void a_database_that_takes_no_writes_is_unavailable_until_it_does(void **state)
{
    struct world *world = *state;
    const char *reason;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    database_run(world->database, "ALTER ROLE server SET default_transaction_read_only = on");
    end_connections(world);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_UNAVAILABLE);
    }
    assert_false(store_ready(world->stores[0], &reason));
    database_run(world->database, "ALTER ROLE server RESET default_transaction_read_only");
    wait_until_ready(world->stores[0]);
    run_line_in_the_end(world->stores[0], "add t2 alice points=5");
}

/* --- locks --- */

/* A server's batch of three commands, in a thread of its own. */
struct crossing {
    pthread_t thread;
    struct store *store;
    const char *lines[3];
    enum store_fault fault;
};

static void *cross(void *argument)
{
    struct crossing *crossing = argument;
    crossing->fault = batch_run_lines(crossing->store, POSTGRES_NOW_US, 3, crossing->lines);
    return NULL;
}

/* Were accounts locked as they are named, each would have its first when the middle one is free,
 * and whoever gets that waits for the other in a circle. */
static void servers_that_name_accounts_in_opposite_orders_do_not_deadlock(void **state)
{
    struct world *world = *state;
    static const char *const before[] = {"add a0 a points=1", "add m0 m points=1",
                                         "add z0 z points=1"};
    assert_int_equal(batch_run_lines(world->stores[0], POSTGRES_NOW_US, 3, before), STORE_OK);
    struct batch *holder = batch_open(&postgres_kinds);
    batch_add_line(holder, "add m1 m points=1");
    assert_int_equal(store_load(world->stores[0], 1, &holder->facts), STORE_OK);
    struct crossing crossings[] = {
        {.store = world->stores[0],
         .lines = {"add a2 a points=1", "add m2 m points=1", "add z2 z points=1"}},
        {.store = world->stores[1],
         .lines = {"add z3 z points=1", "add m3 m points=1", "add a3 a points=1"}},
    };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&crossings[i].thread, NULL, cross, &crossings[i]), 0);
    }
    wait_until(world, "SELECT (count(*) = 2)::integer " SERVERS "AND wait_event_type = 'Lock'");
    store_abandon(world->stores[0], 1, &holder->facts);
    batch_close(holder);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(crossings[i].thread, NULL), 0);
        assert_int_equal(crossings[i].fault, STORE_OK);
    }
}

int main(void)
{
    if (!cluster_is_present()) {
        return POSTGRES_EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        SERVERS_TEST(ids_and_balances_are_read_behind_the_lock),
        WORLD_TEST(ids_and_balances_are_read_behind_the_lock_whatever_the_default_level),
        SERVERS_TEST(an_account_that_comes_to_be_is_waited_for),
        SERVERS_TEST(servers_that_name_accounts_in_opposite_orders_do_not_deadlock),
        SERVERS_TEST(an_account_that_was_given_up_is_inserted_again),
        SERVERS_TEST(an_account_that_was_known_and_is_gone_is_a_conflict_once),
        SERVERS_TEST(an_id_that_another_server_records_is_not_passed_over),
        WORLD_TEST(a_session_is_told_what_the_contract_needs_whatever_the_defaults),
        SERVERS_TEST(a_connection_lost_before_the_commit_has_written_nothing),
        SERVERS_TEST(a_connection_lost_in_the_commit_is_unknown),
        SERVERS_TEST(a_commit_that_was_told_not_to_wait_is_unknown),
        SERVERS_TEST(a_repeat_that_names_no_account_waits_too),
        WORLD_TEST(an_end_of_a_copy_that_loses_its_connection_is_unknown),
        WORLD_TEST(an_end_of_a_copy_that_was_told_not_to_wait_is_unknown),
        WORLD_TEST(many_readers_share_as_many_connections_as_there_may_be),
        SERVERS_TEST(lost_connections_are_replaced_without_a_word_to_readers),
        WORLD_TEST(a_server_comes_up_before_its_database_and_outlives_it),
        SERVERS_TEST(a_database_that_takes_no_writes_is_unavailable_until_it_does),
    };
    return cmocka_run_group_tests_name("store: PostgreSQL", tests, NULL, NULL);
}
