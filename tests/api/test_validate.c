/* What a well-formed command is (contract 3.1, 3.10, docs/api.md): each limit, and one past it. */
#include "api/api.h"
#include "api/validate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char many[2048]; /* of the letter a; written once, by main */

static struct base_text letters(size_t length)
{
    assert_true(length <= sizeof many);
    return (struct base_text){many, length};
}

static void ids_are_1_to_64_printable_bytes(void **state)
{
    (void)state;
    struct {
        struct base_text id;
        bool for_account;
        bool for_transaction;
    } rows[] = {
        {letters(1), true, true},
        {letters(64), true, true},
        {letters(0), false, false},
        {letters(65), false, false},
        {BASE_TEXT("!"), true, true},
        {BASE_TEXT("~"), true, true},
        {BASE_TEXT(" "), false, false},
        {BASE_TEXT("a b"), false, false},
        {BASE_TEXT(" a"), false, false},
        {BASE_TEXT("a\x7F"), false, false},
        {BASE_TEXT("a\0b"), false, false},
        {BASE_TEXT("a\n"), false, false},
        {BASE_TEXT("\xE6\xAE\x8B"), false, false},
        {BASE_TEXT("zandaka:"), true, false},
        {BASE_TEXT("zandaka:expiry"), true, false},
        {BASE_TEXT("zandaka"), true, true},
        {BASE_TEXT("Zandaka:expiry"), true, true},
        {BASE_TEXT("x-zandaka:"), true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(api_check_account_id(rows[i].id) == NULL, rows[i].for_account);
        assert_int_equal(api_check_transaction_id(rows[i].id) == NULL, rows[i].for_transaction);
    }
}

static void kind_codes_have_their_form(void **state)
{
    (void)state;
    struct {
        struct base_text code;
        bool well_formed;
    } rows[] = {
        {BASE_TEXT("points"), true}, {BASE_TEXT("a"), true},   {letters(32), true},
        {letters(33), false},        {BASE_TEXT(""), false},   {BASE_TEXT("a0_-z9"), true},
        {BASE_TEXT("0a"), false},    {BASE_TEXT("_a"), false}, {BASE_TEXT("-a"), false},
        {BASE_TEXT("A"), false},     {BASE_TEXT("aB"), false}, {BASE_TEXT("a b"), false},
        {BASE_TEXT("a.b"), false},   {BASE_TEXT("`"), false},  {BASE_TEXT("a{"), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(api_check_kind_code(rows[i].code) == NULL, rows[i].well_formed);
    }
}

/* A command that is well-formed; tests spoil one thing of it. */
struct draft {
    struct ledger_amount amounts[BASE_AMOUNTS_MAX + 1];
    char kinds[BASE_AMOUNTS_MAX + 1][4];
    struct record_label metadata[BASE_METADATA_MAX + 1];
    char keys[BASE_METADATA_MAX + 1][4];
    struct ledger_command command;
};

static struct draft *draft_of(struct base_arena *arena)
{
    struct draft *draft = base_arena_take_zeroed(arena, 1, sizeof *draft);
    for (size_t i = 0; i < BASE_AMOUNTS_MAX + 1; i++) {
        draft->kinds[i][0] = 'k';
        draft->kinds[i][1] = (char)('a' + i);
        draft->amounts[i] = (struct ledger_amount){base_text_of(draft->kinds[i]), 1};
        draft->keys[i][0] = (char)('A' + i);
        draft->metadata[i] = (struct record_label){base_text_of(draft->keys[i]), BASE_TEXT("v")};
    }
    draft->command = (struct ledger_command){.operation = RECORD_OPERATION_ADD,
                                             .transaction_id = BASE_TEXT("t1"),
                                             .account_id = BASE_TEXT("alice"),
                                             .n_amounts = 1,
                                             .amounts = draft->amounts,
                                             .metadata = draft->metadata};
    return draft;
}

/* The fields of the command's violations, `transaction_id,amounts[0].kind`. */
static const char *fields_of(struct base_arena *arena, const struct ledger_command *command)
{
    struct api_violations violations = api_violations_open(arena, BASE_VIOLATIONS_MAX_BYTES);
    api_validate_command(&violations, command);
    struct base_text fields = BASE_TEXT("");
    for (size_t i = 0; i < violations.n_violations; i++) {
        assert_true(violations.violations[i].description.length > 0);
        fields = base_arena_print(arena, "%.*s%s%s", BASE_TEXT_ARGS(fields), i > 0 ? "," : "",
                                  violations.violations[i].field.bytes);
    }
    return base_arena_text(arena, fields).bytes;
}

static void amounts_are_1_to_10_to_the_15th(void **state)
{
    (void)state;
    static const struct {
        int64_t amount_minor;
        const char *fields;
    } rows[] = {
        {1, ""},
        {1000000000000000, ""},
        {1000000000000001, "amounts[0].amount"},
        {0, "amounts[0].amount"},
        {-1, "amounts[0].amount"},
        {INT64_MAX, "amounts[0].amount"},
        {INT64_MIN, "amounts[0].amount"},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct draft *draft = draft_of(&arena);
        draft->amounts[0].amount_minor = rows[i].amount_minor;
        assert_string_equal(fields_of(&arena, &draft->command), rows[i].fields);
    }
    base_arena_release(&arena);
}

static void a_transaction_has_1_to_16_amounts_of_different_kinds(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct draft *draft = draft_of(&arena);
    draft->command.n_amounts = 0;
    assert_string_equal(fields_of(&arena, &draft->command), "amounts");
    draft->command.n_amounts = BASE_AMOUNTS_MAX;
    assert_string_equal(fields_of(&arena, &draft->command), "");
    draft->command.n_amounts = BASE_AMOUNTS_MAX + 1;
    assert_string_equal(fields_of(&arena, &draft->command), "amounts");

    draft->command.n_amounts = 3;
    draft->amounts[2].kind = draft->amounts[0].kind;
    assert_string_equal(fields_of(&arena, &draft->command), "amounts[2].kind");
    draft->amounts[1].kind = BASE_TEXT("Points");
    draft->amounts[2].kind = BASE_TEXT("");
    assert_string_equal(fields_of(&arena, &draft->command), "amounts[1].kind,amounts[2].kind");
    base_arena_release(&arena);
}

static void labels_have_their_limits(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct draft *draft = draft_of(&arena);
    draft->command.description = letters(256);
    assert_string_equal(fields_of(&arena, &draft->command), "");
    draft->command.description = letters(257);
    assert_string_equal(fields_of(&arena, &draft->command), "description");
    draft->command.description = BASE_TEXT("a\xFF");
    assert_string_equal(fields_of(&arena, &draft->command), "description");
    draft->command.description = BASE_TEXT("");

    draft->command.n_metadata = BASE_METADATA_MAX;
    assert_string_equal(fields_of(&arena, &draft->command), "");
    draft->command.n_metadata = BASE_METADATA_MAX + 1;
    assert_string_equal(fields_of(&arena, &draft->command), "metadata");
    base_arena_release(&arena);
}

static void a_label_has_its_limits(void **state)
{
    (void)state;
    struct {
        struct base_text key;
        struct base_text value;
        const char *fields;
    } rows[] = {
        {letters(1), letters(0), ""},
        {letters(64), letters(256), ""},
        {letters(0), letters(1), "metadata"},
        {letters(65), letters(1), "metadata"},
        {BASE_TEXT("a b"), letters(1), "metadata"},
        {BASE_TEXT("\xC3\xA9"), letters(1), "metadata"},
        {BASE_TEXT("key"), letters(257), "metadata[\"key\"]"},
        {BASE_TEXT("key"), BASE_TEXT("\xC3\xA9"), ""},
        {BASE_TEXT("key"), BASE_TEXT("\xC3"), "metadata[\"key\"]"},
        {BASE_TEXT("key"), BASE_TEXT("a\0b"), "metadata[\"key\"]"},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct draft *draft = draft_of(&arena);
        draft->command.n_metadata = 1;
        draft->metadata[0] = (struct record_label){rows[i].key, rows[i].value};
        assert_string_equal(fields_of(&arena, &draft->command), rows[i].fields);
    }
    base_arena_release(&arena);
}

static void metadata_has_1024_bytes_in_all_and_no_key_twice(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct draft *draft = draft_of(&arena);
    draft->command.n_metadata = 4;
    for (size_t i = 0; i < 4; i++) {
        draft->metadata[i].value = letters(255); /* with a key of 1: 256 */
    }
    assert_string_equal(fields_of(&arena, &draft->command), "");
    draft->metadata[3].value = letters(256);
    assert_string_equal(fields_of(&arena, &draft->command), "metadata");
    draft->metadata[3] = (struct record_label){draft->metadata[0].key, BASE_TEXT("")};
    assert_string_equal(fields_of(&arena, &draft->command), "metadata");
    base_arena_release(&arena);
}

static void all_violations_are_told_in_the_order_of_the_fields(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct draft *draft = draft_of(&arena);
    draft->command.transaction_id = BASE_TEXT("zandaka:x");
    draft->command.account_id = BASE_TEXT("");
    draft->command.n_amounts = 2;
    draft->amounts[0].amount_minor = 0;
    draft->amounts[1].kind = BASE_TEXT("X");
    draft->command.description = letters(300);
    assert_string_equal(fields_of(&arena, &draft->command),
                        "transaction_id,account_id,amounts[0].amount,amounts[1].kind,description");
    base_arena_release(&arena);
}

static void a_cancel_has_only_its_id(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_command cancel = {.operation = RECORD_OPERATION_CANCEL,
                                    .transaction_id = BASE_TEXT("t1")};
    assert_string_equal(fields_of(&arena, &cancel), "");
    assert_null(api_check_command(&arena, &cancel));
    cancel.transaction_id = BASE_TEXT("");
    assert_string_equal(fields_of(&arena, &cancel), "transaction_id");
    assert_string_equal(api_check_command(&arena, &cancel),
                        "transaction_id: must be 1 to 64 bytes of printable ASCII (0x21 to 0x7E)");
    base_arena_release(&arena);
}

static void violations_are_bounded_and_the_first_is_always_told(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_violations violations = api_violations_open(&arena, BASE_VIOLATIONS_MAX_BYTES);
    for (size_t i = 0; i < BASE_VIOLATIONS_MAX; i++) {
        api_violations_add(&violations, letters(1), letters(1));
        assert_int_equal(violations.n_violations, i + 1);
    }
    api_violations_add(&violations, letters(1), letters(1));
    assert_int_equal(violations.n_violations, BASE_VIOLATIONS_MAX);

    violations = api_violations_open(&arena, 10);
    api_violations_add(&violations, letters(2000), letters(2000));
    assert_int_equal(violations.n_violations, 1);
    assert_int_equal(violations.violations[0].field.length, BASE_VIOLATION_FIELD_MAX_BYTES);
    assert_int_equal(violations.violations[0].description.length,
                     BASE_VIOLATION_DESCRIPTION_MAX_BYTES);
    api_violations_add(&violations, letters(1), letters(1));
    assert_int_equal(violations.n_violations, 1);
    base_arena_release(&arena);
}

static void a_cut_text_ends_between_characters(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    char text[300];
    memset(text, 'a', sizeof text);
    memcpy(text + BASE_VIOLATION_FIELD_MAX_BYTES - 2, "\xE6\xAE\x8B", 3);
    struct api_violations violations = api_violations_open(&arena, BASE_VIOLATIONS_MAX_BYTES);
    api_violations_add(&violations, (struct base_text){text, sizeof text}, BASE_TEXT("x"));
    assert_int_equal(violations.violations[0].field.length, BASE_VIOLATION_FIELD_MAX_BYTES - 2);
    api_violations_add(&violations, BASE_TEXT("a\xFF"), BASE_TEXT("x"));
    assert_int_equal(violations.violations[1].field.length, 0);
    base_arena_release(&arena);
}

static void times_are_in_range_and_rounded_up_to_the_microsecond(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        bool taken;
        int64_t time_us;
    } rows[] = {
        {0, 0, true, 0},
        {0, 1, true, 1},
        {0, 1000, true, 1},
        {0, 1001, true, 2},
        {-1, 999999999, true, 0},
        {-1, 999999000, true, -1},
        {1764028800, 123456000, true, 1764028800123456},
        {-62135596800, 0, true, BASE_TIME_MIN_US},
        {-62135596801, 999999999, false, 0},
        {253402300799, 999999000, true, BASE_TIME_MAX_US},
        {253402300799, 999999999, true, BASE_TIME_MAX_US + 1},
        {253402300800, 0, false, 0},
        {0, -1, false, 0},
        {0, 1000000000, false, 0},
        {INT64_MAX, 0, false, 0},
        {INT64_MIN, 0, false, 0},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        time.seconds = rows[i].seconds;
        time.nanos = rows[i].nanos;
        struct api_violations violations = api_violations_open(&arena, BASE_VIOLATIONS_MAX_BYTES);
        int64_t time_us = 77;
        api_validate_time(&violations, BASE_TEXT("start_time"), &time, &time_us);
        assert_int_equal(violations.n_violations, rows[i].taken ? 0 : 1);
        assert_true(time_us == (rows[i].taken ? rows[i].time_us : 77));
    }
    base_arena_release(&arena);
}

int main(void)
{
    memset(many, 'a', sizeof many);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_1_to_64_printable_bytes),
        cmocka_unit_test(kind_codes_have_their_form),
        cmocka_unit_test(amounts_are_1_to_10_to_the_15th),
        cmocka_unit_test(a_transaction_has_1_to_16_amounts_of_different_kinds),
        cmocka_unit_test(labels_have_their_limits),
        cmocka_unit_test(a_label_has_its_limits),
        cmocka_unit_test(metadata_has_1024_bytes_in_all_and_no_key_twice),
        cmocka_unit_test(all_violations_are_told_in_the_order_of_the_fields),
        cmocka_unit_test(a_cancel_has_only_its_id),
        cmocka_unit_test(violations_are_bounded_and_the_first_is_always_told),
        cmocka_unit_test(a_cut_text_ends_between_characters),
        cmocka_unit_test(times_are_in_range_and_rounded_up_to_the_microsecond),
    };
    return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
