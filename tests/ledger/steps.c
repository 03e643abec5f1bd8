#include "ledger/steps.h"

#include "ledger/fake_store.h"
#include "ledger/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 32
#define STEPS_MAX 64 /* commands between two other lines */

struct words {
    size_t n;
    struct base_text word[WORDS_MAX];
};

/* A command and what must come of it. */
struct step {
    const char *line;
    int64_t now_us;
    struct ledger_command command;
    struct words expected;
};

struct run {
    struct ledger_kinds kinds;
    struct fake_store store;
    struct base_arena arena; /* of the whole run: the script's commands */
    int64_t now_us;
    bool together; /* commands that follow one another are one batch */
    size_t n_steps;
    struct step steps[STEPS_MAX];
};

static struct words words_of(const char *line)
{
    struct words words = {0};
    while (*line != '\0') {
        size_t length = strcspn(line, " ");
        if (length > 0) {
            assert_true(words.n < WORDS_MAX);
            words.word[words.n++] = (struct base_text){line, length};
        }
        line += length;
        line += strspn(line, " ");
    }
    return words;
}

static bool is(struct base_text word, const char *string)
{
    return base_text_equal(word, base_text_of(string));
}

static int64_t number_of(struct base_text word)
{
    int64_t number = 0;
    assert_true(base_text_to_int64(word, &number));
    return number;
}

/* `name=value` */
static void split(struct base_text word, struct base_text *ret_name, struct base_text *ret_value)
{
    const char *equals = memchr(word.bytes, '=', word.length);
    assert_non_null(equals);
    size_t length = (size_t)(equals - word.bytes);
    *ret_name = (struct base_text){word.bytes, length};
    *ret_value = (struct base_text){equals + 1, word.length - length - 1};
}

/* --- commands --- */

static void parse_content(struct base_arena *arena, struct base_text word,
                          struct ledger_command *command)
{
    struct base_text name;
    struct base_text value;
    split(word, &name, &value);
    if (is(name, "description")) {
        command->description = value;
    } else if (name.bytes[0] == '@') {
        struct record_label *metadata =
            base_arena_take(arena, (command->n_metadata + 1) * sizeof *metadata);
        for (size_t i = 0; i < command->n_metadata; i++) {
            metadata[i] = command->metadata[i];
        }
        metadata[command->n_metadata++] =
            (struct record_label){{name.bytes + 1, name.length - 1}, value};
        command->metadata = metadata;
    } else {
        struct ledger_amount *amounts =
            base_arena_take(arena, (command->n_amounts + 1) * sizeof *amounts);
        for (size_t i = 0; i < command->n_amounts; i++) {
            amounts[i] = command->amounts[i];
        }
        amounts[command->n_amounts++] = (struct ledger_amount){name, number_of(value)};
        command->amounts = amounts;
    }
}

static bool is_command(struct base_text verb)
{
    return is(verb, "add") || is(verb, "consume") || is(verb, "cancel");
}

static enum record_operation operation_of(struct base_text verb)
{
    if (is(verb, "add")) {
        return RECORD_OPERATION_ADD;
    }
    return is(verb, "consume") ? RECORD_OPERATION_CONSUME : RECORD_OPERATION_CANCEL;
}

static void parse_command(struct run *run, const char *line, const struct words *words)
{
    assert_true(run->n_steps < STEPS_MAX);
    struct step *step = &run->steps[run->n_steps++];
    *step = (struct step){.line = line, .now_us = run->now_us};
    struct ledger_command *command = &step->command;
    command->operation = operation_of(words->word[0]);
    command->transaction_id = words->word[1];
    size_t at = 2;
    if (command->operation != RECORD_OPERATION_CANCEL) {
        command->account_id = words->word[at++];
    }
    while (!is(words->word[at], "->")) {
        parse_content(&run->arena, words->word[at++], command);
        assert_true(at < words->n);
    }
    for (at++; at < words->n; at++) {
        step->expected.word[step->expected.n++] = words->word[at];
    }
}

/* --- what came of it --- */

static uint32_t content_fields_of(struct base_text list)
{
    uint32_t fields = 0;
    while (list.length > 0) {
        const char *comma = memchr(list.bytes, ',', list.length);
        size_t length = comma == NULL ? list.length : (size_t)(comma - list.bytes);
        struct base_text name = {list.bytes, length};
        unsigned index = 0;
        while (!is(name, base_content_field_name(index))) {
            index++;
        }
        fields |= UINT32_C(1) << index;
        size_t passed = comma == NULL ? length : length + 1;
        list = (struct base_text){list.bytes + passed, list.length - passed};
    }
    return fields;
}

static bool refusal_is(const struct base_refusal *refusal, const struct words *expected)
{
    struct base_text kind = {0};
    uint32_t content_fields = 0;
    if (is(expected->word[0], "TRANSACTION_ID_REUSED")) {
        content_fields = content_fields_of(expected->word[1]);
    } else if (expected->n > 1) {
        kind = expected->word[1];
    }
    return refusal->reason != BASE_REASON_NONE &&
           is(expected->word[0], base_error_of(refusal->reason)->reason) &&
           base_text_equal(refusal->kind, kind) && refusal->content_fields == content_fields;
}

static bool outcome_is(const struct ledger_outcome *outcome, const struct words *expected)
{
    switch (outcome->result) {
    case LEDGER_APPLIED:
        return is(expected->word[0], "applied");
    case LEDGER_REPLAYED:
        return is(expected->word[0], "replayed");
    case LEDGER_REFUSED:
        return refusal_is(&outcome->refusal, expected);
    }
    return false;
}

static void decide_step(const struct step *step, struct ledger_facts *facts)
{
    struct base_writer before = fake_store_snapshot(facts);
    struct ledger_transaction *fact = ledger_facts_transaction(facts, step->command.transaction_id);
    struct base_bytes record_before = fact->record;
    struct ledger_outcome outcome;
    assert_true(ledger_decide(facts, &step->command, step->now_us, &outcome));
    if (!outcome_is(&outcome, &step->expected)) {
        fail_msg("%s, but it was: %s %.*s", step->line,
                 outcome.result == LEDGER_APPLIED ? "applied"
                 : outcome.result == LEDGER_REPLAYED
                     ? "replayed"
                     : base_error_of(outcome.refusal.reason)->reason,
                 BASE_TEXT_ARGS(outcome.refusal.kind));
    }
    struct base_writer after = fake_store_snapshot(facts);
    bool same = base_bytes_equal(base_writer_bytes(&before), base_writer_bytes(&after));
    if (same != (outcome.result != LEDGER_APPLIED)) {
        fail_msg("%s: the working set has changed, or has not", step->line);
    }
    if (outcome.result == LEDGER_REPLAYED) {
        assert_true(base_bytes_equal(outcome.record, record_before));
    }
    base_writer_release(&before);
    base_writer_release(&after);
}

static void decide_batch(struct run *run, size_t n, const struct step *steps)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_facts facts;
    ledger_facts_open(&facts, &run->kinds, &arena);
    for (size_t i = 0; i < n; i++) {
        ledger_facts_need(&facts, &steps[i].command);
    }
    fake_store_load(&run->store, &facts);
    for (size_t i = 0; i < n; i++) {
        decide_step(&steps[i], &facts);
    }
    fake_store_commit(&run->store, &facts);
    base_arena_release(&arena);
}

static void decide_waiting(struct run *run)
{
    size_t batch = run->together ? run->n_steps : 1;
    for (size_t i = 0; i < run->n_steps; i += batch) {
        decide_batch(run, batch, &run->steps[i]);
    }
    run->n_steps = 0;
}

/* --- the other lines --- */

static void set_kind(struct run *run, const struct words *words)
{
    int number = ledger_kind_number(&run->kinds, words->word[1]);
    if (number < 0) {
        number = (int)run->kinds.n_kinds++;
    }
    struct ledger_kind *kind = &run->kinds.kinds[number];
    *kind = (struct ledger_kind){words->word[1], INT64_MAX, BASE_AMOUNT_MAX, false};
    for (size_t i = 2; i < words->n; i++) {
        if (is(words->word[i], "withdrawn")) {
            kind->withdrawn = true;
            continue;
        }
        struct base_text name;
        struct base_text value;
        split(words->word[i], &name, &value);
        if (is(name, "max_balance")) {
            kind->max_balance_minor = number_of(value);
        } else {
            assert_true(is(name, "max_amount"));
            kind->max_amount_minor = number_of(value);
        }
    }
}

static size_t kind_number_of(const struct run *run, struct base_text code)
{
    int number = ledger_kind_number(&run->kinds, code);
    assert_true(number >= 0);
    return (size_t)number;
}

static void give(struct run *run, const struct words *words)
{
    struct ledger_account *account = fake_store_account(&run->store, words->word[1]);
    for (size_t i = 2; i < words->n; i++) {
        struct base_text name;
        struct base_text value;
        split(words->word[i], &name, &value);
        if (base_text_starts_with(name, BASE_TEXT("held:"))) {
            name = (struct base_text){name.bytes + 5, name.length - 5};
            account->balances[kind_number_of(run, name)].held_minor = number_of(value);
        } else {
            account->balances[kind_number_of(run, name)].available_minor = number_of(value);
        }
    }
}

static void expect_balance(struct run *run, const char *line, const struct words *words)
{
    const struct ledger_account *account = fake_store_account(&run->store, words->word[1]);
    for (size_t i = 2; i < words->n; i++) {
        struct base_text name;
        struct base_text value;
        split(words->word[i], &name, &value);
        int64_t available_minor = account->balances[kind_number_of(run, name)].available_minor;
        if (available_minor != number_of(value)) {
            fail_msg("%s, but it was %lld", line, (long long)available_minor);
        }
    }
}

static void expect_record(struct run *run, const char *line, const struct words *words)
{
    struct record_transaction transaction;
    struct base_bytes record = fake_store_record(&run->store, words->word[1]);
    assert_true(record_decode(&run->arena, record, &transaction));
    assert_true(base_text_equal(transaction.transaction_id, words->word[1]));
    assert_int_equal(transaction.operation, operation_of(words->word[2]));
    bool cancel = transaction.operation == RECORD_OPERATION_CANCEL;
    assert_int_equal(transaction.state, cancel ? RECORD_STATE_CANCELLED : RECORD_STATE_SUCCEEDED);
    size_t first = cancel ? 3 : 4;
    if (!cancel) {
        assert_true(base_text_equal(transaction.account_id, words->word[3]));
    }
    for (size_t i = 0; i < transaction.n_legs; i++) {
        struct base_text name;
        struct base_text value;
        split(words->word[first + i], &name, &value);
        assert_true(base_text_equal(transaction.legs[i].account_id, words->word[3]));
        assert_true(base_text_equal(transaction.legs[i].kind, name));
        assert_true(transaction.legs[i].amount_minor == number_of(value));
    }
    size_t at = first + transaction.n_legs;
    assert_true(is(words->word[at], "at"));
    if (transaction.create_time_us != number_of(words->word[at + 1])) {
        fail_msg("%s, but it was %lld", line, (long long)transaction.create_time_us);
    }
}

static void run_line(struct run *run, const char *line)
{
    struct words words = words_of(line);
    struct base_text verb = words.word[0];
    if (is_command(verb)) {
        parse_command(run, line, &words);
        return;
    }
    if (is(verb, "time")) {
        run->now_us = number_of(words.word[1]);
        return;
    }
    decide_waiting(run);
    if (is(verb, "kind")) {
        set_kind(run, &words);
    } else if (is(verb, "given")) {
        give(run, &words);
    } else if (is(verb, "balance")) {
        expect_balance(run, line, &words);
    } else if (is(verb, "history")) {
        assert_true(fake_store_account(&run->store, words.word[1])->version ==
                    number_of(words.word[2]));
    } else if (is(verb, "record")) {
        expect_record(run, line, &words);
    } else {
        fail_msg("no such step: %s", line);
    }
}

void steps_run(size_t n_lines, const char *const *lines)
{
    for (int together = 0; together <= 1; together++) {
        struct run run = {.now_us = 1000, .together = together == 1};
        fake_store_open(&run.store, &run.kinds);
        run_line(&run, "kind points");
        run_line(&run, "kind money");
        for (size_t i = 0; i < n_lines; i++) {
            run_line(&run, lines[i]);
        }
        decide_waiting(&run);
        fake_store_close(&run.store);
        base_arena_release(&run.arena);
    }
}
