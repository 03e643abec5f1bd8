/*
 * store: what PostgreSQL refuses while a batch is loaded, written, or committed, and what a server
 * is told of it. The refusals are made up by triggers.
 */
#include "batch.h"
#include "postgres_world.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Where a refusal comes: in the load, before the COMMIT, and in it. */
enum moment { LOAD, WRITE, COMMIT, MOMENTS };

static const char *const triggers[MOMENTS] = {
    [LOAD] = "CREATE TRIGGER refuses AFTER INSERT ON zandaka.accounts "
             "FOR EACH STATEMENT EXECUTE FUNCTION refuse('%s')",
    [WRITE] = "CREATE TRIGGER refuses AFTER INSERT ON zandaka.transactions "
              "FOR EACH STATEMENT EXECUTE FUNCTION refuse('%s')",
    [COMMIT] = "CREATE CONSTRAINT TRIGGER refuses AFTER INSERT ON zandaka.transactions "
               "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse('%s')",
};

static const char *const ends[MOMENTS] = {
    [LOAD] = "DROP TRIGGER refuses ON zandaka.accounts",
    [WRITE] = "DROP TRIGGER refuses ON zandaka.transactions",
    [COMMIT] = "DROP TRIGGER refuses ON zandaka.transactions",
};

static void make_function(const struct world *world)
{
    database_run(world->database,
                 "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                 "'BEGIN RAISE EXCEPTION ''made up'' USING ERRCODE = TG_ARGV[0]; END'");
}

static void what_the_database_refuses_is_told_as_what_it_is(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *sqlstate;
        enum store_fault told[MOMENTS];
    } rows[] = {
        {"40001", {STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT}},
        {"40P01", {STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT}},
        {"55P03", {STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT}},
        {"23505", {STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT}},
        {"XX001", {STORE_CORRUPT, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        {"XX002", {STORE_CORRUPT, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        {"25006", {STORE_UNAVAILABLE, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        {"25P03", {STORE_UNAVAILABLE, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        {"53100", {STORE_UNAVAILABLE, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        {"42P01", {STORE_UNAVAILABLE, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        {"3F000", {STORE_UNAVAILABLE, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        {"57014", {STORE_UNAVAILABLE, STORE_UNAVAILABLE, STORE_UNAVAILABLE}},
        /* Only in the COMMIT itself do these leave open whether it happened. */
        {"08006", {STORE_UNAVAILABLE, STORE_UNAVAILABLE, STORE_UNKNOWN}},
        {"40003", {STORE_CONFLICT, STORE_CONFLICT, STORE_UNKNOWN}},
    };
    make_function(world);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int moment = LOAD; moment < MOMENTS; moment++) {
            char line[64];
            char statement[256];
            /* An account that is known to be there is not inserted by a load. */
            (void)snprintf(line, sizeof line, "add t%zu-%d account-%zu-%d points=5", i, moment, i,
                           moment);
            (void)snprintf(statement, sizeof statement, triggers[moment], rows[i].sqlstate);
            wait_until_ready(world->stores[0]);
            database_run(world->database, statement);
            enum store_fault fault = run_line(world->stores[0], line);
            if (fault != rows[i].told[moment]) {
                fail_msg("%s at moment %d is told as %d", rows[i].sqlstate, moment, (int)fault);
            }
            database_run(world->database, ends[moment]);
            run_line_in_the_end(world->stores[0], line);
        }
    }
}

/* One step of a batch, in a thread of its own. */
struct commit {
    pthread_t thread;
    struct store *store;
    struct batch *batch;
    enum store_fault fault;
};

static void *do_commit(void *argument)
{
    struct commit *commit = argument;
    commit->fault = batch_commit(commit->batch, commit->store);
    return NULL;
}

/* The database has not been told to commit by then. */
static void a_connection_lost_in_a_statement_before_the_commit_has_written_nothing(void **state)
{
    struct world *world = *state;
    static const char *const lines[] = {"add t1 alice points=5", "cancel t2"};
    database_run(world->database, "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS "
                                  "'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';"
                                  "CREATE TRIGGER sleeps AFTER INSERT ON zandaka.transactions "
                                  "FOR EACH STATEMENT EXECUTE FUNCTION sleep()");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct batch *batch = batch_open(&postgres_kinds);
        batch_add_line(batch, lines[i]);
        struct commit commit = {.store = world->stores[i], .batch = batch};
        assert_int_equal(batch_load(batch, world->stores[i]), STORE_OK);
        batch_decide(batch, POSTGRES_NOW_US);
        assert_int_equal(pthread_create(&commit.thread, NULL, do_commit, &commit), 0);
        wait_until(world, "SELECT count(*) " SERVERS "AND wait_event = 'PgSleep'");
        assert_true(database_ask(world->database,
                                 "SELECT count(pg_terminate_backend(pid, 5000)) " SERVERS
                                 "AND wait_event = 'PgSleep'") > 0);
        assert_int_equal(pthread_join(commit.thread, NULL), 0);
        assert_int_equal(commit.fault, STORE_UNAVAILABLE);
        batch_close(batch);
    }
    assert_int_equal(database_ask(world->database, "SELECT count(*) FROM zandaka.transactions"), 0);
}

int main(void)
{
    if (!cluster_is_present()) {
        return POSTGRES_EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        SERVERS_TEST(what_the_database_refuses_is_told_as_what_it_is),
        SERVERS_TEST(a_connection_lost_in_a_statement_before_the_commit_has_written_nothing),
    };
    return cmocka_run_group_tests_name("store: PostgreSQL's refusals", tests, NULL, NULL);
}
