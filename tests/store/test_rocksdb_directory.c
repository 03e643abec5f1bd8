/* store/rocksdb: its directory outlives a power cut; what of a mark and of CURRENT is damaged, and
 * what cannot be read. */
#include "rocksdb_stores.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* What syncs are counted of, and whether they fail. RocksDB's threads sync, too. */
static struct {
    _Atomic ino_t inode;
    atomic_uint n_syncs;
    atomic_bool fails;
} watched;

/* ThreadSanitizer takes an fstat in RocksDB's thread and our opening of another file under the same
 * descriptor for a race, since it does not see that RocksDB closed it in between; statx it lets
 * pass. */
static bool may_sync(int fd)
{
    struct statx file;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &file) != 0 || file.stx_ino != watched.inode) {
        return true;
    }
    watched.n_syncs++;
    return !watched.fails;
}

/* In the place of the C library's, for the store as for RocksDB. */
int fsync(int fd)
{
    if (!may_sync(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    if (!may_sync(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void watch(const char *path)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    watched.inode = file.st_ino;
    watched.n_syncs = 0;
    watched.fails = false;
}

static void a_new_stores_name_is_synced_whoever_made_its_directory(void **state)
{
    struct rocksdb_test *test = *state;
    watch(test->place->path);
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_int_equal(watched.n_syncs, 1);
    store_close(store);

    char directory[PLACE_PATH_MAX_BYTES];
    (void)snprintf(directory, sizeof directory, "%s/made", test->place->path);
    assert_int_equal(mkdir(directory, 0700), 0);
    test->options.directory = directory;
    store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_int_equal(watched.n_syncs, 2);
    store_close(store);

    /* It is once and for all. */
    store = rocksdb_test_store(test);
    assert_non_null(store);
    store_close(store);
    assert_int_equal(watched.n_syncs, 2);
}

static void a_name_that_cannot_be_synced_begins_no_store(void **state)
{
    struct rocksdb_test *test = *state;
    watch(test->place->path);
    watched.fails = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_null(rocksdb_test_store(test));
        assert_true(rocksdb_test_said(test, "cannot be synced"));
    }
    watched.fails = false;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    store_close(store);
}

/* What an opening says on standard error. */
static const char *said_while_opening(struct rocksdb_test *test)
{
    static char said[4096];
    char path[PLACE_PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/said", test->place->path);
    int kept_fd = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(kept_fd >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    struct store *store = rocksdb_test_store(test);
    assert_int_equal(dup2(kept_fd, STDERR_FILENO), STDERR_FILENO);
    assert_non_null(store);
    store_close(store);
    ssize_t length = pread(fd, said, sizeof said - 1, 0);
    assert_true(length >= 0);
    said[length] = '\0';
    (void)close(fd);
    (void)close(kept_fd);
    return said;
}

static void a_missing_mark_is_told_where_something_could_be_lost(void **state)
{
    struct rocksdb_test *test = *state;
    assert_null(strstr(said_while_opening(test), "warning"));
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    rocksdb_test_fill(store, 1, 2);
    store_close(store);
    place_remove_file(test->place, "zandaka.mark");
    assert_non_null(strstr(said_while_opening(test), "zandaka.mark is missing"));
    /* It is there again. */
    assert_null(strstr(said_while_opening(test), "warning"));
}

static size_t count_open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    size_t n = 0;
    while (readdir(directory) != NULL) {
        n++;
    }
    (void)closedir(directory);
    return n;
}

/* Small buffers, so that tables are written and the manifest grows while the store is open. */
static void use_and_close(struct rocksdb_test *test, int first)
{
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    rocksdb_test_fill(store, first, 50);
    store_close(store);
    store = rocksdb_test_store_to_read(test);
    assert_non_null(store);
    store_close(store);
}

static void a_store_leaves_no_file_open(void **state)
{
    struct rocksdb_test *test = *state;
    test->options.write_buffers_bytes = 65536;
    use_and_close(test, 1); /* what the libraries open once stays open */
    size_t n_before = count_open_files();
    for (int i = 1; i <= 5; i++) {
        use_and_close(test, 1 + 50 * i);
    }
    assert_int_equal(count_open_files(), n_before);
    /* Nor does one whose mark is damaged, nor one that is refused. */
    for (int i = 6; i <= 8; i++) {
        place_cut_file(test->place, "zandaka.mark", 10);
        use_and_close(test, 1 + 50 * i);
    }
    assert_int_equal(count_open_files(), n_before);
    place_remove_file(test->place, "CURRENT");
    for (int i = 0; i < 5; i++) {
        assert_null(rocksdb_test_store(test));
    }
    assert_int_equal(count_open_files(), n_before);
}

static void a_directory_that_is_made_is_its_owners_alone(void **state)
{
    struct rocksdb_test *test = *state;
    char directory[PLACE_PATH_MAX_BYTES];
    (void)snprintf(directory, sizeof directory, "%s/made", test->place->path);
    test->options.directory = directory;
    mode_t mask = umask(0);
    struct store *store = rocksdb_test_store(test);
    (void)umask(mask);
    assert_non_null(store);
    store_close(store);
    struct stat made;
    assert_int_equal(stat(directory, &made), 0);
    assert_int_equal(made.st_mode & 07777, 0700);
}

/* The path of a file of the store; valid until the next call. */
static const char *path_of(const struct rocksdb_test *test, const char *name)
{
    static char path[2 * PLACE_PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", test->place->store, name);
    return path;
}

static void make_filled_store(struct rocksdb_test *test)
{
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    rocksdb_test_fill(store, 1, 2);
    store_close(store);
}

static void assert_refused(struct rocksdb_test *test, const char *words)
{
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, words));
    assert_null(rocksdb_test_store_to_read(test));
    assert_true(rocksdb_test_said(test, words));
}

/* One that is missing or damaged keeps no store from opening, but what stands in one that cannot
 * be read may be right (contract 3.12). */
static void a_mark_that_cannot_be_read_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    make_filled_store(test);
    place_remove_file(test->place, "zandaka.mark");
    assert_int_equal(symlink("zandaka.mark", path_of(test, "zandaka.mark")), 0);
    assert_refused(test, "zandaka.mark cannot be read");
    place_remove_file(test->place, "zandaka.mark");
    assert_int_equal(mkdir(path_of(test, "zandaka.mark"), 0700), 0);
    assert_refused(test, "zandaka.mark cannot be read");
    assert_int_equal(rmdir(path_of(test, "zandaka.mark")), 0);
}

static void each_batch_is_synced_before_its_commit_ends(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    rocksdb_test_fill(store, 1, 1);
    watch(path_of(test, place_find_file(test->place, ".log")));
    for (unsigned i = 1; i <= 3; i++) {
        rocksdb_test_fill(store, 1 + (int)i, 1);
        assert_int_equal(watched.n_syncs, i);
    }
    store_close(store);
}

static void a_mark_that_cannot_be_synced_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    make_filled_store(test);
    size_t n_before = count_open_files();
    watch(path_of(test, "zandaka.mark"));
    watched.fails = true;
    for (int i = 0; i < 3; i++) {
        assert_null(rocksdb_test_store(test));
        assert_true(rocksdb_test_said(test, "zandaka.mark cannot be written: Input/output error"));
    }
    watched.fails = false;
    assert_int_equal(count_open_files(), n_before);
    store_close(rocksdb_test_store(test));
}

static void a_mark_that_lost_all_it_held_is_damaged(void **state)
{
    struct rocksdb_test *test = *state;
    make_filled_store(test);
    place_cut_file(test->place, "zandaka.mark", 0);
    assert_non_null(strstr(said_while_opening(test), "zandaka.mark is damaged"));
    assert_null(strstr(said_while_opening(test), "warning"));
}

static void write_current(const struct rocksdb_test *test, const char *text)
{
    int fd = open(path_of(test, "CURRENT"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

/* What is damaged is restored, what cannot be read may come back by itself. */
static void what_names_the_manifest_is_damaged_or_cannot_be_read(void **state)
{
    struct rocksdb_test *test = *state;
    static const char *const names[] = {
        "",
        "nonsense\n",
        "MANIFEST-\n",
        "MANIFEST-x\n",
        "MANIFEST-999999\n",
        "MANIFEST-000001\n",
        "MANIFEST-0000000000000000000000000000000000000000000000000000000000000000000000001\n"};
    make_filled_store(test);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write_current(test, names[i]);
        assert_refused(test, "is damaged: its manifest (CURRENT");
    }
    write_current(test, "MANIFEST-999999\n");
    assert_int_equal(symlink("MANIFEST-999999", path_of(test, "MANIFEST-999999")), 0);
    assert_refused(test, "the manifest in");
    place_remove_file(test->place, "CURRENT");
    assert_int_equal(mkdir(path_of(test, "CURRENT"), 0700), 0);
    assert_refused(test, "the manifest in");
    assert_int_equal(rmdir(path_of(test, "CURRENT")), 0);
}

#define DIRECTORY_TEST(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, rocksdb_test_open, rocksdb_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(a_new_stores_name_is_synced_whoever_made_its_directory),
        DIRECTORY_TEST(a_name_that_cannot_be_synced_begins_no_store),
        DIRECTORY_TEST(a_missing_mark_is_told_where_something_could_be_lost),
        DIRECTORY_TEST(a_store_leaves_no_file_open),
        DIRECTORY_TEST(a_directory_that_is_made_is_its_owners_alone),
        DIRECTORY_TEST(a_mark_that_cannot_be_read_is_refused),
        DIRECTORY_TEST(each_batch_is_synced_before_its_commit_ends),
        DIRECTORY_TEST(a_mark_that_cannot_be_synced_is_refused),
        DIRECTORY_TEST(a_mark_that_lost_all_it_held_is_damaged),
        DIRECTORY_TEST(what_names_the_manifest_is_damaged_or_cannot_be_read),
    };
    return cmocka_run_group_tests_name("store/rocksdb: the directory", tests, NULL, NULL);
}
