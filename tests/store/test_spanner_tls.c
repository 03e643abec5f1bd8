/*
 * store: calls to Spanner as they go to Google's service: over TLS, to a server whose certificate
 * is believed and is for its name, and with a token. On the FAKE (fake_spanner.h), with
 * certificates and a service account's key that are made by openssl's command line.
 */
#include "fake_spanner.h"
#include "metadata_server.h"
#include "store/spanner/exchange.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EXIT_SKIPPED 77
#define DATABASE "projects/p/instances/i/databases/secure"

static const char make_files[] =
    "ec='ec -pkeyopt ec_paramgen_curve:P-256 -nodes'; "
    "for ca in ca other; do openssl req -x509 -newkey $ec -keyout $ca.key -out $ca.pem -days 2 "
    "-subj /CN=$ca -addext basicConstraints=critical,CA:TRUE || exit 1; done; "
    "openssl req -newkey $ec -keyout server.key -out server.csr -subj /CN=server && "
    "echo subjectAltName=IP:127.0.0.1 >server.ext && openssl x509 -req -in server.csr -CA ca.pem "
    "-CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem && "
    "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out account.key && "
    "{ printf '{\"type\":\"service_account\",\"private_key_id\":\"k\",\"client_email\":\"e@x\","
    "\"private_key\":\"'; awk '{printf \"%s\\\\n\", $0}' account.key; printf '\"}'; } "
    ">account.json";

static char directory[] = "/tmp/zandaka-spanner-tls-XXXXXX";

static const char *file_of(const char *name)
{
    static struct base_arena arena;
    return base_arena_print(&arena, "%s/%s", directory, name).bytes;
}

static void run_in_directory(const char *commands)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text line =
        base_arena_print(&arena, "cd %s && { %s; } >log 2>&1", directory, commands);
    if (system(line.bytes) != 0) {
        base_stop("no certificates: see %s/log", directory);
    }
    base_arena_release(&arena);
}

/* A client of its own, and a connection of it. */
struct client {
    struct base_arena arena;
    struct spanner_target target;
    struct spanner_connection connection;
};

static struct client *client_open(struct base_text address, const char *authority,
                                  struct spanner_credentials_options who)
{
    static unsigned number;
    struct client *client = base_allocate_zeroed(1, sizeof *client);
    struct base_text message = BASE_TEXT("");
    client->target = (struct spanner_target){
        .address = address,
        .credentials = spanner_credentials_open(&who, &client->arena, &message),
        .instance = BASE_TEXT("projects/p/instances/i"),
        .database = BASE_TEXT(DATABASE),
        .process_id = ++number};
    if (client->target.credentials == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    (void)setenv("SSL_CERT_FILE", file_of(authority), 1);
    spanner_connection_open(&client->connection, &client->target, 1);
    return client;
}

static void client_close(struct client *client)
{
    spanner_connection_close(&client->connection);
    spanner_credentials_release(client->target.credentials);
    base_arena_release(&client->arena);
    free(client);
}

/* Asks for a session, and gives how that ended. */
static struct spanner_result ask(struct base_text address, const char *authority,
                                 struct spanner_credentials_options who)
{
    struct client *client = client_open(address, authority, who);
    struct spanner_result result = {.status = 0};
    bool ready = spanner_session_ready(&client->connection, &result);
    assert_int_equal(ready, result.status == 0);
    client_close(client);
    return result;
}

static struct spanner_credentials_options key_file(void)
{
    return (struct spanner_credentials_options){.key_file = file_of("account.json")};
}

static void calls_go_over_tls_with_a_token(void **state)
{
    (void)state;
    fake_spanner_command("clear");
    struct spanner_result result = ask(fake_spanner_address(), "ca.pem", key_file());
    assert_string_equal(result.message, "");
    assert_int_equal(result.status, 0);
    assert_int_equal(fake_spanner_count("calls CreateSession"), 1);
    assert_int_equal(fake_spanner_count("violations"), 0);
}

/* Nothing is sent, the token least of all. */
static void assert_unsent(struct spanner_result result, const char *words)
{
    assert_int_equal(result.status, SPANNER_UNSENT);
    if (strstr(result.message, words) == NULL) {
        fail_msg("expected `%s`, was told `%s`", words, result.message);
    }
    assert_int_equal(fake_spanner_count("calls CreateSession"), 0);
}

static void a_server_that_is_not_believed_is_told_nothing(void **state)
{
    (void)state;
    fake_spanner_command("clear");
    assert_unsent(ask(fake_spanner_address(), "other.pem", key_file()), "no TLS with the server");
}

static void a_server_of_another_name_is_told_nothing(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    fake_spanner_command("clear");
    const char *colon = strrchr(fake_spanner_address().bytes, ':');
    struct base_text address = base_arena_print(&arena, "localhost%s", colon);
    assert_unsent(ask(address, "ca.pem", key_file()), "no TLS with the server");
    base_arena_release(&arena);
}

static void without_a_token_nothing_is_sent(void **state)
{
    (void)state;
    fake_spanner_command("clear");
    struct spanner_credentials_options nobody = {.metadata_host = "127.0.0.1:1"};
    assert_unsent(ask(fake_spanner_address(), "ca.pem", nobody), "metadata server");
}

/* --- tokens that are refused --- */

static const char *const columns[] = {"k"};

/* A client with a session and the token `first`, and the server that it has it from. */
static struct client *open_with_first_token(struct metadata_server **ret_server)
{
    fake_spanner_command("clear");
    struct metadata_server *server = metadata_server_open();
    struct spanner_credentials_options who = {.metadata_host = server->host};
    metadata_server_gives(server, "first", 3600);
    struct client *client = client_open(fake_spanner_address(), "ca.pem", who);
    struct spanner_result result;
    assert_true(spanner_session_ready(&client->connection, &result));
    *ret_server = server;
    return client;
}

static struct spanner_read read_of(struct client *client)
{
    return (struct spanner_read){.table = "t",
                                 .n_columns = 1,
                                 .columns = columns,
                                 .keys = spanner_keys_all(),
                                 .ordered = true,
                                 .arena = &client->arena};
}

/* The keys 1 to N. */
enum { N_KEYS = 100 };

static bool commit_keys(struct client *client, struct spanner_transaction *transaction,
                        struct base_writer *next)
{
    struct base_arena *arena = &client->arena;
    struct spanner_write *write = spanner_write_open(arena, false, "t", 1, columns, N_KEYS);
    for (int64_t i = 1; i <= N_KEYS; i++) {
        spanner_value *key = spanner_int64(arena, i);
        spanner_write_row(arena, write, &key);
    }
    Google__Spanner__V1__Mutation *mutation = &write->mutation;
    struct spanner_result result;
    return spanner_transaction_commit(&client->connection, transaction, 1, &mutation, arena, next,
                                      &result) == SPANNER_COMMITTED;
}

static void calls_whose_token_is_refused_are_run_once_more_with_another(void **state)
{
    (void)state;
    struct metadata_server *server;
    struct client *client = open_with_first_token(&server);
    struct spanner_transaction transaction = {.has_token = false};
    struct spanner_moment moment = {.which = SPANNER_OF_TRANSACTION, .transaction = &transaction};
    struct spanner_read read = read_of(client);
    struct spanner_result result;
    assert_true(spanner_read(&client->connection, &moment, 1, &read, &result));
    assert_int_equal(read.rows.n_rows, 0);
    metadata_server_gives(server, "second", 3600);
    fake_spanner_command("revoke");
    /* Two calls, the commit and the beginning of the next transaction, and both are refused. */
    struct base_writer next = {NULL, 0, 0};
    assert_true(commit_keys(client, &transaction, &next));
    assert_true(base_writer_bytes(&next).length > 0);
    base_writer_release(&next);
    assert_int_equal(fake_spanner_count("calls Commit"), 2);
    assert_int_equal(fake_spanner_count("calls BeginTransaction"), 2);
    assert_int_equal(atomic_load(&server->n_requests), 2);
    read = read_of(client);
    moment.which = SPANNER_NOW;
    assert_true(spanner_read(&client->connection, &moment, 1, &read, &result));
    assert_int_equal(read.rows.n_rows, N_KEYS);
    assert_int_equal(fake_spanner_count("violations"), 0);
    client_close(client);
    metadata_server_close(server);
}

/* A call is asked twice at the most, and the metadata server once in a while. */
static void where_another_token_does_not_help_it_is_told_what_to_do(void **state)
{
    (void)state;
    struct metadata_server *server;
    struct client *client = open_with_first_token(&server);
    fake_spanner_command("revoke");
    for (int i = 0; i < 3; i++) {
        Google__Protobuf__Timestamp now;
        struct spanner_result result;
        assert_false(spanner_read_clock(&client->connection, &now, &result));
        assert_int_equal(result.status, BASE_CODE_UNAUTHENTICATED);
        assert_non_null(strstr(result.message, "clock is right"));
        assert_non_null(strstr(result.message, "invalid authentication credentials"));
        assert_null(strstr(result.message, "first"));
    }
    assert_int_equal(fake_spanner_count("calls BeginTransaction"), 3);
    assert_int_equal(atomic_load(&server->n_requests), 2);
    client_close(client);
    metadata_server_close(server);
}

/* What has come of it must not come twice: it is told, and the next call has the new token. */
static void a_stream_that_has_begun_is_not_run_again_for_its_token(void **state)
{
    (void)state;
    struct metadata_server *server;
    struct client *client = open_with_first_token(&server);
    struct spanner_moment moment = {.which = SPANNER_NOW};
    fake_spanner_command("script StreamingRead cut_unauthenticated 1");
    metadata_server_gives(server, "second", 3600);
    struct spanner_read read = read_of(client);
    struct spanner_result result;
    if (spanner_read(&client->connection, &moment, 1, &read, &result)) {
        assert_int_equal(fake_spanner_count("calls StreamingRead"), 2);
    } else {
        assert_int_equal(result.status, BASE_CODE_UNAUTHENTICATED);
        assert_int_equal(fake_spanner_count("calls StreamingRead"), 1);
        read = read_of(client);
        assert_true(spanner_read(&client->connection, &moment, 1, &read, &result));
    }
    assert_int_equal(read.rows.n_rows, N_KEYS);
    assert_int_equal(atomic_load(&server->n_requests), 2);
    client_close(client);
    metadata_server_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_over_tls_with_a_token),
        cmocka_unit_test(a_server_that_is_not_believed_is_told_nothing),
        cmocka_unit_test(a_server_of_another_name_is_told_nothing),
        cmocka_unit_test(without_a_token_nothing_is_sent),
        cmocka_unit_test(calls_whose_token_is_refused_are_run_once_more_with_another),
        cmocka_unit_test(where_another_token_does_not_help_it_is_told_what_to_do),
        cmocka_unit_test(a_stream_that_has_begun_is_not_run_again_for_its_token),
    };
    base_assert(mkdtemp(directory) != NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    run_in_directory(make_files);
    fake_spanner_use_tls(file_of("server.pem"), file_of("server.key"));
    int failed = EXIT_SKIPPED;
    if (fake_spanner_is_present()) {
        fake_spanner_command("database " DATABASE);
        fake_spanner_command("table " DATABASE
                             " CREATE TABLE t (k INT64 NOT NULL) PRIMARY KEY (k)");
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    run_in_directory("rm -r \"$PWD\"");
    return failed;
}
