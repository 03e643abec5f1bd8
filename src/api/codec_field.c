/* Places, refusals, empty messages, and what a field's descriptor says. */
#include "api/codec_field.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a refusal's text: what is wrong and what is allowed, in a sentence. */
#define MESSAGE_MAX_BYTES 256

static struct base_text place_path(struct base_arena *arena, const struct api_codec_place *place)
{
    if (place == NULL) {
        return BASE_TEXT("");
    }
    struct base_text outer = place_path(arena, place->outer);
    const char *dot = outer.length > 0 ? "." : "";
    if (place->index == API_CODEC_NO_INDEX) {
        return base_arena_print(arena, "%.*s%s%s", BASE_TEXT_ARGS(outer), dot, place->name);
    }
    return base_arena_print(arena, "%.*s%s%s[%zu]", BASE_TEXT_ARGS(outer), dot, place->name,
                            place->index);
}

bool api_codec_refuse(struct base_arena *arena, const struct api_codec_place *place,
                      struct api_codec_error *ret_error, const char *format, ...)
{
    char message[MESSAGE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    ret_error->field = place_path(arena, place);
    ret_error->message = base_arena_text(arena, base_text_of(message));
    return false;
}

char api_codec_camel_next(const char **name)
{
    bool raise = **name == '_';
    while (**name == '_') {
        (*name)++;
    }
    char letter = **name;
    if (letter == '\0') {
        return letter;
    }
    (*name)++;
    return raise && letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
}

/* Whether that is what protoc calls the entries of a map field: of `labels`, `LabelsEntry`. */
static bool is_entry_name(const char *entry, const char *field)
{
    char first = api_codec_camel_next(&field);
    if (*entry++ != (first >= 'a' && first <= 'z' ? (char)(first - 'a' + 'A') : first)) {
        return false;
    }
    for (char letter = api_codec_camel_next(&field); letter != '\0';
         letter = api_codec_camel_next(&field)) {
        if (*entry++ != letter) {
            return false;
        }
    }
    return strcmp(entry, "Entry") == 0;
}

bool api_codec_is_map(const ProtobufCMessageDescriptor *message,
                      const ProtobufCFieldDescriptor *field)
{
    if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return false;
    }
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    if (entry->n_fields != 2 || strcmp(entry->fields[0].name, "key") != 0 ||
        strcmp(entry->fields[1].name, "value") != 0) {
        return false;
    }
    size_t outer = strlen(message->name);
    return strncmp(entry->name, message->name, outer) == 0 && entry->name[outer] == '.' &&
           is_entry_name(entry->name + outer + 1, field->name);
}

bool api_codec_same_oneof(const ProtobufCFieldDescriptor *a, const ProtobufCFieldDescriptor *b)
{
    return (a->flags & b->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
           a->quantifier_offset == b->quantifier_offset;
}

size_t api_codec_value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(ProtobufCMessage *);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
        return sizeof(int64_t);
    default:
        /* No message of ours that is read or written as JSON has another type. */
        base_assert(field->type == PROTOBUF_C_TYPE_INT32 || field->type == PROTOBUF_C_TYPE_ENUM);
        return sizeof(int32_t);
    }
}

ProtobufCMessage *api_codec_new_message(struct base_arena *arena,
                                        const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = base_arena_take(arena, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    return message;
}

ProtobufCMessage *api_codec_new_entry(struct base_arena *arena,
                                      const ProtobufCMessageDescriptor *descriptor,
                                      struct base_text key)
{
    base_assert(descriptor->fields[0].type == PROTOBUF_C_TYPE_STRING);
    ProtobufCMessage *entry = api_codec_new_message(arena, descriptor);
    const char *copy = base_arena_text(arena, key).bytes;
    memcpy((char *)entry + descriptor->fields[0].offset, &copy, sizeof copy);
    return entry;
}

const ProtobufCEnumValue *api_codec_enum_value(const ProtobufCFieldDescriptor *field,
                                               int64_t number)
{
    if (number < INT32_MIN || number > INT32_MAX) {
        return NULL;
    }
    return protobuf_c_enum_descriptor_get_value(field->descriptor, (int)number);
}
