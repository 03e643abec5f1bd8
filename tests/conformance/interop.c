/* grpc.testing.TestService, as gRPC's interop tests describe it. */
#include "api/codec.h"
#include "conformance/server.h"
#include "interop.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define SERVICE "/grpc.testing.TestService/"
#define MESSAGE_MAX_BYTES ((size_t)1 << 20)
/* Answers that one message of a streamed call may ask for. */
#define SIZES_MAX 64

static ProtobufCMessage *unpack(struct base_arena *arena,
                                const ProtobufCMessageDescriptor *descriptor,
                                struct base_bytes message)
{
    struct api_codec_error ignored;
    return api_codec_unpack(arena, descriptor, message, API_CODEC_PASS_UNKNOWN, &ignored);
}

static Grpc__Testing__Payload *payload(struct base_arena *arena, int32_t size)
{
    Grpc__Testing__Payload *made = base_arena_take(arena, sizeof *made);
    grpc__testing__payload__init(made);
    size_t length = size < 0 ? 0 : (size_t)size;
    made->body = (ProtobufCBinaryData){length, base_arena_take_zeroed(arena, length + 1, 1)};
    return made;
}

/* The two headers that are to come back: one ahead, one behind. */
struct echo {
    size_t n_headers;
    size_t n_trailers;
    struct wire_header header;
    struct wire_header trailer;
};

static struct echo echo_of(struct wire_request *request)
{
    struct echo echo = {.header.name = BASE_TEXT("x-grpc-test-echo-initial"),
                        .trailer.name = BASE_TEXT("x-grpc-test-echo-trailing-bin")};
    echo.header.value = wire_request_header(request, echo.header.name);
    echo.trailer.value = header_bytes(&request->arena, echo.trailer.name,
                                      wire_request_header(request, echo.trailer.name));
    echo.n_headers = echo.header.value.length > 0 ? 1 : 0;
    echo.n_trailers = echo.trailer.value.length > 0 ? 1 : 0;
    return echo;
}

bool interop_answer(struct wire_request *request, struct wire_reply *ret_reply)
{
    struct base_arena *arena = &request->arena;
    if (base_text_equal(request->path, BASE_TEXT(SERVICE "EmptyCall"))) {
        *ret_reply = (struct wire_reply){.grpc_status = BASE_CODE_OK};
        return true;
    }
    if (!base_text_equal(request->path, BASE_TEXT(SERVICE "UnaryCall"))) {
        return false;
    }
    const Grpc__Testing__SimpleRequest *simple = (const Grpc__Testing__SimpleRequest *)unpack(
        arena, &grpc__testing__simple_request__descriptor, request->body);
    if (simple == NULL) {
        answer_error(request, BASE_CODE_INVALID_ARGUMENT, "malformed", ret_reply);
        return true;
    }
    if (simple->response_status != NULL && simple->response_status->code != 0) {
        answer_error(request, (enum base_code)simple->response_status->code,
                     simple->response_status->message, ret_reply);
        return true;
    }
    Grpc__Testing__SimpleResponse response = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
    response.payload = payload(arena, simple->response_size);
    answer_message(request, API_FORM_PROTOBUF, &response.base, ret_reply);
    struct echo *echo = base_arena_take(arena, sizeof *echo);
    *echo = echo_of(request);
    ret_reply->n_headers = echo->n_headers;
    ret_reply->headers = &echo->header;
    ret_reply->n_trailers = echo->n_trailers;
    ret_reply->trailers = &echo->trailer;
    return true;
}

/* --- streamed calls --- */

struct interop_stream {
    struct wire_server *wire;
    uint32_t id;
    struct wire_request *request;
    bool input;  /* StreamingInputCall: one answer, at the end */
    bool single; /* StreamingOutputCall: one message, many answers */
    bool half_closed;
    int64_t n_bytes; /* that came as payloads */
    size_t n_sizes;
    size_t next_size;
    int32_t sizes[SIZES_MAX]; /* of answers that are to be given */
    struct echo echo;
    enum base_code status;
    struct base_text status_message;
};

size_t interop_message_max(struct base_text path)
{
    static const char *const paths[] = {SERVICE "StreamingInputCall", SERVICE "StreamingOutputCall",
                                        SERVICE "FullDuplexCall"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (base_text_equal(path, base_text_of(paths[i]))) {
            return MESSAGE_MAX_BYTES;
        }
    }
    return 0;
}

struct interop_stream *interop_stream_open(struct wire_server *wire, uint32_t id,
                                           struct wire_request *request)
{
    struct interop_stream *stream = base_allocate_zeroed(1, sizeof *stream);
    stream->wire = wire;
    stream->id = id;
    stream->request = request;
    stream->input = base_text_equal(request->path, BASE_TEXT(SERVICE "StreamingInputCall"));
    stream->single = base_text_equal(request->path, BASE_TEXT(SERVICE "StreamingOutputCall"));
    stream->echo = echo_of(request);
    if (stream->echo.n_headers > 0) {
        wire_server_begin(wire, id, 1, &stream->echo.header);
    }
    return stream;
}

void interop_stream_close(struct interop_stream *stream)
{
    wire_request_release(stream->request);
    free(stream);
}

static bool end(struct interop_stream *stream)
{
    struct wire_reply reply = {.grpc_status = stream->status,
                               .grpc_message = stream->status_message,
                               .n_trailers = stream->echo.n_trailers,
                               .trailers = &stream->echo.trailer};
    wire_server_reply(stream->wire, stream->id, &reply);
    return true;
}

static void write(struct interop_stream *stream, const ProtobufCMessage *message)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    wire_server_write(stream->wire, stream->id, api_codec_pack(&arena, message));
    base_arena_release(&arena);
}

/* As many answers as there is room for; then the next message, or the end. */
bool interop_stream_write(struct interop_stream *stream)
{
    while (stream->next_size < stream->n_sizes && wire_server_writable(stream->wire, stream->id)) {
        struct base_arena arena = BASE_ARENA_EMPTY;
        Grpc__Testing__StreamingOutputCallResponse response =
            GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;
        response.payload = payload(&arena, stream->sizes[stream->next_size++]);
        write(stream, &response.base);
        base_arena_release(&arena);
    }
    if (stream->next_size < stream->n_sizes) {
        return false;
    }
    if (stream->half_closed || stream->status != BASE_CODE_OK) {
        return end(stream);
    }
    wire_server_next(stream->wire, stream->id);
    return false;
}

static bool take_input(struct interop_stream *stream, struct base_arena *arena,
                       struct base_bytes message)
{
    const Grpc__Testing__StreamingInputCallRequest *request =
        (const Grpc__Testing__StreamingInputCallRequest *)unpack(
            arena, &grpc__testing__streaming_input_call_request__descriptor, message);
    if (request == NULL) {
        stream->status = BASE_CODE_INVALID_ARGUMENT;
        return false;
    }
    stream->n_bytes += request->payload == NULL ? 0 : (int64_t)request->payload->body.len;
    return true;
}

static bool take_output(struct interop_stream *stream, struct base_arena *arena,
                        struct base_bytes message)
{
    const Grpc__Testing__StreamingOutputCallRequest *request =
        (const Grpc__Testing__StreamingOutputCallRequest *)unpack(
            arena, &grpc__testing__streaming_output_call_request__descriptor, message);
    if (request == NULL || request->n_response_parameters > SIZES_MAX) {
        stream->status = BASE_CODE_INVALID_ARGUMENT;
        return false;
    }
    stream->n_sizes = request->n_response_parameters;
    stream->next_size = 0;
    for (size_t i = 0; i < stream->n_sizes; i++) {
        stream->sizes[i] = request->response_parameters[i]->size;
    }
    if (request->response_status != NULL) {
        stream->status = (enum base_code)request->response_status->code;
        stream->status_message = base_arena_text(&stream->request->arena,
                                                 base_text_of(request->response_status->message));
    }
    return true;
}

bool interop_stream_message(struct interop_stream *stream, struct base_bytes message)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    (void)(stream->input ? take_input(stream, &arena, message)
                         : take_output(stream, &arena, message));
    base_arena_release(&arena);
    return interop_stream_write(stream);
}

bool interop_stream_half_close(struct interop_stream *stream)
{
    stream->half_closed = true;
    if (stream->input) {
        Grpc__Testing__StreamingInputCallResponse response =
            GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;
        response.aggregated_payload_size = (int32_t)stream->n_bytes;
        write(stream, &response.base);
    }
    return interop_stream_write(stream);
}
