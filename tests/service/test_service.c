/* service: what is taken, what is answered and when, without threads. */
#include "service/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RACERS 64

static int open_world(void **state)
{
    struct world *world = malloc(sizeof *world);
    world_open(world);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    free(*state);
    return 0;
}

static void there_may_be_nothing_to_do(void **state)
{
    struct world *world = *state;
    assert_false(service_step(world->service, NULL, NULL));
}

static void a_deadline_that_has_passed_is_not_attempted(void **state)
{
    struct world *world = *state;
    struct world_call *calls[3];
    world_submit(world, "@5 add a alice 1 | @6 add b alice 1 | @5 add c alice 1; add d alice 1",
                 calls);
    world->now_ns = 5000000;
    world_run(world);
    assert_string_equal(world_told(world, calls[0]), "DEADLINE_EXCEEDED");
    assert_string_equal(world_told(world, calls[1]), "applied");
    assert_string_equal(world_told(world, calls[2]), "DEADLINE_EXCEEDED; DEADLINE_EXCEEDED");
    assert_string_equal(world_journal(world), "b");
}

/* Contract 3.8: of equal consumes for which the balance suffices once, all are told of one success,
 * and one of them that it was the first. */
static void expect_one_success(struct world *world, struct world_call *const *calls, size_t n_calls)
{
    size_t n_first = 0;
    size_t n_results = 0;
    for (size_t i = 0; i < n_calls; i++) {
        assert_int_equal(calls[i]->n_done, 1);
        for (size_t at = 0; at < calls[i]->call.n_commands; at++) {
            const struct service_result *result = &calls[i]->call.results[at];
            assert_int_equal(result->refusal.reason, BASE_REASON_NONE);
            assert_true(base_bytes_equal(result->record, calls[0]->call.results[0].record));
            n_first += !result->replayed;
            n_results++;
        }
    }
    assert_int_equal(n_results, RACERS);
    assert_int_equal(n_first, 1);
    assert_string_equal(world_journal(world), "grant pay");
}

static void equal_consumes_in_one_batch_succeed_once(void **state)
{
    struct world *world = *state;
    world_do(world, "add grant alice 100", WORLD_START_US);
    struct world_call *calls[RACERS];
    for (size_t i = 0; i < RACERS; i++) {
        calls[i] = world_call_make(world, "consume pay alice 100");
        calls[i]->call.caller = i % 7;
        assert_int_equal(service_submit(world->service, &calls[i]->call), BASE_REASON_NONE);
    }
    world_run(world);
    expect_one_success(world, calls, RACERS);
}

static void equal_consumes_in_neighbouring_batches_succeed_once(void **state)
{
    struct world *world = *state;
    world_do(world, "add grant alice 100", WORLD_START_US);
    world_set_script(world, (struct world_script){.commits = "dlc"});
    struct world_call *calls[RACERS];
    for (size_t i = 0; i < RACERS; i++) {
        calls[i] = world_call_make(world, "consume pay alice 100");
        assert_int_equal(service_submit(world->service, &calls[i]->call), BASE_REASON_NONE);
        if (i % 8 == 7) {
            world_run(world);
        }
    }
    expect_one_success(world, calls, RACERS);
}

static void equal_consumes_in_one_submit_succeed_once(void **state)
{
    struct world *world = *state;
    world_do(world, "add grant alice 100", WORLD_START_US);
    struct base_text text = BASE_TEXT("consume pay alice 100");
    for (size_t i = 1; i < RACERS; i++) {
        text = base_arena_print(&world->arena, "%s; consume pay alice 100", text.bytes);
    }
    struct world_call *call;
    world_submit(world, text.bytes, &call);
    world_run(world);
    expect_one_success(world, &call, 1);
}

static void a_call_that_does_not_fit_is_overloaded_whole(void **state)
{
    struct world *world = *state;
    static struct world_call *calls[BASE_QUEUE_MAX];
    for (size_t i = 0; i < BASE_QUEUE_MAX - 1; i++) {
        calls[i] = world_call_make(world, "add a alice 1");
        calls[i]->call.caller = i + 1;
        assert_int_equal(service_submit(world->service, &calls[i]->call), BASE_REASON_NONE);
    }
    struct world_call *two = world_call_make(world, "add b alice 1; add c alice 1");
    struct world_call *last = world_call_make(world, "add a alice 1");
    struct world_call *beyond = world_call_make(world, "add b alice 1");
    assert_int_equal(service_submit(world->service, &two->call), BASE_REASON_OVERLOADED);
    assert_int_equal(service_submit(world->service, &last->call), BASE_REASON_NONE);
    assert_int_equal(service_submit(world->service, &beyond->call), BASE_REASON_OVERLOADED);
    world_run(world);
    assert_int_equal(two->n_done + beyond->n_done, 0);
    assert_int_equal(last->n_done, 1);
    assert_string_equal(world_journal(world), "a");
    struct service_figures figures;
    service_read_figures(world->service, &figures);
    assert_int_equal(figures.batches_ended, BASE_QUEUE_MAX / BASE_BATCH_MAX);
    assert_int_equal(figures.applied, 1);
    assert_int_equal(figures.replayed, BASE_QUEUE_MAX - 1);
    assert_int_equal(figures.queued_commands, 0);
}

static void what_was_taken_before_the_stop_is_answered(void **state)
{
    struct world *world = *state;
    struct world_call *calls[2];
    world_submit(world, "add a alice 1 | add b alice 1; add c alice 1", calls);
    service_stop(world->service);
    struct world_call *late = world_call_make(world, "add d alice 1");
    assert_int_equal(service_submit(world->service, &late->call), BASE_REASON_SHUTTING_DOWN);
    service_close(world->service);
    world->service = NULL;
    assert_int_equal(calls[0]->n_done, 1);
    assert_int_equal(calls[1]->n_done, 1);
    assert_int_equal(late->n_done, 0);
    assert_string_equal(world_journal(world), "a b c");
}

static void a_stop_ends_although_the_store_does_not_come_back(void **state)
{
    struct world *world = *state;
    world_set_script(world, (struct world_script){.commits = "c*"});
    struct world_call *call;
    world_submit(world, "add a alice 1", &call);
    service_close(world->service);
    world->service = NULL;
    assert_string_equal(world_told(world, call), "STORE_UNAVAILABLE");
}

/* --- reads --- */

struct counted_read {
    struct service_read read;
    int n_run;
    int n_done;
    enum base_reason reason;
};

static void run_counted(struct service_read *read, struct store *store)
{
    assert_non_null(store);
    ((struct counted_read *)read->context)->n_run++;
}

static void done_counted(struct service_read *read, enum base_reason reason)
{
    struct counted_read *counted = read->context;
    assert_null(read->link.next); /* it is its owner's again, with nothing of the line */
    counted->n_done++;
    counted->reason = reason;
}

static void read_make(struct counted_read *counted, int64_t deadline_mono_ns)
{
    *counted = (struct counted_read){.read = {.run = run_counted,
                                              .done = done_counted,
                                              .deadline_mono_ns = deadline_mono_ns,
                                              .context = counted}};
    counted->read.link.next = &counted->read.link; /* whatever its owner left there */
}

static void expect_read(const struct counted_read *read, int n_run, int n_done,
                        enum base_reason reason)
{
    assert_int_equal(read->n_run, n_run);
    assert_int_equal(read->n_done, n_done);
    assert_int_equal(read->reason, reason);
}

static void reads_are_run_unless_they_are_late(void **state)
{
    struct world *world = *state;
    struct counted_read reads[2];
    read_make(&reads[0], 5);
    read_make(&reads[1], 6);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(service_submit_read(world->service, &reads[i].read), BASE_REASON_NONE);
        assert_int_equal(reads[i].n_done, 0);
    }
    world->now_ns = 5;
    world_run(world);
    expect_read(&reads[0], 0, 1, BASE_REASON_DEADLINE_EXCEEDED);
    expect_read(&reads[1], 1, 1, BASE_REASON_NONE);
}

static void one_step_answers_all_reads_that_wait(void **state)
{
    struct world *world = *state;
    struct counted_read reads[3];
    for (size_t i = 0; i < 3; i++) {
        read_make(&reads[i], BASE_NO_DEADLINE);
        assert_int_equal(service_submit_read(world->service, &reads[i].read), BASE_REASON_NONE);
    }
    assert_true(service_step(world->service, NULL, NULL));
    for (size_t i = 0; i < 3; i++) {
        expect_read(&reads[i], 1, 1, BASE_REASON_NONE);
    }
    assert_false(service_step(world->service, NULL, NULL));
    /* A step that answered one read has done something. */
    read_make(&reads[0], BASE_NO_DEADLINE);
    assert_int_equal(service_submit_read(world->service, &reads[0].read), BASE_REASON_NONE);
    assert_true(service_step(world->service, NULL, NULL));
    expect_read(&reads[0], 1, 1, BASE_REASON_NONE);
    expect_read(&reads[2], 1, 1, BASE_REASON_NONE);
}

static void reads_are_bounded(void **state)
{
    struct world *world = *state;
    static struct counted_read reads[BASE_READ_QUEUE_MAX + 1];
    for (size_t i = 0; i < BASE_READ_QUEUE_MAX + 1; i++) {
        read_make(&reads[i], BASE_NO_DEADLINE);
        reads[i].read.caller = i;
        assert_int_equal(service_submit_read(world->service, &reads[i].read),
                         i < BASE_READ_QUEUE_MAX ? BASE_REASON_NONE : BASE_REASON_OVERLOADED);
    }
    struct service_figures figures;
    service_read_figures(world->service, &figures);
    assert_int_equal(figures.queued_reads, BASE_READ_QUEUE_MAX);
    world_run(world);
    for (size_t i = 0; i < BASE_READ_QUEUE_MAX; i++) {
        expect_read(&reads[i], 1, 1, BASE_REASON_NONE);
    }
    expect_read(&reads[BASE_READ_QUEUE_MAX], 0, 0, BASE_REASON_NONE);
}

static void reads_taken_before_the_stop_are_run(void **state)
{
    struct world *world = *state;
    struct counted_read reads[2];
    read_make(&reads[0], BASE_NO_DEADLINE);
    read_make(&reads[1], BASE_NO_DEADLINE);
    assert_int_equal(service_submit_read(world->service, &reads[0].read), BASE_REASON_NONE);
    service_stop(world->service);
    assert_int_equal(service_submit_read(world->service, &reads[1].read),
                     BASE_REASON_SHUTTING_DOWN);
    service_close(world->service);
    world->service = NULL;
    expect_read(&reads[0], 1, 1, BASE_REASON_NONE);
    expect_read(&reads[1], 0, 0, BASE_REASON_NONE);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(there_may_be_nothing_to_do),
        IN_A_WORLD(a_deadline_that_has_passed_is_not_attempted),
        IN_A_WORLD(equal_consumes_in_one_batch_succeed_once),
        IN_A_WORLD(equal_consumes_in_neighbouring_batches_succeed_once),
        IN_A_WORLD(equal_consumes_in_one_submit_succeed_once),
        IN_A_WORLD(a_call_that_does_not_fit_is_overloaded_whole),
        IN_A_WORLD(what_was_taken_before_the_stop_is_answered),
        IN_A_WORLD(a_stop_ends_although_the_store_does_not_come_back),
        IN_A_WORLD(reads_are_run_unless_they_are_late),
        IN_A_WORLD(one_step_answers_all_reads_that_wait),
        IN_A_WORLD(reads_are_bounded),
        IN_A_WORLD(reads_taken_before_the_stop_are_run),
    };
    return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
