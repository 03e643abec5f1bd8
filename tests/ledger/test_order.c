/* ledger: a request that several checks would refuse gets the answer of the first of them, for
 * every pair of checks, in whichever order its legs stand (docs/contract.md 4). */
#include "ledger/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FREE, SHORT, SMALL, TIGHT, WITHDRAWN, KIND_COUNT };

/* What is wrong with a request: its id, or one of its legs. */
struct flaw {
    enum base_reason reason;
    const char *transaction_id; /* NULL: the flaw is a leg */
    const char *kind;
    int64_t amount_minor;
};

/* In the order of the checks; flaws of one check stand beside each other. */
static const struct flaw add_flaws[] = {
    {BASE_REASON_TRANSACTION_ID_REUSED, "recorded", NULL, 0},
    {BASE_REASON_TRANSACTION_CANCELLED, "fenced", NULL, 0},
    {BASE_REASON_UNKNOWN_KIND, NULL, "nowhere", 1},
    {BASE_REASON_UNKNOWN_KIND, NULL, "withdrawn", 1},
    {BASE_REASON_AMOUNT_LIMIT_EXCEEDED, NULL, "small", 11},
    {BASE_REASON_BALANCE_LIMIT_EXCEEDED, NULL, "tight", 11},
};
static const struct flaw consume_flaws[] = {
    {BASE_REASON_TRANSACTION_ID_REUSED, "recorded", NULL, 0},
    {BASE_REASON_TRANSACTION_CANCELLED, "fenced", NULL, 0},
    {BASE_REASON_UNKNOWN_KIND, NULL, "nowhere", 1},
    {BASE_REASON_UNKNOWN_KIND, NULL, "withdrawn", 1},
    {BASE_REASON_AMOUNT_LIMIT_EXCEEDED, NULL, "small", 11},
    {BASE_REASON_INSUFFICIENT_BALANCE, NULL, "short", 1},
};

static void make_kinds(struct ledger_kinds *kinds)
{
    *kinds = (struct ledger_kinds){.n_kinds = KIND_COUNT};
    kinds->kinds[FREE] = (struct ledger_kind){BASE_TEXT("free"), INT64_MAX, BASE_AMOUNT_MAX, false};
    kinds->kinds[SHORT] =
        (struct ledger_kind){BASE_TEXT("short"), INT64_MAX, BASE_AMOUNT_MAX, false};
    kinds->kinds[SMALL] = (struct ledger_kind){BASE_TEXT("small"), INT64_MAX, 10, false};
    kinds->kinds[TIGHT] = (struct ledger_kind){BASE_TEXT("tight"), 10, BASE_AMOUNT_MAX, false};
    kinds->kinds[WITHDRAWN] =
        (struct ledger_kind){BASE_TEXT("withdrawn"), INT64_MAX, BASE_AMOUNT_MAX, true};
}

static struct base_bytes fence(struct base_arena *arena)
{
    struct record_transaction transaction = {.transaction_id = BASE_TEXT("fenced"),
                                             .state = RECORD_STATE_CANCELLED,
                                             .operation = RECORD_OPERATION_CANCEL};
    return record_encode(arena, &transaction);
}

/* Of another account than the requests below. */
static struct base_bytes success(struct base_arena *arena)
{
    const struct record_leg leg = {BASE_TEXT("bob"), BASE_TEXT("free"), 1, false, 0};
    struct record_transaction transaction = {.transaction_id = BASE_TEXT("recorded"),
                                             .state = RECORD_STATE_SUCCEEDED,
                                             .operation = RECORD_OPERATION_ADD,
                                             .account_id = BASE_TEXT("bob"),
                                             .n_legs = 1,
                                             .legs = &leg};
    return record_encode(arena, &transaction);
}

static struct base_refusal decide(const struct ledger_command *command)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_kinds kinds;
    make_kinds(&kinds);
    struct ledger_facts facts;
    ledger_facts_open(&facts, &kinds, &arena);
    ledger_facts_need(&facts, command);
    struct ledger_transaction *fact = ledger_facts_transaction(&facts, command->transaction_id);
    fact->presence = LEDGER_ABSENT;
    if (base_text_equal(fact->transaction_id, BASE_TEXT("fenced"))) {
        fact->presence = LEDGER_RECORDED;
        fact->record = fence(&arena);
    } else if (base_text_equal(fact->transaction_id, BASE_TEXT("recorded"))) {
        fact->presence = LEDGER_RECORDED;
        fact->record = success(&arena);
    }
    struct ledger_account *account = ledger_facts_account(&facts, command->account_id);
    account->balances[FREE].available_minor = 1000;
    account->balances[SMALL].available_minor = 1000;
    account->balances[WITHDRAWN].available_minor = 1000;
    struct ledger_outcome outcome;
    assert_true(ledger_decide(&facts, command, 0, &outcome));
    base_arena_release(&arena);
    return outcome.result == LEDGER_REFUSED ? outcome.refusal : (struct base_refusal){0};
}

/* A sound leg between the two flaws, or around them, and `first` before `second`. */
static struct base_refusal decide_flaws(enum record_operation operation, const struct flaw *first,
                                        const struct flaw *second)
{
    struct ledger_amount amounts[3];
    struct ledger_command command = {.operation = operation,
                                     .transaction_id = BASE_TEXT("new"),
                                     .account_id = BASE_TEXT("alice"),
                                     .amounts = amounts};
    const struct flaw sound = {BASE_REASON_NONE, NULL, "free", 1};
    const struct flaw *flaws[] = {first, &sound, second};
    for (size_t i = 0; i < 3; i++) {
        if (flaws[i]->transaction_id != NULL) {
            command.transaction_id = base_text_of(flaws[i]->transaction_id);
        } else {
            amounts[command.n_amounts++] =
                (struct ledger_amount){base_text_of(flaws[i]->kind), flaws[i]->amount_minor};
        }
    }
    return decide(&command);
}

static void assert_refusal(struct base_refusal refusal, const struct flaw *flaw)
{
    if (refusal.reason != flaw->reason ||
        !base_text_equal(refusal.kind, base_text_of(flaw->kind))) {
        fail_msg("%s was expected for %s, not %s for %.*s", base_error_of(flaw->reason)->reason,
                 flaw->kind == NULL ? "the id" : flaw->kind,
                 refusal.reason == BASE_REASON_NONE ? "success"
                                                    : base_error_of(refusal.reason)->reason,
                 BASE_TEXT_ARGS(refusal.kind));
    }
}

static void assert_order(enum record_operation operation, size_t n, const struct flaw *flaws)
{
    for (size_t early = 0; early < n; early++) {
        for (size_t late = early + 1; late < n; late++) {
            bool both_ids =
                flaws[early].transaction_id != NULL && flaws[late].transaction_id != NULL;
            if (both_ids) {
                continue; /* a request has one id */
            }
            /* Of flaws that one check sees, the one in the request's first leg is told. */
            bool same_check = flaws[early].reason == flaws[late].reason;
            assert_refusal(decide_flaws(operation, &flaws[early], &flaws[late]), &flaws[early]);
            assert_refusal(decide_flaws(operation, &flaws[late], &flaws[early]),
                           same_check ? &flaws[late] : &flaws[early]);
        }
    }
}

static void an_add_is_checked_in_the_order_of_the_contract(void **state)
{
    (void)state;
    assert_order(RECORD_OPERATION_ADD, sizeof add_flaws / sizeof add_flaws[0], add_flaws);
}

static void a_consume_is_checked_in_the_order_of_the_contract(void **state)
{
    (void)state;
    assert_order(RECORD_OPERATION_CONSUME, sizeof consume_flaws / sizeof consume_flaws[0],
                 consume_flaws);
}

/* One leg that two checks would refuse. */
static void one_leg_is_checked_in_the_same_order(void **state)
{
    (void)state;
    static const struct {
        enum record_operation operation;
        struct flaw flaw;
    } rows[] = {
        /* too much at once, and for the balance: of 1,000 there are 1,001 asked */
        {RECORD_OPERATION_CONSUME, {BASE_REASON_AMOUNT_LIMIT_EXCEEDED, NULL, "small", 1001}},
        {RECORD_OPERATION_ADD, {BASE_REASON_AMOUNT_LIMIT_EXCEEDED, NULL, "small", BASE_AMOUNT_MAX}},
        /* withdrawn, and too little of it */
        {RECORD_OPERATION_CONSUME, {BASE_REASON_UNKNOWN_KIND, NULL, "withdrawn", 1001}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ledger_amount amount = {base_text_of(rows[i].flaw.kind),
                                             rows[i].flaw.amount_minor};
        struct ledger_command command = {.operation = rows[i].operation,
                                         .transaction_id = BASE_TEXT("new"),
                                         .account_id = BASE_TEXT("alice"),
                                         .n_amounts = 1,
                                         .amounts = &amount};
        assert_refusal(decide(&command), &rows[i].flaw);
    }
}

/* The fence's own rules stand before the comparison: a Cancel is never called a reused id. */
static void a_cancel_is_never_a_reused_id(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_kinds kinds;
    make_kinds(&kinds);
    struct ledger_facts facts;
    ledger_facts_open(&facts, &kinds, &arena);
    struct ledger_command command = {.operation = RECORD_OPERATION_CANCEL,
                                     .transaction_id = BASE_TEXT("recorded")};
    ledger_facts_need(&facts, &command);
    struct ledger_transaction *fact = ledger_facts_transaction(&facts, command.transaction_id);
    fact->presence = LEDGER_RECORDED;
    fact->record = success(&arena);
    struct ledger_outcome outcome;
    assert_true(ledger_decide(&facts, &command, 0, &outcome));
    assert_int_equal(outcome.result, LEDGER_REFUSED);
    assert_int_equal(outcome.refusal.reason, BASE_REASON_TRANSACTION_SUCCEEDED);
    assert_int_equal(outcome.refusal.content_fields, 0);
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_add_is_checked_in_the_order_of_the_contract),
        cmocka_unit_test(a_consume_is_checked_in_the_order_of_the_contract),
        cmocka_unit_test(one_leg_is_checked_in_the_same_order),
        cmocka_unit_test(a_cancel_is_never_a_reused_id),
    };
    return cmocka_run_group_tests_name("ledger order of checks", tests, NULL, NULL);
}
