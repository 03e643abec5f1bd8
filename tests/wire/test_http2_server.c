/* wire: a server's session of HTTP/2, against a peer that does as it is told. */
#include "http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GRPC_FIELDS                                                                                \
    ":method: POST\n:scheme: http\n:path: /zandaka.v1.BalanceService/Add\n:authority: a\n"         \
    "te: trailers\ncontent-type: application/grpc\n"
#define HTTP_FIELDS ":method: POST\n:scheme: http\n:path: /p\n:authority: a\n"

static const struct base_bytes NOTHING = {NULL, 0};
static const struct base_bytes ONE_MESSAGE = {(const uint8_t *)"\0\0\0\0\2hi", 7};

/* --- the server's side --- */

struct scene {
    struct wire_server *server;
    struct peer peer;
    const struct wire_reply *reply; /* NULL: requests stay open */
    size_t n_requests;
    uint32_t last_stream;
    struct wire_request *last_request;
    size_t n_cancelled;
};

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct scene *scene = user;
    scene->n_requests++;
    scene->last_stream = stream;
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
    scene->last_request = request;
    if (scene->reply != NULL) {
        wire_server_reply(scene->server, stream, scene->reply);
    }
}

static void on_cancelled(void *user, uint32_t stream)
{
    struct scene *scene = user;
    scene->n_cancelled++;
    /* Too late, and so ignored. */
    struct wire_reply reply = {.http_status = 200};
    wire_server_reply(scene->server, stream, &reply);
}

static const struct wire_server_events EVENTS = {.request = on_request, .cancelled = on_cancelled};

static void scene_open(struct scene *scene)
{
    *scene = (struct scene){.server = NULL};
    scene->server = wire_server_open(&EVENTS, scene);
    peer_open_client(&scene->peer);
}

static void scene_close(struct scene *scene)
{
    wire_server_close(scene->server);
    peer_close(&scene->peer);
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
}

static const struct wire_reply OK = {
    .http_status = 200,
    .content_type = {"application/json", 16},
    .body = {(const uint8_t *)"{}", 2},
};

#define OK_GRPC_ANSWER ":status: 200\ncontent-type: application/grpc\n--\ngrpc-status: 0\n"

static bool pump(struct scene *scene)
{
    return pump_server(scene->server, &scene->peer, 4096);
}

/* --- forms of requests and replies --- */

static void the_content_type_tells_grpc_from_http(void **state)
{
    (void)state;
    static const struct {
        const char *content_type; /* as a field, or empty */
        enum wire_form form;
        const char *seen;
        const char *parameters;
    } rows[] = {
        {"content-type: application/grpc\n", WIRE_GRPC, "application/grpc", ""},
        {"content-type: application/grpc+proto\n", WIRE_GRPC, "application/grpc+proto", ""},
        {"content-type: Application/GRPC;x=Y\n", WIRE_GRPC, "application/grpc", "x=Y"},
        {"content-type: application/grpc-web\n", WIRE_HTTP, "application/grpc-web", ""},
        {"content-type: application/json; charset=utf-8\n", WIRE_HTTP, "application/json",
         "charset=utf-8"},
        {"", WIRE_HTTP, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        scene_open(&scene);
        char fields[500];
        (void)snprintf(fields, sizeof fields, HTTP_FIELDS "%s", rows[i].content_type);
        peer_request(&scene.peer, fields, ONE_MESSAGE, true);
        assert_true(pump(&scene));
        assert_int_equal(scene.n_requests, 1);
        const struct wire_request *request = scene.last_request;
        assert_int_equal(request->form, rows[i].form);
        assert_true(base_text_equal(request->content_type, base_text_of(rows[i].seen)));
        assert_true(
            base_text_equal(request->content_type_parameters, base_text_of(rows[i].parameters)));
        assert_int_equal(request->body.length, rows[i].form == WIRE_GRPC ? 2 : 7);
        scene_close(&scene);
    }
}

static void an_http_request_arrives_as_it_was_sent(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    scene.reply = &OK;
    int32_t id = peer_request(&scene.peer,
                              ":method: GET\n:scheme: http\n:path: /A/b%20c?x=1?&y\n"
                              ":authority: host:1\nconnect-timeout-ms: 250\nx-one: 1\nx-two: 2\n",
                              NOTHING, true);
    assert_true(pump_server(scene.server, &scene.peer, 1));
    const struct wire_request *request = scene.last_request;
    assert_non_null(request);
    assert_true(base_text_equal(request->method, BASE_TEXT("GET")));
    assert_true(base_text_equal(request->path, BASE_TEXT("/A/b%20c")));
    assert_true(base_text_equal(request->query, BASE_TEXT("x=1?&y")));
    assert_true(request->timeout_ns == INT64_C(250000000));
    assert_int_equal(request->n_headers, 3);
    assert_true(base_text_equal(request->headers[0].name, BASE_TEXT("host")));
    assert_true(base_text_equal(request->headers[0].value, BASE_TEXT("host:1")));
    assert_true(base_text_equal(request->headers[2].name, BASE_TEXT("x-two")));
    assert_int_equal(request->body.length, 0);
    struct peer_stream *answer = peer_stream(&scene.peer, id);
    assert_string_equal(answer->fields,
                        ":status: 200\ncontent-type: application/json\ncontent-length: 2\n");
    assert_int_equal(answer->body.length, 2);
    assert_true(answer->ended);
    assert_int_equal(answer->reset_code, UINT32_MAX);
    scene_close(&scene);
}

static void a_request_outlives_its_session(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    peer_request(&scene.peer, GRPC_FIELDS "x-own: value\n", ONE_MESSAGE, true);
    assert_true(pump(&scene));
    wire_server_close(scene.server);
    peer_close(&scene.peer);
    const struct wire_request *request = scene.last_request;
    assert_true(base_text_equal(request->method, BASE_TEXT("POST")));
    assert_true(
        base_text_equal(wire_request_header(request, BASE_TEXT("x-own")), BASE_TEXT("value")));
    assert_true(base_text_equal(base_text_from(request->body), BASE_TEXT("hi")));
    wire_request_release(scene.last_request);
}

static void an_answer_to_head_tells_of_a_body_and_has_none(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    scene.reply = &OK;
    int32_t id = peer_request(
        &scene.peer, ":method: HEAD\n:scheme: http\n:path: /\n:authority: a\n", NOTHING, true);
    assert_true(pump(&scene));
    struct peer_stream *answer = peer_stream(&scene.peer, id);
    assert_string_equal(answer->fields,
                        ":status: 200\ncontent-type: application/json\ncontent-length: 2\n");
    assert_int_equal(answer->body.length, 0);
    assert_true(answer->ended);
    scene_close(&scene);
}

static void grpc_answers_success_in_trailers_and_an_error_without_a_message(void **state)
{
    (void)state;
    static const struct wire_header header = {{"x-header", 8}, {"h", 1}};
    static const struct wire_header trailer = {{"x-trailer-bin", 13}, {"\xFF\xFE", 2}};
    static const struct {
        struct wire_reply reply;
        const char *fields;
        size_t body_length;
    } rows[] = {
        {{.grpc_status = BASE_CODE_OK,
          .n_headers = 1,
          .headers = &header,
          .n_trailers = 1,
          .trailers = &trailer,
          .body = {(const uint8_t *)"abc", 3}},
         ":status: 200\ncontent-type: application/grpc\nx-header: h\n--\n"
         "grpc-status: 0\nx-trailer-bin: //4\n",
         8},
        {{.grpc_status = BASE_CODE_OK}, OK_GRPC_ANSWER, 5},
        {{.grpc_status = BASE_CODE_NOT_FOUND,
          .grpc_message = {"50%", 3},
          .grpc_status_details = {(const uint8_t *)"d", 1},
          .n_trailers = 1,
          .trailers = &trailer,
          .body = {(const uint8_t *)"abc", 3}},
         ":status: 200\ncontent-type: application/grpc\ngrpc-status: 5\ngrpc-message: 50%25\n"
         "grpc-status-details-bin: ZA\nx-trailer-bin: //4\n",
         0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        scene_open(&scene);
        scene.reply = &rows[i].reply;
        int32_t id = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
        assert_true(pump(&scene));
        struct peer_stream *answer = peer_stream(&scene.peer, id);
        assert_string_equal(answer->fields, rows[i].fields);
        assert_int_equal(answer->body.length, rows[i].body_length);
        assert_true(answer->ended);
        scene_close(&scene);
    }
}

/* --- refusals --- */

static void what_is_no_unary_grpc_is_refused_without_the_api(void **state)
{
    (void)state;
#define ANSWER(status, message)                                                                    \
    ":status: 200\ncontent-type: application/grpc\ngrpc-status: " status                           \
    "\ngrpc-message: " message "\n"
#define ANSWER_UNIMPLEMENTED(message) ANSWER("12", message) "grpc-accept-encoding: identity\n"
    static const struct {
        const char *fields;
        struct base_bytes body;
        const char *answer;
    } rows[] = {
        {GRPC_FIELDS,
         {(const uint8_t *)"\1\0\0\0\1a", 6},
         ANSWER("13", "the message is flagged as compressed without grpc-encoding")},
        {GRPC_FIELDS "grpc-encoding: identity\n",
         {(const uint8_t *)"\1\0\0\0\1a", 6},
         ANSWER("13", "the message is flagged as compressed without grpc-encoding")},
        {GRPC_FIELDS "grpc-encoding: gzip\n",
         {(const uint8_t *)"\1\0\0\0\1a", 6},
         ANSWER_UNIMPLEMENTED("messages must not be compressed")},
        {GRPC_FIELDS,
         {(const uint8_t *)"\2\0\0\0\1a", 6},
         ANSWER("13", "the message's flag is neither 0 nor 1")},
        {GRPC_FIELDS,
         {(const uint8_t *)"\0\0\0\0\1a\0\0\0\0\1b", 12},
         ANSWER_UNIMPLEMENTED("more than one message in a unary call")},
        {GRPC_FIELDS, {NULL, 0}, ANSWER_UNIMPLEMENTED("no message in a unary call")},
        {GRPC_FIELDS,
         {(const uint8_t *)"\0\0\0", 3},
         ANSWER("13", "the stream ended inside a message")},
        {GRPC_FIELDS,
         {(const uint8_t *)"\0\0\0\0\2a", 6},
         ANSWER("13", "the stream ended inside a message")},
        {GRPC_FIELDS "grpc-timeout: 1s\n",
         {(const uint8_t *)"\0\0\0\0\0", 5},
         ANSWER("13", "malformed grpc-timeout")},
        {GRPC_FIELDS "grpc-timeout: 1S\ngrpc-timeout: 1S\n",
         {(const uint8_t *)"\0\0\0\0\0", 5},
         ANSWER("13", "malformed grpc-timeout")},
        {":method: GET\n:scheme: http\n:path: /x/Y\n:authority: a\ncontent-type: "
         "application/grpc\n",
         {NULL, 0},
         ":status: 405\ncontent-type: application/grpc\ngrpc-status: 13\n"
         "grpc-message: gRPC's method is POST\n"},
        {HTTP_FIELDS "content-type: a/b\ncontent-type: a/b\n",
         {NULL, 0},
         ":status: 400\ncontent-length: 0\n"},
    };
    struct scene scene;
    scene_open(&scene);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        scene.reply = NULL;
        int32_t id = peer_request(&scene.peer, rows[i].fields, rows[i].body, true);
        assert_true(pump(&scene));
        assert_string_equal(peer_stream(&scene.peer, id)->fields, rows[i].answer);
        assert_int_equal(scene.n_requests, i);
        /* The connection is none the worse for it. */
        scene.reply = &OK;
        id = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
        assert_true(pump(&scene));
        assert_string_equal(peer_stream(&scene.peer, id)->fields, OK_GRPC_ANSWER);
        assert_int_equal(scene.n_requests, i + 1);
    }
    assert_int_equal(wire_server_held_bytes(scene.server), 0);
    assert_false(wire_server_half_received(scene.server));
    scene_close(&scene);
}

static void a_compression_that_is_offered_and_not_used_is_fine(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    peer_request(&scene.peer, GRPC_FIELDS "grpc-encoding: gzip\n", ONE_MESSAGE, true);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, 1);
    scene_close(&scene);
}

static void te_may_be_missing_and_host_may_stand_for_authority(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    peer_request(&scene.peer,
                 ":method: POST\n:scheme: http\n:path: /x/Y\nhost: a\n"
                 "content-type: application/grpc\n",
                 ONE_MESSAGE, true);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, 1);
    scene_close(&scene);
}

static void a_malformed_connect_timeout_goes_up_as_a_defect(void **state)
{
    (void)state;
    static const char *const timeouts[] = {"", "x", "12345678901", "1\nconnect-timeout-ms: 1"};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        struct scene scene;
        scene_open(&scene);
        char fields[500];
        (void)snprintf(fields, sizeof fields, HTTP_FIELDS "connect-timeout-ms: %s\n", timeouts[i]);
        peer_request(&scene.peer, fields, NOTHING, true);
        assert_true(pump(&scene));
        assert_int_equal(scene.n_requests, 1);
        assert_int_equal(scene.last_request->defect, WIRE_DEFECT_TIMEOUT);
        assert_true(scene.last_request->timeout_ns == -1);
        scene_close(&scene);
    }
}

/* A body of `length` bytes, behind gRPC's prefix or not. */
static struct base_bytes make_body(bool grpc, size_t length)
{
    size_t prefix = grpc ? 5 : 0;
    uint8_t *bytes = base_allocate(prefix + length);
    if (grpc) {
        bytes[0] = 0;
        for (unsigned i = 0; i < 4; i++) {
            bytes[1 + i] = (uint8_t)(length >> (24 - 8 * i));
        }
    }
    memset(bytes + prefix, 'x', length);
    return (struct base_bytes){bytes, prefix + length};
}

static void four_mib_are_taken_and_one_byte_more_goes_up_as_a_defect(void **state)
{
    (void)state;
    static const struct wire_reply refusal = {.grpc_status = BASE_CODE_RESOURCE_EXHAUSTED,
                                              .http_status = 429};
    for (int grpc = 0; grpc < 2; grpc++) {
        const char *fields = grpc ? GRPC_FIELDS : HTTP_FIELDS;
        struct scene scene;
        scene_open(&scene);
        struct base_bytes full = make_body(grpc, BASE_REQUEST_MAX_BYTES);
        struct base_bytes over = make_body(grpc, BASE_REQUEST_MAX_BYTES + 1);
        scene.reply = &OK;
        peer_request(&scene.peer, fields, full, true);
        assert_true(pump(&scene));
        assert_int_equal(scene.n_requests, 1);
        assert_int_equal(scene.last_request->defect, WIRE_DEFECT_NONE);
        assert_int_equal(scene.last_request->body.length, BASE_REQUEST_MAX_BYTES);

        scene.reply = &refusal;
        int32_t id = peer_request(&scene.peer, fields, over, true);
        assert_true(pump(&scene));
        assert_int_equal(scene.n_requests, 2);
        assert_int_equal(scene.last_request->defect, WIRE_DEFECT_TOO_LARGE);
        assert_int_equal(scene.last_request->body.length, 0);
        assert_int_equal(scene.last_request->form, grpc ? WIRE_GRPC : WIRE_HTTP);
        assert_true(peer_stream(&scene.peer, id)->ended);

        scene.reply = &OK;
        id = peer_request(&scene.peer, fields, full, true);
        assert_true(pump(&scene));
        assert_int_equal(scene.n_requests, 3);
        assert_int_equal(scene.last_request->body.length, BASE_REQUEST_MAX_BYTES);
        assert_int_equal(wire_server_held_bytes(scene.server), 0);
        scene_close(&scene);
        free((void *)(uintptr_t)full.bytes);
        free((void *)(uintptr_t)over.bytes);
    }
}

/* The prefix alone announces too much: nobody waits for the bytes, and they are not wanted. */
static void an_early_answer_is_complete_before_the_stream_is_reset_without_error(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t id = peer_request(&scene.peer, GRPC_FIELDS,
                              (struct base_bytes){(const uint8_t *)"\0\1\0\0\0abc", 8}, false);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, 1);
    assert_int_equal(scene.last_request->defect, WIRE_DEFECT_TOO_LARGE);
    assert_false(wire_server_half_received(scene.server));
    assert_int_equal(wire_server_open_requests(scene.server), 1);
    struct wire_reply reply = {.grpc_status = BASE_CODE_RESOURCE_EXHAUSTED};
    wire_server_reply(scene.server, scene.last_stream, &reply);
    assert_true(pump(&scene));
    struct peer_stream *answer = peer_stream(&scene.peer, id);
    assert_true(answer->ended);
    assert_string_equal(answer->fields,
                        ":status: 200\ncontent-type: application/grpc\ngrpc-status: 8\n");
    assert_int_equal(answer->reset_code, NGHTTP2_NO_ERROR);
    assert_int_equal(scene.n_cancelled, 0);
    scene_close(&scene);
}

/* RFC 9113, section 6.5.2: name, value and 32 bytes for each field. */
static void headers_are_taken_up_to_their_limit(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        for (int grpc = 0; grpc < 2; grpc++) {
            struct scene scene;
            scene_open(&scene);
            scene.reply = &OK;
            static const char fields[] = ":method: POST\n:scheme: http\n:path: /\n:authority: a\n";
            size_t counted = 4 * 32 + strlen(":methodPOST:schemehttp:path/:authoritya");
            const char *type = grpc ? "content-type: application/grpc\n" : "";
            counted += grpc ? 32 + strlen("content-typeapplication/grpc") : 0;
            size_t left = BASE_HEADERS_MAX_BYTES - counted - 32 - 1 + over;
            char *all = base_allocate(sizeof fields + 100 + left);
            int used = sprintf(all, "%s%sx: ", fields, type);
            memset(all + used, 'v', left);
            memcpy(all + (size_t)used + left, "\n", 2);
            int32_t id = peer_request(&scene.peer, all, ONE_MESSAGE, true);
            assert_true(pump(&scene));
            assert_int_equal(scene.n_requests, 1 - over);
            struct peer_stream *answer = peer_stream(&scene.peer, id);
            if (over == 1) {
                assert_string_equal(answer->fields,
                                    grpc ? ":status: 431\ncontent-type: application/grpc\n"
                                           "grpc-status: 8\n"
                                           "grpc-message: the request's headers are too large\n"
                                         : ":status: 431\ncontent-length: 0\n");
            }
            assert_true(answer->ended);
            free(all);
            scene_close(&scene);
        }
    }
}

/* --- giving up and ending --- */

static void a_stream_that_the_peer_resets_is_told_once_and_only_while_it_waits(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t half = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, false);
    assert_true(pump(&scene));
    assert_true(wire_server_half_received(scene.server));
    assert_true(wire_server_held_bytes(scene.server) > 0);
    nghttp2_submit_rst_stream(scene.peer.session, 0, half, NGHTTP2_CANCEL);
    assert_true(pump(&scene));
    assert_false(wire_server_half_received(scene.server));
    assert_int_equal(wire_server_held_bytes(scene.server), 0);
    assert_int_equal(scene.n_requests + scene.n_cancelled, 0);

    int32_t whole = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(pump(&scene));
    assert_int_equal(wire_server_open_requests(scene.server), 1);
    nghttp2_submit_rst_stream(scene.peer.session, 0, whole, NGHTTP2_CANCEL);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_cancelled, 1);
    assert_int_equal(wire_server_open_requests(scene.server), 0);
    assert_string_equal(peer_stream(&scene.peer, whole)->fields, "");

    struct base_bytes large = make_body(false, 2u << 20);
    struct wire_reply reply = {.body = large};
    scene.reply = &reply;
    int32_t answered = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    nghttp2_session_set_local_window_size(scene.peer.session, 0, 0, 1000);
    assert_true(pump_server(scene.server, &scene.peer, 16));
    nghttp2_submit_rst_stream(scene.peer.session, 0, answered, NGHTTP2_CANCEL);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_cancelled, 1);
    assert_int_equal(wire_server_held_bytes(scene.server), 0);
    free((void *)(uintptr_t)large.bytes);
    scene_close(&scene);
}

static void replies_that_nobody_waits_for_are_ignored(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t id = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(pump(&scene));
    static const uint32_t strangers[] = {0, 2, 3, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        wire_server_reply(scene.server, strangers[i], &OK);
    }
    wire_server_reply(scene.server, (uint32_t)id, &OK);
    wire_server_reply(scene.server, (uint32_t)id, &OK);
    assert_true(pump(&scene));
    assert_string_equal(peer_stream(&scene.peer, id)->fields, OK_GRPC_ANSWER);
    assert_int_equal(scene.peer.n_goaways, 0);
    scene_close(&scene);
}

static void the_notice_takes_what_still_comes_and_the_drain_ends_with_the_last_answer(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t first = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(pump(&scene));
    wire_server_shutdown_notice(scene.server);
    /* Sent before the notice has arrived. */
    int32_t second = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, 2);
    assert_int_equal(scene.peer.n_goaways, 1);
    assert_int_equal(scene.peer.goaway_last_stream, INT32_MAX);
    assert_false(wire_server_finished(scene.server));

    wire_server_drain(scene.server);
    wire_server_drain(scene.server);
    assert_true(pump(&scene));
    assert_int_equal(scene.peer.n_goaways, 2);
    assert_int_equal(scene.peer.goaway_last_stream, second);
    assert_int_equal(scene.peer.goaway_code, NGHTTP2_NO_ERROR);
    wire_server_reply(scene.server, (uint32_t)first, &OK);
    assert_true(pump(&scene));
    assert_false(wire_server_finished(scene.server));
    wire_server_reply(scene.server, (uint32_t)second, &OK);
    assert_false(wire_server_finished(scene.server));
    (void)!pump(&scene);
    assert_true(peer_stream(&scene.peer, first)->ended);
    assert_true(peer_stream(&scene.peer, second)->ended);
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

static void an_idle_connection_is_finished_once_the_drain_is_sent(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    assert_true(pump(&scene));
    assert_false(wire_server_finished(scene.server));
    wire_server_drain(scene.server);
    assert_false(wire_server_finished(scene.server));
    (void)!pump(&scene);
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

static void the_peers_end_ends_the_session(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(pump(&scene));
    assert_false(wire_server_receive_end(scene.server));
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

static void a_ping_is_answered(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    nghttp2_submit_ping(scene.peer.session, 0, NULL);
    assert_true(pump(&scene));
    assert_int_equal(scene.peer.n_ping_acks, 1);
    scene_close(&scene);
}

/* --- floods and garbage --- */

/* A good client whose deadlines all pass: 15,000 in one go. */
static void thousands_of_expired_deadlines_do_not_cost_the_connection(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    for (size_t round = 0; round < 15; round++) {
        int32_t ids[1000];
        for (size_t i = 0; i < 1000; i++) {
            ids[i] = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
        }
        assert_true(pump_server(scene.server, &scene.peer, 65536));
        for (size_t i = 0; i < 1000; i++) {
            nghttp2_submit_rst_stream(scene.peer.session, 0, ids[i], NGHTTP2_CANCEL);
        }
        assert_true(pump_server(scene.server, &scene.peer, 65536));
        peer_forget(&scene.peer);
    }
    assert_int_equal(scene.n_requests, 15000);
    assert_int_equal(scene.n_cancelled, 15000);
    scene.reply = &OK;
    int32_t id = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(pump(&scene));
    assert_string_equal(peer_stream(&scene.peer, id)->fields, OK_GRPC_ANSWER);
    scene_close(&scene);
}

/* The client's preface and SETTINGS, then whatever a test adds by hand. */
static const uint8_t PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
#define PREFACE_BYTES (sizeof PREFACE - 1)

static void discard(struct wire_server *server)
{
    uint8_t buffer[4096];
    while (wire_server_send(server, buffer, sizeof buffer) > 0) {
    }
}

/* HEADERS of `GET http //a/` by HPACK's static table, with END_STREAM and END_HEADERS, then
 * RST_STREAM. */
#define RESET_REQUEST_BYTES 28
#define RESET_REQUEST_SECOND_FRAME 15
static void write_reset_request(uint8_t *bytes, uint32_t stream)
{
    static const uint8_t frames[RESET_REQUEST_BYTES] = {
        0,   0, 6, 1, 5, 0, 0, 0, 0, 0x82, 0x86, 0x84, 0x01, 0x01,
        'a', 0, 0, 4, 3, 0, 0, 0, 0, 0,    0,    0,    0,    8};
    memcpy(bytes, frames, sizeof frames);
    for (unsigned i = 0; i < 4; i++) {
        uint8_t byte = (uint8_t)(stream >> (24 - 8 * i));
        bytes[5 + i] = byte;
        bytes[RESET_REQUEST_SECOND_FRAME + 5 + i] = byte;
    }
}

/* Frames that no nghttp2 client sends: gRPC's C core does. */
static void a_reset_of_a_stream_that_was_never_begun_costs_nothing(void **state)
{
    (void)state;
    static const uint8_t resets[] = {0, 0, 4, 3, 0, 0, 0, 0, 101, 0, 0, 0, 8,
                                     0, 0, 4, 3, 0, 0, 0, 0, 103, 0, 0, 0, 8};
    for (size_t piece = 1; piece <= sizeof resets; piece++) {
        struct scene scene;
        scene_open(&scene);
        scene.reply = &OK;
        int32_t before = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, false);
        assert_true(pump(&scene));
        for (size_t at = 0; at < sizeof resets; at += piece) {
            size_t left = sizeof resets - at;
            struct base_bytes part = {resets + at, left < piece ? left : piece};
            assert_true(wire_server_receive(scene.server, part));
        }
        int32_t behind = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
        assert_true(pump_server(scene.server, &scene.peer, piece));
        assert_true(peer_stream(&scene.peer, behind)->ended);
        assert_int_equal(scene.peer.n_goaways, 0);
        /* One that was begun is reset as ever. */
        assert_true(wire_server_half_received(scene.server));
        nghttp2_submit_rst_stream(scene.peer.session, 0, before, NGHTTP2_CANCEL);
        assert_true(pump_server(scene.server, &scene.peer, piece));
        assert_false(wire_server_half_received(scene.server));
        scene_close(&scene);
    }
}

/* Stream 0 is the connection itself, even numbers are the server's, and a reset has 4 bytes. */
static void other_resets_of_no_stream_end_the_connection(void **state)
{
    (void)state;
    static const uint8_t resets[][14] = {{0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 8},
                                         {0, 0, 4, 3, 0, 0, 0, 0, 2, 0, 0, 0, 8},
                                         {0, 0, 5, 3, 0, 0, 0, 0, 9, 0, 0, 0, 8, 0}};
    for (size_t i = 0; i < sizeof resets / sizeof resets[0]; i++) {
        struct scene scene;
        scene_open(&scene);
        assert_true(pump(&scene));
        struct base_bytes reset = {resets[i], 9 + (size_t)resets[i][2]};
        (void)!wire_server_receive(scene.server, reset);
        (void)pump(&scene);
        assert_int_equal(scene.peer.n_goaways, 1);
        scene_close(&scene);
    }
}

static void a_flood_of_resets_ends_the_connection(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    bool open = wire_server_receive(scene.server, (struct base_bytes){PREFACE, PREFACE_BYTES});
    assert_true(open);
    /* However fast the clock runs, it gives back 10,000 resets a second: far fewer than these. */
    size_t n_resets = 0;
    while (open && n_resets < 5000000) {
        uint8_t bytes[64 * RESET_REQUEST_BYTES];
        for (size_t i = 0; i < 64; i++) {
            write_reset_request(bytes + i * RESET_REQUEST_BYTES, (uint32_t)(2 * n_resets++ + 1));
        }
        open = wire_server_receive(scene.server, (struct base_bytes){bytes, sizeof bytes});
        discard(scene.server);
    }
    assert_false(open);
    assert_true(n_resets > 20 * BASE_STREAMS_MAX);
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

/* A WINDOW_UPDATE beyond 2^31-1 is an error of its stream only: it makes the server reset it. */
static void a_flood_of_broken_frames_ends_the_connection(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    bool open = wire_server_receive(scene.server, (struct base_bytes){PREFACE, PREFACE_BYTES});
    size_t n_broken = 0;
    while (open && n_broken < 3000) {
        uint8_t bytes[RESET_REQUEST_BYTES];
        write_reset_request(bytes, (uint32_t)(2 * n_broken++ + 1));
        bytes[RESET_REQUEST_SECOND_FRAME + 3] = NGHTTP2_WINDOW_UPDATE;
        memcpy(bytes + RESET_REQUEST_BYTES - 4, "\x7F\xFF\xFF\xFF", 4);
        open = wire_server_receive(scene.server, (struct base_bytes){bytes, sizeof bytes});
        discard(scene.server);
    }
    assert_false(open);
    assert_in_range(n_broken, 1000, 1003);
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

static void a_protocol_error_is_told_by_goaway_and_ends_the_session(void **state)
{
    (void)state;
    static const struct {
        struct base_bytes frame;
        uint32_t code;
    } rows[] = {
        {{(const uint8_t *)"\0\0\0\0\0\0\0\0\0", 9}, NGHTTP2_PROTOCOL_ERROR}, /* DATA of stream 0 */
        {{(const uint8_t *)"\xFF\xFF\xFF\0\0\0\0\0\1", 9}, NGHTTP2_FRAME_SIZE_ERROR},
        {{(const uint8_t *)"\0\0\1\1\5\0\0\0\1\xFF", 10}, NGHTTP2_COMPRESSION_ERROR},
        {{(const uint8_t *)"\0\0\3\1\5\0\0\0\2\x82\x86\x84", 12}, NGHTTP2_PROTOCOL_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        scene_open(&scene);
        assert_true(pump(&scene));
        bool open = wire_server_receive(scene.server, rows[i].frame);
        open = pump(&scene) && open && wire_server_receive(scene.server, rows[i].frame);
        assert_int_equal(scene.peer.n_goaways, 1);
        if (i != 2) {
            assert_int_equal(scene.peer.goaway_code, rows[i].code);
        }
        assert_true(wire_server_finished(scene.server));
        assert_false(open);
        scene_close(&scene);
    }
}

static void a_preface_that_breaks_off_ends_the_session(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    struct base_bytes bytes = base_bytes_of(BASE_TEXT("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    assert_false(wire_server_receive(scene.server, bytes));
    discard(scene.server);
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

/* xorshift64*: the same bytes on every machine. */
static uint32_t next_random(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (uint32_t)(*random * UINT64_C(0x2545F4914F6CDD1D) >> 32);
}

/* What a client says for a few requests of every form. */
static struct base_bytes valid_conversation(void)
{
    struct peer peer;
    peer_open_client(&peer);
    peer_request(&peer, GRPC_FIELDS "grpc-timeout: 1S\n", ONE_MESSAGE, true);
    peer_request(&peer, HTTP_FIELDS "content-type: application/json\n", ONE_MESSAGE, true);
    int32_t id = peer_request(&peer, GRPC_FIELDS "grpc-encoding: gzip\n", ONE_MESSAGE, false);
    peer_request(&peer, ":method: GET\n:scheme: http\n:path: /metrics?x\n:authority: a\n", NOTHING,
                 true);
    nghttp2_submit_ping(peer.session, 0, NULL);
    static struct base_writer said;
    said.length = 0;
    uint8_t buffer[4096];
    size_t length;
    while ((length = peer_send(&peer, buffer, sizeof buffer)) > 0) {
        base_write_bytes(&said, (struct base_bytes){buffer, length});
    }
    nghttp2_submit_rst_stream(peer.session, 0, id, NGHTTP2_CANCEL);
    while ((length = peer_send(&peer, buffer, sizeof buffer)) > 0) {
        base_write_bytes(&said, (struct base_bytes){buffer, length});
    }
    peer_close(&peer);
    uint8_t *copy = base_allocate(said.length);
    memcpy(copy, said.bytes, said.length);
    struct base_bytes conversation = {copy, said.length};
    base_writer_release(&said);
    return conversation;
}

static void changed_bytes_end_at_most_their_own_connection(void **state)
{
    (void)state;
    struct base_bytes valid = valid_conversation();
    uint64_t random = UINT64_C(20191218);
    uint8_t *bytes = base_allocate(valid.length);
    size_t n_requests = 0;
    for (size_t run = 0; run < 20000; run++) {
        memcpy(bytes, valid.bytes, valid.length);
        /* Every position once, then anywhere. The preface is left alone in most runs. */
        bytes[run % valid.length] ^= (uint8_t)(1u << next_random(&random) % 8);
        for (uint32_t more = next_random(&random) % 4; more > 0; more--) {
            size_t at = 24 + next_random(&random) % (uint32_t)(valid.length - 24);
            bytes[at] = (uint8_t)next_random(&random);
        }
        struct scene scene = {.server = NULL};
        scene.server = wire_server_open(&EVENTS, &scene);
        scene.reply = run % 2 == 0 ? &OK : NULL;
        size_t piece = 1 + next_random(&random) % 64;
        bool open = true;
        for (size_t at = 0; at < valid.length && open; at += piece) {
            size_t left = valid.length - at;
            struct base_bytes part = {bytes + at, piece < left ? piece : left};
            open = wire_server_receive(scene.server, part);
            if (next_random(&random) % 4 == 0) {
                discard(scene.server);
            }
        }
        if (open && next_random(&random) % 2 == 0) {
            (void)!wire_server_receive_end(scene.server);
        }
        discard(scene.server);
        n_requests += scene.n_requests;
        wire_server_close(scene.server);
        if (scene.last_request != NULL) {
            wire_request_release(scene.last_request);
        }
    }
    /* It went past the preface often enough to mean something. */
    assert_true(n_requests > 10000);
    free(bytes);
    free((void *)(uintptr_t)valid.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_content_type_tells_grpc_from_http),
        cmocka_unit_test(an_http_request_arrives_as_it_was_sent),
        cmocka_unit_test(a_request_outlives_its_session),
        cmocka_unit_test(an_answer_to_head_tells_of_a_body_and_has_none),
        cmocka_unit_test(grpc_answers_success_in_trailers_and_an_error_without_a_message),
        cmocka_unit_test(what_is_no_unary_grpc_is_refused_without_the_api),
        cmocka_unit_test(a_compression_that_is_offered_and_not_used_is_fine),
        cmocka_unit_test(te_may_be_missing_and_host_may_stand_for_authority),
        cmocka_unit_test(a_malformed_connect_timeout_goes_up_as_a_defect),
        cmocka_unit_test(four_mib_are_taken_and_one_byte_more_goes_up_as_a_defect),
        cmocka_unit_test(an_early_answer_is_complete_before_the_stream_is_reset_without_error),
        cmocka_unit_test(headers_are_taken_up_to_their_limit),
        cmocka_unit_test(a_stream_that_the_peer_resets_is_told_once_and_only_while_it_waits),
        cmocka_unit_test(replies_that_nobody_waits_for_are_ignored),
        cmocka_unit_test(the_notice_takes_what_still_comes_and_the_drain_ends_with_the_last_answer),
        cmocka_unit_test(an_idle_connection_is_finished_once_the_drain_is_sent),
        cmocka_unit_test(the_peers_end_ends_the_session),
        cmocka_unit_test(a_ping_is_answered),
        cmocka_unit_test(thousands_of_expired_deadlines_do_not_cost_the_connection),
        cmocka_unit_test(a_reset_of_a_stream_that_was_never_begun_costs_nothing),
        cmocka_unit_test(other_resets_of_no_stream_end_the_connection),
        cmocka_unit_test(a_flood_of_resets_ends_the_connection),
        cmocka_unit_test(a_flood_of_broken_frames_ends_the_connection),
        cmocka_unit_test(a_protocol_error_is_told_by_goaway_and_ends_the_session),
        cmocka_unit_test(a_preface_that_breaks_off_ends_the_session),
        cmocka_unit_test(changed_bytes_end_at_most_their_own_connection),
    };
    return cmocka_run_group_tests_name("http2 server", tests, NULL, NULL);
}
