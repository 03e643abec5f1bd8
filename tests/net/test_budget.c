/* net: little is read while the budget of memory is spent, and who holds little lives on. Real
 * sockets on loopback. */
#include "echo_server.h"
#include "net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

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
    int fd = echo_server_dial(fixture);
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

static void who_holds_little_is_answered_while_the_budget_is_spent(void **state)
{
    struct fixture *fixture = *state;
    static char block[20001];
    memset(block, 'x', sizeof block);
    block[0] = '(';
    int fds[6];
    for (size_t i = 0; i < 6; i++) {
        fds[i] = echo_server_dial(fixture);
        send_all(fds[i], block, sizeof block);
    }
    while (atomic_load(&fixture->n_received) <= 100000) {
        (void)sched_yield();
    }
    int quiet = echo_server_dial(fixture);
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
        fds[i] = echo_server_dial(fixture);
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
    int small = echo_server_dial(fixture);
    send_all(small, block, 30000);
    while (atomic_load(&fixture->n_received) < 30000) {
        (void)sched_yield();
    }
    int most = echo_server_dial(fixture);
    must_answer_within_a_while(most);
    send_all(most, block, sizeof block);
    char back[5];
    ssize_t n = read(most, back, sizeof back);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
    /* The others go on. */
    int quiet = echo_server_dial(fixture);
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
    int most = echo_server_dial(fixture);
    must_answer_within_a_while(most);
    send_all(most, block, sizeof block);
    while (atomic_load(&fixture->n_received) < sizeof block) {
        (void)sched_yield();
    }
    /* The loop of `most` has no reason to wake up from here on. */
    int small = echo_server_dial(fixture);
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
    int favoured = echo_server_dial(fixture);
    send_all(favoured, block, sizeof block);
    while (atomic_load(&fixture->n_received) < sizeof block) {
        (void)sched_yield();
    }
    struct net_loop *loop = net_connection_loop(atomic_load(&fixture->latest)->connection);
    int other = echo_server_dial(fixture); /* for the other loop: connections go to them in turn */
    int quiet = echo_server_dial(fixture);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connection_that_holds_much_is_not_read_for_ever,
                                        echo_server_open_large, echo_server_close),
        WITH_FIXTURE(who_holds_little_is_answered_while_the_budget_is_spent),
        WITH_FIXTURE(requests_that_are_beyond_the_budget_together_all_end),
        WITH_FIXTURE(who_holds_most_is_cut_off_once_twice_the_budget_is_spent),
        WITH_FIXTURE(who_holds_most_is_cut_off_whichever_loop_it_is_on),
        WITH_FIXTURE(who_was_held_up_is_read_again_beside_a_favoured_one),
    };
    return cmocka_run_group_tests_name("net budget", tests, NULL, NULL);
}
