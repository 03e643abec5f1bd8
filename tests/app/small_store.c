#include "small_store.h"

#include "store/memory/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct ledger_kinds small_store_kinds = {
    .n_kinds = 2,
    .kinds = {{.code = {"points", 6},
               .max_balance_minor = INT64_MAX,
               .max_amount_minor = BASE_AMOUNT_MAX},
              {.code = {"money", 5},
               .max_balance_minor = INT64_MAX,
               .max_amount_minor = BASE_AMOUNT_MAX}},
};

void small_store_commit(struct store *store, int64_t now_us, size_t n,
                        const struct ledger_command *commands)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_facts facts;
    ledger_facts_open(&facts, &small_store_kinds, &arena);
    for (size_t i = 0; i < n; i++) {
        ledger_facts_need(&facts, &commands[i]);
    }
    assert_int_equal(store_load(store, 0, &facts), STORE_OK);
    for (size_t i = 0; i < n; i++) {
        struct ledger_outcome outcome;
        assert_true(ledger_decide(&facts, &commands[i], now_us, &outcome));
        assert_int_equal(outcome.result, LEDGER_APPLIED);
    }
    assert_int_equal(store_commit(store, 0, &facts), STORE_OK);
    base_arena_release(&arena);
}

struct store *small_store_open(void)
{
    struct store *store = store_memory_open(&small_store_kinds);
    const struct ledger_amount t1[] = {{BASE_TEXT("points"), 100}, {BASE_TEXT("money"), 500}};
    const struct ledger_amount t2[] = {{BASE_TEXT("points"), 30}};
    const struct ledger_amount t3[] = {{BASE_TEXT("points"), 5}};
    const struct ledger_command first = {.operation = RECORD_OPERATION_ADD,
                                         .transaction_id = BASE_TEXT("t1"),
                                         .account_id = BASE_TEXT("alice"),
                                         .n_amounts = 2,
                                         .amounts = t1,
                                         .description = BASE_TEXT("gift")};
    const struct ledger_command others[] = {
        {.operation = RECORD_OPERATION_CONSUME,
         .transaction_id = BASE_TEXT("t2"),
         .account_id = BASE_TEXT("alice"),
         .n_amounts = 1,
         .amounts = t2},
        {.operation = RECORD_OPERATION_ADD,
         .transaction_id = BASE_TEXT("t3"),
         .account_id = BASE_TEXT("bob"),
         .n_amounts = 1,
         .amounts = t3},
        {.operation = RECORD_OPERATION_CANCEL, .transaction_id = BASE_TEXT("t4")}};
    small_store_commit(store, SMALL_STORE_START_US, 1, &first);
    small_store_commit(store, SMALL_STORE_START_US + SMALL_STORE_SECOND_US, 3, others);
    return store;
}

struct verdict verdict_on(struct store *store)
{
    struct verdict verdict = {0};
    size_t out_length;
    size_t err_length;
    FILE *out = open_memstream(&verdict.out, &out_length);
    FILE *err = open_memstream(&verdict.err, &err_length);
    assert_non_null(out);
    assert_non_null(err);
    verdict.exit_status = app_verify(store, out, err);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fclose(err), 0);
    for (const char *at = verdict.err; (at = strchr(at, '\n')) != NULL; at++) {
        verdict.n_err_lines++;
    }
    store_close(store);
    return verdict;
}

void verdict_release(struct verdict *verdict)
{
    free(verdict->out);
    free(verdict->err);
}
