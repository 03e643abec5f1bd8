/*
 * What nghttp2 does not get to see of what a client of HTTP/2 sends: resets of streams that it
 * never began. gRPC's C core, and with it Python's and Ruby's clients, sends one when a call's
 * deadline passes or the call is cancelled before its headers went out. By RFC 9113, section 6.4
 * that is an error of the connection, and nghttp2 ends it with every other call that is under way
 * on it; but nothing was begun, so there is nothing to reset, and the frame is dropped.
 */
#ifndef ZANDAKA_WIRE_HTTP2_FRAMES_H
#define ZANDAKA_WIRE_HTTP2_FRAMES_H

#include "wire/wire.h"

#define WIRE_HTTP2_FRAME_HEAD_BYTES 9

/* All zeros: the bytes behind the client's preface are to come. */
struct wire_http2_frames {
    uint8_t head[WIRE_HTTP2_FRAME_HEAD_BYTES]; /* of a frame that came in part */
    size_t n_head;
    size_t payload_left;  /* bytes of the frame's payload that are still to come */
    bool dropping;        /* what is left of the payload is not passed on */
    uint32_t last_stream; /* the highest that a client has begun */
    /* The head that *ret_pass begins with, valid as long, if it is of a frame that nghttp2 may pass
     * over without a word: DATA, on a stream that is over, or a type that nobody knows. Else NULL.
     */
    const uint8_t *silent_head;
};

struct wire_http2_head {
    size_t length; /* of the payload */
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
};
struct wire_http2_head wire_http2_head_read(const uint8_t *head);

/* Takes from *bytes what can be told now. True: *ret_pass goes to nghttp2, and there may be more.
 * False: *bytes is empty and nothing goes. *ret_pass points into *bytes or into *frames. */
bool wire_http2_frames_take(struct wire_http2_frames *frames, struct base_bytes *bytes,
                            struct base_bytes *ret_pass) BASE_MUST_USE;

#endif
