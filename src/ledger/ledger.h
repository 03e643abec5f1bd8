/*
 * ledger: the rules of docs/contract.md, as pure functions. No I/O, no clock, no globals; memory
 * only from the arena that it is given. Equal inputs give equal outputs.
 *
 * A batch goes through here like this:
 *
 *   ledger_facts_open      an empty working set
 *   ledger_facts_need      for each command: which facts its decision will look at
 *   (the store fills in)   each transaction id: recorded or absent; each account: its row
 *   ledger_decide          for each command in order: an outcome; what it changes is in the working
 *                          set at once, so that the next command of the batch sees it
 *   (the store writes)     new transactions, their entries, changed accounts: all or nothing
 *
 * One thread at a time for one working set.
 */
#ifndef ZANDAKA_LEDGER_H
#define ZANDAKA_LEDGER_H

#include "base/base.h"
#include "record/record.h"

/* --- kinds --- */

/* A kind of balance and its rules (docs/contract.md 5). */
struct ledger_kind {
    struct base_text code;
    int64_t max_balance_minor; /* for available + held of an account; INT64_MAX: none */
    int64_t max_amount_minor;  /* for each amount of a transaction; BASE_AMOUNT_MAX: none */
    bool withdrawn;            /* no new writes */
};

/* The configured kinds, in the configuration's order. A kind's number is its index here; numbers
 * mean something within one run only (the store keeps numbers of its own). Owned by the program's
 * configuration; unchanged while anything runs. */
struct ledger_kinds {
    size_t n_kinds; /* 1 to BASE_KINDS_MAX */
    struct ledger_kind kinds[BASE_KINDS_MAX];
};

/* The kind's number, or -1. */
int ledger_kind_number(const struct ledger_kinds *kinds, struct base_text code);

/* --- commands --- */

struct ledger_amount {
    struct base_text kind; /* well-formed, perhaps not configured */
    int64_t amount_minor;  /* 1 to BASE_AMOUNT_MAX */
};

/*
 * A write as a caller asks for it: well-formed (contract 3.1 and 3.10), which is the caller of
 * ledger_decide's duty and asserted. What it points to must stay until the batch is committed.
 */
struct ledger_command {
    enum record_operation operation;
    struct base_text transaction_id;
    struct base_text account_id; /* empty for a cancel */
    size_t n_amounts;            /* 1 to BASE_AMOUNTS_MAX, no kind twice; 0 for a cancel */
    const struct ledger_amount *amounts;
    struct base_text description;
    size_t n_metadata;
    const struct record_label *metadata;
    /* Who asks, for audit: a name of 1 to BASE_CALLER_MAX_BYTES bytes; empty: not known. It is no
     * content and no part of the record, and no decision looks at it. */
    struct base_text caller;
};

/* --- the working set --- */

/* What an account has of one kind. Both are never negative, and never beyond int64 together. */
struct ledger_balance {
    int64_t available_minor;
    int64_t held_minor;
};

/* An account's row. An account that the store does not have is all zeros. */
struct ledger_account {
    struct base_text account_id;
    int64_t version;      /* the length of its history: the last entry's sequence; 0: never seen */
    int64_t last_time_us; /* of its last transaction; INT64_MIN when never seen */
    struct ledger_balance *balances; /* by kind number, as many as there are kinds */
    bool changed;                    /* by this batch: the store writes it */
    int64_t loaded_version;          /* `version` as the store had it: a shared store checks it */
};

/* One leg's effect in an account's history. */
struct ledger_entry {
    struct base_text account_id;
    int64_t sequence; /* 1 for the account's first, gapless */
    struct base_text transaction_id;
    enum record_operation operation;
    int kind_number;
    int64_t amount_minor; /* the change of available */
    int64_t balance_after_minor;
    int64_t held_amount_minor; /* the change of held */
    int64_t held_after_minor;
    int64_t create_time_us;
    struct base_text original_transaction_id; /* empty: none */
    struct base_text description;
};

enum ledger_presence {
    LEDGER_NEEDED,   /* not filled in by the store so far */
    LEDGER_ABSENT,   /* nothing is recorded under this id */
    LEDGER_RECORDED, /* recorded before this batch */
    LEDGER_NEW       /* recorded by this batch, not durable before its commit */
};

/* What is recorded under a transaction id. */
struct ledger_transaction {
    struct base_text transaction_id;
    enum ledger_presence presence;
    struct base_bytes record; /* the encoded record, when there is one */
    struct base_text caller;  /* of a new one: who asked for it; kept beside the record */
    uint64_t commit_mark;     /* of a recorded one: of the commit that wrote it; 0: not known */
    size_t first_entry;       /* of a new one: its entries are entries[first_entry] and on */
    size_t n_entries;
};

/*
 * The working set of a batch. The store reads the lists and fills the facts in; only the ledger
 * adds to them. Pointers to elements stay valid until the working set is opened anew, but lists may
 * grow while commands are named.
 */
struct ledger_facts {
    const struct ledger_kinds *kinds;
    struct base_arena *arena;

    size_t n_transactions; /* every id that the batch looks at, each once */
    struct ledger_transaction **transactions;
    size_t n_accounts; /* every account that the batch looks at, each once */
    struct ledger_account **accounts;

    /* Which commit this is, among all of all servers: kept beside each record that it writes, so
     * that whoever has not heard of its end can find out. Not 0. Set before the commit. */
    uint64_t commit_mark;

    /* What the batch changes. */
    size_t n_new; /* the new transactions, in the order in which they were decided */
    struct ledger_transaction **new_transactions;
    size_t n_entries; /* in the same order */
    struct ledger_entry *entries;

    struct ledger_index *transactions_by_id; /* the ledger's own */
    struct ledger_index *accounts_by_id;
    size_t new_capacity;
    size_t entries_capacity;
};

/* An empty working set. All of it lives in the arena, so there is nothing to close. */
void ledger_facts_open(struct ledger_facts *facts, const struct ledger_kinds *kinds,
                       struct base_arena *arena);
/* Adds the facts that deciding `command` will look at: its transaction as LEDGER_NEEDED, its
 * account as one never seen, with a zeroed balance for every kind, so that the store fills in only
 * what it has. All commands of the batch are named before the store loads. Ids are copied by
 * reference. */
void ledger_facts_need(struct ledger_facts *facts, const struct ledger_command *command);
/* The fact with that id, or NULL: for the store, which fills in what it finds. */
struct ledger_transaction *ledger_facts_transaction(const struct ledger_facts *facts,
                                                    struct base_text transaction_id);
struct ledger_account *ledger_facts_account(const struct ledger_facts *facts,
                                            struct base_text account_id);

/* --- the decision --- */

enum ledger_result {
    LEDGER_APPLIED,  /* it takes effect with this batch */
    LEDGER_REPLAYED, /* it had succeeded before; nothing changed */
    LEDGER_REFUSED   /* `refusal` says why; nothing changed, the id is free */
};

struct ledger_outcome {
    enum ledger_result result;
    struct base_bytes record;    /* the answer, unless refused: in the working set's arena */
    struct base_refusal refusal; /* when refused; its text points into the command */
};

/*
 * Decides one command at `now_us` and applies it to the working set. The order of the checks is
 * that of contract 4, each over all amounts in the request's order before the next check:
 *
 *   1. recorded       a fence against a success, or the reverse: TRANSACTION_SUCCEEDED,
 *                     TRANSACTION_CANCELLED; other content: TRANSACTION_ID_REUSED; else a replay
 *   2. known kind     UNKNOWN_KIND, also for a withdrawn one
 *   3. limits         first each amount: AMOUNT_LIMIT_EXCEEDED (add and consume);
 *                     then what each balance would be: BALANCE_LIMIT_EXCEEDED (add)
 *   4. balance        INSUFFICIENT_BALANCE (consume)
 *
 * A refusal changes nothing. A clock beyond the range of a Timestamp counts as its nearest end.
 *
 * Returns false, with *ret_outcome alone, when a record in the working set cannot be decoded or is
 * another transaction's: the store is corrupt, and nothing may be decided on it.
 */
bool ledger_decide(struct ledger_facts *facts, const struct ledger_command *command, int64_t now_us,
                   struct ledger_outcome *ret_outcome) BASE_MUST_USE;

#endif
