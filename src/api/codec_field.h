/*
 * What the parts of the codec share: where in a body one is, how a refusal is told, and what a
 * field's descriptor says that protobuf-c does not say outright.
 *
 *   scan.c        a protobuf body, walked before it is unpacked; api_codec_unpack and _pack
 *   json_survey.c a JSON body, looked over before it is parsed
 *   json_read.c   a JSON body, read into a message
 *   json_write.c  a message, written as JSON
 *   time_text.c   times and durations as text
 *
 * client.c, the client's half of api.h, makes its messages with them too.
 */
#ifndef ZANDAKA_API_CODEC_FIELD_H
#define ZANDAKA_API_CODEC_FIELD_H

#include "api/codec.h"

/* A field on the way to the place where one is. Each stands on the stack of whoever walks into it,
 * so that a path costs nothing until there is something to refuse. NULL is the body itself. */
struct api_codec_place {
    const struct api_codec_place *outer;
    const char *name;
    size_t index; /* of an element; API_CODEC_NO_INDEX: the whole field */
};
#define API_CODEC_NO_INDEX SIZE_MAX

/* Says in *ret_error that what stands at `place` is refused, and why. Always false. */
bool api_codec_refuse(struct base_arena *arena, const struct api_codec_place *place,
                      struct api_codec_error *ret_error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The next letter of a proto's name in lowerCamelCase; '\0': the name has ended. */
char api_codec_camel_next(const char **name);

/* Whether a field is a map: to protobuf-c it is a repeated message like any other. */
bool api_codec_is_map(const ProtobufCMessageDescriptor *message,
                      const ProtobufCFieldDescriptor *field);
/* Whether two fields are members of one oneof: they share the number that tells which is set. */
bool api_codec_same_oneof(const ProtobufCFieldDescriptor *a, const ProtobufCFieldDescriptor *b);
/* Bytes of one value of that field in a message's structure. */
size_t api_codec_value_size(const ProtobufCFieldDescriptor *field);
/* As api_codec_unpack, for an answer that a client has got: it may have more elements than a
 * request, and fields that this version does not know. NULL, or that descriptor's structure. */
void *api_codec_unpack_answer(struct base_arena *arena,
                              const ProtobufCMessageDescriptor *descriptor, struct base_bytes body);

/* An empty message, in the arena. */
ProtobufCMessage *api_codec_new_message(struct base_arena *arena,
                                        const ProtobufCMessageDescriptor *descriptor);
/* An entry of a map from strings, with its key (copied) and no value. */
ProtobufCMessage *api_codec_new_entry(struct base_arena *arena,
                                      const ProtobufCMessageDescriptor *descriptor,
                                      struct base_text key);
/* The value of enum `field` with that number, or NULL. */
const ProtobufCEnumValue *api_codec_enum_value(const ProtobufCFieldDescriptor *field,
                                               int64_t number);

/* Where a field's value, and its quantifier (the count of a repeated field, the set member's number
 * of a oneof), stand in a message. */
static inline const void *api_codec_value(const ProtobufCMessage *message,
                                          const ProtobufCFieldDescriptor *field)
{
    return (const char *)message + field->offset;
}
static inline const void *api_codec_quantifier(const ProtobufCMessage *message,
                                               const ProtobufCFieldDescriptor *field)
{
    return (const char *)message + field->quantifier_offset;
}

/* --- times --- */

/* Whether these make a google.protobuf.Timestamp: years 0001 to 9999, nanoseconds 0 to 999999999.
 */
bool api_codec_time_is_valid(int64_t seconds, int64_t nanos);
/* RFC 3339 as a Timestamp. False: malformed, a leap second, or out of range. */
bool api_codec_time_from_text(struct base_text text, int64_t *ret_seconds, int32_t *ret_nanos);

/* Bytes that a time or a duration takes as text, at most. */
#define API_CODEC_TIME_TEXT_BYTES 40
/* A valid time with 0, 3, 6 or 9 digits of fraction, but at least `digits_min`, and a duration as
 * ProtoJSON has it (`1.5s`), in `buffer`. Gives the length. */
size_t api_codec_time_to_text(int64_t seconds, int32_t nanos, unsigned digits_min,
                              char buffer[API_CODEC_TIME_TEXT_BYTES]);
size_t api_codec_duration_to_text(int64_t seconds, int32_t nanos,
                                  char buffer[API_CODEC_TIME_TEXT_BYTES]);

#endif
