/*
 * Protobuf bodies. protobuf-c cuts strings at a NUL, does not look at UTF-8, lets the last of two
 * values win, and asks for a hundred times the body's size; so a body is walked by its descriptor
 * first, and what this refuses is never unpacked:
 *
 *   1. tags, lengths and varints that run over the end or their size, field number 0, groups;
 *   2. a wire type that is not the field's, a number beyond the field's range;
 *   3. strings that are not UTF-8 or hold a NUL;
 *   4. a second value of a field that has one, a second member of a oneof, a map key twice;
 *   5. fields, and numbers of enums, that the descriptor does not know, where they might be content
 *      (contract 3.5);
 *   6. more than BASE_ELEMENTS_MAX elements, or deeper than BASE_MESSAGE_DEPTH_MAX;
 *   7. a google.protobuf.Timestamp beyond its range.
 */
#include "api/codec_field.h"

#include <google/protobuf/timestamp.pb-c.h>
#include <stdlib.h>
#include <string.h>

/* Fields of one message, so that a frame has a size. */
#define FIELDS_MAX 64
/* Bytes of a varint: of a value, and of a tag or a length, where protobuf-c reads no more. */
#define VARINT_MAX_BYTES 10
#define TAG_MAX_BYTES 5

struct scan {
    struct base_arena *arena;
    enum api_codec_unknown unknown;
    size_t elements_max;
    size_t n_elements;
    struct api_codec_error *error;
};

/* What stood behind a tag: a number, or a length and its bytes. */
struct scan_value {
    uint64_t number;
    struct base_bytes bytes;
};

/* A map's key, so far. */
struct scan_key {
    const ProtobufCFieldDescriptor *field;
    struct base_text key;
    const struct scan_key *previous;
};

/* One message on the way. */
struct scan_frame {
    const ProtobufCMessageDescriptor *descriptor;
    const struct api_codec_place *place;
    unsigned depth;
    bool is_map_entry; /* its fields have no path of their own */
    /* The last values of fields number 1 and 2: a Timestamp's seconds and nanoseconds, a map
     * entry's key. */
    struct scan_value first;
    struct scan_value second;
    const struct scan_key *keys;
    size_t n_keys;
    uint32_t counts[FIELDS_MAX]; /* values of each field so far */
};

static bool scan_message(struct scan *scan, struct scan_frame *frame, struct base_bytes body);

static bool refuse_malformed(struct scan *scan, const struct api_codec_place *place)
{
    return api_codec_refuse(scan->arena, place, scan->error,
                            "must be a well-formed protobuf message");
}

/* Unlike base_read_varint this takes longer forms than needed, which protobuf allows. */
static bool read_varint(struct base_reader *reader, unsigned bytes_max, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes_max && reader->at < reader->end; i++) {
        uint8_t byte = *reader->at++;
        if (i == VARINT_MAX_BYTES - 1 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool read_fixed(struct base_reader *reader, size_t length, uint64_t *ret_value)
{
    struct base_bytes bytes = base_read_bytes(reader, length);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        value |= (uint64_t)bytes.bytes[i] << (8 * i);
    }
    *ret_value = value;
    return !reader->failed;
}

static bool read_value(struct base_reader *reader, unsigned wire_type, struct scan_value *ret_value)
{
    struct scan_value value = {0};
    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        if (!read_varint(reader, VARINT_MAX_BYTES, &value.number)) {
            return false;
        }
        break;
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        if (!read_fixed(reader, 8, &value.number)) {
            return false;
        }
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        if (!read_fixed(reader, 4, &value.number)) {
            return false;
        }
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!read_varint(reader, TAG_MAX_BYTES, &value.number) || value.number > INT32_MAX) {
            return false;
        }
        value.bytes = base_read_bytes(reader, (size_t)value.number);
        if (reader->failed) {
            return false;
        }
        break;
    default:
        return false; /* groups, which proto3 does not have */
    }
    *ret_value = value;
    return true;
}

static unsigned wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

static bool count_element(struct scan *scan)
{
    if (++scan->n_elements > scan->elements_max) {
        return api_codec_refuse(scan->arena, NULL, scan->error, "must have at most %zu elements",
                                scan->elements_max);
    }
    return true;
}

/* protobuf-c drops the bits that a 32-bit field has no room for. */
static bool scan_number(struct scan *scan, const struct api_codec_place *place,
                        const ProtobufCFieldDescriptor *field, uint64_t number)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        if (number > 1) {
            return api_codec_refuse(scan->arena, place, scan->error, "must be true or false");
        }
        return true;
    case PROTOBUF_C_TYPE_ENUM:
        if (scan->unknown == API_CODEC_REFUSE_UNKNOWN &&
            api_codec_enum_value(field, (int64_t)number) == NULL) {
            return api_codec_refuse(scan->arena, place, scan->error,
                                    "must be a value that the server knows");
        }
        /* fall through */
    case PROTOBUF_C_TYPE_INT32:
        if ((int64_t)number < INT32_MIN || (int64_t)number > INT32_MAX) {
            return api_codec_refuse(scan->arena, place, scan->error,
                                    "must be a number of 32 bits with its sign");
        }
        return true;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_SINT32:
        if (number > UINT32_MAX) {
            return api_codec_refuse(scan->arena, place, scan->error, "must be a number of 32 bits");
        }
        return true;
    default:
        return true;
    }
}

static bool scan_packed(struct scan *scan, struct scan_frame *frame,
                        const ProtobufCFieldDescriptor *field, struct base_bytes bytes)
{
    uint32_t *count = &frame->counts[field - frame->descriptor->fields];
    struct base_reader reader = base_reader_of(bytes);
    while (reader.at < reader.end) {
        struct api_codec_place place = {frame->place, field->name, (*count)++};
        struct scan_value value;
        if (!count_element(scan)) {
            return false;
        }
        if (!read_value(&reader, wire_type_of(field->type), &value)) {
            return refuse_malformed(scan, frame->place);
        }
        if (!scan_number(scan, &place, field, value.number)) {
            return false;
        }
    }
    return true;
}

static bool scan_nested(struct scan *scan, struct scan_frame *frame,
                        const ProtobufCFieldDescriptor *field, const struct api_codec_place *place,
                        struct base_bytes bytes)
{
    struct scan_frame inner;
    inner.descriptor = field->descriptor;
    inner.place = place;
    inner.depth = frame->depth + 1;
    inner.is_map_entry = api_codec_is_map(frame->descriptor, field);
    if (!scan_message(scan, &inner, bytes)) {
        return false;
    }
    if (inner.is_map_entry) {
        base_assert(inner.descriptor->fields[0].type == PROTOBUF_C_TYPE_STRING);
        struct scan_key *key = base_arena_take(scan->arena, sizeof *key);
        *key = (struct scan_key){field, base_text_from(inner.first.bytes), frame->keys};
        frame->keys = key;
        frame->n_keys++;
    }
    return true;
}

/* Whether the field may have one more value, after those before it. */
static bool scan_occurrence(struct scan *scan, const struct scan_frame *frame,
                            const ProtobufCFieldDescriptor *field,
                            const struct api_codec_place *place)
{
    const ProtobufCFieldDescriptor *fields = frame->descriptor->fields;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return true;
    }
    if (frame->counts[field - fields] > 0) {
        return api_codec_refuse(scan->arena, place, scan->error, "must be given once");
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
        return true;
    }
    for (unsigned i = 0; i < frame->descriptor->n_fields; i++) {
        if (frame->counts[i] > 0 && api_codec_same_oneof(&fields[i], field)) {
            return api_codec_refuse(scan->arena, place, scan->error,
                                    "must not be given beside %s: only one of them",
                                    fields[i].name);
        }
    }
    return true;
}

static bool scan_known(struct scan *scan, struct scan_frame *frame,
                       const ProtobufCFieldDescriptor *field, unsigned wire_type,
                       const struct scan_value *value)
{
    uint32_t *count = &frame->counts[field - frame->descriptor->fields];
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    bool indexed = repeated && !api_codec_is_map(frame->descriptor, field);
    struct api_codec_place own = {frame->place, field->name, indexed ? *count : API_CODEC_NO_INDEX};
    const struct api_codec_place *place = frame->is_map_entry ? frame->place : &own;
    if (wire_type != wire_type_of(field->type)) {
        if (repeated && wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
            return scan_packed(scan, frame, field, value->bytes);
        }
        return api_codec_refuse(scan->arena, place, scan->error,
                                "must have the wire type of its field");
    }
    if (!scan_occurrence(scan, frame, field, place)) {
        return false;
    }
    (*count)++;
    if (field->id == 1) {
        frame->first = *value;
    } else if (field->id == 2) {
        frame->second = *value;
    }
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return scan_nested(scan, frame, field, place, value->bytes);
    case PROTOBUF_C_TYPE_STRING:
        if (!base_text_is_utf8(base_text_from(value->bytes))) {
            return api_codec_refuse(scan->arena, place, scan->error,
                                    "must be valid UTF-8 without NUL");
        }
        return true;
    case PROTOBUF_C_TYPE_BYTES:
        return true;
    default:
        return scan_number(scan, place, field, value->number);
    }
}

static bool scan_field(struct scan *scan, struct scan_frame *frame, struct base_reader *reader)
{
    uint64_t tag;
    struct scan_value value;
    if (!count_element(scan)) {
        return false;
    }
    if (!read_varint(reader, TAG_MAX_BYTES, &tag) || tag > UINT32_MAX || tag >> 3 == 0) {
        return refuse_malformed(scan, frame->place);
    }
    unsigned number = (unsigned)(tag >> 3);
    unsigned wire_type = (unsigned)(tag & 7);
    if (!read_value(reader, wire_type, &value)) {
        return refuse_malformed(scan, frame->place);
    }
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(frame->descriptor, number);
    if (field != NULL) {
        return scan_known(scan, frame, field, wire_type, &value);
    }
    if (scan->unknown == API_CODEC_REFUSE_UNKNOWN) {
        return api_codec_refuse(scan->arena, frame->place, scan->error,
                                "must have only fields that the server knows, not number %u",
                                number);
    }
    return true;
}

static int compare_keys(const void *left, const void *right)
{
    const struct scan_key *a = left;
    const struct scan_key *b = right;
    if (a->field != b->field) {
        return a->field < b->field ? -1 : 1;
    }
    return base_text_compare(a->key, b->key);
}

static bool scan_keys(struct scan *scan, const struct scan_frame *frame)
{
    if (frame->n_keys < 2) {
        return true;
    }
    struct scan_key *keys = base_arena_take(scan->arena, frame->n_keys * sizeof *keys);
    size_t n_keys = 0;
    for (const struct scan_key *key = frame->keys; key != NULL; key = key->previous) {
        keys[n_keys++] = *key;
    }
    qsort(keys, n_keys, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n_keys; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) == 0) {
            struct api_codec_place place = {frame->place, keys[i].field->name, API_CODEC_NO_INDEX};
            return api_codec_refuse(scan->arena, &place, scan->error,
                                    "must have each of its keys once");
        }
    }
    return true;
}

/* The caller has filled in the frame up to is_map_entry. */
static bool scan_message(struct scan *scan, struct scan_frame *frame, struct base_bytes body)
{
    base_assert(frame->descriptor->n_fields <= FIELDS_MAX);
    memset(frame->counts, 0, frame->descriptor->n_fields * sizeof frame->counts[0]);
    frame->first = (struct scan_value){0};
    frame->second = (struct scan_value){0};
    frame->keys = NULL;
    frame->n_keys = 0;
    if (frame->depth > BASE_MESSAGE_DEPTH_MAX) {
        return api_codec_refuse(scan->arena, NULL, scan->error, "must nest at most %d levels deep",
                                BASE_MESSAGE_DEPTH_MAX);
    }
    if (body.length == 0) {
        return true;
    }
    struct base_reader reader = base_reader_of(body);
    while (reader.at < reader.end) {
        if (!scan_field(scan, frame, &reader)) {
            return false;
        }
    }
    if (frame->descriptor == &google__protobuf__timestamp__descriptor &&
        !api_codec_time_is_valid((int64_t)frame->first.number, (int64_t)frame->second.number)) {
        return api_codec_refuse(scan->arena, frame->place, scan->error,
                                "must be a time from year 0001 to 9999");
    }
    return scan_keys(scan, frame);
}

/* --- unpacking and packing --- */

static void *allocate_in_arena(void *arena, size_t size)
{
    return base_arena_take(arena, size);
}

static void free_nothing(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

ProtobufCAllocator api_codec_allocator(struct base_arena *arena)
{
    return (ProtobufCAllocator){allocate_in_arena, free_nothing, arena};
}

static ProtobufCMessage *scan_and_unpack(struct scan *scan,
                                         const ProtobufCMessageDescriptor *descriptor,
                                         struct base_bytes body)
{
    struct scan_frame frame;
    frame.descriptor = descriptor;
    frame.place = NULL;
    frame.depth = 1;
    frame.is_map_entry = false;
    if (!scan_message(scan, &frame, body)) {
        return NULL;
    }
    ProtobufCAllocator allocator = api_codec_allocator(scan->arena);
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &allocator, body.length, body.bytes);
    if (message == NULL) { /* a required field of proto2 is missing */
        (void)refuse_malformed(scan, NULL);
    }
    return message;
}

ProtobufCMessage *api_codec_unpack(struct base_arena *arena,
                                   const ProtobufCMessageDescriptor *descriptor,
                                   struct base_bytes body, enum api_codec_unknown unknown,
                                   struct api_codec_error *ret_error)
{
    struct scan scan = {arena, unknown, BASE_ELEMENTS_MAX, 0, ret_error};
    return scan_and_unpack(&scan, descriptor, body);
}

void *api_codec_unpack_answer(struct base_arena *arena,
                              const ProtobufCMessageDescriptor *descriptor, struct base_bytes body)
{
    struct api_codec_error ignored;
    struct scan scan = {arena, API_CODEC_PASS_UNKNOWN, BASE_ANSWER_ELEMENTS_MAX, 0, &ignored};
    return scan_and_unpack(&scan, descriptor, body);
}

struct base_bytes api_codec_pack(struct base_arena *arena, const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = base_arena_take(arena, length);
    size_t packed = protobuf_c_message_pack(message, bytes);
    base_assert(packed == length);
    return (struct base_bytes){bytes, length};
}
