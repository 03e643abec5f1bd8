/*
 * store: the one door to storage. `load` brings the facts that a batch needs, `commit` makes all
 * that the batch changed durable, or nothing; the reads show what is durable. The interface has no
 * verb to delete: what is recorded stays.
 *
 * What every backend keeps, and the contract suite (tests/store/) proves on each:
 *
 *   1. A commit is atomic and, once STORE_OK, durable: it survives a crash of process and machine.
 *   2. A commit whose facts are no longer true (an id recorded, an account changed since the load)
 *      writes nothing and says STORE_CONFLICT.
 *   3. Reads and loads see only what is durable, and each read sees one moment.
 *   4. The record is kept and given back byte for byte, and beside it who asked for it.
 *      A backend that can say STORE_UNKNOWN keeps the mark of the commit there, too.
 *   5. A read error is an error, never an absence and never a wrong balance.
 *
 * load, commit and abandon belong to a session, 0 to store_sessions - 1: a shared database works on
 * several batches at once, an embedded store on one. Each session is used by one thread at a time:
 * each load that is STORE_OK is followed by one commit of the same working set, or by an abandon,
 * on the same session. Batches of different sessions race, and rule 2 settles it. Reads and cursors
 * are called by any thread at any time.
 *
 * The first part is for the users of a store, the second for those who write a backend.
 */
#ifndef ZANDAKA_STORE_H
#define ZANDAKA_STORE_H

#include "base/base.h"
#include "ledger/ledger.h"

struct store;

/* What the world did to a call. */
enum store_fault {
    STORE_OK = 0,
    STORE_CONFLICT,    /* load and commit: nothing was written; load and decide again */
    STORE_UNAVAILABLE, /* nothing was written; it may work later */
    STORE_UNKNOWN, /* commit only: it may have been written, or may still be. An id that is found
                      settles it; one that is not found settles nothing. To load, decide and
                      commit the same commands again is always safe. */
    STORE_CORRUPT  /* what was read fails its checksum or makes no sense; nothing was written */
};

/* How many sessions there are, 1 to BASE_STORE_SESSIONS_MAX; the same as long as the store is open.
 */
unsigned store_sessions(const struct store *store);

/* How many commands a batch should have at the most, up to BASE_BATCH_MAX: where batches of several
 * servers wait for one another's locks, large ones keep everybody waiting. A larger batch is no
 * error. The same as long as the store is open. */
size_t store_batch_max(const struct store *store);

/* Fills in every fact of the working set: transactions become LEDGER_ABSENT or LEDGER_RECORDED,
 * accounts get their rows (zeros when absent). What it fills in lives in the working set's arena.
 * Faults: STORE_CONFLICT (on a shared database: others hold what it needs), STORE_UNAVAILABLE,
 * STORE_CORRUPT. */
enum store_fault store_load(struct store *store, unsigned session,
                            struct ledger_facts *facts) BASE_MUST_USE;

/* Makes durable what the batch changed: new transactions in their order, their entries, changed
 * accounts. A batch that changed nothing is a commit too: on a shared database it confirms the
 * facts that refusals rest on. Every fault but STORE_CORRUPT can come. A backend that cannot know
 * the state of its files any more stops the process (base_stop). */
enum store_fault store_commit(struct store *store, unsigned session,
                              const struct ledger_facts *facts) BASE_MUST_USE;

/* Gives up a loaded working set without a commit. */
void store_abandon(struct store *store, unsigned session, const struct ledger_facts *facts);

/* --- reads: what is durable, each of one moment. Faults: STORE_UNAVAILABLE, STORE_CORRUPT --- */

/* The record under an id, in the arena; *ret_found false: none. */
enum store_fault store_read_transaction(struct store *store, struct base_text transaction_id,
                                        struct base_arena *arena, bool *ret_found,
                                        struct base_bytes *ret_record) BASE_MUST_USE;

/* Who first succeeded under an id: the name that its command carried, in the arena; empty: nobody
 * was named. For an operator, never for an answer. *ret_found false: nothing is recorded. */
enum store_fault store_read_caller(struct store *store, struct base_text transaction_id,
                                   struct base_arena *arena, bool *ret_found,
                                   struct base_text *ret_caller) BASE_MUST_USE;

/* The rows of `n` accounts (1 to BASE_BATCH_GET_MAX, repeats allowed), in the order asked, into
 * ret_accounts[n]; one never seen is all zeros. Memory from the arena. */
enum store_fault store_read_accounts(struct store *store, size_t n,
                                     const struct base_text *account_ids, struct base_arena *arena,
                                     struct ledger_account *ret_accounts) BASE_MUST_USE;

/* Which entries of an account's history are asked for. */
struct store_entries_query {
    struct base_text account_id;
    int64_t below_sequence; /* only entries with a smaller sequence; INT64_MAX: from the newest */
    uint64_t kind_numbers;  /* bit 1 << number of each kind that is wanted; UINT64_MAX: all */
    uint32_t operations;    /* bit 1 << record_operation of each that is wanted; UINT32_MAX: all */
    int64_t start_time_us;  /* inclusive; INT64_MIN: none */
    int64_t end_time_us;    /* exclusive; INT64_MAX: none */
    size_t limit;           /* at most so many, 1 to BASE_PAGE_MAX */
    size_t scan_limit;      /* look at no more than so many, 1 and more */
};

struct store_entries_page {
    size_t n_entries;
    struct ledger_entry *entries; /* newest first */
    int64_t next_below_sequence;  /* where to go on: the next query's below_sequence; 0: no more */
};

/* A page of an account's history; memory from the arena. An account's times never fall with its
 * sequence (contract 3.13), so a page below start_time is the end.
 *
 * next_below_sequence is the sequence of the last entry looked at, whether it was wanted or not, so
 * that a walk neither loses nor repeats an entry; 0 as soon as the account's first entry, or one
 * before start_time, has been looked at. A page that ends at its limit does not look further: the
 * next one may turn out to be empty. */
enum store_fault store_read_entries(struct store *store, const struct store_entries_query *query,
                                    struct base_arena *arena,
                                    struct store_entries_page *ret_page) BASE_MUST_USE;

/* --- whole-store reads, for verify and for moving house --- */

enum store_table {
    STORE_TABLE_JOURNAL,  /* by position: record, caller, position */
    STORE_TABLE_IDS,      /* by transaction id: transaction_id, position */
    STORE_TABLE_ACCOUNTS, /* by account id: account */
    STORE_TABLE_ENTRIES   /* by account id, then sequence descending: entry, position */
};

/* One row of a table; only what the table's comment names is set. */
struct store_row {
    uint64_t position; /* of the transaction in the journal */
    struct base_text transaction_id;
    struct base_bytes record;
    struct base_text caller; /* who asked for it; empty: not known */
    struct ledger_account account;
    struct ledger_entry entry;
};

struct store_cursor;

/* A walk over a whole table as of now. Never NULL. Closed by store_cursor_close. */
struct store_cursor *store_cursor_open(struct store *store, enum store_table table);
/* The next row, valid until the next call. *ret_found false: there are no more. */
enum store_fault store_cursor_next(struct store_cursor *cursor, bool *ret_found,
                                   struct store_row *ret_row) BASE_MUST_USE;
void store_cursor_close(struct store_cursor *cursor);

/* Whether the journal's positions are 1, 2, 3 and so on, so that a hole is a row that was lost. In
 * other stores they only rise, and a hole says nothing. The same as long as the store is open. */
bool store_journal_is_gapless(const struct store *store);

/* The record at a journal position, in the arena. */
enum store_fault store_read_journal(struct store *store, uint64_t position,
                                    struct base_arena *arena, bool *ret_found,
                                    struct base_bytes *ret_record) BASE_MUST_USE;

/* --- moving house: a store that was opened to be copied into, which nobody else can open --- */

/* Makes durable, all or nothing, rows as walks over another store have given them: new transactions
 * (id, record, caller) behind those that are there, accounts that are marked as changed and were
 * never loaded, and entries of transactions and accounts that are there, as they are. Of each no
 * more than store_batch_max, none that is there already; nothing is compared or reckoned. Any fault
 * can come; after STORE_UNKNOWN the rows may be there. One call at a time. */
enum store_fault store_copy_in(struct store *store, const struct ledger_facts *rows) BASE_MUST_USE;

/* Makes of the copy a store as any other, durably; from then on it can be opened to serve or to
 * read, and here it may only be closed. The same faults. */
enum store_fault store_copy_end(struct store *store) BASE_MUST_USE;

/* The kinds that the store was opened with, or, when it was opened without any, those that it has
 * served (without limits, in the order in which it met them). Lives as long as the store. */
const struct ledger_kinds *store_kinds(const struct store *store);

/* Whether the store can serve now; when it cannot, *ret_reason is a static text that says why. */
bool store_ready(struct store *store, const char **ret_reason);

/* Figures for an operator, since the store was opened. */
struct store_figures {
    uint64_t cache_hits; /* accounts that a load found in the backend's cache, if it has one */
    uint64_t cache_misses;
};
/* Any thread. */
void store_read_figures(const struct store *store, struct store_figures *ret_figures);

/* No call may be under way. */
void store_close(struct store *store);

/* --- for those who write a backend --- */

/* A backend's functions, as declared above. All are set, but for the last two in a store that
 * cannot be copied into. */
struct store_backend {
    enum store_fault (*load)(struct store *store, unsigned session, struct ledger_facts *facts);
    enum store_fault (*commit)(struct store *store, unsigned session,
                               const struct ledger_facts *facts);
    void (*abandon)(struct store *store, unsigned session, const struct ledger_facts *facts);
    enum store_fault (*read_transaction)(struct store *store, struct base_text transaction_id,
                                         struct base_arena *arena, bool *ret_found,
                                         struct base_bytes *ret_record);
    enum store_fault (*read_caller)(struct store *store, struct base_text transaction_id,
                                    struct base_arena *arena, bool *ret_found,
                                    struct base_text *ret_caller);
    enum store_fault (*read_accounts)(struct store *store, size_t n,
                                      const struct base_text *account_ids, struct base_arena *arena,
                                      struct ledger_account *ret_accounts);
    enum store_fault (*read_entries)(struct store *store, const struct store_entries_query *query,
                                     struct base_arena *arena, struct store_entries_page *ret_page);
    enum store_fault (*read_journal)(struct store *store, uint64_t position,
                                     struct base_arena *arena, bool *ret_found,
                                     struct base_bytes *ret_record);
    struct store_cursor *(*cursor_open)(struct store *store, enum store_table table);
    enum store_fault (*cursor_next)(struct store_cursor *cursor, bool *ret_found,
                                    struct store_row *ret_row);
    void (*cursor_close)(struct store_cursor *cursor);
    bool (*ready)(struct store *store, const char **ret_reason);
    void (*close)(struct store *store);
    enum store_fault (*copy_in)(struct store *store, const struct ledger_facts *rows);
    enum store_fault (*copy_end)(struct store *store);
};

/* Every backend's store begins with this. */
struct store {
    const struct store_backend *backend;
    const struct ledger_kinds *kinds;
    unsigned n_sessions;            /* 1 to BASE_STORE_SESSIONS_MAX */
    size_t batch_max;               /* up to BASE_BATCH_MAX; 0: just that */
    bool journal_is_gapless;        /* positions are 1, 2, 3 and so on */
    struct base_counter cache_hits; /* counted where there is a cache of accounts */
    struct base_counter cache_misses;
};

/* Every backend's cursor begins with this. */
struct store_cursor {
    const struct store_backend *backend;
};

#endif
