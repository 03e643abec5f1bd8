#include "cluster.h"

#include "base/base.h"
#include "store/postgres/postgres.h"

#include <errno.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct cluster {
    bool tried;
    pid_t process; /* 0: there is none */
    FILE *commands;
    FILE *answers;
    char directory[128];
    unsigned n_databases;
} cluster;

/* The script removes everything once its input ends, also when this program is killed. */
static void end_cluster(void)
{
    if (cluster.process != 0) {
        (void)fclose(cluster.commands);
        (void)fclose(cluster.answers);
        (void)waitpid(cluster.process, NULL, 0);
        cluster.process = 0;
    }
}

static void start_cluster(void)
{
    int commands[2];
    int answers[2];
    base_assert(pipe(commands) == 0 && pipe(answers) == 0);
    pid_t process = fork();
    base_assert(process >= 0);
    if (process == 0) {
        (void)dup2(commands[0], STDIN_FILENO);
        (void)dup2(answers[1], STDOUT_FILENO);
        for (int i = 0; i < 2; i++) {
            (void)close(commands[i]);
            (void)close(answers[i]);
        }
        (void)execl(ZANDAKA_SOURCE "/scripts/postgres_cluster.sh", "postgres_cluster.sh",
                    (char *)NULL);
        _exit(126);
    }
    (void)close(commands[0]);
    (void)close(answers[1]);
    cluster.commands = fdopen(commands[1], "w");
    cluster.answers = fdopen(answers[0], "r");
    cluster.process = process;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)atexit(end_cluster);
}

bool cluster_is_present(void)
{
    if (!cluster.tried) {
        cluster.tried = true;
        start_cluster();
        if (fscanf(cluster.answers, "ready %127s", cluster.directory) != 1) {
            int status;
            (void)waitpid(cluster.process, &status, 0);
            cluster.process = 0;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 77) {
                base_stop("the PostgreSQL cluster did not start");
            }
        }
    }
    return cluster.process != 0;
}

void cluster_command(const char *command)
{
    char answer[16] = "";
    (void)fprintf(cluster.commands, "%s\n", command);
    (void)fflush(cluster.commands);
    if (fscanf(cluster.answers, " %15s", answer) != 1 || strcmp(answer, "done") != 0) {
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
                   cluster.directory);
}

struct database *database_open(bool with_schema)
{
    base_assert(cluster_is_present());
    struct database *database = base_allocate_zeroed(1, sizeof *database);
    char url[CLUSTER_URL_MAX_BYTES];
    char statement[64];
    print_url(url, "owner", "postgres");
    if (cluster.n_databases == 0) {
        (void)run(url, "CREATE ROLE server LOGIN");
    }
    (void)snprintf(database->name, sizeof database->name, "test_%u", cluster.n_databases++);
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
