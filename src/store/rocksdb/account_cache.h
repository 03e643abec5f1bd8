/*
 * The writer's cache of accounts: account id to the account's row, as it is on disk. It holds only
 * what is durable, and only the thread that loads and commits uses it. Bounded by a number of
 * accounts; when it is full, one that was not used lately makes room (the clock algorithm).
 *
 * Rows are kept as their bytes: an account with few kinds takes little, and there is one decoder.
 */
#ifndef ZANDAKA_STORE_ROCKSDB_ACCOUNT_CACHE_H
#define ZANDAKA_STORE_ROCKSDB_ACCOUNT_CACHE_H

#include "base/base.h"

struct store_rocksdb_account_cache;

/* A cache of at most `accounts_max` accounts; 0: one that keeps nothing. */
struct store_rocksdb_account_cache *store_rocksdb_account_cache_open(size_t accounts_max);
/* The account's row, valid until the next put; false: not in the cache. */
bool store_rocksdb_account_cache_find(struct store_rocksdb_account_cache *cache,
                                      struct base_text account_id, struct base_bytes *ret_row);
/* Keeps a copy of `row`, in place of what was kept for the account. */
void store_rocksdb_account_cache_put(struct store_rocksdb_account_cache *cache,
                                     struct base_text account_id, struct base_bytes row);
void store_rocksdb_account_cache_close(struct store_rocksdb_account_cache *cache);

#endif
