#include "app/request_log.h"

#include <stdio.h>
#include <string.h>

#define ID_DIGITS 16
#define TRACEPARENT_BYTES 55 /* 00-<32 hex>-<16 hex>-<2 hex> */

/* Lower-case hexadecimal digits, not all of them 0. */
static bool is_hex_id(struct base_text text)
{
    bool all_zeros = true;
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] == '\0' || strchr("0123456789abcdef", text.bytes[i]) == NULL) {
            return false;
        }
        all_zeros = all_zeros && text.bytes[i] == '0';
    }
    return !all_zeros;
}

/* The trace id of a version 00 traceparent (W3C Trace Context); empty: it is none. */
static struct base_text trace_id_of(struct base_text parent)
{
    struct base_text none = {NULL, 0};
    if (parent.length != TRACEPARENT_BYTES || !base_text_starts_with(parent, BASE_TEXT("00-")) ||
        parent.bytes[35] != '-' || parent.bytes[52] != '-') {
        return none;
    }
    struct base_text trace = {parent.bytes + 3, 32};
    struct base_text span = {parent.bytes + 36, 16};
    return is_hex_id(trace) && is_hex_id(span) ? trace : none;
}

static struct base_text make_id(struct app_request_log *log, struct base_arena *arena)
{
    uint64_t both[2] = {log->seed,
                        atomic_fetch_add_explicit(&log->n_requests, 1, memory_order_relaxed)};
    uint64_t hash = base_hash((struct base_bytes){(const uint8_t *)both, sizeof both});
    char *id = base_arena_take(arena, ID_DIGITS);
    for (size_t i = 0; i < ID_DIGITS; i++) {
        id[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 0xF];
    }
    return (struct base_text){id, ID_DIGITS};
}

void app_request_begin(struct app_request_log *log, struct wire_request *request,
                       struct app_request_note *ret_note)
{
    struct base_text id = wire_request_header(request, BASE_TEXT("x-request-id"));
    bool usable =
        id.length > 0 && id.length <= BASE_REQUEST_ID_MAX_BYTES && base_text_is_printable_ascii(id);
    *ret_note = (struct app_request_note){
        .began_ns = base_now_mono_ns(&base_clock_system),
        .lasts = request->streamed,
        .path = request->path,
        .request_id = usable ? id : make_id(log, &request->arena),
        .trace_id = trace_id_of(wire_request_header(request, BASE_TEXT("traceparent"))),
    };
}

/* Whether another slow request may be logged in this second. */
static bool may_say(struct app_request_log *log, int64_t now_ns)
{
    int64_t second = now_ns / BASE_NS_PER_S;
    int64_t last = atomic_load_explicit(&log->second, memory_order_relaxed);
    if (last != second &&
        atomic_compare_exchange_strong_explicit(&log->second, &last, second, memory_order_relaxed,
                                                memory_order_relaxed)) {
        atomic_store_explicit(&log->n_said, 0, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&log->n_said, 1, memory_order_relaxed) < BASE_SLOW_LINES_PER_S) {
        return true;
    }
    (void)atomic_fetch_add_explicit(&log->n_unsaid, 1, memory_order_relaxed);
    return false;
}

void app_request_end(struct app_request_log *log, const struct app_request_note *note,
                     enum wire_form form, const struct wire_reply *reply)
{
    int64_t now_ns = base_now_mono_ns(&base_clock_system);
    int64_t duration_ns = now_ns - note->began_ns;
    bool slow =
        log->slow_ns > 0 && !note->lasts && duration_ns > log->slow_ns && may_say(log, now_ns);
    if (!slow && !base_log_wants(BASE_LOG_DEBUG)) {
        return;
    }
    char status[24] = "gone";
    char duration[24];
    char unsaid[24];
    if (reply != NULL) {
        (void)snprintf(status, sizeof status, "%d",
                       form == WIRE_GRPC ? (int)reply->grpc_status : reply->http_status);
    }
    (void)snprintf(duration, sizeof duration, "%lld.%03lld",
                   (long long)(duration_ns / BASE_NS_PER_MS),
                   (long long)(duration_ns / BASE_NS_PER_US % 1000));
    struct base_log_field fields[8] = {
        {"path", note->path},
        {form == WIRE_GRPC ? "grpc_status" : "http_status", base_text_of(status)},
        {"duration_ms", base_text_of(duration)},
        {"request_id", note->request_id},
    };
    size_t n_fields = 4;
    if (fields[0].value.length > BASE_LOGGED_PATH_MAX_BYTES) {
        fields[0].value.length = BASE_LOGGED_PATH_MAX_BYTES;
    }
    if (note->trace_id.length > 0) {
        fields[n_fields++] = (struct base_log_field){"trace_id", note->trace_id};
    }
    uint64_t n_unsaid =
        slow ? atomic_exchange_explicit(&log->n_unsaid, 0, memory_order_relaxed) : 0;
    if (n_unsaid > 0) {
        (void)snprintf(unsaid, sizeof unsaid, "%llu", (unsigned long long)n_unsaid);
        fields[n_fields++] = (struct base_log_field){"slow_unlogged", base_text_of(unsaid)};
    }
    base_log_fields(slow ? BASE_LOG_WARNING : BASE_LOG_DEBUG, slow ? "a slow request" : "a request",
                    n_fields, fields);
}
