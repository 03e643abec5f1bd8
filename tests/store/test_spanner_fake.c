/*
 * store: what Cloud Spanner does and its official emulator does not, on a FAKE (fake_spanner.h):
 * multiplexed sessions with precommit tokens, aborted transactions that say how long to wait,
 * answers that are lost, streams that break, sessions that are dropped. Each test ends with the
 * fake's judgement of what it was sent: headers, tokens, and that each commit can be repeated.
 */
#include "batch.h"
#include "fake_spanner.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EXIT_SKIPPED 77
#define NOW_US INT64_C(1764028800000000)
#define SEED 20261130

static const struct ledger_kinds kinds = {
    .n_kinds = 1,
    .kinds = {{.code = {"points", 6},
               .max_balance_minor = INT64_MAX,
               .max_amount_minor = BASE_AMOUNT_MAX}},
};

struct world {
    struct base_arena arena;
    struct base_text url;
    struct store *stores[2]; /* two servers */
};

static int open_world(void **state)
{
    struct world *world = base_allocate_zeroed(1, sizeof *world);
    fake_spanner_command("seed %d", SEED);
    world->url = fake_spanner_database(&world->arena);
    for (int i = 0; i < 2; i++) {
        world->stores[i] = fake_spanner_store(world->url, &kinds);
    }
    fake_spanner_command("clear");
    *state = world;
    return 0;
}

static int open_world_of_ordinary_sessions(void **state)
{
    fake_spanner_command("multiplexed no");
    return open_world(state);
}

static int close_world(void **state)
{
    struct world *world = *state;
    long n_violations = fake_spanner_count("violations");
    fake_spanner_command("clear");
    fake_spanner_command("multiplexed yes");
    for (int i = 0; i < 2; i++) {
        store_close(world->stores[i]);
    }
    base_arena_release(&world->arena);
    free(world);
    return n_violations == 0 ? 0 : -1;
}

static enum store_fault run_line(struct store *store, const char *line)
{
    return batch_run_lines(store, NOW_US, 1, &line);
}

static struct batch *loaded(struct store *store, const char *line)
{
    struct batch *batch = batch_open(&kinds);
    batch_add_line(batch, line);
    assert_int_equal(batch_load(batch, store), STORE_OK);
    batch_decide(batch, NOW_US);
    return batch;
}

static int64_t balance_of(struct world *world, const char *account_id)
{
    struct base_text id = base_text_of(account_id);
    struct ledger_account account;
    assert_int_equal(store_read_accounts(world->stores[1], 1, &id, &world->arena, &account),
                     STORE_OK);
    return account.balances[0].available_minor;
}

static bool is_recorded(struct world *world, const char *transaction_id)
{
    bool found;
    struct base_bytes record;
    assert_int_equal(store_read_transaction(world->stores[1], base_text_of(transaction_id),
                                            &world->arena, &found, &record),
                     STORE_OK);
    return found;
}

/* --- a commit whose answer does not come --- */

/* The first Commit gets the fault; what the batch is told, how many Commits there were, and that it
 * is there exactly once. */
static void assert_commit(struct world *world, const char *fault, enum store_fault told,
                          long n_commits, bool recorded)
{
    fake_spanner_command("clear");
    fake_spanner_command("script Commit %s 1", fault);
    struct base_text line = base_arena_print(&world->arena, "add %s alice points=5", fault);
    int64_t before = balance_of(world, "alice");
    if (run_line(world->stores[0], line.bytes) != told) {
        fail_msg("%s: told something else", fault);
    }
    if (fake_spanner_count("calls Commit") != n_commits) {
        fail_msg("%s: %ld commits", fault, fake_spanner_count("calls Commit"));
    }
    assert_int_equal(is_recorded(world, fault), recorded);
    assert_int_equal(balance_of(world, "alice"), before + (recorded ? 5 : 0));
    /* To ask again is always safe. */
    assert_int_equal(run_line(world->stores[0], line.bytes), STORE_OK);
    assert_int_equal(balance_of(world, "alice"), before + 5);
}

static void a_commit_whose_answer_is_lost_is_repeated_and_found_done(void **state)
{
    static const char *const faults[] = {"lost", "lost_reset", "lost_unknown", "lost_connection"};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        assert_commit(*state, faults[i], STORE_OK, 2, true);
    }
}

static void a_commit_that_did_not_happen_is_repeated(void **state)
{
    static const char *const faults[] = {"unsent", "unsent_reset", "unsent_unknown",
                                         "unsent_connection"};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        assert_commit(*state, faults[i], STORE_OK, 2, true);
    }
}

static void a_commit_that_the_server_has_forgotten_is_unknown(void **state)
{
    assert_commit(*state, "lost_forgotten", STORE_UNKNOWN, 2, true);
}

/* What the second attempt is told may be about a transaction that has ended by the first. */
static void a_commit_that_may_have_happened_stays_unknown_whatever_comes_then(void **state)
{
    struct world *world = *state;
    fake_spanner_command("script Commit unsent 1");
    fake_spanner_command("script Commit aborted 1");
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_UNKNOWN);
    assert_false(is_recorded(world, "t1"));
    fake_spanner_command("script Commit lost 1");
    fake_spanner_command("script Commit session 1");
    assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_UNKNOWN);
    assert_true(is_recorded(world, "t2"));
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_OK);
    assert_int_equal(balance_of(world, "alice"), 10);
}

/* --- precommit tokens --- */

static void a_commit_that_is_answered_with_a_token_comes_back_without_its_mutations(void **state)
{
    struct world *world = *state;
    fake_spanner_command("script Commit token 3");
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    assert_int_equal(fake_spanner_count("calls Commit"), 4);
    assert_int_equal(balance_of(world, "alice"), 5);
}

static void a_commit_comes_back_with_so_many_tokens_and_is_unknown_beyond(void **state)
{
    struct world *world = *state;
    fake_spanner_command("script Commit token %d", BASE_SPANNER_COMMIT_TOKENS_MAX);
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    assert_int_equal(fake_spanner_count("calls Commit"), BASE_SPANNER_COMMIT_TOKENS_MAX + 1);
    fake_spanner_command("clear");
    fake_spanner_command("script Commit token %d", BASE_SPANNER_COMMIT_TOKENS_MAX + 1);
    assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_UNKNOWN);
    assert_int_equal(fake_spanner_count("calls Commit"), BASE_SPANNER_COMMIT_TOKENS_MAX + 1);
    assert_int_equal(balance_of(world, "alice"), 5);
    /* To ask again is always safe. */
    assert_int_equal(run_line(world->stores[0], "add t2 alice points=5"), STORE_OK);
    assert_int_equal(balance_of(world, "alice"), 10);
}

/* The answers carry tokens in any order. With 40 accounts there are several messages. */
static void a_commit_shows_the_newest_token(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 10; round++) {
        struct batch *batch = batch_open(&kinds);
        for (int i = 0; i < 40; i++) {
            batch_add_line(batch, base_arena_print(&world->arena, "add t%d-%d account-%d points=5",
                                                   round, i, i)
                                      .bytes);
        }
        assert_int_equal(batch_run(batch, world->stores[0], NOW_US), STORE_OK);
        batch_close(batch);
    }
    assert_int_equal(balance_of(world, "account-39"), 50);
}

/* --- aborted transactions --- */

static void an_aborted_batch_is_a_conflict_and_the_next_names_it(void **state)
{
    static const char *const methods[] = {"Commit", "StreamingRead"};
    static const char *const faults[] = {"aborted", "aborted_bare"};
    struct world *world = *state;
    int64_t expected = 0;
    for (int method = 0; method < 2; method++) {
        for (int fault = 0; fault < 2; fault++) {
            fake_spanner_command("clear");
            fake_spanner_command("script %s %s 1", methods[method], faults[fault]);
            struct base_text line =
                base_arena_print(&world->arena, "add t-%d-%d alice points=5", method, fault);
            assert_int_equal(run_line(world->stores[0], line.bytes), STORE_CONFLICT);
            assert_int_equal(balance_of(world, "alice"), expected);
            expected += 5;
            assert_int_equal(run_line(world->stores[0], line.bytes), STORE_OK);
            assert_int_equal(balance_of(world, "alice"), expected);
            /* One that was aborted before it had told its id has no name. */
            if (method == 0) {
                assert_int_equal(fake_spanner_count("previous"), 1);
            }
        }
    }
}

/* The fake judges by its own clock whether the next attempt comes too soon. Longer than what is
 * waited when nobody says how long. */
static void an_aborted_batch_waits_as_long_as_it_is_told(void **state)
{
    struct world *world = *state;
    fake_spanner_command("delay %d", 2 * BASE_SPANNER_ABORTED_WAIT_FIRST_MS);
    fake_spanner_command("script Commit aborted 1");
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_CONFLICT);
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    assert_int_equal(fake_spanner_count("previous"), 1);
}

static void what_another_server_changed_is_a_conflict_for_refusals_too(void **state)
{
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    struct batch *refused = loaded(world->stores[0], "consume t2 alice points=7");
    assert_int_equal(refused->outcomes[0].result, LEDGER_REFUSED);
    assert_int_equal(run_line(world->stores[1], "add t3 alice points=5"), STORE_OK);
    assert_int_equal(batch_commit(refused, world->stores[0]), STORE_CONFLICT);
    batch_close(refused);
    assert_int_equal(run_line(world->stores[0], "consume t2 alice points=7"), STORE_OK);
    assert_int_equal(balance_of(world, "alice"), 3);
}

static void an_id_that_another_server_records_is_a_conflict(void **state)
{
    struct world *world = *state;
    struct batch *second = loaded(world->stores[0], "add t1 bob points=5");
    assert_int_equal(run_line(world->stores[1], "add t1 alice points=5"), STORE_OK);
    assert_int_equal(batch_commit(second, world->stores[0]), STORE_CONFLICT);
    batch_close(second);
    assert_int_equal(balance_of(world, "bob"), 0);
}

static void begins_by_reads(struct world *world, int expected)
{
    static const char *const lines[] = {"add t1 alice points=5", "add t2 alice points=5",
                                        "add t3 bob points=5"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(run_line(world->stores[0], lines[i]), STORE_OK);
    }
    assert_int_equal(fake_spanner_count("begun"), expected);
}

/* So that all its reads go out at once. */
static void a_transaction_is_begun_beside_the_commit_of_the_one_before(void **state)
{
    begins_by_reads(*state, 1);
}

static void an_ordinary_session_has_one_transaction_at_a_time(void **state)
{
    begins_by_reads(*state, 3);
}

static void what_is_given_up_is_rolled_back(void **state)
{
    struct world *world = *state;
    struct batch *batch = loaded(world->stores[0], "add t1 alice points=5");
    store_abandon(world->stores[0], 0, &batch->facts);
    batch_close(batch);
    assert_int_equal(fake_spanner_count("calls Rollback"), 1);
    assert_int_equal(fake_spanner_count("calls Commit"), 0);
}

/* --- streams that break --- */

static void a_stream_that_breaks_goes_on_where_it_was(void **state)
{
    static const char *const faults[] = {"cut", "cut_reset", "cut_connection"};
    enum { N = 30 };
    struct world *world = *state;
    char ids[N][16];
    struct base_text texts[N];
    struct batch *batch = batch_open(&kinds);
    for (int i = 0; i < N; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "account-%d", i);
        texts[i] = base_text_of(ids[i]);
        batch_add_line(
            batch,
            base_arena_print(&world->arena, "add t%d %s points=%d", i, ids[i], 1000 + i).bytes);
    }
    assert_int_equal(batch_run(batch, world->stores[0], NOW_US), STORE_OK);
    batch_close(batch);
    for (int round = 0; round < 60; round++) {
        fake_spanner_command("script StreamingRead %s %d", faults[round % 3], 1 + round % 2);
        struct ledger_account accounts[N];
        assert_int_equal(store_read_accounts(world->stores[0], N, texts, &world->arena, accounts),
                         STORE_OK);
        for (int i = 0; i < N; i++) {
            assert_int_equal(accounts[i].balances[0].available_minor, 1000 + i);
        }
        fake_spanner_command("script StreamingRead %s 1", faults[round % 3]);
        struct base_text line = base_arena_print(&world->arena, "add r%d bob points=1", round);
        assert_int_equal(run_line(world->stores[0], line.bytes), STORE_OK);
    }
    assert_int_equal(balance_of(world, "bob"), 60);
}

/* On ordinary sessions each batch's first read begins its transaction. */
static void a_read_that_breaks_before_it_has_begun_one_begins_another(void **state)
{
    static const char *const faults[] = {"unavailable", "cut", "cut_reset", "cut_connection"};
    struct world *world = *state;
    for (int round = 0; round < 12; round++) {
        fake_spanner_command("script StreamingRead %s %d", faults[round % 4], 1 + round % 2);
        struct base_text line = base_arena_print(&world->arena, "add r%d bob points=1", round);
        assert_int_equal(run_line(world->stores[0], line.bytes), STORE_OK);
    }
    assert_int_equal(balance_of(world, "bob"), 12);
}

static void closed_connections_are_opened_again_without_a_word(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 5; round++) {
        fake_spanner_command("cut");
        struct base_text line = base_arena_print(&world->arena, "add t%d alice points=1", round);
        assert_int_equal(run_line(world->stores[0], line.bytes), STORE_OK);
        assert_int_equal(balance_of(world, "alice"), round + 1);
    }
}

/* --- sessions that are dropped --- */

static enum store_fault run_until_done(struct store *store, const char *line)
{
    enum store_fault fault = STORE_UNAVAILABLE;
    for (int i = 0; i < 3000 && fault != STORE_OK; i++) {
        fault = run_line(store, line);
        (void)usleep(1000);
    }
    return fault;
}

static void a_dropped_session_is_replaced_and_nothing_is_written_in_it(void **state)
{
    struct world *world = *state;
    fake_spanner_command("script Commit session 1");
    enum store_fault fault = run_line(world->stores[0], "add t1 alice points=5");
    assert_true(fault == STORE_UNAVAILABLE || fault == STORE_CONFLICT);
    assert_false(is_recorded(world, "t1"));
    assert_int_equal(run_until_done(world->stores[0], "add t1 alice points=5"), STORE_OK);
    fake_spanner_command("script StreamingRead session 1");
    assert_int_equal(run_until_done(world->stores[0], "add t2 alice points=5"), STORE_OK);
    assert_true(fake_spanner_count("calls CreateSession") >= 2);
    assert_int_equal(balance_of(world, "alice"), 10);
}

/* What comes in between says nothing of the database. */
static void a_store_is_opened_though_a_session_is_dropped_or_a_call_refused(void **state)
{
    static const char *const faults[] = {"StreamingRead session", "StreamingRead unavailable",
                                         "CreateSession unavailable", "BeginTransaction session",
                                         "BeginTransaction unavailable"};
    struct world *world = *state;
    assert_int_equal(run_line(world->stores[0], "add t1 alice points=5"), STORE_OK);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        /* One to serve, and one to read. */
        for (int reads = 0; reads < 2; reads++) {
            fake_spanner_command("script %s 1", faults[i]);
            struct store *store = fake_spanner_store(world->url, reads ? NULL : &kinds);
            store_close(store);
            fake_spanner_command("clear");
        }
    }
}

/* --- all of it at once --- */

static void set_rates(double rate)
{
    static const char *const pairs[] = {"StreamingRead unavailable",
                                        "StreamingRead session",
                                        "StreamingRead aborted",
                                        "StreamingRead aborted_bare",
                                        "StreamingRead cut",
                                        "StreamingRead cut_reset",
                                        "StreamingRead cut_connection",
                                        "Commit unavailable",
                                        "Commit session",
                                        "Commit aborted",
                                        "Commit aborted_bare",
                                        "Commit lost",
                                        "Commit lost_reset",
                                        "Commit lost_unknown",
                                        "Commit lost_connection",
                                        "Commit lost_forgotten",
                                        "Commit unsent",
                                        "Commit unsent_reset",
                                        "Commit unsent_unknown",
                                        "Commit unsent_connection",
                                        "Rollback unavailable",
                                        "CreateSession unavailable",
                                        "Commit token"};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        fake_spanner_command("rate %s %f", pairs[i], rate);
    }
}

enum { STORM_IDS = 120, STORM_ACCOUNTS = 4, STORM_THREADS = 4 };

struct caller {
    pthread_t thread;
    struct store *store; /* a server of its own */
    unsigned first;      /* the id that it begins with */
    unsigned n_failed;
};

/* Each id is asked for by every caller, in another order, until it is told that it is done: once
 * as a success, else as a replay. */
static void *call(void *argument)
{
    struct caller *caller = argument;
    for (unsigned i = 0; i < STORM_IDS; i++) {
        unsigned id = (caller->first + i * 7) % STORM_IDS;
        char line[64];
        (void)snprintf(line, sizeof line, "add t%u account-%u points=%u", id, id % STORM_ACCOUNTS,
                       id + 1);
        enum store_fault fault = STORE_CONFLICT;
        for (int attempt = 0; attempt < 3000 && fault != STORE_OK; attempt++) {
            struct batch *batch = batch_open(&kinds);
            batch_add_line(batch, line);
            fault = store_load(caller->store, 0, &batch->facts);
            if (fault == STORE_OK) {
                batch_decide(batch, NOW_US);
                fault = store_commit(caller->store, 0, &batch->facts);
            }
            batch_close(batch);
            if (fault == STORE_UNAVAILABLE) {
                (void)usleep(1000); /* as long as it waits with the next attempt to connect */
            }
        }
        caller->n_failed += fault != STORE_OK;
    }
    return NULL;
}

static void run_storm(struct world *world)
{
    struct caller callers[STORM_THREADS];
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        callers[i] = (struct caller){.store = fake_spanner_store(world->url, &kinds),
                                     .first = i * (STORM_IDS / STORM_THREADS)};
    }
    set_rates(0.01);
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        base_assert(pthread_create(&callers[i].thread, NULL, call, &callers[i]) == 0);
    }
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        base_assert(pthread_join(callers[i].thread, NULL) == 0);
    }
    long n_violations = fake_spanner_count("violations");
    long n_faults = fake_spanner_count("faults");
    fake_spanner_command("clear");
    assert_int_equal(n_violations, 0);
    assert_true(n_faults > 0);
    for (unsigned i = 0; i < STORM_THREADS; i++) {
        assert_int_equal(callers[i].n_failed, 0);
        store_close(callers[i].store);
    }
    int64_t expected[STORM_ACCOUNTS] = {0};
    for (int id = 0; id < STORM_IDS; id++) {
        expected[id % STORM_ACCOUNTS] += id + 1;
    }
    for (int i = 0; i < STORM_ACCOUNTS; i++) {
        char account[16];
        (void)snprintf(account, sizeof account, "account-%d", i);
        assert_int_equal(balance_of(world, account), expected[i]);
    }
}

static void under_every_fault_each_id_takes_effect_once(void **state)
{
    run_storm(*state);
}

static void under_every_fault_each_id_takes_effect_once_on_ordinary_sessions(void **state)
{
    run_storm(*state);
}

#define FAKE_TEST(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TEST(a_commit_whose_answer_is_lost_is_repeated_and_found_done),
        FAKE_TEST(a_commit_that_did_not_happen_is_repeated),
        FAKE_TEST(a_commit_that_the_server_has_forgotten_is_unknown),
        FAKE_TEST(a_commit_that_may_have_happened_stays_unknown_whatever_comes_then),
        FAKE_TEST(a_commit_that_is_answered_with_a_token_comes_back_without_its_mutations),
        FAKE_TEST(a_commit_comes_back_with_so_many_tokens_and_is_unknown_beyond),
        FAKE_TEST(a_commit_shows_the_newest_token),
        FAKE_TEST(an_aborted_batch_is_a_conflict_and_the_next_names_it),
        FAKE_TEST(an_aborted_batch_waits_as_long_as_it_is_told),
        FAKE_TEST(what_another_server_changed_is_a_conflict_for_refusals_too),
        FAKE_TEST(an_id_that_another_server_records_is_a_conflict),
        FAKE_TEST(a_transaction_is_begun_beside_the_commit_of_the_one_before),
        cmocka_unit_test_setup_teardown(an_ordinary_session_has_one_transaction_at_a_time,
                                        open_world_of_ordinary_sessions, close_world),
        FAKE_TEST(what_is_given_up_is_rolled_back),
        FAKE_TEST(a_stream_that_breaks_goes_on_where_it_was),
        cmocka_unit_test_setup_teardown(a_read_that_breaks_before_it_has_begun_one_begins_another,
                                        open_world_of_ordinary_sessions, close_world),
        FAKE_TEST(closed_connections_are_opened_again_without_a_word),
        FAKE_TEST(a_dropped_session_is_replaced_and_nothing_is_written_in_it),
        FAKE_TEST(a_store_is_opened_though_a_session_is_dropped_or_a_call_refused),
        FAKE_TEST(under_every_fault_each_id_takes_effect_once),
        cmocka_unit_test_setup_teardown(
            under_every_fault_each_id_takes_effect_once_on_ordinary_sessions,
            open_world_of_ordinary_sessions, close_world),
    };
    if (!fake_spanner_is_present()) {
        return EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
