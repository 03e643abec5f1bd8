#include "backends.h"

#include "cluster.h"
#include "emulator.h"
#include "fake_spanner.h"
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

static struct store *spanner_open_as(const struct store_spanner_options *database,
                                     const struct ledger_kinds *kinds, bool copying)
{
    struct store_spanner_options options = *database;
    options.kinds = kinds;
    options.copying = copying;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct store *store = store_spanner_open(&options, &arena, &message);
    if (store == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    base_arena_release(&arena);
    return store;
}

static struct store *spanner_open_at(const struct store_spanner_options *database,
                                     const struct ledger_kinds *kinds)
{
    return spanner_open_as(database, kinds, false);
}

static struct store *spanner_open_copy(const struct ledger_kinds *kinds, void **ret_place)
{
    struct store_spanner_options *database = base_allocate(sizeof *database);
    *database = emulator_database(true);
    *ret_place = database;
    return spanner_open_as(database, kinds, true);
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

/* --- the fake of Spanner: a place is a database, and the network fails --- */

struct fake_place {
    struct base_arena arena;
    struct base_text url;
};

/* Only faults that the store gets over by itself: nobody may notice. Each test has others. */
static void set_fake_rates(void)
{
    static const char *const faults[] = {"StreamingRead unavailable",
                                         "StreamingRead cut",
                                         "StreamingRead cut_reset",
                                         "StreamingRead cut_connection",
                                         "Commit unavailable",
                                         "Commit token",
                                         "Commit lost",
                                         "Commit lost_reset",
                                         "Commit lost_unknown",
                                         "Commit lost_connection",
                                         "Commit unsent",
                                         "Commit unsent_reset",
                                         "Commit unsent_unknown",
                                         "Commit unsent_connection"};
    static unsigned seed = 0;
    fake_spanner_command("seed %u", ++seed);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fake_spanner_command("rate %s 0.005", faults[i]);
    }
}

static struct store *fake_spanner_open_new(const struct ledger_kinds *kinds, void **ret_place)
{
    struct fake_place *place = base_allocate_zeroed(1, sizeof *place);
    *ret_place = place;
    fake_spanner_command("clear");
    place->url = fake_spanner_database(&place->arena);
    struct store *store = fake_spanner_store(place->url, kinds);
    set_fake_rates();
    return store;
}

static struct store *fake_spanner_reopen(struct store *store, void *place,
                                         const struct ledger_kinds *kinds)
{
    store_close(store);
    return fake_spanner_store(((struct fake_place *)place)->url, kinds);
}

static void fake_spanner_destroy(struct store *store, void *place)
{
    store_close(store);
    if (fake_spanner_count("violations") != 0) {
        base_stop("the store has broken a rule of Spanner's API");
    }
    base_arena_release(&((struct fake_place *)place)->arena);
    free(place);
}

const struct backend backends[] = {
    {.name = "memory",
     .keeps_marks = true,
     .is_embedded = true,
     .open = memory_open,
     .destroy = memory_destroy},
    {.name = "rocksdb",
     .is_embedded = true,
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
     .is_slow = true,
     .open = spanner_open_new,
     .open_copy = spanner_open_copy,
     .reopen = spanner_reopen,
     .destroy = spanner_destroy},
    {.name = "fake_spanner",
     .is_present = fake_spanner_is_present,
     .is_slow = true,
     .keeps_marks = true,
     .open = fake_spanner_open_new,
     .reopen = fake_spanner_reopen,
     .destroy = fake_spanner_destroy},
};
const size_t n_backends = sizeof backends / sizeof backends[0];
