#include "store/postgres/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define AS_TEXT(number) AS_TEXT_OF(number)
#define AS_TEXT_OF(number) #number
#define LOCK_TIMEOUT AS_TEXT(BASE_DATABASE_LOCK_TIMEOUT_MS)
#define IDLE_TIMEOUT AS_TEXT(BASE_DATABASE_IDLE_TIMEOUT_MS)

/*
 * What every session is told, whatever the defaults of the database and the role are:
 *
 *   synchronous_commit   contract 3.12; only remote_apply promises more
 *   statement_timeout    none: a commit that it interrupts while it waits for a standby is done all
 *                        the same, and not replicated. We keep the time ourselves
 *   lock_timeout         a server that hangs must not hold up the others for longer than this,
 *   idle_in_transaction  nor keep its locks
 *   enable_…             rows are found by their keys. A plan that reads a whole table is kept for
 *                        as long as the connection lives, and tables grow
 *   jit                  a table that is read whole all the same, such as one of a single row,
 *                        seems so costly then that its statement would be compiled each time
 */
static const char settings[] =
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false), "
    "set_config('statement_timeout', '0', false), "
    "set_config('lock_timeout', '" LOCK_TIMEOUT "', false), "
    "set_config('idle_in_transaction_session_timeout', '" IDLE_TIMEOUT "', false), "
    "set_config('enable_seqscan', 'off', false), "
    "set_config('enable_hashjoin', 'off', false), "
    "set_config('enable_mergejoin', 'off', false), "
    "set_config('jit', 'off', false)";

/* The server's texts end with a newline, and have some within. */
static void keep_message(char message[POSTGRES_MESSAGE_BYTES], const char *text)
{
    (void)snprintf(message, POSTGRES_MESSAGE_BYTES, "%s", text);
    size_t length = strlen(message);
    while (length > 0 && message[length - 1] == '\n') {
        message[--length] = '\0';
    }
    for (size_t i = 0; i < length; i++) {
        if (message[i] == '\n' || message[i] == '\t') {
            message[i] = ' ';
        }
    }
}

/* A warning at a commit says that it is done and yet not what was asked: not replicated. */
static void note_notice(void *context, const PGresult *notice)
{
    struct postgres_connection *connection = context;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == NULL || strcmp(severity, "NOTICE") == 0) {
        return;
    }
    connection->warned = true;
    char message[POSTGRES_MESSAGE_BYTES];
    keep_message(message, PQresultErrorMessage(notice));
    base_log(BASE_LOG_WARNING, "the database says: %s", message);
}

/* Waits until the socket can be read (or written). False: the time is up, or the socket broken. */
static bool wait_for_socket(PGconn *link, bool to_write, int64_t deadline_mono_ns)
{
    struct pollfd socket = {.fd = PQsocket(link), .events = to_write ? POLLIN | POLLOUT : POLLIN};
    for (;;) {
        int64_t left_ns = deadline_mono_ns - base_now_mono_ns(&base_clock_system);
        if (socket.fd < 0 || left_ns <= 0) {
            return false;
        }
        int n_ready = poll(&socket, 1, (int)(left_ns / BASE_NS_PER_MS) + 1);
        if (n_ready > 0) {
            return true;
        }
        if (n_ready < 0 && errno != EINTR) {
            return false;
        }
    }
}

static int64_t deadline_in(int64_t timeout_ms)
{
    return base_now_mono_ns(&base_clock_system) + timeout_ms * BASE_NS_PER_MS;
}

/* --- connecting --- */

/* What stands before the URL is a default that the URL may say otherwise; what stands behind it is
 * not. */
static PGconn *start_connecting(const char *url, bool any)
{
    static const char answer_timeout[] = AS_TEXT(BASE_DATABASE_ANSWER_TIMEOUT_MS);
    const char *const names[] = {"fallback_application_name",
                                 "target_session_attrs",
                                 "tcp_user_timeout",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "dbname",
                                 "client_encoding",
                                 NULL};
    const char *const values[] = {
        "zandaka", any ? "any" : "read-write", answer_timeout, "5", "2", "3", url, "UTF8", NULL};
    return PQconnectStartParams(names, values, 1);
}

static bool finish_connecting(PGconn *link, int64_t deadline_mono_ns)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED) {
            return false;
        }
        struct pollfd socket = {.fd = PQsocket(link),
                                .events = next == PGRES_POLLING_WRITING ? POLLOUT : POLLIN};
        int64_t left_ns = deadline_mono_ns - base_now_mono_ns(&base_clock_system);
        if (left_ns <= 0) {
            return false;
        }
        if (poll(&socket, 1, (int)(left_ns / BASE_NS_PER_MS) + 1) > 0) {
            next = PQconnectPoll(link);
        }
    }
    return true;
}

bool postgres_connect(struct postgres_connection *connection, const char *url, bool any,
                      char message[POSTGRES_MESSAGE_BYTES])
{
    int64_t deadline_mono_ns = deadline_in(BASE_DATABASE_CONNECT_TIMEOUT_MS);
    *connection = (struct postgres_connection){.link = start_connecting(url, any)};
    if (connection->link == NULL) {
        base_stop("out of memory");
    }
    if (PQstatus(connection->link) == CONNECTION_BAD ||
        !finish_connecting(connection->link, deadline_mono_ns)) {
        const char *said = PQerrorMessage(connection->link);
        keep_message(message, said[0] != '\0' ? said : "no answer in time");
        postgres_disconnect(connection);
        return false;
    }
    (void)PQsetNoticeReceiver(connection->link, note_notice, connection);
    if (PQsetnonblocking(connection->link, 1) != 0 || PQenterPipelineMode(connection->link) != 1) {
        keep_message(message, PQerrorMessage(connection->link));
        postgres_disconnect(connection);
        return false;
    }
    return true;
}

void postgres_disconnect(struct postgres_connection *connection)
{
    PQfinish(connection->link);
    connection->link = NULL;
}

/* --- exchanges --- */

void postgres_exchange_open(struct postgres_exchange *exchange,
                            struct postgres_connection *connection)
{
    exchange->connection = connection;
    exchange->n_sent = 0;
    exchange->n_results = 0;
    exchange->sqlstate[0] = '\0';
    exchange->message[0] = '\0';
    exchange->broken = connection->link == NULL;
}

void postgres_exchange_add(struct postgres_exchange *exchange,
                           enum postgres_statement_number number,
                           const struct base_bytes *parameters)
{
    const struct postgres_statement *statement = &postgres_statements[number];
    const char *values[POSTGRES_PARAMETERS_MAX];
    int lengths[POSTGRES_PARAMETERS_MAX];
    int formats[POSTGRES_PARAMETERS_MAX];
    for (int i = 0; i < statement->n_parameters; i++) {
        /* An empty text is none that is NULL. */
        values[i] = parameters[i].length > 0 ? (const char *)parameters[i].bytes : "";
        lengths[i] = (int)parameters[i].length;
        formats[i] = 1;
    }
    base_assert(exchange->n_sent < POSTGRES_EXCHANGE_MAX);
    exchange->broken =
        exchange->broken ||
        PQsendQueryPrepared(exchange->connection->link, statement->name, statement->n_parameters,
                            values, lengths, formats, 1) != 1;
    exchange->n_sent++;
}

void postgres_exchange_add_preparation(struct postgres_exchange *exchange,
                                       enum postgres_statement_number number)
{
    const struct postgres_statement *statement = &postgres_statements[number];
    base_assert(exchange->n_sent < POSTGRES_EXCHANGE_MAX);
    exchange->broken = exchange->broken ||
                       PQsendPrepare(exchange->connection->link, statement->name, statement->text,
                                     statement->n_parameters, statement->types) != 1;
    exchange->n_sent++;
}

void postgres_exchange_add_settings(struct postgres_exchange *exchange)
{
    postgres_exchange_add_text(exchange, settings);
}

void postgres_exchange_add_text(struct postgres_exchange *exchange, const char *text)
{
    base_assert(exchange->n_sent < POSTGRES_EXCHANGE_MAX);
    exchange->broken = exchange->broken || PQsendQueryParams(exchange->connection->link, text, 0,
                                                             NULL, NULL, NULL, NULL, 1) != 1;
    exchange->n_sent++;
}

/* Sends and receives until a result is there. False: the connection is lost. */
static bool wait_for_result(PGconn *link, int64_t deadline_mono_ns)
{
    while (PQisBusy(link)) {
        int unsent = PQflush(link);
        /* A send that fails may have left an answer to be read: why the connection ends. */
        if (!wait_for_socket(link, unsent == 1, deadline_mono_ns)) {
            return false;
        }
        if (PQconsumeInput(link) != 1) {
            /* What was received before the end is still to be taken. */
            return !PQisBusy(link);
        }
    }
    return true;
}

static void note_failure(struct postgres_exchange *exchange, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    (void)snprintf(exchange->sqlstate, sizeof exchange->sqlstate, "%s",
                   sqlstate != NULL ? sqlstate : "");
    keep_message(exchange->message, PQresultErrorMessage(result));
}

/* Takes the result of the next statement, or of the sync behind the last. */
static PGresult *next_result(PGconn *link, int64_t deadline_mono_ns)
{
    /* Behind each statement's result is a NULL. */
    for (int i = 0; i < 2; i++) {
        if (!wait_for_result(link, deadline_mono_ns)) {
            return NULL;
        }
        PGresult *result = PQgetResult(link);
        if (result != NULL) {
            return result;
        }
    }
    return NULL;
}

static enum postgres_end lose(struct postgres_exchange *exchange)
{
    if (exchange->message[0] == '\0') {
        const char *said = exchange->connection->link != NULL
                               ? PQerrorMessage(exchange->connection->link)
                               : "not connected";
        keep_message(exchange->message, said[0] != '\0' ? said : "no answer in time");
    }
    postgres_disconnect(exchange->connection);
    return POSTGRES_LOST;
}

enum postgres_end postgres_exchange_end(struct postgres_exchange *exchange)
{
    PGconn *link = exchange->connection->link;
    if (exchange->broken || PQpipelineSync(link) != 1) {
        return lose(exchange);
    }
    int64_t deadline_mono_ns = deadline_in(BASE_DATABASE_ANSWER_TIMEOUT_MS);
    bool refused = false;
    for (;;) {
        PGresult *result = next_result(link, deadline_mono_ns);
        if (result == NULL) {
            (void)lose(exchange);
            return refused ? POSTGRES_REFUSED : POSTGRES_LOST;
        }
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
            base_assert(exchange->n_results < exchange->n_sent && !refused);
            exchange->results[exchange->n_results++] = result;
            continue;
        }
        if (status == PGRES_FATAL_ERROR && !refused) {
            note_failure(exchange, result);
            refused = exchange->sqlstate[0] != '\0';
        }
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC || PQstatus(link) == CONNECTION_BAD) {
            break;
        }
    }
    if (PQstatus(link) == CONNECTION_BAD || (!refused && exchange->n_results < exchange->n_sent)) {
        (void)lose(exchange);
        return refused ? POSTGRES_REFUSED : POSTGRES_LOST;
    }
    return refused ? POSTGRES_REFUSED : POSTGRES_DONE;
}

void postgres_exchange_close(struct postgres_exchange *exchange)
{
    for (size_t i = 0; i < exchange->n_results; i++) {
        PQclear(exchange->results[i]);
    }
    exchange->n_results = 0;
}

bool postgres_sqlstate_is(const struct postgres_exchange *exchange, const char *code)
{
    return strncmp(exchange->sqlstate, code, strlen(code)) == 0;
}
