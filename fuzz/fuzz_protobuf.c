/*
 * Protobuf bodies (api/scan.c): the first byte names the message. What is read is written again as
 * the same, in both forms. What a write takes, a read takes too, as the same message.
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
    struct base_bytes body = {bytes + 1, length - 1};
    struct api_codec_error error = {BASE_TEXT(""), BASE_TEXT("")};
    const ProtobufCMessage *strict =
        api_codec_unpack(&arena, descriptor, body, API_CODEC_REFUSE_UNKNOWN, &error);
    fuzz_check_message(&arena, descriptor, strict, true, &error);
    const ProtobufCMessage *lenient =
        api_codec_unpack(&arena, descriptor, body, API_CODEC_PASS_UNKNOWN, &error);
    fuzz_check_message(&arena, descriptor, lenient, false, &error);
    if (strict != NULL) {
        base_assert(lenient != NULL);
        base_assert(
            base_bytes_equal(api_codec_pack(&arena, strict), api_codec_pack(&arena, lenient)));
    }
    base_arena_release(&arena);
    return 0;
}
