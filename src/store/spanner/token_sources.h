/*
 * Where tokens come from, for credentials.c: a service account's key (service_account.c) and the
 * metadata server (metadata_server.c).
 */
#ifndef ZANDAKA_STORE_SPANNER_TOKEN_SOURCES_H
#define ZANDAKA_STORE_SPANNER_TOKEN_SOURCES_H

#include "base/base.h"

/* A token without `Bearer`, and for how many seconds from now it is good. */
struct spanner_token {
    struct base_text text;
    int64_t lifetime_s;
};

/* --- a service account's key --- */

struct spanner_service_account;

/* Reads the key file of that path, of up to BASE_KEY_FILE_MAX_BYTES. NULL: *ret_message says what
 * is wrong with it, in the arena: absent, closed to us, too large, no JSON, no service account's
 * key, a field missing, a private key that is no RSA key of BASE_KEY_MIN_BITS to BASE_KEY_MAX_BITS.
 */
struct spanner_service_account *spanner_service_account_open(const char *path,
                                                             struct base_arena *arena,
                                                             struct base_text *ret_message);
/* A token signed by the key, in the arena, good for an hour from `now_s` (seconds since 1970) on.
 * One thread at a time. */
struct spanner_token spanner_service_account_sign(const struct spanner_service_account *account,
                                                  int64_t now_s, struct base_arena *arena);
/* NULL: nothing. */
void spanner_service_account_release(struct spanner_service_account *account);

/* --- the metadata server --- */

/* Asks the metadata server at `host` (HOST or HOST:PORT; port 80 unless it is named) for a token of
 * the machine's own service account. Waits up to BASE_ACCESS_TOKEN_TIMEOUT_MS, the look-up of its
 * name included. The token and *ret_message are in the arena. False: *ret_message
 * says why there is none. Any thread. */
bool spanner_metadata_fetch(struct base_text host, struct base_arena *arena,
                            struct spanner_token *ret_token,
                            struct base_text *ret_message) BASE_MUST_USE;

#endif
