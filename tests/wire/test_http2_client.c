/* wire: a client's session of gRPC, against our server's session and against a peer that does as it
 * is told. */
#include "http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const size_t CHUNKS[] = {1, 7, 4096, 65536};
#define N_CHUNKS (sizeof CHUNKS / sizeof CHUNKS[0])
#define CALLS_MAX 4000

static const struct base_text AUTHORITY = {"127.0.0.1:8630", 14};

/* --- what the two sides write down --- */

/* What came of one call. */
struct outcome {
    unsigned n_answers;
    int grpc_status;
    char message[200];
    char details[200];
    size_t body_length;
    uint64_t body_hash;
    char headers[500]; /* `name: value\n` */
};

struct scene {
    struct wire_server *server;
    struct wire_client *client;
    struct outcome outcomes[CALLS_MAX];
    /* The server's side: answers with `reply`, or keeps the streams when it is NULL. */
    const struct wire_reply *reply;
    bool echo; /* the reply's body is the request's */
    uint32_t streams[CALLS_MAX];
    size_t n_streams;
    size_t n_cancelled;
    struct wire_request *last_request;
};

static void on_response(void *user, void *call_user, const struct wire_response *response)
{
    (void)user;
    struct outcome *outcome = call_user;
    outcome->n_answers++;
    outcome->grpc_status = response->grpc_status;
    (void)snprintf(outcome->message, sizeof outcome->message, "%.*s",
                   BASE_TEXT_ARGS(response->message));
    (void)snprintf(outcome->details, sizeof outcome->details, "%.*s",
                   BASE_TEXT_ARGS(base_text_from(response->status_details)));
    outcome->body_length = response->body.length;
    outcome->body_hash = base_hash(response->body);
    size_t used = 0;
    for (size_t i = 0; i < response->n_headers; i++) {
        used += (size_t)snprintf(outcome->headers + used, sizeof outcome->headers - used,
                                 "%.*s: %.*s\n", BASE_TEXT_ARGS(response->headers[i].name),
                                 BASE_TEXT_ARGS(response->headers[i].value));
    }
}

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct scene *scene = user;
    assert_true(scene->n_streams < CALLS_MAX);
    scene->streams[scene->n_streams++] = stream;
    if (scene->reply != NULL) {
        struct wire_reply reply = *scene->reply;
        if (scene->echo) {
            reply.body = request->body;
        }
        wire_server_reply(scene->server, stream, &reply);
    }
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
    scene->last_request = request;
}

static void on_cancelled(void *user, uint32_t stream)
{
    (void)stream;
    ((struct scene *)user)->n_cancelled++;
}

static const struct wire_client_events CLIENT_EVENTS = {.response = on_response};
static const struct wire_server_events SERVER_EVENTS = {.request = on_request,
                                                        .cancelled = on_cancelled};

static struct scene *scene_open(void)
{
    struct scene *scene = base_allocate_zeroed(1, sizeof *scene);
    scene->server = wire_server_open(&SERVER_EVENTS, scene);
    scene->client = wire_client_open(&CLIENT_EVENTS, scene, AUTHORITY, false);
    return scene;
}

static void scene_close(struct scene *scene)
{
    wire_client_close(scene->client);
    wire_server_close(scene->server);
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
    free(scene);
}

static bool call(struct scene *scene, size_t number, struct base_bytes message)
{
    struct wire_call begun = {
        .path = BASE_TEXT("/zandaka.v1.BalanceService/Add"), .message = message, .timeout_ns = -1};
    return wire_client_call(scene->client, &begun, &scene->outcomes[number]);
}

static struct base_bytes make_bytes(size_t length)
{
    uint8_t *bytes = base_allocate(length);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    }
    return (struct base_bytes){bytes, length};
}

/* --- against our server --- */

static void a_call_arrives_as_it_was_made_and_its_answer_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CHUNKS; i++) {
        struct scene *scene = scene_open();
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
        assert_true(base_text_equal(wire_request_header(request, BASE_TEXT("host")), AUTHORITY));
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
        scene_close(scene);
    }
}

static void an_error_comes_with_its_message_and_its_details(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    const struct wire_header trailer = {BASE_TEXT("grpc-retry-pushback-ms"), BASE_TEXT("-1")};
    struct wire_reply reply = {.grpc_status = BASE_CODE_FAILED_PRECONDITION,
                               .grpc_message = BASE_TEXT("100% too little\n\xE6\xAE\x8B"),
                               .grpc_status_details = {(const uint8_t *)"the details", 11},
                               .n_trailers = 1,
                               .trailers = &trailer,
                               .body = {(const uint8_t *)"never sent", 10}};
    scene->reply = &reply;
    assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, BASE_CODE_FAILED_PRECONDITION);
    assert_string_equal(scene->outcomes[0].message, "100% too little\n\xE6\xAE\x8B");
    assert_string_equal(scene->outcomes[0].details, "the details");
    assert_int_equal(scene->outcomes[0].body_length, 0);
    assert_string_equal(scene->outcomes[0].headers,
                        "content-type: application/grpc\ngrpc-retry-pushback-ms: -1\n");
    scene_close(scene);
}

/* The server takes BASE_STREAMS_MAX at once: it must see no more than those, and all in the end. */
static void calls_beyond_the_servers_limit_wait_for_their_turn(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    const size_t n_calls = 3 * BASE_STREAMS_MAX + 1;
    for (size_t i = 0; i < n_calls; i++) {
        assert_true(call(scene, i, (struct base_bytes){(const uint8_t *)&i, sizeof i}));
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
    scene_close(scene);
}

static void large_messages_go_both_ways_under_flow_control(void **state)
{
    (void)state;
    static const struct {
        size_t question;
        size_t answer;
    } rows[] = {{4u << 20, 10}, {10, 3670016}, {4u << 20, 4u << 20}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene *scene = scene_open();
        struct base_bytes question = make_bytes(rows[i].question);
        struct base_bytes answer = make_bytes(rows[i].answer);
        struct wire_reply reply = {.body = answer};
        scene->reply = &reply;
        for (size_t number = 0; number < 5; number++) {
            assert_true(call(scene, number, question));
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
        scene_close(scene);
        free((void *)(uintptr_t)question.bytes);
        free((void *)(uintptr_t)answer.bytes);
    }
}

static void a_response_one_past_4_mib_is_refused_and_the_next_is_taken(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    struct base_bytes answer = make_bytes((4u << 20) + 1);
    struct wire_reply reply = {.body = answer};
    scene->reply = &reply;
    assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 16384));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, -1);
    assert_string_equal(scene->outcomes[0].message, "the response's message is larger than agreed");
    reply.body.length--;
    assert_true(call(scene, 1, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 16384));
    assert_int_equal(scene->outcomes[1].grpc_status, 0);
    assert_int_equal(scene->outcomes[1].body_length, 4u << 20);
    scene_close(scene);
    free((void *)(uintptr_t)answer.bytes);
}

static void an_early_error_ends_a_call_that_is_still_being_sent(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    struct wire_reply reply = {.grpc_status = BASE_CODE_RESOURCE_EXHAUSTED};
    scene->reply = &reply;
    struct base_bytes question = make_bytes((4u << 20) + 1);
    assert_true(call(scene, 0, question));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(scene->last_request->defect, WIRE_DEFECT_TOO_LARGE);
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, BASE_CODE_RESOURCE_EXHAUSTED);
    assert_int_equal(wire_client_open_calls(scene->client), 0);
    scene_close(scene);
    free((void *)(uintptr_t)question.bytes);
}

/* --- ends --- */

static void goaway_answers_what_the_server_has_not_begun_and_takes_no_more(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    wire_server_drain(scene->server);
    /* Begun before the client knows; behind the last stream that the server takes. */
    assert_true(call(scene, 1, (struct base_bytes){NULL, 0}));
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_int_equal(scene->n_streams, 1);
    assert_int_equal(scene->outcomes[1].n_answers, 1);
    assert_int_equal(scene->outcomes[1].grpc_status, -1);
    assert_int_equal(scene->outcomes[0].n_answers, 0);
    assert_false(call(scene, 2, (struct base_bytes){NULL, 0}));
    assert_int_equal(wire_client_open_calls(scene->client), 1);
    assert_false(wire_server_finished(scene->server));

    struct wire_reply reply = {.body = {NULL, 0}};
    wire_server_reply(scene->server, scene->streams[0], &reply);
    (void)!pump_pair(scene->client, scene->server, 4096);
    assert_int_equal(scene->outcomes[0].grpc_status, 0);
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_true(wire_server_finished(scene->server));
    assert_int_equal(scene->outcomes[2].n_answers, 0);
    scene_close(scene);
}

static void goaway_answers_calls_that_wait_for_their_turn(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    for (size_t i = 0; i < 2 * BASE_STREAMS_MAX; i++) {
        assert_true(call(scene, i, (struct base_bytes){NULL, 0}));
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
    scene_close(scene);
}

static void a_shutdown_notice_keeps_what_has_begun(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    struct wire_reply reply = {.body = {NULL, 0}};
    assert_true(pump_pair(scene->client, scene->server, 4096));
    assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
    wire_server_shutdown_notice(scene->server);
    scene->reply = &reply;
    assert_true(pump_pair(scene->client, scene->server, 1));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, 0);
    assert_false(call(scene, 1, (struct base_bytes){NULL, 0}));
    scene_close(scene);
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
    reentrant.client = wire_client_open(&events, &reentrant, AUTHORITY, false);
    struct wire_call made = {.path = BASE_TEXT("/x/Y"), .timeout_ns = -1};
    for (size_t i = 0; i < 10; i++) {
        assert_true(wire_client_call(reentrant.client, &made, NULL));
    }
    wire_client_close(reentrant.client);
    assert_int_equal(reentrant.n_answers, 10);
    assert_int_equal(reentrant.n_refused, 10);
}

/* --- against a peer that does as it is told --- */

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
        struct scene *scene = scene_open();
        struct peer peer;
        peer_open_server(&peer);
        peer.requested = answer_with_peer_answer;
        peer_answer = rows[i].answer;
        assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
        assert_true(pump_client(scene->client, &peer, 4096));
        assert_int_equal(scene->outcomes[0].n_answers, 1);
        assert_int_equal(scene->outcomes[0].grpc_status, rows[i].grpc_status);
        assert_string_equal(scene->outcomes[0].message, rows[i].message);
        peer_close(&peer);
        scene_close(scene);
    }
}

static void reset_stream(struct peer *peer, int32_t stream_id)
{
    (void)nghttp2_submit_rst_stream(peer->session, 0, stream_id, NGHTTP2_REFUSED_STREAM);
}

static void a_reset_stream_is_no_answer_and_leaves_the_others(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    struct peer peer;
    peer_open_server(&peer);
    peer.requested = reset_stream;
    assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_client(scene->client, &peer, 7));
    assert_int_equal(scene->outcomes[0].n_answers, 1);
    assert_int_equal(scene->outcomes[0].grpc_status, -1);
    assert_string_equal(scene->outcomes[0].message, "the stream was reset: REFUSED_STREAM");
    peer.requested = answer_with_peer_answer;
    peer_answer = ":status: 200\ngrpc-status: 5\n";
    assert_true(call(scene, 1, (struct base_bytes){NULL, 0}));
    assert_true(pump_client(scene->client, &peer, 7));
    assert_int_equal(scene->outcomes[1].grpc_status, 5);
    peer_close(&peer);
    scene_close(scene);
}

/* A server that answers in the middle of the request and does not say that it wants no more. */
static void what_is_left_of_an_answered_request_is_not_sent(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    struct peer peer;
    peer_open_server(&peer);
    struct base_bytes question = make_bytes(1u << 20);
    assert_true(call(scene, 0, question));
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
    scene_close(scene);
    free((void *)(uintptr_t)question.bytes);
}

static void binary_metadata_of_answers_is_decoded(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    struct peer peer;
    peer_open_server(&peer);
    peer.requested = answer_with_peer_answer;
    peer_answer = ":status: 200\nx-bin: aGk,aG8=\ngrpc-status: 5\n"
                  "grpc-status-details-bin: aGk=\n";
    assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
    assert_true(pump_client(scene->client, &peer, 7));
    assert_string_equal(scene->outcomes[0].headers, "x-bin: hi\nx-bin: ho\n");
    assert_string_equal(scene->outcomes[0].details, "hi");
    peer_close(&peer);
    scene_close(scene);
}

static void what_is_no_http2_ends_the_session(void **state)
{
    (void)state;
    struct scene *scene = scene_open();
    assert_true(call(scene, 0, (struct base_bytes){NULL, 0}));
    struct base_bytes garbage = base_bytes_of(BASE_TEXT("HTTP/1.1 400 Bad Request\r\n\r\n"));
    bool open = wire_client_receive(scene->client, garbage);
    uint8_t buffer[4096];
    while (wire_client_send(scene->client, buffer, sizeof buffer) > 0) {
    }
    open = open && wire_client_receive(scene->client, garbage);
    assert_false(open);
    assert_false(call(scene, 1, (struct base_bytes){NULL, 0}));
    scene_close(scene);
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
    struct scene *scene = scene_open();
    uint8_t buffer[4096];
    for (size_t i = 0; i < FUZZED_CALLS; i++) {
        assert_true(call(scene, i, (struct base_bytes){NULL, 0}));
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
    scene_close(scene);
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
        struct wire_client *client = wire_client_open(&CLIENT_EVENTS, NULL, AUTHORITY, false);
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
        cmocka_unit_test(answers_without_a_usable_grpc_status_are_no_answer),
        cmocka_unit_test(a_reset_stream_is_no_answer_and_leaves_the_others),
        cmocka_unit_test(what_is_left_of_an_answered_request_is_not_sent),
        cmocka_unit_test(binary_metadata_of_answers_is_decoded),
        cmocka_unit_test(what_is_no_http2_ends_the_session),
        cmocka_unit_test(changed_answers_end_at_most_the_session_and_every_call_is_answered_once),
    };
    return cmocka_run_group_tests_name("http2 client", tests, NULL, NULL);
}
