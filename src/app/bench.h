/*
 * The benchmark's parts: a load of writes over real connections, the machine's own limit beside it,
 * and latencies as a histogram.
 */
#ifndef ZANDAKA_APP_BENCH_H
#define ZANDAKA_APP_BENCH_H

#include "base/base.h"

/* --- latencies: counted in buckets of at most 1/32 of their value --- */

#define BENCH_BUCKETS_PER_OCTAVE 32
#define BENCH_OCTAVES 40
#define BENCH_BUCKETS (BENCH_BUCKETS_PER_OCTAVE * BENCH_OCTAVES)

struct bench_histogram {
    uint64_t counts[BENCH_BUCKETS];
    uint64_t total;
    int64_t max_ns;
};

void bench_histogram_add(struct bench_histogram *histogram, int64_t latency_ns);
/* The latency that `permille` of 1,000 calls did not exceed, to 1/32; 0 when there were none. */
int64_t bench_histogram_at(const struct bench_histogram *histogram, unsigned permille);

/* --- the load --- */

struct bench_load_options {
    struct base_text server;
    unsigned connections;
    unsigned in_flight; /* calls under way on each connection */
    unsigned batch;     /* 1: single calls; more: that many commands in each Submit */
    int64_t duration_ns;
    uint64_t run_number; /* part of every transaction id: a new one for each run on a store */
};

struct bench_load_result {
    uint64_t calls;
    uint64_t commands; /* that succeeded */
    uint64_t failures; /* calls or commands that did not */
    int64_t duration_ns;
    size_t record_bytes;            /* of one answer */
    struct bench_histogram latency; /* of calls */
};

/* Sends Adds for as long as said, each connection keeping its calls in flight. False: no server
 * there, *ret_message in the arena. */
bool bench_load_run(const struct bench_load_options *options, struct base_arena *arena,
                    struct bench_load_result *ret_result,
                    struct base_text *ret_message) BASE_MUST_USE;

/* --- the machine's own limit --- */

struct bench_baseline_result {
    uint64_t records;
    uint64_t syncs;
    int64_t duration_ns;
};

/* Appends records of that size to a file and calls fdatasync once for each batch: what any store
 * that keeps the promise has to do at the least. The file is removed. False: *ret_message says why,
 * in the arena. */
bool bench_baseline_run(const char *directory, size_t record_bytes, unsigned batch,
                        int64_t duration_ns, struct base_arena *arena,
                        struct bench_baseline_result *ret_result,
                        struct base_text *ret_message) BASE_MUST_USE;

#endif
