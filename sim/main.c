/*
 * Runs worlds, one seed after the other, and tells the story of the first that breaks a rule.
 *
 *   zandaka_sim [--seed N] [--worlds N] [--hours N] [--twice]
 *
 * --seed: the first (it is printed). --worlds or --hours: when to end; without either, one world
 * is told event by event. --twice: each world is run twice, and must come to the same trace.
 * The exit status is 1 when a rule was broken.
 */
#include "sim/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options {
    uint64_t seed;
    uint64_t n_worlds; /* 0: no limit */
    double hours;      /* 0: no limit */
    bool twice;
    bool telling;
};

/* What the process that runs the worlds has done, seen by the one that waits for it: an assertion
 * or a sanitizer ends the first at once, and somebody must still know which seed it was. */
struct progress {
    uint64_t seed;
    uint64_t counts[SIM_COUNTS];
    struct auditor_figures figures;
};

static const struct sim_story silent = {false, "", ""};

/* --- one world --- */

/* The run again, with all that concerns the one id or account. */
static void tell_story(uint64_t seed, const struct auditor_failure *failure)
{
    struct progress nobodys = {0};
    const char *id = failure->transaction_id;
    printf("\n%s is broken: %s\n", failure->rule, failure->what);
    printf("transaction `%s`, account `%s`. The events of %s:\n\n", id, failure->account_id,
           id[0] != '\0' ? "the transaction" : "the account");
    struct sim_story story = {true, id, id[0] != '\0' ? "" : failure->account_id};
    (void)sim_world_run(seed, story, nobodys.counts, &nobodys.figures);
    printf("\nseed %" PRIu64 " breaks %s. Again, with everything: SEED=%" PRIu64 " make sim\n",
           seed, failure->rule, seed);
}

static bool run_world(uint64_t seed, const struct options *options, struct progress *progress)
{
    struct sim_story all = {options->telling, "", ""};
    struct sim_outcome outcome = sim_world_run(seed, all, progress->counts, &progress->figures);
    if (outcome.failure.found) {
        tell_story(seed, &outcome.failure);
        return false;
    }
    if (options->twice) {
        struct progress nobodys = {0};
        struct sim_outcome again = sim_world_run(seed, silent, nobodys.counts, &nobodys.figures);
        if (again.trace != outcome.trace) {
            printf("seed %" PRIu64 " is not the same twice: trace %016" PRIx64 ", then %016" PRIx64
                   "\n",
                   seed, outcome.trace, again.trace);
            return false;
        }
    }
    return true;
}

static double hours_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) / 3600.0;
}

static bool run_worlds(const struct options *options, struct progress *progress)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t i = 0; options->n_worlds == 0 || i < options->n_worlds; i++) {
        if (options->hours > 0 && hours_since(&start) >= options->hours) {
            break;
        }
        progress->seed = options->seed + i;
        if (!run_world(progress->seed, options, progress)) {
            return false;
        }
    }
    return true;
}

/* --- all of them --- */

static void print_figures(const struct options *options, const struct progress *progress)
{
    printf("\nseeds %" PRIu64 " to %" PRIu64 "\n", options->seed, progress->seed);
    for (size_t i = 0; i < SIM_COUNTS; i++) {
        printf("%12" PRIu64 "  %s\n", progress->counts[i], sim_count_names[i]);
    }
    const struct auditor_figures *figures = &progress->figures;
    printf("judged:\n%12" PRIu64 "  rows of the journal\n%12" PRIu64
           "  things that reads showed\n%12" PRIu64 "  successes\n%12" PRIu64 "  replays\n",
           figures->recorded, figures->reads, figures->applied, figures->replayed);
    for (int i = 1; i < BASE_REASON_COUNT; i++) {
        if (figures->refused[i] > 0) {
            printf("%12" PRIu64 "  %s\n", figures->refused[i],
                   base_error_of((enum base_reason)i)->reason);
        }
    }
}

/* The last of what the worlds have logged; while all is well nobody wants it. */
static void print_log(FILE *log)
{
    char line[512];
    long size = (fseek(log, 0, SEEK_END), ftell(log));
    (void)fseek(log, size > 8192 ? size - 8192 : 0, SEEK_SET);
    while (fgets(line, sizeof line, log) != NULL) {
        printf("  %s", line);
    }
}

static int run_apart(const struct options *options)
{
    struct progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *log = tmpfile();
    if (progress == MAP_FAILED || log == NULL) {
        perror("zandaka_sim");
        return 2;
    }
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (!options->telling) {
            (void)dup2(fileno(log), STDERR_FILENO);
        }
        bool right = run_worlds(options, progress);
        (void)fflush(stdout);
        exit(right ? 0 : 3);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    bool told =
        child > 0 && WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
    if (!told) {
        print_log(log);
        printf("\nseed %" PRIu64 " has ended the process (status %#x). Again: SEED=%" PRIu64
               " make sim\n",
               progress->seed, (unsigned)status, progress->seed);
    }
    print_figures(options, progress);
    (void)fclose(log);
    return told && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: zandaka_sim [--seed N] [--worlds N] [--hours N] [--twice]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = (uint64_t)time(NULL) * 1000000};
    for (int i = 1; i < argc; i++) {
        char *end = "";
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--twice") == 0) {
            options.twice = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0) {
            options.seed = strtoull(value, &end, 10);
        } else if (strcmp(argv[i], "--worlds") == 0) {
            options.n_worlds = strtoull(value, &end, 10);
        } else if (strcmp(argv[i], "--hours") == 0) {
            options.hours = strtod(value, &end);
        } else {
            return usage();
        }
        if (value[0] == '\0' || *end != '\0') {
            return usage();
        }
        i++;
    }
    if (options.n_worlds == 0 && options.hours == 0) {
        options.n_worlds = 1;
        options.telling = true;
    }
    printf("the first seed is %" PRIu64 "\n", options.seed);
    return run_apart(&options);
}
