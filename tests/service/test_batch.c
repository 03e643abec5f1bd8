/*
 * service: what callers are told, fault by fault (docs/contract.md 3.8, 3.11, 3.12, 3.14, 4). The
 * store fails by a script; world.h has its letters and the form of the calls.
 */
#include "service/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *name;
    const char *before; /* what has happened already */
    struct world_script script;
    const char *calls;
    const char *told;    /* call by call */
    const char *journal; /* afterwards, without what was before */
};

static void expect_row(struct world *world, const struct row *row, struct world_call **calls,
                       size_t n_calls, size_t journal_before)
{
    struct base_text told = BASE_TEXT("");
    for (size_t i = 0; i < n_calls; i++) {
        if (calls[i]->n_done != 1) {
            fail_msg("%s: call %zu was answered %d times", row->name, i, calls[i]->n_done);
        }
        told = base_arena_print(&world->arena, "%s%s%s", told.bytes, i > 0 ? " | " : "",
                                world_told(world, calls[i]));
    }
    if (strcmp(told.bytes, row->told) != 0) {
        fail_msg("%s: was told `%s`, not `%s`", row->name, told.bytes, row->told);
    }
    const char *journal = world_journal(world) + journal_before;
    journal += *journal == ' ';
    if (strcmp(journal, row->journal) != 0) {
        fail_msg("%s: the journal is `%s`, not `%s`", row->name, journal, row->journal);
    }
}

static void run_rows(const struct row *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        struct world world;
        world_open(&world);
        world_do(&world, rows[i].before != NULL ? rows[i].before : "",
                 WORLD_START_US - 1000 + rows[i].script.ahead_us);
        size_t journal_before = strlen(world_journal(&world));
        world_set_script(&world, rows[i].script);
        struct world_call *calls[BASE_BATCH_MAX];
        size_t n_calls = world_submit(&world, rows[i].calls, calls);
        world_run(&world);
        expect_row(&world, &rows[i], calls, n_calls, journal_before);
        world_close(&world);
    }
}

#define RUN_ROWS(rows) run_rows(rows, sizeof(rows) / sizeof(rows)[0])

static void a_batch_is_decided_in_order(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"one", NULL, {0}, "add a alice 100", "applied", "a"},
        {"what the one before did is seen",
         NULL,
         {0},
         "add a alice 100 | consume b alice 60 | consume c alice 60 | consume d alice 40",
         "applied | applied | INSUFFICIENT_BALANCE | applied",
         "a b d"},
        {"a repeat in the same batch",
         NULL,
         {0},
         "add a alice 100 | consume b alice 100 | consume b alice 100",
         "applied | applied | replayed",
         "a b"},
        {"a repeat of long ago, the balance gone",
         "add a alice 100; consume b alice 100",
         {0},
         "consume b alice 100",
         "replayed",
         ""},
        {"another content", "add a alice 100", {0}, "add a alice 101", "TRANSACTION_ID_REUSED", ""},
        {"a fence and what it fences",
         NULL,
         {0},
         "cancel a | add a alice 1 | cancel a",
         "applied | TRANSACTION_CANCELLED | replayed",
         "a"},
        {"a fence too late",
         NULL,
         {0},
         "add a alice 1 | cancel a",
         "applied | TRANSACTION_SUCCEEDED",
         "a"},
        {"a failure does not use up the id",
         NULL,
         {0},
         "consume b alice 5 | add a alice 5 | consume b alice 5",
         "INSUFFICIENT_BALANCE | applied | applied",
         "a b"},
        {"a Submit's commands take effect in their order",
         NULL,
         {0},
         "consume a alice 1; add b alice 1; consume c alice 1; consume d alice 1; add a alice 1",
         "INSUFFICIENT_BALANCE; applied; applied; INSUFFICIENT_BALANCE; applied",
         "b c a"},
        {"lone calls go before a Submit",
         NULL,
         {0},
         "consume a alice 1; consume b alice 1 | add c alice 1",
         "applied; INSUFFICIENT_BALANCE | applied",
         "c a"},
    };
    RUN_ROWS(rows);
}

static void conflict_and_unavailability_are_tried_again(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a conflict", NULL, {.commits = "c"}, "add a alice 1", "applied", "a"},
        {"many conflicts",
         NULL,
         {.commits = "cccccccc"},
         "add a alice 1 | add a alice 1",
         "applied | replayed",
         "a"},
        {"conflicts without end",
         NULL,
         {.commits = "c*"},
         "add a alice 1",
         "STORE_UNAVAILABLE",
         ""},
        {"conflicts beyond the deadline",
         NULL,
         {.commits = "c*"},
         "@50 add a alice 1 | add b alice 1",
         "DEADLINE_EXCEEDED | STORE_UNAVAILABLE",
         ""},
        {"the other stays when one leaves at its deadline",
         NULL,
         {.commits = "cccccc"},
         "@2 add a alice 1 | consume b alice 1 | add c alice 1",
         "DEADLINE_EXCEEDED | INSUFFICIENT_BALANCE | applied",
         "c"},
        {"a real conflict: another server was first with the balance",
         "add z alice 10",
         {.commits = "f", .foreign = "consume y alice 10"},
         "consume a alice 10",
         "INSUFFICIENT_BALANCE",
         "y"},
        {"a real conflict: another server was first with the id",
         "add z alice 10",
         {.commits = "f", .foreign = "consume a alice 10"},
         "consume a alice 10",
         "replayed",
         "a"},
        {"a refusal that came untrue before its commit is decided again",
         NULL,
         {.commits = "f", .foreign = "add y alice 10"},
         "consume a alice 10",
         "applied",
         "y a"},
        {"unavailable for a moment, at the commit",
         NULL,
         {.commits = "uuu"},
         "add a alice 1",
         "applied",
         "a"},
        {"unavailable for a moment, at the load",
         NULL,
         {.loads = "uuu"},
         "add a alice 1",
         "applied",
         "a"},
        {"unavailable without end, at the load",
         NULL,
         {.loads = "u*"},
         "add a alice 1 | add b alice 1; add c alice 1",
         "STORE_UNAVAILABLE | STORE_UNAVAILABLE; STORE_UNAVAILABLE",
         ""},
        {"unavailable without end, at the commit",
         NULL,
         {.commits = "u*"},
         "add a alice 1; consume b bob 1",
         "STORE_UNAVAILABLE; STORE_UNAVAILABLE",
         ""},
        {"no replay rests on a commit that failed",
         "add a alice 1",
         {.commits = "u*"},
         "add a alice 1",
         "STORE_UNAVAILABLE",
         ""},
        {"unavailable beyond the deadline",
         NULL,
         {.commits = "u*"},
         "@10 add a alice 1",
         "DEADLINE_EXCEEDED",
         ""},
    };
    RUN_ROWS(rows);
}

static void an_unknown_outcome_is_settled_by_what_is_found(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"done", NULL, {.commits = "d"}, "add a alice 1", "applied", "a"},
        {"lost", NULL, {.commits = "l"}, "add a alice 1", "applied", "a"},
        {"lost, lost, done", NULL, {.commits = "lld"}, "add a alice 1", "applied", "a"},
        {"done, and found, and nothing confirms it",
         NULL,
         {.commits = "du*"},
         "add a alice 1",
         "OUTCOME_UNKNOWN",
         "a"},
        {"done, and found, and confirmed in the end",
         NULL,
         {.commits = "duu"},
         "add a alice 1 | consume b bob 1",
         "applied | INSUFFICIENT_BALANCE",
         "a"},
        {"done, and found, and not confirmed in time",
         NULL,
         {.commits = "dc*"},
         "@20 add a alice 1; consume b alice 2; consume c alice 1; consume d alice 1",
         "OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; STORE_UNAVAILABLE",
         "a c"},
        {"done, and the store is gone when it is looked for",
         NULL,
         {.loads = ".u*", .commits = "d"},
         "add a alice 1",
         "OUTCOME_UNKNOWN",
         "a"},
        {"lost, and the store is gone",
         NULL,
         {.loads = ".u*", .commits = "l"},
         "add a alice 1",
         "OUTCOME_UNKNOWN",
         ""},
        {"lost, then unavailable at the commit",
         NULL,
         {.commits = "lu*"},
         "add a alice 1",
         "OUTCOME_UNKNOWN",
         ""},
        {"lost, then conflicts without end",
         NULL,
         {.commits = "lc*"},
         "add a alice 1",
         "OUTCOME_UNKNOWN",
         ""},
        {"unknown without end", NULL, {.commits = "l*"}, "add a alice 1", "OUTCOME_UNKNOWN", ""},
        {"unknown beyond the deadline",
         NULL,
         {.commits = "l*"},
         "@20 add a alice 1",
         "OUTCOME_UNKNOWN",
         ""},
        {"lost, then corrupt",
         NULL,
         {.loads = ".x*", .commits = "l"},
         "add a alice 1",
         "OUTCOME_UNKNOWN",
         ""},
        {"all of the batch is told as it was decided",
         "add z alice 5",
         {.commits = "d"},
         "consume a alice 5 | consume a alice 5 | cancel a | add z alice 5",
         "applied | replayed | TRANSACTION_SUCCEEDED | replayed",
         "a"},
        {"a refusal writes nothing and is not in doubt",
         NULL,
         {.commits = "lu*"},
         "consume a alice 1",
         "STORE_UNAVAILABLE",
         ""},
        {"a replay is not in doubt",
         "add a alice 1",
         {.commits = "lu*"},
         "add a alice 1",
         "STORE_UNAVAILABLE",
         ""},
        {"a repeat of what the same commit may have written is",
         NULL,
         {.commits = "lu*"},
         "add a alice 1 | add a alice 1",
         "OUTCOME_UNKNOWN | OUTCOME_UNKNOWN",
         ""},
        /* alice's points come from a call that leaves at its deadline, after the conflict. */
        {"no refusal by the balance for what may arrive late",
         NULL,
         {.commits = "lc"},
         "@1 add a alice 10 | consume b alice 10 | consume c alice 10 | consume d bob 1",
         "OUTCOME_UNKNOWN | OUTCOME_UNKNOWN | INSUFFICIENT_BALANCE | INSUFFICIENT_BALANCE",
         ""},
        {"but a fence found under the id settles it",
         NULL,
         {.loads = ".f", .commits = "l", .foreign = "cancel a"},
         "add a alice 10",
         "TRANSACTION_CANCELLED",
         "a"},
        {"and so does another content",
         NULL,
         {.loads = ".f", .commits = "l", .foreign = "add a alice 11"},
         "add a alice 10",
         "TRANSACTION_ID_REUSED",
         "a"},
        {"and a success that the fence meets",
         NULL,
         {.loads = ".f", .commits = "l", .foreign = "add a alice 10"},
         "cancel a",
         "TRANSACTION_SUCCEEDED",
         "a"},
        {"it arrives after it was looked for, before the next commit",
         NULL,
         {.loads = "", .commits = "lf", .foreign = "add a alice 10"},
         "add a alice 10",
         "replayed",
         "a"},
    };
    RUN_ROWS(rows);
}

static void a_submit_keeps_its_order_when_an_outcome_is_unknown(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"done: also its refusals are those of that commit",
         NULL,
         {.commits = "d"},
         "consume a alice 10; add b alice 10; consume c alice 10; consume d alice 10",
         "INSUFFICIENT_BALANCE; applied; applied; INSUFFICIENT_BALANCE",
         "b c"},
        {"done: a repeat within it is still a repeat",
         NULL,
         {.commits = "d"},
         "add b alice 10; add b alice 10; add b alice 11",
         "applied; replayed; TRANSACTION_ID_REUSED",
         "b"},
        {"done, lost, found: the answers of the commit that happened",
         NULL,
         {.commits = "dl"},
         "consume a alice 10; add b alice 10 | add c bob 1; add d bob 1",
         "INSUFFICIENT_BALANCE; applied | applied; applied",
         "b c d"},
        {"done, then a conflict of others: settled all the same",
         NULL,
         {.commits = "dcc"},
         "consume a alice 10; add b alice 10",
         "INSUFFICIENT_BALANCE; applied",
         "b"},
        {"lost: decided again as a whole",
         NULL,
         {.commits = "l"},
         "consume a alice 10; add b alice 10; consume c alice 10",
         "INSUFFICIENT_BALANCE; applied; applied",
         "b c"},
        {"never known: what was not written says so, behind what may have been",
         NULL,
         {.commits = "l*"},
         "add a alice 10; add b alice 10; consume c alice 99; cancel a",
         "OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; STORE_UNAVAILABLE; STORE_UNAVAILABLE",
         ""},
        {"never known: what stands before it is no more certain",
         "add z alice 1",
         {.commits = "l*"},
         "add z alice 1; consume a alice 99; add b alice 10; consume c alice 99",
         "OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; STORE_UNAVAILABLE",
         ""},
        {"at the deadline too",
         NULL,
         {.commits = "l*"},
         "@20 add a alice 10; consume c alice 99",
         "OUTCOME_UNKNOWN; STORE_UNAVAILABLE",
         ""},
        /* bob's points leave with their caller, so `a` cannot be decided as it was. */
        {"nothing takes effect behind what stays unknown",
         NULL,
         {.commits = "lc"},
         "@1 add z bob 10 | consume a bob 10; add b alice 10; consume c alice 99; add d carol 1",
         "OUTCOME_UNKNOWN | OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; OUTCOME_UNKNOWN",
         ""},
        {"nor what was only refused before, though it might now",
         NULL,
         {.loads = "..f", .commits = "lc", .foreign = "add y alice 99"},
         "@1 add z bob 10 | consume a bob 10; consume c alice 99",
         "OUTCOME_UNKNOWN | OUTCOME_UNKNOWN; STORE_UNAVAILABLE",
         "y"},
        /* Time is ahead in bob's account, so both servers give `a` the same record. The commit that
         * refused `b`, because of `c`, has not happened for that. */
        {"another server's equal record is no proof of ours",
         "add z alice 10; add y bob 1",
         {.loads = "..f", .commits = "ll", .foreign = "add a bob 1", .ahead_us = 60000000},
         "@1 consume c alice 10 | consume b alice 10; add a bob 1",
         "OUTCOME_UNKNOWN | OUTCOME_UNKNOWN; replayed",
         "a"},
        {"it arrives before the next attempt: its answers stand",
         NULL,
         {.loads = ".a", .commits = "o"},
         "consume a alice 10; add b alice 10",
         "INSUFFICIENT_BALANCE; applied",
         "b"},
        /* What was decided meanwhile was decided without it. */
        {"it arrives behind the next attempt: that one's answers are not its own",
         NULL,
         {.commits = "oa"},
         "consume a alice 10; add b alice 10",
         "OUTCOME_UNKNOWN; replayed",
         "b"},
        {"another server recorded a later one: nothing takes effect before it any more",
         NULL,
         {.loads = ".f", .commits = "l", .foreign = "add y alice 99; add b alice 10"},
         "consume a alice 10; add b alice 10; consume c alice 10",
         "OUTCOME_UNKNOWN; replayed; OUTCOME_UNKNOWN",
         "y b"},
        {"the same where the later one is the last, with another content",
         NULL,
         {.loads = ".f", .commits = "l", .foreign = "add y alice 99; add b alice 11"},
         "consume a alice 10; add b alice 10",
         "OUTCOME_UNKNOWN; TRANSACTION_ID_REUSED",
         "y b"},
    };
    RUN_ROWS(rows);
}

static void a_corrupt_row_fails_its_own_call_only(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world.corrupt_id = "bad";
    struct world_call *calls[8];
    size_t n = world_submit(&world,
                            "add a alice 1 | consume b alice 1 | add bad alice 1 | "
                            "consume c alice 1 | add d alice 1 | consume e alice 1 | "
                            "add f bob 1; add bad bob 1; add g bob 1",
                            calls);
    world_run(&world);
    assert_int_equal(n, 7);
    static const char *const told[] = {"applied",
                                       "applied",
                                       "INTERNAL",
                                       "INSUFFICIENT_BALANCE",
                                       "applied",
                                       "applied",
                                       "INTERNAL; INTERNAL; INTERNAL"};
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(calls[i]->n_done, 1);
        assert_string_equal(world_told(&world, calls[i]), told[i]);
    }
    assert_string_equal(world_journal(&world), "a b d e");
    assert_int_equal(world.waited_ns, 0);
    world_close(&world);
}

/* A call in a full batch of others costs the others halves, not a batch each. */
static void a_corrupt_row_costs_few_loads(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world.corrupt_id = "t700";
    struct world_call *calls[BASE_BATCH_MAX];
    for (size_t i = 0; i < BASE_BATCH_MAX; i++) {
        struct base_text text = base_arena_print(&world.arena, "add t%zu alice 1", i);
        assert_int_equal(world_submit(&world, text.bytes, &calls[i]), 1);
    }
    world_run(&world);
    for (size_t i = 0; i < BASE_BATCH_MAX; i++) {
        assert_string_equal(world_told(&world, calls[i]), i == 700 ? "INTERNAL" : "applied");
    }
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.batches_ended, 1);
    assert_int_equal(figures.store_faults[STORE_CORRUPT], 11); /* 1024, 512, ... 1 calls */
    world_close(&world);
}

static void retries_end(void **state)
{
    (void)state;
    static const struct {
        struct world_script script;
        int64_t at_least_ns;
        int64_t at_most_ns;
    } rows[] = {
        {{.commits = "c*"}, INT64_C(10000000000), INT64_C(10064000000)},
        {{.commits = "l*"}, INT64_C(10000000000), INT64_C(10064000000)},
        {{.commits = "u*"}, INT64_C(1000000000), INT64_C(1064000000)},
        {{.loads = "u*"}, INT64_C(1000000000), INT64_C(1064000000)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world world;
        world_open(&world);
        world_set_script(&world, rows[i].script);
        struct world_call *call;
        world_submit(&world, "add a alice 1", &call);
        world_run(&world);
        assert_int_equal(call->n_done, 1);
        assert_true(world.waited_ns >= rows[i].at_least_ns);
        assert_true(world.waited_ns <= rows[i].at_most_ns);
        world_close(&world);
    }
}

static void a_store_that_is_down_holds_nobody_up_twice(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_set_script(&world, (struct world_script){.commits = "u*"});
    struct world_call *call;
    world_submit(&world, "add a alice 1", &call);
    world_run(&world);
    int64_t waited_ns = world.waited_ns;
    world_submit(&world, "add a alice 1", &call);
    world_run(&world);
    assert_string_equal(world_told(&world, call), "STORE_UNAVAILABLE");
    assert_int_equal(world.waited_ns, waited_ns);
    /* Back again, it is waited for again. */
    world_set_script(&world, (struct world_script){.commits = ".u"});
    world_submit(&world, "add a alice 1", &call);
    world_run(&world);
    assert_string_equal(world_told(&world, call), "applied");
    world_submit(&world, "add b alice 1", &call);
    world_run(&world);
    assert_string_equal(world_told(&world, call), "applied");
    assert_true(world.waited_ns > waited_ns);
    world_close(&world);
}

/* How long five retries wait under a seed. */
static int64_t waited_with_seed(uint64_t seed)
{
    struct world world;
    world_open(&world);
    service_close(world.service);
    world.service = service_open(&(struct service_options){
        .store = world.store, .kinds = &world.kinds, .clock = &world.clock, .seed = seed});
    world_set_script(&world, (struct world_script){.commits = "cclcu"});
    struct world_call *call;
    world_submit(&world, "add a alice 1", &call);
    world_run(&world);
    int64_t waited_ns = world.waited_ns;
    world_close(&world);
    return waited_ns;
}

static void the_jitter_comes_from_the_seed_alone(void **state)
{
    (void)state;
    assert_int_equal(waited_with_seed(1), waited_with_seed(1));
    assert_int_not_equal(waited_with_seed(1), waited_with_seed(2));
    /* 1, 2, 4, 8 and 16 ms, of which up to a half is jitter. */
    for (uint64_t seed = 0; seed < 20; seed++) {
        int64_t waited_ns = waited_with_seed(seed);
        assert_true(waited_ns >= 15500000 && waited_ns <= 31000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_decided_in_order),
        cmocka_unit_test(conflict_and_unavailability_are_tried_again),
        cmocka_unit_test(an_unknown_outcome_is_settled_by_what_is_found),
        cmocka_unit_test(a_submit_keeps_its_order_when_an_outcome_is_unknown),
        cmocka_unit_test(a_corrupt_row_fails_its_own_call_only),
        cmocka_unit_test(a_corrupt_row_costs_few_loads),
        cmocka_unit_test(retries_end),
        cmocka_unit_test(a_store_that_is_down_holds_nobody_up_twice),
        cmocka_unit_test(the_jitter_comes_from_the_seed_alone),
    };
    return cmocka_run_group_tests_name("service_batch", tests, NULL, NULL);
}
