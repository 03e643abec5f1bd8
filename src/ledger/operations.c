/* The operations that there are, what they ask for, and the checks on one leg. */
#include "ledger/operations.h"

/* --- what a command asks for --- */

/* Every amount moves in the command's own account: in (+1) or out (-1). */
static void compose_own_account(struct ledger_attempt *attempt, const struct ledger_facts *facts,
                                const struct ledger_command *command, int64_t direction)
{
    struct ledger_account *account = ledger_facts_account(facts, command->account_id);
    base_assert(account != NULL);
    base_assert(command->n_amounts <= BASE_AMOUNTS_MAX);
    for (size_t i = 0; i < command->n_amounts; i++) {
        const struct ledger_amount *amount = &command->amounts[i];
        base_assert(amount->amount_minor >= 1 && amount->amount_minor <= BASE_AMOUNT_MAX);
        int64_t change_minor = direction * amount->amount_minor;
        attempt->legs[i] = (struct record_leg){
            .account_id = command->account_id, .kind = amount->kind, .amount_minor = change_minor};
        attempt->movements[i] =
            (struct ledger_movement){.account = account,
                                     .kind_number = ledger_kind_number(facts->kinds, amount->kind),
                                     .available_minor = change_minor};
    }
    attempt->transaction.n_legs = command->n_amounts;
}

static void compose_add(struct ledger_attempt *attempt, const struct ledger_facts *facts,
                        const struct ledger_command *command)
{
    compose_own_account(attempt, facts, command, 1);
}

static void compose_consume(struct ledger_attempt *attempt, const struct ledger_facts *facts,
                            const struct ledger_command *command)
{
    compose_own_account(attempt, facts, command, -1);
}

/* A fence moves nothing (contract 3.7). */
static void compose_cancel(struct ledger_attempt *attempt, const struct ledger_facts *facts,
                           const struct ledger_command *command)
{
    (void)facts;
    base_assert(command->n_amounts == 0);
    attempt->transaction.n_legs = 0;
}

/* --- checks on one leg --- */

static const struct ledger_kind *kind_of(const struct ledger_attempt *attempt, size_t leg)
{
    int kind_number = attempt->movements[leg].kind_number;
    base_assert(kind_number >= 0);
    return &attempt->kinds->kinds[kind_number];
}

static const struct ledger_balance *balance_of(const struct ledger_attempt *attempt, size_t leg)
{
    const struct ledger_movement *movement = &attempt->movements[leg];
    base_assert(movement->kind_number >= 0);
    return &movement->account->balances[movement->kind_number];
}

/* A withdrawn kind is unknown to new writes (contract 5, Kind). */
static enum base_reason check_known_kind(const struct ledger_attempt *attempt, size_t leg)
{
    bool known = attempt->movements[leg].kind_number >= 0 && !kind_of(attempt, leg)->withdrawn;
    return known ? BASE_REASON_NONE : BASE_REASON_UNKNOWN_KIND;
}

static enum base_reason check_amount_limit(const struct ledger_attempt *attempt, size_t leg)
{
    int64_t amount_minor = attempt->legs[leg].amount_minor;
    int64_t size_minor = amount_minor < 0 ? -amount_minor : amount_minor;
    return size_minor <= kind_of(attempt, leg)->max_amount_minor
               ? BASE_REASON_NONE
               : BASE_REASON_AMOUNT_LIMIT_EXCEEDED;
}

/* Available and held together stay within the kind's limit and int64 (contract 3.10 and 5). */
static enum base_reason check_balance_limit(const struct ledger_attempt *attempt, size_t leg)
{
    const struct ledger_balance *balance = balance_of(attempt, leg);
    const struct ledger_movement *movement = &attempt->movements[leg];
    /* What an account has is within int64 together, and each movement within BASE_AMOUNT_MAX. */
    int64_t before_minor = balance->available_minor + balance->held_minor;
    int64_t change_minor = movement->available_minor + movement->held_minor;
    int64_t after_minor;
    bool overflow = __builtin_add_overflow(before_minor, change_minor, &after_minor);
    return !overflow && after_minor <= kind_of(attempt, leg)->max_balance_minor
               ? BASE_REASON_NONE
               : BASE_REASON_BALANCE_LIMIT_EXCEEDED;
}

static enum base_reason check_balance(const struct ledger_attempt *attempt, size_t leg)
{
    /* What is available is never negative, and a movement is -BASE_AMOUNT_MAX at the least. */
    int64_t after_minor =
        balance_of(attempt, leg)->available_minor + attempt->movements[leg].available_minor;
    return after_minor >= 0 ? BASE_REASON_NONE : BASE_REASON_INSUFFICIENT_BALANCE;
}

/* --- the table --- */

static const struct ledger_operation operations[] = {
    [RECORD_OPERATION_ADD] = {RECORD_STATE_SUCCEEDED,
                              compose_add,
                              {check_known_kind, check_amount_limit, check_balance_limit}},
    [RECORD_OPERATION_CONSUME] = {RECORD_STATE_SUCCEEDED,
                                  compose_consume,
                                  {check_known_kind, check_amount_limit, check_balance}},
    [RECORD_OPERATION_CANCEL] = {RECORD_STATE_CANCELLED, compose_cancel, {NULL}},
};

const struct ledger_operation *ledger_operation_of(enum record_operation operation)
{
    base_assert((size_t)operation < sizeof operations / sizeof operations[0]);
    base_assert(operations[operation].compose != NULL);
    return &operations[operation];
}
