/*
 * What a workload's calls are made of, and what their answers mean.
 */
#ifndef ZANDAKA_APP_BENCH_CALLS_H
#define ZANDAKA_APP_BENCH_CALLS_H

#include "api/api.h"
#include "app/bench.h"

/* Where a run's ids and accounts come from. */
struct bench_source {
    const struct bench_load_options *options;
    uint64_t next_id;
    uint64_t random; /* never 0 */
};

struct bench_source bench_source_open(const struct bench_load_options *options);

/* The next call of the workload, in the arena. Gives what it asks, which is not BENCH_MIXED. */
enum bench_operation bench_call_make(struct bench_source *source, struct base_arena *arena,
                                     struct api_call *ret_call);

/* Counts an answer to such a call into the result. */
void bench_call_judge(const struct bench_source *source, enum bench_operation operation,
                      struct base_arena *arena, const struct wire_response *response,
                      struct bench_load_result *result);

#endif
