/*
 * What is logged of a request, and the id by which its caller finds it again: x-request-id as it
 * came, or one that is made here; the answer bears it. A trace (traceparent) is named beside it.
 */
#ifndef ZANDAKA_APP_REQUEST_LOG_H
#define ZANDAKA_APP_REQUEST_LOG_H

#include "wire/wire.h"

#include <stdatomic.h>

/* Shared by all connections. */
struct app_request_log {
    int64_t slow_ns; /* requests that take longer are logged; 0: none are */
    uint64_t seed;   /* so that ids of two processes differ */
    _Atomic uint64_t n_requests;
    _Atomic int64_t second;    /* in which slow ones were logged last */
    _Atomic uint64_t n_said;   /* in it */
    _Atomic uint64_t n_unsaid; /* since the last one that was */
};

/* Of one request. Texts live in its arena. */
struct app_request_note {
    int64_t began_ns;
    bool lasts; /* a streamed call, which is never slow: how long it lasts is its caller's matter */
    struct base_text path;
    struct base_text request_id;
    struct base_text trace_id; /* empty: none */
};

/* Before the request is handed on. */
void app_request_begin(struct app_request_log *log, struct wire_request *request,
                       struct app_request_note *ret_note);
/* The answer is made; `reply` NULL: nobody was there to get it. At most BASE_SLOW_LINES_PER_S slow
 * requests of a second are logged: callers may make as many as they like. */
void app_request_end(struct app_request_log *log, const struct app_request_note *note,
                     enum wire_form form, const struct wire_reply *reply);

#endif
