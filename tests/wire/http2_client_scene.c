#include "http2_client_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

const struct base_text client_scene_authority = {"127.0.0.1:8630", 14};

static void on_response(void *user, void *call_user, const struct wire_response *response)
{
    (void)user;
    struct outcome *outcome = call_user;
    outcome->n_answers++;
    outcome->grpc_status = response->grpc_status;
    (void)snprintf(outcome->message, sizeof outcome->message, "%.*s",
                   BASE_TEXT_ARGS(response->message));
    (void)snprintf(outcome->details, sizeof outcome->details, "%.*s",
                   BASE_TEXT_ARGS(base_text_from(response->status_details)));
    outcome->body_length = response->body.length;
    outcome->body_hash = base_hash(response->body);
    size_t used = 0;
    for (size_t i = 0; i < response->n_headers && used < sizeof outcome->headers; i++) {
        used += (size_t)snprintf(outcome->headers + used, sizeof outcome->headers - used,
                                 "%.*s: %.*s\n", BASE_TEXT_ARGS(response->headers[i].name),
                                 BASE_TEXT_ARGS(response->headers[i].value));
    }
}

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct client_scene *scene = user;
    assert_true(scene->n_streams < CALLS_MAX);
    scene->streams[scene->n_streams++] = stream;
    if (scene->reply != NULL) {
        struct wire_reply reply = *scene->reply;
        if (scene->echo) {
            reply.body = request->body;
        }
        wire_server_reply(scene->server, stream, &reply);
    }
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
    scene->last_request = request;
}

static void on_cancelled(void *user, uint32_t stream)
{
    (void)stream;
    ((struct client_scene *)user)->n_cancelled++;
}

const struct wire_client_events client_scene_events = {.response = on_response};
static const struct wire_server_events SERVER_EVENTS = {.request = on_request,
                                                        .cancelled = on_cancelled};

struct client_scene *client_scene_open(void)
{
    struct client_scene *scene = base_allocate_zeroed(1, sizeof *scene);
    scene->server = wire_server_open(&SERVER_EVENTS, scene);
    scene->client = wire_client_open(&client_scene_events, scene, client_scene_authority, false);
    return scene;
}

void client_scene_close(struct client_scene *scene)
{
    wire_client_close(scene->client);
    wire_server_close(scene->server);
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
    free(scene);
}

bool client_scene_call(struct client_scene *scene, size_t number, struct base_bytes message)
{
    struct wire_call begun = {
        .path = BASE_TEXT("/zandaka.v1.BalanceService/Add"), .message = message, .timeout_ns = -1};
    return wire_client_call(scene->client, &begun, &scene->outcomes[number]);
}

struct base_bytes client_scene_make_bytes(size_t length)
{
    uint8_t *bytes = base_allocate(length);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    }
    return (struct base_bytes){bytes, length};
}
