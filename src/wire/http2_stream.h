/*
 * A stream of the server's role of HTTP/2: from header fields and data to a request, from a reply
 * to an answer. http2_server.c calls this with what nghttp2 tells.
 *
 *  1. A stream of ours lives from its first header to nghttp2's closing of it, and is in
 *     server->streams all that time.
 *  2. A request belongs to its stream until events->request has it, which happens at most once.
 *  3. A stream is WAITING exactly between events->request and its reply or events->cancelled;
 *     server->n_waiting counts those, and n_receiving the ones before.
 *  4. server->held_bytes is the sum of the streams' held_bytes.
 *  5. A stream has `streamed` exactly when its call is streamed: from its headers on, which hand it
 *     over, it is WAITING while its messages come. server->n_streamed counts those streams.
 */
#ifndef ZANDAKA_WIRE_HTTP2_STREAM_H
#define ZANDAKA_WIRE_HTTP2_STREAM_H

#include "wire/grpc.h"
#include "wire/http2.h"
#include "wire/http2_conduct.h"
#include "wire/http2_frames.h"

enum stream_stage {
    STREAM_RECEIVING,
    STREAM_WAITING, /* for wire_server_reply */
    STREAM_ANSWERED /* an answer is on its way, or none is wanted */
};

/* What a stream has besides when its call is streamed (http2_streamed.c). */
struct http2_streamed {
    size_t message_max_bytes;
    bool wants_message;       /* the next message may be handed over */
    bool reading;             /* messages are being handed over just now */
    bool half_closed;         /* which was told */
    bool begun;               /* the answer's headers are on their way */
    bool full;                /* the stream was found not to be writable */
    struct base_writer ahead; /* received before it was wanted, behind ahead_at */
    size_t ahead_at;
    struct base_writer unsent; /* messages with their prefixes, behind unsent_at */
    size_t unsent_at;
    bool ending;                        /* the trailers go out behind what is unsent */
    struct wire_http2_message trailers; /* once ending */
};

struct http2_stream {
    struct http2_stream *next; /* in server->streams, or in server->free_streams */
    struct http2_stream *previous;
    int32_t id;
    enum stream_stage stage;
    enum wire_form form;
    bool remote_open; /* END_STREAM has not come */
    bool head;        /* the method is HEAD: no body in the answer */
    bool admitted;    /* events->admits was asked */
    unsigned n_content_types;
    struct base_text grpc_timeout; /* NULL: none; both as sent */
    struct base_text connect_timeout;
    struct base_text grpc_encoding;
    size_t n_header_bytes; /* as HTTP/2 counts them */
    size_t held_bytes;
    struct wire_request *request; /* while receiving */
    struct wire_header_list headers;
    struct wire_message_reader message; /* what comes; HTTP uses its bytes only */
    struct wire_http2_message reply;
    struct http2_streamed *streamed; /* NULL: the call is unary, or no call */
};

struct http2_server {
    nghttp2_session *session;
    const struct wire_server_events *events;
    void *user;
    struct http2_stream *streams;
    struct http2_stream *free_streams;
    struct http2_stream *in_headers; /* whose header block is coming; NULL: nobody's that counts */
    size_t preface_left;             /* bytes of the client's preface that are to come */
    struct wire_http2_frames frames;
    struct wire_http2_conduct conduct;
    struct base_bytes leftover; /* of what nghttp2 has given to send */
    size_t held_bytes;
    size_t n_waiting;
    size_t n_receiving;
    size_t n_streamed;
    unsigned n_invalid_frames;
    bool draining; /* the last stream has been told */
    bool ended;    /* nothing is taken any more */
};

/* Begins a stream, RECEIVING, with an empty request. */
struct http2_stream *wire_http2_stream_open(struct http2_server *server, int32_t id);
/* nghttp2 has closed the stream. Whether a request still waited is the caller's to look at before,
 * and n_waiting the caller's to count. */
void wire_http2_stream_close(struct http2_server *server, struct http2_stream *stream);

/* One field of the header block. The texts live as long as the request's arena. */
void wire_http2_stream_header(struct http2_stream *stream, struct base_text name,
                              struct base_text value);
/* The header block is complete: what can be refused now need not be received. */
void wire_http2_stream_headers_complete(struct http2_server *server, struct http2_stream *stream);
/* A piece of the body of a stream that is RECEIVING. */
void wire_http2_stream_data(struct http2_server *server, struct http2_stream *stream,
                            struct base_bytes piece);
/* END_STREAM has come. */
void wire_http2_stream_end_of_input(struct http2_server *server, struct http2_stream *stream);

/* What the stream holds is `bytes` from now on. */
void wire_http2_stream_hold(struct http2_server *server, struct http2_stream *stream, size_t bytes);
/* How a fault of a gRPC message is answered, but for one that is too large. */
struct wire_reply wire_http2_message_refusal(enum wire_message_fault fault);

/* Answers a stream that is not RECEIVING and has no answer. `grpc_http_status` is 200 but for what
 * is no gRPC. */
void wire_http2_stream_answer(struct http2_server *server, struct http2_stream *stream,
                              const struct wire_reply *reply, int grpc_http_status);

/* --- streamed calls (http2_streamed.c) --- */

/* The call of a stream, which is about to be handed over, is streamed. */
void wire_http2_streamed_open(struct http2_server *server, struct http2_stream *stream,
                              size_t message_max_bytes);
void wire_http2_streamed_close(struct http2_server *server, struct http2_stream *stream);
/* A piece of its messages, while it is WAITING. */
void wire_http2_streamed_data(struct http2_server *server, struct http2_stream *stream,
                              struct base_bytes piece);
/* Hands over what has come and may be: the next message, or that there are no more. */
void wire_http2_streamed_read(struct http2_server *server, struct http2_stream *stream);
bool wire_http2_streamed_writable(struct http2_stream *stream);
void wire_http2_streamed_begin(struct http2_server *server, struct http2_stream *stream,
                               size_t n_headers, const struct wire_header *headers);
void wire_http2_streamed_write(struct http2_server *server, struct http2_stream *stream,
                               struct base_bytes message);
/* Ends it: as wire_http2_stream_answer, for a call that is WAITING. */
void wire_http2_streamed_end(struct http2_server *server, struct http2_stream *stream,
                             const struct wire_reply *reply);

#endif
