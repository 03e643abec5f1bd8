/*
 * net: sockets and event loops. Knows no protocol: what is read goes to a handler, what the handler
 * has to say is written. Each loop is a thread with its own epoll and its own connections; a
 * connection and its session are touched by its loop's thread only. Other threads reach a loop by
 * net_post.
 *
 * A loop gives its connections short turns, and those that have little under way theirs first
 * (turns.c).
 *
 * One budget counts the bytes in flight over all connections. While it is spent, only connections
 * that hold little are read from, and in each loop one that holds more, so that what was begun
 * comes to its end one after another. What makes no progress ends by time: tick closes it. Once
 * twice the budget is spent, whoever holds most is cut off.
 */
#ifndef ZANDAKA_NET_H
#define ZANDAKA_NET_H

#include "base/base.h"

/* What came of an attempt to read or to write. */
enum net_result {
    NET_DONE,
    NET_WAIT,  /* not now: the socket is empty, or full */
    NET_ENDED, /* the peer has said that nothing more will come */
    NET_BROKEN /* the connection is gone, or what came is no TLS */
};

struct net_server;
struct net_loop;
struct net_connection;

/* --- TLS --- */

/* Files in PEM. For a server: its certificate, followed by those that lead up from it, its key, and
 * the authorities whose certificates callers may show. For a client: the certificate that it shows,
 * if any, and the authorities whose servers it believes. */
struct net_tls_files {
    struct base_text certificate; /* empty: none */
    struct base_text key;         /* goes with it */
    struct base_text authority;   /* empty: a server asks for none; a client takes the system's */
    bool peer_required;           /* a server: who shows no certificate is not let in */
};

/* Whether a server could use them now. False: *ret_message says which file is wrong and why, in the
 * arena. */
bool net_tls_check(const struct net_tls_files *files, struct base_arena *arena,
                   struct base_text *ret_message) BASE_MUST_USE;

/* What the two sides of a connection have agreed to speak, by ALPN. */
enum net_protocol {
    NET_PROTOCOL_UNSAID, /* plaintext: the first bytes say it */
    NET_PROTOCOL_HTTP1,  /* TLS, and also when the client said nothing */
    NET_PROTOCOL_HTTP2
};

/* --- the server --- */

/* What a server does with its connections. All on the loop's thread. `session` is what `opened`
 * gave. */
struct net_handler {
    /* A connection has come. NULL: it is closed at once. */
    void *(*opened)(void *context, struct net_connection *connection);
    /* Bytes have come; length 0: the peer closed its side. False: send what there is, then close.
     */
    bool (*received)(void *session, struct base_bytes bytes);
    /* Bytes to send, up to `capacity`; 0: none now. Asked until it gives 0, the socket is full, or
     * it is another connection's turn. */
    size_t (*produce)(void *session, uint8_t *buffer, size_t capacity);
    /* Asked when all is sent. True: close. */
    bool (*finished)(void *session);
    /* Whether the session has much under way: then others have their turn first. */
    bool (*busy)(void *session);
    /* Bytes that the session holds, for the budget. Asked after received and produce. */
    size_t (*held_bytes)(void *session);
    /* Once a second. False: close now (idle, half-sent, not reading its answers).
     * `last_read_ns` and `last_write_ns`: when bytes last came, and last went out. */
    bool (*tick)(void *session, int64_t now_mono_ns, int64_t last_read_ns, int64_t last_write_ns);
    /* The server stops: tell the peer. `last` false: the notice; true: a moment later, for good. */
    void (*drain)(void *session, bool last);
    /* The connection is gone; the session is the handler's to free. */
    void (*closed)(void *session);
};

struct net_options {
    struct base_text listen; /* HOST:PORT; [::1]:8630 for IPv6; port 0: a free one */
    unsigned n_loops;
    unsigned connections_max;
    size_t inflight_max_bytes;
    struct net_tls_files tls; /* certificate empty: plaintext. With TLS the process must ignore
                               * SIGPIPE */
    const struct net_handler *handler;
    void *context; /* for handler->opened */
};

/* Listens and starts the loops. NULL: *ret_message says why and what to do, in the arena (port
 * taken, no such address, no permission, a file of TLS). */
struct net_server *net_server_open(const struct net_options *options, struct base_arena *arena,
                                   struct base_text *ret_message);
/* HOST:PORT as bound. Lives as long as the server. */
struct base_text net_server_address(const struct net_server *server);
/* Reads the files of TLS again, for the connections that come from now on; those that there are go
 * on as they are. Any thread. False: *ret_message says what is wrong, in the arena, and all stays
 * as it was. Only for a server with TLS. */
bool net_server_reload_tls(struct net_server *server, struct base_arena *arena,
                           struct base_text *ret_message) BASE_MUST_USE;
/* Takes no new connections, drains those that there are, and waits until they are gone or the time
 * is up. Any thread but a loop's. */
void net_server_drain(struct net_server *server, int64_t timeout_ms);
/* Ends the loops: from here on no handler is called but by net_server_close. What is posted waits
 * for that. Not on a loop's thread. */
void net_server_stop(struct net_server *server);
/* Stops, unless that was done; runs what is still posted, closes what is left, frees. */
void net_server_close(struct net_server *server);

/* Something to be done on a loop's thread. Embedded by its owner. */
struct net_message {
    void (*run)(struct net_message *message);
    struct net_message *next; /* net's own */
};
/* Has message->run called once on the loop's thread, soon. Any thread; never waits; until
 * net_server_close is called. Output of connections woken in it goes out in one write each. */
void net_post(struct net_loop *loop, struct net_message *message);
struct net_loop *net_connection_loop(const struct net_connection *connection);
/* The session has something to send: produce is called soon. On the loop's thread, and not after
 * `closed`. */
void net_connection_wake(struct net_connection *connection);
/* The names of the certificate that the peer has shown and that one of tls.authority's has signed:
 * its subject's alternative names of the kinds DNS, in lower case, and URI, in the certificate's
 * order. A DNS name has no colon, so that none looks like a URI. Up to `capacity` of them into
 * ret_names, in the arena; gives how many, 0 without such a certificate. On the loop's thread, once
 * bytes have come. */
size_t net_connection_peer_names(const struct net_connection *connection, struct base_arena *arena,
                                 struct base_text *ret_names, size_t capacity);
/* Once bytes have come. */
enum net_protocol net_connection_protocol(const struct net_connection *connection);
/* Counts bytes that a session's requests hold outside of it (or gives them back, below 0). Any
 * thread. */
void net_server_charge(struct net_server *server, int64_t bytes);
/* Tells a connection's server. */
struct net_server *net_connection_server(const struct net_connection *connection);
/* Open connections now. */
unsigned net_server_connections(struct net_server *server);

/* Figures for an operator: what has happened since the start, and what there is now. */
struct net_figures {
    unsigned connections;
    unsigned connections_max;
    uint64_t accepted;
    uint64_t refused; /* closed at once, or not accepted at all: there were too many */
    size_t inflight_bytes;
    size_t inflight_max_bytes;
    int64_t longest_round_ns; /* of the loops, how long ago the last one came round: idle ones do
                                 every BASE_TICK_MS */
};
/* Any thread. */
void net_server_read_figures(struct net_server *server, struct net_figures *ret_figures);

/* --- a client's connection --- */

/* A server, and how to reach it. With TLS the process must ignore SIGPIPE. */
struct net_destination {
    struct base_text address; /* HOST:PORT */
    int64_t timeout_ms;       /* for name, connection and handshake together */
    bool tls;                 /* with ALPN h2; the certificate must be for HOST */
    struct net_tls_files files;
};

struct net_stream;

/* Connects and greets, within the timeout; after that nothing waits. NULL: *ret_message says why,
 * in the arena: no such host, a name server that does not answer, nobody there, a certificate that
 * is not believed. */
struct net_stream *net_dial(const struct net_destination *destination, struct base_arena *arena,
                            struct base_text *ret_message);
/* To be polled: for reading before another receive, once one has given NET_WAIT (until then TLS may
 * hold bytes that poll does not see), and for writing before another send, once one has. */
int net_stream_descriptor(const struct net_stream *stream);
/* Up to `capacity` bytes. NET_DONE: *ret_length of them, at least one; else it is 0. */
enum net_result net_stream_receive(struct net_stream *stream, uint8_t *buffer, size_t capacity,
                                   size_t *ret_length) BASE_MUST_USE;
/* Some of the bytes, of which there is at least one. NET_DONE: *ret_length were taken; else it is
 * 0. After NET_WAIT the same bytes come first again. */
enum net_result net_stream_send(struct net_stream *stream, struct base_bytes bytes,
                                size_t *ret_length) BASE_MUST_USE;
/* Why TLS gave NET_BROKEN, static: a server that does not believe our certificate says so only
 * after the handshake. NULL: no reason is known. */
const char *net_stream_problem(const struct net_stream *stream);
void net_stream_close(struct net_stream *stream);

/* --- addresses --- */

/* Splits HOST:PORT ([…] around an IPv6 host). False: malformed. */
bool net_split_address(struct base_text address, struct base_text *ret_host, uint16_t *ret_port);
/* Whether that address (as in `listen`) is on the loopback interface. */
bool net_is_loopback(struct base_text address);

#endif
