/*
 * Reads beside commits: each read shows one moment. A thread commits a fixed number of batches
 * while the test's own thread reads. The writer stays at most a few batches ahead of the reader's
 * rounds, so that the two meet on every backend and machine, and what is asserted depends on what
 * was read, never on how fast.
 */
#include "contract.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define BATCHES 400
#define BATCHES_WHEN_SLOW 40
#define BATCHES_AHEAD 4

struct writer {
    pthread_t thread;
    struct contract *contract;
    /* The lines of batch number `batch`. */
    void (*lines)(int batch, char first[64], char second[64]);
    atomic_int rounds; /* that the reader has begun */
    atomic_bool done;
    enum store_fault fault; /* the first, once done */
};

static int n_batches(const struct contract *contract)
{
    return contract->backend->is_slow ? BATCHES_WHEN_SLOW : BATCHES;
}

static void *write_batches(void *argument)
{
    struct writer *writer = argument;
    int64_t now_us = writer->contract->now_us;
    int n = n_batches(writer->contract);
    for (int batch = 0; batch < n && writer->fault == STORE_OK; batch++) {
        while (batch > BATCHES_AHEAD * atomic_load(&writer->rounds)) {
            sched_yield();
        }
        char first[64];
        char second[64];
        writer->lines(batch, first, second);
        writer->fault =
            batch_run_lines(writer->contract->store, ++now_us, 2, (const char *[]){first, second});
    }
    atomic_store(&writer->done, true);
    return NULL;
}

static void writer_start(struct writer *writer)
{
    atomic_init(&writer->rounds, 0);
    atomic_init(&writer->done, false);
    writer->fault = STORE_OK;
    assert_int_equal(pthread_create(&writer->thread, NULL, write_batches, writer), 0);
}

/* Begins a round of the reader; whether it is the last, of what the writer has left. */
static bool last_round(struct writer *writer)
{
    bool last = atomic_load(&writer->done);
    atomic_fetch_add(&writer->rounds, 1);
    return last;
}

static void writer_join(struct writer *writer)
{
    /* The reader may have ended early, so the writer waits for it no more. */
    atomic_store(&writer->rounds, BATCHES);
    assert_int_equal(pthread_join(writer->thread, NULL), 0);
    assert_int_equal(writer->fault, STORE_OK);
}

/* One point goes from one account to the other and back, in one batch each time. */
static void move_lines(int batch, char first[64], char second[64])
{
    (void)snprintf(first, 64, "consume out-%d %s points=1", batch, batch % 2 ? "bob" : "alice");
    (void)snprintf(second, 64, "add in-%d %s points=1", batch, batch % 2 ? "alice" : "bob");
}

static void accounts_read_together_are_of_one_moment(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "add t1 alice points=1000", "add t2 bob points=1000");
    struct writer writer = {.contract = contract, .lines = move_lines};
    writer_start(&writer);
    int64_t wrong_sum = 0;
    const struct base_text ids[] = {BASE_TEXT("alice"), BASE_TEXT("bob"), BASE_TEXT("alice")};
    bool last;
    do {
        last = last_round(&writer);
        struct ledger_account accounts[3];
        enum store_fault fault =
            store_read_accounts(contract->store, 3, ids, &contract->arena, accounts);
        int64_t sum =
            accounts[0].balances[0].available_minor + accounts[1].balances[0].available_minor;
        if (fault != STORE_OK || sum != 2000 || accounts[0].version != accounts[2].version) {
            wrong_sum = sum;
        }
        base_arena_reset(&contract->arena);
    } while (!last);
    writer_join(&writer);
    assert_true(wrong_sum == 0);
}

static void grow_lines(int batch, char first[64], char second[64])
{
    (void)snprintf(first, 64, "add a-%d alice points=2", batch);
    (void)snprintf(second, 64, "consume c-%d alice points=1", batch);
}

static bool walk_is_gapless(struct contract *contract)
{
    struct store_entries_query query = contract_query_all("alice");
    query.limit = 7;
    int64_t expected = 0; /* the next entry's sequence; 0: the walk begins */
    do {
        struct store_entries_page page;
        if (store_read_entries(contract->store, &query, &contract->arena, &page) != STORE_OK) {
            return false;
        }
        for (size_t i = 0; i < page.n_entries; i++) {
            const struct ledger_entry *entry = &page.entries[i];
            if (expected == 0) {
                expected = entry->sequence;
                /* A batch shows whole: its second entry is never missing. */
                if (expected % 2 != 0) {
                    return false;
                }
            }
            int64_t balance_after = entry->sequence / 2 + 2 * (entry->sequence % 2);
            if (entry->sequence != expected || entry->balance_after_minor != balance_after) {
                return false;
            }
            expected--;
        }
        query.below_sequence = page.next_below_sequence;
    } while (query.below_sequence != 0);
    return expected == 0;
}

static void a_walk_over_entries_that_grow_neither_loses_nor_repeats(void **state)
{
    struct contract *contract = *state;
    struct writer writer = {.contract = contract, .lines = grow_lines};
    writer_start(&writer);
    bool gapless = true;
    bool last;
    do {
        last = last_round(&writer);
        gapless = walk_is_gapless(contract) && gapless;
        base_arena_reset(&contract->arena);
    } while (!last);
    writer_join(&writer);
    assert_true(gapless);
}

/* Whether the table, walked now, shows whole batches only: an even number of rows. */
static bool walk_is_whole(struct contract *contract, enum store_table table)
{
    struct store_cursor *cursor = store_cursor_open(contract->store, table);
    size_t n_rows = 0;
    bool found;
    struct store_row row;
    enum store_fault fault;
    while ((fault = store_cursor_next(cursor, &found, &row)) == STORE_OK && found) {
        n_rows++;
    }
    store_cursor_close(cursor);
    return fault == STORE_OK && n_rows % 2 == 0;
}

static void a_walk_over_a_table_that_grows_shows_whole_batches(void **state)
{
    struct contract *contract = *state;
    struct writer writer = {.contract = contract, .lines = grow_lines};
    writer_start(&writer);
    bool whole = true;
    bool last;
    do {
        last = last_round(&writer);
        whole = walk_is_whole(contract, STORE_TABLE_JOURNAL) && whole;
        whole = walk_is_whole(contract, STORE_TABLE_IDS) && whole;
        whole = walk_is_whole(contract, STORE_TABLE_ENTRIES) && whole;
    } while (!last);
    writer_join(&writer);
    assert_true(whole);
}

static void what_a_read_has_found_stays_found(void **state)
{
    struct contract *contract = *state;
    struct writer writer = {.contract = contract, .lines = grow_lines};
    writer_start(&writer);
    /* The second transaction of a batch, once found, has its first, its entries and its account. */
    bool together = true;
    for (int batch = 0; batch < n_batches(contract);) {
        struct base_text first = base_arena_print(&contract->arena, "a-%d", batch);
        struct base_text second = base_arena_print(&contract->arena, "c-%d", batch);
        bool last = last_round(&writer);
        bool found = false;
        struct base_bytes record;
        enum store_fault fault =
            store_read_transaction(contract->store, second, &contract->arena, &found, &record);
        if (fault != STORE_OK || (last && !found)) {
            together = false;
            break;
        }
        if (!found) {
            continue;
        }
        fault = store_read_transaction(contract->store, first, &contract->arena, &found, &record);
        together = together && fault == STORE_OK && found;
        struct base_text caller;
        fault = store_read_caller(contract->store, second, &contract->arena, &found, &caller);
        together = together && fault == STORE_OK && found && caller.length == 0;
        struct ledger_account account;
        fault = store_read_accounts(contract->store, 1, &(struct base_text){"alice", 5},
                                    &contract->arena, &account);
        together = together && fault == STORE_OK && account.version >= 2 * (batch + 1);
        batch++;
    }
    writer_join(&writer);
    assert_true(together);
}

struct contract_tests contract_threads(void)
{
    static const struct CMUnitTest tests[] = {
        CONTRACT_TEST(accounts_read_together_are_of_one_moment),
        CONTRACT_TEST(a_walk_over_entries_that_grow_neither_loses_nor_repeats),
        CONTRACT_TEST(a_walk_over_a_table_that_grows_shows_whole_batches),
        CONTRACT_TEST(what_a_read_has_found_stays_found),
    };
    return (struct contract_tests){tests, sizeof tests / sizeof tests[0]};
}
