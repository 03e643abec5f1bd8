/*
 * In a build for `make coverage`: what a process has executed is written down also when it ends at
 * once. gcov writes its counts only at an ordinary exit, so a process that stops by _exit, and a
 * server that a test is done with, would have run for nothing.
 */
#include <gcov.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);

_Noreturn void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}

_Noreturn void __wrap_abort(void)
{
    __gcov_dump();
    __real_abort();
}

/* SIGUSR2 is to this build what SIGKILL is to the others. */
static void *end_when_told(void *context)
{
    int signal_number;
    if (sigwait(context, &signal_number) == 0) {
        __gcov_dump();
        (void)kill(getpid(), SIGKILL);
    }
    return NULL;
}

__attribute__((constructor)) static void begin(void)
{
    static sigset_t told;
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    (void)sigemptyset(&told);
    (void)sigaddset(&told, SIGUSR2);
    /* The program's signals are not for the new thread, and its signal is for no other. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, end_when_told, &told) == 0) {
        (void)pthread_detach(thread);
    }
    (void)sigaddset(&before, SIGUSR2);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
