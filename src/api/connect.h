/*
 * The Connect protocol's unary calls over plain HTTP: which form a request's message has and where
 * it stands, and how an error is answered.
 *
 *   POST  the body is the message, its content-type tells the form
 *   GET   for methods without side effects: ?connect=v1&encoding=json&message=…&base64=1
 */
#ifndef ZANDAKA_API_CONNECT_H
#define ZANDAKA_API_CONNECT_H

#include "base/base.h"
#include "google/rpc/status.pb-c.h"
#include "wire/wire.h"

/* How a method's messages are written. */
enum api_form {
    API_FORM_PROTOBUF, /* in gRPC, and as application/proto */
    API_FORM_JSON      /* as application/json */
};

/* What a request is refused with. All texts are static. */
struct api_connect_refusal {
    int http_status;          /* 400, 405 or 415 */
    struct base_text message; /* what is wrong and what is allowed */
    struct base_text allow;   /* the HTTP methods that 405 names; otherwise empty */
};

/* The form and the message of a request to a method; `may_get`: it has no side effects. The message
 * is in the arena, or the request's body. False: refused. */
bool api_connect_read(const struct wire_request *request, struct base_arena *arena, bool may_get,
                      enum api_form *ret_form, struct base_bytes *ret_message,
                      struct api_connect_refusal *ret_refusal) BASE_MUST_USE;

/* The content-type of an answer in that form. */
struct base_text api_connect_content_type(enum api_form form);

/* An error's body, in the arena: always JSON, whatever the form. The status' details are told with
 * their bytes, and those of our own errors in words too. */
struct base_text api_connect_error(struct base_arena *arena, const char *code,
                                   const Google__Rpc__Status *status);

#endif
