/*
 * Walks over whole tables, as of one moment: the one at which the walk was opened, or, in a store
 * that is opened only to read, the store's, so that walks agree with one another while servers
 * write. Spanner keeps what was for an hour, unless the database is told otherwise; a walk that
 * takes longer fails.
 *
 * A table's key begins with a shard, and a walk is in the order of what stands behind it: so every
 * shard is walked by itself, some rows ahead, and the walk takes the least of their next rows.
 */
#include "store/spanner/database.h"

#include <stdlib.h>

/* One shard of the walk. */
struct part {
    struct base_arena arena; /* of the rows */
    struct base_arena next;  /* where those that follow are read: the keys are of the rows before */
    struct spanner_rows rows;
    size_t at;             /* the next one of them */
    size_t n_taken;        /* of the entries of that one */
    bool is_last;          /* no more can be fetched */
    struct base_text id;   /* of the next row, which orders it: by id, */
    uint64_t position;     /* or in the journal by position */
    size_t n_transactions; /* that the rows lead to, in the arena */
    struct spanner_transaction_row *transactions;
};

struct spanner_cursor {
    struct store_cursor base;
    struct store_spanner *store;
    enum store_table table;
    struct spanner_moment moment;
    enum store_fault fault;  /* that the walk came to; then it stays there */
    struct base_arena arena; /* of one row */
    size_t n_parts;
    struct part parts[SPANNER_SHARDS];
};

/* What is read of each table. */
static const char *const journal_columns[] = {"journal_shard", "commit_time", "place",
                                              "transaction_id"};
static const struct walk {
    const char *table;
    const char *index;
    size_t n_columns;
    const char *const *columns;
} walks[] = {
    [STORE_TABLE_JOURNAL] = {"transactions", spanner_journal_index, 4, journal_columns},
    [STORE_TABLE_IDS] = {"transactions", NULL, SPANNER_TRANSACTION_COLUMNS,
                         spanner_transaction_columns},
    [STORE_TABLE_ACCOUNTS] = {"accounts", NULL, SPANNER_ACCOUNT_COLUMNS, spanner_account_columns},
    [STORE_TABLE_ENTRIES] = {"entries", NULL, SPANNER_ENTRIES_COLUMNS, spanner_entries_columns},
};

/* --- opening and closing --- */

static enum store_fault choose_moment(struct spanner_cursor *cursor)
{
    struct store_spanner *store = cursor->store;
    if (store->only_reads) {
        cursor->moment = store->moment;
        return STORE_OK;
    }
    struct spanner_connection *connection = spanner_reader_take(store);
    if (connection == NULL) {
        return STORE_UNAVAILABLE;
    }
    struct spanner_result result;
    bool chosen = false;
    /* A session that was lost is made anew. */
    for (int tries = 0; !chosen && tries < 2; tries++) {
        chosen = spanner_session_ready(connection, &result) &&
                 spanner_read_clock(connection, &cursor->moment.at, &result);
    }
    if (!chosen) {
        (void)spanner_store_note_failure(store, &result);
    }
    spanner_reader_give_back(store, connection);
    cursor->moment.which = SPANNER_AT;
    return chosen ? STORE_OK : STORE_UNAVAILABLE;
}

struct store_cursor *spanner_cursor_open(struct store *base, enum store_table table)
{
    struct spanner_cursor *cursor = base_allocate_zeroed(1, sizeof *cursor);
    cursor->base.backend = base->backend;
    cursor->store = (struct store_spanner *)base;
    cursor->table = table;
    cursor->n_parts = table == STORE_TABLE_JOURNAL ? SPANNER_JOURNAL_SHARDS : SPANNER_SHARDS;
    cursor->fault = choose_moment(cursor);
    return &cursor->base;
}

void spanner_cursor_close(struct store_cursor *base)
{
    struct spanner_cursor *cursor = (struct spanner_cursor *)base;
    for (size_t i = 0; i < SPANNER_SHARDS; i++) {
        base_arena_release(&cursor->parts[i].arena);
        base_arena_release(&cursor->parts[i].next);
    }
    base_arena_release(&cursor->arena);
    free(cursor);
}

/* --- fetching rows --- */

/* The key of a row, which the walk has its columns of. */
static spanner_list *key_of_row(const struct spanner_cursor *cursor, struct spanner_row *row,
                                struct base_arena *arena)
{
    if (cursor->table == STORE_TABLE_JOURNAL) {
        spanner_value *values[] = {spanner_int64(arena, spanner_row_int64(row, 0)),
                                   spanner_time(arena, spanner_row_time(row, 1)),
                                   spanner_int64(arena, spanner_row_int64(row, 2))};
        return spanner_list_of(arena, 3, values);
    }
    struct base_text id = spanner_row_id(row, 0);
    if (cursor->table != STORE_TABLE_ENTRIES) {
        return spanner_key_of(arena, id);
    }
    spanner_value *values[] = {spanner_int64(arena, spanner_shard(id)), spanner_text(arena, id),
                               spanner_int64(arena, spanner_row_int64(row, 1))};
    return spanner_list_of(arena, 3, values);
}

/* The rows behind those that the part has, or its first. */
static struct spanner_read read_of(struct spanner_cursor *cursor, size_t number)
{
    struct part *part = &cursor->parts[number];
    struct base_arena *arena = &part->next;
    spanner_value *shard[] = {spanner_int64(arena, (int64_t)number)};
    spanner_list *prefix = spanner_list_of(arena, 1, shard);
    spanner_list *from = prefix;
    if (part->rows.n_rows > 0) {
        struct spanner_row last = {.rows = &part->rows, .row = part->rows.n_rows - 1};
        from = key_of_row(cursor, &last, arena);
    }
    const struct walk *walk = &walks[cursor->table];
    return (struct spanner_read){
        .table = walk->table,
        .index = walk->index,
        .n_columns = walk->n_columns,
        .columns = walk->columns,
        .keys = spanner_keys_from(arena, from, part->rows.n_rows == 0, prefix),
        .limit = BASE_SPANNER_WALK_ROWS,
        .ordered = true,
        .arena = arena,
    };
}

/* The transactions that the rows of a journal or of entries lead to. */
static enum store_fault fetch_transactions(struct spanner_cursor *cursor, struct part *part)
{
    size_t column = cursor->table == STORE_TABLE_JOURNAL ? 3 : 2;
    struct base_text *ids = base_arena_take(&part->arena, part->rows.n_rows * sizeof *ids);
    for (size_t i = 0; i < part->rows.n_rows; i++) {
        struct spanner_row row = {.rows = &part->rows, .row = i};
        ids[i] = spanner_row_id(&row, column);
        if (row.failed) {
            return STORE_CORRUPT;
        }
    }
    part->n_transactions = 0;
    return part->rows.n_rows == 0
               ? STORE_OK
               : spanner_read_transactions(cursor->store, &cursor->moment, part->rows.n_rows, ids,
                                           &part->arena, &part->n_transactions,
                                           &part->transactions);
}

/* Notes what orders the part's next row. */
static enum store_fault stand_before(const struct spanner_cursor *cursor, struct part *part)
{
    if (part->at == part->rows.n_rows) {
        return STORE_OK;
    }
    struct spanner_row row = {.rows = &part->rows, .row = part->at};
    bool sound = true;
    part->n_taken = 0;
    if (cursor->table == STORE_TABLE_JOURNAL) {
        sound = spanner_position_of(spanner_row_time(&row, 1), spanner_row_int64(&row, 0),
                                    spanner_row_int64(&row, 2), &part->position);
    } else {
        part->id = spanner_row_id(&row, 0);
    }
    return sound && !row.failed ? STORE_OK : STORE_CORRUPT;
}

static bool is_used_up(const struct part *part)
{
    return part->at == part->rows.n_rows && !part->is_last;
}

/* Takes what was read as the part's rows. */
static enum store_fault take_rows(struct spanner_cursor *cursor, struct part *part,
                                  const struct spanner_rows *rows)
{
    struct base_arena before = part->arena;
    part->arena = part->next;
    part->next = before;
    base_arena_reset(&part->next);
    part->rows = *rows;
    part->at = 0;
    part->is_last = rows->n_rows < BASE_SPANNER_WALK_ROWS;
    if (cursor->table == STORE_TABLE_JOURNAL || cursor->table == STORE_TABLE_ENTRIES) {
        enum store_fault fault = fetch_transactions(cursor, part);
        if (fault != STORE_OK) {
            return fault;
        }
    }
    return stand_before(cursor, part);
}

/* Fetches more rows for all parts that have none left, beside one another. */
static enum store_fault refill(struct spanner_cursor *cursor)
{
    struct spanner_read reads[SPANNER_SHARDS];
    struct part *parts[SPANNER_SHARDS];
    size_t n = 0;
    for (size_t i = 0; i < cursor->n_parts; i++) {
        if (is_used_up(&cursor->parts[i])) {
            parts[n] = &cursor->parts[i];
            reads[n++] = read_of(cursor, i);
        }
    }
    if (n == 0) {
        return STORE_OK;
    }
    enum store_fault fault = spanner_store_read(cursor->store, &cursor->moment, n, reads);
    for (size_t i = 0; i < n && fault == STORE_OK; i++) {
        fault = take_rows(cursor, parts[i], &reads[i].rows);
    }
    return fault;
}
static_assert(SPANNER_SHARDS <= SPANNER_READS_MAX, "all parts must be read beside one another");

/* --- rows --- */

static bool is_before(const struct spanner_cursor *cursor, const struct part *a,
                      const struct part *b)
{
    return cursor->table == STORE_TABLE_JOURNAL ? a->position < b->position
                                                : base_text_compare(a->id, b->id) < 0;
}

/* The part whose row is next; NULL: there are no more. */
static struct part *next_part(struct spanner_cursor *cursor)
{
    struct part *next = NULL;
    for (size_t i = 0; i < cursor->n_parts; i++) {
        struct part *part = &cursor->parts[i];
        if (part->at < part->rows.n_rows && (next == NULL || is_before(cursor, part, next))) {
            next = part;
        }
    }
    return next;
}

static enum store_fault take_journal_row(struct spanner_cursor *cursor, struct part *part,
                                         struct store_row *ret_row)
{
    struct spanner_row row = {.rows = &part->rows, .row = part->at};
    const struct spanner_transaction_row *transaction =
        spanner_find_transaction(part->n_transactions, part->transactions, spanner_row_id(&row, 3));
    if (transaction == NULL || transaction->position != part->position) {
        return STORE_CORRUPT;
    }
    ret_row->position = part->position;
    ret_row->record = base_arena_bytes(&cursor->arena, transaction->record);
    ret_row->caller = base_arena_text(&cursor->arena, transaction->caller);
    part->at++;
    return STORE_OK;
}

static enum store_fault take_id_row(struct spanner_cursor *cursor, struct part *part,
                                    struct store_row *ret_row)
{
    struct spanner_transaction_row transaction;
    if (!spanner_take_transaction(&part->rows, part->at, &cursor->arena, &transaction)) {
        return STORE_CORRUPT;
    }
    ret_row->transaction_id = transaction.transaction_id;
    ret_row->position = transaction.position;
    part->at++;
    return STORE_OK;
}

static enum store_fault take_account_row(struct spanner_cursor *cursor, struct part *part,
                                         struct store_row *ret_row)
{
    bool known;
    ret_row->account = spanner_account_unseen(
        cursor->store, base_arena_text(&cursor->arena, part->id), &cursor->arena);
    if (!spanner_take_account(cursor->store, &part->rows, part->at, &ret_row->account, &known) ||
        !known) {
        return STORE_CORRUPT;
    }
    part->at++;
    return STORE_OK;
}

/* One entry of the part's row, newest first. A transaction that is not there leaves the position 0,
 * which no transaction has. */
static enum store_fault take_entry(struct spanner_cursor *cursor, struct part *part,
                                   struct store_row *ret_row)
{
    bool known;
    struct spanner_entries_row row;
    if (!spanner_take_entries(cursor->store, &part->rows, part->at, &cursor->arena, &row, &known) ||
        !known) {
        return STORE_CORRUPT;
    }
    struct ledger_entry *entry = &row.entries[row.n_entries - 1 - part->n_taken];
    const struct spanner_transaction_row *transaction =
        spanner_find_transaction(part->n_transactions, part->transactions, entry->transaction_id);
    if (transaction != NULL) {
        ret_row->position = transaction->position;
        if (!spanner_entry_add_record(transaction->record, &cursor->arena, entry)) {
            return STORE_CORRUPT;
        }
    }
    ret_row->entry = *entry;
    part->n_taken++;
    if (part->n_taken == row.n_entries) {
        part->at++;
    }
    return STORE_OK;
}

static enum store_fault take_row(struct spanner_cursor *cursor, struct part *part,
                                 struct store_row *ret_row)
{
    size_t before = part->at;
    enum store_fault fault = STORE_CORRUPT;
    switch (cursor->table) {
    case STORE_TABLE_JOURNAL:
        fault = take_journal_row(cursor, part, ret_row);
        break;
    case STORE_TABLE_IDS:
        fault = take_id_row(cursor, part, ret_row);
        break;
    case STORE_TABLE_ACCOUNTS:
        fault = take_account_row(cursor, part, ret_row);
        break;
    case STORE_TABLE_ENTRIES:
        fault = take_entry(cursor, part, ret_row);
        break;
    }
    if (fault == STORE_OK && part->at != before) {
        fault = stand_before(cursor, part);
    }
    return fault;
}

enum store_fault spanner_cursor_next(struct store_cursor *base, bool *ret_found,
                                     struct store_row *ret_row)
{
    struct spanner_cursor *cursor = (struct spanner_cursor *)base;
    struct store_row row = {0};
    if (cursor->fault == STORE_OK) {
        base_arena_reset(&cursor->arena);
        cursor->fault = refill(cursor);
    }
    struct part *part = cursor->fault == STORE_OK ? next_part(cursor) : NULL;
    if (part != NULL) {
        cursor->fault = take_row(cursor, part, &row);
    }
    if (cursor->fault != STORE_OK) {
        return cursor->fault;
    }
    *ret_found = part != NULL;
    if (part != NULL) {
        *ret_row = row;
    }
    return STORE_OK;
}
