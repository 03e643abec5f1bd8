/*
 * store/memory: the reference backend, for tests and simulation, and for trying things out. Keeps
 * everything in the process; "durable" means that the commit has returned.
 */
#ifndef ZANDAKA_STORE_MEMORY_H
#define ZANDAKA_STORE_MEMORY_H

#include "store/store.h"

/* An empty store. `kinds` must outlive it. */
struct store *store_memory_open(const struct ledger_kinds *kinds);

#endif
