/* wire: a server of HTTP/2 against clients that flood, break the protocol, or talk garbage. */
#include "http2_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* The client's preface and SETTINGS, then whatever a test adds by hand. */
static const uint8_t PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
#define PREFACE_BYTES (sizeof PREFACE - 1)

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
    bool open = wire_server_receive(scene.server, (struct base_bytes){PREFACE, PREFACE_BYTES});
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

/* --- frames by hand --- */

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
    assert_true(wire_server_receive(scene->server, (struct base_bytes){PREFACE, PREFACE_BYTES}));
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
        cmocka_unit_test(changed_bytes_end_at_most_their_own_connection),
    };
    return cmocka_run_group_tests_name("http2 conduct", tests, NULL, NULL);
}
