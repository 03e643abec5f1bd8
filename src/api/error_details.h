/*
 * Errors as callers see them (contract 4): a google.rpc.Status whose details a machine can read, in
 * protobuf and in the Connect protocol's JSON.
 */
#ifndef ZANDAKA_API_ERROR_DETAILS_H
#define ZANDAKA_API_ERROR_DETAILS_H

#include "api/validate.h"
#include "base/base.h"
#include "google/rpc/status.pb-c.h"

/* Why a call, or a command of a Submit, was not answered with success. */
struct api_error {
    enum base_reason reason;  /* BASE_REASON_NONE: there is no error */
    struct base_text message; /* empty: made from the rest */
    struct base_text kind;    /* as in base_refusal */
    uint32_t content_fields;  /* as in base_refusal */
    int64_t retry_delay_ns;   /* of RATE_LIMITED: how long to wait before it is sent again */
    const struct api_violations *violations; /* of INVALID_REQUEST; NULL: none are told */
};

static inline struct api_error api_error_of_refusal(const struct base_refusal *refusal)
{
    return (struct api_error){.reason = refusal->reason,
                              .kind = refusal->kind,
                              .content_fields = refusal->content_fields};
}

/* The status with its details: ErrorInfo always, BadRequest where violations are told, RetryInfo
 * where the same request may simply be sent again and nothing was done. In the arena. */
Google__Rpc__Status *api_error_status(struct base_arena *arena, const struct api_error *error);

/* The same as a Connect error body. In the arena. */
struct base_text api_error_json(struct base_arena *arena, const struct api_error *error);

#endif
