/*
 * The store on PostgreSQL, for the files of this folder:
 *
 *   open.c        opening and closing; whether the database is there, and is what it should be
 *   kinds.c       the kinds that the database remembers, and their numbers
 *   write.c       load, commit and abandon: the two round trips of a batch
 *   reads.c       what is durable, on connections of their own
 *   walks.c       the walks over whole tables
 *   copy.c        the beginning and the end of copying another store into this one
 *   schema.c      the statements that make the tables
 *   known_accounts.h  the accounts that need no row any more
 *   connection.h  one connection, and exchanges over it
 *   statements.h  every statement
 *   values.h      values as PostgreSQL's binary format has them
 */
#ifndef ZANDAKA_STORE_POSTGRES_DATABASE_H
#define ZANDAKA_STORE_POSTGRES_DATABASE_H

#include "store/postgres/connection.h"
#include "store/postgres/known_accounts.h"
#include "store/postgres/postgres.h"

#include <pthread.h>
#include <stdatomic.h>

/* The version of the schema that this program knows. */
#define POSTGRES_SCHEMA_VERSION 1
/* The same while another store is being copied into it: no version serves or reads that. */
#define POSTGRES_SCHEMA_VERSION_COPYING (-POSTGRES_SCHEMA_VERSION)

/* A transaction's position is the number that the database gave its batch, times this, and its
 * place in the batch. */
#define POSTGRES_POSITIONS_PER_BATCH 1024

/* What writes: a connection, and what a batch's parameters are made in. */
struct postgres_session {
    struct postgres_connection connection;
    bool in_transaction;
    const struct ledger_facts *loaded; /* the working set whose facts the open transaction holds */
    struct ledger_account **sorted;    /* its accounts by id, in its arena */
    uint64_t *stored_kinds; /* the balances of each that have a row, as bits by kind number */
    struct postgres_known_accounts known;
    struct postgres_array arrays[POSTGRES_PARAMETERS_MAX];
};

/* Which of the database's kinds is which of the configured ones; -1: none. */
struct postgres_kind_map {
    int stored_numbers[BASE_KINDS_MAX]; /* by kind number */
    int kind_numbers[BASE_KINDS_MAX];   /* by the database's number */
};

/* What is known of the database. */
enum postgres_state {
    POSTGRES_UNTRIED,
    POSTGRES_SERVING,
    POSTGRES_UNREACHABLE,
    POSTGRES_READ_ONLY,     /* a standby, or made read-only */
    POSTGRES_NO_SCHEMA,     /* none, or none that this role may see */
    POSTGRES_OTHER_SCHEMA,  /* of a version that this program does not know */
    POSTGRES_COPYING,       /* another store is being copied into it, or was for a part */
    POSTGRES_BEHIND,        /* its transaction numbers are behind its journal's */
    POSTGRES_KIND_MISSING,  /* a kind that was served is not configured */
    POSTGRES_REFUSED_ACCESS /* the role lacks a privilege, or the database another thing */
};

struct postgres_snapshot;

struct store_postgres {
    struct store base;
    char *url;

    pthread_mutex_t preparing;
    bool only_reads; /* opened without kinds */
    bool copying;    /* opened to copy another store into it */
    /* Set once the kinds are known to be right, and then unchanged. */
    _Atomic bool prepared;
    struct postgres_kind_map kind_map;
    _Atomic bool kinds_grown;  /* another server has begun a kind that is not configured here */
    _Atomic bool kind_missing; /* and an account with it was met, which cannot be answered for */
    _Atomic int64_t position_base;    /* of the database, as it was last looked at */
    struct ledger_kinds served_kinds; /* what was served, when opened only to read */
    struct base_arena kinds_arena;

    struct postgres_session sessions[BASE_DATABASE_SESSIONS];
    struct postgres_snapshot *snapshot; /* opened only to read: of all walks; else NULL */

    pthread_mutex_t lock;            /* over what follows */
    struct postgres_snapshot *spare; /* without a transaction, for the next walk; NULL: none */
    enum postgres_state state;
    bool closing;
    bool has_keeper;                      /* set at the opening */
    char message[POSTGRES_MESSAGE_BYTES]; /* the database's words when it could not be reached */
    int64_t down_mono_ns;     /* since when it does not serve; meaningful while it does not */
    int64_t next_try_mono_ns; /* no connection is attempted before */
    pthread_cond_t changed;   /* a reading connection is free again, or the store closes */
    unsigned readers_age;     /* counted up when those that are open lead to the wrong server */
    size_t n_readers_open;
    size_t n_readers_free;
    struct postgres_connection *readers_free[BASE_DATABASE_READERS_MAX];

    pthread_t keeper; /* looks after the database while nothing else does */
};

/* --- open.c --- */

/* Connects, and sees to it that the schema and the kinds are right. False: the store's state says
 * what is wrong. */
bool postgres_store_connect(struct store_postgres *store, struct postgres_connection *connection,
                            bool writes) BASE_MUST_USE;
/* Whether the database was seen to be another than the one that this server may write to: by its
 * schema, or by its numbers. Until the keeper sees that it is right. */
bool postgres_store_is_another(struct store_postgres *store);
/* Whether the database went away so lately that a read may wait for it. */
bool postgres_store_may_be_back_soon(struct store_postgres *store);
/* Notes what an exchange has shown: POSTGRES_SERVING, or what is wrong, which is logged when it is
 * new; `message` is the database's own words, or empty. */
void postgres_store_note(struct store_postgres *store, enum postgres_state state,
                         const char *message);
/* The same, from an exchange that did not end well; also what it means to the caller. Never
 * STORE_OK or STORE_UNKNOWN. From a server that takes no writes it disconnects, since the one that
 * does may be another of the URL's. */
enum store_fault postgres_store_note_failure(struct store_postgres *store, enum postgres_end end,
                                             const struct postgres_exchange *exchange);
/* Notes that an account was met which has a balance of a kind that is not configured. Kinds and
 * balances stay for ever, and so does this: the store serves all other accounts, and is not ready.
 */
void postgres_store_note_kind_missing(struct store_postgres *store);
/* Notes a load that went well. */
void postgres_store_note_load(struct store_postgres *store);

/* --- kinds.c --- */

/* Compares the database's kinds with the store's, adds those that are new, and fills in the map.
 * False: `message` says what is wrong; *ret_state. */
bool postgres_kinds_match(struct store_postgres *store, struct postgres_connection *connection,
                          enum postgres_state *ret_state,
                          char message[POSTGRES_MESSAGE_BYTES]) BASE_MUST_USE;

/* --- write.c --- */

enum store_fault postgres_load(struct store *store, unsigned session, struct ledger_facts *facts);
enum store_fault postgres_commit(struct store *store, unsigned session,
                                 const struct ledger_facts *facts);
void postgres_abandon(struct store *store, unsigned session, const struct ledger_facts *facts);
void postgres_session_close(struct postgres_session *session);
enum store_fault postgres_copy_in(struct store *store, const struct ledger_facts *rows);

/* --- copy.c --- */

/* Marks an empty store as one that another is copied into, unless it is marked. False: *ret_message
 * says why it cannot be, in the arena. */
bool postgres_copy_begin(const char *url, struct base_arena *arena,
                         struct base_text *ret_message) BASE_MUST_USE;
enum store_fault postgres_copy_end(struct store *store);

/* --- reads.c --- */

enum store_fault postgres_read_transaction(struct store *store, struct base_text transaction_id,
                                           struct base_arena *arena, bool *ret_found,
                                           struct base_bytes *ret_record);
enum store_fault postgres_read_caller(struct store *store, struct base_text transaction_id,
                                      struct base_arena *arena, bool *ret_found,
                                      struct base_text *ret_caller);
enum store_fault postgres_read_accounts(struct store *store, size_t n,
                                        const struct base_text *account_ids,
                                        struct base_arena *arena,
                                        struct ledger_account *ret_accounts);
enum store_fault postgres_read_entries(struct store *store, const struct store_entries_query *query,
                                       struct base_arena *arena,
                                       struct store_entries_page *ret_page);
enum store_fault postgres_read_journal(struct store *store, uint64_t position,
                                       struct base_arena *arena, bool *ret_found,
                                       struct base_bytes *ret_record);

/* A connection for reading, from those that are free or a new one; NULL: there is none to be had.
 * Given back when done with; one that was lost meanwhile is dropped. */
struct postgres_connection *postgres_reader_take(struct store_postgres *store);
void postgres_reader_give_back(struct store_postgres *store,
                               struct postgres_connection *connection);
void postgres_readers_close(struct store_postgres *store);
/* Those that are open lead to a server that takes no writes any more: what they show may be past.
 * None is used again. */
void postgres_readers_retire(struct store_postgres *store);

/* An account that was never seen, in the arena but for its id. */
struct ledger_account postgres_account_unseen(const struct store_postgres *store,
                                              struct base_text account_id,
                                              struct base_arena *arena);
/* Reads the version and the time of an account's row, from the columns `first` and on. */
void postgres_read_account_row(struct postgres_row *row, int first, struct ledger_account *account);
/* Reads a balance (kind, available, held) from the columns `first` and on into the account. Its
 * kind's number; -1: a kind that this server does not have. */
int postgres_read_balance(const struct store_postgres *store, struct postgres_row *row, int first,
                          struct ledger_account *account);
/* Reads an entry from the columns `first` and on: sequence, transaction id, operation, kind,
 * amount, balance after, held amount, held after, time, record; but not its account. In the arena.
 * False: of a kind that this server does not have. */
bool postgres_read_entry(const struct store_postgres *store, struct postgres_row *row, int first,
                         struct base_arena *arena, struct ledger_entry *entry);

/* --- walks.c --- */

/* NULL: it cannot be had. */
struct postgres_snapshot *postgres_snapshot_open(struct store_postgres *store);
void postgres_snapshot_close(struct postgres_snapshot *snapshot);
struct store_cursor *postgres_cursor_open(struct store *store, enum store_table table);
enum store_fault postgres_cursor_next(struct store_cursor *cursor, bool *ret_found,
                                      struct store_row *ret_row);
void postgres_cursor_close(struct store_cursor *cursor);

#endif
