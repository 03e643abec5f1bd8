/*
 * ledger: held against the model on random traffic. Each world is a few thousand commands from one
 * seed, in batches of random size. After every command the outcome is the model's; after every
 * batch the balances are, and nothing has come from nowhere; at the end every history is gapless
 * and adds up. Each world is run twice, cut into other batches: the records must be the same, byte
 * for byte.
 *
 * A failure names its world's seed; ZANDAKA_SEED=<seed> begins with that world.
 */
#include "ledger/fake_store.h"
#include "ledger/ledger.h"
#include "ledger/model.h"
#include "ledger/traffic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORLDS 60
#define COMMANDS 2500 /* of a world */
#define BATCH_MAX 64

struct world {
    uint64_t seed; /* which traffic */
    uint64_t cuts; /* the random state that cuts it into batches */
    struct base_arena arena;
    struct traffic_command *traffic;
    struct ledger_kinds kinds;
    struct fake_store store;
    struct model *model;
    size_t n_applied;
    size_t n_replayed;
    size_t n_refused[BASE_REASON_COUNT];
    struct base_writer journal; /* every outcome, and every record */
};

static void fail_world(const struct world *world, size_t at, const char *what)
{
    fail_msg("ZANDAKA_SEED=%llu, command %zu: %s", (unsigned long long)world->seed, at, what);
}

/* --- a command --- */

static bool record_is(const struct record_transaction *transaction,
                      const struct model_recorded *expected)
{
    const struct ledger_command *request = &expected->request;
    bool fence = request->operation == RECORD_OPERATION_CANCEL;
    if (!base_text_equal(transaction->transaction_id, request->transaction_id) ||
        transaction->state != (fence ? RECORD_STATE_CANCELLED : RECORD_STATE_SUCCEEDED) ||
        transaction->operation != request->operation ||
        !base_text_equal(transaction->account_id, request->account_id) ||
        transaction->create_time_us != expected->time_us ||
        !base_text_equal(transaction->description, request->description) ||
        transaction->n_metadata != request->n_metadata ||
        transaction->n_legs != request->n_amounts) {
        return false;
    }
    int64_t direction = request->operation == RECORD_OPERATION_CONSUME ? -1 : 1;
    for (size_t i = 0; i < transaction->n_legs; i++) {
        const struct record_leg *leg = &transaction->legs[i];
        if (!base_text_equal(leg->account_id, request->account_id) ||
            !base_text_equal(leg->kind, request->amounts[i].kind) ||
            leg->amount_minor != direction * request->amounts[i].amount_minor) {
            return false;
        }
    }
    return true;
}

static void expect_answer(struct world *world, size_t at, const struct ledger_outcome *outcome,
                          const struct model_answer *expected)
{
    if (outcome->result != expected->result) {
        fail_world(world, at, "another result");
    }
    if (outcome->result == LEDGER_REFUSED) {
        const struct base_refusal *refusal = &outcome->refusal;
        if (refusal->reason != expected->refusal.reason ||
            refusal->content_fields != expected->refusal.content_fields ||
            !base_text_equal(refusal->kind, expected->refusal.kind)) {
            fail_world(world, at, "another refusal");
        }
        world->n_refused[refusal->reason]++;
        return;
    }
    world->n_applied += outcome->result == LEDGER_APPLIED;
    world->n_replayed += outcome->result == LEDGER_REPLAYED;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct record_transaction transaction;
    if (!record_decode(&arena, outcome->record, &transaction) ||
        !record_is(&transaction, expected->recorded)) {
        fail_world(world, at, "another record");
    }
    base_arena_release(&arena);
}

static void write_outcome(struct base_writer *journal, const struct ledger_outcome *outcome)
{
    base_write_varint(journal, outcome->result);
    base_write_varint(journal, outcome->record.length);
    base_write_bytes(journal, outcome->record);
    base_write_varint(journal, outcome->refusal.reason);
    base_write_varint(journal, outcome->refusal.content_fields);
    base_write_bytes(journal, base_bytes_of(outcome->refusal.kind));
}

static void decide_command(struct world *world, struct ledger_facts *facts, size_t at)
{
    const struct traffic_command *next = &world->traffic[at];
    struct base_bytes earlier = {NULL, 0};
    const struct ledger_transaction *fact =
        ledger_facts_transaction(facts, next->command.transaction_id);
    if (fact->presence == LEDGER_RECORDED || fact->presence == LEDGER_NEW) {
        earlier = fact->record;
    }
    struct ledger_outcome outcome;
    if (!ledger_decide(facts, &next->command, next->now_us, &outcome)) {
        fail_world(world, at, "a record cannot be read");
    }
    struct model_answer expected = model_decide(world->model, &next->command, next->now_us);
    expect_answer(world, at, &outcome, &expected);
    if (outcome.result == LEDGER_REPLAYED && !base_bytes_equal(outcome.record, earlier)) {
        fail_world(world, at, "a replay with other bytes");
    }
    write_outcome(&world->journal, &outcome);
}

/* --- a batch --- */

static void expect_balances(struct world *world, size_t at)
{
    model_wide there[TRAFFIC_KINDS] = {0};
    for (size_t i = 0; i < world->store.n_accounts; i++) {
        const struct ledger_account *account = &world->store.accounts[i];
        const struct model_account *expected = model_account(world->model, account->account_id);
        for (size_t kind = 0; kind < TRAFFIC_KINDS; kind++) {
            const struct ledger_balance *balance = &account->balances[kind];
            if (balance->available_minor != expected->available[kind] ||
                balance->held_minor != expected->held[kind]) {
                fail_world(world, at, "another balance");
            }
            there[kind] += (model_wide)balance->available_minor + balance->held_minor;
        }
    }
    for (size_t kind = 0; kind < TRAFFIC_KINDS; kind++) {
        if (there[kind] != world->model->came_in[kind]) {
            fail_world(world, at, "what is there is not what came in less what went out");
        }
    }
}

/* As many commands as are cut off here, but a kind changes between batches only. */
static size_t batch_size(struct world *world, size_t first)
{
    size_t most = 1 + (size_t)traffic_random(&world->cuts, BATCH_MAX);
    size_t n = 1;
    while (n < most && first + n < COMMANDS && !world->traffic[first + n].changes_kind) {
        n++;
    }
    return n;
}

static size_t run_batch(struct world *world, size_t first)
{
    if (world->traffic[first].changes_kind) {
        world->kinds.kinds[world->traffic[first].kind_number] = world->traffic[first].kind;
    }
    size_t n = batch_size(world, first);
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct ledger_facts facts;
    ledger_facts_open(&facts, &world->kinds, &arena);
    for (size_t i = 0; i < n; i++) {
        ledger_facts_need(&facts, &world->traffic[first + i].command);
    }
    fake_store_load(&world->store, &facts);
    for (size_t i = 0; i < n; i++) {
        decide_command(world, &facts, first + i);
    }
    fake_store_commit(&world->store, &facts);
    expect_balances(world, first + n - 1);
    base_arena_release(&arena);
    return n;
}

/* --- a world --- */

/* Dave has so much of the last kind that one more add may pass int64. */
static void give_dave(struct world *world)
{
    const size_t kind = TRAFFIC_KINDS - 1;
    const int64_t available_minor = INT64_MAX - 3 * BASE_AMOUNT_MAX;
    const int64_t held_minor = BASE_AMOUNT_MAX;
    struct base_text dave = traffic_account_id(TRAFFIC_ACCOUNTS - 1);
    struct ledger_account *account = fake_store_account(&world->store, dave);
    account->balances[kind] = (struct ledger_balance){available_minor, held_minor};
    struct model_account *expected = model_account(world->model, dave);
    expected->available[kind] = available_minor;
    expected->held[kind] = held_minor;
    world->model->came_in[kind] = (model_wide)available_minor + held_minor;
}

/* Sequences are 1, 2, 3 and on, times never fall, and each balance after is the one before and the
 * change; so the last is the balance. `opening` is what the account was given at first. */
static void expect_history(struct world *world, const struct ledger_account *account,
                           const struct ledger_balance *opening)
{
    int64_t version = 0;
    int64_t time_us = INT64_MIN;
    model_wide available[TRAFFIC_KINDS];
    for (size_t kind = 0; kind < TRAFFIC_KINDS; kind++) {
        available[kind] = opening[kind].available_minor;
    }
    for (size_t i = 0; i < world->store.n_entries; i++) {
        const struct ledger_entry *entry = &world->store.entries[i];
        if (!base_text_equal(entry->account_id, account->account_id)) {
            continue;
        }
        available[entry->kind_number] += entry->amount_minor;
        if (entry->sequence != ++version || entry->create_time_us < time_us ||
            entry->balance_after_minor != available[entry->kind_number] ||
            entry->balance_after_minor < 0 || entry->held_amount_minor != 0 ||
            entry->held_after_minor != opening[entry->kind_number].held_minor) {
            fail_world(world, COMMANDS, "a history with a gap, or that does not add up");
        }
        time_us = entry->create_time_us;
    }
    if (version != account->version || time_us != account->last_time_us) {
        fail_world(world, COMMANDS, "a history of another length");
    }
}

static void expect_histories(struct world *world, const struct ledger_balance *opening_of_dave)
{
    static const struct ledger_balance nothing[TRAFFIC_KINDS] = {0};
    struct base_text dave = traffic_account_id(TRAFFIC_ACCOUNTS - 1);
    for (size_t i = 0; i < world->store.n_accounts; i++) {
        const struct ledger_account *account = &world->store.accounts[i];
        bool is_dave = base_text_equal(account->account_id, dave);
        expect_history(world, account, is_dave ? opening_of_dave : nothing);
    }
}

static void run_world(struct world *world, uint64_t seed, uint64_t cuts)
{
    *world = (struct world){.seed = seed, .cuts = cuts, .kinds = traffic_kinds()};
    world->traffic = traffic_make(&world->arena, seed, COMMANDS);
    world->model = base_allocate_zeroed(1, sizeof *world->model);
    world->model->kinds = &world->kinds;
    fake_store_open(&world->store, &world->kinds);
    give_dave(world);
    struct ledger_balance opening_of_dave[TRAFFIC_KINDS];
    for (size_t kind = 0; kind < TRAFFIC_KINDS; kind++) {
        opening_of_dave[kind] = world->store.accounts[0].balances[kind];
    }
    for (size_t at = 0; at < COMMANDS;) {
        at += run_batch(world, at);
    }
    expect_histories(world, opening_of_dave);
}

static void close_world(struct world *world)
{
    free(world->model);
    fake_store_close(&world->store);
    base_writer_release(&world->journal);
    base_arena_release(&world->arena);
}

static uint64_t first_seed(void)
{
    int64_t seed = 1;
    const char *given = getenv("ZANDAKA_SEED");
    if (given != NULL) {
        assert_true(base_text_to_int64(base_text_of(given), &seed));
    }
    return (uint64_t)seed;
}

/* Traffic that never meets a rule proves nothing about it. */
static void expect_all_met(const size_t *n_refused, size_t n_applied, size_t n_replayed)
{
    static const enum base_reason reasons[] = {
        BASE_REASON_TRANSACTION_ID_REUSED, BASE_REASON_UNKNOWN_KIND,
        BASE_REASON_INSUFFICIENT_BALANCE,  BASE_REASON_BALANCE_LIMIT_EXCEEDED,
        BASE_REASON_AMOUNT_LIMIT_EXCEEDED, BASE_REASON_TRANSACTION_CANCELLED,
        BASE_REASON_TRANSACTION_SUCCEEDED,
    };
    const size_t all = (size_t)WORLDS * COMMANDS;
    assert_true(n_applied > all / 10 && n_replayed > all / 20);
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (n_refused[reasons[i]] < all / 500) {
            fail_msg("%s was met %zu times only", base_error_of(reasons[i])->reason,
                     n_refused[reasons[i]]);
        }
    }
}

static void random_traffic_is_decided_as_the_model_does(void **state)
{
    (void)state;
    size_t n_refused[BASE_REASON_COUNT] = {0};
    size_t n_applied = 0;
    size_t n_replayed = 0;
    struct world *once = base_allocate(sizeof *once);
    struct world *again = base_allocate(sizeof *again);
    for (uint64_t seed = first_seed(), last = seed + WORLDS; seed < last; seed++) {
        run_world(once, seed, seed * 2 + 1);
        run_world(again, seed, seed * 2 + 2);
        if (!base_bytes_equal(base_writer_bytes(&once->journal),
                              base_writer_bytes(&again->journal))) {
            fail_world(once, COMMANDS, "other batches gave other records");
        }
        n_applied += once->n_applied;
        n_replayed += once->n_replayed;
        for (size_t i = 0; i < BASE_REASON_COUNT; i++) {
            n_refused[i] += once->n_refused[i];
        }
        close_world(once);
        close_world(again);
    }
    free(once);
    free(again);
    expect_all_met(n_refused, n_applied, n_replayed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_traffic_is_decided_as_the_model_does),
    };
    return cmocka_run_group_tests_name("ledger against the model", tests, NULL, NULL);
}
