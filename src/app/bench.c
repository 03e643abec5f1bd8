/*
 * zandaka bench: how fast the server is beside what the machine could do at the most. Absolute
 * figures mean little on shared machines, so every round measures a bare appended log first and
 * then the server, and what counts is their ratio.
 */
#include "app/bench.h"

#include "app/app.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 100

struct workload {
    const char *name;
    const char *meaning;
    unsigned connections;
    unsigned in_flight;
    unsigned batch;
    unsigned baseline_batch; /* how many records share a sync in the bare log */
};

static const struct workload workloads[] = {
    {"single", "single calls, 8 connections x 100 in flight", 8, 100, 1, 800},
    {"batch", "Submit of 256, 4 connections x 2 in flight", 4, 2, 256, 1024},
    {"lone", "one call at a time", 1, 1, 1, 1},
};

struct round {
    double baseline; /* records a second */
    double ours;     /* writes a second */
    double ratio;
    int64_t p50_ns;
    int64_t p99_ns;
    int64_t max_ns;
    double sync_ns; /* one append and fdatasync of the baseline */
};

struct bench {
    struct base_text server;
    const char *directory;
    const struct workload *workload;
    int64_t rounds;
    int64_t seconds;
    struct base_arena arena;
    struct base_text message;
};

static const struct option bench_flags[] = {{"server", required_argument, NULL, 's'},
                                            {"workload", required_argument, NULL, 'w'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"seconds", required_argument, NULL, 't'},
                                            {"directory", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};

static const char bench_help[] =
    "usage: zandaka bench --directory DIR [--server HOST:PORT] [--workload NAME] [--rounds N]\n"
    "                     [--seconds N]\n\n"
    "Writes to a running server, in rounds, each beside a bare log that appends records of the\n"
    "same size to a file in DIR and syncs once a batch. DIR should be on the server's disk. Use a\n"
    "store of its own: what is written stays.\n\n"
    "Workloads:\n";

static void print_help(FILE *out)
{
    (void)fputs(bench_help, out);
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        (void)fprintf(out, "  %-8s %s\n", workloads[i].name, workloads[i].meaning);
    }
}

static bool parse_count(const char *text, int64_t max, int64_t *ret_count)
{
    int64_t count;
    if (!base_text_to_int64(base_text_of(text), &count) || count < 1 || count > max) {
        (void)fprintf(stderr, "zandaka bench: `%s` is not a number from 1 to %lld\n", text,
                      (long long)max);
        return false;
    }
    *ret_count = count;
    return true;
}

static const struct workload *find_workload(const char *name)
{
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            return &workloads[i];
        }
    }
    (void)fprintf(stderr, "zandaka bench: no workload `%s`; see zandaka bench --help\n", name);
    return NULL;
}

/* 0: go on; otherwise the exit status plus one. */
static int parse_flags(struct bench *bench, int argc, char **argv)
{
    int flag;
    bool sound = true;
    while (sound && (flag = getopt_long(argc, argv, "", bench_flags, NULL)) != -1) {
        switch (flag) {
        case 's':
            bench->server = base_text_of(optarg);
            break;
        case 'd':
            bench->directory = optarg;
            break;
        case 'w':
            bench->workload = find_workload(optarg);
            sound = bench->workload != NULL;
            break;
        case 'r':
            sound = parse_count(optarg, ROUNDS_MAX, &bench->rounds);
            break;
        case 't':
            sound = parse_count(optarg, 3600, &bench->seconds);
            break;
        case 'h':
            print_help(stdout);
            return 1 + APP_EXIT_DONE;
        default:
            sound = false;
        }
    }
    if (sound && (optind != argc || bench->directory == NULL)) {
        print_help(stderr);
        sound = false;
    }
    return sound ? 0 : 1 + APP_EXIT_USAGE;
}

static bool run_round(struct bench *bench, uint64_t run_number, size_t *record_bytes,
                      struct round *ret_round)
{
    const struct workload *workload = bench->workload;
    struct bench_baseline_result baseline;
    struct bench_load_options options = {.server = bench->server,
                                         .connections = workload->connections,
                                         .in_flight = workload->in_flight,
                                         .batch = workload->batch,
                                         .duration_ns = bench->seconds * 1000000000,
                                         .run_number = run_number};
    struct bench_load_result *load = base_arena_take(&bench->arena, sizeof *load);
    if (!bench_baseline_run(bench->directory, *record_bytes, workload->baseline_batch, 1000000000,
                            &bench->arena, &baseline, &bench->message) ||
        !bench_load_run(&options, &bench->arena, load, &bench->message)) {
        return false;
    }
    if (load->failures > 0) {
        bench->message = base_arena_print(&bench->arena, "%llu writes failed",
                                          (unsigned long long)load->failures);
        return false;
    }
    *record_bytes = load->record_bytes;
    *ret_round =
        (struct round){.baseline = (double)baseline.records * 1e9 / (double)baseline.duration_ns,
                       .ours = (double)load->commands * 1e9 / (double)load->duration_ns,
                       .p50_ns = bench_histogram_at(&load->latency, 500),
                       .p99_ns = bench_histogram_at(&load->latency, 990),
                       .max_ns = load->latency.max_ns,
                       .sync_ns = (double)baseline.duration_ns / (double)baseline.syncs};
    ret_round->ratio = ret_round->ours / ret_round->baseline;
    return true;
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print_spread(const char *name, const struct round *rounds, int64_t n,
                         double (*figure)(const struct round *round))
{
    double figures[ROUNDS_MAX];
    for (int64_t i = 0; i < n; i++) {
        figures[i] = figure(&rounds[i]);
    }
    qsort(figures, (size_t)n, sizeof figures[0], compare_doubles);
    (void)printf("%-28s %12.3f %12.3f %12.3f\n", name, figures[0], figures[n / 2], figures[n - 1]);
}

static double figure_ours(const struct round *round)
{
    return round->ours;
}
static double figure_baseline(const struct round *round)
{
    return round->baseline;
}
static double figure_ratio(const struct round *round)
{
    return round->ratio;
}
static double figure_p50_ms(const struct round *round)
{
    return (double)round->p50_ns / 1e6;
}
static double figure_p99_ms(const struct round *round)
{
    return (double)round->p99_ns / 1e6;
}
static double figure_max_ms(const struct round *round)
{
    return (double)round->max_ns / 1e6;
}
static double figure_sync_ms(const struct round *round)
{
    return round->sync_ns / 1e6;
}
static double figure_p50_in_syncs(const struct round *round)
{
    return (double)round->p50_ns / round->sync_ns;
}

static void print_rounds(const struct bench *bench, const struct round *rounds, size_t record_bytes)
{
    (void)printf("%s: %s; %lld rounds of %lld s; records of %zu bytes\n", bench->workload->name,
                 bench->workload->meaning, (long long)bench->rounds, (long long)bench->seconds,
                 record_bytes);
    (void)printf("%-28s %12s %12s %12s\n", "", "min", "median", "max");
    print_spread("durable writes / s", rounds, bench->rounds, figure_ours);
    print_spread("bare log, records / s", rounds, bench->rounds, figure_baseline);
    print_spread("share of the bare log", rounds, bench->rounds, figure_ratio);
    print_spread("call p50, ms", rounds, bench->rounds, figure_p50_ms);
    print_spread("call p99, ms", rounds, bench->rounds, figure_p99_ms);
    print_spread("call max, ms", rounds, bench->rounds, figure_max_ms);
    print_spread("one batch of the bare log, ms", rounds, bench->rounds, figure_sync_ms);
    print_spread("call p50 / one such batch", rounds, bench->rounds, figure_p50_in_syncs);
}

int app_verb_bench(int argc, char **argv)
{
    struct bench bench = {.server = BASE_TEXT(APP_DEFAULT_LISTEN),
                          .workload = &workloads[0],
                          .rounds = 5,
                          .seconds = 5};
    int ended = parse_flags(&bench, argc, argv);
    if (ended != 0) {
        return ended - 1;
    }
    struct round rounds[ROUNDS_MAX];
    size_t record_bytes = 128; /* until the first round has seen one */
    uint64_t run_number = (uint64_t)base_now_real_us(&base_clock_system);
    bool sound = true;
    for (int64_t i = 0; i < bench.rounds && sound; i++) {
        sound = run_round(&bench, run_number + (uint64_t)i, &record_bytes, &rounds[i]);
    }
    if (sound) {
        print_rounds(&bench, rounds, record_bytes);
    } else {
        (void)fprintf(stderr, "zandaka bench: %.*s\n", BASE_TEXT_ARGS(bench.message));
    }
    base_arena_release(&bench.arena);
    return sound ? APP_EXIT_DONE : APP_EXIT_COULD_NOT;
}
