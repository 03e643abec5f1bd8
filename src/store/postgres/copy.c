/*
 * The beginning and the end of copying another store into this one (what lies between is in
 * write.c). Meanwhile the version of the schema is one that no server takes: half a store would
 * call an id new that had succeeded, and let it succeed again (contract 3.2).
 */
#include "store/postgres/database.h"

#include <string.h>

#define AS_TEXT(number) AS_TEXT_OF(number)
#define AS_TEXT_OF(number) #number

static const char mark[] =
    "UPDATE zandaka.store SET schema_version = -schema_version "
    "WHERE schema_version = " AS_TEXT(
        POSTGRES_SCHEMA_VERSION) " "
                                 "AND NOT EXISTS (SELECT FROM zandaka.transactions) "
                                 "AND NOT EXISTS (SELECT FROM zandaka.accounts WHERE version > 0)";
static const char unmark[] =
    "UPDATE zandaka.store SET schema_version = -schema_version WHERE schema_version < 0";
static const char look[] = "SELECT schema_version::text FROM zandaka.store";

/* Runs the statement; the result is the caller's to clear. False: the database refused it. */
static bool run(PGconn *link, const char *statement, PGresult **ret_result)
{
    *ret_result = PQexec(link, statement);
    ExecStatusType status = PQresultStatus(*ret_result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static struct base_text said_by(PGconn *link, struct base_arena *arena)
{
    struct base_text said = base_text_trim(base_text_of(PQerrorMessage(link)), "\n ");
    return base_arena_print(arena,
                            "the database cannot be copied into: %.*s: a copy needs the schema "
                            "(`zandaka schema --store URL --apply`) and the role that owns it",
                            BASE_TEXT_ARGS(said));
}

bool postgres_copy_begin(const char *url, struct base_arena *arena, struct base_text *ret_message)
{
    PGconn *link = PQconnectdb(url);
    PGresult *marked = NULL;
    PGresult *found = NULL;
    bool begun = false;
    if (PQstatus(link) != CONNECTION_OK || !run(link, mark, &marked) || !run(link, look, &found)) {
        *ret_message = said_by(link, arena);
    } else if (PQntuples(found) == 1 &&
               strcmp(PQgetvalue(found, 0, 0), AS_TEXT(POSTGRES_SCHEMA_VERSION)) == 0) {
        *ret_message =
            BASE_TEXT("the database holds a store already, and no copy that was interrupted: make "
                      "an empty database and run `zandaka schema --store URL --apply` on it");
    } else {
        begun = true;
    }
    PQclear(marked);
    PQclear(found);
    PQfinish(link);
    return begun;
}

enum store_fault postgres_copy_end(struct store *base)
{
    struct store_postgres *store = (struct store_postgres *)base;
    struct postgres_connection *connection = &store->sessions[0].connection;
    if (connection->link == NULL && !postgres_store_connect(store, connection, true)) {
        return STORE_UNAVAILABLE;
    }
    struct postgres_exchange exchange;
    connection->warned = false;
    postgres_exchange_open(&exchange, connection);
    postgres_exchange_add_text(&exchange, unmark);
    /* Done, and perhaps not replicated as it was asked to be. */
    enum postgres_end end = postgres_exchange_end(&exchange);
    enum store_fault fault = connection->warned ? STORE_UNKNOWN : STORE_OK;
    if (end != POSTGRES_DONE) {
        /* What was sent may have been done before the connection was lost. */
        bool alive = connection->link != NULL;
        fault = postgres_store_note_failure(store, end, &exchange);
        fault = alive ? fault : STORE_UNKNOWN;
    }
    postgres_exchange_close(&exchange);
    return fault;
}
