/* store/rocksdb: damaged files are told, and never a wrong balance (contract 3.12). */
#include "rocksdb_stores.h"
#include "store/rocksdb/mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N_BATCHES 30

/* A store of N_BATCHES batches that are all in the log, closed. The mark as it was before the last
 * of them is kept as `mark.before`: what a power cut in the middle of that batch would leave. */
static void make_store(struct rocksdb_test *test)
{
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    rocksdb_test_fill(store, 1, N_BATCHES - 1);
    place_copy_file(test->place, STORE_ROCKSDB_MARK_FILE, "mark.before");
    rocksdb_test_fill(store, N_BATCHES, 1);
    store_close(store);
}

static void use_mark_before(struct rocksdb_test *test)
{
    place_copy_file(test->place, "mark.before", STORE_ROCKSDB_MARK_FILE);
}

static int64_t log_size(struct rocksdb_test *test)
{
    return place_file_size(test->place, place_find_file(test->place, ".log"));
}

static void flip_log(struct rocksdb_test *test, int64_t at)
{
    place_flip_byte(test->place, place_find_file(test->place, ".log"), at);
}

/* Refused, twice, to write and to read, and nothing has changed. */
static void assert_refused(struct rocksdb_test *test)
{
    uint64_t before = place_fingerprint(test->place);
    for (int i = 0; i < 2; i++) {
        assert_null(rocksdb_test_store(test));
        assert_true(rocksdb_test_said(test, "is known to have been durable"));
        assert_null(rocksdb_test_store_to_read(test));
        assert_true(rocksdb_test_said(test, "is known to have been durable"));
    }
    assert_true(place_fingerprint(test->place) == before);
}

/* Opens, with all but the last batch, and goes on. */
static void assert_opens_without_the_last(struct rocksdb_test *test)
{
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_true(rocksdb_test_has(test, store, "t29"));
    assert_false(rocksdb_test_has(test, store, "t30"));
    rocksdb_test_fill(store, N_BATCHES, 5);
    store_close(store);
    store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_true(rocksdb_test_has(test, store, "t34"));
    store_close(store);
}

static void a_flipped_bit_in_the_log_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    int64_t size = log_size(test);
    for (int64_t part = 1; part < 8; part++) {
        flip_log(test, size * part / 8);
        assert_refused(test);
        flip_log(test, size * part / 8);
    }
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_true(rocksdb_test_has(test, store, "t30"));
    store_close(store);
}

static void a_flipped_bit_is_refused_too_with_the_mark_of_a_crashed_machine(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    use_mark_before(test);
    flip_log(test, log_size(test) / 2);
    assert_refused(test);
}

static void a_log_that_is_gone_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    place_remove_file(test->place, place_find_file(test->place, ".log"));
    assert_refused(test);
}

static void a_torn_last_record_opens(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    use_mark_before(test);
    place_cut_file(test->place, place_find_file(test->place, ".log"), log_size(test) - 3);
    assert_opens_without_the_last(test);
}

static void a_last_record_of_garbage_opens(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    use_mark_before(test);
    flip_log(test, log_size(test) - 3);
    assert_opens_without_the_last(test);
}

static void a_cut_log_is_refused_when_the_batch_was_durable(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    place_cut_file(test->place, place_find_file(test->place, ".log"), log_size(test) - 3);
    assert_refused(test);
    assert_true(rocksdb_test_said(test, " 1 transactions that were answered would be lost"));
}

static void an_older_copy_opens_once_the_mark_is_removed(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    place_cut_file(test->place, place_find_file(test->place, ".log"), log_size(test) - 3);
    assert_refused(test);
    place_remove_file(test->place, STORE_ROCKSDB_MARK_FILE);
    assert_opens_without_the_last(test);
}

static void one_torn_slot_of_the_mark_leaves_the_other(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    for (int64_t slot = 0; slot < 2; slot++) {
        place_flip_byte(test->place, STORE_ROCKSDB_MARK_FILE, slot * 4096 + 7);
        flip_log(test, log_size(test) / 2);
        assert_refused(test);
        flip_log(test, log_size(test) / 2);
        place_flip_byte(test->place, STORE_ROCKSDB_MARK_FILE, slot * 4096 + 7);
    }
}

static void a_broken_mark_keeps_no_store_from_opening(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    place_flip_byte(test->place, STORE_ROCKSDB_MARK_FILE, 7);
    place_flip_byte(test->place, STORE_ROCKSDB_MARK_FILE, 4096 + 7);
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_true(rocksdb_test_has(test, store, "t30"));
    /* And the mark is whole again. */
    rocksdb_test_fill(store, N_BATCHES + 1, 5);
    store_close(store);
    flip_log(test, log_size(test) / 2);
    assert_refused(test);
}

/* Reads everything; false: a fault was told. What is told without a fault must be right. */
static bool reads_rightly(struct rocksdb_test *test, struct store *store)
{
    struct base_text alice = BASE_TEXT("alice");
    struct ledger_account account;
    bool whole = true;
    if (store_read_accounts(store, 1, &alice, &test->arena, &account) != STORE_OK) {
        whole = false;
    } else {
        assert_true(account.version == N_BATCHES);
        assert_true(account.balances[0].available_minor == N_BATCHES);
    }
    const struct store_entries_query query = {.account_id = alice,
                                              .below_sequence = INT64_MAX,
                                              .kind_numbers = UINT64_MAX,
                                              .operations = UINT32_MAX,
                                              .start_time_us = INT64_MIN,
                                              .end_time_us = INT64_MAX,
                                              .limit = BASE_PAGE_MAX,
                                              .scan_limit = BASE_PAGE_MAX};
    struct store_entries_page page;
    if (store_read_entries(store, &query, &test->arena, &page) != STORE_OK) {
        whole = false;
    } else {
        assert_int_equal(page.n_entries, N_BATCHES);
    }
    for (int i = 1; i <= N_BATCHES; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "t%d", i);
        bool found;
        struct base_bytes record;
        if (store_read_transaction(store, base_text_of(id), &test->arena, &found, &record) !=
            STORE_OK) {
            whole = false;
            continue;
        }
        struct record_transaction transaction;
        assert_true(found && record_decode(&test->arena, record, &transaction));
        assert_true(base_text_equal(transaction.transaction_id, base_text_of(id)));
    }
    for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
        struct store_cursor *cursor = store_cursor_open(store, (enum store_table)table);
        int64_t n = 0;
        bool found = true;
        enum store_fault fault = STORE_OK;
        while (fault == STORE_OK && found) {
            struct store_row row;
            fault = store_cursor_next(cursor, &found, &row);
            n += fault == STORE_OK && found;
        }
        whole = whole && fault == STORE_OK;
        /* A walk that ends without a fault has seen every row. */
        assert_true(fault != STORE_OK || n == (table == STORE_TABLE_ACCOUNTS ? 1 : N_BATCHES));
        store_cursor_close(cursor);
    }
    return whole;
}

static void a_flipped_bit_in_a_table_is_a_fault_or_harmless(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    store_close(rocksdb_test_store(test)); /* recovery flushes the log into tables */
    int n_files = 0;
    int n_told = 0;
    while (place_list_file(test->place, ".sst", n_files) != NULL) {
        char file[256];
        (void)snprintf(file, sizeof file, "%s", place_list_file(test->place, ".sst", n_files++));
        int64_t size = place_file_size(test->place, file);
        for (int64_t part = 0; part < 16; part++) {
            int64_t at = size * part / 16;
            place_flip_byte(test->place, file, at);
            struct store *store = rocksdb_test_store_to_read(test);
            n_told += store == NULL || !reads_rightly(test, store);
            if (store != NULL) {
                store_close(store);
            }
            place_flip_byte(test->place, file, at);
        }
    }
    assert_true(n_files >= 4);
    assert_true(n_told >= 4 * n_files);
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_true(reads_rightly(test, store));
    store_close(store);
}

/* The manifest's name, which CURRENT holds on its only line. */
static void find_manifest(const struct rocksdb_test *test, char ret_name[static 64])
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    (void)snprintf(path, sizeof path, "%s/CURRENT", test->place->store);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(ret_name, 64, file));
    (void)fclose(file);
    ret_name[strcspn(ret_name, "\n")] = '\0';
}

/* RocksDB takes a manifest up to its last whole record, so that one that lost its end (or a length
 * near it) would lose tables: of the ids, say, and then what they knew could succeed again. */
static void a_manifest_that_lost_its_end_or_any_byte_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    struct store *store = rocksdb_test_store(test); /* makes tables of the log */
    assert_non_null(store);
    rocksdb_test_fill(store, N_BATCHES + 1, 1);
    store_close(store);
    char manifest[64];
    find_manifest(test, manifest);
    int64_t size = place_file_size(test->place, manifest);
    for (int64_t at = 0; at < size; at++) {
        place_flip_byte(test->place, manifest, at);
        assert_null(rocksdb_test_store_to_read(test));
        assert_true(rocksdb_test_said(test, "is damaged: its manifest"));
        place_flip_byte(test->place, manifest, at);
    }
    place_copy_file(test->place, manifest, "manifest.whole");
    place_cut_file(test->place, manifest, size - 1);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "is damaged: its manifest"));
    place_copy_file(test->place, "manifest.whole", manifest);
    place_remove_file(test->place, "manifest.whole");
    store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_true(rocksdb_test_has(test, store, "t31"));
    store_close(store);
}

#define DAMAGE_TEST(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, rocksdb_test_open, rocksdb_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DAMAGE_TEST(a_flipped_bit_in_the_log_is_refused),
        DAMAGE_TEST(a_flipped_bit_is_refused_too_with_the_mark_of_a_crashed_machine),
        DAMAGE_TEST(a_log_that_is_gone_is_refused),
        DAMAGE_TEST(a_torn_last_record_opens),
        DAMAGE_TEST(a_last_record_of_garbage_opens),
        DAMAGE_TEST(a_cut_log_is_refused_when_the_batch_was_durable),
        DAMAGE_TEST(an_older_copy_opens_once_the_mark_is_removed),
        DAMAGE_TEST(one_torn_slot_of_the_mark_leaves_the_other),
        DAMAGE_TEST(a_broken_mark_keeps_no_store_from_opening),
        DAMAGE_TEST(a_manifest_that_lost_its_end_or_any_byte_is_refused),
        DAMAGE_TEST(a_flipped_bit_in_a_table_is_a_fault_or_harmless),
    };
    return cmocka_run_group_tests_name("store/rocksdb: damage", tests, NULL, NULL);
}
