/* A table of callers, inside: built once, read by any thread, freed by whoever lets go last. */
#ifndef ZANDAKA_ACCESS_TABLE_H
#define ZANDAKA_ACCESS_TABLE_H

#include "access/access.h"

#include <stdatomic.h>

struct access_known {
    struct access_caller caller; /* what it points to is in the table's arena */
    struct access_table *table;
    /* When the allowance that is used up so far would have come in, at the caller's rate. */
    _Atomic int64_t used_up_mono_ns;
};

struct access_table {
    struct access *access;
    size_t n_users; /* under the lock of access: the holder, and calls under way */
    struct base_arena arena;
    size_t n_callers;
    struct access_known *callers;
};

struct access_table *access_table_open(struct access *access, size_t n_callers,
                                       const struct access_caller *callers);
void access_table_close(struct access_table *table);
/* NULL: none, or two. */
struct access_known *access_table_find(struct access_table *table,
                                       const struct access_credentials *credentials);

#endif
