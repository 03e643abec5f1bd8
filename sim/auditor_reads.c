/*
 * What reads show, and the final state: every table of the store against the books.
 */
#include "sim/auditor_books.h"

#include <stdlib.h>

static const struct base_text nothing = {0};

/* --- reads --- */

static bool same_entry(const struct ledger_entry *a, const struct ledger_entry *b)
{
    return base_text_equal(a->account_id, b->account_id) && a->sequence == b->sequence &&
           base_text_equal(a->transaction_id, b->transaction_id) && a->operation == b->operation &&
           a->kind_number == b->kind_number && a->amount_minor == b->amount_minor &&
           a->balance_after_minor == b->balance_after_minor &&
           a->held_amount_minor == b->held_amount_minor &&
           a->held_after_minor == b->held_after_minor && a->create_time_us == b->create_time_us &&
           base_text_equal(a->description, b->description);
}

void auditor_read_account(struct auditor *auditor, const struct ledger_account *account)
{
    auditor->figures.reads++;
    const struct auditor_account *page = auditor_account_of(auditor, account->account_id);
    if (page == NULL) {
        auditor_fail(auditor, "contract 5", nothing, account->account_id, "nobody uses it");
        return;
    }
    const struct auditor_state *state = &page->states[page->n_states - 1];
    bool right = account->version == (int64_t)state->n_entries &&
                 account->last_time_us == state->last_time_us;
    for (size_t i = 0; i < auditor->kinds->n_kinds; i++) {
        right = right && account->balances[i].available_minor == state->available[i] &&
                account->balances[i].held_minor == 0;
    }
    if (!right) {
        auditor_fail(auditor, "contract 5, Balance", nothing, account->account_id,
                     "its row is not what the journal makes of it");
    }
}

void auditor_read_entries(struct auditor *auditor, struct base_text account_id, size_t n_entries,
                          const struct ledger_entry *entries)
{
    auditor->figures.reads++;
    const struct auditor_account *page = auditor_account_of(auditor, account_id);
    size_t n_there = page->states[page->n_states - 1].n_entries;
    bool right = n_entries <= n_there;
    for (size_t i = 0; right && i < n_entries; i++) {
        right = same_entry(&entries[i], &page->entries[n_there - 1 - i]);
    }
    if (!right) {
        auditor_fail(auditor, "contract 5, Entry", nothing, account_id,
                     "its history is not what the journal makes of it");
    }
}

void auditor_read_transaction(struct auditor *auditor, struct base_text transaction_id, bool found,
                              struct base_bytes record)
{
    auditor->figures.reads++;
    const struct auditor_id *id = auditor_id_of(auditor, transaction_id);
    bool there = id != NULL && id->position != 0;
    if (found != there ||
        (found && !base_bytes_equal(record, auditor->rows[id->position - 1].record))) {
        auditor_fail(auditor, "contract 3.4, 3.12", transaction_id, nothing,
                     "a read shows another record than the journal has");
    }
}

/* --- the final state --- */

/* Goes over a table; `look` judges a row, which is number `at` of it. */
static size_t walk(struct auditor *auditor, struct store *store, enum store_table table,
                   void (*look)(struct auditor *auditor, size_t at, const struct store_row *row))
{
    struct store_cursor *cursor = store_cursor_open(store, table);
    struct store_row row;
    bool found = false;
    size_t at = 0;
    enum store_fault fault;
    while ((fault = store_cursor_next(cursor, &found, &row)) == STORE_OK && found) {
        look(auditor, at, &row);
        at++;
    }
    base_assert(fault == STORE_OK);
    store_cursor_close(cursor);
    return at;
}

static void look_at_journal(struct auditor *auditor, size_t at, const struct store_row *row)
{
    if (at >= auditor->n_rows || !base_bytes_equal(row->record, auditor->rows[at].record)) {
        auditor_fail(auditor, "contract 3.12", nothing, nothing,
                     "the journal's row %zu is not what it was", at + 1);
    }
}

static void look_at_id(struct auditor *auditor, size_t at, const struct store_row *row)
{
    (void)at;
    const struct auditor_id *id = auditor_id_of(auditor, row->transaction_id);
    if (id == NULL || id->position != row->position) {
        auditor_fail(auditor, "contract 3.2", row->transaction_id, nothing,
                     "it leads to the journal's row %llu", (unsigned long long)row->position);
    }
}

static void look_at_account(struct auditor *auditor, size_t at, const struct store_row *row)
{
    (void)at;
    auditor_read_account(auditor, &row->account);
}

static void look_at_entry(struct auditor *auditor, size_t at, const struct store_row *row)
{
    (void)at;
    const struct auditor_account *page = auditor_account_of(auditor, row->entry.account_id);
    int64_t sequence = row->entry.sequence;
    bool there = page != NULL && sequence >= 1 &&
                 (size_t)sequence <= page->states[page->n_states - 1].n_entries;
    if (!there || !same_entry(&row->entry, &page->entries[sequence - 1])) {
        auditor_fail(auditor, "contract 5, Entry", row->entry.transaction_id, row->entry.account_id,
                     "entry %lld is not what the journal makes", (long long)sequence);
    }
}

/* What was recorded was told to somebody as a new success, or somebody was left without certainty;
 * and what was told `applied: no` is not there. */
static void settle_id(struct auditor *auditor, const struct auditor_id *id)
{
    const struct record_transaction *transaction = &auditor->rows[id->position - 1].transaction;
    const struct auditor_tally *tally = transaction->state == RECORD_STATE_CANCELLED
                                            ? &id->fences
                                            : &auditor->variants[id->variant].tally;
    bool owned = tally->applied + tally->lost + tally->unknown + tally->replayed_in_doubt > 0;
    if (!owned) {
        auditor_fail(auditor, "contract 4, applied", transaction->transaction_id,
                     transaction->account_id,
                     "it is recorded, but no attempt of it was told so, or `unknown`");
    }
}

/* Contract 5: what came in less what went out is the sum of all balances. */
static void check_conservation(struct auditor *auditor)
{
    for (size_t kind = 0; kind < auditor->kinds->n_kinds; kind++) {
        auditor_wide moved = 0;
        auditor_wide kept = 0;
        for (size_t i = 0; i < auditor->n_rows; i++) {
            const struct record_transaction *transaction = &auditor->rows[i].transaction;
            for (size_t leg = 0; leg < transaction->n_legs; leg++) {
                bool of_kind =
                    base_text_equal(transaction->legs[leg].kind, auditor->kinds->kinds[kind].code);
                moved += of_kind ? transaction->legs[leg].amount_minor : 0;
            }
        }
        for (size_t i = 0; i < auditor->n_accounts; i++) {
            const struct auditor_account *account = &auditor->accounts[i];
            kept += account->states[account->n_states - 1].available[kind];
        }
        if (moved != kept) {
            auditor_fail(auditor, "contract 5, Conservation", nothing, nothing, "of kind %zu",
                         kind);
        }
    }
}

void auditor_settle(struct auditor *auditor, struct store *store)
{
    size_t n_ids = 0;
    size_t n_accounts = 0;
    size_t n_entries = 0;
    for (size_t i = 0; i < auditor->n_ids; i++) {
        if (auditor->ids[i].position != 0) {
            settle_id(auditor, &auditor->ids[i]);
            n_ids++;
        }
    }
    for (size_t i = 0; i < auditor->n_accounts; i++) {
        const struct auditor_account *account = &auditor->accounts[i];
        n_accounts += account->n_states > 1;
        n_entries += account->states[account->n_states - 1].n_entries;
    }
    if (walk(auditor, store, STORE_TABLE_JOURNAL, look_at_journal) != auditor->n_rows ||
        walk(auditor, store, STORE_TABLE_IDS, look_at_id) != n_ids ||
        walk(auditor, store, STORE_TABLE_ACCOUNTS, look_at_account) != n_accounts ||
        walk(auditor, store, STORE_TABLE_ENTRIES, look_at_entry) != n_entries) {
        auditor_fail(auditor, "contract 3.12", nothing, nothing,
                     "a table has rows too many or too few");
    }
    check_conservation(auditor);
}
