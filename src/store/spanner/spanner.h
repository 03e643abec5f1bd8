/*
 * store/spanner: a Cloud Spanner database as the store, shared by any number of servers. A batch is
 * one transaction that reads its facts and writes what changed. What two servers may do to each
 * other is settled by the database's locks and keys, nowhere else.
 *
 * The database may be away when the store is opened, and may go and come back at any time: until it
 * is there, store_ready says why not, and every call is STORE_UNAVAILABLE.
 */
#ifndef ZANDAKA_STORE_SPANNER_H
#define ZANDAKA_STORE_SPANNER_H

#include "store/store.h"

#include <stdio.h>

struct store_spanner_options {
    /* `spanner:projects/P/instances/I/databases/D`, and perhaps `?max_staleness_ms=N`: then reads
     * of balances and histories may lag behind by so much, which is nearer and cheaper. */
    struct base_text url;
    /* HOST:PORT of an emulator, as SPANNER_EMULATOR_HOST names it, spoken to in plaintext; empty:
     * Google's service, over TLS, with the credentials that the environment names
     * (GOOGLE_APPLICATION_CREDENTIALS), or else the machine's own. */
    struct base_text emulator;
    /* The configured kinds, which must outlive the store. The database remembers the kinds, and the
     * store is refused when one that was served is missing.
     * NULL: open only to read, all of it as of one moment; what was served is what counts, and
     * nothing is made or changed. */
    const struct ledger_kinds *kinds;
    /* Open to copy another store into it (store_copy_in): an empty one, or one whose copying was
     * interrupted, and no other. `kinds` are the other's. */
    bool copying;
};

/* Whether the URL names a database. False: *ret_message says why not, static. */
bool store_spanner_check_url(struct base_text url, struct base_text *ret_message) BASE_MUST_USE;

/* NULL: it cannot be opened, and *ret_message says why and what to do, in the arena: a schema that
 * is not there or that this version does not know, a kind missing; and with `kinds` NULL also a
 * database that is not there; a copy that has not ended, unless `copying`, and a store that is
 * neither empty nor such a copy when `copying`. */
struct store *store_spanner_open(const struct store_spanner_options *options,
                                 struct base_arena *arena, struct base_text *ret_message);

/* Writes the statements that make the schema. */
void store_spanner_print_schema(FILE *out);

/* Makes the schema in the database where there is none, and the database where there is none, and
 * in an emulator also the instance; leaves a schema of this version as it is. `kinds` of the
 * options is not looked at. *ret_message says what was done, or, when false is returned, why it
 * could not be: no instance, no permission, a schema of a version that this one does not know. In
 * the arena. */
bool store_spanner_apply_schema(const struct store_spanner_options *options,
                                struct base_arena *arena,
                                struct base_text *ret_message) BASE_MUST_USE;

#endif
