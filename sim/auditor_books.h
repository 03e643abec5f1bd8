/* What the auditor keeps, for its own files only. */
#ifndef ZANDAKA_SIM_AUDITOR_BOOKS_H
#define ZANDAKA_SIM_AUDITOR_BOOKS_H

#include "sim/auditor.h"

#include <stdarg.h>

/* Wider than any sum of amounts can be. */
__extension__ typedef __int128 auditor_wide;

/* What became of everything that was sent with one content and one set of labels. */
struct auditor_tally {
    uint64_t handed_over;
    uint64_t open;    /* a server has it */
    uint64_t lost;    /* its server died */
    uint64_t unknown; /* answered with `applied: unknown` */
    uint64_t applied; /* answered with a success that is no replay */
    /* answered with one that is, after an unknown outcome: it may have been its own */
    uint64_t replayed_in_doubt;
};

struct auditor_variant {
    const struct ledger_command *command; /* NULL: not announced */
    struct auditor_tally tally;
};

struct auditor_id {
    size_t position;             /* in the journal, from 1; 0: not recorded */
    size_t variant;              /* that was recorded; meaningless for a fence */
    uint64_t n_applied;          /* successes told that were no replays */
    struct auditor_tally fences; /* the Cancels of it */
};

/* A recorded transaction, decoded. */
struct auditor_row {
    struct base_bytes record;
    struct record_transaction transaction;
};

/* An account after one of its transactions. */
struct auditor_state {
    size_t position; /* in the journal, of that transaction */
    int64_t last_time_us;
    size_t n_entries;
    auditor_wide available[BASE_KINDS_MAX];
};

struct auditor_account {
    size_t n_states;
    size_t capacity;
    struct auditor_state *states; /* states[0]: before its first transaction */
    size_t entries_capacity;
    struct ledger_entry *entries; /* as the journal makes them */
};

struct auditor {
    const struct ledger_kinds *kinds;
    struct auditor_failure failure;
    struct auditor_figures figures;
    struct base_arena arena;
    size_t n_rows; /* the journal's length */
    size_t rows_capacity;
    struct auditor_row *rows;
    size_t n_ids; /* room; ids that were not met yet are zeros */
    struct auditor_id *ids;
    size_t n_variants;
    struct auditor_variant *variants;
    size_t n_accounts;
    struct auditor_account *accounts;
    size_t n_clock;
    size_t clock_capacity;
    int64_t *clock; /* what servers' clocks have shown, in the order of looking */
    struct base_text damaged_account_id; /* what cannot be read now; empty: nothing */
    struct base_text damaged_transaction_id;
    uint64_t n_damages; /* news of these */
};

/* Keeps the first rule that is broken. */
void auditor_fail(struct auditor *auditor, const char *rule, struct base_text transaction_id,
                  struct base_text account_id, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The id's page in the books; NULL: it is no id that anybody uses. */
struct auditor_id *auditor_id_of(struct auditor *auditor, struct base_text transaction_id);
struct auditor_account *auditor_account_of(struct auditor *auditor, struct base_text account_id);
struct auditor_variant *auditor_variant_of(struct auditor *auditor, struct base_text description);
/* What the tally of a command is: its variant's, or its id's fences. */
struct auditor_tally *auditor_tally_of(struct auditor *auditor,
                                       const struct ledger_command *command);
/* An account when the journal had that length. */
const struct auditor_state *auditor_state_at(const struct auditor_account *account,
                                             size_t position);

/* --- verdict.c: the rules --- */

/* What the contract says to a command when the journal has that length: BASE_REASON_NONE: success,
 * new or again. */
struct base_refusal auditor_verdict(struct auditor *auditor, const struct ledger_kinds *kinds,
                                    const struct ledger_command *command, size_t position);
/* The content fields in which two commands differ (contract 3.5). */
uint32_t auditor_differences(const struct ledger_command *recorded,
                             const struct ledger_command *requested);
/* The command that a recorded transaction came from. */
const struct ledger_command *auditor_origin(struct auditor *auditor, const struct auditor_id *id);

#endif
