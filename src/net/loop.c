/*
 * An event loop: whom it hears of, and what it has its connections do (connection.c). A round:
 *
 *   epoll_wait   what is readable is read once and given to the handler; what became writable goes
 *                on the list to flush
 *   ready        what TLS had more of than one read takes is read
 *   tick         once a second, connections that make no progress are closed
 *   mailbox      what other threads posted; it wakes connections
 *   flush        each connection on the list once, all that its session has to say in as few writes
 *                as there are full buffers
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

static void flush_woken(struct net_loop *loop)
{
    while (loop->woken != NULL) {
        struct net_connection *connection = loop->woken;
        loop->woken = connection->next_woken;
        connection->woken = false;
        if (!connection->dead) {
            net_connection_flush(connection);
        }
    }
}

static void bury(struct net_loop *loop)
{
    struct net_connection **link = loop->dead == NULL ? NULL : &loop->ready;
    while (link != NULL && *link != NULL) {
        if ((*link)->dead) {
            *link = (*link)->next_ready;
        } else {
            link = &(*link)->next_ready;
        }
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

void net_post(struct net_loop *loop, struct net_message *message)
{
    struct net_message *head = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);
    do {
        message->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->mailbox, &head, message,
                                                    memory_order_release, memory_order_relaxed));
    if (head == NULL) {
        uint64_t one = 1;
        ssize_t written = write(loop->mailbox_fd, &one, sizeof one);
        base_assert(written == sizeof one);
    }
}

void net_loop_read_mailbox(struct net_loop *loop)
{
    struct net_message *newest =
        atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
    struct net_message *oldest = NULL;
    while (newest != NULL) {
        struct net_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct net_message *next = oldest->next;
        oldest->run(oldest);
        oldest = next;
    }
}

static void clear_mailbox_event(struct net_loop *loop)
{
    uint64_t count;
    ssize_t n = read(loop->mailbox_fd, &count, sizeof count);
    base_assert(n == sizeof count || errno == EAGAIN);
}

static void handle_event(struct net_loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == loop) {
        clear_mailbox_event(loop);
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
    if ((event->events & EPOLLIN) != 0 || connection->socket.wants_write) {
        net_connection_read(connection);
    }
}

static void begin_loop(struct net_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop};
    int failed = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->mailbox_fd, &event);
    base_assert(failed == 0);
    loop->read_buffer = base_allocate(BASE_READ_BUFFER_BYTES);
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

void *net_loop_run(void *argument)
{
    struct net_loop *loop = argument;
    begin_loop(loop);
    while (!atomic_load(&loop->stopping)) {
        struct epoll_event events[EVENTS_MAX];
        bool waiting = loop->n_paused > 0 || loop->overdrawn_since_ns != 0;
        int wait_ms = loop->ready != NULL ? 0 : waiting ? BASE_PAUSED_WAIT_MS : BASE_TICK_MS;
        int n = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms);
        base_assert(n >= 0 || errno == EINTR);
        loop->now_ns = base_now_mono_ns(&base_clock_system);
        atomic_store_explicit(&loop->round_began_ns, loop->now_ns, memory_order_relaxed);
        for (int i = 0; i < n; i++) {
            handle_event(loop, &events[i]);
        }
        net_loop_read_ready(loop);
        once_a_second(loop);
        net_loop_read_mailbox(loop);
        flush_woken(loop);
        net_loop_relieve(loop);
        net_loop_resume_reading(loop);
        bury(loop);
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
