/* The benchmark's histogram: it forgets no call, and a percentile is off by 1/32 at the most. */
#include "app/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_LATENCIES 20000

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void a_percentile_is_off_by_a_thirty_second_at_the_most(void **state)
{
    (void)state;
    struct bench_histogram *histogram = base_allocate_zeroed(1, sizeof *histogram);
    int64_t *latencies = base_allocate(N_LATENCIES * sizeof *latencies);
    uint64_t random = 88172645463325252;
    for (size_t i = 0; i < N_LATENCIES; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        /* From nanoseconds to a minute, every size as likely as any other. */
        latencies[i] = (int64_t)(random >> 28) >> (random % 36);
        bench_histogram_add(histogram, latencies[i]);
    }
    qsort(latencies, N_LATENCIES, sizeof *latencies, compare);
    for (unsigned permille = 1; permille <= 1000; permille++) {
        int64_t exact = latencies[(size_t)N_LATENCIES * permille / 1000 - 1];
        int64_t told = bench_histogram_at(histogram, permille);
        if (told < exact || told - exact > exact / 32) {
            fail_msg("permille %u: %lld told, %lld exact", permille, (long long)told,
                     (long long)exact);
        }
    }
    assert_true(histogram->total == N_LATENCIES);
    assert_true(histogram->max_ns == latencies[N_LATENCIES - 1]);
    free(latencies);
    free(histogram);
}

static void what_is_beyond_the_last_bucket_is_counted_there(void **state)
{
    (void)state;
    struct bench_histogram *histogram = base_allocate_zeroed(1, sizeof *histogram);
    assert_true(bench_histogram_at(histogram, 500) == 0);
    bench_histogram_add(histogram, INT64_MAX);
    bench_histogram_add(histogram, -1);
    assert_true(bench_histogram_at(histogram, 500) == 0);
    assert_true(bench_histogram_at(histogram, 1000) > INT64_C(1) << 43);
    free(histogram);
}

static void every_workload_is_found_by_its_name(void **state)
{
    (void)state;
    size_t n = 0;
    for (; bench_workload_at(n) != NULL; n++) {
        assert_ptr_equal(bench_workload_named(bench_workload_at(n)->name), bench_workload_at(n));
    }
    assert_true(n > 0);
    assert_null(bench_workload_named("nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_percentile_is_off_by_a_thirty_second_at_the_most),
        cmocka_unit_test(what_is_beyond_the_last_bucket_is_counted_there),
        cmocka_unit_test(every_workload_is_found_by_its_name),
    };
    return cmocka_run_group_tests_name("app bench", tests, NULL, NULL);
}
