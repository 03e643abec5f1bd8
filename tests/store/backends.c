#include "backends.h"

#include "store/memory/memory.h"

static struct store *memory_open(const struct ledger_kinds *kinds, void **ret_place)
{
    *ret_place = NULL;
    return store_memory_open(kinds);
}

static void memory_destroy(struct store *store, void *place)
{
    (void)place;
    store_close(store);
}

const struct backend backends[] = {
    {.name = "memory", .open = memory_open, .destroy = memory_destroy},
};
const size_t n_backends = sizeof backends / sizeof backends[0];
