/* service: an answer is whole, stays, and is counted; what cannot be read fails its own call. */
#include "service/batch.h"
#include "service/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_command_of_a_submit_is_counted(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct world_call *call;
    world_submit(&world,
                 "add a alice 1; add a alice 1; add b alice 1; consume c alice 9; "
                 "consume d alice 9; add a alice 1; add e alice 1; add b alice 1",
                 &call);
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.queued_commands, 8);
    assert_int_equal(figures.batches_begun, 0);
    world_run(&world);
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.queued_commands, 0);
    assert_int_equal(figures.batches_begun, 1);
    assert_int_equal(figures.batches_ended, 1);
    assert_int_equal(base_counter_value(&figures.batch_commands->buckets[3]), 1); /* 5 to 8 */
    assert_int_equal(base_counter_value(&figures.batch_commands->sum), 8);
    assert_int_equal(figures.applied, 3);
    assert_int_equal(figures.replayed, 3);
    assert_int_equal(figures.refused[BASE_REASON_INSUFFICIENT_BALANCE], 2);
    assert_int_equal(world_refused(&figures), 2);
    assert_int_equal(world_store_faults(&figures), 0);
    world_close(&world);
}

/* From the submit on, whatever was waited for: the line, the batch before, the store. */
static void the_time_to_durable_begins_with_the_submit(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct world_call *calls[2];
    world_submit(&world, "add a alice 1", &calls[0]);
    world.now_ns += 3 * BASE_NS_PER_MS;
    world_submit(&world, "add a alice 2", &calls[1]);
    world.now_ns += 30 * BASE_NS_PER_MS;
    world_run(&world);
    /* One that is given up was answered without a commit. */
    struct world_call *late;
    world_submit(&world, "@0 add b alice 1", &late);
    world_run(&world);
    assert_string_equal(world_told(&world, late), "DEADLINE_EXCEEDED");
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(base_counter_value(&figures.durable->buckets[8]), 2); /* 25 to 50 ms */
    assert_int_equal(base_counter_value(&figures.durable->sum), 63 * BASE_NS_PER_MS);
    world_close(&world);
}

static void end_slowly(struct service_call *call)
{
    struct world *world = ((struct world_call *)call)->world;
    world->now_ns += 7 * BASE_NS_PER_MS;
}

/* Attempts that fail are part of it; the wait before the next is not. */
static void the_time_of_a_batch_is_told_by_phase(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world.load_ns = 2 * BASE_NS_PER_MS;
    world.commit_ns = 30 * BASE_NS_PER_MS;
    world_set_script(&world, (struct world_script){.loads = "u", .commits = "c"});
    struct world_call *call = world_call_make(&world, "add a alice 1");
    call->call.done = end_slowly;
    assert_int_equal(service_submit(world.service, &call->call), BASE_REASON_NONE);
    world_run(&world);
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.phase_ns[SERVICE_LOADING], 6 * BASE_NS_PER_MS);
    assert_int_equal(figures.phase_ns[SERVICE_DECIDING], 0);
    assert_int_equal(figures.phase_ns[SERVICE_COMMITTING], 60 * BASE_NS_PER_MS);
    assert_int_equal(figures.phase_ns[SERVICE_ANSWERING], 7 * BASE_NS_PER_MS);
    world_close(&world);
}

/* A call's records are its own: the batch's memory is used again. */
static void records_stay_when_the_next_batch_is_done(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct world_call *first;
    world_submit(&world, "add a alice 1; add b alice 2; add b alice 2; add c alice 3", &first);
    world_run(&world);
    struct world_call *second;
    world_submit(&world, "add x bob 7; add y bob 8; add y bob 8; add z bob 9", &second);
    world_run(&world);
    assert_string_equal(world_told(&world, first), "applied; applied; replayed; applied");
    assert_string_equal(world_told(&world, second), "applied; applied; replayed; applied");
    world_close(&world);
}

static void a_record_that_cannot_be_read_fails_its_own_call_only(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_do(&world, "add bad alice 1", WORLD_START_US);
    world.garbled_id = "bad";
    struct world_call *calls[4];
    world_submit(&world,
                 "add a alice 1 | add bad alice 1 | add b alice 1 | "
                 "add c bob 1; add bad alice 1; add d bob 1",
                 calls);
    world_run(&world);
    assert_string_equal(world_told(&world, calls[0]), "applied");
    assert_string_equal(world_told(&world, calls[1]), "INTERNAL");
    assert_string_equal(world_told(&world, calls[2]), "applied");
    assert_string_equal(world_told(&world, calls[3]), "INTERNAL; INTERNAL; INTERNAL");
    assert_string_equal(world_journal(&world), "bad a b");
    world_close(&world);
}

/* The same where an earlier attempt's outcome is unknown: whether it was that attempt that wrote it
 * cannot be seen. */
static void a_record_that_cannot_be_read_settles_nothing(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world.garbled_id = "bad";
    world_set_script(&world, (struct world_script){.commits = "d"});
    struct world_call *call;
    world_submit(&world, "add bad alice 1; add a alice 1", &call);
    world_run(&world);
    assert_int_equal(call->n_done, 1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(call->call.results[i].refusal.reason, BASE_REASON_OUTCOME_UNKNOWN);
    }
    assert_string_equal(world_journal(&world), "bad a");
    world_close(&world);
}

static void doubts_of_an_earlier_batch_are_forgotten(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_set_script(&world, (struct world_script){.commits = "l*"});
    struct world_call *call;
    world_submit(&world, "add a alice 1; add b alice 1; add c alice 1", &call);
    world_run(&world);
    assert_string_equal(world_told(&world, call),
                        "OUTCOME_UNKNOWN; OUTCOME_UNKNOWN; OUTCOME_UNKNOWN");
    world_set_script(&world, (struct world_script){.commits = "d"});
    world_submit(&world, "consume x alice 9; add y alice 1; consume z alice 9", &call);
    world_run(&world);
    assert_string_equal(world_told(&world, call),
                        "INSUFFICIENT_BALANCE; applied; INSUFFICIENT_BALANCE");
    world_close(&world);
}

static void wait_never(void *context, int64_t duration_ns)
{
    (void)context;
    fail_msg("waits %lld ns", (long long)duration_ns);
}

static void batches_use_their_memory_again(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct service_batch *batch = calloc(1, sizeof *batch);
    static struct service_counters counters;
    service_batch_open(batch,
                       &(struct service_options){
                           .store = world.store, .kinds = &world.kinds, .clock = &world.clock},
                       0, &counters, wait_never);
    size_t held_bytes = 0;
    for (size_t i = 0; i < 1000; i++) {
        struct world_call *call = world_call_make(&world, "add a alice 1; consume b alice 1");
        struct service_call *calls[] = {&call->call};
        service_batch_run(batch, 1, calls);
        if (i == 0) {
            held_bytes = base_arena_held(&batch->arena);
        }
    }
    assert_int_equal(base_arena_held(&batch->arena), held_bytes);
    service_batch_close(batch);
    free(batch);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_of_a_submit_is_counted),
        cmocka_unit_test(the_time_to_durable_begins_with_the_submit),
        cmocka_unit_test(the_time_of_a_batch_is_told_by_phase),
        cmocka_unit_test(records_stay_when_the_next_batch_is_done),
        cmocka_unit_test(a_record_that_cannot_be_read_fails_its_own_call_only),
        cmocka_unit_test(a_record_that_cannot_be_read_settles_nothing),
        cmocka_unit_test(doubts_of_an_earlier_batch_are_forgotten),
        cmocka_unit_test(batches_use_their_memory_again),
    };
    return cmocka_run_group_tests_name("service_answers", tests, NULL, NULL);
}
