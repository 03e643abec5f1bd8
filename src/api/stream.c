#include "api/stream.h"

#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"

#include <stdlib.h>

/* --- reflection: each message has one answer --- */

static void reflection_take(struct api_stream *stream, ProtobufCMessage *message)
{
    stream->found = message;
}

static const ProtobufCMessage *reflection_answer(struct api_stream *stream)
{
    Grpc__Reflection__V1__ServerReflectionRequest *request = stream->found;
    stream->found = NULL;
    return request == NULL
               ? NULL
               : api_reflection_answer(stream->api->reflection, &stream->arena, request);
}

/* --- the table --- */

/* Who may call it, as in methods.c. */
#define EVERYBODY true

static const struct api_stream_method methods[] = {
    {"grpc.health.v1.Health", "Watch", &grpc__health__v1__health_check_request__descriptor, true,
     EVERYBODY, api_health_watch_take, api_health_watch_answer},
    {"grpc.reflection.v1.ServerReflection", "ServerReflectionInfo",
     &grpc__reflection__v1__server_reflection_request__descriptor, false, EVERYBODY,
     reflection_take, reflection_answer},
    {"grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo",
     &grpc__reflection__v1__server_reflection_request__descriptor, false, EVERYBODY,
     reflection_take, reflection_answer},
};

#define N_METHODS (sizeof methods / sizeof methods[0])

size_t api_stream_method_count(void)
{
    return N_METHODS;
}

const struct api_stream_method *api_stream_method_number(size_t index)
{
    base_assert(index < N_METHODS);
    return &methods[index];
}

size_t api_stream_method_index(const struct api_stream_method *method)
{
    base_assert(method >= methods && method < methods + N_METHODS);
    return (size_t)(method - methods);
}

/* Whether `path` is /SERVICE/NAME. */
static bool is_path_of(struct base_text path, const struct api_stream_method *method)
{
    struct base_text service = base_text_of(method->service);
    struct base_text name = base_text_of(method->name);
    if (path.length != 1 + service.length + 1 + name.length) {
        return false;
    }
    struct base_text first = {path.bytes + 1, service.length};
    struct base_text last = {path.bytes + 2 + service.length, name.length};
    return path.bytes[0] == '/' && path.bytes[1 + service.length] == '/' &&
           base_text_equal(first, service) && base_text_equal(last, name);
}

static const struct api_stream_method *method_at(struct base_text path)
{
    for (size_t i = 0; i < N_METHODS; i++) {
        if (is_path_of(path, &methods[i])) {
            return &methods[i];
        }
    }
    return NULL;
}

size_t api_stream_message_max(struct base_text path)
{
    return method_at(path) == NULL ? 0 : BASE_STREAM_REQUEST_MAX_BYTES;
}

/* --- a call --- */

struct api_stream *api_stream_start(struct api *api, struct wire_request *request,
                                    const struct api_peer *peer)
{
    struct api_stream *stream = base_arena_take_zeroed(&request->arena, 1, sizeof *stream);
    stream->api = api;
    stream->request = request;
    stream->method = method_at(request->path);
    base_assert(stream->method != NULL);
    stream->started_mono_ns = base_now_mono_ns(api->clock);
    stream->deadline_mono_ns = api_deadline_of(api, request->timeout_ns);
    api_counts_start(api_counts_of_stream(&api->counts, stream->method));
    /* A refusal is in stream->error, with which the first step ends the call. */
    (void)!api_permission_stream(stream, peer);
    return stream;
}

static void fail(struct api_stream *stream, enum base_reason reason, struct base_text message)
{
    if (stream->error.reason == BASE_REASON_NONE) {
        stream->error = (struct api_error){.reason = reason, .message = message};
    }
}

void api_stream_message(struct api_stream *stream, struct base_bytes bytes)
{
    if (stream->method->one_request && stream->n_taken > 0) {
        fail(stream, BASE_REASON_UNIMPLEMENTED, BASE_TEXT("more than one message in this call"));
        return;
    }
    stream->n_taken = 1;
    stream->wants_next = true;
    base_arena_reset(&stream->arena);
    struct api_codec_error wrong;
    ProtobufCMessage *message = api_codec_unpack(&stream->arena, stream->method->request, bytes,
                                                 API_CODEC_PASS_UNKNOWN, &wrong);
    if (message == NULL) {
        fail(stream, BASE_REASON_INVALID_REQUEST, wrong.message);
        return;
    }
    stream->method->take(stream, message);
}

void api_stream_half_close(struct api_stream *stream)
{
    stream->half_closed = true;
    if (stream->method->one_request && stream->n_taken == 0) {
        fail(stream, BASE_REASON_UNIMPLEMENTED, BASE_TEXT("no message in this call"));
    }
}

void api_stream_refused(struct api_stream *stream, enum base_code code)
{
    enum base_reason reason = code == BASE_CODE_RESOURCE_EXHAUSTED ? BASE_REASON_REQUEST_TOO_LARGE
                              : code == BASE_CODE_UNIMPLEMENTED    ? BASE_REASON_UNIMPLEMENTED
                                                                   : BASE_REASON_INTERNAL;
    base_assert(base_error_of(reason)->code == code);
    fail(stream, reason, BASE_TEXT(""));
    stream->answered = true;
}

void api_stream_stop(struct api_stream *stream)
{
    fail(stream, BASE_REASON_SHUTTING_DOWN, BASE_TEXT(""));
}

enum api_stream_step api_stream_step(struct api_stream *stream, struct wire_reply *ret_reply)
{
    if (stream->deadline_mono_ns != BASE_NO_DEADLINE &&
        base_now_mono_ns(stream->api->clock) >= stream->deadline_mono_ns) {
        fail(stream, BASE_REASON_DEADLINE_EXCEEDED, BASE_TEXT("the deadline passed"));
    }
    if (stream->error.reason != BASE_REASON_NONE) {
        stream->answered = true;
        api_error_reply_grpc(&stream->arena, &stream->error, ret_reply);
        return API_STREAM_END;
    }
    const ProtobufCMessage *answer = stream->method->answer(stream);
    if (answer != NULL) {
        *ret_reply = (struct wire_reply){.body = api_codec_pack(&stream->arena, answer)};
        return API_STREAM_MESSAGE;
    }
    if (stream->wants_next) {
        stream->wants_next = false;
        return API_STREAM_NEXT;
    }
    if (stream->half_closed && !stream->method->one_request) {
        stream->answered = true;
        *ret_reply = (struct wire_reply){.grpc_status = BASE_CODE_OK};
        return API_STREAM_END;
    }
    return API_STREAM_WAIT;
}

/* What wire keeps of a stream until it is closed: the header fields, in an arena's first chunk. */
#define HEADERS_HELD_BYTES 8192

size_t api_stream_held_bytes(const struct api_stream *stream)
{
    return base_arena_held(&stream->request->arena) + base_arena_held(&stream->arena) +
           HEADERS_HELD_BYTES;
}

void api_stream_end(struct api_stream *stream)
{
    struct api *api = stream->api;
    api_counts_end(&api->counts, api_counts_of_stream(&api->counts, stream->method),
                   stream->error.reason, stream->answered,
                   base_now_mono_ns(api->clock) - stream->started_mono_ns);
    if (stream->known != NULL) {
        access_release(stream->known);
    }
    base_arena_release(&stream->arena);
    /* The stream lives in what is released. */
    wire_request_release(stream->request);
}
