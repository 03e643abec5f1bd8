#include "app/bench.h"

/* Values below the number of buckets of an octave have a bucket each; above, every octave has the
 * same number, so a bucket is at most 1/32 of its value wide. */
static size_t bucket_of(uint64_t value)
{
    if (value < BENCH_BUCKETS_PER_OCTAVE) {
        return (size_t)value;
    }
    unsigned octave = 63u - (unsigned)__builtin_clzll(value) - 5u;
    size_t bucket = (size_t)(octave + 1) * BENCH_BUCKETS_PER_OCTAVE + (size_t)(value >> octave) -
                    BENCH_BUCKETS_PER_OCTAVE;
    return bucket < BENCH_BUCKETS ? bucket : BENCH_BUCKETS - 1;
}

static int64_t upper_end_of(size_t bucket)
{
    if (bucket < BENCH_BUCKETS_PER_OCTAVE) {
        return (int64_t)bucket;
    }
    size_t octave = bucket / BENCH_BUCKETS_PER_OCTAVE - 1;
    uint64_t first = (bucket % BENCH_BUCKETS_PER_OCTAVE) + BENCH_BUCKETS_PER_OCTAVE;
    return (int64_t)(((first + 1) << octave) - 1);
}

void bench_histogram_add(struct bench_histogram *histogram, int64_t latency_ns)
{
    uint64_t value = latency_ns < 0 ? 0 : (uint64_t)latency_ns;
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
    if (latency_ns > histogram->max_ns) {
        histogram->max_ns = latency_ns;
    }
}

int64_t bench_histogram_at(const struct bench_histogram *histogram, unsigned permille)
{
    uint64_t wanted = (histogram->total * permille + 999) / 1000;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < BENCH_BUCKETS && histogram->total > 0; bucket++) {
        seen += histogram->counts[bucket];
        if (seen >= wanted) {
            int64_t end = upper_end_of(bucket);
            return end < histogram->max_ns ? end : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}
