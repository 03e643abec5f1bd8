/* wire: a server of HTTP/2 against clients that flood, break the protocol, or talk garbage. */
#include "http2_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    scene.reply = &scene_ok;
    int32_t id = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, true);
    assert_true(scene_pump(&scene));
    assert_string_equal(peer_stream(&scene.peer, id)->fields, OK_GRPC_ANSWER);
    scene_close(&scene);
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
        scene.reply = &scene_ok;
        int32_t before = peer_request(&scene.peer, GRPC_FIELDS, ONE_MESSAGE, false);
        assert_true(scene_pump(&scene));
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
        assert_true(scene_pump(&scene));
        struct base_bytes reset = {resets[i], 9 + (size_t)resets[i][2]};
        (void)!wire_server_receive(scene.server, reset);
        (void)scene_pump(&scene);
        assert_int_equal(scene.peer.n_goaways, 1);
        scene_close(&scene);
    }
}

static void a_flood_of_resets_ends_the_connection(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    bool open = wire_server_receive(scene.server, base_bytes_of(PREFACE));
    assert_true(open);
    /* However fast the clock runs, it gives back 10,000 resets a second: far fewer than these. */
    size_t n_resets = 0;
    while (open && n_resets < 5000000) {
        uint8_t bytes[64 * RESET_REQUEST_BYTES];
        for (size_t i = 0; i < 64; i++) {
            write_reset_request(bytes + i * RESET_REQUEST_BYTES, (uint32_t)(2 * n_resets++ + 1));
        }
        open = wire_server_receive(scene.server, (struct base_bytes){bytes, sizeof bytes});
        scene_discard(scene.server);
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
    bool open = wire_server_receive(scene.server, base_bytes_of(PREFACE));
    size_t n_broken = 0;
    while (open && n_broken < 3000) {
        uint8_t bytes[RESET_REQUEST_BYTES];
        write_reset_request(bytes, (uint32_t)(2 * n_broken++ + 1));
        bytes[RESET_REQUEST_SECOND_FRAME + 3] = NGHTTP2_WINDOW_UPDATE;
        memcpy(bytes + RESET_REQUEST_BYTES - 4, "\x7F\xFF\xFF\xFF", 4);
        open = wire_server_receive(scene.server, (struct base_bytes){bytes, sizeof bytes});
        scene_discard(scene.server);
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
        assert_true(scene_pump(&scene));
        bool open = wire_server_receive(scene.server, rows[i].frame);
        open = scene_pump(&scene) && open && wire_server_receive(scene.server, rows[i].frame);
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
    scene_discard(scene.server);
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

/* --- garbage --- */

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
        scene.server = wire_server_open(&scene_events, &scene);
        scene.reply = run % 2 == 0 ? &scene_ok : NULL;
        size_t piece = 1 + next_random(&random) % 64;
        bool open = true;
        for (size_t at = 0; at < valid.length && open; at += piece) {
            size_t left = valid.length - at;
            struct base_bytes part = {bytes + at, piece < left ? piece : left};
            open = wire_server_receive(scene.server, part);
            if (next_random(&random) % 4 == 0) {
                scene_discard(scene.server);
            }
        }
        if (open && next_random(&random) % 2 == 0) {
            (void)!wire_server_receive_end(scene.server);
        }
        scene_discard(scene.server);
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
        cmocka_unit_test(thousands_of_expired_deadlines_do_not_cost_the_connection),
        cmocka_unit_test(a_reset_of_a_stream_that_was_never_begun_costs_nothing),
        cmocka_unit_test(other_resets_of_no_stream_end_the_connection),
        cmocka_unit_test(a_flood_of_resets_ends_the_connection),
        cmocka_unit_test(a_flood_of_broken_frames_ends_the_connection),
        cmocka_unit_test(a_protocol_error_is_told_by_goaway_and_ends_the_session),
        cmocka_unit_test(a_preface_that_breaks_off_ends_the_session),
        cmocka_unit_test(changed_bytes_end_at_most_their_own_connection),
    };
    return cmocka_run_group_tests_name("http2 conduct", tests, NULL, NULL);
}
