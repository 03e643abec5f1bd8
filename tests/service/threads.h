/*
 * A service with its threads, on a store in memory whose commits can be held and meet faults, and
 * calls that are waited for.
 */
#ifndef ZANDAKA_TESTS_SERVICE_THREADS_H
#define ZANDAKA_TESTS_SERVICE_THREADS_H

#include "service/service.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#define PERMITS_ALL UINT_MAX

struct fixture {
    struct ledger_kinds kinds;
    struct store *memory;
    struct store *store;
    struct service *service;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_permits; /* commits that may pass; PERMITS_ALL: every one */
    unsigned n_arrived; /* commits that came to the gate */
    unsigned n_done;    /* calls and reads that were answered */
    uint64_t random;    /* faults come from it; 0: none */
};

struct made_call {
    struct service_call call;
    struct fixture *fixture;
    struct base_arena arena;
    atomic_int n_done;
    struct ledger_command command;
    struct ledger_amount amount;
    char id[24];
    char account[24];
    struct service_result result;
};

/* A test's set-up, with one session of the store or three, and its end. */
int threads_open(void **state);
int threads_open_sessions(void **state);
int threads_close(void **state);
/* Waits for what was taken. What is in the store can be read afterwards. */
void threads_close_service(struct fixture *fixture);

/* So many commits may pass from now on. */
void threads_permit(struct fixture *fixture, unsigned n_commits);
/* Until so many commits in all have come to the gate, or calls and reads have been answered. */
void threads_wait_for_arrival(struct fixture *fixture, unsigned n_commits);
void threads_wait_for_done(struct fixture *fixture, unsigned n);
unsigned threads_n_done(struct fixture *fixture);

/* A lone call; amount_minor 0 makes a cancel. */
void call_make(struct made_call *made, struct fixture *fixture, enum record_operation operation,
               const char *id, const char *account, int64_t amount_minor);
void call_release(struct made_call *made);
/* It must be taken. */
void threads_submit(struct fixture *fixture, struct made_call *made);

#define WITH_THREADS(test) cmocka_unit_test_setup_teardown(test, threads_open, threads_close)
#define WITH_SESSIONS(test)                                                                        \
    {                                                                                              \
#test "_on_three_sessions", test, threads_open_sessions, threads_close, NULL               \
    }

#endif
