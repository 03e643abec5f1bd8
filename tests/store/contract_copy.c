/* What is copied in is as if it had been committed there. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

/* Rows of one call: few, so that a table takes several. */
enum { ROWS = 3 };

static void commit_some(struct contract *contract)
{
    contract_commit(contract, "add t3 bob points=5", "add t1 alice points=10 money=3");
    contract_commit(contract, "cancel t2", "consume t10 alice points=4", "add T bo points=1");
    contract_commit(contract, "consume t0 alice money=3", "add ~ bob! points=2",
                    "add t11 alice points=1000000000000000 money=1");
    contract_commit(contract, "consume t4 bo points=1", "cancel t5");
}

static struct ledger_facts no_rows(struct contract *contract)
{
    struct base_arena *arena = &contract->arena;
    struct ledger_facts rows = {.kinds = contract->kinds, .arena = arena};
    rows.new_transactions = base_arena_take(arena, ROWS * sizeof *rows.new_transactions);
    rows.entries = base_arena_take(arena, ROWS * sizeof *rows.entries);
    rows.accounts = base_arena_take(arena, ROWS * sizeof *rows.accounts);
    return rows;
}

static void add_row(struct contract *contract, enum store_table table, struct store_row *row,
                    struct ledger_facts *rows)
{
    struct record_transaction transaction;
    struct ledger_transaction *new;
    switch (table) {
    case STORE_TABLE_JOURNAL:
        new = base_arena_take_zeroed(&contract->arena, 1, sizeof *new);
        assert_true(record_decode(&contract->arena, row->record, &transaction));
        new->transaction_id = transaction.transaction_id;
        new->record = row->record;
        new->caller = row->caller;
        rows->new_transactions[rows->n_new++] = new;
        break;
    case STORE_TABLE_ENTRIES:
        rows->entries[rows->n_entries++] = row->entry;
        break;
    case STORE_TABLE_ACCOUNTS:
        row->account.changed = true;
        row->account.loaded_version = 0;
        rows->accounts[rows->n_accounts++] = &row->account;
        break;
    case STORE_TABLE_IDS:
        fail_msg("ids follow from the journal");
    }
}

/* Copies the rows of a table from the contract's store. */
static void copy_table(struct contract *contract, struct store *target, enum store_table number)
{
    struct contract_table table = contract_read_table(contract, contract->store, number);
    for (size_t first = 0; first < table.n_rows; first += ROWS) {
        struct ledger_facts rows = no_rows(contract);
        for (size_t i = first; i < table.n_rows && i < first + ROWS; i++) {
            add_row(contract, number, &table.rows[i], &rows);
        }
        assert_int_equal(store_copy_in(target, &rows), STORE_OK);
    }
}

static void copy_all(struct contract *contract, struct store *target)
{
    copy_table(contract, target, STORE_TABLE_JOURNAL);
    copy_table(contract, target, STORE_TABLE_ACCOUNTS);
    copy_table(contract, target, STORE_TABLE_ENTRIES);
    contract_assert_same_store(contract, contract->store, target);
    assert_int_equal(store_copy_end(target), STORE_OK);
}

static void what_is_copied_in_is_as_if_it_had_been_committed(void **state)
{
    struct contract *contract = *state;
    const struct backend *backend = contract->backend;
    if (backend->open_copy == NULL) {
        skip();
    }
    commit_some(contract);
    void *place;
    struct store *target = backend->open_copy(contract->kinds, &place);
    copy_all(contract, target);
    target = backend->reopen(target, place, contract->kinds);
    contract_assert_same_store(contract, contract->store, target);
    /* Both go on alike from here: balances, sequences, ids and fences are where they were. */
    static const char *const lines[] = {"consume u1 alice points=1000000000000000",
                                        "consume u2 alice points=1",
                                        "add t2 bob points=1",
                                        "cancel t1",
                                        "add t3 bob points=5",
                                        "add u3 bo money=7"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        contract->now_us++;
        assert_int_equal(batch_run_lines(target, contract->now_us, 1, &lines[i]), STORE_OK);
        assert_int_equal(batch_run_lines(contract->store, contract->now_us, 1, &lines[i]),
                         STORE_OK);
    }
    contract_assert_same_store(contract, contract->store, target);
    backend->destroy(target, place);
}

static void what_was_copied_in_survives_a_crash(void **state)
{
    struct contract *contract = *state;
    const struct backend *backend = contract->backend;
    if (backend->open_copy == NULL || backend->crash == NULL) {
        skip();
    }
    commit_some(contract);
    void *place;
    struct store *target = backend->open_copy(contract->kinds, &place);
    copy_all(contract, target);
    target = backend->crash(target, place, contract->kinds);
    contract_assert_same_store(contract, contract->store, target);
    backend->destroy(target, place);
}

struct contract_tests contract_copy(void)
{
    static const struct CMUnitTest tests[] = {
        CONTRACT_TEST(what_is_copied_in_is_as_if_it_had_been_committed),
        CONTRACT_TEST(what_was_copied_in_survives_a_crash),
    };
    return (struct contract_tests){tests, sizeof tests / sizeof tests[0]};
}
