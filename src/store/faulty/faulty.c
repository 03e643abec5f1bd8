/*
 * The wrapped store sees what a store sees: each load followed by one commit or one abandon,
 * whatever is told to the caller.
 */
#include "store/faulty/faulty.h"

#include "store/faulty/late.h"

#include <pthread.h>
#include <stdlib.h>

struct faulty_store {
    struct store base;
    struct store *wrapped;
    store_faulty_choose choose;
    void *context;
    /* By session: the wrapped store has a working set that waits for its commit or abandon. */
    bool loaded[BASE_STORE_SESSIONS_MAX];
    pthread_mutex_t lock; /* over `late` */
    struct faulty_late *late;
};

struct faulty_cursor {
    struct store_cursor base;
    struct faulty_store *store;
    struct store_cursor *wrapped;
};

/* The fault that a load or a read meets; STORE_OK: the wrapped store is asked. */
static enum store_fault fault_before(struct faulty_store *store, enum store_faulty_call call)
{
    enum store_faulty_event event = store->choose(store->context, call);
    if (event == STORE_FAULTY_UNAVAILABLE) {
        return STORE_UNAVAILABLE;
    }
    if (event == STORE_FAULTY_CORRUPT) {
        return STORE_CORRUPT;
    }
    /* The other events happen to commits only. */
    base_assert(event == STORE_FAULTY_NONE);
    return STORE_OK;
}

static enum store_fault faulty_load(struct store *base, unsigned session,
                                    struct ledger_facts *facts)
{
    struct faulty_store *store = (struct faulty_store *)base;
    enum store_fault fault = fault_before(store, STORE_FAULTY_LOAD);
    if (fault != STORE_OK) {
        return fault;
    }
    fault = store_load(store->wrapped, session, facts);
    store->loaded[session] = fault == STORE_OK;
    return fault;
}

static void faulty_abandon(struct store *base, unsigned session, const struct ledger_facts *facts)
{
    struct faulty_store *store = (struct faulty_store *)base;
    if (store->loaded[session]) {
        store->loaded[session] = false;
        store_abandon(store->wrapped, session, facts);
    }
}

static enum store_fault faulty_commit(struct store *base, unsigned session,
                                      const struct ledger_facts *facts)
{
    struct faulty_store *store = (struct faulty_store *)base;
    enum store_faulty_event event = store->choose(store->context, STORE_FAULTY_COMMIT);
    /* Corruption is met by loads and reads only. */
    base_assert(event != STORE_FAULTY_CORRUPT);
    bool written = event == STORE_FAULTY_NONE || event == STORE_FAULTY_UNKNOWN_DONE;
    if (event == STORE_FAULTY_UNKNOWN_LATE) {
        pthread_mutex_lock(&store->lock);
        faulty_late_keep(&store->late, session, facts);
        pthread_mutex_unlock(&store->lock);
    }
    if (!written) {
        faulty_abandon(base, session, facts);
        return event == STORE_FAULTY_CONFLICT      ? STORE_CONFLICT
               : event == STORE_FAULTY_UNAVAILABLE ? STORE_UNAVAILABLE
                                                   : STORE_UNKNOWN;
    }
    store->loaded[session] = false;
    enum store_fault fault = store_commit(store->wrapped, session, facts);
    return fault == STORE_OK && event == STORE_FAULTY_UNKNOWN_DONE ? STORE_UNKNOWN : fault;
}

static enum store_fault faulty_read_transaction(struct store *base, struct base_text transaction_id,
                                                struct base_arena *arena, bool *ret_found,
                                                struct base_bytes *ret_record)
{
    struct faulty_store *store = (struct faulty_store *)base;
    enum store_fault fault = fault_before(store, STORE_FAULTY_READ);
    return fault != STORE_OK ? fault
                             : store_read_transaction(store->wrapped, transaction_id, arena,
                                                      ret_found, ret_record);
}

static enum store_fault faulty_read_caller(struct store *base, struct base_text transaction_id,
                                           struct base_arena *arena, bool *ret_found,
                                           struct base_text *ret_caller)
{
    struct faulty_store *store = (struct faulty_store *)base;
    enum store_fault fault = fault_before(store, STORE_FAULTY_READ);
    return fault != STORE_OK
               ? fault
               : store_read_caller(store->wrapped, transaction_id, arena, ret_found, ret_caller);
}

static enum store_fault faulty_read_accounts(struct store *base, size_t n,
                                             const struct base_text *account_ids,
                                             struct base_arena *arena,
                                             struct ledger_account *ret_accounts)
{
    struct faulty_store *store = (struct faulty_store *)base;
    enum store_fault fault = fault_before(store, STORE_FAULTY_READ);
    return fault != STORE_OK
               ? fault
               : store_read_accounts(store->wrapped, n, account_ids, arena, ret_accounts);
}

static enum store_fault faulty_read_entries(struct store *base,
                                            const struct store_entries_query *query,
                                            struct base_arena *arena,
                                            struct store_entries_page *ret_page)
{
    struct faulty_store *store = (struct faulty_store *)base;
    enum store_fault fault = fault_before(store, STORE_FAULTY_READ);
    return fault != STORE_OK ? fault : store_read_entries(store->wrapped, query, arena, ret_page);
}

static enum store_fault faulty_read_journal(struct store *base, uint64_t position,
                                            struct base_arena *arena, bool *ret_found,
                                            struct base_bytes *ret_record)
{
    struct faulty_store *store = (struct faulty_store *)base;
    enum store_fault fault = fault_before(store, STORE_FAULTY_READ);
    return fault != STORE_OK
               ? fault
               : store_read_journal(store->wrapped, position, arena, ret_found, ret_record);
}

/* Opening a cursor has no fault to tell, so each of its rows is a read. */
static struct store_cursor *faulty_cursor_open(struct store *base, enum store_table table)
{
    struct faulty_cursor *cursor = base_allocate(sizeof *cursor);
    cursor->base.backend = base->backend;
    cursor->store = (struct faulty_store *)base;
    cursor->wrapped = store_cursor_open(cursor->store->wrapped, table);
    return &cursor->base;
}

static enum store_fault faulty_cursor_next(struct store_cursor *base, bool *ret_found,
                                           struct store_row *ret_row)
{
    struct faulty_cursor *cursor = (struct faulty_cursor *)base;
    enum store_fault fault = fault_before(cursor->store, STORE_FAULTY_READ);
    return fault != STORE_OK ? fault : store_cursor_next(cursor->wrapped, ret_found, ret_row);
}

static void faulty_cursor_close(struct store_cursor *base)
{
    struct faulty_cursor *cursor = (struct faulty_cursor *)base;
    store_cursor_close(cursor->wrapped);
    free(cursor);
}

static bool faulty_ready(struct store *base, const char **ret_reason)
{
    return store_ready(((struct faulty_store *)base)->wrapped, ret_reason);
}

static void faulty_close(struct store *base)
{
    struct faulty_store *store = (struct faulty_store *)base;
    faulty_late_drop(&store->late);
    store_close(store->wrapped);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

bool store_faulty_land(struct store *base, enum store_fault *ret_fault)
{
    struct faulty_store *store = (struct faulty_store *)base;
    pthread_mutex_lock(&store->lock);
    struct faulty_late *late = faulty_late_take(&store->late);
    pthread_mutex_unlock(&store->lock);
    if (late == NULL) {
        return false;
    }
    *ret_fault = faulty_late_land(late, store->wrapped);
    return true;
}

struct store *store_faulty_open(struct store *wrapped, store_faulty_choose choose, void *context)
{
    static const struct store_backend backend = {
        .load = faulty_load,
        .commit = faulty_commit,
        .abandon = faulty_abandon,
        .read_transaction = faulty_read_transaction,
        .read_caller = faulty_read_caller,
        .read_accounts = faulty_read_accounts,
        .read_entries = faulty_read_entries,
        .read_journal = faulty_read_journal,
        .cursor_open = faulty_cursor_open,
        .cursor_next = faulty_cursor_next,
        .cursor_close = faulty_cursor_close,
        .ready = faulty_ready,
        .close = faulty_close,
    };
    struct faulty_store *store = base_allocate(sizeof *store);
    *store = (struct faulty_store){
        .base = {.backend = &backend,
                 .kinds = wrapped->kinds,
                 .n_sessions = store_sessions(wrapped),
                 .batch_max = store_batch_max(wrapped),
                 .journal_is_gapless = store_journal_is_gapless(wrapped)},
        .wrapped = wrapped,
        .choose = choose,
        .context = context,
    };
    pthread_mutex_init(&store->lock, NULL);
    return &store->base;
}
