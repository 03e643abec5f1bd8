/* One connection: a stream, poll, and wire's client session. */
#include "store/spanner/channel.h"

#include "google/rpc/error_details.pb-c.h"
#include "net/net.h"
#include "wire/wire.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Headers of a call. */
#define HEADERS_MAX 5

/* --- messages --- */

static void *arena_alloc(void *arena, size_t size)
{
    return base_arena_take(arena, size);
}

static void arena_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

struct base_bytes spanner_pack(struct base_arena *arena, const ProtobufCMessage *message)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = base_arena_take(arena, length);
    return (struct base_bytes){bytes, protobuf_c_message_pack(message, bytes)};
}

const void *spanner_unpack(struct base_arena *arena, const ProtobufCMessageDescriptor *descriptor,
                           struct base_bytes bytes)
{
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    return protobuf_c_message_unpack(descriptor, &allocator, bytes.length, bytes.bytes);
}

/* --- answers --- */

/* How long the server asks to wait before the transaction is tried again; -1: it does not say. */
static int64_t read_retry_delay(struct base_arena *arena, const struct wire_response *response)
{
    for (size_t i = 0; i < response->n_headers; i++) {
        if (!base_text_equal(response->headers[i].name, BASE_TEXT("google.rpc.retryinfo-bin"))) {
            continue;
        }
        const Google__Rpc__RetryInfo *info = spanner_unpack(
            arena, &google__rpc__retry_info__descriptor, base_bytes_of(response->headers[i].value));
        if (info != NULL && info->retry_delay != NULL && info->retry_delay->seconds >= 0 &&
            info->retry_delay->seconds < INT32_MAX && info->retry_delay->nanos >= 0) {
            return info->retry_delay->seconds * 1000 +
                   info->retry_delay->nanos / (int32_t)BASE_NS_PER_MS;
        }
    }
    return -1;
}

static void on_response(void *user, void *call_user, const struct wire_response *response)
{
    (void)user;
    struct spanner_call *call = call_user;
    struct base_text message = response->message;
    if (response->grpc_status == SPANNER_LOST && call->channel->problem != NULL) {
        message = base_text_of(call->channel->problem);
    }
    call->answered = true;
    call->status = response->grpc_status;
    call->body = base_arena_bytes(call->arena, response->body);
    call->retry_delay_ms = read_retry_delay(call->arena, response);
    (void)snprintf(call->message, sizeof call->message, "%.*s", BASE_TEXT_ARGS(message));
}

static void on_message(void *user, void *call_user, struct base_bytes message)
{
    (void)user;
    struct spanner_call *call = call_user;
    call->taken = true;
    call->take(call->user, message);
}

static const struct wire_client_events events = {.response = on_response, .message = on_message};

/* --- the connection --- */

/* From here on there is none: every open call is told so. */
static void break_connection(struct spanner_channel *channel, const char *problem)
{
    struct wire_client *wire = channel->wire;
    channel->problem = problem;
    channel->wire = NULL;
    if (wire != NULL) {
        wire_client_close(wire);
    }
    if (channel->stream != NULL) {
        net_stream_close(channel->stream);
    }
    channel->stream = NULL;
    channel->n_unsent = 0;
}

void spanner_channel_close(struct spanner_channel *channel)
{
    break_connection(channel, "the connection was closed");
}

static bool connect_channel(struct spanner_channel *channel, struct base_arena *arena,
                            struct base_text *ret_message)
{
    const struct spanner_target *target = channel->target;
    const struct net_destination destination = {.address = target->address,
                                                .timeout_ms = BASE_DATABASE_CONNECT_TIMEOUT_MS,
                                                .tls = !target->emulator};
    channel->stream = net_dial(&destination, arena, ret_message);
    if (channel->stream == NULL) {
        return false;
    }
    channel->problem = NULL;
    channel->wire = wire_client_open(&events, channel, target->address, destination.tls);
    return true;
}

static void send_some(struct spanner_channel *channel)
{
    size_t sent;
    enum net_result result = net_stream_send(
        channel->stream, (struct base_bytes){channel->unsent, channel->n_unsent}, &sent);
    channel->unsent += sent;
    channel->n_unsent -= sent;
    if (result != NET_DONE && result != NET_WAIT) {
        break_connection(channel, "the connection broke");
    }
}

/* Takes all that there is. */
static void receive_some(struct spanner_channel *channel)
{
    uint8_t bytes[BASE_READ_BUFFER_BYTES];
    size_t received;
    enum net_result result = NET_DONE;
    while (channel->wire != NULL &&
           (result = net_stream_receive(channel->stream, bytes, sizeof bytes, &received)) ==
               NET_DONE) {
        if (!wire_client_receive(channel->wire, (struct base_bytes){bytes, received})) {
            break_connection(channel, "the server ended the connection");
        }
    }
    if (channel->wire != NULL && result != NET_WAIT) {
        const char *problem = net_stream_problem(channel->stream);
        break_connection(channel, problem == NULL ? "the connection broke" : problem);
    }
}

/* --- calls --- */

/* A value of x-goog-request-params: what is not plain is percent-encoded. */
static struct base_text route_of(struct base_arena *arena, const struct spanner_call *call)
{
    struct base_writer text = {NULL, 0, 0};
    base_write_bytes(&text, base_bytes_of(base_text_of(call->route_key)));
    base_write_u8(&text, '=');
    for (size_t i = 0; i < call->route.length; i++) {
        char c = call->route.bytes[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            base_write_u8(&text, (uint8_t)c);
        } else {
            char escape[4];
            (void)snprintf(escape, sizeof escape, "%%%02X", (unsigned)(uint8_t)c);
            base_write_bytes(&text, base_bytes_of(base_text_of(escape)));
        }
    }
    struct base_text copy = base_arena_text(arena, base_text_from(base_writer_bytes(&text)));
    base_writer_release(&text);
    return copy;
}

static size_t fill_headers(struct spanner_channel *channel, struct base_arena *arena,
                           struct spanner_call *call, struct base_text authorization,
                           struct wire_header headers[HEADERS_MAX])
{
    size_t n = 0;
    if (authorization.length > 0) {
        headers[n++] = (struct wire_header){BASE_TEXT("authorization"), authorization};
    }
    if (call->request_number == 0) {
        call->request_number = ++channel->n_requests;
        call->attempt = 0;
    }
    call->attempt++;
    headers[n++] =
        (struct wire_header){BASE_TEXT("google-cloud-resource-prefix"), channel->target->database};
    headers[n++] = (struct wire_header){BASE_TEXT("x-goog-request-params"), route_of(arena, call)};
    headers[n++] = (struct wire_header){
        BASE_TEXT("x-goog-spanner-request-id"),
        base_arena_print(arena, "1.%016" PRIx64 ".1.%u.%" PRIu64 ".%u", channel->target->process_id,
                         channel->number, call->request_number, call->attempt)};
    if (call->to_leader) {
        headers[n++] =
            (struct wire_header){BASE_TEXT("x-goog-spanner-route-to-leader"), BASE_TEXT("true")};
    }
    return n;
}

static void begin_call(struct spanner_channel *channel, struct spanner_call *call,
                       struct base_text authorization, int64_t timeout_ns)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct wire_header headers[HEADERS_MAX];
    struct wire_call wire_call = {
        .path = base_text_of(call->path),
        .message = spanner_pack(&arena, call->request),
        .timeout_ns = timeout_ns,
        .n_headers = fill_headers(channel, &arena, call, authorization, headers),
        .headers = headers,
        .streamed_message_max = call->take != NULL ? BASE_SPANNER_MESSAGE_MAX_BYTES : 0,
    };
    if (!wire_client_call(channel->wire, &wire_call, call)) {
        call->answered = true;
        call->status = SPANNER_UNSENT;
        (void)snprintf(call->message, sizeof call->message,
                       "the server takes no more calls on this connection");
        channel->problem = "the server takes no more calls on this connection";
    }
    base_arena_release(&arena);
}

static void wait_for_answers(struct spanner_channel *channel, int64_t deadline_mono_ns)
{
    while (channel->wire != NULL && wire_client_open_calls(channel->wire) > 0) {
        if (channel->n_unsent == 0) {
            channel->unsent = channel->unsent_memory;
            channel->n_unsent =
                wire_client_send(channel->wire, channel->unsent_memory, BASE_WRITE_BUFFER_BYTES);
        }
        int64_t left_ms =
            (deadline_mono_ns - base_now_mono_ns(&base_clock_system)) / BASE_NS_PER_MS;
        if (left_ms <= 0) {
            break_connection(channel, "no answer within the time");
            return;
        }
        struct pollfd ready = {.fd = net_stream_descriptor(channel->stream), .events = POLLIN};
        if (channel->n_unsent > 0) {
            ready.events |= POLLOUT;
        }
        int n_ready = poll(&ready, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (n_ready > 0 && (ready.revents & POLLOUT) != 0) {
            send_some(channel);
        }
        if (n_ready > 0 && channel->wire != NULL && (ready.revents & ~POLLOUT) != 0) {
            receive_some(channel);
        }
    }
}

/* One that rested may have ended meanwhile: what has come says so. */
static bool has_connection(struct spanner_channel *channel, struct base_arena *arena,
                           struct base_text *ret_message)
{
    if (channel->stream != NULL) {
        receive_some(channel);
    }
    if (channel->stream != NULL && channel->problem != NULL) {
        break_connection(channel, channel->problem);
    }
    return channel->stream != NULL || connect_channel(channel, arena, ret_message);
}

/* Runs the calls that have no answer. `authorization` NULL: there is no token, and *message. */
static void run_unanswered(struct spanner_channel *channel, size_t n_calls,
                           struct spanner_call *const *calls, const struct base_text *authorization,
                           struct base_text message, int64_t deadline_mono_ns)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    bool connected = authorization != NULL && has_connection(channel, &arena, &message);
    int64_t timeout_ns = deadline_mono_ns - base_now_mono_ns(&base_clock_system);
    for (size_t i = 0; i < n_calls; i++) {
        struct spanner_call *call = calls[i];
        if (call->answered) {
            continue;
        }
        call->channel = channel;
        call->taken = false;
        call->retry_delay_ms = -1;
        if (connected) {
            begin_call(channel, call, *authorization, timeout_ns > 0 ? timeout_ns : 0);
        } else {
            call->status = SPANNER_UNSENT;
            (void)snprintf(call->message, sizeof call->message, "%.*s", BASE_TEXT_ARGS(message));
        }
    }
    if (connected) {
        wait_for_answers(channel, deadline_mono_ns);
    }
    base_arena_release(&arena);
}

static bool is_refused(const struct spanner_call *call)
{
    return call->status == BASE_CODE_UNAUTHENTICATED;
}

/* Makes of the refused calls, but for those that have begun to be answered, unanswered ones again.
 * False: there are none. */
static bool reopen_refused(size_t n_calls, struct spanner_call *const *calls)
{
    bool reopened = false;
    for (size_t i = 0; i < n_calls; i++) {
        if (is_refused(calls[i]) && !calls[i]->taken) {
            calls[i]->answered = false;
            reopened = true;
        }
    }
    return reopened;
}

static void add_advice(const struct spanner_channel *channel, struct spanner_call *call)
{
    char said[SPANNER_MESSAGE_BYTES];
    memcpy(said, call->message, sizeof said);
    (void)snprintf(call->message, sizeof call->message,
                   "the token is refused, and another did not help (%s): %s",
                   spanner_credentials_advice(channel->target->credentials), said);
}

void spanner_channel_run(struct spanner_channel *channel, size_t n_calls,
                         struct spanner_call *const *calls, int64_t deadline_mono_ns)
{
    struct spanner_credentials *credentials = channel->target->credentials;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct base_text authorization = BASE_TEXT("");
    struct base_text another;
    int64_t now_us = base_now_real_us(&base_clock_system);
    bool has_token =
        spanner_credentials_token(credentials, now_us, &arena, &authorization, &message);
    for (size_t i = 0; i < n_calls; i++) {
        calls[i]->answered = false;
    }
    run_unanswered(channel, n_calls, calls, has_token ? &authorization : NULL, message,
                   deadline_mono_ns);
    bool refused = false;
    for (size_t i = 0; i < n_calls; i++) {
        refused = refused || is_refused(calls[i]);
    }
    if (refused &&
        spanner_credentials_replace(credentials, authorization, now_us, &arena, &another) &&
        reopen_refused(n_calls, calls)) {
        run_unanswered(channel, n_calls, calls, &another, message, deadline_mono_ns);
    }
    for (size_t i = 0; authorization.length > 0 && i < n_calls; i++) {
        if (is_refused(calls[i]) && !calls[i]->taken) {
            add_advice(channel, calls[i]);
        }
    }
    base_arena_release(&arena);
}
