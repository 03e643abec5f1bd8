/*
 * store/rocksdb: rows that make no sense, as a bug of ours or of a library might leave them behind
 * sound checksums. Whoever asks is told of a fault, and never of what such a row says.
 */
#include "rocksdb_stores.h"
#include "store/rocksdb/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* --- who asks --- */

/* t1 to t3 have added 1 to alice each; a test's rows are bob's, and t9's. */
static enum store_fault load(struct rocksdb_test *test, struct store *store, const char *line)
{
    struct batch *batch = batch_open(&test->kinds);
    batch_add_line(batch, line);
    enum store_fault fault = batch_load(batch, store);
    batch_close(batch);
    return fault;
}

static enum store_fault load_bob(struct rocksdb_test *test, struct store *store)
{
    return load(test, store, "add t8 bob points=1");
}

static enum store_fault load_t9(struct rocksdb_test *test, struct store *store)
{
    return load(test, store, "add t9 carol points=1");
}

static enum store_fault read_bob(struct rocksdb_test *test, struct store *store)
{
    const struct base_text id = BASE_TEXT("bob");
    struct ledger_account account;
    return store_read_accounts(store, 1, &id, &test->arena, &account);
}

static enum store_fault read_t9(struct rocksdb_test *test, struct store *store)
{
    bool found;
    struct base_bytes record;
    struct base_text caller;
    enum store_fault fault =
        store_read_transaction(store, BASE_TEXT("t9"), &test->arena, &found, &record);
    assert_int_equal(store_read_caller(store, BASE_TEXT("t9"), &test->arena, &found, &caller),
                     fault);
    return fault;
}

static enum store_fault read_position_2(struct rocksdb_test *test, struct store *store)
{
    bool found;
    struct base_bytes record;
    return store_read_journal(store, 2, &test->arena, &found, &record);
}

static const struct store_entries_query query = {.account_id = {"alice", 5},
                                                 .below_sequence = INT64_MAX,
                                                 .kind_numbers = UINT64_MAX,
                                                 .operations = UINT32_MAX,
                                                 .start_time_us = INT64_MIN,
                                                 .end_time_us = INT64_MAX,
                                                 .limit = 10,
                                                 .scan_limit = 10};

static enum store_fault read_history(struct rocksdb_test *test, struct store *store)
{
    struct store_entries_page page;
    return store_read_entries(store, &query, &test->arena, &page);
}

static enum store_fault walk(struct store *store, enum store_table table)
{
    struct store_cursor *cursor = store_cursor_open(store, table);
    struct store_row row;
    bool found = true;
    enum store_fault fault = STORE_OK;
    while (fault == STORE_OK && found) {
        fault = store_cursor_next(cursor, &found, &row);
    }
    store_cursor_close(cursor);
    return fault;
}

static enum store_fault walk_journal(struct rocksdb_test *test, struct store *store)
{
    (void)test;
    return walk(store, STORE_TABLE_JOURNAL);
}

static enum store_fault walk_ids(struct rocksdb_test *test, struct store *store)
{
    (void)test;
    return walk(store, STORE_TABLE_IDS);
}

static enum store_fault walk_accounts(struct rocksdb_test *test, struct store *store)
{
    (void)test;
    return walk(store, STORE_TABLE_ACCOUNTS);
}

static enum store_fault walk_entries(struct rocksdb_test *test, struct store *store)
{
    (void)test;
    return walk(store, STORE_TABLE_ENTRIES);
}

typedef enum store_fault asks(struct rocksdb_test *test, struct store *store);

/* --- what makes no sense --- */

#define ASKED_MAX 4
#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define POSITION(number) BYTES("\0\0\0\0\0\0\0" number)
#define ALICE(inverted) BYTES("alice\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF" inverted)

static const struct {
    const char *family;
    struct base_bytes key;
    struct base_bytes value; /* empty: the row is taken away */
    asks *told[ASKED_MAX];   /* NULL: no more */
} rows[] = {
    {"accounts", BYTES("bob"), BYTES("\x01"), {load_bob, read_bob, walk_accounts}},
    {"accounts", BYTES("bob"), BYTES("\x01\x02\x00\x00"), {load_bob, read_bob, walk_accounts}},
    {"accounts", BYTES("b b"), BYTES("\x01\x02\x00"), {walk_accounts}},
    {"accounts", BYTES(""), BYTES("\x01\x02\x00"), {walk_accounts}},
    {"ids", BYTES("t9"), BYTES("\x01"), {load_t9, read_t9, walk_ids}},
    {"ids", BYTES("t9"), POSITION("\x00"), {load_t9, read_t9, walk_ids}},
    {"ids", BYTES("t9"), POSITION("\x63"), {load_t9, read_t9}}, /* not in the journal */
    {"ids", BYTES("t 9"), POSITION("\x01"), {walk_ids}},
    {"journal", POSITION("\x02"), BYTES("\x00"), {read_position_2, walk_journal, read_history}},
    {"journal", POSITION("\x02"), BYTES("\x00?"), {read_history}}, /* no record */
    {"journal", POSITION("\x02"), {NULL, 0}, {read_history}},
    {"journal", BYTES("\x00"), BYTES("\x00?"), {walk_journal}},
    {"entries", BYTES("alice"), BYTES("?"), {walk_entries}},
    {"entries", ALICE("\xFD"), BYTES("?"), {read_history, walk_entries}},
    {"entries", ALICE("\xFD"), {NULL, 0}, {read_history}}, /* a hole */
    /* Of no operation, and at no position. */
    {"entries",
     ALICE("\xFD"),
     BYTES("\x02\x07\x00\x02\x02\x00\x00\x00"),
     {read_history, walk_entries}},
    {"entries",
     ALICE("\xFD"),
     BYTES("\x00\x01\x00\x02\x02\x00\x00\x00"),
     {read_history, walk_entries}},
    {"entries",
     ALICE("\xFD"),
     BYTES("\x02\x01\x09\x02\x02\x00\x00\x00"),
     {read_history, walk_entries}},
};

static void expect(struct rocksdb_test *test, size_t number, enum store_fault expected)
{
    struct store *store = rocksdb_test_store(test);
    assert_non_null(store);
    for (size_t asked = 0; asked < ASKED_MAX && rows[number].told[asked] != NULL; asked++) {
        enum store_fault fault = rows[number].told[asked](test, store);
        if (fault != expected) {
            fail_msg("row %zu: who asks as number %zu is told %d", number, asked, (int)fault);
        }
    }
    store_close(store);
}

static void what_makes_no_sense_is_a_fault_to_all_who_ask(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *opened;
        (void)rocksdb_test_open(&opened);
        struct rocksdb_test *test = opened;
        struct store *store = rocksdb_test_store(test);
        rocksdb_test_fill(store, 1, 3);
        store_close(store);
        expect(test, i, STORE_OK);
        rocksdb_test_put_row(test, rows[i].family, rows[i].key,
                             rows[i].value.bytes != NULL ? &rows[i].value : NULL);
        expect(test, i, STORE_CORRUPT);
        (void)rocksdb_test_close(&opened);
    }
}

/* What an entry says of its transaction is what the record says. */
static void an_entry_that_is_not_its_transactions_is_a_fault(void **state)
{
    struct rocksdb_test *test = *state;
    static const struct store_rocksdb_kind_map map = {
        .n_kinds = 2, .n_stored = 2, .stored_numbers = {0, 1}, .kind_numbers = {0, 1}};
    static const struct {
        enum record_operation operation;
        int64_t later_us;
        enum store_fault fault;
    } cases[] = {{RECORD_OPERATION_ADD, 0, STORE_OK},
                 {RECORD_OPERATION_CONSUME, 0, STORE_CORRUPT},
                 {RECORD_OPERATION_ADD, 1, STORE_CORRUPT}};
    struct store *store = rocksdb_test_store(test);
    rocksdb_test_fill(store, 1, 3);
    struct store_entries_page page;
    assert_int_equal(store_read_entries(store, &query, &test->arena, &page), STORE_OK);
    struct ledger_entry entry = page.entries[1];
    assert_int_equal(entry.sequence, 2);
    store_close(store);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const struct base_bytes key = ALICE("\xFD");
        struct ledger_entry written = entry;
        written.operation = cases[i].operation;
        written.create_time_us += cases[i].later_us;
        struct base_writer row = {NULL, 0, 0};
        store_rocksdb_write_entry(&row, &map, &written, 2);
        struct base_bytes value = base_writer_bytes(&row);
        rocksdb_test_put_row(test, "entries", key, &value);
        base_writer_release(&row);
        store = rocksdb_test_store(test);
        assert_int_equal(read_history(test, store), cases[i].fault);
        store_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_a_fault_to_all_who_ask),
        cmocka_unit_test_setup_teardown(an_entry_that_is_not_its_transactions_is_a_fault,
                                        rocksdb_test_open, rocksdb_test_close),
    };
    return cmocka_run_group_tests_name("store_rocksdb_senseless", tests, NULL, NULL);
}
