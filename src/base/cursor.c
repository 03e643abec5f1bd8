/* Readers and writers over bytes. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#define VARINT_MAX_BYTES 10

struct base_reader base_reader_of(struct base_bytes bytes)
{
    return (struct base_reader){bytes.bytes, bytes.bytes + bytes.length, false};
}

struct base_bytes base_read_bytes(struct base_reader *reader, size_t length)
{
    if (reader->failed || (size_t)(reader->end - reader->at) < length) {
        reader->failed = true;
        return (struct base_bytes){NULL, 0};
    }
    struct base_bytes bytes = {reader->at, length};
    reader->at += length;
    return bytes;
}

uint8_t base_read_u8(struct base_reader *reader)
{
    struct base_bytes bytes = base_read_bytes(reader, 1);
    return reader->failed ? 0 : bytes.bytes[0];
}

uint64_t base_read_u64_be(struct base_reader *reader)
{
    struct base_bytes bytes = base_read_bytes(reader, 8);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        value = value << 8 | bytes.bytes[i];
    }
    return value;
}

uint64_t base_read_varint(struct base_reader *reader)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_MAX_BYTES; i++) {
        uint8_t byte = base_read_u8(reader);
        if (reader->failed) {
            return 0;
        }
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0) {
            /* The tenth byte has room for one bit; a last group of zeros is a longer form. */
            reader->failed = (i == VARINT_MAX_BYTES - 1 && byte > 1) || (i > 0 && byte == 0);
            return reader->failed ? 0 : value;
        }
    }
    reader->failed = true;
    return 0;
}

int64_t base_read_varint_signed(struct base_reader *reader)
{
    uint64_t value = base_read_varint(reader);
    return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

bool base_reader_done(const struct base_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

uint8_t *base_write_room(struct base_writer *writer, size_t length)
{
    base_assert(length <= SIZE_MAX / 4 && writer->length <= SIZE_MAX / 4);
    size_t needed = writer->length + length;
    if (needed > writer->capacity) {
        size_t capacity = writer->capacity < 64 ? 64 : writer->capacity * 2;
        writer->capacity = capacity < needed ? needed : capacity;
        writer->bytes = base_reallocate(writer->bytes, writer->capacity);
    }
    uint8_t *room = writer->bytes + writer->length;
    writer->length = needed;
    return room;
}

void base_write_bytes(struct base_writer *writer, struct base_bytes bytes)
{
    if (bytes.length > 0) {
        memcpy(base_write_room(writer, bytes.length), bytes.bytes, bytes.length);
    }
}

void base_write_u8(struct base_writer *writer, uint8_t value)
{
    *base_write_room(writer, 1) = value;
}

void base_write_u64_be(struct base_writer *writer, uint64_t value)
{
    uint8_t *room = base_write_room(writer, 8);
    for (unsigned i = 0; i < 8; i++) {
        room[i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

void base_write_varint(struct base_writer *writer, uint64_t value)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    size_t length = 0;
    while (value >= 0x80) {
        bytes[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[length++] = (uint8_t)value;
    base_write_bytes(writer, (struct base_bytes){bytes, length});
}

void base_write_varint_signed(struct base_writer *writer, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    base_write_varint(writer, value < 0 ? ~(bits << 1) : bits << 1);
}

struct base_bytes base_writer_bytes(const struct base_writer *writer)
{
    return (struct base_bytes){writer->bytes, writer->length};
}

void base_writer_release(struct base_writer *writer)
{
    free(writer->bytes);
    *writer = (struct base_writer){NULL, 0, 0};
}
