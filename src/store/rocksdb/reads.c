/* The reads. Any thread. */
#include "store/rocksdb/database.h"

#include <stdlib.h>
#include <string.h>

/* --- faults --- */

/* How RocksDB's words begin when a checksum or a form is wrong. It gives words only, no codes. */
static const char corruption_words[] = "Corruption";

static enum store_fault fault_of(const char *error)
{
    return strncmp(error, corruption_words, sizeof corruption_words - 1) == 0 ? STORE_CORRUPT
                                                                              : STORE_UNAVAILABLE;
}

enum store_fault store_rocksdb_read_fault(char *error)
{
    enum store_fault fault = fault_of(error);
    base_log(BASE_LOG_ERROR, "the store could not be read: %s", error);
    rocksdb_free(error);
    return fault;
}

enum store_fault store_rocksdb_row_fault(const char *what, struct base_text key)
{
    base_log(BASE_LOG_ERROR, "the store is damaged: the row of %s makes no sense: %.*s", what,
             BASE_TEXT_ARGS(key));
    return STORE_CORRUPT;
}

static enum store_fault position_fault(const char *what, uint64_t position)
{
    base_log(BASE_LOG_ERROR, "the store is damaged: the record at position %llu %s",
             (unsigned long long)position, what);
    return STORE_CORRUPT;
}

/* --- rows by their keys --- */

static struct base_bytes copy_pinned(const rocksdb_pinnableslice_t *pinned,
                                     struct base_arena *arena)
{
    size_t length;
    const char *bytes = rocksdb_pinnableslice_value(pinned, &length);
    return base_arena_bytes(arena, (struct base_bytes){(const uint8_t *)bytes, length});
}

enum store_fault store_rocksdb_get(struct store_rocksdb *store, enum store_rocksdb_family family,
                                   struct base_bytes key, struct base_arena *arena,
                                   struct base_bytes *ret_value)
{
    char *error = NULL;
    rocksdb_pinnableslice_t *pinned =
        rocksdb_get_pinned_cf(store->database, store->read_options, store->families[family],
                              (const char *)key.bytes, key.length, &error);
    if (error != NULL) {
        return store_rocksdb_read_fault(error);
    }
    *ret_value = (struct base_bytes){NULL, 0};
    if (pinned != NULL) {
        *ret_value = copy_pinned(pinned, arena);
        rocksdb_pinnableslice_destroy(pinned);
    }
    return STORE_OK;
}

enum store_fault store_rocksdb_get_many(struct store_rocksdb *store,
                                        const rocksdb_readoptions_t *read_options,
                                        enum store_rocksdb_family family, size_t n,
                                        const struct base_bytes *keys, struct base_arena *arena,
                                        struct base_bytes *ret_values)
{
    if (n == 0) {
        return STORE_OK;
    }
    const char **key_bytes = base_arena_take(arena, n * sizeof(char *));
    size_t *key_lengths = base_arena_take(arena, n * sizeof(size_t));
    rocksdb_pinnableslice_t **pinned = base_arena_take_zeroed(arena, n, sizeof *pinned);
    char **errors = base_arena_take_zeroed(arena, n, sizeof *errors);
    for (size_t i = 0; i < n; i++) {
        key_bytes[i] = (const char *)keys[i].bytes;
        key_lengths[i] = keys[i].length;
    }
    rocksdb_batched_multi_get_cf(store->database, read_options, store->families[family], n,
                                 key_bytes, key_lengths, pinned, errors, true);
    enum store_fault fault = STORE_OK;
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = (struct base_bytes){NULL, 0};
        if (errors[i] != NULL && fault == STORE_OK) {
            fault = store_rocksdb_read_fault(errors[i]);
        } else if (errors[i] != NULL) {
            /* Told once a call; one damaged row among others that cannot be read is damage. */
            fault = fault_of(errors[i]) == STORE_CORRUPT ? STORE_CORRUPT : fault;
            rocksdb_free(errors[i]);
        } else if (pinned[i] != NULL) {
            ret_values[i] = copy_pinned(pinned[i], arena);
        }
        if (pinned[i] != NULL) {
            rocksdb_pinnableslice_destroy(pinned[i]);
        }
    }
    return fault;
}

enum store_fault store_rocksdb_get_records(struct store_rocksdb *store,
                                           const rocksdb_readoptions_t *read_options, size_t n,
                                           const uint64_t *positions, struct base_arena *arena,
                                           struct base_bytes *ret_records)
{
    struct base_bytes *keys = base_arena_take(arena, n * sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        uint8_t *key = base_arena_take(arena, STORE_ROCKSDB_POSITION_BYTES);
        store_rocksdb_position_key(positions[i], key);
        keys[i] = (struct base_bytes){key, STORE_ROCKSDB_POSITION_BYTES};
    }
    enum store_fault fault = store_rocksdb_get_many(store, read_options, STORE_ROCKSDB_JOURNAL, n,
                                                    keys, arena, ret_records);
    for (size_t i = 0; i < n && fault == STORE_OK; i++) {
        if (ret_records[i].bytes == NULL) {
            return position_fault("is missing", positions[i]);
        }
        struct base_text caller;
        if (!store_rocksdb_read_recorded(ret_records[i], &caller, &ret_records[i])) {
            return position_fault("makes no sense", positions[i]);
        }
    }
    return fault;
}

/* --- transactions --- */

/* A row of the journal. */
struct recorded {
    bool found;
    struct base_text caller;
    struct base_bytes record;
};

static enum store_fault read_position(struct store_rocksdb *store, uint64_t position,
                                      struct base_arena *arena, struct recorded *ret_recorded)
{
    uint8_t key[STORE_ROCKSDB_POSITION_BYTES];
    store_rocksdb_position_key(position, key);
    struct base_bytes value;
    enum store_fault fault = store_rocksdb_get(store, STORE_ROCKSDB_JOURNAL,
                                               (struct base_bytes){key, sizeof key}, arena, &value);
    if (fault != STORE_OK) {
        return fault;
    }
    struct recorded recorded = {.found = value.bytes != NULL};
    if (recorded.found && !store_rocksdb_read_recorded(value, &recorded.caller, &recorded.record)) {
        return position_fault("makes no sense", position);
    }
    *ret_recorded = recorded;
    return STORE_OK;
}

static enum store_fault read_id(struct store_rocksdb *store, struct base_text transaction_id,
                                struct base_arena *arena, struct recorded *ret_recorded)
{
    struct base_bytes value;
    enum store_fault fault =
        store_rocksdb_get(store, STORE_ROCKSDB_IDS, base_bytes_of(transaction_id), arena, &value);
    if (fault != STORE_OK) {
        return fault;
    }
    if (value.bytes == NULL) {
        *ret_recorded = (struct recorded){0};
        return STORE_OK;
    }
    uint64_t position;
    if (!store_rocksdb_read_position(value, &position)) {
        return store_rocksdb_row_fault("a transaction id", transaction_id);
    }
    /* Written together with the id and never changed, so that no snapshot is needed. */
    fault = read_position(store, position, arena, ret_recorded);
    if (fault == STORE_OK && !ret_recorded->found) {
        return position_fault("is missing", position);
    }
    return fault;
}

static enum store_fault give_record(enum store_fault fault, const struct recorded *recorded,
                                    bool *ret_found, struct base_bytes *ret_record)
{
    if (fault != STORE_OK) {
        return fault;
    }
    *ret_found = recorded->found;
    if (recorded->found) {
        *ret_record = recorded->record;
    }
    return STORE_OK;
}

enum store_fault store_rocksdb_read_journal(struct store *base, uint64_t position,
                                            struct base_arena *arena, bool *ret_found,
                                            struct base_bytes *ret_record)
{
    struct recorded recorded;
    enum store_fault fault = read_position(store_rocksdb_of(base), position, arena, &recorded);
    return give_record(fault, &recorded, ret_found, ret_record);
}

enum store_fault store_rocksdb_read_transaction(struct store *base, struct base_text transaction_id,
                                                struct base_arena *arena, bool *ret_found,
                                                struct base_bytes *ret_record)
{
    struct recorded recorded;
    enum store_fault fault = read_id(store_rocksdb_of(base), transaction_id, arena, &recorded);
    return give_record(fault, &recorded, ret_found, ret_record);
}

enum store_fault store_rocksdb_read_caller(struct store *base, struct base_text transaction_id,
                                           struct base_arena *arena, bool *ret_found,
                                           struct base_text *ret_caller)
{
    struct recorded recorded;
    enum store_fault fault = read_id(store_rocksdb_of(base), transaction_id, arena, &recorded);
    if (fault != STORE_OK) {
        return fault;
    }
    *ret_found = recorded.found;
    if (recorded.found) {
        *ret_caller = recorded.caller;
    }
    return STORE_OK;
}

/* --- accounts --- */

/* One of the accounts asked for, and where in the answer it goes. */
struct asked {
    struct base_text account_id;
    size_t index;
};

static int compare_asked(const void *a, const void *b)
{
    const struct asked *left = a;
    const struct asked *right = b;
    return base_text_compare(left->account_id, right->account_id);
}

/* The rows of `n` accounts in order, each key once, all as of one moment. */
static enum store_fault get_accounts_of_one_moment(struct store_rocksdb *store, size_t n,
                                                   const struct base_bytes *keys,
                                                   struct base_arena *arena,
                                                   struct base_bytes *ret_values)
{
    const rocksdb_snapshot_t *snapshot = rocksdb_create_snapshot(store->database);
    rocksdb_readoptions_t *read_options = store_rocksdb_read_options(snapshot);
    enum store_fault fault = store_rocksdb_get_many(store, read_options, STORE_ROCKSDB_ACCOUNTS, n,
                                                    keys, arena, ret_values);
    rocksdb_readoptions_destroy(read_options);
    rocksdb_release_snapshot(store->database, snapshot);
    return fault;
}

enum store_fault store_rocksdb_read_accounts(struct store *base, size_t n,
                                             const struct base_text *account_ids,
                                             struct base_arena *arena,
                                             struct ledger_account *ret_accounts)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    struct asked *asked = base_arena_take(arena, n * sizeof *asked);
    struct base_bytes *keys = base_arena_take(arena, n * sizeof *keys);
    struct base_bytes *values = base_arena_take(arena, n * sizeof *values);
    for (size_t i = 0; i < n; i++) {
        asked[i] = (struct asked){base_arena_text(arena, account_ids[i]), i};
    }
    qsort(asked, n, sizeof *asked, compare_asked);
    size_t n_keys = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !base_text_equal(asked[i].account_id, asked[i - 1].account_id)) {
            keys[n_keys++] = base_bytes_of(asked[i].account_id);
        }
    }
    enum store_fault fault = get_accounts_of_one_moment(store, n_keys, keys, arena, values);
    if (fault != STORE_OK) {
        return fault;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!base_bytes_equal(keys[at], base_bytes_of(asked[i].account_id))) {
            at++;
        }
        struct ledger_account *account = &ret_accounts[asked[i].index];
        account->account_id = asked[i].account_id;
        if (values[at].bytes == NULL) {
            store_rocksdb_account_unseen(account, store->kind_map.n_kinds, arena);
        } else if (!store_rocksdb_read_account(values[at], &store->kind_map, arena, account)) {
            return store_rocksdb_row_fault("an account", account->account_id);
        }
    }
    return STORE_OK;
}

/* --- what entries have in their records --- */

static bool complete_entry(struct ledger_entry *entry, const struct record_transaction *transaction)
{
    if (transaction->operation != entry->operation ||
        transaction->create_time_us != entry->create_time_us) {
        return false;
    }
    entry->transaction_id = transaction->transaction_id;
    entry->original_transaction_id = transaction->original_transaction_id;
    entry->description = transaction->description;
    return true;
}

static int compare_positions(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* The positions in order, each once; gives their number. */
static size_t order_positions(uint64_t *positions, size_t n)
{
    size_t n_kept = 0;
    qsort(positions, n, sizeof *positions, compare_positions);
    for (size_t i = 0; i < n; i++) {
        if (n_kept == 0 || positions[n_kept - 1] != positions[i]) {
            positions[n_kept++] = positions[i];
        }
    }
    return n_kept;
}

enum store_fault store_rocksdb_complete_entries(struct store_rocksdb *store,
                                                const rocksdb_readoptions_t *read_options, size_t n,
                                                struct ledger_entry *entries,
                                                const uint64_t *positions, struct base_arena *arena)
{
    if (n == 0) {
        return STORE_OK;
    }
    uint64_t *ordered = base_arena_take(arena, n * sizeof *ordered);
    memcpy(ordered, positions, n * sizeof *ordered);
    size_t n_records = order_positions(ordered, n);
    struct base_bytes *records = base_arena_take(arena, n_records * sizeof *records);
    enum store_fault fault =
        store_rocksdb_get_records(store, read_options, n_records, ordered, arena, records);
    if (fault != STORE_OK) {
        return fault;
    }
    struct record_transaction *transactions =
        base_arena_take(arena, n_records * sizeof *transactions);
    for (size_t i = 0; i < n_records; i++) {
        if (!record_decode(arena, records[i], &transactions[i])) {
            return position_fault("makes no sense", ordered[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t *found =
            bsearch(&positions[i], ordered, n_records, sizeof *ordered, compare_positions);
        base_assert(found != NULL);
        if (!complete_entry(&entries[i], &transactions[found - ordered])) {
            return position_fault("does not fit an entry that it made", positions[i]);
        }
    }
    return STORE_OK;
}
