/*
 * A walk over a table as of the moment of its opening. What grows afterwards is left out by the
 * counts taken then, and what changes afterwards, the accounts' rows, is copied then.
 */
#include "store/memory/tables.h"

#include <stdlib.h>

/* The history of one account as it was when the cursor was opened. */
struct history {
    const struct memory_account *account;
    size_t n_entries;
};

struct memory_cursor {
    struct store_cursor base;
    struct memory_store *store;
    enum store_table table;
    struct base_arena arena; /* the lists below */
    size_t n;                /* elements of the table's list */
    size_t at;               /* the next one */
    struct memory_transaction **transactions;
    struct ledger_account *accounts;
    struct history *histories;
};

static int compare_transactions(const void *a, const void *b)
{
    const struct memory_transaction *const *left = a;
    const struct memory_transaction *const *right = b;
    return base_text_compare((*left)->transaction_id, (*right)->transaction_id);
}

static int compare_accounts(const void *a, const void *b)
{
    const struct ledger_account *left = a;
    const struct ledger_account *right = b;
    return base_text_compare(left->account_id, right->account_id);
}

static int compare_histories(const void *a, const void *b)
{
    const struct history *left = a;
    const struct history *right = b;
    return base_text_compare(left->account->account_id, right->account->account_id);
}

static void list_transactions(struct memory_cursor *cursor)
{
    const struct memory_store *store = cursor->store;
    cursor->n = store->n_journal;
    cursor->transactions =
        base_arena_take(&cursor->arena, cursor->n * sizeof(struct memory_transaction *));
    for (size_t i = 0; i < cursor->n; i++) {
        cursor->transactions[i] = store->journal[i];
    }
    if (cursor->table == STORE_TABLE_IDS && cursor->n > 0) {
        qsort(cursor->transactions, cursor->n, sizeof *cursor->transactions, compare_transactions);
    }
}

static void list_accounts(struct memory_cursor *cursor)
{
    const struct memory_index *index = &cursor->store->accounts;
    cursor->accounts =
        base_arena_take(&cursor->arena, index->n_rows * sizeof(struct ledger_account));
    cursor->histories = base_arena_take(&cursor->arena, index->n_rows * sizeof(struct history));
    for (size_t i = 0; i < index->n_slots; i++) {
        const struct memory_account *account = index->slots[i].row;
        if (account == NULL) {
            continue;
        }
        cursor->accounts[cursor->n] =
            memory_account_row(cursor->store, account, account->account_id, &cursor->arena);
        cursor->histories[cursor->n] = (struct history){account, account->n_entries};
        cursor->n++;
    }
    if (cursor->n > 0) {
        qsort(cursor->accounts, cursor->n, sizeof *cursor->accounts, compare_accounts);
        qsort(cursor->histories, cursor->n, sizeof *cursor->histories, compare_histories);
    }
}

struct store_cursor *memory_cursor_open(struct store *store, enum store_table table)
{
    struct memory_cursor *cursor = base_allocate_zeroed(1, sizeof *cursor);
    cursor->base.backend = store->backend;
    cursor->store = (struct memory_store *)store;
    cursor->table = table;
    memory_lock_shared(cursor->store);
    if (table == STORE_TABLE_JOURNAL || table == STORE_TABLE_IDS) {
        list_transactions(cursor);
    } else {
        list_accounts(cursor);
    }
    memory_unlock(cursor->store);
    return &cursor->base;
}

/* The next entry of all histories, newest first within each. */
static bool next_entry(struct memory_cursor *cursor, struct store_row *row)
{
    while (cursor->at < cursor->n && cursor->histories[cursor->at].n_entries == 0) {
        cursor->at++;
    }
    if (cursor->at == cursor->n) {
        return false;
    }
    struct history *history = &cursor->histories[cursor->at];
    history->n_entries--;
    /* A commit may move the account's entries while it adds to them. */
    memory_lock_shared(cursor->store);
    const struct memory_entry *entry = &history->account->entries[history->n_entries];
    row->entry = entry->entry;
    row->position = entry->position;
    memory_unlock(cursor->store);
    return true;
}

enum store_fault memory_cursor_next(struct store_cursor *base, bool *ret_found,
                                    struct store_row *ret_row)
{
    struct memory_cursor *cursor = (struct memory_cursor *)base;
    struct store_row row = {0};
    bool found;
    if (cursor->table == STORE_TABLE_ENTRIES) {
        found = next_entry(cursor, &row);
    } else {
        found = cursor->at < cursor->n;
        if (found && cursor->table == STORE_TABLE_ACCOUNTS) {
            row.account = cursor->accounts[cursor->at++];
        } else if (found) {
            const struct memory_transaction *transaction = cursor->transactions[cursor->at++];
            row.position = transaction->position;
            row.transaction_id = transaction->transaction_id;
            row.record = transaction->record;
            row.caller = transaction->caller;
        }
    }
    if (found) {
        *ret_row = row;
    }
    *ret_found = found;
    return STORE_OK;
}

void memory_cursor_close(struct store_cursor *base)
{
    struct memory_cursor *cursor = (struct memory_cursor *)base;
    base_arena_release(&cursor->arena);
    free(cursor);
}
