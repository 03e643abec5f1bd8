/* The copying itself. */
#include "app/copy.h"

#include <string.h>
#include <unistd.h>

#define PROGRESS_NS (INT64_C(200) * BASE_NS_PER_MS)

/* One table of both stores. */
struct copied_table {
    struct copy *copy;
    enum store_table table;
    struct store_cursor *source;
    bool found; /* `row` is the source's row that is not in the target so far */
    struct store_row row;

    struct ledger_facts batch; /* what is to be written next */
    struct base_arena arena;   /* all of the batch, and what a comparison needs */
};

/* --- what goes wrong --- */

static const char *name_of(enum store_table table)
{
    return table == STORE_TABLE_JOURNAL   ? "transaction"
           : table == STORE_TABLE_ENTRIES ? "entry"
                                          : "account";
}

#define FAIL(copy, ...) ((copy)->message = base_arena_print((copy)->arena, __VA_ARGS__), false)

static const char *meaning_of(enum store_fault fault)
{
    return fault == STORE_CORRUPT    ? "it is damaged: `zandaka verify` says where"
           : fault == STORE_CONFLICT ? "somebody else writes to it"
                                     : "it was lost on the way";
}

static bool fail_source(struct copied_table *table, enum store_fault fault)
{
    return FAIL(table->copy, "the source could not be read, at its %s %llu: %s",
                name_of(table->table), (unsigned long long)table->copy->n_rows[table->table] + 1,
                meaning_of(fault));
}

static bool fail_target(struct copied_table *table, enum store_fault fault)
{
    return FAIL(table->copy,
                "the target could not be %s, at its %s %llu: %s; run the same again, which goes on "
                "where it was",
                table->copy->only_compares ? "read" : "written", name_of(table->table),
                (unsigned long long)table->copy->n_rows[table->table] + 1, meaning_of(fault));
}

static bool fail_difference(struct copied_table *table, const char *what)
{
    return FAIL(table->copy,
                "%s number %llu of the target %s: it is no copy of this source, or the source was "
                "written to since. Stop every server of both, make an empty store, and copy anew",
                name_of(table->table), (unsigned long long)table->copy->n_rows[table->table] + 1,
                what);
}

/* --- progress --- */

static void show_progress(struct copied_table *table)
{
    struct copy *copy = table->copy;
    if (table->copy->n_rows[table->table] % 256 != 0 || !isatty(fileno(copy->err))) {
        return;
    }
    int64_t now = base_now_mono_ns(&base_clock_system);
    if (now - copy->progress_mono_ns >= PROGRESS_NS) {
        copy->progress_mono_ns = now;
        copy->progress_shown = true;
        (void)fprintf(copy->err, "\r%s: %llu transactions, %llu entries, %llu accounts",
                      copy->only_compares ? "comparing" : "copying",
                      (unsigned long long)copy->n_rows[STORE_TABLE_JOURNAL],
                      (unsigned long long)copy->n_rows[STORE_TABLE_ENTRIES],
                      (unsigned long long)copy->n_rows[STORE_TABLE_ACCOUNTS]);
        (void)fflush(copy->err);
    }
}

/* --- the walk over the source --- */

static bool next_row(struct copied_table *table)
{
    enum store_fault fault = store_cursor_next(table->source, &table->found, &table->row);
    return fault == STORE_OK || fail_source(table, fault);
}

/* The source's row is in the target. */
static bool go_on(struct copied_table *table)
{
    table->copy->n_rows[table->table]++;
    show_progress(table);
    return next_row(table);
}

/* --- what is there already --- */

static bool same_entry(const struct ledger_entry *a, const struct ledger_entry *b)
{
    return base_text_equal(a->account_id, b->account_id) && a->sequence == b->sequence &&
           base_text_equal(a->transaction_id, b->transaction_id) && a->operation == b->operation &&
           a->kind_number == b->kind_number && a->amount_minor == b->amount_minor &&
           a->balance_after_minor == b->balance_after_minor &&
           a->held_amount_minor == b->held_amount_minor &&
           a->held_after_minor == b->held_after_minor && a->create_time_us == b->create_time_us;
}

static bool same_account(const struct ledger_kinds *kinds, const struct ledger_account *a,
                         const struct ledger_account *b)
{
    bool same = base_text_equal(a->account_id, b->account_id) && a->version == b->version &&
                a->last_time_us == b->last_time_us;
    for (size_t kind = 0; same && kind < kinds->n_kinds; kind++) {
        same = a->balances[kind].available_minor == b->balances[kind].available_minor &&
               a->balances[kind].held_minor == b->balances[kind].held_minor;
    }
    return same;
}

static bool same_row(const struct copied_table *table, const struct store_row *theirs)
{
    const struct store_row *ours = &table->row;
    switch (table->table) {
    case STORE_TABLE_JOURNAL:
        return base_bytes_equal(ours->record, theirs->record) &&
               base_text_equal(ours->caller, theirs->caller);
    case STORE_TABLE_ENTRIES:
        return same_entry(&ours->entry, &theirs->entry);
    case STORE_TABLE_ACCOUNTS:
        return same_account(store_kinds(table->copy->from), &ours->account, &theirs->account);
    case STORE_TABLE_IDS:
        break;
    }
    return false;
}

/* Walks over what the target has: it must be what the source begins with. */
static bool pass_what_is_there(struct copied_table *table)
{
    struct store_cursor *target = store_cursor_open(table->copy->to, table->table);
    bool sound = true;
    for (bool more = true; sound && more;) {
        struct store_row theirs;
        enum store_fault fault = store_cursor_next(target, &more, &theirs);
        if (fault != STORE_OK) {
            sound = fail_target(table, fault);
        } else if (more && !table->found) {
            sound = fail_difference(table, "is not in the source");
        } else if (more && !same_row(table, &theirs)) {
            sound = fail_difference(table, "is another than the source's");
        } else if (more) {
            sound = go_on(table);
        }
    }
    store_cursor_close(target);
    return sound;
}

/* --- what is not --- */

/* Adds the source's row to the batch. False: it makes no sense. */
static bool add_transaction(struct copied_table *table)
{
    struct ledger_facts *batch = &table->batch;
    struct record_transaction transaction;
    if (!record_decode(&table->arena, table->row.record, &transaction)) {
        return fail_source(table, STORE_CORRUPT);
    }
    struct ledger_transaction *new = base_arena_take_zeroed(&table->arena, 1, sizeof *new);
    new->transaction_id = base_arena_text(&table->arena, transaction.transaction_id);
    new->presence = LEDGER_NEW;
    new->record = base_arena_bytes(&table->arena, table->row.record);
    new->caller = base_arena_text(&table->arena, table->row.caller);
    batch->new_transactions[batch->n_new++] = new;
    return true;
}

static void add_entry(struct copied_table *table)
{
    struct ledger_entry *entry = &table->batch.entries[table->batch.n_entries++];
    *entry = table->row.entry;
    entry->account_id = base_arena_text(&table->arena, entry->account_id);
    entry->transaction_id = base_arena_text(&table->arena, entry->transaction_id);
    entry->original_transaction_id = base_arena_text(&table->arena, entry->original_transaction_id);
    entry->description = base_arena_text(&table->arena, entry->description);
}

static void add_account(struct copied_table *table)
{
    size_t n_kinds = table->batch.kinds->n_kinds;
    struct ledger_account *account = base_arena_take_zeroed(&table->arena, 1, sizeof *account);
    *account = table->row.account;
    account->account_id = base_arena_text(&table->arena, account->account_id);
    account->balances = base_arena_take(&table->arena, n_kinds * sizeof *account->balances);
    memcpy(account->balances, table->row.account.balances, n_kinds * sizeof *account->balances);
    account->changed = true;
    account->loaded_version = 0; /* it is not there */
    table->batch.accounts[table->batch.n_accounts++] = account;
}

/* An empty batch with room for the largest. */
static void batch_open(struct copied_table *table)
{
    size_t n = store_batch_max(table->copy->to);
    base_arena_reset(&table->arena);
    table->batch =
        (struct ledger_facts){.kinds = store_kinds(table->copy->to), .arena = &table->arena};
    struct ledger_facts *batch = &table->batch;
    batch->new_transactions = base_arena_take(&table->arena, n * sizeof *batch->new_transactions);
    batch->entries = base_arena_take(&table->arena, n * sizeof *batch->entries);
    batch->accounts = base_arena_take(&table->arena, n * sizeof *batch->accounts);
}

static bool copy_batch(struct copied_table *table)
{
    batch_open(table);
    uint64_t n_before = table->copy->n_rows[table->table];
    while (table->found &&
           table->copy->n_rows[table->table] - n_before < store_batch_max(table->copy->to)) {
        if (table->table == STORE_TABLE_JOURNAL && !add_transaction(table)) {
            return false;
        }
        if (table->table == STORE_TABLE_ENTRIES) {
            add_entry(table);
        } else if (table->table == STORE_TABLE_ACCOUNTS) {
            add_account(table);
        }
        if (!go_on(table)) {
            return false;
        }
    }
    enum store_fault fault = store_copy_in(table->copy->to, &table->batch);
    return fault == STORE_OK || fail_target(table, fault);
}

/* --- all of it --- */

static bool copy_table(struct copy *copy, enum store_table number)
{
    struct copied_table table = {
        .copy = copy, .table = number, .source = store_cursor_open(copy->from, number)};
    bool copied = next_row(&table) && pass_what_is_there(&table);
    if (copied && copy->only_compares && table.found) {
        copied = fail_difference(&table, "is missing");
    }
    while (copied && table.found) {
        copied = copy_batch(&table);
    }
    store_cursor_close(table.source);
    base_arena_release(&table.arena);
    return copied;
}

bool copy_all(struct copy *copy)
{
    bool copied = copy_table(copy, STORE_TABLE_JOURNAL) && copy_table(copy, STORE_TABLE_ACCOUNTS) &&
                  copy_table(copy, STORE_TABLE_ENTRIES);
    if (copy->progress_shown) {
        copy->progress_shown = false;
        (void)fputs("\r\033[K", copy->err);
    }
    return copied;
}
