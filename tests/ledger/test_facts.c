/* ledger: the working set holds every fact once, finds it by its id, and keeps it in its place; and
 * what a decision leaves there is what the store must write. */
#include "ledger/fake_store.h"
#include "ledger/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct base_arena arena;
    struct ledger_kinds kinds;
    struct ledger_facts facts;
};

static void open_fixture(struct fixture *fixture)
{
    *fixture = (struct fixture){.kinds.n_kinds = 2};
    fixture->kinds.kinds[0] =
        (struct ledger_kind){BASE_TEXT("points"), INT64_MAX, BASE_AMOUNT_MAX, false};
    fixture->kinds.kinds[1] =
        (struct ledger_kind){BASE_TEXT("money"), INT64_MAX, BASE_AMOUNT_MAX, false};
    ledger_facts_open(&fixture->facts, &fixture->kinds, &fixture->arena);
}

static void every_fact_is_there_once_and_stays_in_its_place(void **state)
{
    (void)state;
    enum { COMMANDS = BASE_BATCH_MAX, ACCOUNTS = 300 };
    struct fixture fixture;
    open_fixture(&fixture);
    struct ledger_facts *facts = &fixture.facts;
    struct ledger_transaction *first_transaction = NULL;
    struct ledger_account *first_account = NULL;
    for (size_t i = 0; i < COMMANDS; i++) {
        struct ledger_command command = {
            .operation = RECORD_OPERATION_ADD,
            .transaction_id = base_arena_print(&fixture.arena, "t%zu", i),
            .account_id = base_arena_print(&fixture.arena, "a%zu", i % ACCOUNTS)};
        ledger_facts_need(facts, &command);
        ledger_facts_need(facts, &command);
        if (i == 0) {
            first_transaction = ledger_facts_transaction(facts, BASE_TEXT("t0"));
            first_account = ledger_facts_account(facts, BASE_TEXT("a0"));
        }
    }
    assert_int_equal(facts->n_transactions, COMMANDS);
    assert_int_equal(facts->n_accounts, ACCOUNTS);
    assert_ptr_equal(facts->transactions[0], first_transaction);
    assert_ptr_equal(facts->accounts[0], first_account);
    for (size_t i = 0; i < facts->n_transactions; i++) {
        struct ledger_transaction *fact = facts->transactions[i];
        assert_ptr_equal(ledger_facts_transaction(facts, fact->transaction_id), fact);
        assert_int_equal(fact->presence, LEDGER_NEEDED);
    }
    for (size_t i = 0; i < facts->n_accounts; i++) {
        struct ledger_account *fact = facts->accounts[i];
        assert_ptr_equal(ledger_facts_account(facts, fact->account_id), fact);
    }
    assert_null(ledger_facts_transaction(facts, BASE_TEXT("t1024")));
    assert_null(ledger_facts_account(facts, BASE_TEXT("t0")));
    base_arena_release(&fixture.arena);
}

static void an_account_is_never_seen_until_the_store_says_otherwise(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct ledger_command command = {.operation = RECORD_OPERATION_ADD,
                                     .transaction_id = BASE_TEXT("t1"),
                                     .account_id = BASE_TEXT("alice")};
    ledger_facts_need(&fixture.facts, &command);
    const struct ledger_account *account = ledger_facts_account(&fixture.facts, BASE_TEXT("alice"));
    assert_true(account->version == 0 && account->loaded_version == 0);
    assert_true(account->last_time_us == INT64_MIN);
    assert_false(account->changed);
    for (size_t kind = 0; kind < fixture.kinds.n_kinds; kind++) {
        assert_true(account->balances[kind].available_minor == 0);
        assert_true(account->balances[kind].held_minor == 0);
    }
    base_arena_release(&fixture.arena);
}

/* A caller may choose ids whose hashes are equal: they are two ids all the same (contract 3.1). */
static void ids_of_one_hash_are_two_ids(void **state)
{
    (void)state;
    const struct base_text ids[] = {BASE_TEXT("mfgepbhbkpmlmemh"), BASE_TEXT("kceeokibnooginfd")};
    assert_true(base_hash(base_bytes_of(ids[0])) == base_hash(base_bytes_of(ids[1])));
    struct fixture fixture;
    open_fixture(&fixture);
    for (size_t i = 0; i < 2; i++) {
        assert_null(ledger_facts_transaction(&fixture.facts, ids[i]));
        assert_null(ledger_facts_account(&fixture.facts, ids[i]));
        struct ledger_command command = {
            .operation = RECORD_OPERATION_ADD, .transaction_id = ids[i], .account_id = ids[i]};
        ledger_facts_need(&fixture.facts, &command);
    }
    for (size_t i = 0; i < 2; i++) {
        struct base_text found = ledger_facts_transaction(&fixture.facts, ids[i])->transaction_id;
        assert_true(base_text_equal(found, ids[i]));
        found = ledger_facts_account(&fixture.facts, ids[i])->account_id;
        assert_true(base_text_equal(found, ids[i]));
    }
    base_arena_release(&fixture.arena);
}

static void an_id_of_one_byte_is_an_id(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct ledger_command command = {.operation = RECORD_OPERATION_ADD,
                                     .transaction_id = BASE_TEXT("t"),
                                     .account_id = BASE_TEXT("a")};
    ledger_facts_need(&fixture.facts, &command);
    assert_non_null(ledger_facts_transaction(&fixture.facts, BASE_TEXT("t")));
    assert_non_null(ledger_facts_account(&fixture.facts, BASE_TEXT("a")));
    base_arena_release(&fixture.arena);
}

static void a_kind_that_is_not_configured_has_no_number(void **state)
{
    (void)state;
    struct ledger_kinds kinds = {.n_kinds = 2};
    kinds.kinds[0].code = BASE_TEXT("points");
    kinds.kinds[1].code = BASE_TEXT("money");
    kinds.kinds[2].code = BASE_TEXT("gold"); /* behind the last one */
    assert_int_equal(ledger_kind_number(&kinds, BASE_TEXT("points")), 0);
    assert_int_equal(ledger_kind_number(&kinds, BASE_TEXT("money")), 1);
    assert_int_equal(ledger_kind_number(&kinds, BASE_TEXT("gold")), -1);
    assert_int_equal(ledger_kind_number(&kinds, BASE_TEXT("point")), -1);
}

static void a_cancel_looks_at_no_account(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct ledger_command command = {.operation = RECORD_OPERATION_CANCEL,
                                     .transaction_id = BASE_TEXT("t1")};
    ledger_facts_need(&fixture.facts, &command);
    assert_int_equal(fixture.facts.n_transactions, 1);
    assert_int_equal(fixture.facts.n_accounts, 0);
    base_arena_release(&fixture.arena);
}

static void every_leg_has_its_entry(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct ledger_facts *facts = &fixture.facts;
    const struct ledger_amount amounts[] = {{BASE_TEXT("money"), 5}, {BASE_TEXT("points"), 7}};
    struct ledger_command command = {.operation = RECORD_OPERATION_CONSUME,
                                     .transaction_id = BASE_TEXT("t1"),
                                     .account_id = BASE_TEXT("alice"),
                                     .n_amounts = 2,
                                     .amounts = amounts,
                                     .description = BASE_TEXT("lunch"),
                                     .caller = BASE_TEXT("shop")};
    ledger_facts_need(facts, &command);
    facts->transactions[0]->presence = LEDGER_ABSENT;
    struct ledger_account *account = facts->accounts[0];
    account->version = 41;
    account->loaded_version = 41;
    account->last_time_us = 900;
    account->balances[0] = (struct ledger_balance){100, 3};
    account->balances[1] = (struct ledger_balance){50, 0};
    struct ledger_outcome outcome;
    assert_true(ledger_decide(facts, &command, 800, &outcome));

    assert_int_equal(outcome.result, LEDGER_APPLIED);
    assert_int_equal(facts->n_new, 1);
    assert_ptr_equal(facts->new_transactions[0], facts->transactions[0]);
    assert_int_equal(facts->transactions[0]->presence, LEDGER_NEW);
    assert_true(base_bytes_equal(facts->transactions[0]->record, outcome.record));
    assert_true(base_text_equal(facts->transactions[0]->caller, BASE_TEXT("shop")));
    assert_int_equal(facts->transactions[0]->first_entry, 0);
    assert_int_equal(facts->transactions[0]->n_entries, 2);
    assert_true(account->changed && account->version == 43 && account->loaded_version == 41);
    assert_true(account->last_time_us == 900);
    static const struct {
        int64_t sequence;
        int kind_number;
        int64_t amount_minor;
        int64_t balance_after_minor;
        int64_t held_after_minor;
    } rows[] = {{42, 1, -5, 45, 0}, {43, 0, -7, 93, 3}};
    assert_int_equal(facts->n_entries, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct ledger_entry *entry = &facts->entries[i];
        assert_true(base_text_equal(entry->account_id, BASE_TEXT("alice")));
        assert_true(base_text_equal(entry->transaction_id, BASE_TEXT("t1")));
        assert_true(base_text_equal(entry->description, BASE_TEXT("lunch")));
        assert_int_equal(entry->operation, RECORD_OPERATION_CONSUME);
        assert_true(entry->sequence == rows[i].sequence);
        assert_int_equal(entry->kind_number, rows[i].kind_number);
        assert_true(entry->amount_minor == rows[i].amount_minor);
        assert_true(entry->balance_after_minor == rows[i].balance_after_minor);
        assert_true(entry->held_amount_minor == 0);
        assert_true(entry->held_after_minor == rows[i].held_after_minor);
        assert_true(entry->create_time_us == 900);
    }
    base_arena_release(&fixture.arena);
}

static void nothing_is_decided_on_a_record_that_cannot_be_read(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct record_transaction other = {.transaction_id = BASE_TEXT("t2"),
                                       .state = RECORD_STATE_CANCELLED,
                                       .operation = RECORD_OPERATION_CANCEL};
    struct base_bytes others = record_encode(&fixture.arena, &other);
    const struct base_bytes unreadable[] = {
        {NULL, 0},
        base_bytes_of(BASE_TEXT("garbage")),
        {others.bytes, others.length - 1},
        others, /* of another id */
    };
    struct ledger_command command = {.operation = RECORD_OPERATION_CANCEL,
                                     .transaction_id = BASE_TEXT("t1")};
    ledger_facts_need(&fixture.facts, &command);
    fixture.facts.transactions[0]->presence = LEDGER_RECORDED;
    for (size_t i = 0; i < sizeof unreadable / sizeof unreadable[0]; i++) {
        fixture.facts.transactions[0]->record = unreadable[i];
        struct base_writer before = fake_store_snapshot(&fixture.facts);
        struct ledger_outcome outcome = {.result = (enum ledger_result)77};
        assert_false(ledger_decide(&fixture.facts, &command, 0, &outcome));
        assert_int_equal(outcome.result, 77);
        struct base_writer after = fake_store_snapshot(&fixture.facts);
        assert_true(base_bytes_equal(base_writer_bytes(&before), base_writer_bytes(&after)));
        base_writer_release(&before);
        base_writer_release(&after);
    }
    base_arena_release(&fixture.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fact_is_there_once_and_stays_in_its_place),
        cmocka_unit_test(an_account_is_never_seen_until_the_store_says_otherwise),
        cmocka_unit_test(ids_of_one_hash_are_two_ids),
        cmocka_unit_test(an_id_of_one_byte_is_an_id),
        cmocka_unit_test(a_kind_that_is_not_configured_has_no_number),
        cmocka_unit_test(a_cancel_looks_at_no_account),
        cmocka_unit_test(every_leg_has_its_entry),
        cmocka_unit_test(nothing_is_decided_on_a_record_that_cannot_be_read),
    };
    return cmocka_run_group_tests_name("ledger working set", tests, NULL, NULL);
}
