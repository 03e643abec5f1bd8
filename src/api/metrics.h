/*
 * What api counts of its calls: gRPC's usual figures, by method, and the reasons of errors. A call
 * in JSON counts as the call of its method that it is; pages do not count.
 */
#ifndef ZANDAKA_API_METRICS_H
#define ZANDAKA_API_METRICS_H

#include "base/base.h"

/* gRPC's status codes, 0 to 16. */
#define API_CODE_COUNT 17

struct api_method;

/* Of one method. */
struct api_method_counts {
    struct base_counter started;
    struct base_counter handled[API_CODE_COUNT];
    struct base_histogram handling; /* on base_scale_seconds */
};

struct api_counts {
    struct api_method_counts *methods; /* api_method_count() and one: of what is no method */
    struct base_counter errors[BASE_REASON_COUNT]; /* calls that were answered with it */
};

/* Makes counts of zeroed memory, and gives the memory back. */
void api_counts_open(struct api_counts *counts);
void api_counts_close(struct api_counts *counts);

/* A call of the method has come; NULL: of none that there is. Any thread. */
void api_counts_start(struct api_counts *counts, const struct api_method *method);
/* It is over, `duration_ns` later, with that status; CANCELLED when nobody was there to be
 * answered. Any thread. */
void api_counts_end(struct api_counts *counts, const struct api_method *method, enum base_code code,
                    int64_t duration_ns);
/* Writes all of it. */
void api_counts_write(const struct api_counts *counts, struct base_writer *out);

#endif
