/*
 * A server's session, driven as a socket and the methods would. Whatever comes in:
 *
 *  1. A request is handed up once, with its answer to come; `cancelled` comes only for one that
 *     waits; wire_server_open_requests counts those that wait.
 *  2. A streamed call's messages are within what was asked for, and come before it is half closed.
 *  3. What a request holds is what wire.h says: names in lower case, no line break in a value, no
 *     body where it was too large.
 *  4. What the session holds stays in proportion to what has come and what has to go out.
 *  5. A session that has ended and sent all is finished.
 */
#include "fuzz.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

/* What a session and each of its requests may hold whatever they have received: the memory for a
 * head, and what a body is given on the word of its length. */
#define REQUEST_HELD_BYTES ((size_t)BASE_BODY_FIRST_BYTES + 8192)
/* The bodies of answers. */
#define ANSWER_BODY_BYTES 70000
/* Calls to paths that begin so are streamed, and the largest message of one. */
#define STREAMED_PATHS BASE_TEXT("/grpc.")
#define UNREAD_PATHS BASE_TEXT("/p")
#define STREAMED_MESSAGE_MAX_BYTES 64

struct drive {
    struct wire_server *server;
    struct fuzz_server_run *run;
    const uint8_t *options;
    size_t n_waiting;
    struct {
        uint32_t stream;
        bool streamed;           /* a streamed call that is not half closed */
    } waiting[BASE_STREAMS_MAX]; /* HTTP/2 has no more; HTTP/1.1 has one */
    size_t n_received;           /* bytes */
    size_t n_answer_bytes;
};

/* What the first byte of the options says. */
static bool answers_late(const struct drive *drive)
{
    return (drive->options[0] & 1) != 0;
}
static bool is_told_to_stop(const struct drive *drive)
{
    return (drive->options[0] & 2) != 0;
}
static bool is_drained(const struct drive *drive)
{
    return (drive->options[0] & FUZZ_OPTION_DRAINED) != 0;
}
static unsigned answer_kind(const struct drive *drive)
{
    return drive->options[0] >> 3 & 3;
}

static void answer(struct drive *drive, uint32_t stream, const struct wire_refusal *refusal)
{
    static const uint8_t large[ANSWER_BODY_BYTES];
    static const uint8_t binary[] = {0, 1, 255};
    const struct wire_header headers[] = {
        {BASE_TEXT("zandaka-replayed"), BASE_TEXT("true")},
        {BASE_TEXT("thing-bin"), {(const char *)binary, sizeof binary}},
    };
    /* gRPC's metadata may be binary; a header of HTTP has no such form. */
    struct wire_reply reply = {.http_status = 200,
                               .content_type = BASE_TEXT("application/json"),
                               .n_headers = 1,
                               .headers = headers,
                               .body = base_bytes_of(BASE_TEXT("{}"))};
    switch (answer_kind(drive)) {
    case 1:
        reply.body = (struct base_bytes){large, sizeof large};
        break;
    case 2:
        reply.http_status = 400;
        reply.grpc_status = BASE_CODE_INVALID_ARGUMENT;
        reply.grpc_message = BASE_TEXT("100 % wrong\n\xE6\xAE\x8B");
        reply.grpc_status_details = (struct base_bytes){binary, sizeof binary};
        reply.n_trailers = 2;
        reply.trailers = headers;
        break;
    case 3:
        reply.body = (struct base_bytes){NULL, 0};
        break;
    default:
        break;
    }
    if (refusal != NULL) {
        reply.http_status = refusal->http_status;
        reply.body = base_bytes_of(refusal->message);
    }
    drive->n_answer_bytes += reply.body.length + 4096;
    drive->run->n_answered++;
    wire_server_reply(drive->server, stream, &reply);
}

static void note(struct drive *drive, struct base_text text)
{
    base_write_varint(&drive->run->requests, text.length);
    base_write_bytes(&drive->run->requests, base_bytes_of(text));
}

static bool is_lower_case(struct base_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] >= 'A' && text.bytes[i] <= 'Z') {
            return false;
        }
    }
    return true;
}

static bool has_line_break(struct base_text text)
{
    return text.length > 0 && (memchr(text.bytes, '\r', text.length) != NULL ||
                               memchr(text.bytes, '\n', text.length) != NULL ||
                               memchr(text.bytes, '\0', text.length) != NULL);
}

static void note_request(struct drive *drive, uint32_t stream, const struct wire_request *request)
{
    base_write_varint(&drive->run->requests, stream);
    base_write_u8(&drive->run->requests, (uint8_t)request->form);
    base_write_u8(&drive->run->requests, (uint8_t)request->defect);
    base_write_varint_signed(&drive->run->requests, request->timeout_ns);
    note(drive, request->method);
    note(drive, request->path);
    note(drive, request->query);
    note(drive, request->content_type);
    note(drive, request->content_type_parameters);
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct wire_header *header = &request->headers[i];
        base_assert(header->name.length > 0 && is_lower_case(header->name));
        base_assert(!has_line_break(header->name));
        base_assert(request->form == WIRE_GRPC || !has_line_break(header->value));
        note(drive, header->name);
        note(drive, header->value);
        base_assert(wire_request_header(request, header->name).bytes != NULL);
    }
    note(drive, base_text_from(request->body));
    bool is_refused = request->defect == WIRE_DEFECT_REFUSED;
    base_assert(is_refused || (request->method.length > 0 && request->path.length > 0));
    base_assert(!is_refused || (request->form == WIRE_HTTP && request->refusal.http_status >= 400 &&
                                request->refusal.message.length > 0));
    base_assert(!request->streamed || (request->form == WIRE_GRPC && request->body.length == 0));
    base_assert(is_lower_case(request->content_type));
    base_assert(request->timeout_ns >= -1);
    base_assert(request->body.length <= BASE_REQUEST_MAX_BYTES);
    base_assert(request->defect != WIRE_DEFECT_TOO_LARGE || request->body.length == 0);
    base_assert(request->defect != WIRE_DEFECT_TIMEOUT || request->timeout_ns == -1);
}

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct drive *drive = user;
    struct fuzz_server_run *run = drive->run;
    note_request(drive, stream, request);
    run->handed_up =
        base_reallocate(run->handed_up, (run->n_requests + 1) * sizeof *run->handed_up);
    struct fuzz_request *handed_up = &run->handed_up[run->n_requests++];
    handed_up->is_head = base_text_equal(request->method, BASE_TEXT("HEAD"));
    handed_up->is_refused = request->defect == WIRE_DEFECT_REFUSED;
    bool streamed = request->streamed;
    struct wire_refusal refusal = request->refusal;
    wire_request_release(request);
    for (size_t i = 0; i < drive->n_waiting; i++) {
        base_assert(drive->waiting[i].stream != stream);
    }
    if (streamed || (answers_late(drive) && !handed_up->is_refused)) {
        base_assert(drive->n_waiting < BASE_STREAMS_MAX);
        drive->waiting[drive->n_waiting].stream = stream;
        drive->waiting[drive->n_waiting++].streamed = streamed;
    } else {
        answer(drive, stream, handed_up->is_refused ? &refusal : NULL);
    }
}

/* Where the stream stands among those that wait; it does. */
static size_t find_waiting(const struct drive *drive, uint32_t stream)
{
    size_t at = 0;
    while (at < drive->n_waiting && drive->waiting[at].stream != stream) {
        at++;
    }
    base_assert(at < drive->n_waiting);
    return at;
}

static void on_cancelled(void *user, uint32_t stream)
{
    struct drive *drive = user;
    drive->waiting[find_waiting(drive, stream)] = drive->waiting[drive->n_waiting - 1];
    drive->n_waiting--;
    drive->run->n_cancelled++;
}

static size_t streamed_message_max(void *user, struct base_text path)
{
    (void)user;
    return base_text_starts_with(path, STREAMED_PATHS) ? STREAMED_MESSAGE_MAX_BYTES : 0;
}

/* Each message is sent back, and the next is wanted. */
static void on_message(void *user, uint32_t stream, struct base_bytes message)
{
    struct drive *drive = user;
    base_assert(drive->waiting[find_waiting(drive, stream)].streamed);
    base_assert(message.length <= STREAMED_MESSAGE_MAX_BYTES);
    base_write_varint(&drive->run->requests, stream);
    note(drive, base_text_from(message));
    drive->n_answer_bytes += message.length + 4096;
    (void)wire_server_writable(drive->server, stream);
    wire_server_write(drive->server, stream, message);
    wire_server_next(drive->server, stream);
}

static void on_half_closed(void *user, uint32_t stream)
{
    struct drive *drive = user;
    size_t at = find_waiting(drive, stream);
    base_assert(drive->waiting[at].streamed);
    drive->waiting[at].streamed = false;
    if (!answers_late(drive)) {
        drive->waiting[at] = drive->waiting[--drive->n_waiting];
        answer(drive, stream, NULL);
    }
}

static void on_writable(void *user, uint32_t stream)
{
    (void)find_waiting(user, stream);
}

/* Some paths are not worth a large body. */
static bool on_admits(void *user, const struct wire_request *request)
{
    (void)user;
    base_assert(request->defect != WIRE_DEFECT_UNREAD);
    return !base_text_starts_with(request->path, UNREAD_PATHS);
}

static const struct wire_server_events events = {.request = on_request,
                                                 .admits = on_admits,
                                                 .cancelled = on_cancelled,
                                                 .streamed_message_max = streamed_message_max,
                                                 .message = on_message,
                                                 .half_closed = on_half_closed,
                                                 .writable = on_writable};

static void collect(struct drive *drive)
{
    uint8_t buffer[4093];
    size_t sent;
    while ((sent = wire_server_send(drive->server, buffer, sizeof buffer)) > 0) {
        base_write_bytes(&drive->run->output, (struct base_bytes){buffer, sent});
    }
}

static void check(const struct drive *drive)
{
    base_assert(wire_server_open_requests(drive->server) == drive->n_waiting);
    size_t requests_held = (drive->run->n_requests + 2) * REQUEST_HELD_BYTES;
    base_assert(wire_server_held_bytes(drive->server) <=
                requests_held + 4 * drive->n_received + 2 * drive->n_answer_bytes);
}

static void answer_those_that_wait(struct drive *drive)
{
    /* An answer lets the next request of HTTP/1.1 up, which waits in its turn. */
    for (size_t n = drive->n_received + 1; drive->n_waiting > 0 && n > 0; n--) {
        answer(drive, drive->waiting[--drive->n_waiting].stream, NULL);
        collect(drive);
    }
    base_assert(drive->n_waiting == 0);
}

size_t fuzz_piece(uint32_t *pieces, size_t left)
{
    *pieces = *pieces * 1664525u + 1013904223u;
    uint32_t random = *pieces >> 8;
    size_t size = (random & 3) == 0 ? random >> 2 & 1023 : random >> 2 & 15;
    return size + 1 < left ? size + 1 : left;
}

static bool feed(struct drive *drive, struct base_bytes bytes, uint32_t *pieces)
{
    bool open = true;
    while (bytes.length > 0 && open) {
        size_t piece = *pieces == 0 ? bytes.length : fuzz_piece(pieces, bytes.length);
        /* A copy of its own, so that a read beyond its end is seen. */
        uint8_t *copy = base_allocate(piece);
        memcpy(copy, bytes.bytes, piece);
        drive->n_received += piece;
        open = wire_server_receive(drive->server, (struct base_bytes){copy, piece});
        free(copy);
        check(drive);
        collect(drive);
        bytes.bytes += piece;
        bytes.length -= piece;
    }
    return open;
}

void fuzz_server_run(struct base_text preface, const uint8_t options[FUZZ_OPTIONS_BYTES],
                     struct base_bytes input, uint32_t pieces, struct fuzz_server_run *ret_run)
{
    *ret_run = (struct fuzz_server_run){0};
    struct drive *drive = base_allocate_zeroed(1, sizeof *drive);
    drive->run = ret_run;
    drive->options = options;
    drive->server = wire_server_open(&events, drive);
    size_t first = input.length * options[1] / 255;
    bool open = feed(drive, base_bytes_of(preface), &pieces) &&
                feed(drive, (struct base_bytes){input.bytes, first}, &pieces);
    if (is_told_to_stop(drive)) {
        wire_server_shutdown_notice(drive->server);
        collect(drive);
    }
    if (is_drained(drive)) {
        wire_server_drain(drive->server);
        collect(drive);
    }
    open = open &&
           feed(drive, (struct base_bytes){input.bytes + first, input.length - first}, &pieces);
    ret_run->open = open && !wire_server_finished(drive->server);
    answer_those_that_wait(drive);
    collect(drive);
    check(drive);
    if (open && wire_server_receive_end(drive->server)) {
        answer_those_that_wait(drive);
    }
    collect(drive);
    check(drive);
    wire_server_close(drive->server);
    free(drive);
}

void fuzz_server_run_release(struct fuzz_server_run *run)
{
    base_writer_release(&run->requests);
    base_writer_release(&run->output);
    free(run->handed_up);
}
