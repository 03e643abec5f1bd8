/* service: how long a batch is tried again, at each limit and one past it, and how long it waits
 * between (service.h; the waits themselves are batch.c's). */
#include "service/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WAITS_MAX 2000

/* A wait in which time passes as a row says, and not as long as it was asked for. */
struct waiting {
    struct world *world;
    const int64_t *passes_ns; /* of each wait in turn; up to a 0, none passes afterwards */
    size_t n_waits;
    int64_t asked_ns[WAITS_MAX];
};

static void wait_as_told(void *context, int64_t duration_ns)
{
    struct waiting *waiting = context;
    assert_true(waiting->n_waits < WAITS_MAX);
    waiting->asked_ns[waiting->n_waits++] = duration_ns;
    if (*waiting->passes_ns != 0) {
        waiting->world->now_ns += *waiting->passes_ns++;
    }
}

static void run_waiting(struct world *world, struct waiting *waiting, const int64_t *passes_ns)
{
    *waiting = (struct waiting){.world = world, .passes_ns = passes_ns};
    while (service_step(world->service, wait_as_told, waiting)) {
    }
}

static void retries_end_at_their_limit_and_not_before(void **state)
{
    (void)state;
    static const struct row {
        const char *name;
        struct world_script script;
        int64_t passes_ns[4];
        size_t n_waits;
    } rows[] = {
        {"conflicts, by their number", {.commits = "c*"}, {0}, 1000},
        {"conflicts, just before 10 s", {.commits = "c*"}, {9999999999, 0}, 1000},
        {"conflicts, at 10 s", {.commits = "c*"}, {10000000000, 0}, 1},
        {"conflicts, at 10 s from the first", {.commits = "c*"}, {4000000000, 6000000000, 0}, 2},
        {"unknown, just before 10 s", {.commits = "l*"}, {9999999999, 0}, 1000},
        {"unknown, at 10 s", {.commits = "l*"}, {10000000000, 0}, 1},
        {"unavailable, by their number", {.commits = "u*"}, {0}, 1000},
        {"unavailable, just before 1 s", {.loads = "u*"}, {999999999, 0}, 1000},
        {"unavailable, at 1 s", {.loads = "u*"}, {1000000000, 0}, 1},
        {"unavailable from the second on, just before",
         {.commits = "cu*"},
         {5, 999999999, 0},
         1000},
        {"unavailable from the second on, at 1 s", {.commits = "cu*"}, {5, 1000000000, 0}, 2},
        {"unavailable again", {.commits = "ucu*"}, {900000000, 900000000, 999999999, 0}, 1000},
        {"unavailable again, at 1 s", {.commits = "ucu*"}, {900000000, 5, 1000000000, 0}, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world world;
        world_open(&world);
        world.now_ns = INT64_C(77000000000); /* limits count from the batch, not from the start */
        world_set_script(&world, rows[i].script);
        struct world_call *call;
        world_submit(&world, "add a alice 1", &call);
        struct waiting waiting;
        run_waiting(&world, &waiting, rows[i].passes_ns);
        assert_int_equal(call->n_done, 1);
        struct service_figures figures;
        service_read_figures(world.service, &figures);
        if (waiting.n_waits != rows[i].n_waits ||
            world_store_faults(&figures) != rows[i].n_waits + 1) {
            fail_msg("%s: %zu waits, not %zu", rows[i].name, waiting.n_waits, rows[i].n_waits);
        }
        world_close(&world);
    }
}

/* Each batch has the limits for itself. */
static void the_next_batch_begins_anew(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    for (size_t i = 0; i < 3; i++) {
        world_set_script(&world, (struct world_script){.commits = "c*"});
        struct world_call *call;
        world_submit(&world, "add a alice 1", &call);
        struct waiting waiting;
        run_waiting(&world, &waiting, (const int64_t[]){0});
        assert_string_equal(world_told(&world, call), "STORE_UNAVAILABLE");
        assert_int_equal(waiting.n_waits, 1000);
        assert_true(waiting.asked_ns[0] >= 500000 && waiting.asked_ns[0] <= 1000000);
    }
    world_close(&world);
}

/* Also when the one before left at its deadline, with the store unavailable. */
static void how_long_it_was_unavailable_is_forgotten(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_set_script(&world, (struct world_script){.commits = "u*"});
    struct world_call *call;
    struct waiting waiting;
    world_submit(&world, "@10 add a alice 1", &call);
    run_waiting(&world, &waiting, (const int64_t[]){10000000, 0});
    assert_string_equal(world_told(&world, call), "DEADLINE_EXCEEDED");
    world.now_ns += 5000000000;
    world_set_script(&world, (struct world_script){.commits = "u"});
    world_submit(&world, "add a alice 1", &call);
    run_waiting(&world, &waiting, (const int64_t[]){0});
    assert_string_equal(world_told(&world, call), "applied");
    world_close(&world);
}

/* When all calls of a batch have left, it is not tried again for nobody. */
static void a_batch_that_everybody_left_is_over(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_set_script(&world, (struct world_script){.loads = "u*"});
    struct world_call *call;
    struct waiting waiting;
    world_submit(&world, "@10 add a alice 1", &call);
    run_waiting(&world, &waiting, (const int64_t[]){10000000, 0});
    assert_string_equal(world_told(&world, call), "DEADLINE_EXCEEDED");
    assert_int_equal(waiting.n_waits, 1);
    world_close(&world);
}

/* A batch falls into parts at what cannot be read. A part that was done shows that the store is
 * there: only what comes later counts for the next. */
static void a_part_that_is_done_shows_that_the_store_is_there(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world.corrupt_id = "bad";
    world_set_script(&world, (struct world_script){.commits = "u.uu"});
    struct world_call *calls[3];
    world_submit(&world, "add a alice 1 | add bad alice 1 | add c alice 1", calls);
    struct waiting waiting;
    run_waiting(&world, &waiting, (const int64_t[]){900000000, 900000000, 900000000, 0});
    assert_string_equal(world_told(&world, calls[0]), "applied");
    assert_string_equal(world_told(&world, calls[1]), "INTERNAL");
    assert_string_equal(world_told(&world, calls[2]), "applied");
    assert_int_equal(waiting.n_waits, 3);
    world_close(&world);
}

/* After it was down, a conflict is an answer too. */
static void a_store_that_conflicts_is_there(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_set_script(&world, (struct world_script){.commits = "u*"});
    struct world_call *call;
    world_submit(&world, "add a alice 1", &call);
    world_run(&world);
    assert_string_equal(world_told(&world, call), "STORE_UNAVAILABLE");
    world_set_script(&world, (struct world_script){.commits = "cu"});
    world_submit(&world, "add a alice 1", &call);
    world_run(&world);
    assert_string_equal(world_told(&world, call), "applied");
    world_close(&world);
}

/* What is settled by what is found ends without another wait, and is no fault. */
static void a_settled_batch_waits_once(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    world_set_script(&world, (struct world_script){.commits = "d"});
    struct world_call *call;
    world_submit(&world, "add a alice 1", &call);
    struct waiting waiting;
    run_waiting(&world, &waiting, (const int64_t[]){0});
    assert_string_equal(world_told(&world, call), "applied");
    assert_int_equal(waiting.n_waits, 1);
    struct service_figures figures;
    service_read_figures(world.service, &figures);
    assert_int_equal(figures.store_faults[STORE_UNKNOWN], 1);
    world_close(&world);
}

/* xorshift64* of the seed, worked out apart from the code: 1 to 64 ms, of which up to a half is
 * jitter. A run is repeated from its seed, so the waits of a seed never change. */
static void the_waits_of_a_seed_are_always_the_same(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        int64_t waits_ns[9];
    } rows[] = {
        {1, {740347, 1078011, 3364008, 6751438, 13235172, 27771652, 56008818, 33459709, 35645955}},
        /* Only this one leaves the generator at zero, which it would not leave again. */
        {UINT64_C(0x9E3779B97F4A7C15),
         {674943, 1509670, 3483897, 7648091, 9277330, 18212601, 39080555, 45122718, 46551285}},
        {UINT64_C(1) << 63,
         {987128, 1980979, 2333652, 6287140, 9251569, 28320507, 37466878, 62295526, 53064341}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world world;
        world_open(&world);
        service_close(world.service);
        world.service = service_open(&(struct service_options){.store = world.store,
                                                               .kinds = &world.kinds,
                                                               .clock = &world.clock,
                                                               .seed = rows[i].seed});
        world_set_script(&world, (struct world_script){.commits = "ccccccccc"});
        struct world_call *call;
        world_submit(&world, "add a alice 1", &call);
        struct waiting waiting;
        run_waiting(&world, &waiting, (const int64_t[]){0});
        assert_int_equal(waiting.n_waits, 9);
        assert_memory_equal(waiting.asked_ns, rows[i].waits_ns, sizeof rows[i].waits_ns);
        world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries_end_at_their_limit_and_not_before),
        cmocka_unit_test(the_next_batch_begins_anew),
        cmocka_unit_test(how_long_it_was_unavailable_is_forgotten),
        cmocka_unit_test(a_batch_that_everybody_left_is_over),
        cmocka_unit_test(a_part_that_is_done_shows_that_the_store_is_there),
        cmocka_unit_test(a_store_that_conflicts_is_there),
        cmocka_unit_test(a_settled_batch_waits_once),
        cmocka_unit_test(the_waits_of_a_seed_are_always_the_same),
    };
    return cmocka_run_group_tests_name("service_retries", tests, NULL, NULL);
}
