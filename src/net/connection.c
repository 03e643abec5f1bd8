/*
 * A connection: how it is opened, read from, written to and closed, and the budget that decides who
 * may read. All on its loop's thread.
 */
#include "net/loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

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
    size_t held = server->options.handler->held_bytes(connection->session) +
                  connection->unsent.length + net_socket_held_bytes(&connection->socket);
    net_server_charge(server, (int64_t)held - (int64_t)connection->charged);
    connection->charged = held;
    if (held > atomic_load_explicit(&connection->loop->most_held_bytes, memory_order_relaxed)) {
        atomic_store_explicit(&connection->loop->most_held_bytes, held, memory_order_relaxed);
    }
}

/* --- opening and closing --- */

/* Tells epoll what the connection waits for. */
static void watch(struct net_connection *connection)
{
    uint32_t interest = 0;
    if (!connection->read_ended && !connection->paused) {
        interest |= EPOLLIN;
    }
    if (connection->unsent_memory != NULL || connection->socket.wants_write) {
        interest |= EPOLLOUT;
    }
    if (interest == connection->interest) {
        return;
    }
    struct epoll_event event = {.events = interest, .data.ptr = connection};
    int failed =
        epoll_ctl(connection->loop->epoll_fd, EPOLL_CTL_MOD, connection->socket.fd, &event);
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
    connection->socket.fd = fd;
    (void)pthread_mutex_lock(&server->lock);
    struct ssl_ctx_st *tls = server->tls == NULL ? NULL : net_tls_context_share(server->tls);
    (void)pthread_mutex_unlock(&server->lock);
    if (tls != NULL) {
        net_socket_accept_tls(&connection->socket, tls);
        net_tls_context_release(tls);
    }
    connection->interest = EPOLLIN;
    connection->opened_ns = loop->now_ns;
    connection->last_read_ns = loop->now_ns;
    connection->last_write_ns = loop->now_ns;
    connection->session = server->options.handler->opened(server->options.context, connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (connection->session != NULL && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        server->options.handler->closed(connection->session);
        connection->session = NULL;
    }
    if (connection->session == NULL) {
        net_socket_close(&connection->socket);
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
    net_socket_close(&connection->socket);
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
    if (!connection->in_line[NET_LINE_FLUSH] && !connection->in_line[NET_LINE_LATE]) {
        bool busy = !connection->dead && net_connection_is_busy(connection);
        net_line_put(connection, busy ? NET_LINE_LATE : NET_LINE_FLUSH);
    }
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

static void resume_reading(struct net_connection *connection)
{
    connection->paused = false;
    connection->loop->n_paused--;
    if (connection->unread) {
        net_line_put(connection, NET_LINE_READ);
    }
    watch(connection);
}

/* Those that may not read after all pause again, once they have something to read. */
void net_loop_resume_reading(struct net_loop *loop)
{
    review_favoured(loop);
    size_t overdrawn = overdrawn_bytes(loop->server);
    /* While one is favoured, nobody else who holds much has a turn. */
    bool large_may = loop->favoured == NULL || overdrawn == 0;
    bool small_may = overdrawn <= loop->server->options.inflight_max_bytes;
    if (loop->n_paused == 0 || (!large_may && !small_may)) {
        return;
    }
    for (struct net_connection *each = loop->connections; each != NULL; each = each->next) {
        if (each->paused && (large_may || each->charged <= BASE_SMALL_HELD_BYTES)) {
            resume_reading(each);
        }
    }
}

bool net_connection_tls_is_late(const struct net_connection *connection)
{
    int64_t now_ns = connection->loop->now_ns;
    if (connection->paused) {
        return false;
    }
    if (!net_socket_greeted(&connection->socket)) {
        return now_ns - connection->opened_ns > BASE_HANDSHAKE_TIMEOUT_MS * BASE_NS_PER_MS;
    }
    return connection->half_record_ns != 0 &&
           now_ns - connection->half_record_ns > BASE_REQUEST_TIMEOUT_MS * BASE_NS_PER_MS;
}

/* All is sent and the session is over. */
static void end_connection(struct net_connection *connection)
{
    if (!net_socket_end(&connection->socket) || connection->read_ended) {
        net_connection_close(connection);
        return;
    }
    connection->lingering = true;
    connection->last_write_ns = connection->loop->now_ns;
    if (connection->paused) {
        resume_reading(connection);
    }
    watch(connection);
}

/* The loop's connection that holds most, and more than a little; NULL: none. */
static struct net_connection *find_most_held(struct net_loop *loop)
{
    struct net_connection *most = NULL;
    for (struct net_connection *each = loop->connections; each != NULL; each = each->next) {
        if (!each->lingering &&
            each->charged > (most == NULL ? BASE_SMALL_HELD_BYTES : most->charged)) {
            most = each;
        }
    }
    return most;
}

static bool another_loop_holds_more(const struct net_loop *loop, size_t held)
{
    const struct net_server *server = loop->server;
    for (unsigned i = 0; i < server->n_loops; i++) {
        const struct net_loop *other = &server->loops[i];
        if (other != loop &&
            atomic_load_explicit(&other->most_held_bytes, memory_order_relaxed) > held) {
            return true;
        }
    }
    return false;
}

void net_loop_relieve(struct net_loop *loop)
{
    if (overdrawn_bytes(loop->server) <= loop->server->options.inflight_max_bytes) {
        loop->overdrawn_since_ns = 0;
        return;
    }
    if (loop->overdrawn_since_ns == 0) {
        loop->overdrawn_since_ns = loop->now_ns;
    }
    struct net_connection *most = find_most_held(loop);
    size_t held = most == NULL ? 0 : most->charged;
    atomic_store_explicit(&loop->most_held_bytes, held, memory_order_relaxed);
    if (most == NULL || another_loop_holds_more(loop, held) ||
        loop->now_ns - loop->overdrawn_since_ns < BASE_OVERDRAWN_MAX_MS * BASE_NS_PER_MS) {
        return;
    }
    if (loop->n_cut++ == 0) {
        base_log(BASE_LOG_WARNING,
                 "twice the memory for requests is used up: cut off a connection that held %zu "
                 "bytes",
                 held);
    }
    net_connection_close(most);
}

/* Reads a turn into the loop's buffer: once in plaintext, and of TLS as much as there is, a record
 * at a time. */
static enum net_result fill_read_buffer(struct net_connection *connection, size_t *ret_length)
{
    struct net_socket *socket = &connection->socket;
    uint8_t *buffer = connection->loop->read_buffer;
    size_t length = 0;
    size_t some;
    enum net_result result;
    do {
        result = net_socket_read(socket, buffer + length, BASE_READ_TURN_BYTES - length, &some);
        length += some;
    } while (result == NET_DONE && socket->tls != NULL && length < BASE_READ_TURN_BYTES);
    *ret_length = length;
    connection->read_whole_turn = length == BASE_READ_TURN_BYTES;
    connection->unread = socket->tls != NULL && length > 0 && result != NET_WAIT;
    if (connection->read_whole_turn || connection->unread) {
        net_line_put(connection, NET_LINE_READ);
    }
    if (!net_socket_half_record(socket)) {
        connection->half_record_ns = 0;
    } else if (connection->half_record_ns == 0 || length > 0) {
        connection->half_record_ns = connection->loop->now_ns;
    }
    return length > 0 ? NET_DONE : result;
}

/* What came is no TLS, or not the TLS that is asked for: OpenSSL has told the peer why, where there
 * is a way to. */
static void refuse_handshake(struct net_connection *connection)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text problem = net_socket_problem(&connection->socket, &arena);
    if (connection->loop->n_handshakes_failed++ == 0) {
        base_log(BASE_LOG_WARNING, "a TLS handshake failed: %.*s", BASE_TEXT_ARGS(problem));
    }
    base_arena_release(&arena);
    end_connection(connection);
}

void net_connection_read(struct net_connection *connection)
{
    struct net_loop *loop = connection->loop;
    if (!may_read(connection)) {
        pause_reading(connection);
        return;
    }
    if (connection->lingering) {
        if (!net_socket_discard(&connection->socket, loop->read_buffer, BASE_READ_TURN_BYTES)) {
            net_connection_close(connection);
        }
        return;
    }
    bool greeted = net_socket_greeted(&connection->socket);
    size_t n;
    enum net_result result = fill_read_buffer(connection, &n);
    if (result == NET_WAIT) {
        charge_connection(connection);
        watch(connection);
        return;
    }
    if (result == NET_BROKEN && !greeted && connection->socket.broken) {
        refuse_handshake(connection);
        return;
    }
    if (result == NET_BROKEN) {
        net_connection_close(connection);
        return;
    }
    connection->read_ended = n == 0;
    connection->last_read_ns = loop->now_ns;
    struct base_bytes bytes = {loop->read_buffer, n};
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
        size_t n;
        enum net_result result = net_socket_write(&connection->socket, bytes, &n);
        if (result == NET_WAIT) {
            break;
        }
        if (result != NET_DONE) {
            return false;
        }
        connection->last_write_ns = connection->loop->now_ns;
        bytes = (struct base_bytes){bytes.bytes + n, bytes.length - n};
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

/* What the session has to say, up to a turn. False: the connection broke. */
static bool send_turn(struct net_connection *connection, size_t *ret_length)
{
    const struct net_handler *handler = connection->loop->server->options.handler;
    uint8_t *buffer = connection->loop->write_buffer;
    size_t length = 0;
    bool more = net_socket_greeted(&connection->socket);
    while (more && connection->unsent_memory == NULL && length < BASE_WRITE_TURN_BYTES) {
        size_t some = handler->produce(connection->session, buffer, BASE_WRITE_BUFFER_BYTES);
        length += some;
        more = some > 0;
        if (!send_bytes(connection, (struct base_bytes){buffer, some})) {
            return false;
        }
    }
    *ret_length = length;
    return true;
}

size_t net_connection_flush(struct net_connection *connection)
{
    if (connection->lingering) {
        return 0;
    }
    size_t length;
    if (!send_bytes(connection, connection->unsent) || !send_turn(connection, &length)) {
        net_connection_close(connection);
        return 0;
    }
    charge_connection(connection);
    if (connection->paused && connection->charged <= BASE_SMALL_HELD_BYTES) {
        resume_reading(connection);
    }
    if (connection->unsent_memory == NULL && length >= BASE_WRITE_TURN_BYTES) {
        /* There may be more to say. */
        net_line_put(connection, NET_LINE_LATE);
    } else if (connection->unsent_memory == NULL &&
               (connection->closing ||
                connection->loop->server->options.handler->finished(connection->session))) {
        end_connection(connection);
        return length;
    }
    watch(connection);
    return length;
}
