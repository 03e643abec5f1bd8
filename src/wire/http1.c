/*
 * A server session that speaks HTTP/1.1. One request at a time:
 *
 *   HEAD     a head is awaited or has come in part
 *   BODY     its body is coming
 *   WAITING  it was handed up and is not answered
 *   HEAD     …once the answer has been sent, and not before: so no more than one answer ever waits,
 *            however many requests a peer sends ahead
 *
 * Invariants:
 *   1. What was received behind the request under way waits in `input`, up to BASE_AHEAD_MAX_BYTES.
 *   2. Once `ended`, nothing more is read; what `output` holds still goes out.
 */
#include "wire/http1.h"

#include <stdlib.h>
#include <string.h>

enum stage { HEAD, BODY, WAITING };

struct http1 {
    const struct wire_server_events *events;
    void *user;
    enum stage stage;
    uint32_t stream; /* the number of the last request */

    struct base_writer input; /* received and not looked at, behind input_at */
    size_t input_at;
    bool blank_line_passed; /* one empty line in front of a head is passed over */
    size_t scanned;         /* bytes of the head that were looked at */

    struct wire_request *request; /* while its body is coming */
    struct wire_http1_head head;
    struct base_writer body;
    uint64_t body_received; /* bytes, those dropped included */
    bool admitted;          /* events->admits was asked */
    struct wire_http1_chunks chunks;

    struct base_writer output;
    size_t output_at; /* bytes of it that were sent */

    bool reading;     /* requests are being taken out of the input just now */
    bool input_ended; /* the peer has closed its side */
    bool closing;     /* the next answer is the last */
    bool draining;    /* nothing new is begun */
    bool ended;
};

static void *http1_open(const struct wire_server_events *events, void *user)
{
    struct http1 *session = base_allocate_zeroed(1, sizeof *session);
    session->events = events;
    session->user = user;
    return session;
}

static void drop_request(struct http1 *session)
{
    if (session->request != NULL) {
        wire_request_release(session->request);
        session->request = NULL;
    }
    base_writer_release(&session->body);
    wire_http1_release_chunks(&session->chunks);
}

static void http1_close(void *state)
{
    struct http1 *session = state;
    drop_request(session);
    base_writer_release(&session->input);
    base_writer_release(&session->output);
    free(session);
}

/* --- output --- */

static size_t output_length(const struct http1 *session)
{
    return session->output.length - session->output_at;
}

/* Writes the answer; with it ends what can end. */
static void write_answer(struct http1 *session, const struct wire_reply *reply)
{
    session->ended = session->closing || !session->head.keep_alive;
    session->stage = HEAD;
    wire_http1_write_answer(&session->output, reply, &session->head, session->ended);
}

/* --- input --- */

static void hand_up(struct http1 *session)
{
    struct wire_request *request = session->request;
    session->request = NULL;
    if (session->body.length > 0) {
        request->body = base_writer_bytes(&session->body);
        request->body_memory = session->body.bytes;
        session->body = (struct base_writer){NULL, 0, 0};
    }
    drop_request(session);
    session->stage = WAITING;
    session->stream++;
    session->events->request(session->user, session->stream, request);
}

/* What cannot be read goes up as far as it was read, so that the answer to it is made where all
 * answers are made; it is the last one. */
static void refuse(struct http1 *session, const struct wire_http1_refusal *refusal)
{
    drop_request(session);
    session->request = wire_request_open();
    session->request->defect = WIRE_DEFECT_REFUSED;
    session->request->refusal =
        (struct wire_refusal){refusal->http_status, base_text_of(refusal->message)};
    session->closing = true;
    hand_up(session);
}

/* A body beyond the limit is not kept; the request goes up without it, so that the answer to it is
 * made where all answers are made. */
static void begin_discarding(struct http1 *session)
{
    session->request->defect = WIRE_DEFECT_TOO_LARGE;
    session->closing = true;
    base_writer_release(&session->body);
}

/* Whether a body of so many bytes is to be read. False: the request goes up without it. Where the
 * next one would begin is not looked for: the connection closes. */
static bool admit(struct http1 *session, uint64_t body_bytes)
{
    if (session->admitted || body_bytes <= BASE_BODY_UNASKED_BYTES) {
        return true;
    }
    session->admitted = true;
    if (session->events->admits == NULL ||
        session->events->admits(session->user, session->request)) {
        return true;
    }
    session->request->defect = WIRE_DEFECT_UNREAD;
    session->closing = true;
    return false;
}

static void keep_body(struct http1 *session, struct base_bytes piece)
{
    session->body_received += piece.length;
    if (!admit(session, session->body_received)) {
        base_writer_release(&session->body);
        return;
    }
    if (session->body_received > BASE_REQUEST_MAX_BYTES) {
        begin_discarding(session);
    }
    if (session->request->defect != WIRE_DEFECT_TOO_LARGE) {
        base_write_bytes(&session->body, piece);
    }
}

/* False: more bytes are needed. */
static bool take_head(struct http1 *session, struct base_bytes *bytes)
{
    if (!session->blank_line_passed && session->scanned == 0) {
        if (bytes->length == 1 && bytes->bytes[0] == '\r') {
            return false;
        }
        if (bytes->length >= 2 && bytes->bytes[0] == '\r' && bytes->bytes[1] == '\n') {
            session->blank_line_passed = true;
            bytes->bytes += 2;
            bytes->length -= 2;
        }
    }
    struct wire_http1_refusal refusal;
    enum wire_http1_progress progress = wire_http1_scan_head(*bytes, &session->scanned, &refusal);
    if (progress == WIRE_HTTP1_MORE) {
        return false;
    }
    session->head = (struct wire_http1_head){0};
    if (progress == WIRE_HTTP1_REFUSED) {
        refuse(session, &refusal);
        return true;
    }
    struct base_bytes head = {bytes->bytes, session->scanned};
    bytes->bytes += head.length;
    bytes->length -= head.length;
    session->scanned = 0;
    session->blank_line_passed = false;
    session->request = wire_request_open();
    if (!wire_http1_read_head(head, session->request, &session->head, &refusal)) {
        refuse(session, &refusal);
        return true;
    }
    session->stage = BODY;
    session->body_received = 0;
    session->admitted = false;
    if (!admit(session, session->head.content_length)) {
        hand_up(session);
    } else if (session->head.content_length > BASE_REQUEST_MAX_BYTES) {
        begin_discarding(session);
    } else if (session->head.expects_continue && bytes->length == 0 &&
               (session->head.chunked || session->head.content_length > 0)) {
        base_write_bytes(&session->output,
                         base_bytes_of(BASE_TEXT("HTTP/1.1 100 Continue\r\n\r\n")));
    }
    return true;
}

/* Whether a body has to be answered before it ends: because it is not to be read, or far too large,
 * or too large and the peer waits for a word before it sends it. */
static bool discarded_enough(const struct http1 *session)
{
    return session->request->defect == WIRE_DEFECT_UNREAD ||
           (session->request->defect == WIRE_DEFECT_TOO_LARGE &&
            (session->body_received >= BASE_DISCARD_MAX_BYTES ||
             session->head.content_length > BASE_DISCARD_MAX_BYTES ||
             (session->head.expects_continue && !session->head.chunked)));
}

static bool take_counted_body(struct http1 *session, struct base_bytes *bytes)
{
    uint64_t missing = session->head.content_length - session->body_received;
    size_t taken = bytes->length < missing ? bytes->length : (size_t)missing;
    if (taken > 0) {
        keep_body(session, (struct base_bytes){bytes->bytes, taken});
        bytes->bytes += taken;
        bytes->length -= taken;
    }
    if (taken == missing || discarded_enough(session)) {
        hand_up(session);
        return true;
    }
    return false;
}

static bool take_chunked_body(struct http1 *session, struct base_bytes *bytes)
{
    struct base_bytes piece;
    struct wire_http1_refusal refusal;
    switch (wire_http1_take_chunks(&session->chunks, bytes, &piece, &refusal)) {
    case WIRE_HTTP1_MORE:
        return false;
    case WIRE_HTTP1_DATA:
        keep_body(session, piece);
        if (discarded_enough(session)) {
            hand_up(session);
        }
        return true;
    case WIRE_HTTP1_DONE:
        hand_up(session);
        return true;
    case WIRE_HTTP1_REFUSED:
        break;
    }
    refuse(session, &refusal);
    return true;
}

/* Takes out of *bytes what may be looked at now. */
static void read_requests(struct http1 *session, struct base_bytes *bytes)
{
    bool more = true;
    session->reading = true;
    while (more && !session->ended) {
        if (session->stage == HEAD) {
            more = bytes->length > 0 && output_length(session) == 0 && take_head(session, bytes);
        } else if (session->stage == BODY) {
            more = session->head.chunked ? take_chunked_body(session, bytes)
                                         : take_counted_body(session, bytes);
        } else {
            more = false;
        }
    }
    session->reading = false;
    /* What has not begun, or can never be complete, does not keep the connection open. */
    bool idle = session->stage == HEAD && output_length(session) == 0;
    if (session->input_ended && (idle || session->stage == BODY)) {
        drop_request(session);
        session->ended = true;
    }
    if (session->draining && idle && bytes->length == 0) {
        session->ended = true;
    }
}

/* Whether nothing that comes is looked at any more: the answer under way is the last. */
static bool reading_is_over(const struct http1 *session)
{
    return session->ended || (session->stage == WAITING && session->closing);
}

static void forget_input(struct http1 *session)
{
    base_writer_release(&session->input);
    session->input_at = 0;
}

static void read_input(struct http1 *session)
{
    struct base_bytes bytes = base_writer_bytes(&session->input);
    if (bytes.length > 0) {
        bytes.bytes += session->input_at;
        bytes.length -= session->input_at;
    }
    read_requests(session, &bytes);
    session->input_at = session->input.length - bytes.length;
    if (bytes.length == 0 || reading_is_over(session)) {
        forget_input(session);
    } else if (session->input_at > session->input.length / 2) {
        /* Not at every request, which would make many small ones cost the square. */
        memmove(session->input.bytes, session->input.bytes + session->input_at, bytes.length);
        session->input.length = bytes.length;
        session->input_at = 0;
    }
}

static bool http1_receive(void *state, struct base_bytes bytes)
{
    struct http1 *session = state;
    if (reading_is_over(session)) {
        return !session->ended;
    }
    if (session->input.length > 0) {
        base_write_bytes(&session->input, bytes);
        read_input(session);
    } else {
        /* A body goes from the socket's buffer to its place without waiting in the input. */
        read_requests(session, &bytes);
        if (!reading_is_over(session)) {
            base_write_bytes(&session->input, bytes);
        }
    }
    if (session->input.length - session->input_at > BASE_AHEAD_MAX_BYTES) {
        session->closing = true;
        forget_input(session);
    }
    return !session->ended;
}

static bool http1_receive_end(void *state)
{
    struct http1 *session = state;
    session->input_ended = true;
    if (!session->ended) {
        read_input(session);
    }
    return !session->ended;
}

static size_t http1_send(void *state, uint8_t *buffer, size_t capacity)
{
    struct http1 *session = state;
    size_t sent = 0;
    while (sent < capacity && output_length(session) > 0) {
        size_t room = capacity - sent;
        size_t piece = output_length(session) < room ? output_length(session) : room;
        memcpy(buffer + sent, session->output.bytes + session->output_at, piece);
        session->output_at += piece;
        sent += piece;
        if (output_length(session) == 0) {
            base_writer_release(&session->output);
            session->output_at = 0;
            if (!session->ended) {
                read_input(session);
            }
        }
    }
    return sent;
}

static bool http1_finished(const void *state)
{
    const struct http1 *session = state;
    return session->ended && output_length(session) == 0;
}

static void http1_reply(void *state, uint32_t stream, const struct wire_reply *reply)
{
    struct http1 *session = state;
    if (session->stage == WAITING && stream == session->stream) {
        write_answer(session, reply);
    }
}

static void http1_shutdown_notice(void *state)
{
    struct http1 *session = state;
    session->closing = true;
}

static void http1_drain(void *state)
{
    struct http1 *session = state;
    session->closing = true;
    session->draining = true;
    if (!session->ended && !session->reading) {
        read_input(session);
    }
}

static size_t http1_held_bytes(const void *state)
{
    const struct http1 *session = state;
    size_t head_bytes = session->request == NULL ? 0 : base_arena_held(&session->request->arena);
    return session->input.capacity + session->body.capacity + session->output.capacity + head_bytes;
}

static size_t http1_open_requests(const void *state)
{
    const struct http1 *session = state;
    return session->stage == WAITING ? 1 : 0;
}

static uint32_t http1_half_received(const void *state)
{
    const struct http1 *session = state;
    bool head_begun = session->stage == HEAD && session->input.length > 0;
    bool half =
        !session->ended && (session->stage == BODY || (head_begun && output_length(session) == 0));
    return half ? session->stream + 1 : 0;
}

const struct wire_protocol wire_http1 = {
    .open = http1_open,
    .receive = http1_receive,
    .receive_end = http1_receive_end,
    .send = http1_send,
    .finished = http1_finished,
    .reply = http1_reply,
    .shutdown_notice = http1_shutdown_notice,
    .drain = http1_drain,
    .held_bytes = http1_held_bytes,
    .open_requests = http1_open_requests,
    .half_received = http1_half_received,
    .close = http1_close,
};
