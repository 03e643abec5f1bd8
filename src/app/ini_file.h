/*
 * An INI file in the reading, whichever it is: inih reads the lines, and here is what all our files
 * have in common. A section and a key that the table does not have are wrong, a key twice in its
 * section, a key without a value; the first thing that is wrong is told with the file and the line,
 * and nothing is read behind it.
 */
#ifndef ZANDAKA_APP_INI_FILE_H
#define ZANDAKA_APP_INI_FILE_H

#include "base/base.h"

#include <stdio.h>

/* A key that may stand in a section. */
struct app_ini_key {
    const char *name;
    int section; /* the reader's own number, above 0 */
    int key;     /* the same, 0 to 31 */
};

/* Embedded by the reader of a file, which sets the first part. */
struct app_ini_file {
    const char *path;
    struct base_arena *arena; /* for messages */
    size_t n_keys;
    const struct app_ini_key *keys;
    /* A section begins: sets `section`, or fails. */
    void (*open_section)(struct app_ini_file *file, struct base_text name);
    /* A key of the section, for the first time in it; the value is not empty, ended by NUL, and
     * valid until this returns. */
    void (*take_value)(struct app_ini_file *file, int key, struct base_text value);

    int section;        /* 0: none has begun */
    int line_number;    /* of the line that was read last, from 1 */
    unsigned keys_seen; /* bits of keys, in this section */
    bool failed;
    struct base_text message;
    FILE *stream;
};

/* Reads it all. False: *ret_message says what is wrong, `FILE:LINE: …`, in the arena. */
bool app_ini_read(struct app_ini_file *file, struct base_text *ret_message) BASE_MUST_USE;
/* What is wrong with the line that is being read. The first one counts. */
void app_ini_fail(struct app_ini_file *file, struct base_text what);

#endif
