/*
 * A channel with a Spanner session, and what is done with it: reads, and the commit and the end of
 * a transaction that writes. For the files of this folder only; a connection is used by one thread
 * at a time.
 */
#ifndef ZANDAKA_STORE_SPANNER_EXCHANGE_H
#define ZANDAKA_STORE_SPANNER_EXCHANGE_H

#include "google/spanner/v1/spanner.pb-c.h"
#include "store/spanner/channel.h"
#include "store/spanner/values.h"

/* Bytes of a session's name: a database's, and an id. */
#define SPANNER_SESSION_NAME_MAX_BYTES 512

struct spanner_connection {
    struct spanner_channel channel;
    char session[SPANNER_SESSION_NAME_MAX_BYTES]; /* empty: none so far, or it was lost */
    bool multiplexed;
    int64_t session_opened_mono_ns;
};

/* How an exchange has ended. */
struct spanner_result {
    int status;             /* as of a call (channel.h); 0: it went well */
    int64_t retry_delay_ms; /* -1: nothing is said */
    char message[SPANNER_MESSAGE_BYTES];
};

/* When what begins now must have ended. */
int64_t spanner_deadline(int64_t timeout_ms);
/* The same for what waits for answers of the database. */
int64_t spanner_answer_deadline(const struct spanner_connection *connection);
/* How a call that was run has ended. */
struct spanner_result spanner_result_of(const struct spanner_call *call);
/* Runs one call, and tells how it has ended. */
void spanner_run_one(struct spanner_connection *connection, struct spanner_call *call,
                     int64_t deadline_mono_ns, struct spanner_result *ret_result);

/* --- session.c --- */

void spanner_connection_open(struct spanner_connection *connection,
                             const struct spanner_target *target, unsigned number);
void spanner_connection_close(struct spanner_connection *connection);
/* Sees to it that there is a session. False: *ret_result says why there is none. */
bool spanner_session_ready(struct spanner_connection *connection,
                           struct spanner_result *ret_result) BASE_MUST_USE;
/* Forgets the session, if the result tells that the server has. */
void spanner_session_judge(struct spanner_connection *connection,
                           const struct spanner_result *result);
/* Whether the result tells that the server does not know the session. */
bool spanner_session_is_lost(const struct spanner_result *result);

/* --- transactions --- */

/* A transaction that writes, as the reads that begin it leave it. What it points to is in the arena
 * of whoever reads. All zeros: none. */
struct spanner_transaction {
    struct base_bytes id; /* empty: it has not begun */
    struct base_bytes precommit_token;
    int32_t token_number;
    bool has_token;
};

/* Keeps the token, if it is newer than the one that there is. */
void spanner_transaction_take_token(
    struct spanner_transaction *transaction, struct base_arena *arena,
    const Google__Spanner__V1__MultiplexedSessionPrecommitToken *token);

enum spanner_end {
    SPANNER_COMMITTED,
    SPANNER_NOT_COMMITTED,  /* nothing was written */
    SPANNER_MAYBE_COMMITTED /* it was asked, and may have been written, or may still be */
};

/* Commits. A commit of which nothing is heard is asked again, with the same id, which Spanner takes
 * for the same commit, for as long as the time lasts. Where the session takes several transactions
 * at once, the next one is begun in the same round trip, and its id written to `next`; empty: none
 * was begun. `next` NULL: none is wanted. */
enum spanner_end spanner_transaction_commit(struct spanner_connection *connection,
                                            struct spanner_transaction *transaction,
                                            size_t n_mutations,
                                            Google__Spanner__V1__Mutation **mutations,
                                            struct base_arena *arena, struct base_writer *next,
                                            struct spanner_result *ret_result) BASE_MUST_USE;
/* Gives it up, so that its locks are free at once. Nobody waits long for it. */
void spanner_transaction_rollback(struct spanner_connection *connection,
                                  struct spanner_transaction *transaction);

/* --- reads --- */

/* Which moment, or which transaction, reads are of. */
enum spanner_moment_case {
    SPANNER_NOW,           /* all that was committed before */
    SPANNER_NOT_OLDER,     /* a moment at most staleness_ms ago, as it suits the server */
    SPANNER_AT,            /* exactly then */
    SPANNER_OF_TRANSACTION /* of that one, which begins with the first read */
};
struct spanner_moment {
    enum spanner_moment_case which;
    int64_t staleness_ms;
    Google__Protobuf__Timestamp at;
    struct spanner_transaction *transaction;
    struct base_bytes previous; /* the id of the attempt before, where one begins; empty: none */
};

/* A read of one table or index. */
struct spanner_read {
    const char *table;
    const char *index; /* NULL: of the table */
    size_t n_columns;
    const char *const *columns;
    Google__Spanner__V1__KeySet keys;
    int64_t limit; /* rows; 0: all */
    bool ordered;  /* by the key; or as they come */
    struct base_arena *arena;

    struct spanner_rows rows; /* the answer, in the arena */
};

/* Runs reads beside one another, up to SPANNER_READS_MAX, all of the same moment if it is
 * SPANNER_AT or of a transaction. Those whose stream breaks go on from where they were. False:
 * *ret_result says why; then no rows are there. The transaction that reads begin is filled in as
 * soon as it is known, also when a read fails. */
#define SPANNER_READS_MAX 16
bool spanner_read(struct spanner_connection *connection, const struct spanner_moment *moment,
                  size_t n_reads, struct spanner_read *reads,
                  struct spanner_result *ret_result) BASE_MUST_USE;
/* The present moment by the server's clock: what is committed until then, a read at it sees. */
bool spanner_read_clock(struct spanner_connection *connection, Google__Protobuf__Timestamp *ret_now,
                        struct spanner_result *ret_result) BASE_MUST_USE;

/* A set of keys under construction, of the arena; `capacity` of them. */
Google__Spanner__V1__KeySet spanner_keys(struct base_arena *arena, size_t capacity);
void spanner_keys_add(Google__Spanner__V1__KeySet *keys, spanner_list *key);
/* All rows from a key on, itself included or not, whose first parts are those of `prefix`. */
Google__Spanner__V1__KeySet spanner_keys_from(struct base_arena *arena, spanner_list *from,
                                              bool included, spanner_list *prefix);
Google__Spanner__V1__KeySet spanner_keys_all(void);

/* --- writes --- */

/* Rows of one table that are inserted or updated, under construction. */
struct spanner_write {
    Google__Spanner__V1__Mutation mutation;
    Google__Spanner__V1__Mutation__Write write;
};
/* In the arena; with room for `capacity` rows. */
struct spanner_write *spanner_write_open(struct base_arena *arena, bool update, const char *table,
                                         size_t n_columns, const char *const *columns,
                                         size_t capacity);
void spanner_write_row(struct base_arena *arena, struct spanner_write *write,
                       spanner_value *const *values);

#endif
