#include "store/rocksdb/account_cache.h"

#include <stdlib.h>
#include <string.h>

/* The end of a bucket's chain. */
#define NO_SLOT UINT32_MAX

struct cached_account {
    uint64_t hash;
    uint8_t *bytes; /* the id, then the row */
    uint32_t row_length;
    uint32_t row_capacity;
    uint32_t next; /* slot in the same bucket's chain */
    uint8_t id_length;
    bool used_lately;
};

struct store_rocksdb_account_cache {
    struct cached_account *slots; /* accounts_max of them, the first n_slots in use */
    size_t accounts_max;
    size_t n_slots;
    size_t hand; /* the slot that is looked at next when room is needed */
    uint32_t *buckets;
    size_t bucket_mask; /* there is a power of two of them */
};

struct store_rocksdb_account_cache *store_rocksdb_account_cache_open(size_t accounts_max)
{
    base_assert(accounts_max < NO_SLOT);
    struct store_rocksdb_account_cache *cache = base_allocate_zeroed(1, sizeof *cache);
    cache->accounts_max = accounts_max;
    cache->slots = base_allocate_zeroed(accounts_max, sizeof *cache->slots);
    size_t n_buckets = 1;
    while (n_buckets < accounts_max) {
        n_buckets *= 2;
    }
    cache->bucket_mask = n_buckets - 1;
    cache->buckets = base_allocate(n_buckets * sizeof *cache->buckets);
    for (size_t i = 0; i < n_buckets; i++) {
        cache->buckets[i] = NO_SLOT;
    }
    return cache;
}

static struct cached_account *find_slot(const struct store_rocksdb_account_cache *cache,
                                        struct base_text account_id, uint64_t hash)
{
    uint32_t slot = cache->buckets[hash & cache->bucket_mask];
    while (slot != NO_SLOT) {
        struct cached_account *account = &cache->slots[slot];
        if (account->hash == hash && account->id_length == account_id.length &&
            memcmp(account->bytes, account_id.bytes, account_id.length) == 0) {
            return account;
        }
        slot = account->next;
    }
    return NULL;
}

bool store_rocksdb_account_cache_find(struct store_rocksdb_account_cache *cache,
                                      struct base_text account_id, struct base_bytes *ret_row)
{
    struct cached_account *account =
        find_slot(cache, account_id, base_hash(base_bytes_of(account_id)));
    if (account == NULL) {
        return false;
    }
    account->used_lately = true;
    *ret_row = (struct base_bytes){account->bytes + account->id_length, account->row_length};
    return true;
}

static void unlink_slot(struct store_rocksdb_account_cache *cache, uint32_t slot)
{
    uint32_t *link = &cache->buckets[cache->slots[slot].hash & cache->bucket_mask];
    while (*link != slot) {
        link = &cache->slots[*link].next;
    }
    *link = cache->slots[slot].next;
}

/* A slot that is in no chain: a fresh one, or that of the first account under the hand that was not
 * used since the hand last passed. */
static uint32_t take_slot(struct store_rocksdb_account_cache *cache)
{
    if (cache->n_slots < cache->accounts_max) {
        return (uint32_t)cache->n_slots++;
    }
    while (cache->slots[cache->hand].used_lately) {
        cache->slots[cache->hand].used_lately = false;
        cache->hand = (cache->hand + 1) % cache->accounts_max;
    }
    uint32_t slot = (uint32_t)cache->hand;
    cache->hand = (cache->hand + 1) % cache->accounts_max;
    unlink_slot(cache, slot);
    free(cache->slots[slot].bytes);
    cache->slots[slot] = (struct cached_account){0};
    return slot;
}

void store_rocksdb_account_cache_put(struct store_rocksdb_account_cache *cache,
                                     struct base_text account_id, struct base_bytes row)
{
    if (cache->accounts_max == 0) {
        return;
    }
    base_assert(account_id.length >= 1 && account_id.length <= BASE_ID_MAX_BYTES);
    base_assert(row.length <= UINT32_MAX);
    uint64_t hash = base_hash(base_bytes_of(account_id));
    struct cached_account *account = find_slot(cache, account_id, hash);
    if (account == NULL) {
        uint32_t slot = take_slot(cache);
        account = &cache->slots[slot];
        account->hash = hash;
        account->id_length = (uint8_t)account_id.length;
        account->next = cache->buckets[hash & cache->bucket_mask];
        cache->buckets[hash & cache->bucket_mask] = slot;
    }
    if (account->bytes == NULL || row.length > account->row_capacity) {
        account->bytes = base_reallocate(account->bytes, account_id.length + row.length);
        account->row_capacity = (uint32_t)row.length;
        memcpy(account->bytes, account_id.bytes, account_id.length);
    }
    memcpy(account->bytes + account_id.length, row.bytes, row.length);
    account->row_length = (uint32_t)row.length;
    account->used_lately = true;
}

void store_rocksdb_account_cache_close(struct store_rocksdb_account_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < cache->n_slots; i++) {
        free(cache->slots[i].bytes);
    }
    free(cache->slots);
    free(cache->buckets);
    free(cache);
}
