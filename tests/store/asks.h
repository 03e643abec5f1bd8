/*
 * Who asks a store for what its rows say, of one account, `alice`: for the tests of rows that make
 * no sense. Each gives the fault that it was told, and drops what it was shown.
 */
#ifndef ZANDAKA_TESTS_STORE_ASKS_H
#define ZANDAKA_TESTS_STORE_ASKS_H

#include "store/store.h"

typedef enum store_fault asks(struct store *store);

asks read_alice;
asks read_history;
/* Walks end at the first fault; they assert that what has failed stays so. */
asks walk_journal;
asks walk_ids;
asks walk_accounts;
asks walk_entries;

#endif
