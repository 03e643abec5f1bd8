/* service: a store with several sessions, without threads. */
#include "service/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SESSIONS 3
#define ACCOUNTS 20

static struct world_call *submit_of_caller(struct world *world, uint64_t caller, unsigned account,
                                           enum base_reason reason)
{
    static unsigned n_made = 0;
    char text[64];
    snprintf(text, sizeof text, "add t%u account-%u 1", n_made++, account);
    struct world_call *call = world_call_make(world, text);
    call->call.caller = caller;
    assert_int_equal(service_submit(world->service, &call->call), reason);
    return call;
}

static struct world_call *submit_to_account(struct world *world, unsigned account,
                                            enum base_reason reason)
{
    return submit_of_caller(world, 0, account, reason);
}

static size_t queued_commands(struct world *world)
{
    struct service_figures figures;
    service_read_figures(world->service, &figures);
    return figures.queued_commands;
}

static void a_step_does_a_batch_of_each_session(void **state)
{
    (void)state;
    struct world world;
    world_open_sessions(&world, SESSIONS);
    struct world_call *calls[ACCOUNTS];
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        calls[i] = submit_to_account(&world, i, BASE_REASON_NONE);
    }
    assert_int_equal(queued_commands(&world), ACCOUNTS);
    assert_true(service_step(world.service, NULL, NULL));
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        assert_int_equal(calls[i]->n_done, 1);
        assert_string_equal(world_told(&world, calls[i]), "applied");
    }
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.batches_begun, SESSIONS);
    assert_int_equal(figures.applied, ACCOUNTS);
    assert_int_equal(figures.queued_commands, 0);
    assert_false(service_step(world.service, NULL, NULL));
    world_close(&world);
}

/* What waits is bounded over all sessions together: the memory is the same, however many. */
static void no_more_wait_than_with_one_session(void **state)
{
    (void)state;
    struct world world;
    world_open_sessions(&world, SESSIONS);
    for (unsigned i = 0; i < BASE_QUEUE_MAX; i++) {
        submit_of_caller(&world, i, i % ACCOUNTS, BASE_REASON_NONE);
    }
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        submit_of_caller(&world, BASE_QUEUE_MAX + i, i, BASE_REASON_OVERLOADED);
    }
    assert_int_equal(queued_commands(&world), BASE_QUEUE_MAX);
    assert_true(service_step(world.service, NULL, NULL));
    submit_to_account(&world, 0, BASE_REASON_NONE);
    world_run(&world);
    world_close(&world);
}

/* Nor does a caller get a share of each session's line: that of one whose calls go to all accounts
 * would be the whole of what may wait, and everybody else OVERLOADED (contract 7). */
static void a_callers_share_is_of_all_sessions_together(void **state)
{
    (void)state;
    struct world world;
    world_open_sessions(&world, SESSIONS);
    for (unsigned i = 0; i < BASE_QUEUE_MAX / 2; i++) {
        submit_of_caller(&world, 1, i % ACCOUNTS, BASE_REASON_NONE);
    }
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        submit_of_caller(&world, 1, i, BASE_REASON_OVERLOADED);
    }
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        submit_of_caller(&world, 2, i, BASE_REASON_NONE);
    }
    assert_int_equal(queued_commands(&world), BASE_QUEUE_MAX / 2 + ACCOUNTS);
    world_run(&world);
    world_close(&world);
}

/* A Submit goes where its first command belongs, whole and in its order, whatever accounts follow
 * (contract 3.14). */
static void a_submit_stays_on_one_session(void **state)
{
    (void)state;
    struct world world;
    world_open_sessions(&world, SESSIONS);
    struct world_call *call;
    world_submit(&world,
                 "add a alice 5; consume b bob 1; add c bob 1; consume d bob 1; consume e carol 1; "
                 "add f carol 2; consume g carol 2; cancel e; consume h alice 5",
                 &call);
    assert_true(service_step(world.service, NULL, NULL));
    assert_string_equal(world_told(&world, call),
                        "applied; INSUFFICIENT_BALANCE; applied; applied; INSUFFICIENT_BALANCE; "
                        "applied; applied; applied; applied");
    assert_string_equal(world_journal(&world), "a c d f g e h");
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.batches_begun, 1);
    world_close(&world);
}

/* What meets one session's batch is tried again there, and the others go on. */
static void each_session_has_its_own_retries(void **state)
{
    (void)state;
    struct world world;
    world_open_sessions(&world, SESSIONS);
    world_set_script(&world, (struct world_script){.commits = "cl"});
    struct world_call *calls[ACCOUNTS];
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        calls[i] = submit_to_account(&world, i, BASE_REASON_NONE);
    }
    world_run(&world);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        assert_int_equal(calls[i]->n_done, 1);
        assert_string_equal(world_told(&world, calls[i]), "applied");
    }
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.store_faults[STORE_CONFLICT], 1);
    assert_int_equal(figures.store_faults[STORE_UNKNOWN], 1);
    assert_int_equal(figures.batches_begun, SESSIONS);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_does_a_batch_of_each_session),
        cmocka_unit_test(no_more_wait_than_with_one_session),
        cmocka_unit_test(a_callers_share_is_of_all_sessions_together),
        cmocka_unit_test(a_submit_stays_on_one_session),
        cmocka_unit_test(each_session_has_its_own_retries),
    };
    return cmocka_run_group_tests_name("service_sessions", tests, NULL, NULL);
}
