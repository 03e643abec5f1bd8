/* The codec's protobuf half: what protobuf-c would let through is refused, and where is told
 * (docs/api.md, "On the wire"). */
#include "api/codec.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zandaka/v1/balance_service.pb-c.h>
#include <zandaka/v1/stored_answers.pb-c.h>

#include <cmocka.h>

#define BYTES(literal)                                                                             \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

#define ADD &zandaka__v1__add_request__descriptor
#define SUBMIT &zandaka__v1__submit_request__descriptor
#define LIST &zandaka__v1__list_entries_request__descriptor
#define TRANSACTION &zandaka__v1__transaction__descriptor

static struct base_arena arena;

static int release_arena(void **state)
{
    (void)state;
    base_arena_release(&arena);
    return 0;
}

struct body {
    const char *what;
    const ProtobufCMessageDescriptor *descriptor;
    struct base_bytes bytes;
    const char *field; /* where it is refused; NULL: it is taken */
};

static void check_bodies(const struct body *bodies, size_t n_bodies, enum api_codec_unknown unknown)
{
    for (size_t i = 0; i < n_bodies; i++) {
        struct api_codec_error error = {BASE_TEXT("-"), BASE_TEXT("")};
        const ProtobufCMessage *message =
            api_codec_unpack(&arena, bodies[i].descriptor, bodies[i].bytes, unknown, &error);
        if ((message == NULL) != (bodies[i].field != NULL)) {
            fail_msg("%s: %s", bodies[i].what, message == NULL ? "refused" : "taken");
        }
        if (message == NULL && (!base_text_equal(error.field, base_text_of(bodies[i].field)) ||
                                error.message.length == 0)) {
            fail_msg("%s: refused at '%.*s', not '%s'", bodies[i].what, BASE_TEXT_ARGS(error.field),
                     bodies[i].field);
        }
    }
}

#define CHECK(bodies, unknown) check_bodies(bodies, sizeof(bodies) / sizeof(bodies)[0], unknown)

static void bytes_that_are_no_message_are_refused(void **state)
{
    (void)state;
    static const struct body bodies[] = {
        {"nothing at all", ADD, {NULL, 0}, NULL},
        {"a tag without a value", ADD, BYTES("\x0A"), ""},
        {"half a tag", ADD, BYTES("\x8A"), ""},
        {"a tag of five bytes", ADD, BYTES("\x8A\x80\x80\x80\x00\x01x"), NULL},
        {"a tag of six bytes", ADD, BYTES("\x8A\x80\x80\x80\x80\x00\x01x"), ""},
        {"field number 0", ADD, BYTES("\x02\x01x"), ""},
        {"a length beyond the end", ADD, BYTES("\x0A\x02x"), ""},
        {"a length of 2^31", ADD, BYTES("\x0A\x80\x80\x80\x80\x08x"), ""},
        {"a length of six bytes", ADD, BYTES("\x0A\x81\x80\x80\x80\x80\x00x"), ""},
        {"a group", ADD, BYTES("\x0B\x0C"), ""},
        {"the end of a group", ADD, BYTES("\x0C"), ""},
        {"wire type 6", ADD, BYTES("\x0E\x00"), ""},
        {"wire type 7", ADD, BYTES("\x0F\x00"), ""},
        {"a varint cut short", ADD, BYTES("\x1A\x02\x10\x80"), "amounts[0]"},
        {"a varint of ten bytes", ADD,
         BYTES("\x1A\x0B\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), NULL},
        {"a varint beyond 64 bits", ADD,
         BYTES("\x1A\x0B\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"), "amounts[0]"},
        {"a varint of eleven bytes", ADD,
         BYTES("\x1A\x0C\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), "amounts[0]"},
        {"a varint longer than it needs", ADD, BYTES("\x1A\x03\x10\x81\x00"), NULL},
        {"garbage in the second amount", ADD, BYTES("\x1A\x00\x1A\x01\xFF"), "amounts[1]"},
        {"garbage deep inside", SUBMIT, BYTES("\x0A\x00\x0A\x06\x0A\x04\x1A\x02\x1A\x01"),
         "commands[1].add.amounts[0]"},
    };
    CHECK(bodies, API_CODEC_REFUSE_UNKNOWN);
    CHECK(bodies, API_CODEC_PASS_UNKNOWN);
}

static void a_value_of_the_wrong_type_is_refused(void **state)
{
    (void)state;
    static const struct body bodies[] = {
        {"a number for a string", ADD, BYTES("\x08\x01"), "transaction_id"},
        {"a number for a message", ADD, BYTES("\x18\x01"), "amounts[0]"},
        {"a string for a number", ADD, BYTES("\x1A\x03\x12\x01x"), "amounts[0].amount"},
        {"64 bits for a varint", ADD, BYTES("\x1A\x09\x11\0\0\0\0\0\0\0\0"), "amounts[0].amount"},
        {"32 bits for a varint", ADD, BYTES("\x1A\x05\x15\0\0\0\0"), "amounts[0].amount"},
        {"packed operations", LIST, BYTES("\x1A\x02\x01\x02"), NULL},
        {"no operations, packed", LIST, BYTES("\x1A\x00"), NULL},
        {"operations one by one", LIST, BYTES("\x18\x01\x18\x02"), NULL},
        {"both", LIST, BYTES("\x18\x01\x1A\x01\x02"), NULL},
        {"packed operations cut short", LIST, BYTES("\x1A\x02\x01\x82"), ""},
        {"a packed one out of range", LIST, BYTES("\x18\x01\x1A\x07\x01\x80\x80\x80\x80\x80\x01"),
         "operations[2]"},
        {"packed page sizes", LIST, BYTES("\x32\x01\x01"), "page_size"},
        {"true", TRANSACTION, BYTES("\x58\x01"), NULL},
        {"false", TRANSACTION, BYTES("\x58\x00"), NULL},
        {"neither true nor false", TRANSACTION, BYTES("\x58\x02"), "final"},
        {"a page size of -1", LIST, BYTES("\x30\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), NULL},
        {"the largest page size", LIST, BYTES("\x30\xFF\xFF\xFF\xFF\x07"), NULL},
        {"one more", LIST, BYTES("\x30\x80\x80\x80\x80\x08"), "page_size"},
        {"the smallest page size", LIST, BYTES("\x30\x80\x80\x80\x80\xF8\xFF\xFF\xFF\xFF\x01"),
         NULL},
        {"one less", LIST, BYTES("\x30\xFF\xFF\xFF\xFF\xF7\xFF\xFF\xFF\xFF\x01"), "page_size"},
    };
    CHECK(bodies, API_CODEC_REFUSE_UNKNOWN);
    CHECK(bodies, API_CODEC_PASS_UNKNOWN);
}

static void a_string_with_nul_or_invalid_utf8_is_refused(void **state)
{
    (void)state;
    static const struct body bodies[] = {
        {"a NUL, where protobuf-c would end the id", ADD,
         BYTES("\x0A\x05"
               "ab\0cd"),
         "transaction_id"},
        {"a NUL at the end", ADD,
         BYTES("\x0A\x02"
               "a\0"),
         "transaction_id"},
        {"a lone continuation byte", ADD, BYTES("\x22\x01\x80"), "description"},
        {"a surrogate", ADD, BYTES("\x22\x03\xED\xA0\x80"), "description"},
        {"a character cut short", ADD, BYTES("\x22\x02\xE6\xAE"), "description"},
        {"a whole one", ADD, BYTES("\x22\x03\xE6\xAE\x8B"), NULL},
        {"a NUL in a kind", ADD, BYTES("\x1A\x00\x1A\x04\x0A\x02p\0"), "amounts[1].kind"},
        {"a NUL in a repeated string", LIST, BYTES("\x12\x01p\x12\x01\0"), "kinds[1]"},
        {"a NUL in a map's key", ADD, BYTES("\x2A\x04\x0A\x02k\0"), "metadata"},
        {"a NUL in a map's value", ADD, BYTES("\x2A\x06\x0A\x01k\x12\x01\0"), "metadata"},
    };
    CHECK(bodies, API_CODEC_REFUSE_UNKNOWN);
    CHECK(bodies, API_CODEC_PASS_UNKNOWN);
}

static void what_there_is_one_of_is_refused_twice(void **state)
{
    (void)state;
    static const struct body bodies[] = {
        {"an id twice", ADD, BYTES("\x0A\x01x\x0A\x01x"), "transaction_id"},
        {"an empty id and another", ADD, BYTES("\x0A\x00\x0A\x01x"), "transaction_id"},
        {"an amount twice", ADD, BYTES("\x1A\x04\x10\x01\x10\x02"), "amounts[0].amount"},
        {"a time twice, which protobuf merges", ADD, BYTES("\x1A\x06\x1A\x00\x1A\x02\x08\x01"),
         "amounts[0].expire_time"},
        {"two operations in one command", SUBMIT, BYTES("\x0A\x04\x0A\x00\x1A\x00"),
         "commands[0].cancel"},
        {"the other way round", SUBMIT, BYTES("\x0A\x00\x0A\x04\x1A\x00\x0A\x00"),
         "commands[1].add"},
        {"one operation twice", SUBMIT, BYTES("\x0A\x04\x0A\x00\x0A\x00"), "commands[0].add"},
        {"a command each", SUBMIT, BYTES("\x0A\x02\x0A\x00\x0A\x02\x1A\x00"), NULL},
        {"a map key twice", ADD, BYTES("\x2A\x03\x0A\x01k\x2A\x06\x0A\x01k\x12\x01v"), "metadata"},
        {"apart", ADD, BYTES("\x2A\x03\x0A\x01k\x2A\x03\x0A\x01l\x0A\x01x\x2A\x03\x0A\x01k"),
         "metadata"},
        {"two empty map keys", ADD, BYTES("\x2A\x00\x2A\x00"), "metadata"},
        {"an empty key, said and unsaid", ADD, BYTES("\x2A\x02\x0A\x00\x2A\x00"), "metadata"},
        {"map keys that differ", ADD, BYTES("\x2A\x03\x0A\x01k\x2A\x03\x0A\x01l\x2A\x00"), NULL},
        {"one entry with two keys", ADD, BYTES("\x2A\x06\x0A\x01k\x0A\x01l"), "metadata"},
        {"one map key in two commands", SUBMIT,
         BYTES("\x0A\x07\x0A\x05\x2A\x03\x0A\x01k\x0A\x07\x0A\x05\x2A\x03\x0A\x01k"), NULL},
    };
    CHECK(bodies, API_CODEC_REFUSE_UNKNOWN);
    CHECK(bodies, API_CODEC_PASS_UNKNOWN);
}

static void a_time_out_of_range_is_refused(void **state)
{
    (void)state;
    static const struct body bodies[] = {
        {"0001-01-01T00:00:00Z", LIST,
         BYTES("\x22\x0B\x08\x80\x92\xB8\xC3\x98\xFE\xFF\xFF\xFF\x01"), NULL},
        {"a second before", LIST, BYTES("\x22\x0B\x08\xFF\x91\xB8\xC3\x98\xFE\xFF\xFF\xFF\x01"),
         "start_time"},
        {"9999-12-31T23:59:59Z", LIST, BYTES("\x22\x07\x08\xFF\x82\xD1\xFF\xAF\x07"), NULL},
        {"a second after", LIST, BYTES("\x22\x07\x08\x80\x83\xD1\xFF\xAF\x07"), "start_time"},
        {"999999999 ns", LIST, BYTES("\x22\x06\x10\xFF\x93\xEB\xDC\x03"), NULL},
        {"a whole second of ns", LIST, BYTES("\x22\x06\x10\x80\x94\xEB\xDC\x03"), "start_time"},
        {"-1 ns", LIST, BYTES("\x22\x0B\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
         "start_time"},
        {"1970-01-01T00:00:00Z", LIST, BYTES("\x22\x00"), NULL},
        {"in an amount", ADD, BYTES("\x1A\x08\x1A\x06\x10\x80\x94\xEB\xDC\x03"),
         "amounts[0].expire_time"},
    };
    CHECK(bodies, API_CODEC_REFUSE_UNKNOWN);
    CHECK(bodies, API_CODEC_PASS_UNKNOWN);
}

static void what_a_write_does_not_know_might_be_content(void **state)
{
    (void)state;
    static const struct body refused[] = {
        {"an unknown field", ADD, BYTES("\x30\x01"), ""},
        {"in an amount", ADD, BYTES("\x1A\x00\x1A\x03\x22\x01x"), "amounts[1]"},
        {"in a command", SUBMIT, BYTES("\x0A\x00\x0A\x02\x22\x00"), "commands[1]"},
        {"in a map's entry", ADD, BYTES("\x2A\x03\x1A\x01x"), "metadata"},
        {"in a time", ADD, BYTES("\x1A\x04\x1A\x02\x18\x01"), "amounts[0].expire_time"},
        {"an operation", LIST, BYTES("\x18\x01\x18\x63"), "operations[1]"},
        {"a packed operation", LIST, BYTES("\x1A\x02\x01\x63"), "operations[1]"},
        {"the last number there is", ADD, BYTES("\xF8\xFF\xFF\xFF\x0F\x01"), ""},
    };
    CHECK(refused, API_CODEC_REFUSE_UNKNOWN);
    struct body passed[sizeof refused / sizeof refused[0]];
    memcpy(passed, refused, sizeof refused);
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        passed[i].field = NULL;
    }
    CHECK(passed, API_CODEC_PASS_UNKNOWN);
    static const struct body malformed[] = {
        {"an unknown field cut short", ADD, BYTES("\x32\x02x"), ""},
        {"an unknown group", ADD, BYTES("\x33\x34"), ""},
    };
    CHECK(malformed, API_CODEC_PASS_UNKNOWN);
}

/* `n` times the same bytes. */
static struct base_bytes repeated(size_t n, const char *bytes, size_t length)
{
    uint8_t *all = base_arena_take(&arena, n * length);
    for (size_t i = 0; i < n; i++) {
        memcpy(all + i * length, bytes, length);
    }
    return (struct base_bytes){all, n * length};
}

static void elements_are_counted_whatever_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const ProtobufCMessageDescriptor *descriptor;
        const char *bytes;
        size_t length;
        size_t elements;
        const char *field;
    } rows[] = {
        {"empty commands", SUBMIT, "\x0A\x00", 2, 1, ""},
        {"empty strings", LIST, "\x12\x00", 2, 1, ""},
        {"operations", LIST, "\x18\x01", 2, 1, ""},
        {"amounts with an amount", ADD, "\x1A\x02\x10\x01", 4, 2, ""},
        {"fields nobody knows", ADD, "\x78\x01", 2, 1, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t most = BASE_ELEMENTS_MAX / rows[i].elements;
        const struct body bodies[] = {
            {rows[i].what, rows[i].descriptor, repeated(most, rows[i].bytes, rows[i].length), NULL},
            {rows[i].what, rows[i].descriptor, repeated(most + 1, rows[i].bytes, rows[i].length),
             ""},
        };
        CHECK(bodies, API_CODEC_PASS_UNKNOWN);
        base_arena_release(&arena);
    }
}

static void packed_elements_are_counted_one_by_one(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        /* The packed field is an element as well, and its numbers are. */
        size_t n_numbers = BASE_ELEMENTS_MAX - 1 + more;
        struct base_writer body = {NULL, 0, 0};
        base_write_u8(&body, 0x1A);
        base_write_varint(&body, n_numbers);
        memset(base_write_room(&body, n_numbers), 1, n_numbers);
        struct api_codec_error error;
        const ProtobufCMessage *message = api_codec_unpack(&arena, LIST, base_writer_bytes(&body),
                                                           API_CODEC_REFUSE_UNKNOWN, &error);
        assert_int_equal(message == NULL, more == 1);
        base_writer_release(&body);
    }
}

/* A type within a type within …, as reflection has them: `levels` messages. */
static struct base_bytes nested_types(size_t levels)
{
    struct base_bytes body = {NULL, 0};
    for (size_t i = 1; i < levels; i++) {
        struct base_writer outer = {NULL, 0, 0};
        base_write_u8(&outer, 0x1A);
        base_write_varint(&outer, body.length);
        base_write_bytes(&outer, body);
        body = base_arena_bytes(&arena, base_writer_bytes(&outer));
        base_writer_release(&outer);
    }
    return body;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    const struct body bodies[] = {
        {"16 levels", &google__protobuf__descriptor_proto__descriptor, nested_types(16), NULL},
        {"17 levels", &google__protobuf__descriptor_proto__descriptor, nested_types(17), ""},
        {"20,000 levels", &google__protobuf__descriptor_proto__descriptor, nested_types(20000), ""},
    };
    CHECK(bodies, API_CODEC_PASS_UNKNOWN);
}

static void many_map_keys_are_compared_in_time(void **state)
{
    (void)state;
    for (size_t twice = 0; twice < 2; twice++) {
        struct base_writer body = {NULL, 0, 0};
        for (uint64_t i = 0; i < 50000; i++) {
            static const uint8_t head[] = {0x2A, 0x07, 0x0A, 0x05};
            base_write_bytes(&body, (struct base_bytes){head, sizeof head});
            uint64_t number = twice == 1 && i == 49999 ? 7 : i;
            for (unsigned digit = 0; digit < 5; digit++) {
                base_write_u8(&body, (uint8_t)('a' + number % 26));
                number /= 26;
            }
        }
        const struct body row = {"50,000 labels", ADD, base_writer_bytes(&body),
                                 twice == 1 ? "metadata" : NULL};
        check_bodies(&row, 1, API_CODEC_REFUSE_UNKNOWN);
        base_writer_release(&body);
    }
}

static void what_was_taken_is_all_there(void **state)
{
    (void)state;
    static const struct base_bytes body =
        BYTES("\x0A\x02id\x12\x01"
              "a\x1A\x05\x0A\x01p\x10\x64\x1A\x07\x0A\x01q\x1A\x02\x08\x05\x22\x01"
              "d\x2A\x06\x0A\x01k\x12\x01v");
    struct api_codec_error error;
    const Zandaka__V1__AddRequest *add = (const Zandaka__V1__AddRequest *)api_codec_unpack(
        &arena, ADD, body, API_CODEC_REFUSE_UNKNOWN, &error);
    assert_non_null(add);
    assert_string_equal(add->transaction_id, "id");
    assert_string_equal(add->account_id, "a");
    assert_int_equal(add->n_amounts, 2);
    assert_string_equal(add->amounts[0]->kind, "p");
    assert_int_equal(add->amounts[0]->amount, 100);
    assert_null(add->amounts[0]->expire_time);
    assert_int_equal(add->amounts[1]->amount, 0);
    assert_int_equal(add->amounts[1]->expire_time->seconds, 5);
    assert_string_equal(add->description, "d");
    assert_int_equal(add->n_metadata, 1);
    assert_string_equal(add->metadata[0]->key, "k");
    assert_string_equal(add->metadata[0]->value, "v");
    assert_true(base_bytes_equal(api_codec_pack(&arena, &add->base), body));
}

static void stored_answers_encode_as_the_published_ones_do(void **state)
{
    (void)state;
    Zandaka__V1__Transaction record = ZANDAKA__V1__TRANSACTION__INIT;
    record.transaction_id = (char *)"t";
    Zandaka__V1__SubmitResult published = ZANDAKA__V1__SUBMIT_RESULT__INIT;
    published.result_case = ZANDAKA__V1__SUBMIT_RESULT__RESULT_TRANSACTION;
    published.transaction = &record;
    published.replayed = true;
    struct base_bytes bytes = api_codec_pack(&arena, &record.base);
    Zandaka__V1__Stored__SubmitResult stored = ZANDAKA__V1__STORED__SUBMIT_RESULT__INIT;
    stored.result_case = ZANDAKA__V1__STORED__SUBMIT_RESULT__RESULT_TRANSACTION;
    stored.transaction = (ProtobufCBinaryData){bytes.length, (uint8_t *)bytes.bytes};
    stored.replayed = true;
    assert_true(base_bytes_equal(api_codec_pack(&arena, &published.base),
                                 api_codec_pack(&arena, &stored.base)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bytes_that_are_no_message_are_refused, release_arena),
        cmocka_unit_test_teardown(a_value_of_the_wrong_type_is_refused, release_arena),
        cmocka_unit_test_teardown(a_string_with_nul_or_invalid_utf8_is_refused, release_arena),
        cmocka_unit_test_teardown(what_there_is_one_of_is_refused_twice, release_arena),
        cmocka_unit_test_teardown(a_time_out_of_range_is_refused, release_arena),
        cmocka_unit_test_teardown(what_a_write_does_not_know_might_be_content, release_arena),
        cmocka_unit_test_teardown(elements_are_counted_whatever_they_are, release_arena),
        cmocka_unit_test_teardown(packed_elements_are_counted_one_by_one, release_arena),
        cmocka_unit_test_teardown(depth_is_bounded, release_arena),
        cmocka_unit_test_teardown(many_map_keys_are_compared_in_time, release_arena),
        cmocka_unit_test_teardown(what_was_taken_is_all_there, release_arena),
        cmocka_unit_test_teardown(stored_answers_encode_as_the_published_ones_do, release_arena),
    };
    return cmocka_run_group_tests_name("codec: protobuf", tests, NULL, NULL);
}
