#include "postgres_world.h"

#include "batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const struct ledger_kinds postgres_kinds = {
    .n_kinds = 1,
    .kinds = {{.code = {"points", 6},
               .max_balance_minor = INT64_MAX,
               .max_amount_minor = BASE_AMOUNT_MAX}},
};

struct store *open_store(struct world *world)
{
    /* As long as it is and no longer, and gone when the store is open. */
    char *url = strdup(world->database->url);
    struct store_postgres_options options = {.url = url, .kinds = &postgres_kinds};
    struct base_text message = BASE_TEXT("");
    struct store *store = store_postgres_open(&options, &world->arena, &message);
    free(url);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    return store;
}

int open_world(void **state)
{
    struct world *world = base_allocate_zeroed(1, sizeof *world);
    world->database = database_open(true);
    *state = world;
    return 0;
}

int open_servers(void **state)
{
    (void)open_world(state);
    struct world *world = *state;
    for (int i = 0; i < 2; i++) {
        world->stores[i] = open_store(world);
    }
    return 0;
}

int close_world(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 2; i++) {
        if (world->stores[i] != NULL) {
            store_close(world->stores[i]);
        }
    }
    database_close(world->database);
    base_arena_release(&world->arena);
    free(world);
    return 0;
}

enum store_fault run_line(struct store *store, const char *line)
{
    return batch_run_lines(store, POSTGRES_NOW_US, 1, &line);
}

void run_line_in_the_end(struct store *store, const char *line)
{
    enum store_fault fault = STORE_UNAVAILABLE;
    for (int i = 0; i < 3000 && (fault = run_line(store, line)) != STORE_OK; i++) {
        (void)usleep(10000);
    }
    assert_int_equal(fault, STORE_OK);
}

void wait_until(const struct world *world, const char *query)
{
    int tries = 0;
    while (database_ask(world->database, query) == 0) {
        base_assert(tries++ < 3000);
        (void)usleep(10000);
    }
}

void wait_until_ready(struct store *store)
{
    const char *reason = "";
    for (int i = 0; !store_ready(store, &reason); i++) {
        if (i == 3000) {
            base_stop("%s", reason);
        }
        (void)usleep(10000);
    }
}

void end_connections(const struct world *world)
{
    (void)database_ask(world->database, "SELECT count(pg_terminate_backend(pid, 5000)) " SERVERS);
}
