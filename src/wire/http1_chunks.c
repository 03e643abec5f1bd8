/* A chunked body (RFC 9112, section 7.1). Extensions and trailers are checked and left out. */
#include "wire/http1.h"

/* Hexadecimal digits of a chunk's size: more than a body may have, and no overflow. */
#define SIZE_MAX_DIGITS 8

static enum wire_http1_progress refuse(const char *message, struct wire_http1_refusal *ret_refusal)
{
    *ret_refusal = (struct wire_http1_refusal){400, message};
    return WIRE_HTTP1_REFUSED;
}

static size_t line_max_bytes(const struct wire_http1_chunks *chunks)
{
    switch (chunks->stage) {
    case WIRE_HTTP1_SIZE:
        return BASE_CHUNK_LINE_MAX_BYTES;
    case WIRE_HTTP1_TRAILERS:
        return BASE_HEADERS_MAX_BYTES - chunks->trailers_length;
    default:
        return 2;
    }
}

/* Collects a line. DONE: chunks->line holds it, without its CRLF. */
static enum wire_http1_progress take_line(struct wire_http1_chunks *chunks,
                                          struct base_bytes *bytes,
                                          struct wire_http1_refusal *ret_refusal)
{
    size_t max_bytes = line_max_bytes(chunks);
    while (bytes->length > 0) {
        uint8_t byte = bytes->bytes[0];
        bytes->bytes++;
        bytes->length--;
        struct base_writer *line = &chunks->line;
        bool after_return = line->length > 0 && line->bytes[line->length - 1] == '\r';
        if (after_return != (byte == '\n')) {
            return refuse("in a chunked body every line ends with CRLF", ret_refusal);
        }
        if (byte == '\n') {
            line->length--;
            return WIRE_HTTP1_DONE;
        }
        if ((byte < 0x20 && byte != '\t' && byte != '\r') || byte == 0x7F) {
            return refuse("a control character in a chunked body's line", ret_refusal);
        }
        if (line->length + 1 >= max_bytes) {
            return refuse("a line of the chunked body is too long or misplaced", ret_refusal);
        }
        base_write_u8(line, byte);
    }
    return WIRE_HTTP1_MORE;
}

/* `1a` or `1a;extension`. */
static bool read_size(struct base_bytes line, uint64_t *ret_size)
{
    uint64_t size = 0;
    size_t n_digits = 0;
    while (n_digits < line.length && base_hex_digit((char)line.bytes[n_digits]) >= 0) {
        size = size << 4 | (uint64_t)base_hex_digit((char)line.bytes[n_digits]);
        n_digits++;
        if (n_digits > SIZE_MAX_DIGITS) {
            return false;
        }
    }
    if (n_digits == 0 || (n_digits < line.length && line.bytes[n_digits] != ';')) {
        return false;
    }
    *ret_size = size;
    return true;
}

/* What a complete line means in its place. */
static enum wire_http1_progress end_line(struct wire_http1_chunks *chunks,
                                         struct wire_http1_refusal *ret_refusal)
{
    struct base_bytes line = base_writer_bytes(&chunks->line);
    chunks->line.length = 0;
    switch (chunks->stage) {
    case WIRE_HTTP1_SIZE:
        if (!read_size(line, &chunks->remaining)) {
            return refuse("a chunk's size is malformed", ret_refusal);
        }
        chunks->stage = chunks->remaining > 0 ? WIRE_HTTP1_BODY : WIRE_HTTP1_TRAILERS;
        return WIRE_HTTP1_MORE;
    case WIRE_HTTP1_TRAILERS:
        if (line.length == 0) {
            return WIRE_HTTP1_DONE;
        }
        if (!wire_http1_is_field(base_text_from(line))) {
            return refuse("a trailer is malformed", ret_refusal);
        }
        chunks->trailers_length += line.length + 2;
        return WIRE_HTTP1_MORE;
    default:
        base_assert(line.length == 0); /* line_max_bytes leaves room for a CRLF only */
        chunks->stage = WIRE_HTTP1_SIZE;
        return WIRE_HTTP1_MORE;
    }
}

enum wire_http1_progress wire_http1_take_chunks(struct wire_http1_chunks *chunks,
                                                struct base_bytes *bytes,
                                                struct base_bytes *ret_data,
                                                struct wire_http1_refusal *ret_refusal)
{
    while (bytes->length > 0) {
        if (chunks->stage == WIRE_HTTP1_BODY) {
            size_t taken =
                bytes->length < chunks->remaining ? bytes->length : (size_t)chunks->remaining;
            *ret_data = (struct base_bytes){bytes->bytes, taken};
            bytes->bytes += taken;
            bytes->length -= taken;
            chunks->remaining -= taken;
            if (chunks->remaining == 0) {
                chunks->stage = WIRE_HTTP1_BODY_END;
            }
            return WIRE_HTTP1_DATA;
        }
        enum wire_http1_progress progress = take_line(chunks, bytes, ret_refusal);
        if (progress == WIRE_HTTP1_DONE) {
            progress = end_line(chunks, ret_refusal);
        } else if (progress == WIRE_HTTP1_MORE) {
            return WIRE_HTTP1_MORE;
        }
        if (progress != WIRE_HTTP1_MORE) {
            return progress;
        }
    }
    return WIRE_HTTP1_MORE;
}

void wire_http1_release_chunks(struct wire_http1_chunks *chunks)
{
    base_writer_release(&chunks->line);
    *chunks = (struct wire_http1_chunks){0};
}
