/* wire: a server's session of HTTP/2: forms of requests and replies, and their limits. */
#include "http2_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
        assert_true(scene_pump(&scene));
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
    scene.reply = &scene_ok;
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
    assert_true(scene_pump(&scene));
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
    scene.reply = &scene_ok;
    int32_t id = peer_request(
        &scene.peer, ":method: HEAD\n:scheme: http\n:path: /\n:authority: a\n", NOTHING, true);
    assert_true(scene_pump(&scene));
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
        assert_true(scene_pump(&scene));
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
        assert_true(scene_pump(&scene));
        assert_string_equal(peer_stream(&scene.peer, id)->fields, rows[i].answer);
        assert_int_equal(scene.n_requests, i);
        /* The connection is none the worse for it. */
        scene.reply = &scene_ok;
        id = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
        assert_true(scene_pump(&scene));
        assert_string_equal(peer_stream(&scene.peer, id)->fields, OK_GRPC_ANSWER);
        assert_int_equal(scene.n_requests, i + 1);
    }
    assert_int_equal(wire_server_held_bytes(scene.server), 0);
    assert_false(wire_server_half_received(scene.server));
    scene_close(&scene);
}

static void a_compression_is_refused_whether_or_not_it_is_used(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t refused =
        peer_request(&scene.peer, GRPC_FIELDS "grpc-encoding: gzip\n", ONE_MESSAGE, true);
    assert_true(scene_pump(&scene));
    assert_int_equal(scene.n_requests, 0);
    assert_string_equal(peer_stream(&scene.peer, refused)->fields,
                        ANSWER_UNIMPLEMENTED("messages must not be compressed"));
    /* What is named for the answers alone, or says that there is none, is fine. */
    peer_request(&scene.peer, GRPC_FIELDS "grpc-encoding: identity\ngrpc-accept-encoding: gzip\n",
                 ONE_MESSAGE, true);
    assert_true(scene_pump(&scene));
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
    assert_true(scene_pump(&scene));
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
        assert_true(scene_pump(&scene));
        assert_int_equal(scene.n_requests, 1);
        assert_int_equal(scene.last_request->defect, WIRE_DEFECT_TIMEOUT);
        assert_true(scene.last_request->timeout_ns == -1);
        scene_close(&scene);
    }
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
        struct base_bytes full = scene_make_body(grpc, BASE_REQUEST_MAX_BYTES);
        struct base_bytes over = scene_make_body(grpc, BASE_REQUEST_MAX_BYTES + 1);
        scene.reply = &scene_ok;
        peer_request(&scene.peer, fields, full, true);
        assert_true(scene_pump(&scene));
        assert_int_equal(scene.n_requests, 1);
        assert_int_equal(scene.last_request->defect, WIRE_DEFECT_NONE);
        assert_int_equal(scene.last_request->body.length, BASE_REQUEST_MAX_BYTES);

        scene.reply = &refusal;
        int32_t id = peer_request(&scene.peer, fields, over, true);
        assert_true(scene_pump(&scene));
        assert_int_equal(scene.n_requests, 2);
        assert_int_equal(scene.last_request->defect, WIRE_DEFECT_TOO_LARGE);
        assert_int_equal(scene.last_request->body.length, 0);
        assert_int_equal(scene.last_request->form, grpc ? WIRE_GRPC : WIRE_HTTP);
        assert_true(peer_stream(&scene.peer, id)->ended);

        scene.reply = &scene_ok;
        id = peer_request(&scene.peer, fields, full, true);
        assert_true(scene_pump(&scene));
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
    assert_true(scene_pump(&scene));
    assert_int_equal(scene.n_requests, 1);
    assert_int_equal(scene.last_request->defect, WIRE_DEFECT_TOO_LARGE);
    assert_false(wire_server_half_received(scene.server));
    assert_int_equal(wire_server_open_requests(scene.server), 1);
    struct wire_reply reply = {.grpc_status = BASE_CODE_RESOURCE_EXHAUSTED};
    wire_server_reply(scene.server, scene.last_stream, &reply);
    assert_true(scene_pump(&scene));
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
            scene.reply = &scene_ok;
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
            assert_true(scene_pump(&scene));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_content_type_tells_grpc_from_http),
        cmocka_unit_test(an_http_request_arrives_as_it_was_sent),
        cmocka_unit_test(a_request_outlives_its_session),
        cmocka_unit_test(an_answer_to_head_tells_of_a_body_and_has_none),
        cmocka_unit_test(grpc_answers_success_in_trailers_and_an_error_without_a_message),
        cmocka_unit_test(what_is_no_unary_grpc_is_refused_without_the_api),
        cmocka_unit_test(a_compression_is_refused_whether_or_not_it_is_used),
        cmocka_unit_test(te_may_be_missing_and_host_may_stand_for_authority),
        cmocka_unit_test(a_malformed_connect_timeout_goes_up_as_a_defect),
        cmocka_unit_test(four_mib_are_taken_and_one_byte_more_goes_up_as_a_defect),
        cmocka_unit_test(an_early_answer_is_complete_before_the_stream_is_reset_without_error),
        cmocka_unit_test(headers_are_taken_up_to_their_limit),
    };
    return cmocka_run_group_tests_name("http2 server", tests, NULL, NULL);
}
