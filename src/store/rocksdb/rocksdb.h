/*
 * store/rocksdb: the default backend, embedded in the process. One directory, one server; durable
 * before it answers: one synced write for each batch.
 */
#ifndef ZANDAKA_STORE_ROCKSDB_H
#define ZANDAKA_STORE_ROCKSDB_H

#include "store/store.h"

struct store_rocksdb_options {
    const char *directory;
    /* The configured kinds, which must outlive the store. The store is made when there is none; it
     * remembers the kinds, and refuses to open when one that it has served is missing.
     * NULL: open only to read, what was served is what counts, nothing is made or changed. */
    const struct ledger_kinds *kinds;
    /* Open to copy another store into it (store_copy_in): a new one, or one whose copying was
     * interrupted, and no other. `kinds` are the other's. */
    bool copying;
    /* Free bytes on the disk below which commits are STORE_UNAVAILABLE. */
    uint64_t free_space_reserve_bytes;
    /* Memory for cached blocks, and for all write buffers together. */
    uint64_t cache_bytes;
    uint64_t write_buffers_bytes;
    /* Accounts that the writer keeps in memory. */
    size_t account_cache_max;
};

/* The options that the limits give, for `directory` and `kinds`. */
struct store_rocksdb_options store_rocksdb_defaults(const char *directory,
                                                    const struct ledger_kinds *kinds);

/* NULL: it cannot be opened, and *ret_message says why and what to do, in the arena: in use by
 * another process, no store there, a format that this version does not know, a kind missing, a log
 * that ends before what is known to have been durable, corruption, no permission; a copy that has
 * not ended, unless `copying`, and a store that is no such copy when `copying`. */
struct store *store_rocksdb_open(const struct store_rocksdb_options *options,
                                 struct base_arena *arena, struct base_text *ret_message);

#endif
