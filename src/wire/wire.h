/*
 * wire: protocol sessions without I/O: bytes in, bytes out, no sockets, no clock, so that a fuzzer
 * and a simulator can drive them as a socket does.
 *
 * A server session speaks gRPC over HTTP/2, plain requests over HTTP/2, and HTTP/1.1, and tells
 * them apart by the first bytes. Above it a request is one thing (struct wire_request), whichever
 * way it came. A client session speaks gRPC over HTTP/2.
 *
 * A session is used by one thread at a time. Garbage closes the connection that it came on and
 * touches nothing else.
 */
#ifndef ZANDAKA_WIRE_H
#define ZANDAKA_WIRE_H

#include "base/base.h"

/* --- requests and replies --- */

enum wire_form {
    WIRE_GRPC, /* content-type application/grpc…: one message in, one out, a status behind it */
    WIRE_HTTP  /* anything else: a body in, a body out */
};

/* What is wrong with a request that only the methods' own form of error can answer. */
enum wire_defect {
    WIRE_DEFECT_NONE,
    WIRE_DEFECT_TOO_LARGE, /* larger than BASE_REQUEST_MAX_BYTES; the body is left empty */
    WIRE_DEFECT_UNREAD,    /* events->admits refused it; the body is left empty */
    WIRE_DEFECT_TIMEOUT,   /* HTTP: connect-timeout-ms is malformed; timeout_ns is -1 */
    WIRE_DEFECT_REFUSED    /* HTTP: it is no request as HTTP has them; see `refusal` */
};

struct wire_header {
    struct base_text name; /* lower case */
    struct base_text value;
};

/* How what is no request is to be answered. */
struct wire_refusal {
    int http_status;          /* 400, 417, 431, 501 or 505 */
    struct base_text message; /* static */
};

/* A complete request, or the beginning of a streamed call. Whoever gets it owns it and releases it
 * once; it does not depend on the session any more. */
struct wire_request {
    struct base_arena arena; /* what the request points to lives here; its owner may use it on */
    enum wire_form form;
    enum wire_defect defect;       /* to be answered before anything else is looked at */
    struct wire_refusal refusal;   /* with WIRE_DEFECT_REFUSED; little else is set then */
    bool streamed;                 /* gRPC: its messages come one by one; no body */
    struct base_text method;       /* `POST`; kept as sent */
    struct base_text path;         /* without the query; not decoded */
    struct base_text query;        /* behind the `?`; empty: none */
    struct base_text content_type; /* lower case, without parameters; empty: none */
    struct base_text content_type_parameters; /* behind the `;`, trimmed; empty: none */
    size_t n_headers;                         /* all other headers, in their order */
    const struct wire_header *headers;
    int64_t timeout_ns;     /* from grpc-timeout or connect-timeout-ms; -1: none */
    struct base_bytes body; /* gRPC: the message without its prefix */
    uint8_t *body_memory;   /* where the body lives, freed with the request */
};

/* The first header of that (lower-case) name; empty text with NULL bytes: none. */
struct base_text wire_request_header(const struct wire_request *request, struct base_text name);
void wire_request_release(struct wire_request *request);

/* An answer. Copied by the session; in the form of the request that it answers. */
struct wire_reply {
    /* gRPC. A status other than 0 goes out as Trailers-Only, without the body. */
    enum base_code grpc_status;
    struct base_text grpc_message;         /* any UTF-8: percent-encoded on the wire */
    struct base_bytes grpc_status_details; /* a google.rpc.Status; empty: none */
    size_t n_trailers;
    const struct wire_header *trailers;
    /* HTTP. */
    int http_status;
    /* Both. */
    struct base_text content_type; /* gRPC: `application/grpc` where it is not of gRPC */
    size_t n_headers;
    const struct wire_header *headers;
    struct base_bytes body; /* gRPC: the message without its prefix */
};

/* --- the server's session --- */

struct wire_server;

struct wire_server_events {
    /* A request is complete. The receiver owns it, and answers with wire_server_reply on that
     * stream, now or later. Not called again for that stream. */
    void (*request)(void *user, uint32_t stream, struct wire_request *request);
    /* Whether the body of a request is worth reading, of which no more is known than stands before
     * it: asked once, before more than BASE_BODY_UNASKED_BYTES of it are kept. False: the request
     * comes at once, with WIRE_DEFECT_UNREAD. It stays the session's. NULL: every body is. */
    bool (*admits)(void *user, const struct wire_request *request);
    /* The peer has given that request up; a reply to it would be ignored. Only after `request`. */
    void (*cancelled)(void *user, uint32_t stream);

    /* Streamed calls, below. All four are NULL where there are none. */

    /* The session has ended a streamed call with that status, since what came is no message: in
     * place of `cancelled`. NULL: that is called. */
    void (*refused)(void *user, uint32_t stream, enum base_code code);

    /* The largest message, in bytes, that a gRPC call to that path may send, if it is streamed; 0:
     * it is unary. */
    size_t (*streamed_message_max)(void *user, struct base_text path);
    /* A message of a streamed call; valid during the call only. The next one comes after
     * wire_server_next, which may be called in here. */
    void (*message)(void *user, uint32_t stream, struct base_bytes message);
    /* All messages have come, and there will be no more. */
    void (*half_closed)(void *user, uint32_t stream);
    /* wire_server_writable is true again, having been false. */
    void (*writable)(void *user, uint32_t stream);
};

/* Never NULL. `events` must outlive the session. */
struct wire_server *wire_server_open(const struct wire_server_events *events, void *user);
/* What ALPN has agreed on: from here on nothing else is understood. Before anything is received. */
enum wire_version { WIRE_HTTP1, WIRE_HTTP2 };
void wire_server_expect(struct wire_server *server, enum wire_version version);
/* Takes what a socket gave, all of it. False: the session has ended; what wire_server_send still
 * gives (a GOAWAY, a 400) goes out, then the connection is closed. Calls `events`. */
bool wire_server_receive(struct wire_server *server, struct base_bytes bytes) BASE_MUST_USE;
/* The peer has closed its side. False: as above. */
bool wire_server_receive_end(struct wire_server *server) BASE_MUST_USE;
/* What is to go out: up to `capacity` bytes into `buffer`, gathered over all that waits. 0: nothing
 * now. Calls `events`: an HTTP/1.1 request that was sent ahead is handed up once the answer to the
 * one before it is out. */
size_t wire_server_send(struct wire_server *server, uint8_t *buffer, size_t capacity);
/* Whether the connection may be closed: it has ended or drained, and all has been sent. */
bool wire_server_finished(const struct wire_server *server);
/* Answers the request of that stream; one that is not waiting for an answer is ignored. */
void wire_server_reply(struct wire_server *server, uint32_t stream, const struct wire_reply *reply);
/* Tells the time, which a session does not look up itself; every second will do. HTTP/2 judges by
 * it whether a client pings too often. */
void wire_server_set_time(struct wire_server *server, int64_t now_mono_ns);
/* Asks the peer whether it is there: it must send something. False: the protocol has no such
 * question. */
bool wire_server_ping(struct wire_server *server) BASE_MUST_USE;
/* Begins to end: HTTP/2 says GOAWAY with 2^31-1, HTTP/1.1 answers the request under way and says
 * `connection: close`. Requests that still arrive are taken. */
void wire_server_shutdown_notice(struct wire_server *server);
/* Ends: GOAWAY with the real last stream; finished once the requests under way are answered. */
void wire_server_drain(struct wire_server *server);
/*
 * A streamed call of gRPC: any number of messages in, any number out, a status behind them. It is
 * handed over with its headers, and the first message is wanted. Messages come one at a time: what
 * its peer sends ahead of wire_server_next waits, up to the stream's flow-control window. It ends
 * with wire_server_reply, whose body and headers are left out once a message or the headers went
 * out before, or with events->cancelled. There are at most BASE_STREAMED_CALLS_MAX in a session;
 * more are answered with RESOURCE_EXHAUSTED and not handed over. All of these ignore a stream that
 * has no streamed call waiting.
 */

/* The next message is wanted. */
void wire_server_next(struct wire_server *server, uint32_t stream);
/* Whether less than BASE_STREAM_UNSENT_MAX_BYTES wait to be sent, or the call is over. */
bool wire_server_writable(const struct wire_server *server, uint32_t stream);
/* Sends the answer's headers ahead of its first message; not after it. */
void wire_server_begin(struct wire_server *server, uint32_t stream, size_t n_headers,
                       const struct wire_header *headers);
/* Sends a message, which is copied. Taken whether or not the stream is writable: who does not look
 * is bounded by nobody. */
void wire_server_write(struct wire_server *server, uint32_t stream, struct base_bytes message);

/* Bytes that the session holds: bodies half received, answers not sent. For the budget. */
size_t wire_server_held_bytes(const struct wire_server *server);
/* Requests handed over and not answered. */
size_t wire_server_open_requests(const struct wire_server *server);
/* The request that began first of those that have begun and are not complete (an HTTP/1.1 head
 * included), as a number that no other request of the session has; 0: there is none. Who looks
 * again later and finds the same number sees one request that does not come to its end; another
 * number means that requests are coming and being completed. */
uint32_t wire_server_half_received(const struct wire_server *server);
void wire_server_close(struct wire_server *server);

/* --- the client's session: gRPC, unary, and calls whose answer is a stream --- */

struct wire_client;

struct wire_call {
    struct base_text path; /* `/zandaka.v1.BalanceService/Add` */
    struct base_bytes message;
    int64_t timeout_ns; /* sent as grpc-timeout; -1: none */
    size_t n_headers;
    const struct wire_header *headers;
    /* The answer is a stream of messages, of at most so many bytes each, handed over by
     * events->message as they come; 0: it is one message of up to BASE_ANSWER_MAX_BYTES. */
    size_t streamed_message_max;
};

/* Valid during the callback only. */
struct wire_response {
    int grpc_status; /* -1: the stream or the connection ended without one, or with HTTP's only */
    struct base_text message;         /* grpc-message, decoded */
    struct base_bytes status_details; /* grpc-status-details-bin, decoded */
    struct base_bytes
        body;         /* the message; empty unless grpc_status is 0, or when it was streamed */
    size_t n_headers; /* initial metadata and trailers together */
    const struct wire_header *headers;
};

struct wire_client_events {
    /* The answer of the call, or its end, exactly once for each call that was taken. */
    void (*response)(void *user, void *call_user, const struct wire_response *response);
    /* A message of a streamed answer, before `response`; valid during the call only. A call that
     * fails later has shown some all the same. May be NULL where no call is streamed. */
    void (*message)(void *user, void *call_user, struct base_bytes message);
};

/* Never NULL. `authority` (host:port) is copied. `secure`: the bytes go through TLS, which the
 * requests say in their scheme. */
struct wire_client *wire_client_open(const struct wire_client_events *events, void *user,
                                     struct base_text authority, bool secure);
/* Begins a call. False: no more calls can begin here (the server said GOAWAY, or the session has
 * ended), and none was begun. More calls than the server allows at once wait in the session. */
bool wire_client_call(struct wire_client *client, const struct wire_call *call,
                      void *call_user) BASE_MUST_USE;
/* As for the server. */
bool wire_client_receive(struct wire_client *client, struct base_bytes bytes) BASE_MUST_USE;
size_t wire_client_send(struct wire_client *client, uint8_t *buffer, size_t capacity);
/* Calls begun and not answered. */
size_t wire_client_open_calls(const struct wire_client *client);
/* Answers every call that is open with status -1 and frees. */
void wire_client_close(struct wire_client *client);

#endif
