/*
 * Walks over whole tables, as of the moment of their opening. What is read is not kept in the block
 * cache: a walk over everything would push out what requests need.
 */
#include "store/rocksdb/database.h"

#include <stdlib.h>

/* Entries whose records are read together: enough for reading in the journal's order to pay. */
#define ENTRIES_TOGETHER 256

struct rocksdb_cursor {
    struct store_cursor base; /* the first, so that a cursor is one of these */
    struct store_rocksdb *store;
    enum store_table table;
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *read_options;
    rocksdb_iterator_t *rows;
    struct base_arena arena; /* of the row, or of the entries below */
    size_t n_entries;        /* that were read together */
    size_t next_entry;
    struct ledger_entry entries[ENTRIES_TOGETHER];
    uint64_t positions[ENTRIES_TOGETHER];
};

static enum store_rocksdb_family family_of(enum store_table table)
{
    switch (table) {
    case STORE_TABLE_JOURNAL:
        return STORE_ROCKSDB_JOURNAL;
    case STORE_TABLE_IDS:
        return STORE_ROCKSDB_IDS;
    case STORE_TABLE_ACCOUNTS:
        return STORE_ROCKSDB_ACCOUNTS;
    case STORE_TABLE_ENTRIES:
        break;
    }
    return STORE_ROCKSDB_ENTRIES;
}

struct store_cursor *store_rocksdb_cursor_open(struct store *store, enum store_table table)
{
    struct rocksdb_cursor *cursor = base_allocate_zeroed(1, sizeof *cursor);
    cursor->base.backend = store->backend;
    cursor->store = store_rocksdb_of(store);
    cursor->table = table;
    cursor->snapshot = rocksdb_create_snapshot(cursor->store->database);
    cursor->read_options = store_rocksdb_read_options(cursor->snapshot);
    rocksdb_readoptions_set_fill_cache(cursor->read_options, 0);
    /* Over the bounds of the accounts that the filters of entries know. */
    rocksdb_readoptions_set_total_order_seek(cursor->read_options, 1);
    cursor->rows = rocksdb_create_iterator_cf(cursor->store->database, cursor->read_options,
                                              cursor->store->families[family_of(table)]);
    rocksdb_iter_seek_to_first(cursor->rows);
    return &cursor->base;
}

/* The key and value under the iterator, copied, and a step on. *ret_found false: there are none. */
static enum store_fault take_row(struct rocksdb_cursor *cursor, bool *ret_found,
                                 struct base_bytes *ret_key, struct base_bytes *ret_value)
{
    if (!rocksdb_iter_valid(cursor->rows)) {
        char *error = NULL;
        rocksdb_iter_get_error(cursor->rows, &error);
        *ret_found = false;
        return error != NULL ? store_rocksdb_read_fault(error) : STORE_OK;
    }
    struct base_bytes key;
    struct base_bytes value;
    key.bytes = (const uint8_t *)rocksdb_iter_key(cursor->rows, &key.length);
    value.bytes = (const uint8_t *)rocksdb_iter_value(cursor->rows, &value.length);
    *ret_key = base_arena_bytes(&cursor->arena, key);
    *ret_value = base_arena_bytes(&cursor->arena, value);
    *ret_found = true;
    rocksdb_iter_next(cursor->rows);
    return STORE_OK;
}

/* Reads the next entries, as many as are read together or are left. */
static enum store_fault read_entries(struct rocksdb_cursor *cursor)
{
    cursor->n_entries = 0;
    cursor->next_entry = 0;
    while (cursor->n_entries < ENTRIES_TOGETHER) {
        bool found;
        struct base_bytes key;
        struct base_bytes value;
        enum store_fault fault = take_row(cursor, &found, &key, &value);
        if (fault != STORE_OK) {
            return fault;
        }
        if (!found) {
            break;
        }
        struct ledger_entry *entry = &cursor->entries[cursor->n_entries];
        *entry = (struct ledger_entry){0};
        if (!store_rocksdb_read_entry_key(key, &entry->account_id, &entry->sequence) ||
            !store_rocksdb_read_entry(value, &cursor->store->kind_map, entry,
                                      &cursor->positions[cursor->n_entries])) {
            return store_rocksdb_row_fault("an entry", base_text_from(key));
        }
        cursor->n_entries++;
    }
    return store_rocksdb_complete_entries(cursor->store, cursor->read_options, cursor->n_entries,
                                          cursor->entries, cursor->positions, &cursor->arena);
}

static enum store_fault next_entry(struct rocksdb_cursor *cursor, bool *ret_found,
                                   struct store_row *ret_row)
{
    if (cursor->next_entry == cursor->n_entries) {
        base_arena_reset(&cursor->arena);
        enum store_fault fault = read_entries(cursor);
        if (fault != STORE_OK) {
            cursor->n_entries = 0;
            return fault;
        }
    }
    *ret_found = cursor->n_entries > 0;
    if (cursor->n_entries > 0) {
        ret_row->entry = cursor->entries[cursor->next_entry];
        ret_row->position = cursor->positions[cursor->next_entry++];
    }
    return STORE_OK;
}

static bool decode_row(struct rocksdb_cursor *cursor, struct base_bytes key,
                       struct base_bytes value, struct store_row *ret_row)
{
    switch (cursor->table) {
    case STORE_TABLE_JOURNAL:
        return store_rocksdb_read_position(key, &ret_row->position) &&
               store_rocksdb_read_recorded(value, &ret_row->caller, &ret_row->record);
    case STORE_TABLE_IDS:
        ret_row->transaction_id = base_text_from(key);
        return store_rocksdb_id_is_sound(ret_row->transaction_id) &&
               store_rocksdb_read_position(value, &ret_row->position);
    case STORE_TABLE_ACCOUNTS:
        ret_row->account.account_id = base_text_from(key);
        return store_rocksdb_id_is_sound(ret_row->account.account_id) &&
               store_rocksdb_read_account(value, &cursor->store->kind_map, &cursor->arena,
                                          &ret_row->account);
    case STORE_TABLE_ENTRIES:
        break;
    }
    return false;
}

enum store_fault store_rocksdb_cursor_next(struct store_cursor *base, bool *ret_found,
                                           struct store_row *ret_row)
{
    struct rocksdb_cursor *cursor = (struct rocksdb_cursor *)base;
    struct store_row row = {0};
    bool found;
    enum store_fault fault;
    if (cursor->table == STORE_TABLE_ENTRIES) {
        fault = next_entry(cursor, &found, &row);
    } else {
        struct base_bytes key;
        struct base_bytes value;
        base_arena_reset(&cursor->arena);
        fault = take_row(cursor, &found, &key, &value);
        if (fault == STORE_OK && found && !decode_row(cursor, key, value, &row)) {
            fault = store_rocksdb_row_fault(store_rocksdb_family_names[family_of(cursor->table)],
                                            base_text_from(key));
        }
    }
    if (fault != STORE_OK) {
        return fault;
    }
    *ret_found = found;
    if (found) {
        *ret_row = row;
    }
    return STORE_OK;
}

void store_rocksdb_cursor_close(struct store_cursor *base)
{
    struct rocksdb_cursor *cursor = (struct rocksdb_cursor *)base;
    rocksdb_iter_destroy(cursor->rows);
    rocksdb_readoptions_destroy(cursor->read_options);
    rocksdb_release_snapshot(cursor->store->database, cursor->snapshot);
    base_arena_release(&cursor->arena);
    free(cursor);
}
