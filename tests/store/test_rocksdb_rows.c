/* store/rocksdb: rows come back as they were written, and nothing else is taken for a row; the
 * cache of accounts is bounded and never wrong. */
#include "store/rocksdb/account_cache.h"
#include "store/rocksdb/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Three kinds that are configured in another order than they were stored, and one that was stored
 * last. */
static const struct store_rocksdb_kind_map map = {
    .n_kinds = 3, .n_stored = 3, .stored_numbers = {1, 2, 0}, .kind_numbers = {2, 0, 1}};

#define TIME_US INT64_C(1764028800000000)

static void an_account_comes_back(void **state)
{
    (void)state;
    static const struct ledger_balance balances[][3] = {
        {{0, 0}, {0, 0}, {0, 0}},
        {{1, 0}, {0, 2}, {3, 4}},
        {{INT64_MAX, 0}, {0, INT64_MAX}, {INT64_MAX - 1, 1}},
        {{0, 0}, {BASE_AMOUNT_MAX, 0}, {0, 0}},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof balances / sizeof balances[0]; i++) {
        struct ledger_account account = {.version = (int64_t)i + 1,
                                         .last_time_us = i % 2 == 0 ? TIME_US : -TIME_US,
                                         .balances = (struct ledger_balance *)balances[i]};
        struct base_writer row = {NULL, 0, 0};
        store_rocksdb_write_account(&row, &map, &account);
        struct ledger_account back = {0};
        assert_true(store_rocksdb_read_account(base_writer_bytes(&row), &map, &arena, &back));
        assert_true(back.version == account.version && back.loaded_version == account.version);
        assert_true(back.last_time_us == account.last_time_us);
        assert_memory_equal(back.balances, balances[i], sizeof balances[i]);
        base_writer_release(&row);
    }
    base_arena_release(&arena);
}

static void a_malformed_account_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[32];
        size_t length;
    } rows[] = {
        {"nothing", {0}, 0},
        {"no version", {0, 2, 0}, 3},
        {"no status", {1, 2}, 2},
        {"a later version's status", {1, 2, 1}, 3},
        {"a kind without balances", {1, 2, 0, 0}, 4},
        {"a kind without held", {1, 2, 0, 0, 5}, 5},
        {"a kind that was never stored", {1, 2, 0, 3, 5, 0}, 6},
        {"a kind twice", {1, 2, 0, 0, 5, 0, 0, 5, 0}, 9},
        {"kinds out of order", {1, 2, 0, 1, 5, 0, 0, 5, 0}, 9},
        {"a kind with nothing", {1, 2, 0, 0, 0, 0}, 6},
        {"a version in a longer form", {0x81, 0, 2, 0}, 4},
        {"a negative balance",
         {1, 2, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0},
         15},
        {"a sum beyond int64",
         {1, 2, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1},
         14},
        {"a time beyond year 9999",
         {1, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0},
         12},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_account untouched = {.version = 77};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_bytes row = {rows[i].bytes, rows[i].length};
        if (store_rocksdb_read_account(row, &map, &arena, &untouched)) {
            fail_msg("%s was taken for an account", rows[i].what);
        }
        assert_true(untouched.version == 77);
    }
    base_arena_release(&arena);
}

static void an_entry_comes_back_and_its_pieces_do_not(void **state)
{
    (void)state;
    struct ledger_entry entry = {.operation = RECORD_OPERATION_CONSUME,
                                 .kind_number = 1,
                                 .amount_minor = -BASE_AMOUNT_MAX,
                                 .balance_after_minor = INT64_MAX,
                                 .held_amount_minor = -3,
                                 .held_after_minor = 9,
                                 .create_time_us = TIME_US};
    struct base_writer row = {NULL, 0, 0};
    store_rocksdb_write_entry(&row, &map, &entry, 12345678901);
    struct ledger_entry back = {.sequence = 5};
    uint64_t position = 0;
    assert_true(store_rocksdb_read_entry(base_writer_bytes(&row), &map, &back, &position));
    assert_true(position == 12345678901 && back.sequence == 5);
    assert_true(back.operation == entry.operation && back.kind_number == entry.kind_number);
    assert_true(back.amount_minor == entry.amount_minor);
    assert_true(back.balance_after_minor == entry.balance_after_minor);
    assert_true(back.held_amount_minor == entry.held_amount_minor);
    assert_true(back.held_after_minor == entry.held_after_minor);
    assert_true(back.create_time_us == entry.create_time_us);
    for (size_t length = 0; length < row.length; length++) {
        assert_false(store_rocksdb_read_entry((struct base_bytes){row.bytes, length}, &map, &back,
                                              &position));
    }
    base_write_u8(&row, 0);
    assert_false(store_rocksdb_read_entry(base_writer_bytes(&row), &map, &back, &position));
    base_writer_release(&row);
}

static void a_journal_row_comes_back_and_its_pieces_do_not(void **state)
{
    (void)state;
    char longest[BASE_CALLER_MAX_BYTES + 1];
    memset(longest, 'z', sizeof longest);
    const struct base_text callers[] = {
        {"", 0}, BASE_TEXT("campaign"), {longest, BASE_CALLER_MAX_BYTES}};
    struct base_bytes record = base_bytes_of(BASE_TEXT("record"));
    for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
        struct base_writer row = {NULL, 0, 0};
        store_rocksdb_write_recorded(&row, callers[i], record);
        struct base_text caller;
        struct base_bytes back;
        assert_true(store_rocksdb_read_recorded(base_writer_bytes(&row), &caller, &back));
        assert_true(base_text_equal(caller, callers[i]) && base_bytes_equal(back, record));
        for (size_t length = 0; length <= row.length - record.length; length++) {
            assert_false(store_rocksdb_read_recorded((struct base_bytes){row.bytes, length},
                                                     &caller, &back));
        }
        base_writer_release(&row);
    }
    static const uint8_t unprintable[] = {2, 'a', '\n', 'r'};
    uint8_t too_long[1 + BASE_CALLER_MAX_BYTES + 1 + 1];
    memset(too_long, 'a', sizeof too_long);
    too_long[0] = BASE_CALLER_MAX_BYTES + 1;
    struct base_text caller;
    struct base_bytes back;
    assert_false(store_rocksdb_read_recorded((struct base_bytes){unprintable, sizeof unprintable},
                                             &caller, &back));
    assert_false(store_rocksdb_read_recorded((struct base_bytes){too_long, sizeof too_long},
                                             &caller, &back));
}

static void entry_keys_stand_newest_first_under_their_account(void **state)
{
    (void)state;
    /* In the order in which the keys must stand. */
    static const struct {
        const char *account_id;
        int64_t sequence;
    } rows[] = {{"a", INT64_MAX}, {"a", 256}, {"a", 255},     {"a", 2}, {"a", 1},
                {"a!", 9},        {"aa", 1},  {"b", 1000000}, {"b", 3}};
    struct base_text previous = {NULL, 0};
    uint8_t keys[sizeof rows / sizeof rows[0]][STORE_ROCKSDB_ENTRY_KEY_MAX_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length =
            store_rocksdb_entry_key(base_text_of(rows[i].account_id), rows[i].sequence, keys[i]);
        struct base_text key = {(const char *)keys[i], length};
        assert_true(base_text_compare(previous, key) < 0);
        struct base_text account_id;
        int64_t sequence;
        assert_true(store_rocksdb_read_entry_key(base_bytes_of(key), &account_id, &sequence));
        assert_true(base_text_equal(account_id, base_text_of(rows[i].account_id)));
        assert_true(sequence == rows[i].sequence);
        previous = key;
    }
}

static void a_malformed_entry_key_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[16];
        size_t length;
    } keys[] = {
        {"nothing", {0}, 0},
        {"no account", {0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE}, 9},
        {"no end of the account", {'a', 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE}, 10},
        {"an account with a space", {' ', 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE}, 10},
        {"sequence 0", {'a', 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 10},
        {"a sequence beyond int64", {'a', 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 10},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct base_text account_id = BASE_TEXT("untouched");
        int64_t sequence = 77;
        struct base_bytes key = {keys[i].bytes, keys[i].length};
        if (store_rocksdb_read_entry_key(key, &account_id, &sequence)) {
            fail_msg("%s was taken for an entry's key", keys[i].what);
        }
        assert_true(sequence == 77 && base_text_equal(account_id, BASE_TEXT("untouched")));
    }
}

static void a_kinds_row_comes_back_and_nothing_else_is_one(void **state)
{
    (void)state;
    for (int stored = 0; stored < BASE_KINDS_MAX; stored++) {
        struct base_writer row = {NULL, 0, 0};
        int back = -1;
        store_rocksdb_write_kind(&row, stored);
        assert_true(store_rocksdb_read_kind(base_writer_bytes(&row), &back) && back == stored);
        base_writer_release(&row);
    }
    static const struct {
        uint8_t bytes[4];
        size_t length;
    } rows[] = {
        {{0}, 0},                 /* nothing */
        {{1}, 1},                 /* not whether it expires */
        {{1, 0, 0}, 3},           /* something behind it */
        {{1, 1}, 2},              /* a kind that expires, of a later version */
        {{BASE_KINDS_MAX, 0}, 2}, /* one too many */
        {{0x81, 0x00, 0x00}, 3},  /* a number in a longer form */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int untouched = 77;
        assert_false(store_rocksdb_read_kind((struct base_bytes){rows[i].bytes, rows[i].length},
                                             &untouched));
        assert_int_equal(untouched, 77);
    }
}

static void a_rows_time_is_a_timestamps(void **state)
{
    (void)state;
    static const struct {
        int64_t time_us;
        bool taken;
    } rows[] = {{BASE_TIME_MIN_US, true},
                {BASE_TIME_MIN_US - 1, false},
                {BASE_TIME_MAX_US, true},
                {BASE_TIME_MAX_US + 1, false}};
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ledger_balance balances[3] = {{0}};
        struct ledger_account account = {
            .version = 1, .last_time_us = rows[i].time_us, .balances = balances};
        struct ledger_account back;
        struct base_writer row = {NULL, 0, 0};
        store_rocksdb_write_account(&row, &map, &account);
        assert_int_equal(store_rocksdb_read_account(base_writer_bytes(&row), &map, &arena, &back),
                         rows[i].taken);
        base_writer_release(&row);
    }
    base_arena_release(&arena);
}

/* --- the cache --- */

#define CACHED_MAX 8
#define ACCOUNTS 40

static void the_cache_keeps_the_last_row_or_none(void **state)
{
    (void)state;
    struct store_rocksdb_account_cache *cache = store_rocksdb_account_cache_open(CACHED_MAX);
    uint8_t rows[ACCOUNTS][9] = {{0}};
    uint64_t random = 88172645463325252;
    for (int step = 0; step < 20000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t account = random % ACCOUNTS;
        char id[16];
        (void)snprintf(id, sizeof id, "account-%02zu", account);
        struct base_bytes row;
        if (store_rocksdb_account_cache_find(cache, base_text_of(id), &row)) {
            assert_true(
                base_bytes_equal(row, (struct base_bytes){rows[account] + 1, rows[account][0]}));
        }
        if (random >> 40 & 1) {
            rows[account][0] = (uint8_t)(1 + (random >> 41 & 7));
            for (size_t i = 1; i <= rows[account][0]; i++) {
                rows[account][i] = (uint8_t)(random >> (8 * i & 63));
            }
            store_rocksdb_account_cache_put(
                cache, base_text_of(id), (struct base_bytes){rows[account] + 1, rows[account][0]});
        }
    }
    size_t n_cached = 0;
    for (size_t account = 0; account < ACCOUNTS; account++) {
        char id[16];
        struct base_bytes row;
        (void)snprintf(id, sizeof id, "account-%02zu", account);
        n_cached += store_rocksdb_account_cache_find(cache, base_text_of(id), &row);
    }
    assert_int_equal(n_cached, CACHED_MAX);
    store_rocksdb_account_cache_close(cache);
}

static void the_cache_keeps_what_is_used(void **state)
{
    (void)state;
    struct store_rocksdb_account_cache *cache = store_rocksdb_account_cache_open(CACHED_MAX);
    struct base_bytes row = base_bytes_of(BASE_TEXT("row"));
    struct base_text often = BASE_TEXT("often");
    store_rocksdb_account_cache_put(cache, often, row);
    for (int i = 0; i < 100; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "once-%d", i);
        store_rocksdb_account_cache_put(cache, base_text_of(id), row);
        struct base_bytes found;
        assert_true(store_rocksdb_account_cache_find(cache, often, &found) || i == CACHED_MAX - 1);
        if (i == CACHED_MAX - 1) {
            /* The first time around, all are as much used as another. */
            store_rocksdb_account_cache_put(cache, often, row);
        }
    }
    store_rocksdb_account_cache_close(cache);
}

static void a_cache_of_none_keeps_nothing(void **state)
{
    (void)state;
    struct store_rocksdb_account_cache *cache = store_rocksdb_account_cache_open(0);
    struct base_bytes row = base_bytes_of(BASE_TEXT("row"));
    store_rocksdb_account_cache_put(cache, BASE_TEXT("alice"), row);
    assert_false(store_rocksdb_account_cache_find(cache, BASE_TEXT("alice"), &row));
    store_rocksdb_account_cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_comes_back),
        cmocka_unit_test(a_malformed_account_is_refused),
        cmocka_unit_test(an_entry_comes_back_and_its_pieces_do_not),
        cmocka_unit_test(a_journal_row_comes_back_and_its_pieces_do_not),
        cmocka_unit_test(entry_keys_stand_newest_first_under_their_account),
        cmocka_unit_test(a_malformed_entry_key_is_refused),
        cmocka_unit_test(a_kinds_row_comes_back_and_nothing_else_is_one),
        cmocka_unit_test(a_rows_time_is_a_timestamps),
        cmocka_unit_test(the_cache_keeps_the_last_row_or_none),
        cmocka_unit_test(the_cache_keeps_what_is_used),
        cmocka_unit_test(a_cache_of_none_keeps_nothing),
    };
    return cmocka_run_group_tests_name("store/rocksdb: rows and the cache", tests, NULL, NULL);
}
