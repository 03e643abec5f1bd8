/* record: a transaction comes back from its bytes as it was, and bytes that this version could not
 * have written are refused. */
#include "record/record.h"
#include "record/wire_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TEXT_256 TEXT_64 TEXT_64 TEXT_64 TEXT_64

/* BASE_TEXT for tables that stand outside of functions. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static const struct record_leg add_legs[] = {
    {TEXT("alice"), TEXT("points"), 100, false, 0},
    {TEXT("alice"), TEXT("money"), BASE_AMOUNT_MAX, true, 1700000000000001},
};
static const struct record_leg consume_legs[] = {
    {TEXT("alice"), TEXT("points"), -1, false, 0},
    {TEXT("alice"), TEXT("money"), -BASE_AMOUNT_MAX, false, 0},
};
static const struct record_leg long_legs[] = {
    {TEXT(TEXT_64), TEXT("k123456789-123456789_12345678901"), 1, true, -1},
};
static const struct record_label labels[] = {
    {TEXT("order"), TEXT("8812")},
    {TEXT("shop"), TEXT("")},
};
static const struct record_label long_labels[] = {
    {TEXT(TEXT_64), TEXT(TEXT_256)},
    {TEXT("a"), TEXT(TEXT_256)},
    {TEXT("b"), TEXT(TEXT_256)},
    {TEXT("c"), TEXT(TEXT_64 TEXT_64 "0123456789abcdef0123456789abcdef"
                                     "0123456789abcdef0123456789abc")},
};

static const struct record_transaction transactions[] = {
    {.transaction_id = TEXT("t1"),
     .state = RECORD_STATE_SUCCEEDED,
     .operation = RECORD_OPERATION_ADD,
     .account_id = TEXT("alice"),
     .n_legs = 2,
     .legs = add_legs,
     .create_time_us = 1764028800123456,
     .description = TEXT("\xE6\xAE\x8B\xE9\xAB\x98"),
     .n_metadata = 2,
     .metadata = labels},
    {.transaction_id = TEXT("t2"),
     .state = RECORD_STATE_SUCCEEDED,
     .operation = RECORD_OPERATION_CONSUME,
     .account_id = TEXT("alice"),
     .n_legs = 2,
     .legs = consume_legs,
     .original_transaction_id = TEXT("t1"),
     .create_time_us = 0},
    {.transaction_id = TEXT("t3"),
     .state = RECORD_STATE_CANCELLED,
     .operation = RECORD_OPERATION_CANCEL,
     .create_time_us = BASE_TIME_MIN_US},
    {.transaction_id = TEXT("t4"),
     .state = RECORD_STATE_CANCELLED,
     .operation = RECORD_OPERATION_CANCEL,
     .create_time_us = BASE_TIME_MAX_US},
    {.transaction_id = TEXT("t5"),
     .state = RECORD_STATE_CANCELLED,
     .operation = RECORD_OPERATION_CANCEL,
     .create_time_us = -1},
    {.transaction_id = TEXT(TEXT_64),
     .state = RECORD_STATE_SUCCEEDED,
     .operation = RECORD_OPERATION_ADD,
     .account_id = TEXT(TEXT_64),
     .n_legs = 1,
     .legs = long_legs,
     .original_transaction_id = TEXT(TEXT_64),
     .create_time_us = 1,
     .description = TEXT(TEXT_256),
     .n_metadata = 4,
     .metadata = long_labels},
};
#define TRANSACTION_COUNT (sizeof transactions / sizeof transactions[0])

static bool has_label(const struct record_transaction *transaction, struct record_label label)
{
    for (size_t i = 0; i < transaction->n_metadata; i++) {
        if (base_text_equal(transaction->metadata[i].key, label.key)) {
            return base_text_equal(transaction->metadata[i].value, label.value);
        }
    }
    return false;
}

static void assert_same(const struct record_transaction *a, const struct record_transaction *b)
{
    assert_true(base_text_equal(a->transaction_id, b->transaction_id));
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->operation, b->operation);
    assert_true(base_text_equal(a->account_id, b->account_id));
    assert_true(base_text_equal(a->original_transaction_id, b->original_transaction_id));
    assert_true(a->create_time_us == b->create_time_us);
    assert_true(base_text_equal(a->description, b->description));
    assert_int_equal(a->n_legs, b->n_legs);
    for (size_t i = 0; i < a->n_legs; i++) {
        assert_true(base_text_equal(a->legs[i].account_id, b->legs[i].account_id));
        assert_true(base_text_equal(a->legs[i].kind, b->legs[i].kind));
        assert_true(a->legs[i].amount_minor == b->legs[i].amount_minor);
        assert_int_equal(a->legs[i].has_expire_time, b->legs[i].has_expire_time);
        assert_true(a->legs[i].expire_time_us == b->legs[i].expire_time_us);
    }
    assert_int_equal(a->n_metadata, b->n_metadata);
    for (size_t i = 0; i < a->n_metadata; i++) {
        assert_true(has_label(b, a->metadata[i]));
    }
}

static void a_transaction_comes_back_as_it_was(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < TRANSACTION_COUNT; i++) {
        struct record_transaction back;
        assert_true(record_is_well_formed(&transactions[i]));
        assert_true(record_decode(&arena, record_encode(&arena, &transactions[i]), &back));
        assert_same(&back, &transactions[i]);
    }
    base_arena_release(&arena);
}

/* Sixteen legs and the longest of everything: the largest record that there can be; and no more. */
static void the_largest_record_comes_back_and_none_is_larger(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct record_transaction largest = transactions[TRANSACTION_COUNT - 1];
    struct record_leg legs[BASE_AMOUNTS_MAX + 1];
    char kinds[BASE_AMOUNTS_MAX + 1][BASE_KIND_MAX_BYTES];
    for (size_t i = 0; i < BASE_AMOUNTS_MAX + 1; i++) {
        memset(kinds[i], 'k', sizeof kinds[i]);
        kinds[i][BASE_KIND_MAX_BYTES - 1] = (char)('a' + i);
        legs[i] = (struct record_leg){largest.account_id,
                                      {kinds[i], sizeof kinds[i]},
                                      BASE_AMOUNT_MAX,
                                      true,
                                      BASE_TIME_MIN_US + 1};
    }
    largest.n_legs = BASE_AMOUNTS_MAX;
    largest.legs = legs;
    struct record_transaction back;
    assert_true(record_decode(&arena, record_encode(&arena, &largest), &back));
    assert_same(&back, &largest);
    largest.n_legs = BASE_AMOUNTS_MAX + 1;
    assert_false(record_is_well_formed(&largest));
    base_arena_release(&arena);
}

/* What is stored is stored for ever, so the encoding is pinned. */
static void the_encoding_never_changes(void **state)
{
    (void)state;
    static const struct {
        size_t transaction;
        const char *wire_text;
    } rows[] = {
        {0, "1:'t1' 2:1 3:1 4:'alice' 5:{1:'alice' 2:'points' 3:100}"
            " 5:{1:'alice' 2:'money' 3:1000000000000000 5:{1:1700000000 2:1000}}"
            " 7:{1:1764028800 2:123456000} 8:'\xE6\xAE\x8B\xE9\xAB\x98'"
            " 9:{1:'order' 2:'8812'} 9:{1:'shop'}"},
        {1, "1:'t2' 2:1 3:2 4:'alice' 5:{1:'alice' 2:'points' 3:-1}"
            " 5:{1:'alice' 2:'money' 3:-1000000000000000} 6:'t1' 7:{}"},
        {2, "1:'t3' 2:2 3:3 7:{1:-62135596800}"},
        {3, "1:'t4' 2:2 3:3 7:{1:253402300799 2:999999000}"},
        {4, "1:'t5' 2:2 3:3 7:{1:-1 2:999999000}"},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_bytes record = record_encode(&arena, &transactions[rows[i].transaction]);
        assert_true(base_bytes_equal(record, wire_text_bytes(&arena, rows[i].wire_text)));
    }
    base_arena_release(&arena);
}

static void the_order_of_labels_gives_the_same_bytes(void **state)
{
    (void)state;
    static const struct record_label orders[][3] = {
        {{TEXT("a"), TEXT("1")}, {TEXT("ab"), TEXT("2")}, {TEXT("b"), TEXT("3")}},
        {{TEXT("b"), TEXT("3")}, {TEXT("a"), TEXT("1")}, {TEXT("ab"), TEXT("2")}},
        {{TEXT("b"), TEXT("3")}, {TEXT("ab"), TEXT("2")}, {TEXT("a"), TEXT("1")}},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_bytes records[3];
    for (size_t i = 0; i < 3; i++) {
        struct record_transaction transaction = transactions[0];
        transaction.n_metadata = 3;
        transaction.metadata = orders[i];
        records[i] = record_encode(&arena, &transaction);
        assert_true(base_bytes_equal(records[i], records[0]));
    }
    base_arena_release(&arena);
}

/* The parts of a record that can be read, for the rows below to spoil. */
#define HEAD "1:'t' 2:1 3:1 4:'a' "
#define LEG "5:{1:'a' 2:'p' 3:1} "
#define TIME "7:{1:5 2:1000} "

static void bytes_that_were_not_written_here_are_refused(void **state)
{
    (void)state;
    static const struct {
        bool taken;
        const char *wire_text;
    } rows[] = {
        {true, HEAD LEG TIME},
        {true, HEAD LEG TIME "8:'d' 9:{1:'k' 2:'v'}"},
        {true, "1:'t' 2:1 3:2 4:'a' 5:{1:'a' 2:'p' 3:-1} " TIME},
        {true, "1:'t' 2:2 3:3 " TIME},
        {false, ""},
        /* state and operation */
        {false, "1:'t' 3:1 4:'a' " LEG TIME},
        {false, "1:'t' 2:2 3:1 4:'a' " LEG TIME},
        {false, "1:'t' 2:3 3:1 4:'a' " LEG TIME},
        {false, "1:'t' 2:1 4:'a' " LEG TIME},
        {false, "1:'t' 2:1 3:4 4:'a' " LEG TIME},
        {false, "1:'t' 2:1 3:-1 4:'a' " LEG TIME},
        {false, "1:'t' 2:1 3:3 " TIME},
        /* ids */
        {false, "2:1 3:1 4:'a' " LEG TIME},
        {false, "1:'" TEXT_64 "5' 2:1 3:1 4:'a' " LEG TIME},
        {false, "1:'t t' 2:1 3:1 4:'a' " LEG TIME},
        {false, "1:'t%' 2:1 3:1 4:'a' " LEG TIME},
        {false, "1:'t%t' 2:1 3:1 4:'a' " LEG TIME},
        {false, "1:'t' 2:1 3:1 " LEG TIME},
        {false, "1:'t' 2:1 3:1 4:'b' " LEG TIME},
        {false, HEAD LEG "6:'" TEXT_64 "5' " TIME},
        /* legs */
        {false, HEAD TIME},
        {false, HEAD "5:{2:'p' 3:1} " TIME},
        {false, HEAD "5:{1:'b' 2:'p' 3:1} " TIME},
        {false, HEAD "5:{1:'a' 3:1} " TIME},
        {false, HEAD "5:{1:'a' 2:'P' 3:1} " TIME},
        {false, HEAD "5:{1:'a' 2:'0' 3:1} " TIME},
        {false, HEAD "5:{1:'a' 2:'p%q' 3:1} " TIME},
        {false, HEAD "5:{1:'a' 2:'k12345678901234567890123456789012' 3:1} " TIME},
        {false, HEAD "5:{1:'a' 2:'p'} " TIME},
        {false, HEAD "5:{1:'a' 2:'p' 3:0} " TIME},
        {false, HEAD "5:{1:'a' 2:'p' 3:-1} " TIME},
        {false, HEAD "5:{1:'a' 2:'p' 3:1000000000000001} " TIME},
        {false, HEAD LEG LEG TIME},
        {false, "1:'t' 2:1 3:2 4:'a' " LEG TIME},
        {false, "1:'t' 2:1 3:2 4:'a' 5:{1:'a' 2:'p' 3:-1000000000000001} " TIME},
        {false, "1:'t' 2:1 3:2 4:'a' 5:{1:'a' 2:'p' 3:-1 5:{1:5}} " TIME},
        {false, "1:'t' 2:1 3:2 4:'a' 5:{1:'a' 2:'p' 3:-9223372036854775808} " TIME},
        {true, HEAD "5:{1:'a' 2:'p' 3:1 5:{1:5}} " TIME},
        {false, HEAD "5:{1:'a' 2:'p' 3:1 5:{1:253402300800}} " TIME},
        {false, HEAD "5:{1:'a' 2:'p' 3:1 4:{2:1}} " TIME}, /* lots are a later version's */
        /* times */
        {false, HEAD LEG},
        {true, HEAD LEG "7:{} "},
        {false, HEAD LEG "7:{1:-62135596801} "},
        {false, HEAD LEG "7:{1:253402300800} "},
        {false, HEAD LEG "7:{1:9223372036854775807} "},
        {false, HEAD LEG "7:{2:1} "},
        {false, HEAD LEG "7:{2:999999999} "},
        {false, HEAD LEG "7:{2:1000000000} "},
        {false, HEAD LEG "7:{2:-1000} "},
        /* labels */
        {false, HEAD LEG TIME "8:'" TEXT_256 "7'"},
        {false, HEAD LEG TIME "8:'a^'"},
        {false, HEAD LEG TIME "8:'a%b'"},
        {false, HEAD LEG TIME "9:{2:'v'}"},
        {true, HEAD LEG TIME "9:{1:'k'}"},
        {false, HEAD LEG TIME "9:{1:'k k'}"},
        {false, HEAD LEG TIME "9:{1:'" TEXT_64 "5'}"},
        {false, HEAD LEG TIME "9:{1:'k' 2:'" TEXT_256 "7'}"},
        {false, HEAD LEG TIME "9:{1:'k' 2:'^'}"},
        {false, HEAD LEG TIME "9:{1:'k' 2:'v%'}"},
        {false, HEAD LEG TIME "9:{1:'k' 2:'v'} 9:{1:'k' 2:'v'}"},
        {false, HEAD LEG TIME "9:{1:'l' 2:'v'} 9:{1:'k' 2:'v'}"},
        /* a fence holds nothing but its id */
        {false, "1:'t' 2:2 3:3 4:'a' " TIME},
        {false, "1:'t' 2:2 3:3 " LEG TIME},
        {false, "1:'t' 2:2 3:3 6:'o' " TIME},
        {false, "1:'t' 2:2 3:3 " TIME "8:'d'"},
        {false, "1:'t' 2:2 3:3 " TIME "9:{1:'k' 2:'v'}"},
        /* fields of a later version */
        {false, HEAD LEG TIME "10:{1:5}"},
        {false, HEAD LEG TIME "11:1"},
        {false, HEAD LEG TIME "15:'o'"},
        {false, HEAD LEG TIME "17:1"},
        {false, HEAD "5:{1:'a' 2:'p' 3:1 6:1} " TIME},
        {false, HEAD LEG "7:{1:5 3:1} "},
        {false, HEAD LEG TIME "9:{1:'k' 2:'v' 3:1}"},
        /* the same content in another form */
        {false, "2:1 1:'t' 3:1 4:'a' " LEG TIME},
        {false, "1:'u' 1:'t' 2:1 3:1 4:'a' " LEG TIME},
        {false, HEAD LEG TIME "8:''"},
        {false, HEAD LEG TIME "11:0"},
        {false, HEAD LEG "7:{1:5} 7:{2:1000}"},
        {false, HEAD LEG "7:{1:5 2:0}"},
        {false, "1:'t' 2:1 3:1 4:1 " LEG TIME},
        {false, "1:'t' 2:'1' 3:1 4:'a' " LEG TIME},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct record_transaction back = {.n_legs = 77};
        struct base_bytes record = wire_text_bytes(&arena, rows[i].wire_text);
        if (record_decode(&arena, record, &back) != rows[i].taken) {
            fail_msg("%s must %sbe read", rows[i].wire_text, rows[i].taken ? "" : "not ");
        }
        assert_int_equal(back.n_legs == 77, !rows[i].taken);
    }
    base_arena_release(&arena);
}

static void a_number_in_a_longer_form_is_refused(void **state)
{
    (void)state;
    static const uint8_t fence[] = {0x0A, 1, 't', 0x10, 2, 0x18, 3, 0x3A, 0};
    static const uint8_t longer[] = {0x0A, 1, 't', 0x10, 0x82, 0x00, 0x18, 3, 0x3A, 0};
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct record_transaction back;
    assert_true(record_decode(&arena, (struct base_bytes){fence, sizeof fence}, &back));
    assert_false(record_decode(&arena, (struct base_bytes){longer, sizeof longer}, &back));
    base_arena_release(&arena);
}

/* The limits on labels, at the limit and one past it. */
static void labels_are_limited_together(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct record_label many[BASE_METADATA_MAX + 1];
    struct record_transaction transaction = transactions[0];
    transaction.metadata = many;
    for (size_t i = 0; i < BASE_METADATA_MAX + 1; i++) {
        many[i] = (struct record_label){base_arena_print(&arena, "key%02zu", i), BASE_TEXT("v")};
    }
    transaction.n_metadata = BASE_METADATA_MAX;
    assert_true(record_is_well_formed(&transaction));
    transaction.n_metadata = BASE_METADATA_MAX + 1;
    assert_false(record_is_well_formed(&transaction));

    struct record_label total[4];
    memcpy(total, long_labels, sizeof total);
    transaction = transactions[TRANSACTION_COUNT - 1];
    transaction.metadata = total;
    assert_true(record_is_well_formed(&transaction));
    total[1].key = BASE_TEXT("ab");
    assert_false(record_is_well_formed(&transaction));
    base_arena_release(&arena);
}

/* Without labels the time comes last, so nothing of such a record can be missing. */
static void a_record_cut_short_is_refused(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_bytes record = wire_text_bytes(&arena, HEAD LEG TIME);
    for (size_t length = 0; length < record.length; length++) {
        struct record_transaction back;
        uint8_t *cut = base_allocate(length); /* so that a sanitizer sees one byte too many */
        if (length > 0) {
            memcpy(cut, record.bytes, length);
        }
        assert_false(record_decode(&arena, (struct base_bytes){cut, length}, &back));
        free(cut);
    }
    base_arena_release(&arena);
}

/* Whatever a byte is changed to: what is read nevertheless would be written just so. */
static void what_is_read_is_what_would_be_written(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < TRANSACTION_COUNT; i++) {
        struct base_arena keep = BASE_ARENA_EMPTY;
        struct base_bytes record = record_encode(&keep, &transactions[i]);
        uint8_t *changed = base_allocate(record.length);
        memcpy(changed, record.bytes, record.length);
        for (size_t at = 0; at < record.length; at++) {
            for (unsigned change = 1; change < 256; change += change < 8 ? 1 : 31) {
                changed[at] = (uint8_t)(record.bytes[at] ^ change);
                struct base_bytes bytes = {changed, record.length};
                struct record_transaction back;
                if (record_decode(&arena, bytes, &back)) {
                    assert_true(base_bytes_equal(record_encode(&arena, &back), bytes));
                }
                base_arena_reset(&arena);
            }
            changed[at] = record.bytes[at];
        }
        free(changed);
        base_arena_release(&keep);
    }
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_comes_back_as_it_was),
        cmocka_unit_test(the_largest_record_comes_back_and_none_is_larger),
        cmocka_unit_test(the_encoding_never_changes),
        cmocka_unit_test(the_order_of_labels_gives_the_same_bytes),
        cmocka_unit_test(bytes_that_were_not_written_here_are_refused),
        cmocka_unit_test(a_number_in_a_longer_form_is_refused),
        cmocka_unit_test(labels_are_limited_together),
        cmocka_unit_test(a_record_cut_short_is_refused),
        cmocka_unit_test(what_is_read_is_what_would_be_written),
    };
    return cmocka_run_group_tests_name("record encoding", tests, NULL, NULL);
}
