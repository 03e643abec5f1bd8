/*
 * Directories of tests: made under TMPDIR, or /tmp, looked at, copied and removed. A failure ends
 * the program: a test cannot go on without its place.
 */
#ifndef ZANDAKA_TESTS_STORE_PLACE_H
#define ZANDAKA_TESTS_STORE_PLACE_H

#include "base/base.h"

#define PLACE_PATH_MAX_BYTES 512

/* A directory of its own for a test, with room for stores in it. */
struct place {
    char path[PLACE_PATH_MAX_BYTES / 2];
    char store[PLACE_PATH_MAX_BYTES]; /* where the store is now: a directory in `path` */
    unsigned n_crashes;
};

struct place *place_open(void);
void place_close(struct place *place);

/* What a crash of the process leaves: the files as they are at this moment, copied to a new
 * directory, which place->store names from now on. */
void place_crash(struct place *place);

/* Copies every file of a directory into another, which is made when there is none. */
void place_copy_files(const char *from, const char *to);
/* A file of the store's directory. */
void place_copy_file(const struct place *place, const char *from, const char *to);
/* The one file of the store's directory whose name ends so, the largest when there are several;
 * valid until the next call. */
const char *place_find_file(const struct place *place, const char *suffix);
/* The file number `index`, in the order of names, of those whose name ends so; NULL: there are no
 * more. Valid until the next call. */
const char *place_list_file(const struct place *place, const char *suffix, int index);
int64_t place_file_size(const struct place *place, const char *name);
void place_flip_byte(const struct place *place, const char *name, int64_t at);
void place_cut_file(const struct place *place, const char *name, int64_t size);
void place_remove_file(const struct place *place, const char *name);
/* Names, sizes, times and contents of all files of the store's directory, as one number. */
uint64_t place_fingerprint(const struct place *place);

#endif
