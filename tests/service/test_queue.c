/* service: the line of waiting calls is fair, ordered and bounded. */
#include "service/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CALLS_MAX 64

/*
 * A call is written as its caller's letter, a number of its own, and, unless it has one command,
 * `*` and how many: `a1`, `b2*1000`. A step begins with `+`: these calls come, or `-`: the next
 * batch takes exactly these, in this order.
 */
struct row {
    const char *name;
    const char *steps[12];
};

struct queue_fixture {
    struct service_queue queue;
    struct service_call calls[CALLS_MAX];
    char names[CALLS_MAX][16];
    size_t n_calls;
    struct service_call *taken[BASE_BATCH_MAX];
};

static int open_queue(void **state)
{
    *state = calloc(1, sizeof(struct queue_fixture));
    return *state == NULL;
}

static int close_queue(void **state)
{
    free(*state);
    return 0;
}

static void push_named(struct queue_fixture *fixture, const char *token)
{
    assert_true(fixture->n_calls < CALLS_MAX);
    struct service_call *call = &fixture->calls[fixture->n_calls];
    char *name = fixture->names[fixture->n_calls++];
    snprintf(name, sizeof fixture->names[0], "%s", token);
    char *star = strchr(name, '*');
    call->caller = (uint64_t)name[0];
    call->n_commands = star != NULL ? (size_t)atoi(star + 1) : 1;
    if (star != NULL) {
        *star = '\0';
    }
    call->context = name;
    call->link.next = &call->link; /* whatever its owner left there */
    assert_true(service_queue_push(&fixture->queue, call));
}

static void run_step(struct queue_fixture *fixture, const char *name, const char *step)
{
    char tokens[512];
    snprintf(tokens, sizeof tokens, "%s", step + 1);
    size_t n_taken = step[0] == '-' ? service_queue_take(&fixture->queue, fixture->taken) : 0;
    size_t at = 0;
    char *rest = NULL;
    for (char *token = strtok_r(tokens, " ", &rest); token != NULL;
         token = strtok_r(NULL, " ", &rest)) {
        if (step[0] == '+') {
            push_named(fixture, token);
        } else if (at == n_taken || strcmp(fixture->taken[at++]->context, token) != 0) {
            fail_msg("%s: in `%s`, %s is not the call number %zu of %zu", name, step, token, at,
                     n_taken);
        }
    }
    if (at != n_taken) {
        fail_msg("%s: in `%s`, %zu calls were taken", name, step, n_taken);
    }
    for (size_t i = 0; i < n_taken; i++) {
        assert_null(fixture->taken[i]->link.next); /* nothing of the line goes out with it */
    }
}

static void calls_leave_in_their_order(void **state)
{
    static const struct row rows[] = {
        {"nobody waits", {"-"}},
        {"a lone call", {"+ a1", "- a1", "-"}},
        {"one caller's calls leave in their order", {"+ a1 a2 a3", "- a1 a2 a3", "-"}},
        {"callers are served in turn", {"+ a1 a2 a3 b1 c1 c2", "- a1 b1 c1 a2 c2 a3"}},
        {"who comes back stands behind the others", {"+ a1 b1", "- a1 b1", "+ b2 a2", "- b2 a2"}},
        {"lone calls before bulk, also one's own", {"+ a1*5 a2 b1", "- a2 b1 a1"}},
        {"bulk callers are served in turn", {"+ a1*2 a2*2 b1*2", "- a1 b1 a2"}},
        {"a bulk call is not split", {"+ a1*1000 b1*1000 c1 c2", "- c1 c2 a1", "- b1", "-"}},
        {"a full batch of one call", {"+ a1*1024 b1", "- b1", "- a1"}},
        {"a small one does not overtake a large one that did not fit",
         {"+ a1*1000 b1*30 c1*20", "- a1", "- b1 c1"}},
        {"what did not fit keeps its turn", {"+ a1*600 a2*600 b1*600", "- a1", "- b1", "- a2"}},
        {"after a batch with bulk none is due",
         {"+ a1*2 b1*1024 c1", "- c1 a1", "+ c2", "- c2", "+ c3", "- b1", "- c3"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct queue_fixture *fixture = *state;
        memset(fixture, 0, sizeof *fixture);
        for (const char *const *step = rows[i].steps; *step != NULL; step++) {
            run_step(fixture, rows[i].name, *step);
        }
        assert_int_equal(fixture->queue.n_commands, 0);
    }
}

/* A store may ask for small batches: but a call is never split, and a large one goes alone. */
static void a_batch_is_as_small_as_the_store_asks_for(void **state)
{
    struct queue_fixture *fixture = *state;
    fixture->queue.batch_max = 3;
    struct service_call lone[4];
    struct service_call bulk[3] = {{.caller = 1, .n_commands = 5},
                                   {.caller = 1, .n_commands = 3},
                                   {.caller = 1, .n_commands = 2}};
    for (size_t i = 0; i < 4; i++) {
        lone[i] = (struct service_call){.caller = 2, .n_commands = 1};
        assert_true(service_queue_push(&fixture->queue, &lone[i]));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(service_queue_push(&fixture->queue, &bulk[i]));
    }
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 3);
    assert_ptr_equal(fixture->taken[2], &lone[2]);
    struct service_call *const first[] = {&bulk[0], &lone[3], &bulk[1], &bulk[2]};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 1);
        assert_ptr_equal(fixture->taken[0], first[i]);
    }
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 0);
}

/* Lone calls of one caller that fill a batch, come again before each batch. */
static void bulk_does_not_starve_behind_lone_calls(void **state)
{
    struct queue_fixture *fixture = *state;
    static struct service_call lone[4 * BASE_BATCH_MAX];
    struct service_call bulk[2] = {{.caller = 1, .n_commands = 1000},
                                   {.caller = 1, .n_commands = 1000}};
    assert_true(service_queue_push(&fixture->queue, &bulk[0]));
    assert_true(service_queue_push(&fixture->queue, &bulk[1]));
    for (size_t i = 0; i < 4 * BASE_BATCH_MAX; i++) {
        lone[i] = (struct service_call){.caller = 2, .n_commands = 1};
        assert_true(service_queue_push(&fixture->queue, &lone[i]));
    }
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), BASE_BATCH_MAX);
    assert_ptr_equal(fixture->taken[0], &lone[0]);
    /* None was taken: one goes first, and lone calls have what room is left. */
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 1 + 24);
    assert_ptr_equal(fixture->taken[0], &bulk[0]);
    /* One was taken: lone calls first again. */
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), BASE_BATCH_MAX);
    assert_ptr_equal(fixture->taken[0], &lone[BASE_BATCH_MAX + 24]);
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 1 + 24);
    assert_ptr_equal(fixture->taken[0], &bulk[1]);
}

/* One that was due and another that fitted too: for the batch after, none is due. */
static void no_bulk_call_is_due_after_two(void **state)
{
    struct queue_fixture *fixture = *state;
    static struct service_call lone[BASE_BATCH_MAX + 2];
    struct service_call bulk[3] = {{.caller = 1, .n_commands = 2},
                                   {.caller = 1, .n_commands = 2},
                                   {.caller = 1, .n_commands = BASE_SUBMIT_MAX}};
    for (size_t i = 0; i < BASE_BATCH_MAX + 2; i++) {
        lone[i] = (struct service_call){.caller = 2, .n_commands = 1};
    }
    for (size_t i = 0; i < BASE_BATCH_MAX + 1; i++) {
        assert_true(service_queue_push(&fixture->queue, &lone[i]));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(service_queue_push(&fixture->queue, &bulk[i]));
    }
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), BASE_BATCH_MAX);
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 3);
    assert_ptr_equal(fixture->taken[0], &bulk[0]);
    assert_ptr_equal(fixture->taken[1], &lone[BASE_BATCH_MAX]);
    assert_ptr_equal(fixture->taken[2], &bulk[1]);
    assert_true(service_queue_push(&fixture->queue, &lone[BASE_BATCH_MAX + 1]));
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 1);
    assert_ptr_equal(fixture->taken[0], &lone[BASE_BATCH_MAX + 1]);
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 1);
    assert_ptr_equal(fixture->taken[0], &bulk[2]);
}

/* Callers are numbered one after the other: their lines are found at once. */
static void callers_are_spread_over_the_buckets(void **state)
{
    struct queue_fixture *fixture = *state;
    static struct service_call calls[BASE_QUEUE_MAX];
    for (size_t i = 0; i < BASE_QUEUE_MAX; i++) {
        calls[i] = (struct service_call){.caller = i, .n_commands = 1};
        assert_true(service_queue_push(&fixture->queue, &calls[i]));
    }
    for (size_t i = 0; i < BASE_QUEUE_MAX; i++) {
        size_t n_lines = 0;
        for (const struct service_line *line = fixture->queue.lone.buckets[i]; line != NULL;
             line = line->next_in_bucket) {
            n_lines++;
        }
        assert_true(n_lines <= 4);
    }
}

static void nobody_waits_behind_another_callers_flood(void **state)
{
    struct queue_fixture *fixture = *state;
    static struct service_call flood[8 * BASE_BATCH_MAX];
    for (size_t i = 0; i < 8 * BASE_BATCH_MAX; i++) {
        flood[i] = (struct service_call){.caller = 7, .n_commands = 1};
        assert_true(service_queue_push(&fixture->queue, &flood[i]));
    }
    struct service_call other = {.caller = 8, .n_commands = 1};
    assert_true(service_queue_push(&fixture->queue, &other));
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), BASE_BATCH_MAX);
    assert_ptr_equal(fixture->taken[1], &other);
}

static void the_limit_counts_commands_and_calls_are_taken_whole(void **state)
{
    struct queue_fixture *fixture = *state;
    static struct service_call full[BASE_QUEUE_MAX / BASE_SUBMIT_MAX];
    size_t n_full = BASE_QUEUE_MAX / BASE_SUBMIT_MAX;
    for (size_t i = 0; i < n_full; i++) {
        full[i] = (struct service_call){.caller = i, .n_commands = BASE_SUBMIT_MAX};
    }
    full[0].n_commands = BASE_SUBMIT_MAX - 1;
    for (size_t i = 0; i < n_full; i++) {
        assert_true(service_queue_push(&fixture->queue, &full[i]));
    }
    struct service_call two = {.caller = 99, .n_commands = 2};
    struct service_call one = {.caller = 99, .n_commands = 1};
    struct service_call another = {.caller = 100, .n_commands = 1};
    assert_false(service_queue_push(&fixture->queue, &two));
    assert_true(service_queue_push(&fixture->queue, &one));
    assert_int_equal(fixture->queue.n_commands, BASE_QUEUE_MAX);
    assert_false(service_queue_push(&fixture->queue, &another));
    /* What was refused has left no trace; what left has made room. */
    assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 2);
    assert_ptr_equal(fixture->taken[0], &one);
    assert_ptr_equal(fixture->taken[1], &full[0]);
    assert_true(service_queue_push(&fixture->queue, &two));
    assert_true(service_queue_push(&fixture->queue, &another));
}

/* Who is in line with what; `n` calls of `n_commands` each, as far as they are taken. */
static size_t push_flood(struct queue_fixture *fixture, struct service_call *calls, size_t n,
                         uint64_t caller, size_t n_commands)
{
    size_t n_taken = 0;
    while (n_taken < n) {
        calls[n_taken] = (struct service_call){.caller = caller, .n_commands = n_commands};
        if (!service_queue_push(&fixture->queue, &calls[n_taken])) {
            break;
        }
        n_taken++;
    }
    return n_taken;
}

static void a_caller_may_have_no_more_waiting_than_is_left_for_others(void **state)
{
    struct queue_fixture *fixture = *state;
    static struct service_call floods[4][BASE_QUEUE_MAX];
    struct service_call full = {.caller = 99, .n_commands = BASE_SUBMIT_MAX};
    struct service_call lone = {.caller = 98, .n_commands = 1};
    /* One alone has half; whoever comes next, half of what is left of it, and so on. */
    assert_int_equal(push_flood(fixture, floods[0], BASE_QUEUE_MAX, 1, 1), 8192);
    assert_int_equal(push_flood(fixture, floods[1], BASE_QUEUE_MAX, 2, 1), 4096);
    assert_int_equal(push_flood(fixture, floods[2], BASE_QUEUE_MAX, 3, BASE_SUBMIT_MAX), 2);
    assert_int_equal(push_flood(fixture, floods[3], BASE_QUEUE_MAX, 1, 1), 0);
    /* A quiet caller's Submit is taken whole beside three storms. */
    assert_true(service_queue_push(&fixture->queue, &full));
    assert_true(service_queue_push(&fixture->queue, &lone));
    /* What leaves makes room; lone and bulk calls count together. */
    size_t n_lone = 0;
    while (n_lone == 0 || fixture->queue.n_commands > BASE_BATCH_MAX) {
        n_lone += service_queue_take(&fixture->queue, fixture->taken);
    }
    while (service_queue_take(&fixture->queue, fixture->taken) > 0) {
    }
    assert_int_equal(push_flood(fixture, floods[0], 7, 1, BASE_SUBMIT_MAX), 7);
    assert_int_equal(push_flood(fixture, floods[1], BASE_QUEUE_MAX, 1, 1), BASE_SUBMIT_MAX);
    assert_false(
        service_queue_push(&fixture->queue, &(struct service_call){.caller = 1, .n_commands = 2}));
}

/* Storms that fill up again before each batch, in turn: how the room is shared at last. */
static void storms_settle_on_equal_shares_and_leave_one_more(void **state)
{
    struct queue_fixture *fixture = *state;
    enum { STORMS = 3 };
    static struct service_call calls[STORMS][BASE_QUEUE_MAX];
    size_t n_made[STORMS] = {0};
    for (int batch = 0; batch < 40; batch++) {
        for (size_t storm = 0; storm < STORMS; storm++) {
            bool taken = true;
            while (taken) {
                struct service_call *call = &calls[storm][n_made[storm]++ % BASE_QUEUE_MAX];
                *call = (struct service_call){.caller = storm, .n_commands = 1};
                taken = service_queue_push(&fixture->queue, call);
            }
            n_made[storm]--;
        }
        size_t left = BASE_QUEUE_MAX - fixture->queue.n_commands;
        assert_true(left > 0);
        assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), BASE_BATCH_MAX);
    }
    size_t left = BASE_QUEUE_MAX - fixture->queue.n_commands;
    for (size_t storm = 0; storm < STORMS; storm++) {
        size_t held = service_lines_held(&fixture->queue.lone, storm);
        assert_in_range(held, BASE_QUEUE_MAX / 4 - BASE_BATCH_MAX,
                        BASE_QUEUE_MAX / 4 + BASE_BATCH_MAX);
    }
    assert_in_range(left, BASE_QUEUE_MAX / 4 - BASE_BATCH_MAX,
                    BASE_QUEUE_MAX / 4 + 2 * BASE_BATCH_MAX);
}

/* As many callers as there can be, over and over: their lines are used again. */
static void every_waiting_command_may_be_another_callers(void **state)
{
    struct queue_fixture *fixture = *state;
    static struct service_call calls[BASE_QUEUE_MAX];
    for (uint64_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < BASE_QUEUE_MAX; i++) {
            calls[i] = (struct service_call){.caller = i * 977 + round, .n_commands = 1};
            assert_true(service_queue_push(&fixture->queue, &calls[i]));
        }
        for (size_t i = 0; i < BASE_QUEUE_MAX; i += BASE_BATCH_MAX) {
            assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), BASE_BATCH_MAX);
            assert_ptr_equal(fixture->taken[0], &calls[i]);
            assert_ptr_equal(fixture->taken[BASE_BATCH_MAX - 1], &calls[i + BASE_BATCH_MAX - 1]);
        }
        assert_int_equal(service_queue_take(&fixture->queue, fixture->taken), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_leave_in_their_order, open_queue, close_queue),
        cmocka_unit_test_setup_teardown(a_batch_is_as_small_as_the_store_asks_for, open_queue,
                                        close_queue),
        cmocka_unit_test_setup_teardown(bulk_does_not_starve_behind_lone_calls, open_queue,
                                        close_queue),
        cmocka_unit_test_setup_teardown(no_bulk_call_is_due_after_two, open_queue, close_queue),
        cmocka_unit_test_setup_teardown(callers_are_spread_over_the_buckets, open_queue,
                                        close_queue),
        cmocka_unit_test_setup_teardown(nobody_waits_behind_another_callers_flood, open_queue,
                                        close_queue),
        cmocka_unit_test_setup_teardown(the_limit_counts_commands_and_calls_are_taken_whole,
                                        open_queue, close_queue),
        cmocka_unit_test_setup_teardown(a_caller_may_have_no_more_waiting_than_is_left_for_others,
                                        open_queue, close_queue),
        cmocka_unit_test_setup_teardown(storms_settle_on_equal_shares_and_leave_one_more,
                                        open_queue, close_queue),
        cmocka_unit_test_setup_teardown(every_waiting_command_may_be_another_callers, open_queue,
                                        close_queue),
    };
    return cmocka_run_group_tests_name("service_queue", tests, NULL, NULL);
}
