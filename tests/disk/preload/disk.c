/*
 * A shim between a process and its disk, for LD_PRELOAD: it sees every call that changes a file
 * below one directory, writes it down, and can make it fail.
 *
 *   ZANDAKA_DISK_DIRECTORY   the directory, absolute and without a slash at its end
 *   ZANDAKA_DISK_CONTROL     the control file (control.h)
 *   ZANDAKA_DISK_RECORD      where to append what was done; unset: nothing is written down
 *
 * The record is in the order in which things happened, because a call and its line are made under
 * one lock. A sync has two lines, its beginning and its end: what was written in between it does
 * not promise. What leaves by a socket is written down before it leaves, so that whoever reads the
 * record knows what could have been answered when. crash_states.py reads it.
 *
 * Every call is made by syscall(2): there is no name to look up, and no order of initialisation.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* File descriptors above are not followed; a process that comes so far is stopped. */
#define FILES_MAX 4096
#define PATH_MAX_BYTES 128

enum kind {
    KIND_START = 1,  /* a process */
    KIND_OPEN,       /* handle, path; number: 1 when it was made by this, data: 1 when emptied */
    KIND_WRITE,      /* handle, number: offset, data */
    KIND_TRUNCATE,   /* handle, number: length */
    KIND_SYNC_BEGIN, /* handle, number: of the sync, the same at its end */
    KIND_SYNC_END,
    KIND_RENAME, /* path: from, data: to */
    KIND_UNLINK, /* path */
    KIND_MKDIR,  /* path */
    KIND_SEND    /* handle: the socket, data */
};

struct line {
    uint32_t kind;
    uint32_t handle;
    uint64_t number;
    uint32_t path_bytes;
    uint32_t data_bytes;
};

struct file {
    uint32_t handle; /* 0: not below the directory */
    char path[PATH_MAX_BYTES];
};

static struct {
    pthread_mutex_t lock;
    const char *directory;
    size_t directory_length;
    int record_fd;
    struct control *control;
    uint32_t n_handles;
    struct file files[FILES_MAX];
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER, .record_fd = -1};

/* What the model cannot describe must not pass unseen. */
static _Noreturn void give_up(const char *what)
{
    (void)dprintf(STDERR_FILENO, "the disk's shim gives up: %s\n", what);
    abort();
}

static void put_line(enum kind kind, uint32_t handle, uint64_t number, const char *path,
                     const void *data, size_t length)
{
    if (shim.record_fd < 0) {
        return;
    }
    struct line line = {(uint32_t)kind, handle, number, (uint32_t)strlen(path), (uint32_t)length};
    struct iovec parts[] = {{&line, sizeof line},
                            {(void *)(uintptr_t)path, line.path_bytes},
                            {(void *)(uintptr_t)data, length}};
    if (syscall(SYS_writev, shim.record_fd, parts, 3) !=
        (long)(sizeof line + line.path_bytes + length)) {
        give_up("the record cannot be written");
    }
}

__attribute__((constructor)) static void begin(void)
{
    const char *directory = getenv("ZANDAKA_DISK_DIRECTORY");
    const char *control = getenv("ZANDAKA_DISK_CONTROL");
    if (directory == NULL || control == NULL) {
        return;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC);
    void *page =
        (void *)syscall(SYS_mmap, NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || page == MAP_FAILED) {
        give_up("the control file cannot be mapped");
    }
    (void)close(fd);
    shim.control = page;
    const char *record = getenv("ZANDAKA_DISK_RECORD");
    if (record != NULL) {
        shim.record_fd = (int)syscall(SYS_openat, AT_FDCWD, record,
                                      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
    shim.directory_length = strlen(directory);
    shim.directory = directory;
    put_line(KIND_START, 0, 0, "", NULL, 0);
}

/* The part of `path` below the directory, without doubled slashes; false: it lies elsewhere. */
static bool below(const char *path, char ret_relative[PATH_MAX_BYTES])
{
    if (shim.directory == NULL || strncmp(path, shim.directory, shim.directory_length) != 0 ||
        (path[shim.directory_length] != '/' && path[shim.directory_length] != '\0')) {
        return false;
    }
    size_t length = 0;
    for (const char *at = path + shim.directory_length; *at != '\0'; at++) {
        if (*at == '/' && (length == 0 || ret_relative[length - 1] == '/')) {
            continue;
        }
        if (length + 1 >= PATH_MAX_BYTES) {
            give_up("a path is too long");
        }
        ret_relative[length++] = *at;
    }
    while (length > 0 && ret_relative[length - 1] == '/') {
        length--;
    }
    ret_relative[length] = '\0';
    return true;
}

static struct file *file_of(int fd)
{
    if (shim.directory == NULL || fd < 0 || fd >= FILES_MAX || shim.files[fd].handle == 0) {
        return NULL;
    }
    return &shim.files[fd];
}

static bool below_at(int directory_fd, const char *path, char ret_relative[PATH_MAX_BYTES])
{
    const struct file *directory = file_of(directory_fd);
    if (path[0] == '/' || directory == NULL) {
        return below(path, ret_relative);
    }
    if (strcmp(path, ".") == 0) {
        memcpy(ret_relative, directory->path, PATH_MAX_BYTES);
        return true;
    }
    if (strcmp(path, "..") == 0) {
        memcpy(ret_relative, directory->path, PATH_MAX_BYTES);
        char *last = strrchr(ret_relative, '/');
        *(last != NULL ? last : ret_relative) = '\0';
        return directory->path[0] != '\0';
    }
    int length = snprintf(ret_relative, PATH_MAX_BYTES, "%s%s%s", directory->path,
                          directory->path[0] == '\0' ? "" : "/", path);
    if (length >= PATH_MAX_BYTES) {
        give_up("a path is too long");
    }
    return true;
}

/* Whether a counter has come to the call that was asked for. */
static bool is_due(uint64_t count, const _Atomic uint64_t *asked)
{
    if (*asked == 0 || count != *asked) {
        return false;
    }
    shim.control->n_faults++;
    return true;
}

/* Before every change: the process ends here when it is told to. */
static void count_change(void)
{
    if (is_due(++shim.control->n_changes, &shim.control->kill_at_change)) {
        (void)kill(getpid(), SIGKILL);
    }
}

/* --- opening and closing --- */

static int open_below(int directory_fd, const char *path, int flags, mode_t mode,
                      const char *relative)
{
    bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    (void)pthread_mutex_lock(&shim.lock);
    struct stat before;
    bool existed = syscall(SYS_newfstatat, directory_fd, path, &before, 0) == 0;
    if (changes) {
        count_change();
    }
    int fd = (int)syscall(SYS_openat, directory_fd, path, flags, mode);
    int error = errno;
    if (fd >= FILES_MAX) {
        give_up("too many files are open");
    }
    if (fd >= 0) {
        struct file *file = &shim.files[fd];
        file->handle = ++shim.n_handles;
        (void)snprintf(file->path, sizeof file->path, "%s", relative);
        bool made = !existed && (flags & O_CREAT) != 0;
        bool emptied = existed && (flags & O_TRUNC) != 0 && before.st_size > 0;
        put_line(KIND_OPEN, file->handle, made, relative, "1", emptied);
    }
    (void)pthread_mutex_unlock(&shim.lock);
    errno = error;
    return fd;
}

static int open_any(int directory_fd, const char *path, int flags, mode_t mode)
{
    char relative[PATH_MAX_BYTES];
    if (!below_at(directory_fd, path, relative)) {
        int fd = (int)syscall(SYS_openat, directory_fd, path, flags, mode);
        if (fd >= 0 && fd < FILES_MAX) {
            shim.files[fd].handle = 0;
        }
        return fd;
    }
    return open_below(directory_fd, path, flags, mode, relative);
}

#define TAKE_MODE(flags, mode)                                                                     \
    mode_t mode = 0;                                                                               \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                  \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode = va_arg(arguments, mode_t);                                                          \
        va_end(arguments);                                                                         \
    }

int open(const char *path, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int directory_fd, const char *path, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_any(directory_fd, path, flags, mode);
}

int openat64(int directory_fd, const char *path, int flags, ...)
{
    TAKE_MODE(flags, mode)
    return open_any(directory_fd, path, flags, mode);
}

int close(int fd)
{
    if (file_of(fd) != NULL) {
        (void)pthread_mutex_lock(&shim.lock);
        shim.files[fd].handle = 0;
        (void)pthread_mutex_unlock(&shim.lock);
    }
    return (int)syscall(SYS_close, fd);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (file_of(fd) != NULL && (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0) {
        give_up("a file is written by mmap");
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return mmap(address, length, protection, flags, fd, offset);
}

/* --- writing --- */

/* How many of `length` bytes the disk has room for. */
static size_t room_for(size_t length)
{
    uint64_t full_at = shim.control->full_at_bytes;
    uint64_t written = shim.control->n_written_bytes;
    if (full_at == 0 || written + length <= full_at) {
        return length;
    }
    shim.control->n_faults++;
    return full_at > written ? (size_t)(full_at - written) : 0;
}

/* offset -1: at the file's own position. */
static ssize_t write_below(int fd, const void *bytes, size_t length, off_t offset)
{
    (void)pthread_mutex_lock(&shim.lock);
    count_change();
    ssize_t n = -1;
    int error = 0;
    size_t room = room_for(length);
    if (is_due(++shim.control->n_writes, &shim.control->fail_write)) {
        error = EIO;
    } else if (room == 0 && length > 0) {
        error = ENOSPC;
    } else {
        n = offset < 0 ? syscall(SYS_write, fd, bytes, room)
                       : syscall(SYS_pwrite64, fd, bytes, room, offset);
        error = errno;
    }
    if (n >= 0) {
        shim.control->n_written_bytes += (uint64_t)n;
        if (offset < 0) {
            offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR) - n;
        }
        put_line(KIND_WRITE, shim.files[fd].handle, (uint64_t)offset, "", bytes, (size_t)n);
    }
    (void)pthread_mutex_unlock(&shim.lock);
    errno = error;
    return n;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    return file_of(fd) != NULL ? write_below(fd, bytes, length, -1)
                               : syscall(SYS_write, fd, bytes, length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return file_of(fd) != NULL ? write_below(fd, bytes, length, offset)
                               : syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n_parts)
{
    if (file_of(fd) != NULL) {
        give_up("a file is written by writev");
    }
    return syscall(SYS_writev, fd, parts, n_parts);
}

int ftruncate(int fd, off_t length)
{
    if (file_of(fd) == NULL) {
        return (int)syscall(SYS_ftruncate, fd, length);
    }
    (void)pthread_mutex_lock(&shim.lock);
    count_change();
    int status = (int)syscall(SYS_ftruncate, fd, length);
    int error = errno;
    if (status == 0) {
        put_line(KIND_TRUNCATE, shim.files[fd].handle, (uint64_t)length, "", NULL, 0);
    }
    (void)pthread_mutex_unlock(&shim.lock);
    errno = error;
    return status;
}

int ftruncate64(int fd, off_t length)
{
    return ftruncate(fd, length);
}

/* Space that is set aside behind the end of a file changes nothing that can be read. */
int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (file_of(fd) != NULL) {
        if ((mode & FALLOC_FL_KEEP_SIZE) == 0) {
            give_up("a file is lengthened by fallocate");
        }
        if (shim.control->full_at_bytes != 0 && room_for((size_t)length) < (size_t)length) {
            errno = ENOSPC;
            return -1;
        }
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off_t offset, off_t length)
{
    return fallocate(fd, mode, offset, length);
}

/* --- syncing --- */

static void wait_while_held(void)
{
    if (shim.control->hold_syncs == 0) {
        return;
    }
    shim.control->n_syncs_held++;
    while (shim.control->hold_syncs != 0) {
        struct timespec moment = {0, 1000000};
        (void)nanosleep(&moment, NULL);
    }
    shim.control->n_syncs_held--;
}

static int sync_below(int fd, long call)
{
    (void)pthread_mutex_lock(&shim.lock);
    count_change();
    uint32_t handle = shim.files[fd].handle;
    uint64_t number = ++shim.control->n_syncs;
    bool fails = is_due(number, &shim.control->fail_sync);
    put_line(KIND_SYNC_BEGIN, handle, number, "", NULL, 0);
    (void)pthread_mutex_unlock(&shim.lock);
    wait_while_held();
    int status = fails ? -1 : (int)syscall(call, fd);
    int error = fails ? EIO : errno;
    if (status == 0) {
        (void)pthread_mutex_lock(&shim.lock);
        put_line(KIND_SYNC_END, handle, number, "", NULL, 0);
        (void)pthread_mutex_unlock(&shim.lock);
    }
    errno = error;
    return status;
}

int fsync(int fd)
{
    return file_of(fd) != NULL ? sync_below(fd, SYS_fsync) : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return file_of(fd) != NULL ? sync_below(fd, SYS_fdatasync) : (int)syscall(SYS_fdatasync, fd);
}

/* --- names --- */

int rename(const char *from, const char *to)
{
    char relative_from[PATH_MAX_BYTES];
    char relative_to[PATH_MAX_BYTES];
    if (!below(from, relative_from) || !below(to, relative_to)) {
        return (int)syscall(SYS_rename, from, to);
    }
    (void)pthread_mutex_lock(&shim.lock);
    count_change();
    int status = (int)syscall(SYS_rename, from, to);
    int error = errno;
    if (status == 0) {
        put_line(KIND_RENAME, 0, 0, relative_from, relative_to, strlen(relative_to));
    }
    (void)pthread_mutex_unlock(&shim.lock);
    errno = error;
    return status;
}

static int change_name(const char *path, const char *relative, enum kind kind, mode_t mode)
{
    (void)pthread_mutex_lock(&shim.lock);
    count_change();
    int status =
        (int)(kind == KIND_UNLINK ? syscall(SYS_unlink, path) : syscall(SYS_mkdir, path, mode));
    int error = errno;
    if (status == 0) {
        put_line(kind, 0, 0, relative, NULL, 0);
    }
    (void)pthread_mutex_unlock(&shim.lock);
    errno = error;
    return status;
}

int unlink(const char *path)
{
    char relative[PATH_MAX_BYTES];
    return below(path, relative) ? change_name(path, relative, KIND_UNLINK, 0)
                                 : (int)syscall(SYS_unlink, path);
}

int mkdir(const char *path, mode_t mode)
{
    char relative[PATH_MAX_BYTES];
    return below(path, relative) ? change_name(path, relative, KIND_MKDIR, mode)
                                 : (int)syscall(SYS_mkdir, path, mode);
}

int link(const char *from, const char *to)
{
    char relative[PATH_MAX_BYTES];
    if (below(to, relative)) {
        give_up("a file gets a second name");
    }
    return (int)syscall(SYS_link, from, to);
}

/* --- free space --- */

int fstatvfs(int fd, struct statvfs *ret_disk)
{
    struct statfs disk;
    if (fstatfs(fd, &disk) != 0) {
        return -1;
    }
    *ret_disk = (struct statvfs){.f_bsize = (unsigned long)disk.f_bsize,
                                 .f_frsize = (unsigned long)disk.f_frsize,
                                 .f_blocks = disk.f_blocks,
                                 .f_bfree = disk.f_bfree,
                                 .f_bavail = disk.f_bavail,
                                 .f_files = disk.f_files,
                                 .f_ffree = disk.f_ffree,
                                 .f_favail = disk.f_ffree,
                                 .f_namemax = (unsigned long)disk.f_namelen};
    if (file_of(fd) != NULL && shim.control->free_bytes_and_one != 0) {
        ret_disk->f_bavail = (shim.control->free_bytes_and_one - 1) / ret_disk->f_frsize;
        shim.control->n_faults++;
    }
    return 0;
}

int fstatvfs64(int fd, struct statvfs64 *ret_disk)
{
    return fstatvfs(fd, (struct statvfs *)(void *)ret_disk);
}

/* --- what leaves --- */

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    if (shim.record_fd >= 0) {
        (void)pthread_mutex_lock(&shim.lock);
        put_line(KIND_SEND, (uint32_t)fd, 0, "", bytes, length);
        (void)pthread_mutex_unlock(&shim.lock);
    }
    return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}
