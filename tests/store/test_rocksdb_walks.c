/* store/rocksdb: a walk over a whole table holds a few rows at a time, however many there are. */
#include "rocksdb_stores.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROWS 20000
#define HELD_MAX_BYTES ((size_t)1 << 20)

/* Journal, ids and entries have a row for each transaction. */
static void make_rows(struct rocksdb_test *test, struct store *store)
{
    for (size_t first = 0; first < ROWS; first += BASE_BATCH_MAX) {
        struct batch *batch = batch_open(&test->kinds);
        for (size_t i = first; i < first + BASE_BATCH_MAX && i < ROWS; i++) {
            struct base_text line =
                base_arena_print(&batch->arena, "add t%zu account-%zu points=1", i, i);
            batch_add_line(batch, line.bytes);
        }
        assert_int_equal(batch_run(batch, store, 1), STORE_OK);
        batch_close(batch);
    }
}

/* Whoever measures beside a sanitizer sees nothing change, and passes. */
static size_t held_bytes(void)
{
    return mallinfo2().uordblks;
}

static void a_walk_holds_few_rows_at_a_time(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    make_rows(test, store);
    for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
        struct store_cursor *cursor = store_cursor_open(store, (enum store_table)table);
        size_t before = held_bytes();
        size_t n = 0;
        struct store_row row;
        bool found = true;
        while (found) {
            assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
            n += found;
        }
        assert_int_equal(n, ROWS);
        size_t after = held_bytes();
        assert_true(after < before + HELD_MAX_BYTES);
        store_cursor_close(cursor);
    }
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_walk_holds_few_rows_at_a_time, rocksdb_test_open,
                                        rocksdb_test_close),
    };
    return cmocka_run_group_tests_name("store/rocksdb: walks", tests, NULL, NULL);
}
