/* A client's connection: made within a time, then read and written without waiting. */
#include "net/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct net_stream {
    struct net_socket socket;
};

/* Waits until the descriptor can be written or read, as `events` say. False: the time is up. */
static bool wait_for(int fd, short events, int64_t until_ns)
{
    for (;;) {
        int64_t left_ms = (until_ns - base_now_mono_ns(&base_clock_system)) / BASE_NS_PER_MS;
        if (left_ms <= 0) {
            return false;
        }
        struct pollfd ready = {.fd = fd, .events = events};
        if (poll(&ready, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms) > 0) {
            return true;
        }
    }
}

/* --- TCP --- */

/* Waits until the connecting socket is connected. 0, or an errno. */
static int finish_connect(int fd, int64_t until_ns)
{
    if (!wait_for(fd, POLLOUT, until_ns)) {
        return ETIMEDOUT;
    }
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 ? errno : error;
}

/* A connected socket that does not block, or -1 with errno set. */
static int connect_one(const struct addrinfo *address, int64_t until_ns)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int error = 0;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        error = errno == EINPROGRESS ? finish_connect(fd, until_ns) : errno;
    }
    int one = 1;
    if (error == 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int connect_any(struct base_text address, int64_t until_ns, struct base_arena *arena,
                       struct base_text *ret_message)
{
    struct addrinfo *found = net_resolve(address, 0, until_ns, arena, ret_message);
    if (found == NULL) {
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *each = found; each != NULL && fd < 0; each = each->ai_next) {
        fd = connect_one(each, until_ns);
    }
    if (fd < 0) {
        *ret_message = base_arena_print(arena, "no server at %.*s: %s", BASE_TEXT_ARGS(address),
                                        strerror(errno));
    }
    freeaddrinfo(found);
    return fd;
}

/* --- TLS --- */

/* What is wrong with the handshake's outcome, or NULL. */
static const char *greet(struct net_socket *socket, int64_t until_ns, struct base_arena *arena)
{
    enum net_result result;
    while ((result = net_socket_greet(socket)) == NET_WAIT) {
        if (!wait_for(socket->fd, socket->wants_write ? POLLOUT : POLLIN, until_ns)) {
            return "no TLS handshake within the timeout";
        }
    }
    if (result != NET_DONE) {
        return net_socket_problem(socket, arena).bytes;
    }
    if (net_socket_protocol(socket) != NET_PROTOCOL_HTTP2) {
        return "it speaks TLS but not HTTP/2";
    }
    return NULL;
}

static bool begin_tls(struct net_socket *socket, const struct net_destination *destination,
                      int64_t until_ns, struct base_arena *arena, struct base_text *ret_message)
{
    struct ssl_ctx_st *context = net_tls_client_context(&destination->files, arena, ret_message);
    if (context == NULL) {
        return false;
    }
    struct base_text host;
    uint16_t port;
    bool split = net_split_address(destination->address, &host, &port);
    base_assert(split);
    net_socket_connect_tls(socket, context, host);
    net_tls_context_release(context);
    const char *wrong = greet(socket, until_ns, arena);
    if (wrong != NULL) {
        *ret_message = base_arena_print(arena, "no TLS with the server at %.*s: %s",
                                        BASE_TEXT_ARGS(destination->address), wrong);
    }
    return wrong == NULL;
}

/* --- both --- */

struct net_stream *net_dial(const struct net_destination *destination, struct base_arena *arena,
                            struct base_text *ret_message)
{
    int64_t until_ns =
        base_now_mono_ns(&base_clock_system) + destination->timeout_ms * BASE_NS_PER_MS;
    struct net_socket socket = {
        .fd = connect_any(destination->address, until_ns, arena, ret_message)};
    if (socket.fd < 0) {
        return NULL;
    }
    if (destination->tls && !begin_tls(&socket, destination, until_ns, arena, ret_message)) {
        net_socket_close(&socket);
        return NULL;
    }
    struct net_stream *stream = base_allocate(sizeof *stream);
    *stream = (struct net_stream){socket};
    return stream;
}

const char *net_stream_problem(const struct net_stream *stream)
{
    return stream->socket.problem;
}

int net_stream_descriptor(const struct net_stream *stream)
{
    return stream->socket.fd;
}

enum net_result net_stream_receive(struct net_stream *stream, uint8_t *buffer, size_t capacity,
                                   size_t *ret_length)
{
    return net_socket_read(&stream->socket, buffer, capacity, ret_length);
}

enum net_result net_stream_send(struct net_stream *stream, struct base_bytes bytes,
                                size_t *ret_length)
{
    return net_socket_write(&stream->socket, bytes, ret_length);
}

void net_stream_close(struct net_stream *stream)
{
    net_socket_close(&stream->socket);
    free(stream);
}
