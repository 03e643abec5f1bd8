/*
 * The decision on one command:
 *
 *   compose   the transaction that the command would be
 *   recorded  is there an answer under its id already? Then that is all (contract 3.3 to 3.7)
 *   check     each check of the operation, over all legs, before the next check (contract 4)
 *   apply     balances, history and record, all at once
 *
 * Nothing is changed before `apply`, and `apply` cannot fail: so a refusal changes nothing.
 */
#include "ledger/ledger.h"
#include "ledger/list.h"
#include "ledger/operations.h"

/* Room for new transactions and entries at first: a lone command's. */
#define CAPACITY_FIRST 8

static int64_t later(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

static void compose(struct ledger_attempt *attempt, const struct ledger_operation *operation,
                    const struct ledger_facts *facts, const struct ledger_command *command,
                    int64_t now_us)
{
    attempt->kinds = facts->kinds;
    attempt->transaction = (struct record_transaction){
        .transaction_id = command->transaction_id,
        .state = operation->state,
        .operation = command->operation,
        .account_id = command->account_id,
        .legs = attempt->legs,
        .create_time_us = now_us,
        .description = command->description,
        .n_metadata = command->n_metadata,
        .metadata = command->metadata,
    };
    operation->compose(attempt, facts, command);
    base_assert(record_is_well_formed(&attempt->transaction));
}

/* --- recorded --- */

/* What the record under an id says to a request that names the same id. */
static struct base_refusal answer_recorded(const struct record_transaction *recorded,
                                           const struct record_transaction *requested)
{
    bool recorded_cancelled = recorded->state == RECORD_STATE_CANCELLED;
    bool requested_cancel = requested->operation == RECORD_OPERATION_CANCEL;
    struct base_refusal refusal = {.reason = BASE_REASON_NONE};
    if (requested_cancel && !recorded_cancelled) {
        /* Contract 3.7: a fence that comes too late undoes nothing, and says so. */
        refusal.reason = BASE_REASON_TRANSACTION_SUCCEEDED;
    } else if (!requested_cancel && recorded_cancelled) {
        refusal.reason = BASE_REASON_TRANSACTION_CANCELLED;
    } else if (!requested_cancel) {
        /* Contract 3.5: the same content is a repeat, any other is another business event. */
        refusal.content_fields = record_compare(recorded, requested);
        if (refusal.content_fields != 0) {
            refusal.reason = BASE_REASON_TRANSACTION_ID_REUSED;
        }
    }
    return refusal;
}

static bool decide_recorded(struct base_arena *arena, const struct ledger_transaction *fact,
                            const struct record_transaction *requested,
                            struct ledger_outcome *ret_outcome)
{
    struct record_transaction recorded;
    if (!record_decode(arena, fact->record, &recorded) ||
        !base_text_equal(recorded.transaction_id, fact->transaction_id)) {
        return false;
    }
    struct base_refusal refusal = answer_recorded(&recorded, requested);
    if (refusal.reason == BASE_REASON_NONE) {
        /* Contract 3.3 and 3.4: the recorded bytes, and no check of the business runs again. */
        *ret_outcome = (struct ledger_outcome){.result = LEDGER_REPLAYED, .record = fact->record};
    } else {
        *ret_outcome = (struct ledger_outcome){.result = LEDGER_REFUSED, .refusal = refusal};
    }
    return true;
}

/* --- check --- */

static struct base_refusal check(const struct ledger_operation *operation,
                                 const struct ledger_attempt *attempt)
{
    for (ledger_check *const *next = operation->checks; *next != NULL; next++) {
        for (size_t leg = 0; leg < attempt->transaction.n_legs; leg++) {
            enum base_reason reason = (*next)(attempt, leg);
            if (reason != BASE_REASON_NONE) {
                return (struct base_refusal){.reason = reason, .kind = attempt->legs[leg].kind};
            }
        }
    }
    return (struct base_refusal){.reason = BASE_REASON_NONE};
}

/* --- apply --- */

static void append_entry(struct ledger_facts *facts, const struct ledger_entry *entry)
{
    if (facts->n_entries == facts->entries_capacity) {
        size_t capacity =
            facts->entries_capacity > 0 ? facts->entries_capacity * 2 : CAPACITY_FIRST;
        facts->entries = ledger_list_grown(facts->arena, facts->entries, facts->n_entries, capacity,
                                           sizeof *facts->entries);
        facts->entries_capacity = capacity;
    }
    facts->entries[facts->n_entries++] = *entry;
}

static void append_new(struct ledger_facts *facts, struct ledger_transaction *fact)
{
    if (facts->n_new == facts->new_capacity) {
        size_t capacity = facts->new_capacity > 0 ? facts->new_capacity * 2 : CAPACITY_FIRST;
        facts->new_transactions =
            ledger_list_grown(facts->arena, facts->new_transactions, facts->n_new, capacity,
                              sizeof *facts->new_transactions);
        facts->new_capacity = capacity;
    }
    facts->new_transactions[facts->n_new++] = fact;
}

/* Contract 3.13: the clock's time, but never before the last transaction of an account that it
 * touches. */
static int64_t time_of(const struct ledger_attempt *attempt)
{
    int64_t time_us = attempt->transaction.create_time_us;
    for (size_t leg = 0; leg < attempt->transaction.n_legs; leg++) {
        time_us = later(time_us, attempt->movements[leg].account->last_time_us);
    }
    return time_us;
}

/* The checks have seen that a sum stays within int64; if not, it is a bug of theirs. */
static int64_t sum_of(int64_t a, int64_t b)
{
    int64_t sum;
    bool overflow = __builtin_add_overflow(a, b, &sum);
    base_assert(!overflow);
    return sum;
}

static void move(struct ledger_facts *facts, const struct record_transaction *transaction,
                 const struct ledger_movement *movement)
{
    struct ledger_account *account = movement->account;
    struct ledger_balance *balance = &account->balances[movement->kind_number];
    balance->available_minor = sum_of(balance->available_minor, movement->available_minor);
    balance->held_minor = sum_of(balance->held_minor, movement->held_minor);
    base_assert(balance->available_minor >= 0 && balance->held_minor >= 0);
    account->version = sum_of(account->version, 1);
    account->last_time_us = transaction->create_time_us;
    account->changed = true;
    struct ledger_entry entry = {
        .account_id = account->account_id,
        .sequence = account->version,
        .transaction_id = transaction->transaction_id,
        .operation = transaction->operation,
        .kind_number = movement->kind_number,
        .amount_minor = movement->available_minor,
        .balance_after_minor = balance->available_minor,
        .held_amount_minor = movement->held_minor,
        .held_after_minor = balance->held_minor,
        .create_time_us = transaction->create_time_us,
        .original_transaction_id = transaction->original_transaction_id,
        .description = transaction->description,
    };
    append_entry(facts, &entry);
}

static void apply(struct ledger_facts *facts, struct ledger_attempt *attempt,
                  struct base_text caller, struct ledger_transaction *fact)
{
    struct record_transaction *transaction = &attempt->transaction;
    transaction->create_time_us = time_of(attempt);
    fact->record = record_encode(facts->arena, transaction);
    fact->caller = caller;
    fact->presence = LEDGER_NEW;
    fact->first_entry = facts->n_entries;
    fact->n_entries = transaction->n_legs;
    for (size_t leg = 0; leg < transaction->n_legs; leg++) {
        move(facts, transaction, &attempt->movements[leg]);
    }
    append_new(facts, fact);
}

bool ledger_decide(struct ledger_facts *facts, const struct ledger_command *command, int64_t now_us,
                   struct ledger_outcome *ret_outcome)
{
    struct ledger_transaction *fact = ledger_facts_transaction(facts, command->transaction_id);
    base_assert(fact != NULL && fact->presence != LEDGER_NEEDED);
    /* The clock is the machine's and may say anything; a record's time fits a Timestamp. */
    now_us = later(now_us, BASE_TIME_MIN_US);
    now_us = now_us < BASE_TIME_MAX_US ? now_us : BASE_TIME_MAX_US;

    const struct ledger_operation *operation = ledger_operation_of(command->operation);
    struct ledger_attempt attempt;
    compose(&attempt, operation, facts, command, now_us);
    if (fact->presence != LEDGER_ABSENT) {
        return decide_recorded(facts->arena, fact, &attempt.transaction, ret_outcome);
    }
    struct base_refusal refusal = check(operation, &attempt);
    if (refusal.reason != BASE_REASON_NONE) {
        *ret_outcome = (struct ledger_outcome){.result = LEDGER_REFUSED, .refusal = refusal};
        return true;
    }
    apply(facts, &attempt, command->caller, fact);
    *ret_outcome = (struct ledger_outcome){.result = LEDGER_APPLIED, .record = fact->record};
    return true;
}
