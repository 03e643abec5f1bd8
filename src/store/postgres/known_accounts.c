#include "store/postgres/known_accounts.h"

#include <string.h>

/* Never 0, which is an empty place. */
static uint64_t hash_of(struct base_text account_id)
{
    return base_hash(base_bytes_of(account_id)) | 1;
}

bool postgres_account_is_known(const struct postgres_known_accounts *known,
                               struct base_text account_id)
{
    uint64_t hash = hash_of(account_id);
    return known->hashes[(hash >> 1) % BASE_DATABASE_KNOWN_ACCOUNTS] == hash;
}

void postgres_account_note(struct postgres_known_accounts *known, struct base_text account_id)
{
    uint64_t hash = hash_of(account_id);
    known->hashes[(hash >> 1) % BASE_DATABASE_KNOWN_ACCOUNTS] = hash;
}

void postgres_accounts_forget(struct postgres_known_accounts *known)
{
    memset(known, 0, sizeof *known);
}
