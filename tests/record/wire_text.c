#include "record/wire_text.h"

#include <stdlib.h>

enum { WIRE_VARINT = 0, WIRE_LENGTH = 2 };

static void write_tag(struct base_writer *writer, uint64_t number, unsigned type)
{
    base_write_varint(writer, number << 3 | type);
}

static void write_quoted(struct base_writer *writer, const char **at)
{
    struct base_writer text = {NULL, 0, 0};
    for (++*at; **at != '\''; ++*at) {
        base_assert(**at != '\0');
        base_write_u8(&text, **at == '%' ? 0x00 : **at == '^' ? 0xFF : (uint8_t) * *at);
    }
    ++*at;
    base_write_varint(writer, text.length);
    base_write_bytes(writer, base_writer_bytes(&text));
    base_writer_release(&text);
}

static void write_fields(struct base_writer *writer, const char **at)
{
    while (**at != '\0' && **at != '}') {
        if (**at == ' ') {
            ++*at;
            continue;
        }
        char *colon;
        uint64_t number = strtoull(*at, &colon, 10);
        base_assert(*colon == ':');
        *at = colon + 1;
        if (**at == '\'') {
            write_tag(writer, number, WIRE_LENGTH);
            write_quoted(writer, at);
        } else if (**at == '{') {
            struct base_writer message = {NULL, 0, 0};
            ++*at;
            write_fields(&message, at);
            base_assert(**at == '}');
            ++*at;
            write_tag(writer, number, WIRE_LENGTH);
            base_write_varint(writer, message.length);
            base_write_bytes(writer, base_writer_bytes(&message));
            base_writer_release(&message);
        } else {
            char *end;
            write_tag(writer, number, WIRE_VARINT);
            base_write_varint(writer, (uint64_t)strtoll(*at, &end, 10));
            *at = end;
        }
    }
}

struct base_bytes wire_text_bytes(struct base_arena *arena, const char *text)
{
    struct base_writer writer = {NULL, 0, 0};
    write_fields(&writer, &text);
    struct base_bytes bytes = base_arena_bytes(arena, base_writer_bytes(&writer));
    base_writer_release(&writer);
    return bytes;
}
