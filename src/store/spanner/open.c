/*
 * Opening and closing, and what is known of the database meanwhile.
 *
 * A server may be started before its database can be reached, and outlives its outages: so what
 * must be right about the database (the schema, the kinds) is looked at by whoever is first to
 * reach it. A keeper asks once a second when nobody else does, so that readiness is true also of an
 * idle server.
 */
#include "store/spanner/database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Attempts of an opening that something passing comes in the way of. */
#define OPENING_TRIES 3

/* What is told of each state: to whoever asks for readiness, and in the log. */
static const char *const reasons[] = {
    [SPANNER_UNTRIED] = "the database has not been reached so far",
    [SPANNER_SERVING] = "the database serves",
    [SPANNER_UNREACHABLE] = "Spanner cannot be reached",
    [SPANNER_NO_DATABASE] =
        "there is no such database, or none that may be seen: run `zandaka schema --store URL "
        "--apply`",
    [SPANNER_NO_SCHEMA] =
        "the database has no tables of zandaka: run `zandaka schema --store URL --apply`",
    [SPANNER_COPYING] =
        "the database holds a copy of another store that has not come to its end: run the same "
        "`zandaka copy` again, which goes on where it was",
    [SPANNER_OTHER_SCHEMA] = "the schema in the database is of a version that this zandaka does "
                             "not know: run one that knows it",
    [SPANNER_KIND_MISSING] = "the configuration lacks a kind that the database has served",
    [SPANNER_REFUSED_ACCESS] = "Spanner refuses what it is asked",
};

static const char kind_missing[] =
    "an account has a balance of a kind that another server began and this configuration lacks: "
    "add the kind's section and start again";

void spanner_store_note(struct store_spanner *store, enum spanner_state state, const char *message)
{
    (void)pthread_mutex_lock(&store->lock);
    enum spanner_state before = store->state;
    store->state = state;
    if (before == SPANNER_SERVING && state != SPANNER_SERVING) {
        store->down_mono_ns = base_now_mono_ns(&base_clock_system);
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (state == before) {
        return;
    }
    if (state != SPANNER_SERVING) {
        base_log(BASE_LOG_WARNING, "%s%s%s", reasons[state], message[0] != '\0' ? ": " : "",
                 message);
    } else if (before != SPANNER_UNTRIED) {
        base_log(BASE_LOG_INFO, "the database serves again");
    }
}

bool spanner_store_may_be_back_soon(struct store_spanner *store)
{
    int64_t now_mono_ns = base_now_mono_ns(&base_clock_system);
    (void)pthread_mutex_lock(&store->lock);
    bool soon = store->state == SPANNER_SERVING ||
                now_mono_ns - store->down_mono_ns < BASE_UNAVAILABLE_TIMEOUT_MS * BASE_NS_PER_MS;
    (void)pthread_mutex_unlock(&store->lock);
    return soon;
}

/* What is not there: the session, which is made anew; the database; or a table. */
static enum spanner_state state_of_absence(const struct spanner_result *result,
                                           enum store_fault *ret_fault)
{
    *ret_fault = STORE_UNAVAILABLE;
    if (strstr(result->message, "Database not found") != NULL ||
        strstr(result->message, "Instance not found") != NULL) {
        return SPANNER_NO_DATABASE;
    }
    if (strstr(result->message, "Table not found") != NULL ||
        strstr(result->message, "Index not found") != NULL ||
        strstr(result->message, "Column not found") != NULL) {
        return SPANNER_NO_SCHEMA;
    }
    *ret_fault = STORE_CONFLICT;
    return SPANNER_SERVING;
}

void spanner_store_note_kind_missing(struct store_spanner *store)
{
    if (!atomic_exchange(&store->kind_missing, true)) {
        base_log(BASE_LOG_WARNING, "%s", kind_missing);
    }
}

enum store_fault spanner_store_note_failure(struct store_spanner *store,
                                            const struct spanner_result *result)
{
    enum spanner_state state = SPANNER_SERVING;
    enum store_fault fault = STORE_CONFLICT;
    switch (result->status) {
    case SPANNER_ABORTED:
    case SPANNER_ALREADY_EXISTS:        /* another has recorded an id */
    case BASE_CODE_FAILED_PRECONDITION: /* the transaction has ended already */
        break;
    case BASE_CODE_NOT_FOUND:
        state = state_of_absence(result, &fault);
        break;
    case SPANNER_DATA_LOSS:
        fault = STORE_CORRUPT;
        break;
    case BASE_CODE_RESOURCE_EXHAUSTED: /* a quota */
        fault = STORE_UNAVAILABLE;
        break;
    case SPANNER_LOST:
    case SPANNER_UNSENT:
    case BASE_CODE_CANCELLED:
    case BASE_CODE_UNKNOWN:
    case BASE_CODE_DEADLINE_EXCEEDED:
    case BASE_CODE_INTERNAL:
    case BASE_CODE_UNAVAILABLE:
        state = SPANNER_UNREACHABLE;
        fault = STORE_UNAVAILABLE;
        break;
    default:
        state = SPANNER_REFUSED_ACCESS;
        fault = STORE_UNAVAILABLE;
        break;
    }
    spanner_store_note(store, state, result->message);
    return fault;
}

/* --- connecting --- */

static bool may_try(struct store_spanner *store)
{
    (void)pthread_mutex_lock(&store->lock);
    bool may = base_now_mono_ns(&base_clock_system) >= store->next_try_mono_ns;
    (void)pthread_mutex_unlock(&store->lock);
    return may;
}

static void try_later(struct store_spanner *store, const char *message)
{
    (void)pthread_mutex_lock(&store->lock);
    store->next_try_mono_ns =
        base_now_mono_ns(&base_clock_system) + BASE_DATABASE_RECONNECT_WAIT_MS * BASE_NS_PER_MS;
    (void)snprintf(store->message, sizeof store->message, "%s", message);
    (void)pthread_mutex_unlock(&store->lock);
}

static enum spanner_state judge_store(struct store_spanner *store, int64_t version, size_t n_kinds)
{
    if (version == SPANNER_SCHEMA_VERSION_COPYING && !store->copying) {
        return SPANNER_COPYING;
    }
    if (version != (store->copying ? SPANNER_SCHEMA_VERSION_COPYING : SPANNER_SCHEMA_VERSION)) {
        return version == 0 ? SPANNER_NO_SCHEMA : SPANNER_OTHER_SCHEMA;
    }
    if (atomic_load(&store->prepared) && n_kinds > store->base.kinds->n_kinds &&
        !atomic_exchange(&store->kinds_grown, true)) {
        base_log(BASE_LOG_WARNING, "another server has begun a kind that this configuration lacks: "
                                   "add its section here too, before the kind is used");
    }
    return SPANNER_SERVING;
}

/* What must be right before anything is served. Once for the store. False: the state is noted. */
static bool prepare_store(struct store_spanner *store, struct spanner_connection *connection,
                          char message[SPANNER_MESSAGE_BYTES])
{
    int64_t version;
    size_t n_kinds;
    struct spanner_result result;
    enum spanner_state state;
    if (!spanner_read_store(connection, &version, &n_kinds, &result)) {
        (void)spanner_store_note_failure(store, &result);
        (void)snprintf(message, SPANNER_MESSAGE_BYTES, "%s", result.message);
        return false;
    }
    state = judge_store(store, version, n_kinds);
    if (state == SPANNER_SERVING && spanner_kinds_match(store, connection, &state, message)) {
        atomic_store(&store->prepared, true);
        state = SPANNER_SERVING;
    }
    spanner_store_note(store, state, message);
    return state == SPANNER_SERVING;
}

bool spanner_store_connect(struct store_spanner *store, struct spanner_connection *connection)
{
    char message[SPANNER_MESSAGE_BYTES] = "";
    struct spanner_result result;
    if (connection->session[0] != '\0' && atomic_load(&store->prepared)) {
        return spanner_session_ready(connection, &result);
    }
    if (!may_try(store)) {
        return false;
    }
    bool connected = spanner_session_ready(connection, &result);
    if (!connected) {
        (void)spanner_store_note_failure(store, &result);
        memcpy(message, result.message, sizeof message);
    }
    if (connected && !atomic_load(&store->prepared)) {
        (void)pthread_mutex_lock(&store->preparing);
        connected = atomic_load(&store->prepared) || prepare_store(store, connection, message);
        (void)pthread_mutex_unlock(&store->preparing);
    }
    if (!connected) {
        try_later(store, message);
    }
    return connected;
}

/* --- the connections that read --- */

struct spanner_connection *spanner_reader_take(struct store_spanner *store)
{
    struct spanner_connection *connection = NULL;
    (void)pthread_mutex_lock(&store->lock);
    while (store->n_readers_free == 0 && store->n_readers_open == BASE_DATABASE_READERS_MAX) {
        (void)pthread_cond_wait(&store->changed, &store->lock);
    }
    unsigned number = 0;
    if (store->n_readers_free > 0) {
        connection = store->readers_free[--store->n_readers_free];
    } else {
        store->n_readers_open++;
        number = ++store->n_connections;
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (connection == NULL) {
        connection = base_allocate(sizeof *connection);
        spanner_connection_open(connection, &store->target, number);
    }
    if (!spanner_store_connect(store, connection)) {
        spanner_reader_give_back(store, connection);
        return NULL;
    }
    return connection;
}

void spanner_reader_give_back(struct store_spanner *store, struct spanner_connection *connection)
{
    (void)pthread_mutex_lock(&store->lock);
    store->readers_free[store->n_readers_free++] = connection;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}

bool spanner_store_is_prepared(struct store_spanner *store)
{
    if (!atomic_load(&store->prepared)) {
        struct spanner_connection *connection = spanner_reader_take(store);
        if (connection == NULL) {
            return false;
        }
        spanner_reader_give_back(store, connection);
    }
    return true;
}

static void readers_close(struct store_spanner *store)
{
    for (size_t i = 0; i < store->n_readers_free; i++) {
        spanner_connection_close(store->readers_free[i]);
        free(store->readers_free[i]);
    }
}

/* --- the keeper --- */

/* Asks the database how it is. */
static void look_after(struct store_spanner *store)
{
    struct spanner_connection *connection = spanner_reader_take(store);
    if (connection == NULL) {
        return;
    }
    int64_t version;
    size_t n_kinds;
    struct spanner_result result;
    if (spanner_read_store(connection, &version, &n_kinds, &result)) {
        spanner_store_note(store, judge_store(store, version, n_kinds), "");
    } else {
        (void)spanner_store_note_failure(store, &result);
    }
    spanner_reader_give_back(store, connection);
}

static void *keep(void *argument)
{
    struct store_spanner *store = argument;
    (void)pthread_mutex_lock(&store->lock);
    while (!store->closing) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += BASE_DATABASE_LOOK_AFTER_MS / 1000;
        while (!store->closing &&
               pthread_cond_timedwait(&store->changed, &store->lock, &until) != ETIMEDOUT) {
        }
        if (!store->closing) {
            (void)pthread_mutex_unlock(&store->lock);
            look_after(store);
            (void)pthread_mutex_lock(&store->lock);
        }
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

static bool spanner_ready(struct store *base, const char **ret_reason)
{
    struct store_spanner *store = (struct store_spanner *)base;
    (void)pthread_mutex_lock(&store->lock);
    enum spanner_state state = store->state;
    (void)pthread_mutex_unlock(&store->lock);
    if (state != SPANNER_SERVING) {
        *ret_reason = reasons[state];
        return false;
    }
    if (atomic_load(&store->kind_missing)) {
        *ret_reason = kind_missing;
        return false;
    }
    return true;
}

/* --- opening and closing --- */

static void spanner_close(struct store *base)
{
    struct store_spanner *store = (struct store_spanner *)base;
    if (store->has_keeper) {
        (void)pthread_mutex_lock(&store->lock);
        store->closing = true;
        (void)pthread_cond_broadcast(&store->changed);
        (void)pthread_mutex_unlock(&store->lock);
        (void)pthread_join(store->keeper, NULL);
    }
    for (size_t i = 0; i < BASE_SPANNER_SESSIONS; i++) {
        spanner_session_close(&store->sessions[i]);
    }
    readers_close(store);
    (void)pthread_cond_destroy(&store->changed);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_mutex_destroy(&store->preparing);
    spanner_target_close(&store->target);
    base_arena_release(&store->kinds_arena);
    base_arena_release(&store->target_arena);
    free(store);
}

static struct store_spanner *new_store(const struct ledger_kinds *kinds)
{
    static const struct store_backend backend = {
        .load = spanner_load,
        .commit = spanner_commit,
        .abandon = spanner_abandon,
        .read_transaction = spanner_read_transaction,
        .read_caller = spanner_read_caller,
        .read_accounts = spanner_read_accounts,
        .read_entries = spanner_read_entries,
        .read_journal = spanner_read_journal,
        .cursor_open = spanner_cursor_open,
        .cursor_next = spanner_cursor_next,
        .cursor_close = spanner_cursor_close,
        .ready = spanner_ready,
        .close = spanner_close,
        .copy_in = spanner_copy_in,
        .copy_end = spanner_copy_end,
    };
    struct store_spanner *store = base_allocate_zeroed(1, sizeof *store);
    store->base = (struct store){.backend = &backend,
                                 .kinds = kinds,
                                 .n_sessions = BASE_SPANNER_SESSIONS,
                                 .batch_max = BASE_SPANNER_BATCH_MAX};
    store->only_reads = kinds == NULL;
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_mutex_init(&store->preparing, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return store;
}

static void open_sessions(struct store_spanner *store)
{
    for (size_t i = 0; i < BASE_SPANNER_SESSIONS; i++) {
        spanner_connection_open(&store->sessions[i].connection, &store->target,
                                ++store->n_connections);
    }
    /* The emulator does one transaction that writes at a time, and aborts whoever comes second. */
    if (store->target.emulator) {
        store->base.n_sessions = 1;
    }
}

/* A store that only reads reads all of it as of one moment. */
static bool choose_moment(struct store_spanner *store)
{
    struct spanner_connection *connection = spanner_reader_take(store);
    if (connection == NULL) {
        return false;
    }
    struct spanner_result result;
    bool chosen = true;
    if (store->only_reads) {
        store->moment.which = SPANNER_AT;
        chosen = spanner_read_clock(connection, &store->moment.at, &result);
        if (!chosen) {
            (void)spanner_store_note_failure(store, &result);
        }
    }
    spanner_reader_give_back(store, connection);
    return chosen;
}

/* A session that was lost meanwhile, or a transaction that was aborted, says nothing of the
 * database: the next attempt has another. */
static bool is_passing(const struct store_spanner *store)
{
    return store->state == SPANNER_SERVING ||
           (store->only_reads && store->state == SPANNER_UNREACHABLE);
}

/* Whether the store may be opened: what it finds is right, or not to be had so far and it is to
 * serve all the same. */
static bool begin_well(struct store_spanner *store)
{
    const struct timespec wait = {.tv_nsec = BASE_DATABASE_RECONNECT_WAIT_MS * BASE_NS_PER_MS};
    bool chosen = choose_moment(store);
    for (int tries = 1; !chosen && is_passing(store) && tries < OPENING_TRIES; tries++) {
        (void)nanosleep(&wait, NULL);
        chosen = choose_moment(store);
    }
    return chosen || (!store->only_reads && !store->copying &&
                      (store->state == SPANNER_UNREACHABLE || store->state == SPANNER_SERVING));
}

struct store *store_spanner_open(const struct store_spanner_options *options,
                                 struct base_arena *arena, struct base_text *ret_message)
{
    struct store_spanner *store = new_store(options->kinds);
    int64_t staleness_ms;
    struct base_text why = BASE_TEXT("");
    if (!spanner_target_open(options->url, options->emulator, &store->target_arena, &store->target,
                             &staleness_ms, &why)) {
        *ret_message = base_arena_text(arena, why);
        spanner_close(&store->base);
        return NULL;
    }
    store->moment = (struct spanner_moment){
        .which = staleness_ms > 0 ? SPANNER_NOT_OLDER : SPANNER_NOW, .staleness_ms = staleness_ms};
    open_sessions(store);
    store->copying = options->copying;
    if (store->copying && !spanner_copy_begin(store, arena, ret_message)) {
        spanner_close(&store->base);
        return NULL;
    }
    if (!begin_well(store)) {
        *ret_message = base_arena_print(arena, "%s%s%s", reasons[store->state],
                                        store->message[0] != '\0' ? ": " : "", store->message);
        spanner_close(&store->base);
        return NULL;
    }
    if (!store->only_reads && !store->copying) {
        int failed = pthread_create(&store->keeper, NULL, keep, store);
        if (failed != 0) {
            base_stop("a thread cannot be started: %s", strerror(failed));
        }
        store->has_keeper = true;
    }
    return &store->base;
}
