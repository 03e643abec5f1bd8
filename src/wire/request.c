/* A request's life, and the header fields that both protocols read alike. */
#include "wire/protocol.h"

#include <stdlib.h>
#include <string.h>

/* Digits of connect-timeout-ms (the Connect protocol): up to 115 days. */
#define CONNECT_TIMEOUT_MAX_DIGITS 10

struct wire_request *wire_request_open(void)
{
    struct wire_request *request = base_allocate_zeroed(1, sizeof *request);
    request->form = WIRE_HTTP;
    request->timeout_ns = -1;
    return request;
}

void wire_request_release(struct wire_request *request)
{
    free(request->body_memory);
    base_arena_release(&request->arena);
    free(request);
}

struct base_text wire_request_header(const struct wire_request *request, struct base_text name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (base_text_equal(request->headers[i].name, name)) {
            return request->headers[i].value;
        }
    }
    return (struct base_text){NULL, 0};
}

struct base_text wire_trim(struct base_text text)
{
    return base_text_trim(text, " \t");
}

void wire_lower_case(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] >= 'A' && bytes[i] <= 'Z') {
            bytes[i] = (char)(bytes[i] + ('a' - 'A'));
        }
    }
}

void wire_request_set_content_type(struct wire_request *request, struct base_text value)
{
    size_t type_length = 0;
    while (type_length < value.length && value.bytes[type_length] != ';') {
        type_length++;
    }
    struct base_text type = wire_trim((struct base_text){value.bytes, type_length});
    char *lower = base_arena_take(&request->arena, type.length);
    if (type.length > 0) {
        memcpy(lower, type.bytes, type.length);
    }
    wire_lower_case(lower, type.length);
    request->content_type = (struct base_text){lower, type.length};
    struct base_text parameters = {NULL, 0};
    if (type_length < value.length) {
        parameters =
            (struct base_text){value.bytes + type_length + 1, value.length - type_length - 1};
    }
    request->content_type_parameters = base_arena_text(&request->arena, wire_trim(parameters));
}

bool wire_parse_connect_timeout(struct base_text value, int64_t *ret_timeout_ns)
{
    if (value.length == 0 || value.length > CONNECT_TIMEOUT_MAX_DIGITS) {
        return false;
    }
    int64_t timeout_ms = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9') {
            return false;
        }
        timeout_ms = timeout_ms * 10 + (value.bytes[i] - '0');
    }
    *ret_timeout_ns = timeout_ms * BASE_NS_PER_MS;
    return true;
}
