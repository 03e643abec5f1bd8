/* wire: calls of a client's session that are answered by a stream, and calls that are given up,
 * against our server's session. */
#include "http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGE_MAX_BYTES 100000

static const struct base_bytes NOTHING = {NULL, 0};

/* What came of one call. */
struct told {
    unsigned n_messages;
    size_t n_bytes;
    char shapes[200]; /* `length:first byte ` of each message */
    unsigned n_answers;
    int grpc_status;
    char message[200];
};

struct scene {
    struct wire_server *server;
    struct wire_client *client;
    uint32_t stream; /* the last that came */
    unsigned n_cancelled;
};

static void on_message(void *user, void *call_user, struct base_bytes message)
{
    (void)user;
    struct told *told = call_user;
    assert_int_equal(told->n_answers, 0);
    told->n_messages++;
    told->n_bytes += message.length;
    size_t used = strlen(told->shapes);
    (void)snprintf(told->shapes + used, sizeof told->shapes - used, "%zu:%c ", message.length,
                   message.length > 0 ? message.bytes[0] : '-');
}

static void on_response(void *user, void *call_user, const struct wire_response *response)
{
    (void)user;
    struct told *told = call_user;
    told->n_answers++;
    told->grpc_status = response->grpc_status;
    assert_int_equal(response->body.length, 0);
    (void)snprintf(told->message, sizeof told->message, "%.*s", BASE_TEXT_ARGS(response->message));
}

static size_t on_streamed_message_max(void *user, struct base_text path)
{
    (void)user;
    (void)path;
    return MESSAGE_MAX_BYTES;
}

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    ((struct scene *)user)->stream = stream;
    wire_request_release(request);
}

static void on_server_message(void *user, uint32_t stream, struct base_bytes message)
{
    (void)user;
    (void)stream;
    (void)message;
}

static void on_stream_event(void *user, uint32_t stream)
{
    (void)user;
    (void)stream;
}

static void on_cancelled(void *user, uint32_t stream)
{
    (void)stream;
    ((struct scene *)user)->n_cancelled++;
}

static const struct wire_client_events CLIENT_EVENTS = {.response = on_response,
                                                        .message = on_message};
static const struct wire_server_events SERVER_EVENTS = {.request = on_request,
                                                        .cancelled = on_cancelled,
                                                        .streamed_message_max =
                                                            on_streamed_message_max,
                                                        .message = on_server_message,
                                                        .half_closed = on_stream_event,
                                                        .writable = on_stream_event};

static void scene_open(struct scene *scene, size_t chunk)
{
    *scene = (struct scene){.n_cancelled = 0};
    scene->server = wire_server_open(&SERVER_EVENTS, scene);
    scene->client = wire_client_open(&CLIENT_EVENTS, scene, BASE_TEXT("127.0.0.1:1"), false);
    assert_true(pump_pair(scene->client, scene->server, chunk));
}

static void scene_close(struct scene *scene)
{
    wire_client_close(scene->client);
    wire_server_close(scene->server);
}

static void begin(struct scene *scene, struct told *told, size_t message_max, size_t chunk)
{
    struct wire_call call = {.path = BASE_TEXT("/a/Stream"),
                             .message = NOTHING,
                             .timeout_ns = -1,
                             .streamed_message_max = message_max};
    assert_true(wire_client_call(scene->client, &call, told));
    assert_true(pump_pair(scene->client, scene->server, chunk));
}

static void write_message(struct scene *scene, char filling, size_t length)
{
    uint8_t *bytes = base_allocate(length + 1);
    memset(bytes, filling, length);
    wire_server_write(scene->server, scene->stream, (struct base_bytes){bytes, length});
    free(bytes);
}

static void messages_come_one_by_one_however_the_bytes_are_cut(void **state)
{
    (void)state;
    const size_t chunks[] = {1, 7, 4096, 65536};
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        struct scene scene;
        struct told told = {.n_messages = 0};
        scene_open(&scene, chunks[i]);
        begin(&scene, &told, MESSAGE_MAX_BYTES, chunks[i]);
        write_message(&scene, 'a', 1);
        assert_true(pump_pair(scene.client, scene.server, chunks[i]));
        assert_int_equal(told.n_messages, 1); /* before the stream has ended */
        write_message(&scene, 'b', 0);
        write_message(&scene, 'c', 70000);
        write_message(&scene, 'd', 3);
        struct wire_reply reply = {.grpc_status = BASE_CODE_OK};
        wire_server_reply(scene.server, scene.stream, &reply);
        assert_true(pump_pair(scene.client, scene.server, chunks[i]));
        assert_string_equal(told.shapes, "1:a 0:- 70000:c 3:d ");
        assert_int_equal(told.n_answers, 1);
        assert_int_equal(told.grpc_status, 0);
        assert_int_equal(wire_client_open_calls(scene.client), 0);
        scene_close(&scene);
    }
}

static void a_stream_may_be_empty_and_may_fail_behind_its_messages(void **state)
{
    (void)state;
    struct scene scene;
    struct told empty = {.n_messages = 0};
    struct told failed = {.n_messages = 0};
    scene_open(&scene, 4096);
    begin(&scene, &empty, MESSAGE_MAX_BYTES, 4096);
    wire_server_begin(scene.server, scene.stream, 0, NULL);
    struct wire_reply reply = {.grpc_status = BASE_CODE_OK};
    wire_server_reply(scene.server, scene.stream, &reply);
    assert_true(pump_pair(scene.client, scene.server, 4096));
    assert_int_equal(empty.n_answers, 1);
    assert_int_equal(empty.grpc_status, 0);
    assert_int_equal(empty.n_messages, 0);

    begin(&scene, &failed, MESSAGE_MAX_BYTES, 4096);
    write_message(&scene, 'a', 5);
    reply = (struct wire_reply){.grpc_status = BASE_CODE_UNAVAILABLE,
                                .grpc_message = BASE_TEXT("later")};
    wire_server_reply(scene.server, scene.stream, &reply);
    assert_true(pump_pair(scene.client, scene.server, 4096));
    assert_int_equal(failed.n_messages, 1);
    assert_int_equal(failed.grpc_status, BASE_CODE_UNAVAILABLE);
    assert_string_equal(failed.message, "later");
    scene_close(&scene);
}

static void a_message_beyond_what_the_call_takes_ends_it_and_no_other(void **state)
{
    (void)state;
    struct scene scene;
    struct told small = {.n_messages = 0};
    struct told other = {.n_messages = 0};
    scene_open(&scene, 4096);
    begin(&scene, &other, MESSAGE_MAX_BYTES, 4096);
    uint32_t other_stream = scene.stream;
    begin(&scene, &small, 10, 4096);
    write_message(&scene, 'a', 10);
    write_message(&scene, 'b', 11);
    assert_true(pump_pair(scene.client, scene.server, 4096));
    assert_string_equal(small.shapes, "10:a ");
    assert_int_equal(small.n_answers, 1);
    assert_int_equal(small.grpc_status, -1);
    assert_string_equal(small.message, "the response's message is larger than agreed");
    assert_int_equal(scene.n_cancelled, 1);

    scene.stream = other_stream;
    write_message(&scene, 'c', 11);
    assert_true(pump_pair(scene.client, scene.server, 4096));
    assert_string_equal(other.shapes, "11:c ");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_one_by_one_however_the_bytes_are_cut),
        cmocka_unit_test(a_stream_may_be_empty_and_may_fail_behind_its_messages),
        cmocka_unit_test(a_message_beyond_what_the_call_takes_ends_it_and_no_other),
    };
    return cmocka_run_group_tests_name("http2 client streams", tests, NULL, NULL);
}
