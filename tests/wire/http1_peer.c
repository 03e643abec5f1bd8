#include "http1_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void note(struct base_writer *writer, const char *format, struct base_text text)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text line = base_arena_print(&arena, format, BASE_TEXT_ARGS(text));
    base_write_bytes(writer, base_bytes_of(line));
    base_arena_release(&arena);
}

void http1_answer(struct http1_peer *peer, uint32_t stream)
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
    struct http1_peer *peer = user;
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
        http1_answer(peer, stream);
    }
}

static const struct wire_server_events events = {.request = on_request, .cancelled = NULL};

void http1_open(struct http1_peer *peer, bool answers_at_once)
{
    *peer = (struct http1_peer){.name = "", .answers_at_once = answers_at_once, .open = true};
    peer->state = wire_http1.open(&events, peer);
}

void http1_close(struct http1_peer *peer)
{
    wire_http1.close(peer->state);
    base_writer_release(&peer->requests);
    base_writer_release(&peer->output);
}

void http1_collect(struct http1_peer *peer)
{
    uint8_t buffer[37];
    size_t sent;
    while ((sent = wire_http1.send(peer->state, buffer, sizeof buffer)) > 0) {
        base_write_bytes(&peer->output, (struct base_bytes){buffer, sent});
    }
}

void http1_feed(struct http1_peer *peer, struct base_text text, size_t piece_size)
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
        http1_collect(peer);
    }
}

void http1_assert_written(const struct http1_peer *peer, const struct base_writer *writer,
                          struct base_text expected)
{
    struct base_text written = base_text_from(base_writer_bytes(writer));
    if (!base_text_equal(written, expected)) {
        print_error("%s, expected: %.*s\n", peer->name, BASE_TEXT_ARGS(expected));
        fail_msg("written: %.*s", BASE_TEXT_ARGS(written));
    }
}

bool http1_has(const struct base_writer *writer, const char *part)
{
    return writer->length > 0 && memmem(writer->bytes, writer->length, part, strlen(part)) != NULL;
}

size_t http1_count(const struct base_writer *writer, const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i + strlen(part) <= writer->length; i++) {
        n += memcmp(writer->bytes + i, part, strlen(part)) == 0 ? 1 : 0;
    }
    return n;
}

struct base_text http1_repeated(struct base_arena *arena, const char *front, char byte, size_t n,
                                const char *behind)
{
    char *text = base_arena_take(arena, strlen(front) + n + strlen(behind));
    memcpy(text, front, strlen(front));
    memset(text + strlen(front), byte, n);
    memcpy(text + strlen(front) + n, behind, strlen(behind));
    return (struct base_text){text, strlen(front) + n + strlen(behind)};
}
