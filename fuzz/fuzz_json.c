/*
 * JSON bodies: the first byte names the message. What is read is written again as the same, in JSON
 * and in protobuf; what is refused says why in text that an error can carry.
 */
#include "api/codec.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return -1;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    const ProtobufCMessageDescriptor *descriptor = fuzz_message_of(bytes[0]);
    struct api_codec_error error = {BASE_TEXT(""), BASE_TEXT("")};
    const ProtobufCMessage *message = api_codec_from_json(
        &arena, descriptor, (struct base_text){(const char *)bytes + 1, length - 1}, &error);
    fuzz_check_message(&arena, descriptor, message, true, &error);
    base_arena_release(&arena);
    return 0;
}
