/* service: its threads take no signal, which are the program's to handle, but faults of their own;
 * and where a thread cannot be started the process stops and says so. */
#include "service/service.h"
#include "store/memory/memory.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A stack that no machine has room for. */
#define STACK_BYTES ((size_t)1 << 46)

/* What a thread of the service found about itself. */
struct seen {
    sigset_t blocked;
    sem_t done;
};

static void look(struct seen *seen)
{
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
    sem_post(&seen->done);
}

static void look_at_the_writer(struct service_call *call)
{
    look(call->context);
}

static void do_nothing(struct service_read *read, struct store *store)
{
    (void)read;
    (void)store;
}

static void look_at_the_reader(struct service_read *read, enum base_reason reason)
{
    (void)reason;
    look(read->context);
}

static void expect_blocked(struct seen *seen)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGALRM};
    static const int faults[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    assert_int_equal(sem_wait(&seen->done), 0);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_int_equal(sigismember(&seen->blocked, signals[i]), 1);
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        assert_int_equal(sigismember(&seen->blocked, faults[i]), 0);
    }
    sem_destroy(&seen->done);
}

static struct service *open_on(struct store *store, const struct ledger_kinds *kinds)
{
    return service_open(&(struct service_options){
        .store = store, .kinds = kinds, .clock = &base_clock_system, .n_readers = 1});
}

static void the_threads_take_no_signal_but_their_own_faults(void **state)
{
    (void)state;
    struct ledger_kinds kinds = {.n_kinds = 1};
    kinds.kinds[0] = (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
    struct store *store = store_memory_open(&kinds);
    struct service *service = open_on(store, &kinds);

    sigset_t own;
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    assert_int_equal(sigismember(&own, SIGTERM), 0); /* the caller's thread still does */

    struct seen writer;
    struct seen reader;
    sem_init(&writer.done, 0, 0);
    sem_init(&reader.done, 0, 0);
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct ledger_command command = {.operation = RECORD_OPERATION_CANCEL,
                                           .transaction_id = BASE_TEXT("t1")};
    struct service_result result;
    struct service_call call = {.n_commands = 1,
                                .commands = &command,
                                .results = &result,
                                .deadline_mono_ns = BASE_NO_DEADLINE,
                                .arena = &arena,
                                .done = look_at_the_writer,
                                .context = &writer};
    struct service_read read = {.run = do_nothing,
                                .done = look_at_the_reader,
                                .deadline_mono_ns = BASE_NO_DEADLINE,
                                .context = &reader};
    assert_int_equal(service_submit(service, &call), BASE_REASON_NONE);
    assert_int_equal(service_submit_read(service, &read), BASE_REASON_NONE);
    expect_blocked(&writer);
    expect_blocked(&reader);
    service_close(service);
    store_close(store);
    base_arena_release(&arena);
}

/* In a process of its own, which would end with 42 if it went on without its threads. */
static void a_thread_that_cannot_start_stops_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        if (pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0 ||
            pthread_setattr_default_np(&attributes) != 0) {
            _exit(43);
        }
        struct ledger_kinds kinds = {.n_kinds = 1};
        kinds.kinds[0] =
            (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
        (void)open_on(store_memory_open(&kinds), &kinds);
        _exit(42);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_threads_take_no_signal_but_their_own_faults),
        cmocka_unit_test(a_thread_that_cannot_start_stops_the_process),
    };
    return cmocka_run_group_tests_name("service_signals", tests, NULL, NULL);
}
