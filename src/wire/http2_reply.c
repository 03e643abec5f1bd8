/* Replies as header fields, body and trailer fields: as gRPC, and as plain HTTP. */
#include "wire/grpc.h"
#include "wire/http2.h"

#include <stdio.h>

/* Fields of an answer beside those of the reply: :status, content-type, content-length or
 * grpc-status, grpc-message, grpc-status-details-bin. */
#define REPLY_FIELDS_MAX 6

static struct base_text print_number(struct base_arena *arena, size_t number)
{
    char *text = base_arena_take(arena, 24);
    int length = snprintf(text, 24, "%zu", number);
    return (struct base_text){text, (size_t)length};
}

static void add_grpc_status(struct wire_http2_message *message, enum base_code code)
{
    wire_http2_message_add(message, BASE_TEXT("grpc-status"),
                           print_number(&message->arena, (size_t)code), NGHTTP2_NV_FLAG_NONE);
}

/* grpc-message and the details differ from answer to answer: no place in HPACK's table. */
static void add_grpc_error(struct wire_http2_message *message, const struct wire_reply *reply)
{
    if (reply->grpc_message.length > 0) {
        size_t length = wire_percent_encoded_length(reply->grpc_message);
        char *text = base_arena_take(&message->arena, length);
        wire_percent_encode(reply->grpc_message, text);
        wire_http2_message_add(message, BASE_TEXT("grpc-message"), (struct base_text){text, length},
                               NGHTTP2_NV_FLAG_NO_INDEX);
    }
    if (reply->grpc_status_details.length > 0) {
        struct base_text details =
            base_base64_encode(&message->arena, reply->grpc_status_details, BASE_BASE64_UNPADDED);
        wire_http2_message_add(message, BASE_TEXT("grpc-status-details-bin"), details,
                               NGHTTP2_NV_FLAG_NO_INDEX);
    }
}

static void add_grpc_head(struct wire_http2_message *message, int http_status,
                          struct base_text content_type)
{
    wire_http2_message_add(message, BASE_TEXT(":status"),
                           print_number(&message->arena, (size_t)http_status),
                           NGHTTP2_NV_FLAG_NONE);
    bool grpc = base_text_starts_with(content_type, BASE_TEXT("application/grpc"));
    wire_http2_message_add(message, BASE_TEXT("content-type"),
                           grpc ? base_arena_text(&message->arena, content_type)
                                : BASE_TEXT("application/grpc"),
                           NGHTTP2_NV_FLAG_NONE);
}

void wire_http2_fill_grpc(struct wire_http2_message *message, const struct wire_reply *reply,
                          int http_status)
{
    wire_http2_message_open(message, reply->n_headers + reply->n_trailers + REPLY_FIELDS_MAX);
    add_grpc_head(message, http_status, reply->content_type);
    bool success = reply->grpc_status == BASE_CODE_OK;
    if (success) {
        wire_http2_message_add_headers(message, reply->n_headers, reply->headers);
        wire_http2_message_end_header(message);
        add_grpc_status(message, reply->grpc_status);
    } else {
        add_grpc_status(message, reply->grpc_status);
        add_grpc_error(message, reply);
        wire_http2_message_add_headers(message, reply->n_headers, reply->headers);
    }
    wire_http2_message_add_headers(message, reply->n_trailers, reply->trailers);
    if (success) {
        wire_http2_message_add_grpc_body(message, reply->body);
    } else {
        wire_http2_message_end_header(message);
    }
}

void wire_http2_fill_grpc_headers(struct wire_http2_message *message, size_t n_headers,
                                  const struct wire_header *headers)
{
    wire_http2_message_open(message, n_headers + REPLY_FIELDS_MAX);
    add_grpc_head(message, 200, BASE_TEXT(""));
    wire_http2_message_add_headers(message, n_headers, headers);
    wire_http2_message_end_header(message);
}

void wire_http2_fill_grpc_trailers(struct wire_http2_message *message,
                                   const struct wire_reply *reply)
{
    wire_http2_message_open(message, reply->n_trailers + REPLY_FIELDS_MAX);
    add_grpc_status(message, reply->grpc_status);
    if (reply->grpc_status != BASE_CODE_OK) {
        add_grpc_error(message, reply);
    }
    wire_http2_message_add_headers(message, reply->n_trailers, reply->trailers);
    wire_http2_message_end_header(message);
}

void wire_http2_fill_http(struct wire_http2_message *message, const struct wire_reply *reply,
                          bool head)
{
    wire_http2_message_open(message, reply->n_headers + reply->n_trailers + REPLY_FIELDS_MAX);
    struct base_arena *arena = &message->arena;
    base_assert(reply->http_status >= 200 && reply->http_status <= 599);
    wire_http2_message_add(message, BASE_TEXT(":status"),
                           print_number(arena, (size_t)reply->http_status), NGHTTP2_NV_FLAG_NONE);
    if (reply->content_type.length > 0) {
        wire_http2_message_add(message, BASE_TEXT("content-type"),
                               base_arena_text(arena, reply->content_type), NGHTTP2_NV_FLAG_NONE);
    }
    wire_http2_message_add(message, BASE_TEXT("content-length"),
                           print_number(arena, reply->body.length), NGHTTP2_NV_FLAG_NONE);
    wire_http2_message_add_headers(message, reply->n_headers, reply->headers);
    wire_http2_message_end_header(message);
    if (!head) {
        wire_http2_message_add_body(message, reply->body);
    }
}
