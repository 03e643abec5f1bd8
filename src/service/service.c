/*
 * The service's doors and threads: one that writes, batch after batch, and some that read. The lock
 * guards the two lines of waiting calls and what is under it in the struct; it is never held while
 * the store works or `done` is called.
 */
#include "service/service.h"

#include "service/batch.h"
#include "service/queue.h"
#include "service/reads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Reading threads; more than this is a mistake of the configuration. */
#define READERS_MAX 256

struct service {
    struct store *store;
    const struct base_clock *clock;
    unsigned n_readers;
    pthread_t writer;
    pthread_t readers[READERS_MAX];

    pthread_mutex_t lock;
    pthread_cond_t calls_wait;
    pthread_cond_t reads_wait;
    bool stopping;
    bool writer_sleeps; /* so that a submit wakes it only then */
    unsigned n_readers_asleep;
    struct service_queue queue;
    struct service_reads reads;

    struct service_counters counters;
    /* The writer's, or service_step's. */
    struct service_batch batch;
    struct service_call *taken[BASE_BATCH_MAX];
};

static void wait_in_real_time(void *context, int64_t duration_ns)
{
    (void)context;
    struct timespec left = {.tv_sec = (time_t)(duration_ns / BASE_NS_PER_S),
                            .tv_nsec = (long)(duration_ns % BASE_NS_PER_S)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* Whoever steps a service by hand owns the time; where it gave none, none passes. */
static void wait_not_at_all(void *context, int64_t duration_ns)
{
    (void)context;
    (void)duration_ns;
}

/* Collects what has come in while the batch before was under way, and does it. */
static bool run_batch(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    size_t n_calls = service_queue_take(&service->queue, service->taken);
    pthread_mutex_unlock(&service->lock);
    if (n_calls == 0) {
        return false;
    }
    service_batch_run(&service->batch, n_calls, service->taken);
    return true;
}

/* Waits until there is a call. False: the service stops, and everything is answered. */
static bool wait_for_calls(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    while (service->queue.n_commands == 0 && !service->stopping) {
        service->writer_sleeps = true;
        pthread_cond_wait(&service->calls_wait, &service->lock);
        service->writer_sleeps = false;
    }
    bool there_are = service->queue.n_commands > 0;
    pthread_mutex_unlock(&service->lock);
    return there_are;
}

static void *write_batches(void *context)
{
    struct service *service = context;
    while (wait_for_calls(service)) {
        (void)run_batch(service);
    }
    return NULL;
}

/* The next read, waiting for it. NULL: the service stops, and there are no more. */
static struct service_read *wait_for_read(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    struct service_read *read;
    while ((read = service_reads_take(&service->reads)) == NULL && !service->stopping) {
        service->n_readers_asleep++;
        pthread_cond_wait(&service->reads_wait, &service->lock);
        service->n_readers_asleep--;
    }
    pthread_mutex_unlock(&service->lock);
    return read;
}

static void *answer_reads(void *context)
{
    struct service *service = context;
    struct service_read *read;
    while ((read = wait_for_read(service)) != NULL) {
        service_read_answer(read, service->store, service->clock);
    }
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*run)(void *context), struct service *service)
{
    int error = pthread_create(thread, NULL, run, service);
    if (error != 0) {
        base_stop("cannot start a thread of the service: %s", strerror(error));
    }
}

/* Signals are the program's to handle, on a thread of its own choice. */
static void start_threads(struct service *service)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    start_thread(&service->writer, write_batches, service);
    for (unsigned i = 0; i < service->n_readers; i++) {
        start_thread(&service->readers[i], answer_reads, service);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct service *service_open(const struct service_options *options)
{
    base_assert(options->n_readers <= READERS_MAX);
    struct service *service = base_allocate_zeroed(1, sizeof *service);
    service->store = options->store;
    service->clock = options->clock;
    service->n_readers = options->n_readers;
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->calls_wait, NULL);
    pthread_cond_init(&service->reads_wait, NULL);
    service_batch_open(&service->batch, options, &service->counters, wait_in_real_time);
    if (service->n_readers > 0) {
        start_threads(service);
    }
    return service;
}

enum base_reason service_submit(struct service *service, struct service_call *call)
{
    enum base_reason reason = BASE_REASON_NONE;
    call->taken_mono_ns = base_now_mono_ns(service->clock);
    pthread_mutex_lock(&service->lock);
    if (service->stopping) {
        reason = BASE_REASON_SHUTTING_DOWN;
    } else if (!service_queue_push(&service->queue, call)) {
        reason = BASE_REASON_OVERLOADED;
    }
    if (reason == BASE_REASON_NONE && service->writer_sleeps) {
        /* Within the lock: once it is open the call may be answered, and the service closed. */
        service->writer_sleeps = false;
        pthread_cond_signal(&service->calls_wait);
    }
    pthread_mutex_unlock(&service->lock);
    return reason;
}

enum base_reason service_submit_read(struct service *service, struct service_read *read)
{
    enum base_reason reason = BASE_REASON_NONE;
    pthread_mutex_lock(&service->lock);
    if (service->stopping) {
        reason = BASE_REASON_SHUTTING_DOWN;
    } else if (!service_reads_push(&service->reads, read)) {
        reason = BASE_REASON_OVERLOADED;
    }
    if (reason == BASE_REASON_NONE && service->n_readers_asleep > 0) {
        pthread_cond_signal(&service->reads_wait);
    }
    pthread_mutex_unlock(&service->lock);
    return reason;
}

/* One after the other: a read that a `done` submits is one of the next step. */
static bool answer_waiting_reads(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    size_t n_reads = service->reads.n_reads;
    pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < n_reads; i++) {
        pthread_mutex_lock(&service->lock);
        struct service_read *read = service_reads_take(&service->reads);
        pthread_mutex_unlock(&service->lock);
        service_read_answer(read, service->store, service->clock);
    }
    return n_reads > 0;
}

bool service_step(struct service *service, void (*wait)(void *context, int64_t duration_ns),
                  void *context)
{
    base_assert(service->n_readers == 0);
    service->batch.wait = wait;
    service->batch.wait_context = context;
    bool wrote = run_batch(service);
    bool read = answer_waiting_reads(service);
    return wrote || read;
}

void service_stop(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    service->stopping = true;
    pthread_cond_broadcast(&service->calls_wait);
    pthread_cond_broadcast(&service->reads_wait);
    pthread_mutex_unlock(&service->lock);
}

void service_close(struct service *service)
{
    service_stop(service);
    if (service->n_readers > 0) {
        pthread_join(service->writer, NULL);
        for (unsigned i = 0; i < service->n_readers; i++) {
            pthread_join(service->readers[i], NULL);
        }
    } else {
        while (service_step(service, wait_not_at_all, NULL)) {
        }
    }
    service_batch_close(&service->batch);
    pthread_cond_destroy(&service->reads_wait);
    pthread_cond_destroy(&service->calls_wait);
    pthread_mutex_destroy(&service->lock);
    free(service);
}

void service_read_figures(struct service *service, struct service_figures *ret_figures)
{
    const struct service_counters *counters = &service->counters;
    /* What has ended is read first, so that it never seems to be more than what was begun. */
    uint64_t batches_ended = base_counter_value(&counters->batches_ended);
    *ret_figures = (struct service_figures){
        .batches_begun = base_counter_value(&counters->batches_begun),
        .batches_ended = batches_ended,
        .applied = base_counter_value(&counters->applied),
        .replayed = base_counter_value(&counters->replayed),
        .batch_commands = &counters->batch_commands,
        .durable = &counters->durable,
    };
    for (size_t i = 0; i < BASE_REASON_COUNT; i++) {
        ret_figures->refused[i] = base_counter_value(&counters->refused[i]);
    }
    for (size_t i = 0; i <= STORE_CORRUPT; i++) {
        ret_figures->store_faults[i] = base_counter_value(&counters->store_faults[i]);
    }
    pthread_mutex_lock(&service->lock);
    ret_figures->queued_commands = service->queue.n_commands;
    ret_figures->queued_reads = service->reads.n_reads;
    pthread_mutex_unlock(&service->lock);
}
