/* What opening is made of, for open.c and look.c. */
#ifndef ZANDAKA_STORE_ROCKSDB_OPENING_H
#define ZANDAKA_STORE_ROCKSDB_OPENING_H

#include "store/rocksdb/database.h"

/* What opening works with. */
struct store_rocksdb_opening {
    const struct store_rocksdb_options *options;
    struct store_rocksdb *store;
    struct base_arena *arena;
    struct base_text *ret_message;
    bool is_new; /* nothing was ever written to it, or there is none */
};

/* Every message ends with what to do. */
#define STORE_ROCKSDB_REFUSE(opening, ...)                                                         \
    (*(opening)->ret_message = base_arena_print((opening)->arena, __VA_ARGS__), false)

/* Refuses with RocksDB's words, and frees them. */
bool store_rocksdb_refuse_with_words(const struct store_rocksdb_opening *opening, char *error);
bool store_rocksdb_refuse_as_damaged(const struct store_rocksdb_opening *opening, const char *what);

/* What the default family says. */
struct store_rocksdb_facts_found {
    bool has_rows; /* any at all, ours or not */
    bool has_format;
    uint64_t format;
    bool has_state;
    struct store_rocksdb_state state;
};

/* Reads them through a database and its default family; false: *ret_message. */
bool store_rocksdb_read_facts(const struct store_rocksdb_opening *opening, rocksdb_t *database,
                              rocksdb_column_family_handle_t *family,
                              struct store_rocksdb_facts_found *found) BASE_MUST_USE;

/* Whether the store that is there may be opened; false: *ret_message. Changes nothing, but for
 * opening->is_new: nothing was ever written to it. */
bool store_rocksdb_look(struct store_rocksdb_opening *opening) BASE_MUST_USE;

#endif
