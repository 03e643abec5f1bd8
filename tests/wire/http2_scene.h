/*
 * A server's session of HTTP/2 with its peer on the other side, and what the session has handed up.
 */
#ifndef ZANDAKA_TESTS_WIRE_HTTP2_SCENE_H
#define ZANDAKA_TESTS_WIRE_HTTP2_SCENE_H

#include "http2_peer.h"

#define GRPC_FIELDS                                                                                \
    ":method: POST\n:scheme: http\n:path: /zandaka.v1.BalanceService/Add\n:authority: a\n"         \
    "te: trailers\ncontent-type: application/grpc\n"
#define HTTP_FIELDS ":method: POST\n:scheme: http\n:path: /p\n:authority: a\n"
#define OK_GRPC_ANSWER ":status: 200\ncontent-type: application/grpc\n--\ngrpc-status: 0\n"

/* The client's preface and SETTINGS, before what a test adds by hand. */
#define PREFACE BASE_TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")

#define NOTHING ((struct base_bytes){NULL, 0})
#define ONE_MESSAGE ((struct base_bytes){(const uint8_t *)"\0\0\0\0\2hi", 7})

struct scene {
    struct wire_server *server;
    struct peer peer;
    const struct wire_reply *reply; /* to every request; NULL: requests stay open */
    size_t n_requests;
    uint32_t last_stream;
    struct wire_request *last_request;
    size_t n_cancelled;
};

/* For a session whose user is a scene. */
extern const struct wire_server_events scene_events;
/* A success in both forms. */
extern const struct wire_reply scene_ok;

void scene_open(struct scene *scene);
void scene_close(struct scene *scene);
/* Moves what the two have to say until neither says any more. False: the session ended. */
bool scene_pump(struct scene *scene);
/* Takes what the session has to say, and drops it. */
void scene_discard(struct wire_server *server);
/* A body of `length` bytes, behind gRPC's prefix or not. From the heap. */
struct base_bytes scene_make_body(bool grpc, size_t length);

#endif
