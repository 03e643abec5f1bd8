/* app: the watchdog's sign of life stops when a loop or the writer does, and comes again. */
#include "app/systemd.h"
#include "store/faulty/faulty.h"
#include "store/memory/memory.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* A service with its threads, and a server with one loop; both can be held. */
struct scene {
    struct ledger_kinds kinds;
    struct base_arena arena;
    struct store *store;
    sem_t commit_begins;
    sem_t commit_may_end;
    sem_t loop_is_held;
    sem_t loop_may_go_on;
    sem_t done;
    struct app_pulse pulse;
};

static enum store_faulty_event hold_commit(void *context, enum store_faulty_call call)
{
    struct scene *scene = context;
    if (call == STORE_FAULTY_COMMIT) {
        sem_post(&scene->commit_begins);
        sem_wait(&scene->commit_may_end);
    }
    return STORE_FAULTY_NONE;
}

/* Holds the loop when a connection comes, and then closes it. */
static void *hold_loop(void *context, struct net_connection *connection)
{
    (void)connection;
    struct scene *scene = context;
    sem_post(&scene->loop_is_held);
    sem_wait(&scene->loop_may_go_on);
    return NULL;
}

static void scene_open(struct scene *scene)
{
    static const struct net_handler handler = {.opened = hold_loop};
    *scene = (struct scene){.kinds = {.n_kinds = 1}};
    scene->kinds.kinds[0] = (struct ledger_kind){.code = BASE_TEXT("points"),
                                                 .max_balance_minor = INT64_MAX,
                                                 .max_amount_minor = BASE_AMOUNT_MAX};
    sem_init(&scene->commit_begins, 0, 0);
    sem_init(&scene->commit_may_end, 0, 0);
    sem_init(&scene->loop_is_held, 0, 0);
    sem_init(&scene->loop_may_go_on, 0, 0);
    sem_init(&scene->done, 0, 0);
    scene->store = store_faulty_open(store_memory_open(&scene->kinds), hold_commit, scene);
    scene->pulse.service = service_open(&(struct service_options){.store = scene->store,
                                                                  .kinds = &scene->kinds,
                                                                  .clock = &base_clock_system,
                                                                  .n_readers = 1});
    struct base_text message;
    scene->pulse.net = net_server_open(&(struct net_options){.listen = BASE_TEXT("127.0.0.1:0"),
                                                             .n_loops = 1,
                                                             .connections_max = 10,
                                                             .inflight_max_bytes = 1 << 20,
                                                             .handler = &handler,
                                                             .context = scene},
                                       &scene->arena, &message);
    assert_non_null(scene->pulse.net);
}

static void scene_close(struct scene *scene)
{
    net_server_close(scene->pulse.net);
    service_close(scene->pulse.service);
    store_close(scene->store);
    base_arena_release(&scene->arena);
    sem_destroy(&scene->commit_begins);
    sem_destroy(&scene->commit_may_end);
    sem_destroy(&scene->loop_is_held);
    sem_destroy(&scene->loop_may_go_on);
    sem_destroy(&scene->done);
}

static void call_done(struct service_call *call)
{
    struct scene *scene = call->context;
    sem_post(&scene->done);
}

/* Long enough for a machine that is slow: what is watched here is held for good. */
#define PERIOD_NS (60 * BASE_NS_PER_S)

static void the_writer_must_end_a_batch_between_two_looks(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    assert_true(app_pulse_beats(&scene.pulse, PERIOD_NS));
    assert_true(app_pulse_beats(&scene.pulse, PERIOD_NS)); /* there was nothing to do */
    struct ledger_amount amount = {BASE_TEXT("points"), 1};
    struct ledger_command command = {.operation = RECORD_OPERATION_ADD,
                                     .transaction_id = BASE_TEXT("t"),
                                     .account_id = BASE_TEXT("alice"),
                                     .n_amounts = 1,
                                     .amounts = &amount};
    struct service_result result;
    struct service_call call = {.caller = 1,
                                .n_commands = 1,
                                .commands = &command,
                                .results = &result,
                                .deadline_mono_ns = BASE_NO_DEADLINE,
                                .arena = &scene.arena,
                                .done = call_done,
                                .context = &scene};
    assert_int_equal(service_submit(scene.pulse.service, &call), BASE_REASON_NONE);
    sem_wait(&scene.commit_begins);
    assert_true(app_pulse_beats(&scene.pulse, PERIOD_NS)); /* begun since the last look */
    assert_false(app_pulse_beats(&scene.pulse, PERIOD_NS));
    assert_false(app_pulse_beats(&scene.pulse, PERIOD_NS));
    sem_post(&scene.commit_may_end);
    sem_wait(&scene.done);
    struct service_figures figures;
    do {
        service_read_figures(scene.pulse.service, &figures);
    } while (figures.batches_ended == 0);
    assert_true(app_pulse_beats(&scene.pulse, PERIOD_NS));
    assert_true(app_pulse_beats(&scene.pulse, PERIOD_NS));
    scene_close(&scene);
}

static void every_loop_must_come_round(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    struct base_text message;
    struct net_destination destination = {.address = net_server_address(scene.pulse.net),
                                          .timeout_ms = 10000};
    struct net_stream *stream = net_dial(&destination, &scene.arena, &message);
    assert_non_null(stream);
    sem_wait(&scene.loop_is_held);
    /* Held, its round can only grow. */
    struct net_figures held;
    net_server_read_figures(scene.pulse.net, &held);
    struct net_figures later;
    do {
        net_server_read_figures(scene.pulse.net, &later);
    } while (later.longest_round_ns == held.longest_round_ns);
    assert_true(later.longest_round_ns > held.longest_round_ns);
    assert_false(
        app_pulse_beats(&scene.pulse, held.longest_round_ns - BASE_TICK_MS * BASE_NS_PER_MS));
    sem_post(&scene.loop_may_go_on);
    /* It comes round again. */
    do {
        net_server_read_figures(scene.pulse.net, &held);
    } while (held.longest_round_ns >= later.longest_round_ns);
    assert_true(app_pulse_beats(&scene.pulse, PERIOD_NS));
    net_stream_close(stream);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_writer_must_end_a_batch_between_two_looks),
        cmocka_unit_test(every_loop_must_come_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
