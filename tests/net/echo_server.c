#include "echo_server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct fixture *fixture_of;

static void *echo_opened(void *context, struct net_connection *connection)
{
    struct fixture *fixture = context;
    struct echo *echo = base_allocate_zeroed(1, sizeof *echo);
    echo->connection = connection;
    atomic_fetch_add(&fixture->n_open, 1);
    atomic_store(&fixture->latest, echo);
    return echo;
}

static bool echo_received(void *session, struct base_bytes bytes)
{
    struct echo *echo = session;
    base_write_bytes(&echo->waiting, bytes);
    if (bytes.length > 0) {
        echo->half = echo->half || bytes.bytes[0] == '(';
        echo->half = echo->half && bytes.bytes[bytes.length - 1] != ')';
    }
    atomic_fetch_add(&fixture_of->n_received, bytes.length);
    if (base_text_equal(base_text_from(bytes), BASE_TEXT("close"))) {
        echo->ended = true;
    }
    return !echo->ended && bytes.length > 0;
}

static size_t echo_produce(void *session, uint8_t *buffer, size_t capacity)
{
    struct echo *echo = session;
    if (atomic_load(&fixture_of->holding) || echo->half) {
        return 0;
    }
    size_t length = echo->waiting.length - echo->sent;
    length = length < capacity ? length : capacity;
    if (length > 0) {
        memcpy(buffer, echo->waiting.bytes + echo->sent, length);
    }
    echo->sent += length;
    if (echo->sent == echo->waiting.length) {
        echo->sent = 0;
        echo->waiting.length = 0;
    }
    return length;
}

static bool echo_finished(void *session)
{
    return ((struct echo *)session)->draining;
}

static bool echo_busy(void *session)
{
    (void)session;
    return false;
}

static size_t echo_held_bytes(void *session)
{
    struct echo *echo = session;
    return echo->waiting.length - echo->sent;
}

static bool echo_tick(void *session, int64_t now_mono_ns, int64_t last_read_ns,
                      int64_t last_write_ns)
{
    (void)session;
    return now_mono_ns >= last_read_ns && now_mono_ns >= last_write_ns;
}

static void echo_drain(void *session, bool last)
{
    struct echo *echo = session;
    atomic_fetch_add(&fixture_of->n_drained, 1);
    echo->draining = last;
}

static void echo_closed(void *session)
{
    struct echo *echo = session;
    base_writer_release(&echo->waiting);
    free(echo);
    atomic_fetch_sub(&fixture_of->n_open, 1);
}

const struct net_handler echo_handler = {echo_opened,   echo_received, echo_produce,
                                         echo_finished, echo_busy,     echo_held_bytes,
                                         echo_tick,     echo_drain,    echo_closed};

static int open_with(void **state, size_t inflight_max_bytes)
{
    struct fixture *fixture = base_allocate_zeroed(1, sizeof *fixture);
    fixture_of = fixture;
    struct net_options options = {.listen = BASE_TEXT("127.0.0.1:0"),
                                  .n_loops = 2,
                                  .connections_max = 50,
                                  .inflight_max_bytes = inflight_max_bytes,
                                  .handler = &echo_handler,
                                  .context = fixture};
    struct base_text message;
    fixture->server = net_server_open(&options, &fixture->arena, &message);
    assert_non_null(fixture->server);
    *state = fixture;
    return 0;
}

int echo_server_open(void **state)
{
    return open_with(state, 100000);
}

int echo_server_open_large(void **state)
{
    return open_with(state, (size_t)16 << 20);
}

int echo_server_close(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->server != NULL) {
        net_server_close(fixture->server);
    }
    assert_int_equal(atomic_load(&fixture->n_open), 0);
    base_arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

int echo_server_dial(struct fixture *fixture)
{
    struct base_text message;
    struct net_destination destination = {.address = net_server_address(fixture->server),
                                          .timeout_ms = 5000};
    struct net_stream *stream = net_dial(&destination, &fixture->arena, &message);
    assert_non_null(stream);
    /* A descriptor of our own, to read and write as any peer does: waiting. */
    int fd = dup(net_stream_descriptor(stream));
    assert_true(fd >= 0);
    net_stream_close(stream);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    return fd;
}

void send_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += n;
        length -= (size_t)n;
    }
}

size_t receive_all(int fd, void *bytes, size_t length)
{
    size_t received = 0;
    while (received < length) {
        ssize_t n = read(fd, (char *)bytes + received, length - received);
        assert_true(n >= 0);
        if (n == 0) {
            break;
        }
        received += (size_t)n;
    }
    return received;
}

void must_answer_within_a_while(int fd)
{
    struct timeval patience = {.tv_sec = 10};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
}
