/* Text: making, comparing, and checking what it is made of. Cursors are in cursor.c, hashes and
 * base64 in encoding.c. */
#include "base/base.h"

#include <string.h>

struct base_text base_text_of(const char *string)
{
    return (struct base_text){string, string == NULL ? 0 : strlen(string)};
}

bool base_text_equal(struct base_text a, struct base_text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

bool base_bytes_equal(struct base_bytes a, struct base_bytes b)
{
    return base_text_equal(base_text_from(a), base_text_from(b));
}

/* strchr finds the end of the list too, and a NUL in a text is no space. */
static bool is_one_of(const char *spaces, char byte)
{
    return byte != '\0' && strchr(spaces, byte) != NULL;
}

struct base_text base_text_trim(struct base_text text, const char *spaces)
{
    while (text.length > 0 && is_one_of(spaces, text.bytes[0])) {
        text.bytes++;
        text.length--;
    }
    while (text.length > 0 && is_one_of(spaces, text.bytes[text.length - 1])) {
        text.length--;
    }
    return text;
}

bool base_text_starts_with(struct base_text text, struct base_text prefix)
{
    return text.length >= prefix.length &&
           base_text_equal((struct base_text){text.bytes, prefix.length}, prefix);
}

int base_text_compare(struct base_text a, struct base_text b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.bytes, b.bytes, shorter);
    if (order != 0) {
        return order;
    }
    return (a.length > b.length) - (a.length < b.length);
}

static char ascii_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool base_text_equal_ignoring_case(struct base_text a, struct base_text b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (ascii_lower(a.bytes[i]) != ascii_lower(b.bytes[i])) {
            return false;
        }
    }
    return true;
}

/* Bytes of the well-formed sequence at the front (RFC 3629, section 4), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *bytes, size_t length)
{
    uint8_t first = bytes[0];
    uint8_t second_min = 0x80;
    uint8_t second_max = 0xBF;
    size_t size;
    if (first < 0x80) {
        return first == 0 ? 0 : 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        size = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        size = 3;
        second_min = first == 0xE0 ? 0xA0 : 0x80;
        second_max = first == 0xED ? 0x9F : 0xBF;
    } else if (first >= 0xF0 && first <= 0xF4) {
        size = 4;
        second_min = first == 0xF0 ? 0x90 : 0x80;
        second_max = first == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (length < size || bytes[1] < second_min || bytes[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool base_text_is_utf8(struct base_text text)
{
    const uint8_t *bytes = (const uint8_t *)text.bytes;
    size_t at = 0;
    while (at < text.length) {
        size_t size = utf8_sequence(bytes + at, text.length - at);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

bool base_text_is_printable_ascii(struct base_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < 0x21 || text.bytes[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

bool base_text_to_int64(struct base_text text, int64_t *ret_value)
{
    bool negative = text.length > 0 && text.bytes[0] == '-';
    size_t first = negative ? 1 : 0;
    if (first == text.length) {
        return false;
    }
    if (text.bytes[first] == '0' && (text.length > first + 1 || negative)) {
        return false;
    }
    /* Summed up below zero, where int64 reaches one further. */
    int64_t value = 0;
    for (size_t i = first; i < text.length; i++) {
        char byte = text.bytes[i];
        if (byte < '0' || byte > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, byte - '0', &value)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow(INT64_C(0), value, &value)) {
        return false;
    }
    *ret_value = value;
    return true;
}
