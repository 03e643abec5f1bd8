#include "base/base.h"

#define INVALID_ARGUMENT BASE_CODE_INVALID_ARGUMENT, 400, "invalid_argument"
#define NOT_FOUND BASE_CODE_NOT_FOUND, 404, "not_found"
#define UNAUTHENTICATED BASE_CODE_UNAUTHENTICATED, 401, "unauthenticated"
#define PERMISSION_DENIED BASE_CODE_PERMISSION_DENIED, 403, "permission_denied"
#define RESOURCE_EXHAUSTED BASE_CODE_RESOURCE_EXHAUSTED, 429, "resource_exhausted"
#define FAILED_PRECONDITION BASE_CODE_FAILED_PRECONDITION, 400, "failed_precondition"
#define UNAVAILABLE BASE_CODE_UNAVAILABLE, 503, "unavailable"
#define DEADLINE_EXCEEDED BASE_CODE_DEADLINE_EXCEEDED, 504, "deadline_exceeded"
#define INTERNAL BASE_CODE_INTERNAL, 500, "internal"
#define UNIMPLEMENTED BASE_CODE_UNIMPLEMENTED, 404, "unimplemented"

static const struct base_error errors[BASE_REASON_COUNT] = {
    [BASE_REASON_INVALID_REQUEST] = {"INVALID_REQUEST", INVALID_ARGUMENT, "no", "never",
                                     "the request is not well-formed"},
    [BASE_REASON_TRANSACTION_ID_REUSED] = {"TRANSACTION_ID_REUSED", INVALID_ARGUMENT, "no", "never",
                                           "this transaction id is recorded with other content"},
    [BASE_REASON_REQUEST_TOO_LARGE] = {"REQUEST_TOO_LARGE", RESOURCE_EXHAUSTED, "no", "never",
                                       "the request is larger than 4 MiB"},
    [BASE_REASON_UNAUTHENTICATED] = {"UNAUTHENTICATED", UNAUTHENTICATED, "no", "never",
                                     "the server does not know who calls"},
    [BASE_REASON_PERMISSION_DENIED] = {"PERMISSION_DENIED", PERMISSION_DENIED, "no", "never",
                                       "this caller may not do that"},
    [BASE_REASON_UNKNOWN_KIND] = {"UNKNOWN_KIND", INVALID_ARGUMENT, "no", "after_change",
                                  "this kind is not configured, or withdrawn"},
    [BASE_REASON_TRANSACTION_NOT_FOUND] = {"TRANSACTION_NOT_FOUND", NOT_FOUND, "no", "after_change",
                                           "nothing is recorded under this transaction id"},
    [BASE_REASON_INSUFFICIENT_BALANCE] = {"INSUFFICIENT_BALANCE", FAILED_PRECONDITION, "no",
                                          "after_change", "account has too little of this kind"},
    [BASE_REASON_BALANCE_LIMIT_EXCEEDED] = {"BALANCE_LIMIT_EXCEEDED", FAILED_PRECONDITION, "no",
                                            "after_change",
                                            "the balance would be above this kind's limit"},
    [BASE_REASON_AMOUNT_LIMIT_EXCEEDED] =
        {"AMOUNT_LIMIT_EXCEEDED", FAILED_PRECONDITION, "no", "after_change",
         "the amount is above this kind's limit for a transaction"},
    [BASE_REASON_TRANSACTION_CANCELLED] = {"TRANSACTION_CANCELLED", FAILED_PRECONDITION, "no",
                                           "never", "this transaction id was cancelled"},
    [BASE_REASON_TRANSACTION_SUCCEEDED] =
        {"TRANSACTION_SUCCEEDED", FAILED_PRECONDITION, "no", "never",
         "this transaction has succeeded and cannot be cancelled"},
    [BASE_REASON_RATE_LIMITED] = {"RATE_LIMITED", RESOURCE_EXHAUSTED, "no", "same_request",
                                  "this caller makes more calls a second than it may"},
    [BASE_REASON_OVERLOADED] = {"OVERLOADED", UNAVAILABLE, "no", "same_request",
                                "the server has as much to do as it takes; try again later"},
    [BASE_REASON_SHUTTING_DOWN] = {"SHUTTING_DOWN", UNAVAILABLE, "no", "same_request",
                                   "the server is shutting down; try again elsewhere or later"},
    [BASE_REASON_STORE_UNAVAILABLE] = {"STORE_UNAVAILABLE", UNAVAILABLE, "no", "same_request",
                                       "the store is unavailable; nothing was written"},
    [BASE_REASON_OUTCOME_UNKNOWN] = {"OUTCOME_UNKNOWN", UNAVAILABLE, "unknown", "same_request",
                                     "the store may have written it; repeat the same request"},
    [BASE_REASON_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", DEADLINE_EXCEEDED, "unknown",
                                       "same_request",
                                       "the deadline passed; repeat the same request"},
    [BASE_REASON_INTERNAL] = {"INTERNAL", INTERNAL, "unknown", "same_request", "internal error"},
    [BASE_REASON_UNIMPLEMENTED] = {"UNIMPLEMENTED", UNIMPLEMENTED, "no", "never",
                                   "there is no such method"},
    [BASE_REASON_UNKNOWN_SERVICE] = {"UNKNOWN_SERVICE", NOT_FOUND, "no", "never",
                                     "there is no such service to ask the health of"},
};

const struct base_error *base_error_of(enum base_reason reason)
{
    base_assert(reason > BASE_REASON_NONE && reason < BASE_REASON_COUNT);
    return &errors[reason];
}

/* The Connect protocol's table, all 17 codes of gRPC. */
static const struct {
    const char *name;
    int http_status;
} codes[] = {
    {"ok", 200},
    {"canceled", 499},
    {"unknown", 500},
    {"invalid_argument", 400},
    {"deadline_exceeded", 504},
    {"not_found", 404},
    {"already_exists", 409},
    {"permission_denied", 403},
    {"resource_exhausted", 429},
    {"failed_precondition", 400},
    {"aborted", 409},
    {"out_of_range", 400},
    {"unimplemented", 501},
    {"internal", 500},
    {"unavailable", 503},
    {"data_loss", 500},
    {"unauthenticated", 401},
};

const char *base_code_connect_name(enum base_code code)
{
    base_assert((size_t)code < sizeof codes / sizeof codes[0]);
    return codes[code].name;
}

int base_code_http_status(enum base_code code)
{
    base_assert((size_t)code < sizeof codes / sizeof codes[0]);
    return codes[code].http_status;
}

const char *base_content_field_name(unsigned index)
{
    static const char *const names[BASE_CONTENT_FIELD_COUNT] = {
        "operation",   "account_id", "amounts", "original_transaction_id",
        "expire_time", "final",      "scope",   "direction",
        "reason",      "operator",   "approver"};
    base_assert(index < BASE_CONTENT_FIELD_COUNT);
    return names[index];
}
