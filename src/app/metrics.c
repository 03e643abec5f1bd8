#include "app/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LABEL_MAX_BYTES 80

/* --- the service and its store --- */

static void write_commands(const struct service_figures *figures, struct base_writer *out)
{
    const char *name = "zandaka_commands_total";
    base_metrics_family(out, name, BASE_METRIC_COUNTER,
                        "Commands that the writer has answered, by what became of them.");
    base_metrics_sample(out, name, "outcome=\"applied\"", figures->applied);
    base_metrics_sample(out, name, "outcome=\"replayed\"", figures->replayed);
    for (enum base_reason reason = BASE_REASON_NONE + 1; reason < BASE_REASON_COUNT; reason++) {
        char label[LABEL_MAX_BYTES];
        (void)snprintf(label, sizeof label, "outcome=\"%s\"", base_error_of(reason)->reason);
        base_metrics_sample(out, name, label, figures->refused[reason]);
    }
}

static void write_store(const struct app_metrics *metrics, const struct service_figures *figures,
                        struct base_writer *out)
{
    static const char *const labels[STORE_CORRUPT + 1] = {
        [STORE_CONFLICT] = "kind=\"conflict\"",
        [STORE_UNAVAILABLE] = "kind=\"unavailable\"",
        [STORE_UNKNOWN] = "kind=\"unknown\"",
        [STORE_CORRUPT] = "kind=\"corrupt\"",
    };
    const char *name = "zandaka_store_faults_total";
    base_metrics_family(
        out, name, BASE_METRIC_COUNTER,
        "Loads and commits of the writer that failed; each was tried again or told.");
    for (enum store_fault fault = STORE_OK + 1; fault <= STORE_CORRUPT; fault++) {
        base_metrics_sample(out, name, labels[fault], figures->store_faults[fault]);
    }
    struct store_figures store;
    store_read_figures(metrics->store, &store);
    base_metrics_single(out, "zandaka_account_cache_hits_total", BASE_METRIC_COUNTER,
                        "Accounts that a batch found in the writer's cache.", store.cache_hits);
    base_metrics_single(out, "zandaka_account_cache_misses_total", BASE_METRIC_COUNTER,
                        "Accounts that a batch had to look for on disk.", store.cache_misses);
}

static void write_phases(const struct service_figures *figures, struct base_writer *out)
{
    static const char *const labels[SERVICE_PHASES] = {
        [SERVICE_LOADING] = "phase=\"load\"",
        [SERVICE_DECIDING] = "phase=\"decide\"",
        [SERVICE_COMMITTING] = "phase=\"commit\"",
        [SERVICE_ANSWERING] = "phase=\"answer\"",
    };
    const char *name = "zandaka_batch_phase_seconds_total";
    base_metrics_family(out, name, BASE_METRIC_COUNTER,
                        "What the time of batches went to, of all sessions together.");
    for (enum service_phase phase = 0; phase < SERVICE_PHASES; phase++) {
        base_metrics_sample_seconds(out, name, labels[phase],
                                    (double)figures->phase_ns[phase] / (double)BASE_NS_PER_S);
    }
}

static void write_service(const struct app_metrics *metrics, struct base_writer *out)
{
    struct service_figures figures;
    service_read_figures(metrics->service, &figures);
    write_commands(&figures, out);
    base_metrics_family(out, "zandaka_batch_commands", BASE_METRIC_HISTOGRAM,
                        "Commands of a batch.");
    base_metrics_sample_histogram(out, "zandaka_batch_commands", "", figures.batch_commands,
                                  &base_scale_batch);
    write_phases(&figures, out);
    base_metrics_family(out, "zandaka_durable_seconds", BASE_METRIC_HISTOGRAM,
                        "From a write's place in line until its batch was durable.");
    base_metrics_sample_histogram(out, "zandaka_durable_seconds", "", figures.durable,
                                  &base_scale_seconds);
    base_metrics_single(out, "zandaka_queue_commands", BASE_METRIC_GAUGE,
                        "Commands that wait for a batch.", figures.queued_commands);
    base_metrics_single(out, "zandaka_queue_commands_max", BASE_METRIC_GAUGE,
                        "How many may wait; beyond it calls are told OVERLOADED.", BASE_QUEUE_MAX);
    base_metrics_single(out, "zandaka_queue_reads", BASE_METRIC_GAUGE,
                        "Reads that wait for a thread.", figures.queued_reads);
    base_metrics_single(out, "zandaka_queue_reads_max", BASE_METRIC_GAUGE,
                        "How many may wait; beyond it calls are told OVERLOADED.",
                        BASE_READ_QUEUE_MAX);
    write_store(metrics, &figures, out);
}

/* --- the callers --- */

static void write_access(const struct access *access, struct base_writer *out)
{
    static const char *const labels[ACCESS_REFUSALS] = {
        [ACCESS_UNAUTHENTICATED] = "reason=\"UNAUTHENTICATED\"",
        [ACCESS_DENIED] = "reason=\"PERMISSION_DENIED\"",
        [ACCESS_RATE_LIMITED] = "reason=\"RATE_LIMITED\"",
    };
    const char *name = "zandaka_access_refusals_total";
    base_metrics_family(out, name, BASE_METRIC_COUNTER,
                        "Calls and commands of a Submit that were refused for who made them.");
    for (enum access_refusal refusal = 0; refusal < ACCESS_REFUSALS; refusal++) {
        base_metrics_sample(out, name, labels[refusal], access_count_refusals(access, refusal));
    }
}

/* --- the connections --- */

static void write_net(struct net_server *net, struct base_writer *out)
{
    struct net_figures figures;
    net_server_read_figures(net, &figures);
    base_metrics_single(out, "zandaka_connections", BASE_METRIC_GAUGE, "Open connections.",
                        figures.connections);
    base_metrics_single(out, "zandaka_connections_max", BASE_METRIC_GAUGE,
                        "How many there may be; beyond it they are closed at once.",
                        figures.connections_max);
    base_metrics_single(out, "zandaka_connections_accepted_total", BASE_METRIC_COUNTER,
                        "Connections that were accepted.", figures.accepted);
    base_metrics_single(out, "zandaka_connections_refused_total", BASE_METRIC_COUNTER,
                        "Connections that found no room: too many, or no files left to open.",
                        figures.refused);
    base_metrics_single(out, "zandaka_inflight_bytes", BASE_METRIC_GAUGE,
                        "Bytes of requests and answers under way, over all connections.",
                        figures.inflight_bytes);
    base_metrics_single(out, "zandaka_inflight_max_bytes", BASE_METRIC_GAUGE,
                        "How many there may be before large requests wait to be read.",
                        figures.inflight_max_bytes);
}

/* --- the process --- */

/* The number of open files. Linux 6.2 and later tells it as the directory's size; before, the
 * entries are counted. */
static uint64_t count_open_files(void)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
        return (uint64_t)status.st_size;
    }
    DIR *directory = opendir("/proc/self/fd");
    uint64_t count = 0;
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count > 3 ? count - 3 : 0; /* `.`, `..`, and the directory itself */
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / (double)BASE_US_PER_S;
}

static void write_process(int64_t start_time_us, struct base_writer *out)
{
    unsigned long long virtual_pages = 0;
    unsigned long long resident_pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        if (fscanf(statm, "%llu %llu", &virtual_pages, &resident_pages) != 2) {
            resident_pages = 0;
        }
        (void)fclose(statm);
    }
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    struct rlimit files;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    const char *name = "process_cpu_seconds_total";
    base_metrics_family(out, name, BASE_METRIC_COUNTER, "Processor time, user and system.");
    base_metrics_sample_seconds(out, name, "",
                                seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    base_metrics_single(out, "process_resident_memory_bytes", BASE_METRIC_GAUGE, "Resident memory.",
                        resident_pages * page_bytes);
    base_metrics_single(out, "process_virtual_memory_bytes", BASE_METRIC_GAUGE, "Virtual memory.",
                        virtual_pages * page_bytes);
    base_metrics_single(out, "process_open_fds", BASE_METRIC_GAUGE, "Open files and sockets.",
                        count_open_files());
    base_metrics_single(out, "process_max_fds", BASE_METRIC_GAUGE, "How many may be open.",
                        files.rlim_cur);
    name = "process_start_time_seconds";
    base_metrics_family(out, name, BASE_METRIC_GAUGE, "When the server started, since 1970.");
    base_metrics_sample(out, name, "", (uint64_t)(start_time_us / BASE_US_PER_S));
}

void app_metrics_write(void *context, struct base_writer *out)
{
    struct app_metrics *metrics = context;
    base_metrics_family(out, "zandaka_build_info", BASE_METRIC_GAUGE,
                        "1, and which program it is.");
    base_metrics_sample(out, "zandaka_build_info", "version=\"" ZANDAKA_VERSION "\"", 1);
    write_service(metrics, out);
    if (metrics->access != NULL) {
        write_access(metrics->access, out);
    }
    struct net_server *net = atomic_load(&metrics->net);
    if (net != NULL) {
        write_net(net, out);
    }
    write_process(metrics->start_time_us, out);
}
