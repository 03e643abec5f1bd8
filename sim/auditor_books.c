/*
 * The auditor's books: the journal as it grows, and every state that the accounts went through.
 * Each row is checked when it becomes durable: somebody asked for it and nobody had the answer yet,
 * and at its place in the journal it was possible.
 */
#include "sim/auditor_books.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void auditor_fail(struct auditor *auditor, const char *rule, struct base_text transaction_id,
                  struct base_text account_id, const char *format, ...)
{
    struct auditor_failure *failure = &auditor->failure;
    if (failure->found) {
        return;
    }
    failure->found = true;
    (void)snprintf(failure->rule, sizeof failure->rule, "%s", rule);
    (void)snprintf(failure->transaction_id, sizeof failure->transaction_id, "%.*s",
                   BASE_TEXT_ARGS(transaction_id));
    (void)snprintf(failure->account_id, sizeof failure->account_id, "%.*s",
                   BASE_TEXT_ARGS(account_id));
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(failure->what, sizeof failure->what, format, arguments);
    va_end(arguments);
}

/* --- finding things --- */

/* The number behind the letter; -1: it is no such name. */
static int64_t number_of(struct base_text name, char letter)
{
    int64_t number = -1;
    if (name.length < 2 || name.bytes[0] != letter ||
        !base_text_to_int64((struct base_text){name.bytes + 1, name.length - 1}, &number)) {
        return -1;
    }
    return number;
}

/* Makes room for element `n`; what is new is zeroed. */
static void *grown(void *list, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) {
        return list;
    }
    size_t before = *capacity;
    *capacity = n < 32 ? 64 : n * 2;
    list = base_reallocate(list, *capacity * size);
    memset((char *)list + before * size, 0, (*capacity - before) * size);
    return list;
}

struct auditor_id *auditor_id_of(struct auditor *auditor, struct base_text transaction_id)
{
    int64_t number = number_of(transaction_id, 't');
    if (number < 0 || (size_t)number >= auditor->n_ids) {
        return NULL;
    }
    return &auditor->ids[number];
}

struct auditor_account *auditor_account_of(struct auditor *auditor, struct base_text account_id)
{
    int64_t number = number_of(account_id, 'a');
    if (number < 0 || (size_t)number >= auditor->n_accounts) {
        return NULL;
    }
    return &auditor->accounts[number];
}

struct auditor_variant *auditor_variant_of(struct auditor *auditor, struct base_text description)
{
    int64_t number = number_of(description, 'v');
    if (number < 0 || (size_t)number >= auditor->n_variants ||
        auditor->variants[number].command == NULL) {
        return NULL;
    }
    return &auditor->variants[number];
}

struct auditor_tally *auditor_tally_of(struct auditor *auditor,
                                       const struct ledger_command *command)
{
    if (command->operation == RECORD_OPERATION_CANCEL) {
        /* A fence is the first that is heard of an id, perhaps. */
        int64_t number = number_of(command->transaction_id, 't');
        base_assert(number >= 0);
        auditor->ids = grown(auditor->ids, (size_t)number, &auditor->n_ids, sizeof *auditor->ids);
        return &auditor->ids[number].fences;
    }
    struct auditor_variant *variant = auditor_variant_of(auditor, command->description);
    base_assert(variant != NULL);
    return &variant->tally;
}

const struct auditor_state *auditor_state_at(const struct auditor_account *account, size_t position)
{
    size_t low = 0;
    size_t high = account->n_states;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (account->states[middle].position <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &account->states[low];
}

/* --- opening and closing --- */

struct auditor *auditor_open(size_t n_accounts, const struct ledger_kinds *kinds)
{
    struct auditor *auditor = base_allocate_zeroed(1, sizeof *auditor);
    auditor->kinds = kinds;
    auditor->n_accounts = n_accounts;
    auditor->accounts = base_allocate_zeroed(n_accounts, sizeof *auditor->accounts);
    for (size_t i = 0; i < n_accounts; i++) {
        struct auditor_account *account = &auditor->accounts[i];
        account->states = grown(NULL, 0, &account->capacity, sizeof *account->states);
        account->states[0].last_time_us = INT64_MIN;
        account->n_states = 1;
    }
    return auditor;
}

void auditor_close(struct auditor *auditor)
{
    for (size_t i = 0; i < auditor->n_accounts; i++) {
        free(auditor->accounts[i].states);
        free(auditor->accounts[i].entries);
    }
    free(auditor->accounts);
    free(auditor->variants);
    free(auditor->ids);
    free(auditor->rows);
    free(auditor->clock);
    base_arena_release(&auditor->arena);
    free(auditor);
}

const struct auditor_failure *auditor_failure_of(const struct auditor *auditor)
{
    return &auditor->failure;
}

void auditor_add_figures(const struct auditor *auditor, struct auditor_figures *figures)
{
    figures->applied += auditor->figures.applied;
    figures->replayed += auditor->figures.replayed;
    figures->reads += auditor->figures.reads;
    figures->recorded += auditor->figures.recorded;
    for (size_t i = 0; i < BASE_REASON_COUNT; i++) {
        figures->refused[i] += auditor->figures.refused[i];
    }
}

void auditor_announce(struct auditor *auditor, const struct ledger_command *command)
{
    int64_t number = number_of(command->description, 'v');
    int64_t id = number_of(command->transaction_id, 't');
    base_assert(number >= 0 && id >= 0);
    auditor->variants =
        grown(auditor->variants, (size_t)number, &auditor->n_variants, sizeof *auditor->variants);
    auditor->ids = grown(auditor->ids, (size_t)id, &auditor->n_ids, sizeof *auditor->ids);
    base_assert(auditor->variants[number].command == NULL);
    auditor->variants[number].command = command;
}

void auditor_clock_read(struct auditor *auditor, int64_t now_us)
{
    auditor->clock =
        grown(auditor->clock, auditor->n_clock, &auditor->clock_capacity, sizeof *auditor->clock);
    auditor->clock[auditor->n_clock++] = now_us;
}

/* --- a new row of the journal --- */

/* The row being checked. */
struct check {
    struct auditor *auditor;
    const struct record_transaction *transaction;
    const struct ledger_command *command; /* that it came from; NULL: a fence */
};

static bool fail(const struct check *check, const char *rule, const char *what)
{
    auditor_fail(check->auditor, rule, check->transaction->transaction_id,
                 check->transaction->account_id, "the journal's row %zu: %s",
                 check->auditor->n_rows + 1, what);
    return false;
}

/* Whether the record says what its command says: nothing is in the journal that nobody sent. */
static bool says_what_was_sent(const struct check *check)
{
    const struct record_transaction *transaction = check->transaction;
    const struct ledger_command *command = check->command;
    bool same = transaction->state == RECORD_STATE_SUCCEEDED &&
                transaction->operation == command->operation &&
                transaction->n_legs == command->n_amounts &&
                transaction->n_metadata == command->n_metadata &&
                transaction->original_transaction_id.length == 0 &&
                base_text_equal(transaction->transaction_id, command->transaction_id) &&
                base_text_equal(transaction->account_id, command->account_id);
    int64_t sign = command->operation == RECORD_OPERATION_ADD ? 1 : -1;
    for (size_t i = 0; same && i < command->n_amounts; i++) {
        const struct record_leg *leg = &transaction->legs[i];
        same = base_text_equal(leg->account_id, command->account_id) &&
               base_text_equal(leg->kind, command->amounts[i].kind) &&
               leg->amount_minor == sign * command->amounts[i].amount_minor &&
               !leg->has_expire_time;
    }
    for (size_t i = 0; same && i < command->n_metadata; i++) {
        same = base_text_equal(transaction->metadata[i].key, command->metadata[i].key) &&
               base_text_equal(transaction->metadata[i].value, command->metadata[i].value);
    }
    return same || fail(check, "contract 3.2", "nobody has sent this");
}

/* Contract 4: an attempt that was told `applied: no`, or that has had its success, does not take
 * effect afterwards. */
static bool may_still_take_effect(const struct check *check, const struct auditor_tally *tally)
{
    return tally->open > 0 || tally->lost > 0 || tally->unknown > 0 ||
           fail(check, "contract 4, applied",
                "every attempt of it had been answered, and none with `unknown`");
}

/* Contract 3.13: the time is what a clock has shown, unless the account's last one is later. */
static bool time_is_right(const struct check *check, const struct auditor_state *before)
{
    const struct auditor *auditor = check->auditor;
    int64_t time_us = check->transaction->create_time_us;
    if (before != NULL && time_us == before->last_time_us) {
        return true;
    }
    if (before != NULL && time_us < before->last_time_us) {
        return fail(check, "contract 3.13", "its time is before the account's last one");
    }
    for (size_t i = auditor->n_clock; i > 0; i--) {
        if (auditor->clock[i - 1] == time_us) {
            return true;
        }
    }
    return fail(check, "contract 3.13", "no clock has shown its time");
}

/* Every kind's balance stays within 0 and int64, whatever a configuration says (contract 3.10). */
static bool move(const struct check *check, struct auditor_account *account)
{
    struct auditor *auditor = check->auditor;
    const struct record_transaction *transaction = check->transaction;
    account->states =
        grown(account->states, account->n_states, &account->capacity, sizeof *account->states);
    struct auditor_state *state = &account->states[account->n_states];
    *state = account->states[account->n_states - 1];
    state->position = auditor->n_rows + 1;
    state->last_time_us = transaction->create_time_us;
    for (size_t i = 0; i < transaction->n_legs; i++) {
        const struct record_leg *leg = &transaction->legs[i];
        int number = ledger_kind_number(auditor->kinds, leg->kind);
        if (number < 0) {
            return fail(check, "contract 5", "a kind that no configuration has");
        }
        state->available[number] += leg->amount_minor;
        if (state->available[number] < 0 || state->available[number] > INT64_MAX) {
            return fail(check, "contract 3.10", "the balance was not enough, or is too much");
        }
        account->entries = grown(account->entries, state->n_entries, &account->entries_capacity,
                                 sizeof *account->entries);
        account->entries[state->n_entries] = (struct ledger_entry){
            .account_id = transaction->account_id,
            .sequence = (int64_t)state->n_entries + 1,
            .transaction_id = transaction->transaction_id,
            .operation = transaction->operation,
            .kind_number = number,
            .amount_minor = leg->amount_minor,
            .balance_after_minor = (int64_t)state->available[number],
            .create_time_us = transaction->create_time_us,
            .description = transaction->description,
        };
        state->n_entries++;
    }
    account->n_states++;
    return true;
}

static bool check_fence(struct check *check, struct auditor_id *id)
{
    bool holds_only_its_id =
        check->transaction->operation == RECORD_OPERATION_CANCEL &&
        check->transaction->n_legs == 0 && check->transaction->account_id.length == 0 &&
        check->transaction->description.length == 0 && check->transaction->n_metadata == 0;
    if (!holds_only_its_id) {
        return fail(check, "contract 3.7", "a fence that is more than one");
    }
    return may_still_take_effect(check, &id->fences) && time_is_right(check, NULL);
}

static bool check_movement(struct check *check, struct auditor_id *id)
{
    struct auditor_variant *variant =
        auditor_variant_of(check->auditor, check->transaction->description);
    struct auditor_account *account =
        auditor_account_of(check->auditor, check->transaction->account_id);
    if (variant == NULL || account == NULL) {
        return fail(check, "contract 3.2", "nobody has sent this");
    }
    check->command = variant->command;
    id->variant = (size_t)(variant - check->auditor->variants);
    return says_what_was_sent(check) && may_still_take_effect(check, &variant->tally) &&
           time_is_right(check, &account->states[account->n_states - 1]) && move(check, account);
}

void auditor_recorded(struct auditor *auditor, struct base_bytes record)
{
    auditor->figures.recorded++;
    auditor->rows =
        grown(auditor->rows, auditor->n_rows, &auditor->rows_capacity, sizeof *auditor->rows);
    struct auditor_row *row = &auditor->rows[auditor->n_rows];
    row->record = base_arena_bytes(&auditor->arena, record);
    if (!record_decode(&auditor->arena, row->record, &row->transaction)) {
        auditor_fail(auditor, "contract 3.2", (struct base_text){0}, (struct base_text){0},
                     "the journal's row %zu cannot be decoded", auditor->n_rows + 1);
        return;
    }
    struct check check = {auditor, &row->transaction, NULL};
    struct auditor_id *id = auditor_id_of(auditor, row->transaction.transaction_id);
    if (id == NULL) {
        (void)fail(&check, "contract 3.1", "an id that nobody uses");
        return;
    }
    if (id->position != 0) {
        (void)fail(&check, "contract 3.2, 3.7", "something is recorded under its id already");
        return;
    }
    bool right = row->transaction.state == RECORD_STATE_CANCELLED ? check_fence(&check, id)
                                                                  : check_movement(&check, id);
    if (right) {
        auditor->n_rows++;
        id->position = auditor->n_rows;
    }
}
