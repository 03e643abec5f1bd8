/*
 * store: the tokens that the Spanner store gets from Google's metadata server, which is a FAKE here
 * and answers what the test says. None has met Google.
 */
#include "metadata_server.h"
#include "store/spanner/credentials.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_US INT64_C(1764028800000000)
#define S_US INT64_C(1000000)

/* What the tests print and are given. */
static struct base_arena memory;

static int release_memory(void **state)
{
    (void)state;
    base_arena_release(&memory);
    return 0;
}

static struct base_text token_at(struct spanner_credentials *credentials, int64_t now_us)
{
    struct base_text token;
    struct base_text message = BASE_TEXT("");
    if (!spanner_credentials_token(credentials, now_us, &memory, &token, &message)) {
        fail_msg("%.*s", BASE_TEXT_ARGS(message));
    }
    return token;
}

static struct spanner_credentials *open_metadata(const struct metadata_server *server)
{
    struct spanner_credentials_options options = {.metadata_host = server->host};
    struct base_text message;
    struct spanner_credentials *credentials = spanner_credentials_open(&options, &memory, &message);
    assert_non_null(credentials);
    return credentials;
}

static void assert_token(struct spanner_credentials *credentials, int64_t now_us, const char *token)
{
    struct base_text expected = base_arena_print(&memory, "Bearer %s", token);
    struct base_text found = token_at(credentials, now_us);
    if (!base_text_equal(found, expected)) {
        fail_msg("expected `%s`, found `%s`", expected.bytes, found.bytes);
    }
}

/* There is no token, and among the words that say so are these. */
static void assert_no_token(struct spanner_credentials *credentials, int64_t now_us,
                            const char *words)
{
    struct base_text token;
    struct base_text message = BASE_TEXT("");
    if (spanner_credentials_token(credentials, now_us, &memory, &token, &message) ||
        strstr(message.bytes, words) == NULL) {
        fail_msg("expected `%s`, was told `%.*s`", words, BASE_TEXT_ARGS(message));
    }
    assert_null(strstr(message.bytes, "SECRET"));
}

static void the_metadata_server_is_asked_once_until_its_token_is_renewed(void **state)
{
    (void)state;
    struct metadata_server *server = metadata_server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    metadata_server_gives(server, "first", 3599);
    assert_token(credentials, NOW_US, "first");
    assert_non_null(strstr(
        server->request, "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/"));
    (void)pthread_mutex_lock(&server->lock);
    assert_non_null(strstr(server->request, "\r\nMetadata-Flavor: Google\r\n"));
    (void)pthread_mutex_unlock(&server->lock);
    int64_t renew_us = NOW_US + (3599 - BASE_ACCESS_TOKEN_RENEW_AHEAD_S) * S_US;
    assert_token(credentials, renew_us - 1, "first");
    assert_int_equal(atomic_load(&server->n_requests), 1);
    metadata_server_gives(server, "second", 3599);
    assert_token(credentials, renew_us, "second");
    assert_int_equal(atomic_load(&server->n_requests), 2);
    spanner_credentials_release(credentials);
    metadata_server_close(server);
}

static void a_token_that_comes_with_little_life_is_not_asked_for_in_every_call(void **state)
{
    (void)state;
    struct metadata_server *server = metadata_server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    metadata_server_gives(server, "short", 10);
    assert_token(credentials, NOW_US, "short");
    assert_token(credentials, NOW_US + BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000 - 1, "short");
    assert_int_equal(atomic_load(&server->n_requests), 1);
    metadata_server_gives(server, "long", 3599);
    assert_token(credentials, NOW_US + BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000, "long");
    spanner_credentials_release(credentials);
    metadata_server_close(server);
}

static void a_good_token_outlives_a_metadata_server_that_fails(void **state)
{
    (void)state;
    struct metadata_server *server = metadata_server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    metadata_server_gives(server, "first", 3600);
    assert_token(credentials, NOW_US, "first");
    metadata_server_answers(server, "503 Service Unavailable", "SECRET");
    int64_t renew_us = NOW_US + (3600 - BASE_ACCESS_TOKEN_RENEW_AHEAD_S) * S_US;
    int64_t wait_us = BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000;
    assert_token(credentials, renew_us, "first");
    assert_token(credentials, renew_us + wait_us - 1, "first");
    assert_int_equal(atomic_load(&server->n_requests), 2);
    assert_token(credentials, renew_us + wait_us, "first");
    assert_int_equal(atomic_load(&server->n_requests), 3);
    assert_token(credentials, NOW_US + 3600 * S_US - 1, "first");
    assert_no_token(credentials, NOW_US + 3600 * S_US, "status 503");
    metadata_server_gives(server, "second", 3600);
    assert_no_token(credentials, NOW_US + 3600 * S_US + wait_us - 2, "status 503");
    assert_token(credentials, NOW_US + 3600 * S_US + wait_us, "second");
    spanner_credentials_release(credentials);
    metadata_server_close(server);
}

static void what_is_no_token_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        const char *body;
        const char *words;
    } cases[] = {
        {"404 Not Found", "", "knows no service account"},
        {"500 Internal Server Error", "SECRET", "answered with status 500"},
        {"302 Found", "", "answered with status 302"},
        {"200 OK", "", "no token that can be used"},
        {"200 OK", "{\"access_token\":SECRET}", "no token that can be used"},
        {"200 OK", "{\"expires_in\":1,\"token_type\":\"Bearer\"}", "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"token_type\":\"Bearer\"}", "no token that can"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"expires_in\":1,\"token_type\":\"mac\"}",
         "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"expires_in\":0,\"token_type\":\"Bearer\"}",
         "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"expires_in\":86401,\"token_type\":\"Bearer\"}",
         "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SEC\\r\\nRET\",\"expires_in\":9,\"token_type\":\"Bearer\"}",
         "no token that can be used"},
        {"OK", "", "does not speak HTTP"},
    };
    struct metadata_server *server = metadata_server_open();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spanner_credentials *credentials = open_metadata(server);
        metadata_server_answers(server, cases[i].status, cases[i].body);
        assert_no_token(credentials, NOW_US, cases[i].words);
        spanner_credentials_release(credentials);
    }
    metadata_server_close(server);
}

static void a_token_and_its_answer_have_so_many_bytes(void **state)
{
    (void)state;
    struct metadata_server *server = metadata_server_open();
    for (int more = 0; more <= 1; more++) {
        char *token = base_arena_take(&memory, BASE_ACCESS_TOKEN_MAX_BYTES + 2);
        memset(token, 't', BASE_ACCESS_TOKEN_MAX_BYTES + 1);
        token[BASE_ACCESS_TOKEN_MAX_BYTES + more] = '\0';
        struct spanner_credentials *credentials = open_metadata(server);
        metadata_server_gives(server, token, 86400);
        if (more == 0) {
            assert_token(credentials, NOW_US, token);
        } else {
            assert_no_token(credentials, NOW_US, "no token that can be used");
        }
        spanner_credentials_release(credentials);
    }
    for (int more = 0; more <= 1; more++) {
        struct spanner_credentials *credentials = open_metadata(server);
        metadata_server_gives(server, "token", 3600);
        (void)pthread_mutex_lock(&server->lock);
        size_t length = strlen(server->answer);
        memset(server->answer + length, ' ', BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + 1 - length);
        server->answer[BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + more] = '\0';
        (void)pthread_mutex_unlock(&server->lock);
        if (more == 0) {
            assert_token(credentials, NOW_US, "token");
        } else {
            assert_no_token(credentials, NOW_US, "16384 bytes");
        }
        spanner_credentials_release(credentials);
    }
    metadata_server_close(server);
}

static void a_metadata_server_that_is_not_there_or_silent_is_told(void **state)
{
    (void)state;
    struct metadata_server *server = metadata_server_open();
    struct spanner_credentials *silent = open_metadata(server);
    (void)pthread_mutex_lock(&server->lock);
    assert_no_token(silent, NOW_US, "did not answer in full within");
    (void)pthread_mutex_unlock(&server->lock);
    spanner_credentials_release(silent);
    metadata_server_stop(server);
    struct spanner_credentials *absent = open_metadata(server);
    assert_no_token(absent, NOW_US, "name a service account's key file");
    assert_no_token(absent, NOW_US, "no server at 127.0.0.1");
    spanner_credentials_release(absent);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

/* --- a token that Spanner refuses --- */

static bool replaces(struct spanner_credentials *credentials, int64_t now_us, const char *refused,
                     const char *other)
{
    struct base_text token = base_arena_print(&memory, "Bearer %s", refused);
    bool replaced = spanner_credentials_replace(credentials, token, now_us, &memory, &token);
    if (replaced) {
        assert_string_equal(token.bytes, base_arena_print(&memory, "Bearer %s", other).bytes);
    }
    return replaced;
}

static void a_refused_token_is_replaced_at_once_but_not_again_within_the_wait(void **state)
{
    (void)state;
    int64_t wait_us = BASE_ACCESS_TOKEN_REFUSED_WAIT_MS * 1000;
    struct metadata_server *server = metadata_server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    metadata_server_gives(server, "first", 3600);
    assert_token(credentials, NOW_US, "first");
    metadata_server_gives(server, "second", 3600);
    assert_true(replaces(credentials, NOW_US, "first", "second"));
    assert_token(credentials, NOW_US, "second");
    /* A call that was on its way with the first has what there is. */
    assert_true(replaces(credentials, NOW_US + 1, "first", "second"));
    assert_int_equal(atomic_load(&server->n_requests), 2);
    metadata_server_gives(server, "third", 3600);
    assert_false(replaces(credentials, NOW_US + wait_us - 1, "second", "none"));
    assert_int_equal(atomic_load(&server->n_requests), 2);
    assert_true(replaces(credentials, NOW_US + wait_us, "second", "third"));
    /* The clock was the mistake, and was set back: the wait goes by what it shows now. */
    metadata_server_gives(server, "fourth", 3600);
    assert_true(replaces(credentials, NOW_US - S_US, "third", "fourth"));
    assert_int_equal(atomic_load(&server->n_requests), 4);
    spanner_credentials_release(credentials);
    metadata_server_close(server);
}

static void a_refused_token_that_cannot_be_replaced_goes_on_being_used_and_renewed(void **state)
{
    (void)state;
    struct metadata_server *server = metadata_server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    metadata_server_gives(server, "first", 3600);
    assert_token(credentials, NOW_US, "first");
    /* It keeps its tokens for a while, too. */
    assert_false(replaces(credentials, NOW_US, "first", "none"));
    metadata_server_answers(server, "503 Service Unavailable", "");
    int64_t later_us = NOW_US + BASE_ACCESS_TOKEN_REFUSED_WAIT_MS * 1000;
    assert_false(replaces(credentials, later_us, "first", "none"));
    assert_token(credentials, later_us, "first");
    assert_int_equal(atomic_load(&server->n_requests), 3);
    metadata_server_gives(server, "second", 3600);
    assert_token(credentials, later_us + BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000, "second");
    spanner_credentials_release(credentials);
    metadata_server_close(server);
}

/* --- threads --- */

struct caller {
    pthread_t thread;
    struct spanner_credentials *credentials;
    int64_t now_us;
    const char *refused; /* NULL: it has none so far */
    char authorization[32];
};

static void *call(void *argument)
{
    struct caller *caller = argument;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text token = BASE_TEXT("");
    struct base_text message;
    bool has_one =
        caller->refused == NULL
            ? spanner_credentials_token(caller->credentials, caller->now_us, &arena, &token,
                                        &message)
            : spanner_credentials_replace(caller->credentials, base_text_of(caller->refused),
                                          caller->now_us, &arena, &token);
    if (!has_one) {
        token = BASE_TEXT("none");
    }
    (void)snprintf(caller->authorization, sizeof caller->authorization, "%.*s",
                   BASE_TEXT_ARGS(token));
    base_arena_release(&arena);
    return NULL;
}

static void one_thread_asks_and_the_others_have_what_it_gets_or_the_old_one(void **state)
{
    (void)state;
    enum { N = 8 };
    struct metadata_server *server = metadata_server_open();
    struct caller callers[N];
    struct spanner_credentials *credentials = open_metadata(server);
    metadata_server_gives(server, "first", 3600);
    for (int i = 0; i < N; i++) {
        callers[i] = (struct caller){.credentials = credentials, .now_us = NOW_US + i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        assert_string_equal(callers[i].authorization, "Bearer first");
    }
    assert_int_equal(atomic_load(&server->n_requests), 1);

    /* While one of them waits for the second token, the others go on with the first. */
    metadata_server_gives(server, "second", 3600);
    (void)pthread_mutex_lock(&server->lock);
    callers[0].now_us = NOW_US + 3500 * S_US;
    assert_int_equal(pthread_create(&callers[0].thread, NULL, call, &callers[0]), 0);
    while (atomic_load(&server->n_requests) < 2) {
        (void)usleep(1000);
    }
    assert_token(credentials, NOW_US + 3500 * S_US, "first");
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_join(callers[0].thread, NULL);
    assert_string_equal(callers[0].authorization, "Bearer second");

    /* The second is refused: the others wait for the third, since they have nothing better. */
    metadata_server_gives(server, "third", 3600);
    for (int i = 0; i < N; i++) {
        callers[i].now_us = NOW_US + 3501 * S_US;
        callers[i].refused = "Bearer second";
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        assert_string_equal(callers[i].authorization, "Bearer third");
    }
    assert_int_equal(atomic_load(&server->n_requests), 3);
    spanner_credentials_release(credentials);
    metadata_server_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_metadata_server_is_asked_once_until_its_token_is_renewed),
        cmocka_unit_test(a_token_that_comes_with_little_life_is_not_asked_for_in_every_call),
        cmocka_unit_test(a_good_token_outlives_a_metadata_server_that_fails),
        cmocka_unit_test(what_is_no_token_is_told),
        cmocka_unit_test(a_token_and_its_answer_have_so_many_bytes),
        cmocka_unit_test(a_metadata_server_that_is_not_there_or_silent_is_told),
        cmocka_unit_test(a_refused_token_is_replaced_at_once_but_not_again_within_the_wait),
        cmocka_unit_test(a_refused_token_that_cannot_be_replaced_goes_on_being_used_and_renewed),
        cmocka_unit_test(one_thread_asks_and_the_others_have_what_it_gets_or_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, release_memory);
}
