/*
 * Turns: who sends much, or has much to be told, does not keep others waiting. One loop without a
 * thread, that goes round when it is told to.
 */
#include "net/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PEERS_MAX 4
#define WORDS_MAX 4096

/* A connection, and its other end. */
struct peer {
    int fd;
    struct net_connection *connection;
    bool busy;
    size_t to_say;   /* bytes */
    size_t received; /* bytes */
};

/* What was done, in its order: the peer's number for a read, and that after WROTE for a write. */
#define WROTE 100

struct scene {
    struct net_server server;
    struct net_loop loops[2]; /* the first accepts: it is not used */
    struct net_loop *loop;
    size_t n_peers;
    struct peer peers[PEERS_MAX];
    size_t n_words;
    int words[WORDS_MAX];
    size_t n_run; /* letters */
};

static void note(struct scene *scene, int word)
{
    assert_true(scene->n_words < WORDS_MAX);
    scene->words[scene->n_words++] = word;
}

static struct scene *scene_of; /* the sessions are its peers */

static void *peer_opened(void *context, struct net_connection *connection)
{
    struct scene *scene = context;
    struct peer *peer = &scene->peers[scene->n_peers];
    peer->connection = connection;
    return peer;
}

static bool peer_received(void *session, struct base_bytes bytes)
{
    struct peer *peer = session;
    note(scene_of, (int)(peer - scene_of->peers));
    assert_true(bytes.length <= BASE_READ_TURN_BYTES);
    peer->received += bytes.length;
    return bytes.length > 0;
}

static size_t peer_produce(void *session, uint8_t *buffer, size_t capacity)
{
    struct peer *peer = session;
    size_t length = peer->to_say < capacity ? peer->to_say : capacity;
    memset(buffer, 'x', length);
    peer->to_say -= length;
    if (length > 0) {
        note(scene_of, WROTE + (int)(peer - scene_of->peers));
    }
    return length;
}

static bool peer_finished(void *session)
{
    (void)session;
    return false;
}

static bool peer_busy(void *session)
{
    return ((struct peer *)session)->busy;
}

static size_t peer_held_bytes(void *session)
{
    (void)session;
    return 0;
}

static bool peer_tick(void *session, int64_t now_mono_ns, int64_t last_read_ns,
                      int64_t last_write_ns)
{
    (void)session;
    (void)now_mono_ns;
    (void)last_read_ns;
    (void)last_write_ns;
    return true;
}

static void peer_drain(void *session, bool last)
{
    (void)session;
    (void)last;
}

static void peer_closed(void *session)
{
    ((struct peer *)session)->connection = NULL;
}

static const struct net_handler peer_handler = {.opened = peer_opened,
                                                .received = peer_received,
                                                .produce = peer_produce,
                                                .finished = peer_finished,
                                                .busy = peer_busy,
                                                .held_bytes = peer_held_bytes,
                                                .tick = peer_tick,
                                                .drain = peer_drain,
                                                .closed = peer_closed};

static void add_peer(struct scene *scene)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    scene->peers[scene->n_peers].fd = ends[1];
    net_server_count_connection(&scene->server, 1);
    net_loop_adopt(scene->loop, ends[0]);
    assert_non_null(scene->peers[scene->n_peers].connection);
    scene->n_peers++;
}

static int scene_open(void **state)
{
    struct scene *scene = base_allocate_zeroed(1, sizeof *scene);
    scene_of = scene;
    scene->server.options = (struct net_options){
        .handler = &peer_handler, .context = scene, .inflight_max_bytes = BASE_INFLIGHT_MAX_BYTES};
    scene->server.loops = scene->loops;
    scene->server.n_loops = 2;
    assert_int_equal(pthread_mutex_init(&scene->server.lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&scene->server.none_left, NULL), 0);
    scene->loop = &scene->loops[1];
    scene->loop->server = &scene->server;
    scene->loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    scene->loop->mailbox_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    net_loop_begin(scene->loop);
    for (size_t i = 0; i < PEERS_MAX; i++) {
        add_peer(scene);
    }
    *state = scene;
    return 0;
}

static int scene_close(void **state)
{
    struct scene *scene = *state;
    net_loop_release(scene->loop);
    for (size_t i = 0; i < scene->n_peers; i++) {
        assert_null(scene->peers[i].connection);
        (void)close(scene->peers[i].fd);
    }
    (void)pthread_cond_destroy(&scene->server.none_left);
    (void)pthread_mutex_destroy(&scene->server.lock);
    free(scene);
    return 0;
}

static void send_turns(struct scene *scene, size_t peer, size_t n_turns)
{
    static const uint8_t turn[BASE_READ_TURN_BYTES];
    for (size_t i = 0; i < n_turns; i++) {
        assert_int_equal(send(scene->peers[peer].fd, turn, sizeof turn, 0), sizeof turn);
    }
}

static void send_byte(struct scene *scene, size_t peer)
{
    assert_int_equal(send(scene->peers[peer].fd, "q", 1, 0), 1);
}

/* One round, and what was done in it. */
static void must_do(struct scene *scene, size_t n_words, const int *words)
{
    scene->n_words = 0;
    net_loop_round(scene->loop);
    for (size_t i = 0; i < scene->n_words && i < n_words; i++) {
        assert_int_equal(scene->words[i], words[i]);
    }
    assert_int_equal(scene->n_words, n_words);
}

#define MUST_DO(scene, ...)                                                                        \
    must_do(scene, sizeof(int[]){__VA_ARGS__} / sizeof(int), (int[]){__VA_ARGS__})

/* --- reading --- */

static void who_sends_much_is_read_by_turns_and_others_first(void **state)
{
    struct scene *scene = *state;
    send_turns(scene, 0, 12);
    /* Nobody knew that it would be much: the first turn is for all. */
    MUST_DO(scene, 0, 0, 0, 0, 0);
    send_byte(scene, 1);
    MUST_DO(scene, 1, 0, 0, 0, 0);
    send_byte(scene, 2);
    MUST_DO(scene, 2, 0, 0, 0);
    assert_int_equal(scene->peers[0].received, 12 * BASE_READ_TURN_BYTES);
    assert_int_equal(BASE_READ_TURNS_MAX, 4); /* as the rows above have it */
}

static void those_who_send_much_take_turns(void **state)
{
    struct scene *scene = *state;
    send_turns(scene, 0, 6);
    send_turns(scene, 1, 6);
    MUST_DO(scene, 0, 1, 0, 1, 0, 1);
    send_byte(scene, 3);
    MUST_DO(scene, 3, 0, 1, 0, 1);
    assert_int_equal(scene->peers[0].received + scene->peers[1].received,
                     10 * BASE_READ_TURN_BYTES);
}

static void whose_session_is_busy_is_read_after_the_others(void **state)
{
    struct scene *scene = *state;
    scene->peers[0].busy = true;
    send_byte(scene, 0);
    send_byte(scene, 1);
    MUST_DO(scene, 1, 0);
}

static void who_has_sent_all_that_was_much_is_as_the_others_again(void **state)
{
    struct scene *scene = *state;
    send_turns(scene, 0, 7);
    MUST_DO(scene, 0, 0, 0, 0, 0);
    assert_true(net_connection_is_busy(scene->peers[0].connection));
    MUST_DO(scene, 0, 0);
    assert_false(net_connection_is_busy(scene->peers[0].connection));
}

static void who_is_closed_while_it_stands_in_line_is_forgotten(void **state)
{
    struct scene *scene = *state;
    send_turns(scene, 0, 12);
    send_turns(scene, 1, 12);
    net_loop_round(scene->loop);
    net_connection_wake(scene->peers[0].connection);
    net_connection_close(scene->peers[0].connection);
    MUST_DO(scene, 1, 1, 1);
    MUST_DO(scene, 1, 1, 1, 1);
}

/* --- writing --- */

static void must_receive(struct scene *scene, size_t peer, size_t n_bytes)
{
    static uint8_t buffer[2 * BASE_WRITE_TURN_BYTES];
    size_t n = 0;
    ssize_t some;
    while ((some = read(scene->peers[peer].fd, buffer, sizeof buffer)) > 0) {
        n += (size_t)some;
    }
    assert_int_equal(n, n_bytes);
}

static void who_has_much_to_be_told_is_told_by_turns(void **state)
{
    struct scene *scene = *state;
    scene->peers[0].to_say = 2 * BASE_WRITE_TURN_BYTES + 1;
    net_connection_wake(scene->peers[0].connection);
    scene->peers[1].to_say = 1;
    net_connection_wake(scene->peers[1].connection);
    MUST_DO(scene, WROTE, WROTE + 1, WROTE);
    must_receive(scene, 1, 1);
    must_receive(scene, 0, 2 * BASE_WRITE_TURN_BYTES);
    scene->peers[1].to_say = 1;
    net_connection_wake(scene->peers[1].connection);
    MUST_DO(scene, WROTE + 1, WROTE);
    must_receive(scene, 0, 1);
    assert_false(net_loop_has_turns(scene->loop));
}

static void of_the_busy_only_some_are_told_in_a_round(void **state)
{
    struct scene *scene = *state;
    for (size_t i = 0; i < 3; i++) {
        scene->peers[i].busy = true;
        scene->peers[i].to_say = BASE_WRITE_ROUND_BYTES / 2;
        net_connection_wake(scene->peers[i].connection);
    }
    MUST_DO(scene, WROTE, WROTE + 1);
    MUST_DO(scene, WROTE + 2);
}

/* --- answers --- */

/* Has its peer say one byte more. */
struct letter {
    struct net_message message;
    struct peer *peer;
};

static void run_letter(struct net_message *message)
{
    struct letter *letter = (struct letter *)message;
    scene_of->n_run++;
    letter->peer->to_say++;
    net_connection_wake(letter->peer->connection);
}

/* The first letter is for the first peer, all others are for the second. */
static void post_letters(struct scene *scene, struct letter *letters, size_t n_letters)
{
    for (size_t i = 0; i < n_letters; i++) {
        letters[i] = (struct letter){{.run = run_letter}, &scene->peers[i == 0 ? 0 : 1]};
        net_post(scene->loop, &letters[i].message);
    }
}

static void many_answers_go_out_in_several_rounds(void **state)
{
    struct scene *scene = *state;
    struct letter letters[BASE_LETTERS_ROUND_MAX + 1];
    post_letters(scene, letters, BASE_LETTERS_ROUND_MAX + 1);
    MUST_DO(scene, WROTE, WROTE + 1);
    assert_int_equal(scene->n_run, BASE_LETTERS_ROUND_MAX);
    MUST_DO(scene, WROTE + 1);
    assert_int_equal(scene->n_run, BASE_LETTERS_ROUND_MAX + 1);
}

static void as_many_answers_as_a_round_takes_go_out_in_one(void **state)
{
    struct scene *scene = *state;
    struct letter letters[BASE_LETTERS_ROUND_MAX];
    post_letters(scene, letters, BASE_LETTERS_ROUND_MAX);
    MUST_DO(scene, WROTE, WROTE + 1);
    assert_int_equal(scene->n_run, BASE_LETTERS_ROUND_MAX);
    assert_false(net_loop_has_turns(scene->loop));
}

static void the_busy_are_told_once_no_more_answers_wait(void **state)
{
    struct scene *scene = *state;
    struct letter letters[BASE_LETTERS_ROUND_MAX + 1];
    scene->peers[1].busy = true;
    post_letters(scene, letters, BASE_LETTERS_ROUND_MAX + 1);
    MUST_DO(scene, WROTE);
    MUST_DO(scene, WROTE + 1);
    must_receive(scene, 1, BASE_LETTERS_ROUND_MAX);
}

static void the_busy_are_told_however_many_answers_wait(void **state)
{
    struct scene *scene = *state;
    static struct letter letters[BASE_LETTERS_LATE_MAX + 1];
    scene->peers[1].busy = true;
    post_letters(scene, letters, BASE_LETTERS_LATE_MAX + 1);
    MUST_DO(scene, WROTE);
    while (scene->n_run < BASE_LETTERS_LATE_MAX - BASE_LETTERS_ROUND_MAX) {
        must_do(scene, 0, NULL);
    }
    MUST_DO(scene, WROTE + 1);
    assert_int_equal(scene->n_run, BASE_LETTERS_LATE_MAX);
    MUST_DO(scene, WROTE + 1);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(who_sends_much_is_read_by_turns_and_others_first),
        IN_SCENE(those_who_send_much_take_turns),
        IN_SCENE(whose_session_is_busy_is_read_after_the_others),
        IN_SCENE(who_has_sent_all_that_was_much_is_as_the_others_again),
        IN_SCENE(who_is_closed_while_it_stands_in_line_is_forgotten),
        IN_SCENE(who_has_much_to_be_told_is_told_by_turns),
        IN_SCENE(of_the_busy_only_some_are_told_in_a_round),
        IN_SCENE(many_answers_go_out_in_several_rounds),
        IN_SCENE(as_many_answers_as_a_round_takes_go_out_in_one),
        IN_SCENE(the_busy_are_told_once_no_more_answers_wait),
        IN_SCENE(the_busy_are_told_however_many_answers_wait),
    };
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
