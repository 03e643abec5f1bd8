/* wire: a server of HTTP/2 against a client that sends frames made by hand: idle ones, pings, what
 * comes late, and header blocks that do not end. */
#include "http2_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STILL_OPEN UINT32_MAX

/* Takes what the session says. Gives the code of the GOAWAY in it, or STILL_OPEN. */
static uint32_t end_told(struct wire_server *server)
{
    struct base_writer said = {NULL, 0, 0};
    uint8_t buffer[4096];
    size_t length;
    while ((length = wire_server_send(server, buffer, sizeof buffer)) > 0) {
        base_write_bytes(&said, (struct base_bytes){buffer, length});
    }
    uint32_t code = STILL_OPEN;
    for (size_t at = 0; at + 9 <= said.length;) {
        const uint8_t *frame = said.bytes + at;
        if (frame[3] == NGHTTP2_GOAWAY) {
            code = (uint32_t)frame[13] << 24 | (uint32_t)frame[14] << 16 |
                   (uint32_t)frame[15] << 8 | frame[16];
        }
        at += 9 + ((size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2]);
    }
    base_writer_release(&said);
    return code;
}

/* Sends one frame. Gives how the session ended with it, or STILL_OPEN. */
static uint32_t send_frame(struct scene *scene, uint8_t type, uint8_t flags, uint32_t stream,
                           struct base_text payload)
{
    uint8_t frame[9 + 8192] = {(uint8_t)(payload.length >> 16),
                               (uint8_t)(payload.length >> 8),
                               (uint8_t)payload.length,
                               type,
                               flags,
                               (uint8_t)(stream >> 24),
                               (uint8_t)(stream >> 16),
                               (uint8_t)(stream >> 8),
                               (uint8_t)stream};
    assert_true(payload.length <= sizeof frame - 9);
    if (payload.length > 0) {
        memcpy(frame + 9, payload.bytes, payload.length);
    }
    bool open = wire_server_receive(scene->server, (struct base_bytes){frame, 9 + payload.length});
    uint32_t code = end_told(scene->server);
    assert_int_equal(wire_server_finished(scene->server), code != STILL_OPEN);
    if (code != STILL_OPEN && open) {
        assert_false(wire_server_receive(scene->server, (struct base_bytes){frame, 9}));
    }
    return code;
}

/* `POST http //a/`, by HPACK's static table. */
#define POST_BLOCK                                                                                 \
    BASE_TEXT("\x83\x86\x84\x01\x01"                                                               \
              "a")
#define END_STREAM NGHTTP2_FLAG_END_STREAM
#define END_HEADERS NGHTTP2_FLAG_END_HEADERS

static void scene_greet(struct scene *scene)
{
    scene_open(scene);
    assert_true(wire_server_receive(scene->server, base_bytes_of(PREFACE)));
    assert_true(end_told(scene->server) == STILL_OPEN);
}

static const struct {
    const char *name;
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    struct base_text payload;
} idle_frames[] = {
    {"SETTINGS", NGHTTP2_SETTINGS, 0, 0, {"", 0}},
    {"WINDOW_UPDATE", NGHTTP2_WINDOW_UPDATE, 0, 0, {"\0\0\0\1", 4}},
    {"WINDOW_UPDATE of a stream", NGHTTP2_WINDOW_UPDATE, 0, 1, {"\0\0\0\1", 4}},
    {"PRIORITY", NGHTTP2_PRIORITY, 0, 1, {"\0\0\0\0\7", 5}},
    {"an unknown frame", 0x77, 0, 0, {"whatever", 8}},
    {"DATA without data", NGHTTP2_DATA, 0, 1, {"", 0}},
    {"DATA with padding only", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, {"\3\0\0\0", 4}},
};

static uint32_t send_idle_frame(struct scene *scene, size_t row)
{
    return send_frame(scene, idle_frames[row].type, idle_frames[row].flags, idle_frames[row].stream,
                      idle_frames[row].payload);
}

static void frames_that_ask_for_nothing_are_taken_up_to_a_limit(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof idle_frames / sizeof idle_frames[0]; row++) {
        struct scene scene;
        scene_greet(&scene);
        assert_true(send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS, 1, POST_BLOCK) == STILL_OPEN);
        for (size_t i = 0; i < BASE_IDLE_FRAMES_MAX; i++) {
            if (send_idle_frame(&scene, row) != STILL_OPEN) {
                fail_msg("%s: ended by number %zu", idle_frames[row].name, i);
            }
        }
        if (send_idle_frame(&scene, row) != NGHTTP2_ENHANCE_YOUR_CALM) {
            fail_msg("%s: one more was taken", idle_frames[row].name);
        }
        scene_close(&scene);
    }
}

static void a_request_forgives_the_frames_before_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    for (uint32_t stream = 1; stream < 11; stream += 2) {
        for (size_t i = 1; i < BASE_IDLE_FRAMES_MAX; i++) {
            assert_true(send_idle_frame(&scene, i % 2) == STILL_OPEN);
        }
        assert_true(send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS, stream, POST_BLOCK) ==
                    STILL_OPEN);
    }
    scene_close(&scene);
}

static void an_answer_forgives_the_frames_before_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    scene.reply = &scene_ok;
    for (uint32_t stream = 1; stream < 21; stream += 2) {
        for (size_t i = 1; i < BASE_IDLE_FRAMES_MAX; i++) {
            assert_true(send_idle_frame(&scene, i % 2) == STILL_OPEN);
        }
        assert_true(send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS | END_STREAM, stream,
                               POST_BLOCK) == STILL_OPEN);
    }
    assert_int_equal(scene.n_requests, 10);
    scene_close(&scene);
}

/* --- pings --- */

static uint32_t send_ping(struct scene *scene)
{
    return send_frame(scene, NGHTTP2_PING, 0, 0, BASE_TEXT("12345678"));
}

static void a_client_that_pings_too_often_is_told_so(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    wire_server_set_time(scene.server, BASE_NS_PER_S);
    for (size_t i = 0; i < 1 + BASE_PING_STRIKES_MAX; i++) {
        assert_true(send_ping(&scene) == STILL_OPEN);
    }
    assert_true(wire_server_receive(scene.server, NOTHING));
    uint8_t ping[] = "\0\0\x08\6\0\0\0\0\0"
                     "12345678";
    assert_false(wire_server_receive(scene.server, (struct base_bytes){ping, 17}));
    uint8_t said[256];
    size_t length = wire_server_send(scene.server, said, sizeof said);
    /* gRPC's clients know this text, and ping less from then on. */
    assert_non_null(memmem(said, length,
                           "\0\0\0\x0B"
                           "too_many_pings",
                           18));
    assert_true(wire_server_finished(scene.server));
    scene_close(&scene);
}

static void pings_that_are_due_are_answered_for_ever(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    int64_t now_ns = BASE_NS_PER_S;
    for (size_t i = 0; i < 100; i++) {
        wire_server_set_time(scene.server, now_ns);
        assert_true(send_ping(&scene) == STILL_OPEN);
        now_ns += BASE_PING_INTERVAL_MIN_MS * BASE_NS_PER_MS;
    }
    scene_close(&scene);
}

/* gRPC's clients measure the way to the server with a ping for each answer. */
static void pings_beside_answers_are_taken(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    scene.reply = &scene_ok;
    for (uint32_t stream = 1; stream < 2001; stream += 2) {
        assert_true(send_ping(&scene) == STILL_OPEN);
        assert_true(send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS | END_STREAM, stream,
                               POST_BLOCK) == STILL_OPEN);
    }
    scene_close(&scene);
}

/* --- streams that are over --- */

/* HEADERS, or DATA. */
static uint32_t send_late(struct scene *scene, bool headers, uint32_t stream)
{
    return headers
               ? send_frame(scene, NGHTTP2_HEADERS, END_HEADERS | END_STREAM, stream, POST_BLOCK)
               : send_frame(scene, NGHTTP2_DATA, 0, stream, BASE_TEXT("late"));
}

static void what_comes_on_a_stream_that_its_client_ended_ends_the_connection(void **state)
{
    (void)state;
    for (int row = 0; row < 4; row++) {
        struct scene scene;
        scene_greet(&scene);
        scene.reply = &scene_ok;
        bool resets = row >= 2;
        assert_true(send_frame(&scene, NGHTTP2_HEADERS,
                               (uint8_t)(END_HEADERS | (resets ? 0 : END_STREAM)), 1,
                               POST_BLOCK) == STILL_OPEN);
        if (resets) {
            assert_true(send_frame(&scene, NGHTTP2_RST_STREAM, 0, 1, BASE_TEXT("\0\0\0\x08")) ==
                        STILL_OPEN);
        }
        assert_int_equal(send_late(&scene, row % 2 == 0, 1), NGHTTP2_STREAM_CLOSED);
        scene_close(&scene);
    }
}

static void what_comes_on_a_stream_that_we_ended_is_passed_over(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    /* More streams than are remembered, each refused before its body (gRPC's method is POST). */
    struct base_text block = BASE_TEXT("\x82\x86\x84\x01\x01"
                                       "a\x0F\x10\x10"
                                       "application/grpc");
    for (uint32_t stream = 1; stream < 201; stream += 2) {
        assert_true(send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS, stream, block) == STILL_OPEN);
    }
    for (uint32_t stream = 1; stream < 201; stream += 2) {
        assert_true(send_late(&scene, false, stream) == STILL_OPEN);
        assert_true(send_late(&scene, true, stream) == STILL_OPEN);
    }
    assert_int_equal(scene.n_requests, 0);
    scene_close(&scene);
}

static void what_comes_on_a_stream_above_the_limit_is_passed_over(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    /* A client that has not taken note of the limit so far may pass it. */
    for (uint32_t i = 0; i <= BASE_STREAMS_MAX; i++) {
        assert_true(send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS, 2 * i + 1, POST_BLOCK) ==
                    STILL_OPEN);
    }
    assert_true(send_late(&scene, false, 2 * BASE_STREAMS_MAX + 1) == STILL_OPEN);
    assert_true(send_frame(&scene, NGHTTP2_DATA, END_STREAM, 1, BASE_TEXT("x")) == STILL_OPEN);
    assert_int_equal(scene.n_requests, 1);
    scene_close(&scene);
}

static void a_stream_number_below_the_last_is_an_error(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    assert_true(send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS, 5, POST_BLOCK) == STILL_OPEN);
    assert_int_equal(send_late(&scene, true, 3), NGHTTP2_PROTOCOL_ERROR);
    scene_close(&scene);
}

static void a_priority_of_no_stream_is_an_error(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    assert_int_equal(send_frame(&scene, NGHTTP2_PRIORITY, 0, 0, BASE_TEXT("\0\0\0\0\7")),
                     NGHTTP2_PROTOCOL_ERROR);
    scene_close(&scene);
}

/* --- header blocks --- */

static void a_header_block_without_end_ends_the_connection(void **state)
{
    (void)state;
    static const struct base_text pieces[] = {{"", 0}, {"\x10\1a\1b", 5}};
    for (size_t row = 0; row < 2; row++) {
        struct scene scene;
        scene_greet(&scene);
        uint32_t code = send_frame(&scene, NGHTTP2_HEADERS, 0, 1, POST_BLOCK);
        size_t n_continuations = 0;
        while (code == STILL_OPEN && n_continuations < 100) {
            code = send_frame(&scene, NGHTTP2_CONTINUATION, 0, 1, pieces[row]);
            n_continuations++;
        }
        assert_in_range(n_continuations, 1, 10);
        scene_close(&scene);
    }
}

/* HPACK makes much of little: a field of 4,000 bytes, then its index, of one byte, again and again.
 */
static void a_header_list_that_unpacks_to_megabytes_costs_little(void **state)
{
    (void)state;
    struct scene scene;
    scene_greet(&scene);
    char block[8000] = "\x83\x86\x84\x01\x01"
                       "a\x40\1x\x7F\xA1\x1E";
    size_t length = 6 + 3 + 3;
    memset(block + length, 'v', 4000);
    length += 4000;
    memset(block + length, 0x80 | 62, 3000);
    length += 3000;
    (void)send_frame(&scene, NGHTTP2_HEADERS, END_HEADERS, 1, (struct base_text){block, length});
    assert_int_equal(scene.n_requests, 0);
    assert_true(wire_server_held_bytes(scene.server) < 4 * BASE_HEADERS_MAX_BYTES);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_that_ask_for_nothing_are_taken_up_to_a_limit),
        cmocka_unit_test(a_request_forgives_the_frames_before_it),
        cmocka_unit_test(an_answer_forgives_the_frames_before_it),
        cmocka_unit_test(a_client_that_pings_too_often_is_told_so),
        cmocka_unit_test(pings_that_are_due_are_answered_for_ever),
        cmocka_unit_test(pings_beside_answers_are_taken),
        cmocka_unit_test(what_comes_on_a_stream_that_its_client_ended_ends_the_connection),
        cmocka_unit_test(what_comes_on_a_stream_that_we_ended_is_passed_over),
        cmocka_unit_test(what_comes_on_a_stream_above_the_limit_is_passed_over),
        cmocka_unit_test(a_stream_number_below_the_last_is_an_error),
        cmocka_unit_test(a_priority_of_no_stream_is_an_error),
        cmocka_unit_test(a_header_block_without_end_ends_the_connection),
        cmocka_unit_test(a_header_list_that_unpacks_to_megabytes_costs_little),
    };
    return cmocka_run_group_tests_name("http2 frames", tests, NULL, NULL);
}
