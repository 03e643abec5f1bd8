/*
 * One connection to the database, and exchanges over it: statements that are sent together and
 * answered together, one round trip for all of them (libpq's pipeline mode). Every wait ends: at an
 * answer, at the loss of the connection, or at its time. For the files of this folder only; a
 * connection is used by one thread at a time.
 */
#ifndef ZANDAKA_STORE_POSTGRES_CONNECTION_H
#define ZANDAKA_STORE_POSTGRES_CONNECTION_H

#include "store/postgres/statements.h"
#include "store/postgres/values.h"

/* Bytes of what is said about a failure; longer texts are cut. */
#define POSTGRES_MESSAGE_BYTES 512
/* Statements of one exchange. */
#define POSTGRES_EXCHANGE_MAX 24

struct postgres_connection {
    PGconn *link; /* NULL: not connected */
    bool warned;  /* the server has warned since this was last cleared */
    unsigned age; /* of the store's readers: see store_postgres.readers_age */
};

/* Connects, to a database that takes writes unless `any` will do, within
 * BASE_DATABASE_CONNECT_TIMEOUT_MS. False: not connected, and `message` says why. */
bool postgres_connect(struct postgres_connection *connection, const char *url, bool any,
                      char message[POSTGRES_MESSAGE_BYTES]) BASE_MUST_USE;
/* Also where there is no connection. What was not committed is undone. */
void postgres_disconnect(struct postgres_connection *connection);

enum postgres_end {
    POSTGRES_DONE,    /* every statement was run */
    POSTGRES_REFUSED, /* the server refused one, and ran none behind it */
    POSTGRES_LOST     /* the connection ended, or time did, and the server may have run any of those
                         that have no result, or may still */
};

struct postgres_exchange {
    struct postgres_connection *connection;
    size_t n_sent;
    bool broken;      /* it could not be sent */
    size_t n_results; /* statements that were run */
    PGresult *results[POSTGRES_EXCHANGE_MAX];
    /* When one was refused, it is number n_results: the error's code, and what the server says. */
    char sqlstate[6];
    char message[POSTGRES_MESSAGE_BYTES];
};

void postgres_exchange_open(struct postgres_exchange *exchange,
                            struct postgres_connection *connection);
/* Adds a statement. Its parameters are read at once. */
void postgres_exchange_add(struct postgres_exchange *exchange,
                           enum postgres_statement_number statement,
                           const struct base_bytes *parameters);
/* Adds the preparation of a statement, which each connection needs before it is used. */
void postgres_exchange_add_preparation(struct postgres_exchange *exchange,
                                       enum postgres_statement_number statement);
/* What each session is told first. */
void postgres_exchange_add_settings(struct postgres_exchange *exchange);
/* The same for a text that is not prepared and has no parameters. */
void postgres_exchange_add_text(struct postgres_exchange *exchange, const char *text);
/* Sends what is left and waits for all results. After POSTGRES_LOST there is no connection. */
enum postgres_end postgres_exchange_end(struct postgres_exchange *exchange) BASE_MUST_USE;
/* Frees the results. */
void postgres_exchange_close(struct postgres_exchange *exchange);

/* Whether the error's code begins so: `40`, `40001`. */
bool postgres_sqlstate_is(const struct postgres_exchange *exchange, const char *code);

#endif
