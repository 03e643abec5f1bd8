/*
 * How a client of HTTP/2 behaves, frame by frame, beyond what nghttp2 looks at: frames that ask for
 * nothing, pings without end, and frames on streams that the client itself has ended.
 *
 * A stream that we ended early (an answer before the whole request, a refusal) is another matter:
 * what the client had sent by then is on its way, and is passed over.
 */
#ifndef ZANDAKA_WIRE_HTTP2_CONDUCT_H
#define ZANDAKA_WIRE_HTTP2_CONDUCT_H

#include "wire/http2_frames.h"

#include <nghttp2/nghttp2.h>

/* Streams that are remembered to have been ended by us. */
#define WIRE_HTTP2_ENDED_EARLY 32

/* All zeros: nothing has come. */
struct wire_http2_conduct {
    unsigned n_idle_frames; /* since the last answer, or the last request's begin */
    int64_t now_ns;         /* as last told */
    int64_t last_ping_ns;
    bool pinged; /* since we last said something */
    unsigned n_ping_strikes;
    int32_t last_begun; /* the highest stream that a client has begun */
    /* Streams between these were passed over by the client when it began a higher one; last 0: it
     * has passed over none. The first such gap is remembered. */
    int32_t gap_first;
    int32_t gap_last;
    int32_t ended_early[WIRE_HTTP2_ENDED_EARLY]; /* in a ring; 0: none */
    unsigned next_ended_early;
    int32_t forgotten; /* the highest stream that fell out of the ring */
};

/* A frame begins to come: one that may be silent (http2_frames.h), or any other. May end the
 * session: GOAWAY, and nothing is read behind it. */
void wire_http2_conduct_silent(struct wire_http2_conduct *conduct, nghttp2_session *session,
                               const struct wire_http2_head *head);
void wire_http2_conduct_begins(struct wire_http2_conduct *conduct, nghttp2_session *session,
                               const nghttp2_frame_hd *head);
/* A frame has come whole. The same. False: the client pings too often, and has been told so. */
bool wire_http2_conduct_received(struct wire_http2_conduct *conduct, nghttp2_session *session,
                                 const nghttp2_frame *frame);
/* A frame has been sent. */
void wire_http2_conduct_sent(struct wire_http2_conduct *conduct, const nghttp2_frame *frame);
/* nghttp2 refuses the stream's frame, and what follows on the stream may be on its way. */
void wire_http2_conduct_refused(struct wire_http2_conduct *conduct, int32_t stream_id);

#endif
