/*
 * How the store says to Cloud Spanner who it is: a token for the header `authorization` of each
 * call. It comes from one of:
 *
 *   1. nowhere: the emulator asks for none;
 *   2. a service account's key file: each token is signed here (a JWT, RS256), nobody is asked;
 *   3. otherwise the metadata server of the Google Cloud machine that this runs on.
 *
 * A token is renewed BASE_ACCESS_TOKEN_RENEW_AHEAD_S before it ends, or when Spanner refuses it;
 * while that fails, the one that is still good goes on being used. No message holds a part of a key
 * or of a token.
 */
#ifndef ZANDAKA_STORE_SPANNER_CREDENTIALS_H
#define ZANDAKA_STORE_SPANNER_CREDENTIALS_H

#include "base/base.h"

struct spanner_credentials;

/* Each is copied, ended by NUL; NULL and the empty string are the same. */
struct spanner_credentials_options {
    const char *emulator_host; /* SPANNER_EMULATOR_HOST: no credentials */
    const char *key_file;      /* GOOGLE_APPLICATION_CREDENTIALS: path of a key file in JSON */
    const char *metadata_host; /* GCE_METADATA_HOST: HOST or HOST:PORT in place of Google's */
};

/* What those three environment variables say. As long as they are not changed. */
struct spanner_credentials_options spanner_credentials_environment(void);

/* Reads the key file, if there is one; asks no server. NULL: *ret_message says what is wrong with
 * the file and what to do, in the arena. */
struct spanner_credentials *
spanner_credentials_open(const struct spanner_credentials_options *options,
                         struct base_arena *arena, struct base_text *ret_message);

/* The value of the header `authorization`, in the arena; empty: there is to be none. It is good for
 * some minutes at least, or for as long as the last one that could be had. `now_us` is microseconds
 * since 1970.
 *
 * Any thread. A token from the metadata server may have to be waited for, up to
 * BASE_ACCESS_TOKEN_TIMEOUT_MS, the look-up of its name included; only one thread asks, and the
 * others wait only while there is no good token.
 *
 * False: there is none, and *ret_message says why, in the arena. It may work later. Within
 * BASE_ACCESS_TOKEN_RETRY_WAIT_MS of a failure the same is said without another attempt. */
bool spanner_credentials_token(struct spanner_credentials *credentials, int64_t now_us,
                               struct base_arena *arena, struct base_text *ret_authorization,
                               struct base_text *ret_message) BASE_MUST_USE;

/* Spanner has refused a call for that value of the header: it was revoked, or a clock is off.
 * Unless another has taken its place already, a new token is had at once; but not within
 * BASE_ACCESS_TOKEN_REFUSED_WAIT_MS of the last that was had so. True: the call may be tried once
 * more with *ret_authorization, in the arena. False: there is no other, and
 * spanner_credentials_advice has what to do. Any thread; waits as spanner_credentials_token does.
 */
bool spanner_credentials_replace(struct spanner_credentials *credentials, struct base_text refused,
                                 int64_t now_us, struct base_arena *arena,
                                 struct base_text *ret_authorization) BASE_MUST_USE;

/* What to look at when tokens are refused; static. */
const char *spanner_credentials_advice(const struct spanner_credentials *credentials);

/* No call may be under way. NULL: nothing. */
void spanner_credentials_release(struct spanner_credentials *credentials);

#endif
