/* service: its threads wait, and are woken. The waits between retries are real ones: only that no
 * less time passes is asked, since how much more does is the machine's affair. */
#include "service/service.h"
#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Of 1, 2, 4, 8 and 16 ms, without the half that is jitter. */
#define CONFLICTS 5
#define WAITS_AT_LEAST_NS INT64_C(15500000)

static enum store_faulty_event conflict_at_first(void *context, enum store_faulty_call call)
{
    unsigned *n_left = context;
    if (call != STORE_FAULTY_COMMIT || *n_left == 0) {
        return STORE_FAULTY_NONE;
    }
    (*n_left)--;
    return STORE_FAULTY_CONFLICT;
}

static void post(struct service_call *call)
{
    sem_post(call->context);
}

static void retries_wait_for_the_clock(void **state)
{
    (void)state;
    struct ledger_kinds kinds = {.n_kinds = 1};
    kinds.kinds[0] = (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
    unsigned n_left = CONFLICTS;
    struct store *store = store_faulty_open(store_memory_open(&kinds), conflict_at_first, &n_left);
    struct service *service = service_open(&(struct service_options){
        .store = store, .kinds = &kinds, .clock = &base_clock_system, .n_readers = 1, .seed = 1});
    sem_t done;
    assert_int_equal(sem_init(&done, 0, 0), 0);
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct ledger_command command = {.operation = RECORD_OPERATION_CANCEL,
                                           .transaction_id = BASE_TEXT("t1")};
    struct service_result result;
    struct service_call call = {.n_commands = 1,
                                .commands = &command,
                                .results = &result,
                                .deadline_mono_ns = BASE_NO_DEADLINE,
                                .arena = &arena,
                                .done = post,
                                .context = &done};
    int64_t begin_ns = base_now_mono_ns(&base_clock_system);
    assert_int_equal(service_submit(service, &call), BASE_REASON_NONE);
    assert_int_equal(sem_wait(&done), 0);
    int64_t end_ns = base_now_mono_ns(&base_clock_system);
    assert_int_equal(result.refusal.reason, BASE_REASON_NONE);
    assert_int_equal(n_left, 0);
    assert_true(end_ns - begin_ns >= WAITS_AT_LEAST_NS);
    service_close(service);
    store_close(store);
    sem_destroy(&done);
    base_arena_release(&arena);
}

#define READS 200

static void run_nothing(struct service_read *read, struct store *store)
{
    (void)read;
    (void)store;
}

static void post_read(struct service_read *read, enum base_reason reason)
{
    assert_int_equal(reason, BASE_REASON_NONE);
    sem_post(read->context);
}

/* One reader, which goes to sleep between two reads. If it is not woken, the test does not end. */
static void a_lone_reader_wakes_for_every_read(void **state)
{
    (void)state;
    struct ledger_kinds kinds = {.n_kinds = 1};
    kinds.kinds[0] = (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
    struct store *store = store_memory_open(&kinds);
    struct service *service = service_open(&(struct service_options){
        .store = store, .kinds = &kinds, .clock = &base_clock_system, .n_readers = 1});
    sem_t done;
    assert_int_equal(sem_init(&done, 0, 0), 0);
    for (size_t i = 0; i < READS; i++) {
        struct service_read read = {.run = run_nothing,
                                    .done = post_read,
                                    .deadline_mono_ns = BASE_NO_DEADLINE,
                                    .context = &done};
        assert_int_equal(service_submit_read(service, &read), BASE_REASON_NONE);
        assert_int_equal(sem_wait(&done), 0);
    }
    service_close(service);
    store_close(store);
    sem_destroy(&done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(retries_wait_for_the_clock),
                                       cmocka_unit_test(a_lone_reader_wakes_for_every_read)};
    return cmocka_run_group_tests_name("service_waits", tests, NULL, NULL);
}
