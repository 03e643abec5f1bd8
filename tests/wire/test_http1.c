/* wire: what HTTP/1.1 takes, what it refuses, and when it closes. Every input is fed whole and in
 * small pieces: the outcome does not depend on how the bytes come. */
#include "wire/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* The other end of a session: notes the requests, answers them, and collects what is sent. */
struct peer {
    const char *name; /* of what is fed, for a failure's message */
    void *state;
    struct base_writer requests; /* one line for each */
    struct base_writer output;
    size_t n_requests;
    uint32_t last_stream;
    bool answers_at_once;
    bool open; /* what receive gave */
};

static void note(struct base_writer *writer, const char *format, struct base_text text)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text line = base_arena_print(&arena, format, BASE_TEXT_ARGS(text));
    base_write_bytes(writer, base_bytes_of(line));
    base_arena_release(&arena);
}

static void answer(struct peer *peer, uint32_t stream)
{
    static const struct wire_header headers[] = {
        {{"zandaka-replayed", 16}, {"true", 4}},
    };
    wire_http1.reply(peer->state, stream,
                     &(struct wire_reply){.http_status = 200,
                                          .content_type = BASE_TEXT("application/json"),
                                          .n_headers = 1,
                                          .headers = headers,
                                          .body = base_bytes_of(BASE_TEXT("{}"))});
}

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct peer *peer = user;
    if (request->defect == WIRE_DEFECT_REFUSED) {
        wire_http1.reply(peer->state, stream,
                         &(struct wire_reply){.http_status = request->refusal.http_status,
                                              .content_type = BASE_TEXT("application/json"),
                                              .body = base_bytes_of(request->refusal.message)});
        assert_true(request->refusal.message.length > 0);
        wire_request_release(request);
        return;
    }
    peer->n_requests++;
    peer->last_stream = stream;
    assert_int_equal(request->form, WIRE_HTTP);
    note(&peer->requests, "%.*s", request->method);
    note(&peer->requests, " %.*s", request->path);
    if (request->query.length > 0) {
        note(&peer->requests, "?%.*s", request->query);
    }
    if (request->content_type.length > 0) {
        note(&peer->requests, " type=%.*s", request->content_type);
        note(&peer->requests, ";%.*s", request->content_type_parameters);
    }
    for (size_t i = 0; i < request->n_headers; i++) {
        note(&peer->requests, " %.*s", request->headers[i].name);
        note(&peer->requests, "=%.*s", request->headers[i].value);
    }
    if (request->timeout_ns >= 0) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)request->timeout_ns);
        note(&peer->requests, " timeout=%.*s", base_text_of(text));
    }
    if (request->defect == WIRE_DEFECT_TIMEOUT) {
        note(&peer->requests, "%.*s", BASE_TEXT(" bad-timeout"));
    }
    if (request->defect == WIRE_DEFECT_TOO_LARGE) {
        note(&peer->requests, "%.*s", BASE_TEXT(" too-large"));
        assert_int_equal(request->body.length, 0);
    }
    if (request->body.length > 0) {
        note(&peer->requests, " [%.*s]", base_text_from(request->body));
    }
    note(&peer->requests, "%.*s", BASE_TEXT("\n"));
    wire_request_release(request);
    if (peer->answers_at_once) {
        answer(peer, stream);
    }
}

static const struct wire_server_events events = {.request = on_request, .cancelled = NULL};

static void peer_open(struct peer *peer, bool answers_at_once)
{
    *peer = (struct peer){.name = "", .answers_at_once = answers_at_once, .open = true};
    peer->state = wire_http1.open(&events, peer);
}

static void peer_close(struct peer *peer)
{
    wire_http1.close(peer->state);
    base_writer_release(&peer->requests);
    base_writer_release(&peer->output);
}

/* Takes what the session has to send, in pieces that are no round number. */
static void peer_collect(struct peer *peer)
{
    uint8_t buffer[37];
    size_t sent;
    while ((sent = wire_http1.send(peer->state, buffer, sizeof buffer)) > 0) {
        base_write_bytes(&peer->output, (struct base_bytes){buffer, sent});
    }
}

/* Feeds text in pieces of that size (0: whole), until the session has ended. */
static void peer_feed(struct peer *peer, struct base_text text, size_t piece_size)
{
    size_t at = 0;
    while (at < text.length && peer->open) {
        size_t left = text.length - at;
        size_t piece = piece_size == 0 || piece_size > left ? left : piece_size;
        /* A copy of its own, so that reading past its end is seen by AddressSanitizer. */
        uint8_t *copy = base_allocate(piece);
        memcpy(copy, text.bytes + at, piece);
        peer->open = wire_http1.receive(peer->state, (struct base_bytes){copy, piece});
        free(copy);
        at += piece;
        peer_collect(peer);
    }
}

static void assert_written(const struct peer *peer, const struct base_writer *writer,
                           struct base_text expected)
{
    struct base_text written = base_text_from(base_writer_bytes(writer));
    if (!base_text_equal(written, expected)) {
        print_error("%s, expected: %.*s\n", peer->name, BASE_TEXT_ARGS(expected));
        fail_msg("written: %.*s", BASE_TEXT_ARGS(written));
    }
}

static bool has(const struct base_writer *writer, const char *part)
{
    return writer->length > 0 && memmem(writer->bytes, writer->length, part, strlen(part)) != NULL;
}

static size_t count(const struct base_writer *writer, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i + strlen(part) <= writer->length; i++) {
        n += memcmp(writer->bytes + i, part, strlen(part)) == 0 ? 1 : 0;
    }
    return n;
}

static const size_t piece_sizes[] = {0, 1, 2, 7};

#define ANSWER_HEAD "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
#define ANSWER ANSWER_HEAD "zandaka-replayed: true\r\n\r\n{}"
#define ANSWER_HEAD_ONLY ANSWER_HEAD "zandaka-replayed: true\r\n\r\n"
#define LAST_ANSWER ANSWER_HEAD "connection: close\r\nzandaka-replayed: true\r\n\r\n{}"
#define KEPT_ANSWER ANSWER_HEAD "connection: keep-alive\r\nzandaka-replayed: true\r\n\r\n{}"
#define HOST "Host: h\r\n"
#define POST "POST /p HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n"

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
            struct peer peer;
            peer_open(&peer, true);
            peer.name = taken[i].name;
            peer_feed(&peer, base_text_of(taken[i].input), piece_sizes[size]);
            assert_written(&peer, &peer.requests, base_text_of(taken[i].requests));
            assert_written(&peer, &peer.output, base_text_of(taken[i].output));
            assert_int_equal(wire_http1.finished(peer.state), taken[i].ends);
            assert_false(wire_http1.half_received(peer.state));
            assert_int_equal(wire_http1.open_requests(peer.state), 0);
            assert_int_equal(wire_http1.held_bytes(peer.state), 0);
            peer_close(&peer);
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
    {"a trailer that ends in LF", CHUNKED "\r\n0\r\nA: b\n\r\n", 0, 400},
};

static void assert_refused(struct peer *peer, int http_status)
{
    char status_line[32];
    (void)snprintf(status_line, sizeof status_line, "HTTP/1.1 %d ", http_status);
    if (peer->output.length < strlen(status_line) ||
        memcmp(peer->output.bytes, status_line, strlen(status_line)) != 0) {
        fail_msg("%s, not %d: %.*s", peer->name, http_status,
                 BASE_TEXT_ARGS(base_text_from(base_writer_bytes(&peer->output))));
    }
    assert_int_equal(count(&peer->output, "HTTP/1.1 "), 1);
    assert_true(has(&peer->output, "\r\nconnection: close\r\n"));
    assert_true(has(&peer->output, "\r\ncontent-type: application/json\r\n"));
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
            struct peer peer;
            peer_open(&peer, true);
            peer.name = refused[i].name;
            peer_feed(&peer, input, piece_sizes[size]);
            assert_refused(&peer, refused[i].http_status);
            peer_close(&peer);
        }
    }
}

static struct base_text repeated(struct base_arena *arena, const char *front, char byte, size_t n,
                                 const char *behind)
{
    char *text = base_arena_take(arena, strlen(front) + n + strlen(behind));
    memcpy(text, front, strlen(front));
    memset(text + strlen(front), byte, n);
    memcpy(text + strlen(front) + n, behind, strlen(behind));
    return (struct base_text){text, strlen(front) + n + strlen(behind)};
}

static void a_head_may_have_16_kib_and_no_more(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    size_t rest = strlen(POST "A: \r\n\r\n");
    for (size_t size = 0; size < COUNT(piece_sizes); size++) {
        struct peer peer;
        peer_open(&peer, true);
        peer_feed(&peer,
                  repeated(&arena, POST "A: ", 'a', BASE_HEADERS_MAX_BYTES - rest, "\r\n\r\n"),
                  piece_sizes[size]);
        assert_int_equal(peer.n_requests, 1);
        peer_close(&peer);

        peer_open(&peer, true);
        peer_feed(&peer,
                  repeated(&arena, POST "A: ", 'a', BASE_HEADERS_MAX_BYTES - rest + 1, "\r\n\r\n"),
                  piece_sizes[size]);
        assert_refused(&peer, 431);
        peer_close(&peer);
    }
    base_arena_release(&arena);
}

static void trailers_and_extensions_are_bounded(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct peer peer;
    peer_open(&peer, true);
    peer_feed(&peer,
              repeated(&arena, CHUNKED "\r\n0\r\nA: ", 'a', BASE_HEADERS_MAX_BYTES - 5, "\r\n\r\n"),
              0);
    assert_refused(&peer, 400);
    peer_close(&peer);
    peer_open(&peer, true);
    peer_feed(&peer, repeated(&arena, CHUNKED "\r\n1;", 'a', 300, "\r\na\r\n0\r\n\r\n"), 0);
    assert_refused(&peer, 400);
    peer_close(&peer);
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
        struct peer peer;
        peer_open(&peer, true);
        peer_feed(&peer, repeated(&arena, rows[i].front, 'x', rows[i].n, rows[i].behind), 65536);
        assert_int_equal(peer.n_requests, 1);
        assert_int_equal(has(&peer.requests, "too-large"), rows[i].too_large);
        assert_written(&peer, &peer.output,
                       rows[i].too_large ? BASE_TEXT(LAST_ANSWER) : BASE_TEXT(ANSWER));
        assert_int_equal(wire_http1.finished(peer.state), rows[i].too_large);
        peer_close(&peer);
        base_arena_reset(&arena);
    }
    base_arena_release(&arena);
}

static void a_peer_that_waits_for_a_100_gets_it_before_its_body(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer, true);
    peer_feed(&peer, BASE_TEXT(POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n"), 0);
    assert_written(&peer, &peer.output, BASE_TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
    assert_true(wire_http1.half_received(peer.state));
    peer_feed(&peer, BASE_TEXT("hi"), 0);
    assert_written(&peer, &peer.requests, BASE_TEXT("POST /p [hi]\n"));
    assert_written(&peer, &peer.output, BASE_TEXT("HTTP/1.1 100 Continue\r\n\r\n" ANSWER));
    peer_close(&peer);

    /* No 100 for what has come already, or for a body of nothing. */
    peer_open(&peer, true);
    peer_feed(&peer,
              BASE_TEXT(POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi" POST
                             "Expect: 100-continue\r\n\r\n"),
              0);
    assert_written(&peer, &peer.output, BASE_TEXT(ANSWER ANSWER));
    peer_close(&peer);
}

static void the_next_request_waits_for_the_answer_to_the_one_before(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer, false);
    peer_feed(&peer,
              BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\nGET /b HTTP/1.1\r\n" HOST
                        "\r\nGET /c HTTP/1.1\r\n"),
              0);
    assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\n"));
    assert_int_equal(wire_http1.open_requests(peer.state), 1);
    assert_false(wire_http1.half_received(peer.state));

    answer(&peer, peer.last_stream + 1); /* nobody has asked */
    answer(&peer, peer.last_stream);
    answer(&peer, peer.last_stream); /* once is enough */
    assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\n"));
    peer_collect(&peer);
    assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\nGET /b\n"));
    assert_written(&peer, &peer.output, BASE_TEXT(ANSWER));

    answer(&peer, peer.last_stream);
    peer_collect(&peer);
    assert_written(&peer, &peer.output, BASE_TEXT(ANSWER ANSWER));
    assert_true(wire_http1.half_received(peer.state));
    peer_feed(&peer, BASE_TEXT(HOST "\r\n"), 0);
    assert_written(&peer, &peer.requests, BASE_TEXT("GET /a\nGET /b\nGET /c\n"));
    peer_close(&peer);
}

static void a_peer_that_reads_no_answers_is_handed_up_no_further(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer, true);
    for (int i = 0; i < 1000; i++) {
        struct base_bytes request = base_bytes_of(BASE_TEXT("GET / HTTP/1.1\r\n" HOST "\r\n"));
        assert_true(wire_http1.receive(peer.state, request));
    }
    assert_int_equal(peer.n_requests, 1);
    peer_collect(&peer);
    assert_int_equal(peer.n_requests, 1000);
    assert_int_equal(count(&peer.output, ANSWER), 1000);
    assert_int_equal(wire_http1.held_bytes(peer.state), 0);
    peer_close(&peer);
}

static void what_waits_behind_a_request_is_bounded(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    size_t max = BASE_HEADERS_MAX_BYTES + BASE_REQUEST_MAX_BYTES;
    for (size_t beyond = 0; beyond < 2; beyond++) {
        struct peer peer;
        peer_open(&peer, false);
        peer_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\n"), 0);
        peer_feed(&peer, repeated(&arena, "GET /", 'G', max + beyond - 5, ""), 65536);
        assert_true(wire_http1.held_bytes(peer.state) < 3 * max);
        assert_true(peer.open);
        answer(&peer, peer.last_stream);
        peer_collect(&peer);
        if (beyond > 0) {
            /* The answer that was owed, and the end. */
            assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
        } else {
            assert_int_equal(count(&peer.output, "HTTP/1.1 200 "), 1);
            assert_int_equal(count(&peer.output, "HTTP/1.1 431 "), 1);
        }
        assert_true(wire_http1.finished(peer.state));
        assert_int_equal(wire_http1.held_bytes(peer.state), 0);
        peer_close(&peer);
    }
    base_arena_release(&arena);
}

static void a_peer_that_closes_its_side_still_gets_its_answers(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        size_t n_answers;
        bool ends_at_once;
    } rows[] = {
        {"", 0, true},
        {"GET / HTTP/1.1\r\n", 0, true},
        {POST "Content-Length: 5\r\n\r\nhi", 0, true},
        {"GET / HTTP/1.1\r\n" HOST "\r\n", 1, false},
        {"GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\nGET", 2, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct peer peer;
        peer_open(&peer, false);
        peer_feed(&peer, base_text_of(rows[i].input), 0);
        assert_int_equal(wire_http1.receive_end(peer.state), !rows[i].ends_at_once);
        for (size_t n = 0; n < rows[i].n_answers; n++) {
            assert_false(wire_http1.finished(peer.state));
            answer(&peer, peer.last_stream);
            peer_collect(&peer);
        }
        assert_int_equal(count(&peer.output, ANSWER), rows[i].n_answers);
        assert_int_equal(peer.n_requests, rows[i].n_answers);
        assert_true(wire_http1.finished(peer.state));
        peer_close(&peer);
    }
}

static void a_shutdown_answers_what_is_under_way_and_says_close(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer, false);
    peer_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\n"), 0);
    wire_http1.shutdown_notice(peer.state);
    wire_http1.drain(peer.state);
    assert_false(wire_http1.finished(peer.state));
    answer(&peer, peer.last_stream);
    assert_false(wire_http1.finished(peer.state));
    peer_collect(&peer);
    assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
    assert_true(wire_http1.finished(peer.state));
    peer_close(&peer);
}

static void a_shutdown_takes_a_request_after_the_notice_and_none_after_the_drain(void **state)
{
    (void)state;
    struct peer peer;
    peer_open(&peer, true);
    wire_http1.shutdown_notice(peer.state);
    assert_false(wire_http1.finished(peer.state));
    peer_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n" HOST "\r\n"), 0);
    assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
    assert_true(wire_http1.finished(peer.state));
    peer_close(&peer);

    peer_open(&peer, true);
    wire_http1.drain(peer.state);
    assert_true(wire_http1.finished(peer.state));
    peer_close(&peer);

    /* What has begun may be completed. */
    peer_open(&peer, true);
    peer_feed(&peer, BASE_TEXT("GET /a HTTP/1.1\r\n"), 0);
    wire_http1.drain(peer.state);
    assert_false(wire_http1.finished(peer.state));
    peer_feed(&peer, BASE_TEXT(HOST "\r\n"), 0);
    assert_written(&peer, &peer.output, BASE_TEXT(LAST_ANSWER));
    assert_true(wire_http1.finished(peer.state));
    peer_close(&peer);
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
        struct peer whole;
        struct peer cut;
        peer_open(&whole, true);
        peer_open(&cut, true);
        peer_feed(&whole, text, 0);
        peer_feed(&cut, text, 1 + next_random(&seed) % 5);
        if (!base_bytes_equal(base_writer_bytes(&whole.requests),
                              base_writer_bytes(&cut.requests)) ||
            !base_bytes_equal(base_writer_bytes(&whole.output), base_writer_bytes(&cut.output)) ||
            wire_http1.finished(whole.state) != wire_http1.finished(cut.state)) {
            fail_msg("seed %u: %.*s", seed_of_round, BASE_TEXT_ARGS(text));
        }
        n_refused += has(&whole.output, "HTTP/1.1 4") ? 1 : 0;
        (void)wire_http1.receive_end(whole.state);
        peer_collect(&whole);
        assert_true(wire_http1.finished(whole.state));
        peer_close(&whole);
        peer_close(&cut);
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
        cmocka_unit_test(a_peer_that_waits_for_a_100_gets_it_before_its_body),
        cmocka_unit_test(the_next_request_waits_for_the_answer_to_the_one_before),
        cmocka_unit_test(a_peer_that_reads_no_answers_is_handed_up_no_further),
        cmocka_unit_test(what_waits_behind_a_request_is_bounded),
        cmocka_unit_test(a_peer_that_closes_its_side_still_gets_its_answers),
        cmocka_unit_test(a_shutdown_answers_what_is_under_way_and_says_close),
        cmocka_unit_test(a_shutdown_takes_a_request_after_the_notice_and_none_after_the_drain),
        cmocka_unit_test(damaged_requests_fare_alike_however_they_are_cut),
    };
    return cmocka_run_group_tests_name("wire http1", tests, NULL, NULL);
}
