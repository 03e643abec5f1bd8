/*
 * A PostgreSQL cluster to throw away (scripts/postgres_cluster.sh): one for a test program, from
 * its first use to its end, with a database for each store. The role `server` has what
 * docs/postgres.md gives to a server and no more. None of these fails: they end the program.
 */
#ifndef ZANDAKA_TESTS_STORE_CLUSTER_H
#define ZANDAKA_TESTS_STORE_CLUSTER_H

#include <stdbool.h>

/* Whether there is a PostgreSQL on this machine; says so when there is none. */
bool cluster_is_present(void);

#define CLUSTER_URL_MAX_BYTES 256

/* A database: empty, or with the schema and the role's privileges. */
struct database {
    char name[32];
    char owner_url[CLUSTER_URL_MAX_BYTES];
    char url[CLUSTER_URL_MAX_BYTES]; /* as the role `server` */
};
struct database *database_open(bool with_schema);
/* Drops it, whoever is connected. */
void database_close(struct database *database);

/* Runs statements as the owner. Each is a transaction of its own unless it says otherwise. */
void database_run(const struct database *database, const char *statements);
/* The first column of the first row, as a number. */
long database_ask(const struct database *database, const char *query);

/* Whether the database refuses the statement, with whoever's URL. */
bool database_refuses(const char *url, const char *statement);

/* `stop fast`, `stop immediate`, `kill`, `start`. */
void cluster_command(const char *command);

#endif
