/*
 * Rows as the tables have them. An account's balances stand in its own row, as arrays beside one
 * another, and so do the entries that one transaction makes in one account: fewer rows are fewer
 * mutations, fewer locks and fewer bytes, and one read has them all.
 */
#include "store/spanner/database.h"

/* Journal positions count from 2020-01-01T00:00:00Z, and so last until 2091. */
#define EPOCH_US INT64_C(1577836800000000)
#define PLACE_BITS 10
#define SHARD_BITS 3
#define TIME_BITS 51
static_assert(BASE_BATCH_MAX <= 1 << PLACE_BITS, "a place in the batch must fit the position");
static_assert(SPANNER_JOURNAL_SHARDS <= 1 << SHARD_BITS, "a shard must fit the position");
static_assert(PLACE_BITS + SHARD_BITS + TIME_BITS <= 64, "a position must be a uint64_t");

const char spanner_journal_index[] = "transactions_by_position";

int64_t spanner_shard(struct base_text id)
{
    return (int64_t)(base_hash(base_bytes_of(id)) % SPANNER_SHARDS);
}

int64_t spanner_journal_shard(uint64_t commit_mark)
{
    struct base_bytes bytes = {(const uint8_t *)&commit_mark, sizeof commit_mark};
    return (int64_t)(base_hash(bytes) % SPANNER_JOURNAL_SHARDS);
}

spanner_list *spanner_key_of(struct base_arena *arena, struct base_text id)
{
    spanner_value *values[] = {spanner_int64(arena, spanner_shard(id)), spanner_text(arena, id)};
    return spanner_list_of(arena, 2, values);
}

/* --- positions --- */

bool spanner_position_of(int64_t commit_time_us, int64_t journal_shard, int64_t place,
                         uint64_t *ret_position)
{
    if (commit_time_us <= EPOCH_US || commit_time_us - EPOCH_US >= INT64_C(1) << TIME_BITS ||
        journal_shard < 0 || journal_shard >= SPANNER_JOURNAL_SHARDS || place < 0 ||
        place >= 1 << PLACE_BITS) {
        return false;
    }
    *ret_position = (uint64_t)(commit_time_us - EPOCH_US) << (SHARD_BITS + PLACE_BITS) |
                    (uint64_t)journal_shard << PLACE_BITS | (uint64_t)place;
    return true;
}

void spanner_position_split(uint64_t position, int64_t *ret_commit_time_us,
                            int64_t *ret_journal_shard, int64_t *ret_place)
{
    *ret_commit_time_us = (int64_t)(position >> (SHARD_BITS + PLACE_BITS)) + EPOCH_US;
    *ret_journal_shard = (int64_t)(position >> PLACE_BITS & ((1 << SHARD_BITS) - 1));
    *ret_place = (int64_t)(position & ((1 << PLACE_BITS) - 1));
}

/* --- transactions --- */

const char *const spanner_transaction_columns[SPANNER_TRANSACTION_COLUMNS] = {
    "transaction_id", "record", "caller", "commit_mark", "commit_time", "journal_shard", "place"};

bool spanner_take_transaction(const struct spanner_rows *rows, size_t number,
                              struct base_arena *arena,
                              struct spanner_transaction_row *ret_transaction)
{
    struct spanner_row row = {.rows = rows, .row = number};
    *ret_transaction = (struct spanner_transaction_row){
        .transaction_id = base_arena_text(arena, spanner_row_id(&row, 0)),
        .record = spanner_row_bytes(&row, 1, arena),
        .caller = base_arena_text(arena, spanner_row_text(&row, 2)),
        .commit_mark = (uint64_t)spanner_row_int64(&row, 3),
    };
    int64_t commit_time_us = spanner_row_time(&row, 4);
    int64_t journal_shard = spanner_row_int64(&row, 5);
    int64_t place = spanner_row_int64(&row, 6);
    return !row.failed &&
           spanner_position_of(commit_time_us, journal_shard, place, &ret_transaction->position);
}

/* --- accounts --- */

const char *const spanner_account_columns[SPANNER_ACCOUNT_COLUMNS] = {
    "account_id", "version", "last_time", "kind_numbers", "available", "held"};

struct ledger_account spanner_account_unseen(const struct store_spanner *store,
                                             struct base_text account_id, struct base_arena *arena)
{
    return (struct ledger_account){
        .account_id = account_id,
        .last_time_us = INT64_MIN,
        .balances = base_arena_take_zeroed(arena, store->base.kinds->n_kinds,
                                           sizeof(struct ledger_balance)),
    };
}

/* The kind's number; -1: this server does not have it. */
static int kind_number_of(const struct store_spanner *store, struct spanner_row *row,
                          int64_t stored_number)
{
    if (stored_number < 0 || stored_number >= BASE_KINDS_MAX) {
        row->failed = true;
        return -1;
    }
    return store->kind_map.kind_numbers[stored_number];
}

bool spanner_take_account(const struct store_spanner *store, const struct spanner_rows *rows,
                          size_t number, struct ledger_account *account, bool *ret_known)
{
    struct spanner_row row = {.rows = rows, .row = number};
    int64_t kinds[BASE_KINDS_MAX];
    int64_t available[BASE_KINDS_MAX];
    int64_t held[BASE_KINDS_MAX];
    account->version = spanner_row_int64(&row, 1);
    account->loaded_version = account->version;
    account->last_time_us = spanner_row_time(&row, 2);
    size_t n = spanner_row_int64s(&row, 3, kinds, BASE_KINDS_MAX);
    if (spanner_row_int64s(&row, 4, available, BASE_KINDS_MAX) != n ||
        spanner_row_int64s(&row, 5, held, BASE_KINDS_MAX) != n || account->version < 1) {
        row.failed = true;
    }
    *ret_known = true;
    for (size_t i = 0; !row.failed && i < n; i++) {
        int kind_number = kind_number_of(store, &row, kinds[i]);
        /* In the order of their numbers, so that none is there twice. */
        if (available[i] < 0 || held[i] < 0 || available[i] > INT64_MAX - held[i] ||
            (i > 0 && kinds[i] <= kinds[i - 1])) {
            row.failed = true;
        } else if (kind_number >= 0) {
            account->balances[kind_number] = (struct ledger_balance){available[i], held[i]};
        } else {
            *ret_known = false;
        }
    }
    return !row.failed;
}

/* --- entries --- */

const char *const spanner_entries_columns[SPANNER_ENTRIES_COLUMNS] = {
    "account_id",   "first_sequence", "transaction_id", "operation",    "create_time",
    "kind_numbers", "amounts",        "balances_after", "held_amounts", "held_after"};

/* A column of numbers, one for each entry; NULL: all zeros. */
static void take_numbers(struct spanner_row *row, size_t column, size_t n,
                         int64_t numbers[BASE_LEGS_MAX])
{
    if (spanner_row_is_null(row, column)) {
        for (size_t i = 0; i < n; i++) {
            numbers[i] = 0;
        }
    } else if (spanner_row_int64s(row, column, numbers, BASE_LEGS_MAX) != n) {
        row->failed = true;
    }
}

bool spanner_take_entries(const struct store_spanner *store, const struct spanner_rows *rows,
                          size_t number, struct base_arena *arena,
                          struct spanner_entries_row *ret_entries, bool *ret_known)
{
    enum { KINDS, AMOUNTS, BALANCES_AFTER, HELD_AMOUNTS, HELD_AFTER, LISTS };
    struct spanner_row row = {.rows = rows, .row = number};
    int64_t lists[LISTS][BASE_LEGS_MAX];
    int64_t operation = spanner_row_int64(&row, 3);
    const struct ledger_entry shared = {
        .account_id = base_arena_text(arena, spanner_row_id(&row, 0)),
        .sequence = spanner_row_int64(&row, 1),
        .transaction_id = base_arena_text(arena, spanner_row_id(&row, 2)),
        .operation = (enum record_operation)operation,
        .create_time_us = spanner_row_time(&row, 4),
    };
    size_t n = spanner_row_int64s(&row, 5, lists[KINDS], BASE_LEGS_MAX);
    for (size_t list = AMOUNTS; list < LISTS; list++) {
        take_numbers(&row, 5 + list, n, lists[list]);
    }
    /* A cancel touches no account, so it has no entries (contract 3.7). */
    if (operation != RECORD_OPERATION_ADD && operation != RECORD_OPERATION_CONSUME) {
        row.failed = true;
    }
    if (n == 0 || shared.sequence < 1 || shared.sequence > INT64_MAX - BASE_LEGS_MAX) {
        row.failed = true;
    }
    *ret_known = true;
    ret_entries->n_entries = n;
    for (size_t i = 0; !row.failed && i < n; i++) {
        struct ledger_entry *entry = &ret_entries->entries[i];
        *entry = shared;
        entry->sequence += (int64_t)i;
        entry->kind_number = kind_number_of(store, &row, lists[KINDS][i]);
        entry->amount_minor = lists[AMOUNTS][i];
        entry->balance_after_minor = lists[BALANCES_AFTER][i];
        entry->held_amount_minor = lists[HELD_AMOUNTS][i];
        entry->held_after_minor = lists[HELD_AFTER][i];
        *ret_known = *ret_known && entry->kind_number >= 0;
    }
    return !row.failed;
}

bool spanner_entry_add_record(struct base_bytes record, struct base_arena *arena,
                              struct ledger_entry *entry)
{
    struct record_transaction transaction;
    if (!record_decode(arena, record, &transaction)) {
        return false;
    }
    entry->original_transaction_id = base_arena_text(arena, transaction.original_transaction_id);
    entry->description = base_arena_text(arena, transaction.description);
    return true;
}
