/*
 * Which accounts are known to have a row, so that a batch need not insert it. A row once committed
 * stays: nothing is deleted. Should the database be another one all the same (a dump was restored,
 * a standby without the last commits took over), the lock finds fewer rows than there should be,
 * and all is forgotten. For the files of this folder only; of one session, and so of one thread.
 *
 * A table of hashes, in which a newer account takes an older one's place.
 */
#ifndef ZANDAKA_STORE_POSTGRES_KNOWN_ACCOUNTS_H
#define ZANDAKA_STORE_POSTGRES_KNOWN_ACCOUNTS_H

#include "base/base.h"

/* Zeroed memory knows none. */
struct postgres_known_accounts {
    uint64_t hashes[BASE_DATABASE_KNOWN_ACCOUNTS];
};

/* True also for an account whose hash is that of a known one: one pair of 2^63. */
bool postgres_account_is_known(const struct postgres_known_accounts *known,
                               struct base_text account_id);
/* Notes an account whose row is committed: what a transaction has inserted may be undone. */
void postgres_account_note(struct postgres_known_accounts *known, struct base_text account_id);
void postgres_accounts_forget(struct postgres_known_accounts *known);

#endif
