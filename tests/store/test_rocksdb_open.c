/* store/rocksdb: what is opened, what is refused, and what the refusal says. */
#include "rocksdb_stores.h"

#include <rocksdb/c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_second_opening_is_refused_while_the_first_lasts(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "in use by another process"));
    assert_null(rocksdb_test_store_to_read(test));
    assert_true(rocksdb_test_said(test, "in use by another process"));
    rocksdb_test_fill(store, 1, 1);
    store_close(store);
    store = rocksdb_test_store(test);
    assert_non_null(store);
    store_close(store);
}

static void a_reader_keeps_writers_out_and_other_readers_not(void **state)
{
    struct rocksdb_test *test = *state;
    store_close(rocksdb_test_store(test));
    struct store *reader = rocksdb_test_store_to_read(test);
    assert_non_null(reader);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "in use by another process"));
    struct store *other = rocksdb_test_store_to_read(test);
    assert_non_null(other);
    store_close(other);
    store_close(reader);
}

static void reading_changes_no_file_and_makes_none(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    rocksdb_test_fill(store, 1, 20);
    store_close(store);
    uint64_t before = place_fingerprint(test->place);
    /* All of it is in the log still, so that this recovers in memory only. */
    store = rocksdb_test_store_to_read(test);
    assert_non_null(store);
    assert_true(rocksdb_test_has(test, store, "t20"));
    struct store_cursor *cursor = store_cursor_open(store, STORE_TABLE_ENTRIES);
    struct store_row row;
    bool found = true;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(store_cursor_next(cursor, &found, &row), STORE_OK);
        assert_true(found && row.entry.sequence == 20 - i);
    }
    store_cursor_close(cursor);
    assert_true(place_fingerprint(test->place) == before);
    store_close(store);
    assert_true(place_fingerprint(test->place) == before);
}

static void reading_where_no_store_is_makes_none(void **state)
{
    struct rocksdb_test *test = *state;
    assert_null(rocksdb_test_store_to_read(test));
    assert_true(rocksdb_test_said(test, "no store there"));
    assert_int_not_equal(access(test->place->store, F_OK), 0);

    assert_int_equal(mkdir(test->place->store, 0700), 0);
    assert_null(rocksdb_test_store_to_read(test));
    assert_true(rocksdb_test_said(test, "no store there"));
    /* Only an empty directory can be removed. */
    assert_int_equal(rmdir(test->place->store), 0);
}

static void write_file(struct rocksdb_test *test, const char *name)
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    (void)snprintf(path, sizeof path, "%s/%s", test->place->store, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static void no_store_is_begun_over_other_files(void **state)
{
    struct rocksdb_test *test = *state;
    assert_int_equal(mkdir(test->place->store, 0700), 0);
    write_file(test, "holiday.jpg");
    uint64_t before = place_fingerprint(test->place);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "CURRENT is missing"));
    assert_true(place_fingerprint(test->place) == before);
}

static void a_store_that_lost_its_beginning_is_not_begun_anew(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    rocksdb_test_fill(store, 1, 3);
    store_close(store);
    place_remove_file(test->place, "CURRENT");
    uint64_t before = place_fingerprint(test->place);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "CURRENT is missing"));
    assert_true(place_fingerprint(test->place) == before);
}

static void a_creation_that_was_interrupted_is_made_again(void **state)
{
    struct rocksdb_test *test = *state;
    assert_int_equal(mkdir(test->place->store, 0700), 0);
    write_file(test, "LOCK");
    write_file(test, "LOG");
    write_file(test, "IDENTITY");
    write_file(test, "MANIFEST-000001");
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    rocksdb_test_fill(store, 1, 1);
    store_close(store);
}

static void what_is_no_directory_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    test->options.directory = "/dev/null";
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "is not a directory"));
    test->options.directory = "/nowhere/at/all";
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "the one above it does not exist"));
}

static void an_unknown_format_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    static const struct {
        uint8_t format;
        const char *said;
    } rows[] = {{1, "has format 1"}, {3, "has format 3"}};
    store_close(rocksdb_test_store(test));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_bytes value = {&rows[i].format, 1};
        rocksdb_test_put_row(test, "default", base_bytes_of(BASE_TEXT("format")), &value);
        assert_null(rocksdb_test_store(test));
        assert_true(rocksdb_test_said(test, rows[i].said));
        assert_null(rocksdb_test_store_to_read(test));
        assert_true(rocksdb_test_said(test, rows[i].said));
    }
    /* A later format may have tables of its own, and is told by its number all the same. */
    struct base_bytes value = {(const uint8_t *)"a", 1};
    rocksdb_test_put_row(test, "lots", base_bytes_of(BASE_TEXT("a")), &value);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "has format 3"));
}

static void another_programs_database_is_refused(void **state)
{
    struct rocksdb_test *test = *state;
    static const uint8_t one[] = {1};
    struct base_bytes value = {one, sizeof one};
    store_close(rocksdb_test_store(test));
    rocksdb_test_put_row(test, "pages", base_bytes_of(BASE_TEXT("a")), &value);
    rocksdb_test_put_row(test, "default", base_bytes_of(BASE_TEXT("format")), NULL);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "another program"));
}

/* A database with no families but the default, and one row in it if it `has_a_row`. */
static void make_database(struct rocksdb_test *test, bool has_a_row)
{
    char *error = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_t *database = rocksdb_open(options, test->place->store, &error);
    assert_null(error);
    rocksdb_writeoptions_t *write_options = rocksdb_writeoptions_create();
    if (has_a_row) {
        rocksdb_put(database, write_options, "page", 4, "1", 1, &error);
        assert_null(error);
    }
    rocksdb_writeoptions_destroy(write_options);
    rocksdb_close(database);
    rocksdb_options_destroy(options);
}

static void a_creation_that_stopped_before_its_first_batch_is_made_again(void **state)
{
    struct rocksdb_test *test = *state;
    make_database(test, false);
    assert_null(rocksdb_test_store_to_read(test));
    assert_true(rocksdb_test_said(test, "was never finished"));
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    rocksdb_test_fill(store, 1, 1);
    store_close(store);
    store = rocksdb_test_store_to_read(test);
    assert_non_null(store);
    assert_true(rocksdb_test_has(test, store, "t1"));
    store_close(store);
}

/* Most programs have no families but the default, as an interrupted creation of ours. */
static void another_programs_database_is_left_alone_though_its_families_could_be_ours(void **state)
{
    struct rocksdb_test *test = *state;
    make_database(test, true);
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "another program"));
    assert_null(rocksdb_test_store_to_read(test));
    assert_true(rocksdb_test_said(test, "another program"));
}

static void a_kind_that_was_served_must_be_configured(void **state)
{
    struct rocksdb_test *test = *state;
    store_close(rocksdb_test_store(test));
    test->kinds.n_kinds = 1;
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "the kind `money`"));
    assert_true(rocksdb_test_said(test, "withdrawn = yes"));
    /* Renamed is missing too. */
    test->kinds.n_kinds = 2;
    test->kinds.kinds[1].code = BASE_TEXT("cash");
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "the kind `money`"));
    test->kinds.kinds[1].code = BASE_TEXT("money");
    test->kinds.kinds[1].withdrawn = true;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    store_close(store);
}

static void kinds_of_the_shortest_and_the_longest_code_are_remembered(void **state)
{
    struct rocksdb_test *test = *state;
    static char longest[BASE_KIND_MAX_BYTES];
    memset(longest, 'k', sizeof longest);
    test->kinds.kinds[0].code = BASE_TEXT("p");
    test->kinds.kinds[1].code = (struct base_text){longest, sizeof longest};
    for (int i = 0; i < 2; i++) {
        struct store *store = rocksdb_test_store(test);
        assert_non_null(store);
        store_close(store);
        store = rocksdb_test_store_to_read(test);
        assert_non_null(store);
        const struct ledger_kinds *kinds = store_kinds(store);
        assert_int_equal(kinds->n_kinds, 2);
        assert_true(base_text_equal(kinds->kinds[0].code, BASE_TEXT("p")));
        assert_int_equal(kinds->kinds[1].code.length, BASE_KIND_MAX_BYTES);
        store_close(store);
    }
}

static void kinds_that_make_no_sense_are_refused(void **state)
{
    struct rocksdb_test *test = *state;
    store_close(rocksdb_test_store(test));
    /* A number twice, and then one that was left out. */
    static const uint8_t rows[][2] = {{0, 0}, {7, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_bytes value = {rows[i], sizeof rows[i]};
        rocksdb_test_put_row(test, "kinds", base_bytes_of(BASE_TEXT("miles")), &value);
        assert_null(rocksdb_test_store(test));
        assert_true(rocksdb_test_said(test, "its kinds are damaged; restore a backup"));
    }
}

static void a_new_kind_is_remembered_from_its_first_opening_on(void **state)
{
    struct rocksdb_test *test = *state;
    store_close(rocksdb_test_store(test));
    test->kinds.kinds[2] = test->kinds.kinds[0];
    test->kinds.kinds[2].code = BASE_TEXT("miles");
    test->kinds.n_kinds = 3;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    place_crash(test->place);
    store_close(store);
    test->kinds.n_kinds = 2;
    assert_null(rocksdb_test_store(test));
    assert_true(rocksdb_test_said(test, "the kind `miles`"));
}

/* One position under two ids would be one answer for two transactions. */
static void two_ids_at_one_position_are_corruption(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    rocksdb_test_fill(store, 1, 3);
    store_close(store);
    static const uint8_t first[] = {0, 0, 0, 0, 0, 0, 0, 1};
    struct base_bytes value = {first, sizeof first};
    rocksdb_test_put_row(test, "ids", base_bytes_of(BASE_TEXT("t2")), &value);
    store = rocksdb_test_store(test);
    assert_non_null(store);
    static const char *const lines[] = {"add t1 alice points=1", "add t2 alice points=1",
                                        "add t3 alice points=1"};
    for (size_t n = 2; n <= 3; n++) {
        assert_int_equal(batch_run_lines(store, 1, n, lines), STORE_CORRUPT);
    }
    store_close(store);
}

static void rows_that_make_no_sense_are_corruption(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    rocksdb_test_fill(store, 1, 3);
    store_close(store);
    static const uint8_t row[] = {3, 0, 1, 0, 3, 0}; /* as it should be, but for the status */
    struct base_bytes value = {row, sizeof row};
    rocksdb_test_put_row(test, "accounts", base_bytes_of(BASE_TEXT("alice")), &value);
    static const uint8_t second[] = {0, 0, 0, 0, 0, 0, 0, 2};
    rocksdb_test_put_row(test, "journal", (struct base_bytes){second, sizeof second}, NULL);

    store = rocksdb_test_store(test);
    assert_non_null(store);
    struct base_text alice = BASE_TEXT("alice");
    struct ledger_account account;
    assert_int_equal(store_read_accounts(store, 1, &alice, &test->arena, &account), STORE_CORRUPT);
    bool found;
    struct base_bytes record;
    assert_int_equal(store_read_transaction(store, BASE_TEXT("t2"), &test->arena, &found, &record),
                     STORE_CORRUPT);
    static const char *const lines[] = {"add t4 alice points=1", "add t2 bob points=1"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(batch_run_lines(store, 0, 1, &lines[i]), STORE_CORRUPT);
    }
    struct store_entries_query query = {.account_id = alice,
                                        .below_sequence = INT64_MAX,
                                        .kind_numbers = UINT64_MAX,
                                        .operations = UINT32_MAX,
                                        .start_time_us = INT64_MIN,
                                        .end_time_us = INT64_MAX,
                                        .limit = 10,
                                        .scan_limit = 10};
    struct store_entries_page page;
    assert_int_equal(store_read_entries(store, &query, &test->arena, &page), STORE_CORRUPT);
    /* What is whole is still read. */
    assert_true(rocksdb_test_has(test, store, "t1"));
    store_close(store);
}

/* The one that was loaded last is not looked at again, unless another was committed since. */
static void of_two_batches_loaded_at_once_the_second_to_be_committed_conflicts(void **state)
{
    struct rocksdb_test *test = *state;
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    for (int first = 0; first < 2; first++) {
        struct batch *batches[] = {batch_open(&test->kinds), batch_open(&test->kinds)};
        for (int i = 0; i < 2; i++) {
            char line[64];
            (void)snprintf(line, sizeof line, "add t%d-%d alice points=1", first, i);
            batch_add_line(batches[i], line);
            assert_int_equal(batch_load(batches[i], store), STORE_OK);
            batch_decide(batches[i], first);
        }
        assert_int_equal(batch_commit(batches[first], store), STORE_OK);
        assert_int_equal(batch_commit(batches[1 - first], store), STORE_CONFLICT);
        batch_close(batches[0]);
        batch_close(batches[1]);
    }
    store_close(store);
}

#define OPEN_TEST(test) cmocka_unit_test_setup_teardown(test, rocksdb_test_open, rocksdb_test_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPEN_TEST(a_second_opening_is_refused_while_the_first_lasts),
        OPEN_TEST(a_reader_keeps_writers_out_and_other_readers_not),
        OPEN_TEST(reading_changes_no_file_and_makes_none),
        OPEN_TEST(reading_where_no_store_is_makes_none),
        OPEN_TEST(no_store_is_begun_over_other_files),
        OPEN_TEST(a_store_that_lost_its_beginning_is_not_begun_anew),
        OPEN_TEST(a_creation_that_was_interrupted_is_made_again),
        OPEN_TEST(a_creation_that_stopped_before_its_first_batch_is_made_again),
        OPEN_TEST(what_is_no_directory_is_refused),
        OPEN_TEST(an_unknown_format_is_refused),
        OPEN_TEST(another_programs_database_is_refused),
        OPEN_TEST(another_programs_database_is_left_alone_though_its_families_could_be_ours),
        OPEN_TEST(a_kind_that_was_served_must_be_configured),
        OPEN_TEST(kinds_of_the_shortest_and_the_longest_code_are_remembered),
        OPEN_TEST(kinds_that_make_no_sense_are_refused),
        OPEN_TEST(a_new_kind_is_remembered_from_its_first_opening_on),
        OPEN_TEST(two_ids_at_one_position_are_corruption),
        OPEN_TEST(rows_that_make_no_sense_are_corruption),
        OPEN_TEST(of_two_batches_loaded_at_once_the_second_to_be_committed_conflicts),
    };
    return cmocka_run_group_tests_name("store/rocksdb: opening", tests, NULL, NULL);
}
