/*
 * The proof over a whole store, for the files of this folder that make it:
 *
 *   verify.c            the journal and the ids, the sums, and the verb
 *   verify_histories.c  the accounts and their entries, side by side
 *   verify_report.c     violations, what could not be read, progress
 *
 * Its memory does not grow with the store: it holds one row of each walk, one decoded transaction
 * and one account's balances with the positions of one of its moments, and beyond these only counts
 * and sums.
 */
#ifndef ZANDAKA_APP_VERIFY_H
#define ZANDAKA_APP_VERIFY_H

#include "app/app.h"

/* Sums over all accounts are wider than int64, so that they never overflow (contract 3.10). */
__extension__ typedef __int128 verify_sum;

struct verify_totals {
    verify_sum in; /* from the journal */
    verify_sum out;
    verify_sum available; /* from the accounts */
    verify_sum held;
};

struct verify {
    struct store *store;
    const struct ledger_kinds *kinds;
    FILE *err;
    struct base_arena arena; /* what one row needs; reset with each */
    uint64_t n_violations;
    bool incomplete; /* a walk broke off, so counts and sums prove nothing */

    uint64_t n_transactions;
    uint64_t n_cancelled;
    uint64_t n_legs;
    uint64_t n_ids;
    uint64_t n_accounts;
    uint64_t n_entries;
    struct verify_totals totals[BASE_KINDS_MAX]; /* by kind number */

    uint64_t n_rows;          /* walked so far, for the progress */
    int64_t progress_mono_ns; /* when it was last shown; only on a terminal */
    bool progress_shown;
};

/* One walk over a table; `row` is valid while `found`. */
struct verify_walk {
    struct store_cursor *cursor;
    const char *table;
    bool found;
    bool broken; /* it could not be read to its end */
    struct store_row row;
};

/* Walks the accounts and the entries side by side. */
void verify_histories(struct verify *verify);

/* Opens a walk and takes its first row. */
struct verify_walk verify_walk_open(struct verify *verify, enum store_table table);
/* The next row; a fault is reported, and ends the walk. */
void verify_walk_next(struct verify *verify, struct verify_walk *walk);
void verify_walk_close(struct verify_walk *walk);

/* --- reports: one line each, naming table, key and what is wrong --- */

void verify_violation(struct verify *verify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void verify_violation_of_entry(struct verify *verify, const struct ledger_entry *entry,
                               const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What cannot be read is not called sound. */
void verify_unread(struct verify *verify, enum store_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An id as it may be shown: bytes that are not printable ASCII become \xHH. In the arena. */
const char *verify_shown(struct verify *verify, struct base_text id);
/* A sum in decimal digits, in the arena. */
const char *verify_shown_sum(struct verify *verify, verify_sum sum);
/* Says how many violations there were beyond those listed, if any. */
void verify_report_rest(struct verify *verify);
/* Counts one row, and tells the progress where it is watched. */
void verify_progress(struct verify *verify);
void verify_progress_clear(struct verify *verify);

#endif
