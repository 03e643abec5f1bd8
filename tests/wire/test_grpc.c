/* wire: gRPC's framing, percent-encoding, binary metadata and timeouts. */
#include "wire/grpc.h"
#include "wire/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void timeouts_are_one_to_eight_digits_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool taken;
        int64_t timeout_ns;
    } rows[] = {
        {"1n", true, 1},
        {"0n", true, 0},
        {"2u", true, 2000},
        {"3m", true, 3000000},
        {"4S", true, INT64_C(4000000000)},
        {"5M", true, INT64_C(300000000000)},
        {"6H", true, INT64_C(21600000000000)},
        {"007m", true, 7000000},
        {"99999999n", true, 99999999},
        {"99999999M", true, INT64_C(5999999940000000000)},
        {"2562047H", true, INT64_C(9223369200000000000)},
        {"2562048H", true, INT64_MAX},
        {"99999999H", true, INT64_MAX},
        {"", false, 0},
        {"1", false, 0},
        {"S", false, 0},
        {"100000000n", false, 0},
        {"1s", false, 0},
        {"1h", false, 0},
        {"1U", false, 0},
        {"-1S", false, 0},
        {"+1S", false, 0},
        {" 1S", false, 0},
        {"1S ", false, 0},
        {"1 S", false, 0},
        {"1.5S", false, 0},
        {"0x1S", false, 0},
        {"1SS", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t timeout_ns = 77;
        bool taken = wire_parse_grpc_timeout(base_text_of(rows[i].text), &timeout_ns);
        assert_int_equal(taken, rows[i].taken);
        assert_true(timeout_ns == (rows[i].taken ? rows[i].timeout_ns : 77));
    }
}

static void timeouts_are_printed_in_eight_digits_and_never_shorter_than_meant(void **state)
{
    (void)state;
    static const struct {
        int64_t timeout_ns;
        const char *text;
    } rows[] = {
        {0, "0n"},
        {1, "1n"},
        {99999999, "99999999n"},
        {100000000, "100000u"},
        {100000001, "100001u"},
        {INT64_C(10000000000), "10000000u"},
        {INT64_C(99999999000), "99999999u"},
        {INT64_C(99999999001), "100000m"},
        {INT64_C(100000000000), "100000m"},
        {INT64_C(100000000000000), "100000S"},
        {INT64_C(99999999000000001), "1666667M"},
        {INT64_MAX, "2562048H"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[WIRE_GRPC_TIMEOUT_BYTES];
        size_t length = wire_print_grpc_timeout(rows[i].timeout_ns, text);
        struct base_text printed = {text, length};
        assert_true(base_text_equal(printed, base_text_of(rows[i].text)));
        int64_t back;
        assert_true(wire_parse_grpc_timeout(printed, &back));
        assert_true(back >= rows[i].timeout_ns);
    }
}

static void messages_are_percent_encoded_but_for_printable_ascii(void **state)
{
    (void)state;
    static const struct {
        struct base_text text;
        const char *encoded;
    } rows[] = {
        {{"", 0}, ""},
        {{"too little", 10}, "too little"},
        {{"100%", 4}, "100%25"},
        {{"a\nb", 3}, "a%0Ab"},
        {{"\x1F ~\x7F", 4}, "%1F ~%7F"},
        {{"\0", 1}, "%00"},
        {{"\xE6\xAE\x8B\xE9\xAB\x98", 6}, "%E6%AE%8B%E9%AB%98"},
        {{"%41", 3}, "%2541"},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char encoded[64];
        size_t length = wire_percent_encoded_length(rows[i].text);
        assert_int_equal(length, strlen(rows[i].encoded));
        wire_percent_encode(rows[i].text, encoded);
        assert_memory_equal(encoded, rows[i].encoded, length);
        struct base_text back = wire_percent_decode(&arena, (struct base_text){encoded, length});
        assert_true(base_text_equal(back, rows[i].text));
    }
    base_arena_release(&arena);
}

static void broken_percent_escapes_are_shown_as_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *encoded;
        const char *text;
    } rows[] = {
        {"%", "%"}, {"%4", "%4"}, {"%4x", "%4x"}, {"%x4", "%x4"}, {"%%41", "%A"}, {"%e6", "\xE6"},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text text = wire_percent_decode(&arena, base_text_of(rows[i].encoded));
        assert_true(base_text_equal(text, base_text_of(rows[i].text)));
    }
    base_arena_release(&arena);
}

static void binary_metadata_is_split_at_commas_and_decoded_padded_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *decoded[4];
    } rows[] = {
        {"aGk", {"hi"}}, {"aGk=", {"hi"}},  {"aGk,aG8=, eW8", {"hi", "ho", "yo"}}, {"", {""}},
        {"a", {NULL}},   {"*,aGk", {"hi"}}, {"aGk , aG8 ", {"hi", "ho"}},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_header_list list = {NULL, 0, 0};
        struct wire_header header = {BASE_TEXT("x-bin"), base_text_of(rows[i].value)};
        wire_header_list_add_binary(&list, &arena, header);
        size_t count = 0;
        while (rows[i].decoded[count] != NULL) {
            assert_true(count < list.count);
            struct base_text expected = base_text_of(rows[i].decoded[count]);
            assert_true(base_text_equal(list.headers[count].value, expected));
            count++;
        }
        assert_int_equal(list.count, count);
    }
    assert_true(wire_header_is_binary(BASE_TEXT("x-bin")));
    assert_false(wire_header_is_binary(BASE_TEXT("-bin")));
    assert_false(wire_header_is_binary(BASE_TEXT("x-bind")));
    base_arena_release(&arena);
}

static void a_list_of_headers_grows_and_keeps_what_it_had(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct wire_header_list list = {NULL, 0, 0};
    for (size_t i = 0; i < 100; i++) {
        struct base_text number = base_arena_print(&arena, "%zu", i);
        wire_header_list_add(&list, &arena, (struct wire_header){number, number});
    }
    assert_int_equal(list.count, 100);
    for (size_t i = 0; i < 100; i++) {
        struct base_text number = base_arena_print(&arena, "%zu", i);
        assert_true(base_text_equal(list.headers[i].name, number));
        assert_true(base_text_equal(list.headers[i].value, number));
    }
    base_arena_release(&arena);
}

#define MAX 10 /* bytes of a message in the tests below */

static const struct {
    const char *name;
    uint8_t bytes[20];
    size_t length;
    enum wire_message_fault taken; /* by the piece that shows it */
    enum wire_message_fault ended;
} FRAMINGS[] = {
    {"one message", {0, 0, 0, 0, 3, 'a', 'b', 'c'}, 8, WIRE_MESSAGE_FINE, WIRE_MESSAGE_FINE},
    {"an empty one", {0, 0, 0, 0, 0}, 5, WIRE_MESSAGE_FINE, WIRE_MESSAGE_FINE},
    {"at the limit",
     {0, 0, 0, 0, MAX, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
     15,
     WIRE_MESSAGE_FINE,
     WIRE_MESSAGE_FINE},
    {"one past it", {0, 0, 0, 0, MAX + 1}, 5, WIRE_MESSAGE_TOO_LARGE, WIRE_MESSAGE_FINE},
    {"far past it", {0, 255, 255, 255, 255}, 5, WIRE_MESSAGE_TOO_LARGE, WIRE_MESSAGE_FINE},
    {"compressed", {1, 0, 0, 0, 1, 'a'}, 6, WIRE_MESSAGE_COMPRESSED, WIRE_MESSAGE_FINE},
    {"a bad flag", {2, 0, 0, 0, 1, 'a'}, 6, WIRE_MESSAGE_BAD_FLAG, WIRE_MESSAGE_FINE},
    {"two", {0, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 1, 'b'}, 12, WIRE_MESSAGE_EXTRA, WIRE_MESSAGE_FINE},
    {"two empty ones", {0}, 10, WIRE_MESSAGE_EXTRA, WIRE_MESSAGE_FINE},
    {"none", {0}, 0, WIRE_MESSAGE_FINE, WIRE_MESSAGE_MISSING},
    {"half a prefix", {0, 0, 0}, 3, WIRE_MESSAGE_FINE, WIRE_MESSAGE_CUT_SHORT},
    {"a prefix only", {0, 0, 0, 0, 1}, 5, WIRE_MESSAGE_FINE, WIRE_MESSAGE_CUT_SHORT},
    {"half a message", {0, 0, 0, 0, 3, 'a'}, 6, WIRE_MESSAGE_FINE, WIRE_MESSAGE_CUT_SHORT},
};

static void framing_is_judged_alike_however_the_bytes_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FRAMINGS / sizeof FRAMINGS[0]; i++) {
        for (size_t piece = 1; piece <= 20; piece++) {
            struct wire_message_reader reader = {.n_prefix = 0};
            enum wire_message_fault fault = WIRE_MESSAGE_FINE;
            for (size_t at = 0; at < FRAMINGS[i].length && fault == WIRE_MESSAGE_FINE;) {
                size_t left = FRAMINGS[i].length - at;
                size_t length = piece < left ? piece : left;
                struct base_bytes bytes = {FRAMINGS[i].bytes + at, length};
                fault = wire_message_take(&reader, bytes, MAX);
                at += length;
            }
            assert_int_equal(fault, FRAMINGS[i].taken);
            if (fault == WIRE_MESSAGE_FINE) {
                assert_int_equal(wire_message_end(&reader), FRAMINGS[i].ended);
            }
            if (fault == WIRE_MESSAGE_FINE && FRAMINGS[i].ended == WIRE_MESSAGE_FINE) {
                struct base_bytes expected = {FRAMINGS[i].bytes + WIRE_GRPC_PREFIX_BYTES,
                                              FRAMINGS[i].length - WIRE_GRPC_PREFIX_BYTES};
                assert_true(base_bytes_equal(base_writer_bytes(&reader.bytes), expected));
            }
            base_writer_release(&reader.bytes);
        }
    }
}

static void memory_is_taken_for_bytes_that_came_not_for_bytes_announced(void **state)
{
    (void)state;
    struct wire_message_reader reader = {.n_prefix = 0};
    static const uint8_t bytes[] = {0, 0, 0x40, 0, 0, 'a'};
    assert_int_equal(wire_message_take(&reader, (struct base_bytes){bytes, sizeof bytes}, 4u << 20),
                     WIRE_MESSAGE_FINE);
    assert_true(reader.bytes.capacity <= 65536);
    base_writer_release(&reader.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_are_one_to_eight_digits_and_a_unit),
        cmocka_unit_test(timeouts_are_printed_in_eight_digits_and_never_shorter_than_meant),
        cmocka_unit_test(messages_are_percent_encoded_but_for_printable_ascii),
        cmocka_unit_test(broken_percent_escapes_are_shown_as_they_are),
        cmocka_unit_test(binary_metadata_is_split_at_commas_and_decoded_padded_or_not),
        cmocka_unit_test(a_list_of_headers_grows_and_keeps_what_it_had),
        cmocka_unit_test(framing_is_judged_alike_however_the_bytes_are_cut),
        cmocka_unit_test(memory_is_taken_for_bytes_that_came_not_for_bytes_announced),
    };
    return cmocka_run_group_tests_name("grpc", tests, NULL, NULL);
}
