/* wire: a client's session of HTTP/2 against a peer that does as it is told, and against garbage.
 */
#include "http2_client_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *peer_answer;

static void answer_with_peer_answer(struct peer *peer, int32_t stream_id)
{
    peer_respond(peer, stream_id, peer_answer);
}

static void answers_without_a_usable_grpc_status_are_no_answer(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int grpc_status;
        const char *message;
    } rows[] = {
        {":status: 503\n", -1, "HTTP status 503 without a gRPC status"},
        {":status: 200\ncontent-type: text/html\n", -1, "HTTP status 200 without a gRPC status"},
        {":status: 200\ngrpc-status: x\n", -1, "HTTP status 200 without a gRPC status"},
        {":status: 200\ngrpc-status: -1\n", -1, "HTTP status 200 without a gRPC status"},
        {":status: 200\ngrpc-status: 4294967301\n", -1, "HTTP status 200 without a gRPC status"},
        {":status: 200\ngrpc-status: 0\n", -1, "the response has no message"},
        {":status: 200\ngrpc-status: 14\ngrpc-message: a%20b\n", 14, "a b"},
        {":status: 405\ngrpc-status: 13\n", 13, ""},
        {":status: 200\ngrpc-status: 5\ngrpc-status-details-bin: *\n", 5, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_scene *scene = client_scene_open();
        struct peer peer;
        peer_open_server(&peer);
        peer.requested = answer_with_peer_answer;
        peer_answer = rows[i].answer;
        assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
        assert_true(pump_client(scene->client, &peer, 4096));
        assert_int_equal(scene->outcomes[0].n_answers, 1);
        assert_int_equal(scene->outcomes[0].grpc_status, rows[i].grpc_status);
        assert_string_equal(scene->outcomes[0].message, rows[i].message);
        peer_close(&peer);
        client_scene_close(scene);
    }
}

static void reset_stream(struct peer *peer, int32_t stream_id)
{
    (void)nghttp2_submit_rst_stream(peer->session, 0, stream_id, NGHTTP2_REFUSED_STREAM);
}

static void a_reset_stream_is_no_answer_and_leaves_the_others(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    struct peer peer;
    peer_open_server(&peer);
    peer.requested = reset_stream;
    assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_client(scene->client, &peer, 7));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, -1);
    assert_string_equal(scene->outcomes[0].message, "the stream was reset: REFUSED_STREAM");
    peer.requested = answer_with_peer_answer;
    peer_answer = ":status: 200\ngrpc-status: 5\n";
    assert_true(client_scene_call(scene, 1, (struct base_bytes){NULL, 0}));
    assert_true(pump_client(scene->client, &peer, 7));
    assert_int_equal(scene->outcomes[1].grpc_status, 5);
    peer_close(&peer);
    client_scene_close(scene);
}

/* A server that answers in the middle of the request and does not say that it wants no more. */
static void what_is_left_of_an_answered_request_is_not_sent(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    struct peer peer;
    peer_open_server(&peer);
    struct base_bytes question = client_scene_make_bytes(1u << 20);
    assert_true(client_scene_call(scene, 0, question));
    uint8_t buffer[1024];
    size_t length = wire_client_send(scene->client, buffer, sizeof buffer);
    assert_true(peer_receive(&peer, (struct base_bytes){buffer, length}));
    peer_respond(&peer, 1, ":status: 200\ngrpc-status: 8\n");
    assert_true(pump_client(scene->client, &peer, sizeof buffer));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, 8);
    assert_int_equal(peer_stream(&peer, 1)->reset_code, NGHTTP2_CANCEL);
    assert_true(peer_stream(&peer, 1)->body.length < question.length);
    peer_close(&peer);
    client_scene_close(scene);
    free((void *)(uintptr_t)question.bytes);
}

static void binary_metadata_of_answers_is_decoded(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    struct peer peer;
    peer_open_server(&peer);
    peer.requested = answer_with_peer_answer;
    peer_answer = ":status: 200\nx-bin: aGk,aG8=\ngrpc-status: 5\n"
                  "grpc-status-details-bin: aGk=\n";
    assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_client(scene->client, &peer, 7));
    assert_string_equal(scene->outcomes[0].headers, "x-bin: hi\nx-bin: ho\n");
    assert_string_equal(scene->outcomes[0].details, "hi");
    peer_close(&peer);
    client_scene_close(scene);
}

/* Twice what a request may have. nghttp2 takes 64 KiB of a header list. */
static void headers_beyond_32_kib_are_no_answer(void **state)
{
    (void)state;
    static const char LAST[] = "\ngrpc-status: 5\n";
    static char answer[9 * 4096];
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct client_scene *scene = client_scene_open();
        struct peer peer;
        peer_open_server(&peer);
        peer.requested = answer_with_peer_answer;
        peer_answer = answer;
        /* What counts is the names and values: those that are fixed, then x-1 and on. */
        size_t counted = strlen(":status"
                                "200"
                                "grpc-status"
                                "5");
        size_t used = (size_t)snprintf(answer, sizeof answer, ":status: 200");
        for (size_t i = 1; i <= 8; i++) {
            size_t left = 2 * BASE_HEADERS_MAX_BYTES + beyond - counted - (8 - i) * 4000;
            size_t length = i < 8 ? 4000 : left;
            used += (size_t)snprintf(answer + used, sizeof answer - used, "\nx-%zu: ", i);
            memset(answer + used, 'v', length - 3);
            used += length - 3;
            counted += length;
        }
        memcpy(answer + used, LAST, sizeof LAST);
        assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
        assert_true(pump_client(scene->client, &peer, 4096));
        assert_int_equal(scene->outcomes[0].n_answers, 1);
        assert_int_equal(scene->outcomes[0].grpc_status, beyond == 0 ? 5 : -1);
        peer_close(&peer);
        client_scene_close(scene);
    }
}

static void what_is_no_http2_ends_the_session(void **state)
{
    (void)state;
    struct client_scene *scene = client_scene_open();
    assert_true(client_scene_call(scene, 0, (struct base_bytes){NULL, 0}));
    struct base_bytes garbage = base_bytes_of(BASE_TEXT("HTTP/1.1 400 Bad Request\r\n\r\n"));
    bool open = wire_client_receive(scene->client, garbage);
    uint8_t buffer[4096];
    while (wire_client_send(scene->client, buffer, sizeof buffer) > 0) {
    }
    open = open && wire_client_receive(scene->client, garbage);
    assert_false(open);
    assert_false(client_scene_call(scene, 1, (struct base_bytes){NULL, 0}));
    client_scene_close(scene);
}

/* xorshift64*: the same bytes on every machine. */
static uint32_t next_random(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (uint32_t)(*random * UINT64_C(0x2545F4914F6CDD1D) >> 32);
}

#define FUZZED_CALLS 4

/* What our server says to FUZZED_CALLS calls, two of them refused. */
static size_t valid_answers(uint8_t *bytes, size_t capacity)
{
    struct client_scene *scene = client_scene_open();
    uint8_t buffer[4096];
    for (size_t i = 0; i < FUZZED_CALLS; i++) {
        assert_true(client_scene_call(scene, i, (struct base_bytes){NULL, 0}));
    }
    size_t length;
    while ((length = wire_client_send(scene->client, buffer, sizeof buffer)) > 0) {
        assert_true(wire_server_receive(scene->server, (struct base_bytes){buffer, length}));
    }
    for (size_t i = 0; i < FUZZED_CALLS; i++) {
        struct wire_reply reply = {.grpc_status = i % 2 == 0 ? BASE_CODE_OK : BASE_CODE_NOT_FOUND,
                                   .grpc_message = BASE_TEXT("50%"),
                                   .grpc_status_details = {(const uint8_t *)"details", 7},
                                   .body = {(const uint8_t *)"answer", 6}};
        wire_server_reply(scene->server, scene->streams[i], &reply);
    }
    length = wire_server_send(scene->server, bytes, capacity);
    assert_true(length > 0 && length < capacity);
    client_scene_close(scene);
    return length;
}

static void changed_answers_end_at_most_the_session_and_every_call_is_answered_once(void **state)
{
    (void)state;
    uint8_t valid[4096];
    uint8_t bytes[sizeof valid];
    uint8_t buffer[4096];
    size_t length = valid_answers(valid, sizeof valid);
    uint64_t random = UINT64_C(20191218);
    size_t n_successes = 0;
    for (size_t run = 0; run < 20000; run++) {
        memcpy(bytes, valid, length);
        /* Every position once, then anywhere. */
        bytes[run % length] ^= (uint8_t)(1u << next_random(&random) % 8);
        for (uint32_t more = next_random(&random) % 3; more > 0; more--) {
            bytes[next_random(&random) % (uint32_t)length] = (uint8_t)next_random(&random);
        }
        struct outcome outcomes[FUZZED_CALLS] = {{.n_answers = 0}};
        struct wire_client *client =
            wire_client_open(&client_scene_events, NULL, client_scene_authority, false);
        for (size_t i = 0; i < FUZZED_CALLS; i++) {
            struct wire_call made = {.path = BASE_TEXT("/x/Y"), .timeout_ns = -1};
            assert_true(wire_client_call(client, &made, &outcomes[i]));
        }
        while (wire_client_send(client, buffer, sizeof buffer) > 0) {
        }
        size_t piece = 1 + next_random(&random) % 64;
        bool open = true;
        for (size_t at = 0; at < length && open; at += piece) {
            size_t left = length - at;
            open = wire_client_receive(
                client, (struct base_bytes){bytes + at, piece < left ? piece : left});
            (void)wire_client_send(client, buffer, sizeof buffer);
        }
        wire_client_close(client);
        for (size_t i = 0; i < FUZZED_CALLS; i++) {
            assert_int_equal(outcomes[i].n_answers, 1);
            n_successes += outcomes[i].grpc_status == 0;
        }
    }
    /* Many got through: the changes went beyond the first frame. */
    assert_true(n_successes > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_without_a_usable_grpc_status_are_no_answer),
        cmocka_unit_test(a_reset_stream_is_no_answer_and_leaves_the_others),
        cmocka_unit_test(what_is_left_of_an_answered_request_is_not_sent),
        cmocka_unit_test(binary_metadata_of_answers_is_decoded),
        cmocka_unit_test(headers_beyond_32_kib_are_no_answer),
        cmocka_unit_test(what_is_no_http2_ends_the_session),
        cmocka_unit_test(changed_answers_end_at_most_the_session_and_every_call_is_answered_once),
    };
    return cmocka_run_group_tests_name("http2 client peer", tests, NULL, NULL);
}
