/*
 * The token in use, and when the next one is asked for. The lock is never held while a server is
 * waited for: one thread renews, and the others go on with what there is.
 */
#include "store/spanner/credentials.h"

#include "store/spanner/token_sources.h"

#include <pthread.h>
#include <stdlib.h>

#define GOOGLES_METADATA_HOST "metadata.google.internal"

struct spanner_credentials {
    struct spanner_service_account *account; /* NULL: no key file */
    struct base_text metadata_host;          /* empty: not asked */
    struct base_arena arena;                 /* holds the name above */
    pthread_mutex_t lock;                    /* of all below */
    pthread_cond_t renewed;
    bool renewing; /* a thread is at it */

    /* The last token: empty before the first. */
    struct base_arena token_arena;
    struct base_text authorization;
    int64_t obtained_us;
    int64_t renew_us;
    int64_t end_us;
    int64_t replaced_us; /* when one was last renewed because it was refused; 0: never */

    /* The last failure: empty after a success. */
    struct base_arena failure_arena;
    struct base_text failure;
    int64_t failed_us;
};

/* --- opening --- */

struct spanner_credentials_options spanner_credentials_environment(void)
{
    return (struct spanner_credentials_options){
        .emulator_host = getenv("SPANNER_EMULATOR_HOST"),
        .key_file = getenv("GOOGLE_APPLICATION_CREDENTIALS"),
        .metadata_host = getenv("GCE_METADATA_HOST"),
    };
}

static bool is_set(const char *option)
{
    return option != NULL && *option != '\0';
}

struct spanner_credentials *
spanner_credentials_open(const struct spanner_credentials_options *options,
                         struct base_arena *arena, struct base_text *ret_message)
{
    struct spanner_service_account *account = NULL;
    const char *metadata_host = NULL;
    if (!is_set(options->emulator_host)) {
        if (is_set(options->key_file)) {
            account = spanner_service_account_open(options->key_file, arena, ret_message);
            if (account == NULL) {
                return NULL;
            }
        } else {
            metadata_host =
                is_set(options->metadata_host) ? options->metadata_host : GOOGLES_METADATA_HOST;
        }
    }
    struct spanner_credentials *credentials = base_allocate_zeroed(1, sizeof *credentials);
    credentials->account = account;
    credentials->metadata_host = base_arena_text(&credentials->arena, base_text_of(metadata_host));
    int failed = pthread_mutex_init(&credentials->lock, NULL);
    base_assert(failed == 0);
    failed = pthread_cond_init(&credentials->renewed, NULL);
    base_assert(failed == 0);
    return credentials;
}

void spanner_credentials_release(struct spanner_credentials *credentials)
{
    if (credentials == NULL) {
        return;
    }
    spanner_service_account_release(credentials->account);
    (void)pthread_cond_destroy(&credentials->renewed);
    (void)pthread_mutex_destroy(&credentials->lock);
    base_arena_release(&credentials->failure_arena);
    base_arena_release(&credentials->token_arena);
    base_arena_release(&credentials->arena);
    free(credentials);
}

/* --- renewing --- */

static bool needs_none(const struct spanner_credentials *credentials)
{
    return credentials->account == NULL && credentials->metadata_host.length == 0;
}

/* Not yet at its end, as far as the clock can be believed: one that was set back by more than what
 * a token is renewed ahead says nothing of the end. */
static bool is_good(const struct spanner_credentials *credentials, int64_t now_us)
{
    return credentials->authorization.length > 0 && now_us < credentials->end_us &&
           now_us > credentials->obtained_us - BASE_ACCESS_TOKEN_RENEW_AHEAD_S * BASE_US_PER_S;
}

/* A clock that was set back by more than the wait does not make it longer. */
static bool is_within(int64_t now_us, int64_t wait_ms, int64_t since_us)
{
    return now_us < since_us + wait_ms * 1000 && now_us > since_us - wait_ms * 1000;
}

static bool has_just_failed(const struct spanner_credentials *credentials, int64_t now_us)
{
    return credentials->failure.length > 0 &&
           is_within(now_us, BASE_ACCESS_TOKEN_RETRY_WAIT_MS, credentials->failed_us);
}

static void keep_failure(struct spanner_credentials *credentials, struct base_text why,
                         int64_t now_us)
{
    base_arena_reset(&credentials->failure_arena);
    credentials->failure = base_arena_text(&credentials->failure_arena, why);
    credentials->failed_us = now_us;
}

static void keep_token(struct spanner_credentials *credentials, struct spanner_token token,
                       int64_t now_us)
{
    base_arena_reset(&credentials->token_arena);
    credentials->authorization =
        base_arena_print(&credentials->token_arena, "Bearer %.*s", BASE_TEXT_ARGS(token.text));
    credentials->obtained_us = now_us;
    credentials->end_us = now_us + token.lifetime_s * BASE_US_PER_S;
    /* One that comes with less is asked about again, but not in every call. */
    int64_t renew_us = credentials->end_us - BASE_ACCESS_TOKEN_RENEW_AHEAD_S * BASE_US_PER_S;
    int64_t soonest_us = now_us + BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000;
    credentials->renew_us = renew_us > soonest_us ? renew_us : soonest_us;
    credentials->failure = BASE_TEXT("");
}

/* With the lock, which is given up meanwhile. */
static void renew(struct spanner_credentials *credentials, int64_t now_us)
{
    credentials->renewing = true;
    (void)pthread_mutex_unlock(&credentials->lock);
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct spanner_token token;
    struct base_text why;
    bool has_token = true;
    if (credentials->account != NULL) {
        token = spanner_service_account_sign(credentials->account, now_us / BASE_US_PER_S, &arena);
    } else {
        has_token = spanner_metadata_fetch(credentials->metadata_host, &arena, &token, &why);
    }
    (void)pthread_mutex_lock(&credentials->lock);
    if (has_token) {
        keep_token(credentials, token, now_us);
    } else {
        keep_failure(credentials, why, now_us);
    }
    base_arena_release(&arena);
    credentials->renewing = false;
    (void)pthread_cond_broadcast(&credentials->renewed);
}

bool spanner_credentials_token(struct spanner_credentials *credentials, int64_t now_us,
                               struct base_arena *arena, struct base_text *ret_authorization,
                               struct base_text *ret_message)
{
    if (needs_none(credentials)) {
        *ret_authorization = BASE_TEXT("");
        return true;
    }
    (void)pthread_mutex_lock(&credentials->lock);
    while (credentials->renewing && !is_good(credentials, now_us)) {
        (void)pthread_cond_wait(&credentials->renewed, &credentials->lock);
    }
    bool is_due = !is_good(credentials, now_us) || now_us >= credentials->renew_us;
    if (is_due && !credentials->renewing && !has_just_failed(credentials, now_us)) {
        renew(credentials, now_us);
    }
    bool is_there = is_good(credentials, now_us);
    if (is_there) {
        *ret_authorization = base_arena_text(arena, credentials->authorization);
    } else {
        *ret_message = base_arena_text(arena, credentials->failure);
    }
    (void)pthread_mutex_unlock(&credentials->lock);
    return is_there;
}

bool spanner_credentials_replace(struct spanner_credentials *credentials, struct base_text refused,
                                 int64_t now_us, struct base_arena *arena,
                                 struct base_text *ret_authorization)
{
    if (needs_none(credentials)) {
        return false;
    }
    (void)pthread_mutex_lock(&credentials->lock);
    while (credentials->renewing && base_text_equal(credentials->authorization, refused)) {
        (void)pthread_cond_wait(&credentials->renewed, &credentials->lock);
    }
    if (base_text_equal(credentials->authorization, refused) &&
        !is_within(now_us, BASE_ACCESS_TOKEN_REFUSED_WAIT_MS, credentials->replaced_us)) {
        credentials->replaced_us = now_us;
        credentials->renew_us = now_us; /* should it fail, the next call tries again */
        renew(credentials, now_us);
    }
    bool is_another =
        is_good(credentials, now_us) && !base_text_equal(credentials->authorization, refused);
    if (is_another) {
        *ret_authorization = base_arena_text(arena, credentials->authorization);
    }
    (void)pthread_mutex_unlock(&credentials->lock);
    return is_another;
}

const char *spanner_credentials_advice(const struct spanner_credentials *credentials)
{
    return credentials->account != NULL
               ? "see whether this machine's clock is right, and whether the key in the file that "
                 "GOOGLE_APPLICATION_CREDENTIALS names still exists; after a change of the file, "
                 "start again"
               : "see whether this machine's clock is right, and whether its service account still "
                 "exists and is not disabled";
}
