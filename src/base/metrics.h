/*
 * Counts for whoever runs the server. Each folder keeps its own counters and histograms where it
 * counts; app gathers them when /metrics is asked, in the text format 0.0.4 of Prometheus.
 *
 * To count is a relaxed atomic addition: any thread, no lock, and no order with anything else.
 * Figures that are read one after another may be of moments a little apart.
 */
#ifndef ZANDAKA_BASE_METRICS_H
#define ZANDAKA_BASE_METRICS_H

#include "base/bytes.h"

#include <stdatomic.h>

/* What has happened since the start. All zeros: nothing. */
struct base_counter {
    _Atomic uint64_t value;
};

static inline void base_counter_add(struct base_counter *counter, uint64_t more)
{
    (void)atomic_fetch_add_explicit(&counter->value, more, memory_order_relaxed);
}
static inline uint64_t base_counter_value(const struct base_counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

/* The bounds of a histogram's buckets, ascending, each the greatest value of its bucket; what lies
 * beyond the last has a bucket of its own. */
#define BASE_HISTOGRAM_BOUNDS_MAX 16
struct base_scale {
    size_t n_bounds;
    uint64_t bounds[BASE_HISTOGRAM_BOUNDS_MAX];
    uint64_t per_unit; /* of what is observed, in one of what is shown: 10^9 for ns as seconds */
};

/* Durations, observed in nanoseconds and shown in seconds, from 0.1 ms to 10 s. */
extern const struct base_scale base_scale_seconds;
/* Commands of a batch, 1 to BASE_BATCH_MAX in powers of two. */
extern const struct base_scale base_scale_batch;

/* How often a value fell into which bucket. All zeros: never. Used with one scale for good. */
struct base_histogram {
    struct base_counter buckets[BASE_HISTOGRAM_BOUNDS_MAX + 1];
    struct base_counter sum; /* of what was observed; wraps after 584 years of nanoseconds */
};

/* Any thread. */
void base_histogram_observe(struct base_histogram *histogram, const struct base_scale *scale,
                            uint64_t value);

/*
 * The text. A family is written whole before the next: its head, then its samples. `labels` is
 * `name="value",…` without braces, or empty. Values are ours, never a caller's text: nothing is
 * escaped here, and nothing that a caller may choose can grow what is kept.
 */
enum base_metric_type { BASE_METRIC_COUNTER, BASE_METRIC_GAUGE, BASE_METRIC_HISTOGRAM };

void base_metrics_family(struct base_writer *out, const char *name, enum base_metric_type type,
                         const char *help);
void base_metrics_sample(struct base_writer *out, const char *name, const char *labels,
                         uint64_t value);
void base_metrics_sample_seconds(struct base_writer *out, const char *name, const char *labels,
                                 double seconds);
void base_metrics_sample_histogram(struct base_writer *out, const char *name, const char *labels,
                                   const struct base_histogram *histogram,
                                   const struct base_scale *scale);
/* A family of one sample without labels. */
void base_metrics_single(struct base_writer *out, const char *name, enum base_metric_type type,
                         const char *help, uint64_t value);

#endif
