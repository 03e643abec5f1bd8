/*
 * gRPC and HTTP over HTTP/2, as a server; the client's preface stands in front of every input.
 * Beside what server_run.c checks:
 *
 *  1. The requests do not depend on how the bytes come. Only the end of a connection does: a frame
 *     for a stream that we have reset ends it once the reset is out, and means nothing before; then
 *     what was handed up is the beginning of what would have been.
 *  2. The output is a sequence of whole frames that begins with our SETTINGS, none larger than a
 *     peer must take, all on streams that a client may have begun.
 */
#include "fuzz.h"

#define FRAME_HEAD_BYTES 9
#define FRAME_MAX_BYTES 16384
#define SETTINGS_TYPE 4

static void check_output(const struct fuzz_server_run *run)
{
    struct base_reader reader = base_reader_of(base_writer_bytes(&run->output));
    bool first = true;
    while (reader.at < reader.end) {
        struct base_bytes head = base_read_bytes(&reader, FRAME_HEAD_BYTES);
        base_assert(!reader.failed);
        const uint8_t *at = head.bytes;
        size_t length = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        uint32_t stream =
            (uint32_t)at[5] << 24 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8];
        base_assert(!first || (at[3] == SETTINGS_TYPE && stream == 0));
        base_assert(length <= FRAME_MAX_BYTES && (stream == 0 || stream % 2 == 1));
        (void)base_read_bytes(&reader, length);
        base_assert(!reader.failed);
        first = false;
    }
}

static void check_requests(const struct fuzz_server_run *whole, const struct fuzz_server_run *cut)
{
    struct base_text one = base_text_from(base_writer_bytes(&whole->requests));
    struct base_text other = base_text_from(base_writer_bytes(&cut->requests));
    base_assert(!whole->open || !cut->open || base_text_equal(one, other));
    base_assert(one.length == 0 || other.length == 0 || base_text_starts_with(one, other) ||
                base_text_starts_with(other, one));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length < FUZZ_OPTIONS_BYTES) {
        return -1;
    }
    struct base_text preface = BASE_TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    struct base_bytes input = {bytes + FUZZ_OPTIONS_BYTES, length - FUZZ_OPTIONS_BYTES};
    struct fuzz_server_run whole;
    struct fuzz_server_run cut;
    fuzz_server_run(preface, bytes, input, 0, &whole);
    fuzz_server_run(preface, bytes, input, 1, &cut);
    check_output(&whole);
    check_output(&cut);
    check_requests(&whole, &cut);
    fuzz_server_run_release(&whole);
    fuzz_server_run_release(&cut);
    return 0;
}
