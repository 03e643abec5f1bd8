#include "store/rocksdb/manifest.h"

#include "store/rocksdb/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* CURRENT holds the manifest's name and the end of the line. */
#define PREFIX "MANIFEST-"
#define NAME_MAX_BYTES 64

/* Up to `capacity` bytes from the beginning of a file; how many there were, or -1 with errno. */
static ssize_t read_beginning(int fd, void *ret_bytes, size_t capacity)
{
    size_t length = 0;
    while (length < capacity) {
        ssize_t n = pread(fd, (char *)ret_bytes + length, capacity - length, (off_t)length);
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        length += (size_t)n;
    }
    return (ssize_t)length;
}

/* Closes `fd` and leaves errno as it is. */
static void close_quietly(int fd)
{
    int error = errno;
    (void)close(fd);
    errno = error;
}

/* The name that CURRENT holds, ended by NUL. False: errno says why; ENOENT: there is none, or what
 * it holds is no name. */
static bool read_name(int directory_fd, char ret_name[NAME_MAX_BYTES], uint64_t *ret_number)
{
    int fd = openat(directory_fd, "CURRENT", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t length = read_beginning(fd, ret_name, NAME_MAX_BYTES - 1);
    close_quietly(fd);
    if (length < 0) {
        return false;
    }
    ret_name[length] = '\0';
    struct base_text name = {ret_name, strcspn(ret_name, "\n")};
    ret_name[name.length] = '\0';
    size_t skipped = strlen(PREFIX);
    int64_t number;
    if (name.length <= skipped || strncmp(ret_name, PREFIX, skipped) != 0) {
        errno = ENOENT;
        return false;
    }
    /* RocksDB fills it up with zeros to six digits. */
    const char *digits = ret_name + skipped + strspn(ret_name + skipped, "0");
    if (!base_text_to_int64(base_text_of(digits), &number)) {
        errno = ENOENT;
        return false;
    }
    *ret_number = (uint64_t)number;
    return true;
}

/* The manifest in use, open to be read; -1: as read_name, or as opening a file. */
static int open_current(int directory_fd, uint64_t *ret_number)
{
    char name[NAME_MAX_BYTES];
    return read_name(directory_fd, name, ret_number)
               ? openat(directory_fd, name, O_RDONLY | O_CLOEXEC)
               : -1;
}

/* False: errno says why; a file that is shorter counts with what it has. */
static bool hash_beginning(int fd, uint64_t length, uint64_t *ret_hash)
{
    uint8_t *bytes = base_allocate(length);
    ssize_t n = read_beginning(fd, bytes, length);
    if (n >= 0) {
        *ret_hash = base_hash((struct base_bytes){bytes, (size_t)n});
    }
    free(bytes);
    return n >= 0;
}

enum store_rocksdb_manifest_found store_rocksdb_manifest_check(int directory_fd)
{
    struct store_rocksdb_manifest known;
    if (!store_rocksdb_mark_read_manifest(directory_fd, &known)) {
        return STORE_ROCKSDB_MANIFEST_SOUND;
    }
    uint64_t number = 0;
    int fd = open_current(directory_fd, &number);
    if (fd < 0) {
        return errno == ENOENT ? STORE_ROCKSDB_MANIFEST_DAMAGED : STORE_ROCKSDB_MANIFEST_UNREADABLE;
    }
    enum store_rocksdb_manifest_found found = STORE_ROCKSDB_MANIFEST_SOUND;
    struct stat file;
    uint64_t hash = 0;
    if (number < known.number) {
        found = STORE_ROCKSDB_MANIFEST_DAMAGED;
    } else if (number == known.number) {
        if (fstat(fd, &file) != 0 || !hash_beginning(fd, known.length, &hash)) {
            found = STORE_ROCKSDB_MANIFEST_UNREADABLE;
        } else if ((uint64_t)file.st_size < known.length || hash != known.hash) {
            found = STORE_ROCKSDB_MANIFEST_DAMAGED;
        }
    }
    close_quietly(fd);
    return found;
}

/* Whether it is still the one in use, and as long as it was. */
static bool is_unchanged(const struct store_rocksdb_manifest_follower *follower)
{
    struct stat file;
    /* RocksDB removes a manifest when it has begun another. */
    return follower->fd >= 0 && fstat(follower->fd, &file) == 0 && file.st_nlink > 0 &&
           (uint64_t)file.st_size == follower->known.length;
}

bool store_rocksdb_manifest_note(struct store_rocksdb_manifest_follower *follower, int directory_fd,
                                 int mark_fd)
{
    if (is_unchanged(follower)) {
        return true;
    }
    struct store_rocksdb_manifest known = {0};
    int fd = open_current(directory_fd, &known.number);
    if (fd < 0) {
        return false;
    }
    /* Its length first, then the sync: so as much is durable, whatever RocksDB adds meanwhile. */
    struct stat file;
    bool noted = fstat(fd, &file) == 0 && fsync(fd) == 0;
    if (noted) {
        known.length = (uint64_t)file.st_size;
        noted = hash_beginning(fd, known.length, &known.hash) &&
                store_rocksdb_mark_write_manifest(mark_fd, follower->turn++, known);
    }
    if (!noted) {
        close_quietly(fd);
        return false;
    }
    store_rocksdb_manifest_unfollow(follower);
    follower->fd = fd;
    follower->known = known;
    return true;
}

void store_rocksdb_manifest_unfollow(struct store_rocksdb_manifest_follower *follower)
{
    if (follower->fd >= 0) {
        (void)close(follower->fd);
        follower->fd = -1;
    }
}
