/*
 * HTTP/1.1, as a server. Beside what server_run.c checks:
 *
 *  1. The requests, and the answers but for a 100, do not depend on how the bytes come; only how
 *     many are still begun while the session is drained does.
 *  2. The output is a sequence of whole answers, one for each request, and nothing behind
 *     one that was refused, so that no answer can be taken for another's.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* The length of the answer at the front, and its status. One to HEAD has no body. */
static size_t answer_length(struct base_text output, bool is_head, int *ret_status)
{
    base_assert(base_text_starts_with(output, BASE_TEXT("HTTP/1.1 ")) && output.length > 12);
    *ret_status = atoi(output.bytes + 9);
    const char *end = memmem(output.bytes, output.length, "\r\n\r\n", 4);
    const char *field = memmem(output.bytes, output.length, "\r\ncontent-length: ", 18);
    base_assert(end != NULL && field != NULL && field < end);
    size_t head = (size_t)(end + 4 - output.bytes);
    size_t body = is_head ? 0 : strtoul(field + 18, NULL, 10);
    base_assert(body <= output.length - head);
    return head + body;
}

static bool ends_with(struct base_text text, struct base_text end)
{
    return text.length >= end.length &&
           base_text_equal(end,
                           (struct base_text){text.bytes + text.length - end.length, end.length});
}

/* The output without any 100, and a check of it. */
static void check_output(const struct fuzz_server_run *run, struct base_writer *ret_answers)
{
    struct base_text output = base_text_from(base_writer_bytes(&run->output));
    struct base_text on = BASE_TEXT(CONTINUE);
    size_t n_answers = 0;
    int status = 0;
    while (output.length > 0) {
        size_t length = on.length;
        if (!base_text_starts_with(output, on)) {
            base_assert(n_answers < run->n_requests);
            const struct fuzz_request *request = &run->handed_up[n_answers];
            /* The method of a refused request shows in its answer alone: one to HEAD is its head.
             */
            bool is_head = request->is_head ||
                           (request->is_refused && ends_with(output, BASE_TEXT("\r\n\r\n")));
            length = answer_length(output, is_head, &status);
            base_assert(request->is_refused ? status >= 400 : status == 200 || status == 400);
            base_write_bytes(ret_answers, base_bytes_of((struct base_text){output.bytes, length}));
            n_answers++;
        }
        output.bytes += length;
        output.length -= length;
    }
    base_assert(run->n_answered == run->n_requests && run->n_cancelled == 0);
    base_assert(n_answers == run->n_requests);
    for (size_t i = 0; i + 1 < run->n_requests; i++) {
        base_assert(!run->handed_up[i].is_refused);
    }
}

/* Whether both are equal; of a drained session, whether one is the beginning of the other. */
static bool is_same(bool drained, const struct base_writer *whole, const struct base_writer *cut)
{
    struct base_text one = base_text_from(base_writer_bytes(whole));
    struct base_text other = base_text_from(base_writer_bytes(cut));
    return base_text_equal(one, other) ||
           (drained && (one.length == 0 || other.length == 0 || base_text_starts_with(one, other) ||
                        base_text_starts_with(other, one)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length < FUZZ_OPTIONS_BYTES) {
        return -1;
    }
    struct base_bytes input = {bytes + FUZZ_OPTIONS_BYTES, length - FUZZ_OPTIONS_BYTES};
    if (base_text_starts_with(base_text_from(input), BASE_TEXT(HTTP2_PREFACE))) {
        return -1; /* a connection of the other protocol */
    }
    struct fuzz_server_run whole;
    struct base_writer answers = {NULL, 0, 0};
    fuzz_server_run(BASE_TEXT(""), bytes, input, 0, &whole);
    check_output(&whole, &answers);
    for (uint32_t pieces = 1; pieces <= 2; pieces++) {
        struct fuzz_server_run cut;
        struct base_writer answers_cut = {NULL, 0, 0};
        fuzz_server_run(BASE_TEXT(""), bytes, input, pieces, &cut);
        check_output(&cut, &answers_cut);
        bool drained = (bytes[0] & FUZZ_OPTION_DRAINED) != 0;
        base_assert(is_same(drained, &whole.requests, &cut.requests));
        base_assert(is_same(drained, &answers, &answers_cut));
        base_writer_release(&answers_cut);
        fuzz_server_run_release(&cut);
    }
    base_writer_release(&answers);
    fuzz_server_run_release(&whole);
    return 0;
}
