/* Addresses as text, and connecting to one. */
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool net_split_address(struct base_text address, struct base_text *ret_host, uint16_t *ret_port)
{
    const char *colon = address.length == 0 ? NULL : memrchr(address.bytes, ':', address.length);
    if (colon == NULL || colon == address.bytes) {
        return false;
    }
    struct base_text host = {address.bytes, (size_t)(colon - address.bytes)};
    struct base_text port = {colon + 1, address.length - host.length - 1};
    int64_t number;
    if (!base_text_to_int64(port, &number) || number < 0 || number > UINT16_MAX) {
        return false;
    }
    if (host.bytes[0] == '[') {
        if (host.length < 3 || host.bytes[host.length - 1] != ']') {
            return false;
        }
        host = (struct base_text){host.bytes + 1, host.length - 2};
    } else if (memchr(host.bytes, ':', host.length) != NULL) {
        return false;
    }
    *ret_host = host;
    *ret_port = (uint16_t)number;
    return true;
}

struct addrinfo *net_resolve(struct base_text address, int flags, struct base_arena *arena,
                             struct base_text *ret_message)
{
    struct base_text host;
    uint16_t port;
    if (!net_split_address(address, &host, &port)) {
        *ret_message = base_arena_print(arena, "`%.*s` is not HOST:PORT, such as 127.0.0.1:8630",
                                        BASE_TEXT_ARGS(address));
        return NULL;
    }
    struct base_text name = base_arena_text(arena, host);
    struct base_text service = base_arena_print(arena, "%u", (unsigned)port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(name.bytes, service.bytes, &hints, &found);
    if (error == EAI_MEMORY) {
        base_stop("out of memory (the address `%s` was looked up)", name.bytes);
    }
    if (error != 0) {
        *ret_message =
            base_arena_print(arena, "no address for `%s`: %s", name.bytes, gai_strerror(error));
        return NULL;
    }
    return found;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
    }
    return false;
}

bool net_is_loopback(struct base_text address)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message;
    struct addrinfo *found = net_resolve(address, AI_PASSIVE, &arena, &message);
    bool loopback = found != NULL;
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) {
        loopback = loopback && is_loopback(each->ai_addr);
    }
    if (found != NULL) {
        freeaddrinfo(found);
    }
    base_arena_release(&arena);
    return loopback;
}

/* Waits until the connecting socket is connected. 0, or an errno. */
static int finish_connect(int fd, int64_t timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int timeout = timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
    int n = poll(&ready, 1, timeout);
    if (n == 0) {
        return ETIMEDOUT;
    }
    int error = 0;
    socklen_t length = sizeof error;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        return errno;
    }
    return error;
}

/* A connected, blocking socket, or -1 with errno set. */
static int dial_one(const struct addrinfo *address, int64_t timeout_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int error = 0;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        error = errno == EINPROGRESS ? finish_connect(fd, timeout_ms) : errno;
    }
    int one = 1;
    if (error == 0 && (fcntl(fd, F_SETFL, 0) != 0 ||
                       setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)) {
        error = errno;
    }
    if (error != 0) {
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int net_dial(struct base_text address, int64_t timeout_ms, struct base_arena *arena,
             struct base_text *ret_message)
{
    struct addrinfo *found = net_resolve(address, 0, arena, ret_message);
    if (found == NULL) {
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *each = found; each != NULL && fd < 0; each = each->ai_next) {
        fd = dial_one(each, timeout_ms);
    }
    if (fd < 0) {
        *ret_message = base_arena_print(arena, "no server at %.*s: %s", BASE_TEXT_ARGS(address),
                                        strerror(errno));
    }
    freeaddrinfo(found);
    return fd;
}
