/*
 * What is durable. Every read is one statement, which sees one moment, on a connection that no
 * writer uses; a commit shows only once the database has it in its log.
 */
#include "store/postgres/database.h"

#include <stdlib.h>
#include <time.h>

/* --- the connections --- */

struct postgres_connection *postgres_reader_take(struct store_postgres *store)
{
    struct postgres_connection *connection = NULL;
    (void)pthread_mutex_lock(&store->lock);
    unsigned age = store->readers_age;
    while (store->n_readers_free == 0 && store->n_readers_open == BASE_DATABASE_READERS_MAX) {
        (void)pthread_cond_wait(&store->changed, &store->lock);
    }
    if (store->n_readers_free > 0) {
        connection = store->readers_free[--store->n_readers_free];
    } else {
        store->n_readers_open++;
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (connection != NULL) {
        return connection;
    }
    connection = base_allocate_zeroed(1, sizeof *connection);
    bool connected = postgres_store_connect(store, connection, false);
    connection->age = age;
    if (!connected) {
        postgres_reader_give_back(store, connection);
        return NULL;
    }
    return connection;
}

void postgres_reader_give_back(struct store_postgres *store, struct postgres_connection *connection)
{
    (void)pthread_mutex_lock(&store->lock);
    if (connection->age != store->readers_age) {
        postgres_disconnect(connection);
    }
    if (connection->link != NULL) {
        store->readers_free[store->n_readers_free++] = connection;
    } else {
        store->n_readers_open--;
        free(connection);
    }
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}

void postgres_readers_retire(struct store_postgres *store)
{
    (void)pthread_mutex_lock(&store->lock);
    store->readers_age++;
    store->n_readers_open -= store->n_readers_free;
    while (store->n_readers_free > 0) {
        struct postgres_connection *connection = store->readers_free[--store->n_readers_free];
        postgres_disconnect(connection);
        free(connection);
    }
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}

void postgres_readers_close(struct store_postgres *store)
{
    for (size_t i = 0; i < store->n_readers_free; i++) {
        postgres_disconnect(store->readers_free[i]);
        free(store->readers_free[i]);
    }
}

/* Runs one statement once. *ret_again: it may go well on another connection. */
static enum store_fault try_to_read(struct store_postgres *store,
                                    enum postgres_statement_number statement,
                                    const struct base_bytes *parameters, PGresult **ret_result,
                                    bool *ret_again)
{
    struct postgres_connection *connection = postgres_reader_take(store);
    *ret_again = true;
    if (connection == NULL) {
        return STORE_UNAVAILABLE;
    }
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, connection);
    postgres_exchange_add(&exchange, statement, parameters);
    enum postgres_end end = postgres_exchange_end(&exchange);
    *ret_again = connection->link == NULL;
    enum store_fault fault = STORE_OK;
    if (end == POSTGRES_DONE) {
        *ret_result = exchange.results[0];
    } else {
        fault = postgres_store_note_failure(store, end, &exchange);
        fault = fault == STORE_CORRUPT ? STORE_CORRUPT : STORE_UNAVAILABLE;
    }
    postgres_reader_give_back(store, connection);
    return fault;
}

/* Runs one statement; the result is the caller's to clear. A restart of the database takes all
 * connections with it, also those that nobody used: so it is tried on the others and then on a new
 * one, and for a moment also while there is none to be had. */
static enum store_fault read(struct store_postgres *store, enum postgres_statement_number statement,
                             const struct base_bytes *parameters, PGresult **ret_result)
{
    const struct timespec wait = {.tv_nsec = BASE_DATABASE_RECONNECT_WAIT_MS * BASE_NS_PER_MS / 2};
    bool again;
    enum store_fault fault = try_to_read(store, statement, parameters, ret_result, &again);
    for (int tries = 0; fault != STORE_OK && again; tries++) {
        if (tries >= BASE_DATABASE_READERS_MAX) {
            if (!postgres_store_may_be_back_soon(store)) {
                break;
            }
            (void)nanosleep(&wait, NULL);
        }
        fault = try_to_read(store, statement, parameters, ret_result, &again);
    }
    return fault;
}

/* --- transactions --- */

/* The only row's record, and its caller where there is a second column. */
static enum store_fault take_record(PGresult *result, struct base_arena *arena, bool *ret_found,
                                    struct base_bytes *ret_record, struct base_text *ret_caller)
{
    *ret_found = PQntuples(result) > 0;
    if (*ret_found) {
        struct postgres_row row = {.result = result};
        *ret_record = base_arena_bytes(arena, postgres_row_bytes(&row, 0));
        if (ret_caller != NULL) {
            *ret_caller = base_arena_text(arena, base_text_from(postgres_row_bytes(&row, 1)));
        }
    }
    PQclear(result);
    return STORE_OK;
}

enum store_fault postgres_read_transaction(struct store *base, struct base_text transaction_id,
                                           struct base_arena *arena, bool *ret_found,
                                           struct base_bytes *ret_record)
{
    struct base_bytes id = base_bytes_of(transaction_id);
    PGresult *result;
    enum store_fault fault =
        read((struct store_postgres *)base, POSTGRES_READ_TRANSACTION, &id, &result);
    return fault != STORE_OK ? fault : take_record(result, arena, ret_found, ret_record, NULL);
}

enum store_fault postgres_read_caller(struct store *base, struct base_text transaction_id,
                                      struct base_arena *arena, bool *ret_found,
                                      struct base_text *ret_caller)
{
    struct base_bytes id = base_bytes_of(transaction_id);
    struct base_bytes record;
    PGresult *result;
    enum store_fault fault =
        read((struct store_postgres *)base, POSTGRES_READ_TRANSACTION, &id, &result);
    return fault != STORE_OK ? fault : take_record(result, arena, ret_found, &record, ret_caller);
}

enum store_fault postgres_read_journal(struct store *base, uint64_t position,
                                       struct base_arena *arena, bool *ret_found,
                                       struct base_bytes *ret_record)
{
    if (position > INT64_MAX) {
        *ret_found = false;
        return STORE_OK;
    }
    struct base_bytes parameter = postgres_int64(arena, (int64_t)position);
    PGresult *result;
    enum store_fault fault =
        read((struct store_postgres *)base, POSTGRES_READ_POSITION, &parameter, &result);
    return fault != STORE_OK ? fault : take_record(result, arena, ret_found, ret_record, NULL);
}

/* --- accounts --- */

struct ledger_account postgres_account_unseen(const struct store_postgres *store,
                                              struct base_text account_id, struct base_arena *arena)
{
    return (struct ledger_account){
        .account_id = account_id,
        .last_time_us = INT64_MIN,
        .balances = base_arena_take_zeroed(arena, store->base.kinds->n_kinds,
                                           sizeof(struct ledger_balance)),
    };
}

void postgres_read_account_row(struct postgres_row *row, int first, struct ledger_account *account)
{
    account->version = postgres_row_int64(row, first);
    account->loaded_version = account->version;
    account->last_time_us = INT64_MIN;
    if (account->version > 0) {
        account->last_time_us = postgres_row_time(row, first + 1);
    }
    if (account->version < 0) {
        row->failed = true;
    }
}

/* The kind's number, or -1. */
static int kind_number_of(const struct store_postgres *store, struct postgres_row *row, int column)
{
    int stored_number = postgres_row_int16(row, column);
    if (stored_number < 0 || stored_number >= BASE_KINDS_MAX) {
        row->failed = true;
        return -1;
    }
    return store->kind_map.kind_numbers[stored_number];
}

int postgres_read_balance(const struct store_postgres *store, struct postgres_row *row, int first,
                          struct ledger_account *account)
{
    int kind_number = kind_number_of(store, row, first);
    int64_t available_minor = postgres_row_int64(row, first + 1);
    int64_t held_minor = postgres_row_int64(row, first + 2);
    if (available_minor < 0 || held_minor < 0 || available_minor > INT64_MAX - held_minor) {
        row->failed = true;
    }
    if (kind_number >= 0) {
        account->balances[kind_number] = (struct ledger_balance){available_minor, held_minor};
    }
    return kind_number;
}

static int compare_found(const void *a, const void *b)
{
    const struct ledger_account *left = a;
    const struct ledger_account *right = b;
    return base_text_compare(left->account_id, right->account_id);
}

/* The accounts in the rows, which stand in the order of their ids: an account has a row for each of
 * its balances. */
static enum store_fault take_accounts(struct store_postgres *store, const PGresult *result,
                                      struct base_arena *arena, size_t *ret_n,
                                      struct ledger_account *found)
{
    size_t n = 0;
    int n_rows = PQntuples(result);
    for (int i = 0; i < n_rows; i++) {
        struct postgres_row row = {.result = result, .row = i};
        struct base_text account_id = postgres_row_id(&row, 0);
        if (n == 0 || !base_text_equal(found[n - 1].account_id, account_id)) {
            found[n] = postgres_account_unseen(store, base_arena_text(arena, account_id), arena);
            postgres_read_account_row(&row, 1, &found[n++]);
        }
        bool known = postgres_row_is_null(&row, 3) ||
                     postgres_read_balance(store, &row, 3, &found[n - 1]) >= 0;
        if (row.failed) {
            return STORE_CORRUPT;
        }
        if (!known) {
            postgres_store_note_kind_missing(store);
            return STORE_UNAVAILABLE;
        }
    }
    *ret_n = n;
    return STORE_OK;
}

enum store_fault postgres_read_accounts(struct store *base, size_t n,
                                        const struct base_text *account_ids,
                                        struct base_arena *arena,
                                        struct ledger_account *ret_accounts)
{
    struct store_postgres *store = (struct store_postgres *)base;
    struct postgres_array ids = {0};
    postgres_array_begin(&ids, POSTGRES_TEXT);
    for (size_t i = 0; i < n; i++) {
        postgres_array_add_text(&ids, account_ids[i]);
    }
    struct base_bytes parameter = postgres_array_end(&ids);
    PGresult *result;
    enum store_fault fault = read(store, POSTGRES_READ_ACCOUNTS, &parameter, &result);
    postgres_array_release(&ids);
    if (fault != STORE_OK) {
        return fault;
    }
    size_t n_found = 0;
    struct ledger_account *found = base_arena_take(arena, n * sizeof *found);
    fault = take_accounts(store, result, arena, &n_found, found);
    PQclear(result);
    for (size_t i = 0; fault == STORE_OK && i < n; i++) {
        struct ledger_account key = {.account_id = account_ids[i]};
        const struct ledger_account *account =
            bsearch(&key, found, n_found, sizeof *found, compare_found);
        ret_accounts[i] =
            account != NULL
                ? *account
                : postgres_account_unseen(store, base_arena_text(arena, account_ids[i]), arena);
    }
    return fault;
}

/* --- entries --- */

bool postgres_read_entry(const struct store_postgres *store, struct postgres_row *row, int first,
                         struct base_arena *arena, struct ledger_entry *entry)
{
    struct record_transaction transaction;
    entry->sequence = postgres_row_int64(row, first);
    entry->transaction_id = base_arena_text(arena, postgres_row_id(row, first + 1));
    entry->operation = (enum record_operation)postgres_row_int16(row, first + 2);
    entry->kind_number = kind_number_of(store, row, first + 3);
    entry->amount_minor = postgres_row_int64(row, first + 4);
    entry->balance_after_minor = postgres_row_int64(row, first + 5);
    entry->held_amount_minor = postgres_row_int64(row, first + 6);
    entry->held_after_minor = postgres_row_int64(row, first + 7);
    entry->create_time_us = postgres_row_time(row, first + 8);
    /* A cancel touches no account, so it has no entries (contract 3.7). */
    if (entry->operation != RECORD_OPERATION_ADD && entry->operation != RECORD_OPERATION_CONSUME) {
        row->failed = true;
    }
    if (record_decode(arena, postgres_row_bytes(row, first + 9), &transaction)) {
        /* The record's texts point into the result, which goes. */
        entry->original_transaction_id =
            base_arena_text(arena, transaction.original_transaction_id);
        entry->description = base_arena_text(arena, transaction.description);
    } else {
        row->failed = true;
    }
    return entry->kind_number >= 0;
}

/* Whether the numbers of the kinds are known: from the first connection on. */
static bool is_prepared(struct store_postgres *store)
{
    if (!atomic_load(&store->prepared)) {
        struct postgres_connection *connection = postgres_reader_take(store);
        if (connection == NULL) {
            return false;
        }
        postgres_reader_give_back(store, connection);
    }
    return true;
}

/* The bits of the wanted kinds, by the database's numbers. */
static int64_t stored_kinds(const struct store_postgres *store, uint64_t kind_numbers)
{
    uint64_t stored = 0;
    for (size_t kind = 0; kind < store->base.kinds->n_kinds; kind++) {
        if ((kind_numbers >> kind & 1) != 0) {
            stored |= UINT64_C(1) << store->kind_map.stored_numbers[kind];
        }
    }
    /* All kinds are also those that only another server has, so that none is left out unseen. */
    return kind_numbers == UINT64_MAX ? -1 : (int64_t)stored;
}

/* The rows: the bounds of what was looked at, and beside them an entry, or NULLs where none was
 * wanted. No row at all: there is no such account. */
static enum store_fault take_page(struct store_postgres *store,
                                  const struct store_entries_query *query, const PGresult *result,
                                  struct base_arena *arena, struct store_entries_page *page)
{
    enum { NEWEST, OLDEST, OLDEST_TIME, FIRST };
    size_t n_rows = (size_t)PQntuples(result);
    page->entries = base_arena_take(arena, n_rows * sizeof *page->entries);
    struct base_text account_id = base_arena_text(arena, query->account_id);
    for (size_t i = 0; i < n_rows; i++) {
        struct postgres_row row = {.result = result, .row = (int)i};
        int64_t newest = postgres_row_int64(&row, NEWEST);
        int64_t oldest = postgres_row_int64(&row, OLDEST);
        if (!row.failed && newest < oldest) {
            return STORE_OK; /* nothing to look at */
        }
        int64_t oldest_time_us = postgres_row_time(&row, OLDEST_TIME);
        bool known = true;
        if (!postgres_row_is_null(&row, FIRST)) {
            struct ledger_entry *entry = &page->entries[page->n_entries++];
            *entry = (struct ledger_entry){.account_id = account_id};
            known = postgres_read_entry(store, &row, FIRST, arena, entry);
        }
        if (row.failed) {
            return STORE_CORRUPT;
        }
        if (!known) {
            postgres_store_note_kind_missing(store);
            return STORE_UNAVAILABLE;
        }
        page->next_below_sequence =
            oldest > 1 && oldest_time_us >= query->start_time_us ? oldest : 0;
    }
    if (page->n_entries == query->limit) {
        int64_t last = page->entries[page->n_entries - 1].sequence;
        page->next_below_sequence = last > 1 ? last : 0;
    }
    return STORE_OK;
}

enum store_fault postgres_read_entries(struct store *base, const struct store_entries_query *query,
                                       struct base_arena *arena,
                                       struct store_entries_page *ret_page)
{
    struct store_postgres *store = (struct store_postgres *)base;
    if (!is_prepared(store)) {
        return STORE_UNAVAILABLE;
    }
    int64_t scan_limit = query->scan_limit < INT32_MAX ? (int64_t)query->scan_limit : INT32_MAX;
    const struct base_bytes parameters[] = {
        base_bytes_of(query->account_id),
        postgres_int64(arena, query->below_sequence),
        postgres_int64(arena, scan_limit),
        postgres_time(arena, query->start_time_us),
        postgres_time(arena, query->end_time_us),
        postgres_int64(arena, stored_kinds(store, query->kind_numbers)),
        postgres_int64(arena, query->operations),
        postgres_int64(arena, (int64_t)query->limit),
    };
    PGresult *result;
    enum store_fault fault = read(store, POSTGRES_READ_ENTRIES, parameters, &result);
    if (fault != STORE_OK) {
        return fault;
    }
    struct store_entries_page page = {0};
    fault = take_page(store, query, result, arena, &page);
    PQclear(result);
    if (fault == STORE_OK) {
        *ret_page = page;
    }
    return fault;
}
