/* service: many callers at once on its threads, with faults, and a stop in the middle. All results
 * equal those of the ledger alone, in the order of the journal. */
#include "service/world.h"
#include "threads.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CALLERS 8
#define RACERS 64
#define STORM_CALLS 400

struct caller {
    pthread_t thread;
    struct fixture *fixture;
    unsigned number;
    pthread_barrier_t *start;
    size_t n_calls;
    struct made_call *calls;
    size_t n_taken; /* the first so many */
};

static void callers_run(struct caller *callers, size_t n_callers, struct fixture *fixture,
                        void *(*run)(void *context))
{
    static pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)n_callers);
    for (size_t i = 0; i < n_callers; i++) {
        callers[i].fixture = fixture;
        callers[i].number = (unsigned)i;
        callers[i].start = &start;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, run, &callers[i]), 0);
    }
}

static void callers_join(struct caller *callers, size_t n_callers)
{
    for (size_t i = 0; i < n_callers; i++) {
        pthread_join(callers[i].thread, NULL);
    }
    pthread_barrier_destroy(callers[0].start);
}

static void *consume_the_same(void *context)
{
    struct caller *caller = context;
    call_make(&caller->calls[0], caller->fixture, RECORD_OPERATION_CONSUME, "pay", "alice", 100);
    caller->calls[0].call.caller = caller->number;
    pthread_barrier_wait(caller->start);
    threads_submit(caller->fixture, &caller->calls[0]);
    return NULL;
}

/* Contract 3.8, and what it says of 64 equal debits. */
static void equal_consumes_from_many_threads_succeed_once(void **state)
{
    struct fixture *fixture = *state;
    static struct caller callers[RACERS];
    static struct made_call calls[RACERS];
    struct made_call grant;
    call_make(&grant, fixture, RECORD_OPERATION_ADD, "grant", "alice", 100);
    threads_submit(fixture, &grant);
    threads_wait_for_done(fixture, 1);
    for (size_t i = 0; i < RACERS; i++) {
        callers[i].calls = &calls[i];
    }
    callers_run(callers, RACERS, fixture, consume_the_same);
    callers_join(callers, RACERS);
    threads_wait_for_done(fixture, 1 + RACERS);
    size_t n_first = 0;
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(calls[i].result.refusal.reason, BASE_REASON_NONE);
        assert_true(base_bytes_equal(calls[i].result.record, calls[0].result.record));
        n_first += !calls[i].result.replayed;
    }
    assert_int_equal(n_first, 1);
    for (size_t i = 0; i < RACERS; i++) {
        call_release(&calls[i]);
    }
    call_release(&grant);
}

/* Ids are few, so that callers meet in them; the content follows from the id, but for one in
 * eight. */
static void make_random_call(struct caller *caller, struct made_call *made, uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
    unsigned number = (unsigned)(*random >> 33) % (CALLERS * STORM_CALLS / 3);
    unsigned other = (*random >> 60 & 7) == 0;
    char id[24];
    char account[24];
    snprintf(id, sizeof id, "t%u", number);
    snprintf(account, sizeof account, "account-%u", number % 5);
    enum record_operation operation = number % 3 == 0    ? RECORD_OPERATION_ADD
                                      : number % 17 != 1 ? RECORD_OPERATION_CONSUME
                                                         : RECORD_OPERATION_CANCEL;
    call_make(made, caller->fixture, operation, id, account, 1 + number % 9 + other);
    made->call.caller = caller->number;
}

static void wait_for_answer(struct made_call *made)
{
    struct fixture *fixture = made->fixture;
    pthread_mutex_lock(&fixture->lock);
    while (atomic_load(&made->n_done) == 0) {
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    pthread_mutex_unlock(&fixture->lock);
}

/* Waits for an answer now and then, so that there are many batches and each has calls of several
 * callers. */
static void *submit_random_calls(void *context)
{
    struct caller *caller = context;
    uint64_t random = caller->number + 1;
    pthread_barrier_wait(caller->start);
    for (size_t i = 0; i < caller->n_calls; i++) {
        struct made_call *made = &caller->calls[i];
        make_random_call(caller, made, &random);
        enum base_reason reason = service_submit(caller->fixture->service, &made->call);
        if (reason != BASE_REASON_NONE) {
            assert_int_equal(reason, BASE_REASON_SHUTTING_DOWN);
            break;
        }
        caller->n_taken++;
        if ((random >> 45 & 7) < 2) {
            wait_for_answer(made);
        }
    }
    return NULL;
}

/* Decides the journal again in its order, one by one, from nothing. Any two records or balances
 * that differ show a batch that was not what its commands would have been alone. */
static void expect_the_ledger_agrees(struct fixture *fixture)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct store *again = store_memory_open(&fixture->kinds);
    struct store_cursor *cursor = store_cursor_open(fixture->memory, STORE_TABLE_JOURNAL);
    struct store_row row;
    bool found = false;
    while (store_cursor_next(cursor, &found, &row) == STORE_OK && found) {
        struct record_transaction recorded;
        assert_true(record_decode(&arena, row.record, &recorded));
        struct ledger_amount amount = {BASE_TEXT(""), 0};
        if (recorded.n_legs > 0) {
            amount.kind = recorded.legs[0].kind;
            amount.amount_minor = llabs(recorded.legs[0].amount_minor);
        }
        struct ledger_command command = {.operation = recorded.operation,
                                         .transaction_id = recorded.transaction_id,
                                         .account_id = recorded.account_id,
                                         .n_amounts = recorded.n_legs,
                                         .amounts = &amount};
        struct ledger_facts facts;
        struct ledger_outcome outcome;
        ledger_facts_open(&facts, &fixture->kinds, &arena);
        ledger_facts_need(&facts, &command);
        assert_int_equal(store_load(again, 0, &facts), STORE_OK);
        assert_true(ledger_decide(&facts, &command, recorded.create_time_us, &outcome));
        assert_int_equal(outcome.result, LEDGER_APPLIED);
        assert_true(base_bytes_equal(outcome.record, row.record));
        assert_int_equal(store_commit(again, 0, &facts), STORE_OK);
    }
    store_cursor_close(cursor);
    for (unsigned i = 0; i < 5; i++) {
        struct base_text id = base_arena_print(&arena, "account-%u", i);
        struct ledger_account rows[2];
        assert_int_equal(store_read_accounts(again, 1, &id, &arena, &rows[0]), STORE_OK);
        assert_int_equal(store_read_accounts(fixture->memory, 1, &id, &arena, &rows[1]), STORE_OK);
        assert_int_equal(rows[0].version, rows[1].version);
        assert_int_equal(rows[0].balances[0].available_minor, rows[1].balances[0].available_minor);
    }
    store_close(again);
    base_arena_release(&arena);
}

/* A success is in the journal as it was told; and the one that was first is first once. */
static void expect_answers_agree(struct fixture *fixture, const struct caller *callers,
                                 size_t *ret_n_first)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    *ret_n_first = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        for (size_t at = 0; at < callers[i].n_taken; at++) {
            const struct made_call *made = &callers[i].calls[at];
            assert_int_equal(atomic_load(&made->n_done), 1);
            enum base_reason reason = made->result.refusal.reason;
            bool found = false;
            struct base_bytes record = {NULL, 0};
            assert_int_equal(store_read_transaction(fixture->memory, made->command.transaction_id,
                                                    &arena, &found, &record),
                             STORE_OK);
            if (reason == BASE_REASON_NONE) {
                assert_true(found);
                assert_true(base_bytes_equal(record, made->result.record));
                *ret_n_first += !made->result.replayed;
            } else {
                /* The store came back each time, so nobody may be left without a decision. */
                assert_true(reason == BASE_REASON_INSUFFICIENT_BALANCE ||
                            reason == BASE_REASON_TRANSACTION_ID_REUSED ||
                            reason == BASE_REASON_TRANSACTION_CANCELLED ||
                            reason == BASE_REASON_TRANSACTION_SUCCEEDED);
            }
        }
    }
    base_arena_release(&arena);
}

static size_t journal_length(struct fixture *fixture)
{
    size_t n = 0;
    struct store_cursor *cursor = store_cursor_open(fixture->memory, STORE_TABLE_JOURNAL);
    struct store_row row;
    bool found = false;
    while (store_cursor_next(cursor, &found, &row) == STORE_OK && found) {
        n++;
    }
    store_cursor_close(cursor);
    return n;
}

static void callers_open(struct caller *callers, size_t n_calls)
{
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] =
            (struct caller){.n_calls = n_calls, .calls = calloc(n_calls, sizeof(struct made_call))};
        assert_non_null(callers[i].calls);
    }
}

static void callers_close(struct caller *callers)
{
    for (size_t i = 0; i < CALLERS; i++) {
        for (size_t at = 0; at < callers[i].n_taken; at++) {
            call_release(&callers[i].calls[at]);
        }
        free(callers[i].calls);
    }
}

/* Everything that was taken is answered once, and as the journal has it. */
static void expect_sound(struct fixture *fixture, const struct caller *callers)
{
    size_t n_taken = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        n_taken += callers[i].n_taken;
    }
    assert_int_equal(threads_n_done(fixture), n_taken);
    size_t n_first = 0;
    expect_answers_agree(fixture, callers, &n_first);
    assert_int_equal(n_first, journal_length(fixture));
    expect_the_ledger_agrees(fixture);
}

static void a_storm_with_faults_equals_the_ledger_in_journal_order(void **state)
{
    struct fixture *fixture = *state;
    fixture->random = 11;
    struct caller callers[CALLERS];
    callers_open(callers, STORM_CALLS);
    callers_run(callers, CALLERS, fixture, submit_random_calls);
    callers_join(callers, CALLERS);
    threads_wait_for_done(fixture, CALLERS * STORM_CALLS);
    expect_sound(fixture, callers);
    struct service_figures figures;
    service_read_figures(fixture->service, &figures);
    assert_int_equal(figures.applied, journal_length(fixture));
    assert_true(world_store_faults(&figures) > 0);
    assert_int_equal(figures.applied + figures.replayed + world_refused(&figures),
                     CALLERS * STORM_CALLS);
    callers_close(callers);
}

static void a_stop_under_load_answers_all_that_was_taken_once(void **state)
{
    struct fixture *fixture = *state;
    struct caller callers[CALLERS];
    callers_open(callers, BASE_QUEUE_MAX / CALLERS);
    callers_run(callers, CALLERS, fixture, submit_random_calls);
    threads_wait_for_done(fixture, 100);
    service_stop(fixture->service);
    callers_join(callers, CALLERS);
    threads_close_service(fixture);
    expect_sound(fixture, callers);
    callers_close(callers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_THREADS(equal_consumes_from_many_threads_succeed_once),
        WITH_THREADS(a_storm_with_faults_equals_the_ledger_in_journal_order),
        WITH_THREADS(a_stop_under_load_answers_all_that_was_taken_once),
        WITH_SESSIONS(equal_consumes_from_many_threads_succeed_once),
        WITH_SESSIONS(a_storm_with_faults_equals_the_ledger_in_journal_order),
        WITH_SESSIONS(a_stop_under_load_answers_all_that_was_taken_once),
    };
    return cmocka_run_group_tests_name("service_storm", tests, NULL, NULL);
}
