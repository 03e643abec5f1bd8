/*
 * Pages of an account's history. Any thread.
 *
 * The cost of a page follows the page, not the history: entries stand newest first under their
 * account, a page that begins in the past is found by halving (an account's times never fall with
 * its sequence, contract 3.13), and one that reaches its start time ends there.
 */
#include "store/rocksdb/database.h"

/* One page in the making. */
struct scan {
    struct store_rocksdb *store;
    const struct store_entries_query *query;
    struct base_text account_id;
    rocksdb_iterator_t *rows; /* of one moment, that of its making */
};

/* The first key behind the account's entries: its id and the byte after the one that ends it. */
static struct base_bytes bound_of(struct base_text account_id, struct base_arena *arena)
{
    uint8_t *bound = base_arena_take(arena, STORE_ROCKSDB_ENTRY_KEY_MAX_BYTES);
    (void)store_rocksdb_entry_key(account_id, 1, bound);
    bound[account_id.length]++;
    return (struct base_bytes){bound, account_id.length + 1};
}

/* Seeks to the newest entry with a sequence of `sequence` or less. */
static void seek(struct scan *scan, int64_t sequence)
{
    uint8_t key[STORE_ROCKSDB_ENTRY_KEY_MAX_BYTES];
    size_t length = store_rocksdb_entry_key(scan->account_id, sequence, key);
    rocksdb_iter_seek(scan->rows, (const char *)key, length);
}

/* The entry under the iterator, all but its texts. *ret_found false: there is none. */
static enum store_fault take_entry(struct scan *scan, bool *ret_found,
                                   struct ledger_entry *ret_entry, uint64_t *ret_position)
{
    if (!rocksdb_iter_valid(scan->rows)) {
        /* The end of the rows and a row that cannot be read look alike until one asks. */
        char *error = NULL;
        rocksdb_iter_get_error(scan->rows, &error);
        *ret_found = false;
        return error != NULL ? store_rocksdb_read_fault(error) : STORE_OK;
    }
    struct base_bytes key;
    struct base_bytes value;
    key.bytes = (const uint8_t *)rocksdb_iter_key(scan->rows, &key.length);
    value.bytes = (const uint8_t *)rocksdb_iter_value(scan->rows, &value.length);
    struct ledger_entry entry = {0};
    if (!store_rocksdb_read_entry_key(key, &entry.account_id, &entry.sequence) ||
        !base_text_equal(entry.account_id, scan->account_id) ||
        !store_rocksdb_read_entry(value, &scan->store->kind_map, &entry, ret_position)) {
        return store_rocksdb_row_fault("an entry of the account", scan->account_id);
    }
    entry.account_id = scan->account_id;
    *ret_entry = entry;
    *ret_found = true;
    return STORE_OK;
}

static enum store_fault take_entry_numbered(struct scan *scan, int64_t sequence,
                                            struct ledger_entry *ret_entry, uint64_t *ret_position)
{
    bool found = false;
    enum store_fault fault = take_entry(scan, &found, ret_entry, ret_position);
    if (fault == STORE_OK && (!found || ret_entry->sequence != sequence)) {
        /* A history has no holes (contract 5), so one that has is damaged. */
        fault = store_rocksdb_row_fault("an entry of the account", scan->account_id);
    }
    return fault;
}

/* The newest sequence that the page may show: below the query's, and before its end time. 0: there
 * is none. */
static enum store_fault find_start(struct scan *scan, int64_t *ret_sequence)
{
    if (scan->query->below_sequence <= 1) {
        *ret_sequence = 0;
        return STORE_OK;
    }
    bool found = false;
    struct ledger_entry entry = {0};
    uint64_t position = 0;
    seek(scan, scan->query->below_sequence - 1);
    enum store_fault fault = take_entry(scan, &found, &entry, &position);
    if (fault != STORE_OK || !found) {
        *ret_sequence = 0;
        return fault;
    }
    if (entry.create_time_us < scan->query->end_time_us) {
        *ret_sequence = entry.sequence;
        return STORE_OK;
    }
    /* `early` is before the end time or 0, `late` is not before it. */
    int64_t early = 0;
    int64_t late = entry.sequence;
    while (late - early > 1) {
        int64_t middle = early + (late - early) / 2;
        seek(scan, middle);
        fault = take_entry_numbered(scan, middle, &entry, &position);
        if (fault != STORE_OK) {
            return fault;
        }
        if (entry.create_time_us < scan->query->end_time_us) {
            early = middle;
        } else {
            late = middle;
        }
    }
    *ret_sequence = early;
    return STORE_OK;
}

static bool is_wanted(const struct store_entries_query *query, const struct ledger_entry *entry)
{
    return (query->kind_numbers >> entry->kind_number & 1) != 0 &&
           (query->operations >> entry->operation & 1) != 0;
}

/* The page from `sequence` down, all but the entries' texts. */
static enum store_fault fill_page(struct scan *scan, int64_t sequence,
                                  struct store_entries_page *page, uint64_t *positions)
{
    const struct store_entries_query *query = scan->query;
    seek(scan, sequence);
    for (size_t n_scanned = 0; sequence >= 1; sequence--, n_scanned++) {
        if (page->n_entries == query->limit || n_scanned == query->scan_limit) {
            page->next_below_sequence = sequence + 1;
            return STORE_OK;
        }
        struct ledger_entry *entry = &page->entries[page->n_entries];
        enum store_fault fault =
            take_entry_numbered(scan, sequence, entry, &positions[page->n_entries]);
        if (fault != STORE_OK) {
            return fault;
        }
        if (entry->create_time_us < query->start_time_us) {
            return STORE_OK;
        }
        if (is_wanted(query, entry)) {
            page->n_entries++;
        }
        rocksdb_iter_next(scan->rows);
    }
    return STORE_OK;
}

static enum store_fault read_page(struct scan *scan, struct base_arena *arena,
                                  struct store_entries_page *ret_page)
{
    int64_t sequence;
    enum store_fault fault = find_start(scan, &sequence);
    if (fault != STORE_OK || sequence == 0) {
        return fault;
    }
    size_t limit = scan->query->limit;
    if ((uint64_t)sequence < limit) {
        limit = (size_t)sequence;
    }
    struct store_entries_page page = {0};
    /* One more than the page takes: the last entry that is looked at may not belong to it. */
    page.entries = base_arena_take(arena, (limit + 1) * sizeof *page.entries);
    uint64_t *positions = base_arena_take(arena, (limit + 1) * sizeof *positions);
    fault = fill_page(scan, sequence, &page, positions);
    if (fault == STORE_OK) {
        fault = store_rocksdb_complete_entries(scan->store, scan->store->read_options,
                                               page.n_entries, page.entries, positions, arena);
    }
    if (fault == STORE_OK) {
        *ret_page = page;
    }
    return fault;
}

enum store_fault store_rocksdb_read_entries(struct store *base,
                                            const struct store_entries_query *query,
                                            struct base_arena *arena,
                                            struct store_entries_page *ret_page)
{
    struct scan scan = {.store = store_rocksdb_of(base), .query = query};
    scan.account_id = base_arena_text(arena, query->account_id);
    struct base_bytes bound = bound_of(scan.account_id, arena);
    rocksdb_readoptions_t *read_options = store_rocksdb_read_options(NULL);
    rocksdb_readoptions_set_prefix_same_as_start(read_options, 1);
    rocksdb_readoptions_set_iterate_upper_bound(read_options, (const char *)bound.bytes,
                                                bound.length);
    scan.rows = rocksdb_create_iterator_cf(scan.store->database, read_options,
                                           scan.store->families[STORE_ROCKSDB_ENTRIES]);
    struct store_entries_page page = {0};
    enum store_fault fault = read_page(&scan, arena, &page);
    rocksdb_iter_destroy(scan.rows);
    rocksdb_readoptions_destroy(read_options);
    if (fault == STORE_OK) {
        *ret_page = page;
    }
    return fault;
}
