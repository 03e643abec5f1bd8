/* An answer as HTTP/1.1 writes it. */
#include "wire/grpc.h"
#include "wire/http1.h"

#include <stdio.h>
#include <string.h>

static void write_text(struct base_writer *output, struct base_text text)
{
    base_write_bytes(output, base_bytes_of(text));
}

static const char *reason_phrase(int http_status)
{
    static const struct {
        int http_status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].http_status == http_status) {
            return phrases[i].phrase;
        }
    }
    return "";
}

static bool has_line_break(struct base_text text)
{
    return text.length > 0 && (memchr(text.bytes, '\r', text.length) != NULL ||
                               memchr(text.bytes, '\n', text.length) != NULL);
}

static void write_field(struct base_writer *output, struct base_text name, struct base_text value)
{
    /* Whoever answers has checked its text; a line break here would forge a field. */
    base_assert(!has_line_break(name) && !has_line_break(value));
    write_text(output, name);
    write_text(output, BASE_TEXT(": "));
    write_text(output, value);
    write_text(output, BASE_TEXT("\r\n"));
}

/* A header of the reply; binary ones in base64, as on HTTP/2. */
static void write_header(struct base_writer *output, const struct wire_header *header)
{
    if (!wire_header_is_binary(header->name)) {
        write_field(output, header->name, header->value);
        return;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    write_field(output, header->name,
                base_base64_encode(&arena, base_bytes_of(header->value), BASE_BASE64_UNPADDED));
    base_arena_release(&arena);
}

void wire_http1_write_answer(struct base_writer *output, const struct wire_reply *reply,
                             const struct wire_http1_head *head, bool last)
{
    char number[32];
    int length = snprintf(number, sizeof number, "HTTP/1.1 %d ", reply->http_status);
    write_text(output, (struct base_text){number, (size_t)length});
    write_text(output, base_text_of(reason_phrase(reply->http_status)));
    write_text(output, BASE_TEXT("\r\n"));
    if (reply->content_type.length > 0) {
        write_field(output, BASE_TEXT("content-type"), reply->content_type);
    }
    length = snprintf(number, sizeof number, "%zu", reply->body.length);
    write_field(output, BASE_TEXT("content-length"), (struct base_text){number, (size_t)length});
    if (last) {
        write_field(output, BASE_TEXT("connection"), BASE_TEXT("close"));
    } else if (head->older) {
        write_field(output, BASE_TEXT("connection"), BASE_TEXT("keep-alive"));
    }
    for (size_t i = 0; i < reply->n_headers; i++) {
        write_header(output, &reply->headers[i]);
    }
    write_text(output, BASE_TEXT("\r\n"));
    if (!head->is_head) {
        base_write_bytes(output, reply->body);
    }
}
