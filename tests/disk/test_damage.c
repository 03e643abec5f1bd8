/*
 * One byte of a stopped store changes: in its log, tables, manifest, mark, or any other file. Then
 * it is refused, or tells of a fault, or is right: never a wrong balance, a missing entry, or a
 * transaction that was acknowledged and is not there (contract 3.12; store.h, 5).
 *
 * ZANDAKA_FLIPS (600) says how many bytes are tried; 0: every byte of every file but OPTIONS-*,
 * which RocksDB writes for people and does not read. ZANDAKA_SEED repeats a run's choices.
 */
#include "../store/rocksdb_stores.h"
#include "app/app.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define START_US INT64_C(1764028800000000)
#define ACCOUNTS 4
#define BATCHES 24 /* in each session */
#define SESSIONS 3 /* each opening makes tables of what the log held */
#define TRANSACTIONS (SESSIONS * BATCHES)
#define FILES_MAX 64
#define FLIPS_DEFAULT 600
/* One flip in so many is also met by a server, which repairs and rewrites at its start. */
#define WRITERS 4

/* What every store of the test must tell, if it tells anything. */
static struct expectation {
    struct base_arena arena;
    struct base_text ids[TRANSACTIONS];
    struct base_bytes records[TRANSACTIONS];
    struct ledger_account accounts[ACCOUNTS];
} expected;

/* What is being tried: an assertion ends the test there, and the teardown tells. */
static struct {
    const char *file; /* NULL: nothing is */
    int64_t at;
    uint8_t mask;
} trial;

struct counts {
    int n_refused;
    int n_told;
    int n_right;
};

static struct base_text account_id(int number)
{
    static const char *const names[ACCOUNTS] = {"alice", "bob", "carol", "dave"};
    return base_text_of(names[number]);
}

/* Adds mostly; every fifth consumes, every seventh is a fence. */
static const char *line_of(int number, char line[static 80])
{
    if (number % 7 == 6) {
        (void)snprintf(line, 80, "cancel t%d", number);
    } else {
        (void)snprintf(line, 80, "%s t%d %s points=%d", number % 5 == 4 ? "consume" : "add", number,
                       account_id(number % ACCOUNTS).bytes, number % 5 == 4 ? 1 : number + 10);
    }
    return line;
}

static void write_session(struct rocksdb_test *test, struct store *store, int session)
{
    for (int number = session * BATCHES; number < (session + 1) * BATCHES; number++) {
        char line[80];
        struct batch *batch = batch_open(&test->kinds);
        batch_add_line(batch, line_of(number, line));
        assert_int_equal(batch_run(batch, store, START_US + number), STORE_OK);
        char id[16];
        (void)snprintf(id, sizeof id, "t%d", number);
        assert_non_null(batch->outcomes[0].record.bytes);
        expected.ids[number] = base_arena_text(&expected.arena, base_text_of(id));
        expected.records[number] = base_arena_bytes(&expected.arena, batch->outcomes[0].record);
        batch_close(batch);
    }
}

static void read_accounts(struct store *store, struct base_arena *arena,
                          struct ledger_account accounts[ACCOUNTS], enum store_fault *ret_fault)
{
    struct base_text ids[ACCOUNTS];
    for (int i = 0; i < ACCOUNTS; i++) {
        ids[i] = account_id(i);
    }
    *ret_fault = store_read_accounts(store, ACCOUNTS, ids, arena, accounts);
}

static void make_store(struct rocksdb_test *test)
{
    for (int session = 0; session < SESSIONS; session++) {
        struct store *store = rocksdb_test_store(test);
        assert_non_null(store);
        write_session(test, store, session);
        if (session == SESSIONS - 1) {
            enum store_fault fault;
            read_accounts(store, &expected.arena, expected.accounts, &fault);
            assert_int_equal(fault, STORE_OK);
        }
        store_close(store);
    }
}

/* --- what a store tells --- */

static bool transactions_are_read(struct store *store, struct base_arena *arena)
{
    bool whole = true;
    for (int i = 0; i < TRANSACTIONS; i++) {
        bool found;
        struct base_bytes record;
        if (store_read_transaction(store, expected.ids[i], arena, &found, &record) != STORE_OK) {
            whole = false;
            continue;
        }
        assert_true(found);
        assert_true(base_bytes_equal(record, expected.records[i]));
    }
    return whole;
}

/* The account's row, and its history as long as the row says. */
static bool accounts_are_read(struct store *store, struct base_arena *arena)
{
    struct ledger_account accounts[ACCOUNTS];
    enum store_fault fault;
    read_accounts(store, arena, accounts, &fault);
    bool whole = fault == STORE_OK;
    for (int i = 0; i < ACCOUNTS; i++) {
        if (fault == STORE_OK) {
            assert_true(accounts[i].version == expected.accounts[i].version);
            assert_true(accounts[i].balances[0].available_minor ==
                        expected.accounts[i].balances[0].available_minor);
        }
        struct store_entries_query query = {.account_id = account_id(i),
                                            .below_sequence = INT64_MAX,
                                            .kind_numbers = UINT64_MAX,
                                            .operations = UINT32_MAX,
                                            .start_time_us = INT64_MIN,
                                            .end_time_us = INT64_MAX,
                                            .limit = BASE_PAGE_MAX,
                                            .scan_limit = BASE_PAGE_MAX};
        struct store_entries_page page;
        if (store_read_entries(store, &query, arena, &page) != STORE_OK) {
            whole = false;
            continue;
        }
        assert_int_equal(page.n_entries, expected.accounts[i].version);
        assert_true(page.entries[0].balance_after_minor ==
                    expected.accounts[i].balances[0].available_minor);
    }
    return whole;
}

/* Looks at all of an open store and closes it; whether it was whole. What is told must be right. */
static bool look_through(struct store *store)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    FILE *nowhere = fopen("/dev/null", "we");
    assert_non_null(nowhere);
    bool whole = transactions_are_read(store, &arena);
    whole = accounts_are_read(store, &arena) && whole;
    whole = app_verify(store, nowhere, nowhere) == APP_EXIT_DONE && whole;
    (void)fclose(nowhere);
    base_arena_release(&arena);
    store_close(store);
    return whole;
}

static void count(struct counts *counts, struct store *store)
{
    if (store == NULL) {
        counts->n_refused++;
    } else if (look_through(store)) {
        counts->n_right++;
    } else {
        counts->n_told++;
    }
}

/* A server's start on a copy of the damaged store, and then whoever reads what that left. */
static void start_on_copy(struct rocksdb_test *test, struct counts *counts)
{
    char original[PLACE_PATH_MAX_BYTES];
    (void)snprintf(original, sizeof original, "%s", test->place->store);
    place_crash(test->place);
    struct rocksdb_test copy = *test;
    copy.options.directory = test->place->store;
    struct store *store = rocksdb_test_store(&copy);
    count(counts, store);
    if (store != NULL) {
        store = rocksdb_test_store_to_read(&copy);
        count(counts, store);
    }
    char command[PLACE_PATH_MAX_BYTES + 16];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", test->place->store);
    assert_int_equal(system(command), 0);
    (void)snprintf(test->place->store, sizeof test->place->store, "%s", original);
    test->arena = copy.arena;
}

/* --- which bytes --- */

struct file {
    char name[256];
    int64_t size;
};

static size_t list_files(const struct rocksdb_test *test, struct file files[FILES_MAX])
{
    DIR *listing = opendir(test->place->store);
    assert_non_null(listing);
    size_t n = 0;
    for (struct dirent *each = readdir(listing); each != NULL; each = readdir(listing)) {
        if (each->d_type == DT_REG) {
            assert_true(n < FILES_MAX);
            (void)snprintf(files[n].name, sizeof files[n].name, "%s", each->d_name);
            files[n].size = place_file_size(test->place, each->d_name);
            n += files[n].size > 0;
        }
    }
    (void)closedir(listing);
    return n;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* Any of the bits of `mask` in one byte are turned over; a second time turns them back. */
static void turn_bits(const struct rocksdb_test *test, const char *name, int64_t at, uint8_t mask)
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    (void)snprintf(path, sizeof path, "%s/%s", test->place->store, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= mask;
    assert_true(pwrite(fd, &byte, 1, at) == 1 && close(fd) == 0);
}

static void try_byte(struct rocksdb_test *test, const char *name, int64_t at, uint8_t mask,
                     bool as_writer, struct counts *counts)
{
    trial.file = name;
    trial.at = at;
    trial.mask = mask;
    turn_bits(test, name, at, mask);
    count(counts, rocksdb_test_store_to_read(test));
    if (as_writer) {
        start_on_copy(test, counts);
    }
    turn_bits(test, name, at, mask);
    trial.file = NULL;
    base_arena_reset(&test->arena);
}

static void a_flipped_byte_is_refused_told_or_harmless(void **state)
{
    struct rocksdb_test *test = *state;
    make_store(test);
    assert_true(look_through(rocksdb_test_store_to_read(test)));
    struct file files[FILES_MAX];
    size_t n_files = list_files(test, files);
    uint64_t n_flips = setting("ZANDAKA_FLIPS", FLIPS_DEFAULT);
    uint64_t seed = setting("ZANDAKA_SEED", (uint64_t)time(NULL));
    (void)fprintf(stderr, "seed %llu, %llu flips (0: every byte)\n", (unsigned long long)seed,
                  (unsigned long long)n_flips);
    int n_refusing_files = 0;
    for (size_t i = 0; i < n_files; i++) {
        struct counts counts = {0};
        bool every = n_flips == 0 && strncmp(files[i].name, "OPTIONS", 7) != 0;
        int64_t n = every          ? files[i].size
                    : n_flips == 0 ? FLIPS_DEFAULT
                                   : (int64_t)(n_flips / n_files) + 1;
        for (int64_t flip = 0; flip < n; flip++) {
            int64_t at =
                n_flips == 0 ? flip : (int64_t)(next_random(&seed) % (uint64_t)files[i].size);
            /* One bit mostly, several now and then. */
            uint8_t mask = (uint8_t)(1U << next_random(&seed) % 8);
            if (next_random(&seed) % 4 == 0) {
                mask |= (uint8_t)next_random(&seed);
            }
            try_byte(test, files[i].name, at, mask, flip % WRITERS == 0, &counts);
        }
        n_refusing_files += counts.n_refused + counts.n_told > 0;
        (void)fprintf(stderr, "%-24s %6lld bytes: %d refused, %d told, %d right\n", files[i].name,
                      (long long)files[i].size, counts.n_refused, counts.n_told, counts.n_right);
    }
    /* At the least the log, the manifest, CURRENT and the tables of four families. */
    assert_true(n_refusing_files >= 7);
    assert_true(look_through(rocksdb_test_store_to_read(test)));
}

static int close_and_tell(void **state)
{
    if (trial.file != NULL) {
        (void)fprintf(stderr, "it was byte %lld of %s, with %02x\n", (long long)trial.at,
                      trial.file, trial.mask);
    }
    base_arena_release(&expected.arena);
    return rocksdb_test_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flipped_byte_is_refused_told_or_harmless,
                                        rocksdb_test_open, close_and_tell),
    };
    return cmocka_run_group_tests_name("disk: damage", tests, NULL, NULL);
}
