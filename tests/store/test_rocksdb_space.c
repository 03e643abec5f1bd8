/* store/rocksdb: below the reserve of free space nothing is written, and reads go on. */
#include "rocksdb_stores.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static enum store_fault commit_line(struct store *store, const char *line)
{
    return batch_run_lines(store, 0, 1, &line);
}

static void below_the_reserve_writes_are_refused_and_reads_go_on(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    const char *reason = NULL;
    assert_true(store_ready(store, &reason));
    rocksdb_test_fill(store, 1, 1);
    store_close(store);

    test->options.free_space_reserve_bytes = UINT64_MAX;
    store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_int_equal(commit_line(store, "add t2 alice points=1"), STORE_UNAVAILABLE);
    assert_int_equal(commit_line(store, "add t2 alice points=1"), STORE_UNAVAILABLE);
    /* A replay needs no space. */
    assert_int_equal(commit_line(store, "add t1 alice points=1"), STORE_OK);
    assert_false(rocksdb_test_has(test, store, "t2"));
    assert_true(rocksdb_test_has(test, store, "t1"));
    assert_false(store_ready(store, &reason));
    assert_non_null(strstr(reason, "free space"));
    store_close(store);

    test->options.free_space_reserve_bytes = MIB;
    store = rocksdb_test_store(test);
    assert_int_equal(commit_line(store, "add t2 alice points=1"), STORE_OK);
    store_close(store);
}

static void writes_are_taken_again_when_space_returns(void **state)
{
    struct rocksdb_test *test = *state;
    char path[PLACE_PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/ballast", test->place->path);
    struct statvfs disk;
    assert_int_equal(statvfs(test->place->path, &disk), 0);
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    /* The ballast is larger than what others on the machine may write or free meanwhile. */
    const uint64_t ballast_bytes = 2048 * MIB;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (free_bytes < 2 * ballast_bytes || posix_fallocate(fd, 0, (off_t)ballast_bytes) != 0) {
        (void)close(fd);
        skip();
    }
    test->options.free_space_reserve_bytes = free_bytes - ballast_bytes / 2;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    const char *reason;
    assert_int_equal(commit_line(store, "add t1 alice points=1"), STORE_UNAVAILABLE);
    assert_false(store_ready(store, &reason));
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(commit_line(store, "add t1 alice points=1"), STORE_OK);
    assert_true(store_ready(store, &reason));
    store_close(store);
}

#define SPACE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, rocksdb_test_open, rocksdb_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPACE_TEST(below_the_reserve_writes_are_refused_and_reads_go_on),
        SPACE_TEST(writes_are_taken_again_when_space_returns),
    };
    return cmocka_run_group_tests_name("store/rocksdb: free space", tests, NULL, NULL);
}
