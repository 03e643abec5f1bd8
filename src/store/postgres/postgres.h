/*
 * store/postgres: a PostgreSQL database as the store, shared by any number of servers. A batch is
 * one transaction in two round trips: the accounts are locked and the facts read; then everything
 * that changed is written and committed. What two servers may do to each other is settled by the
 * database's locks and keys, nowhere else.
 *
 * The database may be away when the store is opened, and may go and come back at any time: until it
 * is there, store_ready says why not, and every call is STORE_UNAVAILABLE.
 */
#ifndef ZANDAKA_STORE_POSTGRES_H
#define ZANDAKA_STORE_POSTGRES_H

#include "store/store.h"

#include <stdio.h>

struct store_postgres_options {
    /* Any URI that libpq takes: `postgres://USER@HOST:PORT/DATABASE`, with parameters and several
     * hosts. Ended by NUL. */
    const char *url;
    /* The configured kinds, which must outlive the store. The database remembers the kinds, and the
     * store is refused when one that was served is missing.
     * NULL: open only to read, all of it as of one moment; what was served is what counts, and
     * nothing is made or changed. */
    const struct ledger_kinds *kinds;
    /* Open to copy another store into it (store_copy_in): an empty one, or one whose copying was
     * interrupted, and no other. `kinds` are the other's. The role must own the schema. */
    bool copying;
};

/* Whether libpq can read the URL. False: *ret_message says why, in the arena. */
bool store_postgres_check_url(const char *url, struct base_arena *arena,
                              struct base_text *ret_message) BASE_MUST_USE;

/* The URL as it may be shown: without its password, in the arena. */
struct base_text store_postgres_shown_url(const char *url, struct base_arena *arena);

/* NULL: it cannot be opened, and *ret_message says why and what to do, in the arena: a schema that
 * is not there or that this version does not know, a kind missing; and with `kinds` NULL also a
 * database that is not there; a copy that has not ended, unless `copying`, and a store that is
 * neither empty nor such a copy when `copying`. */
struct store *store_postgres_open(const struct store_postgres_options *options,
                                  struct base_arena *arena, struct base_text *ret_message);

/* Writes the statements that make the schema, as psql takes them. */
void store_postgres_print_schema(FILE *out);

/* Makes the schema in the database where there is none, in one transaction, and leaves one of this
 * version as it is. *ret_message says what was done, or, when false is returned, why it could not
 * be: no database, no privilege, a schema of a version that this one does not know. In the arena.
 */
bool store_postgres_apply_schema(const char *url, struct base_arena *arena,
                                 struct base_text *ret_message) BASE_MUST_USE;

#endif
