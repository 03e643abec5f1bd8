/*
 * RocksDB stores for tests: opened on a place, filled with lines, looked at from below.
 */
#ifndef ZANDAKA_TESTS_STORE_ROCKSDB_STORES_H
#define ZANDAKA_TESTS_STORE_ROCKSDB_STORES_H

#include "batch.h"
#include "place.h"
#include "store/rocksdb/rocksdb.h"

/* What a test works with. */
struct rocksdb_test {
    struct place *place;
    struct ledger_kinds kinds; /* points and money */
    struct store_rocksdb_options options;
    struct base_arena arena;
    struct base_text message; /* why the last opening was refused */
};

/* For cmocka: *state is a struct rocksdb_test. */
int rocksdb_test_open(void **state);
int rocksdb_test_close(void **state);

/* Opens the store with test->options; NULL: test->message. */
struct store *rocksdb_test_store(struct rocksdb_test *test);
/* The same, only to read. */
struct store *rocksdb_test_store_to_read(struct rocksdb_test *test);
/* Whether the last message says `words`. */
bool rocksdb_test_said(const struct rocksdb_test *test, const char *words);

/* Commits `n` batches of one line each: `add t<number> alice points=1`, numbers from `first`. */
void rocksdb_test_fill(struct store *store, int first, int n);
bool rocksdb_test_has(struct rocksdb_test *test, struct store *store, const char *transaction_id);

/* Writes a row below the store, which is closed; value NULL deletes it. */
void rocksdb_test_put_row(const struct rocksdb_test *test, const char *family,
                          struct base_bytes key, const struct base_bytes *value);

#endif
