#include "threads.h"

#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* One in 16 commits meets a fault, and one in 64 loads. */
static enum store_faulty_event random_event(struct fixture *fixture, enum store_faulty_call call)
{
    static const enum store_faulty_event commits[] = {
        STORE_FAULTY_CONFLICT, STORE_FAULTY_UNAVAILABLE, STORE_FAULTY_UNKNOWN_DONE,
        STORE_FAULTY_UNKNOWN_LOST};
    fixture->random = fixture->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    uint64_t random = fixture->random >> 40;
    if (call == STORE_FAULTY_COMMIT && random % 16 == 0) {
        return commits[random / 16 % 4];
    }
    return call == STORE_FAULTY_LOAD && random % 64 == 1 ? STORE_FAULTY_UNAVAILABLE
                                                         : STORE_FAULTY_NONE;
}

static enum store_faulty_event choose(void *context, enum store_faulty_call call)
{
    struct fixture *fixture = context;
    enum store_faulty_event event = STORE_FAULTY_NONE;
    pthread_mutex_lock(&fixture->lock);
    if (call == STORE_FAULTY_COMMIT) {
        fixture->n_arrived++;
        pthread_cond_broadcast(&fixture->changed);
        while (fixture->n_permits == 0) {
            pthread_cond_wait(&fixture->changed, &fixture->lock);
        }
        fixture->n_permits -= fixture->n_permits != PERMITS_ALL;
    }
    if (fixture->random != 0 && call != STORE_FAULTY_READ) {
        event = random_event(fixture, call);
    }
    pthread_mutex_unlock(&fixture->lock);
    return event;
}

static int open_service_on(void **state, unsigned n_sessions)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->n_permits = PERMITS_ALL;
    fixture->kinds.n_kinds = 1;
    fixture->kinds.kinds[0] =
        (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    fixture->memory = store_memory_open(&fixture->kinds);
    /* It takes any number: each load and each commit is one critical section. */
    fixture->memory->n_sessions = n_sessions;
    fixture->store = store_faulty_open(fixture->memory, choose, fixture);
    fixture->service = service_open(&(struct service_options){.store = fixture->store,
                                                              .kinds = &fixture->kinds,
                                                              .clock = &base_clock_system,
                                                              .n_readers = 2,
                                                              .seed = 1});
    *state = fixture;
    return 0;
}

int threads_open(void **state)
{
    return open_service_on(state, 1);
}

int threads_open_sessions(void **state)
{
    return open_service_on(state, 3);
}

void threads_close_service(struct fixture *fixture)
{
    if (fixture->service != NULL) {
        service_close(fixture->service);
        fixture->service = NULL;
    }
}

int threads_close(void **state)
{
    struct fixture *fixture = *state;
    threads_close_service(fixture);
    store_close(fixture->store);
    pthread_cond_destroy(&fixture->changed);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

void threads_permit(struct fixture *fixture, unsigned n_commits)
{
    pthread_mutex_lock(&fixture->lock);
    fixture->n_permits = n_commits;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

void threads_wait_for_arrival(struct fixture *fixture, unsigned n_commits)
{
    pthread_mutex_lock(&fixture->lock);
    while (fixture->n_arrived < n_commits) {
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    pthread_mutex_unlock(&fixture->lock);
}

unsigned threads_n_done(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    unsigned n = fixture->n_done;
    pthread_mutex_unlock(&fixture->lock);
    return n;
}

void threads_wait_for_done(struct fixture *fixture, unsigned n)
{
    pthread_mutex_lock(&fixture->lock);
    while (fixture->n_done < n) {
        pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    pthread_mutex_unlock(&fixture->lock);
}

static void call_done(struct service_call *call)
{
    struct made_call *made = call->context;
    struct fixture *fixture = made->fixture;
    pthread_mutex_lock(&fixture->lock);
    atomic_fetch_add(&made->n_done, 1);
    fixture->n_done++;
    pthread_cond_broadcast(&fixture->changed);
    pthread_mutex_unlock(&fixture->lock);
}

void call_make(struct made_call *made, struct fixture *fixture, enum record_operation operation,
               const char *id, const char *account, int64_t amount_minor)
{
    *made = (struct made_call){.fixture = fixture};
    snprintf(made->id, sizeof made->id, "%s", id);
    snprintf(made->account, sizeof made->account, "%s", account);
    made->amount = (struct ledger_amount){BASE_TEXT("points"), amount_minor};
    made->command =
        (struct ledger_command){.operation = operation, .transaction_id = base_text_of(made->id)};
    if (operation != RECORD_OPERATION_CANCEL) {
        made->command.account_id = base_text_of(made->account);
        made->command.n_amounts = 1;
        made->command.amounts = &made->amount;
    }
    made->call = (struct service_call){.n_commands = 1,
                                       .commands = &made->command,
                                       .results = &made->result,
                                       .deadline_mono_ns = BASE_NO_DEADLINE,
                                       .arena = &made->arena,
                                       .done = call_done,
                                       .context = made};
}

void call_release(struct made_call *made)
{
    base_arena_release(&made->arena);
}

void threads_submit(struct fixture *fixture, struct made_call *made)
{
    assert_int_equal(service_submit(fixture->service, &made->call), BASE_REASON_NONE);
}
