/* Streamed calls of a connection, from the bytes of a client to those of the answer. The loop is
 * one without a thread, sockets or time. */
#include "app/session.h"
#include "net/loop.h"
#include "store/memory/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS INT64_C(1000000000)
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define WATCH "/grpc.health.v1.Health/Watch"
#define REFLECTION "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

enum frame_type { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4 };
#define END_STREAM 1
#define END_HEADERS 4

struct scene {
    struct ledger_kinds kinds;
    struct store *store;
    struct app_sessions sessions;
    struct net_server server;
    struct net_loop loop;
    struct net_connection connection;
    void *session;
    int64_t now_ns;
    struct base_writer output; /* all that was sent, until it is looked at */
};

static int scene_open(void **state)
{
    struct scene *scene = base_allocate_zeroed(1, sizeof *scene);
    scene->store = store_memory_open(&scene->kinds);
    struct api_options options = {
        .store = scene->store, .kinds = &scene->kinds, .clock = &base_clock_system};
    scene->sessions.api = api_open(&options);
    scene->loop.server = &scene->server;
    scene->server.options.handler = &app_session_handler;
    scene->loop.mailbox_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    scene->connection.loop = &scene->loop;
    scene->session = app_session_handler.opened(&scene->sessions, &scene->connection);
    scene->connection.session = scene->session;
    scene->now_ns = SECOND_NS;
    *state = scene;
    return 0;
}

static int scene_close(void **state)
{
    struct scene *scene = *state;
    app_session_handler.closed(scene->session);
    /* Whatever a call held is given back. */
    assert_int_equal(atomic_load(&scene->server.inflight_bytes), 0);
    api_close(scene->sessions.api);
    store_close(scene->store);
    base_writer_release(&scene->output);
    (void)close(scene->loop.mailbox_fd);
    free(scene);
    return 0;
}

static void collect(struct scene *scene)
{
    uint8_t buffer[4096];
    size_t length;
    net_loop_read_mailbox(&scene->loop);
    while ((length = app_session_handler.produce(scene->session, buffer, sizeof buffer)) > 0) {
        base_write_bytes(&scene->output, (struct base_bytes){buffer, length});
    }
}

static void receive(struct scene *scene, struct base_bytes bytes)
{
    assert_true(app_session_handler.received(scene->session, bytes));
    collect(scene);
}

/* --- a client's frames --- */

static void send_frame(struct scene *scene, enum frame_type type, uint8_t flags, uint8_t stream,
                       struct base_bytes payload)
{
    struct base_writer frame = {NULL, 0, 0};
    const uint8_t head[9] = {0,
                             (uint8_t)(payload.length >> 8),
                             (uint8_t)payload.length,
                             (uint8_t)type,
                             flags,
                             0,
                             0,
                             0,
                             stream};
    base_write_bytes(&frame, (struct base_bytes){head, sizeof head});
    base_write_bytes(&frame, payload);
    receive(scene, base_writer_bytes(&frame));
    base_writer_release(&frame);
}

/* `settings`: the payload of the first frame. */
static void greet(struct scene *scene, struct base_text settings)
{
    receive(scene, base_bytes_of(BASE_TEXT(PREFACE)));
    send_frame(scene, SETTINGS, 0, 0, base_bytes_of(settings));
}

static void begin_call(struct scene *scene, uint8_t stream, const char *path)
{
    const char *const fields[][2] = {{":method", "POST"}, {":scheme", "http"},
                                     {":path", path},     {":authority", "a"},
                                     {"te", "trailers"},  {"content-type", "application/grpc"}};
    struct base_writer block = {NULL, 0, 0};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        base_write_u8(&block, 0); /* literal, without indexing, without Huffman */
        for (size_t part = 0; part < 2; part++) {
            struct base_text text = base_text_of(fields[i][part]);
            base_write_u8(&block, (uint8_t)text.length);
            base_write_bytes(&block, base_bytes_of(text));
        }
    }
    send_frame(scene, HEADERS, END_HEADERS, stream, base_writer_bytes(&block));
    base_writer_release(&block);
}

static void send_message(struct scene *scene, uint8_t stream, struct base_text message, bool end)
{
    struct base_writer data = {NULL, 0, 0};
    const uint8_t prefix[5] = {0, 0, 0, 0, (uint8_t)message.length};
    base_write_bytes(&data, (struct base_bytes){prefix, sizeof prefix});
    base_write_bytes(&data, base_bytes_of(message));
    send_frame(scene, DATA, end ? END_STREAM : 0, stream, base_writer_bytes(&data));
    base_writer_release(&data);
}

/* --- what came back --- */

/* The frames of that type on that stream since the last look, and whether one ended the stream. */
static size_t count_frames(struct scene *scene, enum frame_type type, uint8_t stream,
                           bool *ret_ended)
{
    struct base_reader reader = base_reader_of(base_writer_bytes(&scene->output));
    size_t count = 0;
    *ret_ended = false;
    while (reader.at < reader.end) {
        struct base_bytes head = base_read_bytes(&reader, 9);
        size_t length = (size_t)head.bytes[0] << 16 | (size_t)head.bytes[1] << 8 | head.bytes[2];
        (void)base_read_bytes(&reader, length);
        assert_false(reader.failed);
        if (head.bytes[8] == stream && head.bytes[3] == (uint8_t)type) {
            count++;
            *ret_ended = *ret_ended || (head.bytes[4] & END_STREAM) != 0;
        }
    }
    return count;
}

/* How often a status was told since the last look. */
static size_t count_told(const struct scene *scene, uint8_t status)
{
    const uint8_t wanted[7] = {0, 0, 0, 0, 2, 8, status};
    size_t count = 0;
    for (size_t i = 0; i + sizeof wanted <= scene->output.length; i++) {
        count += memcmp(scene->output.bytes + i, wanted, sizeof wanted) == 0 ? 1 : 0;
    }
    return count;
}

static void forget(struct scene *scene)
{
    scene->output.length = 0;
}

/* A second passes, after the given silence. */
static bool tick(struct scene *scene, int64_t silence_ms)
{
    int64_t last_ns = scene->now_ns;
    scene->now_ns += silence_ms * BASE_NS_PER_MS;
    bool open = app_session_handler.tick(scene->session, scene->now_ns, last_ns, last_ns);
    collect(scene);
    return open;
}

/* --- tests --- */

static void a_watcher_hears_of_a_change_within_a_tick(void **state)
{
    struct scene *scene = *state;
    greet(scene, BASE_TEXT(""));
    begin_call(scene, 1, WATCH);
    assert_int_equal(count_told(scene, 1), 0);
    send_message(scene, 1, BASE_TEXT(""), true);
    assert_int_equal(count_told(scene, 1), 1);
    assert_true(atomic_load(&scene->server.inflight_bytes) > 0);
    forget(scene);
    assert_true(tick(scene, 1000));
    assert_int_equal(scene->output.length, 0);
    api_set_draining(scene->sessions.api);
    assert_true(tick(scene, 1000));
    assert_int_equal(count_told(scene, 2), 1);
    forget(scene);
    assert_true(tick(scene, 1000));
    assert_int_equal(scene->output.length, 0);
}

static void a_drain_is_told_at_once_and_ends_every_call(void **state)
{
    struct scene *scene = *state;
    greet(scene, BASE_TEXT(""));
    begin_call(scene, 1, WATCH);
    send_message(scene, 1, BASE_TEXT(""), true);
    begin_call(scene, 3, REFLECTION);
    begin_call(scene, 5, WATCH); /* which has not said what it watches */
    forget(scene);
    api_set_draining(scene->sessions.api);
    app_session_handler.drain(scene->session, false);
    collect(scene);
    assert_int_equal(count_told(scene, 2), 1);
    assert_false(app_session_handler.finished(scene->session));
    app_session_handler.drain(scene->session, true);
    collect(scene);
    for (uint8_t stream = 1; stream <= 5; stream += 2) {
        bool ended;
        assert_int_equal(count_frames(scene, HEADERS, stream, &ended), 1);
        assert_true(ended);
    }
    assert_true(app_session_handler.finished(scene->session));
    assert_int_equal(atomic_load(&scene->server.inflight_bytes), 0);
}

static void a_call_that_is_given_up_holds_nothing(void **state)
{
    struct scene *scene = *state;
    greet(scene, BASE_TEXT(""));
    begin_call(scene, 1, WATCH);
    send_message(scene, 1, BASE_TEXT(""), false);
    begin_call(scene, 3, REFLECTION);
    send_frame(scene, RST_STREAM, 0, 1, base_bytes_of((struct base_text){"\0\0\0\10", 4}));
    send_frame(scene, RST_STREAM, 0, 3, base_bytes_of((struct base_text){"\0\0\0\10", 4}));
    assert_int_equal(atomic_load(&scene->server.inflight_bytes), 0);
    forget(scene);
    api_set_draining(scene->sessions.api);
    assert_true(tick(scene, 1000));
    assert_int_equal(scene->output.length, 0);
}

static void requests_that_are_sent_ahead_are_answered_in_order(void **state)
{
    struct scene *scene = *state;
    greet(scene, BASE_TEXT(""));
    begin_call(scene, 1, REFLECTION);
    forget(scene);
    /* Three lists of services in one frame, behind them a message that is none. */
    send_frame(scene, DATA, 0, 1,
               base_bytes_of(BASE_TEXT("\0\0\0\0\2\72\0\0\0\0\0\2\72\0\0\0\0\0\2\72\0"
                                       "\0\0\0\0\1\xff")));
    bool ended;
    assert_int_equal(count_frames(scene, HEADERS, 1, &ended), 2);
    assert_true(ended);
    size_t n_lists = 0;
    struct base_text name = BASE_TEXT("zandaka.v1.BalanceService");
    for (size_t i = 0; i + name.length <= scene->output.length; i++) {
        n_lists += memcmp(scene->output.bytes + i, name.bytes, name.length) == 0 ? 1 : 0;
    }
    assert_int_equal(n_lists, 3);
    assert_int_equal(atomic_load(&scene->server.inflight_bytes), 0);
}

static void a_watcher_that_does_not_read_is_given_up_and_a_quiet_one_is_not(void **state)
{
    struct scene *scene = *state;
    /* SETTINGS_INITIAL_WINDOW_SIZE 0: nothing may be sent on a stream. */
    greet(scene, BASE_TEXT("\0\4\0\0\0\0"));
    begin_call(scene, 1, WATCH);
    assert_true(tick(scene, BASE_REQUEST_TIMEOUT_MS + 1));
    send_message(scene, 1, BASE_TEXT(""), true);
    assert_int_equal(count_told(scene, 1), 0);
    assert_true(tick(scene, BASE_REQUEST_TIMEOUT_MS));
    assert_false(tick(scene, BASE_REQUEST_TIMEOUT_MS + 1));
}

static bool was_sent(const struct scene *scene, const char *text)
{
    struct base_bytes sent = base_writer_bytes(&scene->output);
    return memmem(sent.bytes, sent.length, text, strlen(text)) != NULL;
}

static void what_is_no_message_counts_by_the_status_that_was_told(void **state)
{
    struct scene *scene = *state;
    greet(scene, BASE_TEXT(""));
    begin_call(scene, 1, WATCH);
    send_frame(scene, DATA, 0, 1, base_bytes_of(BASE_TEXT("\2\0\0\0\0")));
    /* GET of /metrics, by HPACK's static table. */
    send_frame(scene, HEADERS, END_HEADERS | END_STREAM, 3,
               base_bytes_of(BASE_TEXT("\x82\x86\x01\x01"
                                       "a\x04\x08/metrics")));
    assert_true(was_sent(scene, "grpc_method=\"Watch\",grpc_code=\"Internal\"} 1\n"));
    assert_false(was_sent(scene, "grpc_method=\"Watch\",grpc_code=\"Canceled\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_watcher_hears_of_a_change_within_a_tick, scene_open,
                                        scene_close),
        cmocka_unit_test_setup_teardown(a_drain_is_told_at_once_and_ends_every_call, scene_open,
                                        scene_close),
        cmocka_unit_test_setup_teardown(what_is_no_message_counts_by_the_status_that_was_told,
                                        scene_open, scene_close),
        cmocka_unit_test_setup_teardown(a_call_that_is_given_up_holds_nothing, scene_open,
                                        scene_close),
        cmocka_unit_test_setup_teardown(requests_that_are_sent_ahead_are_answered_in_order,
                                        scene_open, scene_close),
        cmocka_unit_test_setup_teardown(
            a_watcher_that_does_not_read_is_given_up_and_a_quiet_one_is_not, scene_open,
            scene_close),
    };
    return cmocka_run_group_tests_name("streamed calls of a connection", tests, NULL, NULL);
}
