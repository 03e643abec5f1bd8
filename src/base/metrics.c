#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

#define MS BASE_NS_PER_MS

const struct base_scale base_scale_seconds = {
    .n_bounds = 16,
    .bounds = {MS / 10, MS / 4, MS / 2, MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS,
               250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 10000 * MS},
    .per_unit = (uint64_t)BASE_NS_PER_S,
};

const struct base_scale base_scale_batch = {
    .n_bounds = 11,
    .bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, BASE_BATCH_MAX},
    .per_unit = 1,
};

void base_histogram_observe(struct base_histogram *histogram, const struct base_scale *scale,
                            uint64_t value)
{
    size_t bucket = 0;
    while (bucket < scale->n_bounds && value > scale->bounds[bucket]) {
        bucket++;
    }
    base_counter_add(&histogram->buckets[bucket], 1);
    base_counter_add(&histogram->sum, value);
}

/* --- the text --- */

static void print(struct base_writer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void print(struct base_writer *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    base_assert(length >= 0);
    /* With room for the NUL, which is then given back. */
    char *room = (char *)base_write_room(out, (size_t)length + 1);
    va_start(arguments, format);
    (void)vsnprintf(room, (size_t)length + 1, format, arguments);
    va_end(arguments);
    out->length--;
}

void base_metrics_family(struct base_writer *out, const char *name, enum base_metric_type type,
                         const char *help)
{
    static const char *const types[] = {[BASE_METRIC_COUNTER] = "counter",
                                        [BASE_METRIC_GAUGE] = "gauge",
                                        [BASE_METRIC_HISTOGRAM] = "histogram"};
    print(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static void print_name(struct base_writer *out, const char *name, const char *labels)
{
    if (labels[0] == '\0') {
        print(out, "%s ", name);
    } else {
        print(out, "%s{%s} ", name, labels);
    }
}

void base_metrics_sample(struct base_writer *out, const char *name, const char *labels,
                         uint64_t value)
{
    print_name(out, name, labels);
    print(out, "%llu\n", (unsigned long long)value);
}

void base_metrics_sample_seconds(struct base_writer *out, const char *name, const char *labels,
                                 double seconds)
{
    print_name(out, name, labels);
    print(out, "%.9g\n", seconds);
}

void base_metrics_sample_histogram(struct base_writer *out, const char *name, const char *labels,
                                   const struct base_histogram *histogram,
                                   const struct base_scale *scale)
{
    /* The count is made of the buckets that were just read, so that the last equals it whatever is
     * counted meanwhile; each bucket is read once. */
    const char *comma = labels[0] == '\0' ? "" : ",";
    const double per_unit = (double)scale->per_unit;
    uint64_t count = 0;
    for (size_t i = 0; i < scale->n_bounds; i++) {
        count += base_counter_value(&histogram->buckets[i]);
        print(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma,
              (double)scale->bounds[i] / per_unit, (unsigned long long)count);
    }
    count += base_counter_value(&histogram->buckets[scale->n_bounds]);
    print(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma, (unsigned long long)count);
    char open = labels[0] == '\0' ? ' ' : '{';
    const char *close = labels[0] == '\0' ? "" : "} ";
    print(out, "%s_sum%c%s%s%.9g\n", name, open, labels, close,
          (double)base_counter_value(&histogram->sum) / per_unit);
    print(out, "%s_count%c%s%s%llu\n", name, open, labels, close, (unsigned long long)count);
}

void base_metrics_single(struct base_writer *out, const char *name, enum base_metric_type type,
                         const char *help, uint64_t value)
{
    base_metrics_family(out, name, type, help);
    base_metrics_sample(out, name, "", value);
}
