/* app: verify names whatever is wrong in a store. Every case alters one thing of the small store.
 */
#include "altered_store.h"
#include "small_store.h"
#include "store/memory/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- alterations, each of one field --- */

/* Decodes the record, changes the transaction, and encodes it again. */
#define ALTER_RECORD(name, ...)                                                                    \
    static void name(struct base_arena *arena, struct store_row *row)                              \
    {                                                                                              \
        struct record_transaction transaction;                                                     \
        assert_true(record_decode(arena, row->record, &transaction));                              \
        struct record_leg *leg = base_arena_take_zeroed(arena, BASE_LEGS_MAX, sizeof *leg);        \
        for (size_t i = 0; i < transaction.n_legs; i++) {                                          \
            leg[i] = transaction.legs[i];                                                          \
        }                                                                                          \
        transaction.legs = leg;                                                                    \
        __VA_ARGS__;                                                                               \
        row->record = record_encode(arena, &transaction);                                          \
    }

ALTER(record_cut, row->record.length--)
ALTER_RECORD(record_id, transaction.transaction_id = BASE_TEXT("t9"))
ALTER_RECORD(record_time, transaction.create_time_us -= 1)
ALTER_RECORD(record_description, transaction.description = BASE_TEXT("other"))
ALTER_RECORD(record_operation, transaction.operation = RECORD_OPERATION_CONSUME;
             leg[0].amount_minor = -leg[0].amount_minor)
ALTER_RECORD(record_amount, leg[0].amount_minor *= 2)
ALTER_RECORD(record_kind, leg[0].kind = BASE_TEXT("gold"))
ALTER_RECORD(record_leg_more, leg[transaction.n_legs] = leg[0];
             leg[transaction.n_legs].kind = BASE_TEXT("money"); transaction.n_legs++)
ALTER_RECORD(record_cancelled, transaction = (struct record_transaction){
                                   .transaction_id = transaction.transaction_id,
                                   .state = RECORD_STATE_CANCELLED,
                                   .operation = RECORD_OPERATION_CANCEL,
                                   .create_time_us = transaction.create_time_us})

ALTER(position_one, row->position = 1)
ALTER(position_three, row->position = 3)
ALTER(position_nowhere, row->position = 99)

ALTER(id_other, row->transaction_id = BASE_TEXT("t2x"))
ALTER(id_unprintable, row->transaction_id = BASE_TEXT("t\x1b[1m"))

ALTER(account_id, row->account.account_id = BASE_TEXT("bobby"))
ALTER(account_version, row->account.version++)
ALTER(account_version_zero, row->account.version = 0)
ALTER(account_time, row->account.last_time_us++)
ALTER(account_available, row->account.balances[0].available_minor++)
ALTER(account_available_negative, row->account.balances[0].available_minor = -5)
ALTER(account_held, row->account.balances[0].held_minor++)
ALTER(account_held_negative, row->account.balances[0].held_minor = -1)
ALTER(account_money, row->account.balances[1].available_minor = 1)
ALTER(account_beyond, row->account.balances[0].available_minor = INT64_MAX;
      row->account.balances[0].held_minor = 1)
ALTER(account_without_history, row->account.account_id = BASE_TEXT("ann"); row->account.version = 1)

ALTER(entry_of_three, row->position = 3; row->entry.transaction_id = BASE_TEXT("t3"))
ALTER(entry_account_id, row->entry.account_id = BASE_TEXT("bobby"))
ALTER(entry_sequence, row->entry.sequence = 5)
ALTER(entry_id, row->entry.transaction_id = BASE_TEXT("t9"))
ALTER(entry_operation, row->entry.operation = RECORD_OPERATION_CANCEL)
ALTER(entry_kind, row->entry.kind_number = 1)
ALTER(entry_kind_unknown, row->entry.kind_number = 2)
ALTER(entry_kind_negative, row->entry.kind_number = -1)
ALTER(entry_amount, row->entry.amount_minor -= 10)
ALTER(entry_amount_smallest, row->entry.amount_minor = INT64_MIN)
ALTER(entry_balance, row->entry.balance_after_minor++)
ALTER(entry_balance_negative, row->entry.balance_after_minor = -70)
ALTER(entry_held_amount, row->entry.held_amount_minor = 3)
ALTER(entry_held, row->entry.held_after_minor = 2)
ALTER(entry_held_negative, row->entry.held_after_minor = -2)
ALTER(entry_earlier, row->entry.create_time_us--)
ALTER(entry_later, row->entry.create_time_us += 2 * SMALL_STORE_SECOND_US)
ALTER(entry_original, row->entry.original_transaction_id = BASE_TEXT("t0"))
ALTER(entry_description, row->entry.description = BASE_TEXT("Gift"))

/* --- the cases --- */

struct violation_case {
    struct alteration alteration;
    const char *line; /* one that is among the violations, to its end */
};

#define FAULTY_WALK(table_, row_, fault_)                                                          \
    {                                                                                              \
        .place = ALTER_WALK_FAULT, .table = STORE_TABLE_##table_, .row = (row_), .fault = (fault_) \
    }
#define JOURNAL(position, alter_)                                                                  \
    {                                                                                              \
        .place = ALTER_JOURNAL, .row = (position), .alter = (alter_)                               \
    }
#define BY_ID(id, alter_)                                                                          \
    {                                                                                              \
        .place = ALTER_TRANSACTION, .transaction_id = (id), .alter = (alter_)                      \
    }

static void assert_named(size_t n_cases, const struct violation_case *cases)
{
    for (size_t i = 0; i < n_cases; i++) {
        struct verdict verdict =
            verdict_on(altered_store_open(small_store_open(), &cases[i].alteration));
        char line[256];
        (void)snprintf(line, sizeof line, "%s\n", cases[i].line);
        const char *at = strstr(verdict.err, line);
        if (at == NULL || (at > verdict.err && at[-1] != '\n')) {
            fail_msg("case %zu: no line \"%s\" in:\n%s", i, cases[i].line, verdict.err);
        }
        assert_int_equal(verdict.exit_status, APP_EXIT_COULD_NOT);
        char last[64];
        (void)snprintf(last, sizeof last, "\nnot sound: %zu violation%s\n", verdict.n_err_lines,
                       verdict.n_err_lines == 1 ? "" : "s");
        const char *end = strstr(verdict.out, last);
        assert_non_null(end);
        assert_string_equal(end, last);
        verdict_release(&verdict);
    }
}
#define ASSERT_NAMED(cases) assert_named(sizeof(cases) / sizeof(cases)[0], cases)

static void a_journal_that_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct violation_case cases[] = {
        {WALK(ALTER_ROW, JOURNAL, 1, record_cut), "journal: position 2: holds no record"},
        {WALK(ALTER_ROW, JOURNAL, 1, position_one), "journal: position 1: comes after position 1"},
        {WALK(ALTER_REPEAT, JOURNAL, 1, NULL), "journal: position 2: comes after position 2"},
        {WALK(ALTER_DROP, JOURNAL, 3, NULL), "ids: 4 rows, but journal has 3 records"},
        {WALK(ALTER_DROP, JOURNAL, 1, NULL), "entries: 4 rows, but journal has 3 legs"},
        {WALK(ALTER_DROP, JOURNAL, 1, NULL),
         "kind points: 105 came in less what went out, but accounts has 75"},
        {WALK(ALTER_DROP, JOURNAL, 0, NULL), "journal: position 1: is missing"},
        {WALK(ALTER_ROW, JOURNAL, 3, position_nowhere), "journal: positions 4 to 98: are missing"},
        {WALK(ALTER_ROW, JOURNAL, 2, record_amount),
         "kind points: 80 came in less what went out, but accounts has 75"},
        {WALK(ALTER_ROW, JOURNAL, 1, record_amount),
         "journal: position 2: ids leads from t2 to another record"},
        {WALK(ALTER_ROW, JOURNAL, 1, record_id),
         "journal: position 2: transaction t9 is not in ids"},
        {WALK(ALTER_ROW, JOURNAL, 1, record_kind),
         "journal: position 2: transaction t2 has a leg of gold, a kind that the store has not "
         "served"},
        {BY_ID("t2", NULL), "journal: position 2: transaction t2 is not in ids"},
        {BY_ID("t2", record_time), "journal: position 2: ids leads from t2 to another record"},
    };
    ASSERT_NAMED(cases);
}

/* The first add, three fences, the second add. */
static struct store *store_with_fences(void)
{
    static const char *const fenced[] = {"t2", "t3", "t4"};
    const struct ledger_amount amount = {BASE_TEXT("points"), 5};
    struct ledger_command commands[5];
    for (size_t i = 0; i < 5; i++) {
        commands[i] = (struct ledger_command){.operation = RECORD_OPERATION_ADD,
                                              .transaction_id = BASE_TEXT("t1"),
                                              .account_id = BASE_TEXT("alice"),
                                              .n_amounts = 1,
                                              .amounts = &amount};
    }
    commands[4].transaction_id = BASE_TEXT("t5");
    for (size_t i = 0; i < 3; i++) {
        commands[i + 1] = (struct ledger_command){.operation = RECORD_OPERATION_CANCEL,
                                                  .transaction_id = base_text_of(fenced[i])};
    }
    struct store *store = store_memory_open(&small_store_kinds);
    small_store_commit(store, SMALL_STORE_START_US, 5, commands);
    return store;
}

/* What verify says when the first `n_lost` of the fences are gone with their ids. */
static struct verdict verdict_without_fences(size_t n_lost, bool may_have_holes)
{
    struct alteration lost[6];
    struct store *store = store_with_fences();
    for (size_t i = 0; i < n_lost; i++) {
        for (size_t table = 0; table < 2; table++) {
            /* The row behind the first one, of what the one before has left. */
            lost[2 * i + table] =
                (struct alteration){.place = ALTER_DROP,
                                    .table = table == 0 ? STORE_TABLE_JOURNAL : STORE_TABLE_IDS,
                                    .row = 1,
                                    .journal_may_have_holes = may_have_holes};
            store = altered_store_open(store, &lost[2 * i + table]);
        }
    }
    return verdict_on(store);
}

/* No entry, sum or count tells of it. */
static void a_fence_that_is_lost_with_its_id_is_named_by_its_position(void **state)
{
    (void)state;
    static const char *const told[] = {"", "journal: position 2: is missing\n",
                                       "journal: positions 2 to 3: are missing\n",
                                       "journal: positions 2 to 4: are missing\n"};
    for (size_t n_lost = 0; n_lost <= 3; n_lost++) {
        struct verdict verdict = verdict_without_fences(n_lost, false);
        assert_string_equal(verdict.err, told[n_lost]);
        assert_int_equal(verdict.exit_status, n_lost == 0 ? APP_EXIT_DONE : APP_EXIT_COULD_NOT);
        verdict_release(&verdict);
    }
}

static void holes_say_nothing_where_positions_only_rise(void **state)
{
    (void)state;
    struct verdict verdict = verdict_without_fences(2, true);
    assert_string_equal(verdict.err, "");
    assert_int_equal(verdict.exit_status, APP_EXIT_DONE);
    verdict_release(&verdict);
}

static void ids_that_are_wrong_are_named(void **state)
{
    (void)state;
    static const struct violation_case cases[] = {
        {WALK(ALTER_ROW, IDS, 1, position_three), "ids: transaction t2: position 3 holds t3"},
        {WALK(ALTER_ROW, IDS, 1, position_nowhere),
         "ids: transaction t2: position 99 is not in the journal"},
        {WALK(ALTER_ROW, IDS, 1, id_other), "ids: transaction t2x: position 2 holds t2"},
        {WALK(ALTER_ROW, IDS, 1, id_unprintable),
         "ids: transaction t\\x1b[1m: position 2 holds t2"},
        {WALK(ALTER_REPEAT, IDS, 0, NULL), "ids: transaction t1: comes again, or out of order"},
        {WALK(ALTER_ROW, IDS, 2, id_other), "ids: transaction t2x: position 3 holds t3"},
        {WALK(ALTER_ROW, IDS, 3, id_other), "ids: transaction t2x: comes again, or out of order"},
        {WALK(ALTER_DROP, IDS, 3, NULL), "ids: 3 rows, but journal has 4 records"},
        {JOURNAL(4, NULL), "ids: transaction t4: position 4 is not in the journal"},
        {JOURNAL(4, record_cut), "ids: transaction t4: position 4 holds no record"},
        {JOURNAL(4, record_id), "ids: transaction t4: position 4 holds t9"},
    };
    ASSERT_NAMED(cases);
}

static void accounts_that_are_wrong_are_named(void **state)
{
    (void)state;
    static const struct violation_case cases[] = {
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_id),
         "accounts: account bobby: has version 1, but no entries"},
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_id),
         "entries: account bob, sequence 1: its account has no row"},
        {WALK(ALTER_DROP, ACCOUNTS, 0, NULL),
         "entries: account alice, sequence 3: its account has no row"},
        {WALK(ALTER_DROP, ACCOUNTS, 1, NULL),
         "entries: account bob, sequence 1: its account has no row"},
        {WALK(ALTER_REPEAT, ACCOUNTS, 1, NULL),
         "accounts, entries: account bob: comes again, or out of order"},
        {WALK(ALTER_INSERT, ACCOUNTS, 1, account_without_history),
         "accounts: account ann: has version 1, but no entries"},
        {WALK(ALTER_ROW, ACCOUNTS, 0, account_version),
         "entries: account alice, sequence 3: sequence 4 was expected here"},
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_version_zero),
         "entries: account bob, sequence 1: its account has no row"},
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_time),
         "entries: account bob, sequence 1: create_time is 1764028801000000 us, the account's last "
         "1764028801000001"},
        {WALK(ALTER_ROW, ACCOUNTS, 0, account_available),
         "entries: account alice, sequence 3: balance_after is 70, but the account has 71"},
        {WALK(ALTER_ROW, ACCOUNTS, 0, account_available),
         "kind points: 75 came in less what went out, but accounts has 76"},
        {WALK(ALTER_ROW, ACCOUNTS, 0, account_held),
         "entries: account alice, sequence 3: held_after is 0, but the account has 1"},
        {WALK(ALTER_ROW, ACCOUNTS, 0, account_held),
         "kind points: 75 came in less what went out, but accounts has 76"},
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_money),
         "accounts: account bob: has money, but no entries of it"},
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_available_negative),
         "accounts: account bob: points is negative: available -5, held 0"},
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_held_negative),
         "accounts: account bob: points is negative: available 5, held -1"},
        {WALK(ALTER_ROW, ACCOUNTS, 1, account_beyond),
         "accounts: account bob: points is beyond int64"},
    };
    ASSERT_NAMED(cases);
}

static void entries_that_do_not_add_up_are_named(void **state)
{
    (void)state;
    static const struct violation_case cases[] = {
        {WALK(ALTER_ROW, ENTRIES, 3, entry_account_id),
         "entries: account bobby, sequence 1: its account has no row"},
        {WALK(ALTER_ROW, ENTRIES, 3, entry_account_id),
         "accounts: account bob: has version 1, but no entries"},
        {WALK(ALTER_ROW, ENTRIES, 1, entry_account_id),
         "accounts, entries: account alice: comes again, or out of order"},
        {WALK(ALTER_ROW, ENTRIES, 1, entry_sequence),
         "entries: account alice, sequence 5: sequence 2 was expected here"},
        {WALK(ALTER_DROP, ENTRIES, 0, NULL),
         "entries: account alice, sequence 2: sequence 3 was expected here"},
        {WALK(ALTER_DROP, ENTRIES, 1, NULL),
         "entries: account alice, sequence 1: sequence 2 was expected here"},
        {WALK(ALTER_DROP, ENTRIES, 2, NULL),
         "entries: account alice: begins at sequence 2, not at 1"},
        {WALK(ALTER_DROP, ENTRIES, 2, NULL), "entries: 3 rows, but journal has 4 legs"},
        {WALK(ALTER_DROP, ENTRIES, 3, NULL),
         "accounts: account bob: has version 1, but no entries"},
        {WALK(ALTER_REPEAT, ENTRIES, 1, NULL),
         "entries: account alice, sequence 2: sequence 1 was expected here"},
        {WALK(ALTER_ROW, ENTRIES, 2, entry_amount),
         "entries: account alice: the first entry of points begins from 10, held 0, not from 0"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_amount),
         "entries: account alice, sequence 1: balance_after is 100, but the next entry began from "
         "110"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_amount_smallest),
         "entries: account alice, sequence 3: the balance before it is beyond int64"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_balance),
         "entries: account alice, sequence 3: balance_after is 71, but the account has 70"},
        {WALK(ALTER_ROW, ENTRIES, 2, entry_balance),
         "entries: account alice, sequence 1: balance_after is 101, but the next entry began from "
         "100"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_balance_negative),
         "entries: account alice, sequence 3: a balance is negative: -70, held 0"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_held),
         "entries: account alice, sequence 3: held_after is 2, but the account has 0"},
        {WALK(ALTER_ROW, ENTRIES, 2, entry_held),
         "entries: account alice, sequence 1: held_after is 2, but the next entry began from 0"},
        {WALK(ALTER_ROW, ENTRIES, 2, entry_held_amount),
         "entries: account alice: the first entry of points begins from 0, held -3, not from 0"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_held_negative),
         "entries: account alice, sequence 3: a balance is negative: 70, held -2"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_earlier),
         "entries: account alice, sequence 3: create_time is 1764028800999999 us, the account's "
         "last 1764028801000000"},
        {WALK(ALTER_ROW, ENTRIES, 1, entry_later),
         "entries: account alice, sequence 2: create_time is later than the next entry's"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_kind_unknown),
         "entries: account alice, sequence 3: kind 2 is none that the store has served"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_kind_negative),
         "entries: account alice, sequence 3: kind -1 is none that the store has served"},
    };
    ASSERT_NAMED(cases);
}

/* Three times the same in one moment, and the first one's entry is the third one's a second time:
 * there are as many legs as entries, and every sum is right. */
static void a_transaction_with_entries_at_two_places_is_named(void **state)
{
    (void)state;
    static const char *const ids[] = {"t1", "t2", "t3"};
    const struct ledger_amount amount = {BASE_TEXT("points"), 5};
    struct ledger_command commands[3];
    for (size_t i = 0; i < 3; i++) {
        commands[i] = (struct ledger_command){.operation = RECORD_OPERATION_ADD,
                                              .transaction_id = base_text_of(ids[i]),
                                              .account_id = BASE_TEXT("alice"),
                                              .n_amounts = 1,
                                              .amounts = &amount};
    }
    struct store *store = store_memory_open(&small_store_kinds);
    small_store_commit(store, SMALL_STORE_START_US, 3, commands);
    const struct alteration alteration = {
        .place = ALTER_ROW, .table = STORE_TABLE_ENTRIES, .row = 2, .alter = entry_of_three};
    struct verdict verdict = verdict_on(altered_store_open(store, &alteration));
    assert_string_equal(verdict.err,
                        "entries: account alice: those of position 3 stand at two places\n");
    assert_int_equal(verdict.exit_status, APP_EXIT_COULD_NOT);
    verdict_release(&verdict);
}

static void entries_that_are_not_their_transactions_are_named(void **state)
{
    (void)state;
    static const struct violation_case cases[] = {
        {WALK(ALTER_ROW, ENTRIES, 0, entry_id),
         "entries: account alice, sequence 3: transaction_id is t9, but position 2 holds t2"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_operation),
         "entries: account alice, sequence 3: operation is 3, the transaction's 2"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_kind),
         "entries: account alice, sequence 3: transaction t2 has no leg of money -30 here"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_amount),
         "entries: account alice, sequence 3: transaction t2 has no leg of points -40 here"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_amount),
         "entries: account alice: transaction t2 (position 2) has a leg of points -30 without an "
         "entry"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_held_amount),
         "entries: account alice, sequence 3: held_amount is 3, not 0"},
        {WALK(ALTER_ROW, ENTRIES, 2, entry_earlier),
         "entries: account alice, sequence 1: create_time is 1764028799999999 us, the "
         "transaction's 1764028800000000"},
        {WALK(ALTER_ROW, ENTRIES, 0, entry_original),
         "entries: account alice, sequence 3: original_transaction_id is \"t0\", the "
         "transaction's \"\""},
        {WALK(ALTER_ROW, ENTRIES, 2, entry_description),
         "entries: account alice, sequence 1: description is not the transaction's"},
        {WALK(ALTER_ROW, ENTRIES, 0, position_nowhere),
         "entries: account alice, sequence 3: position 99 is not in the journal"},
        {WALK(ALTER_ROW, ENTRIES, 0, position_one),
         "entries: account alice, sequence 3: transaction_id is t2, but position 1 holds t1"},
        {WALK(ALTER_ROW, ENTRIES, 2, position_three),
         "entries: account alice, sequence 1: transaction_id is t1, but position 3 holds t3"},
        {WALK(ALTER_DROP, ENTRIES, 1, NULL),
         "entries: account alice: transaction t1 (position 1) has a leg of money 500 without an "
         "entry"},
        {WALK(ALTER_REPEAT, ENTRIES, 1, NULL),
         "entries: account alice, sequence 2: transaction t1 has no second leg of money 500 here"},
        {JOURNAL(3, NULL), "entries: account bob, sequence 1: position 3 is not in the journal"},
        {JOURNAL(3, record_cut), "entries: account bob, sequence 1: position 3 holds no record"},
        {JOURNAL(3, record_id),
         "entries: account bob, sequence 1: transaction_id is t3, but position 3 holds t9"},
        {JOURNAL(3, record_cancelled),
         "entries: account bob, sequence 1: transaction t3 did not succeed"},
        {JOURNAL(3, record_operation),
         "entries: account bob, sequence 1: operation is 1, the transaction's 2"},
        {JOURNAL(3, record_time),
         "entries: account bob, sequence 1: create_time is 1764028801000000 us, the transaction's "
         "1764028800999999"},
        {JOURNAL(3, record_description),
         "entries: account bob, sequence 1: description is not the transaction's"},
        {JOURNAL(3, record_amount),
         "entries: account bob, sequence 1: transaction t3 has no leg of points 5 here"},
        {JOURNAL(3, record_kind),
         "entries: account bob, sequence 1: transaction t3 has no leg of points 5 here"},
        {JOURNAL(3, record_leg_more),
         "entries: account bob: transaction t3 (position 3) has a leg of money 5 without an entry"},
    };
    ASSERT_NAMED(cases);
}

static void what_cannot_be_read_is_not_called_sound(void **state)
{
    (void)state;
    static const struct violation_case cases[] = {
        {FAULTY_WALK(JOURNAL, 0, STORE_CORRUPT),
         "could not read journal to the end: it is corrupt: not called sound"},
        {FAULTY_WALK(JOURNAL, 4, STORE_UNAVAILABLE),
         "could not read journal to the end: the store is unavailable: not called sound"},
        {FAULTY_WALK(IDS, 2, STORE_CORRUPT),
         "could not read ids to the end: it is corrupt: not called sound"},
        {FAULTY_WALK(ACCOUNTS, 0, STORE_CORRUPT),
         "could not read accounts to the end: it is corrupt: not called sound"},
        {FAULTY_WALK(ACCOUNTS, 2, STORE_CORRUPT),
         "could not read accounts to the end: it is corrupt: not called sound"},
        {FAULTY_WALK(ENTRIES, 1, STORE_CORRUPT),
         "could not read entries to the end: it is corrupt: not called sound"},
        {FAULTY_WALK(ENTRIES, 4, STORE_CORRUPT),
         "could not read entries to the end: it is corrupt: not called sound"},
        {{.place = ALTER_TRANSACTION_FAULT, .transaction_id = "t2", .fault = STORE_CORRUPT},
         "could not read ids: transaction t2: it is corrupt: not called sound"},
        {{.place = ALTER_JOURNAL_FAULT, .row = 4, .fault = STORE_UNAVAILABLE},
         "could not read journal: position 4: the store is unavailable: not called sound"},
        {{.place = ALTER_JOURNAL_FAULT, .row = 3, .fault = STORE_CORRUPT},
         "could not read journal: position 3: it is corrupt: not called sound"},
        {{.place = ALTER_JOURNAL_FAULT, .row = 3, .fault = STORE_CORRUPT},
         "could not read journal: position 3, for account bob, sequence 1: it is corrupt: not "
         "called sound"},
    };
    ASSERT_NAMED(cases);
    /* What is left of a table that broke off is not held against the store. */
    for (size_t i = 0; i < 7; i++) {
        struct verdict verdict =
            verdict_on(altered_store_open(small_store_open(), &cases[i].alteration));
        assert_int_equal(verdict.n_err_lines, 1);
        verdict_release(&verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_that_is_wrong_is_named),
        cmocka_unit_test(a_fence_that_is_lost_with_its_id_is_named_by_its_position),
        cmocka_unit_test(holes_say_nothing_where_positions_only_rise),
        cmocka_unit_test(ids_that_are_wrong_are_named),
        cmocka_unit_test(accounts_that_are_wrong_are_named),
        cmocka_unit_test(entries_that_do_not_add_up_are_named),
        cmocka_unit_test(entries_that_are_not_their_transactions_are_named),
        cmocka_unit_test(a_transaction_with_entries_at_two_places_is_named),
        cmocka_unit_test(what_cannot_be_read_is_not_called_sound),
    };
    return cmocka_run_group_tests_name("verify named", tests, NULL, NULL);
}
