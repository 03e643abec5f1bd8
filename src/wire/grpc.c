#include "wire/grpc.h"

#include "wire/protocol.h"

#include <stdio.h>
#include <string.h>

/* Room for the header fields that nearly every request stays below. */
#define HEADER_LIST_FIRST 16

/* --- messages --- */

void wire_body_append(struct base_writer *body, struct base_bytes piece, size_t length_expected)
{
    if (body->capacity == 0 && length_expected > 0) {
        size_t first =
            length_expected < BASE_BODY_FIRST_BYTES ? length_expected : BASE_BODY_FIRST_BYTES;
        (void)base_write_room(body, first);
        body->length = 0;
    }
    base_write_bytes(body, piece);
}

static enum wire_message_fault message_begin(struct wire_message_reader *reader, size_t length_max)
{
    const uint8_t *prefix = reader->prefix;
    reader->length = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 |
                     (uint32_t)prefix[3] << 8 | (uint32_t)prefix[4];
    if (prefix[0] > 1) {
        return WIRE_MESSAGE_BAD_FLAG;
    }
    if (prefix[0] == 1) {
        return WIRE_MESSAGE_COMPRESSED;
    }
    return reader->length > length_max ? WIRE_MESSAGE_TOO_LARGE : WIRE_MESSAGE_FINE;
}

enum wire_message_fault wire_message_take(struct wire_message_reader *reader,
                                          struct base_bytes piece, size_t length_max)
{
    while (reader->n_prefix < WIRE_GRPC_PREFIX_BYTES) {
        if (piece.length == 0) {
            return WIRE_MESSAGE_FINE;
        }
        reader->prefix[reader->n_prefix++] = piece.bytes[0];
        piece.bytes++;
        piece.length--;
        if (reader->n_prefix == WIRE_GRPC_PREFIX_BYTES) {
            enum wire_message_fault fault = message_begin(reader, length_max);
            if (fault != WIRE_MESSAGE_FINE) {
                return fault;
            }
        }
    }
    if (piece.length > reader->length - reader->bytes.length) {
        return WIRE_MESSAGE_EXTRA;
    }
    wire_body_append(&reader->bytes, piece, reader->length);
    return WIRE_MESSAGE_FINE;
}

size_t wire_message_missing(const struct wire_message_reader *reader)
{
    return reader->n_prefix < WIRE_GRPC_PREFIX_BYTES
               ? (size_t)WIRE_GRPC_PREFIX_BYTES - reader->n_prefix
               : reader->length - reader->bytes.length;
}

enum wire_message_fault wire_message_end(const struct wire_message_reader *reader)
{
    if (reader->n_prefix == 0) {
        return WIRE_MESSAGE_MISSING;
    }
    if (reader->n_prefix < WIRE_GRPC_PREFIX_BYTES || reader->bytes.length < reader->length) {
        return WIRE_MESSAGE_CUT_SHORT;
    }
    return WIRE_MESSAGE_FINE;
}

void wire_message_write_prefix(uint8_t prefix[WIRE_GRPC_PREFIX_BYTES], uint32_t length)
{
    prefix[0] = 0;
    for (unsigned i = 0; i < 4; i++) {
        prefix[1 + i] = (uint8_t)(length >> (24 - 8 * i));
    }
}

/* --- the text of grpc-message --- */

static const char HEX[] = "0123456789ABCDEF";

static bool percent_plain(char byte)
{
    return byte >= 0x20 && byte <= 0x7E && byte != '%';
}

size_t wire_percent_encoded_length(struct base_text text)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        length += percent_plain(text.bytes[i]) ? 1 : 3;
    }
    return length;
}

void wire_percent_encode(struct base_text text, char *encoded)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = (uint8_t)text.bytes[i];
        if (percent_plain(text.bytes[i])) {
            *encoded++ = text.bytes[i];
        } else {
            *encoded++ = '%';
            *encoded++ = HEX[byte >> 4];
            *encoded++ = HEX[byte & 0x0F];
        }
    }
}

struct base_text wire_percent_decode(struct base_arena *arena, struct base_text encoded)
{
    char *text = base_arena_take(arena, encoded.length + 1);
    size_t length = 0;
    for (size_t i = 0; i < encoded.length; i++) {
        char byte = encoded.bytes[i];
        uint8_t escaped;
        if (byte == '%' && encoded.length - i > 2 &&
            base_hex_decode((struct base_text){encoded.bytes + i + 1, 2}, 1, &escaped)) {
            byte = (char)escaped;
            i += 2;
        }
        text[length++] = byte;
    }
    text[length] = '\0';
    return (struct base_text){text, length};
}

/* --- metadata --- */

void wire_header_list_add(struct wire_header_list *list, struct base_arena *arena,
                          struct wire_header header)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? HEADER_LIST_FIRST : list->capacity * 2;
        struct wire_header *headers = base_arena_take(arena, capacity * sizeof *headers);
        if (list->count > 0) {
            memcpy(headers, list->headers, list->count * sizeof *headers);
        }
        list->headers = headers;
        list->capacity = capacity;
    }
    list->headers[list->count++] = header;
}

bool wire_header_is_binary(struct base_text name)
{
    return name.length > 4 && memcmp(name.bytes + name.length - 4, "-bin", 4) == 0;
}

void wire_header_list_add_binary(struct wire_header_list *list, struct base_arena *arena,
                                 struct wire_header header)
{
    struct base_text rest = header.value;
    for (;;) {
        const char *comma = rest.length > 0 ? memchr(rest.bytes, ',', rest.length) : NULL;
        size_t length = comma == NULL ? rest.length : (size_t)(comma - rest.bytes);
        struct base_text value = {rest.bytes, length};
        while (value.length > 0 && value.bytes[0] == ' ') {
            value.bytes++;
            value.length--;
        }
        while (value.length > 0 && value.bytes[value.length - 1] == ' ') {
            value.length--;
        }
        struct base_bytes decoded;
        if (base_base64_decode(arena, value, BASE_BASE64_UNPADDED, &decoded)) {
            wire_header_list_add(list, arena,
                                 (struct wire_header){header.name, base_text_from(decoded)});
        }
        if (comma == NULL) {
            return;
        }
        rest.bytes = comma + 1;
        rest.length -= length + 1;
    }
}

/* --- timeouts --- */

static const struct {
    char unit;
    int64_t ns;
} TIMEOUT_UNITS[] = {
    {'n', 1},
    {'u', INT64_C(1000)},
    {'m', INT64_C(1000000)},
    {'S', INT64_C(1000000000)},
    {'M', INT64_C(60000000000)},
    {'H', INT64_C(3600000000000)},
};
#define N_TIMEOUT_UNITS (sizeof TIMEOUT_UNITS / sizeof TIMEOUT_UNITS[0])
#define TIMEOUT_VALUE_MAX INT64_C(99999999)

bool wire_parse_grpc_timeout(struct base_text value, int64_t *ret_timeout_ns)
{
    if (value.length < 2 || value.length > WIRE_GRPC_TIMEOUT_BYTES) {
        return false;
    }
    int64_t count = 0;
    for (size_t i = 0; i < value.length - 1; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9') {
            return false;
        }
        count = count * 10 + (value.bytes[i] - '0');
    }
    for (size_t i = 0; i < N_TIMEOUT_UNITS; i++) {
        if (TIMEOUT_UNITS[i].unit == value.bytes[value.length - 1]) {
            int64_t timeout_ns;
            /* 99,999,999 hours are beyond the 292 years of an int64: for ever, as meant. */
            if (__builtin_mul_overflow(count, TIMEOUT_UNITS[i].ns, &timeout_ns)) {
                timeout_ns = INT64_MAX;
            }
            *ret_timeout_ns = timeout_ns;
            return true;
        }
    }
    return false;
}

size_t wire_print_grpc_timeout(int64_t timeout_ns, char text[WIRE_GRPC_TIMEOUT_BYTES])
{
    base_assert(timeout_ns >= 0);
    size_t at = 0;
    int64_t count = timeout_ns;
    while (count > TIMEOUT_VALUE_MAX && at + 1 < N_TIMEOUT_UNITS) {
        at++;
        /* Rounded up: a server that gives up before its caller would waste the answer. */
        count = timeout_ns / TIMEOUT_UNITS[at].ns + (timeout_ns % TIMEOUT_UNITS[at].ns != 0);
    }
    char print[WIRE_GRPC_TIMEOUT_BYTES + 1];
    int length = snprintf(print, sizeof print, "%d%c", (int)count, TIMEOUT_UNITS[at].unit);
    base_assert(length > 1 && length <= WIRE_GRPC_TIMEOUT_BYTES);
    memcpy(text, print, (size_t)length);
    return (size_t)length;
}
