/* A session of the server: which connections are closed for making no progress. The loop is one
 * without a thread, sockets or time. */
#include "app/session.h"
#include "net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND_NS INT64_C(1000000000)
#define PATIENCE_S (BASE_REQUEST_TIMEOUT_MS / 1000)
#define REQUEST "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
#define REQUEST_BEGUN 10 /* bytes of it */

struct scene {
    struct ledger_kinds kinds;
    struct app_sessions sessions;
    struct net_server server;
    struct net_loop loop;
    struct net_connection connection;
    void *session;
    int64_t now_ns;
};

static int scene_open(void **state)
{
    struct scene *scene = base_allocate_zeroed(1, sizeof *scene);
    struct api_options options = {.kinds = &scene->kinds, .clock = &base_clock_system};
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
    api_close(scene->sessions.api);
    (void)close(scene->loop.mailbox_fd);
    free(scene);
    return 0;
}

/* Bytes come, what they ask is answered, and the answer goes out. Gives the bytes sent. */
static size_t scene_receive(struct scene *scene, struct base_text text)
{
    assert_true(app_session_handler.received(scene->session, base_bytes_of(text)));
    net_loop_read_mailbox(&scene->loop);
    uint8_t buffer[4096];
    return app_session_handler.produce(scene->session, buffer, sizeof buffer);
}

/* A second passes, in which bytes came and went. */
static bool scene_tick(struct scene *scene)
{
    scene->now_ns += SECOND_NS;
    return app_session_handler.tick(scene->session, scene->now_ns, scene->now_ns, scene->now_ns);
}

static void a_request_that_does_not_come_to_its_end_closes_its_connection(void **state)
{
    struct scene *scene = *state;
    scene_receive(scene, BASE_TEXT("GET /livez"));
    assert_true(scene_tick(scene));
    for (int second = 0; second < PATIENCE_S; second++) {
        assert_true(scene_tick(scene));
        scene_receive(scene, BASE_TEXT("x")); /* that more of it comes changes nothing */
    }
    assert_false(scene_tick(scene));
}

/* At every tick some request is half received, and none of them for long. */
static void a_connection_that_is_always_busy_is_not_closed(void **state)
{
    struct scene *scene = *state;
    struct base_text request = BASE_TEXT(REQUEST);
    struct base_text begun = {request.bytes, REQUEST_BEGUN};
    struct base_text rest = {request.bytes + REQUEST_BEGUN, request.length - REQUEST_BEGUN};
    scene_receive(scene, begun);
    for (int second = 0; second < 3 * PATIENCE_S; second++) {
        assert_true(scene_tick(scene));
        assert_true(scene_receive(scene, rest) > 0);
        scene_receive(scene, begun);
    }
}

#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HTTP2_GREETING HTTP2_PREFACE "\0\0\0\4\0\0\0\0\0"

/* Time passes, in which nothing comes and nothing goes. */
static bool scene_tick_in_silence(struct scene *scene, int64_t passed_ms)
{
    int64_t last_ns = scene->now_ns;
    scene->now_ns += passed_ms * BASE_NS_PER_MS;
    return app_session_handler.tick(scene->session, scene->now_ns, last_ns, last_ns);
}

static void a_silent_http2_client_is_asked_and_then_given_up(void **state)
{
    struct scene *scene = *state;
    assert_true(scene_receive(scene, BASE_TEXT(HTTP2_GREETING)) > 0);
    assert_true(scene_tick_in_silence(scene, BASE_KEEPALIVE_AFTER_MS));
    uint8_t buffer[4096];
    assert_int_equal(app_session_handler.produce(scene->session, buffer, sizeof buffer), 0);
    int64_t last_ns = scene->now_ns - BASE_KEEPALIVE_AFTER_MS * BASE_NS_PER_MS;
    int64_t asked_ns = scene->now_ns + 1;
    assert_true(app_session_handler.tick(scene->session, asked_ns, last_ns, last_ns));
    /* A PING, of 8 bytes. */
    assert_int_equal(app_session_handler.produce(scene->session, buffer, sizeof buffer), 17);
    assert_int_equal(buffer[3], 6);
    int64_t late_ns = asked_ns + BASE_KEEPALIVE_TIMEOUT_MS * BASE_NS_PER_MS;
    assert_true(app_session_handler.tick(scene->session, late_ns, last_ns, asked_ns));
    /* Whoever has said something in time goes on; */
    assert_true(app_session_handler.tick(scene->session, late_ns + 1, late_ns, asked_ns));
    assert_int_equal(app_session_handler.produce(scene->session, buffer, sizeof buffer), 0);
    /* who says nothing the next time is given up. */
    asked_ns = late_ns + BASE_KEEPALIVE_AFTER_MS * BASE_NS_PER_MS + 1;
    assert_true(app_session_handler.tick(scene->session, asked_ns, late_ns, late_ns));
    assert_int_equal(app_session_handler.produce(scene->session, buffer, sizeof buffer), 17);
    late_ns = asked_ns + BASE_KEEPALIVE_TIMEOUT_MS * BASE_NS_PER_MS;
    assert_false(app_session_handler.tick(scene->session, late_ns + 1, asked_ns - 1, asked_ns));
}

static void a_silent_http1_client_is_given_up(void **state)
{
    struct scene *scene = *state;
    assert_true(scene_receive(scene, BASE_TEXT(REQUEST)) > 0);
    assert_true(scene_tick_in_silence(scene, BASE_IDLE_TIMEOUT_MS));
    assert_false(scene_tick_in_silence(scene, BASE_IDLE_TIMEOUT_MS + 1));
}

/* A call that is not answered as long as nobody reads the mailbox. */
static void scene_begin_call(struct scene *scene, uint8_t stream)
{
    const uint8_t frame[] = {0,   0,   16,  1,   5,   0,   0, 0, stream, 0x82, 0x86, 4,  6,
                             '/', 'l', 'i', 'v', 'e', 'z', 1, 4, 'h',    'o',  's',  't'};
    assert_true(
        app_session_handler.received(scene->session, (struct base_bytes){frame, sizeof frame}));
}

static void who_has_many_calls_under_way_is_busy(void **state)
{
    struct scene *scene = *state;
    assert_true(scene_receive(scene, BASE_TEXT(HTTP2_GREETING)) > 0);
    for (uint8_t i = 0; i < BASE_QUIET_REQUESTS_MAX; i++) {
        scene_begin_call(scene, (uint8_t)(2 * i + 1));
    }
    assert_false(app_session_handler.busy(scene->session));
    scene_begin_call(scene, 2 * BASE_QUIET_REQUESTS_MAX + 1);
    assert_true(app_session_handler.busy(scene->session));
    net_loop_read_mailbox(&scene->loop);
    assert_false(app_session_handler.busy(scene->session));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_request_that_does_not_come_to_its_end_closes_its_connection, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(who_has_many_calls_under_way_is_busy, scene_open,
                                        scene_close),
        cmocka_unit_test_setup_teardown(a_silent_http2_client_is_asked_and_then_given_up,
                                        scene_open, scene_close),
        cmocka_unit_test_setup_teardown(a_silent_http1_client_is_given_up, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(a_connection_that_is_always_busy_is_not_closed, scene_open,
                                        scene_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
