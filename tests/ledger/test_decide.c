/* ledger: the contract as steps and what must come of them. The grammar is in steps.h. */
#include "ledger/steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_comes_in_can_go_out(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "time 500",
        "add t1 alice points=100 money=5 -> applied",
        "record t1 add alice points=100 money=5 at 500",
        "consume t2 alice money=5 points=40 -> applied",
        "record t2 consume alice money=-5 points=-40 at 500",
        "balance alice points=60 money=0",
        "history alice 4",
        "consume t3 bob points=1 -> INSUFFICIENT_BALANCE points",
        "history bob 0",
    };
    STEPS_RUN(lines);
}

/* Contract 3.3: no check of the business runs again. */
static void a_repeat_is_answered_whatever_has_changed(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=100 -> applied",
        "consume t2 alice points=100 -> applied",
        "consume t2 alice points=100 -> replayed", /* the balance is too small now */
        "kind points max_amount=99 max_balance=99",
        "consume t2 alice points=100 -> replayed",
        "add t1 alice points=100 -> replayed",
        "kind points withdrawn",
        "consume t2 alice points=100 -> replayed",
        "add t1 alice points=100 -> replayed",
        "balance alice points=0",
        "history alice 2",
    };
    STEPS_RUN(lines);
}

/* Contract 3.6. */
static void a_refusal_leaves_the_id_free(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "consume t1 alice points=100 -> INSUFFICIENT_BALANCE points",
        "add t2 alice points=100 -> applied",
        "consume t1 alice points=100 -> applied",
        "consume t3 alice points=1 -> INSUFFICIENT_BALANCE points",
        "add t3 bob money=7 -> applied", /* also with another content */
    };
    STEPS_RUN(lines);
}

/* Contract 3.5. */
static void another_content_under_a_recorded_id_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=100 money=5 -> applied",
        "consume t1 alice points=100 money=5 -> TRANSACTION_ID_REUSED operation",
        "add t1 bob points=100 money=5 -> TRANSACTION_ID_REUSED account_id",
        "add t1 alice points=101 money=5 -> TRANSACTION_ID_REUSED amounts",
        "add t1 alice points=5 money=100 -> TRANSACTION_ID_REUSED amounts",
        "add t1 alice points=100 -> TRANSACTION_ID_REUSED amounts",
        "add t1 alice points=100 money=5 gold=1 -> TRANSACTION_ID_REUSED amounts",
        "add t1 alice points=100 gold=5 -> TRANSACTION_ID_REUSED amounts",
        "consume t1 bob points=1 -> TRANSACTION_ID_REUSED operation,account_id,amounts",
        "add t1 alice points=100 money=5 -> replayed",
        "balance alice points=100 money=5",
    };
    STEPS_RUN(lines);
}

static void labels_and_the_order_of_the_legs_are_no_content(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=100 money=5 description=first @order=8812 -> applied",
        "add t1 alice money=5 points=100 -> replayed",
        "add t1 alice points=100 money=5 description=second @order=1 @shop=2 -> replayed",
        "record t1 add alice points=100 money=5 at 1000",
    };
    STEPS_RUN(lines);
}

/* Contract 3.7. */
static void a_cancel_first_fences_the_id(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "time 7",
        "cancel t1 -> applied",
        "record t1 cancel at 7",
        "add t1 alice points=100 -> TRANSACTION_CANCELLED",
        "consume t1 alice points=100 -> TRANSACTION_CANCELLED",
        "time 8",
        "cancel t1 -> replayed",
        "balance alice points=0",
        "history alice 0",
    };
    STEPS_RUN(lines);
}

static void a_cancel_after_a_success_is_refused_and_undoes_nothing(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=100 -> applied",
        "cancel t1 -> TRANSACTION_SUCCEEDED",
        "add t1 alice points=100 -> replayed",
        "balance alice points=100",
    };
    STEPS_RUN(lines);
}

static void a_cancel_after_a_refusal_fences_the_id(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "consume t1 alice points=100 -> INSUFFICIENT_BALANCE points",
        "cancel t1 -> applied",
        "add t2 alice points=100 -> applied",
        "consume t1 alice points=100 -> TRANSACTION_CANCELLED",
    };
    STEPS_RUN(lines);
}

static void the_kind_that_is_short_first_in_the_request_is_named(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=10 money=10 -> applied",
        "consume t2 alice points=11 money=11 -> INSUFFICIENT_BALANCE points",
        "consume t2 alice money=11 points=11 -> INSUFFICIENT_BALANCE money",
        "consume t2 alice points=10 money=11 -> INSUFFICIENT_BALANCE money",
        "consume t2 alice points=10 money=10 -> applied",
    };
    STEPS_RUN(lines);
}

/* Contract 3.9. */
static void all_legs_happen_or_none(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "kind money max_balance=10",
        "add t1 alice points=10 -> applied",
        "consume t2 alice points=10 money=1 -> INSUFFICIENT_BALANCE money",
        "add t3 alice points=1 money=11 -> BALANCE_LIMIT_EXCEEDED money",
        "balance alice points=10 money=0",
        "history alice 1",
    };
    STEPS_RUN(lines);
}

static void an_unknown_or_withdrawn_kind_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice gold=1 -> UNKNOWN_KIND gold",
        "consume t1 alice points=1 gold=1 -> UNKNOWN_KIND gold",
        "kind gold",
        "add t1 alice gold=1 -> applied",
        "kind gold withdrawn",
        "consume t2 alice gold=1 -> UNKNOWN_KIND gold",
        "balance alice gold=1",
    };
    STEPS_RUN(lines);
}

static void limits_hold_at_the_limit_and_not_one_past_it(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "kind points max_amount=100 max_balance=250",
        "add t1 alice points=101 -> AMOUNT_LIMIT_EXCEEDED points",
        "add t1 alice points=100 -> applied",
        "add t2 alice points=100 -> applied",
        "consume t3 alice points=101 -> AMOUNT_LIMIT_EXCEEDED points",
        "add t3 alice points=51 -> BALANCE_LIMIT_EXCEEDED points",
        "add t3 alice points=50 -> applied",
        "add t4 alice points=1 -> BALANCE_LIMIT_EXCEEDED points",
        "consume t4 alice points=100 -> applied",
        "add t5 alice points=100 -> applied",
        "balance alice points=250",
    };
    STEPS_RUN(lines);
}

/* Contract 5, Limits: available + held. */
static void what_is_held_counts_for_the_limit_but_cannot_be_consumed(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "kind points max_balance=100",
        "given alice points=10 held:points=85",
        "add t1 alice points=6 -> BALANCE_LIMIT_EXCEEDED points",
        "add t1 alice points=5 -> applied",
        "consume t2 alice points=16 -> INSUFFICIENT_BALANCE points",
        "consume t2 alice points=15 -> applied",
        "given bob money=9223372036854775800 held:money=6",
        "add t3 bob money=2 -> BALANCE_LIMIT_EXCEEDED money",
        "add t3 bob money=1 -> applied",
    };
    STEPS_RUN(lines);
}

/* A limit below what an account has already takes nothing away. */
static void a_lowered_limit_binds_only_what_comes_in(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=100 -> applied",
        "kind points max_balance=50",
        "add t2 alice points=1 -> BALANCE_LIMIT_EXCEEDED points",
        "consume t3 alice points=40 -> applied",
        "add t2 alice points=1 -> BALANCE_LIMIT_EXCEEDED points",
        "consume t4 alice points=20 -> applied",
        "add t2 alice points=10 -> applied",
        "balance alice points=50",
    };
    STEPS_RUN(lines);
}

/* Contract 3.10. */
static void a_balance_reaches_int64_and_never_passes_it(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "given alice money=9223372036854775806",
        "add t1 alice money=2 -> BALANCE_LIMIT_EXCEEDED money",
        "add t1 alice money=1000000000000000 -> BALANCE_LIMIT_EXCEEDED money",
        "add t1 alice money=1 -> applied",
        "balance alice money=9223372036854775807",
        "add t2 alice money=1 -> BALANCE_LIMIT_EXCEEDED money",
        "consume t3 alice money=1000000000000000 -> applied",
        "balance alice money=9222372036854775807",
        "add t4 alice money=1000000000000000 -> applied",
        "balance alice money=9223372036854775807",
    };
    STEPS_RUN(lines);
}

static void the_largest_amount_goes_in_and_out(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice money=1000000000000000 -> applied",
        "record t1 add alice money=1000000000000000 at 1000",
        "consume t2 alice money=1000000000000000 -> applied",
        "record t2 consume alice money=-1000000000000000 at 1000",
        "balance alice money=0",
    };
    STEPS_RUN(lines);
}

/* Contract 3.13. */
static void time_never_goes_back_in_an_account(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "time 500",
        "add t1 alice points=100 -> applied",
        "time 400",
        "add t2 alice points=100 -> applied",
        "record t2 add alice points=100 at 500",
        "add t3 bob points=100 -> applied", /* another account knows nothing of it */
        "record t3 add bob points=100 at 400",
        "cancel t4 -> applied",
        "record t4 cancel at 400",
        "time 501",
        "add t5 alice points=1 -> applied",
        "record t5 add alice points=1 at 501",
        "time -1",
        "add t6 carol points=1 -> applied", /* a clock before 1970 is a clock */
        "record t6 add carol points=1 at -1",
    };
    STEPS_RUN(lines);
}

static void a_clock_beyond_a_timestamp_counts_as_its_end(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "time -9223372036854775808",
        "add t1 alice points=1 -> applied",
        "record t1 add alice points=1 at -62135596800000000",
        "time 9223372036854775807",
        "add t2 alice points=1 -> applied",
        "record t2 add alice points=1 at 253402300799999999",
    };
    STEPS_RUN(lines);
}

/* All of these are one batch in the second run: each sees what the ones before it did. */
static void commands_of_one_batch_see_one_another(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=10 -> applied",
        "consume t2 alice points=7 -> applied",
        "consume t3 alice points=7 -> INSUFFICIENT_BALANCE points",
        "consume t2 alice points=7 -> replayed",
        "consume t2 alice points=6 -> TRANSACTION_ID_REUSED amounts",
        "cancel t3 -> applied",
        "consume t3 alice points=1 -> TRANSACTION_CANCELLED",
        "cancel t3 -> replayed",
        "cancel t2 -> TRANSACTION_SUCCEEDED",
        "consume t4 alice points=3 -> applied",
        "consume t5 alice points=1 -> INSUFFICIENT_BALANCE points",
        "add t6 alice points=1 -> applied",
        "consume t5 alice points=1 -> applied",
        "balance alice points=0",
        "history alice 5",
    };
    STEPS_RUN(lines);
}

static void ids_are_compared_byte_by_byte(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "add t1 alice points=1 -> applied",
        "add T1 alice points=2 -> applied",
        "add t1. alice points=3 -> applied",
        "add t Alice points=4 -> applied",
        "balance alice points=6",
        "balance Alice points=4",
    };
    STEPS_RUN(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_in_can_go_out),
        cmocka_unit_test(a_repeat_is_answered_whatever_has_changed),
        cmocka_unit_test(a_refusal_leaves_the_id_free),
        cmocka_unit_test(another_content_under_a_recorded_id_is_refused),
        cmocka_unit_test(labels_and_the_order_of_the_legs_are_no_content),
        cmocka_unit_test(a_cancel_first_fences_the_id),
        cmocka_unit_test(a_cancel_after_a_success_is_refused_and_undoes_nothing),
        cmocka_unit_test(a_cancel_after_a_refusal_fences_the_id),
        cmocka_unit_test(the_kind_that_is_short_first_in_the_request_is_named),
        cmocka_unit_test(all_legs_happen_or_none),
        cmocka_unit_test(an_unknown_or_withdrawn_kind_is_refused_by_name),
        cmocka_unit_test(limits_hold_at_the_limit_and_not_one_past_it),
        cmocka_unit_test(what_is_held_counts_for_the_limit_but_cannot_be_consumed),
        cmocka_unit_test(a_lowered_limit_binds_only_what_comes_in),
        cmocka_unit_test(a_balance_reaches_int64_and_never_passes_it),
        cmocka_unit_test(the_largest_amount_goes_in_and_out),
        cmocka_unit_test(time_never_goes_back_in_an_account),
        cmocka_unit_test(a_clock_beyond_a_timestamp_counts_as_its_end),
        cmocka_unit_test(commands_of_one_batch_see_one_another),
        cmocka_unit_test(ids_are_compared_byte_by_byte),
    };
    return cmocka_run_group_tests_name("ledger decisions", tests, NULL, NULL);
}
