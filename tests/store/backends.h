/*
 * The backends that the contract suite (contract.h) runs on. A new backend adds one row to the
 * table in backends.c.
 */
#ifndef ZANDAKA_TESTS_STORE_BACKENDS_H
#define ZANDAKA_TESTS_STORE_BACKENDS_H

#include "store/store.h"

/*
 * How tests make and unmake the stores of one backend. A store lives at a place that outlives it,
 * such as a directory; what a place is, is the backend's own affair. None of these fails: a test
 * cannot go on without its store, so the functions end the test (assert_…) or the program.
 */
struct backend {
    const char *name;
    /* Whether it can be tested on this machine. NULL function: anywhere. */
    bool (*is_present)(void);
    /* Whether it can say STORE_UNKNOWN, and so keeps the marks of commits. */
    bool keeps_marks;
    /* Whether it lives in this process alone, which works on one batch at a time. */
    bool is_embedded;
    /* Whether it takes milliseconds for what others do in microseconds: what is repeated many times
     * is repeated less often then. */
    bool is_slow;
    /* A new, empty store at a new place. `kinds` outlives both. */
    struct store *(*open)(const struct ledger_kinds *kinds, void **ret_place);
    /* A new store at a new place, to copy another into; reopened when that has ended. NULL
     * function: it cannot be copied into. */
    struct store *(*open_copy)(const struct ledger_kinds *kinds, void **ret_place);
    /* Closes `store` in good order and opens its place again. `kinds` may have grown since, or be
     * NULL to open only for reading. NULL function: the stores of this backend end with the
     * process. */
    struct store *(*reopen)(struct store *store, void *place, const struct ledger_kinds *kinds);
    /* The same, but `store` is dropped as by a crash: nothing that its close would write is
     * written. NULL function: as above. */
    struct store *(*crash)(struct store *store, void *place, const struct ledger_kinds *kinds);
    /* Closes `store` and removes the place. */
    void (*destroy)(struct store *store, void *place);
};

extern const struct backend backends[];
extern const size_t n_backends;

#endif
