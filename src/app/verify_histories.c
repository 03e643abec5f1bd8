/*
 * Every account's history leads to its balances, entry by entry, and every entry to its
 * transaction. The entries come newest first, so a history is proved backwards: from the account's
 * row down to sequence 1, where every balance must have come from zero.
 */
#include "app/verify.h"

#include <stdlib.h>

/* What the next older entry of a kind must have left. */
struct expected {
    bool known;
    bool from_row; /* by the account's row, no entry of the kind having been met so far */
    int64_t available_minor;
    int64_t held_minor;
};

/* An account while its history is walked. */
struct history {
    struct base_writer account_id; /* a copy, since rows do not last; bounded by the longest id */
    const struct ledger_account *row; /* NULL: there is none */
    bool has_entries;
    int64_t next_sequence; /* of the next older entry */
    int64_t newer_time_us; /* of the entry met before */
    struct expected expected[BASE_KINDS_MAX];

    /* The transactions met so far among the entries of one moment, by position: what is met again
     * would be counted twice. Those of other moments cannot be met again, since times never rise on
     * the way and an entry's is its transaction's. */
    size_t n_moment;
    size_t moment_capacity;
    uint64_t *moment;

    uint64_t position; /* of the transaction that the entries are of; 0: none so far */
    bool readable;     /* whether the record there could be read; `transaction` means something */
    struct base_arena transaction_arena;
    struct record_transaction transaction;
    uint64_t used_legs; /* bit 1 << index of each leg that an entry was found for */
};

static_assert(BASE_LEGS_MAX <= 64, "each leg of a transaction has its bit");

static struct base_text history_id(const struct history *history)
{
    return base_text_from(base_writer_bytes(&history->account_id));
}

/* --- the account's row --- */

static void check_row(struct verify *verify, const struct ledger_account *row)
{
    for (size_t i = 0; i < verify->kinds->n_kinds; i++) {
        const struct ledger_balance *balance = &row->balances[i];
        struct base_text kind = verify->kinds->kinds[i].code;
        if (balance->available_minor < 0 || balance->held_minor < 0) {
            verify_violation(verify,
                             "accounts: account %s: %.*s is negative: available %lld, held %lld",
                             verify_shown(verify, row->account_id), BASE_TEXT_ARGS(kind),
                             (long long)balance->available_minor, (long long)balance->held_minor);
        } else if (balance->available_minor > INT64_MAX - balance->held_minor) {
            verify_violation(verify, "accounts: account %s: %.*s is beyond int64",
                             verify_shown(verify, row->account_id), BASE_TEXT_ARGS(kind));
        }
        verify->totals[i].available += balance->available_minor;
        verify->totals[i].held += balance->held_minor;
    }
}

static void history_open(struct verify *verify, struct history *history, bool first,
                         struct base_text account_id, const struct ledger_account *row)
{
    if (!first && base_text_compare(history_id(history), account_id) >= 0) {
        verify_violation(verify, "accounts, entries: account %s: comes again, or out of order",
                         verify_shown(verify, account_id));
    }
    history->account_id.length = 0;
    base_write_bytes(&history->account_id, base_bytes_of(account_id));
    history->row = row;
    history->has_entries = false;
    history->position = 0;
    history->readable = false;
    for (size_t i = 0; i < verify->kinds->n_kinds; i++) {
        history->expected[i] = (struct expected){.known = row != NULL, .from_row = true};
        if (row != NULL) {
            history->expected[i].available_minor = row->balances[i].available_minor;
            history->expected[i].held_minor = row->balances[i].held_minor;
        }
    }
    if (row != NULL) {
        history->next_sequence = row->version;
        check_row(verify, row);
        verify->n_accounts += row->version != 0;
    }
}

/* --- the entries' transaction --- */

/* Every leg in this account must have had its entry among those just met: a transaction's entries
 * stand together. */
static void close_transaction(struct verify *verify, struct history *history)
{
    if (!history->readable) {
        return;
    }
    history->readable = false;
    for (size_t i = 0; i < history->transaction.n_legs; i++) {
        const struct record_leg *leg = &history->transaction.legs[i];
        if (base_text_equal(leg->account_id, history_id(history)) &&
            (history->used_legs >> i & 1) == 0) {
            verify_violation(
                verify,
                "entries: account %s: transaction %s (position %llu) has a leg of %.*s "
                "%lld without an entry",
                verify_shown(verify, history_id(history)),
                verify_shown(verify, history->transaction.transaction_id),
                (unsigned long long)history->position, BASE_TEXT_ARGS(leg->kind),
                (long long)leg->amount_minor);
        }
    }
}

static int compare_positions(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* No transaction's entries may stand at two places, or one of its legs could make two of them and
 * hide that another transaction has none. */
static void close_moment(struct verify *verify, struct history *history)
{
    if (history->n_moment > 1) {
        qsort(history->moment, history->n_moment, sizeof *history->moment, compare_positions);
    }
    for (size_t i = 1; i < history->n_moment; i++) {
        if (history->moment[i] == history->moment[i - 1]) {
            verify_violation(
                verify, "entries: account %s: those of position %llu stand at two places",
                verify_shown(verify, history_id(history)), (unsigned long long)history->moment[i]);
        }
    }
    history->n_moment = 0;
}

static void note_in_moment(struct history *history, uint64_t position)
{
    if (history->n_moment == history->moment_capacity) {
        history->moment_capacity = history->moment_capacity > 0 ? history->moment_capacity * 2 : 64;
        history->moment =
            base_reallocate(history->moment, history->moment_capacity * sizeof *history->moment);
    }
    history->moment[history->n_moment++] = position;
}

/* Turns from the newer entries' transaction to the one at `position`. */
static void open_transaction(struct verify *verify, struct history *history,
                             const struct ledger_entry *entry, uint64_t position)
{
    if (history->position == position) {
        return;
    }
    close_transaction(verify, history);
    note_in_moment(history, position);
    history->position = position;
    history->used_legs = 0;
    base_arena_reset(&history->transaction_arena);
    bool found;
    struct base_bytes record;
    enum store_fault fault =
        store_read_journal(verify->store, position, &history->transaction_arena, &found, &record);
    if (fault != STORE_OK) {
        verify_unread(verify, fault, "journal: position %llu, for account %s, sequence %lld",
                      (unsigned long long)position, verify_shown(verify, entry->account_id),
                      (long long)entry->sequence);
    } else if (!found) {
        verify_violation_of_entry(verify, entry, "position %llu is not in the journal",
                                  (unsigned long long)position);
    } else if (!record_decode(&history->transaction_arena, record, &history->transaction)) {
        verify_violation_of_entry(verify, entry, "position %llu holds no record",
                                  (unsigned long long)position);
    } else {
        history->readable = true;
    }
}

/* Finds the leg that the entry is the effect of. */
static void check_leg(struct verify *verify, struct history *history,
                      const struct ledger_entry *entry)
{
    struct base_text kind = verify->kinds->kinds[entry->kind_number].code;
    bool used = false;
    for (size_t i = 0; i < history->transaction.n_legs; i++) {
        const struct record_leg *leg = &history->transaction.legs[i];
        if (!base_text_equal(leg->account_id, entry->account_id) ||
            !base_text_equal(leg->kind, kind) || leg->amount_minor != entry->amount_minor) {
            continue;
        }
        if ((history->used_legs >> i & 1) == 0) {
            history->used_legs |= UINT64_C(1) << i;
            return;
        }
        used = true;
    }
    verify_violation_of_entry(verify, entry, "transaction %s has %s leg of %.*s %lld here",
                              verify_shown(verify, history->transaction.transaction_id),
                              used ? "no second" : "no", BASE_TEXT_ARGS(kind),
                              (long long)entry->amount_minor);
}

/* What an entry repeats of its transaction is equal to it. */
static void check_transaction(struct verify *verify, struct history *history,
                              const struct ledger_entry *entry)
{
    const struct record_transaction *transaction = &history->transaction;
    if (!base_text_equal(entry->transaction_id, transaction->transaction_id)) {
        verify_violation_of_entry(verify, entry, "transaction_id is %s, but position %llu holds %s",
                                  verify_shown(verify, entry->transaction_id),
                                  (unsigned long long)history->position,
                                  verify_shown(verify, transaction->transaction_id));
    }
    if (transaction->state != RECORD_STATE_SUCCEEDED) {
        verify_violation_of_entry(verify, entry, "transaction %s did not succeed",
                                  verify_shown(verify, transaction->transaction_id));
    }
    if (entry->operation != transaction->operation) {
        verify_violation_of_entry(verify, entry, "operation is %d, the transaction's %d",
                                  (int)entry->operation, (int)transaction->operation);
    }
    if (entry->create_time_us != transaction->create_time_us) {
        verify_violation_of_entry(verify, entry, "create_time is %lld us, the transaction's %lld",
                                  (long long)entry->create_time_us,
                                  (long long)transaction->create_time_us);
    }
    if (!base_text_equal(entry->original_transaction_id, transaction->original_transaction_id)) {
        verify_violation_of_entry(verify, entry,
                                  "original_transaction_id is \"%s\", the transaction's \"%s\"",
                                  verify_shown(verify, entry->original_transaction_id),
                                  verify_shown(verify, transaction->original_transaction_id));
    }
    if (!base_text_equal(entry->description, transaction->description)) {
        verify_violation_of_entry(verify, entry, "description is not the transaction's");
    }
    /* Neither an add nor a consume sets anything aside. */
    if (entry->held_amount_minor != 0) {
        verify_violation_of_entry(verify, entry, "held_amount is %lld, not 0",
                                  (long long)entry->held_amount_minor);
    }
    check_leg(verify, history, entry);
}

/* --- the entries --- */

/* Balances after an entry are what the next one of its kind, or the account's row, came from. */
static void check_balance(struct verify *verify, struct history *history,
                          const struct ledger_entry *entry)
{
    struct expected *expected = &history->expected[entry->kind_number];
    if (entry->balance_after_minor < 0 || entry->held_after_minor < 0) {
        verify_violation_of_entry(verify, entry, "a balance is negative: %lld, held %lld",
                                  (long long)entry->balance_after_minor,
                                  (long long)entry->held_after_minor);
    }
    const char *next = expected->from_row ? "the account has" : "the next entry began from";
    if (expected->known && entry->balance_after_minor != expected->available_minor) {
        verify_violation_of_entry(verify, entry, "balance_after is %lld, but %s %lld",
                                  (long long)entry->balance_after_minor, next,
                                  (long long)expected->available_minor);
    }
    if (expected->known && entry->held_after_minor != expected->held_minor) {
        verify_violation_of_entry(verify, entry, "held_after is %lld, but %s %lld",
                                  (long long)entry->held_after_minor, next,
                                  (long long)expected->held_minor);
    }
    expected->from_row = false;
    expected->known = !__builtin_sub_overflow(entry->balance_after_minor, entry->amount_minor,
                                              &expected->available_minor) &&
                      !__builtin_sub_overflow(entry->held_after_minor, entry->held_amount_minor,
                                              &expected->held_minor);
    if (!expected->known) {
        verify_violation_of_entry(verify, entry, "the balance before it is beyond int64");
    }
}

static void check_entry(struct verify *verify, struct history *history,
                        const struct ledger_entry *entry, uint64_t position)
{
    verify->n_entries++;
    const struct ledger_account *row = history->row;
    if (!history->has_entries) {
        if (row == NULL || row->version == 0) {
            verify_violation_of_entry(verify, entry, "its account has no row");
        } else if (entry->create_time_us != row->last_time_us) {
            verify_violation_of_entry(
                verify, entry, "create_time is %lld us, the account's last %lld",
                (long long)entry->create_time_us, (long long)row->last_time_us);
        }
    } else if (entry->create_time_us > history->newer_time_us) {
        verify_violation_of_entry(verify, entry, "create_time is later than the next entry's");
    }
    if ((history->has_entries || row != NULL) && entry->sequence != history->next_sequence) {
        verify_violation_of_entry(verify, entry, "sequence %lld was expected here",
                                  (long long)history->next_sequence);
    }
    if (history->has_entries && entry->create_time_us != history->newer_time_us) {
        close_moment(verify, history);
        if (history->position == position) {
            note_in_moment(history, position);
        }
    }
    history->has_entries = true;
    history->newer_time_us = entry->create_time_us;
    history->next_sequence = entry->sequence > INT64_MIN ? entry->sequence - 1 : INT64_MIN;
    open_transaction(verify, history, entry, position);
    if (entry->kind_number < 0 || (size_t)entry->kind_number >= verify->kinds->n_kinds) {
        verify_violation_of_entry(verify, entry, "kind %d is none that the store has served",
                                  entry->kind_number);
        return;
    }
    check_balance(verify, history, entry);
    if (history->readable) {
        check_transaction(verify, history, entry);
    }
}

/* The history must have led down to sequence 1, and every balance to zero. */
static void history_close(struct verify *verify, struct history *history)
{
    close_transaction(verify, history);
    close_moment(verify, history);
    const char *id = verify_shown(verify, history_id(history));
    if (history->has_entries && history->next_sequence != 0) {
        verify_violation(verify, "entries: account %s: begins at sequence %lld, not at 1", id,
                         (long long)history->next_sequence + 1);
    }
    /* A history is of a row, of entries, or of both. */
    base_assert(history->has_entries || history->row != NULL);
    if (!history->has_entries && history->row->version != 0) {
        verify_violation(verify, "accounts: account %s: has version %lld, but no entries", id,
                         (long long)history->row->version);
    }
    for (size_t i = 0; i < verify->kinds->n_kinds; i++) {
        const struct expected *expected = &history->expected[i];
        struct base_text kind = verify->kinds->kinds[i].code;
        if (!expected->known || (expected->available_minor == 0 && expected->held_minor == 0)) {
            continue;
        }
        if (expected->from_row) {
            verify_violation(verify, "accounts: account %s: has %.*s, but no entries of it", id,
                             BASE_TEXT_ARGS(kind));
        } else {
            verify_violation(verify,
                             "entries: account %s: the first entry of %.*s begins from %lld, held "
                             "%lld, not from 0",
                             id, BASE_TEXT_ARGS(kind), (long long)expected->available_minor,
                             (long long)expected->held_minor);
        }
    }
    base_arena_reset(&verify->arena);
}

void verify_histories(struct verify *verify)
{
    struct verify_walk accounts = verify_walk_open(verify, STORE_TABLE_ACCOUNTS);
    struct verify_walk entries = verify_walk_open(verify, STORE_TABLE_ENTRIES);
    struct history *history = base_allocate_zeroed(1, sizeof *history);
    bool first = true;
    /* An account whose rows cannot all be read is not judged. */
    while (!accounts.broken && !entries.broken && (accounts.found || entries.found)) {
        const struct ledger_account *row = &accounts.row.account;
        const struct ledger_entry *entry = &entries.row.entry;
        int order = !accounts.found  ? 1
                    : !entries.found ? -1
                                     : base_text_compare(row->account_id, entry->account_id);
        history_open(verify, history, first, order <= 0 ? row->account_id : entry->account_id,
                     order <= 0 ? row : NULL);
        first = false;
        while (order >= 0 && entries.found &&
               base_text_equal(entry->account_id, history_id(history))) {
            check_entry(verify, history, entry, entries.row.position);
            verify_walk_next(verify, &entries);
            base_arena_reset(&verify->arena);
        }
        if (entries.broken) {
            break;
        }
        history_close(verify, history);
        if (order <= 0) {
            verify_walk_next(verify, &accounts);
        }
    }
    base_arena_release(&history->transaction_arena);
    free(history->moment);
    base_writer_release(&history->account_id);
    free(history);
    verify_walk_close(&entries);
    verify_walk_close(&accounts);
}
