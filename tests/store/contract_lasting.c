/* What reopening and a crash leave: everything that was committed, and nothing else. */
#include "contract.h"
#include "store/memory/memory.h"

#include <stdio.h>

typedef struct store *(*open_again)(struct store *store, void *place,
                                    const struct ledger_kinds *kinds);

/* The same batches go to the store and to a memory store; then the store is opened again. */
static void commits_outlive(struct contract *contract, open_again again)
{
    if (again == NULL) {
        skip();
    }
    struct store *reference = store_memory_open(contract->kinds);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++) {
            char add[64];
            char consume[64];
            char cancel[64];
            (void)snprintf(add, sizeof add, "add a%d-%d account-%d points=9 money=4", round, i,
                           i % 3);
            (void)snprintf(consume, sizeof consume, "consume c%d-%d account-%d points=6", round, i,
                           i % 5);
            (void)snprintf(cancel, sizeof cancel, "cancel x%d-%d", round, i);
            const char *lines[] = {add, consume, cancel};
            assert_int_equal(batch_run_lines(reference, contract->now_us, 3, lines), STORE_OK);
            contract_commit_lines(contract, 3, lines);
        }
        /* A batch that was loaded and decided, but not committed, leaves nothing. */
        struct batch *batch = batch_open(contract->kinds);
        batch_add_line(batch, "add lost account-0 points=1000");
        assert_int_equal(batch_load(batch, contract->store), STORE_OK);
        batch_decide(batch, contract->now_us);
        store_abandon(contract->store, 0, &batch->facts);
        batch_close(batch);

        contract->store = again(contract->store, contract->place, contract->kinds);
        contract_assert_same_store(contract, contract->store, reference);
        contract_assert_recorded(contract, "lost", false);
    }
    store_close(reference);
}

static void reopening_keeps_everything_committed_and_nothing_else(void **state)
{
    struct contract *contract = *state;
    commits_outlive(contract, contract->backend->reopen);
}

static void a_crash_keeps_everything_committed_and_nothing_else(void **state)
{
    struct contract *contract = *state;
    commits_outlive(contract, contract->backend->crash);
}

static void a_repeat_after_a_crash_changes_nothing(void **state)
{
    struct contract *contract = *state;
    if (contract->backend->crash == NULL) {
        skip();
    }
    contract_commit(contract, "add t1 alice points=100", "consume t2 alice points=40");
    contract->store = contract->backend->crash(contract->store, contract->place, contract->kinds);
    contract_commit(contract, "consume t2 alice points=40", "add t1 alice points=100", "cancel t3");
    contract_assert_balance(contract, "alice", "points=60 money=0");
    struct store_entries_page page =
        contract_walk_entries(contract, contract->store, contract_query_all("alice"));
    assert_int_equal(page.n_entries, 2);
}

static void balances_stay_with_their_kinds_when_the_configuration_is_reordered(void **state)
{
    struct contract *contract = *state;
    if (contract->backend->reopen == NULL) {
        skip();
    }
    contract_commit(contract, "add t1 alice points=100 money=7");
    struct ledger_kinds reordered = {.n_kinds = 3};
    reordered.kinds[0] = contract->kinds->kinds[1];
    reordered.kinds[1] = contract->kinds->kinds[1];
    reordered.kinds[1].code = BASE_TEXT("miles");
    reordered.kinds[2] = contract->kinds->kinds[0];
    const struct ledger_kinds *original = contract->kinds;
    contract->store = contract->backend->reopen(contract->store, contract->place, &reordered);
    contract->kinds = &reordered;
    contract_assert_balance(contract, "alice", "money=7 miles=0 points=100");
    contract_commit(contract, "add t2 alice miles=3 points=1");
    contract_assert_balance(contract, "alice", "money=7 miles=3 points=101");
    static const int kind_numbers[] = {2, 1, 0, 2};
    struct store_entries_page page =
        contract_walk_entries(contract, contract->store, contract_query_all("alice"));
    assert_int_equal(page.n_entries, 4);
    for (size_t i = 0; i < page.n_entries; i++) {
        assert_int_equal(page.entries[i].kind_number, kind_numbers[i]);
    }

    /* Without a configuration, the kinds are those served, in the order in which they came. */
    contract->store = contract->backend->reopen(contract->store, contract->place, NULL);
    const struct ledger_kinds *served = store_kinds(contract->store);
    static const char *const codes[] = {"points", "money", "miles"};
    assert_int_equal(served->n_kinds, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_text_equal(served->kinds[i].code, base_text_of(codes[i]));
    }
    contract->kinds = served;
    contract_assert_balance(contract, "alice", "points=101 money=7 miles=3");
    contract->kinds = original;
}

struct contract_tests contract_lasting(void)
{
    static const struct CMUnitTest tests[] = {
        CONTRACT_TEST(reopening_keeps_everything_committed_and_nothing_else),
        CONTRACT_TEST(a_crash_keeps_everything_committed_and_nothing_else),
        CONTRACT_TEST(a_repeat_after_a_crash_changes_nothing),
        CONTRACT_TEST(balances_stay_with_their_kinds_when_the_configuration_is_reordered),
    };
    return (struct contract_tests){tests, sizeof tests / sizeof tests[0]};
}
