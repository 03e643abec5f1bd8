/* Hashes (xxHash, Nettle), hexadecimal, and base64 (Nettle). */
#include "base/base.h"

#include <nettle/base16.h>
#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <string.h>
#include <xxhash.h>

uint64_t base_hash(struct base_bytes bytes)
{
    return XXH3_64bits(bytes.bytes, bytes.length);
}

void base_sha256(struct base_bytes bytes, uint8_t ret_digest[BASE_SHA256_BYTES])
{
    static_assert(BASE_SHA256_BYTES == SHA256_DIGEST_SIZE, "the digest's size");
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, bytes.length, bytes.bytes);
    sha256_digest(&context, BASE_SHA256_BYTES, ret_digest);
}

bool base_equal_secret(const void *a, const void *b, size_t length)
{
    return memeql_sec(a, b, length) != 0;
}

struct base_text base_hex_encode(struct base_arena *arena, struct base_bytes bytes)
{
    char *text = base_arena_take(arena, BASE16_ENCODE_LENGTH(bytes.length));
    base16_encode_update(text, bytes.length, bytes.bytes);
    return (struct base_text){text, BASE16_ENCODE_LENGTH(bytes.length)};
}

int base_hex_digit(char byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

bool base_hex_decode(struct base_text text, size_t length, uint8_t *ret_bytes)
{
    if (text.length != length * 2) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        int high = base_hex_digit(text.bytes[2 * i]);
        int low = base_hex_digit(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
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
