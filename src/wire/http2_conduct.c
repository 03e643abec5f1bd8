#include "wire/http2_conduct.h"

static void end_session(nghttp2_session *session, uint32_t code)
{
    int result = nghttp2_session_terminate_session(session, code);
    base_assert(result == 0);
}

/* --- streams that are over --- */

static void remember_ended_early(struct wire_http2_conduct *conduct, int32_t stream_id)
{
    int32_t *place = &conduct->ended_early[conduct->next_ended_early++ % WIRE_HTTP2_ENDED_EARLY];
    if (*place > conduct->forgotten) {
        conduct->forgotten = *place;
    }
    *place = stream_id;
}

static bool was_ended_early(const struct wire_http2_conduct *conduct, int32_t stream_id)
{
    for (size_t i = 0; i < WIRE_HTTP2_ENDED_EARLY; i++) {
        if (conduct->ended_early[i] == stream_id) {
            return true;
        }
    }
    return stream_id <= conduct->forgotten;
}

static void begin_stream(struct wire_http2_conduct *conduct, int32_t stream_id)
{
    int32_t expected = conduct->last_begun == 0 ? 1 : conduct->last_begun + 2;
    if (stream_id > expected && conduct->gap_last == 0) {
        conduct->gap_first = expected;
        conduct->gap_last = stream_id - 2;
    }
    conduct->last_begun = stream_id;
    /* gRPC's C core sends a WINDOW_UPDATE or two with each call, answered or not. */
    conduct->n_idle_frames = 0;
}

/* A frame of a request for a stream that is not open any more, or never was (RFC 9113, sections 5.1
 * and 5.1.1). nghttp2 would pass it over, since it keeps nothing of what is closed. */
static void look_at_stream(struct wire_http2_conduct *conduct, nghttp2_session *session,
                           int32_t stream_id)
{
    if (stream_id % 2 == 0 || stream_id > conduct->last_begun ||
        nghttp2_session_find_stream(session, stream_id) != NULL ||
        was_ended_early(conduct, stream_id)) {
        return;
    }
    bool never_begun = stream_id >= conduct->gap_first && stream_id <= conduct->gap_last;
    end_session(session, never_begun ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED);
}

/* --- frames --- */

static void count_idle_frame(struct wire_http2_conduct *conduct, nghttp2_session *session)
{
    if (++conduct->n_idle_frames > BASE_IDLE_FRAMES_MAX) {
        end_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

void wire_http2_conduct_silent(struct wire_http2_conduct *conduct, nghttp2_session *session,
                               const struct wire_http2_head *head)
{
    bool is_data = head->type == NGHTTP2_DATA;
    if (!is_data || (head->length == 0 && (head->flags & NGHTTP2_FLAG_END_STREAM) == 0)) {
        count_idle_frame(conduct, session);
    }
    if (is_data) {
        look_at_stream(conduct, session, (int32_t)head->stream);
    }
}

void wire_http2_conduct_begins(struct wire_http2_conduct *conduct, nghttp2_session *session,
                               const nghttp2_frame_hd *head)
{
    switch (head->type) {
    case NGHTTP2_HEADERS:
        if (head->stream_id % 2 == 1 && head->stream_id > conduct->last_begun) {
            begin_stream(conduct, head->stream_id);
        } else {
            look_at_stream(conduct, session, head->stream_id);
        }
        return;
    case NGHTTP2_PRIORITY:
        if (head->stream_id == 0) {
            end_session(session, NGHTTP2_PROTOCOL_ERROR);
        }
        count_idle_frame(conduct, session);
        return;
    case NGHTTP2_DATA:       /* wire_http2_conduct_silent's */
    case NGHTTP2_RST_STREAM: /* these have a limit of their own */
    case NGHTTP2_GOAWAY:
    case NGHTTP2_CONTINUATION: /* part of a header block, which has its limits */
        return;
    default:
        /* SETTINGS, PING, WINDOW_UPDATE. */
        count_idle_frame(conduct, session);
        return;
    }
}

/* gRPC's rule against clients that keep a connection alive too eagerly: more pings than
 * BASE_PING_STRIKES_MAX, each sooner than it may be, with no answer of ours between them. */
static bool take_ping(struct wire_http2_conduct *conduct, nghttp2_session *session)
{
    bool early = conduct->pinged && conduct->now_ns - conduct->last_ping_ns <
                                        BASE_PING_INTERVAL_MIN_MS * BASE_NS_PER_MS;
    conduct->pinged = true;
    conduct->last_ping_ns = conduct->now_ns;
    if (!early || ++conduct->n_ping_strikes <= BASE_PING_STRIKES_MAX) {
        return true;
    }
    struct base_text reason = BASE_TEXT("too_many_pings");
    int result = nghttp2_submit_goaway(
        session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session),
        NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)reason.bytes, reason.length);
    base_assert(result == 0);
    return false;
}

bool wire_http2_conduct_received(struct wire_http2_conduct *conduct, nghttp2_session *session,
                                 const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.length > 0 &&
        frame->hd.length == frame->data.padlen &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        count_idle_frame(conduct, session); /* nothing but padding */
    }
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
        return take_ping(conduct, session);
    }
    return true;
}

void wire_http2_conduct_sent(struct wire_http2_conduct *conduct, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        remember_ended_early(conduct, frame->hd.stream_id);
    } else if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
        conduct->n_idle_frames = 0;
        conduct->pinged = false;
        conduct->n_ping_strikes = 0;
    }
}

void wire_http2_conduct_refused(struct wire_http2_conduct *conduct, int32_t stream_id)
{
    remember_ended_early(conduct, stream_id);
}
