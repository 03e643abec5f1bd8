/*
 * The rules, written from docs/contract.md 3 and 4 alone: what a command deserves at one moment of
 * the journal. Sums are in 128 bits, states are looked up, and nothing is changed here.
 */
#include "sim/auditor_books.h"

static bool asks_for(const struct ledger_command *command, const struct ledger_amount *amount)
{
    for (size_t i = 0; i < command->n_amounts; i++) {
        if (base_text_equal(command->amounts[i].kind, amount->kind)) {
            return command->amounts[i].amount_minor == amount->amount_minor;
        }
    }
    return false;
}

/* Contract 3.5: a set of kinds and amounts, in whatever order, and no kind is in it twice. */
static bool same_amounts(const struct ledger_command *a, const struct ledger_command *b)
{
    if (a->n_amounts != b->n_amounts) {
        return false;
    }
    for (size_t i = 0; i < a->n_amounts; i++) {
        if (!asks_for(b, &a->amounts[i])) {
            return false;
        }
    }
    return true;
}

uint32_t auditor_differences(const struct ledger_command *recorded,
                             const struct ledger_command *requested)
{
    uint32_t fields = 0;
    if (recorded->operation != requested->operation) {
        fields |= BASE_CONTENT_OPERATION;
    }
    if (!base_text_equal(recorded->account_id, requested->account_id)) {
        fields |= BASE_CONTENT_ACCOUNT_ID;
    }
    if (!same_amounts(recorded, requested)) {
        fields |= BASE_CONTENT_AMOUNTS;
    }
    return fields;
}

const struct ledger_command *auditor_origin(struct auditor *auditor, const struct auditor_id *id)
{
    return auditor->variants[id->variant].command;
}

/* Contract 3.3, 3.5 and 3.7: once something is recorded, nothing else is looked at. */
static struct base_refusal verdict_on_record(struct auditor *auditor, const struct auditor_id *id,
                                             const struct ledger_command *command)
{
    bool fenced = auditor->rows[id->position - 1].transaction.state == RECORD_STATE_CANCELLED;
    bool fences = command->operation == RECORD_OPERATION_CANCEL;
    struct base_refusal refusal = {.reason = BASE_REASON_NONE};
    if (fenced && !fences) {
        refusal.reason = BASE_REASON_TRANSACTION_CANCELLED;
    } else if (!fenced && fences) {
        refusal.reason = BASE_REASON_TRANSACTION_SUCCEEDED;
    } else if (!fenced) {
        refusal.content_fields = auditor_differences(auditor_origin(auditor, id), command);
        if (refusal.content_fields != 0) {
            refusal.reason = BASE_REASON_TRANSACTION_ID_REUSED;
        }
    }
    return refusal;
}

/* Contract 4, checks 3 to 5 on one amount: the check that it fails, or BASE_REASON_NONE. */
static enum base_reason check_kind(const struct ledger_kinds *kinds,
                                   const struct ledger_amount *amount)
{
    int number = ledger_kind_number(kinds, amount->kind);
    bool usable = number >= 0 && !kinds->kinds[number].withdrawn;
    return usable ? BASE_REASON_NONE : BASE_REASON_UNKNOWN_KIND;
}

static enum base_reason check_limits(const struct ledger_kinds *kinds,
                                     const struct ledger_amount *amount)
{
    const struct ledger_kind *kind = &kinds->kinds[ledger_kind_number(kinds, amount->kind)];
    return amount->amount_minor > kind->max_amount_minor ? BASE_REASON_AMOUNT_LIMIT_EXCEEDED
                                                         : BASE_REASON_NONE;
}

static enum base_reason check_balance(const struct ledger_kinds *kinds,
                                      const struct auditor_state *state, bool comes_in,
                                      const struct ledger_amount *amount)
{
    int number = ledger_kind_number(kinds, amount->kind);
    auditor_wide now = state->available[number];
    if (!comes_in) {
        return now < amount->amount_minor ? BASE_REASON_INSUFFICIENT_BALANCE : BASE_REASON_NONE;
    }
    auditor_wide after = now + amount->amount_minor;
    bool beyond = after > kinds->kinds[number].max_balance_minor || after > INT64_MAX;
    return beyond ? BASE_REASON_BALANCE_LIMIT_EXCEEDED : BASE_REASON_NONE;
}

/* Each check over all amounts in the request's order before the next begins (contract 4). */
static struct base_refusal verdict_on_balance(struct auditor *auditor,
                                              const struct ledger_kinds *kinds,
                                              const struct ledger_command *command, size_t position)
{
    const struct auditor_state *state =
        auditor_state_at(auditor_account_of(auditor, command->account_id), position);
    bool comes_in = command->operation == RECORD_OPERATION_ADD;
    for (int check = 0; check < 3; check++) {
        for (size_t i = 0; i < command->n_amounts; i++) {
            const struct ledger_amount *amount = &command->amounts[i];
            enum base_reason reason = check == 0   ? check_kind(kinds, amount)
                                      : check == 1 ? check_limits(kinds, amount)
                                                   : check_balance(kinds, state, comes_in, amount);
            if (reason != BASE_REASON_NONE) {
                return (struct base_refusal){.reason = reason, .kind = amount->kind};
            }
        }
    }
    return (struct base_refusal){.reason = BASE_REASON_NONE};
}

struct base_refusal auditor_verdict(struct auditor *auditor, const struct ledger_kinds *kinds,
                                    const struct ledger_command *command, size_t position)
{
    const struct auditor_id *id = auditor_id_of(auditor, command->transaction_id);
    base_assert(id != NULL);
    if (id->position != 0 && id->position <= position) {
        return verdict_on_record(auditor, id, command);
    }
    if (command->operation == RECORD_OPERATION_CANCEL) {
        return (struct base_refusal){.reason = BASE_REASON_NONE};
    }
    return verdict_on_balance(auditor, kinds, command, position);
}
