/* app: a process that is ended from within says so, however many of its threads fail at once. */
#include "app/last_words.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define N_THREADS 8
/* With one failing thread's words cut off in one of eight processes, this finds it all but always.
 */
#define N_PROCESSES 150

struct failing {
    int number;
    pthread_barrier_t together;
};

static void *fail_together(void *context)
{
    struct failing *failing = context;
    (void)pthread_barrier_wait(&failing->together);
    if (failing->number == SIGABRT) {
        abort();
    }
    (void)pthread_kill(pthread_self(), failing->number);
    return NULL;
}

/* Ends the process by the signal, in all of its threads at once. */
static _Noreturn void end_together(int number)
{
    struct failing failing = {.number = number};
    pthread_t threads[N_THREADS];
    static const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    app_last_words_prepare();
    (void)pthread_barrier_init(&failing.together, NULL, N_THREADS);
    for (size_t i = 0; i < N_THREADS; i++) {
        if (pthread_create(&threads[i], NULL, fail_together, &failing) != 0) {
            _exit(1);
        }
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    /* A signal that was only sent, and ended nothing the first time. */
    (void)raise(number);
    _exit(1);
}

static void check_words(int number)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        end_together(number);
    }
    assert_int_equal(close(ends[1]), 0);
    char said[8192];
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], said + length, sizeof said - 1 - length)) > 0) {
        length += (size_t)n;
    }
    said[length] = '\0';
    int status;
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(close(ends[0]), 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
    assert_non_null(strstr(said, "error: the process"));
    assert_non_null(strstr(said, "Everything that was answered is durable: start it again\n"));
}

static void the_words_come_out_whoever_else_fails(void **state)
{
    (void)state;
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction before;
        /* cmocka takes some while a test runs; the program starts without. A sanitizer keeps its
         * own, which is left to it. */
        (void)signal(numbers[i], SIG_DFL);
        assert_int_equal(sigaction(numbers[i], NULL, &before), 0);
        for (size_t n = 0; n < N_PROCESSES && before.sa_handler == SIG_DFL; n++) {
            check_words(numbers[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_come_out_whoever_else_fails),
    };
    return cmocka_run_group_tests_name("app: last words", tests, NULL, NULL);
}
