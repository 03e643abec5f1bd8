/* google.rpc.Status, its details, and both in JSON. */
#include "api/error_details.h"

#include "api/codec.h"
#include "api/connect.h"
#include "google/rpc/error_details.pb-c.h"

#define DOMAIN "zandaka"
#define TYPE_URL_PREFIX "type.googleapis.com/"

/* Details of one error, at most one of each type. */
#define DETAILS_MAX 3
/* Entries of ErrorInfo's metadata: applied, retry, kind, fields. */
#define INFO_METADATA_MAX 4

/* --- message --- */

/* The content fields by name, `account_id,amounts`. */
static struct base_text content_field_names(struct base_arena *arena, uint32_t content_fields)
{
    struct base_text names = BASE_TEXT("");
    for (unsigned i = 0; i < BASE_CONTENT_FIELD_COUNT; i++) {
        if ((content_fields & 1u << i) != 0) {
            names = base_arena_print(arena, "%.*s%s%s", BASE_TEXT_ARGS(names),
                                     names.length > 0 ? "," : "", base_content_field_name(i));
        }
    }
    return names;
}

static struct base_text violations_message(struct base_arena *arena,
                                           const struct api_violations *violations)
{
    const struct api_violation *first = &violations->violations[0];
    struct base_text message =
        base_arena_print(arena, "%.*s%s%.*s", BASE_TEXT_ARGS(first->field),
                         first->field.length > 0 ? ": " : "", BASE_TEXT_ARGS(first->description));
    if (violations->n_violations > 1) {
        message = base_arena_print(arena, "%.*s (and %zu more)", BASE_TEXT_ARGS(message),
                                   violations->n_violations - 1);
    }
    return message;
}

static struct base_text kind_message(struct base_arena *arena, const struct api_error *error)
{
    struct base_text kind = error->kind;
    switch (error->reason) {
    case BASE_REASON_UNKNOWN_KIND:
        return base_arena_print(arena, "kind %.*s is not configured, or withdrawn",
                                BASE_TEXT_ARGS(kind));
    case BASE_REASON_INSUFFICIENT_BALANCE:
        return base_arena_print(arena, "account has too little %.*s", BASE_TEXT_ARGS(kind));
    case BASE_REASON_BALANCE_LIMIT_EXCEEDED:
        return base_arena_print(arena, "the balance of %.*s would be above its limit",
                                BASE_TEXT_ARGS(kind));
    case BASE_REASON_AMOUNT_LIMIT_EXCEEDED:
        return base_arena_print(arena, "the amount of %.*s is above its limit for a transaction",
                                BASE_TEXT_ARGS(kind));
    default:
        return base_text_of(base_error_of(error->reason)->message);
    }
}

static struct base_text error_message(struct base_arena *arena, const struct api_error *error)
{
    if (error->message.length > 0) {
        return error->message;
    }
    if (error->violations != NULL && error->violations->n_violations > 0) {
        return violations_message(arena, error->violations);
    }
    if (error->kind.length > 0) {
        return kind_message(arena, error);
    }
    const char *message = base_error_of(error->reason)->message;
    if (error->content_fields != 0) {
        struct base_text names = content_field_names(arena, error->content_fields);
        return base_arena_print(arena, "%s: %.*s", message, BASE_TEXT_ARGS(names));
    }
    return base_text_of(message);
}

/* --- details --- */

static void info_metadata_add(struct base_arena *arena, Google__Rpc__ErrorInfo *info,
                              const char *key, struct base_text value)
{
    base_assert(info->n_metadata < INFO_METADATA_MAX);
    Google__Rpc__ErrorInfo__MetadataEntry *entry = base_arena_take(arena, sizeof *entry);
    google__rpc__error_info__metadata_entry__init(entry);
    entry->key = (char *)key;
    entry->value = (char *)base_arena_text(arena, value).bytes;
    info->metadata[info->n_metadata++] = entry;
}

static ProtobufCMessage *error_info(struct base_arena *arena, const struct api_error *error)
{
    const struct base_error *row = base_error_of(error->reason);
    Google__Rpc__ErrorInfo *info = base_arena_take(arena, sizeof *info);
    google__rpc__error_info__init(info);
    info->reason = (char *)row->reason;
    info->domain = (char *)DOMAIN;
    info->metadata = base_arena_take(arena, INFO_METADATA_MAX * sizeof(info->metadata[0]));
    info_metadata_add(arena, info, "applied", base_text_of(row->applied));
    info_metadata_add(arena, info, "retry", base_text_of(row->retry));
    if (error->kind.length > 0) {
        info_metadata_add(arena, info, "kind", error->kind);
    }
    if (error->content_fields != 0) {
        info_metadata_add(arena, info, "fields", content_field_names(arena, error->content_fields));
    }
    return &info->base;
}

static ProtobufCMessage *bad_request(struct base_arena *arena,
                                     const struct api_violations *violations)
{
    Google__Rpc__BadRequest *request = base_arena_take(arena, sizeof *request);
    google__rpc__bad_request__init(request);
    request->n_field_violations = violations->n_violations;
    request->field_violations =
        base_arena_take(arena, violations->n_violations * sizeof(request->field_violations[0]));
    for (size_t i = 0; i < violations->n_violations; i++) {
        Google__Rpc__BadRequest__FieldViolation *told = base_arena_take(arena, sizeof *told);
        google__rpc__bad_request__field_violation__init(told);
        told->field = (char *)violations->violations[i].field.bytes;
        told->description = (char *)violations->violations[i].description.bytes;
        request->field_violations[i] = told;
    }
    return &request->base;
}

static ProtobufCMessage *retry_info(struct base_arena *arena, int64_t delay_ns)
{
    Google__Protobuf__Duration *delay = base_arena_take(arena, sizeof *delay);
    google__protobuf__duration__init(delay);
    delay->seconds = delay_ns / BASE_NS_PER_S;
    delay->nanos = (int32_t)(delay_ns % BASE_NS_PER_S);
    Google__Rpc__RetryInfo *info = base_arena_take(arena, sizeof *info);
    google__rpc__retry_info__init(info);
    info->retry_delay = delay;
    return &info->base;
}

static size_t error_details(struct base_arena *arena, const struct api_error *error,
                            ProtobufCMessage *ret_details[DETAILS_MAX])
{
    const struct base_error *row = base_error_of(error->reason);
    size_t n_details = 0;
    ret_details[n_details++] = error_info(arena, error);
    if (error->violations != NULL && error->violations->n_violations > 0) {
        ret_details[n_details++] = bad_request(arena, error->violations);
    }
    if (row->code == BASE_CODE_UNAVAILABLE &&
        base_text_equal(base_text_of(row->applied), BASE_TEXT("no"))) {
        ret_details[n_details++] = retry_info(arena, BASE_RETRY_DELAY_MS * BASE_NS_PER_MS);
    } else if (error->reason == BASE_REASON_RATE_LIMITED) {
        ret_details[n_details++] = retry_info(arena, error->retry_delay_ns);
    }
    return n_details;
}

Google__Rpc__Status *api_error_status(struct base_arena *arena, const struct api_error *error)
{
    ProtobufCMessage *details[DETAILS_MAX];
    size_t n_details = error_details(arena, error, details);

    Google__Rpc__Status *status = base_arena_take(arena, sizeof *status);
    google__rpc__status__init(status);
    status->code = (int32_t)base_error_of(error->reason)->code;
    status->message = (char *)base_arena_text(arena, error_message(arena, error)).bytes;
    status->n_details = n_details;
    status->details = base_arena_take(arena, n_details * sizeof(status->details[0]));
    for (size_t i = 0; i < n_details; i++) {
        Google__Protobuf__Any *any = base_arena_take(arena, sizeof *any);
        google__protobuf__any__init(any);
        any->type_url =
            (char *)base_arena_print(arena, TYPE_URL_PREFIX "%s", details[i]->descriptor->name)
                .bytes;
        struct base_bytes packed = api_codec_pack(arena, details[i]);
        any->value = (ProtobufCBinaryData){packed.length, (uint8_t *)packed.bytes};
        status->details[i] = any;
    }
    return status;
}

/* --- JSON --- */

struct base_text api_error_json(struct base_arena *arena, const struct api_error *error)
{
    return api_connect_error(arena, base_error_of(error->reason)->connect,
                             api_error_status(arena, error));
}
