/*
 * zandaka bench: how fast the server is beside what the machine could do at the most. Absolute
 * figures mean little on shared machines, so every round measures the machine's limits first (one
 * fdatasync, a bare appended log, the door alone) and then the server, and what counts is the
 * share.
 */
#include "app/bench.h"

#include "app/options.h"

#include <stdlib.h>
#include <unistd.h>

#define ACCOUNTS_DEFAULT 10000
/* How long each of the machine's limits is measured in a round. */
#define LIMIT_NS INT64_C(1000000000)
#define MILLION 1000000

struct round {
    double ours;     /* commands or reads a second */
    double bare_log; /* records a second; 0: the workload writes nothing */
    double door;     /* calls a second that the server only has to refuse */
    double sync_ms;  /* one append and fdatasync */
    double p50_ms;
    double p90_ms;
    double p99_ms;
    double p999_ms;
    double max_ms;
};

struct bench {
    const struct app_destination *server;
    const char *directory;
    const struct bench_workload *workload;
    int64_t rounds;
    int64_t seconds;
    int64_t rate;
    int64_t accounts;
    int64_t millions;
    bool json;
    uint64_t run_number;
    size_t record_bytes;
    struct base_arena arena;
    struct base_text message;
};

static bool run_load(struct bench *bench, const struct bench_workload *workload,
                     int64_t duration_ns, uint64_t calls_max, struct bench_load_result *ret_result)
{
    struct bench_load_options options = {.server = bench->server,
                                         .workload = workload,
                                         .duration_ns = duration_ns,
                                         .calls_max = calls_max,
                                         .rate = (uint64_t)bench->rate,
                                         .accounts = (unsigned)bench->accounts,
                                         .run_number = bench->run_number++};
    if (!bench_load_run(&options, &bench->arena, ret_result, &bench->message)) {
        return false;
    }
    if (ret_result->failures > 0) {
        bench->message = base_arena_print(&bench->arena, "%llu of the commands failed",
                                          (unsigned long long)ret_result->failures);
        return false;
    }
    if (ret_result->record_bytes > 0) {
        bench->record_bytes = ret_result->record_bytes;
    }
    return true;
}

static double per_second(uint64_t count, int64_t duration_ns)
{
    return (double)count * 1e9 / (double)duration_ns;
}

static double percentile_ms(const struct bench_load_result *load, unsigned permille)
{
    return (double)bench_histogram_at(&load->latency, permille) / 1e6;
}

static bool measure_limits(struct bench *bench, struct round *round)
{
    struct bench_baseline_result log;
    struct bench_load_result *door = base_arena_take(&bench->arena, sizeof *door);
    unsigned batch = bench->workload->baseline_batch;
    if (!bench_baseline_run(bench->directory, bench->record_bytes, 1, LIMIT_NS, &bench->arena, &log,
                            &bench->message)) {
        return false;
    }
    round->sync_ms = (double)log.duration_ns / (double)log.syncs / 1e6;
    if (batch > 0) {
        if (!bench_baseline_run(bench->directory, bench->record_bytes, batch, LIMIT_NS,
                                &bench->arena, &log, &bench->message)) {
            return false;
        }
        round->bare_log = per_second(log.records, log.duration_ns);
    }
    int64_t rate = bench->rate;
    bench->rate = 0;
    bool sound = run_load(bench, bench_workload_named("door"), LIMIT_NS, 0, door);
    bench->rate = rate;
    round->door = sound ? per_second(door->done, door->duration_ns) : 0;
    return sound;
}

static bool run_round(struct bench *bench, struct round *ret_round)
{
    struct round round = {0};
    struct bench_load_result *load = base_arena_take(&bench->arena, sizeof *load);
    if (!measure_limits(bench, &round) ||
        !run_load(bench, bench->workload, bench->seconds * BASE_NS_PER_S, 0, load)) {
        return false;
    }
    round.ours = per_second(load->done, load->duration_ns);
    round.p50_ms = percentile_ms(load, 500);
    round.p90_ms = percentile_ms(load, 900);
    round.p99_ms = percentile_ms(load, 990);
    round.p999_ms = percentile_ms(load, 999);
    round.max_ms = (double)load->latency.max_ns / 1e6;
    *ret_round = round;
    base_arena_reset(&bench->arena);
    return true;
}

/* --- what is printed --- */

static double share_of_log(const struct round *round)
{
    return round->bare_log > 0 ? round->ours / round->bare_log : 0;
}
static double share_of_door(const struct round *round)
{
    return round->ours / round->door;
}
static double p50_in_syncs(const struct round *round)
{
    return round->p50_ms / round->sync_ms;
}
#define FIGURE(name)                                                                               \
    static double name(const struct round *round)                                                  \
    {                                                                                              \
        return round->name;                                                                        \
    }
FIGURE(ours)
FIGURE(bare_log)
FIGURE(door)
FIGURE(sync_ms)
FIGURE(p50_ms)
FIGURE(p90_ms)
FIGURE(p99_ms)
FIGURE(p999_ms)
FIGURE(max_ms)

static const struct figure {
    const char *name;
    const char *json;
    double (*of)(const struct round *round);
} figures[] = {
    {"done / s", "per_second", ours},
    {"bare log, records / s", "bare_log_per_second", bare_log},
    {"door alone, calls / s", "door_per_second", door},
    {"one append and fdatasync, ms", "sync_ms", sync_ms},
    {"share of the bare log", "share_of_bare_log", share_of_log},
    {"share of the door", "share_of_door", share_of_door},
    {"call p50, ms", "p50_ms", p50_ms},
    {"call p90, ms", "p90_ms", p90_ms},
    {"call p99, ms", "p99_ms", p99_ms},
    {"call p99.9, ms", "p999_ms", p999_ms},
    {"call max, ms", "max_ms", max_ms},
    {"call p50 / one fdatasync", "p50_in_syncs", p50_in_syncs},
};

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The least, the median and the greatest of a figure over the rounds. */
static void spread(const struct figure *figure, const struct round *rounds, int64_t n_rounds,
                   double ret_spread[3])
{
    double values[BASE_BENCH_ROUNDS_MAX];
    for (int64_t i = 0; i < n_rounds; i++) {
        values[i] = figure->of(&rounds[i]);
    }
    qsort(values, (size_t)n_rounds, sizeof values[0], compare_doubles);
    ret_spread[0] = values[0];
    ret_spread[1] = values[n_rounds / 2];
    ret_spread[2] = values[n_rounds - 1];
}

static void print_rounds(const struct bench *bench, const struct round *rounds)
{
    double values[3];
    size_t n_figures = sizeof figures / sizeof figures[0];
    if (bench->json) {
        (void)printf("{\"workload\":\"%s\",\"rounds\":%lld,\"seconds\":%lld,\"rate\":%lld",
                     bench->workload->name, (long long)bench->rounds, (long long)bench->seconds,
                     (long long)bench->rate);
        for (size_t i = 0; i < n_figures; i++) {
            spread(&figures[i], rounds, bench->rounds, values);
            (void)printf(",\"%s\":[%.6g,%.6g,%.6g]", figures[i].json, values[0], values[1],
                         values[2]);
        }
        (void)printf("}\n");
        return;
    }
    (void)printf("%s: %s%s\n%lld rounds of %lld s; records of %zu bytes\n", bench->workload->name,
                 bench->workload->meaning, bench->rate > 0 ? ", begun by the clock" : "",
                 (long long)bench->rounds, (long long)bench->seconds, bench->record_bytes);
    (void)printf("%-30s %12s %12s %12s\n", "", "min", "median", "max");
    for (size_t i = 0; i < n_figures; i++) {
        spread(&figures[i], rounds, bench->rounds, values);
        (void)printf("%-30s %12.3f %12.3f %12.3f\n", figures[i].name, values[0], values[1],
                     values[2]);
    }
}

static void show_progress(const char *what, int64_t done, int64_t of)
{
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r%s %lld of %lld\033[K%s", what, (long long)done, (long long)of,
                      done == of ? "\n" : "");
    }
}

/* --- the two ways to run --- */

static bool run_rounds(struct bench *bench)
{
    struct round rounds[BASE_BENCH_ROUNDS_MAX];
    for (int64_t i = 0; i < bench->rounds; i++) {
        show_progress(bench->workload->name, i, bench->rounds);
        if (!run_round(bench, &rounds[i])) {
            return false;
        }
    }
    show_progress(bench->workload->name, bench->rounds, bench->rounds);
    print_rounds(bench, rounds);
    return true;
}

/* One row for each million commands, while the store grows. */
static bool run_growth(struct bench *bench)
{
    if (!bench->json) {
        (void)printf("growth by %s: %s; %lld accounts\n%10s %12s %10s %10s %10s\n",
                     bench->workload->name, bench->workload->meaning, (long long)bench->accounts,
                     "millions", "done / s", "p50, ms", "p99, ms", "max, ms");
    }
    for (int64_t million = 1; million <= bench->millions; million++) {
        struct bench_load_result *load = base_arena_take(&bench->arena, sizeof *load);
        if (!run_load(bench, bench->workload, INT64_MAX / 4, MILLION / bench->workload->commands,
                      load)) {
            return false;
        }
        (void)printf(bench->json ? "{\"millions\":%lld,\"per_second\":%.0f,\"p50_ms\":%.3f,"
                                   "\"p99_ms\":%.3f,\"max_ms\":%.3f}\n"
                                 : "%10lld %12.0f %10.3f %10.3f %10.3f\n",
                     (long long)million, per_second(load->done, load->duration_ns),
                     percentile_ms(load, 500), percentile_ms(load, 990),
                     (double)load->latency.max_ns / 1e6);
        (void)fflush(stdout);
        show_progress("million", million, bench->millions);
        base_arena_reset(&bench->arena);
    }
    return true;
}

/* --- flags --- */

static bool take_count(const struct app_verb_usage *usage, const char *flag, const char *text,
                       int64_t max, int64_t *count)
{
    int64_t value;
    if (text == NULL) {
        return true;
    }
    if (!base_text_to_int64(base_text_of(text), &value) || value < 1 || value > max) {
        (void)app_options_wrong(usage, "--%s: `%s` is not a number from 1 to %lld", flag, text,
                                (long long)max);
        return false;
    }
    *count = value;
    return true;
}

static bool take_workload(const struct app_verb_usage *usage, const char *name, struct bench *bench)
{
    bench->workload = bench_workload_named(name == NULL ? "single" : name);
    if (bench->workload != NULL) {
        return true;
    }
    (void)app_options_wrong(usage, "there is no workload `%s`; there are:", name);
    for (size_t i = 0; bench_workload_at(i) != NULL; i++) {
        (void)fprintf(stderr, "  %-10s %s\n", bench_workload_at(i)->name,
                      bench_workload_at(i)->meaning);
    }
    return false;
}

int app_verb_bench(int argc, char **argv)
{
    struct bench bench = {.rounds = 5,
                          .seconds = 5,
                          .accounts = ACCOUNTS_DEFAULT,
                          .record_bytes = 96, /* until an answer has told */
                          .run_number = (uint64_t)base_now_real_us(&base_clock_system)};
    struct app_server_flags server = {0};
    const char *workload = NULL;
    const char *rounds = NULL;
    const char *seconds = NULL;
    const char *rate = NULL;
    const char *accounts = NULL;
    const char *millions = NULL;
    const struct app_flag flags[] = {
        {"directory", "DIR", &bench.directory, NULL,
         "where the bare log is written: on the server's disk"},
        {"workload", "NAME", &workload, NULL,
         "single (default), single64, batch, batch1024, lone, hot, hot64, replay, refused, reads, "
         "mixed, door"},
        {"rounds", "N", &rounds, NULL, "how often (default 5)"},
        {"seconds", "N", &seconds, NULL, "how long each time (default 5)"},
        {"rate", "N", &rate, NULL, "begin so many calls a second, by the clock (open loop)"},
        {"accounts", "N", &accounts, NULL, "how many accounts (default 10000)"},
        {"growth", "MILLIONS", &millions, NULL, "so many million commands, a row for each million"},
        {"json", NULL, NULL, &bench.json, "print JSON"},
        APP_SERVER_FLAGS(server),
    };
    const struct app_verb_usage usage = {
        "bench", "",
        "Loads a running server, in rounds, each beside the machine's own limits: one\n"
        "fdatasync, a bare log that appends records of the same size and syncs once a\n"
        "batch, and calls that the server only has to refuse. Use a store of its own:\n"
        "what is written stays.",
        sizeof flags / sizeof flags[0], flags};
    int first;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first, &status)) {
        return status;
    }
    if (bench.directory == NULL) {
        return app_options_wrong(&usage, "needs --directory");
    }
    if (!take_workload(&usage, workload, &bench) ||
        !take_count(&usage, "rounds", rounds, BASE_BENCH_ROUNDS_MAX, &bench.rounds) ||
        !take_count(&usage, "seconds", seconds, BASE_BENCH_SECONDS_MAX, &bench.seconds) ||
        !take_count(&usage, "rate", rate, BASE_BENCH_RATE_MAX, &bench.rate) ||
        !take_count(&usage, "accounts", accounts, BASE_BENCH_ACCOUNTS_MAX, &bench.accounts) ||
        !take_count(&usage, "growth", millions, BASE_BENCH_MILLIONS_MAX, &bench.millions) ||
        !app_options_server(&usage, &server)) {
        return APP_EXIT_USAGE;
    }
    bench.server = &server.destination;
    bool sound = bench.millions > 0 ? run_growth(&bench) : run_rounds(&bench);
    if (!sound) {
        (void)fprintf(stderr, "zandaka bench: %.*s\n", BASE_TEXT_ARGS(bench.message));
    }
    base_arena_release(&bench.arena);
    return sound ? APP_EXIT_DONE : APP_EXIT_COULD_NOT;
}
