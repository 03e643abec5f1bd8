/* record: what is content and what is not (docs/contract.md 3.5), field by field. */
#include "record/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ALICE BASE_TEXT("alice")
#define BOB BASE_TEXT("bob")
#define POINTS BASE_TEXT("points")
#define MONEY BASE_TEXT("money")
#define GOLD BASE_TEXT("gold")

/* What the rows are made of. */
#define ADD .operation = RECORD_OPERATION_ADD, .account_id = ALICE
#define LEGS(n, ...)                                                                               \
    .n_legs = (n), .legs = (const struct record_leg[])                                             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define BOTH LEGS(2, {ALICE, POINTS, 100, false, 0}, {ALICE, MONEY, 5, false, 0})

static void contents_are_compared_field_by_field(void **state)
{
    (void)state;
    const struct record_label some_labels[] = {{BASE_TEXT("k"), BASE_TEXT("v")}};
    /* What is recorded, against what is asked. */
    const struct {
        const char *name;
        uint32_t fields;
        struct record_transaction recorded;
        struct record_transaction requested;
    } rows[] = {
        {"the same", 0, {ADD, BOTH}, {ADD, BOTH}},
        {"legs in another order",
         0,
         {ADD, BOTH},
         {ADD, LEGS(2, {ALICE, MONEY, 5, false, 0}, {ALICE, POINTS, 100, false, 0})}},
        {"labels, state and time",
         0,
         {ADD, BOTH, .state = RECORD_STATE_SUCCEEDED, .create_time_us = 5},
         {ADD, BOTH, .description = BASE_TEXT("d"), .n_metadata = 1, .metadata = some_labels}},
        {"operation",
         BASE_CONTENT_OPERATION,
         {ADD, BOTH},
         {.operation = RECORD_OPERATION_CONSUME,
          .account_id = ALICE,
          LEGS(2, {ALICE, POINTS, -100, false, 0}, {ALICE, MONEY, -5, false, 0})}},
        {"account",
         BASE_CONTENT_ACCOUNT_ID,
         {ADD, BOTH},
         {.operation = RECORD_OPERATION_ADD,
          .account_id = BOB,
          LEGS(2, {BOB, POINTS, 100, false, 0}, {BOB, MONEY, 5, false, 0})}},
        {"account of a leg alone",
         BASE_CONTENT_ACCOUNT_ID,
         {ADD, BOTH},
         {ADD, LEGS(2, {ALICE, POINTS, 100, false, 0}, {BOB, MONEY, 5, false, 0})}},
        {"an amount",
         BASE_CONTENT_AMOUNTS,
         {ADD, BOTH},
         {ADD, LEGS(2, {ALICE, POINTS, 100, false, 0}, {ALICE, MONEY, 6, false, 0})}},
        {"a kind",
         BASE_CONTENT_AMOUNTS,
         {ADD, BOTH},
         {ADD, LEGS(2, {ALICE, POINTS, 100, false, 0}, {ALICE, GOLD, 5, false, 0})}},
        {"amounts exchanged",
         BASE_CONTENT_AMOUNTS,
         {ADD, BOTH},
         {ADD, LEGS(2, {ALICE, POINTS, 5, false, 0}, {ALICE, MONEY, 100, false, 0})}},
        {"a leg less",
         BASE_CONTENT_AMOUNTS,
         {ADD, BOTH},
         {ADD, LEGS(1, {ALICE, POINTS, 100, false, 0})}},
        {"a leg more",
         BASE_CONTENT_AMOUNTS,
         {ADD, LEGS(1, {ALICE, POINTS, 100, false, 0})},
         {ADD, BOTH}},
        {"a leg twice in place of two",
         BASE_CONTENT_AMOUNTS,
         {ADD, LEGS(2, {ALICE, POINTS, 100, false, 0}, {ALICE, POINTS, 100, false, 0})},
         {ADD, BOTH}},
        {"directions exchanged",
         BASE_CONTENT_AMOUNTS,
         {ADD, LEGS(2, {ALICE, POINTS, -5, false, 0}, {ALICE, MONEY, 5, false, 0})},
         {ADD, LEGS(2, {ALICE, POINTS, 5, false, 0}, {ALICE, MONEY, -5, false, 0})}},
        {"the transaction referred to",
         BASE_CONTENT_ORIGINAL_TRANSACTION_ID,
         {ADD, BOTH, .original_transaction_id = BASE_TEXT("t1")},
         {ADD, BOTH}},
        {"an expiry given",
         BASE_CONTENT_EXPIRE_TIME,
         {ADD, BOTH},
         {ADD, LEGS(2, {ALICE, POINTS, 100, true, 0}, {ALICE, MONEY, 5, false, 0})}},
        {"another expiry",
         BASE_CONTENT_EXPIRE_TIME,
         {ADD, LEGS(1, {ALICE, POINTS, 100, true, 7})},
         {ADD, LEGS(1, {ALICE, POINTS, 100, true, 8})}},
        {"no expiry, whatever the time says",
         0,
         {ADD, LEGS(1, {ALICE, POINTS, 100, false, 7})},
         {ADD, LEGS(1, {ALICE, POINTS, 100, false, 8})}},
        {"amount and expiry",
         BASE_CONTENT_AMOUNTS | BASE_CONTENT_EXPIRE_TIME,
         {ADD, LEGS(1, {ALICE, POINTS, 100, true, 7})},
         {ADD, LEGS(1, {ALICE, POINTS, 101, true, 8})}},
        {"the smallest number is no trap",
         BASE_CONTENT_AMOUNTS,
         {ADD, LEGS(1, {ALICE, POINTS, INT64_MIN, false, 0})},
         {ADD, LEGS(1, {ALICE, POINTS, -INT64_MAX, false, 0})}},
        {"everything",
         BASE_CONTENT_OPERATION | BASE_CONTENT_ACCOUNT_ID | BASE_CONTENT_AMOUNTS |
             BASE_CONTENT_ORIGINAL_TRANSACTION_ID | BASE_CONTENT_EXPIRE_TIME,
         {ADD, LEGS(1, {ALICE, POINTS, 100, true, 7})},
         {.operation = RECORD_OPERATION_CONSUME,
          .account_id = BOB,
          .original_transaction_id = BASE_TEXT("t1"),
          LEGS(1, {BOB, POINTS, -101, false, 0})}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t forth = record_compare(&rows[i].recorded, &rows[i].requested);
        uint32_t back = record_compare(&rows[i].requested, &rows[i].recorded);
        if (forth != rows[i].fields || back != rows[i].fields) {
            fail_msg("%s: %x and %x, not %x", rows[i].name, forth, back, rows[i].fields);
        }
    }
}

/* As many legs as there can be, in every rotation. */
static void the_order_of_many_legs_does_not_count(void **state)
{
    (void)state;
    static char codes[BASE_LEGS_MAX / 2][2];
    struct record_leg legs[BASE_LEGS_MAX];
    for (size_t i = 0; i < BASE_LEGS_MAX / 2; i++) {
        codes[i][0] = (char)('a' + i);
        struct base_text kind = {codes[i], 1};
        legs[2 * i] = (struct record_leg){ALICE, kind, -(int64_t)i - 1, false, 0};
        legs[2 * i + 1] = (struct record_leg){BOB, kind, (int64_t)i + 1, false, 0};
    }
    struct record_transaction recorded = {ADD, .n_legs = BASE_LEGS_MAX, .legs = legs};
    for (size_t shift = 0; shift < BASE_LEGS_MAX; shift++) {
        struct record_leg turned[BASE_LEGS_MAX];
        for (size_t i = 0; i < BASE_LEGS_MAX; i++) {
            turned[i] = legs[(i * 5 + shift) % BASE_LEGS_MAX];
        }
        struct record_transaction requested = {ADD, .n_legs = BASE_LEGS_MAX, .legs = turned};
        assert_int_equal(record_compare(&recorded, &requested), 0);
        turned[shift].amount_minor += turned[shift].amount_minor < 0 ? -1 : 1;
        assert_int_equal(record_compare(&recorded, &requested), BASE_CONTENT_AMOUNTS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_are_compared_field_by_field),
        cmocka_unit_test(the_order_of_many_legs_does_not_count),
    };
    return cmocka_run_group_tests_name("record comparison", tests, NULL, NULL);
}
