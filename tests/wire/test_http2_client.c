/* wire: calls of a client's session of HTTP/2 against our server's session. */
#include "http2_client_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const size_t CHUNKS[] = {1, 7, 4096, 65536};
#define N_CHUNKS (sizeof CHUNKS / sizeof CHUNKS[0])

static void a_call_arrives_as_it_was_made_and_its_answer_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CHUNKS; i++) {
        struct client_scene *scene = client_scene_open();
        const struct wire_header replayed = {BASE_TEXT("zandaka-replayed"), BASE_TEXT("true")};
        const struct wire_header trailer = {BASE_TEXT("x-bin"), {"\0\1\xFF", 3}};
        struct wire_reply reply = {.n_headers = 1,
                                   .headers = &replayed,
                                   .n_trailers = 1,
                                   .trailers = &trailer,
                                   .body = {(const uint8_t *)"answer", 6}};
        scene->reply = &reply;
        const struct wire_header header = {BASE_TEXT("traceparent"), BASE_TEXT("00-1-2-3")};
        struct wire_call made = {.path = BASE_TEXT("/zandaka.v1.BalanceService/Add"),
                                 .message = {(const uint8_t *)"question", 8},
                                 .timeout_ns = INT64_C(1500000000),
                                 .n_headers = 1,
                                 .headers = &header};
        assert_true(wire_client_call(scene->client, &made, &scene->outcomes[0]));
        assert_int_equal(wire_client_open_calls(scene->client), 1);
        assert_true(pump_pair(scene->client, scene->server, CHUNKS[i]));

        const struct wire_request *request = scene->last_request;
        assert_non_null(request);
        assert_int_equal(request->form, WIRE_GRPC);
        assert_int_equal(request->defect, WIRE_DEFECT_NONE);
        assert_true(base_text_equal(request->method, BASE_TEXT("POST")));
        assert_true(base_text_equal(request->path, made.path));
        assert_int_equal(request->query.length, 0);
        assert_true(base_text_equal(request->content_type, BASE_TEXT("application/grpc")));
        assert_true(request->timeout_ns == INT64_C(1500000000));
        assert_true(base_bytes_equal(request->body, made.message));
        assert_true(base_text_equal(wire_request_header(request, BASE_TEXT("traceparent")),
                                    BASE_TEXT("00-1-2-3")));
        assert_true(base_text_equal(wire_request_header(request, BASE_TEXT("host")),
                                    client_scene_authority));
        assert_true(
            base_text_equal(wire_request_header(request, BASE_TEXT("te")), BASE_TEXT("trailers")));

        const struct outcome *outcome = &scene->outcomes[0];
        assert_int_equal(outcome->n_answers, 1);
        assert_int_equal(outcome->grpc_status, 0);
        assert_int_equal(outcome->body_length, 6);
        assert_true(outcome->body_hash == base_hash(reply.body));
        /* printf shows the binary trailer, 00 01 FF, up to its NUL. */
        assert_string_equal(outcome->headers, "content-type: application/grpc\n"
                                              "zandaka-replayed: true\nx-bin: \n");
        assert_int_equal(wire_client_open_calls(scene->client), 0);
        assert_int_equal(wire_server_open_requests(scene->server), 0);
        assert_int_equal(wire_server_held_bytes(scene->server), 0);
        client_scene_close(scene);
    }
}

static void an_error_comes_with_its_message_and_its_details(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    const struct wire_header trailer = {BASE_TEXT("grpc-retry-pushback-ms"), BASE_TEXT("-1")};
    struct wire_reply reply = {.grpc_status = BASE_CODE_FAILED_PRECONDITION,
                               .grpc_message = BASE_TEXT("100% too little\n\xE6\xAE\x8B"),
                               .grpc_status_details = {(const uint8_t *)"the details", 11},
                               .n_trailers = 1,
                               .trailers = &trailer,
                               .body = {(const uint8_t *)"never sent", 10}};
    scene->reply = &reply;
    assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, BASE_CODE_FAILED_PRECONDITION);
    assert_string_equal(scene->outcomes[0].message, "100% too little\n\xE6\xAE\x8B");
    assert_string_equal(scene->outcomes[0].details, "the details");
    assert_int_equal(scene->outcomes[0].body_length, 0);
    assert_string_equal(scene->outcomes[0].headers,
                        "content-type: application/grpc\ngrpc-retry-pushback-ms: -1\n");
    client_scene_close(scene);
}

/* The server takes BASE_STREAMS_MAX at once: it must see no more than those, and all in the end. */
static void calls_beyond_the_servers_limit_wait_for_their_turn(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    const size_t n_calls = 3 * BASE_STREAMS_MAX + 1;
    for (size_t i = 0; i < n_calls; i++) {
        assert_true(
            client_scene_call(scene, i, (struct base_bytes){(const uint8_t *)&i, sizeof i}));
    }
    assert_int_equal(wire_client_open_calls(scene->client), n_calls);
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(scene->n_streams, BASE_STREAMS_MAX);
    assert_int_equal(wire_server_open_requests(scene->server), BASE_STREAMS_MAX);
    for (size_t i = 0; i < n_calls; i++) {
        assert_true(i < scene->n_streams);
        struct wire_reply reply = {.body = {(const uint8_t *)"ok", 2}};
        wire_server_reply(scene->server, scene->streams[i], &reply);
        assert_true(pump_pair(scene->client, scene->server, 65536));
        assert_true(wire_server_open_requests(scene->server) <= BASE_STREAMS_MAX);
    }
    for (size_t i = 0; i < n_calls; i++) {
        assert_int_equal(scene->outcomes[i].n_answers, 1);
        assert_int_equal(scene->outcomes[i].grpc_status, 0);
        assert_int_equal(scene->outcomes[i].body_length, 2);
    }
    client_scene_close(scene);
}

static void large_messages_go_both_ways_under_flow_control(void **state)
{
    (void)state;
    static const struct {
        size_t question;
        size_t answer;
    } rows[] = {{4u << 20, 10}, {10, 3670016}, {4u << 20, 4u << 20}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_scene *scene = client_scene_open();
        struct base_bytes question = client_scene_make_bytes(rows[i].question);
        struct base_bytes answer = client_scene_make_bytes(rows[i].answer);
        struct wire_reply reply = {.body = answer};
        scene->reply = &reply;
        for (size_t number = 0; number < 5; number++) {
            assert_true(client_scene_call(scene, number, question));
        }
        assert_true(pump_pair(scene->client, scene->server, 16384));
        assert_true(base_bytes_equal(scene->last_request->body, question));
        for (size_t number = 0; number < 5; number++) {
            assert_int_equal(scene->outcomes[number].n_answers, 1);
            assert_int_equal(scene->outcomes[number].grpc_status, 0);
            assert_int_equal(scene->outcomes[number].body_length, answer.length);
            assert_true(scene->outcomes[number].body_hash == base_hash(answer));
        }
        assert_int_equal(wire_server_held_bytes(scene->server), 0);
        client_scene_close(scene);
        free((void *)(uintptr_t)question.bytes);
        free((void *)(uintptr_t)answer.bytes);
    }
}

static void a_response_one_past_4_mib_is_refused_and_the_next_is_taken(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    struct base_bytes answer = client_scene_make_bytes((4u << 20) + 1);
    struct wire_reply reply = {.body = answer};
    scene->reply = &reply;
    assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 16384));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, -1);
    assert_string_equal(scene->outcomes[0].message, "the response's message is larger than agreed");
    reply.body.length--;
    assert_true(client_scene_call(scene, 1, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 16384));
    assert_int_equal(scene->outcomes[1].grpc_status, 0);
    assert_int_equal(scene->outcomes[1].body_length, 4u << 20);
    client_scene_close(scene);
    free((void *)(uintptr_t)answer.bytes);
}

static void an_early_error_ends_a_call_that_is_still_being_sent(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    struct wire_reply reply = {.grpc_status = BASE_CODE_RESOURCE_EXHAUSTED};
    scene->reply = &reply;
    struct base_bytes question = client_scene_make_bytes((4u << 20) + 1);
    assert_true(client_scene_call(scene, 0, question));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(scene->last_request->defect, WIRE_DEFECT_TOO_LARGE);
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, BASE_CODE_RESOURCE_EXHAUSTED);
    assert_int_equal(wire_client_open_calls(scene->client), 0);
    client_scene_close(scene);
    free((void *)(uintptr_t)question.bytes);
}

/* --- ends --- */

static void goaway_answers_what_the_server_has_not_begun_and_takes_no_more(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    wire_server_drain(scene->server);
    /* Begun before the client knows; behind the last stream that the server takes. */
    assert_true(client_scene_call(scene, 1, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(scene->n_streams, 1);
    assert_int_equal(scene->outcomes[1].n_answers, 1);
    assert_int_equal(scene->outcomes[1].grpc_status, -1);
    assert_int_equal(scene->outcomes[0].n_answers, 0);
    assert_false(client_scene_call(scene, 2, (struct base_bytes){NULL, 0}));
    assert_int_equal(wire_client_open_calls(scene->client), 1);
    assert_false(wire_server_finished(scene->server));

    struct wire_reply reply = {.body = {NULL, 0}};
    wire_server_reply(scene->server, scene->streams[0], &reply);
    (void)!pump_pair(scene->client, scene->server, 4096);
    assert_int_equal(scene->outcomes[0].grpc_status, 0);
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_true(wire_server_finished(scene->server));
    assert_int_equal(scene->outcomes[2].n_answers, 0);
    client_scene_close(scene);
}

static void goaway_answers_calls_that_wait_for_their_turn(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    for (size_t i = 0; i < 2 * BASE_STREAMS_MAX; i++) {
        assert_true(client_scene_call(scene, i, (struct base_bytes){NULL, 0}));
    }
    assert_true(pump_pair(scene->client, scene->server, 4096));
    wire_server_drain(scene->server);
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(wire_client_open_calls(scene->client), BASE_STREAMS_MAX);
    for (size_t i = 0; i < BASE_STREAMS_MAX; i++) {
        struct wire_reply reply = {.body = {NULL, 0}};
        wire_server_reply(scene->server, scene->streams[i], &reply);
    }
    (void)!pump_pair(scene->client, scene->server, 4096);
    for (size_t i = 0; i < 2 * BASE_STREAMS_MAX; i++) {
        assert_int_equal(scene->outcomes[i].n_answers, 1);
        assert_int_equal(scene->outcomes[i].grpc_status, i < BASE_STREAMS_MAX ? 0 : -1);
    }
    client_scene_close(scene);
}

static void a_shutdown_notice_keeps_what_has_begun(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    struct wire_reply reply = {.body = {NULL, 0}};
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
    wire_server_shutdown_notice(scene->server);
    scene->reply = &reply;
    assert_true(pump_pair(scene->client, scene->server, 1));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, 0);
    assert_false(client_scene_call(scene, 1, (struct base_bytes){NULL, 0}));
    client_scene_close(scene);
}

struct reentrant {
    struct wire_client *client;
    unsigned n_answers;
    unsigned n_refused;
};

static void call_again(void *user, void *call_user, const struct wire_response *response)
{
    (void)call_user;
    struct reentrant *reentrant = user;
    assert_int_equal(response->grpc_status, -1);
    reentrant->n_answers++;
    struct wire_call again = {.path = BASE_TEXT("/x/Y"), .timeout_ns = -1};
    reentrant->n_refused += !wire_client_call(reentrant->client, &again, NULL);
}

static void close_answers_every_open_call_and_begins_none(void **state)
{
    (void)state;
    static const struct wire_client_events events = {.response = call_again};
    struct reentrant reentrant = {.client = NULL};
    reentrant.client = wire_client_open(&events, &reentrant, client_scene_authority, false);
    struct wire_call made = {.path = BASE_TEXT("/x/Y"), .timeout_ns = -1};
    for (size_t i = 0; i < 10; i++) {
        assert_true(wire_client_call(reentrant.client, &made, NULL));
    }
    wire_client_close(reentrant.client);
    assert_int_equal(reentrant.n_answers, 10);
    assert_int_equal(reentrant.n_refused, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_arrives_as_it_was_made_and_its_answer_too),
        cmocka_unit_test(an_error_comes_with_its_message_and_its_details),
        cmocka_unit_test(calls_beyond_the_servers_limit_wait_for_their_turn),
        cmocka_unit_test(large_messages_go_both_ways_under_flow_control),
        cmocka_unit_test(a_response_one_past_4_mib_is_refused_and_the_next_is_taken),
        cmocka_unit_test(an_early_error_ends_a_call_that_is_still_being_sent),
        cmocka_unit_test(goaway_answers_what_the_server_has_not_begun_and_takes_no_more),
        cmocka_unit_test(goaway_answers_calls_that_wait_for_their_turn),
        cmocka_unit_test(a_shutdown_notice_keeps_what_has_begun),
        cmocka_unit_test(close_answers_every_open_call_and_begins_none),
    };
    return cmocka_run_group_tests_name("http2 client", tests, NULL, NULL);
}
