/* Lists that grow in an arena. Internal to ledger/. */
#ifndef ZANDAKA_LEDGER_LIST_H
#define ZANDAKA_LEDGER_LIST_H

#include "base/base.h"

#include <string.h>

/* A list with room for `capacity` elements of `size` bytes, its first `n` copied from `list`. The
 * old one stays in the arena: with doubling, all the old ones together are smaller than the new. */
static inline void *ledger_list_grown(struct base_arena *arena, const void *list, size_t n,
                                      size_t capacity, size_t size)
{
    base_assert(capacity > n && capacity <= SIZE_MAX / size);
    void *grown = base_arena_take(arena, capacity * size);
    if (n > 0) {
        memcpy(grown, list, n * size);
    }
    return grown;
}

#endif
