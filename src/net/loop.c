/*
 * An event loop and its connections. A round:
 *
 *   epoll_wait   what is readable is read once and given to the handler; what became writable goes
 *                on the list to flush
 *   tick         once a second, connections that make no progress are closed
 *   mailbox      what other threads posted; it wakes connections
 *   flush        each connection on the list once, all that its session has to say in as few writes
 *                as there are full buffers
 *   bury         what was closed in this round is freed: until here an event may still name it
 */
#include "net/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256

/* Bytes in flight beyond the budget. */
static size_t overdrawn_bytes(const struct net_server *server)
{
    size_t spent = atomic_load_explicit(&server->inflight_bytes, memory_order_relaxed);
    size_t max = server->options.inflight_max_bytes;
    return spent > max ? spent - max : 0;
}

static bool may_read(struct net_connection *connection)
{
    struct net_loop *loop = connection->loop;
    size_t overdrawn = overdrawn_bytes(loop->server);
    if (overdrawn == 0 || connection->lingering ||
        (overdrawn <= loop->server->options.inflight_max_bytes &&
         connection->charged <= BASE_SMALL_HELD_BYTES)) {
        return true;
    }
    if (connection->charged > BASE_FAVOURED_HELD_MAX_BYTES) {
        return false;
    }
    if (loop->favoured == NULL) {
        loop->favoured = connection;
    }
    return loop->favoured == connection;
}

/* Ends the turn of a favoured connection that is through, holds too much, or sends nothing. */
static void review_favoured(struct net_loop *loop)
{
    const struct net_connection *favoured = loop->favoured;
    if (favoured == NULL) {
        return;
    }
    bool silent = loop->now_ns - favoured->last_read_ns > BASE_FAVOURED_SILENCE_MS * BASE_NS_PER_MS;
    if (favoured->charged <= BASE_SMALL_HELD_BYTES ||
        favoured->charged > BASE_FAVOURED_HELD_MAX_BYTES ||
        (silent && overdrawn_bytes(loop->server) <= loop->server->options.inflight_max_bytes / 2)) {
        loop->favoured = NULL;
    }
}

void net_server_charge(struct net_server *server, int64_t bytes)
{
    /* Wraps around as unsigned numbers do: what is given back was charged before. */
    (void)atomic_fetch_add_explicit(&server->inflight_bytes, (size_t)bytes, memory_order_relaxed);
}

static void charge_connection(struct net_connection *connection)
{
    struct net_server *server = connection->loop->server;
    size_t held =
        server->options.handler->held_bytes(connection->session) + connection->unsent.length;
    net_server_charge(server, (int64_t)held - (int64_t)connection->charged);
    connection->charged = held;
}

/* Tells epoll what the connection waits for. */
static void watch(struct net_connection *connection)
{
    uint32_t interest = 0;
    if (!connection->read_ended && !connection->paused) {
        interest |= EPOLLIN;
    }
    if (connection->unsent_memory != NULL) {
        interest |= EPOLLOUT;
    }
    if (interest == connection->interest) {
        return;
    }
    struct epoll_event event = {.events = interest, .data.ptr = connection};
    int failed = epoll_ctl(connection->loop->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    base_assert(failed == 0);
    connection->interest = interest;
}

static void count_connection(struct net_server *server, int change)
{
    (void)pthread_mutex_lock(&server->lock);
    server->n_connections = (unsigned)((int)server->n_connections + change);
    if (server->n_connections == 0) {
        (void)pthread_cond_broadcast(&server->none_left);
    }
    (void)pthread_mutex_unlock(&server->lock);
}

static void close_connection(struct net_connection *connection)
{
    struct net_loop *loop = connection->loop;
    struct net_server *server = loop->server;
    if (connection->dead) {
        return;
    }
    connection->dead = true;
    server->options.handler->closed(connection->session);
    net_server_charge(server, -(int64_t)connection->charged);
    if (connection->paused) {
        loop->n_paused--;
    }
    if (loop->favoured == connection) {
        loop->favoured = NULL;
    }
    (void)close(connection->fd);
    free(connection->unsent_memory);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        loop->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    connection->next_dead = loop->dead;
    loop->dead = connection;
    count_connection(server, -1);
}

void net_connection_wake(struct net_connection *connection)
{
    if (connection->woken || connection->dead) {
        return;
    }
    connection->woken = true;
    connection->next_woken = connection->loop->woken;
    connection->loop->woken = connection;
}

static void pause_reading(struct net_connection *connection)
{
    if (!connection->paused) {
        connection->paused = true;
        connection->loop->n_paused++;
        watch(connection);
    }
}

/* Those that may not read after all pause again, once they have something to read. */
static void resume_reading(struct net_loop *loop)
{
    review_favoured(loop);
    if (loop->n_paused == 0 || (loop->favoured != NULL && overdrawn_bytes(loop->server) > 0)) {
        return;
    }
    for (struct net_connection *each = loop->connections; each != NULL; each = each->next) {
        if (each->paused) {
            each->paused = false;
            watch(each);
        }
    }
    loop->n_paused = 0;
}

static void read_connection(struct net_connection *connection)
{
    struct net_loop *loop = connection->loop;
    if (!may_read(connection)) {
        pause_reading(connection);
        return;
    }
    ssize_t n = read(connection->fd, loop->read_buffer, BASE_READ_BUFFER_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n < 0) {
        close_connection(connection);
        return;
    }
    connection->read_ended = n == 0;
    if (connection->lingering) {
        if (connection->read_ended) {
            close_connection(connection);
        }
        return;
    }
    connection->last_read_ns = loop->now_ns;
    struct base_bytes bytes = {loop->read_buffer, (size_t)n};
    if (!connection->closing &&
        !loop->server->options.handler->received(connection->session, bytes)) {
        connection->closing = true;
    }
    charge_connection(connection);
    watch(connection);
    net_connection_wake(connection);
}

/* Sends bytes; what the socket does not take is kept. False: the connection broke. */
static bool send_bytes(struct net_connection *connection, struct base_bytes bytes)
{
    while (bytes.length > 0) {
        ssize_t n = send(connection->fd, bytes.bytes, bytes.length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            return false;
        }
        if (n < 0) {
            break;
        }
        connection->last_write_ns = connection->loop->now_ns;
        bytes = (struct base_bytes){bytes.bytes + n, bytes.length - (size_t)n};
    }
    if (bytes.length > 0 && connection->unsent_memory == NULL) {
        connection->unsent_memory = base_allocate(bytes.length);
        memcpy(connection->unsent_memory, bytes.bytes, bytes.length);
        bytes.bytes = connection->unsent_memory;
    }
    if (bytes.length == 0) {
        free(connection->unsent_memory);
        connection->unsent_memory = NULL;
    }
    connection->unsent = bytes;
    return true;
}

/* All is sent and the session is over. */
static void end_connection(struct net_connection *connection)
{
    if (connection->read_ended || shutdown(connection->fd, SHUT_WR) != 0) {
        close_connection(connection);
        return;
    }
    connection->lingering = true;
    connection->last_write_ns = connection->loop->now_ns;
    if (connection->paused) {
        connection->paused = false;
        connection->loop->n_paused--;
    }
    watch(connection);
}

static void flush_connection(struct net_connection *connection)
{
    const struct net_handler *handler = connection->loop->server->options.handler;
    uint8_t *buffer = connection->loop->write_buffer;
    if (connection->lingering) {
        return;
    }
    if (!send_bytes(connection, connection->unsent)) {
        close_connection(connection);
        return;
    }
    while (connection->unsent_memory == NULL) {
        size_t length = handler->produce(connection->session, buffer, BASE_WRITE_BUFFER_BYTES);
        if (length == 0) {
            break;
        }
        if (!send_bytes(connection, (struct base_bytes){buffer, length})) {
            close_connection(connection);
            return;
        }
    }
    charge_connection(connection);
    if (connection->paused && connection->charged <= BASE_SMALL_HELD_BYTES) {
        connection->paused = false;
        connection->loop->n_paused--;
    }
    if (connection->unsent_memory == NULL &&
        (connection->closing || handler->finished(connection->session))) {
        end_connection(connection);
        return;
    }
    watch(connection);
}

static void flush_woken(struct net_loop *loop)
{
    while (loop->woken != NULL) {
        struct net_connection *connection = loop->woken;
        loop->woken = connection->next_woken;
        connection->woken = false;
        if (!connection->dead) {
            flush_connection(connection);
        }
    }
}

static void bury(struct net_loop *loop)
{
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
    for (struct net_connection *each = loop->connections; each != NULL; each = next) {
        next = each->next;
        if (each->lingering) {
            if (loop->now_ns - each->last_write_ns > BASE_LINGER_TIMEOUT_MS * BASE_NS_PER_MS) {
                close_connection(each);
            }
            continue;
        }
        if (!handler->tick(each->session, loop->now_ns, each->last_read_ns, each->last_write_ns)) {
            close_connection(each);
        }
    }
}

void net_loop_adopt(struct net_loop *loop, int fd)
{
    struct net_server *server = loop->server;
    int one = 1;
    /* Without it every call still works, only slower. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct net_connection *connection = base_allocate_zeroed(1, sizeof *connection);
    connection->loop = loop;
    connection->fd = fd;
    connection->interest = EPOLLIN;
    connection->last_read_ns = loop->now_ns;
    connection->last_write_ns = loop->now_ns;
    connection->session = server->options.handler->opened(server->options.context, connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (connection->session != NULL && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        server->options.handler->closed(connection->session);
        connection->session = NULL;
    }
    if (connection->session == NULL) {
        (void)close(fd);
        free(connection);
        count_connection(server, -1);
        return;
    }
    connection->next = loop->connections;
    if (loop->connections != NULL) {
        loop->connections->previous = connection;
    }
    loop->connections = connection;
    if (loop->draining) {
        server->options.handler->drain(connection->session, true);
        net_connection_wake(connection);
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
            base_log(BASE_LOG_WARNING, "cannot accept a connection: %s", strerror(errno));
            watch_listener(loop, false);
        }
        return;
    }
    if (net_server_connections(server) >= server->options.connections_max) {
        (void)close(fd);
        base_log(BASE_LOG_WARNING, "refused a connection: there are %u already",
                 server->options.connections_max);
        watch_listener(loop, false);
        return;
    }
    count_connection(server, 1);
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
        close_connection(connection);
        return;
    }
    if ((event->events & EPOLLOUT) != 0) {
        net_connection_wake(connection);
    }
    if ((event->events & EPOLLIN) != 0) {
        read_connection(connection);
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
        int wait_ms = loop->n_paused > 0 ? BASE_PAUSED_WAIT_MS : BASE_TICK_MS;
        int n = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, wait_ms);
        base_assert(n >= 0 || errno == EINTR);
        loop->now_ns = base_now_mono_ns(&base_clock_system);
        for (int i = 0; i < n; i++) {
            handle_event(loop, &events[i]);
        }
        once_a_second(loop);
        net_loop_read_mailbox(loop);
        flush_woken(loop);
        resume_reading(loop);
        bury(loop);
    }
    return NULL;
}

void net_loop_release(struct net_loop *loop)
{
    net_loop_read_mailbox(loop);
    while (loop->connections != NULL) {
        close_connection(loop->connections);
    }
    bury(loop);
    (void)close(loop->epoll_fd);
    (void)close(loop->mailbox_fd);
    free(loop->read_buffer);
    free(loop->write_buffer);
}
