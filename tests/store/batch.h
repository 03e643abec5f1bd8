/*
 * A batch as the service makes it: commands are named, loaded, decided and committed, with every
 * step in the test's hand. No function here asserts, so that any thread of a test may use them.
 */
#ifndef ZANDAKA_TESTS_STORE_BATCH_H
#define ZANDAKA_TESTS_STORE_BATCH_H

#include "store/store.h"

struct batch {
    struct base_arena arena; /* the facts and the commands */
    struct ledger_facts facts;
    size_t n_commands;
    struct ledger_command commands[BASE_BATCH_MAX];
    struct ledger_outcome outcomes[BASE_BATCH_MAX]; /* once decided */
};

struct batch *batch_open(const struct ledger_kinds *kinds);
void batch_close(struct batch *batch);

/* Names a command; what it points to must outlive the batch. */
void batch_add(struct batch *batch, const struct ledger_command *command);
/* The same from a line such as `add t1 alice points=100 money=5` or `cancel t1`. */
void batch_add_line(struct batch *batch, const char *line);

enum store_fault batch_load(struct batch *batch, struct store *store) BASE_MUST_USE;
/* Decides the commands in their order, all at `now_us`. */
void batch_decide(struct batch *batch, int64_t now_us);
enum store_fault batch_commit(struct batch *batch, struct store *store) BASE_MUST_USE;
/* The three above; the first fault ends it. */
enum store_fault batch_run(struct batch *batch, struct store *store, int64_t now_us) BASE_MUST_USE;

/* One whole batch from lines; what did not go well is told. */
enum store_fault batch_run_lines(struct store *store, int64_t now_us, size_t n_lines,
                                 const char *const *lines) BASE_MUST_USE;

#endif
