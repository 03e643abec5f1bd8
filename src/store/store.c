/*
 * The door itself: what every backend may rely on is asserted here, once, and then the backend is
 * asked.
 */
#include "store/store.h"

unsigned store_sessions(const struct store *store)
{
    base_assert(store->n_sessions >= 1 && store->n_sessions <= BASE_STORE_SESSIONS_MAX);
    return store->n_sessions;
}

size_t store_batch_max(const struct store *store)
{
    base_assert(store->batch_max <= BASE_BATCH_MAX);
    return store->batch_max > 0 ? store->batch_max : BASE_BATCH_MAX;
}

bool store_journal_is_gapless(const struct store *store)
{
    return store->journal_is_gapless;
}

enum store_fault store_load(struct store *store, unsigned session, struct ledger_facts *facts)
{
    base_assert(session < store->n_sessions);
    base_assert(facts->kinds->n_kinds == store->kinds->n_kinds);
    return store->backend->load(store, session, facts);
}

enum store_fault store_commit(struct store *store, unsigned session,
                              const struct ledger_facts *facts)
{
    base_assert(session < store->n_sessions);
    return store->backend->commit(store, session, facts);
}

void store_abandon(struct store *store, unsigned session, const struct ledger_facts *facts)
{
    base_assert(session < store->n_sessions);
    store->backend->abandon(store, session, facts);
}

enum store_fault store_read_transaction(struct store *store, struct base_text transaction_id,
                                        struct base_arena *arena, bool *ret_found,
                                        struct base_bytes *ret_record)
{
    return store->backend->read_transaction(store, transaction_id, arena, ret_found, ret_record);
}

enum store_fault store_read_caller(struct store *store, struct base_text transaction_id,
                                   struct base_arena *arena, bool *ret_found,
                                   struct base_text *ret_caller)
{
    return store->backend->read_caller(store, transaction_id, arena, ret_found, ret_caller);
}

enum store_fault store_read_accounts(struct store *store, size_t n,
                                     const struct base_text *account_ids, struct base_arena *arena,
                                     struct ledger_account *ret_accounts)
{
    base_assert(n >= 1 && n <= BASE_BATCH_GET_MAX);
    return store->backend->read_accounts(store, n, account_ids, arena, ret_accounts);
}

enum store_fault store_read_entries(struct store *store, const struct store_entries_query *query,
                                    struct base_arena *arena, struct store_entries_page *ret_page)
{
    base_assert(query->limit >= 1 && query->limit <= BASE_PAGE_MAX);
    base_assert(query->scan_limit >= 1);
    return store->backend->read_entries(store, query, arena, ret_page);
}

enum store_fault store_read_journal(struct store *store, uint64_t position,
                                    struct base_arena *arena, bool *ret_found,
                                    struct base_bytes *ret_record)
{
    return store->backend->read_journal(store, position, arena, ret_found, ret_record);
}

struct store_cursor *store_cursor_open(struct store *store, enum store_table table)
{
    return store->backend->cursor_open(store, table);
}

enum store_fault store_cursor_next(struct store_cursor *cursor, bool *ret_found,
                                   struct store_row *ret_row)
{
    return cursor->backend->cursor_next(cursor, ret_found, ret_row);
}

void store_cursor_close(struct store_cursor *cursor)
{
    cursor->backend->cursor_close(cursor);
}

enum store_fault store_copy_in(struct store *store, const struct ledger_facts *rows)
{
    base_assert(store->backend->copy_in != NULL);
    base_assert(rows->n_new <= store_batch_max(store) &&
                rows->n_entries <= store_batch_max(store) &&
                rows->n_accounts <= store_batch_max(store));
    return store->backend->copy_in(store, rows);
}

enum store_fault store_copy_end(struct store *store)
{
    base_assert(store->backend->copy_end != NULL);
    return store->backend->copy_end(store);
}

const struct ledger_kinds *store_kinds(const struct store *store)
{
    return store->kinds;
}

bool store_ready(struct store *store, const char **ret_reason)
{
    return store->backend->ready(store, ret_reason);
}

void store_read_figures(const struct store *store, struct store_figures *ret_figures)
{
    *ret_figures = (struct store_figures){.cache_hits = base_counter_value(&store->cache_hits),
                                          .cache_misses = base_counter_value(&store->cache_misses)};
}

void store_close(struct store *store)
{
    store->backend->close(store);
}
