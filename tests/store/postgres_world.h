/*
 * The world of the tests of store/postgres: a database of a throw-away cluster, and up to two
 * servers' stores on it. A function that cannot do its part ends the test or the program.
 */
#ifndef ZANDAKA_TESTS_STORE_POSTGRES_WORLD_H
#define ZANDAKA_TESTS_STORE_POSTGRES_WORLD_H

#include "cluster.h"
#include "store/postgres/postgres.h"

/* What CTest takes for a test that was skipped. */
#define POSTGRES_EXIT_SKIPPED 77
#define POSTGRES_NOW_US INT64_C(1764028800000000)

/* One kind, `points`, without limits. */
extern const struct ledger_kinds postgres_kinds;

struct world {
    struct database *database;
    struct store *stores[2];
    struct base_arena arena;
};

/* cmocka's: without a store, or with both. */
int open_world(void **state);
int open_servers(void **state);
int close_world(void **state);
#define SERVERS_TEST(test) cmocka_unit_test_setup_teardown(test, open_servers, close_world)
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

struct store *open_store(struct world *world);

/* A batch of one command. */
enum store_fault run_line(struct store *store, const char *line);
/* The same until it is done: where a database comes back, the first attempts may be told so. */
void run_line_in_the_end(struct store *store, const char *line);

/* Waits for a state of the database that another thread brings about. */
void wait_until(const struct world *world, const char *query);
void wait_until_ready(struct store *store);

/* The servers' own connections. */
#define SERVERS "FROM pg_stat_activity WHERE usename = 'server' AND datname = current_database() "

void end_connections(const struct world *world);

#endif
