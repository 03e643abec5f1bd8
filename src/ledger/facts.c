/*
 * The working set of a batch: the facts that its decisions look at, each once, found by id.
 *
 * The indexes are open-addressing tables over a hash that callers could collide on purpose; the
 * damage is bounded, since a batch has at most BASE_BATCH_MAX commands.
 */
#include "ledger/ledger.h"
#include "ledger/list.h"

/* Facts that fit before the first growth: a lone command's batch needs one of each. */
#define CAPACITY_FIRST 8

struct slot {
    uint64_t hash;
    struct base_text id;
    void *fact; /* NULL: the slot is free */
};

/* Twice as many slots as facts, so that a probe soon meets a free one. */
struct ledger_index {
    size_t capacity; /* facts that fit, a power of two; the list of the facts has as much room */
    struct slot *slots;
};

static size_t slot_count(const struct ledger_index *index)
{
    return index->capacity * 2;
}

static struct ledger_index *index_new(struct base_arena *arena, size_t capacity)
{
    struct ledger_index *index = base_arena_take(arena, sizeof *index);
    index->capacity = capacity;
    index->slots = base_arena_take_zeroed(arena, slot_count(index), sizeof *index->slots);
    return index;
}

/* The slot of that id, or the free one where it belongs. */
static struct slot *index_slot(const struct ledger_index *index, uint64_t hash, struct base_text id)
{
    size_t mask = slot_count(index) - 1;
    size_t at = (size_t)hash & mask;
    while (index->slots[at].fact != NULL &&
           (index->slots[at].hash != hash || !base_text_equal(index->slots[at].id, id))) {
        at = (at + 1) & mask;
    }
    return &index->slots[at];
}

static void *index_find(const struct ledger_index *index, struct base_text id)
{
    return index_slot(index, base_hash(base_bytes_of(id)), id)->fact;
}

/* There must be room, and nothing under that id. */
static void index_add(struct ledger_index *index, struct base_text id, void *fact)
{
    uint64_t hash = base_hash(base_bytes_of(id));
    *index_slot(index, hash, id) = (struct slot){hash, id, fact};
}

static struct ledger_index *index_grown(struct base_arena *arena, const struct ledger_index *index)
{
    struct ledger_index *grown = index_new(arena, index->capacity * 2);
    for (size_t i = 0; i < slot_count(index); i++) {
        const struct slot *slot = &index->slots[i];
        if (slot->fact != NULL) {
            *index_slot(grown, slot->hash, slot->id) = *slot;
        }
    }
    return grown;
}

void ledger_facts_open(struct ledger_facts *facts, const struct ledger_kinds *kinds,
                       struct base_arena *arena)
{
    *facts = (struct ledger_facts){.kinds = kinds, .arena = arena};
    facts->transactions_by_id = index_new(arena, CAPACITY_FIRST);
    facts->transactions =
        base_arena_take(arena, CAPACITY_FIRST * sizeof(struct ledger_transaction *));
    facts->accounts_by_id = index_new(arena, CAPACITY_FIRST);
    facts->accounts = base_arena_take(arena, CAPACITY_FIRST * sizeof(struct ledger_account *));
}

static void need_transaction(struct ledger_facts *facts, struct base_text transaction_id)
{
    if (index_find(facts->transactions_by_id, transaction_id) != NULL) {
        return;
    }
    if (facts->n_transactions == facts->transactions_by_id->capacity) {
        facts->transactions_by_id = index_grown(facts->arena, facts->transactions_by_id);
        facts->transactions =
            ledger_list_grown(facts->arena, facts->transactions, facts->n_transactions,
                              facts->transactions_by_id->capacity, sizeof *facts->transactions);
    }
    struct ledger_transaction *fact = base_arena_take(facts->arena, sizeof *fact);
    *fact =
        (struct ledger_transaction){.transaction_id = transaction_id, .presence = LEDGER_NEEDED};
    facts->transactions[facts->n_transactions++] = fact;
    index_add(facts->transactions_by_id, transaction_id, fact);
}

static void need_account(struct ledger_facts *facts, struct base_text account_id)
{
    if (index_find(facts->accounts_by_id, account_id) != NULL) {
        return;
    }
    if (facts->n_accounts == facts->accounts_by_id->capacity) {
        facts->accounts_by_id = index_grown(facts->arena, facts->accounts_by_id);
        facts->accounts =
            ledger_list_grown(facts->arena, facts->accounts, facts->n_accounts,
                              facts->accounts_by_id->capacity, sizeof *facts->accounts);
    }
    struct ledger_account *fact = base_arena_take(facts->arena, sizeof *fact);
    *fact = (struct ledger_account){.account_id = account_id, .last_time_us = INT64_MIN};
    fact->balances =
        base_arena_take_zeroed(facts->arena, facts->kinds->n_kinds, sizeof *fact->balances);
    facts->accounts[facts->n_accounts++] = fact;
    index_add(facts->accounts_by_id, account_id, fact);
}

void ledger_facts_need(struct ledger_facts *facts, const struct ledger_command *command)
{
    need_transaction(facts, command->transaction_id);
    if (command->account_id.length > 0) {
        need_account(facts, command->account_id);
    }
}

struct ledger_transaction *ledger_facts_transaction(const struct ledger_facts *facts,
                                                    struct base_text transaction_id)
{
    return index_find(facts->transactions_by_id, transaction_id);
}

struct ledger_account *ledger_facts_account(const struct ledger_facts *facts,
                                            struct base_text account_id)
{
    return index_find(facts->accounts_by_id, account_id);
}
