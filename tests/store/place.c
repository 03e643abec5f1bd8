#include "place.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Background work of a test's store is over within a few copies. */
#define COPY_ATTEMPTS_MAX 200

struct place *place_open(void)
{
    struct place *place = base_allocate_zeroed(1, sizeof *place);
    const char *above = getenv("TMPDIR");
    (void)snprintf(place->path, sizeof place->path, "%s/zandaka-test-XXXXXX",
                   above != NULL && above[0] != '\0' ? above : "/tmp");
    base_assert(mkdtemp(place->path) != NULL);
    (void)snprintf(place->store, sizeof place->store, "%s/store", place->path);
    return place;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

/* Removes a directory and all in it, if it is there. */
static void remove_files(const char *directory)
{
    struct stat status;
    if (stat(directory, &status) == 0) {
        base_assert(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    }
}

void place_close(struct place *place)
{
    remove_files(place->path);
    free(place);
}

static void join(char path[PLACE_PATH_MAX_BYTES * 2], const char *directory, const char *name)
{
    int length = snprintf(path, PLACE_PATH_MAX_BYTES * 2, "%s/%s", directory, name);
    base_assert(length > 0 && length < PLACE_PATH_MAX_BYTES * 2);
}

/* False: there is no such file any more. */
static bool copy(const char *from, const char *to)
{
    int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0) {
        return false;
    }
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    base_assert(target >= 0);
    char bytes[65536];
    ssize_t length;
    while ((length = read(source, bytes, sizeof bytes)) > 0) {
        base_assert(write(target, bytes, (size_t)length) == length);
    }
    base_assert(length == 0);
    base_assert(close(source) == 0 && close(target) == 0);
    return true;
}

/* The names of a directory's files, in order. */
static int list_files(const char *directory, struct dirent ***ret_files)
{
    int n = scandir(directory, ret_files, NULL, alphasort);
    base_assert(n >= 2);
    int n_files = 0;
    for (int i = 0; i < n; i++) {
        struct dirent *file = (*ret_files)[i];
        if (strcmp(file->d_name, ".") == 0 || strcmp(file->d_name, "..") == 0) {
            free(file);
        } else {
            (*ret_files)[n_files++] = file;
        }
    }
    return n_files;
}

/* What changes when anything in the directory does: names, sizes, times of the last change. */
static uint64_t state_of(const char *directory)
{
    struct base_writer state = {NULL, 0, 0};
    struct dirent **files;
    int n = list_files(directory, &files);
    for (int i = 0; i < n; i++) {
        char path[PLACE_PATH_MAX_BYTES * 2];
        struct stat status = {0};
        join(path, directory, files[i]->d_name);
        (void)stat(path, &status);
        base_write_bytes(&state, base_bytes_of(base_text_of(files[i]->d_name)));
        base_write_u64_be(&state, (uint64_t)status.st_size);
        base_write_u64_be(&state, (uint64_t)status.st_mtim.tv_sec);
        base_write_u64_be(&state, (uint64_t)status.st_mtim.tv_nsec);
        free(files[i]);
    }
    free(files);
    uint64_t hash = base_hash(base_writer_bytes(&state));
    base_writer_release(&state);
    return hash;
}

static bool copy_files_once(const char *from, const char *to)
{
    struct dirent **files;
    bool whole = true;
    int n = list_files(from, &files);
    for (int i = 0; i < n; i++) {
        char source[PLACE_PATH_MAX_BYTES * 2];
        char target[PLACE_PATH_MAX_BYTES * 2];
        join(source, from, files[i]->d_name);
        join(target, to, files[i]->d_name);
        whole = copy(source, target) && whole;
        free(files[i]);
    }
    free(files);
    return whole;
}

/* A crash leaves the files of one moment, but the library works on in the background while they are
 * copied: a copy counts when nothing changed meanwhile. */
void place_copy_files(const char *from, const char *to)
{
    for (int attempt = 0; attempt < COPY_ATTEMPTS_MAX; attempt++) {
        uint64_t before = state_of(from);
        remove_files(to);
        (void)mkdir(to, 0700);
        if (copy_files_once(from, to) && state_of(from) == before) {
            return;
        }
    }
    base_stop("the files of %s never stood still", from);
}

void place_crash(struct place *place)
{
    char left[PLACE_PATH_MAX_BYTES];
    (void)snprintf(left, sizeof left, "%s/crash-%u", place->path, ++place->n_crashes);
    place_copy_files(place->store, left);
    memcpy(place->store, left, sizeof left);
}

void place_copy_file(const struct place *place, const char *from, const char *to)
{
    char source[PLACE_PATH_MAX_BYTES * 2];
    char target[PLACE_PATH_MAX_BYTES * 2];
    join(source, place->store, from);
    join(target, place->store, to);
    base_assert(copy(source, target));
}

int64_t place_file_size(const struct place *place, const char *name)
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    join(path, place->store, name);
    struct stat status;
    base_assert(stat(path, &status) == 0);
    return status.st_size;
}

const char *place_list_file(const struct place *place, const char *suffix, int index)
{
    static char name[256];
    bool found = false;
    struct dirent **files;
    int n = list_files(place->store, &files);
    for (int i = 0; i < n; i++) {
        size_t length = strlen(files[i]->d_name);
        if (length >= strlen(suffix) &&
            strcmp(files[i]->d_name + length - strlen(suffix), suffix) == 0 && index-- == 0) {
            (void)snprintf(name, sizeof name, "%s", files[i]->d_name);
            found = true;
        }
        free(files[i]);
    }
    free(files);
    return found ? name : NULL;
}

const char *place_find_file(const struct place *place, const char *suffix)
{
    int largest = -1;
    int64_t largest_size = -1;
    const char *name;
    for (int i = 0; (name = place_list_file(place, suffix, i)) != NULL; i++) {
        if (place_file_size(place, name) > largest_size) {
            largest_size = place_file_size(place, name);
            largest = i;
        }
    }
    base_assert(largest >= 0);
    return place_list_file(place, suffix, largest);
}

void place_flip_byte(const struct place *place, const char *name, int64_t at)
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    join(path, place->store, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    base_assert(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 0x10;
    base_assert(pwrite(fd, &byte, 1, at) == 1 && close(fd) == 0);
}

void place_cut_file(const struct place *place, const char *name, int64_t size)
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    join(path, place->store, name);
    base_assert(truncate(path, size) == 0);
}

void place_remove_file(const struct place *place, const char *name)
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    join(path, place->store, name);
    base_assert(unlink(path) == 0);
}

static uint64_t file_hash(const char *path, const struct stat *status)
{
    uint8_t *bytes = base_allocate((size_t)status->st_size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    base_assert(fd >= 0 && pread(fd, bytes, (size_t)status->st_size, 0) == status->st_size);
    base_assert(close(fd) == 0);
    uint64_t hash = base_hash((struct base_bytes){bytes, (size_t)status->st_size});
    free(bytes);
    return hash;
}

uint64_t place_fingerprint(const struct place *place)
{
    struct base_writer all = {NULL, 0, 0};
    struct dirent **files;
    int n = list_files(place->store, &files);
    for (int i = 0; i < n; i++) {
        char path[PLACE_PATH_MAX_BYTES * 2];
        join(path, place->store, files[i]->d_name);
        struct stat status;
        base_assert(stat(path, &status) == 0);
        base_write_bytes(&all, base_bytes_of(base_text_of(files[i]->d_name)));
        base_write_u64_be(&all, (uint64_t)status.st_mtim.tv_sec);
        base_write_u64_be(&all, (uint64_t)status.st_mtim.tv_nsec);
        base_write_u64_be(&all, file_hash(path, &status));
        free(files[i]);
    }
    free(files);
    uint64_t fingerprint = base_hash(base_writer_bytes(&all));
    base_writer_release(&all);
    return fingerprint;
}
