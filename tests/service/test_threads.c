/* service: with its threads, on the machine's clock. No test waits for luck: each waits for what it
 * expects, and fails by the runner's limit if it never comes. */
#include "service/world.h"
#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PERMITS_ALL UINT_MAX

/* A service on a store in memory whose commits can be held. */
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

/* One in 16 commits meets a fault, and one in 64 loads. */
static enum store_faulty_event random_event(struct fixture *fixture, enum store_faulty_call call)
{
    static const enum store_faulty_event commits[] = {
        STORE_FAULTY_CONFLICT, STORE_FAULTY_UNAVAILABLE, STORE_FAULTY_UNKNOWN_DONE,
        STORE_FAULTY_UNKNOWN_LOST};
    fixture->random = fixture->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    uint64_t random = fixture->random >> 40;
    if (call == STORE_FAULTY_COMMIT && random % 16 == 0) {
        return commits[random / 16 % 4];
    }
    return call == STORE_FAULTY_LOAD && random % 64 == 1 ? STORE_FAULTY_UNAVAILABLE
                                                         : STORE_FAULTY_NONE;
}

static enum store_faulty_event choose(void *context, enum store_faulty_call call)
{
    struct fixture *fixture = context;
    enum store_faulty_event event = STORE_FAULTY_NONE;
    pthread_mutex_lock(&fixture->lock);
    if (call == STORE_FAULTY_COMMIT) {
        fixture->n_arrived++;
        pthread_cond_broadcast(&fixture->changed);
        while (fixture->n_permits == 0) {
            pthread_cond_wait(&fixture->changed, &fixture->lock);
        }
        fixture->n_permits -= fixture->n_permits != PERMITS_ALL;
    }
    if (fixture->random != 0 && call != STORE_FAULTY_READ) {
        event = random_event(fixture, call);
    }
    pthread_mutex_unlock(&fixture->lock);
    return event;
}

static int open_service_on(void **state, unsigned n_sessions)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->n_permits = PERMITS_ALL;
    fixture->kinds.n_kinds = 1;
    fixture->kinds.kinds[0] =
        (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    fixture->memory = store_memory_open(&fixture->kinds);
    /* It takes any number: each load and each commit is one critical section. */
    fixture->memory->n_sessions = n_sessions;
    fixture->store = store_faulty_open(fixture->memory, choose, fixture);
    fixture->service = service_open(&(struct service_options){.store = fixture->store,
                                                              .kinds = &fixture->kinds,
                                                              .clock = &base_clock_system,
                                                              .n_readers = 2,
                                                              .seed = 1});
    *state = fixture;
    return 0;
}

static int open_service(void **state)
{
    return open_service_on(state, 1);
}

static int open_with_sessions(void **state)
{
    return open_service_on(state, 3);
}

static void close_the_service(struct fixture *fixture)
{
    if (fixture->service != NULL) {
        service_close(fixture->service);
        fixture->service = NULL;
    }
}

static int close_service(void **state)
{
    struct fixture *fixture = *state;
    close_the_service(fixture);
    store_close(fixture->store);
    pthread_cond_destroy(&fixture->changed);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

static void permit(struct fixture *fixture, unsigned n_commits)
{
    pthread_mutex_lock(&fixture->lock);
    fixture->n_permits = n_commits;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

static void wait_for_arrival(struct fixture *fixture, unsigned n_commits)
{
    pthread_mutex_lock(&fixture->lock);
    while (fixture->n_arrived < n_commits) {
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    pthread_mutex_unlock(&fixture->lock);
}

static unsigned n_done(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    unsigned n = fixture->n_done;
    pthread_mutex_unlock(&fixture->lock);
    return n;
}

static void wait_for_done(struct fixture *fixture, unsigned n)
{
    pthread_mutex_lock(&fixture->lock);
    while (fixture->n_done < n) {
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    pthread_mutex_unlock(&fixture->lock);
}

/* --- calls --- */

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

static void call_done(struct service_call *call)
{
    struct made_call *made = call->context;
    struct fixture *fixture = made->fixture;
    pthread_mutex_lock(&fixture->lock);
    atomic_fetch_add(&made->n_done, 1);
    fixture->n_done++;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

/* A lone call; amount_minor 0 makes a cancel. */
static void call_make(struct made_call *made, struct fixture *fixture,
                      enum record_operation operation, const char *id, const char *account,
                      int64_t amount_minor)
{
    *made = (struct made_call){.fixture = fixture};
    snprintf(made->id, sizeof made->id, "%s", id);
    snprintf(made->account, sizeof made->account, "%s", account);
    made->amount = (struct ledger_amount){BASE_TEXT("points"), amount_minor};
    made->command =
        (struct ledger_command){.operation = operation, .transaction_id = base_text_of(made->id)};
    if (operation != RECORD_OPERATION_CANCEL) {
        made->command.account_id = base_text_of(made->account);
        made->command.n_amounts = 1;
        made->command.amounts = &made->amount;
    }
    made->call = (struct service_call){.n_commands = 1,
                                       .commands = &made->command,
                                       .results = &made->result,
                                       .deadline_mono_ns = BASE_NO_DEADLINE,
                                       .arena = &made->arena,
                                       .done = call_done,
                                       .context = made};
}

static void call_release(struct made_call *made)
{
    base_arena_release(&made->arena);
}

static void submit(struct fixture *fixture, struct made_call *made)
{
    assert_int_equal(service_submit(fixture->service, &made->call), BASE_REASON_NONE);
}

/* --- tests --- */

static void a_lone_call_is_answered_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct made_call call;
    call_make(&call, fixture, RECORD_OPERATION_ADD, "a", "alice", 1);
    submit(fixture, &call);
    wait_for_done(fixture, 1);
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
    permit(fixture, 0);
    call_make(&first, fixture, RECORD_OPERATION_ADD, "first", "bob", 1);
    submit(fixture, &first);
    wait_for_arrival(fixture, 1);
    for (size_t i = 0; i < N_ROWS; i++) {
        call_make(&calls[i], fixture, rows[i].operation, rows[i].id, "alice", rows[i].amount_minor);
        submit(fixture, &calls[i]);
    }
    assert_int_equal(n_done(fixture), 0);
    permit(fixture, 1);
    /* The second commit stands at the gate: all is decided, and none of it answered. */
    wait_for_arrival(fixture, 2);
    assert_int_equal(n_done(fixture), 1);
    permit(fixture, PERMITS_ALL);
    wait_for_done(fixture, 1 + N_ROWS);
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
    permit(fixture, 0);
    for (unsigned i = 0; i < N_CALLS; i++) {
        char id[24];
        snprintf(id, sizeof id, "t%u", i);
        call_make(&calls[i], fixture, RECORD_OPERATION_ADD, id, "alice", 1);
        submit(fixture, &calls[i]);
        /* The first is alone at the gate, the others stand in line. */
        wait_for_arrival(fixture, 1);
    }
    service_stop(fixture->service);
    permit(fixture, PERMITS_ALL);
    close_the_service(fixture);
    for (size_t i = 0; i < N_CALLS; i++) {
        assert_int_equal(atomic_load(&calls[i].n_done), 1);
        assert_int_equal(calls[i].result.refusal.reason, BASE_REASON_NONE);
        call_release(&calls[i]);
    }
}

/* --- many callers at once --- */

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
    submit(caller->fixture, &caller->calls[0]);
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
    submit(fixture, &grant);
    wait_for_done(fixture, 1);
    for (size_t i = 0; i < RACERS; i++) {
        callers[i].calls = &calls[i];
    }
    callers_run(callers, RACERS, fixture, consume_the_same);
    callers_join(callers, RACERS);
    wait_for_done(fixture, 1 + RACERS);
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
    assert_int_equal(n_done(fixture), n_taken);
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
    wait_for_done(fixture, CALLERS * STORM_CALLS);
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
    wait_for_done(fixture, 100);
    service_stop(fixture->service);
    callers_join(callers, CALLERS);
    close_the_service(fixture);
    expect_sound(fixture, callers);
    callers_close(callers);
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
    permit(fixture, 0);
    call_make(&attempt, fixture, RECORD_OPERATION_ADD, "a", account, 1);
    call_make(&fence, fixture, RECORD_OPERATION_CANCEL, "a", "", 0);
    submit(fixture, &attempt);
    submit(fixture, &fence);
    /* Both have loaded and decided: neither knows of the other. */
    wait_for_arrival(fixture, 2);
    assert_int_equal(n_done(fixture), 0);
    permit(fixture, PERMITS_ALL);
    wait_for_done(fixture, 2);
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
    permit(fixture, 0);
    for (unsigned i = 0; i < N_CALLS; i++) {
        char id[24];
        snprintf(id, sizeof id, "t%u", i);
        call_make(&calls[i], fixture, RECORD_OPERATION_ADD, id, "alice", 1);
        calls[i].call.caller = i;
        submit(fixture, &calls[i]);
        wait_for_arrival(fixture, 1);
    }
    permit(fixture, PERMITS_ALL);
    wait_for_done(fixture, N_CALLS);
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
    permit(fixture, 0);
    call_make(&call, fixture, RECORD_OPERATION_ADD, "a", "alice", 1);
    submit(fixture, &call);
    wait_for_arrival(fixture, 1);
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
    wait_for_done(fixture, N_READS);
    for (size_t i = 0; i < N_READS; i++) {
        assert_false(reads[i].found);
    }
    permit(fixture, PERMITS_ALL);
    wait_for_done(fixture, N_READS + 1);
    call_release(&call);
}

#define WITH_THREADS(test) cmocka_unit_test_setup_teardown(test, open_service, close_service)
#define WITH_SESSIONS(test)                                                                        \
    {                                                                                              \
#test "_on_three_sessions", test, open_with_sessions, close_service, NULL                  \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_THREADS(a_lone_call_is_answered_at_once),
        WITH_THREADS(nothing_is_answered_before_its_commit),
        WITH_THREADS(what_waits_when_the_service_stops_is_processed),
        WITH_THREADS(equal_consumes_from_many_threads_succeed_once),
        WITH_THREADS(a_storm_with_faults_equals_the_ledger_in_journal_order),
        WITH_THREADS(a_stop_under_load_answers_all_that_was_taken_once),
        WITH_THREADS(reads_do_not_wait_for_a_commit),
        WITH_SESSIONS(equal_consumes_from_many_threads_succeed_once),
        WITH_SESSIONS(a_storm_with_faults_equals_the_ledger_in_journal_order),
        WITH_SESSIONS(a_stop_under_load_answers_all_that_was_taken_once),
        WITH_SESSIONS(racing_commits_of_two_sessions_conflict_and_one_is_decided_again),
        WITH_SESSIONS(the_commands_of_one_account_meet_in_one_batch),
    };
    return cmocka_run_group_tests_name("service_threads", tests, NULL, NULL);
}
