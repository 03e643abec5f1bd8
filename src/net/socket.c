/* Reading from and writing to a socket, through TLS where there is TLS. */
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- beginning TLS --- */

static void begin_tls(struct net_socket *socket, SSL_CTX *context)
{
    ERR_clear_error();
    socket->tls = SSL_new(context);
    if (socket->tls == NULL || SSL_set_fd(socket->tls, socket->fd) != 1) {
        base_stop("out of memory (for a TLS connection)");
    }
}

void net_socket_accept_tls(struct net_socket *socket, SSL_CTX *context)
{
    begin_tls(socket, context);
    SSL_set_accept_state(socket->tls);
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

void net_socket_connect_tls(struct net_socket *socket, SSL_CTX *context, struct base_text host)
{
    begin_tls(socket, context);
    SSL_set_connect_state(socket->tls);
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text name = base_arena_text(&arena, host);
    int set;
    if (is_address(name.bytes)) {
        set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(socket->tls), name.bytes);
    } else {
        SSL_set_hostflags(socket->tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        set = SSL_set1_host(socket->tls, name.bytes) == 1 &&
              SSL_set_tlsext_host_name(socket->tls, name.bytes) == 1;
    }
    if (set != 1) {
        base_stop("out of memory (for a TLS connection)");
    }
    base_arena_release(&arena);
}

/* What the return of an SSL_ function means. */
static enum net_result tls_result(struct net_socket *socket, int returned)
{
    if (returned > 0) {
        return NET_DONE;
    }
    switch (SSL_get_error(socket->tls, returned)) {
    case SSL_ERROR_WANT_READ:
        return NET_WAIT;
    case SSL_ERROR_WANT_WRITE:
        socket->wants_write = true;
        return NET_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return NET_ENDED;
    default:
        socket->broken = true;
        socket->problem = ERR_reason_error_string(ERR_peek_last_error());
        return NET_BROKEN;
    }
}

bool net_socket_greeted(const struct net_socket *socket)
{
    return socket->tls == NULL || SSL_is_init_finished(socket->tls) == 1;
}

enum net_result net_socket_greet(struct net_socket *socket)
{
    if (net_socket_greeted(socket)) {
        return NET_DONE;
    }
    socket->wants_write = false;
    ERR_clear_error();
    enum net_result result = tls_result(socket, SSL_do_handshake(socket->tls));
    if (result == NET_DONE) {
        /* From now on as many records at once as there are. Not before: each handshake under way
         * would hold a buffer of that size. */
        SSL_set_default_read_buffer_len(socket->tls, BASE_READ_BUFFER_BYTES);
        SSL_set_read_ahead(socket->tls, 1);
    }
    return result;
}

struct base_text net_socket_problem(const struct net_socket *socket, struct base_arena *arena)
{
    const char *problem = socket->problem == NULL ? "the peer went away" : socket->problem;
    long verified = SSL_get_verify_result(socket->tls);
    return verified == X509_V_OK ? base_arena_text(arena, base_text_of(problem))
                                 : base_arena_print(arena, "%s: %s", problem,
                                                    X509_verify_cert_error_string(verified));
}

/* --- bytes --- */

static enum net_result plain_read(int fd, uint8_t *buffer, size_t capacity, size_t *ret_length)
{
    ssize_t n = read(fd, buffer, capacity);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? NET_WAIT : NET_BROKEN;
    }
    *ret_length = (size_t)n;
    return n == 0 ? NET_ENDED : NET_DONE;
}

enum net_result net_socket_read(struct net_socket *socket, uint8_t *buffer, size_t capacity,
                                size_t *ret_length)
{
    *ret_length = 0;
    if (socket->tls == NULL) {
        return plain_read(socket->fd, buffer, capacity, ret_length);
    }
    if (socket->broken) {
        return NET_BROKEN;
    }
    enum net_result result = net_socket_greet(socket);
    if (result != NET_DONE) {
        return result;
    }
    socket->wants_write = false;
    ERR_clear_error();
    return tls_result(socket, SSL_read_ex(socket->tls, buffer, capacity, ret_length));
}

static enum net_result plain_write(int fd, struct base_bytes bytes, size_t *ret_length)
{
    ssize_t n;
    do {
        n = send(fd, bytes.bytes, bytes.length, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN ? NET_WAIT : NET_BROKEN;
    }
    *ret_length = (size_t)n;
    return NET_DONE;
}

enum net_result net_socket_write(struct net_socket *socket, struct base_bytes bytes,
                                 size_t *ret_length)
{
    *ret_length = 0;
    if (socket->tls == NULL) {
        return plain_write(socket->fd, bytes, ret_length);
    }
    if (socket->broken) {
        return NET_BROKEN;
    }
    socket->wants_write = false;
    ERR_clear_error();
    return tls_result(socket, SSL_write_ex(socket->tls, bytes.bytes, bytes.length, ret_length));
}

bool net_socket_discard(struct net_socket *socket, uint8_t *buffer, size_t capacity)
{
    size_t length = 0;
    enum net_result result = plain_read(socket->fd, buffer, capacity, &length);
    return result == NET_DONE || result == NET_WAIT;
}

/* --- what is held --- */

bool net_socket_half_record(const struct net_socket *socket)
{
    return socket->tls != NULL && net_socket_greeted(socket) && SSL_has_pending(socket->tls) == 1;
}

size_t net_socket_held_bytes(const struct net_socket *socket)
{
    if (socket->tls == NULL || socket->broken) {
        return 0;
    }
    if (!net_socket_greeted(socket)) {
        return SSL_in_before(socket->tls) == 1 ? 0 : BASE_HANDSHAKE_HELD_BYTES;
    }
    return SSL_has_pending(socket->tls) == 1 ? BASE_READ_BUFFER_BYTES : 0;
}

/* --- ending --- */

bool net_socket_end(struct net_socket *socket)
{
    if (socket->tls != NULL && !socket->broken && net_socket_greeted(socket)) {
        ERR_clear_error();
        /* What a full socket does not take is not waited for: all that was to be said is out, and
         * the end of the stream says the same. */
        (void)SSL_shutdown(socket->tls);
    }
    return shutdown(socket->fd, SHUT_WR) == 0;
}

void net_socket_close(struct net_socket *socket)
{
    SSL_free(socket->tls);
    socket->tls = NULL;
    (void)close(socket->fd);
    socket->fd = -1;
}

/* --- the peer --- */

enum net_protocol net_socket_protocol(const struct net_socket *socket)
{
    if (socket->tls == NULL) {
        return NET_PROTOCOL_UNSAID;
    }
    const unsigned char *chosen;
    unsigned length;
    SSL_get0_alpn_selected(socket->tls, &chosen, &length);
    return length == 2 && memcmp(chosen, "h2", 2) == 0 ? NET_PROTOCOL_HTTP2 : NET_PROTOCOL_HTTP1;
}

/* A name that callers can be known by, or the empty text. DNS names come in lower case, and with a
 * colon in them they could be taken for a URI. */
static struct base_text peer_name(const GENERAL_NAME *name, struct base_arena *arena)
{
    const ASN1_IA5STRING *value =
        name->type == GEN_DNS ? name->d.dNSName : name->d.uniformResourceIdentifier;
    struct base_text text = {(const char *)ASN1_STRING_get0_data(value),
                             (size_t)ASN1_STRING_length(value)};
    if (text.length == 0 || text.length > BASE_PEER_NAME_MAX_BYTES ||
        !base_text_is_printable_ascii(text) ||
        (name->type == GEN_DNS && memchr(text.bytes, ':', text.length) != NULL)) {
        return BASE_TEXT("");
    }
    char *copy = base_arena_take(arena, text.length + 1);
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.bytes[i];
        bool upper = name->type == GEN_DNS && byte >= 'A' && byte <= 'Z';
        copy[i] = upper ? (char)(byte - 'A' + 'a') : byte;
    }
    copy[text.length] = '\0';
    return (struct base_text){copy, text.length};
}

size_t net_socket_peer_names(const struct net_socket *socket, struct base_arena *arena,
                             struct base_text *ret_names, size_t capacity)
{
    X509 *certificate = socket->tls == NULL ? NULL : SSL_get0_peer_certificate(socket->tls);
    if (certificate == NULL || SSL_get_verify_result(socket->tls) != X509_V_OK) {
        return 0;
    }
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t n_names = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && n_names < capacity; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS && name->type != GEN_URI) {
            continue;
        }
        struct base_text text = peer_name(name, arena);
        if (text.length > 0) {
            ret_names[n_names++] = text;
        }
    }
    GENERAL_NAMES_free(names);
    return n_names;
}
