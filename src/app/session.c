#include "app/session.h"

#include "app/streams.h"

#include <stdlib.h>

/*
 * Lives until the connection is closed and the last of its exchanges is answered: a write that was
 * handed to the service finishes, whether or not its caller is still there (contract 3.11).
 */
struct session {
    struct app_sessions *shared;
    struct net_connection *connection; /* NULL once it is closed */
    struct net_loop *loop;
    struct net_server *server;
    struct wire_server *wire; /* NULL once the connection is closed */
    struct api_peer peer;
    struct base_arena peer_names; /* what the peer's certificate says */
    bool heard;                   /* something has come */
    int64_t asked_ns; /* when the peer was asked whether it is there; 0: it was not, or answered */
    size_t n_exchanges;
    struct app_streams streams;
    uint32_t half_received;         /* what wire calls it; 0: no request is */
    int64_t half_received_since_ns; /* when it was seen so first */
};

/* A request on its way through api and the service, and back to its connection's loop. */
struct exchange {
    struct net_message message; /* posted by whichever thread finished it */
    struct session *session;
    struct api_exchange *api;
    uint32_t stream;
    int64_t charged_bytes;
    enum wire_form form;
    struct app_request_note note;
};

/* Headers of an answer: api's, and x-request-id. */
#define REPLY_HEADERS_MAX 8

static void free_if_over(struct session *session)
{
    if (session->connection == NULL && session->n_exchanges == 0) {
        base_arena_release(&session->peer_names);
        free(session);
    }
}

/* On the session's loop: the answer can be made. */
static void answer(struct net_message *message)
{
    struct exchange *exchange = (struct exchange *)message;
    struct session *session = exchange->session;
    if (session->connection != NULL) {
        struct wire_reply reply;
        struct wire_header headers[REPLY_HEADERS_MAX];
        api_reply(exchange->api, &reply);
        base_assert(reply.n_headers < REPLY_HEADERS_MAX);
        for (size_t i = 0; i < reply.n_headers; i++) {
            headers[i] = reply.headers[i];
        }
        headers[reply.n_headers++] =
            (struct wire_header){BASE_TEXT("x-request-id"), exchange->note.request_id};
        reply.headers = headers;
        wire_server_reply(session->wire, exchange->stream, &reply);
        net_connection_wake(session->connection);
        app_request_end(&session->shared->log, &exchange->note, exchange->form, &reply);
    } else {
        app_request_end(&session->shared->log, &exchange->note, exchange->form, NULL);
    }
    net_server_charge(session->server, -exchange->charged_bytes);
    api_end(exchange->api);
    free(exchange);
    session->n_exchanges--;
    free_if_over(session);
}

/* On any thread, and perhaps before api_start has returned: so the loop is told by a message even
 * when it is the loop's own thread. */
static void finished(void *context)
{
    struct exchange *exchange = context;
    net_post(exchange->session->loop, &exchange->message);
}

static void take_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct session *session = user;
    if (request->streamed) {
        app_streams_start(&session->streams, stream, request);
        return;
    }
    struct exchange *exchange = base_allocate(sizeof *exchange);
    *exchange = (struct exchange){
        .message = {.run = answer}, .session = session, .stream = stream, .form = request->form};
    app_request_begin(&session->shared->log, request, &exchange->note);
    session->n_exchanges++;
    exchange->api = api_start(session->shared->api, request, &session->peer, finished, exchange);
    exchange->charged_bytes = (int64_t)api_held_bytes(exchange->api);
    net_server_charge(session->server, exchange->charged_bytes);
}

static bool admits(void *user, const struct wire_request *request)
{
    struct session *session = user;
    return api_admits(session->shared->api, request, &session->peer);
}

static void take_cancellation(void *user, uint32_t stream)
{
    /* A write goes on; its answer will find no stream and is dropped (contract 3.11). */
    struct session *session = user;
    app_streams_cancel(&session->streams, stream);
}

static void take_refusal(void *user, uint32_t stream, enum base_code code)
{
    struct session *session = user;
    app_streams_refuse(&session->streams, stream, code);
}

static size_t streamed_message_max(void *user, struct base_text path)
{
    (void)user;
    return api_stream_message_max(path);
}

static void take_message(void *user, uint32_t stream, struct base_bytes message)
{
    struct session *session = user;
    app_streams_message(&session->streams, stream, message);
}

static void take_half_close(void *user, uint32_t stream)
{
    struct session *session = user;
    app_streams_half_close(&session->streams, stream);
}

static void write_on(void *user, uint32_t stream)
{
    struct session *session = user;
    app_streams_writable(&session->streams, stream);
}

static const struct wire_server_events session_events = {
    .request = take_request,
    .admits = admits,
    .cancelled = take_cancellation,
    .refused = take_refusal,
    .streamed_message_max = streamed_message_max,
    .message = take_message,
    .half_closed = take_half_close,
    .writable = write_on,
};

static void *session_opened(void *context, struct net_connection *connection)
{
    struct app_sessions *shared = context;
    struct session *session = base_allocate_zeroed(1, sizeof *session);
    session->shared = shared;
    session->connection = connection;
    session->loop = net_connection_loop(connection);
    session->server = net_connection_server(connection);
    session->peer.number = atomic_fetch_add(&shared->next_connection, 1);
    session->wire = wire_server_open(&session_events, session);
    session->streams = (struct app_streams){.api = shared->api,
                                            .log = &shared->log,
                                            .peer = &session->peer,
                                            .wire = session->wire,
                                            .server = session->server};
    return session;
}

/* HTTP/2 over TLS is spoken only where ALPN says so (RFC 9113, section 3.3). */
static void expect_agreed_protocol(struct session *session)
{
    switch (net_connection_protocol(session->connection)) {
    case NET_PROTOCOL_UNSAID:
        return;
    case NET_PROTOCOL_HTTP1:
        wire_server_expect(session->wire, WIRE_HTTP1);
        return;
    case NET_PROTOCOL_HTTP2:
        wire_server_expect(session->wire, WIRE_HTTP2);
        return;
    }
}

static void take_peer_names(struct session *session)
{
    struct base_text *names =
        base_arena_take(&session->peer_names, BASE_PEER_NAMES_MAX * sizeof *names);
    session->peer.certificate_names = names;
    session->peer.n_certificate_names = net_connection_peer_names(
        session->connection, &session->peer_names, names, BASE_PEER_NAMES_MAX);
    if (session->peer.n_certificate_names == 0) {
        base_arena_release(&session->peer_names);
    }
}

static bool session_received(void *user, struct base_bytes bytes)
{
    struct session *session = user;
    if (!session->heard) {
        session->heard = true;
        expect_agreed_protocol(session);
        if (session->shared->callers_are_known) {
            take_peer_names(session);
        }
    }
    return bytes.length == 0 ? wire_server_receive_end(session->wire)
                             : wire_server_receive(session->wire, bytes);
}

static size_t session_produce(void *user, uint8_t *buffer, size_t capacity)
{
    struct session *session = user;
    return wire_server_send(session->wire, buffer, capacity);
}

static bool session_finished(void *user)
{
    struct session *session = user;
    return wire_server_finished(session->wire);
}

static bool session_busy(void *user)
{
    struct session *session = user;
    return wire_server_open_requests(session->wire) > BASE_QUIET_REQUESTS_MAX;
}

static size_t session_held_bytes(void *user)
{
    struct session *session = user;
    return wire_server_held_bytes(session->wire);
}

/* A peer that has long been silent is asked, where its protocol can be. Not only an idle one:
 * behind a call that waits for years for something to change there may be nobody any more. */
static bool peer_is_there(struct session *session, int64_t now_mono_ns, int64_t last_read_ns,
                          int64_t last_ns)
{
    if (session->asked_ns != 0 && last_read_ns < session->asked_ns) {
        return now_mono_ns - session->asked_ns <= BASE_KEEPALIVE_TIMEOUT_MS * BASE_NS_PER_MS;
    }
    session->asked_ns = 0;
    if (now_mono_ns - last_read_ns <= BASE_KEEPALIVE_AFTER_MS * BASE_NS_PER_MS) {
        return true;
    }
    if (wire_server_ping(session->wire)) {
        session->asked_ns = now_mono_ns;
        net_connection_wake(session->connection);
        return true;
    }
    return session->n_exchanges > 0 || session->streams.n_streams > 0 ||
           now_mono_ns - last_ns <= BASE_IDLE_TIMEOUT_MS * BASE_NS_PER_MS;
}

static bool session_tick(void *user, int64_t now_mono_ns, int64_t last_read_ns,
                         int64_t last_write_ns)
{
    struct session *session = user;
    wire_server_set_time(session->wire, now_mono_ns);
    /* Some request is half received at most moments of a busy connection. It is one and the same
     * that must not stay so. */
    uint32_t half_received = wire_server_half_received(session->wire);
    if (half_received != session->half_received) {
        session->half_received = half_received;
        session->half_received_since_ns = now_mono_ns;
    }
    if (half_received != 0 &&
        now_mono_ns - session->half_received_since_ns > BASE_REQUEST_TIMEOUT_MS * BASE_NS_PER_MS) {
        return false;
    }
    if (session->streams.n_streams > 0) {
        app_streams_step(&session->streams);
        net_connection_wake(session->connection);
    }
    int64_t last_ns = last_read_ns > last_write_ns ? last_read_ns : last_write_ns;
    if (session->n_exchanges == 0 && wire_server_held_bytes(session->wire) > 0 &&
        now_mono_ns - last_ns > BASE_REQUEST_TIMEOUT_MS * BASE_NS_PER_MS) {
        /* Nothing is being worked on, so what is held are answers that the peer does not read. */
        return false;
    }
    return peer_is_there(session, now_mono_ns, last_read_ns, last_ns);
}

static void session_drain(void *user, bool last)
{
    struct session *session = user;
    if (last) {
        wire_server_drain(session->wire);
        app_streams_stop(&session->streams);
    } else {
        wire_server_shutdown_notice(session->wire);
        app_streams_step(&session->streams); /* who watches is told that we are not ready */
    }
}

static void session_closed(void *user)
{
    struct session *session = user;
    app_streams_close(&session->streams);
    wire_server_close(session->wire);
    session->wire = NULL;
    session->connection = NULL;
    free_if_over(session);
}

const struct net_handler app_session_handler = {
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
