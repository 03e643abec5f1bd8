/*
 * One byte of a stopped store changes: in its log, tables, manifest, mark, or any other file. Then
 * it is refused, or tells of a fault, or is right: never a wrong balance, a missing entry, or a
 * transaction that was acknowledged and is not there (contract 3.12; store.h, 5).
 *
 * ZANDAKA_FLIPS (300) says how many bytes are tried; 0: every byte of every file but OPTIONS-*,
 * which RocksDB writes for people and does not read. ZANDAKA_SEED repeats a run's choices.
 */
#include "../store/rocksdb_stores.h"
#include "app/app.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define START_US INT64_C(1764028800000000)
#define ACCOUNTS 4
#define BATCHES 24 /* in each session */
#define SESSIONS 3 /* each opening makes tables of what the log held */
#define TRANSACTIONS (SESSIONS * BATCHES)
#define FILES_MAX 64
#define RECORD_MAX_BYTES 256
#define FLIPS_DEFAULT 300
/* One flip in so many is also met by a server, which repairs and rewrites at its start. */
#define WRITERS 4

/* What every store of the test must tell, if it tells anything. In memory that the processes share:
 * the store is made by a process of its own, and the trials are made in others, since RocksDB
 * aborts on some damage, and its threads do not survive a fork. */
struct expectation {
    char ids[TRANSACTIONS][16];
    size_t record_lengths[TRANSACTIONS];
    uint8_t records[TRANSACTIONS][RECORD_MAX_BYTES];
    int64_t versions[ACCOUNTS];
    int64_t balances[ACCOUNTS];
};

/* How a trial ends. */
enum verdict {
    VERDICT_RIGHT,
    VERDICT_REFUSED,
    VERDICT_TOLD,
    VERDICT_ABORTED, /* by an assertion of RocksDB, which Debian builds with them */
    VERDICTS
};

/* Which flip of which file is tried, and how those before it ended. A flip follows from the seed
 * and its number, so that a process can go on where another aborted. */
struct trials {
    char file[256];
    int64_t size;
    bool every; /* one flip for each byte, in order */
    uint64_t seed;
    int64_t n;
    int64_t next;
    int counts[VERDICTS];
};

/* Shared with the processes. */
static struct expectation *expected;
static struct trials *trials;

#define STATUS_WRONG 99

/* In a trial: what is told and not true ends it, and fails the test. */
#define must(condition) ((condition) ? (void)0 : tell_wrong(#condition))

static _Noreturn void tell_wrong(const char *condition)
{
    (void)fprintf(stderr, "WRONG: %s does not hold\n", condition);
    _exit(STATUS_WRONG);
}

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
        must(batch_run(batch, store, START_US + number) == STORE_OK);
        struct base_bytes record = batch->outcomes[0].record;
        must(record.bytes != NULL && record.length <= RECORD_MAX_BYTES);
        (void)snprintf(expected->ids[number], sizeof expected->ids[number], "t%d", number);
        memcpy(expected->records[number], record.bytes, record.length);
        expected->record_lengths[number] = record.length;
        batch_close(batch);
    }
}

static enum store_fault read_accounts(struct store *store, struct base_arena *arena,
                                      struct ledger_account accounts[ACCOUNTS])
{
    struct base_text ids[ACCOUNTS];
    for (int i = 0; i < ACCOUNTS; i++) {
        ids[i] = account_id(i);
    }
    return store_read_accounts(store, ACCOUNTS, ids, arena, accounts);
}

/* Runs in a process of its own. */
static void make_store(struct rocksdb_test *test)
{
    for (int session = 0; session < SESSIONS; session++) {
        struct store *store = rocksdb_test_store(test);
        must(store != NULL);
        write_session(test, store, session);
        struct ledger_account accounts[ACCOUNTS];
        must(read_accounts(store, &test->arena, accounts) == STORE_OK);
        for (int i = 0; i < ACCOUNTS; i++) {
            expected->versions[i] = accounts[i].version;
            expected->balances[i] = accounts[i].balances[0].available_minor;
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
        if (store_read_transaction(store, base_text_of(expected->ids[i]), arena, &found, &record) !=
            STORE_OK) {
            whole = false;
            continue;
        }
        must(found);
        must(base_bytes_equal(
            record, (struct base_bytes){expected->records[i], expected->record_lengths[i]}));
    }
    return whole;
}

/* The account's row, and its history as long as the row says. */
static bool accounts_are_read(struct store *store, struct base_arena *arena)
{
    struct ledger_account accounts[ACCOUNTS];
    enum store_fault fault = read_accounts(store, arena, accounts);
    bool whole = fault == STORE_OK;
    for (int i = 0; i < ACCOUNTS; i++) {
        if (fault == STORE_OK) {
            must(accounts[i].version == expected->versions[i]);
            must(accounts[i].balances[0].available_minor == expected->balances[i]);
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
        must((int64_t)page.n_entries == expected->versions[i]);
        must(page.entries[0].balance_after_minor == expected->balances[i]);
    }
    return whole;
}

/* Looks at all of a store that was opened, or not, and closes it. What is told must be right. */
static enum verdict look_through(struct store *store)
{
    if (store == NULL) {
        return VERDICT_REFUSED;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    FILE *nowhere = fopen("/dev/null", "we");
    must(nowhere != NULL);
    bool whole = transactions_are_read(store, &arena);
    whole = accounts_are_read(store, &arena) && whole;
    whole = app_verify(store, nowhere, nowhere) == APP_EXIT_DONE && whole;
    (void)fclose(nowhere);
    base_arena_release(&arena);
    store_close(store);
    return whole ? VERDICT_RIGHT : VERDICT_TOLD;
}

/* --- trials --- */

struct flip {
    int64_t at;
    uint8_t mask; /* the bits that are turned over: one mostly, several now and then */
};

static struct flip flip_number(int64_t number)
{
    uint64_t from[] = {trials->seed, (uint64_t)number,
                       base_hash(base_bytes_of(base_text_of(trials->file)))};
    uint64_t random = base_hash((struct base_bytes){(const uint8_t *)from, sizeof from});
    struct flip flip = {.at = trials->every ? number
                                            : (int64_t)((random >> 16) % (uint64_t)trials->size),
                        .mask = (uint8_t)(1U << random % 8)};
    if ((random >> 3) % 4 == 0) {
        flip.mask |= (uint8_t)(random >> 5);
    }
    return flip;
}

/* A second time turns them back. */
static void turn_bits(const struct rocksdb_test *test, struct flip flip)
{
    char path[PLACE_PATH_MAX_BYTES * 2];
    (void)snprintf(path, sizeof path, "%s/%s", test->place->store, trials->file);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    base_assert(fd >= 0 && pread(fd, &byte, 1, flip.at) == 1);
    byte ^= flip.mask;
    base_assert(pwrite(fd, &byte, 1, flip.at) == 1 && close(fd) == 0);
}

static void remove_copy(const struct rocksdb_test *test)
{
    char command[PLACE_PATH_MAX_BYTES + 16];
    (void)snprintf(command, sizeof command, "rm -rf '%s/copy'", test->place->path);
    base_assert(system(command) == 0);
}

/* A server's start on a copy of the store, and then whoever reads what that left. */
static enum verdict start_on_copy(struct rocksdb_test *test)
{
    char copy[PLACE_PATH_MAX_BYTES];
    (void)snprintf(copy, sizeof copy, "%s/copy", test->place->path);
    place_copy_files(test->place->store, copy);
    const char *directory = test->options.directory;
    test->options.directory = copy;
    enum verdict verdict = look_through(rocksdb_test_store(test));
    if (verdict == VERDICT_RIGHT) {
        verdict = look_through(rocksdb_test_store_to_read(test));
    }
    test->options.directory = directory;
    remove_copy(test);
    return verdict;
}

/* A process: tries what is left to be tried of a file. */
static void try_flips(struct rocksdb_test *test)
{
    for (; trials->next < trials->n; trials->next++) {
        struct flip flip = flip_number(trials->next);
        turn_bits(test, flip);
        enum verdict verdict = look_through(rocksdb_test_store_to_read(test));
        trials->counts[verdict]++;
        if (trials->next % WRITERS == 0) {
            verdict = start_on_copy(test);
            trials->counts[verdict]++;
        }
        turn_bits(test, flip);
        base_arena_reset(&test->arena);
    }
}

static void look_once(struct rocksdb_test *test)
{
    must(look_through(rocksdb_test_store_to_read(test)) == VERDICT_RIGHT);
}

/* Runs it in a process of its own. False: it aborted. */
static bool run(struct rocksdb_test *test, void (*action)(struct rocksdb_test *))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        action(test);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
        return false;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

/* Tries all of a file. */
static void try_file(struct rocksdb_test *test)
{
    while (!run(test, try_flips)) {
        struct flip flip = flip_number(trials->next++);
        (void)fprintf(stderr, "aborted: byte %lld of %s, with %02x\n", (long long)flip.at,
                      trials->file, flip.mask);
        turn_bits(test, flip);
        remove_copy(test);
        trials->counts[VERDICT_ABORTED]++;
    }
    (void)fprintf(stderr, "%-16s %6lld bytes: %d refused, %d told, %d right, %d aborted\n",
                  trials->file, (long long)trials->size, trials->counts[VERDICT_REFUSED],
                  trials->counts[VERDICT_TOLD], trials->counts[VERDICT_RIGHT],
                  trials->counts[VERDICT_ABORTED]);
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

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void a_flipped_byte_is_refused_told_or_harmless(void **state)
{
    struct rocksdb_test *test = *state;
    assert_true(run(test, make_store));
    assert_true(run(test, look_once));
    struct file files[FILES_MAX];
    size_t n_files = list_files(test, files);
    uint64_t n_flips = setting("ZANDAKA_FLIPS", FLIPS_DEFAULT);
    uint64_t seed = setting("ZANDAKA_SEED", (uint64_t)time(NULL));
    (void)fprintf(stderr, "seed %llu, %llu flips (0: every byte)\n", (unsigned long long)seed,
                  (unsigned long long)n_flips);
    int n_refusing_files = 0;
    for (size_t i = 0; i < n_files; i++) {
        bool every = n_flips == 0 && strncmp(files[i].name, "OPTIONS", 7) != 0;
        *trials = (struct trials){.size = files[i].size,
                                  .every = every,
                                  .seed = seed,
                                  .n = every          ? files[i].size
                                       : n_flips == 0 ? FLIPS_DEFAULT
                                                      : (int64_t)(n_flips / n_files) + 1};
        memcpy(trials->file, files[i].name, sizeof trials->file);
        try_file(test);
        n_refusing_files += trials->counts[VERDICT_REFUSED] + trials->counts[VERDICT_TOLD] > 0;
    }
    trials->file[0] = '\0';
    /* At the least the log, the manifest, CURRENT and the tables of four families. */
    assert_true(n_refusing_files >= 7);
    assert_true(run(test, look_once));
}

static void *share(size_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static int open_and_share(void **state)
{
    expected = share(sizeof *expected);
    trials = share(sizeof *trials);
    return expected == MAP_FAILED || trials == MAP_FAILED ? -1 : rocksdb_test_open(state);
}

static int close_and_tell(void **state)
{
    if (trials->file[0] != '\0') {
        struct flip flip = flip_number(trials->next);
        (void)fprintf(stderr, "it was byte %lld of %s, with %02x\n", (long long)flip.at,
                      trials->file, flip.mask);
    }
    (void)munmap(expected, sizeof *expected);
    (void)munmap(trials, sizeof *trials);
    return rocksdb_test_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flipped_byte_is_refused_told_or_harmless, open_and_share,
                                        close_and_tell),
    };
    return cmocka_run_group_tests_name("disk: damage", tests, NULL, NULL);
}
