/*
 * The streamed calls of a connection: what wire hears of one goes to api, and what api has to say
 * goes to wire as fast as the peer takes it. All on the connection's loop.
 */
#ifndef ZANDAKA_APP_STREAMS_H
#define ZANDAKA_APP_STREAMS_H

#include "api/api.h"
#include "app/request_log.h"
#include "net/net.h"

struct app_stream;

/* Embedded by the session, which sets all that is pointed to; it outlives this. */
struct app_streams {
    struct api *api;
    struct app_request_log *log;
    const struct api_peer *peer;
    struct wire_server *wire;
    struct net_server *server;
    size_t n_streams;
    struct app_stream *first;
};

/* A streamed call begins; takes the request. */
void app_streams_start(struct app_streams *streams, uint32_t stream, struct wire_request *request);
/* These are wire's events; a stream that is no streamed call's is ignored. */
void app_streams_message(struct app_streams *streams, uint32_t stream, struct base_bytes message);
void app_streams_half_close(struct app_streams *streams, uint32_t stream);
void app_streams_writable(struct app_streams *streams, uint32_t stream);
/* The session has ended it with that status. */
void app_streams_refuse(struct app_streams *streams, uint32_t stream, enum base_code code);
void app_streams_cancel(struct app_streams *streams, uint32_t stream);
/* Says what there is to say on each. */
void app_streams_step(struct app_streams *streams);
/* Ends each: the server stops. */
void app_streams_stop(struct app_streams *streams);
/* The connection is gone, and so are they. */
void app_streams_close(struct app_streams *streams);

#endif
