/*
 * Turns: who asks for much must not keep waiting who asks for little. A connection is busy if its
 * session says so, or if it sends faster than its turns allow.
 *
 *   1. Of a connection no more than a turn is read at once, and no more than a turn written. What
 * is left stands in line behind the others.
 *   2. In a round everybody who is not busy has a turn to read, and a few of the busy have.
 *   3. What is to be sent goes out by the end of the round, for those who are not busy; for the
 * busy once no more answers wait that might go out in the same write, or many have.
 *
 * So a round is short, whatever there is to do, and who has come meanwhile is heard in the next.
 */
#include "net/loop.h"

bool net_connection_is_busy(const struct net_connection *connection)
{
    return connection->read_whole_turn ||
           connection->loop->server->options.handler->busy(connection->session);
}

/* --- lines --- */

void net_line_put(struct net_connection *connection, enum net_line line)
{
    if (connection->in_line[line] || connection->dead) {
        return;
    }
    struct net_line_ends *ends = &connection->loop->lines[line];
    connection->in_line[line] = true;
    connection->next_in_line[line] = NULL;
    if (ends->first == NULL) {
        ends->first = connection;
    } else {
        ends->last->next_in_line[line] = connection;
    }
    ends->last = connection;
}

static struct net_connection *line_take(struct net_loop *loop, enum net_line line)
{
    struct net_line_ends *ends = &loop->lines[line];
    struct net_connection *connection = ends->first;
    if (connection != NULL) {
        ends->first = connection->next_in_line[line];
        connection->in_line[line] = false;
    }
    return connection;
}

static void line_drop_dead(struct net_loop *loop, enum net_line line)
{
    struct net_connection *each = loop->lines[line].first;
    loop->lines[line].first = NULL;
    while (each != NULL) {
        struct net_connection *next = each->next_in_line[line];
        each->in_line[line] = false;
        net_line_put(each, line);
        each = next;
    }
}

void net_loop_drop_dead(struct net_loop *loop)
{
    for (enum net_line line = 0; line < NET_LINE_COUNT; line++) {
        line_drop_dead(loop, line);
    }
}

bool net_loop_has_turns(const struct net_loop *loop)
{
    for (enum net_line line = 0; line < NET_LINE_COUNT; line++) {
        if (loop->lines[line].first != NULL) {
            return true;
        }
    }
    return loop->letters != NULL;
}

/* --- turns --- */

void net_loop_read_turns(struct net_loop *loop)
{
    for (unsigned n_turns = 0; n_turns < BASE_READ_TURNS_MAX; n_turns++) {
        struct net_connection *connection = line_take(loop, NET_LINE_READ);
        if (connection == NULL) {
            return;
        }
        if (!connection->dead) {
            net_connection_read(connection);
        }
    }
}

/* Those that stand in the line now, until so many bytes are out. True: it was all of them. */
static bool flush_line(struct net_loop *loop, enum net_line line, size_t max_bytes)
{
    const struct net_connection *last =
        loop->lines[line].first == NULL ? NULL : loop->lines[line].last;
    const struct net_connection *done = NULL;
    size_t n_bytes = 0;
    while (done != last && n_bytes < max_bytes) {
        struct net_connection *connection = line_take(loop, line);
        done = connection;
        if (!connection->dead) {
            n_bytes += net_connection_flush(connection);
        }
    }
    return done == last;
}

void net_loop_flush_turns(struct net_loop *loop)
{
    (void)flush_line(loop, NET_LINE_FLUSH, SIZE_MAX);
    if (loop->letters != NULL && loop->n_letters_run < BASE_LETTERS_LATE_MAX) {
        return;
    }
    if (flush_line(loop, NET_LINE_LATE, BASE_WRITE_ROUND_BYTES)) {
        loop->n_letters_run = 0;
    }
}
