/*
 * The program: `zandaka_conformance --listen HOST:PORT` serves until its standard input ends, and
 * says the address on standard output. Without arguments it does as connectconformance wants: it
 * reads a ServerCompatRequest, answers with where it listens, and serves until SIGTERM.
 */
#include "api/codec.h"
#include "conformance.pb-c.h"
#include "conformance/server.h"
#include "net/net.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PREFIX_BYTES 4
#define COMPAT_MAX_BYTES 65536

struct stream {
    struct stream *next;
    uint32_t id;
    struct interop_stream *interop;
};

struct session {
    struct net_connection *connection; /* NULL once it is closed */
    struct wire_server *wire;
    size_t n_calls; /* that wait for their answer */
    struct stream *streams;
};

/* --- unary calls --- */

struct call {
    struct net_message message;
    struct net_loop *loop;
    struct session *session;
    uint32_t stream;
    struct wire_request *request;
    struct wire_reply reply;
    int64_t delay_ms;
};

static void free_if_over(struct session *session)
{
    if (session->connection == NULL && session->n_calls == 0) {
        free(session);
    }
}

static void answer(struct net_message *message)
{
    struct call *call = (struct call *)message;
    struct session *session = call->session;
    if (session->connection != NULL) {
        wire_server_reply(session->wire, call->stream, &call->reply);
        net_connection_wake(session->connection);
    }
    wire_request_release(call->request);
    free(call);
    session->n_calls--;
    free_if_over(session);
}

static void *wait_and_post(void *user)
{
    struct call *call = user;
    struct timespec delay = {call->delay_ms / 1000, call->delay_ms % 1000 * 1000000};
    (void)nanosleep(&delay, NULL);
    net_post(call->loop, &call->message);
    return NULL;
}

static void take_stream(struct session *session, uint32_t id, struct wire_request *request)
{
    struct stream *stream = base_allocate_zeroed(1, sizeof *stream);
    stream->id = id;
    stream->next = session->streams;
    session->streams = stream;
    stream->interop = interop_stream_open(session->wire, id, request);
}

static void on_request(void *user, uint32_t id, struct wire_request *request)
{
    struct session *session = user;
    if (request->streamed) {
        take_stream(session, id, request);
        return;
    }
    struct call *call = base_allocate_zeroed(1, sizeof *call);
    call->message.run = answer;
    call->session = session;
    call->loop = net_connection_loop(session->connection);
    call->stream = id;
    call->request = request;
    session->n_calls++;
    if (request->defect == WIRE_DEFECT_TOO_LARGE) {
        answer_error(request, BASE_CODE_RESOURCE_EXHAUSTED, "too large", &call->reply);
    } else if (!conformance_answer(request, &call->reply, &call->delay_ms) &&
               !interop_answer(request, &call->reply)) {
        answer_error(request, BASE_CODE_UNIMPLEMENTED, "no such method", &call->reply);
        call->reply.http_status = 404;
    }
    if (call->delay_ms == 0) {
        answer(&call->message);
        return;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_and_post, call) != 0) {
        base_stop("no thread for a delay");
    }
    (void)pthread_detach(thread);
}

/* --- streamed calls --- */

static struct stream *find(struct session *session, uint32_t id)
{
    struct stream *stream = session->streams;
    while (stream != NULL && stream->id != id) {
        stream = stream->next;
    }
    return stream;
}

static void on_cancelled(void *user, uint32_t id)
{
    struct session *session = user;
    struct stream **link = &session->streams;
    while (*link != NULL && (*link)->id != id) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        struct stream *stream = *link;
        *link = stream->next;
        interop_stream_close(stream->interop);
        free(stream);
    }
}

static size_t on_message_max(void *user, struct base_text path)
{
    (void)user;
    return interop_message_max(path);
}

static void on_message(void *user, uint32_t id, struct base_bytes message)
{
    struct stream *stream = find(user, id);
    if (stream != NULL && interop_stream_message(stream->interop, message)) {
        on_cancelled(user, id);
    }
}

static void on_half_closed(void *user, uint32_t id)
{
    struct stream *stream = find(user, id);
    if (stream != NULL && interop_stream_half_close(stream->interop)) {
        on_cancelled(user, id);
    }
}

static void on_writable(void *user, uint32_t id)
{
    struct stream *stream = find(user, id);
    if (stream != NULL && interop_stream_write(stream->interop)) {
        on_cancelled(user, id);
    }
}

static const struct wire_server_events events = {
    .request = on_request,
    .cancelled = on_cancelled,
    .streamed_message_max = on_message_max,
    .message = on_message,
    .half_closed = on_half_closed,
    .writable = on_writable,
};

/* --- connections --- */

static void *session_opened(void *context, struct net_connection *connection)
{
    (void)context;
    struct session *session = base_allocate_zeroed(1, sizeof *session);
    session->connection = connection;
    session->wire = wire_server_open(&events, session);
    return session;
}

static bool session_received(void *user, struct base_bytes bytes)
{
    struct session *session = user;
    return bytes.length == 0 ? wire_server_receive_end(session->wire)
                             : wire_server_receive(session->wire, bytes);
}

static size_t session_produce(void *user, uint8_t *buffer, size_t capacity)
{
    return wire_server_send(((struct session *)user)->wire, buffer, capacity);
}

static bool session_finished(void *user)
{
    return wire_server_finished(((struct session *)user)->wire);
}

static size_t session_held_bytes(void *user)
{
    return wire_server_held_bytes(((struct session *)user)->wire);
}

static bool session_busy(void *user)
{
    (void)user;
    return false;
}

static bool session_tick(void *user, int64_t now_ns, int64_t last_read_ns, int64_t last_write_ns)
{
    (void)user;
    (void)now_ns;
    (void)last_read_ns;
    (void)last_write_ns;
    return true;
}

static void session_drain(void *user, bool last)
{
    struct session *session = user;
    (last ? wire_server_drain : wire_server_shutdown_notice)(session->wire);
}

static void session_closed(void *user)
{
    struct session *session = user;
    while (session->streams != NULL) {
        on_cancelled(session, session->streams->id);
    }
    wire_server_close(session->wire);
    session->wire = NULL;
    session->connection = NULL;
    free_if_over(session);
}

static const struct net_handler handler = {
    .opened = session_opened,
    .received = session_received,
    .produce = session_produce,
    .finished = session_finished,
    .busy = session_busy,
    .held_bytes = session_held_bytes,
    .tick = session_tick,
    .drain = session_drain,
    .closed = session_closed,
};

/* --- what connectconformance wants to know --- */

static bool read_compat_request(struct base_arena *arena)
{
    uint8_t prefix[PREFIX_BYTES];
    if (fread(prefix, 1, sizeof prefix, stdin) != sizeof prefix) {
        return false;
    }
    size_t length = (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 |
                    (size_t)prefix[3];
    if (length > COMPAT_MAX_BYTES) {
        return false;
    }
    uint8_t *bytes = base_arena_take(arena, length + 1);
    struct api_codec_error wrong;
    return fread(bytes, 1, length, stdin) == length &&
           api_codec_unpack(arena, &connectrpc__conformance__v1__server_compat_request__descriptor,
                            (struct base_bytes){bytes, length}, API_CODEC_PASS_UNKNOWN,
                            &wrong) != NULL;
}

static bool write_compat_response(struct base_arena *arena, struct base_text address)
{
    Connectrpc__Conformance__V1__ServerCompatResponse response =
        CONNECTRPC__CONFORMANCE__V1__SERVER_COMPAT_RESPONSE__INIT;
    struct base_text host;
    uint16_t port;
    if (!net_split_address(address, &host, &port)) {
        return false;
    }
    response.host = (char *)base_arena_text(arena, host).bytes;
    response.port = port;
    struct base_bytes packed = api_codec_pack(arena, &response.base);
    const uint8_t prefix[PREFIX_BYTES] = {0, 0, (uint8_t)(packed.length >> 8),
                                          (uint8_t)packed.length};
    return fwrite(prefix, 1, sizeof prefix, stdout) == sizeof prefix &&
           fwrite(packed.bytes, 1, packed.length, stdout) == packed.length && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    bool listens = argc == 3 && strcmp(argv[1], "--listen") == 0;
    struct base_arena arena = BASE_ARENA_EMPTY;
    if (argc != 1 && !listens) {
        (void)fprintf(stderr, "usage: %s [--listen HOST:PORT]\n", argv[0]);
        return 2;
    }
    if (!listens && !read_compat_request(&arena)) {
        (void)fprintf(stderr, "no ServerCompatRequest on standard input\n");
        return 2;
    }
    struct net_options options = {.listen =
                                      listens ? base_text_of(argv[2]) : BASE_TEXT("127.0.0.1:0"),
                                  .n_loops = 2,
                                  .connections_max = 1000,
                                  .inflight_max_bytes = BASE_INFLIGHT_MAX_BYTES,
                                  .handler = &handler};
    struct base_text message;
    struct net_server *server = net_server_open(&options, &arena, &message);
    if (server == NULL) {
        (void)fprintf(stderr, "%.*s\n", BASE_TEXT_ARGS(message));
        return 1;
    }
    struct base_text address = net_server_address(server);
    if (listens) {
        (void)printf("%.*s\n", BASE_TEXT_ARGS(address));
        (void)fflush(stdout);
        while (getchar() != EOF) {
        }
        net_server_drain(server, 5000);
        net_server_close(server);
        base_arena_release(&arena);
        return 0;
    }
    if (!write_compat_response(&arena, address)) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}
