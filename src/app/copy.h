/*
 * Moving house: everything that one store holds goes into another, row by row, as it is. For the
 * files of this folder that do it:
 *
 *   copy.c       the copying itself, over any two stores
 *   copy_verb.c  the verb
 *
 * Three tables are walked one after another: the journal, the accounts, the entries (the ids follow
 * from the journal). What the target has already must be where it belongs, at the beginning of the
 * same walk over the source; the rest is written behind it, a batch at a time. So a copy that was
 * interrupted goes on where it was, and one that is whole is compared without a write.
 */
#ifndef ZANDAKA_APP_COPY_H
#define ZANDAKA_APP_COPY_H

#include "app/app.h"

struct copy {
    struct store *from;
    struct store *to;
    FILE *err;                /* for the progress, where it is watched */
    bool only_compares;       /* what the target lacks is a difference, too */
    struct base_arena *arena; /* for `message` */

    struct base_text message;                 /* why it did not come to its end, and what to do */
    uint64_t n_rows[STORE_TABLE_ENTRIES + 1]; /* by table: walked so far, in both stores */
    int64_t progress_mono_ns;                 /* when it was last shown */
    bool progress_shown;
};

/* Copies everything. The kinds of both stores must be the same, in the same order. False:
 * copy->message; what was written until then stays, and the same again goes on there. */
bool copy_all(struct copy *copy) BASE_MUST_USE;

#endif
