#include "app/streams.h"

#include <stdlib.h>

struct app_stream {
    struct app_stream *next;
    uint32_t id;
    struct api_stream *api;
    int64_t charged_bytes;
    struct app_request_note note;
    bool begun;    /* the answer's headers went out */
    bool logged;   /* its end was told */
    bool stepping; /* what happens meanwhile is seen by the next step */
    bool over;     /* cancelled while it was stepping */
};

static struct app_stream *find(const struct app_streams *streams, uint32_t id)
{
    struct app_stream *stream = streams->first;
    while (stream != NULL && stream->id != id) {
        stream = stream->next;
    }
    return stream;
}

/* Counts what the call holds for the budget. */
static void charge(struct app_streams *streams, struct app_stream *stream, size_t held_bytes)
{
    net_server_charge(streams->server, (int64_t)held_bytes - stream->charged_bytes);
    stream->charged_bytes = (int64_t)held_bytes;
}

static void end(struct app_streams *streams, struct app_stream *stream)
{
    struct app_stream **link = &streams->first;
    while (*link != stream) {
        link = &(*link)->next;
    }
    *link = stream->next;
    streams->n_streams--;
    if (!stream->logged) {
        app_request_end(streams->log, &stream->note, WIRE_GRPC, NULL);
    }
    charge(streams, stream, 0);
    api_stream_end(stream->api);
    free(stream);
}

/* One step. True: there may be another. */
static bool step(struct app_streams *streams, struct app_stream *stream)
{
    struct wire_reply reply;
    const struct wire_header id = {BASE_TEXT("x-request-id"), stream->note.request_id};
    switch (api_stream_step(stream->api, &reply)) {
    case API_STREAM_WAIT:
        return false;
    case API_STREAM_MESSAGE:
        if (!stream->begun) {
            stream->begun = true;
            wire_server_begin(streams->wire, stream->id, 1, &id);
        }
        wire_server_write(streams->wire, stream->id, reply.body);
        return true;
    case API_STREAM_NEXT:
        wire_server_next(streams->wire, stream->id);
        return !stream->over;
    case API_STREAM_END:
        reply.n_headers = 1;
        reply.headers = &id;
        wire_server_reply(streams->wire, stream->id, &reply);
        app_request_end(streams->log, &stream->note, WIRE_GRPC, &reply);
        stream->logged = true;
        break;
    }
    stream->over = true;
    return false;
}

/* Says all that there is to say and that has room. wire may tell more of the stream meanwhile: a
 * message that was asked for, or that what came is none. */
static void run(struct app_streams *streams, struct app_stream *stream)
{
    if (stream->stepping) {
        return;
    }
    stream->stepping = true;
    while (wire_server_writable(streams->wire, stream->id) && step(streams, stream)) {
    }
    stream->stepping = false;
    charge(streams, stream, api_stream_held_bytes(stream->api));
    if (stream->over) {
        end(streams, stream);
    }
}

void app_streams_start(struct app_streams *streams, uint32_t id, struct wire_request *request)
{
    struct app_stream *stream = base_allocate_zeroed(1, sizeof *stream);
    stream->id = id;
    app_request_begin(streams->log, request, &stream->note);
    stream->api = api_stream_start(streams->api, request, streams->peer);
    stream->next = streams->first;
    streams->first = stream;
    streams->n_streams++;
    run(streams, stream);
}

void app_streams_message(struct app_streams *streams, uint32_t id, struct base_bytes message)
{
    struct app_stream *stream = find(streams, id);
    if (stream != NULL) {
        api_stream_message(stream->api, message);
        run(streams, stream);
    }
}

void app_streams_half_close(struct app_streams *streams, uint32_t id)
{
    struct app_stream *stream = find(streams, id);
    if (stream != NULL) {
        api_stream_half_close(stream->api);
        run(streams, stream);
    }
}

void app_streams_writable(struct app_streams *streams, uint32_t id)
{
    struct app_stream *stream = find(streams, id);
    if (stream != NULL) {
        run(streams, stream);
    }
}

void app_streams_cancel(struct app_streams *streams, uint32_t id)
{
    struct app_stream *stream = find(streams, id);
    if (stream == NULL) {
        return;
    }
    stream->over = true;
    if (!stream->stepping) {
        end(streams, stream);
    }
}

void app_streams_refuse(struct app_streams *streams, uint32_t id, enum base_code code)
{
    struct app_stream *stream = find(streams, id);
    if (stream != NULL) {
        api_stream_refused(stream->api, code);
        app_streams_cancel(streams, id);
    }
}

void app_streams_step(struct app_streams *streams)
{
    struct app_stream *next;
    for (struct app_stream *stream = streams->first; stream != NULL; stream = next) {
        next = stream->next;
        run(streams, stream);
    }
}

void app_streams_stop(struct app_streams *streams)
{
    while (streams->first != NULL) {
        struct app_stream *stream = streams->first;
        api_stream_stop(stream->api);
        /* The end needs no room: it waits behind what the peer has not read. */
        stream->stepping = true;
        while (step(streams, stream)) {
        }
        end(streams, stream);
    }
}

void app_streams_close(struct app_streams *streams)
{
    while (streams->first != NULL) {
        end(streams, streams->first);
    }
}
