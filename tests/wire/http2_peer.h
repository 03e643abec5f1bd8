/*
 * The other side of an HTTP/2 session under test: nghttp2 without our code on top, which sends
 * whatever it is told and writes down what comes.
 */
#ifndef ZANDAKA_TESTS_WIRE_HTTP2_PEER_H
#define ZANDAKA_TESTS_WIRE_HTTP2_PEER_H

#include "wire/wire.h"

#include <nghttp2/nghttp2.h>

/* What has come on one stream. */
struct peer_stream {
    struct peer_stream *next;
    int32_t id;
    char fields[4096]; /* `name: value\n` each; a `--\n` before each later block of fields */
    size_t n_blocks;
    struct base_writer body; /* all DATA */
    bool ended;              /* END_STREAM has come */
    bool closed;
    uint32_t reset_code; /* of the RST_STREAM that came; UINT32_MAX: none */
    struct base_bytes to_send;
    bool end_after;
};

struct peer {
    nghttp2_session *session;
    struct peer_stream *streams;
    int32_t goaway_last_stream; /* -1: none has come */
    uint32_t goaway_code;
    unsigned n_goaways;
    unsigned n_ping_acks;
    struct base_bytes leftover;
    /* As a server: called when a request is complete; NULL: nothing is answered. */
    void (*requested)(struct peer *peer, int32_t stream_id);
};

void peer_open_client(struct peer *peer);
void peer_open_server(struct peer *peer);
void peer_close(struct peer *peer);
/* Begins a request: `fields` are lines as above; `body` must live until it is sent; without `end`
 * the stream stays open behind it. */
int32_t peer_request(struct peer *peer, const char *fields, struct base_bytes body, bool end);
/* Answers with fields and END_STREAM. */
void peer_respond(struct peer *peer, int32_t stream_id, const char *fields);
/* The stream's record; an assertion fails when there is none. */
struct peer_stream *peer_stream(struct peer *peer, int32_t stream_id);
/* Forgets the streams so far: none of them may say anything more. */
void peer_forget(struct peer *peer);
bool peer_receive(struct peer *peer, struct base_bytes bytes);
size_t peer_send(struct peer *peer, uint8_t *buffer, size_t capacity);

/* Moves what the two have to say, `chunk` bytes at a time, until neither says any more. False: the
 * server's session ended. */
bool pump_server(struct wire_server *server, struct peer *peer, size_t chunk);
bool pump_client(struct wire_client *client, struct peer *peer, size_t chunk);
bool pump_pair(struct wire_client *client, struct wire_server *server, size_t chunk);

#endif
