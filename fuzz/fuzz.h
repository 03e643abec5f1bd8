/*
 * The fuzz targets: one program for each parser that meets the network or a file (docs/testing.md,
 * "Fuzzing"). Each fuzz_<name>.c has LLVMFuzzerTestOneInput; what several of them share:
 *
 *   server_run.c      a server's session is fed an input, in pieces, and what it hands up is noted
 *   http2_mutator.c   inputs of HTTP/2 are changed frame by frame
 *   messages.c        the messages that requests and answers are made of, and what holds for each
 *
 * A target checks more than that nothing crashes: what it relies on is said at its top, and
 * asserted with base_assert, which libFuzzer takes for a crash.
 */
#ifndef ZANDAKA_FUZZ_H
#define ZANDAKA_FUZZ_H

#include "base/base.h"

#include <protobuf-c/protobuf-c.h>

/* Called by libFuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* --- server_run.c --- */

/* Bytes in front of an input for a session: how it is driven, and how it is cut into pieces. */
#define FUZZ_OPTIONS_BYTES 2
/* A bit of the first: the session is drained in between. */
#define FUZZ_OPTION_DRAINED 4

struct fuzz_request {
    bool is_head;    /* its method is HEAD */
    bool is_refused; /* it is none as HTTP has them, so that its method is not told */
};

struct fuzz_server_run {
    struct base_writer requests; /* what was handed up, in its order */
    struct base_writer output;
    size_t n_requests;
    size_t n_cancelled;
    size_t n_answered;
    bool open;                      /* when all had been received */
    struct fuzz_request *handed_up; /* n_requests of them */
};

/* Drives a session of wire_server with `preface` and, behind it, an input without its options.
 * `pieces` 0: as few pieces as the options allow; otherwise the seed of their sizes. */
void fuzz_server_run(struct base_text preface, const uint8_t options[FUZZ_OPTIONS_BYTES],
                     struct base_bytes input, uint32_t pieces, struct fuzz_server_run *ret_run);
void fuzz_server_run_release(struct fuzz_server_run *run);

/* The next piece of `left` bytes: 1 to all of them. */
size_t fuzz_piece(uint32_t *pieces, size_t left);

/* --- messages.c --- */

/* The message that an input is read as. */
const ProtobufCMessageDescriptor *fuzz_message_of(uint8_t number);
/* What was read can be written in both forms and read again as the same; a refusal has text that
 * can be sent. `known`: it has no fields and enum numbers but those that this version knows. */
struct api_codec_error;
void fuzz_check_message(struct base_arena *arena, const ProtobufCMessageDescriptor *descriptor,
                        const ProtobufCMessage *message, bool known,
                        const struct api_codec_error *error);

#endif
