/*
 * What is proved, over any store:
 *
 *   1. Every account's entries are gapless from its version down to 1, in order of time, and lead
 *      from zero to its balances; none is negative. (verify_histories.c)
 *   2. Every entry is the effect of one leg of a transaction that succeeded, and says of it what
 *      the record says; no leg has two. (verify_histories.c)
 *   3. Every record in the journal can be read and is the one that its id leads to, and every id
 *      leads to its record. Where positions have no holes (store_journal_is_gapless), none is
 *      missing up to the last; the embedded store is not opened without its last.
 *   4. There are as many legs as entries, and as many ids as records: so 2 and 3 leave none out.
 *   5. For each kind, what came in less what went out is what the accounts have (contract 5).
 */
#include "app/verify.h"

#include "app/options.h"

#include <stdlib.h>

/* --- walks --- */

struct verify_walk verify_walk_open(struct verify *verify, enum store_table table)
{
    static const char *const names[] = {
        [STORE_TABLE_JOURNAL] = "journal",
        [STORE_TABLE_IDS] = "ids",
        [STORE_TABLE_ACCOUNTS] = "accounts",
        [STORE_TABLE_ENTRIES] = "entries",
    };
    struct verify_walk walk = {.cursor = store_cursor_open(verify->store, table),
                               .table = names[table]};
    verify_walk_next(verify, &walk);
    return walk;
}

void verify_walk_next(struct verify *verify, struct verify_walk *walk)
{
    enum store_fault fault = store_cursor_next(walk->cursor, &walk->found, &walk->row);
    if (fault != STORE_OK) {
        verify_unread(verify, fault, "%s to the end", walk->table);
        walk->found = false;
        walk->broken = true;
        verify->incomplete = true;
    }
    if (walk->found) {
        verify_progress(verify);
    }
}

void verify_walk_close(struct verify_walk *walk)
{
    store_cursor_close(walk->cursor);
}

/* --- the journal --- */

static void sum_legs(struct verify *verify, uint64_t position,
                     const struct record_transaction *transaction)
{
    for (size_t i = 0; i < transaction->n_legs; i++) {
        const struct record_leg *leg = &transaction->legs[i];
        verify->n_legs++;
        int kind_number = ledger_kind_number(verify->kinds, leg->kind);
        if (kind_number < 0) {
            verify_violation(verify,
                             "journal: position %llu: transaction %s has a leg of %s, a kind that "
                             "the store has not served",
                             (unsigned long long)position,
                             verify_shown(verify, transaction->transaction_id),
                             verify_shown(verify, leg->kind));
        } else if (leg->amount_minor > 0) {
            verify->totals[kind_number].in += leg->amount_minor;
        } else {
            verify->totals[kind_number].out -= leg->amount_minor;
        }
    }
}

/* What is answered to a repeat of the transaction is this record. */
static void check_id_leads_here(struct verify *verify, const struct store_row *row,
                                struct base_text transaction_id)
{
    bool found;
    struct base_bytes record;
    enum store_fault fault =
        store_read_transaction(verify->store, transaction_id, &verify->arena, &found, &record);
    if (fault != STORE_OK) {
        verify_unread(verify, fault, "ids: transaction %s", verify_shown(verify, transaction_id));
    } else if (!found) {
        verify_violation(verify, "journal: position %llu: transaction %s is not in ids",
                         (unsigned long long)row->position, verify_shown(verify, transaction_id));
    } else if (!base_bytes_equal(record, row->record)) {
        verify_violation(verify, "journal: position %llu: ids leads from %s to another record",
                         (unsigned long long)row->position, verify_shown(verify, transaction_id));
    }
}

/* A fence has no entries: where its id's row is gone with its record, the hole is all that tells.
 */
static void check_order(struct verify *verify, unsigned long long previous,
                        unsigned long long position)
{
    if (position <= previous) {
        verify_violation(verify, "journal: position %llu: comes after position %llu", position,
                         previous);
    } else if (store_journal_is_gapless(verify->store) && position - previous == 2) {
        verify_violation(verify, "journal: position %llu: is missing", previous + 1);
    } else if (store_journal_is_gapless(verify->store) && position - previous > 2) {
        verify_violation(verify, "journal: positions %llu to %llu: are missing", previous + 1,
                         position - 1);
    }
}

static void verify_journal(struct verify *verify)
{
    struct verify_walk walk = verify_walk_open(verify, STORE_TABLE_JOURNAL);
    uint64_t previous = 0;
    for (; walk.found; verify_walk_next(verify, &walk)) {
        unsigned long long position = walk.row.position;
        verify->n_transactions++;
        check_order(verify, previous, position);
        previous = walk.row.position;
        struct record_transaction transaction;
        if (!record_decode(&verify->arena, walk.row.record, &transaction)) {
            verify_violation(verify, "journal: position %llu: holds no record", position);
        } else {
            verify->n_cancelled += transaction.state == RECORD_STATE_CANCELLED;
            sum_legs(verify, walk.row.position, &transaction);
            check_id_leads_here(verify, &walk.row, transaction.transaction_id);
        }
        base_arena_reset(&verify->arena);
    }
    verify_walk_close(&walk);
}

/* --- the ids --- */

static void check_id(struct verify *verify, const struct store_row *row)
{
    unsigned long long position = row->position;
    bool found;
    struct base_bytes record;
    struct record_transaction transaction;
    enum store_fault fault =
        store_read_journal(verify->store, row->position, &verify->arena, &found, &record);
    if (fault != STORE_OK) {
        verify_unread(verify, fault, "journal: position %llu", position);
    } else if (!found) {
        verify_violation(verify, "ids: transaction %s: position %llu is not in the journal",
                         verify_shown(verify, row->transaction_id), position);
    } else if (!record_decode(&verify->arena, record, &transaction)) {
        verify_violation(verify, "ids: transaction %s: position %llu holds no record",
                         verify_shown(verify, row->transaction_id), position);
    } else if (!base_text_equal(transaction.transaction_id, row->transaction_id)) {
        verify_violation(verify, "ids: transaction %s: position %llu holds %s",
                         verify_shown(verify, row->transaction_id), position,
                         verify_shown(verify, transaction.transaction_id));
    }
}

static void verify_ids(struct verify *verify)
{
    struct verify_walk walk = verify_walk_open(verify, STORE_TABLE_IDS);
    struct base_writer previous = {NULL, 0, 0}; /* a copy, since rows do not last */
    for (; walk.found; verify_walk_next(verify, &walk)) {
        struct base_text id = walk.row.transaction_id;
        if (verify->n_ids > 0 &&
            base_text_compare(base_text_from(base_writer_bytes(&previous)), id) >= 0) {
            verify_violation(verify, "ids: transaction %s: comes again, or out of order",
                             verify_shown(verify, id));
        }
        verify->n_ids++;
        previous.length = 0;
        base_write_bytes(&previous, base_bytes_of(id));
        check_id(verify, &walk.row);
        base_arena_reset(&verify->arena);
    }
    base_writer_release(&previous);
    verify_walk_close(&walk);
}

/* --- the sums --- */

static void verify_sums(struct verify *verify)
{
    if (verify->n_ids != verify->n_transactions) {
        verify_violation(verify, "ids: %llu rows, but journal has %llu records",
                         (unsigned long long)verify->n_ids,
                         (unsigned long long)verify->n_transactions);
    }
    if (verify->n_entries != verify->n_legs) {
        verify_violation(verify, "entries: %llu rows, but journal has %llu legs",
                         (unsigned long long)verify->n_entries, (unsigned long long)verify->n_legs);
    }
    for (size_t i = 0; i < verify->kinds->n_kinds; i++) {
        const struct verify_totals *totals = &verify->totals[i];
        verify_sum kept = totals->in - totals->out;
        verify_sum there = totals->available + totals->held;
        if (kept != there) {
            verify_violation(verify,
                             "kind %.*s: %s came in less what went out, but accounts has %s",
                             BASE_TEXT_ARGS(verify->kinds->kinds[i].code),
                             verify_shown_sum(verify, kept), verify_shown_sum(verify, there));
        }
    }
}

static void print_counts(struct verify *verify, FILE *out)
{
    (void)fprintf(out, "transactions: %llu (%llu cancelled)\naccounts: %llu\nentries: %llu\n",
                  (unsigned long long)verify->n_transactions,
                  (unsigned long long)verify->n_cancelled, (unsigned long long)verify->n_accounts,
                  (unsigned long long)verify->n_entries);
    for (size_t i = 0; i < verify->kinds->n_kinds; i++) {
        const struct verify_totals *totals = &verify->totals[i];
        (void)fprintf(out, "%.*s: in %s, out %s, available %s, held %s\n",
                      BASE_TEXT_ARGS(verify->kinds->kinds[i].code),
                      verify_shown_sum(verify, totals->in), verify_shown_sum(verify, totals->out),
                      verify_shown_sum(verify, totals->available),
                      verify_shown_sum(verify, totals->held));
    }
}

enum app_exit app_verify(struct store *store, FILE *out, FILE *err)
{
    struct verify *verify = base_allocate_zeroed(1, sizeof *verify);
    verify->store = store;
    verify->kinds = store_kinds(store);
    verify->err = err;
    verify_journal(verify);
    verify_ids(verify);
    verify_histories(verify);
    /* Half a walk's counts would only repeat that it could not be read. */
    if (!verify->incomplete) {
        verify_sums(verify);
    }
    verify_progress_clear(verify);
    verify_report_rest(verify);
    print_counts(verify, out);
    uint64_t n_violations = verify->n_violations;
    base_arena_release(&verify->arena);
    free(verify);
    if (n_violations > 0) {
        (void)fprintf(out, "not sound: %llu violation%s\n", (unsigned long long)n_violations,
                      n_violations == 1 ? "" : "s");
        return APP_EXIT_COULD_NOT;
    }
    (void)fprintf(out, "sound: every balance follows from its history, every entry from its "
                       "transaction\n");
    /* A verdict that did not arrive is none. */
    return fflush(out) == 0 && !ferror(out) ? APP_EXIT_DONE : APP_EXIT_COULD_NOT;
}

/* --- the verb --- */

int app_verb_verify(int argc, char **argv)
{
    const char *url = NULL;
    const struct app_flag flags[] = {
        {"store", "URL", &url, NULL,
         "the store to read (or ZANDAKA_STORE; default " APP_DEFAULT_STORE ")"},
    };
    const struct app_verb_usage usage = {
        "verify", "",
        "Reads a whole store, which no server has open, and proves that every balance\n"
        "follows from its history and every entry from its transaction. Exit status:\n"
        "0 sound; 1 not sound, or not readable; 2 usage.",
        sizeof flags / sizeof flags[0], flags};
    int first_operand;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first_operand, &status)) {
        return status;
    }
    if (url == NULL) {
        url = getenv("ZANDAKA_STORE");
    }
    if (url == NULL || url[0] == '\0') {
        url = APP_DEFAULT_STORE;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message;
    enum app_exit verdict = APP_EXIT_COULD_NOT;
    struct store *store = app_store_open(base_text_of(url), NULL, &arena, &message, &verdict);
    if (store == NULL) {
        (void)fprintf(stderr, "zandaka verify: %.*s\n", BASE_TEXT_ARGS(message));
    } else {
        verdict = app_verify(store, stdout, stderr);
        store_close(store);
    }
    base_arena_release(&arena);
    return (int)verdict;
}
