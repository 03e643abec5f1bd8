#include "cluster.h"

#include "base/base.h"
#include "companion.h"
#include "store/postgres/postgres.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Its word is the directory of its socket. */
static struct companion cluster;
static unsigned n_databases;

bool cluster_is_present(void)
{
    static const char *const arguments[] = {ZANDAKA_SOURCE "/scripts/postgres_cluster.sh", NULL};
    return companion_is_present(&cluster, "the PostgreSQL cluster", arguments);
}

void cluster_command(const char *command)
{
    char answer[COMPANION_WORD_MAX_BYTES];
    companion_send(&cluster, command, answer);
    if (strcmp(answer, "done") != 0) {
        base_stop("the PostgreSQL cluster did not obey `%s`", command);
    }
}

/* Runs statements in the database of that URL; the first value as a number, 0 where there is none.
 */
static long run(const char *url, const char *statements)
{
    PGconn *link = PQconnectdb(url);
    PGresult *result = PQexec(link, statements);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        base_stop("%s: %s", statements, PQerrorMessage(link));
    }
    long value = PQntuples(result) > 0 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(link);
    return value;
}

static void print_url(char url[CLUSTER_URL_MAX_BYTES], const char *role, const char *name)
{
    (void)snprintf(url, CLUSTER_URL_MAX_BYTES, "postgres://%s@/%s?host=%s", role, name,
                   cluster.word);
}

struct database *database_open(bool with_schema)
{
    base_assert(cluster_is_present());
    struct database *database = base_allocate_zeroed(1, sizeof *database);
    char url[CLUSTER_URL_MAX_BYTES];
    char statement[64];
    print_url(url, "owner", "postgres");
    if (n_databases == 0) {
        (void)run(url, "CREATE ROLE server LOGIN");
    }
    (void)snprintf(database->name, sizeof database->name, "test_%u", n_databases++);
    (void)snprintf(statement, sizeof statement, "CREATE DATABASE %s", database->name);
    (void)run(url, statement);
    print_url(database->owner_url, "owner", database->name);
    print_url(database->url, "server", database->name);
    if (with_schema) {
        struct base_arena arena = BASE_ARENA_EMPTY;
        struct base_text message;
        if (!store_postgres_apply_schema(database->owner_url, &arena, &message)) {
            base_stop("%.*s", BASE_TEXT_ARGS(message));
        }
        base_arena_release(&arena);
        database_run(database, "GRANT USAGE ON SCHEMA zandaka TO server;"
                               "GRANT SELECT ON ALL TABLES IN SCHEMA zandaka TO server;"
                               "GRANT INSERT ON zandaka.kinds, zandaka.transactions, "
                               "zandaka.accounts, zandaka.balances, zandaka.entries TO server;"
                               "GRANT UPDATE ON zandaka.accounts, zandaka.balances TO server");
    }
    return database;
}

void database_close(struct database *database)
{
    char url[CLUSTER_URL_MAX_BYTES];
    char statement[64];
    print_url(url, "owner", "postgres");
    (void)snprintf(statement, sizeof statement, "DROP DATABASE %s WITH (FORCE)", database->name);
    (void)run(url, statement);
    free(database);
}

void database_run(const struct database *database, const char *statements)
{
    (void)run(database->owner_url, statements);
}

long database_ask(const struct database *database, const char *query)
{
    return run(database->owner_url, query);
}

bool database_refuses(const char *url, const char *statement)
{
    PGconn *link = PQconnectdb(url);
    PGresult *result = PQexec(link, statement);
    bool refused = PQstatus(link) == CONNECTION_OK && PQresultStatus(result) == PGRES_FATAL_ERROR;
    PQclear(result);
    PQfinish(link);
    return refused;
}
