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

/* Recovery writes, too: up to the write buffers, or the reserve where that is less. */
static void a_store_is_not_opened_to_write_where_there_is_no_room(void **state)
{
    struct rocksdb_test *test = *state;
    store_close(rocksdb_test_store(test));
    static const struct {
        uint64_t write_buffers_bytes;
        uint64_t reserve_bytes;
        bool opens;
    } rows[] = {{UINT64_MAX, UINT64_MAX, false},
                {64 * MIB, UINT64_MAX, true},
                {UINT64_MAX, 64 * MIB, true}};
    uint64_t ordinary_bytes = test->options.write_buffers_bytes;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test->options.write_buffers_bytes = rows[i].write_buffers_bytes;
        test->options.free_space_reserve_bytes = rows[i].reserve_bytes;
        struct store *store = rocksdb_test_store(test);
        assert_int_equal(store != NULL, rows[i].opens);
        if (store != NULL) {
            store_close(store);
        } else {
            assert_true(rocksdb_test_said(test, "MiB free and opening needs"));
            test->options.write_buffers_bytes = ordinary_bytes;
            store = rocksdb_test_store_to_read(test);
            assert_non_null(store);
            store_close(store);
        }
    }
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
        SPACE_TEST(a_store_is_not_opened_to_write_where_there_is_no_room),
        SPACE_TEST(writes_are_taken_again_when_space_returns),
    };
    return cmocka_run_group_tests_name("store/rocksdb: free space", tests, NULL, NULL);
}
