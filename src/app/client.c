/* One connection to a server, for the client verbs: a socket, poll, and wire's client session. */
#include "app/app.h"
#include "net/net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct app_client {
    int fd;
    struct wire_client *wire; /* NULL once the connection has broken */
    int64_t timeout_ms;
    struct base_text problem; /* why it has broken; static */
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

static const struct wire_client_events client_events = {on_response};

struct app_client *app_client_open(struct base_text server, int64_t timeout_ms,
                                   struct base_arena *arena, struct base_text *ret_message)
{
    int fd = net_dial(server, timeout_ms, arena, ret_message);
    if (fd < 0) {
        return NULL;
    }
    struct app_client *client = base_allocate(sizeof *client);
    *client = (struct app_client){.fd = fd, .timeout_ms = timeout_ms};
    client->wire = wire_client_open(&client_events, client, server);
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
    struct wire_call call = {
        .path = path, .message = message, .timeout_ns = client->timeout_ms * BASE_NS_PER_MS};
    if (client->wire == NULL || !wire_client_call(client->wire, &call, pending)) {
        if (client->problem.length == 0) {
            client->problem = BASE_TEXT("the server takes no more calls on this connection");
        }
        on_response(client, pending, &(struct wire_response){.grpc_status = -1});
    }
}

static void send_some(struct app_client *client)
{
    ssize_t sent = send(client->fd, client->unsent, client->n_unsent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
        client->unsent += sent;
        client->n_unsent -= (size_t)sent;
    } else if (errno != EAGAIN && errno != EINTR) {
        break_connection(client, BASE_TEXT("the connection broke"));
    }
}

static void receive_some(struct app_client *client)
{
    uint8_t bytes[BASE_READ_BUFFER_BYTES];
    ssize_t received = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (received <= 0) {
        break_connection(client, BASE_TEXT("the connection broke"));
    } else if (!wire_client_receive(client->wire, (struct base_bytes){bytes, (size_t)received})) {
        break_connection(client, BASE_TEXT("the server ended the connection"));
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
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
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
    (void)close(client->fd);
    free(client);
}
