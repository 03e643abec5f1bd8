/* A store for the tests of the rules: plain lists, which keep what a batch changed and fill in what
 * the next one needs. It checks what every real store relies on. */
#ifndef ZANDAKA_TESTS_LEDGER_FAKE_STORE_H
#define ZANDAKA_TESTS_LEDGER_FAKE_STORE_H

#include "ledger/ledger.h"

struct fake_transaction {
    struct base_text transaction_id;
    struct base_bytes record;
};

struct fake_store {
    const struct ledger_kinds *kinds;
    struct base_arena arena; /* what the lists point to */
    size_t n_transactions;
    struct fake_transaction *transactions;
    size_t n_accounts;
    struct ledger_account *accounts; /* with room for BASE_KINDS_MAX balances each */
    size_t n_entries;
    struct ledger_entry *entries;
};

void fake_store_open(struct fake_store *store, const struct ledger_kinds *kinds);
/* The account's row, made when there is none. Valid until the next new account. */
struct ledger_account *fake_store_account(struct fake_store *store, struct base_text account_id);
/* The record under the id; empty: none. */
struct base_bytes fake_store_record(const struct fake_store *store,
                                    struct base_text transaction_id);
void fake_store_load(const struct fake_store *store, struct ledger_facts *facts);
void fake_store_commit(struct fake_store *store, const struct ledger_facts *facts);
void fake_store_close(struct fake_store *store);

/* All that a working set says, as bytes: equal when nothing has changed. The caller releases. */
struct base_writer fake_store_snapshot(const struct ledger_facts *facts);

#endif
