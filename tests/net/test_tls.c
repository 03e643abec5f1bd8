/*
 * net: TLS between our own two sides, while certificates are read again and connections come and
 * go. The outside tests have clients that are not ours; this one is for what threads share, and for
 * the times that TLS may take. Certificates are made by openssl's command line.
 */
#include "net/loop.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A handler that echoes what comes with one byte in front: how many names the peer's certificate
 * has. */
struct echo {
    struct net_connection *connection;
    struct base_writer waiting;
    size_t sent;
};

static void *echo_opened(void *context, struct net_connection *connection)
{
    (void)context;
    struct echo *echo = base_allocate_zeroed(1, sizeof *echo);
    echo->connection = connection;
    return echo;
}

static bool echo_received(void *session, struct base_bytes bytes)
{
    struct echo *echo = session;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text names[BASE_PEER_NAMES_MAX];
    size_t n = net_connection_peer_names(echo->connection, &arena, names, BASE_PEER_NAMES_MAX);
    if (bytes.length > 0 && echo->waiting.length == 0) {
        base_write_u8(&echo->waiting, (uint8_t)n);
    }
    for (size_t i = 0; i < n; i++) {
        static const char *const expected[] = {"caller.example", "spiffe://example/caller"};
        if (i >= 2 || !base_text_equal(names[i], base_text_of(expected[i]))) {
            abort();
        }
    }
    base_write_bytes(&echo->waiting, bytes);
    base_arena_release(&arena);
    return bytes.length > 0;
}

static size_t echo_produce(void *session, uint8_t *buffer, size_t capacity)
{
    struct echo *echo = session;
    size_t length = echo->waiting.length - echo->sent;
    length = length < capacity ? length : capacity;
    if (length > 0) {
        memcpy(buffer, echo->waiting.bytes + echo->sent, length);
    }
    echo->sent += length;
    return length;
}

static bool echo_finished(void *session)
{
    (void)session;
    return false;
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
    (void)now_mono_ns;
    (void)last_read_ns;
    (void)last_write_ns;
    return true;
}

static void echo_drain(void *session, bool last)
{
    (void)session;
    (void)last;
}

static void echo_closed(void *session)
{
    struct echo *echo = session;
    base_writer_release(&echo->waiting);
    free(echo);
}

static const struct net_handler echo_handler = {echo_opened,   echo_received, echo_produce,
                                                echo_finished, echo_busy,     echo_held_bytes,
                                                echo_tick,     echo_drain,    echo_closed};

struct fixture {
    char directory[64];
    struct base_arena arena;
    struct net_server *server;
    struct net_destination destination;
};

/* An authority, and a certificate that it has signed for the server and for a caller. */
static const char MAKE_CERTIFICATES[] =
    "cd %s && exec 2>log && ec='ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
    "openssl req -x509 -newkey $ec -keyout ca.key -out ca.pem -days 2 -subj /CN=ca "
    "-addext basicConstraints=critical,CA:TRUE && for n in server caller; do "
    "openssl req -newkey $ec -keyout $n.key -out $n.csr -subj /CN=$n && "
    "if [ $n = server ]; then s=IP:127.0.0.1; "
    "else s=DNS:Caller.Example,email:a@b.example,URI:spiffe://example/caller; fi && "
    "echo subjectAltName=$s >$n.ext && openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key "
    "-CAcreateserial -days 2 -extfile $n.ext -out $n.pem || exit 1; done";

static struct base_text file_of(struct fixture *fixture, const char *name)
{
    return base_arena_print(&fixture->arena, "%s/%s", fixture->directory, name);
}

static int open_fixture(void **state)
{
    struct fixture *fixture = base_allocate_zeroed(1, sizeof *fixture);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/zandaka-tls-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    struct base_text command =
        base_arena_print(&fixture->arena, MAKE_CERTIFICATES, fixture->directory);
    assert_int_equal(system(command.bytes), 0);
    struct net_options options = {.listen = BASE_TEXT("127.0.0.1:0"),
                                  .n_loops = 2,
                                  .connections_max = 100,
                                  .inflight_max_bytes = (size_t)16 << 20,
                                  .tls = {.certificate = file_of(fixture, "server.pem"),
                                          .key = file_of(fixture, "server.key"),
                                          .authority = file_of(fixture, "ca.pem")},
                                  .handler = &echo_handler};
    struct base_text message;
    fixture->server = net_server_open(&options, &fixture->arena, &message);
    assert_non_null(fixture->server);
    fixture->destination =
        (struct net_destination){.address = net_server_address(fixture->server),
                                 .timeout_ms = 30000,
                                 .tls = true,
                                 .files = {.authority = file_of(fixture, "ca.pem")}};
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    net_server_close(fixture->server);
    struct base_text command = base_arena_print(&fixture->arena, "rm -r %s", fixture->directory);
    assert_int_equal(system(command.bytes), 0);
    base_arena_release(&fixture->arena);
    free(fixture);
    return 0;
}

/* Sends a text on a connection of its own and takes the echo. Gives the number of names that the
 * server saw. */
static unsigned exchange(const struct net_destination *destination, size_t length)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct net_stream *stream = net_dial(destination, &arena, &message);
    if (stream == NULL) {
        fail_msg("%s", message.bytes);
    }
    uint8_t *bytes = base_allocate(length);
    memset(bytes, 'x', length);
    struct base_bytes left = {bytes, length};
    size_t n_back = 0;
    uint8_t first = 0;
    while (n_back < length + 1) {
        size_t n;
        if (left.length > 0 && net_stream_send(stream, left, &n) == NET_DONE) {
            left = (struct base_bytes){left.bytes + n, left.length - n};
        }
        uint8_t back[4096];
        enum net_result result = net_stream_receive(stream, back, sizeof back, &n);
        assert_true(result == NET_DONE || result == NET_WAIT);
        first = n > 0 && n_back == 0 ? back[0] : first;
        n_back += n;
        struct pollfd ready = {.fd = net_stream_descriptor(stream),
                               .events = left.length > 0 ? POLLIN | POLLOUT : POLLIN};
        assert_true(result == NET_DONE || n_back > length || poll(&ready, 1, 30000) == 1);
    }
    free(bytes);
    net_stream_close(stream);
    base_arena_release(&arena);
    return first;
}

static void a_callers_names_are_read_and_one_without_has_none(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(exchange(&fixture->destination, 5), 0);
    struct net_destination with = fixture->destination;
    with.files.certificate = file_of(fixture, "caller.pem");
    with.files.key = file_of(fixture, "caller.key");
    assert_int_equal(exchange(&with, 5), 2);
}

static void what_is_larger_than_every_buffer_comes_back_whole(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(exchange(&fixture->destination, (size_t)3 << 20), 0);
}

static void *exchange_again_and_again(void *destination)
{
    for (size_t i = 0; i < 25; i++) {
        (void)exchange(destination, 1 + 1000 * i);
    }
    return NULL;
}

static void certificates_are_read_again_while_connections_come(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, exchange_again_and_again, &fixture->destination), 0);
    }
    struct base_text message;
    for (size_t i = 0; i < 50; i++) {
        assert_true(net_server_reload_tls(fixture->server, &fixture->arena, &message));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(unlink(file_of(fixture, "server.key").bytes), 0);
    assert_false(net_server_reload_tls(fixture->server, &fixture->arena, &message));
    assert_non_null(strstr(message.bytes, "server.key cannot be read: No such file or directory"));
    assert_int_equal(exchange(&fixture->destination, 5), 0);
}

static void a_handshake_has_ten_seconds_and_a_record_as_long_as_a_request(void **state)
{
    struct fixture *fixture = *state;
    struct net_loop loop = {.server = fixture->server, .now_ns = 5 * BASE_NS_PER_S};
    struct net_connection connection = {.loop = &loop, .opened_ns = loop.now_ns};
    connection.socket.fd = -1;
    /* In plaintext there is nothing to wait for. */
    loop.now_ns += BASE_HANDSHAKE_TIMEOUT_MS * BASE_NS_PER_MS + 1;
    assert_false(net_connection_tls_is_late(&connection));
    connection.half_record_ns = loop.now_ns;
    loop.now_ns += BASE_REQUEST_TIMEOUT_MS * BASE_NS_PER_MS;
    assert_false(net_connection_tls_is_late(&connection));
    loop.now_ns++;
    assert_true(net_connection_tls_is_late(&connection));
    /* What we do not read is not the peer's fault. */
    connection.paused = true;
    assert_false(net_connection_tls_is_late(&connection));

    struct net_connection greeting = {.loop = &loop, .opened_ns = loop.now_ns};
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    greeting.socket.fd = pair[0];
    net_socket_accept_tls(&greeting.socket, fixture->server->tls);
    loop.now_ns += BASE_HANDSHAKE_TIMEOUT_MS * BASE_NS_PER_MS;
    assert_false(net_connection_tls_is_late(&greeting));
    loop.now_ns++;
    assert_true(net_connection_tls_is_late(&greeting));
    net_socket_close(&greeting.socket);
    (void)close(pair[1]);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_callers_names_are_read_and_one_without_has_none),
        WITH_FIXTURE(what_is_larger_than_every_buffer_comes_back_whole),
        WITH_FIXTURE(certificates_are_read_again_while_connections_come),
        WITH_FIXTURE(a_handshake_has_ten_seconds_and_a_record_as_long_as_a_request),
    };
    return cmocka_run_group_tests_name("net tls", tests, NULL, NULL);
}
