/*
 * Text and bytes as slices that own nothing, cursors over them, and what is done with them
 * everywhere: comparing, hashing, base64. Slices are passed by value. What a slice points to
 * belongs to whoever made it; the declaration that hands one out says for how long.
 */
#ifndef ZANDAKA_BASE_BYTES_H
#define ZANDAKA_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base_arena;

/* Text: UTF-8 unless said otherwise; not ended by a NUL unless said so; may be empty. */
struct base_text {
    const char *bytes;
    size_t length;
};

/* Bytes of any value; may be empty. */
struct base_bytes {
    const uint8_t *bytes;
    size_t length;
};

/* The text of a string literal, or of a string ended by NUL (NULL is the empty text). */
#define BASE_TEXT(literal) ((struct base_text){(literal), sizeof(literal) - 1})
struct base_text base_text_of(const char *string);
/* For printf's "%.*s". */
#define BASE_TEXT_ARGS(text) (int)(text).length, (text).bytes

bool base_text_equal(struct base_text a, struct base_text b);
bool base_text_starts_with(struct base_text text, struct base_text prefix);
/* The text without the bytes of `spaces`, a C string, at its ends. */
struct base_text base_text_trim(struct base_text text, const char *spaces);
/* Byte by byte, shorter first among equals: below 0, 0, above 0. */
int base_text_compare(struct base_text a, struct base_text b);
/* Without regard to the case of ASCII letters. */
bool base_text_equal_ignoring_case(struct base_text a, struct base_text b);
bool base_bytes_equal(struct base_bytes a, struct base_bytes b);
static inline struct base_bytes base_bytes_of(struct base_text text)
{
    return (struct base_bytes){(const uint8_t *)text.bytes, text.length};
}
static inline struct base_text base_text_from(struct base_bytes bytes)
{
    return (struct base_text){(const char *)bytes.bytes, bytes.length};
}

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates) without a NUL. */
bool base_text_is_utf8(struct base_text text);
/* Only bytes 0x21 to 0x7E: what ids and metadata keys are made of. */
bool base_text_is_printable_ascii(struct base_text text);
/* A whole number in plain digits: no sign but '-', no leading zero, nothing else. False leaves
 * *ret_value alone: malformed or beyond int64. */
bool base_text_to_int64(struct base_text text, int64_t *ret_value);

/* A 64-bit hash (XXH3), the same on every machine and in every version: page tokens rely on it. */
uint64_t base_hash(struct base_bytes bytes);

/* SHA-256 (FIPS 180-4): for what is kept in place of a secret. */
#define BASE_SHA256_BYTES 32
void base_sha256(struct base_bytes bytes, uint8_t ret_digest[BASE_SHA256_BYTES]);
/* Whether two pieces of memory are equal, in a time that tells nothing of them but the length. */
bool base_equal_secret(const void *a, const void *b, size_t length);

/* Two lower-case digits for each byte, in the arena. */
struct base_text base_hex_encode(struct base_arena *arena, struct base_bytes bytes);
/* The value of a hexadecimal digit of either case; below 0: it is none. */
int base_hex_digit(char byte);
/* `length` bytes from twice as many digits, of either case. False: it is not that, and some of
 * ret_bytes may have been written. */
bool base_hex_decode(struct base_text text, size_t length, uint8_t *ret_bytes);

/* Base64 (RFC 4648). */
enum base_base64 {
    BASE_BASE64_UNPADDED, /* section 4, without padding: gRPC's -bin metadata, Connect's details */
    BASE_BASE64_PADDED,   /* section 4: ProtoJSON's bytes */
    BASE_BASE64_URL_UNPADDED /* section 5, without padding: page tokens */
};
struct base_text base_base64_encode(struct base_arena *arena, struct base_bytes bytes,
                                    enum base_base64 form);
/* Takes padded and unpadded input of the form's alphabet; false: malformed, *ret_bytes alone. */
bool base_base64_decode(struct base_arena *arena, struct base_text text, enum base_base64 form,
                        struct base_bytes *ret_bytes);

/*
 * A reader takes from the front of bytes. After the first take that did not fit or was malformed it
 * is `failed`, and every later take gives zeros: check once, at the end.
 */
struct base_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};
struct base_reader base_reader_of(struct base_bytes bytes);
uint8_t base_read_u8(struct base_reader *reader);
uint64_t base_read_u64_be(struct base_reader *reader);
/* An unsigned number in 7-bit groups, low first (at most 10 bytes; the shortest form only). */
uint64_t base_read_varint(struct base_reader *reader);
/* A signed one, zigzag. */
int64_t base_read_varint_signed(struct base_reader *reader);
struct base_bytes base_read_bytes(struct base_reader *reader, size_t length);
/* Whether all was read and nothing failed. */
bool base_reader_done(const struct base_reader *reader);

/* A writer appends to memory of its own, which grows. Freed by base_writer_release. */
struct base_writer {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
};
void base_write_u8(struct base_writer *writer, uint8_t value);
void base_write_u64_be(struct base_writer *writer, uint64_t value);
void base_write_varint(struct base_writer *writer, uint64_t value);
void base_write_varint_signed(struct base_writer *writer, int64_t value);
void base_write_bytes(struct base_writer *writer, struct base_bytes bytes);
/* Room for `length` more bytes at the end, uninitialised and counted. */
uint8_t *base_write_room(struct base_writer *writer, size_t length);
/* What was written; valid until the next write. */
struct base_bytes base_writer_bytes(const struct base_writer *writer);
void base_writer_release(struct base_writer *writer);

#endif
