/*
 * The contract suite: what store.h promises, proved on a backend by name. The tests are in
 *
 *   contract_commits.c   loads, commits, conflicts, records
 *   contract_reads.c     accounts, entries and their pages
 *   contract_cursors.c   the walks over whole tables
 *   contract_threads.c   reads beside commits
 *   contract_lasting.c   what reopening and a crash leave
 *   contract_copy.c      what is copied in from another store
 *   contract_random.c    long random sequences beside the memory store
 *
 * and each gets an empty store of its own.
 */
#ifndef ZANDAKA_TESTS_STORE_CONTRACT_H
#define ZANDAKA_TESTS_STORE_CONTRACT_H

#include "backends.h"
#include "batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Runs the whole suite on the backend; gives the number of tests that failed. */
int contract_run(const struct backend *backend);

/* --- for the files of the suite --- */

/* What each test works with: *state. */
struct contract {
    const struct backend *backend;
    const struct ledger_kinds *kinds;
    struct store *store;
    void *place;
    struct base_arena arena; /* what the test reads */
    int64_t now_us;          /* the time of the next batch; each takes a second */
};

/* Stores of two kinds, `points` and `money`, and of 64, `kind-00` to `kind-63`. */
int contract_open(void **state);
int contract_open_wide(void **state);
int contract_close(void **state);
#define CONTRACT_TEST(test) cmocka_unit_test_setup_teardown(test, contract_open, contract_close)
#define CONTRACT_TEST_WIDE(test)                                                                   \
    cmocka_unit_test_setup_teardown(test, contract_open_wide, contract_close)

struct contract_tests {
    const struct CMUnitTest *tests;
    size_t n_tests;
};
struct contract_tests contract_commits(void);
struct contract_tests contract_reads(void);
struct contract_tests contract_cursors(void);
struct contract_tests contract_threads(void);
struct contract_tests contract_lasting(void);
struct contract_tests contract_copy(void);
struct contract_tests contract_random(void);

/* Commits the lines as one batch and asserts that it was committed. */
#define contract_commit(contract, ...)                                                             \
    contract_commit_lines((contract), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),      \
                          (const char *[]){__VA_ARGS__})
void contract_commit_lines(struct contract *contract, size_t n_lines, const char *const *lines);

/* Asserts on what is durable; `balance` as in `points=100 money=0`, for all kinds of the store. */
void contract_assert_balance(struct contract *contract, const char *account_id,
                             const char *balance);
void contract_assert_recorded(struct contract *contract, const char *transaction_id, bool recorded);

/* All rows of a table, in order; memory from the contract's arena. The journal's have no holes
 * where the store says so. */
struct contract_table {
    size_t n_rows;
    struct store_row *rows;
};
struct contract_table contract_read_table(struct contract *contract, struct store *store,
                                          enum store_table table);
/* All entries of an account, newest first, of one page after another. */
struct store_entries_page contract_walk_entries(struct contract *contract, struct store *store,
                                                struct store_entries_query query);

/* A query for all entries of an account on the largest pages. */
struct store_entries_query contract_query_all(const char *account_id);

void contract_assert_same_account(const struct ledger_kinds *kinds, const struct ledger_account *a,
                                  const struct ledger_account *b);
void contract_assert_same_entry(const struct ledger_entry *a, const struct ledger_entry *b);
/* Both stores hold the same, in every table and by every read; positions may differ, but lead to
 * the same records. */
void contract_assert_same_store(struct contract *contract, struct store *a, struct store *b);

#define assert_text_equal(a, b)                                                                    \
    do {                                                                                           \
        struct base_text left_ = (a), right_ = (b);                                                \
        assert_int_equal(left_.length, right_.length);                                             \
        assert_memory_equal(left_.bytes, right_.bytes, left_.length);                              \
    } while (0)
#define assert_bytes_equal(a, b) assert_text_equal(base_text_from(a), base_text_from(b))

#endif
