/*
 * What is durable. Every read is one that sees one moment, on a connection that no writer uses.
 * What a read of several tables joins never changes once it is there (records, entries), so that
 * the later table is read as of now.
 */
#include "store/spanner/database.h"

#include <stdlib.h>
#include <time.h>

static const struct spanner_moment now = {.which = SPANNER_NOW};

/* Reads of records are never behind: who asks for a transaction asks whether it has happened. */
static const struct spanner_moment *moment_of_records(const struct store_spanner *store)
{
    return store->moment.which == SPANNER_AT ? &store->moment : &now;
}

static enum store_fault try_to_read(struct store_spanner *store,
                                    const struct spanner_moment *moment, size_t n_reads,
                                    struct spanner_read *reads, bool *ret_again)
{
    struct spanner_connection *connection = spanner_reader_take(store);
    *ret_again = true;
    if (connection == NULL) {
        return STORE_UNAVAILABLE;
    }
    struct spanner_result result;
    enum store_fault fault = STORE_OK;
    if (!spanner_read(connection, moment, n_reads, reads, &result)) {
        fault = spanner_store_note_failure(store, &result);
        /* A session that was lost is made anew. */
        *ret_again = fault == STORE_CONFLICT || result.status == SPANNER_LOST ||
                     result.status == SPANNER_UNSENT || result.status == BASE_CODE_UNAVAILABLE;
        fault = fault == STORE_CORRUPT ? STORE_CORRUPT : STORE_UNAVAILABLE;
    }
    spanner_reader_give_back(store, connection);
    return fault;
}

enum store_fault spanner_store_read(struct store_spanner *store,
                                    const struct spanner_moment *moment, size_t n_reads,
                                    struct spanner_read *reads)
{
    const struct timespec wait = {.tv_nsec = BASE_DATABASE_RECONNECT_WAIT_MS * BASE_NS_PER_MS / 2};
    bool again;
    enum store_fault fault = try_to_read(store, moment, n_reads, reads, &again);
    for (int tries = 0; fault != STORE_OK && again; tries++) {
        if (tries >= BASE_DATABASE_READERS_MAX) {
            if (tries >= BASE_RETRIES_MAX || !spanner_store_may_be_back_soon(store)) {
                break;
            }
            (void)nanosleep(&wait, NULL);
        }
        fault = try_to_read(store, moment, n_reads, reads, &again);
    }
    return fault;
}

/* --- transactions --- */

static int compare_transactions(const void *a, const void *b)
{
    const struct spanner_transaction_row *left = a;
    const struct spanner_transaction_row *right = b;
    return base_text_compare(left->transaction_id, right->transaction_id);
}

enum store_fault spanner_read_transactions(struct store_spanner *store,
                                           const struct spanner_moment *moment, size_t n_ids,
                                           const struct base_text *ids, struct base_arena *arena,
                                           size_t *ret_n, struct spanner_transaction_row **ret_rows)
{
    struct spanner_read read = {.table = "transactions",
                                .n_columns = SPANNER_TRANSACTION_COLUMNS,
                                .columns = spanner_transaction_columns,
                                .keys = spanner_keys(arena, n_ids),
                                .arena = arena};
    for (size_t i = 0; i < n_ids; i++) {
        spanner_keys_add(&read.keys, spanner_key_of(arena, ids[i]));
    }
    enum store_fault fault = spanner_store_read(store, moment, 1, &read);
    if (fault != STORE_OK) {
        return fault;
    }
    struct spanner_transaction_row *rows = base_arena_take(arena, read.rows.n_rows * sizeof *rows);
    for (size_t i = 0; i < read.rows.n_rows; i++) {
        if (!spanner_take_transaction(&read.rows, i, arena, &rows[i])) {
            return STORE_CORRUPT;
        }
    }
    if (read.rows.n_rows > 0) {
        qsort(rows, read.rows.n_rows, sizeof *rows, compare_transactions);
    }
    *ret_n = read.rows.n_rows;
    *ret_rows = rows;
    return STORE_OK;
}

const struct spanner_transaction_row *
spanner_find_transaction(size_t n, const struct spanner_transaction_row *rows,
                         struct base_text transaction_id)
{
    const struct spanner_transaction_row key = {.transaction_id = transaction_id};
    return n == 0 ? NULL : bsearch(&key, rows, n, sizeof *rows, compare_transactions);
}

/* The one with that id. What it is read into is not the caller's arena, since it is larger. */
static enum store_fault read_one(struct store *base, struct base_text transaction_id,
                                 struct base_arena *scratch, bool *ret_found,
                                 struct spanner_transaction_row *ret_row)
{
    struct store_spanner *store = (struct store_spanner *)base;
    size_t n = 0;
    struct spanner_transaction_row *rows = NULL;
    enum store_fault fault = spanner_read_transactions(store, moment_of_records(store), 1,
                                                       &transaction_id, scratch, &n, &rows);
    if (fault == STORE_OK) {
        *ret_found = n > 0;
        if (n > 0) {
            *ret_row = rows[0];
        }
    }
    return fault;
}

enum store_fault spanner_read_transaction(struct store *base, struct base_text transaction_id,
                                          struct base_arena *arena, bool *ret_found,
                                          struct base_bytes *ret_record)
{
    struct base_arena scratch = BASE_ARENA_EMPTY;
    struct spanner_transaction_row row;
    bool found = false;
    enum store_fault fault = read_one(base, transaction_id, &scratch, &found, &row);
    if (fault == STORE_OK) {
        *ret_found = found;
        if (found) {
            *ret_record = base_arena_bytes(arena, row.record);
        }
    }
    base_arena_release(&scratch);
    return fault;
}

enum store_fault spanner_read_caller(struct store *base, struct base_text transaction_id,
                                     struct base_arena *arena, bool *ret_found,
                                     struct base_text *ret_caller)
{
    struct base_arena scratch = BASE_ARENA_EMPTY;
    struct spanner_transaction_row row;
    bool found = false;
    enum store_fault fault = read_one(base, transaction_id, &scratch, &found, &row);
    if (fault == STORE_OK) {
        *ret_found = found;
        if (found) {
            *ret_caller = base_arena_text(arena, row.caller);
        }
    }
    base_arena_release(&scratch);
    return fault;
}

/* Reads the journal's index for the id at a position. */
static enum store_fault read_id_at(struct store_spanner *store, uint64_t position,
                                   struct base_arena *arena, bool *ret_found,
                                   struct base_text *ret_id)
{
    static const char *const columns[] = {"transaction_id"};
    int64_t commit_time_us;
    int64_t journal_shard;
    int64_t place;
    spanner_position_split(position, &commit_time_us, &journal_shard, &place);
    spanner_value *values[] = {spanner_int64(arena, journal_shard),
                               spanner_time(arena, commit_time_us), spanner_int64(arena, place)};
    struct spanner_read read = {.table = "transactions",
                                .index = spanner_journal_index,
                                .n_columns = 1,
                                .columns = columns,
                                .keys = spanner_keys(arena, 1),
                                .arena = arena};
    spanner_keys_add(&read.keys, spanner_list_of(arena, 3, values));
    enum store_fault fault = spanner_store_read(store, moment_of_records(store), 1, &read);
    if (fault != STORE_OK) {
        return fault;
    }
    *ret_found = read.rows.n_rows > 0;
    if (*ret_found) {
        struct spanner_row row = {.rows = &read.rows};
        *ret_id = spanner_row_id(&row, 0);
        return row.failed ? STORE_CORRUPT : STORE_OK;
    }
    return STORE_OK;
}

enum store_fault spanner_read_journal(struct store *base, uint64_t position,
                                      struct base_arena *arena, bool *ret_found,
                                      struct base_bytes *ret_record)
{
    struct base_arena scratch = BASE_ARENA_EMPTY;
    struct base_text id;
    struct spanner_transaction_row row;
    bool found = false;
    enum store_fault fault =
        read_id_at((struct store_spanner *)base, position, &scratch, &found, &id);
    if (fault == STORE_OK && found) {
        fault = read_one(base, id, &scratch, &found, &row);
        /* The index leads to a row that is not there, or is somewhere else. */
        if (fault == STORE_OK && (!found || row.position != position)) {
            fault = STORE_CORRUPT;
        }
    }
    if (fault == STORE_OK) {
        *ret_found = found;
        if (found) {
            *ret_record = base_arena_bytes(arena, row.record);
        }
    }
    base_arena_release(&scratch);
    return fault;
}

/* --- accounts --- */

static int compare_accounts(const void *a, const void *b)
{
    const struct ledger_account *left = a;
    const struct ledger_account *right = b;
    return base_text_compare(left->account_id, right->account_id);
}

/* The accounts that are there, sorted by id; in the arena. */
static enum store_fault take_accounts(struct store_spanner *store, const struct spanner_rows *rows,
                                      struct base_arena *arena, struct ledger_account *found)
{
    for (size_t i = 0; i < rows->n_rows; i++) {
        struct spanner_row row = {.rows = rows, .row = i};
        struct base_text account_id = base_arena_text(arena, spanner_row_id(&row, 0));
        bool known;
        found[i] = spanner_account_unseen(store, account_id, arena);
        if (row.failed || !spanner_take_account(store, rows, i, &found[i], &known)) {
            return STORE_CORRUPT;
        }
        if (!known) {
            spanner_store_note_kind_missing(store);
            return STORE_UNAVAILABLE;
        }
    }
    if (rows->n_rows > 0) {
        qsort(found, rows->n_rows, sizeof *found, compare_accounts);
    }
    return STORE_OK;
}

enum store_fault spanner_read_accounts(struct store *base, size_t n,
                                       const struct base_text *account_ids,
                                       struct base_arena *arena,
                                       struct ledger_account *ret_accounts)
{
    struct store_spanner *store = (struct store_spanner *)base;
    if (!spanner_store_is_prepared(store)) {
        return STORE_UNAVAILABLE;
    }
    struct base_arena scratch = BASE_ARENA_EMPTY;
    struct spanner_read read = {.table = "accounts",
                                .n_columns = SPANNER_ACCOUNT_COLUMNS,
                                .columns = spanner_account_columns,
                                .keys = spanner_keys(&scratch, n),
                                .arena = &scratch};
    for (size_t i = 0; i < n; i++) {
        spanner_keys_add(&read.keys, spanner_key_of(&scratch, account_ids[i]));
    }
    enum store_fault fault = spanner_store_read(store, &store->moment, 1, &read);
    struct ledger_account *found = NULL;
    size_t n_found = 0;
    if (fault == STORE_OK) {
        n_found = read.rows.n_rows;
        found = base_arena_take(arena, n_found * sizeof *found);
        fault = take_accounts(store, &read.rows, arena, found);
    }
    for (size_t i = 0; fault == STORE_OK && i < n; i++) {
        const struct ledger_account key = {.account_id = account_ids[i]};
        const struct ledger_account *account =
            n_found == 0 ? NULL : bsearch(&key, found, n_found, sizeof *found, compare_accounts);
        ret_accounts[i] =
            account != NULL
                ? *account
                : spanner_account_unseen(store, base_arena_text(arena, account_ids[i]), arena);
    }
    base_arena_release(&scratch);
    return fault;
}
