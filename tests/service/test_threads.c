/* service: with its threads, on the machine's clock. No test waits for luck: each waits for what it
 * expects, and fails by the runner's limit if it never comes. */
#include "threads.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void a_lone_call_is_answered_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct made_call call;
    call_make(&call, fixture, RECORD_OPERATION_ADD, "a", "alice", 1);
    threads_submit(fixture, &call);
    threads_wait_for_done(fixture, 1);
    assert_int_equal(call.result.refusal.reason, BASE_REASON_NONE);
    call_release(&call);
}

/* Contract 3.12: not a success, and neither a repeat nor a refusal that rests on it. */
static void nothing_is_answered_before_its_commit(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum record_operation operation;
        const char *id;
        int64_t amount_minor;
        enum base_reason reason;
        bool replayed;
    } rows[] = {
        {RECORD_OPERATION_ADD, "a", 10, BASE_REASON_NONE, false},
        {RECORD_OPERATION_ADD, "a", 10, BASE_REASON_NONE, true},
        {RECORD_OPERATION_CANCEL, "a", 0, BASE_REASON_TRANSACTION_SUCCEEDED, false},
        {RECORD_OPERATION_ADD, "a", 11, BASE_REASON_TRANSACTION_ID_REUSED, false},
        {RECORD_OPERATION_CONSUME, "b", 11, BASE_REASON_INSUFFICIENT_BALANCE, false},
        {RECORD_OPERATION_CONSUME, "c", 10, BASE_REASON_NONE, false},
        {RECORD_OPERATION_CONSUME, "c", 10, BASE_REASON_NONE, true},
    };
    enum { N_ROWS = sizeof rows / sizeof rows[0] };
    struct made_call first;
    struct made_call calls[N_ROWS];
    /* The rows come while the first commit waits, so they are one batch. */
    threads_permit(fixture, 0);
    call_make(&first, fixture, RECORD_OPERATION_ADD, "first", "bob", 1);
    threads_submit(fixture, &first);
    threads_wait_for_arrival(fixture, 1);
    for (size_t i = 0; i < N_ROWS; i++) {
        call_make(&calls[i], fixture, rows[i].operation, rows[i].id, "alice", rows[i].amount_minor);
        threads_submit(fixture, &calls[i]);
    }
    assert_int_equal(threads_n_done(fixture), 0);
    threads_permit(fixture, 1);
    /* The second commit stands at the gate: all is decided, and none of it answered. */
    threads_wait_for_arrival(fixture, 2);
    assert_int_equal(threads_n_done(fixture), 1);
    threads_permit(fixture, PERMITS_ALL);
    threads_wait_for_done(fixture, 1 + N_ROWS);
    for (size_t i = 0; i < N_ROWS; i++) {
        assert_int_equal(calls[i].result.refusal.reason, rows[i].reason);
        assert_int_equal(calls[i].result.replayed, rows[i].replayed);
        call_release(&calls[i]);
    }
    call_release(&first);
}

static void what_waits_when_the_service_stops_is_processed(void **state)
{
    struct fixture *fixture = *state;
    enum { N_CALLS = 10 };
    struct made_call calls[N_CALLS];
    threads_permit(fixture, 0);
    for (unsigned i = 0; i < N_CALLS; i++) {
        char id[24];
        snprintf(id, sizeof id, "t%u", i);
        call_make(&calls[i], fixture, RECORD_OPERATION_ADD, id, "alice", 1);
        threads_submit(fixture, &calls[i]);
        /* The first is alone at the gate, the others stand in line. */
        threads_wait_for_arrival(fixture, 1);
    }
    service_stop(fixture->service);
    threads_permit(fixture, PERMITS_ALL);
    threads_close_service(fixture);
    for (size_t i = 0; i < N_CALLS; i++) {
        assert_int_equal(atomic_load(&calls[i].n_done), 1);
        assert_int_equal(calls[i].result.refusal.reason, BASE_REASON_NONE);
        call_release(&calls[i]);
    }
}

/* --- several sessions --- */

static unsigned session_of(const char *text)
{
    return (unsigned)(base_hash(base_bytes_of(base_text_of(text))) % 3);
}

/* An account whose commands go to another session than a Cancel of `id`. */
static void find_account_elsewhere(const char *id, char account[24])
{
    unsigned number = 0;
    do {
        snprintf(account, 24, "account-%u", number++);
    } while (session_of(account) == session_of(id));
}

/* Contract 3.7: in a race of an attempt and its fence one is first, and both are told which. */
static void racing_commits_of_two_sessions_conflict_and_one_is_decided_again(void **state)
{
    struct fixture *fixture = *state;
    char account[24];
    find_account_elsewhere("a", account);
    struct made_call attempt;
    struct made_call fence;
    threads_permit(fixture, 0);
    call_make(&attempt, fixture, RECORD_OPERATION_ADD, "a", account, 1);
    call_make(&fence, fixture, RECORD_OPERATION_CANCEL, "a", "", 0);
    threads_submit(fixture, &attempt);
    threads_submit(fixture, &fence);
    /* Both have loaded and decided: neither knows of the other. */
    threads_wait_for_arrival(fixture, 2);
    assert_int_equal(threads_n_done(fixture), 0);
    threads_permit(fixture, PERMITS_ALL);
    threads_wait_for_done(fixture, 2);
    bool attempt_was_first = attempt.result.refusal.reason == BASE_REASON_NONE;
    assert_int_equal(attempt.result.refusal.reason,
                     attempt_was_first ? BASE_REASON_NONE : BASE_REASON_TRANSACTION_CANCELLED);
    assert_int_equal(fence.result.refusal.reason,
                     attempt_was_first ? BASE_REASON_TRANSACTION_SUCCEEDED : BASE_REASON_NONE);
    struct service_figures figures;
    service_read_figures(fixture->service, &figures);
    assert_int_equal(figures.store_faults[STORE_CONFLICT], 1);
    assert_int_equal(figures.batches_begun, 2);
    assert_int_equal(figures.applied, 1);
    assert_int_equal(figures.refused[attempt_was_first ? BASE_REASON_TRANSACTION_SUCCEEDED
                                                       : BASE_REASON_TRANSACTION_CANCELLED],
                     1);
    call_release(&attempt);
    call_release(&fence);
}

static void the_commands_of_one_account_meet_in_one_batch(void **state)
{
    struct fixture *fixture = *state;
    enum { N_CALLS = 64 };
    static struct made_call calls[N_CALLS];
    threads_permit(fixture, 0);
    for (unsigned i = 0; i < N_CALLS; i++) {
        char id[24];
        snprintf(id, sizeof id, "t%u", i);
        call_make(&calls[i], fixture, RECORD_OPERATION_ADD, id, "alice", 1);
        calls[i].call.caller = i;
        threads_submit(fixture, &calls[i]);
        threads_wait_for_arrival(fixture, 1);
    }
    threads_permit(fixture, PERMITS_ALL);
    threads_wait_for_done(fixture, N_CALLS);
    struct service_figures figures;
    service_read_figures(fixture->service, &figures);
    assert_int_equal(figures.batches_begun, 2); /* the first call's, and that of the others */
    assert_int_equal(figures.store_faults[STORE_CONFLICT], 0);
    for (size_t i = 0; i < N_CALLS; i++) {
        call_release(&calls[i]);
    }
}

/* --- reads --- */

struct made_read {
    struct service_read read;
    struct fixture *fixture;
    bool found;
};

static void run_read(struct service_read *read, struct store *store)
{
    struct made_read *made = read->context;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_bytes record;
    assert_int_equal(store_read_transaction(store, BASE_TEXT("a"), &arena, &made->found, &record),
                     STORE_OK);
    base_arena_release(&arena);
}

static void read_done(struct service_read *read, enum base_reason reason)
{
    struct made_read *made = read->context;
    assert_int_equal(reason, BASE_REASON_NONE);
    pthread_mutex_lock(&made->fixture->lock);
    made->fixture->n_done++;
    pthread_cond_broadcast(&made->fixture->changed);
    pthread_mutex_unlock(&made->fixture->lock);
}

/* And they show what is durable only. */
static void reads_do_not_wait_for_a_commit(void **state)
{
    struct fixture *fixture = *state;
    enum { N_READS = 100 };
    struct made_read reads[N_READS];
    struct made_call call;
    threads_permit(fixture, 0);
    call_make(&call, fixture, RECORD_OPERATION_ADD, "a", "alice", 1);
    threads_submit(fixture, &call);
    threads_wait_for_arrival(fixture, 1);
    for (size_t i = 0; i < N_READS; i++) {
        reads[i] = (struct made_read){.read = {.run = run_read,
                                               .done = read_done,
                                               .deadline_mono_ns = BASE_NO_DEADLINE,
                                               .context = &reads[i],
                                               .caller = i},
                                      .fixture = fixture,
                                      .found = true};
        assert_int_equal(service_submit_read(fixture->service, &reads[i].read), BASE_REASON_NONE);
    }
    threads_wait_for_done(fixture, N_READS);
    for (size_t i = 0; i < N_READS; i++) {
        assert_false(reads[i].found);
    }
    threads_permit(fixture, PERMITS_ALL);
    threads_wait_for_done(fixture, N_READS + 1);
    call_release(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_THREADS(a_lone_call_is_answered_at_once),
        WITH_THREADS(nothing_is_answered_before_its_commit),
        WITH_THREADS(what_waits_when_the_service_stops_is_processed),
        WITH_THREADS(reads_do_not_wait_for_a_commit),
        WITH_SESSIONS(racing_commits_of_two_sessions_conflict_and_one_is_decided_again),
        WITH_SESSIONS(the_commands_of_one_account_meet_in_one_batch),
    };
    return cmocka_run_group_tests_name("service_threads", tests, NULL, NULL);
}
