/* record: which times a transaction may have, at each bound and one past it. */
#include "record/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct record_transaction add_of(const struct record_leg *leg, int64_t create_time_us)
{
    return (struct record_transaction){.transaction_id = BASE_TEXT("t1"),
                                       .state = RECORD_STATE_SUCCEEDED,
                                       .operation = RECORD_OPERATION_ADD,
                                       .account_id = BASE_TEXT("alice"),
                                       .n_legs = 1,
                                       .legs = leg,
                                       .create_time_us = create_time_us};
}

static void a_time_is_within_a_timestamp(void **state)
{
    (void)state;
    static const struct {
        int64_t time_us;
        bool well_formed;
    } rows[] = {
        {0, true},
        {BASE_TIME_MIN_US, true},
        {BASE_TIME_MIN_US - 1, false},
        {BASE_TIME_MAX_US, true},
        {BASE_TIME_MAX_US + 1, false},
        {INT64_MIN, false},
        {INT64_MAX, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record_leg leg = {.account_id = BASE_TEXT("alice"),
                                 .kind = BASE_TEXT("points"),
                                 .amount_minor = 1,
                                 .expire_time_us = rows[i].time_us};
        struct record_transaction created = add_of(&leg, rows[i].time_us);
        assert_int_equal(record_is_well_formed(&created), rows[i].well_formed);
        /* Without a flag that there is one, an expiry time is no one's. */
        struct record_transaction expiring = add_of(&leg, 0);
        assert_true(record_is_well_formed(&expiring));
        leg.has_expire_time = true;
        assert_int_equal(record_is_well_formed(&expiring), rows[i].well_formed);
    }
}

static void only_what_comes_in_can_expire(void **state)
{
    (void)state;
    struct record_leg leg = {
        .account_id = BASE_TEXT("alice"), .kind = BASE_TEXT("points"), .amount_minor = -1};
    struct record_transaction consume = add_of(&leg, 0);
    consume.operation = RECORD_OPERATION_CONSUME;
    assert_true(record_is_well_formed(&consume));
    leg.has_expire_time = true;
    assert_false(record_is_well_formed(&consume));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_is_within_a_timestamp),
        cmocka_unit_test(only_what_comes_in_can_expire),
    };
    return cmocka_run_group_tests_name("record well-formed", tests, NULL, NULL);
}
