/*
 * The service's doors and threads: one for each session of the store that writes, batch after
 * batch, and some that read. The lock guards the lines of waiting calls and what is under it in the
 * structs; it is never held while the store works or `done` is called.
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

/* A session of the store, with the calls that are written through it. */
struct service_session {
    struct service *service;
    pthread_t writer;

    /* Under the service's lock. */
    pthread_cond_t calls_wait;
    bool writer_sleeps; /* so that a submit wakes it only then */
    struct service_queue queue;

    /* The writer's, or service_step's. */
    struct service_batch batch;
    struct service_call *taken[BASE_BATCH_MAX];
};

struct service {
    struct store *store;
    const struct base_clock *clock;
    unsigned n_readers;
    pthread_t readers[READERS_MAX];

    pthread_mutex_t lock;
    pthread_cond_t reads_wait;
    bool stopping;
    unsigned n_readers_asleep;
    struct service_reads reads;

    unsigned n_sessions;
    struct service_session *sessions;
    struct service_counters counters;
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
static bool run_batch(struct service_session *session)
{
    pthread_mutex_lock(&session->service->lock);
    size_t n_calls = service_queue_take(&session->queue, session->taken);
    pthread_mutex_unlock(&session->service->lock);
    if (n_calls == 0) {
        return false;
    }
    service_batch_run(&session->batch, n_calls, session->taken);
    return true;
}

/* Waits until there is a call. False: the service stops, and everything is answered. */
static bool wait_for_calls(struct service_session *session)
{
    struct service *service = session->service;
    pthread_mutex_lock(&service->lock);
    while (session->queue.n_commands == 0 && !service->stopping) {
        session->writer_sleeps = true;
        pthread_cond_wait(&session->calls_wait, &service->lock);
        session->writer_sleeps = false;
    }
    bool there_are = session->queue.n_commands > 0;
    pthread_mutex_unlock(&service->lock);
    return there_are;
}

static void *write_batches(void *context)
{
    struct service_session *session = context;
    while (wait_for_calls(session)) {
        (void)run_batch(session);
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

static void start_thread(pthread_t *thread, void *(*run)(void *context), void *context)
{
    int error = pthread_create(thread, NULL, run, context);
    if (error != 0) {
        base_stop("cannot start a thread of the service: %s", strerror(error));
    }
}

/* Signals are the program's to handle, on a thread of its own choice. But a fault is its thread's
 * own: where it is blocked the system ends the process without asking the program's handler. */
static void start_threads(struct service *service)
{
    static const int faults[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        sigdelset(&blocked, faults[i]);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    for (unsigned i = 0; i < service->n_sessions; i++) {
        start_thread(&service->sessions[i].writer, write_batches, &service->sessions[i]);
    }
    for (unsigned i = 0; i < service->n_readers; i++) {
        start_thread(&service->readers[i], answer_reads, service);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void session_open(struct service_session *session, struct service *service,
                         const struct service_options *options, unsigned number)
{
    session->service = service;
    session->queue.batch_max = store_batch_max(options->store);
    pthread_cond_init(&session->calls_wait, NULL);
    service_batch_open(&session->batch, options, number, &service->counters, wait_in_real_time);
}

static void session_close(struct service_session *session)
{
    service_batch_close(&session->batch);
    pthread_cond_destroy(&session->calls_wait);
}

struct service *service_open(const struct service_options *options)
{
    base_assert(options->n_readers <= READERS_MAX);
    struct service *service = base_allocate_zeroed(1, sizeof *service);
    service->store = options->store;
    service->clock = options->clock;
    service->n_readers = options->n_readers;
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->reads_wait, NULL);
    service->n_sessions = store_sessions(options->store);
    service->sessions = base_allocate_zeroed(service->n_sessions, sizeof *service->sessions);
    for (unsigned i = 0; i < service->n_sessions; i++) {
        session_open(&service->sessions[i], service, options, i);
    }
    if (service->n_readers > 0) {
        start_threads(service);
    }
    return service;
}

/* One account's commands meet in one session, and so in one batch, instead of in conflicts. A call
 * goes where its first command belongs: it is not split (queue.h, 4). */
static struct service_session *session_of(struct service *service, const struct service_call *call)
{
    const struct ledger_command *first = &call->commands[0];
    struct base_text place =
        first->account_id.length > 0 ? first->account_id : first->transaction_id;
    return &service->sessions[base_hash(base_bytes_of(place)) % service->n_sessions];
}

/* Of all sessions. Under the lock. */
static size_t queued_commands(const struct service *service)
{
    size_t n_commands = 0;
    for (unsigned i = 0; i < service->n_sessions; i++) {
        n_commands += service->sessions[i].queue.n_commands;
    }
    return n_commands;
}

/* Whether there is room over all sessions together, and the caller's share of it is not used up
 * (queue.h, 5): a caller whose calls go to all accounts has something waiting in each. Under the
 * lock. */
static bool has_room(const struct service *service, const struct service_call *call)
{
    size_t held = 0;
    for (unsigned i = 0; i < service->n_sessions; i++) {
        held += service_queue_held(&service->sessions[i].queue, call->caller);
    }
    return held + call->n_commands <= BASE_QUEUE_MAX - queued_commands(service);
}

enum base_reason service_submit(struct service *service, struct service_call *call)
{
    struct service_session *session = session_of(service, call);
    enum base_reason reason = BASE_REASON_NONE;
    call->taken_mono_ns = base_now_mono_ns(service->clock);
    pthread_mutex_lock(&service->lock);
    if (service->stopping) {
        reason = BASE_REASON_SHUTTING_DOWN;
    } else if (!has_room(service, call) || !service_queue_push(&session->queue, call)) {
        reason = BASE_REASON_OVERLOADED;
    }
    if (reason == BASE_REASON_NONE && session->writer_sleeps) {
        /* Within the lock: once it is open the call may be answered, and the service closed. */
        session->writer_sleeps = false;
        pthread_cond_signal(&session->calls_wait);
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
    bool worked = false;
    for (unsigned i = 0; i < service->n_sessions; i++) {
        struct service_session *session = &service->sessions[i];
        session->batch.wait = wait;
        session->batch.wait_context = context;
        worked = run_batch(session) || worked;
    }
    return answer_waiting_reads(service) || worked;
}

void service_stop(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    service->stopping = true;
    for (unsigned i = 0; i < service->n_sessions; i++) {
        pthread_cond_broadcast(&service->sessions[i].calls_wait);
    }
    pthread_cond_broadcast(&service->reads_wait);
    pthread_mutex_unlock(&service->lock);
}

void service_close(struct service *service)
{
    service_stop(service);
    if (service->n_readers > 0) {
        for (unsigned i = 0; i < service->n_sessions; i++) {
            pthread_join(service->sessions[i].writer, NULL);
        }
        for (unsigned i = 0; i < service->n_readers; i++) {
            pthread_join(service->readers[i], NULL);
        }
    } else {
        while (service_step(service, wait_not_at_all, NULL)) {
        }
    }
    for (unsigned i = 0; i < service->n_sessions; i++) {
        session_close(&service->sessions[i]);
    }
    free(service->sessions);
    pthread_cond_destroy(&service->reads_wait);
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
    for (size_t i = 0; i < SERVICE_PHASES; i++) {
        ret_figures->phase_ns[i] = base_counter_value(&counters->phase_ns[i]);
    }
    for (size_t i = 0; i < BASE_REASON_COUNT; i++) {
        ret_figures->refused[i] = base_counter_value(&counters->refused[i]);
    }
    for (size_t i = 0; i <= STORE_CORRUPT; i++) {
        ret_figures->store_faults[i] = base_counter_value(&counters->store_faults[i]);
    }
    pthread_mutex_lock(&service->lock);
    ret_figures->queued_commands = queued_commands(service);
    ret_figures->queued_reads = service->reads.n_reads;
    pthread_mutex_unlock(&service->lock);
}
