/*
 * The schema, version 1: what can be said of the contract in the database's own words, so that a
 * wrong state is refused whoever tries to write it.
 */
#include "store/postgres/database.h"

static const char schema[] =
    "CREATE SCHEMA zandaka;\n"
    "\n"
    "-- The one row that says what this is.\n"
    "CREATE TABLE zandaka.store (\n"
    "    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),\n"
    "    schema_version integer NOT NULL,\n"
    "    position_base bigint NOT NULL DEFAULT 0 CHECK (position_base >= 0)\n"
    ");\n"
    "\n"
    "-- The kinds of balance that were ever served. Numbers are given in order, for good.\n"
    "CREATE TABLE zandaka.kinds (\n"
    "    kind_number smallint PRIMARY KEY CHECK (kind_number BETWEEN 0 AND 63),\n"
    "    code text COLLATE \"C\" NOT NULL UNIQUE CHECK (code ~ '^[a-z][a-z0-9_-]{0,31}$')\n"
    ");\n"
    "\n"
    "-- The record of every transaction, as every repeat of it is answered: the bytes of the\n"
    "-- message zandaka.v1.Transaction. commit_mark says which commit of which server wrote it;\n"
    "-- caller, who asked for it.\n"
    "CREATE TABLE zandaka.transactions (\n"
    "    transaction_id text COLLATE \"C\" PRIMARY KEY\n"
    "        CHECK (octet_length(transaction_id) BETWEEN 1 AND 64\n"
    "               AND transaction_id !~ '[^!-~]'),\n"
    "    position bigint NOT NULL UNIQUE CHECK (position > 0),\n"
    "    record bytea NOT NULL CHECK (octet_length(record) BETWEEN 1 AND 8192),\n"
    "    caller text COLLATE \"C\" NOT NULL,\n"
    "    commit_mark bigint NOT NULL\n"
    ");\n"
    "\n"
    "-- An account: the length of its history, and the time of its last transaction. Version 0 is\n"
    "-- no account: a row that was only locked.\n"
    "CREATE TABLE zandaka.accounts (\n"
    "    account_id text COLLATE \"C\" PRIMARY KEY\n"
    "        CHECK (octet_length(account_id) BETWEEN 1 AND 64 AND account_id !~ '[^!-~]'),\n"
    "    version bigint NOT NULL CHECK (version >= 0),\n"
    "    last_time timestamptz,\n"
    "    CHECK ((version = 0) = (last_time IS NULL))\n"
    ") WITH (fillfactor = 70);\n"
    "\n"
    "-- What an account has of a kind, in minor units.\n"
    "CREATE TABLE zandaka.balances (\n"
    "    account_id text COLLATE \"C\" NOT NULL REFERENCES zandaka.accounts,\n"
    "    kind_number smallint NOT NULL REFERENCES zandaka.kinds,\n"
    "    available bigint NOT NULL CHECK (available >= 0),\n"
    "    held bigint NOT NULL CHECK (held >= 0),\n"
    "    PRIMARY KEY (account_id, kind_number),\n"
    "    CHECK (available <= 9223372036854775807 - held)\n"
    ") WITH (fillfactor = 70);\n"
    "\n"
    "-- An account's history: one row for each leg of a transaction, numbered from 1 without "
    "gaps.\n"
    "-- Without foreign keys: each would lock and look up a row for every row written, and the "
    "rows\n"
    "-- that they would lead to are written in the same commit; `zandaka verify` proves them.\n"
    "CREATE TABLE zandaka.entries (\n"
    "    account_id text COLLATE \"C\" NOT NULL,\n"
    "    sequence bigint NOT NULL CHECK (sequence >= 1),\n"
    "    transaction_id text COLLATE \"C\" NOT NULL,\n"
    "    operation smallint NOT NULL CHECK (operation BETWEEN 1 AND 31),\n"
    "    kind_number smallint NOT NULL CHECK (kind_number BETWEEN 0 AND 63),\n"
    "    amount bigint NOT NULL,\n"
    "    balance_after bigint NOT NULL CHECK (balance_after >= 0 AND balance_after >= amount),\n"
    "    held_amount bigint NOT NULL,\n"
    "    held_after bigint NOT NULL CHECK (held_after >= 0 AND held_after >= held_amount),\n"
    "    create_time timestamptz NOT NULL,\n"
    "    PRIMARY KEY (account_id, sequence),\n"
    "    CHECK (amount <> 0 OR held_amount <> 0)\n"
    ");\n"
    "\n"
    "INSERT INTO zandaka.store (schema_version) VALUES (1);\n";
static_assert(POSTGRES_SCHEMA_VERSION == 1, "the schema must say its version");
static_assert(BASE_KINDS_MAX == 64, "a kind's number must fit its column");
static_assert(BASE_ID_MAX_BYTES == 64, "an id must fit its column");
static_assert(BASE_RECORD_MAX_BYTES == 8192, "a record must fit its column");

/* Lifts positions above those of the journal, where the database numbers its transactions anew. */
static const char lift[] =
    "UPDATE zandaka.store SET position_base = "
    "(SELECT max(position) / 1024 + 1 FROM zandaka.transactions) "
    "- pg_current_xact_id()::text::bigint "
    "WHERE (SELECT coalesce(max(position), 0) / 1024 FROM zandaka.transactions) "
    ">= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + position_base";
static_assert(POSTGRES_POSITIONS_PER_BATCH == 1024, "the positions must be reckoned alike");

void store_postgres_print_schema(FILE *out)
{
    (void)fprintf(out, "BEGIN;\n\n%s\nCOMMIT;\n", schema);
}

static struct base_text said_by(PGconn *link, struct base_arena *arena)
{
    struct base_text said = base_text_trim(base_text_of(PQerrorMessage(link)), "\n ");
    return base_arena_text(arena, said);
}

#define VERSION_UNKNOWN INT32_MIN

/* The version in the database; 0: no schema; negative: another store is being copied into it. */
static int read_version(PGconn *link)
{
    int version = VERSION_UNKNOWN;
    PGresult *result = PQexec(link, "SELECT to_regnamespace('zandaka') IS NULL");
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQgetvalue(result, 0, 0)[0] == 't') {
        version = 0;
    }
    PQclear(result);
    if (version == 0) {
        return 0;
    }
    result = PQexec(link, "SELECT schema_version FROM zandaka.store");
    int64_t value;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
        base_text_to_int64(base_text_of(PQgetvalue(result, 0, 0)), &value) && value != 0 &&
        value >= -INT32_MAX && value <= INT32_MAX) {
        version = (int)value;
    }
    PQclear(result);
    return version;
}

static bool run(PGconn *link, const char *text)
{
    PGresult *result = PQexec(link, text);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool make(PGconn *link, struct base_arena *arena, struct base_text *ret_message)
{
    bool made = run(link, "BEGIN") && run(link, schema) && run(link, "COMMIT");
    *ret_message =
        made ? base_arena_print(arena, "made the schema, version %d", POSTGRES_SCHEMA_VERSION)
             : said_by(link, arena);
    return made;
}

static bool keep(PGconn *link, struct base_arena *arena, struct base_text *ret_message)
{
    PGresult *result = PQexec(link, lift);
    bool kept = PQresultStatus(result) == PGRES_COMMAND_OK;
    bool lifted = kept && PQcmdTuples(result)[0] == '1';
    PQclear(result);
    *ret_message = !kept ? said_by(link, arena)
                   : lifted
                       ? BASE_TEXT("the schema stands; positions go on above those of the journal")
                       : base_arena_print(arena, "the schema stands, version %d: nothing to do",
                                          POSTGRES_SCHEMA_VERSION);
    return kept;
}

bool store_postgres_apply_schema(const char *url, struct base_arena *arena,
                                 struct base_text *ret_message)
{
    bool applied = false;
    PGconn *link = PQconnectdb(url);
    int version = PQstatus(link) == CONNECTION_OK ? read_version(link) : VERSION_UNKNOWN;
    if (version == 0) {
        applied = make(link, arena, ret_message);
    } else if (version == POSTGRES_SCHEMA_VERSION) {
        applied = keep(link, arena, ret_message);
    } else if (version > 0) {
        *ret_message = base_arena_print(
            arena,
            "the schema in the database has version %d, which this zandaka does not know; "
            "nothing was changed",
            version);
    } else if (version > VERSION_UNKNOWN) {
        *ret_message = BASE_TEXT("the database holds a copy of another store that has not come to "
                                 "its end; nothing was changed");
    } else {
        *ret_message = said_by(link, arena);
        if (ret_message->length == 0) {
            *ret_message = BASE_TEXT("the schema `zandaka` in the database is not this program's; "
                                     "nothing was changed");
        }
    }
    PQfinish(link);
    return applied;
}
