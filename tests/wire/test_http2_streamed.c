/* wire: streamed calls of a server's session of HTTP/2, against a peer that does as it is told. */
#include "http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIELDS_OF(path)                                                                            \
    ":method: POST\n:scheme: http\n:path: " path "\n:authority: a\n"                               \
    "te: trailers\ncontent-type: application/grpc\n"
#define STREAMED_FIELDS FIELDS_OF("/streamed")
#define UNARY_FIELDS FIELDS_OF("/unary")
#define ANSWER_HEAD ":status: 200\ncontent-type: application/grpc\n"

#define MESSAGE_MAX_BYTES 1000

static const struct base_bytes NOTHING = {NULL, 0};
static const struct wire_reply OK = {.grpc_status = BASE_CODE_OK};

struct scene {
    struct wire_server *server;
    struct peer peer;
    bool takes_all; /* each message is answered with itself, and the next one wanted */
    bool ends;      /* OK once the peer has half-closed */
    unsigned n_requests;
    uint32_t last_stream;
    bool last_streamed;
    unsigned n_messages;
    size_t message_bytes;
    char last_message[MESSAGE_MAX_BYTES + 1];
    unsigned n_half_closed;
    unsigned n_writable;
    unsigned n_cancelled;
};

static size_t on_streamed_message_max(void *user, struct base_text path)
{
    (void)user;
    return base_text_equal(path, BASE_TEXT("/streamed")) ? MESSAGE_MAX_BYTES : 0;
}

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct scene *scene = user;
    scene->n_requests++;
    scene->last_stream = stream;
    scene->last_streamed = request->streamed;
    if (!request->streamed) {
        wire_server_reply(scene->server, stream, &OK);
    }
    wire_request_release(request);
}

static void on_message(void *user, uint32_t stream, struct base_bytes message)
{
    struct scene *scene = user;
    scene->n_messages++;
    scene->message_bytes += message.length;
    assert_true(message.length <= MESSAGE_MAX_BYTES);
    if (message.length > 0) {
        memcpy(scene->last_message, message.bytes, message.length);
    }
    scene->last_message[message.length] = '\0';
    if (scene->takes_all) {
        wire_server_write(scene->server, stream, message);
        wire_server_next(scene->server, stream);
    }
}

static void on_half_closed(void *user, uint32_t stream)
{
    struct scene *scene = user;
    scene->n_half_closed++;
    if (scene->ends) {
        wire_server_reply(scene->server, stream, &OK);
    }
}

static void on_writable(void *user, uint32_t stream)
{
    struct scene *scene = user;
    (void)stream;
    scene->n_writable++;
}

static void on_cancelled(void *user, uint32_t stream)
{
    struct scene *scene = user;
    scene->n_cancelled++;
    /* Too late, and so ignored, all of them. */
    wire_server_write(scene->server, stream, NOTHING);
    wire_server_next(scene->server, stream);
    wire_server_begin(scene->server, stream, 0, NULL);
    wire_server_reply(scene->server, stream, &OK);
    assert_true(wire_server_writable(scene->server, stream));
}

static const struct wire_server_events EVENTS = {
    .request = on_request,
    .cancelled = on_cancelled,
    .streamed_message_max = on_streamed_message_max,
    .message = on_message,
    .half_closed = on_half_closed,
    .writable = on_writable,
};

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
}

static bool pump(struct scene *scene)
{
    return pump_server(scene->server, &scene->peer, 4096);
}

/* The peer sends more on a stream that it left open. */
static void send_more(struct scene *scene, int32_t id, struct base_bytes bytes, bool end)
{
    struct peer_stream *stream = peer_stream(&scene->peer, id);
    assert_int_equal(stream->to_send.length, 0);
    stream->to_send = bytes;
    stream->end_after = end;
    assert_int_equal(nghttp2_session_resume_data(scene->peer.session, id), 0);
}

static struct base_bytes literal(const char *bytes, size_t length)
{
    return (struct base_bytes){(const uint8_t *)bytes, length};
}
#define LITERAL(text) literal(text, sizeof(text) - 1)

/* --- messages in --- */

static void a_streamed_call_is_handed_over_with_its_headers(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, 1);
    assert_true(scene.last_streamed);
    assert_int_equal(wire_server_open_requests(scene.server), 1);
    assert_int_equal(wire_server_half_received(scene.server), 0);

    peer_request(&scene.peer, UNARY_FIELDS, LITERAL("\0\0\0\0\0"), true);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, 2);
    assert_false(scene.last_streamed);
    scene_close(&scene);
}

static void messages_come_one_at_a_time_as_they_are_wanted(void **state)
{
    (void)state;
    for (size_t chunk = 1; chunk < 100; chunk += 7) {
        struct scene scene;
        scene_open(&scene);
        peer_request(&scene.peer, STREAMED_FIELDS, LITERAL("\0\0\0\0\1a\0\0\0\0\0\0\0\0\0\2bc"),
                     true);
        assert_true(pump_server(scene.server, &scene.peer, chunk));
        assert_int_equal(scene.n_messages, 1);
        assert_string_equal(scene.last_message, "a");
        assert_int_equal(scene.n_half_closed, 0);
        wire_server_next(scene.server, scene.last_stream);
        assert_int_equal(scene.n_messages, 2);
        assert_string_equal(scene.last_message, "");
        assert_int_equal(scene.n_half_closed, 0);
        wire_server_next(scene.server, scene.last_stream);
        assert_int_equal(scene.n_messages, 3);
        assert_string_equal(scene.last_message, "bc");
        /* The end is told with the last message, and once. */
        assert_int_equal(scene.n_half_closed, 1);
        wire_server_next(scene.server, scene.last_stream);
        assert_int_equal(scene.n_half_closed, 1);
        assert_int_equal(scene.n_cancelled, 0);
        scene_close(&scene);
    }
}

static void what_is_sent_ahead_waits_within_the_streams_window(void **state)
{
    (void)state;
    /* 3,000 messages of the largest size: about three windows. */
    size_t message_bytes = 5 + MESSAGE_MAX_BYTES;
    size_t n_messages = 3000;
    uint8_t *bytes = calloc(n_messages, message_bytes);
    assert_non_null(bytes);
    for (size_t i = 0; i < n_messages; i++) {
        bytes[i * message_bytes + 3] = MESSAGE_MAX_BYTES >> 8;
        bytes[i * message_bytes + 4] = MESSAGE_MAX_BYTES & 0xFF;
    }
    struct scene scene;
    scene_open(&scene);
    int32_t id = peer_request(&scene.peer, STREAMED_FIELDS,
                              (struct base_bytes){bytes, n_messages * message_bytes}, true);
    assert_true(pump(&scene));
    uint32_t stream = scene.last_stream;
    assert_int_equal(scene.n_messages, 1);
    size_t taken = n_messages * message_bytes - peer_stream(&scene.peer, id)->to_send.length;
    assert_true(taken <= BASE_STREAM_WINDOW_BYTES + message_bytes);
    assert_true(wire_server_held_bytes(scene.server) >= BASE_STREAM_WINDOW_BYTES - message_bytes);
    assert_true(wire_server_held_bytes(scene.server) <= 2 * BASE_STREAM_WINDOW_BYTES + 4096);

    /* Meanwhile a full stream stands in nobody's way. */
    int32_t unary = peer_request(&scene.peer, UNARY_FIELDS, LITERAL("\0\0\0\0\0"), true);
    assert_true(pump(&scene));
    assert_true(peer_stream(&scene.peer, unary)->ended);

    for (size_t i = 1; i < n_messages; i++) {
        assert_int_equal(scene.n_messages, i);
        wire_server_next(scene.server, stream);
        assert_true(pump(&scene));
    }
    assert_int_equal(scene.n_messages, n_messages);
    assert_int_equal(scene.message_bytes, n_messages * MESSAGE_MAX_BYTES);
    assert_int_equal(scene.n_half_closed, 1);
    assert_true(wire_server_held_bytes(scene.server) < 4096);
    scene_close(&scene);
    free(bytes);
}

static void a_stream_may_carry_more_than_the_connections_window(void **state)
{
    (void)state;
    size_t message_bytes = 5 + MESSAGE_MAX_BYTES;
    size_t n_messages = 3 * BASE_CONNECTION_WINDOW_BYTES / 2 / message_bytes;
    uint8_t *bytes = calloc(n_messages, message_bytes);
    assert_non_null(bytes);
    for (size_t i = 0; i < n_messages; i++) {
        bytes[i * message_bytes + 3] = MESSAGE_MAX_BYTES >> 8;
        bytes[i * message_bytes + 4] = MESSAGE_MAX_BYTES & 0xFF;
    }
    struct scene scene;
    scene_open(&scene);
    scene.takes_all = true;
    scene.ends = true;
    int32_t id = peer_request(&scene.peer, STREAMED_FIELDS,
                              (struct base_bytes){bytes, n_messages * message_bytes}, true);
    assert_true(pump_server(scene.server, &scene.peer, 65536));
    assert_int_equal(scene.n_messages, n_messages);
    assert_int_equal(peer_stream(&scene.peer, id)->body.length, n_messages * message_bytes);
    assert_true(peer_stream(&scene.peer, id)->ended);
    scene_close(&scene);
    free(bytes);
}

static void what_is_no_message_ends_the_call(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        const char *bytes;
        size_t length;
        const char *answer;
    } rows[] = {
        {STREAMED_FIELDS, "\0\0\0\0\1a\1\0\0\0\1a", 12, "grpc-status: 13\n"},
        {STREAMED_FIELDS "grpc-encoding: identity\n", "\0\0\0\0\1a\1\0\0\0\1a", 12,
         "grpc-status: 13\n"},
        {STREAMED_FIELDS, "\2\0\0\0\0", 5, "grpc-status: 13\n"},
        {STREAMED_FIELDS, "\0\0\0\3\xE9", 5, "grpc-status: 8\n"}, /* 1001 */
        {STREAMED_FIELDS, "\0\0\0\0\3ab", 7, "grpc-status: 13\n"},
        {STREAMED_FIELDS, "\0\0\0", 3, "grpc-status: 13\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        scene_open(&scene);
        scene.takes_all = true;
        int32_t id =
            peer_request(&scene.peer, rows[i].fields,
                         (struct base_bytes){(const uint8_t *)rows[i].bytes, rows[i].length}, true);
        assert_true(pump(&scene));
        assert_int_equal(scene.n_cancelled, 1);
        assert_int_equal(wire_server_open_requests(scene.server), 0);
        const struct peer_stream *answer = peer_stream(&scene.peer, id);
        assert_non_null(strstr(answer->fields, rows[i].answer));
        assert_true(answer->ended);
        assert_int_equal(answer->body.length, rows[i].length == 12 ? 6 : 0);
        scene_close(&scene);
    }
}

static void a_message_of_the_largest_size_is_taken(void **state)
{
    (void)state;
    uint8_t bytes[5 + MESSAGE_MAX_BYTES] = {0, 0, 0, MESSAGE_MAX_BYTES >> 8,
                                            MESSAGE_MAX_BYTES & 0xFF};
    memset(bytes + 5, 'x', MESSAGE_MAX_BYTES);
    struct scene scene;
    scene_open(&scene);
    peer_request(&scene.peer, STREAMED_FIELDS, (struct base_bytes){bytes, sizeof bytes}, true);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_messages, 1);
    assert_int_equal(scene.message_bytes, MESSAGE_MAX_BYTES);
    scene_close(&scene);
}

/* --- messages out --- */

static void messages_go_both_ways_until_the_status(void **state)
{
    (void)state;
    for (size_t chunk = 1; chunk < 100; chunk += 11) {
        struct scene scene;
        scene_open(&scene);
        scene.takes_all = true;
        scene.ends = true;
        int32_t id = peer_request(&scene.peer, STREAMED_FIELDS, LITERAL("\0\0\0\0\1a"), false);
        assert_true(pump_server(scene.server, &scene.peer, chunk));
        struct peer_stream *answer = peer_stream(&scene.peer, id);
        assert_string_equal(answer->fields, ANSWER_HEAD);
        assert_int_equal(answer->body.length, 6);
        assert_false(answer->ended);
        send_more(&scene, id, LITERAL("\0\0\0\0\2bc"), true);
        assert_true(pump_server(scene.server, &scene.peer, chunk));
        assert_string_equal(answer->fields, ANSWER_HEAD "--\ngrpc-status: 0\n");
        assert_int_equal(answer->body.length, 13);
        assert_memory_equal(answer->body.bytes, "\0\0\0\0\1a\0\0\0\0\2bc", 13);
        assert_true(answer->ended);
        assert_int_equal(answer->reset_code, UINT32_MAX);
        assert_int_equal(scene.n_cancelled, 0);
        assert_int_equal(wire_server_open_requests(scene.server), 0);
        scene_close(&scene);
    }
}

static void each_end_has_its_form(void **state)
{
    (void)state;
    static const struct wire_header header = {{"x-header", 8}, {"h", 1}};
    static const struct wire_header trailer = {{"x-trailer", 9}, {"t", 1}};
    static const struct {
        enum base_code status;
        bool begun;
        bool message;
        const char *fields;
    } rows[] = {
        {BASE_CODE_OK, false, false, ANSWER_HEAD "--\ngrpc-status: 0\nx-trailer: t\n"},
        {BASE_CODE_OK, true, false, ANSWER_HEAD "x-header: h\n--\ngrpc-status: 0\nx-trailer: t\n"},
        {BASE_CODE_OK, false, true, ANSWER_HEAD "--\ngrpc-status: 0\nx-trailer: t\n"},
        {BASE_CODE_NOT_FOUND, false, false,
         ANSWER_HEAD "grpc-status: 5\ngrpc-message: no %C3%A4\nx-trailer: t\n"},
        {BASE_CODE_NOT_FOUND, true, true,
         ANSWER_HEAD "x-header: h\n--\ngrpc-status: 5\ngrpc-message: no %C3%A4\nx-trailer: t\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene;
        scene_open(&scene);
        int32_t id = peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
        assert_true(pump(&scene));
        if (rows[i].begun) {
            wire_server_begin(scene.server, scene.last_stream, 1, &header);
        }
        if (rows[i].message) {
            wire_server_write(scene.server, scene.last_stream, LITERAL("m"));
        }
        struct wire_reply reply = {.grpc_status = rows[i].status,
                                   .grpc_message = BASE_TEXT("no \xC3\xA4"),
                                   .n_trailers = 1,
                                   .trailers = &trailer};
        wire_server_reply(scene.server, scene.last_stream, &reply);
        assert_true(pump(&scene));
        const struct peer_stream *answer = peer_stream(&scene.peer, id);
        assert_string_equal(answer->fields, rows[i].fields);
        assert_int_equal(answer->body.length, rows[i].message ? 6 : 0);
        assert_true(answer->ended);
        /* The peer has not ended, and need not. */
        assert_int_equal(answer->reset_code, NGHTTP2_NO_ERROR);
        assert_int_equal(scene.n_cancelled, 0);
        scene_close(&scene);
    }
}

static void a_peer_that_does_not_read_is_not_written_to(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t id = peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
    assert_true(pump(&scene));
    uint8_t message[1019] = {0}; /* with its prefix 1024 */
    unsigned n_written = 0;
    static uint8_t out[1 << 20];
    size_t n_out = 0;
    /* The peer's window is 65,535 bytes: as much leaves, then as much as may waits. */
    for (unsigned i = 0; i < 1000; i++) {
        if (!wire_server_writable(scene.server, scene.last_stream)) {
            break;
        }
        wire_server_write(scene.server, scene.last_stream, LITERAL(""));
        wire_server_write(scene.server, scene.last_stream,
                          (struct base_bytes){message, sizeof message});
        n_written++;
        n_out += wire_server_send(scene.server, out + n_out, sizeof out - n_out);
    }
    size_t waits = n_written * (5 + 1024) - 65535;
    assert_true(waits >= BASE_STREAM_UNSENT_MAX_BYTES);
    assert_true(waits < BASE_STREAM_UNSENT_MAX_BYTES + 5 + 1024);
    assert_true(wire_server_held_bytes(scene.server) >= waits);
    assert_int_equal(scene.n_writable, 0);

    assert_true(peer_receive(&scene.peer, (struct base_bytes){out, n_out}));
    assert_true(pump(&scene));
    assert_int_equal(scene.n_writable, 1);
    assert_true(wire_server_writable(scene.server, scene.last_stream));
    assert_int_equal(peer_stream(&scene.peer, id)->body.length, n_written * (5 + 1024));
    wire_server_reply(scene.server, scene.last_stream, &OK);
    assert_true(pump(&scene));
    assert_true(peer_stream(&scene.peer, id)->ended);
    assert_int_equal(scene.n_writable, 1);
    scene_close(&scene);
}

static void what_was_written_leaves_before_the_status(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t id = peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
    assert_true(pump(&scene));
    /* Far more than the peer's window and what should wait: the session still holds it. */
    uint8_t *message = calloc(1, 300000);
    assert_non_null(message);
    wire_server_write(scene.server, scene.last_stream, (struct base_bytes){message, 300000});
    wire_server_reply(scene.server, scene.last_stream, &OK);
    assert_true(pump(&scene));
    const struct peer_stream *answer = peer_stream(&scene.peer, id);
    assert_int_equal(answer->body.length, 300005);
    assert_string_equal(answer->fields, ANSWER_HEAD "--\ngrpc-status: 0\n");
    scene_close(&scene);
    free(message);
}

/* --- ends --- */

static void a_reset_is_told_once(void **state)
{
    (void)state;
    for (unsigned written = 0; written < 2; written++) {
        struct scene scene;
        scene_open(&scene);
        int32_t id = peer_request(&scene.peer, STREAMED_FIELDS, LITERAL("\0\0\0\0\1a"), false);
        assert_true(pump(&scene));
        if (written > 0) {
            wire_server_write(scene.server, scene.last_stream, LITERAL("m"));
        }
        assert_int_equal(nghttp2_submit_rst_stream(scene.peer.session, 0, id, NGHTTP2_CANCEL), 0);
        assert_true(pump(&scene));
        assert_int_equal(scene.n_cancelled, 1);
        assert_int_equal(wire_server_open_requests(scene.server), 0);
        assert_int_equal(wire_server_held_bytes(scene.server), 0);
        scene_close(&scene);
    }
}

static void there_are_so_many_streamed_calls_and_no_more(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    for (unsigned i = 0; i < BASE_STREAMED_CALLS_MAX; i++) {
        peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
    }
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, BASE_STREAMED_CALLS_MAX);
    int32_t id = peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
    int32_t unary = peer_request(&scene.peer, UNARY_FIELDS, LITERAL("\0\0\0\0\0"), true);
    assert_true(pump(&scene));
    assert_non_null(strstr(peer_stream(&scene.peer, id)->fields, "grpc-status: 8\n"));
    assert_string_equal(peer_stream(&scene.peer, unary)->fields,
                        ANSWER_HEAD "--\ngrpc-status: 0\n");
    /* One that has ended makes room. */
    assert_int_equal(nghttp2_submit_rst_stream(scene.peer.session, 0, 1, NGHTTP2_CANCEL), 0);
    peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
    assert_true(pump(&scene));
    assert_int_equal(scene.n_requests, BASE_STREAMED_CALLS_MAX + 2);
    scene_close(&scene);
    assert_int_equal(scene.n_cancelled, 1);
}

static void a_drain_ends_with_the_last_streamed_call(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t id = peer_request(&scene.peer, STREAMED_FIELDS, NOTHING, false);
    assert_true(pump(&scene));
    wire_server_shutdown_notice(scene.server);
    assert_true(pump(&scene));
    wire_server_drain(scene.server);
    assert_true(pump(&scene));
    assert_false(wire_server_finished(scene.server));
    wire_server_write(scene.server, scene.last_stream, LITERAL("last"));
    struct wire_reply reply = {.grpc_status = BASE_CODE_UNAVAILABLE,
                               .grpc_message = BASE_TEXT("draining")};
    wire_server_reply(scene.server, scene.last_stream, &reply);
    (void)pump(&scene);
    assert_true(wire_server_finished(scene.server));
    const struct peer_stream *answer = peer_stream(&scene.peer, id);
    assert_int_equal(answer->body.length, 9);
    assert_non_null(strstr(answer->fields, "grpc-status: 14\n"));
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_streamed_call_is_handed_over_with_its_headers),
        cmocka_unit_test(messages_come_one_at_a_time_as_they_are_wanted),
        cmocka_unit_test(what_is_sent_ahead_waits_within_the_streams_window),
        cmocka_unit_test(a_stream_may_carry_more_than_the_connections_window),
        cmocka_unit_test(what_is_no_message_ends_the_call),
        cmocka_unit_test(a_message_of_the_largest_size_is_taken),
        cmocka_unit_test(messages_go_both_ways_until_the_status),
        cmocka_unit_test(each_end_has_its_form),
        cmocka_unit_test(a_peer_that_does_not_read_is_not_written_to),
        cmocka_unit_test(what_was_written_leaves_before_the_status),
        cmocka_unit_test(a_reset_is_told_once),
        cmocka_unit_test(there_are_so_many_streamed_calls_and_no_more),
        cmocka_unit_test(a_drain_ends_with_the_last_streamed_call),
    };
    return cmocka_run_group_tests_name("http2 streamed calls", tests, NULL, NULL);
}
