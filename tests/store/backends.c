#include "backends.h"

#include "cluster.h"
#include "emulator.h"
#include "place.h"
#include "store/memory/memory.h"
#include "store/postgres/postgres.h"
#include "store/rocksdb/rocksdb.h"
#include "store/spanner/spanner.h"

#include <stdlib.h>

static struct store *memory_open(const struct ledger_kinds *kinds, void **ret_place)
{
    *ret_place = NULL;
    return store_memory_open(kinds);
}

static void memory_destroy(struct store *store, void *place)
{
    (void)place;
    store_close(store);
}

/* --- rocksdb: a place is a directory --- */

static struct store *rocksdb_open_as(const struct place *place, const struct ledger_kinds *kinds,
                                     bool copying)
{
    struct store_rocksdb_options options = store_rocksdb_defaults(place->store, kinds);
    options.copying = copying;
    /* Small, so that the suite meets eviction, flushes and rows that only the disk has. */
    options.account_cache_max = 2;
    options.write_buffers_bytes = (uint64_t)1 << 20;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct store *store = store_rocksdb_open(&options, &arena, &message);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    base_arena_release(&arena);
    return store;
}

static struct store *rocksdb_open_at(const struct place *place, const struct ledger_kinds *kinds)
{
    return rocksdb_open_as(place, kinds, false);
}

static struct store *rocksdb_open_copy(const struct ledger_kinds *kinds, void **ret_place)
{
    struct place *place = place_open();
    *ret_place = place;
    return rocksdb_open_as(place, kinds, true);
}

static struct store *rocksdb_open_new(const struct ledger_kinds *kinds, void **ret_place)
{
    struct place *place = place_open();
    *ret_place = place;
    return rocksdb_open_at(place, kinds);
}

static struct store *rocksdb_reopen(struct store *store, void *place,
                                    const struct ledger_kinds *kinds)
{
    store_close(store);
    return rocksdb_open_at(place, kinds);
}

static struct store *rocksdb_crash(struct store *store, void *place,
                                   const struct ledger_kinds *kinds)
{
    /* The files as they are before the close go on in another directory. */
    place_crash(place);
    store_close(store);
    return rocksdb_open_at(place, kinds);
}

static void rocksdb_destroy(struct store *store, void *place)
{
    store_close(store);
    place_close(place);
}

/* --- postgres: a place is a database --- */

static struct store *postgres_open_as(const char *url, const struct ledger_kinds *kinds,
                                      bool copying)
{
    struct store_postgres_options options = {.url = url, .kinds = kinds, .copying = copying};
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct store *store = store_postgres_open(&options, &arena, &message);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    base_arena_release(&arena);
    return store;
}

static struct store *postgres_open_at(const struct database *database,
                                      const struct ledger_kinds *kinds)
{
    return postgres_open_as(database->url, kinds, false);
}

static struct store *postgres_open_copy(const struct ledger_kinds *kinds, void **ret_place)
{
    struct database *database = database_open(true);
    *ret_place = database;
    return postgres_open_as(database->owner_url, kinds, true);
}

static struct store *postgres_open_new(const struct ledger_kinds *kinds, void **ret_place)
{
    struct database *database = database_open(true);
    *ret_place = database;
    return postgres_open_at(database, kinds);
}

static struct store *postgres_reopen(struct store *store, void *place,
                                     const struct ledger_kinds *kinds)
{
    store_close(store);
    return postgres_open_at(place, kinds);
}

static struct store *postgres_crash(struct store *store, void *place,
                                    const struct ledger_kinds *kinds)
{
    cluster_command("kill");
    cluster_command("start");
    store_close(store);
    return postgres_open_at(place, kinds);
}

static void postgres_destroy(struct store *store, void *place)
{
    store_close(store);
    database_close(place);
}

/* --- spanner: a place is a database of the emulator --- */

static struct store *spanner_open_at(const struct store_spanner_options *database,
                                     const struct ledger_kinds *kinds)
{
    struct store_spanner_options options = *database;
    options.kinds = kinds;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct store *store = store_spanner_open(&options, &arena, &message);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    base_arena_release(&arena);
    return store;
}

static struct store *spanner_open_new(const struct ledger_kinds *kinds, void **ret_place)
{
    struct store_spanner_options *database = base_allocate(sizeof *database);
    *database = emulator_database(true);
    *ret_place = database;
    return spanner_open_at(database, kinds);
}

static struct store *spanner_reopen(struct store *store, void *place,
                                    const struct ledger_kinds *kinds)
{
    store_close(store);
    return spanner_open_at(place, kinds);
}

static void spanner_destroy(struct store *store, void *place)
{
    store_close(store);
    free(place);
}

const struct backend backends[] = {
    {.name = "memory", .keeps_marks = true, .open = memory_open, .destroy = memory_destroy},
    {.name = "rocksdb",
     .open = rocksdb_open_new,
     .open_copy = rocksdb_open_copy,
     .reopen = rocksdb_reopen,
     .crash = rocksdb_crash,
     .destroy = rocksdb_destroy},
    {.name = "postgres",
     .is_present = cluster_is_present,
     .keeps_marks = true,
     .open = postgres_open_new,
     .open_copy = postgres_open_copy,
     .reopen = postgres_reopen,
     .crash = postgres_crash,
     .destroy = postgres_destroy},
    {.name = "spanner",
     .is_present = emulator_is_present,
     .keeps_marks = true,
     .open = spanner_open_new,
     .reopen = spanner_reopen,
     .destroy = spanner_destroy},
};
const size_t n_backends = sizeof backends / sizeof backends[0];
