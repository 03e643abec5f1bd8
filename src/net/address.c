/* Addresses as text. */
#include "net/loop.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

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

/* Why a look-up gave nothing. */
static const char *reason_of(enum net_lookup_end end, int error)
{
    switch (end) {
    case NET_LOOKUP_LATE:
        return "the name server did not answer in time";
    case NET_LOOKUP_TOO_MANY:
        return "too many names are being looked up, since the name server does not answer";
    case NET_LOOKUP_NO_THREAD:
        return "no thread can be started to look it up";
    default:
        return gai_strerror(error);
    }
}

struct addrinfo *net_resolve(struct base_text address, int flags, int64_t until_ns,
                             struct base_arena *arena, struct base_text *ret_message)
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
    int error = 0;
    enum net_lookup_end end = NET_LOOKUP_DONE;
    if (until_ns == INT64_MAX) {
        error = getaddrinfo(name.bytes, service.bytes, &hints, &found);
    } else {
        end = net_look_up(name.bytes, service.bytes, &hints, until_ns, &error, &found);
    }
    if (error == EAI_MEMORY) {
        base_stop("out of memory (the address `%s` was looked up)", name.bytes);
    }
    if (end != NET_LOOKUP_DONE || error != 0) {
        *ret_message =
            base_arena_print(arena, "no address for `%s`: %s", name.bytes, reason_of(end, error));
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
    struct addrinfo *found = net_resolve(address, AI_PASSIVE, INT64_MAX, &arena, &message);
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
