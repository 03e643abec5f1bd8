/* Random messages come back from protobuf and from JSON as they were, and bodies that are damaged
 * at random are refused or read, never worse. A failure prints the seed that repeats it. */
#include "api/codec.h"
#include "api/codec_field.h"
#include "every_message.h"

#include <google/protobuf/any.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A generator of its own, so that a seed means the same on every machine (splitmix64). */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t mixed = *seed += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ mixed >> 31;
}

static size_t below(uint64_t *seed, size_t limit)
{
    return (size_t)(next_random(seed) % limit);
}

static ProtobufCMessage *random_message(struct base_arena *arena,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        uint64_t *seed);

static char *random_string(struct base_arena *arena, uint64_t *seed)
{
    static const char *const pieces[] = {"a",
                                         "order-8812",
                                         "\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\x01",
                                         "\x7F",
                                         "\xC3\xA9",
                                         "\xE6\xAE\x8B",
                                         "\xF0\x9F\x92\xB4",
                                         "\xE2\x80\xA8",
                                         "{",
                                         "-0",
                                         " ",
                                         "zandaka:"};
    struct base_text text = BASE_TEXT("");
    for (size_t n = below(seed, 5); n > 0; n--) {
        const char *piece = pieces[below(seed, sizeof pieces / sizeof pieces[0])];
        text = base_arena_print(arena, "%.*s%s", BASE_TEXT_ARGS(text), piece);
    }
    return (char *)base_arena_text(arena, text).bytes;
}

static int64_t random_number(uint64_t *seed)
{
    static const int64_t edges[] = {0,         1,         -1,        INT32_MAX,
                                    INT32_MIN, INT64_MAX, INT64_MIN, INT64_C(1) << 53};
    size_t edge = below(seed, 2 * sizeof edges / sizeof edges[0]);
    return edge < sizeof edges / sizeof edges[0] ? edges[edge]
                                                 : (int64_t)(next_random(seed) >> below(seed, 64));
}

static ProtobufCMessage *random_time(struct base_arena *arena, uint64_t *seed)
{
    static const int32_t units[] = {1, 1000, 1000000, 1000000000};
    Google__Protobuf__Timestamp *time = base_arena_take(arena, sizeof *time);
    google__protobuf__timestamp__init(time);
    time->seconds = (int64_t)(next_random(seed) % UINT64_C(315537897600)) - INT64_C(62135596800);
    int32_t unit = units[below(seed, 4)];
    time->nanos = (int32_t)below(seed, 1000000000) / unit * unit;
    return &time->base;
}

static void random_value(struct base_arena *arena, const ProtobufCFieldDescriptor *field,
                         uint64_t *seed, void *ret_value)
{
    const ProtobufCEnumDescriptor *values = field->descriptor;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)ret_value = random_string(arena, seed);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)ret_value =
            (ProtobufCBinaryData){below(seed, 9), base_arena_take(arena, 9)};
        memset(((ProtobufCBinaryData *)ret_value)->data, (int)below(seed, 256), 9);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)ret_value = random_message(arena, field->descriptor, seed);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)ret_value = (protobuf_c_boolean)below(seed, 2);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        *(int32_t *)ret_value = values->values[below(seed, values->n_values)].value;
        break;
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *)ret_value = (int32_t)(uint32_t)random_number(seed);
        break;
    default:
        *(int64_t *)ret_value = random_number(seed);
        break;
    }
}

/* A map's entries, with keys that differ and are in order, as JSON gives them back. */
static void put_keys_in_order(struct base_arena *arena, size_t n_entries,
                              ProtobufCMessage *const *entries)
{
    for (size_t i = 0; i < n_entries; i++) {
        const char *key = base_arena_print(arena, "key-%zu", i).bytes;
        memcpy((char *)entries[i] + entries[i]->descriptor->fields[0].offset, &key, sizeof key);
    }
}

static ProtobufCMessage *random_message(struct base_arena *arena,
                                        const ProtobufCMessageDescriptor *descriptor,
                                        uint64_t *seed)
{
    if (descriptor == &google__protobuf__timestamp__descriptor) {
        return random_time(arena, seed);
    }
    ProtobufCMessage *message = api_codec_new_message(arena, descriptor);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        char *value = (char *)message + field->offset;
        char *quantifier = (char *)message + field->quantifier_offset;
        /* An Any is written for people and not read from JSON. */
        if (below(seed, 3) == 0 || field->descriptor == &google__protobuf__any__descriptor) {
            continue;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n_values = below(seed, 4);
            size_t size = api_codec_value_size(field);
            char *values = base_arena_take_zeroed(arena, n_values, size);
            for (size_t n = 0; n < n_values; n++) {
                random_value(arena, field, seed, values + n * size);
            }
            if (api_codec_is_map(descriptor, field)) {
                put_keys_in_order(arena, n_values, (ProtobufCMessage *const *)(void *)values);
            }
            memcpy(quantifier, &n_values, sizeof n_values);
            memcpy(value, &values, sizeof values);
        } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
            random_value(arena, field, seed, value);
        } else if (*(const uint32_t *)api_codec_quantifier(message, field) == 0) {
            random_value(arena, field, seed, value);
            memcpy(quantifier, &field->id, sizeof field->id);
        }
    }
    return message;
}

static void check_round_trip(struct base_arena *arena, uint64_t seed)
{
    uint64_t random = seed;
    const ProtobufCMessageDescriptor *descriptor = messages[seed % N_MESSAGES];
    struct base_bytes packed = api_codec_pack(arena, random_message(arena, descriptor, &random));
    struct api_codec_error error = {BASE_TEXT(""), BASE_TEXT("")};
    const ProtobufCMessage *unpacked =
        api_codec_unpack(arena, descriptor, packed, API_CODEC_REFUSE_UNKNOWN, &error);
    if (unpacked == NULL || !base_bytes_equal(api_codec_pack(arena, unpacked), packed)) {
        fail_msg("seed %llu: protobuf: %.*s: %.*s", (unsigned long long)seed,
                 BASE_TEXT_ARGS(error.field), BASE_TEXT_ARGS(error.message));
    }
    struct base_text json = api_codec_to_json(arena, unpacked);
    const ProtobufCMessage *read = api_codec_from_json(arena, descriptor, json, &error);
    if (read == NULL || !base_bytes_equal(api_codec_pack(arena, read), packed)) {
        fail_msg("seed %llu: %.*s: %.*s: %.*s", (unsigned long long)seed, BASE_TEXT_ARGS(json),
                 BASE_TEXT_ARGS(error.field), BASE_TEXT_ARGS(error.message));
    }
}

static void random_messages_come_back_as_they_were(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        check_round_trip(&arena, seed);
        base_arena_reset(&arena);
    }
    base_arena_release(&arena);
}

/* Changes, inserts, removes or repeats some bytes; what comes of it is a copy of exactly its size,
 * so that a read beyond it is seen. */
static struct base_bytes damaged(struct base_bytes bytes, uint64_t *seed)
{
    static const uint8_t telling[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, '"', '\\', '{', '}',
                                      '[',  ']',  ',',  ':',  '-',  '0', 'e',  '.', 0x0A};
    struct base_writer writer = {NULL, 0, 0};
    base_write_bytes(&writer, bytes);
    for (size_t n = 1 + below(seed, 4); n > 0 && writer.length > 0; n--) {
        size_t at = below(seed, writer.length);
        uint8_t *place = writer.bytes + at;
        switch (below(seed, 4)) {
        case 0:
            *place = telling[below(seed, sizeof telling)];
            break;
        case 1:
            *place ^= (uint8_t)(1u << below(seed, 8));
            break;
        case 2:
            memmove(place, place + 1, writer.length - at - 1);
            writer.length--;
            break;
        default: {
            size_t length = 1 + below(seed, writer.length - at);
            uint8_t *room = base_write_room(&writer, length);
            place = writer.bytes + at;
            memmove(place + length, place, (size_t)(room - place));
            break;
        }
        }
    }
    uint8_t *exact = base_allocate(writer.length);
    if (writer.length > 0) {
        memcpy(exact, writer.bytes, writer.length);
    }
    struct base_bytes result = {exact, writer.length};
    base_writer_release(&writer);
    return result;
}

/* What was read must be writable, and read again as the same. What was refused must say why in
 * text that a message can hold. */
static void check_reading(struct base_arena *arena, const ProtobufCMessageDescriptor *descriptor,
                          const ProtobufCMessage *message, const struct api_codec_error *error)
{
    if (message == NULL) {
        assert_true(error->message.length > 0 && base_text_is_utf8(error->message));
        assert_true(base_text_is_utf8(error->field));
        return;
    }
    struct api_codec_error again;
    struct base_bytes packed = api_codec_pack(arena, message);
    const ProtobufCMessage *unpacked =
        api_codec_unpack(arena, descriptor, packed, API_CODEC_PASS_UNKNOWN, &again);
    assert_non_null(unpacked);
    assert_true(
        base_text_equal(api_codec_to_json(arena, message), api_codec_to_json(arena, unpacked)));
}

static void damaged_bodies_are_refused_or_read(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    size_t n_refused = 0;
    for (uint64_t seed = 1; seed <= 50000; seed++) {
        uint64_t random = seed;
        const ProtobufCMessageDescriptor *descriptor = messages[seed % N_MESSAGES];
        const ProtobufCMessage *original = random_message(&arena, descriptor, &random);
        struct api_codec_error error = {BASE_TEXT(""), BASE_TEXT("")};
        const ProtobufCMessage *message;
        struct base_bytes body;
        if (seed % 2 == 0) {
            body = damaged(api_codec_pack(&arena, original), &random);
            message = api_codec_unpack(
                &arena, descriptor, body,
                seed % 4 == 0 ? API_CODEC_REFUSE_UNKNOWN : API_CODEC_PASS_UNKNOWN, &error);
        } else {
            struct base_text json = api_codec_to_json(&arena, original);
            body = damaged(base_bytes_of(json), &random);
            message = api_codec_from_json(&arena, descriptor, base_text_from(body), &error);
        }
        check_reading(&arena, descriptor, message, &error);
        n_refused += message == NULL;
        free((void *)body.bytes);
        base_arena_reset(&arena);
    }
    base_arena_release(&arena);
    /* Both ways must have been gone often for this to have tested anything. */
    assert_in_range(n_refused, 5000, 49000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_messages_come_back_as_they_were),
        cmocka_unit_test(damaged_bodies_are_refused_or_read),
    };
    return cmocka_run_group_tests_name("codec: round trips", tests, NULL, NULL);
}
