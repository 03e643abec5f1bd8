/* Listening, starting the loops, draining and closing. */
#include "net/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int one = 1;
    /* A server that was killed must be able to come up again at once. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BASE_BACKLOG_MAX) != 0) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void name_address(struct net_server *server)
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    int failed = getsockname(server->listen_fd, (struct sockaddr *)&bound, &length);
    base_assert(failed == 0);
    failed = getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV);
    base_assert(failed == 0);
    bool ipv6 = bound.ss_family == AF_INET6;
    int printed =
        snprintf(server->address, sizeof server->address, ipv6 ? "[%s]:%s" : "%s:%s", host, port);
    base_assert(printed > 0 && (size_t)printed < sizeof server->address);
}

static int open_listener(const struct net_options *options, struct base_arena *arena,
                         struct base_text *ret_message)
{
    struct addrinfo *found =
        net_resolve(options->listen, AI_PASSIVE, INT64_MAX, arena, ret_message);
    if (found == NULL) {
        return -1;
    }
    int fd = listen_on(found);
    if (fd < 0) {
        *ret_message = base_arena_print(
            arena, "cannot listen on %.*s: %s%s", BASE_TEXT_ARGS(options->listen), strerror(errno),
            errno == EADDRINUSE ? "; another server runs there: stop it, or listen elsewhere" : "");
    }
    freeaddrinfo(found);
    return fd;
}

static void prepare_loop(struct net_server *server, struct net_loop *loop)
{
    loop->server = server;
    atomic_init(&loop->round_began_ns, base_now_mono_ns(&base_clock_system));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->mailbox_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->mailbox_fd < 0) {
        base_stop("cannot make an event loop: %s", strerror(errno));
    }
}

/* All loops are prepared before the first runs, since it hands connections to the others. */
static void start_loops(struct net_server *server)
{
    for (unsigned i = 0; i < server->n_loops; i++) {
        prepare_loop(server, &server->loops[i]);
    }
    for (unsigned i = 0; i < server->n_loops; i++) {
        struct net_loop *loop = &server->loops[i];
        int error = pthread_create(&loop->thread, NULL, net_loop_run, loop);
        if (error != 0) {
            base_stop("cannot start a thread: %s", strerror(error));
        }
    }
}

/* The names of TLS's files are needed again by a reload. */
static void keep_file_names(struct net_server *server)
{
    struct net_tls_files *files = &server->options.tls;
    files->certificate = base_arena_text(&server->arena, files->certificate);
    files->key = base_arena_text(&server->arena, files->key);
    files->authority = base_arena_text(&server->arena, files->authority);
}

bool net_tls_check(const struct net_tls_files *files, struct base_arena *arena,
                   struct base_text *ret_message)
{
    struct ssl_ctx_st *context = net_tls_server_context(files, arena, ret_message);
    net_tls_context_release(context);
    return context != NULL;
}

bool net_server_reload_tls(struct net_server *server, struct base_arena *arena,
                           struct base_text *ret_message)
{
    struct ssl_ctx_st *fresh = net_tls_server_context(&server->options.tls, arena, ret_message);
    if (fresh == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&server->lock);
    struct ssl_ctx_st *old = server->tls;
    server->tls = fresh;
    (void)pthread_mutex_unlock(&server->lock);
    net_tls_context_release(old);
    return true;
}

struct net_server *net_server_open(const struct net_options *options, struct base_arena *arena,
                                   struct base_text *ret_message)
{
    base_assert(options->n_loops > 0);
    int fd = open_listener(options, arena, ret_message);
    if (fd < 0) {
        return NULL;
    }
    struct ssl_ctx_st *tls = NULL;
    if (options->tls.certificate.length > 0) {
        tls = net_tls_server_context(&options->tls, arena, ret_message);
        if (tls == NULL) {
            (void)close(fd);
            return NULL;
        }
    }
    struct net_server *server = base_allocate_zeroed(1, sizeof *server);
    server->options = *options;
    keep_file_names(server);
    server->tls = tls;
    server->listen_fd = fd;
    server->n_loops = options->n_loops;
    server->loops = base_allocate_zeroed(options->n_loops, sizeof *server->loops);
    pthread_condattr_t attributes;
    int failed = pthread_mutex_init(&server->lock, NULL);
    failed |= pthread_condattr_init(&attributes);
    failed |= pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(&server->none_left, &attributes);
    failed |= pthread_condattr_destroy(&attributes);
    base_assert(failed == 0);
    name_address(server);
    start_loops(server);
    return server;
}

struct base_text net_server_address(const struct net_server *server)
{
    return base_text_of(server->address);
}

struct net_loop *net_connection_loop(const struct net_connection *connection)
{
    return connection->loop;
}

size_t net_connection_peer_names(const struct net_connection *connection, struct base_arena *arena,
                                 struct base_text *ret_names, size_t capacity)
{
    return net_socket_peer_names(&connection->socket, arena, ret_names, capacity);
}

enum net_protocol net_connection_protocol(const struct net_connection *connection)
{
    return net_socket_protocol(&connection->socket);
}

struct net_server *net_connection_server(const struct net_connection *connection)
{
    return connection->loop->server;
}

unsigned net_server_connections(struct net_server *server)
{
    (void)pthread_mutex_lock(&server->lock);
    unsigned n = server->n_connections;
    (void)pthread_mutex_unlock(&server->lock);
    return n;
}

void net_server_read_figures(struct net_server *server, struct net_figures *ret_figures)
{
    *ret_figures = (struct net_figures){
        .connections = net_server_connections(server),
        .connections_max = server->options.connections_max,
        .accepted = base_counter_value(&server->accepted),
        .refused = base_counter_value(&server->refused),
        .inflight_bytes = atomic_load_explicit(&server->inflight_bytes, memory_order_relaxed),
        .inflight_max_bytes = server->options.inflight_max_bytes,
    };
    for (unsigned i = 0; i < server->n_loops; i++) {
        int64_t began_ns =
            atomic_load_explicit(&server->loops[i].round_began_ns, memory_order_relaxed);
        int64_t round_ns = base_now_mono_ns(&base_clock_system) - began_ns;
        if (round_ns > ret_figures->longest_round_ns) {
            ret_figures->longest_round_ns = round_ns;
        }
    }
}

/* Waits until there are no connections, or the time is up. */
static bool wait_for_none(struct net_server *server, int64_t wait_ns)
{
    int64_t until_ns = base_now_mono_ns(&base_clock_system) + wait_ns;
    struct timespec until = {.tv_sec = until_ns / BASE_NS_PER_S,
                             .tv_nsec = until_ns % BASE_NS_PER_S};
    int error = 0;
    (void)pthread_mutex_lock(&server->lock);
    while (server->n_connections > 0 && error == 0) {
        error = pthread_cond_timedwait(&server->none_left, &server->lock, &until);
    }
    bool none = server->n_connections == 0;
    (void)pthread_mutex_unlock(&server->lock);
    return none;
}

struct drain_message {
    struct net_message message;
    struct net_loop *loop;
    bool last;
};

static void run_drain(struct net_message *message)
{
    struct drain_message *drain = (struct drain_message *)message;
    net_loop_drain(drain->loop, drain->last);
    free(drain);
}

static void post_drain(struct net_server *server, bool last)
{
    for (unsigned i = 0; i < server->n_loops; i++) {
        struct drain_message *drain = base_allocate(sizeof *drain);
        *drain = (struct drain_message){{.run = run_drain}, &server->loops[i], last};
        net_post(&server->loops[i], &drain->message);
    }
}

void net_server_drain(struct net_server *server, int64_t timeout_ms)
{
    post_drain(server, false);
    if (wait_for_none(server, BASE_DRAIN_NOTICE_MS * BASE_NS_PER_MS)) {
        return;
    }
    post_drain(server, true);
    if (!wait_for_none(server, timeout_ms * BASE_NS_PER_MS)) {
        base_log(BASE_LOG_WARNING, "connections are still open after %lld ms and are cut",
                 (long long)timeout_ms);
    }
}

static void wake_only(struct net_message *message)
{
    free(message);
}

void net_server_stop(struct net_server *server)
{
    for (unsigned i = 0; i < server->n_loops; i++) {
        struct net_loop *loop = &server->loops[i];
        atomic_store(&loop->stopping, true);
        struct net_message *message = base_allocate(sizeof *message);
        message->run = wake_only;
        net_post(loop, message);
    }
    for (unsigned i = 0; i < server->n_loops; i++) {
        int error = pthread_join(server->loops[i].thread, NULL);
        base_assert(error == 0);
    }
    server->stopped = true;
}

void net_server_close(struct net_server *server)
{
    if (!server->stopped) {
        net_server_stop(server);
    }
    for (unsigned i = 0; i < server->n_loops; i++) {
        net_loop_release(&server->loops[i]);
    }
    /* A byte that is counted and never given back would, in time, stop all reading. */
    base_assert(atomic_load(&server->inflight_bytes) == 0);
    if (server->listen_fd >= 0) {
        (void)close(server->listen_fd);
    }
    (void)pthread_cond_destroy(&server->none_left);
    (void)pthread_mutex_destroy(&server->lock);
    net_tls_context_release(server->tls);
    base_arena_release(&server->arena);
    free(server->loops);
    free(server);
}
