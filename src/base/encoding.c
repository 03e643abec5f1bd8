/* Hashes (xxHash) and base64 (Nettle). */
#include "base/base.h"

#include <nettle/base64.h>
#include <string.h>
#include <xxhash.h>

uint64_t base_hash(struct base_bytes bytes)
{
    return XXH3_64bits(bytes.bytes, bytes.length);
}

struct base_text base_base64_encode(struct base_arena *arena, struct base_bytes bytes,
                                    enum base_base64 form)
{
    struct base64_encode_ctx context;
    if (form == BASE_BASE64_URL_UNPADDED) {
        base64url_encode_init(&context);
    } else {
        base64_encode_init(&context);
    }
    char *text =
        base_arena_take(arena, BASE64_ENCODE_LENGTH(bytes.length) + BASE64_ENCODE_FINAL_LENGTH);
    size_t length = base64_encode_update(&context, text, bytes.length, bytes.bytes);
    length += base64_encode_final(&context, text + length);
    if (form != BASE_BASE64_PADDED) {
        while (length > 0 && text[length - 1] == '=') {
            length--;
        }
    }
    return (struct base_text){text, length};
}

bool base_base64_decode(struct base_arena *arena, struct base_text text, enum base_base64 form,
                        struct base_bytes *ret_bytes)
{
    struct base64_decode_ctx context;
    if (form == BASE_BASE64_URL_UNPADDED) {
        base64url_decode_init(&context);
    } else {
        base64_decode_init(&context);
    }
    /* Nettle passes over white space, which has no place here, and wants the padding. */
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < 0x21) {
            return false;
        }
    }
    uint8_t *bytes = base_arena_take(arena, BASE64_DECODE_LENGTH(text.length) + 3);
    size_t length = 0;
    if (!base64_decode_update(&context, &length, bytes, text.length, text.bytes)) {
        return false;
    }
    bool padded = text.length > 0 && text.bytes[text.length - 1] == '=';
    size_t missing = padded ? 0 : (4 - text.length % 4) % 4;
    if (missing == 3) {
        return false;
    }
    size_t more = 0;
    if (!base64_decode_update(&context, &more, bytes + length, missing, "==") ||
        !base64_decode_final(&context)) {
        return false;
    }
    *ret_bytes = (struct base_bytes){bytes, length + more};
    return true;
}
