/* service: the lines of waiting reads are fair, ordered and bounded. */
#include "service/reads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct reads_fixture {
    struct service_reads reads;
    struct service_read all[BASE_READ_QUEUE_MAX + 1];
};

static int open_reads(void **state)
{
    *state = base_allocate_zeroed(1, sizeof(struct reads_fixture));
    return 0;
}

static int close_reads(void **state)
{
    free(*state);
    return 0;
}

static void one_callers_reads_leave_in_the_order_in_which_they_came(void **state)
{
    struct reads_fixture *fixture = *state;
    assert_null(service_reads_take(&fixture->reads));
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 5; i++) {
            fixture->all[i].caller = 7;
            assert_true(service_reads_push(&fixture->reads, &fixture->all[i]));
        }
        for (size_t i = 0; i < 5; i++) {
            assert_ptr_equal(service_reads_take(&fixture->reads), &fixture->all[i]);
        }
        assert_null(service_reads_take(&fixture->reads));
    }
}

static void no_read_waits_behind_another_callers_thousand(void **state)
{
    struct reads_fixture *fixture = *state;
    for (size_t i = 0; i < 1000; i++) {
        fixture->all[i].caller = 1;
        assert_true(service_reads_push(&fixture->reads, &fixture->all[i]));
    }
    for (size_t i = 1000; i < 1003; i++) {
        fixture->all[i].caller = 2;
        assert_true(service_reads_push(&fixture->reads, &fixture->all[i]));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(service_reads_take(&fixture->reads), &fixture->all[i]);
        assert_ptr_equal(service_reads_take(&fixture->reads), &fixture->all[1000 + i]);
    }
    for (size_t i = 3; i < 1000; i++) {
        assert_ptr_equal(service_reads_take(&fixture->reads), &fixture->all[i]);
    }
    assert_null(service_reads_take(&fixture->reads));
}

static void there_are_never_more_than_the_limit(void **state)
{
    struct reads_fixture *fixture = *state;
    struct service_read *one_more = &fixture->all[BASE_READ_QUEUE_MAX];
    for (size_t i = 0; i <= BASE_READ_QUEUE_MAX; i++) {
        fixture->all[i].caller = i * 977;
        bool taken = service_reads_push(&fixture->reads, &fixture->all[i]);
        assert_int_equal(taken, i < BASE_READ_QUEUE_MAX);
    }
    for (size_t i = 0; i < BASE_READ_QUEUE_MAX; i++) {
        const struct service_read *read = service_reads_take(&fixture->reads);
        assert_true(read >= fixture->all && read < one_more);
    }
    assert_null(service_reads_take(&fixture->reads));
    assert_true(service_reads_push(&fixture->reads, one_more));
    assert_ptr_equal(service_reads_take(&fixture->reads), one_more);
}

static void a_caller_may_have_no_more_waiting_than_is_left_for_others(void **state)
{
    struct reads_fixture *fixture = *state;
    static const size_t shares[] = {8192, 4096, 2048, 1024};
    size_t at = 0;
    for (size_t caller = 0; caller < sizeof shares / sizeof shares[0]; caller++) {
        for (size_t i = 0; i <= shares[caller]; i++) {
            fixture->all[at].caller = caller;
            bool taken = service_reads_push(&fixture->reads, &fixture->all[at]);
            assert_int_equal(taken, i < shares[caller]);
            at += taken;
        }
    }
    /* And what one of them leaves is anybody's again. */
    assert_non_null(service_reads_take(&fixture->reads));
    fixture->all[at].caller = 7;
    assert_true(service_reads_push(&fixture->reads, &fixture->all[at]));
}

/* Its line never runs empty meanwhile. */
static void what_a_caller_was_answered_counts_against_it_no_more(void **state)
{
    struct reads_fixture *fixture = *state;
    assert_true(service_reads_push(&fixture->reads, &fixture->all[0]));
    for (size_t i = 1; i <= BASE_READ_QUEUE_MAX; i++) {
        assert_true(service_reads_push(&fixture->reads, &fixture->all[i]));
        assert_ptr_equal(service_reads_take(&fixture->reads), &fixture->all[i - 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_callers_reads_leave_in_the_order_in_which_they_came,
                                        open_reads, close_reads),
        cmocka_unit_test_setup_teardown(no_read_waits_behind_another_callers_thousand, open_reads,
                                        close_reads),
        cmocka_unit_test_setup_teardown(a_caller_may_have_no_more_waiting_than_is_left_for_others,
                                        open_reads, close_reads),
        cmocka_unit_test_setup_teardown(what_a_caller_was_answered_counts_against_it_no_more,
                                        open_reads, close_reads),
        cmocka_unit_test_setup_teardown(there_are_never_more_than_the_limit, open_reads,
                                        close_reads),
    };
    return cmocka_run_group_tests_name("service_reads", tests, NULL, NULL);
}
