/* store/faulty: each event does what its name says, and the wrapped store never notices. */
#include "batch.h"
#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW_US INT64_C(1764028800000000)

static const struct ledger_kinds kinds = {
    .n_kinds = 1,
    .kinds = {{.code = {"points", 6},
               .max_balance_minor = INT64_MAX,
               .max_amount_minor = BASE_AMOUNT_MAX}},
};

/* The events to come, one for each call; then none. */
struct script {
    size_t n_events;
    size_t at;
    struct {
        enum store_faulty_call call;
        enum store_faulty_event event;
    } events[4];
};

static enum store_faulty_event next_event(void *context, enum store_faulty_call call)
{
    struct script *script = context;
    if (script->at == script->n_events) {
        return STORE_FAULTY_NONE;
    }
    assert_int_equal(script->events[script->at].call, call);
    return script->events[script->at++].event;
}

static bool is_recorded(struct store *store, struct base_text transaction_id)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    bool found;
    struct base_bytes record;
    assert_int_equal(store_read_transaction(store, transaction_id, &arena, &found, &record),
                     STORE_OK);
    base_arena_release(&arena);
    return found;
}

static void each_event_tells_its_fault_and_writes_or_does_not(void **state)
{
    (void)state;
    static const struct {
        enum store_faulty_call call;
        enum store_faulty_event event;
        enum store_fault told;
        bool written;
    } rows[] = {
        {STORE_FAULTY_LOAD, STORE_FAULTY_NONE, STORE_OK, true},
        {STORE_FAULTY_LOAD, STORE_FAULTY_UNAVAILABLE, STORE_UNAVAILABLE, false},
        {STORE_FAULTY_LOAD, STORE_FAULTY_CORRUPT, STORE_CORRUPT, false},
        {STORE_FAULTY_COMMIT, STORE_FAULTY_NONE, STORE_OK, true},
        {STORE_FAULTY_COMMIT, STORE_FAULTY_CONFLICT, STORE_CONFLICT, false},
        {STORE_FAULTY_COMMIT, STORE_FAULTY_UNAVAILABLE, STORE_UNAVAILABLE, false},
        {STORE_FAULTY_COMMIT, STORE_FAULTY_UNKNOWN_DONE, STORE_UNKNOWN, true},
        {STORE_FAULTY_COMMIT, STORE_FAULTY_UNKNOWN_LOST, STORE_UNKNOWN, false},
        {STORE_FAULTY_COMMIT, STORE_FAULTY_UNKNOWN_LATE, STORE_UNKNOWN, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct script script = {0};
        if (rows[i].call == STORE_FAULTY_COMMIT) {
            script.events[script.n_events++].call = STORE_FAULTY_LOAD;
        }
        script.events[script.n_events].call = rows[i].call;
        script.events[script.n_events++].event = rows[i].event;
        struct store *store = store_faulty_open(store_memory_open(&kinds), next_event, &script);
        const char *lines[] = {"add t1 alice points=5"};
        assert_int_equal(batch_run_lines(store, NOW_US, 1, lines), rows[i].told);
        assert_int_equal(script.at, script.n_events);
        assert_int_equal(is_recorded(store, BASE_TEXT("t1")), rows[i].written);
        /* Repeating it is safe, whatever was told. */
        assert_int_equal(batch_run_lines(store, NOW_US, 1, lines), STORE_OK);
        assert_true(is_recorded(store, BASE_TEXT("t1")));
        store_close(store);
    }
}

/* Makes the read with that number; gives its fault. */
static enum store_fault read_number(struct store *store, int number, struct base_arena *arena)
{
    bool found;
    struct base_bytes record;
    struct base_text account_id = BASE_TEXT("alice");
    struct ledger_account account;
    struct store_entries_query query = {
        .account_id = account_id, .below_sequence = INT64_MAX, .limit = 1, .scan_limit = 1};
    struct store_entries_page page;
    switch (number) {
    case 0:
        return store_read_transaction(store, BASE_TEXT("t1"), arena, &found, &record);
    case 1:
        return store_read_accounts(store, 1, &account_id, arena, &account);
    case 2:
        return store_read_entries(store, &query, arena, &page);
    case 3:
        return store_read_journal(store, 1, arena, &found, &record);
    case 4: {
        struct base_text caller;
        return store_read_caller(store, BASE_TEXT("t1"), arena, &found, &caller);
    }
    default: {
        struct store_row row;
        struct store_cursor *cursor = store_cursor_open(store, STORE_TABLE_JOURNAL);
        enum store_fault fault = store_cursor_next(cursor, &found, &row);
        store_cursor_close(cursor);
        return fault;
    }
    }
}

static void every_read_can_fail_and_then_work_again(void **state)
{
    (void)state;
    static const struct {
        enum store_faulty_event event;
        enum store_fault told;
    } rows[] = {{STORE_FAULTY_UNAVAILABLE, STORE_UNAVAILABLE},
                {STORE_FAULTY_CORRUPT, STORE_CORRUPT},
                {STORE_FAULTY_NONE, STORE_OK}};
    for (int number = 0; number < 6; number++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct script script = {.n_events = 1, .events = {{STORE_FAULTY_READ, rows[i].event}}};
            struct base_arena arena = BASE_ARENA_EMPTY;
            struct store *store = store_faulty_open(store_memory_open(&kinds), next_event, &script);
            assert_int_equal(read_number(store, number, &arena), rows[i].told);
            assert_int_equal(script.at, 1);
            assert_int_equal(read_number(store, number, &arena), STORE_OK);
            store_close(store);
            base_arena_release(&arena);
        }
    }
}

static void
a_conflict_of_the_wrapped_store_is_told_though_the_outcome_is_to_be_unknown(void **state)
{
    (void)state;
    struct script script = {.n_events = 4,
                            .events = {{STORE_FAULTY_LOAD, STORE_FAULTY_NONE},
                                       {STORE_FAULTY_LOAD, STORE_FAULTY_NONE},
                                       {STORE_FAULTY_COMMIT, STORE_FAULTY_NONE},
                                       {STORE_FAULTY_COMMIT, STORE_FAULTY_UNKNOWN_DONE}}};
    struct store *store = store_faulty_open(store_memory_open(&kinds), next_event, &script);
    struct batch *stale = batch_open(&kinds);
    batch_add_line(stale, "add t1 alice points=5");
    assert_int_equal(batch_load(stale, store), STORE_OK);
    assert_int_equal(batch_run_lines(store, NOW_US, 1, (const char *[]){"add t2 alice points=1"}),
                     STORE_OK);
    batch_decide(stale, NOW_US);
    /* Nothing was written, and that is known. */
    assert_int_equal(batch_commit(stale, store), STORE_CONFLICT);
    assert_false(is_recorded(store, BASE_TEXT("t1")));
    batch_close(stale);
    store_close(store);
}

/* Opens a store on which `first` and `second` are on their way. */
static struct store *open_with_two_late(struct script *script, const char *first,
                                        const char *second)
{
    *script = (struct script){.n_events = 4,
                              .events = {{STORE_FAULTY_LOAD, STORE_FAULTY_NONE},
                                         {STORE_FAULTY_COMMIT, STORE_FAULTY_UNKNOWN_LATE},
                                         {STORE_FAULTY_LOAD, STORE_FAULTY_NONE},
                                         {STORE_FAULTY_COMMIT, STORE_FAULTY_UNKNOWN_LATE}}};
    struct store *store = store_faulty_open(store_memory_open(&kinds), next_event, script);
    assert_int_equal(batch_run_lines(store, NOW_US, 1, &first), STORE_UNKNOWN);
    assert_int_equal(batch_run_lines(store, NOW_US, 1, &second), STORE_UNKNOWN);
    return store;
}

static void late_commits_arrive_in_their_order_and_whole(void **state)
{
    (void)state;
    struct script script;
    struct store *store =
        open_with_two_late(&script, "add t1 alice points=5", "add t2 bob points=6");
    enum store_fault fault = STORE_CORRUPT;
    assert_false(is_recorded(store, BASE_TEXT("t1")));
    assert_true(store_faulty_land(store, &fault));
    assert_int_equal(fault, STORE_OK);
    assert_true(is_recorded(store, BASE_TEXT("t1")));
    assert_false(is_recorded(store, BASE_TEXT("t2")));
    assert_true(store_faulty_land(store, &fault));
    assert_int_equal(fault, STORE_OK);
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text account_ids[] = {BASE_TEXT("alice"), BASE_TEXT("bob")};
    struct ledger_account accounts[2];
    assert_int_equal(store_read_accounts(store, 2, account_ids, &arena, accounts), STORE_OK);
    assert_int_equal(accounts[0].balances[0].available_minor, 5);
    assert_int_equal(accounts[1].balances[0].available_minor, 6);
    fault = STORE_CORRUPT;
    assert_false(store_faulty_land(store, &fault));
    assert_int_equal(fault, STORE_CORRUPT);
    base_arena_release(&arena);
    store_close(store);
}

static void a_late_commit_whose_facts_are_gone_writes_nothing(void **state)
{
    (void)state;
    struct script script;
    struct store *store =
        open_with_two_late(&script, "add t1 alice points=5", "add t2 alice points=6");
    enum store_fault fault = STORE_CORRUPT;
    assert_true(store_faulty_land(store, &fault));
    assert_int_equal(fault, STORE_OK);
    assert_true(store_faulty_land(store, &fault));
    assert_int_equal(fault, STORE_CONFLICT);
    assert_false(is_recorded(store, BASE_TEXT("t2")));
    store_close(store);
}

static void late_commits_that_never_arrive_are_dropped_with_the_store(void **state)
{
    (void)state;
    struct script script;
    store_close(open_with_two_late(&script, "add t1 alice points=5", "add t2 alice points=6"));
}

/* --- what the wrapped store sees --- */

/* A store that only counts; nothing but load, commit and abandon is called on it. */
struct counting_store {
    struct store base;
    int n_loads;
    int n_commits;
    int n_abandons;
};

static enum store_fault counting_load(struct store *base, unsigned session,
                                      struct ledger_facts *facts)
{
    (void)session;
    (void)facts;
    ((struct counting_store *)base)->n_loads++;
    return STORE_OK;
}

static enum store_fault counting_commit(struct store *base, unsigned session,
                                        const struct ledger_facts *facts)
{
    (void)session;
    (void)facts;
    ((struct counting_store *)base)->n_commits++;
    return STORE_OK;
}

static void counting_abandon(struct store *base, unsigned session, const struct ledger_facts *facts)
{
    (void)session;
    (void)facts;
    ((struct counting_store *)base)->n_abandons++;
}

static void counting_close(struct store *base)
{
    (void)base;
}

static void each_load_of_the_wrapped_store_is_followed_by_one_commit_or_abandon(void **state)
{
    (void)state;
    static const struct store_backend backend = {.load = counting_load,
                                                 .commit = counting_commit,
                                                 .abandon = counting_abandon,
                                                 .close = counting_close};
    static const struct {
        enum store_faulty_event load;
        enum store_faulty_event commit;
        bool abandoned; /* by the caller, instead of the commit */
        int n_loads;
        int n_commits;
        int n_abandons;
    } rows[] = {
        {STORE_FAULTY_NONE, STORE_FAULTY_NONE, false, 1, 1, 0},
        {STORE_FAULTY_NONE, STORE_FAULTY_UNKNOWN_DONE, false, 1, 1, 0},
        {STORE_FAULTY_NONE, STORE_FAULTY_UNKNOWN_LOST, false, 1, 0, 1},
        {STORE_FAULTY_NONE, STORE_FAULTY_CONFLICT, false, 1, 0, 1},
        {STORE_FAULTY_NONE, STORE_FAULTY_UNAVAILABLE, false, 1, 0, 1},
        {STORE_FAULTY_NONE, STORE_FAULTY_UNKNOWN_LATE, false, 1, 0, 1},
        {STORE_FAULTY_NONE, STORE_FAULTY_NONE, true, 1, 0, 1},
        {STORE_FAULTY_UNAVAILABLE, STORE_FAULTY_NONE, true, 0, 0, 0},
        {STORE_FAULTY_CORRUPT, STORE_FAULTY_NONE, true, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct counting_store wrapped = {
            .base = {.backend = &backend, .kinds = &kinds, .n_sessions = 1}};
        struct script script = {.n_events = 1, .events = {{STORE_FAULTY_LOAD, rows[i].load}}};
        if (!rows[i].abandoned) {
            script.events[script.n_events].call = STORE_FAULTY_COMMIT;
            script.events[script.n_events++].event = rows[i].commit;
        }
        script.events[script.n_events++].event = STORE_FAULTY_UNAVAILABLE;
        struct store *store = store_faulty_open(&wrapped.base, next_event, &script);
        struct batch *batch = batch_open(&kinds);
        (void)!batch_load(batch, store);
        if (rows[i].abandoned) {
            store_abandon(store, 0, &batch->facts);
        } else {
            (void)!batch_commit(batch, store);
        }
        /* A load that the wrapped store never saw is not abandoned there either. */
        assert_int_equal(batch_load(batch, store), STORE_UNAVAILABLE);
        store_abandon(store, 0, &batch->facts);
        batch_close(batch);
        store_close(store);
        assert_int_equal(wrapped.n_loads, rows[i].n_loads);
        assert_int_equal(wrapped.n_commits, rows[i].n_commits);
        assert_int_equal(wrapped.n_abandons, rows[i].n_abandons);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_tells_its_fault_and_writes_or_does_not),
        cmocka_unit_test(every_read_can_fail_and_then_work_again),
        cmocka_unit_test(
            a_conflict_of_the_wrapped_store_is_told_though_the_outcome_is_to_be_unknown),
        cmocka_unit_test(late_commits_arrive_in_their_order_and_whole),
        cmocka_unit_test(a_late_commit_whose_facts_are_gone_writes_nothing),
        cmocka_unit_test(late_commits_that_never_arrive_are_dropped_with_the_store),
        cmocka_unit_test(each_load_of_the_wrapped_store_is_followed_by_one_commit_or_abandon),
    };
    return cmocka_run_group_tests_name("faulty", tests, NULL, NULL);
}
