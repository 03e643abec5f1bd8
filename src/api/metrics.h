/*
 * What api counts of its calls: gRPC's usual figures, by method, and the reasons of errors. A call
 * in JSON counts as the call of its method that it is; pages do not count. A streamed call lasts
 * until its end, however many messages go either way.
 */
#ifndef ZANDAKA_API_METRICS_H
#define ZANDAKA_API_METRICS_H

#include "base/base.h"

/* gRPC's status codes, 0 to 16. */
#define API_CODE_COUNT 17

struct api_method;
struct api_stream_method;

/* Of one method. */
struct api_method_counts {
    struct base_counter started;
    struct base_counter handled[API_CODE_COUNT];
    struct base_histogram handling; /* on base_scale_seconds */
};

struct api_counts {
    /* Of the unary methods, of the streamed ones, and at the end of what is no method. */
    struct api_method_counts *methods;
    struct base_counter errors[BASE_REASON_COUNT]; /* calls that were answered with it */
};

/* Makes counts of zeroed memory, and gives the memory back. */
void api_counts_open(struct api_counts *counts);
void api_counts_close(struct api_counts *counts);

/* The counts of a method; NULL: of what is none. */
struct api_method_counts *api_counts_of(struct api_counts *counts, const struct api_method *method);
struct api_method_counts *api_counts_of_stream(struct api_counts *counts,
                                               const struct api_stream_method *method);
/* A call has come. Any thread. */
void api_counts_start(struct api_method_counts *of_method);
/* It is over, `duration_ns` later, with that reason's status; or nobody was there to be answered,
 * and it was CANCELLED. Any thread. */
void api_counts_end(struct api_counts *counts, struct api_method_counts *of_method,
                    enum base_reason reason, bool answered, int64_t duration_ns);
/* Writes all of it. */
void api_counts_write(const struct api_counts *counts, struct base_writer *out);

#endif
