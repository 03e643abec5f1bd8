/* base: what is counted is what is shown, in the words of the text format 0.0.4. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void assert_text(struct base_writer *out, const char *expected)
{
    struct base_text text = base_text_from(base_writer_bytes(out));
    if (!base_text_equal(text, base_text_of(expected))) {
        print_message("%.*s", BASE_TEXT_ARGS(text));
        fail_msg("is not:\n%s", expected);
    }
    base_writer_release(out);
}

static void a_counter_and_a_gauge_are_shown_whole(void **state)
{
    (void)state;
    struct base_writer out = {NULL, 0, 0};
    struct base_counter counter = {0};
    base_counter_add(&counter, 1);
    base_counter_add(&counter, UINT64_MAX - 1);
    base_metrics_family(&out, "z_total", BASE_METRIC_COUNTER, "What is counted.");
    base_metrics_sample(&out, "z_total", "", base_counter_value(&counter));
    base_metrics_sample(&out, "z_total", "a=\"b\",c=\"d\"", 0);
    base_metrics_single(&out, "z_now", BASE_METRIC_GAUGE, "What there is.", 7);
    base_metrics_sample_seconds(&out, "z_seconds", "", 0.25);
    assert_text(&out, "# HELP z_total What is counted.\n"
                      "# TYPE z_total counter\n"
                      "z_total 18446744073709551615\n"
                      "z_total{a=\"b\",c=\"d\"} 0\n"
                      "# HELP z_now What there is.\n"
                      "# TYPE z_now gauge\n"
                      "z_now 7\n"
                      "z_seconds 0.25\n");
}

static const struct base_scale scale = {.n_bounds = 3, .bounds = {10, 100, 1000}, .per_unit = 10};

static void a_value_falls_into_the_bucket_whose_bound_it_does_not_exceed(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 10, 11, 100, 101, 1000, 1001, 1000000};
    struct base_histogram histogram = {0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        base_histogram_observe(&histogram, &scale, values[i]);
    }
    struct base_writer out = {NULL, 0, 0};
    base_metrics_sample_histogram(&out, "z", "", &histogram, &scale);
    assert_text(&out, "z_bucket{le=\"1\"} 2\n"
                      "z_bucket{le=\"10\"} 4\n"
                      "z_bucket{le=\"100\"} 6\n"
                      "z_bucket{le=\"+Inf\"} 8\n"
                      "z_sum 100222.3\n"
                      "z_count 8\n");
}

static void a_histograms_labels_stand_before_the_bound(void **state)
{
    (void)state;
    struct base_histogram histogram = {0};
    base_histogram_observe(&histogram, &scale, 20);
    struct base_writer out = {NULL, 0, 0};
    base_metrics_sample_histogram(&out, "z", "a=\"b\"", &histogram, &scale);
    assert_text(&out, "z_bucket{a=\"b\",le=\"1\"} 0\n"
                      "z_bucket{a=\"b\",le=\"10\"} 1\n"
                      "z_bucket{a=\"b\",le=\"100\"} 1\n"
                      "z_bucket{a=\"b\",le=\"+Inf\"} 1\n"
                      "z_sum{a=\"b\"} 2\n"
                      "z_count{a=\"b\"} 1\n");
}

static void scales_ascend_and_end_where_they_should(void **state)
{
    (void)state;
    const struct base_scale *scales[] = {&base_scale_seconds, &base_scale_batch};
    for (size_t i = 0; i < 2; i++) {
        assert_in_range(scales[i]->n_bounds, 1, BASE_HISTOGRAM_BOUNDS_MAX);
        for (size_t j = 1; j < scales[i]->n_bounds; j++) {
            assert_true(scales[i]->bounds[j - 1] < scales[i]->bounds[j]);
        }
    }
    assert_int_equal(base_scale_batch.bounds[base_scale_batch.n_bounds - 1], BASE_BATCH_MAX);
    assert_int_equal(base_scale_seconds.bounds[base_scale_seconds.n_bounds - 1],
                     10 * BASE_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_and_a_gauge_are_shown_whole),
        cmocka_unit_test(a_value_falls_into_the_bucket_whose_bound_it_does_not_exceed),
        cmocka_unit_test(a_histograms_labels_stand_before_the_bound),
        cmocka_unit_test(scales_ascend_and_end_where_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
