#include "ledger/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

void fake_store_open(struct fake_store *store, const struct ledger_kinds *kinds)
{
    *store = (struct fake_store){.kinds = kinds};
}

static struct ledger_account *find_account(const struct fake_store *store,
                                           struct base_text account_id)
{
    for (size_t i = 0; i < store->n_accounts; i++) {
        if (base_text_equal(store->accounts[i].account_id, account_id)) {
            return &store->accounts[i];
        }
    }
    return NULL;
}

struct ledger_account *fake_store_account(struct fake_store *store, struct base_text account_id)
{
    struct ledger_account *account = find_account(store, account_id);
    if (account != NULL) {
        return account;
    }
    store->accounts =
        base_reallocate(store->accounts, (store->n_accounts + 1) * sizeof *store->accounts);
    account = &store->accounts[store->n_accounts++];
    *account = (struct ledger_account){.account_id = base_arena_text(&store->arena, account_id),
                                       .last_time_us = INT64_MIN};
    account->balances =
        base_arena_take_zeroed(&store->arena, BASE_KINDS_MAX, sizeof *account->balances);
    return account;
}

struct base_bytes fake_store_record(const struct fake_store *store, struct base_text transaction_id)
{
    for (size_t i = 0; i < store->n_transactions; i++) {
        if (base_text_equal(store->transactions[i].transaction_id, transaction_id)) {
            return store->transactions[i].record;
        }
    }
    return (struct base_bytes){NULL, 0};
}

void fake_store_load(const struct fake_store *store, struct ledger_facts *facts)
{
    for (size_t i = 0; i < facts->n_transactions; i++) {
        struct ledger_transaction *fact = facts->transactions[i];
        assert_int_equal(fact->presence, LEDGER_NEEDED);
        fact->record = fake_store_record(store, fact->transaction_id);
        fact->presence = fact->record.length > 0 ? LEDGER_RECORDED : LEDGER_ABSENT;
    }
    for (size_t i = 0; i < facts->n_accounts; i++) {
        struct ledger_account *fact = facts->accounts[i];
        const struct ledger_account *kept = find_account(store, fact->account_id);
        if (kept == NULL) {
            continue;
        }
        fact->version = kept->version;
        fact->loaded_version = kept->version;
        fact->last_time_us = kept->last_time_us;
        for (size_t kind = 0; kind < store->kinds->n_kinds; kind++) {
            fact->balances[kind] = kept->balances[kind];
        }
    }
}

static void keep_entry(struct fake_store *store, const struct ledger_entry *entry)
{
    store->entries =
        base_reallocate(store->entries, (store->n_entries + 1) * sizeof *store->entries);
    struct ledger_entry *kept = &store->entries[store->n_entries++];
    *kept = *entry;
    kept->account_id = base_arena_text(&store->arena, entry->account_id);
    kept->transaction_id = base_arena_text(&store->arena, entry->transaction_id);
    kept->original_transaction_id = base_arena_text(&store->arena, entry->original_transaction_id);
    kept->description = base_arena_text(&store->arena, entry->description);
}

/* An id is recorded once, and its entries are its own: they name it, and follow one another over
 * the batch without a gap. */
static void keep_transaction(struct fake_store *store, const struct ledger_facts *facts,
                             const struct ledger_transaction *fact)
{
    assert_int_equal(fact->presence, LEDGER_NEW);
    assert_int_equal(fake_store_record(store, fact->transaction_id).length, 0);
    store->transactions = base_reallocate(store->transactions, (store->n_transactions + 1) *
                                                                   sizeof *store->transactions);
    store->transactions[store->n_transactions++] =
        (struct fake_transaction){base_arena_text(&store->arena, fact->transaction_id),
                                  base_arena_bytes(&store->arena, fact->record)};
    for (size_t i = 0; i < fact->n_entries; i++) {
        const struct ledger_entry *entry = &facts->entries[fact->first_entry + i];
        assert_true(base_text_equal(entry->transaction_id, fact->transaction_id));
        keep_entry(store, entry);
    }
}

void fake_store_commit(struct fake_store *store, const struct ledger_facts *facts)
{
    size_t next_entry = 0;
    for (size_t i = 0; i < facts->n_new; i++) {
        assert_int_equal(facts->new_transactions[i]->first_entry, next_entry);
        next_entry += facts->new_transactions[i]->n_entries;
        keep_transaction(store, facts, facts->new_transactions[i]);
    }
    assert_int_equal(next_entry, facts->n_entries);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        const struct ledger_account *fact = facts->accounts[i];
        const struct ledger_account *before = find_account(store, fact->account_id);
        assert_true(fact->loaded_version == (before == NULL ? 0 : before->version));
        assert_int_equal(fact->changed, fact->version > fact->loaded_version);
        if (!fact->changed) {
            continue;
        }
        struct ledger_account *kept = fake_store_account(store, fact->account_id);
        kept->version = fact->version;
        kept->last_time_us = fact->last_time_us;
        for (size_t kind = 0; kind < store->kinds->n_kinds; kind++) {
            kept->balances[kind] = fact->balances[kind];
        }
    }
}

void fake_store_close(struct fake_store *store)
{
    free(store->transactions);
    free(store->accounts);
    free(store->entries);
    base_arena_release(&store->arena);
}

static void write_number(struct base_writer *writer, int64_t number)
{
    base_write_varint_signed(writer, number);
}

static void write_text(struct base_writer *writer, struct base_text text)
{
    base_write_varint(writer, text.length);
    base_write_bytes(writer, base_bytes_of(text));
}

static void write_account(struct base_writer *writer, const struct ledger_account *account,
                          size_t n_kinds)
{
    write_text(writer, account->account_id);
    write_number(writer, account->version);
    write_number(writer, account->last_time_us);
    write_number(writer, account->changed);
    write_number(writer, account->loaded_version);
    for (size_t kind = 0; kind < n_kinds; kind++) {
        write_number(writer, account->balances[kind].available_minor);
        write_number(writer, account->balances[kind].held_minor);
    }
}

static void write_entry(struct base_writer *writer, const struct ledger_entry *entry)
{
    write_text(writer, entry->account_id);
    write_number(writer, entry->sequence);
    write_text(writer, entry->transaction_id);
    write_number(writer, entry->operation);
    write_number(writer, entry->kind_number);
    write_number(writer, entry->amount_minor);
    write_number(writer, entry->balance_after_minor);
    write_number(writer, entry->held_amount_minor);
    write_number(writer, entry->held_after_minor);
    write_number(writer, entry->create_time_us);
    write_text(writer, entry->original_transaction_id);
    write_text(writer, entry->description);
}

struct base_writer fake_store_snapshot(const struct ledger_facts *facts)
{
    struct base_writer writer = {NULL, 0, 0};
    write_number(&writer, (int64_t)facts->n_transactions);
    for (size_t i = 0; i < facts->n_transactions; i++) {
        const struct ledger_transaction *fact = facts->transactions[i];
        write_text(&writer, fact->transaction_id);
        write_number(&writer, fact->presence);
        write_text(&writer, base_text_from(fact->record));
        write_number(&writer, (int64_t)fact->first_entry);
        write_number(&writer, (int64_t)fact->n_entries);
    }
    write_number(&writer, (int64_t)facts->n_accounts);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        write_account(&writer, facts->accounts[i], facts->kinds->n_kinds);
    }
    write_number(&writer, (int64_t)facts->n_new);
    for (size_t i = 0; i < facts->n_new; i++) {
        write_text(&writer, facts->new_transactions[i]->transaction_id);
    }
    write_number(&writer, (int64_t)facts->n_entries);
    for (size_t i = 0; i < facts->n_entries; i++) {
        write_entry(&writer, &facts->entries[i]);
    }
    return writer;
}
