/*
 * The tables of a memory store, for the files of this folder only. Rows are only ever added or
 * updated, so all that a row points to lives in one arena until the store is closed, and may be
 * read without the lock once the row itself has been copied.
 */
#ifndef ZANDAKA_STORE_MEMORY_TABLES_H
#define ZANDAKA_STORE_MEMORY_TABLES_H

#include "store/store.h"

#include <pthread.h>

/* A transaction: a row of the journal and of the ids. */
struct memory_transaction {
    struct base_text transaction_id;
    struct base_bytes record;
    struct base_text caller; /* empty: not known */
    uint64_t commit_mark;
    uint64_t position; /* in the journal, from 1 */
};

struct memory_entry {
    struct ledger_entry entry;
    uint64_t position;
};

/* An account with its history: entries[i] has the sequence i + 1. */
struct memory_account {
    struct base_text account_id;
    int64_t last_time_us;
    struct ledger_balance *balances; /* by kind number */
    struct memory_entry *entries;    /* on its own, since it moves when it grows */
    size_t n_entries;                /* the account's version */
    size_t entries_capacity;
};

/* A hash table from ids to rows, open addressing, no more than half full. */
struct memory_index {
    struct memory_index_slot {
        struct base_text id;
        void *row; /* NULL: free */
    } * slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t n_rows;
};

/* The row under `id`, or NULL. */
void *memory_index_find(const struct memory_index *index, struct base_text id);
/* Adds a row under an id that has none; the id must live as long as the index. */
void memory_index_insert(struct memory_index *index, struct base_text id, void *row);

struct memory_store {
    struct store base;
    pthread_rwlock_t lock; /* over all that follows: commits write, everything else reads */
    struct base_arena arena;
    struct memory_transaction **journal; /* journal[i] has the position i + 1 */
    size_t n_journal;
    size_t journal_capacity;
    struct memory_index ids;      /* of struct memory_transaction */
    struct memory_index accounts; /* of struct memory_account */
};

/* A copy of the account's row in the arena; `account` NULL: one never seen. Under the lock. */
struct ledger_account memory_account_row(const struct memory_store *store,
                                         const struct memory_account *account,
                                         struct base_text account_id, struct base_arena *arena);

/* The cursors (cursor.c), as in store.h. */
struct store_cursor *memory_cursor_open(struct store *store, enum store_table table);
enum store_fault memory_cursor_next(struct store_cursor *cursor, bool *ret_found,
                                    struct store_row *ret_row);
void memory_cursor_close(struct store_cursor *cursor);

/* Under the lock nothing can fail but a bug of ours. */
void memory_lock_shared(struct memory_store *store);
void memory_lock_alone(struct memory_store *store);
void memory_unlock(struct memory_store *store);

#endif
