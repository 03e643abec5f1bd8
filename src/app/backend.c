/* A store URL becomes a store: the one place that names the backends. */
#include "app/app.h"
#include "store/memory/memory.h"
#include "store/postgres/postgres.h"
#include "store/rocksdb/rocksdb.h"
#include "store/spanner/spanner.h"

#include <stdlib.h>
#include <string.h>

#define SCHEMES                                                                                    \
    "`rocksdb:DIRECTORY`, `memory:`, `postgres://USER@HOST:PORT/DATABASE` or "                     \
    "`spanner:projects/PROJECT/instances/INSTANCE/databases/DATABASE`"

/* What is behind the URL's scheme. */
static struct base_text rest_of(struct base_text url)
{
    const char *colon = memchr(url.bytes, ':', url.length);
    size_t scheme_length = (size_t)(colon - url.bytes) + 1;
    return (struct base_text){url.bytes + scheme_length, url.length - scheme_length};
}

/* Why a URL of the scheme names no store, in the arena or static; NULL: it does. */
static const char *check_memory(struct base_text url, struct base_arena *arena)
{
    struct base_text rest = rest_of(url);
    (void)arena;
    return rest.length == 0 ? NULL : "`memory:` stands alone, since it is kept nowhere";
}

static const char *check_rocksdb(struct base_text url, struct base_arena *arena)
{
    struct base_text rest = rest_of(url);
    (void)arena;
    bool sound = rest.length > 0 && memchr(rest.bytes, '\0', rest.length) == NULL;
    return sound ? NULL : "`rocksdb:` needs a directory: `rocksdb:DIRECTORY`";
}

static const char *check_postgres(struct base_text url, struct base_arena *arena)
{
    struct base_text message;
    if (memchr(url.bytes, '\0', url.length) != NULL) {
        return "it has a NUL in it";
    }
    bool sound = store_postgres_check_url(base_arena_text(arena, url).bytes, arena, &message);
    return sound ? NULL : message.bytes;
}

static const char *check_spanner(struct base_text url, struct base_arena *arena)
{
    struct base_text message;
    (void)arena;
    return store_spanner_check_url(url, &message) ? NULL : message.bytes;
}

static struct store *open_memory(struct base_text url, const struct ledger_kinds *kinds,
                                 struct base_arena *arena, struct base_text *ret_message)
{
    (void)url;
    (void)arena;
    if (kinds == NULL) {
        *ret_message =
            BASE_TEXT("the store `memory:` lives and ends with the server that holds it, "
                      "so there is nothing to read: name a `rocksdb:DIRECTORY`");
        return NULL;
    }
    return store_memory_open(kinds);
}

static struct store *open_rocksdb(struct base_text url, const struct ledger_kinds *kinds,
                                  struct base_arena *arena, struct base_text *ret_message)
{
    struct base_text directory = base_arena_text(arena, rest_of(url));
    struct store_rocksdb_options options = store_rocksdb_defaults(directory.bytes, kinds);
    return store_rocksdb_open(&options, arena, ret_message);
}

static struct store *open_rocksdb_copy(struct base_text url, const struct ledger_kinds *kinds,
                                       struct base_arena *arena, struct base_text *ret_message)
{
    struct base_text directory = base_arena_text(arena, rest_of(url));
    struct store_rocksdb_options options = store_rocksdb_defaults(directory.bytes, kinds);
    options.copying = true;
    return store_rocksdb_open(&options, arena, ret_message);
}

static struct store *open_postgres(struct base_text url, const struct ledger_kinds *kinds,
                                   struct base_arena *arena, struct base_text *ret_message)
{
    struct base_text ended = base_arena_text(arena, url);
    struct store_postgres_options options = {.url = ended.bytes, .kinds = kinds};
    return store_postgres_open(&options, arena, ret_message);
}

static struct store *open_postgres_copy(struct base_text url, const struct ledger_kinds *kinds,
                                        struct base_arena *arena, struct base_text *ret_message)
{
    struct base_text ended = base_arena_text(arena, url);
    struct store_postgres_options options = {.url = ended.bytes, .kinds = kinds, .copying = true};
    return store_postgres_open(&options, arena, ret_message);
}

struct base_text app_spanner_emulator(void)
{
    return base_text_of(getenv("SPANNER_EMULATOR_HOST"));
}

static struct store *open_spanner(struct base_text url, const struct ledger_kinds *kinds,
                                  struct base_arena *arena, struct base_text *ret_message)
{
    const struct store_spanner_options options = {
        .url = url, .emulator = app_spanner_emulator(), .kinds = kinds};
    return store_spanner_open(&options, arena, ret_message);
}

static struct store *open_spanner_copy(struct base_text url, const struct ledger_kinds *kinds,
                                       struct base_arena *arena, struct base_text *ret_message)
{
    const struct store_spanner_options options = {
        .url = url, .emulator = app_spanner_emulator(), .kinds = kinds, .copying = true};
    return store_spanner_open(&options, arena, ret_message);
}

static const struct backend {
    const char *scheme;
    const char *(*check)(struct base_text url, struct base_arena *arena);
    struct store *(*open)(struct base_text url, const struct ledger_kinds *kinds,
                          struct base_arena *arena, struct base_text *ret_message);
    /* To copy another store into it; NULL: it cannot be. */
    struct store *(*open_copy)(struct base_text url, const struct ledger_kinds *kinds,
                               struct base_arena *arena, struct base_text *ret_message);
} backends[] = {
    {"rocksdb:", check_rocksdb, open_rocksdb, open_rocksdb_copy},
    {"memory:", check_memory, open_memory, NULL},
    {"postgres://", check_postgres, open_postgres, open_postgres_copy},
    {"postgresql://", check_postgres, open_postgres, open_postgres_copy},
    {"spanner:", check_spanner, open_spanner, open_spanner_copy},
};

/* The backend that a URL names. NULL: *ret_message says why, without a password. */
static const struct backend *find_backend(struct base_text url, struct base_arena *arena,
                                          struct base_text *ret_message)
{
    const char *why = "it is " SCHEMES;
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        if (!base_text_starts_with(url, base_text_of(backends[i].scheme))) {
            continue;
        }
        why = backends[i].check(url, arena);
        if (why == NULL) {
            return &backends[i];
        }
        break;
    }
    struct base_text shown = app_store_shown_url(url, arena);
    *ret_message = base_arena_print(arena, "`%.*s` names no store: %s", BASE_TEXT_ARGS(shown), why);
    return NULL;
}

struct base_text app_store_shown_url(struct base_text url, struct base_arena *arena)
{
    return store_postgres_shown_url(base_arena_text(arena, url).bytes, arena);
}

bool app_store_check_url(struct base_text url, struct base_arena *arena,
                         struct base_text *ret_message)
{
    return find_backend(url, arena, ret_message) != NULL;
}

struct store *app_store_open(struct base_text url, const struct ledger_kinds *kinds,
                             struct base_arena *arena, struct base_text *ret_message,
                             enum app_exit *ret_exit)
{
    const struct backend *backend = find_backend(url, arena, ret_message);
    if (backend == NULL) {
        *ret_exit = APP_EXIT_USAGE;
        return NULL;
    }
    struct store *store = backend->open(url, kinds, arena, ret_message);
    if (store == NULL) {
        *ret_exit = backend->open == open_memory ? APP_EXIT_USAGE : APP_EXIT_COULD_NOT;
    }
    return store;
}

struct store *app_store_open_copy(struct base_text url, const struct ledger_kinds *kinds,
                                  struct base_arena *arena, struct base_text *ret_message,
                                  enum app_exit *ret_exit)
{
    const struct backend *backend = find_backend(url, arena, ret_message);
    *ret_exit = APP_EXIT_USAGE;
    if (backend == NULL) {
        return NULL;
    }
    if (backend->open_copy == NULL) {
        *ret_message =
            base_arena_print(arena, "nothing can be copied into a store of `%s`", backend->scheme);
        return NULL;
    }
    *ret_exit = APP_EXIT_COULD_NOT;
    return backend->open_copy(url, kinds, arena, ret_message);
}
