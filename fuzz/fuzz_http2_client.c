/*
 * gRPC as a client: the input is what a server says to some calls.
 *
 *  1. Every call that was taken is answered exactly once, at the latest when the session is closed.
 *  2. The answers do not depend on how the bytes come, but for the words of a call without one: a
 *     stream may be lost to its own reset or to the server's going, whichever is seen first.
 *  3. A success has its status from the server, and nothing but a success has a message.
 */
#include "fuzz.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 4

struct drive {
    unsigned n_answers[CALLS_MAX];
    struct base_writer answers[CALLS_MAX];
};

/* What a call is known by. */
struct call {
    struct drive *drive;
    size_t number;
};

static void note(struct base_writer *answers, struct base_text text)
{
    base_write_varint(answers, text.length);
    base_write_bytes(answers, base_bytes_of(text));
}

static void on_response(void *user, void *call_user, const struct wire_response *response)
{
    (void)user;
    const struct call *call = call_user;
    struct base_writer *answers = &call->drive->answers[call->number];
    base_assert(++call->drive->n_answers[call->number] == 1);
    base_assert(response->grpc_status >= -1);
    base_assert(response->grpc_status == 0 || response->body.length == 0);
    base_assert(response->body.length <= BASE_ANSWER_MAX_BYTES);
    base_write_varint_signed(answers, response->grpc_status);
    if (response->grpc_status < 0) {
        return;
    }
    note(answers, response->message);
    note(answers, base_text_from(response->status_details));
    note(answers, base_text_from(response->body));
    for (size_t i = 0; i < response->n_headers; i++) {
        note(answers, response->headers[i].name);
        note(answers, response->headers[i].value);
    }
}

static const struct wire_client_events events = {.response = on_response};

static void collect(struct wire_client *client)
{
    uint8_t buffer[4093];
    while (wire_client_send(client, buffer, sizeof buffer) > 0) {
    }
}

static void run(const uint8_t options[FUZZ_OPTIONS_BYTES], struct base_bytes input, uint32_t pieces,
                struct drive *drive)
{
    struct call calls[CALLS_MAX];
    size_t n_taken = 0;
    struct wire_client *client =
        wire_client_open(&events, NULL, BASE_TEXT("h:1"), (options[0] & 8) != 0);
    const struct wire_call call = {.path = BASE_TEXT("/zandaka.v1.BalanceService/Add"),
                                   .message = base_bytes_of(BASE_TEXT("\x0A\x01t")),
                                   .timeout_ns = (options[0] & 4) != 0 ? 1500000000 : -1};
    size_t n_calls = 1 + options[0] % CALLS_MAX;
    for (size_t i = 0; i < n_calls; i++) {
        calls[i] = (struct call){drive, i};
        n_taken += wire_client_call(client, &call, &calls[i]) ? 1 : 0;
    }
    base_assert(n_taken == n_calls);
    collect(client);
    bool open = true;
    while (input.length > 0 && open) {
        size_t piece = pieces == 0 ? input.length : fuzz_piece(&pieces, input.length);
        uint8_t *copy = base_allocate(piece);
        memcpy(copy, input.bytes, piece);
        open = wire_client_receive(client, (struct base_bytes){copy, piece});
        free(copy);
        collect(client);
        input.bytes += piece;
        input.length -= piece;
    }
    size_t n_answered = 0;
    for (size_t i = 0; i < n_calls; i++) {
        n_answered += drive->n_answers[i];
    }
    base_assert(wire_client_open_calls(client) == n_calls - n_answered);
    wire_client_close(client);
    for (size_t i = 0; i < n_calls; i++) {
        base_assert(drive->n_answers[i] == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length < FUZZ_OPTIONS_BYTES) {
        return -1;
    }
    struct base_bytes input = {bytes + FUZZ_OPTIONS_BYTES, length - FUZZ_OPTIONS_BYTES};
    struct drive whole = {0};
    struct drive cut = {0};
    run(bytes, input, 0, &whole);
    run(bytes, input, 1 + bytes[1], &cut);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        base_assert(base_bytes_equal(base_writer_bytes(&whole.answers[i]),
                                     base_writer_bytes(&cut.answers[i])));
        base_writer_release(&whole.answers[i]);
        base_writer_release(&cut.answers[i]);
    }
    return 0;
}
