/* wire: what HTTP/1.1 takes, and what it refuses. Every input is fed whole and in small pieces: the
 * outcome does not depend on how the bytes come. */
#include "http1_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const size_t piece_sizes[] = {0, 1, 2, 7};

static const struct {
    const char *name;
    const char *input;
    const char *requests;
    const char *output;
    bool ends;
} taken[] = {
    {"a method of 32 bytes", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA /p HTTP/1.1\r\n" HOST "\r\n",
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA /p\n", ANSWER, false},
    {"a body with its length",
     POST "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi",
     "POST /p type=application/json;charset=utf-8 [hi]\n", ANSWER, false},
    {"no body", "GET / HTTP/1.1\r\n" HOST "\r\n", "GET /\n", ANSWER, false},
    {"a length of nothing", POST "Content-Length: 0\r\n\r\n", "POST /p\n", ANSWER, false},
    {"a query", "GET /a/b?c=%20d?e HTTP/1.1\r\n" HOST "\r\n", "GET /a/b?c=%20d?e\n", ANSWER, false},
    {"the absolute form", "GET http://h:1/x?y HTTP/1.1\r\n" HOST "\r\n", "GET /x?y\n", ANSWER,
     false},
    {"the absolute form without a path", "GET HTTPS://h?y HTTP/1.1\r\n" HOST "\r\n", "GET /?y\n",
     ANSWER, false},
    {"names lower case, values trimmed", POST "X-Thing: \t a b \t\r\nUser-Agent:z\r\n\r\n",
     "POST /p x-thing=a b user-agent=z\n", ANSWER, false},
    {"an empty value", POST "X-Thing:\r\n\r\n", "POST /p x-thing=\n", ANSWER, false},
    {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET /\n", ANSWER, false},
    {"an empty line in front", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET /\n", ANSWER, false},
    {"a timeout", POST "Connect-Timeout-Ms: 1500\r\n\r\n", "POST /p timeout=1500000000\n", ANSWER,
     false},
    {"the longest timeout", POST "connect-timeout-ms: 9999999999\r\n\r\n",
     "POST /p timeout=9999999999000000\n", ANSWER, false},
    {"a malformed timeout goes up as a defect", POST "connect-timeout-ms: 1.5\r\n\r\n",
     "POST /p bad-timeout\n", ANSWER, false},
    {"a timeout of 11 digits", POST "connect-timeout-ms: 10000000000\r\n\r\n",
     "POST /p bad-timeout\n", ANSWER, false},
    {"an empty timeout", POST "connect-timeout-ms:\r\n\r\n", "POST /p bad-timeout\n", ANSWER,
     false},
    {"two timeouts", POST "connect-timeout-ms: 1\r\nconnect-timeout-ms: 1\r\n\r\n",
     "POST /p bad-timeout\n", ANSWER, false},
    {"chunks", CHUNKED "\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "POST /p [abc0123456789]\n",
     ANSWER, false},
    {"chunks with extensions and trailers",
     CHUNKED "\r\n2;a=\"b\"\r\nhi\r\n000;x\r\nX-Trailer: 1\r\nY: 2\r\n\r\n", "POST /p [hi]\n",
     ANSWER, false},
    {"chunked in any case", POST "transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n",
     "POST /p [a]\n", ANSWER, false},
    {"no chunk", CHUNKED "\r\n0\r\n\r\n", "POST /p\n", ANSWER, false},
    {"HEAD is answered without a body", "HEAD / HTTP/1.1\r\n" HOST "\r\n", "HEAD /\n",
     ANSWER_HEAD_ONLY, false},
    {"several sent ahead",
     POST "Content-Length: 1\r\n\r\na" CHUNKED "\r\n1\r\nb\r\n0\r\n\r\nGET /c HTTP/1.1\r\n" HOST
          "\r\n",
     "POST /p [a]\nPOST /p [b]\nGET /c\n", ANSWER ANSWER ANSWER, false},
    {"close after this one", POST "Connection: close\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
     "POST /p\n", LAST_ANSWER, true},
    {"close among other options", POST "Connection: x, Close ,y\r\n\r\n", "POST /p\n", LAST_ANSWER,
     true},
    {"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n", "GET /\n", LAST_ANSWER, true},
    {"HTTP/1.0 kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
     "GET /\nGET /b\n", KEPT_ANSWER LAST_ANSWER, true},
    {"close wins over keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
     "GET /\n", LAST_ANSWER, true},
    {"HTTP/1.0 knows no 100",
     "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", "POST / [a]\n",
     LAST_ANSWER, true},
};

static void takes_what_is_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(taken); i++) {
        for (size_t size = 0; size < COUNT(piece_sizes); size++) {
            struct http1_peer peer;
            http1_open(&peer, true);
            peer.name = taken[i].name;
            http1_feed(&peer, base_text_of(taken[i].input), piece_sizes[size]);
            http1_assert_written(&peer, &peer.requests, base_text_of(taken[i].requests));
            http1_assert_written(&peer, &peer.output, base_text_of(taken[i].output));
            assert_int_equal(wire_http1.finished(peer.state), taken[i].ends);
            assert_false(wire_http1.half_received(peer.state));
            assert_int_equal(wire_http1.open_requests(peer.state), 0);
            assert_int_equal(wire_http1.held_bytes(peer.state), 0);
            http1_close(&peer);
        }
    }
}

static const struct {
    const char *name;
    const char *input;
    size_t length; /* 0: up to the NUL */
    int http_status;
} refused[] = {
    {"a bare LF behind the request line", "GET / HTTP/1.1\n" HOST "\r\n", 0, 400},
    {"a bare LF behind a field", "GET / HTTP/1.1\r\nHost: h\n\r\n", 0, 400},
    {"a bare LF at the end", "GET / HTTP/1.1\r\n" HOST "\n", 0, 400},
    {"a bare CR", "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", 0, 400},
    {"two empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"obs-fold", POST "A: b\r\n c\r\n\r\n", 0, 400},
    {"a fold in the first field", "GET / HTTP/1.1\r\n A: b\r\n" HOST "\r\n", 0, 400},
    {"a space before the colon", POST "A : b\r\n\r\n", 0, 400},
    {"a tab before the colon", POST "A\t: b\r\n\r\n", 0, 400},
    {"no colon", POST "A\r\n\r\n", 0, 400},
    {"no name", POST ": b\r\n\r\n", 0, 400},
    {"a name that is no token", POST "A(b): c\r\n\r\n", 0, 400},
    {"a NUL in a value", POST "A: b\0c\r\n\r\n", sizeof(POST "A: b\0c\r\n\r\n") - 1, 400},
    {"a NUL in a name", POST "A\0: b\r\n\r\n", sizeof(POST "A\0: b\r\n\r\n") - 1, 400},
    {"a control character in a value", POST "A: \x01\r\n\r\n", 0, 400},
    {"DEL in a value", POST "A: \x7F\r\n\r\n", 0, 400},
    {"TLS", "\x16\x03\x01\x02", 0, 400},
    {"both lengths", CHUNKED "Content-Length: 1\r\n\r\n0\r\n\r\n", 0, 400},
    {"both lengths, the other way", POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     0, 400},
    {"two lengths that differ", POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 0, 400},
    {"two lengths in one field", POST "Content-Length: 1, 1\r\n\r\na", 0, 400},
    {"a length with a sign", POST "Content-Length: +1\r\n\r\na", 0, 400},
    {"a negative length", POST "Content-Length: -1\r\n\r\na", 0, 400},
    {"a length in hexadecimal", POST "Content-Length: 0x1\r\n\r\na", 0, 400},
    {"an empty length", POST "Content-Length:\r\n\r\n", 0, 400},
    {"a length of 19 digits", POST "Content-Length: 9223372036854775807\r\n\r\n", 0, 400},
    {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0,
     400},
    {"chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 0, 400},
    {"chunked twice in two fields", CHUNKED "Transfer-Encoding: chunked\r\n\r\n", 0, 400},
    {"chunked not last", POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 0, 400},
    {"chunked not last in two fields", CHUNKED "Transfer-Encoding: identity\r\n\r\n", 0, 400},
    {"an unknown coding", POST "Transfer-Encoding: gzip\r\n\r\n", 0, 501},
    {"an unknown coding in front", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, 501},
    {"chunked with something behind", POST "Transfer-Encoding: chunked;a\r\n\r\n", 0, 501},
    {"chunked with a control character",
     POST "Transfer-Encoding: \x0B"
          "chunked\r\n\r\n",
     0, 400},
    {"no coding", POST "Transfer-Encoding:\r\n\r\n", 0, 501},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 0, 400},
    {"two Hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 0, 400},
    {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", 0, 400},
    {"a Host with a path", "GET / HTTP/1.1\r\nHost: h/p\r\n\r\n", 0, 400},
    {"a Host with a space", "GET / HTTP/1.1\r\nHost: h i\r\n\r\n", 0, 400},
    {"HTTP/2 without its preface", "GET / HTTP/2.0\r\n" HOST "\r\n", 0, 505},
    {"HTTP/9.9", "GET / HTTP/9.9\r\n" HOST "\r\n", 0, 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 0, 505},
    {"HTTP/0.9", "GET /\r\n\r\n", 0, 400},
    {"a version of two digits", "GET / HTTP/1.10\r\n" HOST "\r\n", 0, 400},
    {"a version in lower case", "GET / http/1.1\r\n" HOST "\r\n", 0, 400},
    {"two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"a space behind the version", "GET / HTTP/1.1 \r\n" HOST "\r\n", 0, 400},
    {"a space in front", " GET / HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"a space in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"a tab in the target", "GET /a\tb HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"UTF-8 in the target", "GET /\xC3\xA9 HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"a fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"the asterisk form", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"the authority form", "CONNECT h:1 HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"another scheme", "GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"a method of 33 bytes, of a line without end", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0, 400},
    {"JSON without HTTP", "{\"accountId\":\"a\"}", 0, 400},
    {"bytes above ASCII", "\xFF\xFE", 0, 400},
    {"a method that is no token", "G@T / HTTP/1.1\r\n" HOST "\r\n", 0, 400},
    {"another expectation", POST "Expect: 200-ok\r\n\r\n", 0, 417},
    {"two content types", POST "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\n", 0, 400},
    {"LF in a chunk extension", CHUNKED "\r\n1;a\nb\r\na\r\n0\r\n\r\n", 0, 400},
    {"CR in a chunk extension", CHUNKED "\r\n1;a\rb\r\na\r\n0\r\n\r\n", 0, 400},
    {"a chunk size of nothing", CHUNKED "\r\n\r\na\r\n0\r\n\r\n", 0, 400},
    {"a chunk size with a sign", CHUNKED "\r\n+1\r\na\r\n0\r\n\r\n", 0, 400},
    {"a chunk size with 0x", CHUNKED "\r\n0x1\r\na\r\n0\r\n\r\n", 0, 400},
    {"a chunk size with a space", CHUNKED "\r\n1 \r\na\r\n0\r\n\r\n", 0, 400},
    {"a chunk size of nine digits", CHUNKED "\r\n000000001\r\na\r\n0\r\n\r\n", 0, 400},
    {"a chunk longer than its size", CHUNKED "\r\n1\r\nab\r\n0\r\n\r\n", 0, 400},
    {"a chunk that ends in LF", CHUNKED "\r\n1\r\na\n0\r\n\r\n", 0, 400},
    {"a malformed trailer", CHUNKED "\r\n0\r\nA : b\r\n\r\n", 0, 400},
    {"a folded trailer", CHUNKED "\r\n0\r\nA: b\r\n c\r\n\r\n", 0, 400},
    {"a control character in a trailer", CHUNKED "\r\n0\r\nA: \x01\r\n\r\n", 0, 400},
    {"DEL in a trailer", CHUNKED "\r\n0\r\nA: \x7F\r\n\r\n", 0, 400},
    {"a trailer that ends in LF", CHUNKED "\r\n0\r\nA: b\n\r\n", 0, 400},
};

static void assert_refused(struct http1_peer *peer, int http_status)
{
    char status_line[32];
    (void)snprintf(status_line, sizeof status_line, "HTTP/1.1 %d ", http_status);
    if (peer->output.length < strlen(status_line) ||
        memcmp(peer->output.bytes, status_line, strlen(status_line)) != 0) {
        fail_msg("%s, not %d: %.*s", peer->name, http_status,
                 BASE_TEXT_ARGS(base_text_from(base_writer_bytes(&peer->output))));
    }
    assert_int_equal(http1_count(&peer->output, "HTTP/1.1 "), 1);
    assert_true(http1_has(&peer->output, "\r\nconnection: close\r\n"));
    assert_true(http1_has(&peer->output, "\r\ncontent-type: application/json\r\n"));
    assert_int_equal(peer->n_requests, 0);
    assert_false(peer->open);
    assert_true(wire_http1.finished(peer->state));
    assert_int_equal(wire_http1.held_bytes(peer->state), 0);
}

static void refuses_what_is_not_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct base_text input = base_text_of(refused[i].input);
        input.length = refused[i].length > 0 ? refused[i].length : input.length;
        for (size_t size = 0; size < COUNT(piece_sizes); size++) {
            struct http1_peer peer;
            http1_open(&peer, true);
            peer.name = refused[i].name;
            http1_feed(&peer, input, piece_sizes[size]);
            assert_refused(&peer, refused[i].http_status);
            http1_close(&peer);
        }
    }
}

static void a_head_may_have_16_kib_and_no_more(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    size_t rest = strlen(POST "A: \r\n\r\n");
    for (size_t size = 0; size < COUNT(piece_sizes); size++) {
        struct http1_peer peer;
        http1_open(&peer, true);
        http1_feed(
            &peer,
            http1_repeated(&arena, POST "A: ", 'a', BASE_HEADERS_MAX_BYTES - rest, "\r\n\r\n"),
            piece_sizes[size]);
        assert_int_equal(peer.n_requests, 1);
        http1_close(&peer);

        http1_open(&peer, true);
        http1_feed(
            &peer,
            http1_repeated(&arena, POST "A: ", 'a', BASE_HEADERS_MAX_BYTES - rest + 1, "\r\n\r\n"),
            piece_sizes[size]);
        assert_refused(&peer, 431);
        http1_close(&peer);
    }
    base_arena_release(&arena);
}

static void trailers_and_extensions_are_bounded(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct http1_peer peer;
    http1_open(&peer, true);
    http1_feed(
        &peer,
        http1_repeated(&arena, CHUNKED "\r\n0\r\nA: ", 'a', BASE_HEADERS_MAX_BYTES - 5, "\r\n\r\n"),
        0);
    assert_refused(&peer, 400);
    http1_close(&peer);
    http1_open(&peer, true);
    http1_feed(&peer, http1_repeated(&arena, CHUNKED "\r\n1;", 'a', 300, "\r\na\r\n0\r\n\r\n"), 0);
    assert_refused(&peer, 400);
    http1_close(&peer);
    base_arena_release(&arena);
}

static void a_body_beyond_the_limit_goes_up_as_a_defect_and_closes(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    static const struct {
        const char *front;
        size_t n;
        const char *behind;
        bool too_large;
    } rows[] = {
        {POST "Content-Length: 4194304\r\n\r\n", 4194304, "", false},
        {POST "Content-Length: 4194305\r\n\r\n", 4194305, "", true},
        {CHUNKED "\r\n400000\r\n", 4194304, "\r\n0\r\n\r\n", false},
        {CHUNKED "\r\n400001\r\n", 4194305, "\r\n0\r\n\r\n", true},
        /* Nobody waits for the end of these. */
        {CHUNKED "\r\nffffffff\r\n", 5 * 4194304, "", true},
        {POST "Content-Length: 999999999999999999\r\n\r\n", 0, "", true},
        {POST "Expect: 100-continue\r\nContent-Length: 4194305\r\n\r\n", 0, "", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http1_peer peer;
        http1_open(&peer, true);
        http1_feed(&peer, http1_repeated(&arena, rows[i].front, 'x', rows[i].n, rows[i].behind),
                   65536);
        assert_int_equal(peer.n_requests, 1);
        assert_int_equal(http1_has(&peer.requests, "too-large"), rows[i].too_large);
        http1_assert_written(&peer, &peer.output,
                             rows[i].too_large ? BASE_TEXT(LAST_ANSWER) : BASE_TEXT(ANSWER));
        assert_int_equal(wire_http1.finished(peer.state), rows[i].too_large);
        http1_close(&peer);
        base_arena_reset(&arena);
    }
    base_arena_release(&arena);
}

/* A small generator (xorshift), so that a run is the same on every machine. */
static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static struct base_text mutated(struct base_arena *arena, uint32_t *seed)
{
    static const char spice[] = "\r\n\0 :;,\t/?#0123456789abcdefFG\x7F\xFF";
    struct base_text first = base_text_of(taken[next_random(seed) % COUNT(taken)].input);
    struct base_text second = base_text_of(taken[next_random(seed) % COUNT(taken)].input);
    struct base_text text = base_arena_print(arena, "%s%s", first.bytes, second.bytes);
    char *bytes = base_arena_take(arena, text.length);
    memcpy(bytes, text.bytes, text.length);
    for (uint32_t n = next_random(seed) % 4; n > 0; n--) {
        size_t at = next_random(seed) % text.length;
        if (next_random(seed) % 4 == 0) {
            memmove(bytes + at, bytes + at + 1, text.length - at - 1);
            text.length--;
        } else {
            bytes[at] = spice[next_random(seed) % (sizeof spice - 1)];
        }
    }
    return (struct base_text){bytes, text.length};
}

static void damaged_requests_fare_alike_however_they_are_cut(void **state)
{
    (void)state;
    uint32_t seed = 20191218;
    struct base_arena arena = BASE_ARENA_EMPTY;
    size_t n_refused = 0;
    for (int round = 0; round < 20000; round++) {
        uint32_t seed_of_round = seed;
        struct base_text text = mutated(&arena, &seed);
        struct http1_peer whole;
        struct http1_peer cut;
        http1_open(&whole, true);
        http1_open(&cut, true);
        http1_feed(&whole, text, 0);
        http1_feed(&cut, text, 1 + next_random(&seed) % 5);
        if (!base_bytes_equal(base_writer_bytes(&whole.requests),
                              base_writer_bytes(&cut.requests)) ||
            !base_bytes_equal(base_writer_bytes(&whole.output), base_writer_bytes(&cut.output)) ||
            wire_http1.finished(whole.state) != wire_http1.finished(cut.state)) {
            fail_msg("seed %u: %.*s", seed_of_round, BASE_TEXT_ARGS(text));
        }
        n_refused += http1_has(&whole.output, "HTTP/1.1 4") ? 1 : 0;
        (void)wire_http1.receive_end(whole.state);
        http1_collect(&whole);
        assert_true(wire_http1.finished(whole.state));
        http1_close(&whole);
        http1_close(&cut);
        base_arena_reset(&arena);
    }
    assert_true(n_refused > 1000);
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_well_formed),
        cmocka_unit_test(refuses_what_is_not_well_formed),
        cmocka_unit_test(a_head_may_have_16_kib_and_no_more),
        cmocka_unit_test(trailers_and_extensions_are_bounded),
        cmocka_unit_test(a_body_beyond_the_limit_goes_up_as_a_defect_and_closes),
        cmocka_unit_test(damaged_requests_fare_alike_however_they_are_cut),
    };
    return cmocka_run_group_tests_name("wire http1", tests, NULL, NULL);
}
