/*
 * Pages of an account's history. Entries that are there never change and none comes before another
 * that is there, so a page may be read in several steps and still be of one moment: the first.
 */
#include "store/spanner/database.h"

/* A page under construction. */
struct page {
    struct store_spanner *store;
    const struct store_entries_query *query;
    struct base_arena *arena;
    struct base_arena *scratch;
    struct base_text account_id;
    size_t n_looked_at;
    bool ended; /* nothing more is to be looked at */
    struct store_entries_page page;
};

static bool is_wanted(const struct store_entries_query *query, const struct ledger_entry *entry)
{
    return (query->kind_numbers >> entry->kind_number & 1) != 0 &&
           (query->operations >> entry->operation & 1) != 0 &&
           entry->create_time_us >= query->start_time_us &&
           entry->create_time_us < query->end_time_us;
}

/* Looks at one entry. */
static void look_at(struct page *page, const struct ledger_entry *entry)
{
    const struct store_entries_query *query = page->query;
    page->n_looked_at++;
    if (is_wanted(query, entry)) {
        struct ledger_entry *kept = &page->page.entries[page->page.n_entries++];
        *kept = *entry;
        kept->account_id = page->account_id;
        kept->transaction_id = base_arena_text(page->arena, entry->transaction_id);
    }
    bool is_last = entry->sequence == 1 || entry->create_time_us < query->start_time_us;
    page->page.next_below_sequence = is_last ? 0 : entry->sequence;
    page->ended =
        is_last || page->n_looked_at == query->scan_limit || page->page.n_entries == query->limit;
}

/* Looks at the entries of rows, which stand newest first; those within a row stand oldest first. */
static enum store_fault look_at_rows(struct page *page, const struct spanner_rows *rows)
{
    for (size_t i = 0; i < rows->n_rows && !page->ended; i++) {
        struct spanner_entries_row row;
        bool known;
        if (!spanner_take_entries(page->store, rows, i, page->scratch, &row, &known)) {
            return STORE_CORRUPT;
        }
        if (!known) {
            spanner_store_note_kind_missing(page->store);
            return STORE_UNAVAILABLE;
        }
        for (size_t at = row.n_entries; at > 0 && !page->ended; at--) {
            if (row.entries[at - 1].sequence < page->query->below_sequence) {
                look_at(page, &row.entries[at - 1]);
            }
        }
    }
    return STORE_OK;
}

static spanner_list *entry_key(struct base_arena *arena, struct base_text account_id,
                               int64_t sequence)
{
    spanner_value *values[] = {spanner_int64(arena, spanner_shard(account_id)),
                               spanner_text(arena, account_id), spanner_int64(arena, sequence)};
    return spanner_list_of(arena, 3, values);
}

/* How many rows may be needed: one for each entry at the most, where nothing is passed over. */
static int64_t rows_at_once(const struct store_entries_query *query)
{
    bool filtered = query->kind_numbers != UINT64_MAX || query->operations != UINT32_MAX ||
                    query->end_time_us != INT64_MAX;
    size_t n = filtered ? BASE_SPANNER_HISTORY_ROWS : query->limit;
    return (int64_t)(n < query->scan_limit ? n : query->scan_limit);
}

/* Reads the rows that begin below a sequence, as many as are wanted at once. */
static enum store_fault read_rows(struct store_spanner *store,
                                  const struct store_entries_query *query, int64_t below_sequence,
                                  struct base_arena *scratch, struct spanner_rows *ret_rows)
{
    struct spanner_read read = {
        .table = "entries",
        .n_columns = SPANNER_ENTRIES_COLUMNS,
        .columns = spanner_entries_columns,
        .keys =
            spanner_keys_from(scratch, entry_key(scratch, query->account_id, below_sequence - 1),
                              true, spanner_key_of(scratch, query->account_id)),
        .limit = rows_at_once(query),
        .ordered = true,
        .arena = scratch,
    };
    enum store_fault fault = spanner_store_read(store, &store->moment, 1, &read);
    *ret_rows = read.rows;
    return fault;
}

/* What only the records tell. */
static enum store_fault add_records(struct store_spanner *store, struct page *page)
{
    struct base_arena *scratch = page->scratch;
    size_t n = page->page.n_entries;
    if (n == 0) {
        return STORE_OK;
    }
    struct base_text *ids = base_arena_take(scratch, n * sizeof *ids);
    size_t n_ids = 0;
    for (size_t i = 0; i < n; i++) {
        struct base_text id = page->page.entries[i].transaction_id;
        if (n_ids == 0 || !base_text_equal(ids[n_ids - 1], id)) {
            ids[n_ids++] = id;
        }
    }
    const struct spanner_moment moment = {.which = SPANNER_NOW};
    size_t n_rows;
    struct spanner_transaction_row *rows;
    enum store_fault fault = spanner_read_transactions(
        store, store->only_reads ? &store->moment : &moment, n_ids, ids, scratch, &n_rows, &rows);
    for (size_t i = 0; fault == STORE_OK && i < n; i++) {
        struct ledger_entry *entry = &page->page.entries[i];
        const struct spanner_transaction_row *row =
            spanner_find_transaction(n_rows, rows, entry->transaction_id);
        if (row == NULL || !spanner_entry_add_record(row->record, page->arena, entry)) {
            fault = STORE_CORRUPT;
        }
    }
    return fault;
}

/* Reads on until the page has ended, or there is nothing more. */
static enum store_fault fill(struct store_spanner *store, struct page *page)
{
    int64_t below_sequence = page->query->below_sequence;
    while (!page->ended && below_sequence > 1) {
        struct spanner_rows rows;
        enum store_fault fault =
            read_rows(store, page->query, below_sequence, page->scratch, &rows);
        if (fault == STORE_OK) {
            fault = look_at_rows(page, &rows);
        }
        if (fault != STORE_OK) {
            return fault;
        }
        if (rows.n_rows == 0) {
            break;
        }
        struct spanner_row last = {.rows = &rows, .row = rows.n_rows - 1};
        below_sequence = spanner_row_int64(&last, 1);
    }
    return STORE_OK;
}

enum store_fault spanner_read_entries(struct store *base, const struct store_entries_query *query,
                                      struct base_arena *arena, struct store_entries_page *ret_page)
{
    struct store_spanner *store = (struct store_spanner *)base;
    if (!spanner_store_is_prepared(store)) {
        return STORE_UNAVAILABLE;
    }
    struct base_arena scratch = BASE_ARENA_EMPTY;
    struct page page = {.store = store,
                        .query = query,
                        .arena = arena,
                        .scratch = &scratch,
                        .account_id = base_arena_text(arena, query->account_id)};
    page.page.entries = base_arena_take(arena, query->limit * sizeof *page.page.entries);
    enum store_fault fault = fill(store, &page);
    if (fault == STORE_OK) {
        fault = add_records(store, &page);
    }
    if (fault == STORE_OK) {
        *ret_page = page.page;
    }
    base_arena_release(&scratch);
    return fault;
}
