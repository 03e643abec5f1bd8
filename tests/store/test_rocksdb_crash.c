/*
 * store/rocksdb: what was told to be committed is there after the process was killed, or stopped
 * itself, at any moment (contract 3.12).
 *
 * RocksDB's threads do not survive a fork, so this program never opens a store itself: one child
 * writes and dies, another looks.
 */
#include "rocksdb_stores.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Batches that a child writes at the most. */
#define N_BATCHES_MAX 5000

/* Commits batch after batch and tells the number of each, once committed, through the pipe. */
static void write_until_killed(struct rocksdb_test *test, int round, int told_fd)
{
    struct store *store = rocksdb_test_store(test);
    base_assert(store != NULL);
    for (int i = 1; i <= N_BATCHES_MAX; i++) {
        rocksdb_test_fill(store, round * N_BATCHES_MAX + i, 1);
        base_assert(write(told_fd, &i, sizeof i) == sizeof i);
    }
}

/* Whether the store has the first `told` batches of a round, gapless, and a balance that is the sum
 * of all. */
static void look(struct rocksdb_test *test, size_t n_rounds, const int *told)
{
    struct store *store = rocksdb_test_store(test);
    base_assert(store != NULL);
    for (size_t round = 0; round < n_rounds; round++) {
        for (int i = 1; i <= told[round]; i++) {
            char id[32];
            (void)snprintf(id, sizeof id, "t%d", (int)round * N_BATCHES_MAX + i);
            base_assert(rocksdb_test_has(test, store, id));
        }
    }
    struct store_cursor *cursor = store_cursor_open(store, STORE_TABLE_JOURNAL);
    bool found = true;
    uint64_t n = 0;
    for (;;) {
        struct store_row row;
        base_assert(store_cursor_next(cursor, &found, &row) == STORE_OK);
        if (!found) {
            break;
        }
        base_assert(row.position == ++n);
    }
    store_cursor_close(cursor);
    struct base_text alice = BASE_TEXT("alice");
    struct ledger_account account;
    base_assert(store_read_accounts(store, 1, &alice, &test->arena, &account) == STORE_OK);
    base_assert(account.version == (int64_t)n);
    base_assert(account.balances[0].available_minor == (int64_t)n);
    store_close(store);
}

/* Ends without exit handlers: they are the parent's. */
static int wait_for(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_looks_well(struct rocksdb_test *test, size_t n_rounds, const int *told)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        look(test, n_rounds, told);
        _exit(0);
    }
    assert_int_equal(wait_for(child), 0);
}

/* The last number that came through the pipe, until `enough`, or until it is closed. */
static int listen(int told_fd, int enough, int told)
{
    int i;
    while (told < enough && read(told_fd, &i, sizeof i) == sizeof i) {
        told = i;
    }
    return told;
}

static void what_was_committed_outlives_being_killed(void **state)
{
    struct rocksdb_test *test = *state;
    static const int killed_after[] = {0, 1, 7, 40, 150, 3, 90};
    int told[sizeof killed_after / sizeof killed_after[0]];
    for (size_t round = 0; round < sizeof told / sizeof told[0]; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ends[0]);
            write_until_killed(test, (int)round, ends[1]);
            _exit(0);
        }
        assert_int_equal(close(ends[1]), 0);
        told[round] = listen(ends[0], killed_after[round], 0);
        assert_int_equal(kill(child, SIGKILL), 0);
        /* What was told before the end counts too. */
        told[round] = listen(ends[0], N_BATCHES_MAX, told[round]);
        assert_int_equal(close(ends[0]), 0);
        assert_true(WIFSIGNALED(wait_for(child)));
        assert_true(told[round] >= killed_after[round]);
        assert_looks_well(test, round + 1, told);
    }
}

static void a_failed_write_stops_the_process_and_loses_nothing_told(void **state)
{
    struct rocksdb_test *test = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* The log may not grow beyond this, as on a device that fails. */
        struct rlimit limit = {32768, 32768};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)close(ends[0]);
        base_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        base_assert(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) == 0);
        write_until_killed(test, 0, ends[1]);
        _exit(0);
    }
    assert_int_equal(close(ends[1]), 0);
    int told = listen(ends[0], N_BATCHES_MAX, 0);
    assert_int_equal(close(ends[0]), 0);
    int status = wait_for(child);
    assert_int_not_equal(status, 0);
    assert_true(told > 0 && told < N_BATCHES_MAX);
    assert_looks_well(test, 1, &told);
}

#define CRASH_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, rocksdb_test_open, rocksdb_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CRASH_TEST(what_was_committed_outlives_being_killed),
        CRASH_TEST(a_failed_write_stops_the_process_and_loses_nothing_told),
    };
    return cmocka_run_group_tests_name("store/rocksdb: crashes", tests, NULL, NULL);
}
