/*
 * api, inside: a streamed call. Everything of it happens on its connection's thread.
 */
#ifndef ZANDAKA_API_STREAM_H
#define ZANDAKA_API_STREAM_H

#include "api/exchange.h"

struct api_stream_method {
    const char *service; /* its full name */
    const char *name;
    const ProtobufCMessageDescriptor *request;
    bool one_request;   /* its client sends one message, and then only listens */
    bool is_everybodys; /* nobody is asked who calls it */
    /* Takes a message, which is in stream->arena. The next one comes when there is nothing more to
     * answer. */
    void (*take)(struct api_stream *stream, ProtobufCMessage *message);
    /* What is to be told next, in stream->arena, or NULL: nothing now. */
    const ProtobufCMessage *(*answer)(struct api_stream *stream);
};

struct api_stream {
    struct api *api;
    struct wire_request *request;
    const struct api_stream_method *method;
    struct access_known *known; /* NULL: not recognized, or nobody is asked */
    bool answered;              /* its end was told: it was not given up before */
    int64_t started_mono_ns;
    int64_t deadline_mono_ns;
    struct base_arena arena; /* of the message taken last and its answers */
    size_t n_taken;          /* messages, at most 2 are counted */
    bool wants_next;         /* the next message is to be asked for */
    bool half_closed;
    struct api_error error; /* what the call ends with; BASE_REASON_NONE: not so far */
    void *found;            /* the method's own; NULL: no message was taken */
};

/* The streamed methods by number, 0 to api_stream_method_count() - 1. */
size_t api_stream_method_count(void);
const struct api_stream_method *api_stream_method_number(size_t index);
size_t api_stream_method_index(const struct api_stream_method *method);

/* --- health.c --- */

void api_health_watch_take(struct api_stream *stream, ProtobufCMessage *message);
const ProtobufCMessage *api_health_watch_answer(struct api_stream *stream);

#endif
