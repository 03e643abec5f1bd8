/*
 * Messages as ProtoJSON on one line, straight from their descriptors. This is the way of every JSON
 * answer, so nothing is built in between: one pass over the message, one growing buffer.
 */
#include "api/codec_field.h"

#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <google/rpc/error_details.pb-c.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits of an int64, with its sign. */
#define NUMBER_MAX_BYTES 20

struct json_writer {
    struct base_arena *arena; /* for what a message must be looked through with */
    struct base_writer text;
};

static void write_fields(struct json_writer *writer, const ProtobufCMessage *message,
                         const char *separator);
static void write_value(struct json_writer *writer, const ProtobufCFieldDescriptor *field,
                        const void *value);

static void write_text(struct json_writer *writer, struct base_text text)
{
    base_write_bytes(&writer->text, base_bytes_of(text));
}

static void write_byte(struct json_writer *writer, char byte)
{
    base_write_u8(&writer->text, (uint8_t)byte);
}

/* --- leaves --- */

static void write_escape(struct json_writer *writer, char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = memchr(plain, byte, sizeof plain - 1);
    if (found != NULL) {
        write_byte(writer, '\\');
        write_byte(writer, letters[found - plain]);
        return;
    }
    write_text(writer, BASE_TEXT("\\u00"));
    write_byte(writer, hex[(unsigned char)byte >> 4]);
    write_byte(writer, hex[byte & 0xF]);
}

static void write_string(struct json_writer *writer, const char *string)
{
    write_byte(writer, '"');
    const char *begin = string;
    for (; *string != '\0'; string++) {
        char byte = *string;
        if ((unsigned char)byte < 0x20 || byte == '"' || byte == '\\') {
            write_text(writer, (struct base_text){begin, (size_t)(string - begin)});
            write_escape(writer, byte);
            begin = string + 1;
        }
    }
    write_text(writer, (struct base_text){begin, (size_t)(string - begin)});
    write_byte(writer, '"');
}

static void write_number(struct json_writer *writer, int64_t number)
{
    char digits[NUMBER_MAX_BYTES];
    size_t first = sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        digits[--first] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0) {
        digits[--first] = '-';
    }
    write_text(writer, (struct base_text){digits + first, sizeof digits - first});
}

static void write_enum(struct json_writer *writer, const ProtobufCFieldDescriptor *field,
                       int32_t number)
{
    const ProtobufCEnumValue *value = api_codec_enum_value(field, number);
    if (value == NULL) { /* a newer server's */
        write_number(writer, number);
        return;
    }
    write_string(writer, value->name);
}

static void write_bytes(struct json_writer *writer, const ProtobufCBinaryData *bytes)
{
    write_byte(writer, '"');
    write_text(writer,
               base_base64_encode(writer->arena, (struct base_bytes){bytes->data, bytes->len},
                                  BASE_BASE64_PADDED));
    write_byte(writer, '"');
}

/* `transaction_id` as "transactionId": */
static void write_name(struct json_writer *writer, const char *name)
{
    write_byte(writer, '"');
    for (char letter = api_codec_camel_next(&name); letter != '\0';
         letter = api_codec_camel_next(&name)) {
        write_byte(writer, letter);
    }
    write_text(writer, BASE_TEXT("\":"));
}

/* --- messages that ProtoJSON writes in a form of their own --- */

static void write_timestamp(struct json_writer *writer, const ProtobufCMessage *message)
{
    const Google__Protobuf__Timestamp *time = (const Google__Protobuf__Timestamp *)message;
    char buffer[API_CODEC_TIME_TEXT_BYTES];
    size_t length = api_codec_time_to_text(time->seconds, time->nanos, 0, buffer);
    write_byte(writer, '"');
    write_text(writer, (struct base_text){buffer, length});
    write_byte(writer, '"');
}

static void write_duration(struct json_writer *writer, const ProtobufCMessage *message)
{
    const Google__Protobuf__Duration *duration = (const Google__Protobuf__Duration *)message;
    char buffer[API_CODEC_TIME_TEXT_BYTES];
    size_t length = api_codec_duration_to_text(duration->seconds, duration->nanos, buffer);
    write_byte(writer, '"');
    write_text(writer, (struct base_text){buffer, length});
    write_byte(writer, '"');
}

ProtobufCMessage *api_codec_unpack_detail(struct base_arena *arena,
                                          const Google__Protobuf__Any *any)
{
    static const ProtobufCMessageDescriptor *const details[] = {
        &google__rpc__error_info__descriptor,
        &google__rpc__bad_request__descriptor,
        &google__rpc__retry_info__descriptor,
    };
    struct base_text url = base_text_of(any->type_url);
    struct base_text prefix = BASE_TEXT("type.googleapis.com/");
    if (!base_text_starts_with(url, prefix)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        if (strcmp(any->type_url + prefix.length, details[i]->name) == 0) {
            struct api_codec_error ignored;
            return api_codec_unpack(arena, details[i],
                                    (struct base_bytes){any->value.data, any->value.len},
                                    API_CODEC_PASS_UNKNOWN, &ignored);
        }
    }
    return NULL;
}

static void write_any(struct json_writer *writer, const ProtobufCMessage *message)
{
    const Google__Protobuf__Any *any = (const Google__Protobuf__Any *)message;
    write_text(writer, BASE_TEXT("{\"@type\":"));
    write_string(writer, any->type_url);
    const ProtobufCMessage *detail = api_codec_unpack_detail(writer->arena, any);
    if (detail != NULL) {
        write_fields(writer, detail, ",");
    } else if (any->value.len > 0) {
        write_text(writer, BASE_TEXT(",\"value\":"));
        write_bytes(writer, &any->value);
    }
    write_byte(writer, '}');
}

/* --- any message --- */

static void write_message(struct json_writer *writer, const ProtobufCMessage *message)
{
    if (message->descriptor == &google__protobuf__timestamp__descriptor) {
        write_timestamp(writer, message);
    } else if (message->descriptor == &google__protobuf__duration__descriptor) {
        write_duration(writer, message);
    } else if (message->descriptor == &google__protobuf__any__descriptor) {
        write_any(writer, message);
    } else {
        write_byte(writer, '{');
        write_fields(writer, message, "");
        write_byte(writer, '}');
    }
}

static int compare_entries(const void *left, const void *right)
{
    const ProtobufCMessage *a = *(ProtobufCMessage *const *)left;
    const ProtobufCMessage *b = *(ProtobufCMessage *const *)right;
    const ProtobufCFieldDescriptor *key = &a->descriptor->fields[0];
    return strcmp(*(char *const *)api_codec_value(a, key), *(char *const *)api_codec_value(b, key));
}

/* In the order of the keys, so that a message has one text. */
static void write_map(struct json_writer *writer, size_t n_entries,
                      ProtobufCMessage *const *entries)
{
    ProtobufCMessage **sorted = base_arena_take(writer->arena, n_entries * sizeof entries[0]);
    memcpy(sorted, entries, n_entries * sizeof entries[0]);
    qsort(sorted, n_entries, sizeof sorted[0], compare_entries);
    write_byte(writer, '{');
    for (size_t i = 0; i < n_entries; i++) {
        const ProtobufCFieldDescriptor *fields = sorted[i]->descriptor->fields;
        if (i > 0) {
            write_byte(writer, ',');
        }
        write_value(writer, &fields[0], api_codec_value(sorted[i], &fields[0]));
        write_byte(writer, ':');
        write_value(writer, &fields[1], api_codec_value(sorted[i], &fields[1]));
    }
    write_byte(writer, '}');
}

static void write_list(struct json_writer *writer, const ProtobufCFieldDescriptor *field,
                       size_t n_values, const char *values)
{
    size_t size = api_codec_value_size(field);
    write_byte(writer, '[');
    for (size_t i = 0; i < n_values; i++) {
        if (i > 0) {
            write_byte(writer, ',');
        }
        write_value(writer, field, values + i * size);
    }
    write_byte(writer, ']');
}

static void write_value(struct json_writer *writer, const ProtobufCFieldDescriptor *field,
                        const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        write_string(writer, *(char *const *)value);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(writer, value);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(writer, *(ProtobufCMessage *const *)value);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        write_text(writer,
                   *(const protobuf_c_boolean *)value ? BASE_TEXT("true") : BASE_TEXT("false"));
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(writer, field, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT32:
        write_number(writer, *(const int32_t *)value);
        break;
    default:
        base_assert(field->type == PROTOBUF_C_TYPE_INT64);
        write_byte(writer, '"');
        write_number(writer, *(const int64_t *)value);
        write_byte(writer, '"');
        break;
    }
}

/* Whether a field is written: numbers are always, all else when there is something to say. */
static bool is_written(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const void *value = api_codec_value(message, field);
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return *(const size_t *)api_codec_quantifier(message, field) > 0;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        return *(const uint32_t *)api_codec_quantifier(message, field) == field->id;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return **(char *const *)value != '\0';
    case PROTOBUF_C_TYPE_BYTES:
        return ((const ProtobufCBinaryData *)value)->len > 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)value != NULL;
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)value;
    case PROTOBUF_C_TYPE_ENUM:
        return *(const int32_t *)value != 0;
    default:
        return true;
    }
}

/* `separator` goes before the first field, a comma before every other. */
static void write_fields(struct json_writer *writer, const ProtobufCMessage *message,
                         const char *separator)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (!is_written(message, field)) {
            continue;
        }
        write_text(writer, base_text_of(separator));
        separator = ",";
        write_name(writer, field->name);
        const void *value = api_codec_value(message, field);
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            write_value(writer, field, value);
            continue;
        }
        size_t n_values = *(const size_t *)api_codec_quantifier(message, field);
        if (api_codec_is_map(message->descriptor, field)) {
            write_map(writer, n_values, *(ProtobufCMessage * *const *)value);
        } else {
            write_list(writer, field, n_values, *(char *const *)value);
        }
    }
}

struct base_text api_codec_to_json(struct base_arena *arena, const ProtobufCMessage *message)
{
    struct json_writer writer = {arena, {NULL, 0, 0}};
    write_message(&writer, message);
    struct base_text text = base_arena_text(arena, base_text_from(base_writer_bytes(&writer.text)));
    base_writer_release(&writer.text);
    return text;
}
