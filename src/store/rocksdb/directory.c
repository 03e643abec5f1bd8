#include "store/rocksdb/database.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct base_text open_failure(const char *directory, bool read_only, int error,
                                     struct base_arena *arena)
{
    switch (error) {
    case ENOENT:
        return read_only
                   ? base_arena_print(arena, "no store there: the directory %s does not exist",
                                      directory)
                   : base_arena_print(arena,
                                      "the directory %s cannot be made: the one above it does not "
                                      "exist; make that first",
                                      directory);
    case ENOTDIR:
        return base_arena_print(
            arena, "%s is not a directory; the store needs a directory of its own", directory);
    case EACCES:
    case EPERM:
        return base_arena_print(arena,
                                "no permission for the directory %s; run as the user that owns it, "
                                "or give it to the user that runs this",
                                directory);
    default:
        return base_arena_print(arena, "the directory %s cannot be opened: %s", directory,
                                strerror(error));
    }
}

int store_rocksdb_directory_open(const char *directory, bool read_only, struct base_arena *arena,
                                 struct base_text *ret_message)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !read_only && mkdir(directory, 0700) == 0) {
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0) {
        *ret_message = open_failure(directory, read_only, errno, arena);
        return -1;
    }
    /* The lock is on the directory itself: reading needs no file to be made for it, and a copy of
     * the directory carries no lock along. RocksDB's own lock keeps only writers apart, and would
     * let a reader see a store while it changes. */
    if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        *ret_message =
            errno == EWOULDBLOCK
                ? base_arena_print(arena,
                                   "the store in %s is in use by another process; stop that one "
                                   "first, or use another directory",
                                   directory)
                : base_arena_print(arena, "the directory %s cannot be locked: %s", directory,
                                   strerror(errno));
        (void)close(fd);
        return -1;
    }
    return fd;
}

void store_rocksdb_directory_close(int directory_fd)
{
    if (directory_fd >= 0) {
        (void)close(directory_fd);
    }
}

bool store_rocksdb_directory_sync_name(int directory_fd)
{
    int parent_fd = openat(directory_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd < 0) {
        /* Whoever may pass through a directory need not be able to list it. */
        return errno == EACCES && syncfs(directory_fd) == 0;
    }
    bool synced = fsync(parent_fd) == 0;
    int error = errno;
    (void)close(parent_fd);
    errno = error;
    return synced;
}

/* What RocksDB makes before a database has its beginning (CURRENT), and nobody misses: a creation
 * that was interrupted may be made again over it. */
static bool is_left_by_creation(const char *name)
{
    static const char *const prefixes[] = {"LOCK", "LOG", "IDENTITY", "MANIFEST-"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    const char *suffix = strrchr(name, '.');
    return (suffix != NULL && strcmp(suffix, ".dbtmp") == 0) || strcmp(name, "lost+found") == 0;
}

bool store_rocksdb_directory_look(int directory_fd, enum store_rocksdb_contents *ret_contents)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    DIR *listing = fdopendir(fd);
    if (listing == NULL) {
        (void)close(fd);
        return false;
    }
    bool has_beginning = false;
    bool has_other = false;
    errno = 0;
    for (struct dirent *file = readdir(listing); file != NULL; file = readdir(listing)) {
        if (strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0) {
            continue;
        }
        if (strcmp(file->d_name, "CURRENT") == 0) {
            has_beginning = true;
        } else if (!is_left_by_creation(file->d_name)) {
            has_other = true;
        }
    }
    int error = errno;
    (void)closedir(listing);
    if (error != 0) {
        errno = error;
        return false;
    }
    *ret_contents = has_beginning ? STORE_ROCKSDB_STORE
                    : has_other   ? STORE_ROCKSDB_FOREIGN
                                  : STORE_ROCKSDB_BLANK;
    return true;
}

bool store_rocksdb_directory_free(int directory_fd, uint64_t *ret_free_bytes)
{
    struct statvfs disk;
    if (fstatvfs(directory_fd, &disk) != 0) {
        return false;
    }
    *ret_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return true;
}
