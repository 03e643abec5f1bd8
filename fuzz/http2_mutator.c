/*
 * Mutations that keep the form of HTTP/2. Bytes changed at random mostly damage a frame's length,
 * and everything behind it is lost; here frames are the pieces that are changed, repeated, dropped
 * and exchanged, and a payload that has grown says so in its length.
 */
#include "fuzz.h"

#include <string.h>

#define FRAME_HEAD_BYTES 9
#define FRAMES_MAX 256

/* Of libFuzzer: changes bytes in their place, and may let them grow up to `capacity`. */
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t capacity, unsigned seed);

struct frames {
    size_t n_frames;
    size_t starts[FRAMES_MAX + 1]; /* and the end of the last */
};

static size_t payload_length(const uint8_t *frame)
{
    return (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
}

static struct frames find_frames(const uint8_t *bytes, size_t length)
{
    struct frames frames = {0};
    size_t at = FUZZ_OPTIONS_BYTES;
    while (frames.n_frames < FRAMES_MAX && at + FRAME_HEAD_BYTES <= length &&
           payload_length(bytes + at) <= length - at - FRAME_HEAD_BYTES) {
        frames.starts[frames.n_frames++] = at;
        at += FRAME_HEAD_BYTES + payload_length(bytes + at);
    }
    frames.starts[frames.n_frames] = at;
    return frames;
}

/* Makes room for or takes out bytes at a place. */
static void shift(uint8_t *bytes, size_t length, size_t from, size_t to)
{
    memmove(bytes + to, bytes + from, length - from);
}

static size_t mutate_payload(uint8_t *bytes, size_t length, size_t capacity, size_t start)
{
    uint8_t payload[4096];
    size_t before = payload_length(bytes + start);
    if (before == 0 || before > sizeof payload || length - before > capacity) {
        return LLVMFuzzerMutate(bytes, length, capacity);
    }
    size_t room = capacity - (length - before);
    memcpy(payload, bytes + start + FRAME_HEAD_BYTES, before);
    size_t after = LLVMFuzzerMutate(payload, before, room < sizeof payload ? room : sizeof payload);
    size_t behind = start + FRAME_HEAD_BYTES;
    shift(bytes, length, behind + before, behind + after);
    memcpy(bytes + behind, payload, after);
    bytes[start] = (uint8_t)(after >> 16);
    bytes[start + 1] = (uint8_t)(after >> 8);
    bytes[start + 2] = (uint8_t)after;
    return length - before + after;
}

static size_t repeat_frame(uint8_t *bytes, size_t length, size_t capacity, size_t start, size_t end)
{
    if (length + (end - start) > capacity) {
        return LLVMFuzzerMutate(bytes, length, capacity);
    }
    shift(bytes, length, start, end);
    return length + (end - start);
}

static size_t drop_frame(uint8_t *bytes, size_t length, size_t start, size_t end)
{
    shift(bytes, length, end, start);
    return length - (end - start);
}

/* Exchanges a frame with the one behind it. */
static void exchange_frames(uint8_t *bytes, size_t start, size_t middle, size_t end)
{
    uint8_t first[4096];
    size_t length = middle - start;
    if (length <= sizeof first) {
        memcpy(first, bytes + start, length);
        memmove(bytes + start, bytes + middle, end - middle);
        memcpy(bytes + start + (end - middle), first, length);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t capacity, unsigned seed)
{
    struct frames frames = find_frames(bytes, length);
    if (frames.n_frames == 0 || seed % 4 == 0) {
        return LLVMFuzzerMutate(bytes, length, capacity);
    }
    size_t at = (seed >> 8) % frames.n_frames;
    size_t start = frames.starts[at];
    size_t end = frames.starts[at + 1];
    switch (seed >> 2 & 7) {
    case 0: /* the type, the flags, or the stream */
        bytes[start + 3 + (seed >> 5) % 6] ^= (uint8_t)(1u << (seed >> 20 & 7));
        return length;
    case 1:
        return repeat_frame(bytes, length, capacity, start, end);
    case 2:
        return drop_frame(bytes, length, start, end);
    case 3:
        if (at + 1 < frames.n_frames) {
            exchange_frames(bytes, start, end, frames.starts[at + 2]);
            return length;
        }
        /* fall through */
    default:
        return mutate_payload(bytes, length, capacity, start);
    }
}
