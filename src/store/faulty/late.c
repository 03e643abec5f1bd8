/*
 * Commits that arrive late: a copy of what such a commit would have written and of the facts that
 * it rests on, since the working set is its owner's again as soon as the commit has been answered.
 */
#include "store/faulty/late.h"

#include <stdlib.h>

struct faulty_late {
    struct faulty_late *next;
    unsigned session;
    struct base_arena arena; /* all of the copy but this struct */
    struct ledger_facts facts;
};

static struct ledger_transaction *transaction_copy(struct base_arena *arena,
                                                   const struct ledger_transaction *transaction)
{
    struct ledger_transaction *copy = base_arena_take(arena, sizeof *copy);
    *copy = *transaction;
    copy->transaction_id = base_arena_text(arena, transaction->transaction_id);
    copy->record = base_arena_bytes(arena, transaction->record);
    copy->caller = base_arena_text(arena, transaction->caller);
    return copy;
}

static struct ledger_account *account_copy(struct base_arena *arena, size_t n_kinds,
                                           const struct ledger_account *account)
{
    struct ledger_account *copy = base_arena_take(arena, sizeof *copy);
    *copy = *account;
    copy->account_id = base_arena_text(arena, account->account_id);
    copy->balances = base_arena_take(arena, n_kinds * sizeof *copy->balances);
    for (size_t i = 0; i < n_kinds; i++) {
        copy->balances[i] = account->balances[i];
    }
    return copy;
}

static struct ledger_entry entry_copy(struct base_arena *arena, const struct ledger_entry *entry)
{
    struct ledger_entry copy = *entry;
    copy.account_id = base_arena_text(arena, entry->account_id);
    copy.transaction_id = base_arena_text(arena, entry->transaction_id);
    copy.original_transaction_id = base_arena_text(arena, entry->original_transaction_id);
    copy.description = base_arena_text(arena, entry->description);
    return copy;
}

/* Everything that a commit looks at; the indexes are for loads only. */
static void facts_copy(struct faulty_late *late, const struct ledger_facts *facts)
{
    struct base_arena *arena = &late->arena;
    struct ledger_facts *copy = &late->facts;
    *copy = (struct ledger_facts){
        .kinds = facts->kinds,
        .arena = arena,
        .commit_mark = facts->commit_mark,
        .transactions = base_arena_take(arena, facts->n_transactions * sizeof(void *)),
        .accounts = base_arena_take(arena, facts->n_accounts * sizeof(void *)),
        .new_transactions = base_arena_take(arena, facts->n_new * sizeof(void *)),
        .entries = base_arena_take(arena, facts->n_entries * sizeof *facts->entries),
    };
    for (; copy->n_transactions < facts->n_transactions; copy->n_transactions++) {
        copy->transactions[copy->n_transactions] =
            transaction_copy(arena, facts->transactions[copy->n_transactions]);
    }
    for (; copy->n_accounts < facts->n_accounts; copy->n_accounts++) {
        copy->accounts[copy->n_accounts] =
            account_copy(arena, facts->kinds->n_kinds, facts->accounts[copy->n_accounts]);
    }
    for (; copy->n_new < facts->n_new; copy->n_new++) {
        copy->new_transactions[copy->n_new] =
            transaction_copy(arena, facts->new_transactions[copy->n_new]);
    }
    for (; copy->n_entries < facts->n_entries; copy->n_entries++) {
        copy->entries[copy->n_entries] = entry_copy(arena, &facts->entries[copy->n_entries]);
    }
}

static void late_free(struct faulty_late *late)
{
    base_arena_release(&late->arena);
    free(late);
}

void faulty_late_keep(struct faulty_late **list, unsigned session, const struct ledger_facts *facts)
{
    struct faulty_late *late = base_allocate_zeroed(1, sizeof *late);
    late->session = session;
    facts_copy(late, facts);
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = late;
}

struct faulty_late *faulty_late_take(struct faulty_late **list)
{
    struct faulty_late *late = *list;
    if (late != NULL) {
        *list = late->next;
    }
    return late;
}

enum store_fault faulty_late_land(struct faulty_late *late, struct store *wrapped)
{
    enum store_fault fault = store_commit(wrapped, late->session, &late->facts);
    late_free(late);
    return fault;
}

void faulty_late_drop(struct faulty_late **list)
{
    while (*list != NULL) {
        struct faulty_late *late = *list;
        *list = late->next;
        late_free(late);
    }
}
