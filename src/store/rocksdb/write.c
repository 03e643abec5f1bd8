/* Load and commit: the writer's side. One thread at a time. */
#include "store/rocksdb/database.h"
#include "store/rocksdb/mark.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A fact or an effect under its key. Rows are read and written in the order of their keys, which
 * saves RocksDB most of its searching. */
struct keyed {
    struct base_text key;
    size_t index; /* in the list that it comes from */
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *left = a;
    const struct keyed *right = b;
    return base_text_compare(left->key, right->key);
}

static void sort_keyed(struct keyed *list, size_t n)
{
    if (n > 1) {
        qsort(list, n, sizeof *list, compare_keyed);
    }
}

/* The values under the keys of a sorted list, in its order. */
static enum store_fault get_keyed(struct store_rocksdb *store, enum store_rocksdb_family family,
                                  const struct keyed *list, size_t n, struct base_arena *arena,
                                  struct base_bytes **ret_values)
{
    struct base_bytes *keys = base_arena_take(arena, n * sizeof *keys);
    struct base_bytes *values = base_arena_take(arena, n * sizeof *values);
    for (size_t i = 0; i < n; i++) {
        keys[i] = base_bytes_of(list[i].key);
    }
    *ret_values = values;
    return store_rocksdb_get_many(store, store->read_options, family, n, keys, arena, values);
}

/* --- load --- */

/* A transaction that is recorded, and where. */
struct located {
    uint64_t position;
    struct ledger_transaction *transaction;
};

static int compare_located(const void *a, const void *b)
{
    const struct located *left = a;
    const struct located *right = b;
    return (left->position > right->position) - (left->position < right->position);
}

/* The transactions of the batch that are recorded, in the order of their positions; the others
 * become LEDGER_ABSENT. */
static enum store_fault locate_transactions(struct store_rocksdb *store, struct ledger_facts *facts,
                                            struct located *list, size_t *ret_n)
{
    struct keyed *ids = base_arena_take(facts->arena, facts->n_transactions * sizeof *ids);
    for (size_t i = 0; i < facts->n_transactions; i++) {
        ids[i] = (struct keyed){facts->transactions[i]->transaction_id, i};
    }
    sort_keyed(ids, facts->n_transactions);
    struct base_bytes *values;
    enum store_fault fault =
        get_keyed(store, STORE_ROCKSDB_IDS, ids, facts->n_transactions, facts->arena, &values);
    if (fault != STORE_OK) {
        return fault;
    }
    size_t n = 0;
    for (size_t i = 0; i < facts->n_transactions; i++) {
        struct ledger_transaction *transaction = facts->transactions[ids[i].index];
        if (values[i].bytes == NULL) {
            transaction->presence = LEDGER_ABSENT;
            transaction->record = (struct base_bytes){NULL, 0};
            continue;
        }
        list[n].transaction = transaction;
        if (!store_rocksdb_read_position(values[i], &list[n++].position)) {
            return store_rocksdb_row_fault("a transaction id", ids[i].key);
        }
    }
    if (n > 1) {
        qsort(list, n, sizeof *list, compare_located);
    }
    *ret_n = n;
    return STORE_OK;
}

static enum store_fault load_transactions(struct store_rocksdb *store, struct ledger_facts *facts)
{
    struct base_arena *arena = facts->arena;
    struct located *list = base_arena_take(arena, facts->n_transactions * sizeof *list);
    size_t n = 0;
    enum store_fault fault = locate_transactions(store, facts, list, &n);
    if (fault != STORE_OK) {
        return fault;
    }
    uint64_t *positions = base_arena_take(arena, n * sizeof *positions);
    struct base_bytes *records = base_arena_take(arena, n * sizeof *records);
    for (size_t i = 0; i < n; i++) {
        positions[i] = list[i].position;
        /* Two ids at one position would be one answer for two transactions. */
        if (i > 0 && positions[i] == positions[i - 1]) {
            return store_rocksdb_row_fault("a transaction id", list[i].transaction->transaction_id);
        }
    }
    fault = store_rocksdb_get_records(store, store->read_options, n, positions, arena, records);
    if (fault != STORE_OK) {
        return fault;
    }
    for (size_t i = 0; i < n; i++) {
        list[i].transaction->presence = LEDGER_RECORDED;
        list[i].transaction->record = records[i];
    }
    return STORE_OK;
}

/* The durable row of each account, in the order of `accounts`, from the cache or else from disk;
 * bytes NULL: never seen. What is read from disk goes to the cache. */
static enum store_fault find_account_rows(struct store_rocksdb *store,
                                          const struct ledger_facts *facts,
                                          struct base_bytes *ret_rows)
{
    struct base_arena *arena = facts->arena;
    struct keyed *missing = base_arena_take(arena, facts->n_accounts * sizeof *missing);
    size_t n = 0;
    for (size_t i = 0; i < facts->n_accounts; i++) {
        struct base_text account_id = facts->accounts[i]->account_id;
        struct base_bytes row;
        if (store_rocksdb_account_cache_find(store->account_cache, account_id, &row)) {
            ret_rows[i] = base_arena_bytes(arena, row);
        } else {
            missing[n++] = (struct keyed){account_id, i};
        }
    }
    base_counter_add(&store->store.cache_hits, facts->n_accounts - n);
    base_counter_add(&store->store.cache_misses, n);
    sort_keyed(missing, n);
    struct base_bytes *values;
    enum store_fault fault = get_keyed(store, STORE_ROCKSDB_ACCOUNTS, missing, n, arena, &values);
    if (fault != STORE_OK) {
        return fault;
    }
    for (size_t i = 0; i < n; i++) {
        ret_rows[missing[i].index] = values[i];
        if (values[i].bytes != NULL) {
            store_rocksdb_account_cache_put(store->account_cache, missing[i].key, values[i]);
        }
    }
    return STORE_OK;
}

static enum store_fault load_accounts(struct store_rocksdb *store, struct ledger_facts *facts)
{
    struct base_bytes *rows = base_arena_take(facts->arena, facts->n_accounts * sizeof *rows);
    enum store_fault fault = find_account_rows(store, facts, rows);
    if (fault != STORE_OK) {
        return fault;
    }
    for (size_t i = 0; i < facts->n_accounts; i++) {
        struct ledger_account *account = facts->accounts[i];
        if (rows[i].bytes == NULL) {
            store_rocksdb_account_unseen(account, store->kind_map.n_kinds, facts->arena);
        } else if (!store_rocksdb_read_account(rows[i], &store->kind_map, facts->arena, account)) {
            return store_rocksdb_row_fault("an account", account->account_id);
        }
    }
    return STORE_OK;
}

enum store_fault store_rocksdb_load(struct store *base, unsigned session,
                                    struct ledger_facts *facts)
{
    (void)session;
    struct store_rocksdb *store = store_rocksdb_of(base);
    enum store_fault fault = load_transactions(store, facts);
    if (fault == STORE_OK) {
        fault = load_accounts(store, facts);
    }
    store->undisturbed = fault == STORE_OK ? facts : NULL;
    return fault;
}

void store_rocksdb_abandon(struct store *base, unsigned session, const struct ledger_facts *facts)
{
    (void)session;
    struct store_rocksdb *store = store_rocksdb_of(base);
    if (store->undisturbed == facts) {
        store->undisturbed = NULL;
    }
}

/* --- whether the facts still hold --- */

static enum store_fault ids_still_hold(struct store_rocksdb *store,
                                       const struct ledger_facts *facts)
{
    struct keyed *absent = base_arena_take(facts->arena, facts->n_transactions * sizeof *absent);
    size_t n = 0;
    for (size_t i = 0; i < facts->n_transactions; i++) {
        /* What is recorded stays recorded, so only an absence can have become untrue. */
        if (facts->transactions[i]->presence != LEDGER_RECORDED) {
            absent[n++] = (struct keyed){facts->transactions[i]->transaction_id, i};
        }
    }
    sort_keyed(absent, n);
    struct base_bytes *values;
    enum store_fault fault = get_keyed(store, STORE_ROCKSDB_IDS, absent, n, facts->arena, &values);
    for (size_t i = 0; i < n && fault == STORE_OK; i++) {
        fault = values[i].bytes != NULL ? STORE_CONFLICT : STORE_OK;
    }
    return fault;
}

static enum store_fault accounts_still_hold(struct store_rocksdb *store,
                                            const struct ledger_facts *facts)
{
    struct base_bytes *rows = base_arena_take(facts->arena, facts->n_accounts * sizeof *rows);
    enum store_fault fault = find_account_rows(store, facts, rows);
    for (size_t i = 0; i < facts->n_accounts && fault == STORE_OK; i++) {
        struct ledger_account now = {0};
        if (rows[i].bytes != NULL &&
            !store_rocksdb_read_account(rows[i], &store->kind_map, facts->arena, &now)) {
            return store_rocksdb_row_fault("an account", facts->accounts[i]->account_id);
        }
        fault = now.version != facts->accounts[i]->loaded_version ? STORE_CONFLICT : STORE_OK;
    }
    return fault;
}

/*
 * The service loads and commits in turn, so that between the two nothing can have changed and
 * nothing is looked at again. Only who loads two batches at once pays for the comparison.
 */
static enum store_fault facts_still_hold(struct store_rocksdb *store,
                                         const struct ledger_facts *facts)
{
    if (store->undisturbed == facts) {
        return STORE_OK;
    }
    enum store_fault fault = ids_still_hold(store, facts);
    if (fault == STORE_OK) {
        fault = accounts_still_hold(store, facts);
    }
    /* A commit tells of a damaged store as of one that is not there: nothing was written. */
    return fault == STORE_CORRUPT ? STORE_UNAVAILABLE : fault;
}

/* --- free space --- */

/* RocksDB aborts the process inside a write that meets a full disk, so writes stop well before. */
static bool has_space(const struct store_rocksdb *store, uint64_t *ret_free_bytes)
{
    return store_rocksdb_directory_free(store->directory_fd, ret_free_bytes) &&
           *ret_free_bytes >= store->free_space_reserve_bytes;
}

bool store_rocksdb_ready(struct store *base, const char **ret_reason)
{
    const struct store_rocksdb *store = store_rocksdb_of(base);
    uint64_t free_bytes;
    if (store->read_only || has_space(store, &free_bytes)) {
        return true;
    }
    *ret_reason = "the disk of the store has less free space than the reserve: no writes until "
                  "there is more";
    return false;
}

static bool may_write(struct store_rocksdb *store)
{
    uint64_t free_bytes = 0;
    bool enough = has_space(store, &free_bytes);
    if (enough == store->short_of_space) {
        store->short_of_space = !enough;
        base_log(enough ? BASE_LOG_INFO : BASE_LOG_ERROR,
                 "the disk of the store %s has %" PRIu64 " MiB free and %" PRIu64
                 " MiB are kept in reserve: %s",
                 store->directory, free_bytes >> 20, store->free_space_reserve_bytes >> 20,
                 enough ? "writes are taken again"
                        : "writes are refused until there is more; reads go on");
    }
    return enough;
}

/* --- commit --- */

static void put(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                enum store_rocksdb_family family, struct base_bytes key, struct base_bytes value)
{
    rocksdb_writebatch_put_cf(batch, store->families[family], (const char *)key.bytes, key.length,
                              (const char *)value.bytes, value.length);
}

void store_rocksdb_put_format(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                              uint64_t format)
{
    struct base_writer row = {NULL, 0, 0};
    store_rocksdb_write_format(&row, format);
    put(store, batch, STORE_ROCKSDB_DEFAULT, base_bytes_of(STORE_ROCKSDB_FORMAT_KEY),
        base_writer_bytes(&row));
    base_writer_release(&row);
}

char *store_rocksdb_write_synced(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                                 size_t n_transactions)
{
    struct store_rocksdb_state next = {store->state.batch + 1,
                                       store->state.position + n_transactions};
    struct base_writer row = {NULL, 0, 0};
    store_rocksdb_write_state(&row, next);
    put(store, batch, STORE_ROCKSDB_DEFAULT, base_bytes_of(STORE_ROCKSDB_STATE_KEY),
        base_writer_bytes(&row));
    base_writer_release(&row);
    char *error = NULL;
    rocksdb_write(store->database, store->write_options, batch, &error);
    if (error == NULL) {
        store->state = next;
    }
    return error;
}

static void put_journal(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                        const struct ledger_facts *facts)
{
    struct base_writer row = {NULL, 0, 0};
    for (size_t i = 0; i < facts->n_new; i++) {
        const struct ledger_transaction *transaction = facts->new_transactions[i];
        uint8_t key[STORE_ROCKSDB_POSITION_BYTES];
        store_rocksdb_position_key(store->state.position + 1 + i, key);
        row.length = 0;
        store_rocksdb_write_recorded(&row, transaction->caller, transaction->record);
        put(store, batch, STORE_ROCKSDB_JOURNAL, (struct base_bytes){key, sizeof key},
            base_writer_bytes(&row));
    }
    base_writer_release(&row);
}

static void put_ids(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                    const struct ledger_facts *facts)
{
    struct keyed *ids = base_arena_take(facts->arena, facts->n_new * sizeof *ids);
    for (size_t i = 0; i < facts->n_new; i++) {
        ids[i] = (struct keyed){facts->new_transactions[i]->transaction_id, i};
    }
    sort_keyed(ids, facts->n_new);
    for (size_t i = 0; i < facts->n_new; i++) {
        uint8_t position[STORE_ROCKSDB_POSITION_BYTES];
        store_rocksdb_position_key(store->state.position + 1 + ids[i].index, position);
        put(store, batch, STORE_ROCKSDB_IDS, base_bytes_of(ids[i].key),
            (struct base_bytes){position, sizeof position});
    }
}

/* Where each entry's transaction is in the journal, when it is written with it. */
static uint64_t *positions_of_new(const struct store_rocksdb *store,
                                  const struct ledger_facts *facts)
{
    uint64_t *positions = base_arena_take(facts->arena, facts->n_entries * sizeof *positions);
    for (size_t i = 0; i < facts->n_new; i++) {
        const struct ledger_transaction *transaction = facts->new_transactions[i];
        for (size_t entry = 0; entry < transaction->n_entries; entry++) {
            positions[transaction->first_entry + entry] = store->state.position + 1 + i;
        }
    }
    return positions;
}

static void put_entries(struct store_rocksdb *store, rocksdb_writebatch_t *batch,
                        const struct ledger_facts *facts, const uint64_t *positions)
{
    struct base_arena *arena = facts->arena;
    struct keyed *keys = base_arena_take(arena, facts->n_entries * sizeof *keys);
    for (size_t i = 0; i < facts->n_entries; i++) {
        const struct ledger_entry *entry = &facts->entries[i];
        uint8_t *key = base_arena_take(arena, STORE_ROCKSDB_ENTRY_KEY_MAX_BYTES);
        size_t length = store_rocksdb_entry_key(entry->account_id, entry->sequence, key);
        keys[i] = (struct keyed){{(const char *)key, length}, i};
    }
    sort_keyed(keys, facts->n_entries);
    struct base_writer row = {NULL, 0, 0};
    for (size_t i = 0; i < facts->n_entries; i++) {
        size_t index = keys[i].index;
        row.length = 0;
        store_rocksdb_write_entry(&row, &store->kind_map, &facts->entries[index], positions[index]);
        put(store, batch, STORE_ROCKSDB_ENTRIES, base_bytes_of(keys[i].key),
            base_writer_bytes(&row));
    }
    base_writer_release(&row);
}

/* The changed accounts with their new rows, for the cache once they are durable. */
struct changed_accounts {
    size_t n;
    struct base_text *account_ids;
    struct base_bytes *rows;
};

static struct changed_accounts put_accounts(struct store_rocksdb *store,
                                            rocksdb_writebatch_t *batch,
                                            const struct ledger_facts *facts)
{
    struct base_arena *arena = facts->arena;
    struct keyed *keys = base_arena_take(arena, facts->n_accounts * sizeof *keys);
    struct changed_accounts changed = {0};
    for (size_t i = 0; i < facts->n_accounts; i++) {
        if (facts->accounts[i]->changed) {
            keys[changed.n++] = (struct keyed){facts->accounts[i]->account_id, i};
        }
    }
    sort_keyed(keys, changed.n);
    changed.account_ids = base_arena_take(arena, changed.n * sizeof *changed.account_ids);
    changed.rows = base_arena_take(arena, changed.n * sizeof *changed.rows);
    struct base_writer row = {NULL, 0, 0};
    for (size_t i = 0; i < changed.n; i++) {
        row.length = 0;
        store_rocksdb_write_account(&row, &store->kind_map, facts->accounts[keys[i].index]);
        changed.account_ids[i] = keys[i].key;
        changed.rows[i] = base_arena_bytes(arena, base_writer_bytes(&row));
        put(store, batch, STORE_ROCKSDB_ACCOUNTS, base_bytes_of(keys[i].key), changed.rows[i]);
    }
    base_writer_release(&row);
    return changed;
}

/* After a failed write nobody knows what is on disk, and a sync that has failed once may succeed
 * the next time without having written anything: there is nothing right left to do but to stop,
 * and to recover from what is there (contract 3.12). */
static void write_or_stop(struct store_rocksdb *store, rocksdb_writebatch_t *batch, size_t n_new)
{
    char *error = store_rocksdb_write_synced(store, batch, n_new);
    if (error != NULL) {
        base_stop("the store in %s could not write: %s; the process stops, since nobody knows what "
                  "is on the disk: look at the disk, then start again",
                  store->directory, error);
    }
    if (!store_rocksdb_mark_write(store->mark_fd, store->state) ||
        !store_rocksdb_manifest_note(&store->manifest, store->directory_fd, store->mark_fd)) {
        base_stop("the store in %s could not write %s: %s; the process stops: look at the disk, "
                  "then start again",
                  store->directory, STORE_ROCKSDB_MARK_FILE, strerror(errno));
    }
}

enum store_fault store_rocksdb_commit(struct store *base, unsigned session,
                                      const struct ledger_facts *facts)
{
    (void)session;
    struct store_rocksdb *store = store_rocksdb_of(base);
    base_assert(!store->read_only);
    enum store_fault fault = facts_still_hold(store, facts);
    if (fault != STORE_OK) {
        return fault;
    }
    /* Refusals and replays rest on facts that are durable, so they need no write of their own. */
    if (facts->n_new == 0) {
        return STORE_OK;
    }
    if (!may_write(store)) {
        return STORE_UNAVAILABLE;
    }
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    put_journal(store, batch, facts);
    put_ids(store, batch, facts);
    put_entries(store, batch, facts, positions_of_new(store, facts));
    struct changed_accounts changed = put_accounts(store, batch, facts);
    write_or_stop(store, batch, facts->n_new);
    rocksdb_writebatch_destroy(batch);
    for (size_t i = 0; i < changed.n; i++) {
        store_rocksdb_account_cache_put(store->account_cache, changed.account_ids[i],
                                        changed.rows[i]);
    }
    store->undisturbed = NULL;
    return STORE_OK;
}

/* --- copying --- */

/* Where each entry's transaction is in the journal, when it is there already. */
static enum store_fault positions_of_recorded(struct store_rocksdb *store,
                                              const struct ledger_facts *rows,
                                              uint64_t **ret_positions)
{
    struct keyed *ids = base_arena_take(rows->arena, rows->n_entries * sizeof *ids);
    for (size_t i = 0; i < rows->n_entries; i++) {
        ids[i] = (struct keyed){rows->entries[i].transaction_id, i};
    }
    sort_keyed(ids, rows->n_entries);
    /* A transaction of several legs is named by each of them. */
    struct keyed *unique = base_arena_take(rows->arena, rows->n_entries * sizeof *unique);
    size_t n_unique = 0;
    for (size_t i = 0; i < rows->n_entries; i++) {
        if (i == 0 || !base_text_equal(ids[i].key, ids[i - 1].key)) {
            unique[n_unique++] = ids[i];
        }
    }
    struct base_bytes *values;
    enum store_fault fault =
        get_keyed(store, STORE_ROCKSDB_IDS, unique, n_unique, rows->arena, &values);
    uint64_t *positions = base_arena_take(rows->arena, rows->n_entries * sizeof *positions);
    size_t at = 0;
    for (size_t i = 0; fault == STORE_OK && i < rows->n_entries; i++) {
        at += i > 0 && !base_text_equal(ids[i].key, ids[i - 1].key);
        if (values[at].bytes == NULL ||
            !store_rocksdb_read_position(values[at], &positions[ids[i].index])) {
            fault = store_rocksdb_row_fault("a transaction id", ids[i].key);
        }
    }
    *ret_positions = positions;
    return fault;
}

enum store_fault store_rocksdb_copy_in(struct store *base, const struct ledger_facts *rows)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    base_assert(!store->read_only);
    uint64_t *positions = NULL;
    enum store_fault fault =
        rows->n_entries > 0 ? positions_of_recorded(store, rows, &positions) : STORE_OK;
    if (fault != STORE_OK) {
        return fault;
    }
    if (!may_write(store)) {
        return STORE_UNAVAILABLE;
    }
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    put_journal(store, batch, rows);
    put_ids(store, batch, rows);
    put_entries(store, batch, rows, positions);
    (void)put_accounts(store, batch, rows);
    write_or_stop(store, batch, rows->n_new);
    rocksdb_writebatch_destroy(batch);
    return STORE_OK;
}

enum store_fault store_rocksdb_copy_end(struct store *base)
{
    struct store_rocksdb *store = store_rocksdb_of(base);
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    store_rocksdb_put_format(store, batch, STORE_ROCKSDB_FORMAT);
    write_or_stop(store, batch, 0);
    rocksdb_writebatch_destroy(batch);
    return STORE_OK;
}
