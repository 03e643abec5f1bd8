/* A store URL becomes a store: the one place that names the backends. */
#include "app/app.h"
#include "store/memory/memory.h"
#include "store/rocksdb/rocksdb.h"

#include <string.h>

/* Why the rest of a URL, behind its scheme, names no store; NULL: it does. */
static const char *check_memory(struct base_text rest)
{
    return rest.length == 0 ? NULL : "`memory:` stands alone, since it is kept nowhere";
}

static const char *check_rocksdb(struct base_text rest)
{
    bool sound = rest.length > 0 && memchr(rest.bytes, '\0', rest.length) == NULL;
    return sound ? NULL : "`rocksdb:` needs a directory: `rocksdb:DIRECTORY`";
}

static const char *check_database(struct base_text rest)
{
    (void)rest;
    return "this version of zandaka has no such backend; it has `rocksdb:DIRECTORY` and `memory:`";
}

static struct store *open_memory(struct base_text rest, const struct ledger_kinds *kinds,
                                 struct base_arena *arena, struct base_text *ret_message)
{
    (void)rest;
    (void)arena;
    if (kinds == NULL) {
        *ret_message =
            BASE_TEXT("the store `memory:` lives and ends with the server that holds it, "
                      "so there is nothing to read: name a `rocksdb:DIRECTORY`");
        return NULL;
    }
    return store_memory_open(kinds);
}

static struct store *open_rocksdb(struct base_text rest, const struct ledger_kinds *kinds,
                                  struct base_arena *arena, struct base_text *ret_message)
{
    struct base_text directory = base_arena_text(arena, rest);
    struct store_rocksdb_options options = store_rocksdb_defaults(directory.bytes, kinds);
    return store_rocksdb_open(&options, arena, ret_message);
}

static const struct backend {
    const char *scheme;
    const char *(*check)(struct base_text rest);
    struct store *(*open)(struct base_text rest, const struct ledger_kinds *kinds,
                          struct base_arena *arena, struct base_text *ret_message);
} backends[] = {
    {"rocksdb:", check_rocksdb, open_rocksdb}, {"memory:", check_memory, open_memory},
    {"postgres:", check_database, NULL},       {"postgresql:", check_database, NULL},
    {"spanner:", check_database, NULL},
};

/* The backend that a URL names, with the rest of the URL. NULL: *ret_message says why. */
static const struct backend *find_backend(struct base_text url, struct base_arena *arena,
                                          struct base_text *ret_rest, struct base_text *ret_message)
{
    const char *why = "it is `rocksdb:DIRECTORY` or `memory:`";
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        struct base_text scheme = base_text_of(backends[i].scheme);
        if (!base_text_starts_with(url, scheme)) {
            continue;
        }
        struct base_text rest = {url.bytes + scheme.length, url.length - scheme.length};
        why = backends[i].check(rest);
        if (why == NULL) {
            *ret_rest = rest;
            return &backends[i];
        }
        break;
    }
    *ret_message = base_arena_print(arena, "`%.*s` names no store: %s", BASE_TEXT_ARGS(url), why);
    return NULL;
}

bool app_store_check_url(struct base_text url, struct base_arena *arena,
                         struct base_text *ret_message)
{
    struct base_text rest;
    return find_backend(url, arena, &rest, ret_message) != NULL;
}

struct store *app_store_open(struct base_text url, const struct ledger_kinds *kinds,
                             struct base_arena *arena, struct base_text *ret_message,
                             enum app_exit *ret_exit)
{
    struct base_text rest;
    const struct backend *backend = find_backend(url, arena, &rest, ret_message);
    if (backend == NULL) {
        *ret_exit = APP_EXIT_USAGE;
        return NULL;
    }
    struct store *store = backend->open(rest, kinds, arena, ret_message);
    if (store == NULL) {
        *ret_exit = backend->open == open_memory ? APP_EXIT_USAGE : APP_EXIT_COULD_NOT;
    }
    return store;
}
