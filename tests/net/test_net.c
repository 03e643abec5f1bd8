/*
 * net: what a client sends reaches the handler, and what the handler says reaches the client. Real
 * sockets on loopback.
 */
#include "echo_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void what_is_sent_comes_back_on_every_connection(void **state)
{
    struct fixture *fixture = *state;
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = echo_server_dial(fixture);
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
    int fd = echo_server_dial(fixture);
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
    int fd = echo_server_dial(fixture);
    send_all(fd, "close", 5);
    char back[6] = {0};
    assert_int_equal(receive_all(fd, back, sizeof back), 5);
    assert_string_equal(back, "close");
    /* What is sent after the end is read and dropped: no reset takes the last word away. */
    send_all(fd, "more", 4);
    (void)close(fd);
}

static void a_connection_beyond_the_limit_is_closed_and_the_others_live(void **state)
{
    struct fixture *fixture = *state;
    int fds[50];
    char back[4];
    for (int i = 0; i < 50; i++) {
        fds[i] = echo_server_dial(fixture);
        send_all(fds[i], "ping", 4);
        assert_int_equal(receive_all(fds[i], back, 4), 4);
    }
    int over = echo_server_dial(fixture);
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
        fds[i] = echo_server_dial(fixture);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(what_is_sent_comes_back_on_every_connection),
        WITH_FIXTURE(more_than_the_socket_takes_arrives_whole_and_in_order),
        WITH_FIXTURE(a_session_that_ends_says_its_last_word),
        WITH_FIXTURE(a_connection_beyond_the_limit_is_closed_and_the_others_live),
        WITH_FIXTURE(a_drain_tells_every_session_and_waits_for_it),
        WITH_FIXTURE(a_taken_port_is_told),
        cmocka_unit_test(addresses_are_split_strictly),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
