/* wire: how streams and sessions of a server of HTTP/2 end. */
#include "http2_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- giving up and ending --- */

static void a_stream_that_the_peer_resets_is_told_once_and_only_while_it_waits(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    int32_t half = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, false);
    assert_true(scene_pump(&scene));
    assert_true(wire_server_half_received(scene.server));
    assert_true(wire_server_held_bytes(scene.server) > 0);
    nghttp2_submit_rst_stream(scene.peer.session, 0, half, NGHTTP2_CANCEL);
    assert_true(scene_pump(&scene));
    assert_false(wire_server_half_received(scene.server));
    assert_int_equal(wire_server_held_bytes(scene.server), 0);
    assert_int_equal(scene.n_requests + scene.n_cancelled, 0);

    int32_t whole = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(scene_pump(&scene));
    assert_int_equal(wire_server_open_requests(scene.server), 1);
    nghttp2_submit_rst_stream(scene.peer.session, 0, whole, NGHTTP2_CANCEL);
    assert_true(scene_pump(&scene));
    assert_int_equal(scene.n_cancelled, 1);
    assert_int_equal(wire_server_open_requests(scene.server), 0);
    assert_string_equal(peer_stream(&scene.peer, whole)->fields, "");

    struct base_bytes large = scene_make_body(false, 2u << 20);
    struct wire_reply reply = {.body = large};
    scene.reply = &reply;
    int32_t answered = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    nghttp2_session_set_local_window_size(scene.peer.session, 0, 0, 1000);
    assert_true(pump_server(scene.server, &scene.peer, 16));
    nghttp2_submit_rst_stream(scene.peer.session, 0, answered, NGHTTP2_CANCEL);
    assert_true(scene_pump(&scene));
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
    assert_true(scene_pump(&scene));
    static const uint32_t strangers[] = {0, 2, 3, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        wire_server_reply(scene.server, strangers[i], &scene_ok);
    }
    wire_server_reply(scene.server, (uint32_t)id, &scene_ok);
    wire_server_reply(scene.server, (uint32_t)id, &scene_ok);
    assert_true(scene_pump(&scene));
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
    assert_true(scene_pump(&scene));
    wire_server_shutdown_notice(scene.server);
    /* Sent before the notice has arrived. */
    int32_t second = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(scene_pump(&scene));
    assert_int_equal(scene.n_requests, 2);
    assert_int_equal(scene.peer.n_goaways, 1);
    assert_int_equal(scene.peer.goaway_last_stream, INT32_MAX);
    assert_false(wire_server_finished(scene.server));

    wire_server_drain(scene.server);
    wire_server_drain(scene.server);
    assert_true(scene_pump(&scene));
    assert_int_equal(scene.peer.n_goaways, 2);
    assert_int_equal(scene.peer.goaway_last_stream, second);
    assert_int_equal(scene.peer.goaway_code, NGHTTP2_NO_ERROR);
    wire_server_reply(scene.server, (uint32_t)first, &scene_ok);
    assert_true(scene_pump(&scene));
    assert_false(wire_server_finished(scene.server));
    wire_server_reply(scene.server, (uint32_t)second, &scene_ok);
    assert_false(wire_server_finished(scene.server));
    (void)!scene_pump(&scene);
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
    assert_true(scene_pump(&scene));
    assert_false(wire_server_finished(scene.server));
    wire_server_drain(scene.server);
    assert_false(wire_server_finished(scene.server));
    (void)!scene_pump(&scene);
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

static void the_peers_end_ends_the_session(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(scene_pump(&scene));
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
    assert_true(scene_pump(&scene));
    assert_int_equal(scene.peer.n_ping_acks, 1);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_that_the_peer_resets_is_told_once_and_only_while_it_waits),
        cmocka_unit_test(replies_that_nobody_waits_for_are_ignored),
        cmocka_unit_test(the_notice_takes_what_still_comes_and_the_drain_ends_with_the_last_answer),
        cmocka_unit_test(an_idle_connection_is_finished_once_the_drain_is_sent),
        cmocka_unit_test(the_peers_end_ends_the_session),
        cmocka_unit_test(a_ping_is_answered),
    };
    return cmocka_run_group_tests_name("http2 lifetime", tests, NULL, NULL);
}
