/*
 * The server's role of HTTP/2: streams become requests, replies become streams' answers.
 *
 *  1. A stream of ours lives from its first header to nghttp2's closing of it, and is in
 *     server->streams all that time.
 *  2. A request belongs to its stream until events->request has it, which happens at most once.
 *  3. A stream is WAITING exactly between events->request and its reply or events->cancelled;
 *     server->n_waiting counts those, and n_receiving the ones before.
 *  4. server->held_bytes is the sum of the streams' held_bytes.
 */
#include "wire/grpc.h"
#include "wire/http2.h"
#include "wire/protocol.h"

#include <stdlib.h>
#include <string.h>

/* Streams that a peer may reset: at once, and for each second from then on. As many as 1,000
 * streams whose deadlines pass ten times a second, so that a slow store does not cost good clients
 * their connection; at some 4 microseconds for each, a flood of them costs 4 % of a core. */
#define RESETS_AT_ONCE_MAX (20 * BASE_STREAMS_MAX)
#define RESETS_PER_SECOND_MAX (10 * BASE_STREAMS_MAX)
/* Frames of one connection that break the protocol and for which only their stream is reset: more
 * is no slip but a way to make us work. */
#define INVALID_FRAMES_MAX 1000
/* What HTTP/2 adds to the bytes of a field's name and value (RFC 9113, section 6.5.2). */
#define HEADER_FIELD_OVERHEAD_BYTES 32

enum stream_stage {
    STREAM_RECEIVING,
    STREAM_WAITING, /* for wire_server_reply */
    STREAM_ANSWERED /* an answer is on its way, or none is wanted */
};

struct http2_stream {
    struct http2_stream *next; /* in server->streams, or in server->free_streams */
    struct http2_stream *previous;
    int32_t id;
    enum stream_stage stage;
    enum wire_form form;
    bool remote_open; /* END_STREAM has not come */
    bool head;        /* the method is HEAD: no body in the answer */
    unsigned n_content_types;
    struct base_text grpc_timeout; /* NULL: none; both as sent */
    struct base_text connect_timeout;
    struct base_text grpc_encoding;
    size_t n_header_bytes; /* as HTTP/2 counts them */
    size_t held_bytes;
    struct wire_request *request; /* while receiving */
    struct wire_header_list headers;
    struct wire_message_reader message; /* what comes; HTTP uses its bytes only */
    struct wire_http2_message reply;
};

struct http2_server {
    nghttp2_session *session;
    const struct wire_server_events *events;
    void *user;
    struct http2_stream *streams;
    struct http2_stream *free_streams;
    struct http2_stream *in_headers; /* whose header block is coming; NULL: nobody's that counts */
    struct base_bytes leftover;      /* of what nghttp2 has given to send */
    size_t held_bytes;
    size_t n_waiting;
    size_t n_receiving;
    unsigned n_invalid_frames;
    bool draining; /* the last stream has been told */
    bool ended;    /* nothing is taken any more */
};

/* --- streams --- */

static void stream_hold(struct http2_server *server, struct http2_stream *stream, size_t bytes)
{
    server->held_bytes -= stream->held_bytes;
    server->held_bytes += bytes;
    stream->held_bytes = bytes;
}

static struct http2_stream *stream_open(struct http2_server *server, int32_t id)
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
    stream_hold(server, stream, 0);
    stream->stage = stage;
    server->n_receiving--;
}

static void stream_close(struct http2_server *server, struct http2_stream *stream)
{
    if (stream->stage == STREAM_RECEIVING) {
        stream_end_receiving(server, stream, STREAM_ANSWERED);
    }
    if (server->in_headers == stream) {
        server->in_headers = NULL;
    }
    stream_hold(server, stream, 0);
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else {
        server->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    wire_http2_message_reset(&stream->reply);
    struct wire_http2_message reply = stream->reply;
    *stream = (struct http2_stream){.reply = reply, .next = server->free_streams};
    server->free_streams = stream;
}

static struct http2_stream *stream_find(struct http2_server *server, int32_t id)
{
    return nghttp2_session_get_stream_user_data(server->session, id);
}

/* --- answers --- */

/* Answers a stream that is not RECEIVING. `grpc_http_status` is 200 but for what is no gRPC. */
static void stream_answer(struct http2_server *server, struct http2_stream *stream,
                          const struct wire_reply *reply, int grpc_http_status)
{
    struct wire_http2_message *message = &stream->reply;
    if (stream->form == WIRE_GRPC) {
        wire_http2_fill_grpc(message, reply, grpc_http_status);
    } else {
        wire_http2_fill_http(message, reply, stream->head);
    }
    stream->stage = STREAM_ANSWERED;
    stream_hold(server, stream, base_arena_held(&message->arena));
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

static void stream_refuse(struct http2_server *server, struct http2_stream *stream,
                          const struct refusal *refusal)
{
    static const struct wire_header accept_identity = {
        {"grpc-accept-encoding", sizeof "grpc-accept-encoding" - 1},
        {"identity", sizeof "identity" - 1}};
    stream_end_receiving(server, stream, STREAM_ANSWERED);
    struct wire_reply reply = {.grpc_status = refusal->code,
                               .grpc_message = base_text_of(refusal->text),
                               .http_status = refusal->http_status,
                               .n_headers = refusal->code == BASE_CODE_UNIMPLEMENTED ? 1 : 0,
                               .headers = &accept_identity};
    stream_answer(server, stream, &reply, refusal->http_status == 0 ? 200 : refusal->http_status);
}

/* --- requests --- */

static void stream_hand_over(struct http2_server *server, struct http2_stream *stream)
{
    struct wire_request *request = stream->request;
    request->form = stream->form;
    request->n_headers = stream->headers.count;
    request->headers = stream->headers.headers;
    if (request->defect != WIRE_DEFECT_TOO_LARGE) {
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
static const struct refusal HEADERS_TOO_LARGE = {BASE_CODE_RESOURCE_EXHAUSTED, 431,
                                                 "the request's headers are too large"};
static const struct refusal NOT_POST = {BASE_CODE_INTERNAL, 405, "gRPC's method is POST"};
static const struct refusal BAD_TIMEOUT = {BASE_CODE_INTERNAL, 0, "malformed grpc-timeout"};
static const struct refusal TWO_CONTENT_TYPES = {BASE_CODE_INTERNAL, 400,
                                                 "more than one content-type"};

static void stream_refuse_message(struct http2_server *server, struct http2_stream *stream,
                                  enum wire_message_fault fault)
{
    if (fault == WIRE_MESSAGE_TOO_LARGE) {
        stream->request->defect = WIRE_DEFECT_TOO_LARGE;
        stream_hand_over(server, stream);
    } else if (fault == WIRE_MESSAGE_COMPRESSED && stream->grpc_encoding.length > 0 &&
               !base_text_equal(stream->grpc_encoding, BASE_TEXT("identity"))) {
        stream_refuse(server, stream, &UNKNOWN_COMPRESSION);
    } else {
        stream_refuse(server, stream, &MESSAGE_REFUSALS[fault]);
    }
}

static void stream_data(struct http2_server *server, struct http2_stream *stream,
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
    stream_hold(server, stream, stream->held_bytes + body->capacity - capacity);
    if (fault != WIRE_MESSAGE_FINE) {
        stream_refuse_message(server, stream, fault);
    }
}

static void stream_end_of_input(struct http2_server *server, struct http2_stream *stream)
{
    stream->remote_open = false;
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

/* The header block is complete: what can be refused now need not be received. */
static void stream_headers_complete(struct http2_server *server, struct http2_stream *stream)
{
    struct wire_request *request = stream->request;
    stream->form = is_grpc(request->content_type) ? WIRE_GRPC : WIRE_HTTP;
    stream->head = base_text_equal(request->method, BASE_TEXT("HEAD"));
    stream_hold(server, stream, base_arena_held(&request->arena));
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
    }
    if (refusal != NULL) {
        stream_refuse(server, stream, refusal);
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

static void stream_header(struct http2_stream *stream, struct base_text name,
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

/* --- what nghttp2 calls --- */

/* The text of a header field for the request, which may outlive the session: only HPACK's static
 * table does so too. */
static struct base_text field_text(struct wire_request *request, nghttp2_rcbuf *field)
{
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(field);
    struct base_text text = {(const char *)bytes.base, bytes.len};
    return nghttp2_rcbuf_is_static(field) ? text : base_arena_text(&request->arena, text);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_server *server = user;
    server->in_headers = NULL;
    /* Behind the last stream that was told, none is taken: its client asks elsewhere. */
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || server->draining) {
        return 0;
    }
    struct http2_stream *stream = stream_open(server, frame->hd.stream_id);
    int result = nghttp2_session_set_stream_user_data(session, stream->id, stream);
    base_assert(result == 0);
    server->in_headers = stream;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)session;
    (void)frame;
    (void)flags;
    struct http2_server *server = user;
    struct http2_stream *stream = server->in_headers;
    if (stream == NULL) {
        return 0;
    }
    stream->n_header_bytes += nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len +
                              HEADER_FIELD_OVERHEAD_BYTES;
    if (stream->n_header_bytes <= BASE_HEADERS_MAX_BYTES) {
        stream_header(stream, field_text(stream->request, name),
                      field_text(stream->request, value));
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *bytes, size_t length, void *user)
{
    (void)session;
    (void)flags;
    struct http2_server *server = user;
    struct http2_stream *stream = stream_find(server, stream_id);
    if (stream != NULL && stream->stage == STREAM_RECEIVING) {
        stream_data(server, stream, (struct base_bytes){bytes, length});
    }
    return 0;
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct http2_server *server = user;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    server->in_headers = NULL;
    struct http2_stream *stream = stream_find(server, frame->hd.stream_id);
    if (stream == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        stream_headers_complete(server, stream);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        stream_end_of_input(server, stream);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *user)
{
    (void)frame;
    (void)error;
    struct http2_server *server = user;
    if (++server->n_invalid_frames > INVALID_FRAMES_MAX) {
        return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_server *server = user;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    /* The answer is complete and the request is not: what is left of it is not wanted
     * (RFC 9113, section 8.1). */
    struct http2_stream *stream = stream_find(server, frame->hd.stream_id);
    if (stream != NULL && stream->remote_open) {
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

/* Header fields that nghttp2 cannot pack: the stream would never end. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *user)
{
    (void)error;
    struct http2_server *server = user;
    if (frame->hd.type != NGHTTP2_HEADERS || stream_find(server, frame->hd.stream_id) == NULL) {
        return 0;
    }
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_INTERNAL_ERROR);
}

static int on_stream_closed(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user)
{
    (void)session;
    (void)error;
    struct http2_server *server = user;
    struct http2_stream *stream = stream_find(server, stream_id);
    if (stream == NULL) {
        return 0;
    }
    bool waiting = stream->stage == STREAM_WAITING;
    stream_close(server, stream);
    if (waiting) {
        server->n_waiting--;
        server->events->cancelled(server->user, (uint32_t)stream_id);
    }
    return 0;
}

/* --- the session --- */

static nghttp2_session *session_open(struct http2_server *server)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    int result = nghttp2_session_callbacks_new(&callbacks);
    if (result == 0) {
        result = nghttp2_option_new(&option);
    }
    if (result != 0) {
        base_stop("out of memory (for an HTTP/2 session)");
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_AT_ONCE_MAX, RESETS_PER_SECOND_MAX);

    nghttp2_mem memory = wire_http2_memory();
    nghttp2_session *session;
    result = nghttp2_session_server_new3(&session, callbacks, server, option, &memory);
    base_assert(result == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

static void *http2_open(const struct wire_server_events *events, void *user)
{
    struct http2_server *server = base_allocate_zeroed(1, sizeof *server);
    server->events = events;
    server->user = user;
    server->session = session_open(server);
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, BASE_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, BASE_STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, BASE_HEADERS_MAX_BYTES},
        /* No tree of priorities: no client of ours uses it, and it costs with each stream. */
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int result = nghttp2_submit_settings(server->session, NGHTTP2_FLAG_NONE, settings,
                                         sizeof settings / sizeof settings[0]);
    base_assert(result == 0);
    result = nghttp2_session_set_local_window_size(server->session, NGHTTP2_FLAG_NONE, 0,
                                                   BASE_CONNECTION_WINDOW_BYTES);
    base_assert(result == 0);
    return server;
}

static bool http2_receive(void *state, struct base_bytes bytes)
{
    struct http2_server *server = state;
    if (server->ended) {
        return false;
    }
    ssize_t taken = nghttp2_session_mem_recv(server->session, bytes.bytes, bytes.length);
    if (taken < 0) {
        /* Not HTTP/2 at all, or more pings and settings than it reads answers to. */
        server->ended = true;
        (void)nghttp2_session_terminate_session(server->session, NGHTTP2_PROTOCOL_ERROR);
        return false;
    }
    base_assert((size_t)taken == bytes.length);
    return nghttp2_session_want_read(server->session) != 0;
}

static bool http2_receive_end(void *state)
{
    struct http2_server *server = state;
    server->ended = true;
    return false;
}

static size_t http2_send(void *state, uint8_t *buffer, size_t capacity)
{
    struct http2_server *server = state;
    return wire_http2_gather(server->session, &server->leftover, buffer, capacity);
}

static bool http2_finished(const void *state)
{
    const struct http2_server *server = state;
    return server->leftover.length == 0 && nghttp2_session_want_write(server->session) == 0 &&
           (server->ended || nghttp2_session_want_read(server->session) == 0);
}

static void http2_reply(void *state, uint32_t stream_id, const struct wire_reply *reply)
{
    struct http2_server *server = state;
    if (stream_id > INT32_MAX) {
        return;
    }
    struct http2_stream *stream = stream_find(server, (int32_t)stream_id);
    if (stream != NULL && stream->stage == STREAM_WAITING) {
        server->n_waiting--;
        stream_answer(server, stream, reply, 200);
    }
}

static void http2_shutdown_notice(void *state)
{
    struct http2_server *server = state;
    if (!server->draining && !server->ended) {
        int result = nghttp2_submit_shutdown_notice(server->session);
        base_assert(result == 0);
    }
}

static void http2_drain(void *state)
{
    struct http2_server *server = state;
    if (server->draining || server->ended) {
        return;
    }
    server->draining = true;
    int result = nghttp2_submit_goaway(server->session, NGHTTP2_FLAG_NONE,
                                       nghttp2_session_get_last_proc_stream_id(server->session),
                                       NGHTTP2_NO_ERROR, NULL, 0);
    base_assert(result == 0);
}

static size_t http2_held_bytes(const void *state)
{
    const struct http2_server *server = state;
    return server->held_bytes + server->leftover.length;
}

static size_t http2_open_requests(const void *state)
{
    return ((const struct http2_server *)state)->n_waiting;
}

static bool http2_half_received(const void *state)
{
    return ((const struct http2_server *)state)->n_receiving > 0;
}

static void http2_close(void *state)
{
    struct http2_server *server = state;
    nghttp2_session_del(server->session);
    while (server->streams != NULL) {
        stream_close(server, server->streams);
    }
    while (server->free_streams != NULL) {
        struct http2_stream *stream = server->free_streams;
        server->free_streams = stream->next;
        wire_http2_message_release(&stream->reply);
        free(stream);
    }
    base_assert(server->held_bytes == 0);
    free(server);
}

const struct wire_protocol wire_http2 = {
    .open = http2_open,
    .receive = http2_receive,
    .receive_end = http2_receive_end,
    .send = http2_send,
    .finished = http2_finished,
    .reply = http2_reply,
    .shutdown_notice = http2_shutdown_notice,
    .drain = http2_drain,
    .held_bytes = http2_held_bytes,
    .open_requests = http2_open_requests,
    .half_received = http2_half_received,
    .close = http2_close,
};
