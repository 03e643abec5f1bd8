/*
 * The store on Spanner, for the files of this folder:
 *
 *   open.c        opening and closing; whether the database is there, and is what it should be
 *   kinds.c       the kinds that the database remembers, and their numbers
 *   write.c       load, commit and abandon: a batch
 *   reads.c       what is durable
 *   history.c     pages of an account's history
 *   tables.c      rows as the tables have them
 *   walks.c       the walks over whole tables
 *   copy.c        the beginning and the end of copying another store into this one
 *   schema.c      the statements that make the tables
 *   target.c      whom a URL names
 *   exchange.h    sessions, reads and transactions: rows.c, session.c, transaction.c
 *   channel.h     one connection, and calls over it
 *   values.h      values as Spanner's API has them
 */
#ifndef ZANDAKA_STORE_SPANNER_DATABASE_H
#define ZANDAKA_STORE_SPANNER_DATABASE_H

#include "store/spanner/exchange.h"
#include "store/spanner/spanner.h"

#include <pthread.h>
#include <stdatomic.h>

/* The version of the schema that this program knows. */
#define SPANNER_SCHEMA_VERSION 1
/* The same while another store is being copied into it: no version serves or reads that. */
#define SPANNER_SCHEMA_VERSION_COPYING (-SPANNER_SCHEMA_VERSION)

/* Keys begin with a number that the id's hash gives, so that ids which rise do not all meet in the
 * last part of a table; and the journal's with one that the batch's mark gives. */
#define SPANNER_SHARDS 16
#define SPANNER_JOURNAL_SHARDS 8

int64_t spanner_shard(struct base_text id);
int64_t spanner_journal_shard(uint64_t commit_mark);

/* What writes: a connection, and the batch under way. */
struct spanner_session {
    struct spanner_connection connection;
    struct base_arena arena; /* of one batch */
    struct spanner_transaction transaction;
    const struct ledger_facts *loaded; /* the working set whose facts the transaction holds */
    struct base_writer previous;       /* the id of one that was aborted; empty: none */
    struct base_writer next;           /* of one that was begun ahead; empty: none */
    int64_t next_until_mono_ns;        /* until when it may be used */
    int64_t next_session_mono_ns;      /* of which session it is: when that was opened */
    unsigned n_aborted;                /* in turn */
    int64_t not_before_mono_ns;        /* when Spanner may be asked again after those */
};

/* Which of the database's kinds is which of the configured ones; -1: none. */
struct spanner_kind_map {
    int stored_numbers[BASE_KINDS_MAX]; /* by kind number */
    int kind_numbers[BASE_KINDS_MAX];   /* by the database's number */
};

/* What is known of the database. */
enum spanner_state {
    SPANNER_UNTRIED,
    SPANNER_SERVING,
    SPANNER_UNREACHABLE,
    SPANNER_NO_DATABASE,
    SPANNER_NO_SCHEMA,
    SPANNER_COPYING,       /* another store is being copied into it, or was for a part */
    SPANNER_OTHER_SCHEMA,  /* of a version that this program does not know */
    SPANNER_KIND_MISSING,  /* a kind that was served is not configured */
    SPANNER_REFUSED_ACCESS /* no permission, or another thing that is wrong */
};

struct store_spanner {
    struct store base;
    struct base_arena target_arena;
    struct spanner_target target;
    struct spanner_moment moment; /* of reads of balances and histories */

    pthread_mutex_t preparing;
    bool only_reads; /* opened without kinds */
    bool copying;    /* opened to copy another store into it */
    /* Set once the kinds are known to be right, and then unchanged. */
    _Atomic bool prepared;
    struct spanner_kind_map kind_map;
    _Atomic bool kinds_grown;  /* another server has begun a kind that is not configured here */
    _Atomic bool kind_missing; /* and an account with it was met, which cannot be answered for */
    struct ledger_kinds served_kinds; /* what was served, when opened only to read */
    struct base_arena kinds_arena;

    struct spanner_session sessions[BASE_SPANNER_SESSIONS];

    pthread_mutex_t lock; /* over what follows */
    enum spanner_state state;
    bool closing;
    bool has_keeper;                     /* set at the opening */
    char message[SPANNER_MESSAGE_BYTES]; /* the database's words when it could not be reached */
    int64_t down_mono_ns;     /* since when it does not serve; meaningful while it does not */
    int64_t next_try_mono_ns; /* no connection is attempted before */
    pthread_cond_t changed;   /* a reading connection is free again, or the store closes */
    unsigned n_connections;   /* that were ever opened: the last one's number */
    size_t n_readers_open;
    size_t n_readers_free;
    struct spanner_connection *readers_free[BASE_DATABASE_READERS_MAX];

    pthread_t keeper; /* looks after the database while nothing else does */
};

/* --- target.c --- */

/* What the URL and the emulator's address name, and the credentials that go with them, all in the
 * arena but for these. False: *ret_message says what is wrong, static or in the arena. */
bool spanner_target_open(struct base_text url, struct base_text emulator, struct base_arena *arena,
                         struct spanner_target *ret_target, int64_t *ret_staleness_ms,
                         struct base_text *ret_message) BASE_MUST_USE;
void spanner_target_close(struct spanner_target *target);

/* --- open.c --- */

/* Sees to it that there are a connection and a session, and that the schema and the kinds are
 * right. False: the store's state says what is wrong. */
bool spanner_store_connect(struct store_spanner *store,
                           struct spanner_connection *connection) BASE_MUST_USE;
/* Whether the database went away so lately that a read may wait for it. */
bool spanner_store_may_be_back_soon(struct store_spanner *store);
/* Notes what an exchange has shown: SPANNER_SERVING, or what is wrong, which is logged when it is
 * new; `message` is the database's own words, or empty. */
void spanner_store_note(struct store_spanner *store, enum spanner_state state, const char *message);
/* The same, from an exchange that did not end well; also what it means to the caller. Never
 * STORE_OK or STORE_UNKNOWN. */
enum store_fault spanner_store_note_failure(struct store_spanner *store,
                                            const struct spanner_result *result);
/* Notes that an account was met which has a balance of a kind that is not configured. Kinds and
 * balances stay for ever, and so does this: the store serves all other accounts, and is not ready.
 */
void spanner_store_note_kind_missing(struct store_spanner *store);

/* A connection for reading, from those that are free or a new one; NULL: there is none to be had.
 * Given back when done with; one that was lost meanwhile is dropped. */
struct spanner_connection *spanner_reader_take(struct store_spanner *store);
void spanner_reader_give_back(struct store_spanner *store, struct spanner_connection *connection);

/* Whether the numbers of the kinds are known: from the first connection on. */
bool spanner_store_is_prepared(struct store_spanner *store) BASE_MUST_USE;

/* --- kinds.c --- */

/* Compares the database's kinds with the store's, adds those that are new, and fills in the map.
 * False: *ret_state is what is wrong, and `message` says it. */
bool spanner_kinds_match(struct store_spanner *store, struct spanner_connection *connection,
                         enum spanner_state *ret_state,
                         char message[SPANNER_MESSAGE_BYTES]) BASE_MUST_USE;
/* Reads the schema's version (0: none is noted) and how many kinds there are. */
bool spanner_read_store(struct spanner_connection *connection, int64_t *ret_version,
                        size_t *ret_n_kinds, struct spanner_result *ret_result) BASE_MUST_USE;
/* Notes the schema's version in a database that has none. */
bool spanner_note_version(struct spanner_connection *connection,
                          struct spanner_result *ret_result) BASE_MUST_USE;

/* --- write.c --- */

enum store_fault spanner_load(struct store *store, unsigned session, struct ledger_facts *facts);
enum store_fault spanner_commit(struct store *store, unsigned session,
                                const struct ledger_facts *facts);
void spanner_abandon(struct store *store, unsigned session, const struct ledger_facts *facts);
void spanner_session_close(struct spanner_session *session);

/* --- tables.c --- */

/* The columns that are read, in the order in which the functions below want them. */
#define SPANNER_TRANSACTION_COLUMNS 7
extern const char *const spanner_transaction_columns[SPANNER_TRANSACTION_COLUMNS];
#define SPANNER_ACCOUNT_COLUMNS 6
extern const char *const spanner_account_columns[SPANNER_ACCOUNT_COLUMNS];
#define SPANNER_ENTRIES_COLUMNS 10
extern const char *const spanner_entries_columns[SPANNER_ENTRIES_COLUMNS];

struct spanner_transaction_row {
    struct base_text transaction_id;
    struct base_bytes record;
    struct base_text caller;
    uint64_t commit_mark;
    uint64_t position;
};
/* Read a row; what it points to is in the arena. False: it makes no sense. */
bool spanner_take_transaction(const struct spanner_rows *rows, size_t row, struct base_arena *arena,
                              struct spanner_transaction_row *ret_transaction) BASE_MUST_USE;
/* An account that was never seen, in the arena but for its id. */
struct ledger_account spanner_account_unseen(const struct store_spanner *store,
                                             struct base_text account_id, struct base_arena *arena);
/* Fills in an account's numbers and balances. *ret_known false: it has a balance of a kind that
 * this server does not have. False: it makes no sense. */
bool spanner_take_account(const struct store_spanner *store, const struct spanner_rows *rows,
                          size_t row, struct ledger_account *account,
                          bool *ret_known) BASE_MUST_USE;

/* A row of entries: those of one transaction in one account's history, which follow one another. */
struct spanner_entries_row {
    size_t n_entries; /* 1 to BASE_LEGS_MAX */
    struct ledger_entry entries[BASE_LEGS_MAX];
};
/* Texts are in the arena; what is only in the transaction's record is left empty. */
bool spanner_take_entries(const struct store_spanner *store, const struct spanner_rows *rows,
                          size_t row, struct base_arena *arena,
                          struct spanner_entries_row *ret_entries, bool *ret_known) BASE_MUST_USE;
/* Adds what only the record tells. False: it is no record. */
bool spanner_entry_add_record(struct base_bytes record, struct base_arena *arena,
                              struct ledger_entry *entry) BASE_MUST_USE;

/* Positions: the time of the commit, which shard of the journal it is in, and the place in the
 * batch. Together they are unique, since the journal's index is. */
bool spanner_position_of(int64_t commit_time_us, int64_t journal_shard, int64_t place,
                         uint64_t *ret_position) BASE_MUST_USE;
void spanner_position_split(uint64_t position, int64_t *ret_commit_time_us,
                            int64_t *ret_journal_shard, int64_t *ret_place);
extern const char spanner_journal_index[];

/* The key of a transaction or an account: its shard and its id. */
spanner_list *spanner_key_of(struct base_arena *arena, struct base_text id);

enum store_fault spanner_copy_in(struct store *store, const struct ledger_facts *rows);

/* --- copy.c --- */

/* Marks an empty store as one that another is copied into, unless it is marked. False: *ret_message
 * says why it cannot be, in the arena. */
bool spanner_copy_begin(struct store_spanner *store, struct base_arena *arena,
                        struct base_text *ret_message) BASE_MUST_USE;
/* Begins a transaction by a look at the mark. False: *ret_result. */
bool spanner_copy_look(struct spanner_connection *connection,
                       struct spanner_transaction *transaction, struct base_arena *arena,
                       bool *ret_copying, struct spanner_result *ret_result) BASE_MUST_USE;
enum store_fault spanner_copy_end(struct store *store);

/* --- reads.c --- */

/* Reads on a connection of its own, tried again as long as the database may be back soon. */
enum store_fault spanner_store_read(struct store_spanner *store,
                                    const struct spanner_moment *moment, size_t n_reads,
                                    struct spanner_read *reads) BASE_MUST_USE;
/* Reads the transactions with these ids, as of the moment, sorted by id; those that are not there
 * are left out. In the arena. */
enum store_fault spanner_read_transactions(struct store_spanner *store,
                                           const struct spanner_moment *moment, size_t n_ids,
                                           const struct base_text *ids, struct base_arena *arena,
                                           size_t *ret_n,
                                           struct spanner_transaction_row **ret_rows) BASE_MUST_USE;
/* The one with that id among them, or NULL. */
const struct spanner_transaction_row *
spanner_find_transaction(size_t n, const struct spanner_transaction_row *rows,
                         struct base_text transaction_id);

enum store_fault spanner_read_transaction(struct store *store, struct base_text transaction_id,
                                          struct base_arena *arena, bool *ret_found,
                                          struct base_bytes *ret_record);
enum store_fault spanner_read_caller(struct store *store, struct base_text transaction_id,
                                     struct base_arena *arena, bool *ret_found,
                                     struct base_text *ret_caller);
enum store_fault spanner_read_accounts(struct store *store, size_t n,
                                       const struct base_text *account_ids,
                                       struct base_arena *arena,
                                       struct ledger_account *ret_accounts);
enum store_fault spanner_read_journal(struct store *store, uint64_t position,
                                      struct base_arena *arena, bool *ret_found,
                                      struct base_bytes *ret_record);

/* --- history.c --- */

enum store_fault spanner_read_entries(struct store *store, const struct store_entries_query *query,
                                      struct base_arena *arena,
                                      struct store_entries_page *ret_page);

/* --- walks.c --- */

struct store_cursor *spanner_cursor_open(struct store *store, enum store_table table);
enum store_fault spanner_cursor_next(struct store_cursor *cursor, bool *ret_found,
                                     struct store_row *ret_row);
void spanner_cursor_close(struct store_cursor *cursor);

#endif
