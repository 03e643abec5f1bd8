/*
 * TLS by OpenSSL, which no other files but tls_context.c and socket.c include. Both roles.
 */
#ifndef ZANDAKA_NET_TLS_H
#define ZANDAKA_NET_TLS_H

#include "net/net.h"

struct ssl_st;
struct ssl_ctx_st;

/* --- tls_context.c: certificates and keys, and what is asked of the peer --- */

/* What a server's connections are made from. NULL: *ret_message says which file is wrong and why,
 * in the arena. */
struct ssl_ctx_st *net_tls_server_context(const struct net_tls_files *files,
                                          struct base_arena *arena, struct base_text *ret_message);
/* The same for a client; files->authority empty: the system's roots. */
struct ssl_ctx_st *net_tls_client_context(const struct net_tls_files *files,
                                          struct base_arena *arena, struct base_text *ret_message);
/* One more owner of the context. Any thread. */
struct ssl_ctx_st *net_tls_context_share(struct ssl_ctx_st *context);
/* One owner less; NULL is allowed. */
void net_tls_context_release(struct ssl_ctx_st *context);

/* --- socket.c: a socket, with TLS or without --- */

/* Connected and non-blocking. Embedded by its owner, and used by one thread at a time. */
struct net_socket {
    int fd;
    struct ssl_st *tls;  /* NULL: plaintext */
    bool wants_write;    /* TLS can go on only once the socket takes bytes */
    bool broken;         /* TLS has failed: nothing can be said in it any more */
    const char *problem; /* why it has, static; NULL: no reason is known */
};

/* Begins TLS in the server's role. The handshake is made by net_socket_read. */
void net_socket_accept_tls(struct net_socket *socket, struct ssl_ctx_st *context);
/* Begins TLS in the client's role, for the server of that host name or address, with ALPN h2. The
 * handshake is made by net_socket_greet. */
void net_socket_connect_tls(struct net_socket *socket, struct ssl_ctx_st *context,
                            struct base_text host);
/* Goes on with the handshake. NET_DONE: it is over. */
enum net_result net_socket_greet(struct net_socket *socket) BASE_MUST_USE;
/* Why TLS is broken, in the arena, ended by NUL. */
struct base_text net_socket_problem(const struct net_socket *socket, struct base_arena *arena);
/* Whether there is no handshake to wait for (any more). */
bool net_socket_greeted(const struct net_socket *socket);
/* Reads up to `capacity` bytes. NET_DONE: *ret_length of them, at least one; else it is 0. */
enum net_result net_socket_read(struct net_socket *socket, uint8_t *buffer, size_t capacity,
                                size_t *ret_length) BASE_MUST_USE;
/* Writes some of the bytes, of which there is at least one. NET_DONE: *ret_length of them, at least
 * one; else it is 0. After NET_WAIT the same bytes must come first again, wherever they are then.
 */
enum net_result net_socket_write(struct net_socket *socket, struct base_bytes bytes,
                                 size_t *ret_length) BASE_MUST_USE;
/* Reads what still comes and drops it, TLS or not. False: the peer has ended. */
bool net_socket_discard(struct net_socket *socket, uint8_t *buffer, size_t capacity) BASE_MUST_USE;
/* Whether a part of a TLS record is here whose rest has not come. */
bool net_socket_half_record(const struct net_socket *socket);
/* Bytes that TLS holds for what is under way: a handshake, or a record half received. */
size_t net_socket_held_bytes(const struct net_socket *socket);
/* Tells the peer that nothing more will come. False: the socket is broken. */
bool net_socket_end(struct net_socket *socket) BASE_MUST_USE;
void net_socket_close(struct net_socket *socket);
/* As net_connection_peer_names and net_connection_protocol say. */
size_t net_socket_peer_names(const struct net_socket *socket, struct base_arena *arena,
                             struct base_text *ret_names, size_t capacity);
enum net_protocol net_socket_protocol(const struct net_socket *socket);

#endif
