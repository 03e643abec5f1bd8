/*
 * An event loop: whom it hears of, and what it has its connections do (connection.c), in
 * turns (turns.c). A round:
 *
 *   epoll_wait   what is readable is read once and given to the handler, unless it is busy; what
 *                became writable stands in line to be flushed
 *   read         some of those that are busy, each once
 *   tick         once a second, connections that make no progress are closed
 *   mailbox      some of what other threads posted; it wakes connections
 *   flush        each connection in line once, what its session has to say in as few writes as
 *                there are full buffers; of those that are busy some
 *   bury         what was closed in this round is freed: until here an event may still name it
 */
#include "net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256

static void bury(struct net_loop *loop)
{
    if (loop->dead != NULL) {
        net_loop_drop_dead(loop);
    }
    while (loop->dead != NULL) {
        struct net_connection *connection = loop->dead;
        loop->dead = connection->next_dead;
        free(connection);
    }
}

static void tick(struct net_loop *loop)
{
    const struct net_handler *handler = loop->server->options.handler;
    struct net_connection *next;
    if (loop->n_handshakes_failed > 1) {
        base_log(BASE_LOG_WARNING, "%u more TLS handshakes failed", loop->n_handshakes_failed - 1);
    }
    loop->n_handshakes_failed = 0;
    if (loop->n_cut > 1) {
        base_log(BASE_LOG_WARNING, "cut off %u more connections that held most", loop->n_cut - 1);
    }
    loop->n_cut = 0;
    for (struct net_connection *each = loop->connections; each != NULL; each = next) {
        next = each->next;
        if (each->lingering) {
            if (loop->now_ns - each->last_write_ns > BASE_LINGER_TIMEOUT_MS * BASE_NS_PER_MS) {
                net_connection_close(each);
            }
            continue;
        }
        if (net_connection_tls_is_late(each) ||
            !handler->tick(each->session, loop->now_ns, each->last_read_ns, each->last_write_ns)) {
            net_connection_close(each);
        }
    }
}

/* A connection on its way from the loop that accepted it to the loop that serves it. */
struct arrival {
    struct net_message message;
    struct net_loop *loop;
    int fd;
};

static void arrive(struct net_message *message)
{
    struct arrival *arrival = (struct arrival *)message;
    net_loop_adopt(arrival->loop, arrival->fd);
    free(arrival);
}

static void watch_listener(struct net_loop *loop, bool accepting)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop->server};
    int failed = epoll_ctl(loop->epoll_fd, accepting ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                           loop->server->listen_fd, &event);
    base_assert(failed == 0);
    loop->accepting = accepting;
}

static void accept_one(struct net_loop *loop)
{
    struct net_server *server = loop->server;
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* Who waits in the backlog is taken when the next tick finds room. */
            base_counter_add(&server->refused, 1);
            base_log(BASE_LOG_WARNING, "cannot accept a connection: %s", strerror(errno));
            watch_listener(loop, false);
        }
        return;
    }
    if (net_server_connections(server) >= server->options.connections_max) {
        (void)close(fd);
        base_counter_add(&server->refused, 1);
        base_log(BASE_LOG_WARNING, "refused a connection: there are %u already",
                 server->options.connections_max);
        watch_listener(loop, false);
        return;
    }
    net_server_count_connection(server, 1);
    base_counter_add(&server->accepted, 1);
    struct net_loop *target = &server->loops[server->next_loop++ % server->n_loops];
    struct arrival *arrival = base_allocate(sizeof *arrival);
    *arrival = (struct arrival){.message = {.run = arrive}, .loop = target, .fd = fd};
    net_post(target, &arrival->message);
}

static void handle_event(struct net_loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == loop) {
        net_loop_clear_mailbox_event(loop);
        return;
    }
    if (event->data.ptr == loop->server) {
        accept_one(loop);
        return;
    }
    struct net_connection *connection = event->data.ptr;
    if (connection->dead) {
        return;
    }
    if ((event->events & (EPOLLHUP | EPOLLERR)) != 0) {
        /* Both directions are gone: nothing that comes or goes would reach anybody. */
        net_connection_close(connection);
        return;
    }
    if ((event->events & EPOLLOUT) != 0) {
        net_connection_wake(connection);
    }
    if ((event->events & EPOLLIN) == 0 && !connection->socket.wants_write) {
        return;
    }
    if (net_connection_is_busy(connection)) {
        net_line_put(connection, NET_LINE_READ);
    } else {
        net_connection_read(connection);
    }
}

void net_loop_begin(struct net_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop};
    int failed = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->mailbox_fd, &event);
    base_assert(failed == 0);
    loop->read_buffer = base_allocate(BASE_READ_TURN_BYTES);
    loop->write_buffer = base_allocate(BASE_WRITE_BUFFER_BYTES);
    if (loop == &loop->server->loops[0]) {
        watch_listener(loop, true);
    }
}

static void once_a_second(struct net_loop *loop)
{
    if (loop->now_ns < loop->next_tick_ns) {
        return;
    }
    loop->next_tick_ns = loop->now_ns + BASE_TICK_MS * BASE_NS_PER_MS;
    if (loop == &loop->server->loops[0] && !loop->accepting && !loop->draining) {
        watch_listener(loop, true);
    }
    tick(loop);
}

void net_loop_drain(struct net_loop *loop, bool last)
{
    loop->draining = true;
    if (loop->accepting) {
        watch_listener(loop, false);
    }
    if (loop == &loop->server->loops[0] && loop->server->listen_fd >= 0) {
        /* Who comes now is refused at once and can go elsewhere, instead of waiting in a backlog
         * that nobody will serve. */
        (void)close(loop->server->listen_fd);
        loop->server->listen_fd = -1;
    }
    for (struct net_connection *each = loop->connections; each != NULL; each = each->next) {
        if (!each->lingering) {
            loop->server->options.handler->drain(each->session, last);
            net_connection_wake(each);
        }
    }
}

void net_loop_round(struct net_loop *loop)
{
    struct epoll_event events[EVENTS_MAX];
    bool waiting = loop->n_paused > 0 || loop->overdrawn_since_ns != 0;
    int wait_ms = net_loop_has_turns(loop) ? 0 : waiting ? BASE_PAUSED_WAIT_MS : BASE_TICK_MS;
    int n = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms);
    base_assert(n >= 0 || errno == EINTR);
    loop->now_ns = base_now_mono_ns(&base_clock_system);
    atomic_store_explicit(&loop->round_began_ns, loop->now_ns, memory_order_relaxed);
    for (int i = 0; i < n; i++) {
        handle_event(loop, &events[i]);
    }
    net_loop_read_turns(loop);
    once_a_second(loop);
    net_loop_read_some_mail(loop);
    net_loop_flush_turns(loop);
    net_loop_relieve(loop);
    net_loop_resume_reading(loop);
    bury(loop);
}

void *net_loop_run(void *argument)
{
    struct net_loop *loop = argument;
    net_loop_begin(loop);
    while (!atomic_load(&loop->stopping)) {
        net_loop_round(loop);
    }
    return NULL;
}

void net_loop_release(struct net_loop *loop)
{
    net_loop_read_mailbox(loop);
    while (loop->connections != NULL) {
        net_connection_close(loop->connections);
    }
    bury(loop);
    (void)close(loop->epoll_fd);
    (void)close(loop->mailbox_fd);
    free(loop->read_buffer);
    free(loop->write_buffer);
}
