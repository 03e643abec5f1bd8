/*
 * Streamed calls of the server's role of HTTP/2: messages in, one at a time as they are wanted, and
 * messages out, as the peer's window lets them. Neither side can make the session hold more than a
 * window and a message: what comes opens the stream's window only when it is taken, and who writes
 * looks whether the stream is writable.
 */
#include "wire/http2_stream.h"

#include <stdlib.h>
#include <string.h>

void wire_http2_streamed_open(struct http2_server *server, struct http2_stream *stream,
                              size_t message_max_bytes)
{
    stream->streamed = base_allocate_zeroed(1, sizeof *stream->streamed);
    stream->streamed->message_max_bytes = message_max_bytes;
    stream->streamed->wants_message = true;
    server->n_streamed++;
}

void wire_http2_streamed_close(struct http2_server *server, struct http2_stream *stream)
{
    struct http2_streamed *streamed = stream->streamed;
    base_writer_release(&streamed->ahead);
    base_writer_release(&streamed->unsent);
    wire_http2_message_release(&streamed->trailers);
    base_writer_release(&stream->message.bytes);
    free(streamed);
    stream->streamed = NULL;
    server->n_streamed--;
}

/* What is half received or not sent; so an idle call holds nothing. */
static void count_held(struct http2_server *server, struct http2_stream *stream)
{
    const struct http2_streamed *streamed = stream->streamed;
    wire_http2_stream_hold(server, stream,
                           streamed->ahead.capacity + streamed->unsent.capacity +
                               stream->message.bytes.capacity +
                               base_arena_held(&streamed->trailers.arena));
}

/* --- a queue of bytes: written at its end, taken from its front --- */

static struct base_bytes queued(const struct base_writer *queue, size_t at)
{
    return queue->length == 0 ? (struct base_bytes){NULL, 0}
                              : (struct base_bytes){queue->bytes + at, queue->length - at};
}

static void take_queued(struct base_writer *queue, size_t *at, size_t length)
{
    *at += length;
    if (*at == queue->length) {
        base_writer_release(queue);
        *at = 0;
    } else if (*at > queue->length / 2) {
        /* Not at every piece, which would make many small ones cost the square. */
        queue->length -= *at;
        memmove(queue->bytes, queue->bytes + *at, queue->length);
        *at = 0;
    }
}

/* --- messages in --- */

/* The session answers for itself, and tells whoever has the call that it is over. */
static void refuse(struct http2_server *server, struct http2_stream *stream,
                   enum wire_message_fault fault)
{
    struct wire_reply reply =
        fault == WIRE_MESSAGE_TOO_LARGE
            ? (struct wire_reply){.grpc_status = BASE_CODE_RESOURCE_EXHAUSTED,
                                  .grpc_message = BASE_TEXT("the message is too large")}
            : wire_http2_message_refusal(fault);
    server->n_waiting--;
    wire_http2_streamed_end(server, stream, &reply);
    if (server->events->refused != NULL) {
        server->events->refused(server->user, (uint32_t)stream->id, reply.grpc_status);
    } else {
        server->events->cancelled(server->user, (uint32_t)stream->id);
    }
}

/* Takes from the front of *bytes. False: the call is over. */
static bool take_piece(struct http2_server *server, struct http2_stream *stream,
                       struct base_bytes *bytes)
{
    struct wire_message_reader *reader = &stream->message;
    size_t missing = wire_message_missing(reader);
    struct base_bytes piece = {bytes->bytes, bytes->length < missing ? bytes->length : missing};
    bytes->bytes += piece.length;
    bytes->length -= piece.length;
    int result = nghttp2_session_consume_stream(server->session, stream->id, piece.length);
    base_assert(result == 0);
    enum wire_message_fault fault =
        wire_message_take(reader, piece, stream->streamed->message_max_bytes);
    if (fault != WIRE_MESSAGE_FINE) {
        refuse(server, stream, fault);
        return false;
    }
    if (reader->n_prefix == WIRE_GRPC_PREFIX_BYTES && wire_message_missing(reader) == 0) {
        stream->streamed->wants_message = false;
        server->events->message(server->user, (uint32_t)stream->id,
                                base_writer_bytes(&reader->bytes));
        base_writer_release(&reader->bytes);
        *reader = (struct wire_message_reader){.n_prefix = 0};
    }
    return stream->stage == STREAM_WAITING;
}

/* Takes messages out of *bytes as long as they are wanted. */
static void take_messages(struct http2_server *server, struct http2_stream *stream,
                          struct base_bytes *bytes)
{
    stream->streamed->reading = true;
    while (bytes->length > 0 && stream->streamed->wants_message &&
           take_piece(server, stream, bytes)) {
    }
    stream->streamed->reading = false;
}

void wire_http2_streamed_data(struct http2_server *server, struct http2_stream *stream,
                              struct base_bytes piece)
{
    struct http2_streamed *streamed = stream->streamed;
    if (streamed->ahead.length == 0) {
        take_messages(server, stream, &piece);
    }
    if (piece.length > 0 && stream->stage == STREAM_WAITING) {
        base_write_bytes(&streamed->ahead, piece);
    }
    count_held(server, stream);
}

void wire_http2_streamed_read(struct http2_server *server, struct http2_stream *stream)
{
    struct http2_streamed *streamed = stream->streamed;
    if (streamed->reading) {
        return; /* whoever reads goes on */
    }
    struct base_bytes bytes = queued(&streamed->ahead, streamed->ahead_at);
    size_t length = bytes.length;
    take_messages(server, stream, &bytes);
    take_queued(&streamed->ahead, &streamed->ahead_at, length - bytes.length);
    if (stream->stage == STREAM_WAITING && bytes.length == 0 && !stream->remote_open &&
        !streamed->half_closed) {
        streamed->half_closed = true;
        if (stream->message.n_prefix > 0) {
            refuse(server, stream, WIRE_MESSAGE_CUT_SHORT);
        } else {
            server->events->half_closed(server->user, (uint32_t)stream->id);
        }
    }
    count_held(server, stream);
}

/* --- messages out --- */

bool wire_http2_streamed_writable(struct http2_stream *stream)
{
    struct http2_streamed *streamed = stream->streamed;
    streamed->full = streamed->unsent.length - streamed->unsent_at >= BASE_STREAM_UNSENT_MAX_BYTES;
    return !streamed->full;
}

/* nghttp2 asks for bytes: what is unsent, then the trailers. */
static ssize_t unsent_read(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                           size_t capacity, uint32_t *data_flags, nghttp2_data_source *source,
                           void *user)
{
    struct http2_server *server = user;
    struct http2_stream *stream = source->ptr;
    struct http2_streamed *streamed = stream->streamed;
    struct base_bytes unsent = queued(&streamed->unsent, streamed->unsent_at);
    size_t length = unsent.length < capacity ? unsent.length : capacity;
    if (length > 0) {
        memcpy(buffer, unsent.bytes, length);
        take_queued(&streamed->unsent, &streamed->unsent_at, length);
        count_held(server, stream);
    }
    if (streamed->full && stream->stage == STREAM_WAITING && wire_http2_streamed_writable(stream)) {
        server->events->writable(server->user, (uint32_t)stream_id);
    }
    if (streamed->unsent.length > 0 || !streamed->ending) {
        return length > 0 ? (ssize_t)length : NGHTTP2_ERR_DEFERRED;
    }
    *data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    int result = nghttp2_submit_trailer(session, stream_id, streamed->trailers.fields,
                                        streamed->trailers.n_fields);
    base_assert(result == 0);
    return (ssize_t)length;
}

/* There is something to send, or an end. It fails where nghttp2 is going to ask anyway. */
static void resume(struct http2_server *server, struct http2_stream *stream)
{
    (void)nghttp2_session_resume_data(server->session, stream->id);
    count_held(server, stream);
}

void wire_http2_streamed_begin(struct http2_server *server, struct http2_stream *stream,
                               size_t n_headers, const struct wire_header *headers)
{
    struct http2_streamed *streamed = stream->streamed;
    if (streamed->begun) {
        return;
    }
    streamed->begun = true;
    struct wire_http2_message *message = &stream->reply;
    wire_http2_fill_grpc_headers(message, n_headers, headers);
    nghttp2_data_provider provider = {.source = {.ptr = stream}, .read_callback = unsent_read};
    int result = nghttp2_submit_response(server->session, stream->id, message->fields,
                                         message->n_header_fields, &provider);
    base_assert(result == 0);
    count_held(server, stream);
}

void wire_http2_streamed_write(struct http2_server *server, struct http2_stream *stream,
                               struct base_bytes message)
{
    base_assert(message.length <= UINT32_MAX);
    wire_http2_streamed_begin(server, stream, 0, NULL);
    struct base_writer *unsent = &stream->streamed->unsent;
    wire_message_write_prefix(base_write_room(unsent, WIRE_GRPC_PREFIX_BYTES),
                              (uint32_t)message.length);
    base_write_bytes(unsent, message);
    resume(server, stream);
}

void wire_http2_streamed_end(struct http2_server *server, struct http2_stream *stream,
                             const struct wire_reply *reply)
{
    struct http2_streamed *streamed = stream->streamed;
    stream->stage = STREAM_ANSWERED;
    base_writer_release(&streamed->ahead);
    streamed->ahead_at = 0;
    if (!streamed->begun && reply->grpc_status != BASE_CODE_OK) {
        wire_http2_stream_answer(server, stream, reply, 200); /* Trailers-Only */
        return;
    }
    wire_http2_streamed_begin(server, stream, reply->n_headers, reply->headers);
    wire_http2_fill_grpc_trailers(&streamed->trailers, reply);
    streamed->ending = true;
    resume(server, stream);
}
