/*
 * The one table of errors (docs/contract.md 4). Three kinds of things go wrong and are never
 * mixed: an outcome (a refusal by the rules, one of these reasons), a fault (of the world: an enum
 * of the folder that meets it, turned into one of these reasons by the service), and a bug (an
 * assertion).
 */
#ifndef ZANDAKA_BASE_ERROR_H
#define ZANDAKA_BASE_ERROR_H

#include "base/bytes.h"

#include <stdint.h>

/* Why a request was not answered with success. The order is that of docs/contract.md 4. */
enum base_reason {
    BASE_REASON_NONE = 0,
    BASE_REASON_INVALID_REQUEST,
    BASE_REASON_TRANSACTION_ID_REUSED,
    BASE_REASON_REQUEST_TOO_LARGE,
    BASE_REASON_UNAUTHENTICATED,
    BASE_REASON_PERMISSION_DENIED,
    BASE_REASON_UNKNOWN_KIND,
    BASE_REASON_TRANSACTION_NOT_FOUND,
    BASE_REASON_INSUFFICIENT_BALANCE,
    BASE_REASON_BALANCE_LIMIT_EXCEEDED,
    BASE_REASON_AMOUNT_LIMIT_EXCEEDED,
    BASE_REASON_TRANSACTION_CANCELLED,
    BASE_REASON_TRANSACTION_SUCCEEDED,
    BASE_REASON_RATE_LIMITED,
    BASE_REASON_OVERLOADED,
    BASE_REASON_SHUTTING_DOWN,
    BASE_REASON_STORE_UNAVAILABLE,
    BASE_REASON_OUTCOME_UNKNOWN,
    BASE_REASON_DEADLINE_EXCEEDED,
    BASE_REASON_INTERNAL,
    BASE_REASON_UNIMPLEMENTED,
    BASE_REASON_UNKNOWN_SERVICE,
    BASE_REASON_COUNT
};

/* google.rpc.Code, the ones that are used. */
enum base_code {
    BASE_CODE_OK = 0,
    BASE_CODE_CANCELLED = 1,
    BASE_CODE_UNKNOWN = 2,
    BASE_CODE_INVALID_ARGUMENT = 3,
    BASE_CODE_DEADLINE_EXCEEDED = 4,
    BASE_CODE_NOT_FOUND = 5,
    BASE_CODE_PERMISSION_DENIED = 7,
    BASE_CODE_RESOURCE_EXHAUSTED = 8,
    BASE_CODE_FAILED_PRECONDITION = 9,
    BASE_CODE_UNIMPLEMENTED = 12,
    BASE_CODE_INTERNAL = 13,
    BASE_CODE_UNAVAILABLE = 14,
    BASE_CODE_UNAUTHENTICATED = 16
};

/* One row of the table. All strings are static. */
struct base_error {
    const char *reason;  /* as in ErrorInfo: `INSUFFICIENT_BALANCE` */
    enum base_code code; /* the gRPC status */
    int http_status;     /* the same on HTTP */
    const char *connect; /* the code's name in the Connect protocol: `failed_precondition` */
    const char *applied; /* `no` or `unknown`: what this attempt did */
    const char *retry;   /* `same_request`, `after_change` or `never` */
    const char *message; /* what is told when the place has nothing better to say */
};

/* The row of `reason`, which is not BASE_REASON_NONE. */
const struct base_error *base_error_of(enum base_reason reason);

/* The Connect name and the HTTP status of a gRPC code, for errors that have no reason. */
const char *base_code_connect_name(enum base_code code);
int base_code_http_status(enum base_code code);

/* The content fields that TRANSACTION_ID_REUSED may name, as bits (docs/contract.md 3.5). */
enum base_content_field {
    BASE_CONTENT_OPERATION = 1u << 0,
    BASE_CONTENT_ACCOUNT_ID = 1u << 1,
    BASE_CONTENT_AMOUNTS = 1u << 2,
    BASE_CONTENT_ORIGINAL_TRANSACTION_ID = 1u << 3,
    BASE_CONTENT_EXPIRE_TIME = 1u << 4,
    BASE_CONTENT_FINAL = 1u << 5,
    BASE_CONTENT_SCOPE = 1u << 6,
    BASE_CONTENT_DIRECTION = 1u << 7,
    BASE_CONTENT_REASON = 1u << 8,
    BASE_CONTENT_OPERATOR = 1u << 9,
    BASE_CONTENT_APPROVER = 1u << 10
};
#define BASE_CONTENT_FIELD_COUNT 11

/* The name of content field number `index` (bit 1u << index), 0 to BASE_CONTENT_FIELD_COUNT - 1. */
const char *base_content_field_name(unsigned index);

/* A refusal: the reason and what it may tell. */
struct base_refusal {
    enum base_reason reason;
    struct base_text kind;   /* for UNKNOWN_KIND, INSUFFICIENT_BALANCE and the limits; else empty */
    uint32_t content_fields; /* for TRANSACTION_ID_REUSED: bits of base_content_field; else 0 */
};

#endif
