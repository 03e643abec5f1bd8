/* A store URL becomes a store: the one place that names the backends. */
#include "app/app.h"
#include "store/memory/memory.h"
#include "store/rocksdb/rocksdb.h"

#include <string.h>

/* What opening works with. */
struct opening {
    struct base_text url;
    struct base_text rest; /* of the URL, behind the scheme */
    const struct ledger_kinds *kinds;
    struct base_arena *arena;
    struct base_text *ret_message;
    enum app_exit *ret_exit;
};

static struct store *refuse(const struct opening *opening, enum app_exit exit_status,
                            struct base_text message)
{
    *opening->ret_message = message;
    *opening->ret_exit = exit_status;
    return NULL;
}

static struct store *open_memory(const struct opening *opening)
{
    if (opening->rest.length > 0) {
        return refuse(opening, APP_EXIT_USAGE,
                      base_arena_print(opening->arena,
                                       "the store `%.*s`: `memory:` stands alone, since it is kept "
                                       "nowhere",
                                       BASE_TEXT_ARGS(opening->url)));
    }
    if (opening->kinds == NULL) {
        return refuse(opening, APP_EXIT_USAGE,
                      BASE_TEXT("the store `memory:` lives and ends with the server that holds it, "
                                "so there is nothing to read: name a `rocksdb:DIRECTORY`"));
    }
    return store_memory_open(opening->kinds);
}

static struct store *open_rocksdb(const struct opening *opening)
{
    if (opening->rest.length == 0 ||
        memchr(opening->rest.bytes, '\0', opening->rest.length) != NULL) {
        return refuse(opening, APP_EXIT_USAGE,
                      BASE_TEXT("the store `rocksdb:` needs a directory: `rocksdb:DIRECTORY`"));
    }
    struct base_text directory = base_arena_text(opening->arena, opening->rest);
    struct store_rocksdb_options options = store_rocksdb_defaults(directory.bytes, opening->kinds);
    struct base_text message;
    struct store *store = store_rocksdb_open(&options, opening->arena, &message);
    return store != NULL ? store : refuse(opening, APP_EXIT_COULD_NOT, message);
}

static struct store *refuse_database(const struct opening *opening)
{
    return refuse(opening, APP_EXIT_USAGE,
                  base_arena_print(opening->arena,
                                   "the store `%.*s`: this version of zandaka has no such backend; "
                                   "it has `rocksdb:DIRECTORY` and `memory:`",
                                   BASE_TEXT_ARGS(opening->url)));
}

static const struct {
    const char *scheme;
    struct store *(*open)(const struct opening *opening);
} schemes[] = {
    {"rocksdb:", open_rocksdb},       {"memory:", open_memory},      {"postgres:", refuse_database},
    {"postgresql:", refuse_database}, {"spanner:", refuse_database},
};

struct store *app_store_open(struct base_text url, const struct ledger_kinds *kinds,
                             struct base_arena *arena, struct base_text *ret_message,
                             enum app_exit *ret_exit)
{
    struct opening opening = {.url = url, .kinds = kinds, .arena = arena};
    opening.ret_message = ret_message;
    opening.ret_exit = ret_exit;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct base_text scheme = base_text_of(schemes[i].scheme);
        if (base_text_starts_with(url, scheme)) {
            opening.rest =
                (struct base_text){url.bytes + scheme.length, url.length - scheme.length};
            return schemes[i].open(&opening);
        }
    }
    return refuse(&opening, APP_EXIT_USAGE,
                  base_arena_print(arena,
                                   "`%.*s` names no store: it is `rocksdb:DIRECTORY` or `memory:`",
                                   BASE_TEXT_ARGS(url)));
}
