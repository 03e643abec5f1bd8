/* The codec's JSON half: what is read, what is refused and where, and the exact bytes of what is
 * written (docs/api.md, "On the wire" and "JSON, exactly"). */
#include "api/api.h"
#include "api/codec.h"

#include <google/rpc/error_details.pb-c.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zandaka/v1/balance_service.pb-c.h>
#include <zandaka/v1/stored_answers.pb-c.h>

#include <cmocka.h>

#define CONSUME &zandaka__v1__consume_request__descriptor
#define SUBMIT &zandaka__v1__submit_request__descriptor
#define LIST &zandaka__v1__list_entries_request__descriptor
#define TRANSACTION &zandaka__v1__transaction__descriptor
#define RESPONSE &zandaka__v1__submit_response__descriptor
#define STORED &zandaka__v1__stored__submit_result__descriptor

static struct base_arena arena;

static int release_arena(void **state)
{
    (void)state;
    base_arena_release(&arena);
    return 0;
}

/* Reads `body` and gives what was read as JSON; when it is refused, `field: ` and the message. */
static struct base_text read_and_write(const ProtobufCMessageDescriptor *descriptor,
                                       struct base_text body)
{
    struct api_codec_error error = {BASE_TEXT("-"), BASE_TEXT("")};
    const ProtobufCMessage *message = api_codec_from_json(&arena, descriptor, body, &error);
    if (message != NULL) {
        return api_codec_to_json(&arena, message);
    }
    assert_true(error.message.length > 0);
    assert_true(base_text_is_utf8(error.message) && base_text_is_utf8(error.field));
    return base_arena_print(&arena, "%.*s: %.*s", BASE_TEXT_ARGS(error.field),
                            BASE_TEXT_ARGS(error.message));
}

struct row {
    const ProtobufCMessageDescriptor *descriptor;
    const char *body;
    const char *expected; /* JSON, or what a refusal begins with: its field and a colon */
};

static void check_rows(const struct row *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        struct base_text expected = base_text_of(rows[i].expected);
        struct base_text got = read_and_write(rows[i].descriptor, base_text_of(rows[i].body));
        bool as_expected = expected.bytes[0] == '{' ? base_text_equal(got, expected)
                                                    : base_text_starts_with(got, expected);
        if (!as_expected) {
            fail_msg("%s\n  gave     %.*s\n  expected %s", rows[i].body, BASE_TEXT_ARGS(got),
                     rows[i].expected);
        }
    }
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof(rows)[0])

static void both_names_are_read_but_each_field_once(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONSUME, "{}", "{}"},
        {CONSUME, " \t\r\n{ } ", "{}"},
        {CONSUME, "{\"transactionId\":\"t\"}", "{\"transactionId\":\"t\"}"},
        {CONSUME, "{\"transaction_id\":\"t\"}", "{\"transactionId\":\"t\"}"},
        {CONSUME, "{\"transaction_id\":\"t\",\"transactionId\":\"t\"}",
         "transaction_id: must be given once"},
        {CONSUME, "{\"transactionId\":null,\"transaction_id\":\"t\"}", "transaction_id: "},
        {CONSUME, "{\"transactionId\":\"t\",\"transactionId\":\"t\"}", ": must have each key"},
        {CONSUME, "{\"transactionId\":\"t\",\"transaction\\u0049d\":\"t\"}",
         ": must have each key"},
        {CONSUME, "{\"TransactionId\":\"t\"}", "TransactionId: "},
        {CONSUME, "{\"transactionid\":\"t\"}", "transactionid: "},
        {CONSUME, "{\"transaction_Id\":\"t\"}", "transaction_Id: "},
        {CONSUME, "{\"transactionI\":\"t\"}", "transactionI: "},
        {CONSUME, "{\"transactionIdX\":\"t\"}", "transactionIdX: "},
        {CONSUME, "{\"\":\"t\"}", ": must be a field"},
        {CONSUME, "{\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}",
         "{\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}"},
        {CONSUME, "{\"metadata\":{\"a_b\":\"1\",\"aB\":\"2\"}}",
         "{\"metadata\":{\"aB\":\"2\",\"a_b\":\"1\"}}"},
        {CONSUME, "{\"metadata\":{\"a\":\"1\",\"a\":\"1\"}}", ": must have each key"},
    };
    CHECK(rows);
}

static void an_unknown_field_is_refused_by_its_path(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONSUME, "{\"amounts\":[{},{\"kid\":\"p\"}]}", "amounts[1].kid: must be a field"},
        {CONSUME, "{\"x\":{\"y\":[1.5,{}]}}", "x: must be a field"},
        {SUBMIT, "{\"commands\":[{\"add\":{}},{\"transfer\":{}}]}", "commands[1].transfer: "},
        {SUBMIT, "{\"commands\":[{\"add\":{\"amounts\":[{\"amount\":1,\"x\":null}]}}]}",
         "commands[0].add.amounts[0].x: "},
        /* 63 letters and a character of two bytes, of which a name of 64 bytes would have half. */
        {CONSUME, "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xC3\xA9\":1}",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: "},
    };
    CHECK(rows);
}

static void integers_are_plain_digits(void **state)
{
    (void)state;
    static const struct {
        const char *amount;
        const char *read; /* NULL: refused */
    } rows[] = {
        {"0", "0"},
        {"1", "1"},
        {"-1", "-1"},
        {"\"0\"", "0"},
        {"\"1\"", "1"},
        {"\"-1\"", "-1"},
        {"9007199254740992", "9007199254740992"},
        {"9007199254740993", NULL},
        {"-9007199254740992", "-9007199254740992"},
        {"-9007199254740993", NULL},
        {"\"9007199254740993\"", "9007199254740993"},
        {"9223372036854775807", NULL},
        {"9223372036854775808", NULL},
        {"99999999999999999999999999", NULL},
        {"\"9223372036854775807\"", "9223372036854775807"},
        {"\"9223372036854775808\"", NULL},
        {"\"-9223372036854775808\"", "-9223372036854775808"},
        {"\"-9223372036854775809\"", NULL},
        {"-0", NULL},
        {"1.0", NULL},
        {"1.5", NULL},
        {"1e3", NULL},
        {"1E3", NULL},
        {"10e-1", NULL},
        {"0.0", NULL},
        {"\"-0\"", NULL},
        {"\"\"", NULL},
        {"\"+1\"", NULL},
        {"\"01\"", NULL},
        {"\" 1\"", NULL},
        {"\"1 \"", NULL},
        {"\"1.0\"", NULL},
        {"\"1e3\"", NULL},
        {"\"0x1\"", NULL},
        {"\"1\\u0000\"", NULL},
        {"\"\xEF\xBC\x91\"", NULL},
        {"true", NULL},
        {"[]", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text body = base_arena_print(
            &arena, "{\"description\":\"-0 1.5\",\"amounts\":[{\"amount\":7},{\"amount\":%s}]}",
            rows[i].amount);
        struct base_text got = read_and_write(CONSUME, body);
        struct base_text expected =
            rows[i].read == NULL
                ? BASE_TEXT("amounts[1].amount: must be a whole number in plain digits")
                : base_arena_print(&arena,
                                   "{\"amounts\":[{\"amount\":\"7\"},{\"amount\":\"%s\"}],"
                                   "\"description\":\"-0 1.5\"}",
                                   rows[i].read);
        if (!base_text_starts_with(got, expected)) {
            fail_msg("%s gave %.*s", rows[i].amount, BASE_TEXT_ARGS(got));
        }
    }
    /* These are no JSON at all. */
    static const struct row malformed[] = {
        {CONSUME, "{\"amounts\":[{\"amount\":01}]}", ": must be well-formed JSON"},
        {CONSUME, "{\"amounts\":[{\"amount\":+1}]}", ": must be well-formed JSON"},
        {CONSUME, "{\"amounts\":[{\"amount\":1.}]}", ": must be well-formed JSON"},
        {CONSUME, "{\"amounts\":[{\"amount\":NaN}]}", ": must be well-formed JSON"},
        {CONSUME, "{\"amounts\":[{\"amount\":1e999}]}", ": must have numbers beyond 2^53 as"},
    };
    CHECK(malformed);
}

static void the_first_odd_number_is_found_wherever_it_stands(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONSUME, "{\"metadata\":{\"a\":\"1\",\"b\":\"\"},\"amounts\":[{\"amount\":-0}]}",
         "amounts[0].amount: "},
        {CONSUME, "{\"description\":null,\"amounts\":[{\"kind\":null,\"amount\":-0}]}",
         "amounts[0].amount: "},
        {CONSUME, "{\"amounts\":[{\"expireTime\":\"2026-01-01T00:00:00Z\",\"amount\":-0}]}",
         "amounts[0].amount: "},
        {CONSUME, "{ \"amounts\" : [ { \"amount\" : 1 } , { \"amount\" : 2.0 } ] }",
         "amounts[1].amount: "},
        {CONSUME, "{\"description\":\"\\\\\",\"amounts\":[{\"amount\":1e1}]}",
         "amounts[0].amount: "},
        {CONSUME, "{\"description\":\"\\\"{[\",\"amounts\":[{\"amount\":1e1}]}",
         "amounts[0].amount: "},
        {LIST, "{\"operations\":[1,\"OPERATION_ADD\",2.0]}", "operations[2]: "},
        {LIST, "{\"kinds\":[],\"pageSize\":-0}", "page_size: "},
        {CONSUME, "{\"description\":1.5}", "description: must be a string"},
        {CONSUME, "{\"amounts\":[{\"amount\":-0},{\"amount\":1.5}]}", "amounts[0].amount: "},
    };
    CHECK(rows);
}

static void values_have_their_fields_type(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONSUME, "{\"transactionId\":1}", "transaction_id: must be a string"},
        {CONSUME, "{\"amounts\":{}}", "amounts: must be a list"},
        {CONSUME, "{\"amounts\":[[]]}", "amounts[0]: must be an object"},
        {CONSUME, "{\"amounts\":[{},null]}", "amounts[1]: must be an object"},
        {CONSUME, "{\"metadata\":[]}", "metadata: must be an object"},
        {CONSUME, "{\"metadata\":{\"a\":1}}", "metadata: must be a string"},
        {CONSUME, "{\"metadata\":{\"a\":null}}", "metadata: must be a string"},
        {CONSUME, "{\"metadata\":null,\"amounts\":null,\"transactionId\":null}", "{}"},
        {LIST, "{\"pageSize\":-2147483648}", "{\"pageSize\":-2147483648}"},
        {LIST, "{\"pageSize\":\"2147483647\"}", "{\"pageSize\":2147483647}"},
        {LIST, "{\"pageSize\":2147483648}", "page_size: must be a number of 32 bits"},
        {LIST, "{\"pageSize\":-2147483649}", "page_size: must be a number of 32 bits"},
        {LIST, "{\"operations\":[\"OPERATION_ADD\",2]}",
         "{\"operations\":[\"OPERATION_ADD\",\"OPERATION_CONSUME\"],\"pageSize\":0}"},
        {LIST, "{\"operations\":[\"ADD\"]}", "operations[0]: must be the name or the number"},
        {LIST, "{\"operations\":[99]}", "operations[0]: must be the name or the number"},
        {LIST, "{\"operations\":[4294967297]}", "operations[0]: must be the name or the number"},
        {LIST, "{\"operations\":[\"1\"]}", "operations[0]: must be the name or the number"},
        {TRANSACTION, "{\"final\":true}", "{\"final\":true}"},
        {TRANSACTION, "{\"final\":false}", "{}"},
        {TRANSACTION, "{\"final\":1}", "final: must be true or false"},
        {TRANSACTION, "{\"final\":\"true\"}", "final: must be true or false"},
        {STORED, "{\"transaction\":\"AP8=\"}", "{\"transaction\":\"AP8=\"}"},
        {STORED, "{\"transaction\":\"AP8\"}", "{\"transaction\":\"AP8=\"}"},
        {STORED, "{\"transaction\":\"A\"}", "transaction: must be base64"},
        {RESPONSE, "{\"results\":[{\"error\":{\"details\":[{}]}}]}",
         "results[0].error.details[0]: must not be given in JSON"},
    };
    CHECK(rows);
}

static void a_command_holds_one_operation(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {SUBMIT, "{\"commands\":[{\"add\":{}},{\"cancel\":{}},{}]}",
         "{\"commands\":[{\"add\":{}},{\"cancel\":{}},{}]}"},
        {SUBMIT, "{\"commands\":[{\"add\":{},\"cancel\":{}}]}",
         "commands[0].cancel: must not be given beside add"},
        {SUBMIT, "{\"commands\":[{},{\"cancel\":{},\"add\":{}}]}",
         "commands[1].add: must not be given beside cancel"},
        {SUBMIT, "{\"commands\":[{\"add\":null,\"cancel\":{}}]}",
         "{\"commands\":[{\"cancel\":{}}]}"},
    };
    CHECK(rows);
}

static void a_body_is_one_object_of_json(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONSUME, "", ": must be a JSON object"},
        {CONSUME, " \n", ": must be a JSON object"},
        {CONSUME, "[]", ": must be an object"},
        {CONSUME, "null", ": must be an object"},
        {CONSUME, "\"\"", ": must be an object"},
        {CONSUME, "1", ": must be an object"},
        {CONSUME, "{}{}", ": must end with the JSON object"},
        {CONSUME, "{} x", ": must end with the JSON object"},
        {CONSUME, "{", ": must be well-formed JSON"},
        {CONSUME, "{\"transactionId\":\"t\",}", ": must be well-formed JSON"},
        {CONSUME, "{'transactionId':'t'}", ": must be well-formed JSON"},
        {CONSUME, "{} // comment", ": must end with the JSON object"},
        {CONSUME, "\xEF\xBB\xBF{}", ": must be well-formed JSON"},
        {CONSUME, "{\"description\":\"", ": must be well-formed JSON"},
        {CONSUME, "{\"description\":\"\\", ": must be well-formed JSON"},
        {CONSUME, "{\"description\":\"a\nb\"}", ": must be well-formed JSON"},
    };
    CHECK(rows);
}

static void text_is_unicode_without_nul(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONSUME, "{\"description\":\"\xE6\xAE\x8B\"}", "{\"description\":\"\xE6\xAE\x8B\"}"},
        {CONSUME, "{\"description\":\"\\u6b8B\"}", "{\"description\":\"\xE6\xAE\x8B\"}"},
        {CONSUME, "{\"description\":\"\\ud83d\\udcb4\"}", "{\"description\":\"\xF0\x9F\x92\xB4\"}"},
        {CONSUME, "{\"description\":\"\\ud83d\"}", ": must be well-formed JSON"},
        {CONSUME, "{\"description\":\"\\udcb4\"}", ": must be well-formed JSON"},
        {CONSUME, "{\"description\":\"\x80\"}", ": must be valid UTF-8"},
        {CONSUME, "{\"description\":\"\xED\xA0\x80\"}", ": must be valid UTF-8"},
        {CONSUME, "{\"transactionId\":\"ab\\u0000cd\"}",
         "transaction_id: must be valid UTF-8 without NUL"},
        {CONSUME, "{\"metadata\":{\"a\":\"\\u0000\"}}",
         "metadata: must be valid UTF-8 without NUL"},
        {CONSUME, "{\"metadata\":{\"a\\u0000b\":\"\"}}", ": must "},
        {CONSUME, "{\"transactionId\\u0000\":\"t\"}", ": must "},
        {CONSUME, "{\"description\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\"}",
         "{\"description\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\"}"},
    };
    CHECK(rows);
    struct base_text raw = BASE_TEXT("{\"description\":\"a\0b\"}");
    assert_true(base_text_starts_with(read_and_write(CONSUME, raw), BASE_TEXT(": must be")));
}

static void times_are_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *time;
        const char *read; /* NULL: refused */
    } rows[] = {
        {"2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z"},
        {"2026-11-23T00:00:00.1Z", "2026-11-23T00:00:00.100Z"},
        {"2026-11-23T00:00:00.123456Z", "2026-11-23T00:00:00.123456Z"},
        {"2026-11-23T00:00:00.123400Z", "2026-11-23T00:00:00.123400Z"},
        {"2026-11-23T00:00:00.123456789Z", "2026-11-23T00:00:00.123456789Z"},
        {"2026-11-23T00:00:00.000000001Z", "2026-11-23T00:00:00.000000001Z"},
        {"2026-11-23T00:00:00.1234567890Z", NULL},
        {"2026-11-23T00:00:00.0000000000Z", NULL},
        {"2026-11-23T00:00:00.Z", NULL},
        {"2026-11-23T09:00:00+09:00", "2026-11-23T00:00:00Z"},
        {"2026-11-22T19:30:00-04:30", "2026-11-23T00:00:00Z"},
        {"2026-11-23T00:00:00-00:00", "2026-11-23T00:00:00Z"},
        {"2026-11-23T00:00:00+24:00", NULL},
        {"2026-11-23T00:00:00+00:60", NULL},
        {"2026-11-23T00:00:00+0900", NULL},
        {"2026-11-23T00:00:00+09", NULL},
        {"2026-11-23T00:00:00", NULL},
        {"2026-11-23T00:00:00z", NULL},
        {"2026-11-23t00:00:00Z", NULL},
        {"2026-11-23 00:00:00Z", NULL},
        {"2026-11-23T00:00Z", NULL},
        {"2026-11-23", NULL},
        {"2026-11-23T00:00:00Z ", NULL},
        {" 2026-11-23T00:00:00Z", NULL},
        {"", NULL},
        {"2026-11-23T23:59:59Z", "2026-11-23T23:59:59Z"},
        {"2026-12-31T23:59:60Z", NULL},
        {"2026-11-23T24:00:00Z", NULL},
        {"2026-11-23T00:60:00Z", NULL},
        {"2026-00-01T00:00:00Z", NULL},
        {"2026-13-01T00:00:00Z", NULL},
        {"2026-11-00T00:00:00Z", NULL},
        {"2026-11-31T00:00:00Z", NULL},
        {"2026-02-29T00:00:00Z", NULL},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
        {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
        {"1900-02-29T00:00:00Z", NULL},
        {"1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
        {"0001-01-01T00:00:00+00:01", NULL},
        {"0000-12-31T23:59:00-00:01", NULL},
        {"9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"},
        {"9999-12-31T23:59:59-00:01", NULL},
        {"+2026-11-23T00:00:00Z", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text got =
            read_and_write(LIST, base_arena_print(&arena, "{\"startTime\":\"%s\"}", rows[i].time));
        struct base_text expected =
            rows[i].read == NULL
                ? BASE_TEXT("start_time: must be an RFC 3339 time")
                : base_arena_print(&arena, "{\"startTime\":\"%s\",\"pageSize\":0}", rows[i].read);
        if (!base_text_starts_with(got, expected)) {
            fail_msg("%s gave %.*s", rows[i].time, BASE_TEXT_ARGS(got));
        }
    }
    static const struct row number[] = {{LIST, "{\"startTime\":0}", "start_time: "}};
    CHECK(number);
}

static void every_day_has_its_date(void **state)
{
    (void)state;
    int64_t day_us = INT64_C(86400000000);
    int year = 1;
    int month = 1;
    int day = 1;
    for (int64_t time_us = BASE_TIME_MIN_US; time_us <= BASE_TIME_MAX_US; time_us += day_us) {
        struct base_text expected =
            base_arena_print(&arena, "%04d-%02d-%02dT00:00:00.000000Z", year, month, day);
        assert_true(base_text_equal(api_time_text(&arena, time_us), expected));
        bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        int days = month == 2                                              ? (leap ? 29 : 28)
                   : month == 4 || month == 6 || month == 9 || month == 11 ? 30
                                                                           : 31;
        if (++day > days) {
            day = 1;
            month = month == 12 ? 1 : month + 1;
            year += month == 1;
            base_arena_reset(&arena);
        }
    }
    assert_int_equal(year, 10000);
    assert_true(base_text_equal(api_time_text(&arena, BASE_TIME_MAX_US),
                                BASE_TEXT("9999-12-31T23:59:59.999999Z")));
    assert_true(
        base_text_equal(api_time_text(&arena, -1), BASE_TEXT("1969-12-31T23:59:59.999999Z")));
}

static void the_size_of_a_body_is_bounded(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        /* The object and the list are values as well. */
        size_t n_kinds = BASE_ELEMENTS_MAX - 2 + more;
        struct base_writer body = {NULL, 0, 0};
        base_write_bytes(&body, base_bytes_of(BASE_TEXT("{\"kinds\":[\"\"")));
        for (size_t i = 1; i < n_kinds; i++) {
            base_write_bytes(&body, base_bytes_of(BASE_TEXT(",\"\"")));
        }
        base_write_bytes(&body, base_bytes_of(BASE_TEXT("]}")));
        struct base_text got = read_and_write(LIST, base_text_from(base_writer_bytes(&body)));
        assert_int_equal(base_text_starts_with(got, BASE_TEXT(": must have at most 163840 values")),
                         more == 1);
        base_writer_release(&body);
    }
    static const struct row rows[] = {
        {CONSUME, "{\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}", "x: must be a field"},
        {CONSUME, "{\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", ": must nest at most 16 levels"},
    };
    CHECK(rows);
}

static void the_examples_of_the_api_come_out_byte_for_byte(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONSUME,
         "{\"transactionId\":\"order-8812-pay\",\"accountId\":\"alice\",\"amounts\":[{\"kind\":"
         "\"points\",\"amount\":\"100\"},{\"kind\":\"money\",\"amount\":500}]}",
         "{\"transactionId\":\"order-8812-pay\",\"accountId\":\"alice\",\"amounts\":[{\"kind\":"
         "\"points\",\"amount\":\"100\"},{\"kind\":\"money\",\"amount\":\"500\"}]}"},
        {TRANSACTION,
         "{\"createTime\":\"2026-11-23T00:00:00.123456Z\",\"legs\":[{\"amount\":-100,\"kind\":"
         "\"points\",\"accountId\":\"alice\"},{\"accountId\":\"alice\",\"kind\":\"money\","
         "\"amount\":\"-500\"}],\"state\":1,\"operation\":2,\"accountId\":\"alice\","
         "\"transactionId\":\"order-8812-pay\"}",
         "{\"transactionId\":\"order-8812-pay\",\"state\":\"STATE_SUCCEEDED\",\"operation\":"
         "\"OPERATION_CONSUME\",\"accountId\":\"alice\",\"legs\":[{\"accountId\":\"alice\","
         "\"kind\":\"points\",\"amount\":\"-100\"},{\"accountId\":\"alice\",\"kind\":\"money\","
         "\"amount\":\"-500\"}],\"createTime\":\"2026-11-23T00:00:00.123456Z\"}"},
        {&zandaka__v1__account_balance__descriptor,
         "{\"accountId\":\"alice\",\"balances\":[{\"kind\":\"points\",\"available\":900},{\"kind\":"
         "\"money\"}]}",
         "{\"accountId\":\"alice\",\"balances\":[{\"kind\":\"points\",\"available\":\"900\","
         "\"held\":\"0\"},{\"kind\":\"money\",\"available\":\"0\",\"held\":\"0\"}]}"},
        {RESPONSE,
         "{\"results\":[{\"transaction\":{\"transactionId\":\"t\"},\"replayed\":true},{\"error\":{"
         "}}]}",
         "{\"results\":[{\"transaction\":{\"transactionId\":\"t\"},\"replayed\":true},{\"error\":{"
         "\"code\":0}}]}"},
        {&zandaka__v1__entry__descriptor, "{}",
         "{\"sequence\":\"0\",\"amount\":\"0\",\"balanceAfter\":\"0\",\"heldAmount\":\"0\","
         "\"heldAfter\":\"0\"}"},
    };
    CHECK(rows);
}

static Google__Protobuf__Any any_of(const char *type_url, const ProtobufCMessage *detail)
{
    struct base_bytes packed = api_codec_pack(&arena, detail);
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.type_url = (char *)type_url;
    any.value = (ProtobufCBinaryData){packed.length, (uint8_t *)packed.bytes};
    return any;
}

static void error_details_are_readable(void **state)
{
    (void)state;
    Google__Rpc__ErrorInfo__MetadataEntry retry = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry applied = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *labels[] = {&retry, &applied};
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    retry.key = (char *)"retry";
    retry.value = (char *)"never";
    applied.key = (char *)"applied";
    applied.value = (char *)"no";
    info.reason = (char *)"INVALID_REQUEST";
    info.domain = (char *)"zandaka";
    info.n_metadata = 2;
    info.metadata = labels;
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Rpc__RetryInfo retry_info = GOOGLE__RPC__RETRY_INFO__INIT;
    delay.seconds = 1;
    delay.nanos = 100000000;
    retry_info.retry_delay = &delay;
    Google__Protobuf__Any anys[] = {
        any_of("type.googleapis.com/google.rpc.ErrorInfo", &info.base),
        any_of("type.googleapis.com/google.rpc.RetryInfo", &retry_info.base),
        any_of("type.googleapis.com/elsewhere.Unknown", &delay.base),
    };
    Google__Protobuf__Any *details[] = {&anys[0], &anys[1], &anys[2]};
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.code = 3;
    status.message = (char *)"wrong";
    status.n_details = 3;
    status.details = details;
    struct base_text json = api_codec_to_json(&arena, &status.base);
    assert_string_equal(
        json.bytes,
        "{\"code\":3,\"message\":\"wrong\",\"details\":[{\"@type\":\"type.googleapis.com/"
        "google.rpc.ErrorInfo\",\"reason\":\"INVALID_REQUEST\",\"domain\":\"zandaka\","
        "\"metadata\":{\"applied\":\"no\",\"retry\":\"never\"}},{\"@type\":"
        "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"1.100s\"},{\"@type\":"
        "\"type.googleapis.com/elsewhere.Unknown\",\"value\":\"CAEQgMLXLw==\"}]}");
}

/* Reads and writes a body on a thread of its own. NULL: it came back each time. */
static void *read_often(void *context)
{
    static const char body[] = "{\"description\":\"d\",\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}";
    (void)context;
    struct base_arena own = BASE_ARENA_EMPTY;
    void *failed = NULL;
    for (int i = 0; i < 500; i++) {
        struct api_codec_error error;
        const ProtobufCMessage *message =
            api_codec_from_json(&own, CONSUME, base_text_of(body), &error);
        if (message == NULL ||
            !base_text_equal(api_codec_to_json(&own, message), base_text_of(body))) {
            failed = (void *)body;
        }
        base_arena_reset(&own);
    }
    base_arena_release(&own);
    return failed;
}

static void threads_read_side_by_side(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void what_a_newer_server_adds_can_be_written(void **state)
{
    (void)state;
    Zandaka__V1__Transaction transaction = ZANDAKA__V1__TRANSACTION__INIT;
    transaction.operation = (Zandaka__V1__Operation)99;
    assert_string_equal(api_codec_to_json(&arena, &transaction.base).bytes, "{\"operation\":99}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_read_side_by_side), /* first: jansson is set up by one of them */
        cmocka_unit_test_teardown(both_names_are_read_but_each_field_once, release_arena),
        cmocka_unit_test_teardown(an_unknown_field_is_refused_by_its_path, release_arena),
        cmocka_unit_test_teardown(integers_are_plain_digits, release_arena),
        cmocka_unit_test_teardown(the_first_odd_number_is_found_wherever_it_stands, release_arena),
        cmocka_unit_test_teardown(values_have_their_fields_type, release_arena),
        cmocka_unit_test_teardown(a_command_holds_one_operation, release_arena),
        cmocka_unit_test_teardown(a_body_is_one_object_of_json, release_arena),
        cmocka_unit_test_teardown(text_is_unicode_without_nul, release_arena),
        cmocka_unit_test_teardown(times_are_rfc_3339, release_arena),
        cmocka_unit_test_teardown(every_day_has_its_date, release_arena),
        cmocka_unit_test_teardown(the_size_of_a_body_is_bounded, release_arena),
        cmocka_unit_test_teardown(the_examples_of_the_api_come_out_byte_for_byte, release_arena),
        cmocka_unit_test_teardown(error_details_are_readable, release_arena),
        cmocka_unit_test_teardown(what_a_newer_server_adds_can_be_written, release_arena),
    };
    return cmocka_run_group_tests_name("codec: JSON", tests, NULL, NULL);
}
