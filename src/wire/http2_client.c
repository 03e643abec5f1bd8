/*
 * The client's role of HTTP/2: calls of gRPC with one request, whose answer is a message or a
 * stream of them.
 *
 *  1. A call lives from wire_client_call to nghttp2's closing of its stream, and is in
 *     client->calls all that time: nghttp2 reads its memory as long as it may still send it.
 *  2. Each call is answered exactly once, at the end of its response or earlier; an answered one
 *     waits for its stream to close and hears nothing any more. client->n_open counts the others.
 */
#include "wire/grpc.h"
#include "wire/http2.h"
#include "wire/protocol.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a response's header and trailer fields together. */
#define RESPONSE_HEADERS_MAX_BYTES (2 * BASE_HEADERS_MAX_BYTES)
/* Fields of a request beside its own headers. */
#define CALL_FIELDS_MAX 8

struct client_call {
    struct client_call *next; /* in client->calls, or in client->free_calls */
    struct client_call *previous;
    int32_t id;
    void *user;
    bool answered;
    bool request_sent;
    struct wire_http2_message request;
    /* The response. */
    struct base_arena arena; /* what its texts live in */
    struct wire_header_list headers;
    size_t n_header_bytes;
    int http_status;               /* 0: none yet */
    int grpc_status;               /* -1: none yet */
    struct base_text message_text; /* grpc-message, decoded */
    struct base_bytes status_details;
    size_t streamed_message_max; /* 0: one message is the answer */
    struct wire_message_reader message;
    const char *broken; /* why the response cannot be used; NULL: it can */
};

struct wire_client {
    nghttp2_session *session;
    const struct wire_client_events *events;
    void *user;
    struct base_arena arena; /* for what lives as long as the client */
    struct base_text authority;
    bool secure;
    struct client_call *calls;
    struct client_call *free_calls;
    struct base_bytes leftover; /* of what nghttp2 has given to send */
    size_t n_open;
    bool closing; /* no more calls: the server said so, or the session has ended */
};

/* --- calls --- */

static struct client_call *call_open(struct wire_client *client, void *call_user)
{
    struct client_call *call = client->free_calls;
    if (call == NULL) {
        call = base_allocate_zeroed(1, sizeof *call);
    } else {
        client->free_calls = call->next;
    }
    call->user = call_user;
    call->grpc_status = -1;
    call->previous = NULL;
    call->next = client->calls;
    if (call->next != NULL) {
        call->next->previous = call;
    }
    client->calls = call;
    client->n_open++;
    return call;
}

/* Its stream is closed, and it has been answered. */
static void call_close(struct wire_client *client, struct client_call *call)
{
    base_assert(call->answered);
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        client->calls = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
    wire_http2_message_reset(&call->request);
    base_writer_release(&call->message.bytes);
    base_arena_reset(&call->arena);
    struct wire_http2_message request = call->request;
    struct base_arena arena = call->arena;
    *call = (struct client_call){.request = request, .arena = arena, .next = client->free_calls};
    client->free_calls = call;
}

static void call_answer(struct wire_client *client, struct client_call *call,
                        const struct wire_response *response)
{
    base_assert(!call->answered);
    call->answered = true;
    client->n_open--;
    client->events->response(client->user, call->user, response);
    base_writer_release(&call->message.bytes);
}

/* Answers a call for which there is no answer. */
static void call_fail(struct wire_client *client, struct client_call *call, struct base_text why)
{
    struct wire_response response = {.grpc_status = -1, .message = why};
    call_answer(client, call, &response);
}

static struct client_call *call_find(struct wire_client *client, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(client->session, stream_id);
}

/* --- responses --- */

static const char *const MESSAGE_FAULTS[] = {
    [WIRE_MESSAGE_FINE] = NULL,
    [WIRE_MESSAGE_TOO_LARGE] = "the response's message is larger than agreed",
    [WIRE_MESSAGE_COMPRESSED] = "the response is compressed",
    [WIRE_MESSAGE_BAD_FLAG] = "the response's message has a flag that is neither 0 nor 1",
    [WIRE_MESSAGE_EXTRA] = "the response has more than one message",
    [WIRE_MESSAGE_MISSING] = "the response has no message",
    [WIRE_MESSAGE_CUT_SHORT] = "the response ended inside a message",
};

/* The stream's end has come: judges what there is. */
static void call_judge(struct wire_client *client, struct client_call *call)
{
    if (call->broken == NULL && call->grpc_status == BASE_CODE_OK) {
        enum wire_message_fault fault = wire_message_end(&call->message);
        /* A stream may be empty, or end after any message. */
        bool complete = call->streamed_message_max > 0 && call->message.n_prefix == 0;
        call->broken = complete ? NULL : MESSAGE_FAULTS[fault];
    }
    if (call->broken != NULL) {
        call_fail(client, call, base_text_of(call->broken));
        return;
    }
    struct wire_response response = {.grpc_status = call->grpc_status,
                                     .message = call->message_text,
                                     .status_details = call->status_details,
                                     .n_headers = call->headers.count,
                                     .headers = call->headers.headers};
    if (call->grpc_status == BASE_CODE_OK) {
        response.body = base_writer_bytes(&call->message.bytes);
    } else if (call->grpc_status < 0) {
        response.message = base_arena_print(&call->arena, "HTTP status %d without a gRPC status",
                                            call->http_status);
    }
    call_answer(client, call, &response);
}

/* A number in digits; -1: it is none, or beyond what statuses are. */
static int parse_status(struct base_text text)
{
    int64_t number;
    return base_text_to_int64(text, &number) && number >= 0 && number <= 999 ? (int)number : -1;
}

static void call_status_details(struct client_call *call, struct base_text value)
{
    struct base_bytes details;
    if (base_base64_decode(&call->arena, value, BASE_BASE64_UNPADDED, &details)) {
        call->status_details = details;
    }
}

static void call_header(struct client_call *call, struct base_text name, struct base_text value)
{
    struct base_arena *arena = &call->arena;
    if (base_text_equal(name, BASE_TEXT(":status"))) {
        call->http_status = parse_status(value);
    } else if (base_text_equal(name, BASE_TEXT("grpc-status"))) {
        call->grpc_status = parse_status(value);
    } else if (base_text_equal(name, BASE_TEXT("grpc-message"))) {
        call->message_text = wire_percent_decode(arena, value);
    } else if (base_text_equal(name, BASE_TEXT("grpc-status-details-bin"))) {
        call_status_details(call, value);
    } else {
        struct wire_header header = {base_arena_text(arena, name), value};
        if (wire_header_is_binary(name)) {
            wire_header_list_add_binary(&call->headers, arena, header);
        } else {
            header.value = base_arena_text(arena, value);
            wire_header_list_add(&call->headers, arena, header);
        }
    }
}

/* --- what nghttp2 calls --- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user)
{
    (void)session;
    (void)flags;
    struct client_call *call = call_find(user, frame->hd.stream_id);
    if (call == NULL || call->answered || call->broken != NULL) {
        return 0;
    }
    call->n_header_bytes += name_length + value_length;
    if (call->n_header_bytes > RESPONSE_HEADERS_MAX_BYTES) {
        call->broken = "the response's headers are too large";
        return 0;
    }
    call_header(call, (struct base_text){(const char *)name, name_length},
                (struct base_text){(const char *)value, value_length});
    return 0;
}

/* Hands over each message of the stream that the piece completes. */
static enum wire_message_fault take_streamed(struct wire_client *client, struct client_call *call,
                                             struct base_bytes piece)
{
    struct wire_message_reader *reader = &call->message;
    while (piece.length > 0) {
        size_t missing = wire_message_missing(reader);
        struct base_bytes part = {piece.bytes, piece.length < missing ? piece.length : missing};
        piece.bytes += part.length;
        piece.length -= part.length;
        enum wire_message_fault fault = wire_message_take(reader, part, call->streamed_message_max);
        if (fault != WIRE_MESSAGE_FINE) {
            return fault;
        }
        if (reader->n_prefix == WIRE_GRPC_PREFIX_BYTES && wire_message_missing(reader) == 0) {
            client->events->message(client->user, call->user, base_writer_bytes(&reader->bytes));
            base_writer_release(&reader->bytes);
            *reader = (struct wire_message_reader){.n_prefix = 0};
        }
    }
    return WIRE_MESSAGE_FINE;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *bytes, size_t length, void *user)
{
    (void)flags;
    struct wire_client *client = user;
    struct client_call *call = call_find(client, stream_id);
    if (call == NULL || call->answered) {
        return 0;
    }
    /* The body of what is no gRPC, a proxy's page perhaps, is not kept. */
    if (call->http_status == 200 && call->broken == NULL) {
        struct base_bytes piece = {bytes, length};
        call->broken =
            MESSAGE_FAULTS[call->streamed_message_max > 0
                               ? take_streamed(client, call, piece)
                               : wire_message_take(&call->message, piece, BASE_ANSWER_MAX_BYTES)];
    }
    if (call->broken != NULL) {
        call_fail(client, call, base_text_of(call->broken));
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
    }
    return 0;
}

/* Calls that the server has said it will not look at are answered at once, though those that wait
 * in nghttp2 for their turn stay there until the session lets them go. */
static void on_goaway(struct wire_client *client, const nghttp2_goaway *goaway)
{
    client->closing = true;
    struct client_call *next;
    for (struct client_call *call = client->calls; call != NULL; call = next) {
        next = call->next;
        if (!call->answered && call->id > goaway->last_stream_id) {
            call_fail(client, call, BASE_TEXT("the server goes away; it has not begun the call"));
        }
    }
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct wire_client *client = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        on_goaway(client, &frame->goaway);
        return 0;
    }
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    struct client_call *call = call_find(client, frame->hd.stream_id);
    if (call == NULL || call->answered) {
        return 0;
    }
    call_judge(client, call);
    if (!call->request_sent) {
        /* The server has answered early: the rest of the request is of no use. */
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_CANCEL);
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    if (frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        struct client_call *call = call_find(user, frame->hd.stream_id);
        if (call != NULL) {
            call->request_sent = true;
            wire_http2_message_reset(&call->request);
        }
    }
    return 0;
}

static int on_stream_closed(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user)
{
    (void)session;
    struct wire_client *client = user;
    struct client_call *call = call_find(client, stream_id);
    if (call == NULL) {
        return 0;
    }
    if (!call->answered) {
        call_fail(client, call,
                  base_arena_print(&call->arena, "the stream was reset: %s",
                                   nghttp2_http2_strerror(error)));
    }
    call_close(client, call);
    return 0;
}

/* --- the session --- */

static nghttp2_session *session_open(struct wire_client *client)
{
    struct wire_http2_setup setup = wire_http2_setup_open();
    nghttp2_session_callbacks *callbacks = setup.callbacks;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);

    nghttp2_mem memory = wire_http2_memory();
    nghttp2_session *session;
    int result = nghttp2_session_client_new3(&session, callbacks, client, setup.option, &memory);
    base_assert(result == 0);
    wire_http2_setup_close(setup);
    return session;
}

struct wire_client *wire_client_open(const struct wire_client_events *events, void *user,
                                     struct base_text authority, bool secure)
{
    struct wire_client *client = base_allocate_zeroed(1, sizeof *client);
    client->events = events;
    client->user = user;
    client->authority = base_arena_text(&client->arena, authority);
    client->secure = secure;
    client->session = session_open(client);
    wire_http2_announce(client->session, (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
    return client;
}

static void fill_request(const struct wire_client *client, struct wire_http2_message *message,
                         const struct wire_call *call)
{
    wire_http2_message_open(message, CALL_FIELDS_MAX + call->n_headers);
    const unsigned plain = NGHTTP2_NV_FLAG_NONE;
    wire_http2_message_add(message, BASE_TEXT(":method"), BASE_TEXT("POST"), plain);
    wire_http2_message_add(message, BASE_TEXT(":scheme"),
                           client->secure ? BASE_TEXT("https") : BASE_TEXT("http"), plain);
    wire_http2_message_add(message, BASE_TEXT(":path"),
                           base_arena_text(&message->arena, call->path), plain);
    wire_http2_message_add(message, BASE_TEXT(":authority"), client->authority, plain);
    wire_http2_message_add(message, BASE_TEXT("te"), BASE_TEXT("trailers"), plain);
    if (call->timeout_ns >= 0) {
        char *text = base_arena_take(&message->arena, WIRE_GRPC_TIMEOUT_BYTES);
        size_t length = wire_print_grpc_timeout(call->timeout_ns, text);
        /* What is left of a deadline is never the same: no place in HPACK's table. */
        wire_http2_message_add(message, BASE_TEXT("grpc-timeout"), (struct base_text){text, length},
                               NGHTTP2_NV_FLAG_NO_INDEX);
    }
    wire_http2_message_add(message, BASE_TEXT("content-type"), BASE_TEXT("application/grpc"),
                           plain);
    wire_http2_message_add(message, BASE_TEXT("user-agent"), BASE_TEXT("zandaka/" ZANDAKA_VERSION),
                           plain);
    wire_http2_message_add_headers(message, call->n_headers, call->headers);
    wire_http2_message_end_header(message);
    wire_http2_message_add_grpc_body(message, call->message);
}

bool wire_client_call(struct wire_client *client, const struct wire_call *call, void *call_user)
{
    /* nghttp2 has no stream numbers left after 2^30 calls, and says so. */
    if (client->closing || nghttp2_session_check_request_allowed(client->session) == 0) {
        return false;
    }
    struct client_call *begun = call_open(client, call_user);
    begun->streamed_message_max = call->streamed_message_max;
    fill_request(client, &begun->request, call);
    nghttp2_data_provider provider = wire_http2_message_provider(&begun->request);
    begun->id = nghttp2_submit_request(client->session, NULL, begun->request.fields,
                                       begun->request.n_fields, &provider, begun);
    base_assert(begun->id > 0);
    return true;
}

bool wire_client_receive(struct wire_client *client, struct base_bytes bytes)
{
    ssize_t taken = nghttp2_session_mem_recv(client->session, bytes.bytes, bytes.length);
    if (taken < 0 || nghttp2_session_want_read(client->session) == 0) {
        client->closing = true;
        return false;
    }
    return true;
}

size_t wire_client_send(struct wire_client *client, uint8_t *buffer, size_t capacity)
{
    return wire_http2_gather(client->session, &client->leftover, buffer, capacity);
}

size_t wire_client_open_calls(const struct wire_client *client)
{
    return client->n_open;
}

void wire_client_close(struct wire_client *client)
{
    client->closing = true;
    /* An answer may not begin a call any more, so that the list only grows shorter. */
    for (struct client_call *call = client->calls; call != NULL; call = call->next) {
        if (!call->answered) {
            call_fail(client, call, BASE_TEXT("the connection ended before the answer"));
        }
    }
    nghttp2_session_del(client->session);
    while (client->calls != NULL) {
        call_close(client, client->calls);
    }
    while (client->free_calls != NULL) {
        struct client_call *call = client->free_calls;
        client->free_calls = call->next;
        wire_http2_message_release(&call->request);
        base_arena_release(&call->arena);
        free(call);
    }
    base_arena_release(&client->arena);
    free(client);
}
