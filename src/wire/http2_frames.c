#include "wire/http2_frames.h"

#include <string.h>

#define TYPE_DATA 0
#define TYPE_HEADERS 1
#define TYPE_RST_STREAM 3
#define TYPE_LAST_KNOWN 9 /* CONTINUATION (RFC 9113, section 6) */
#define RST_STREAM_BYTES 4

struct wire_http2_head wire_http2_head_read(const uint8_t *head)
{
    return (struct wire_http2_head){
        .length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2],
        .type = head[3],
        .flags = head[4],
        .stream =
            ((uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8]) &
            0x7FFFFFFF};
}

static bool may_be_silent(uint8_t type)
{
    return type == TYPE_DATA || type > TYPE_LAST_KNOWN;
}

/* Looks at a whole head. Only a well-formed reset of a client's own stream is dropped: everything
 * else is for nghttp2 to judge. */
static void begin_frame(struct wire_http2_frames *frames, const uint8_t *bytes)
{
    struct wire_http2_head head = wire_http2_head_read(bytes);
    bool new = head.stream % 2 == 1 && head.stream > frames->last_stream;
    frames->payload_left = head.length;
    frames->dropping = head.type == TYPE_RST_STREAM && head.length == RST_STREAM_BYTES && new;
    if (head.type == TYPE_HEADERS && new) {
        frames->last_stream = head.stream;
    }
    if (may_be_silent(head.type)) {
        frames->silent_head = bytes;
    }
}

static struct base_bytes take(struct base_bytes *bytes, size_t length)
{
    struct base_bytes taken = {bytes->bytes, length};
    bytes->bytes += length;
    bytes->length -= length;
    return taken;
}

/* A head whose first bytes came before. True: it is whole. */
static bool complete_head(struct wire_http2_frames *frames, struct base_bytes *bytes)
{
    size_t missing = WIRE_HTTP2_FRAME_HEAD_BYTES - frames->n_head;
    struct base_bytes part = take(bytes, bytes->length < missing ? bytes->length : missing);
    memcpy(frames->head + frames->n_head, part.bytes, part.length);
    frames->n_head += part.length;
    return frames->n_head == WIRE_HTTP2_FRAME_HEAD_BYTES;
}

/* What of *bytes goes on in one piece: the rest of a payload and the frames behind it, up to one
 * that is dropped, or may be silent, or whose head is not whole. */
static size_t passing_length(struct wire_http2_frames *frames, struct base_bytes bytes)
{
    size_t at = 0;
    for (;;) {
        size_t left = bytes.length - at;
        size_t payload = frames->payload_left < left ? frames->payload_left : left;
        frames->payload_left -= payload;
        at += payload;
        left -= payload;
        if (frames->payload_left > 0 || left < WIRE_HTTP2_FRAME_HEAD_BYTES) {
            return at;
        }
        if (at > 0 && may_be_silent(bytes.bytes[at + 3])) {
            return at;
        }
        begin_frame(frames, bytes.bytes + at);
        if (frames->dropping) {
            return at;
        }
        at += WIRE_HTTP2_FRAME_HEAD_BYTES;
    }
}

bool wire_http2_frames_take(struct wire_http2_frames *frames, struct base_bytes *bytes,
                            struct base_bytes *ret_pass)
{
    frames->silent_head = NULL;
    while (bytes->length > 0) {
        if (frames->n_head > 0) {
            if (!complete_head(frames, bytes)) {
                return false;
            }
            frames->n_head = 0;
            begin_frame(frames, frames->head);
            if (!frames->dropping) {
                *ret_pass = (struct base_bytes){frames->head, WIRE_HTTP2_FRAME_HEAD_BYTES};
                return true;
            }
        }
        if (frames->dropping) {
            size_t left = frames->payload_left;
            frames->payload_left -= take(bytes, bytes->length < left ? bytes->length : left).length;
            frames->dropping = frames->payload_left > 0;
            continue;
        }
        size_t length = passing_length(frames, *bytes);
        struct base_bytes pass = take(bytes, length);
        if (frames->dropping) {
            (void)take(bytes, WIRE_HTTP2_FRAME_HEAD_BYTES);
        } else if (frames->payload_left == 0 && bytes->length > 0 &&
                   bytes->length < WIRE_HTTP2_FRAME_HEAD_BYTES) {
            (void)complete_head(frames, bytes);
        }
        if (length > 0) {
            *ret_pass = pass;
            return true;
        }
    }
    return false;
}
