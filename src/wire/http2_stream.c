#include "wire/http2_stream.h"

#include "wire/protocol.h"

#include <string.h>

/* --- streams --- */

void wire_http2_stream_hold(struct http2_server *server, struct http2_stream *stream, size_t bytes)
{
    server->held_bytes -= stream->held_bytes;
    server->held_bytes += bytes;
    stream->held_bytes = bytes;
}

struct http2_stream *wire_http2_stream_open(struct http2_server *server, int32_t id)
{
    struct http2_stream *stream = server->free_streams;
    if (stream == NULL) {
        stream = base_allocate_zeroed(1, sizeof *stream);
    } else {
        server->free_streams = stream->next;
    }
    stream->id = id;
    stream->stage = STREAM_RECEIVING;
    stream->form = WIRE_HTTP;
    stream->remote_open = true;
    stream->request = wire_request_open();
    stream->previous = NULL;
    stream->next = server->streams;
    if (stream->next != NULL) {
        stream->next->previous = stream;
    }
    server->streams = stream;
    server->n_receiving++;
    return stream;
}

/* Ends the receiving part: what was received is released, unless it has been handed over. */
static void stream_end_receiving(struct http2_server *server, struct http2_stream *stream,
                                 enum stream_stage stage)
{
    base_assert(stream->stage == STREAM_RECEIVING);
    if (stream->request != NULL) {
        wire_request_release(stream->request);
        stream->request = NULL;
    }
    base_writer_release(&stream->message.bytes);
    wire_http2_stream_hold(server, stream, 0);
    stream->stage = stage;
    server->n_receiving--;
}

void wire_http2_stream_close(struct http2_server *server, struct http2_stream *stream)
{
    if (stream->stage == STREAM_RECEIVING) {
        stream_end_receiving(server, stream, STREAM_ANSWERED);
    }
    if (server->in_headers == stream) {
        server->in_headers = NULL;
    }
    wire_http2_stream_hold(server, stream, 0);
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else {
        server->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    if (stream->streamed != NULL) {
        wire_http2_streamed_close(server, stream);
    }
    wire_http2_message_reset(&stream->reply);
    struct wire_http2_message reply = stream->reply;
    *stream = (struct http2_stream){.reply = reply, .next = server->free_streams};
    server->free_streams = stream;
}

/* --- answers --- */

void wire_http2_stream_answer(struct http2_server *server, struct http2_stream *stream,
                              const struct wire_reply *reply, int grpc_http_status)
{
    struct wire_http2_message *message = &stream->reply;
    if (stream->form == WIRE_GRPC) {
        wire_http2_fill_grpc(message, reply, grpc_http_status);
    } else {
        wire_http2_fill_http(message, reply, stream->head);
    }
    stream->stage = STREAM_ANSWERED;
    wire_http2_stream_hold(server, stream, base_arena_held(&message->arena));
    nghttp2_data_provider provider = wire_http2_message_provider(message);
    int result = nghttp2_submit_response(server->session, stream->id, message->fields,
                                         message->n_header_fields,
                                         message->body_left > 0 ? &provider : NULL);
    base_assert(result == 0);
}

/* What the protocol itself refuses, before anybody has seen the request. */
struct refusal {
    enum base_code code;
    int http_status; /* of an answer in HTTP's form, and of gRPC's unless it is 0 */
    const char *text;
};

static struct wire_reply refusal_reply(const struct refusal *refusal)
{
    static const struct wire_header accept_identity = {
        {"grpc-accept-encoding", sizeof "grpc-accept-encoding" - 1},
        {"identity", sizeof "identity" - 1}};
    return (struct wire_reply){.grpc_status = refusal->code,
                               .grpc_message = base_text_of(refusal->text),
                               .http_status = refusal->http_status,
                               .n_headers = refusal->code == BASE_CODE_UNIMPLEMENTED ? 1 : 0,
                               .headers = &accept_identity};
}

static void stream_refuse(struct http2_server *server, struct http2_stream *stream,
                          const struct refusal *refusal)
{
    stream_end_receiving(server, stream, STREAM_ANSWERED);
    struct wire_reply reply = refusal_reply(refusal);
    wire_http2_stream_answer(server, stream, &reply,
                             refusal->http_status == 0 ? 200 : refusal->http_status);
}

/* --- requests --- */

static void fill_in_headers(struct http2_stream *stream)
{
    stream->request->form = stream->form;
    stream->request->n_headers = stream->headers.count;
    stream->request->headers = stream->headers.headers;
}

static void stream_hand_over(struct http2_server *server, struct http2_stream *stream)
{
    struct wire_request *request = stream->request;
    fill_in_headers(stream);
    if (request->defect != WIRE_DEFECT_TOO_LARGE && request->defect != WIRE_DEFECT_UNREAD) {
        request->body = base_writer_bytes(&stream->message.bytes);
        request->body_memory = stream->message.bytes.bytes;
        stream->message.bytes = (struct base_writer){NULL, 0, 0};
    }
    stream->request = NULL;
    stream_end_receiving(server, stream, STREAM_WAITING);
    server->n_waiting++;
    server->events->request(server->user, (uint32_t)stream->id, request);
}

/* A wrong number of messages is UNIMPLEMENTED by gRPC's list of status codes, as is a compression
 * that we lack; what breaks the framing is INTERNAL. */
static const struct refusal MESSAGE_REFUSALS[] = {
    [WIRE_MESSAGE_COMPRESSED] = {BASE_CODE_INTERNAL, 0,
                                 "the message is flagged as compressed without grpc-encoding"},
    [WIRE_MESSAGE_BAD_FLAG] = {BASE_CODE_INTERNAL, 0, "the message's flag is neither 0 nor 1"},
    [WIRE_MESSAGE_EXTRA] = {BASE_CODE_UNIMPLEMENTED, 0, "more than one message in a unary call"},
    [WIRE_MESSAGE_MISSING] = {BASE_CODE_UNIMPLEMENTED, 0, "no message in a unary call"},
    [WIRE_MESSAGE_CUT_SHORT] = {BASE_CODE_INTERNAL, 0, "the stream ended inside a message"},
};
static const struct refusal UNKNOWN_COMPRESSION = {BASE_CODE_UNIMPLEMENTED, 0,
                                                   "messages must not be compressed"};
static const struct refusal TOO_MANY_STREAMED = {BASE_CODE_RESOURCE_EXHAUSTED, 0,
                                                 "too many streamed calls on this connection"};
static const struct refusal HEADERS_TOO_LARGE = {BASE_CODE_RESOURCE_EXHAUSTED, 431,
                                                 "the request's headers are too large"};
static const struct refusal NOT_POST = {BASE_CODE_INTERNAL, 405, "gRPC's method is POST"};
static const struct refusal BAD_TIMEOUT = {BASE_CODE_INTERNAL, 0, "malformed grpc-timeout"};
static const struct refusal TWO_CONTENT_TYPES = {BASE_CODE_INTERNAL, 400,
                                                 "more than one content-type"};

struct wire_reply wire_http2_message_refusal(enum wire_message_fault fault)
{
    return refusal_reply(&MESSAGE_REFUSALS[fault]);
}

static void stream_refuse_message(struct http2_server *server, struct http2_stream *stream,
                                  enum wire_message_fault fault)
{
    if (fault == WIRE_MESSAGE_TOO_LARGE) {
        stream->request->defect = WIRE_DEFECT_TOO_LARGE;
        stream_hand_over(server, stream);
    } else {
        stream_refuse(server, stream, &MESSAGE_REFUSALS[fault]);
    }
}

/* Whether more of the body than anybody may send is to be read. */
static bool admits(const struct http2_server *server, struct http2_stream *stream)
{
    size_t announced = stream->form == WIRE_GRPC ? stream->message.length : 0;
    size_t length = stream->message.bytes.length;
    if (stream->admitted || (announced > length ? announced : length) <= BASE_BODY_UNASKED_BYTES) {
        return true;
    }
    stream->admitted = true;
    fill_in_headers(stream);
    return server->events->admits == NULL || server->events->admits(server->user, stream->request);
}

void wire_http2_stream_data(struct http2_server *server, struct http2_stream *stream,
                            struct base_bytes piece)
{
    struct base_writer *body = &stream->message.bytes;
    size_t capacity = body->capacity;
    enum wire_message_fault fault = WIRE_MESSAGE_FINE;
    if (stream->form == WIRE_GRPC) {
        fault = wire_message_take(&stream->message, piece, BASE_REQUEST_MAX_BYTES);
    } else if (piece.length > BASE_REQUEST_MAX_BYTES - body->length) {
        fault = WIRE_MESSAGE_TOO_LARGE;
    } else {
        wire_body_append(body, piece, 0);
    }
    wire_http2_stream_hold(server, stream, stream->held_bytes + body->capacity - capacity);
    if (fault != WIRE_MESSAGE_FINE) {
        stream_refuse_message(server, stream, fault);
    } else if (!admits(server, stream)) {
        stream->request->defect = WIRE_DEFECT_UNREAD;
        stream_hand_over(server, stream);
    }
}

void wire_http2_stream_end_of_input(struct http2_server *server, struct http2_stream *stream)
{
    stream->remote_open = false;
    if (stream->stage == STREAM_WAITING && stream->streamed != NULL) {
        wire_http2_streamed_read(server, stream);
        return;
    }
    if (stream->stage != STREAM_RECEIVING) {
        return;
    }
    enum wire_message_fault fault =
        stream->form == WIRE_GRPC ? wire_message_end(&stream->message) : WIRE_MESSAGE_FINE;
    if (fault == WIRE_MESSAGE_FINE) {
        stream_hand_over(server, stream);
    } else {
        stream_refuse_message(server, stream, fault);
    }
}

/* --- headers --- */

static bool is_grpc(struct base_text content_type)
{
    struct base_text prefix = BASE_TEXT("application/grpc");
    return base_text_starts_with(content_type, prefix) &&
           (content_type.length == prefix.length || content_type.bytes[prefix.length] == '+');
}

/* Hands a streamed call over before its first message, or lets a unary one wait for its own. */
static void begin_call(struct http2_server *server, struct http2_stream *stream)
{
    size_t message_max_bytes =
        server->events->streamed_message_max == NULL
            ? 0
            : server->events->streamed_message_max(server->user, stream->request->path);
    if (message_max_bytes == 0) {
        return;
    }
    if (server->n_streamed == BASE_STREAMED_CALLS_MAX) {
        stream_refuse(server, stream, &TOO_MANY_STREAMED);
        return;
    }
    wire_http2_streamed_open(server, stream, message_max_bytes);
    stream->request->streamed = true;
    stream_hand_over(server, stream);
}

void wire_http2_stream_headers_complete(struct http2_server *server, struct http2_stream *stream)
{
    struct wire_request *request = stream->request;
    stream->form = is_grpc(request->content_type) ? WIRE_GRPC : WIRE_HTTP;
    stream->head = base_text_equal(request->method, BASE_TEXT("HEAD"));
    wire_http2_stream_hold(server, stream, base_arena_held(&request->arena));
    const struct refusal *refusal = NULL;
    if (stream->n_header_bytes > BASE_HEADERS_MAX_BYTES) {
        refusal = &HEADERS_TOO_LARGE;
    } else if (stream->n_content_types > 1) {
        refusal = &TWO_CONTENT_TYPES;
    } else if (stream->form == WIRE_HTTP) {
        if (stream->connect_timeout.bytes != NULL &&
            !wire_parse_connect_timeout(stream->connect_timeout, &request->timeout_ns)) {
            request->defect = WIRE_DEFECT_TIMEOUT;
        }
    } else if (!base_text_equal(request->method, BASE_TEXT("POST"))) {
        refusal = &NOT_POST;
    } else if (stream->grpc_timeout.bytes != NULL &&
               !wire_parse_grpc_timeout(stream->grpc_timeout, &request->timeout_ns)) {
        refusal = &BAD_TIMEOUT;
    } else if (stream->grpc_encoding.length > 0 &&
               !base_text_equal(stream->grpc_encoding, BASE_TEXT("identity"))) {
        /* Also where no message turns out to be compressed: a client that compresses what is worth
         * it is told at its first call, not at its first large one. */
        refusal = &UNKNOWN_COMPRESSION;
    }
    if (refusal != NULL && stream->form == WIRE_HTTP) {
        /* Answered where all answers in that form are made. */
        request->defect = WIRE_DEFECT_REFUSED;
        request->refusal = (struct wire_refusal){refusal->http_status, base_text_of(refusal->text)};
        stream_hand_over(server, stream);
    } else if (refusal != NULL) {
        stream_refuse(server, stream, refusal);
    } else if (stream->form == WIRE_GRPC) {
        begin_call(server, stream);
    }
}

static void set_path(struct wire_request *request, struct base_text value)
{
    const char *mark = value.length > 0 ? memchr(value.bytes, '?', value.length) : NULL;
    request->path = value;
    if (mark != NULL) {
        request->path.length = (size_t)(mark - value.bytes);
        request->query = (struct base_text){mark + 1, value.length - request->path.length - 1};
    }
}

/* A field that may stand once only: a second one makes it malformed, which empty text is. */
static void set_once(struct base_text *field, struct base_text value)
{
    *field = field->bytes == NULL ? value : BASE_TEXT("");
}

void wire_http2_stream_header(struct http2_stream *stream, struct base_text name,
                              struct base_text value)
{
    struct wire_request *request = stream->request;
    if (base_text_equal(name, BASE_TEXT(":path"))) {
        set_path(request, value);
    } else if (base_text_equal(name, BASE_TEXT(":method"))) {
        request->method = value;
    } else if (base_text_equal(name, BASE_TEXT(":authority"))) {
        wire_header_list_add(&stream->headers, &request->arena,
                             (struct wire_header){BASE_TEXT("host"), value});
    } else if (name.bytes[0] == ':') {
        return;
    } else if (base_text_equal(name, BASE_TEXT("content-type"))) {
        stream->n_content_types++;
        wire_request_set_content_type(request, value);
    } else if (base_text_equal(name, BASE_TEXT("grpc-timeout"))) {
        set_once(&stream->grpc_timeout, value);
    } else if (base_text_equal(name, BASE_TEXT("connect-timeout-ms"))) {
        set_once(&stream->connect_timeout, value);
    } else {
        if (base_text_equal(name, BASE_TEXT("grpc-encoding"))) {
            stream->grpc_encoding = value;
        }
        wire_header_list_add(&stream->headers, &request->arena, (struct wire_header){name, value});
    }
}
