/* app: verify calls a sound store sound, with its counts and totals, and says how many violations
 * there are. */
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

ALTER(account_never_seen, row->account.account_id = BASE_TEXT("ann");
      row->account.last_time_us = INT64_MIN)
ALTER(account_largest, row->account.balances[0].available_minor = INT64_MAX)
ALTER(account_available_negative, row->account.balances[0].available_minor = -5)
ALTER(entry_description, row->entry.description = BASE_TEXT("Gift"))

static void a_sound_store_is_called_sound_with_its_counts(void **state)
{
    (void)state;
    struct verdict verdict = verdict_on(small_store_open());
    assert_string_equal(verdict.err, "");
    assert_string_equal(verdict.out,
                        "transactions: 4 (1 cancelled)\n"
                        "accounts: 2\n"
                        "entries: 4\n"
                        "points: in 105, out 30, available 75, held 0\n"
                        "money: in 500, out 0, available 500, held 0\n"
                        "sound: every balance follows from its history, every entry from its "
                        "transaction\n");
    assert_int_equal(verdict.exit_status, APP_EXIT_DONE);
    verdict_release(&verdict);
}

static void an_empty_store_is_sound(void **state)
{
    (void)state;
    struct verdict verdict = verdict_on(store_memory_open(&small_store_kinds));
    assert_string_equal(verdict.err, "");
    assert_int_equal(verdict.exit_status, APP_EXIT_DONE);
    verdict_release(&verdict);
}

static void a_row_of_version_zero_is_no_account(void **state)
{
    (void)state;
    static const struct alteration inserted = WALK(ALTER_INSERT, ACCOUNTS, 1, account_never_seen);
    struct verdict verdict = verdict_on(altered_store_open(small_store_open(), &inserted));
    assert_string_equal(verdict.err, "");
    assert_non_null(strstr(verdict.out, "\naccounts: 2\n"));
    assert_int_equal(verdict.exit_status, APP_EXIT_DONE);
    verdict_release(&verdict);
}

static void totals_are_wider_than_int64(void **state)
{
    (void)state;
    static const struct alteration largest =
        WALK(ALTER_ROW, ACCOUNTS, ALTER_EVERY_ROW, account_largest);
    struct verdict verdict = verdict_on(altered_store_open(small_store_open(), &largest));
    assert_non_null(
        strstr(verdict.out, "points: in 105, out 30, available 18446744073709551614, held 0\n"));
    verdict_release(&verdict);
    static const struct alteration negative =
        WALK(ALTER_ROW, ACCOUNTS, ALTER_EVERY_ROW, account_available_negative);
    verdict = verdict_on(altered_store_open(small_store_open(), &negative));
    assert_non_null(strstr(verdict.out, "points: in 105, out 30, available -10, held 0\n"));
    verdict_release(&verdict);
}

/* A store of n transactions with one entry each, and every entry's description altered. */
static struct verdict verdict_on_violations(size_t n)
{
    static const struct alteration altered =
        WALK(ALTER_ROW, ENTRIES, ALTER_EVERY_ROW, entry_description);
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct ledger_amount amount = {BASE_TEXT("points"), 1};
    struct ledger_command *commands = base_arena_take(&arena, n * sizeof *commands);
    for (size_t i = 0; i < n; i++) {
        commands[i] = (struct ledger_command){.operation = RECORD_OPERATION_ADD,
                                              .transaction_id = base_arena_print(&arena, "t%zu", i),
                                              .account_id = BASE_TEXT("alice"),
                                              .n_amounts = 1,
                                              .amounts = &amount};
    }
    struct store *store = store_memory_open(&small_store_kinds);
    small_store_commit(store, SMALL_STORE_START_US, n, commands);
    base_arena_release(&arena);
    return verdict_on(altered_store_open(store, &altered));
}

static void the_first_thousand_violations_are_listed_and_the_others_counted(void **state)
{
    (void)state;
    struct verdict at_limit = verdict_on_violations(1000);
    assert_int_equal(at_limit.n_err_lines, 1000);
    assert_non_null(strstr(at_limit.out, "\nnot sound: 1000 violations\n"));
    assert_null(strstr(at_limit.err, "more"));
    verdict_release(&at_limit);

    struct verdict beyond = verdict_on_violations(1003);
    assert_int_equal(beyond.n_err_lines, 1001);
    assert_non_null(strstr(beyond.err, "\nand 3 more\n"));
    assert_non_null(strstr(beyond.out, "\nnot sound: 1003 violations\n"));
    assert_int_equal(beyond.exit_status, APP_EXIT_COULD_NOT);
    verdict_release(&beyond);
}

static void a_verdict_that_cannot_be_written_is_no_success(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    struct store *store = small_store_open();
    assert_int_equal(app_verify(store, full, stderr), APP_EXIT_COULD_NOT);
    store_close(store);
    (void)fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_store_is_called_sound_with_its_counts),
        cmocka_unit_test(an_empty_store_is_sound),
        cmocka_unit_test(a_row_of_version_zero_is_no_account),
        cmocka_unit_test(totals_are_wider_than_int64),
        cmocka_unit_test(the_first_thousand_violations_are_listed_and_the_others_counted),
        cmocka_unit_test(a_verdict_that_cannot_be_written_is_no_success),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
