/*
 * net: what a client sends reaches the handler, what the handler says reaches the client, and
 * little is read while the budget is spent. Real sockets on loopback.
 */
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A handler that echoes. While its fixture is `holding` it keeps what comes, and so it does from a
 * read that begins with `(` to one that ends with `)`; `close` makes it end the session after what
 * it has to say. */
struct echo {
    struct net_connection *connection;
    struct base_writer waiting; /* what is to be sent */
    size_t sent;
    bool half;
    bool ended;
    bool draining;
};

struct fixture {
    struct base_arena arena;
    struct net_server *server;
    atomic_int n_open;
    atomic_int n_drained;
    atomic_bool holding;           /* nothing is produced */
    atomic_size_t n_received;      /* bytes */
    _Atomic(struct echo *) latest; /* of the last connection */
};

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

static const struct net_handler echo_handler = {echo_opened,   echo_received,   echo_produce,
                                                echo_finished, echo_held_bytes, echo_tick,
                                                echo_drain,    echo_closed};

static int open_fixture_with(void **state, size_t inflight_max_bytes)
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

static int open_fixture(void **state)
{
    return open_fixture_with(state, 100000);
}

static int open_large_fixture(void **state)
{
    return open_fixture_with(state, (size_t)16 << 20);
}

static int close_fixture(void **state)
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

static int dial(struct fixture *fixture)
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

static void send_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += n;
        length -= (size_t)n;
    }
}

/* Reads `length` bytes, or up to the end of the stream. */
static size_t receive_all(int fd, void *bytes, size_t length)
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

static void what_is_sent_comes_back_on_every_connection(void **state)
{
    struct fixture *fixture = *state;
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = dial(fixture);
    }
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 20; i++) {
            char text[32];
            int length = snprintf(text, sizeof text, "%d from %d", round, i);
            send_all(fds[i], text, (size_t)length);
        }
        for (int i = 0; i < 20; i++) {
            char text[32];
            char back[32] = {0};
            int length = snprintf(text, sizeof text, "%d from %d", round, i);
            assert_int_equal(receive_all(fds[i], back, (size_t)length), length);
            assert_string_equal(back, text);
        }
    }
    for (int i = 0; i < 20; i++) {
        (void)close(fds[i]);
    }
}

static void *send_a_lot(void *fd)
{
    static uint8_t block[65536];
    for (int i = 0; i < 160; i++) {
        memset(block, i, sizeof block);
        send_all(*(int *)fd, block, sizeof block);
    }
    (void)shutdown(*(int *)fd, SHUT_WR);
    return NULL;
}

static void more_than_the_socket_takes_arrives_whole_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_a_lot, &fd), 0);
    uint8_t *back = base_allocate((size_t)160 * 65536);
    size_t length = receive_all(fd, back, (size_t)160 * 65536);
    (void)pthread_join(thread, NULL);
    assert_int_equal(length, (size_t)160 * 65536);
    for (size_t i = 0; i < length; i++) {
        if (back[i] != i / 65536) {
            fail_msg("byte %zu is %d", i, back[i]);
        }
    }
    uint8_t more;
    assert_int_equal(receive_all(fd, &more, 1), 0);
    free(back);
    (void)close(fd);
}

static void a_session_that_ends_says_its_last_word(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    send_all(fd, "close", 5);
    char back[6] = {0};
    assert_int_equal(receive_all(fd, back, sizeof back), 5);
    assert_string_equal(back, "close");
    /* What is sent after the end is read and dropped: no reset takes the last word away. */
    send_all(fd, "more", 4);
    (void)close(fd);
}

struct set_holding {
    struct net_message message;
    struct echo *echo;
    bool done;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static void release_output(struct net_message *message)
{
    struct set_holding *release = (struct set_holding *)message;
    net_connection_wake(release->echo->connection);
    (void)pthread_mutex_lock(&release->lock);
    release->done = true;
    (void)pthread_cond_signal(&release->changed);
    (void)pthread_mutex_unlock(&release->lock);
}

/* The budget is 16 MiB, and as much may a favoured connection hold; with all answers held back, far
 * less than what the client offers may be taken. What a socket's buffers hold is the kernel's, so
 * the client's socket tells when the server stopped reading: it takes nothing more. */
static void a_connection_that_holds_much_is_not_read_for_ever(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->holding, true);
    int fd = dial(fixture);
    int small = 65536;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    static uint8_t block[1000];
    size_t offered = 0;
    struct timeval patience = {.tv_sec = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
    while (offered < ((size_t)64 << 20)) {
        ssize_t n = send(fd, block, sizeof block, MSG_NOSIGNAL);
        if (n < 0) {
            break;
        }
        offered += (size_t)n;
    }
    assert_true(offered > (size_t)16 << 20);
    assert_true(offered < ((size_t)64 << 20));

    atomic_store(&fixture->holding, false);
    struct set_holding release = {.message = {.run = release_output},
                                  .echo = atomic_load(&fixture->latest),
                                  .lock = PTHREAD_MUTEX_INITIALIZER,
                                  .changed = PTHREAD_COND_INITIALIZER};
    net_post(net_connection_loop(release.echo->connection), &release.message);
    (void)pthread_mutex_lock(&release.lock);
    while (!release.done) {
        (void)pthread_cond_wait(&release.changed, &release.lock);
    }
    (void)pthread_mutex_unlock(&release.lock);
    uint8_t *back = base_allocate(offered);
    assert_int_equal(receive_all(fd, back, offered), offered);
    free(back);
    (void)close(fd);
}

static void must_answer_within_a_while(int fd)
{
    struct timeval patience = {.tv_sec = 10};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
}

static void who_holds_little_is_answered_while_the_budget_is_spent(void **state)
{
    struct fixture *fixture = *state;
    static char block[20001];
    memset(block, 'x', sizeof block);
    block[0] = '(';
    int fds[6];
    for (size_t i = 0; i < 6; i++) {
        fds[i] = dial(fixture);
        send_all(fds[i], block, sizeof block);
    }
    while (atomic_load(&fixture->n_received) <= 100000) {
        (void)sched_yield();
    }
    int quiet = dial(fixture);
    must_answer_within_a_while(quiet);
    for (size_t i = 0; i < 20; i++) {
        char back[5];
        send_all(quiet, "quiet", 5);
        assert_int_equal(receive_all(quiet, back, 5), 5);
        assert_memory_equal(back, "quiet", 5);
    }
    (void)close(quiet);
    for (size_t i = 0; i < 6; i++) {
        (void)close(fds[i]);
    }
}

/* Each is larger than the budget, and all are on their way before any is whole. */
static void requests_that_are_beyond_the_budget_together_all_end(void **state)
{
    struct fixture *fixture = *state;
    static char block[150000];
    static char back[sizeof block];
    memset(block, 'x', sizeof block);
    block[0] = '(';
    block[sizeof block - 1] = ')';
    int fds[8];
    for (size_t i = 0; i < 8; i++) {
        fds[i] = dial(fixture);
        must_answer_within_a_while(fds[i]);
        send_all(fds[i], block, sizeof block / 2);
    }
    while (atomic_load(&fixture->n_received) <= 100000) {
        (void)sched_yield();
    }
    for (size_t i = 0; i < 8; i++) {
        send_all(fds[i], block + sizeof block / 2, sizeof block / 2);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(receive_all(fds[i], back, sizeof back), sizeof back);
        (void)close(fds[i]);
    }
}

static void who_holds_most_is_cut_off_once_twice_the_budget_is_spent(void **state)
{
    struct fixture *fixture = *state;
    static char block[250000];
    memset(block, 'x', sizeof block);
    block[0] = '(';
    int small = dial(fixture);
    send_all(small, block, 30000);
    while (atomic_load(&fixture->n_received) < 30000) {
        (void)sched_yield();
    }
    int most = dial(fixture);
    must_answer_within_a_while(most);
    send_all(most, block, sizeof block);
    char back[5];
    ssize_t n = read(most, back, sizeof back);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
    /* The others go on. */
    int quiet = dial(fixture);
    must_answer_within_a_while(quiet);
    send_all(quiet, "quiet", 5);
    assert_int_equal(receive_all(quiet, back, 5), 5);
    must_answer_within_a_while(small);
    send_all(small, ")", 1);
    assert_int_equal(receive_all(small, back, 1), 1);
    (void)close(quiet);
    (void)close(most);
    (void)close(small);
}

/* Each loop knows only its own connections, and the one that notices first may hold little. */
static void who_holds_most_is_cut_off_whichever_loop_it_is_on(void **state)
{
    struct fixture *fixture = *state;
    static char block[185000];
    memset(block, 'x', sizeof block);
    block[0] = '(';
    int most = dial(fixture);
    must_answer_within_a_while(most);
    send_all(most, block, sizeof block);
    while (atomic_load(&fixture->n_received) < sizeof block) {
        (void)sched_yield();
    }
    /* The loop of `most` has no reason to wake up from here on. */
    int small = dial(fixture);
    must_answer_within_a_while(small);
    send_all(small, block, 30000);
    char back[5];
    ssize_t n = read(most, back, sizeof back);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
    send_all(small, ")", 1);
    assert_int_equal(receive_all(small, back, 1), 1);
    (void)close(most);
    (void)close(small);
}

/* Asked on a loop's own thread. */
struct paused_question {
    struct net_message message;
    struct net_loop *loop;
    atomic_int n_paused; /* -1: not answered so far */
};

static void answer_paused(struct net_message *message)
{
    struct paused_question *question = (struct paused_question *)message;
    atomic_store(&question->n_paused, (int)question->loop->n_paused);
}

static void wait_until_one_is_paused(struct net_loop *loop)
{
    int n_paused;
    do {
        struct paused_question question = {.message = {.run = answer_paused}, .loop = loop};
        atomic_init(&question.n_paused, -1);
        net_post(loop, &question.message);
        while ((n_paused = atomic_load(&question.n_paused)) < 0) {
            (void)sched_yield();
        }
    } while (n_paused == 0);
}

/* Above one and a half times the budget a favoured connection keeps its turn, however silent it is:
 * that must not keep out the small, who may be read again below twice the budget. */
static void who_was_held_up_is_read_again_beside_a_favoured_one(void **state)
{
    struct fixture *fixture = *state;
    static char block[170000];
    memset(block, 'x', sizeof block);
    block[0] = '(';
    int favoured = dial(fixture);
    send_all(favoured, block, sizeof block);
    while (atomic_load(&fixture->n_received) < sizeof block) {
        (void)sched_yield();
    }
    struct net_loop *loop = net_connection_loop(atomic_load(&fixture->latest)->connection);
    int other = dial(fixture); /* for the other loop: connections go to them in turn */
    int quiet = dial(fixture);
    net_server_charge(fixture->server, 60000);
    send_all(quiet, "quiet", 5);
    wait_until_one_is_paused(loop);
    net_server_charge(fixture->server, -40000);
    char back[5];
    must_answer_within_a_while(quiet);
    assert_int_equal(receive_all(quiet, back, 5), 5);
    net_server_charge(fixture->server, -20000);
    (void)close(quiet);
    (void)close(other);
    (void)close(favoured);
}

static void a_connection_beyond_the_limit_is_closed_and_the_others_live(void **state)
{
    struct fixture *fixture = *state;
    int fds[50];
    char back[4];
    for (int i = 0; i < 50; i++) {
        fds[i] = dial(fixture);
        send_all(fds[i], "ping", 4);
        assert_int_equal(receive_all(fds[i], back, 4), 4);
    }
    int over = dial(fixture);
    assert_int_equal(read(over, back, 4), 0);
    (void)close(over);
    for (int i = 0; i < 50; i++) {
        send_all(fds[i], "ping", 4);
        assert_int_equal(receive_all(fds[i], back, 4), 4);
        (void)close(fds[i]);
    }
}

#define N_DRAINED 4

/* A client that closes when the server has. */
static void *close_after_the_end(void *fds)
{
    char byte;
    for (int i = 0; i < N_DRAINED; i++) {
        assert_int_equal(read(((int *)fds)[i], &byte, 1), 0);
        (void)close(((int *)fds)[i]);
    }
    return NULL;
}

static void a_drain_tells_every_session_and_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    int fds[N_DRAINED];
    char back[4];
    for (int i = 0; i < N_DRAINED; i++) {
        fds[i] = dial(fixture);
        send_all(fds[i], "ping", 4);
        assert_int_equal(receive_all(fds[i], back, 4), 4);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, close_after_the_end, fds), 0);
    struct net_destination destination = {
        .address = base_arena_text(&fixture->arena, net_server_address(fixture->server)),
        .timeout_ms = 1000};
    net_server_drain(fixture->server, 60000);
    (void)pthread_join(thread, NULL);
    assert_int_equal(net_server_connections(fixture->server), 0);
    /* Each was given notice, and then told that it is for good. */
    assert_int_equal(atomic_load(&fixture->n_drained), 2 * N_DRAINED);
    struct base_text message;
    assert_null(net_dial(&destination, &fixture->arena, &message));
    net_server_close(fixture->server);
    fixture->server = NULL;
    assert_null(net_dial(&destination, &fixture->arena, &message));
}

static void a_taken_port_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct net_options options = {.listen = net_server_address(fixture->server),
                                  .n_loops = 1,
                                  .connections_max = 1,
                                  .inflight_max_bytes = 1,
                                  .handler = &echo_handler,
                                  .context = fixture};
    struct base_text message;
    assert_null(net_server_open(&options, &fixture->arena, &message));
    assert_non_null(strstr(message.bytes, "another server"));
}

static void addresses_are_split_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool valid;
        const char *host;
        uint16_t port;
        bool loopback;
    } rows[] = {
        {"127.0.0.1:8630", true, "127.0.0.1", 8630, true},
        {"127.9.8.7:0", true, "127.9.8.7", 0, true},
        {"[::1]:65535", true, "::1", 65535, true},
        {"0.0.0.0:1", true, "0.0.0.0", 1, false},
        {"[::]:1", true, "::", 1, false},
        {"192.0.2.1:1", true, "192.0.2.1", 1, false},
        {"127.0.0.1:65536", false, "", 0, false},
        {"127.0.0.1:", false, "", 0, false},
        {"127.0.0.1", false, "", 0, false},
        {":80", false, "", 0, false},
        {"", false, "", 0, false},
        {"::1:80", false, "", 0, false},
        {"[]:80", false, "", 0, false},
        {"[::1:80", false, "", 0, false},
        {"host:080", false, "", 0, false},
        {"host:-1", false, "", 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text host;
        uint16_t port;
        struct base_text address = base_text_of(rows[i].address);
        assert_int_equal(net_split_address(address, &host, &port), rows[i].valid);
        if (rows[i].valid) {
            assert_true(base_text_equal(host, base_text_of(rows[i].host)));
            assert_int_equal(port, rows[i].port);
            assert_int_equal(net_is_loopback(address), rows[i].loopback);
        }
    }
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(what_is_sent_comes_back_on_every_connection),
        WITH_FIXTURE(more_than_the_socket_takes_arrives_whole_and_in_order),
        WITH_FIXTURE(a_session_that_ends_says_its_last_word),
        cmocka_unit_test_setup_teardown(a_connection_that_holds_much_is_not_read_for_ever,
                                        open_large_fixture, close_fixture),
        WITH_FIXTURE(who_holds_little_is_answered_while_the_budget_is_spent),
        WITH_FIXTURE(requests_that_are_beyond_the_budget_together_all_end),
        WITH_FIXTURE(who_holds_most_is_cut_off_once_twice_the_budget_is_spent),
        WITH_FIXTURE(who_holds_most_is_cut_off_whichever_loop_it_is_on),
        WITH_FIXTURE(who_was_held_up_is_read_again_beside_a_favoured_one),
        WITH_FIXTURE(a_connection_beyond_the_limit_is_closed_and_the_others_live),
        WITH_FIXTURE(a_drain_tells_every_session_and_waits_for_it),
        WITH_FIXTURE(a_taken_port_is_told),
        cmocka_unit_test(addresses_are_split_strictly),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
