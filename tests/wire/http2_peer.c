#include "http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK_MAX 65536

static struct peer_stream *find(struct peer *peer, int32_t stream_id)
{
    for (struct peer_stream *stream = peer->streams; stream != NULL; stream = stream->next) {
        if (stream->id == stream_id) {
            return stream;
        }
    }
    return NULL;
}

static struct peer_stream *find_or_add(struct peer *peer, int32_t stream_id)
{
    struct peer_stream *stream = find(peer, stream_id);
    if (stream == NULL) {
        stream = base_allocate_zeroed(1, sizeof *stream);
        stream->id = stream_id;
        stream->reset_code = UINT32_MAX;
        stream->next = peer->streams;
        peer->streams = stream;
    }
    return stream;
}

struct peer_stream *peer_stream(struct peer *peer, int32_t stream_id)
{
    struct peer_stream *stream = find(peer, stream_id);
    assert_non_null(stream);
    return stream;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct peer_stream *stream = find_or_add(user, frame->hd.stream_id);
    if (stream->n_blocks++ > 0) {
        strncat(stream->fields, "--\n", sizeof stream->fields - strlen(stream->fields) - 1);
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *user)
{
    (void)session;
    (void)flags;
    struct peer_stream *stream = find_or_add(user, frame->hd.stream_id);
    size_t used = strlen(stream->fields);
    (void)snprintf(stream->fields + used, sizeof stream->fields - used, "%.*s: %.*s\n",
                   (int)name_length, (const char *)name, (int)value_length, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
                   size_t length, void *user)
{
    (void)session;
    (void)flags;
    base_write_bytes(&find_or_add(user, stream_id)->body, (struct base_bytes){bytes, length});
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct peer *peer = user;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            find_or_add(peer, frame->hd.stream_id)->ended = true;
            if (peer->requested != NULL) {
                peer->requested(peer, frame->hd.stream_id);
            }
        }
        break;
    case NGHTTP2_RST_STREAM:
        find_or_add(peer, frame->hd.stream_id)->reset_code = frame->rst_stream.error_code;
        break;
    case NGHTTP2_GOAWAY:
        peer->n_goaways++;
        peer->goaway_last_stream = frame->goaway.last_stream_id;
        peer->goaway_code = frame->goaway.error_code;
        break;
    case NGHTTP2_PING:
        peer->n_ping_acks += (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
        break;
    default:
        break;
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user)
{
    (void)session;
    (void)error;
    find_or_add(user, stream_id)->closed = true;
    return 0;
}

static void open_session(struct peer *peer, bool server)
{
    *peer = (struct peer){.goaway_last_stream = -1};
    nghttp2_session_callbacks *callbacks;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(server ? nghttp2_session_server_new(&peer->session, callbacks, peer)
                            : nghttp2_session_client_new(&peer->session, callbacks, peer),
                     0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(peer->session, 0, NULL, 0), 0);
}

void peer_open_client(struct peer *peer)
{
    open_session(peer, false);
}

void peer_open_server(struct peer *peer)
{
    open_session(peer, true);
}

void peer_forget(struct peer *peer)
{
    while (peer->streams != NULL) {
        struct peer_stream *stream = peer->streams;
        peer->streams = stream->next;
        base_writer_release(&stream->body);
        free(stream);
    }
}

void peer_close(struct peer *peer)
{
    nghttp2_session_del(peer->session);
    peer_forget(peer);
}

static size_t read_fields(const char *lines, nghttp2_nv *fields, size_t fields_max)
{
    size_t count = 0;
    while (*lines != '\0') {
        const char *end = strchr(lines, '\n');
        const char *colon = strstr(lines + 1, ": ");
        assert_true(end != NULL && colon != NULL && colon < end && count < fields_max);
        fields[count++] =
            (nghttp2_nv){(uint8_t *)(uintptr_t)lines, (uint8_t *)(uintptr_t)(colon + 2),
                         (size_t)(colon - lines), (size_t)(end - colon - 2), NGHTTP2_NV_FLAG_NONE};
        lines = end + 1;
    }
    return count;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                         size_t capacity, uint32_t *data_flags, nghttp2_data_source *source,
                         void *user)
{
    (void)session;
    (void)source;
    struct peer_stream *stream = find_or_add(user, stream_id);
    size_t length = stream->to_send.length < capacity ? stream->to_send.length : capacity;
    if (length == 0 && !stream->end_after) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (length > 0) {
        memcpy(buffer, stream->to_send.bytes, length);
        stream->to_send.bytes += length;
        stream->to_send.length -= length;
    }
    if (stream->to_send.length == 0 && stream->end_after) {
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)length;
}

int32_t peer_request(struct peer *peer, const char *fields, struct base_bytes body, bool end)
{
    nghttp2_nv nv[600];
    size_t count = read_fields(fields, nv, sizeof nv / sizeof nv[0]);
    nghttp2_data_provider provider = {.read_callback = read_body};
    int32_t id = nghttp2_submit_request(peer->session, NULL, nv, count,
                                        body.length > 0 || !end ? &provider : NULL, NULL);
    assert_true(id > 0);
    struct peer_stream *stream = find_or_add(peer, id);
    stream->to_send = body;
    stream->end_after = end;
    return id;
}

void peer_respond(struct peer *peer, int32_t stream_id, const char *fields)
{
    nghttp2_nv nv[100];
    size_t count = read_fields(fields, nv, sizeof nv / sizeof nv[0]);
    assert_int_equal(nghttp2_submit_response(peer->session, stream_id, nv, count, NULL), 0);
}

bool peer_receive(struct peer *peer, struct base_bytes bytes)
{
    return nghttp2_session_mem_recv(peer->session, bytes.bytes, bytes.length) >= 0;
}

size_t peer_send(struct peer *peer, uint8_t *buffer, size_t capacity)
{
    if (peer->leftover.length == 0) {
        const uint8_t *chunk;
        ssize_t length = nghttp2_session_mem_send(peer->session, &chunk);
        assert_true(length >= 0);
        peer->leftover = (struct base_bytes){chunk, (size_t)length};
    }
    size_t length = peer->leftover.length < capacity ? peer->leftover.length : capacity;
    if (length > 0) {
        memcpy(buffer, peer->leftover.bytes, length);
        peer->leftover.bytes += length;
        peer->leftover.length -= length;
    }
    return length;
}

bool pump_server(struct wire_server *server, struct peer *peer, size_t chunk)
{
    static uint8_t buffer[CHUNK_MAX];
    bool open = true;
    size_t moved = 1;
    while (moved > 0) {
        moved = peer_send(peer, buffer, chunk);
        if (moved > 0 && open) {
            open = wire_server_receive(server, (struct base_bytes){buffer, moved});
        }
        size_t answered = wire_server_send(server, buffer, chunk);
        if (answered > 0) {
            assert_true(peer_receive(peer, (struct base_bytes){buffer, answered}));
        }
        moved += answered;
    }
    return open;
}

bool pump_client(struct wire_client *client, struct peer *peer, size_t chunk)
{
    static uint8_t buffer[CHUNK_MAX];
    bool open = true;
    size_t moved = 1;
    while (moved > 0) {
        moved = wire_client_send(client, buffer, chunk);
        if (moved > 0) {
            assert_true(peer_receive(peer, (struct base_bytes){buffer, moved}));
        }
        size_t answered = peer_send(peer, buffer, chunk);
        if (answered > 0 && open) {
            open = wire_client_receive(client, (struct base_bytes){buffer, answered});
        }
        moved += answered;
    }
    return open;
}

bool pump_pair(struct wire_client *client, struct wire_server *server, size_t chunk)
{
    static uint8_t buffer[CHUNK_MAX];
    bool open = true;
    size_t moved = 1;
    while (moved > 0) {
        moved = wire_client_send(client, buffer, chunk);
        if (moved > 0 && open) {
            open = wire_server_receive(server, (struct base_bytes){buffer, moved});
        }
        size_t answered = wire_server_send(server, buffer, chunk);
        if (answered > 0) {
            (void)!wire_client_receive(client, (struct base_bytes){buffer, answered});
        }
        moved += answered;
    }
    return open;
}
