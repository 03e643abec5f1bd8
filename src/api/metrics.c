#include "api/metrics.h"

#include "api/exchange.h"
#include "api/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The codes as gRPC's usual servers name them in this label. */
static const char *const code_names[API_CODE_COUNT] = {
    "OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated",
};

/* The number of what is no method, and of the counts before it. */
static size_t number_of_other(void)
{
    return api_method_count() + api_stream_method_count();
}

void api_counts_open(struct api_counts *counts)
{
    counts->methods = base_allocate_zeroed(number_of_other() + 1, sizeof counts->methods[0]);
}

void api_counts_close(struct api_counts *counts)
{
    free(counts->methods);
}

struct api_method_counts *api_counts_of(struct api_counts *counts, const struct api_method *method)
{
    return &counts->methods[method == NULL ? number_of_other() : api_method_index(method)];
}

struct api_method_counts *api_counts_of_stream(struct api_counts *counts,
                                               const struct api_stream_method *method)
{
    return &counts->methods[api_method_count() + api_stream_method_index(method)];
}

void api_counts_start(struct api_method_counts *of_method)
{
    base_counter_add(&of_method->started, 1);
}

void api_counts_end(struct api_counts *counts, struct api_method_counts *of_method,
                    enum base_reason reason, bool answered, int64_t duration_ns)
{
    enum base_code code = !answered                    ? BASE_CODE_CANCELLED
                          : reason == BASE_REASON_NONE ? BASE_CODE_OK
                                                       : base_error_of(reason)->code;
    base_assert((size_t)code < API_CODE_COUNT);
    base_counter_add(&of_method->handled[code], 1);
    base_histogram_observe(&of_method->handling, &base_scale_seconds, (uint64_t)duration_ns);
    if (reason != BASE_REASON_NONE) {
        base_counter_add(&counts->errors[reason], 1);
    }
}

/* --- the text --- */

#define LABELS_MAX_BYTES 256

/* The labels of counts number `index`, in `labels`. What is no method is not told by its path: that
 * is a caller's text. */
static void label_method(size_t index, char labels[LABELS_MAX_BYTES])
{
    struct base_text service = BASE_TEXT("other");
    const char *name = "other";
    const char *type = "unary";
    if (index < api_method_count()) {
        name = api_method_number(index, &service)->name;
    } else if (index < number_of_other()) {
        const struct api_stream_method *method =
            api_stream_method_number(index - api_method_count());
        service = base_text_of(method->service);
        name = method->name;
        type = method->one_request ? "server_stream" : "bidi_stream";
    }
    int length = snprintf(labels, LABELS_MAX_BYTES,
                          "grpc_type=\"%s\",grpc_service=\"%.*s\",grpc_method=\"%s\"", type,
                          BASE_TEXT_ARGS(service), name);
    base_assert(length > 0 && length < LABELS_MAX_BYTES);
}

static void write_started(const struct api_counts *counts, struct base_writer *out)
{
    const char *name = "grpc_server_started_total";
    base_metrics_family(out, name, BASE_METRIC_COUNTER, "Calls that have begun, gRPC and JSON.");
    for (size_t i = 0; i <= number_of_other(); i++) {
        char labels[LABELS_MAX_BYTES];
        label_method(i, labels);
        base_metrics_sample(out, name, labels, base_counter_value(&counts->methods[i].started));
    }
}

/* Codes that did not come so far are left out, but for OK: what a rate is taken of must be there
 * before its first. */
static void write_handled(const struct api_counts *counts, struct base_writer *out)
{
    const char *name = "grpc_server_handled_total";
    base_metrics_family(out, name, BASE_METRIC_COUNTER, "Calls that are over, by their status.");
    for (size_t i = 0; i <= number_of_other(); i++) {
        for (size_t code = 0; code < API_CODE_COUNT; code++) {
            uint64_t count = base_counter_value(&counts->methods[i].handled[code]);
            if (count == 0 && code != BASE_CODE_OK) {
                continue;
            }
            char labels[LABELS_MAX_BYTES];
            label_method(i, labels);
            size_t length = strlen(labels);
            (void)snprintf(labels + length, sizeof labels - length, ",grpc_code=\"%s\"",
                           code_names[code]);
            base_metrics_sample(out, name, labels, count);
        }
    }
}

static void write_handling(const struct api_counts *counts, struct base_writer *out)
{
    const char *name = "grpc_server_handling_seconds";
    base_metrics_family(out, name, BASE_METRIC_HISTOGRAM,
                        "From a call's last byte until its answer was made; of a streamed call, "
                        "from its first until its end.");
    for (size_t i = 0; i <= number_of_other(); i++) {
        char labels[LABELS_MAX_BYTES];
        label_method(i, labels);
        base_metrics_sample_histogram(out, name, labels, &counts->methods[i].handling,
                                      &base_scale_seconds);
    }
}

void api_counts_write(const struct api_counts *counts, struct base_writer *out)
{
    write_started(counts, out);
    write_handled(counts, out);
    write_handling(counts, out);
    const char *name = "zandaka_call_errors_total";
    base_metrics_family(out, name, BASE_METRIC_COUNTER,
                        "Calls that were answered with an error, by its reason.");
    for (enum base_reason reason = BASE_REASON_NONE + 1; reason < BASE_REASON_COUNT; reason++) {
        char label[LABELS_MAX_BYTES];
        (void)snprintf(label, sizeof label, "reason=\"%s\"", base_error_of(reason)->reason);
        base_metrics_sample(out, name, label, base_counter_value(&counts->errors[reason]));
    }
}
