/* One connection to a server, for the client verbs: a stream, poll, and wire's client session. */
#include "app/app.h"
#include "net/net.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct app_client {
    struct net_stream *stream;
    struct wire_client *wire; /* NULL once the connection has broken */
    int64_t timeout_ms;
    struct wire_header authorization; /* value empty: none is sent */
    struct base_text problem;         /* why it has broken; static */
    size_t n_unsent;
    uint8_t *unsent; /* of unsent_memory */
    uint8_t unsent_memory[BASE_WRITE_BUFFER_BYTES];
};

/* A call that is not answered. */
struct pending {
    struct app_client *client;
    void (*response)(void *user, const struct wire_response *response);
    void *user;
};

static void on_response(void *user, void *call_user, const struct wire_response *response)
{
    (void)user;
    struct pending *pending = call_user;
    struct wire_response told = *response;
    if (told.grpc_status == -1 && pending->client->problem.length > 0) {
        told.message = pending->client->problem;
    }
    pending->response(pending->user, &told);
    free(pending);
}

static const struct wire_client_events client_events = {.response = on_response};

struct app_client *app_client_open(const struct app_destination *server, struct base_arena *arena,
                                   struct base_text *ret_message)
{
    struct net_stream *stream = net_dial(&server->network, arena, ret_message);
    if (stream == NULL) {
        return NULL;
    }
    struct app_client *client = base_allocate(sizeof *client);
    *client =
        (struct app_client){.stream = stream,
                            .timeout_ms = server->network.timeout_ms,
                            .authorization = {BASE_TEXT("authorization"), server->authorization}};
    client->wire =
        wire_client_open(&client_events, client, server->network.address, server->network.tls);
    return client;
}

/* From here on there is no connection: every open call is told so. */
static void break_connection(struct app_client *client, struct base_text problem)
{
    struct wire_client *wire = client->wire;
    client->problem = problem;
    client->wire = NULL;
    wire_client_close(wire);
}

void app_client_call(struct app_client *client, struct base_text path, struct base_bytes message,
                     void (*response)(void *user, const struct wire_response *response), void *user)
{
    struct pending *pending = base_allocate(sizeof *pending);
    *pending = (struct pending){client, response, user};
    struct wire_call call = {.path = path,
                             .message = message,
                             .timeout_ns = client->timeout_ms * BASE_NS_PER_MS,
                             .n_headers = client->authorization.value.length > 0 ? 1 : 0,
                             .headers = &client->authorization};
    if (client->wire == NULL || !wire_client_call(client->wire, &call, pending)) {
        if (client->problem.length == 0) {
            client->problem = BASE_TEXT("the server takes no more calls on this connection");
        }
        on_response(client, pending, &(struct wire_response){.grpc_status = -1});
    }
}

static void send_some(struct app_client *client)
{
    size_t sent;
    enum net_result result = net_stream_send(
        client->stream, (struct base_bytes){client->unsent, client->n_unsent}, &sent);
    client->unsent += sent;
    client->n_unsent -= sent;
    if (result != NET_DONE && result != NET_WAIT) {
        break_connection(client, BASE_TEXT("the connection broke"));
    }
}

/* Takes all that there is. */
static void receive_some(struct app_client *client)
{
    uint8_t bytes[BASE_READ_BUFFER_BYTES];
    size_t received;
    enum net_result result = NET_DONE;
    while (client->wire != NULL && (result = net_stream_receive(client->stream, bytes, sizeof bytes,
                                                                &received)) == NET_DONE) {
        if (!wire_client_receive(client->wire, (struct base_bytes){bytes, received})) {
            break_connection(client, BASE_TEXT("the server ended the connection"));
        }
    }
    if (client->wire != NULL && result != NET_WAIT) {
        const char *problem = net_stream_problem(client->stream);
        break_connection(client, problem == NULL ? BASE_TEXT("the connection broke")
                                                 : base_text_of(problem));
    }
}

void app_client_wait(struct app_client *client, size_t open_calls)
{
    int64_t deadline_ns =
        base_now_mono_ns(&base_clock_system) + client->timeout_ms * BASE_NS_PER_MS;
    while (client->wire != NULL && wire_client_open_calls(client->wire) > open_calls) {
        if (client->n_unsent == 0) {
            client->unsent = client->unsent_memory;
            client->n_unsent =
                wire_client_send(client->wire, client->unsent_memory, BASE_WRITE_BUFFER_BYTES);
        }
        int64_t left_ms = (deadline_ns - base_now_mono_ns(&base_clock_system)) / BASE_NS_PER_MS;
        if (left_ms <= 0) {
            break_connection(client, BASE_TEXT("no answer within the timeout"));
            return;
        }
        struct pollfd poll_fd = {.fd = net_stream_descriptor(client->stream), .events = POLLIN};
        if (client->n_unsent > 0) {
            poll_fd.events |= POLLOUT;
        }
        int ready = poll(&poll_fd, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (ready > 0 && (poll_fd.revents & POLLOUT) != 0) {
            send_some(client);
        }
        if (ready > 0 && client->wire != NULL && (poll_fd.revents & ~POLLOUT) != 0) {
            receive_some(client);
        }
    }
}

void app_client_close(struct app_client *client)
{
    if (client->wire != NULL) {
        break_connection(client, BASE_TEXT("the connection was closed"));
    }
    net_stream_close(client->stream);
    free(client);
}
