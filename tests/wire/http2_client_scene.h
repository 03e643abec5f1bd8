/*
 * A client's session of HTTP/2 with our server's on the other side, and what came of its calls.
 */
#ifndef ZANDAKA_TESTS_WIRE_HTTP2_CLIENT_SCENE_H
#define ZANDAKA_TESTS_WIRE_HTTP2_CLIENT_SCENE_H

#include "http2_peer.h"

#define CALLS_MAX 4000

/* What came of one call. */
struct outcome {
    unsigned n_answers;
    int grpc_status;
    char message[200];
    char details[200];
    size_t body_length;
    uint64_t body_hash;
    char headers[500]; /* `name: value\n`, as far as there is room */
};

struct client_scene {
    struct wire_server *server;
    struct wire_client *client;
    struct outcome outcomes[CALLS_MAX];
    /* The server's side: answers with `reply`, or keeps the streams when it is NULL. */
    const struct wire_reply *reply;
    bool echo; /* the reply's body is the request's */
    uint32_t streams[CALLS_MAX];
    size_t n_streams;
    size_t n_cancelled;
    struct wire_request *last_request;
};

extern const struct base_text client_scene_authority;
/* For a session whose calls have an outcome each. */
extern const struct wire_client_events client_scene_events;

/* On the heap. */
struct client_scene *client_scene_open(void);
void client_scene_close(struct client_scene *scene);
/* Begins the call of that outcome. False: the session takes no more. */
bool client_scene_call(struct client_scene *scene, size_t number, struct base_bytes message);
/* So many bytes, each unlike its neighbours. From the heap. */
struct base_bytes client_scene_make_bytes(size_t length);

#endif
