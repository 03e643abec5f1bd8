/*
 * Walks over whole tables, as of one moment: each is a cursor of the database in a transaction that
 * keeps its snapshot. In a store that is opened only to read, all walks share one, so that they
 * agree with one another while servers write.
 */
#include "store/postgres/database.h"

#include <stdlib.h>

#define AS_TEXT(number) AS_TEXT_OF(number)
#define AS_TEXT_OF(number) #number

/* A transaction that reads as of its first statement. */
struct postgres_snapshot {
    struct postgres_connection connection;
    pthread_mutex_t lock; /* over the connection, which several walks may use */
    unsigned n_cursors;   /* that were declared: the next one's number */
};

struct postgres_cursor {
    struct store_cursor base;
    struct store_postgres *store;
    struct postgres_snapshot *snapshot;
    enum store_table table;
    unsigned number;
    enum store_fault fault;  /* that the walk came to; then it stays there */
    struct base_arena arena; /* of one row */
    PGresult *rows;          /* fetched together; NULL: none so far */
    int at;                  /* the next one of them */
    bool is_last;            /* no more can be fetched */
};

/* Runs statements in the snapshot; the last one's result is the caller's to clear. */
static enum store_fault run(struct store_postgres *store, struct postgres_snapshot *snapshot,
                            size_t n_texts, const char *const *texts, PGresult **ret_result)
{
    struct postgres_exchange exchange;
    (void)pthread_mutex_lock(&snapshot->lock);
    postgres_exchange_open(&exchange, &snapshot->connection);
    for (size_t i = 0; i < n_texts; i++) {
        postgres_exchange_add_text(&exchange, texts[i]);
    }
    enum postgres_end end = postgres_exchange_end(&exchange);
    (void)pthread_mutex_unlock(&snapshot->lock);
    if (end == POSTGRES_DONE) {
        *ret_result = exchange.results[--exchange.n_results];
        postgres_exchange_close(&exchange);
        return STORE_OK;
    }
    enum store_fault fault = postgres_store_note_failure(store, end, &exchange);
    postgres_exchange_close(&exchange);
    return fault == STORE_CORRUPT ? STORE_CORRUPT : STORE_UNAVAILABLE;
}

/* Begins the transaction; its first query takes the snapshot. A walk may rest between two of its
 * rows for as long as it likes. */
static bool begin(struct store_postgres *store, struct postgres_snapshot *snapshot)
{
    static const char *const texts[] = {
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
    };
    PGresult *result;
    if ((snapshot->connection.link == NULL &&
         !postgres_store_connect(store, &snapshot->connection, false)) ||
        run(store, snapshot, sizeof texts / sizeof texts[0], texts, &result) != STORE_OK) {
        return false;
    }
    PQclear(result);
    return true;
}

struct postgres_snapshot *postgres_snapshot_open(struct store_postgres *store)
{
    (void)pthread_mutex_lock(&store->lock);
    struct postgres_snapshot *snapshot = store->spare;
    store->spare = NULL;
    (void)pthread_mutex_unlock(&store->lock);
    if (snapshot == NULL) {
        snapshot = base_allocate_zeroed(1, sizeof *snapshot);
        (void)pthread_mutex_init(&snapshot->lock, NULL);
    }
    /* A connection that rested may have been lost meanwhile. */
    if (!begin(store, snapshot) && (snapshot->connection.link != NULL || !begin(store, snapshot))) {
        postgres_snapshot_close(snapshot);
        return NULL;
    }
    return snapshot;
}

/* Ends the transaction, and keeps the connection for the next walk if none is kept. */
static void snapshot_rest(struct store_postgres *store, struct postgres_snapshot *snapshot)
{
    static const char *const text = "ROLLBACK";
    PGresult *result;
    if (snapshot->connection.link != NULL && run(store, snapshot, 1, &text, &result) == STORE_OK) {
        PQclear(result);
        (void)pthread_mutex_lock(&store->lock);
        struct postgres_snapshot *surplus = store->spare;
        store->spare = snapshot;
        (void)pthread_mutex_unlock(&store->lock);
        snapshot = surplus;
    }
    postgres_snapshot_close(snapshot);
}

void postgres_snapshot_close(struct postgres_snapshot *snapshot)
{
    if (snapshot != NULL) {
        postgres_disconnect(&snapshot->connection);
        (void)pthread_mutex_destroy(&snapshot->lock);
        free(snapshot);
    }
}

/* --- cursors --- */

static const char *const selections[] = {
    [STORE_TABLE_JOURNAL] = "SELECT position, record, caller FROM zandaka.transactions "
                            "ORDER BY position",
    [STORE_TABLE_IDS] = "SELECT transaction_id, position FROM zandaka.transactions "
                        "ORDER BY transaction_id",
    [STORE_TABLE_ACCOUNTS] =
        "SELECT account_id, version, last_time, kind_number, available, held "
        "FROM zandaka.accounts LEFT JOIN zandaka.balances USING (account_id) "
        "WHERE version <> 0 OR available <> 0 OR held <> 0 ORDER BY account_id",
    [STORE_TABLE_ENTRIES] =
        "SELECT account_id, position, sequence, transaction_id, operation, kind_number, amount, "
        "balance_after, held_amount, held_after, create_time, record "
        "FROM zandaka.entries LEFT JOIN zandaka.transactions USING (transaction_id) "
        "ORDER BY account_id, sequence DESC",
};

static void declare(struct postgres_cursor *cursor)
{
    (void)pthread_mutex_lock(&cursor->snapshot->lock);
    cursor->number = cursor->snapshot->n_cursors++;
    (void)pthread_mutex_unlock(&cursor->snapshot->lock);
    struct base_text text =
        base_arena_print(&cursor->arena, "DECLARE walk_%u NO SCROLL CURSOR FOR %s", cursor->number,
                         selections[cursor->table]);
    PGresult *result;
    cursor->fault = run(cursor->store, cursor->snapshot, 1, &text.bytes, &result);
    if (cursor->fault == STORE_OK) {
        PQclear(result);
    }
}

struct store_cursor *postgres_cursor_open(struct store *base, enum store_table table)
{
    struct store_postgres *store = (struct store_postgres *)base;
    struct postgres_cursor *cursor = base_allocate_zeroed(1, sizeof *cursor);
    cursor->base.backend = store->base.backend;
    cursor->store = store;
    cursor->table = table;
    cursor->snapshot = store->only_reads ? store->snapshot : postgres_snapshot_open(store);
    if (cursor->snapshot == NULL) {
        cursor->fault = STORE_UNAVAILABLE;
    } else {
        declare(cursor);
    }
    return &cursor->base;
}

void postgres_cursor_close(struct store_cursor *base)
{
    struct postgres_cursor *cursor = (struct postgres_cursor *)base;
    PQclear(cursor->rows);
    if (!cursor->store->only_reads && cursor->snapshot != NULL) {
        snapshot_rest(cursor->store, cursor->snapshot);
    }
    base_arena_release(&cursor->arena);
    free(cursor);
}

/* Makes `row` the row that the walk stands before. False: there is none, or a fault. */
static bool stand_before_row(struct postgres_cursor *cursor, struct postgres_row *row)
{
    bool all_taken = cursor->rows == NULL || cursor->at == PQntuples(cursor->rows);
    if (all_taken && !cursor->is_last) {
        PQclear(cursor->rows);
        cursor->rows = NULL;
        cursor->at = 0;
        struct base_text text = base_arena_print(
            &cursor->arena, "FETCH " AS_TEXT(BASE_DATABASE_WALK_ROWS) " FROM walk_%u",
            cursor->number);
        cursor->fault = run(cursor->store, cursor->snapshot, 1, &text.bytes, &cursor->rows);
        if (cursor->fault != STORE_OK) {
            return false;
        }
        cursor->is_last = PQntuples(cursor->rows) < BASE_DATABASE_WALK_ROWS;
    }
    *row = (struct postgres_row){.result = cursor->rows, .row = cursor->at};
    return cursor->at < PQntuples(cursor->rows);
}

/* An account, which has a row for each of its balances. False: it makes no sense. */
static bool take_account(struct postgres_cursor *cursor, struct postgres_row row,
                         struct ledger_account *account)
{
    *account = postgres_account_unseen(
        cursor->store, base_arena_text(&cursor->arena, postgres_row_id(&row, 0)), &cursor->arena);
    postgres_read_account_row(&row, 1, account);
    bool sound = !row.failed;
    do {
        if (!postgres_row_is_null(&row, 3)) {
            sound =
                postgres_read_balance(cursor->store, &row, 3, account) >= 0 && !row.failed && sound;
        }
        cursor->at++;
    } while (stand_before_row(cursor, &row) &&
             base_text_equal(postgres_row_id(&row, 0), account->account_id));
    return sound && !row.failed;
}

static bool take_row(struct postgres_cursor *cursor, struct postgres_row row,
                     struct store_row *ret_row)
{
    struct base_arena *arena = &cursor->arena;
    bool sound = true;
    switch (cursor->table) {
    case STORE_TABLE_JOURNAL:
        ret_row->position = (uint64_t)postgres_row_int64(&row, 0);
        ret_row->record = base_arena_bytes(arena, postgres_row_bytes(&row, 1));
        ret_row->caller = base_arena_text(arena, base_text_from(postgres_row_bytes(&row, 2)));
        break;
    case STORE_TABLE_IDS:
        ret_row->transaction_id = base_arena_text(arena, postgres_row_id(&row, 0));
        ret_row->position = (uint64_t)postgres_row_int64(&row, 1);
        break;
    case STORE_TABLE_ACCOUNTS:
        return take_account(cursor, row, &ret_row->account);
    case STORE_TABLE_ENTRIES:
        ret_row->entry.account_id = base_arena_text(arena, postgres_row_id(&row, 0));
        ret_row->position = (uint64_t)postgres_row_int64(&row, 1);
        sound = postgres_read_entry(cursor->store, &row, 2, arena, &ret_row->entry);
        break;
    }
    cursor->at++;
    return sound && !row.failed;
}

enum store_fault postgres_cursor_next(struct store_cursor *base, bool *ret_found,
                                      struct store_row *ret_row)
{
    struct postgres_cursor *cursor = (struct postgres_cursor *)base;
    struct postgres_row row;
    if (cursor->fault != STORE_OK) {
        return cursor->fault;
    }
    base_arena_reset(&cursor->arena);
    bool found = stand_before_row(cursor, &row);
    struct store_row taken = {0};
    if (found && !take_row(cursor, row, &taken)) {
        cursor->fault = STORE_CORRUPT;
    }
    if (cursor->fault != STORE_OK) {
        return cursor->fault;
    }
    if (found) {
        *ret_row = taken;
    }
    *ret_found = found;
    return STORE_OK;
}
