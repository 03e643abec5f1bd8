/*
 * What a server session asks of the protocol that its connection turned out to speak: HTTP/1.1
 * (http1.c) or HTTP/2 (http2_server.c). server.c looks at the first bytes, opens the protocol, and
 * passes everything on. The functions are those of wire.h with the same promises; `state` is what
 * `open` gave.
 */
#ifndef ZANDAKA_WIRE_PROTOCOL_H
#define ZANDAKA_WIRE_PROTOCOL_H

#include "wire/wire.h"

struct wire_protocol {
    /* Never NULL. */
    void *(*open)(const struct wire_server_events *events, void *user);
    bool (*receive)(void *state, struct base_bytes bytes);
    bool (*receive_end)(void *state);
    size_t (*send)(void *state, uint8_t *buffer, size_t capacity);
    bool (*finished)(const void *state);
    void (*reply)(void *state, uint32_t stream, const struct wire_reply *reply);
    /* Of streamed calls. All four are NULL where the protocol has none. */
    void (*next)(void *state, uint32_t stream);
    bool (*writable)(const void *state, uint32_t stream);
    void (*begin)(void *state, uint32_t stream, size_t n_headers,
                  const struct wire_header *headers);
    void (*write)(void *state, uint32_t stream, struct base_bytes message);
    /* NULL where the protocol has no use for the time, and no ping. */
    void (*set_time)(void *state, int64_t now_mono_ns);
    void (*ping)(void *state);
    void (*shutdown_notice)(void *state);
    void (*drain)(void *state);
    size_t (*held_bytes)(const void *state);
    size_t (*open_requests)(const void *state);
    uint32_t (*half_received)(const void *state);
    void (*close)(void *state);
};

extern const struct wire_protocol wire_http1;
extern const struct wire_protocol wire_http2;

/* An empty request, from the heap; given to events->request or released by the protocol. */
struct wire_request *wire_request_open(void);

/* Splits `application/grpc+proto; charset=x` into the request's content_type (lower case, in the
 * arena) and its parameters. */
void wire_request_set_content_type(struct wire_request *request, struct base_text value);

/* The text without spaces and tabs around it. */
struct base_text wire_trim(struct base_text text);
void wire_lower_case(char *bytes, size_t length);

/* connect-timeout-ms: 1 to 10 digits. False: malformed. */
bool wire_parse_connect_timeout(struct base_text value, int64_t *ret_timeout_ns);
/* grpc-timeout: 1 to 8 digits and one of H M S m u n (gRPC over HTTP/2). False: malformed. */
bool wire_parse_grpc_timeout(struct base_text value, int64_t *ret_timeout_ns);

#endif
