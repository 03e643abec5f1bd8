#include "altered_store.h"

#include <stdlib.h>
#include <string.h>

struct altered_store {
    struct store base;
    struct store *wrapped;
    const struct alteration *alteration;
};

struct altered_cursor {
    struct store_cursor base;
    struct altered_store *store;
    struct store_cursor *wrapped;
    enum store_table table;
    size_t n_rows; /* that the wrapped walk has given */
    bool again;    /* the row just given comes once more */
    struct store_row row;
    struct base_arena arena; /* what was altered of the row */
};

static bool walk_is_altered(const struct altered_cursor *cursor, enum alteration_place place,
                            size_t row)
{
    const struct alteration *alteration = cursor->store->alteration;
    return alteration->place == place && alteration->table == cursor->table &&
           (alteration->row == row || alteration->row == ALTER_EVERY_ROW);
}

static struct store_cursor *altered_cursor_open(struct store *base, enum store_table table)
{
    struct altered_cursor *cursor = base_allocate_zeroed(1, sizeof *cursor);
    cursor->base.backend = base->backend;
    cursor->store = (struct altered_store *)base;
    cursor->wrapped = store_cursor_open(cursor->store->wrapped, table);
    cursor->table = table;
    return &cursor->base;
}

static void alter_row(struct altered_cursor *cursor, struct store_row *row)
{
    size_t size = cursor->store->base.kinds->n_kinds * sizeof *row->account.balances;
    struct ledger_balance *balances = base_arena_take_zeroed(&cursor->arena, 1, size);
    if (row->account.balances != NULL) {
        memcpy(balances, row->account.balances, size);
    }
    row->account.balances = balances;
    cursor->store->alteration->alter(&cursor->arena, row);
}

static enum store_fault altered_cursor_next(struct store_cursor *base, bool *ret_found,
                                            struct store_row *ret_row)
{
    struct altered_cursor *cursor = (struct altered_cursor *)base;
    base_arena_reset(&cursor->arena);
    if (cursor->again) {
        cursor->again = false;
        *ret_row = cursor->row;
        *ret_found = true;
        return STORE_OK;
    }
    if (walk_is_altered(cursor, ALTER_WALK_FAULT, cursor->n_rows)) {
        return cursor->store->alteration->fault;
    }
    bool found;
    enum store_fault fault = store_cursor_next(cursor->wrapped, &found, &cursor->row);
    if (found && walk_is_altered(cursor, ALTER_DROP, cursor->n_rows)) {
        cursor->n_rows++;
        fault = store_cursor_next(cursor->wrapped, &found, &cursor->row);
    }
    *ret_found = found;
    if (fault != STORE_OK || !found) {
        return fault;
    }
    *ret_row = cursor->row;
    cursor->again = walk_is_altered(cursor, ALTER_REPEAT, cursor->n_rows) ||
                    walk_is_altered(cursor, ALTER_INSERT, cursor->n_rows);
    if (walk_is_altered(cursor, ALTER_ROW, cursor->n_rows)) {
        alter_row(cursor, ret_row);
    } else if (walk_is_altered(cursor, ALTER_INSERT, cursor->n_rows)) {
        *ret_row = (struct store_row){0};
        alter_row(cursor, ret_row);
    }
    cursor->n_rows++;
    return STORE_OK;
}

static void altered_cursor_close(struct store_cursor *base)
{
    struct altered_cursor *cursor = (struct altered_cursor *)base;
    store_cursor_close(cursor->wrapped);
    base_arena_release(&cursor->arena);
    free(cursor);
}

/* A record that was found, as altered. */
static void alter_record(const struct alteration *alteration, struct base_arena *arena,
                         bool *ret_found, struct base_bytes *ret_record)
{
    if (alteration->alter == NULL) {
        *ret_found = false;
        return;
    }
    struct store_row row = {.record = *ret_record};
    alteration->alter(arena, &row);
    *ret_record = row.record;
}

static enum store_fault altered_read_transaction(struct store *base,
                                                 struct base_text transaction_id,
                                                 struct base_arena *arena, bool *ret_found,
                                                 struct base_bytes *ret_record)
{
    struct altered_store *store = (struct altered_store *)base;
    const struct alteration *alteration = store->alteration;
    bool meant = alteration->transaction_id != NULL &&
                 base_text_equal(transaction_id, base_text_of(alteration->transaction_id));
    if (meant && alteration->place == ALTER_TRANSACTION_FAULT) {
        return alteration->fault;
    }
    enum store_fault fault =
        store_read_transaction(store->wrapped, transaction_id, arena, ret_found, ret_record);
    if (meant && alteration->place == ALTER_TRANSACTION) {
        alter_record(alteration, arena, ret_found, ret_record);
    }
    return fault;
}

static enum store_fault altered_read_journal(struct store *base, uint64_t position,
                                             struct base_arena *arena, bool *ret_found,
                                             struct base_bytes *ret_record)
{
    struct altered_store *store = (struct altered_store *)base;
    const struct alteration *alteration = store->alteration;
    if (alteration->place == ALTER_JOURNAL_FAULT && position == alteration->row) {
        return alteration->fault;
    }
    enum store_fault fault =
        store_read_journal(store->wrapped, position, arena, ret_found, ret_record);
    if (alteration->place == ALTER_JOURNAL && position == alteration->row) {
        alter_record(alteration, arena, ret_found, ret_record);
    }
    return fault;
}

/* --- what a proof never asks for goes through as it is --- */

static enum store_fault altered_load(struct store *base, unsigned session,
                                     struct ledger_facts *facts)
{
    return store_load(((struct altered_store *)base)->wrapped, session, facts);
}

static enum store_fault altered_commit(struct store *base, unsigned session,
                                       const struct ledger_facts *facts)
{
    return store_commit(((struct altered_store *)base)->wrapped, session, facts);
}

static void altered_abandon(struct store *base, unsigned session, const struct ledger_facts *facts)
{
    store_abandon(((struct altered_store *)base)->wrapped, session, facts);
}

static enum store_fault altered_read_caller(struct store *base, struct base_text transaction_id,
                                            struct base_arena *arena, bool *ret_found,
                                            struct base_text *ret_caller)
{
    return store_read_caller(((struct altered_store *)base)->wrapped, transaction_id, arena,
                             ret_found, ret_caller);
}

static enum store_fault altered_read_accounts(struct store *base, size_t n,
                                              const struct base_text *account_ids,
                                              struct base_arena *arena,
                                              struct ledger_account *ret_accounts)
{
    return store_read_accounts(((struct altered_store *)base)->wrapped, n, account_ids, arena,
                               ret_accounts);
}

static enum store_fault altered_read_entries(struct store *base,
                                             const struct store_entries_query *query,
                                             struct base_arena *arena,
                                             struct store_entries_page *ret_page)
{
    return store_read_entries(((struct altered_store *)base)->wrapped, query, arena, ret_page);
}

static bool altered_ready(struct store *base, const char **ret_reason)
{
    return store_ready(((struct altered_store *)base)->wrapped, ret_reason);
}

static void altered_close(struct store *base)
{
    store_close(((struct altered_store *)base)->wrapped);
    free(base);
}

struct store *altered_store_open(struct store *wrapped, const struct alteration *alteration)
{
    static const struct store_backend backend = {
        .load = altered_load,
        .commit = altered_commit,
        .abandon = altered_abandon,
        .read_transaction = altered_read_transaction,
        .read_caller = altered_read_caller,
        .read_accounts = altered_read_accounts,
        .read_entries = altered_read_entries,
        .read_journal = altered_read_journal,
        .cursor_open = altered_cursor_open,
        .cursor_next = altered_cursor_next,
        .cursor_close = altered_cursor_close,
        .ready = altered_ready,
        .close = altered_close,
    };
    struct altered_store *store = base_allocate(sizeof *store);
    *store = (struct altered_store){
        .base = {.backend = &backend,
                 .kinds = store_kinds(wrapped),
                 .n_sessions = store_sessions(wrapped),
                 .journal_is_gapless =
                     store_journal_is_gapless(wrapped) && !alteration->journal_may_have_holes},
        .wrapped = wrapped,
        .alteration = alteration,
    };
    return &store->base;
}
