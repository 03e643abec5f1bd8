/*
 * The benchmark's parts: loads over real connections, the machine's own limits beside them, and
 * latencies as a histogram.
 */
#ifndef ZANDAKA_APP_BENCH_H
#define ZANDAKA_APP_BENCH_H

#include "app/app.h"
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

/* --- workloads --- */

/* What a call of a workload asks. */
enum bench_operation {
    BENCH_ADD,     /* a new Add to one of the accounts */
    BENCH_ADD_HOT, /* a new Add, all of them to one account */
    BENCH_REPLAY,  /* an Add that was answered before */
    BENCH_REFUSED, /* a Consume from an account that has nothing */
    BENCH_BALANCE, /* GetBalance */
    BENCH_MIXED,   /* what a payment platform does: see the workload's meaning */
    BENCH_DOOR     /* a method that there is not: the cost of the door alone */
};

struct bench_workload {
    const char *name;
    const char *meaning;
    enum bench_operation operation;
    unsigned connections;
    unsigned in_flight;      /* calls under way on each connection */
    unsigned commands;       /* of each call: 1 is a single call, more a Submit */
    unsigned baseline_batch; /* records that share a sync in the bare log; 0: writes nothing */
};

/* NULL: there is none of that name. */
const struct bench_workload *bench_workload_named(const char *name);
/* The workload number `index`, NULL behind the last. */
const struct bench_workload *bench_workload_at(size_t index);

/* --- the load --- */

struct bench_load_options {
    const struct app_destination *server;
    const struct bench_workload *workload;
    int64_t duration_ns;
    uint64_t calls_max; /* ends after so many calls; 0: by time alone */
    uint64_t rate;      /* calls a second, begun by the clock (open loop); 0: closed loop */
    unsigned accounts;
    uint64_t run_number; /* part of every transaction id: a new one for each run on a store */
};

struct bench_load_result {
    uint64_t calls;
    uint64_t done; /* commands and reads that did what the workload is for */
    uint64_t failures;
    int64_t duration_ns;
    size_t record_bytes; /* of one write's answer */
    /* Of calls; in an open loop from when each was due, whether or not it could be sent then. */
    struct bench_histogram latency;
};

/* False: no server there, or a connection broke; *ret_message in the arena. */
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
