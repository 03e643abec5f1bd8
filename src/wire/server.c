/* A server's session: tells the protocol by the first bytes and passes everything on to it. */
#include "wire/protocol.h"

#include <stdlib.h>

/* What a client of HTTP/2 sends first (RFC 9113, section 3.4). No request of HTTP/1.1 begins so. */
#define HTTP2_PREFACE BASE_TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
#define HTTP2_PREFACE_BYTES 24

struct wire_server {
    const struct wire_server_events *events;
    void *user;
    const struct wire_protocol *protocol; /* NULL: not known so far */
    void *state;                          /* the protocol's */
    uint8_t first[HTTP2_PREFACE_BYTES];   /* received while it was not known */
    size_t n_first;
    bool closing; /* a shutdown notice came while it was not known */
    bool ended;   /* before it was known */
};

struct wire_server *wire_server_open(const struct wire_server_events *events, void *user)
{
    struct wire_server *server = base_allocate_zeroed(1, sizeof *server);
    server->events = events;
    server->user = user;
    return server;
}

static void open_protocol(struct wire_server *server, const struct wire_protocol *protocol)
{
    server->protocol = protocol;
    server->state = protocol->open(server->events, server->user);
    if (server->closing) {
        protocol->shutdown_notice(server->state);
    }
}

void wire_server_expect(struct wire_server *server, enum wire_version version)
{
    base_assert(server->protocol == NULL && server->n_first == 0);
    if (!server->ended) {
        open_protocol(server, version == WIRE_HTTP2 ? &wire_http2 : &wire_http1);
    }
}

/* Takes bytes as long as they could be the preface. True: the protocol is known. */
static bool tell_protocol(struct wire_server *server, struct base_bytes *bytes)
{
    const char *preface = HTTP2_PREFACE.bytes;
    while (bytes->length > 0 && server->n_first < HTTP2_PREFACE_BYTES) {
        if (bytes->bytes[0] != (uint8_t)preface[server->n_first]) {
            open_protocol(server, &wire_http1);
            return true;
        }
        server->first[server->n_first++] = bytes->bytes[0];
        bytes->bytes++;
        bytes->length--;
    }
    if (server->n_first == HTTP2_PREFACE_BYTES) {
        open_protocol(server, &wire_http2);
        return true;
    }
    return false;
}

bool wire_server_receive(struct wire_server *server, struct base_bytes bytes)
{
    if (server->ended) {
        return false;
    }
    if (server->protocol == NULL) {
        if (!tell_protocol(server, &bytes)) {
            return true;
        }
        struct base_bytes first = {server->first, server->n_first};
        server->n_first = 0;
        if (first.length > 0 && !server->protocol->receive(server->state, first)) {
            return false;
        }
    }
    return bytes.length == 0 || server->protocol->receive(server->state, bytes);
}

bool wire_server_receive_end(struct wire_server *server)
{
    if (server->protocol == NULL) {
        server->ended = true;
        return false;
    }
    return server->protocol->receive_end(server->state);
}

size_t wire_server_send(struct wire_server *server, uint8_t *buffer, size_t capacity)
{
    return server->protocol == NULL ? 0 : server->protocol->send(server->state, buffer, capacity);
}

bool wire_server_finished(const struct wire_server *server)
{
    return server->protocol == NULL ? server->ended : server->protocol->finished(server->state);
}

void wire_server_reply(struct wire_server *server, uint32_t stream, const struct wire_reply *reply)
{
    if (server->protocol != NULL) {
        server->protocol->reply(server->state, stream, reply);
    }
}

/* Streamed calls are known to nobody before their protocol is. */
static bool streams(const struct wire_server *server)
{
    return server->protocol != NULL && server->protocol->write != NULL;
}

void wire_server_next(struct wire_server *server, uint32_t stream)
{
    if (streams(server)) {
        server->protocol->next(server->state, stream);
    }
}

bool wire_server_writable(const struct wire_server *server, uint32_t stream)
{
    return !streams(server) || server->protocol->writable(server->state, stream);
}

void wire_server_begin(struct wire_server *server, uint32_t stream, size_t n_headers,
                       const struct wire_header *headers)
{
    if (streams(server)) {
        server->protocol->begin(server->state, stream, n_headers, headers);
    }
}

void wire_server_write(struct wire_server *server, uint32_t stream, struct base_bytes message)
{
    if (streams(server)) {
        server->protocol->write(server->state, stream, message);
    }
}

void wire_server_set_time(struct wire_server *server, int64_t now_mono_ns)
{
    if (server->protocol != NULL && server->protocol->set_time != NULL) {
        server->protocol->set_time(server->state, now_mono_ns);
    }
}

bool wire_server_ping(struct wire_server *server)
{
    if (server->protocol == NULL || server->protocol->ping == NULL) {
        return false;
    }
    server->protocol->ping(server->state);
    return true;
}

void wire_server_shutdown_notice(struct wire_server *server)
{
    server->closing = true;
    if (server->protocol != NULL) {
        server->protocol->shutdown_notice(server->state);
    }
}

void wire_server_drain(struct wire_server *server)
{
    if (server->protocol == NULL) {
        server->ended = true;
    } else {
        server->protocol->drain(server->state);
    }
}

size_t wire_server_held_bytes(const struct wire_server *server)
{
    return server->protocol == NULL ? 0 : server->protocol->held_bytes(server->state);
}

size_t wire_server_open_requests(const struct wire_server *server)
{
    return server->protocol == NULL ? 0 : server->protocol->open_requests(server->state);
}

uint32_t wire_server_half_received(const struct wire_server *server)
{
    /* The first request is number 1 in both protocols. */
    return server->protocol == NULL ? (server->n_first > 0 ? 1 : 0)
                                    : server->protocol->half_received(server->state);
}

void wire_server_close(struct wire_server *server)
{
    if (server->protocol != NULL) {
        server->protocol->close(server->state);
    }
    free(server);
}
