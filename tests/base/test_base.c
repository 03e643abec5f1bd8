/* base: slices, cursors, base64 and arenas keep their promises at the edges. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void text_to_int64_takes_plain_digits_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool taken;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"-0", false, 0},
        {"+1", false, 0},
        {"01", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 77;
        assert_int_equal(base_text_to_int64(base_text_of(rows[i].text), &value), rows[i].taken);
        assert_true(value == (rows[i].taken ? rows[i].value : 77));
    }
}

static void trim_takes_the_ends_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *trimmed;
    } rows[] = {
        {"", ""}, {" ", ""}, {" \t ", ""}, {"a", "a"}, {"\ta b ", "a b"}, {"a\n", "a\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text trimmed = base_text_trim(base_text_of(rows[i].text), " \t");
        assert_true(base_text_equal(trimmed, base_text_of(rows[i].trimmed)));
    }
    /* A NUL is no space, although it ends the spaces. */
    struct base_text nul = {"\0a\0", 3};
    assert_int_equal(base_text_trim(nul, " ").length, 3);
}

static void utf8_refuses_what_rfc_3629_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        bool valid;
    } rows[] = {
        {"", 0, true},
        {"a", 1, true},
        {"\xE6\xAE\x8B\xE9\xAB\x98", 6, true},
        {"\xF0\x9F\x92\xB4", 4, true},
        {"\xF4\x8F\xBF\xBF", 4, true},
        {"\xF4\x90\x80\x80", 4, false}, /* beyond U+10FFFF */
        {"\xC0\x80", 2, false},         /* overlong NUL */
        {"\xE0\x9F\xBF", 3, false},     /* overlong */
        {"\xF0\x8F\xBF\xBF", 4, false}, /* overlong */
        {"\xED\xA0\x80", 3, false},     /* surrogate */
        {"\xE6\xAE", 2, false},         /* cut short */
        {"\x80", 1, false},
        {"\xFF", 1, false},
        {"a\0b", 3, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text text = {rows[i].text, rows[i].length};
        assert_int_equal(base_text_is_utf8(text), rows[i].valid);
    }
}

static void varints_come_back_and_longer_forms_are_refused(void **state)
{
    (void)state;
    static const int64_t values[] = {
        0,         1,         -1,      63,        64,        -64,       -65,
        INT64_MAX, INT64_MIN, 1000000, -99999999, INT32_MAX, INT32_MIN, BASE_AMOUNT_MAX};
    struct base_writer writer = {NULL, 0, 0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        base_write_varint_signed(&writer, values[i]);
        base_write_varint(&writer, (uint64_t)values[i]);
        base_write_u64_be(&writer, (uint64_t)values[i]);
    }
    struct base_reader reader = base_reader_of(base_writer_bytes(&writer));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_true(base_read_varint_signed(&reader) == values[i]);
        assert_true(base_read_varint(&reader) == (uint64_t)values[i]);
        assert_true(base_read_u64_be(&reader) == (uint64_t)values[i]);
    }
    assert_true(base_reader_done(&reader));
    assert_int_equal(base_read_u8(&reader), 0);
    assert_true(reader.failed);
    base_writer_release(&writer);

    static const struct base_bytes refused[] = {
        {(const uint8_t *)"\x81\x00", 2},
        {(const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10}, /* 65 bits */
        {(const uint8_t *)"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x01", 11},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        reader = base_reader_of(refused[i]);
        assert_true(base_read_varint(&reader) == 0);
        assert_true(reader.failed);
    }
}

static void base64_comes_back_padded_or_not(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    static const enum base_base64 forms[] = {BASE_BASE64_UNPADDED, BASE_BASE64_PADDED,
                                             BASE_BASE64_URL_UNPADDED};
    uint8_t bytes[40];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 41 + 251);
    }
    for (size_t form = 0; form < 3; form++) {
        for (size_t length = 0; length <= sizeof bytes; length++) {
            struct base_bytes original = {bytes, length};
            struct base_text text = base_base64_encode(&arena, original, forms[form]);
            struct base_bytes back;
            assert_true(base_base64_decode(&arena, text, forms[form], &back));
            assert_true(base_bytes_equal(back, original));
        }
    }
    struct base_bytes back;
    assert_true(base_base64_decode(&arena, BASE_TEXT("aGk="), BASE_BASE64_UNPADDED, &back));
    assert_true(base_text_equal(base_text_from(back), BASE_TEXT("hi")));
    assert_false(base_base64_decode(&arena, BASE_TEXT("a"), BASE_BASE64_UNPADDED, &back));
    assert_false(base_base64_decode(&arena, BASE_TEXT("aG k"), BASE_BASE64_UNPADDED, &back));
    assert_false(base_base64_decode(&arena, BASE_TEXT("a*Gk"), BASE_BASE64_UNPADDED, &back));
    assert_false(base_base64_decode(&arena, BASE_TEXT("-_-_"), BASE_BASE64_UNPADDED, &back));
    base_arena_release(&arena);
}

static void arena_pieces_are_apart_and_aligned(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    assert_int_equal(base_arena_held(&arena), 0);
    for (int round = 0; round < 3; round++) {
        uint8_t *pieces[300];
        for (size_t i = 0; i < 300; i++) {
            pieces[i] = base_arena_take(&arena, i * 7);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)(i & 0xFF), i * 7);
        }
        for (size_t i = 0; i < 300; i++) {
            for (size_t at = 0; at < i * 7; at++) {
                assert_int_equal(pieces[i][at], i & 0xFF);
            }
        }
        base_arena_reset(&arena);
    }
    struct base_text text = base_arena_print(&arena, "%d:%s", 7, "x");
    assert_string_equal(text.bytes, "7:x");
    assert_int_equal(text.length, 3);
    base_arena_release(&arena);
    assert_int_equal(base_arena_held(&arena), 0);
}

static void every_reason_has_its_row_and_its_name(void **state)
{
    (void)state;
    for (int reason = BASE_REASON_NONE + 1; reason < BASE_REASON_COUNT; reason++) {
        const struct base_error *error = base_error_of((enum base_reason)reason);
        assert_non_null(error->reason);
        assert_non_null(error->message);
        for (int other = BASE_REASON_NONE + 1; other < reason; other++) {
            assert_string_not_equal(base_error_of((enum base_reason)other)->reason, error->reason);
        }
        assert_string_equal(base_code_connect_name(error->code), error->connect);
        /* An unknown method is the one place where HTTP has a better word than the table. */
        if (reason != BASE_REASON_UNIMPLEMENTED) {
            assert_int_equal(base_code_http_status(error->code), error->http_status);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_to_int64_takes_plain_digits_only),
        cmocka_unit_test(trim_takes_the_ends_alone),
        cmocka_unit_test(utf8_refuses_what_rfc_3629_refuses),
        cmocka_unit_test(varints_come_back_and_longer_forms_are_refused),
        cmocka_unit_test(base64_comes_back_padded_or_not),
        cmocka_unit_test(arena_pieces_are_apart_and_aligned),
        cmocka_unit_test(every_reason_has_its_row_and_its_name),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
