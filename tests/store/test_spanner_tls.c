/*
 * store: calls to Spanner as they go to Google's service: over TLS, to a server whose certificate
 * is believed and is for its name, and with a token. On the FAKE (fake_spanner.h), with
 * certificates and a service account's key that are made by openssl's command line.
 */
#include "fake_spanner.h"
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

/* Asks for a session, and gives how that ended. */
static struct spanner_result ask(struct base_text address, const char *authority,
                                 struct spanner_credentials_options who)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct spanner_target target = {.address = address,
                                    .credentials = spanner_credentials_open(&who, &arena, &message),
                                    .instance = BASE_TEXT("projects/p/instances/i"),
                                    .database = BASE_TEXT(DATABASE)};
    if (target.credentials == NULL) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    static unsigned number;
    target.process_id = ++number;
    (void)setenv("SSL_CERT_FILE", file_of(authority), 1);
    struct spanner_connection *connection = base_allocate(sizeof *connection);
    spanner_connection_open(connection, &target, 1);
    struct spanner_result result = {.status = 0};
    bool ready = spanner_session_ready(connection, &result);
    assert_int_equal(ready, result.status == 0);
    spanner_connection_close(connection);
    free(connection);
    spanner_credentials_release(target.credentials);
    base_arena_release(&arena);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_over_tls_with_a_token),
        cmocka_unit_test(a_server_that_is_not_believed_is_told_nothing),
        cmocka_unit_test(a_server_of_another_name_is_told_nothing),
        cmocka_unit_test(without_a_token_nothing_is_sent),
    };
    base_assert(mkdtemp(directory) != NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    run_in_directory(make_files);
    fake_spanner_use_tls(file_of("server.pem"), file_of("server.key"));
    int failed = EXIT_SKIPPED;
    if (fake_spanner_is_present()) {
        fake_spanner_command("database " DATABASE);
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    run_in_directory("rm -r \"$PWD\"");
    return failed;
}
