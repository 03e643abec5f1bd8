/*
 * JSON bodies, by jansson and then by the message's descriptor. jansson refuses what is no JSON,
 * repeated keys, invalid UTF-8 and lone surrogates; what it does not refuse, or forgets, is known
 * from the survey before it (json_survey.h).
 */
#include "api/codec_field.h"
#include "api/json_survey.h"

#include <google/protobuf/any.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Fields of one message, so that those given fit one word. */
#define FIELDS_MAX 64
/* Bytes of an unknown field's name that a refusal repeats. */
#define NAME_MAX_BYTES 64

struct json_reader {
    struct base_arena *arena;
    struct api_codec_error *error;
    size_t odd_number; /* as the survey found it */
    size_t n_values;   /* read so far, in the survey's order */
};

static ProtobufCMessage *read_message(struct json_reader *reader,
                                      const ProtobufCMessageDescriptor *descriptor,
                                      const json_t *json, const struct api_codec_place *place);

/* --- parsing --- */

/* For the whole process: jansson has no other way. Before there are threads, since others (a
 * store's) may use jansson too. Memory that runs out stops the process. */
__attribute__((constructor)) static void set_allocator(void)
{
    json_set_alloc_funcs(base_allocate, free);
}

static const char *syntax_message(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_invalid_utf8:
        return "must be valid UTF-8";
    case json_error_duplicate_key:
        return "must have each key of an object once";
    case json_error_null_byte_in_key:
        return "must have no NUL in a key";
    case json_error_numeric_overflow:
        return "must have numbers beyond 2^53 as strings of digits";
    case json_error_end_of_input_expected:
        return "must end with the JSON object";
    default:
        return "must be well-formed JSON";
    }
}

/* jansson's own words are not told: they repeat the body, and may cut a character in two. */
static json_t *parse(struct json_reader *reader, struct base_text body)
{
    json_error_t error;
    /* Whole numbers are read as reals, so that one beyond int64 is found with its path; those up to
     * 2^53 are exact, and others are known from the survey. A NUL is found with its path too. */
    json_t *json = json_loadb(body.bytes, body.length,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL |
                                  JSON_DECODE_INT_AS_REAL,
                              &error);
    if (json == NULL) {
        (void)api_codec_refuse(reader->arena, NULL, reader->error, "%s (line %d, column %d)",
                               syntax_message(&error), error.line, error.column);
    }
    return json;
}

/* --- single values: each counts its value, as the survey did --- */

static bool read_string(struct json_reader *reader, const json_t *json,
                        const struct api_codec_place *place, struct base_text *ret_text)
{
    reader->n_values++;
    if (!json_is_string(json)) {
        return api_codec_refuse(reader->arena, place, reader->error, "must be a string");
    }
    struct base_text text = {json_string_value(json), json_string_length(json)};
    if (memchr(text.bytes, '\0', text.length) != NULL) {
        return api_codec_refuse(reader->arena, place, reader->error,
                                "must be valid UTF-8 without NUL");
    }
    *ret_text = text;
    return true;
}

static bool read_integer(struct json_reader *reader, const json_t *json,
                         const struct api_codec_place *place, int64_t *ret_value)
{
    reader->n_values++;
    if (json_is_real(json) && reader->n_values != reader->odd_number) {
        *ret_value = (int64_t)json_real_value(json);
        return true;
    }
    struct base_text text = {json_string_value(json), json_string_length(json)};
    if (!json_is_string(json) || !base_text_to_int64(text, ret_value)) {
        return api_codec_refuse(reader->arena, place, reader->error,
                                "must be a whole number in plain digits; beyond 2^53 as a string");
    }
    return true;
}

static bool read_int32(struct json_reader *reader, const json_t *json,
                       const struct api_codec_place *place, int32_t *ret_value)
{
    int64_t value = 0;
    if (!read_integer(reader, json, place, &value)) {
        return false;
    }
    if (value < INT32_MIN || value > INT32_MAX) {
        return api_codec_refuse(reader->arena, place, reader->error,
                                "must be a number of 32 bits with its sign");
    }
    *ret_value = (int32_t)value;
    return true;
}

static bool read_enum(struct json_reader *reader, const ProtobufCFieldDescriptor *field,
                      const json_t *json, const struct api_codec_place *place, int32_t *ret_value)
{
    const ProtobufCEnumValue *value = NULL;
    if (json_is_string(json)) {
        struct base_text name = BASE_TEXT("");
        if (!read_string(reader, json, place, &name)) {
            return false;
        }
        value = protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, name.bytes);
    } else {
        int64_t number = 0;
        if (!read_integer(reader, json, place, &number)) {
            return false;
        }
        value = api_codec_enum_value(field, number);
    }
    if (value == NULL) {
        return api_codec_refuse(reader->arena, place, reader->error,
                                "must be the name or the number of a value that the server knows");
    }
    *ret_value = value->value;
    return true;
}

static bool read_bool(struct json_reader *reader, const json_t *json,
                      const struct api_codec_place *place, protobuf_c_boolean *ret_value)
{
    reader->n_values++;
    if (!json_is_boolean(json)) {
        return api_codec_refuse(reader->arena, place, reader->error, "must be true or false");
    }
    *ret_value = json_is_true(json);
    return true;
}

static bool read_bytes(struct json_reader *reader, const json_t *json,
                       const struct api_codec_place *place, ProtobufCBinaryData *ret_value)
{
    struct base_text text = BASE_TEXT("");
    struct base_bytes bytes;
    if (!read_string(reader, json, place, &text)) {
        return false;
    }
    if (!base_base64_decode(reader->arena, text, BASE_BASE64_PADDED, &bytes)) {
        return api_codec_refuse(reader->arena, place, reader->error, "must be base64");
    }
    ret_value->len = bytes.length;
    ret_value->data = base_arena_take(reader->arena, bytes.length);
    memcpy(ret_value->data, bytes.bytes, bytes.length);
    return true;
}

static ProtobufCMessage *read_timestamp(struct json_reader *reader, const json_t *json,
                                        const struct api_codec_place *place)
{
    struct base_text text = BASE_TEXT("");
    int64_t seconds;
    int32_t nanos;
    if (!read_string(reader, json, place, &text)) {
        return NULL;
    }
    if (!api_codec_time_from_text(text, &seconds, &nanos)) {
        (void)api_codec_refuse(reader->arena, place, reader->error,
                               "must be an RFC 3339 time such as 2026-11-23T00:00:00.123456Z");
        return NULL;
    }
    Google__Protobuf__Timestamp *time = base_arena_take(reader->arena, sizeof *time);
    google__protobuf__timestamp__init(time);
    time->seconds = seconds;
    time->nanos = nanos;
    return &time->base;
}

/* Reads one value of a field to where `ret_value` points in a message's structure. */
static bool read_value(struct json_reader *reader, const ProtobufCFieldDescriptor *field,
                       const json_t *json, const struct api_codec_place *place, void *ret_value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        struct base_text text = BASE_TEXT("");
        if (!read_string(reader, json, place, &text)) {
            return false;
        }
        *(const char **)ret_value = base_arena_text(reader->arena, text).bytes;
        return true;
    }
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reader, json, place, ret_value);
    case PROTOBUF_C_TYPE_MESSAGE: {
        ProtobufCMessage *message = read_message(reader, field->descriptor, json, place);
        *(ProtobufCMessage **)ret_value = message;
        return message != NULL;
    }
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(reader, json, place, ret_value);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, field, json, place, ret_value);
    case PROTOBUF_C_TYPE_INT32:
        return read_int32(reader, json, place, ret_value);
    default:
        base_assert(field->type == PROTOBUF_C_TYPE_INT64);
        return read_integer(reader, json, place, ret_value);
    }
}

/* --- lists, maps, messages --- */

static bool read_list(struct json_reader *reader, const ProtobufCFieldDescriptor *field,
                      const json_t *json, const struct api_codec_place *place,
                      ProtobufCMessage *message)
{
    reader->n_values++;
    if (!json_is_array(json)) {
        return api_codec_refuse(reader->arena, place, reader->error, "must be a list");
    }
    size_t n_values = json_array_size(json);
    size_t size = api_codec_value_size(field);
    char *values = base_arena_take_zeroed(reader->arena, n_values, size);
    for (size_t i = 0; i < n_values; i++) {
        struct api_codec_place element = {place->outer, place->name, i};
        if (!read_value(reader, field, json_array_get(json, i), &element, values + i * size)) {
            return false;
        }
    }
    *(size_t *)((char *)message + field->quantifier_offset) = n_values;
    *(char **)((char *)message + field->offset) = values;
    return true;
}

static bool read_map(struct json_reader *reader, const ProtobufCFieldDescriptor *field,
                     json_t *json, const struct api_codec_place *place, ProtobufCMessage *message)
{
    reader->n_values++;
    if (!json_is_object(json)) {
        return api_codec_refuse(reader->arena, place, reader->error, "must be an object");
    }
    const ProtobufCMessageDescriptor *descriptor = field->descriptor;
    size_t n_entries = json_object_size(json);
    ProtobufCMessage **entries = base_arena_take(reader->arena, n_entries * sizeof entries[0]);
    size_t i = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value)
    {
        ProtobufCMessage *entry = api_codec_new_entry(reader->arena, descriptor, base_text_of(key));
        if (!read_value(reader, &descriptor->fields[1], value, place,
                        (char *)entry + descriptor->fields[1].offset)) {
            return false;
        }
        entries[i++] = entry;
    }
    *(size_t *)((char *)message + field->quantifier_offset) = n_entries;
    *(ProtobufCMessage ***)((char *)message + field->offset) = entries;
    return true;
}

static bool read_member(struct json_reader *reader, const ProtobufCFieldDescriptor *field,
                        const json_t *json, const struct api_codec_place *place,
                        ProtobufCMessage *message)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t *set = (uint32_t *)((char *)message + field->quantifier_offset);
        if (*set != 0) {
            return api_codec_refuse(
                reader->arena, place, reader->error,
                "must not be given beside %s: only one of them",
                protobuf_c_message_descriptor_get_field(message->descriptor, *set)->name);
        }
        *set = field->id;
    }
    return read_value(reader, field, json, place, (char *)message + field->offset);
}

static bool read_field(struct json_reader *reader, const ProtobufCFieldDescriptor *field,
                       json_t *json, const struct api_codec_place *outer, ProtobufCMessage *message)
{
    struct api_codec_place place = {outer, field->name, API_CODEC_NO_INDEX};
    if (json_is_null(json)) { /* unset, as ProtoJSON has it */
        reader->n_values++;
        return true;
    }
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return read_member(reader, field, json, &place, message);
    }
    if (api_codec_is_map(message->descriptor, field)) {
        return read_map(reader, field, json, &place, message);
    }
    return read_list(reader, field, json, &place, message);
}

/* Whether `key` is the field's name, as in the proto or in lowerCamelCase. */
static bool is_named(const ProtobufCFieldDescriptor *field, const char *key)
{
    if (strcmp(field->name, key) == 0) {
        return true;
    }
    const char *name = field->name;
    char letter;
    do {
        letter = api_codec_camel_next(&name);
        if (*key++ != letter) {
            return false;
        }
    } while (letter != '\0');
    return true;
}

static bool refuse_unknown(struct json_reader *reader, const char *key,
                           const struct api_codec_place *outer)
{
    size_t length = strnlen(key, NAME_MAX_BYTES + 1);
    if (length > NAME_MAX_BYTES) {
        length = NAME_MAX_BYTES;
        while (length > 0 && ((unsigned char)key[length] & 0xC0) == 0x80) {
            length--; /* not in the middle of a character */
        }
    }
    const char *name = base_arena_text(reader->arena, (struct base_text){key, length}).bytes;
    struct api_codec_place place = {outer, name, API_CODEC_NO_INDEX};
    return api_codec_refuse(reader->arena, &place, reader->error,
                            "must be a field that the server knows");
}

static bool read_fields(struct json_reader *reader, json_t *json,
                        const struct api_codec_place *place, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    base_assert(descriptor->n_fields <= FIELDS_MAX);
    uint64_t given = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value)
    {
        unsigned i = 0;
        while (i < descriptor->n_fields && !is_named(&descriptor->fields[i], key)) {
            i++;
        }
        if (i == descriptor->n_fields) {
            return refuse_unknown(reader, key, place);
        }
        /* jansson has refused equal keys; these are a field's two names. */
        if ((given >> i & 1) != 0) {
            struct api_codec_place twice = {place, descriptor->fields[i].name, API_CODEC_NO_INDEX};
            return api_codec_refuse(reader->arena, &twice, reader->error, "must be given once");
        }
        given |= UINT64_C(1) << i;
        if (!read_field(reader, &descriptor->fields[i], value, place, message)) {
            return false;
        }
    }
    return true;
}

static ProtobufCMessage *read_message(struct json_reader *reader,
                                      const ProtobufCMessageDescriptor *descriptor,
                                      const json_t *json, const struct api_codec_place *place)
{
    if (descriptor == &google__protobuf__timestamp__descriptor) {
        return read_timestamp(reader, json, place);
    }
    /* No request has one of these, so nothing reads their own forms. */
    if (descriptor == &google__protobuf__any__descriptor ||
        descriptor == &google__protobuf__duration__descriptor) {
        (void)api_codec_refuse(reader->arena, place, reader->error, "must not be given in JSON");
        return NULL;
    }
    reader->n_values++;
    if (!json_is_object(json)) {
        (void)api_codec_refuse(reader->arena, place, reader->error, "must be an object");
        return NULL;
    }
    ProtobufCMessage *message = api_codec_new_message(reader->arena, descriptor);
    return read_fields(reader, (json_t *)json, place, message) ? message : NULL;
}

ProtobufCMessage *api_codec_from_json(struct base_arena *arena,
                                      const ProtobufCMessageDescriptor *descriptor,
                                      struct base_text body, struct api_codec_error *ret_error)
{
    struct api_json_survey survey = api_json_survey_of(body);
    if (survey.n_values == 0) {
        (void)api_codec_refuse(arena, NULL, ret_error, "must be a JSON object, {} at the least");
        return NULL;
    }
    if (survey.n_values > BASE_ELEMENTS_MAX) {
        (void)api_codec_refuse(arena, NULL, ret_error, "must have at most %d values",
                               BASE_ELEMENTS_MAX);
        return NULL;
    }
    if (survey.depth_max > BASE_JSON_DEPTH_MAX) {
        (void)api_codec_refuse(arena, NULL, ret_error, "must nest at most %d levels deep",
                               BASE_JSON_DEPTH_MAX);
        return NULL;
    }
    struct json_reader reader = {arena, ret_error, survey.odd_number, 0};
    json_t *json = parse(&reader, body);
    if (json == NULL) {
        return NULL;
    }
    ProtobufCMessage *message = read_message(&reader, descriptor, json, NULL);
    json_decref(json);
    return message;
}
