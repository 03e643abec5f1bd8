/* The messages that the codec is fuzzed with, and what holds for each that was read. */
#include "../tests/api/every_message.h"
#include "api/codec_field.h"
#include "fuzz.h"

#include <string.h>

const ProtobufCMessageDescriptor *fuzz_message_of(uint8_t number)
{
    return messages[number % N_MESSAGES];
}

/* An Any is written for people; no request has one, and none is read from JSON. */
static bool has_any(const ProtobufCMessageDescriptor *descriptor)
{
    return descriptor == &zandaka__v1__submit_response__descriptor ||
           descriptor == &zandaka__v1__stored__submit_response__descriptor;
}

void fuzz_check_message(struct base_arena *arena, const ProtobufCMessageDescriptor *descriptor,
                        const ProtobufCMessage *message, bool known,
                        const struct api_codec_error *error)
{
    if (message == NULL) {
        base_assert(error->message.length > 0 && base_text_is_utf8(error->message));
        base_assert(base_text_is_utf8(error->field));
        return;
    }
    struct api_codec_error again;
    struct base_bytes packed = api_codec_pack(arena, message);
    const ProtobufCMessage *unpacked =
        api_codec_unpack(arena, descriptor, packed,
                         known ? API_CODEC_REFUSE_UNKNOWN : API_CODEC_PASS_UNKNOWN, &again);
    base_assert(unpacked != NULL);
    base_assert(base_bytes_equal(api_codec_pack(arena, unpacked), packed));
    struct base_text json = api_codec_to_json(arena, message);
    base_assert(base_text_is_utf8(json));
    base_assert(base_text_equal(api_codec_to_json(arena, unpacked), json));
    if (known && !has_any(descriptor)) {
        const ProtobufCMessage *read = api_codec_from_json(arena, descriptor, json, &again);
        base_assert(read != NULL);
        base_assert(base_text_equal(api_codec_to_json(arena, read), json));
    }
}
