#include "http2_scene.h"

#include <string.h>

static void on_request(void *user, uint32_t stream, struct wire_request *request)
{
    struct scene *scene = user;
    if (request->defect == WIRE_DEFECT_REFUSED) {
        struct wire_reply refusal = {.http_status = request->refusal.http_status};
        wire_server_reply(scene->server, stream, &refusal);
        wire_request_release(request);
        return;
    }
    scene->n_requests++;
    scene->last_stream = stream;
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
    scene->last_request = request;
    if (scene->reply != NULL) {
        wire_server_reply(scene->server, stream, scene->reply);
    }
}

static void on_cancelled(void *user, uint32_t stream)
{
    struct scene *scene = user;
    scene->n_cancelled++;
    /* Too late, and so ignored. */
    struct wire_reply reply = {.http_status = 200};
    wire_server_reply(scene->server, stream, &reply);
}

const struct wire_server_events scene_events = {.request = on_request, .cancelled = on_cancelled};

void scene_open(struct scene *scene)
{
    *scene = (struct scene){.server = NULL};
    scene->server = wire_server_open(&scene_events, scene);
    peer_open_client(&scene->peer);
}

void scene_close(struct scene *scene)
{
    wire_server_close(scene->server);
    peer_close(&scene->peer);
    if (scene->last_request != NULL) {
        wire_request_release(scene->last_request);
    }
}

const struct wire_reply scene_ok = {
    .http_status = 200,
    .content_type = {"application/json", 16},
    .body = {(const uint8_t *)"{}", 2},
};

bool scene_pump(struct scene *scene)
{
    return pump_server(scene->server, &scene->peer, 4096);
}

void scene_discard(struct wire_server *server)
{
    uint8_t buffer[4096];
    while (wire_server_send(server, buffer, sizeof buffer) > 0) {
    }
}

struct base_bytes scene_make_body(bool grpc, size_t length)
{
    size_t prefix = grpc ? 5 : 0;
    uint8_t *bytes = base_allocate(prefix + length);
    if (grpc) {
        bytes[0] = 0;
        for (unsigned i = 0; i < 4; i++) {
            bytes[1 + i] = (uint8_t)(length >> (24 - 8 * i));
        }
    }
    memset(bytes + prefix, 'x', length);
    return (struct base_bytes){bytes, prefix + length};
}
