/*
 * A connection: how it is opened, read from, written to and closed, and the budget that decides who
 * may read. All on its loop's thread.
 */
#include "net/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the budget --- */

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

/* --- opening and closing --- */

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

void net_server_count_connection(struct net_server *server, int change)
{
    (void)pthread_mutex_lock(&server->lock);
    server->n_connections = (unsigned)((int)server->n_connections + change);
    if (server->n_connections == 0) {
        (void)pthread_cond_broadcast(&server->none_left);
    }
    (void)pthread_mutex_unlock(&server->lock);
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
        net_server_count_connection(server, -1);
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

void net_connection_close(struct net_connection *connection)
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
    net_server_count_connection(server, -1);
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

/* --- reading --- */

static void pause_reading(struct net_connection *connection)
{
    if (!connection->paused) {
        connection->paused = true;
        connection->loop->n_paused++;
        watch(connection);
    }
}

/* Those that may not read after all pause again, once they have something to read. */
void net_loop_resume_reading(struct net_loop *loop)
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

void net_connection_read(struct net_connection *connection)
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
        net_connection_close(connection);
        return;
    }
    connection->read_ended = n == 0;
    if (connection->lingering) {
        if (connection->read_ended) {
            net_connection_close(connection);
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

/* --- writing --- */

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
        net_connection_close(connection);
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

void net_connection_flush(struct net_connection *connection)
{
    const struct net_handler *handler = connection->loop->server->options.handler;
    uint8_t *buffer = connection->loop->write_buffer;
    if (connection->lingering) {
        return;
    }
    if (!send_bytes(connection, connection->unsent)) {
        net_connection_close(connection);
        return;
    }
    while (connection->unsent_memory == NULL) {
        size_t length = handler->produce(connection->session, buffer, BASE_WRITE_BUFFER_BYTES);
        if (length == 0) {
            break;
        }
        if (!send_bytes(connection, (struct base_bytes){buffer, length})) {
            net_connection_close(connection);
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
