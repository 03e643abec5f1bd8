/*
 * A small store in memory, of
 *
 *   position 1  t1  add      alice points 100, money 500   "gift"
 *            2  t2  consume  alice points 30               a second later
 *            3  t3  add      bob points 5
 *            4  t4  cancel
 *
 * so its tables are, in the order of their walks,
 *
 *   ids       0 t1, 1 t2, 2 t3, 3 t4
 *   accounts  0 alice: points 70, money 500; 1 bob: points 5
 *   entries   0 alice 3 (t2), 1 alice 2 (t1, money), 2 alice 1 (t1, points), 3 bob 1 (t3)
 */
#ifndef ZANDAKA_TESTS_APP_SMALL_STORE_H
#define ZANDAKA_TESTS_APP_SMALL_STORE_H

#include "app/app.h"

#define SMALL_STORE_START_US INT64_C(1764028800000000)
#define SMALL_STORE_SECOND_US INT64_C(1000000)

extern const struct ledger_kinds small_store_kinds;

struct store *small_store_open(void);
/* Has n commands applied in one batch. */
void small_store_commit(struct store *store, int64_t now_us, size_t n,
                        const struct ledger_command *commands);

/* What verify says of a store, by verdict_on, which closes it. */
struct verdict {
    enum app_exit exit_status;
    char *out;
    char *err;
    size_t n_err_lines;
};

struct verdict verdict_on(struct store *store);
void verdict_release(struct verdict *verdict);

#endif
