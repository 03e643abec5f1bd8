/* The server's role of HTTP/2: an nghttp2 session around its streams (http2_stream.h). */
#include "wire/http2_stream.h"
#include "wire/protocol.h"

#include <stdlib.h>

/* What HTTP/2 adds to the bytes of a field's name and value (RFC 9113, section 6.5.2). */
#define HEADER_FIELD_OVERHEAD_BYTES 32

/* --- what nghttp2 calls --- */

static struct http2_stream *stream_find(const struct http2_server *server, int32_t id)
{
    return nghttp2_session_get_stream_user_data(server->session, id);
}

/* The text of a header field for the request, which may outlive the session: only HPACK's static
 * table does so too. */
static struct base_text field_text(struct wire_request *request, nghttp2_rcbuf *field)
{
    nghttp2_vec bytes = nghttp2_rcbuf_get_buf(field);
    struct base_text text = {(const char *)bytes.base, bytes.len};
    return nghttp2_rcbuf_is_static(field) ? text : base_arena_text(&request->arena, text);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
    struct http2_server *server = user;
    /* Behind the last stream that was told, everything is passed over. */
    if (!server->draining) {
        wire_http2_conduct_begins(&server->conduct, session, head);
    }
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_server *server = user;
    server->in_headers = NULL;
    /* Behind the last stream that was told, none is taken: its client asks elsewhere. */
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || server->draining) {
        return 0;
    }
    struct http2_stream *stream = wire_http2_stream_open(server, frame->hd.stream_id);
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
        wire_http2_stream_header(stream, field_text(stream->request, name),
                                 field_text(stream->request, value));
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *bytes, size_t length, void *user)
{
    (void)flags;
    struct http2_server *server = user;
    struct base_bytes piece = {bytes, length};
    struct http2_stream *stream = stream_find(server, stream_id);
    /* The connection's window opens with all that comes: no stream stands in another's way. So does
     * the stream's, but that of a streamed call opens as its messages are taken. */
    if (stream != NULL && stream->streamed != NULL && stream->stage == STREAM_WAITING) {
        wire_http2_streamed_data(server, stream, piece);
        return nghttp2_session_consume_connection(session, length);
    }
    if (stream != NULL && stream->stage == STREAM_RECEIVING) {
        wire_http2_stream_data(server, stream, piece);
    }
    return nghttp2_session_consume(session, stream_id, length);
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_server *server = user;
    if (!wire_http2_conduct_received(&server->conduct, session, frame)) {
        server->ended = true;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    server->in_headers = NULL;
    struct http2_stream *stream = stream_find(server, frame->hd.stream_id);
    if (stream == NULL) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        wire_http2_stream_headers_complete(server, stream);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        wire_http2_stream_end_of_input(server, stream);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *user)
{
    (void)error;
    struct http2_server *server = user;
    wire_http2_conduct_refused(&server->conduct, frame->hd.stream_id);
    if (++server->n_invalid_frames > BASE_INVALID_FRAMES_MAX) {
        return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_server *server = user;
    wire_http2_conduct_sent(&server->conduct, frame);
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
    wire_http2_stream_close(server, stream);
    if (waiting) {
        server->n_waiting--;
        server->events->cancelled(server->user, (uint32_t)stream_id);
    }
    return 0;
}

/* --- the session --- */

static nghttp2_session *session_open(struct http2_server *server)
{
    struct wire_http2_setup setup = wire_http2_setup_open();
    nghttp2_session_callbacks *callbacks = setup.callbacks;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
    nghttp2_option_set_no_auto_window_update(setup.option, 1);
    nghttp2_option_set_stream_reset_rate_limit(setup.option, BASE_RESETS_AT_ONCE_MAX,
                                               BASE_RESETS_PER_SECOND_MAX);

    nghttp2_mem memory = wire_http2_memory();
    nghttp2_session *session;
    int result = nghttp2_session_server_new3(&session, callbacks, server, setup.option, &memory);
    base_assert(result == 0);
    wire_http2_setup_close(setup);
    return session;
}

static void *http2_open(const struct wire_server_events *events, void *user)
{
    struct http2_server *server = base_allocate_zeroed(1, sizeof *server);
    server->events = events;
    server->user = user;
    server->session = session_open(server);
    server->preface_left = NGHTTP2_CLIENT_MAGIC_LEN;
    wire_http2_announce(
        server->session,
        (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, BASE_STREAMS_MAX});
    return server;
}

static bool receive_frames(struct http2_server *server, struct base_bytes bytes)
{
    ssize_t taken = nghttp2_session_mem_recv(server->session, bytes.bytes, bytes.length);
    if (taken < 0) {
        /* Not HTTP/2 at all, or more pings and settings than it reads answers to. */
        server->ended = true;
        (void)nghttp2_session_terminate_session(server->session, NGHTTP2_PROTOCOL_ERROR);
        return false;
    }
    base_assert((size_t)taken == bytes.length);
    return true;
}

static bool http2_receive(void *state, struct base_bytes bytes)
{
    struct http2_server *server = state;
    if (server->ended) {
        return false;
    }
    if (server->preface_left > 0) {
        size_t length = bytes.length < server->preface_left ? bytes.length : server->preface_left;
        if (!receive_frames(server, (struct base_bytes){bytes.bytes, length})) {
            return false;
        }
        server->preface_left -= length;
        bytes = (struct base_bytes){bytes.bytes + length, bytes.length - length};
    }
    struct base_bytes pass;
    while (wire_http2_frames_take(&server->frames, &bytes, &pass)) {
        if (server->frames.silent_head != NULL && !server->draining) {
            struct wire_http2_head head = wire_http2_head_read(server->frames.silent_head);
            wire_http2_conduct_silent(&server->conduct, server->session, &head);
        }
        if (!receive_frames(server, pass)) {
            return false;
        }
    }
    return !server->ended && nghttp2_session_want_read(server->session) != 0;
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

/* The stream that waits for an answer, or NULL. */
static struct http2_stream *find_waiting(const struct http2_server *server, uint32_t stream_id)
{
    struct http2_stream *stream =
        stream_id > INT32_MAX ? NULL : stream_find(server, (int32_t)stream_id);
    return stream != NULL && stream->stage == STREAM_WAITING ? stream : NULL;
}

static void http2_reply(void *state, uint32_t stream_id, const struct wire_reply *reply)
{
    struct http2_server *server = state;
    struct http2_stream *stream = find_waiting(server, stream_id);
    if (stream == NULL) {
        return;
    }
    server->n_waiting--;
    if (stream->streamed != NULL) {
        wire_http2_streamed_end(server, stream, reply);
    } else {
        wire_http2_stream_answer(server, stream, reply, 200);
    }
}

/* The same, if its call is streamed. */
static struct http2_stream *find_streamed(const struct http2_server *server, uint32_t stream_id)
{
    struct http2_stream *stream = find_waiting(server, stream_id);
    return stream != NULL && stream->streamed != NULL ? stream : NULL;
}

static void http2_next(void *state, uint32_t stream_id)
{
    struct http2_server *server = state;
    struct http2_stream *stream = find_streamed(server, stream_id);
    if (stream != NULL) {
        stream->streamed->wants_message = true;
        wire_http2_streamed_read(server, stream);
    }
}

static bool http2_writable(const void *state, uint32_t stream_id)
{
    const struct http2_server *server = state;
    struct http2_stream *stream = find_streamed(server, stream_id);
    return stream == NULL || wire_http2_streamed_writable(stream);
}

static void http2_begin(void *state, uint32_t stream_id, size_t n_headers,
                        const struct wire_header *headers)
{
    struct http2_server *server = state;
    struct http2_stream *stream = find_streamed(server, stream_id);
    if (stream != NULL) {
        wire_http2_streamed_begin(server, stream, n_headers, headers);
    }
}

static void http2_write(void *state, uint32_t stream_id, struct base_bytes message)
{
    struct http2_server *server = state;
    struct http2_stream *stream = find_streamed(server, stream_id);
    if (stream != NULL) {
        wire_http2_streamed_write(server, stream, message);
    }
}

static void http2_set_time(void *state, int64_t now_mono_ns)
{
    struct http2_server *server = state;
    server->conduct.now_ns = now_mono_ns;
}

static void http2_ping(void *state)
{
    struct http2_server *server = state;
    int result = nghttp2_submit_ping(server->session, NGHTTP2_FLAG_NONE, NULL);
    base_assert(result == 0);
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

static uint32_t http2_half_received(const void *state)
{
    const struct http2_server *server = state;
    if (server->n_receiving == 0) {
        return 0;
    }
    /* Newest first: the oldest is the last. */
    int32_t oldest = 0;
    for (const struct http2_stream *each = server->streams; each != NULL; each = each->next) {
        oldest = each->stage == STREAM_RECEIVING ? each->id : oldest;
    }
    return (uint32_t)oldest;
}

static void http2_close(void *state)
{
    struct http2_server *server = state;
    nghttp2_session_del(server->session);
    while (server->streams != NULL) {
        wire_http2_stream_close(server, server->streams);
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
    .next = http2_next,
    .writable = http2_writable,
    .begin = http2_begin,
    .write = http2_write,
    .set_time = http2_set_time,
    .ping = http2_ping,
    .shutdown_notice = http2_shutdown_notice,
    .drain = http2_drain,
    .held_bytes = http2_held_bytes,
    .open_requests = http2_open_requests,
    .half_received = http2_half_received,
    .close = http2_close,
};
