/*
 * net: names are looked up within the time of the connection that needs them. The name server that
 * does not answer is this program's own getaddrinfo, which stands before the system's: names that
 * begin with `silent` have no answer until the test says so.
 */
#include "net/net.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool silent;
static unsigned n_waiting;

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict found)
{
    typedef int function(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (strncmp(name, "silent", 6) == 0 && (hints->ai_flags & AI_NUMERICHOST) == 0) {
        (void)pthread_mutex_lock(&lock);
        n_waiting++;
        (void)pthread_cond_broadcast(&changed);
        while (silent) {
            (void)pthread_cond_wait(&changed, &lock);
        }
        n_waiting--;
        (void)pthread_cond_broadcast(&changed);
        (void)pthread_mutex_unlock(&lock);
        return EAI_AGAIN;
    }
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    function *system_function;
    memcpy(&system_function, &symbol, sizeof symbol);
    return system_function(name, service, hints, found);
}

static int be_silent(void **state)
{
    (void)state;
    silent = true;
    return 0;
}

/* All that were asked have answered. */
static int answer(void **state)
{
    (void)state;
    (void)pthread_mutex_lock(&lock);
    silent = false;
    (void)pthread_cond_broadcast(&changed);
    while (n_waiting > 0) {
        (void)pthread_cond_wait(&changed, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
    return 0;
}

/* Dials; whether that gave a connection, which is closed. The reason, if it gave none, must have
 * these words. */
static bool dial(const char *address, int64_t timeout_ms, const char *words)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message;
    struct net_destination destination = {.address = base_text_of(address),
                                          .timeout_ms = timeout_ms};
    struct net_stream *stream = net_dial(&destination, &arena, &message);
    if (stream != NULL) {
        net_stream_close(stream);
    } else if (strstr(message.bytes, words) == NULL) {
        fail_msg("expected `%s`, was told `%s`", words, message.bytes);
    }
    base_arena_release(&arena);
    return stream != NULL;
}

/* A port of 127.0.0.1 on which somebody listens; closed at the program's end. */
static int listening_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

/* Without a limit this would wait for an answer that comes only afterwards. */
static void a_name_server_that_does_not_answer_holds_nobody_beyond_the_time(void **state)
{
    (void)state;
    assert_false(dial("silent.example:80", 50, "the name server did not answer in time"));
}

static void so_many_are_left_under_way_and_no_more_until_they_have_ended(void **state)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    int port = listening_port();
    struct base_text in_digits = base_arena_print(&arena, "127.0.0.1:%d", port);
    struct base_text by_name = base_arena_print(&arena, "localhost:%d", port);
    for (int i = 0; i < BASE_LOOKUPS_MAX; i++) {
        assert_false(dial("silent.example:80", 1, "the name server did not answer in time"));
    }
    assert_false(dial("silent.example:80", 60000, "too many names are being looked up"));
    assert_false(dial(by_name.bytes, 60000, "too many names are being looked up"));
    assert_true(dial(in_digits.bytes, 60000, "none"));
    (void)answer(state);
    for (int i = 0; i < 2 * BASE_LOOKUPS_MAX; i++) {
        while (!dial(by_name.bytes, 60000, "too many names are being looked up")) {
            (void)usleep(1000);
        }
    }
    base_arena_release(&arena);
}

static void what_the_name_server_says_is_told(void **state)
{
    (void)answer(state);
    assert_false(dial("silent.example:80", 60000, "no address for `silent.example`: Temporary"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_name_server_that_does_not_answer_holds_nobody_beyond_the_time, be_silent, answer),
        cmocka_unit_test_setup_teardown(
            so_many_are_left_under_way_and_no_more_until_they_have_ended, be_silent, answer),
        cmocka_unit_test_setup_teardown(what_the_name_server_says_is_told, be_silent, answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
