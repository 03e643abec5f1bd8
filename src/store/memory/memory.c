/*
 * The reference: the plainest thing that keeps the promises of store.h. A commit is one critical
 * section, so it is atomic; "durable" is what a commit has left behind.
 */
#include "store/memory/memory.h"

#include "store/memory/tables.h"

#include <stdlib.h>
#include <string.h>

void memory_lock_shared(struct memory_store *store)
{
    int failure = pthread_rwlock_rdlock(&store->lock);
    base_assert(failure == 0);
}

void memory_lock_alone(struct memory_store *store)
{
    int failure = pthread_rwlock_wrlock(&store->lock);
    base_assert(failure == 0);
}

void memory_unlock(struct memory_store *store)
{
    int failure = pthread_rwlock_unlock(&store->lock);
    base_assert(failure == 0);
}

struct ledger_account memory_account_row(const struct memory_store *store,
                                         const struct memory_account *account,
                                         struct base_text account_id, struct base_arena *arena)
{
    size_t n_kinds = store->base.kinds->n_kinds;
    struct ledger_account row = {
        .account_id = account_id,
        .last_time_us = INT64_MIN,
        .balances = base_arena_take_zeroed(arena, n_kinds, sizeof *row.balances),
    };
    if (account != NULL) {
        row.version = (int64_t)account->n_entries;
        row.loaded_version = row.version;
        row.last_time_us = account->last_time_us;
        memcpy(row.balances, account->balances, n_kinds * sizeof *row.balances);
    }
    return row;
}

/* --- load and commit --- */

static enum store_fault memory_load(struct store *base, unsigned session,
                                    struct ledger_facts *facts)
{
    (void)session;
    struct memory_store *store = (struct memory_store *)base;
    memory_lock_shared(store);
    for (size_t i = 0; i < facts->n_transactions; i++) {
        struct ledger_transaction *fact = facts->transactions[i];
        const struct memory_transaction *found =
            memory_index_find(&store->ids, fact->transaction_id);
        fact->presence = found != NULL ? LEDGER_RECORDED : LEDGER_ABSENT;
        fact->record = (struct base_bytes){NULL, 0};
        if (found != NULL) {
            fact->record = base_arena_bytes(facts->arena, found->record);
            fact->commit_mark = found->commit_mark;
        }
    }
    for (size_t i = 0; i < facts->n_accounts; i++) {
        struct ledger_account *fact = facts->accounts[i];
        *fact = memory_account_row(store, memory_index_find(&store->accounts, fact->account_id),
                                   fact->account_id, facts->arena);
    }
    memory_unlock(store);
    return STORE_OK;
}

/* Whether what was loaded still holds, also what only refusals rest on (contract 3.8). */
static bool facts_hold(const struct memory_store *store, const struct ledger_facts *facts)
{
    for (size_t i = 0; i < facts->n_transactions; i++) {
        const struct ledger_transaction *fact = facts->transactions[i];
        base_assert(fact->presence != LEDGER_NEEDED);
        /* What is recorded stays recorded, so only an absence can have become untrue. */
        if (fact->presence != LEDGER_RECORDED &&
            memory_index_find(&store->ids, fact->transaction_id) != NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < facts->n_accounts; i++) {
        const struct ledger_account *fact = facts->accounts[i];
        const struct memory_account *account =
            memory_index_find(&store->accounts, fact->account_id);
        int64_t version = account != NULL ? (int64_t)account->n_entries : 0;
        if (fact->loaded_version != version) {
            return false;
        }
    }
    return true;
}

/* Adds the transaction to the journal and the ids; gives its position. */
static uint64_t record_transaction(struct memory_store *store,
                                   const struct ledger_transaction *recorded, uint64_t commit_mark)
{
    if (store->n_journal == store->journal_capacity) {
        store->journal_capacity = store->journal_capacity > 0 ? store->journal_capacity * 2 : 64;
        store->journal = base_reallocate(store->journal, store->journal_capacity *
                                                             sizeof(struct memory_transaction *));
    }
    struct memory_transaction *transaction = base_arena_take(&store->arena, sizeof *transaction);
    *transaction = (struct memory_transaction){
        .transaction_id = base_arena_text(&store->arena, recorded->transaction_id),
        .record = base_arena_bytes(&store->arena, recorded->record),
        .caller = base_arena_text(&store->arena, recorded->caller),
        .commit_mark = commit_mark,
        .position = store->n_journal + 1,
    };
    store->journal[store->n_journal++] = transaction;
    memory_index_insert(&store->ids, transaction->transaction_id, transaction);
    return transaction->position;
}

static struct memory_account *account_to_change(struct memory_store *store,
                                                struct base_text account_id)
{
    struct memory_account *account = memory_index_find(&store->accounts, account_id);
    if (account != NULL) {
        return account;
    }
    account = base_allocate_zeroed(1, sizeof *account);
    account->account_id = base_arena_text(&store->arena, account_id);
    account->balances = base_arena_take_zeroed(&store->arena, store->base.kinds->n_kinds,
                                               sizeof *account->balances);
    memory_index_insert(&store->accounts, account->account_id, account);
    return account;
}

static void append_entry(struct memory_store *store, const struct ledger_entry *entry,
                         uint64_t position)
{
    struct memory_account *account = account_to_change(store, entry->account_id);
    base_assert(entry->sequence == (int64_t)account->n_entries + 1);
    if (account->n_entries == account->entries_capacity) {
        account->entries_capacity =
            account->entries_capacity > 0 ? account->entries_capacity * 2 : 4;
        account->entries =
            base_reallocate(account->entries, account->entries_capacity * sizeof *account->entries);
    }
    struct memory_entry *kept = &account->entries[account->n_entries++];
    kept->entry = *entry;
    kept->entry.account_id = account->account_id;
    kept->entry.transaction_id = store->journal[position - 1]->transaction_id;
    kept->entry.original_transaction_id =
        base_arena_text(&store->arena, entry->original_transaction_id);
    kept->entry.description = base_arena_text(&store->arena, entry->description);
    kept->position = position;
}

static enum store_fault memory_commit(struct store *base, unsigned session,
                                      const struct ledger_facts *facts)
{
    (void)session;
    struct memory_store *store = (struct memory_store *)base;
    memory_lock_alone(store);
    if (!facts_hold(store, facts)) {
        memory_unlock(store);
        return STORE_CONFLICT;
    }
    for (size_t i = 0; i < facts->n_new; i++) {
        const struct ledger_transaction *recorded = facts->new_transactions[i];
        uint64_t position = record_transaction(store, recorded, facts->commit_mark);
        for (size_t at = 0; at < recorded->n_entries; at++) {
            append_entry(store, &facts->entries[recorded->first_entry + at], position);
        }
    }
    for (size_t i = 0; i < facts->n_accounts; i++) {
        const struct ledger_account *changed = facts->accounts[i];
        if (!changed->changed) {
            continue;
        }
        struct memory_account *account = account_to_change(store, changed->account_id);
        base_assert(changed->version == (int64_t)account->n_entries);
        account->last_time_us = changed->last_time_us;
        memcpy(account->balances, changed->balances,
               store->base.kinds->n_kinds * sizeof *account->balances);
    }
    memory_unlock(store);
    return STORE_OK;
}

static void memory_abandon(struct store *store, unsigned session, const struct ledger_facts *facts)
{
    (void)store;
    (void)session;
    (void)facts;
}

/* --- reads --- */

static enum store_fault memory_read_transaction(struct store *base, struct base_text transaction_id,
                                                struct base_arena *arena, bool *ret_found,
                                                struct base_bytes *ret_record)
{
    struct memory_store *store = (struct memory_store *)base;
    memory_lock_shared(store);
    const struct memory_transaction *found = memory_index_find(&store->ids, transaction_id);
    memory_unlock(store);
    if (found != NULL) {
        *ret_record = base_arena_bytes(arena, found->record);
    }
    *ret_found = found != NULL;
    return STORE_OK;
}

static enum store_fault memory_read_caller(struct store *base, struct base_text transaction_id,
                                           struct base_arena *arena, bool *ret_found,
                                           struct base_text *ret_caller)
{
    struct memory_store *store = (struct memory_store *)base;
    memory_lock_shared(store);
    const struct memory_transaction *found = memory_index_find(&store->ids, transaction_id);
    memory_unlock(store);
    if (found != NULL) {
        *ret_caller = base_arena_text(arena, found->caller);
    }
    *ret_found = found != NULL;
    return STORE_OK;
}

static enum store_fault memory_read_accounts(struct store *base, size_t n,
                                             const struct base_text *account_ids,
                                             struct base_arena *arena,
                                             struct ledger_account *ret_accounts)
{
    struct memory_store *store = (struct memory_store *)base;
    memory_lock_shared(store);
    for (size_t i = 0; i < n; i++) {
        ret_accounts[i] =
            memory_account_row(store, memory_index_find(&store->accounts, account_ids[i]),
                               base_arena_text(arena, account_ids[i]), arena);
    }
    memory_unlock(store);
    return STORE_OK;
}

static bool entry_wanted(const struct store_entries_query *query, const struct ledger_entry *entry)
{
    return (query->kind_numbers >> entry->kind_number & 1) != 0 &&
           (query->operations >> entry->operation & 1) != 0 &&
           entry->create_time_us < query->end_time_us;
}

/* The page of `account`'s history from the sequence `newest` down. */
static void fill_page(const struct memory_account *account, int64_t newest,
                      const struct store_entries_query *query, struct base_arena *arena,
                      struct store_entries_page *page)
{
    size_t n_scanned = 0;
    for (int64_t sequence = newest; sequence >= 1; sequence--) {
        if (page->n_entries == query->limit || n_scanned == query->scan_limit) {
            page->next_below_sequence = sequence + 1;
            return;
        }
        const struct ledger_entry *entry = &account->entries[sequence - 1].entry;
        /* Older entries are no later (contract 3.13). */
        if (entry->create_time_us < query->start_time_us) {
            return;
        }
        n_scanned++;
        if (entry_wanted(query, entry)) {
            struct ledger_entry *copy = &page->entries[page->n_entries++];
            *copy = *entry;
            copy->account_id = base_arena_text(arena, entry->account_id);
            copy->transaction_id = base_arena_text(arena, entry->transaction_id);
            copy->original_transaction_id = base_arena_text(arena, entry->original_transaction_id);
            copy->description = base_arena_text(arena, entry->description);
        }
    }
}

static enum store_fault memory_read_entries(struct store *base,
                                            const struct store_entries_query *query,
                                            struct base_arena *arena,
                                            struct store_entries_page *ret_page)
{
    struct memory_store *store = (struct memory_store *)base;
    struct store_entries_page page = {0};
    memory_lock_shared(store);
    const struct memory_account *account = memory_index_find(&store->accounts, query->account_id);
    if (account != NULL) {
        int64_t newest = (int64_t)account->n_entries;
        if (query->below_sequence <= newest) {
            newest = query->below_sequence - 1;
        }
        size_t most = newest > 0 ? (size_t)newest : 0;
        page.entries = base_arena_take(arena, (most < query->limit ? most : query->limit) *
                                                  sizeof *page.entries);
        fill_page(account, newest, query, arena, &page);
    }
    memory_unlock(store);
    *ret_page = page;
    return STORE_OK;
}

static enum store_fault memory_read_journal(struct store *base, uint64_t position,
                                            struct base_arena *arena, bool *ret_found,
                                            struct base_bytes *ret_record)
{
    struct memory_store *store = (struct memory_store *)base;
    const struct memory_transaction *found = NULL;
    memory_lock_shared(store);
    if (position >= 1 && position <= store->n_journal) {
        found = store->journal[position - 1];
    }
    memory_unlock(store);
    if (found != NULL) {
        *ret_record = base_arena_bytes(arena, found->record);
    }
    *ret_found = found != NULL;
    return STORE_OK;
}

/* --- opening and closing --- */

static bool memory_ready(struct store *store, const char **ret_reason)
{
    (void)store;
    (void)ret_reason;
    return true;
}

static void memory_close(struct store *base)
{
    struct memory_store *store = (struct memory_store *)base;
    for (size_t i = 0; i < store->accounts.n_slots; i++) {
        struct memory_account *account = store->accounts.slots[i].row;
        if (account != NULL) {
            free(account->entries);
            free(account);
        }
    }
    free(store->accounts.slots);
    free(store->ids.slots);
    free(store->journal);
    base_arena_release(&store->arena);
    (void)pthread_rwlock_destroy(&store->lock);
    free(store);
}

struct store *store_memory_open(const struct ledger_kinds *kinds)
{
    static const struct store_backend backend = {
        .load = memory_load,
        .commit = memory_commit,
        .abandon = memory_abandon,
        .read_transaction = memory_read_transaction,
        .read_caller = memory_read_caller,
        .read_accounts = memory_read_accounts,
        .read_entries = memory_read_entries,
        .read_journal = memory_read_journal,
        .cursor_open = memory_cursor_open,
        .cursor_next = memory_cursor_next,
        .cursor_close = memory_cursor_close,
        .ready = memory_ready,
        .close = memory_close,
    };
    struct memory_store *store = base_allocate_zeroed(1, sizeof *store);
    store->base = (struct store){
        .backend = &backend, .kinds = kinds, .n_sessions = 1, .journal_is_gapless = true};
    /* Readers that never pause must not keep commits waiting for ever. */
    pthread_rwlockattr_t attributes;
    int failure = pthread_rwlockattr_init(&attributes);
    base_assert(failure == 0);
    failure =
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    base_assert(failure == 0);
    failure = pthread_rwlock_init(&store->lock, &attributes);
    base_assert(failure == 0);
    (void)pthread_rwlockattr_destroy(&attributes);
    return &store->base;
}
