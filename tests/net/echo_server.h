/*
 * A server on loopback that says what it hears, and a client of it that waits for each byte.
 */
#ifndef ZANDAKA_TESTS_NET_ECHO_SERVER_H
#define ZANDAKA_TESTS_NET_ECHO_SERVER_H

#include "net/net.h"

#include <stdatomic.h>

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

extern const struct net_handler echo_handler; /* its context is a fixture */

/* A test's set-up, with a budget of 100,000 bytes or of 16 MiB, two loops and 50 connections; and
 * its end. */
int echo_server_open(void **state);
int echo_server_open_large(void **state);
int echo_server_close(void **state);

/* A descriptor of one's own, to read and write as any peer does: waiting. */
int echo_server_dial(struct fixture *fixture);
/* From here on a read that waits for ten seconds fails. */
void must_answer_within_a_while(int fd);
void send_all(int fd, const void *bytes, size_t length);
/* Reads `length` bytes, or up to the end of the stream. */
size_t receive_all(int fd, void *bytes, size_t length);

#define WITH_FIXTURE(test)                                                                         \
    cmocka_unit_test_setup_teardown(test, echo_server_open, echo_server_close)

#endif
