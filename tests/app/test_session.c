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
    scene->loop.mailbox_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    scene->connection.loop = &scene->loop;
    scene->session = app_session_handler.opened(&scene->sessions, &scene->connection);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_request_that_does_not_come_to_its_end_closes_its_connection, scene_open, scene_close),
        cmocka_unit_test_setup_teardown(a_connection_that_is_always_busy_is_not_closed, scene_open,
                                        scene_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
