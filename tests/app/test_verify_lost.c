/*
 * app: a fence that is lost wholly from an embedded store, its row of the journal and its row of
 * the ids, is told. It leaves nothing in any account, so no balance and no history misses it.
 */
#include "../store/rocksdb_stores.h"
#include "small_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* t1 adds, t2 and t4 are fenced, t3 adds; their positions are their numbers. */
static void fill(struct rocksdb_test *test)
{
    static const char *const first[] = {"add t1 alice points=1", "cancel t2"};
    static const char *const second[] = {"add t3 alice points=1", "cancel t4"};
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_int_equal(batch_run_lines(store, SMALL_STORE_START_US, 2, first), STORE_OK);
    assert_int_equal(batch_run_lines(store, SMALL_STORE_START_US, 2, second), STORE_OK);
    store_close(store);
}

static void lose(struct rocksdb_test *test, const char *transaction_id, uint8_t position)
{
    const uint8_t key[8] = {[7] = position};
    rocksdb_test_put_row(test, "journal", (struct base_bytes){key, sizeof key}, NULL);
    rocksdb_test_put_row(test, "ids", base_bytes_of(base_text_of(transaction_id)), NULL);
}

static void verify_names_its_position(void **state)
{
    struct rocksdb_test *test = *state;
    fill(test);
    struct verdict verdict = verdict_on(rocksdb_test_store_to_read(test));
    assert_string_equal(verdict.err, "");
    verdict_release(&verdict);
    lose(test, "t2", 2);
    verdict = verdict_on(rocksdb_test_store_to_read(test));
    assert_string_equal(verdict.err, "journal: position 2: is missing\n");
    assert_int_equal(verdict.exit_status, APP_EXIT_COULD_NOT);
    verdict_release(&verdict);
}

static void a_store_that_has_lost_its_last_one_is_not_opened(void **state)
{
    struct rocksdb_test *test = *state;
    fill(test);
    lose(test, "t4", 4);
    assert_null(rocksdb_test_store_to_read(test));
    assert_true(rocksdb_test_said(test, "its journal does not end where its last batch did"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(verify_names_its_position, rocksdb_test_open,
                                        rocksdb_test_close),
        cmocka_unit_test_setup_teardown(a_store_that_has_lost_its_last_one_is_not_opened,
                                        rocksdb_test_open, rocksdb_test_close),
    };
    return cmocka_run_group_tests_name("verify lost", tests, NULL, NULL);
}
