/*
 * Opening and closing, and what is known of the database meanwhile.
 *
 * A server may be started before its database, and outlives its restarts: so what must be right
 * about the database (the schema, the kinds) is looked at by whoever is first to reach it, and the
 * schema and the journal's end again by every connection, since a database may be replaced while a
 * server runs. A keeper asks once a second, so that readiness is true also of an idle server, and
 * so that nothing is written by statements of one schema into another.
 */
#include "store/postgres/database.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is told of each state: to whoever asks for readiness, and in the log. */
static const char *const reasons[] = {
    [POSTGRES_UNTRIED] = "the database has not been reached so far",
    [POSTGRES_SERVING] = "the database serves",
    [POSTGRES_UNREACHABLE] = "the database cannot be reached",
    [POSTGRES_READ_ONLY] = "the database takes no writes: it is a standby, or made read-only",
    [POSTGRES_NO_SCHEMA] =
        "the database has no schema `zandaka`: run `zandaka schema --store URL --apply`",
    [POSTGRES_OTHER_SCHEMA] = "the schema in the database is of a version that this zandaka does "
                              "not know: run one that knows it",
    [POSTGRES_COPYING] =
        "the database holds a copy of another store that has not come to its end: run the same "
        "`zandaka copy` again, which goes on where it was",
    [POSTGRES_BEHIND] =
        "the database numbers transactions below those in its journal, as after a dump was "
        "restored: with all servers stopped, run `zandaka schema --store URL --apply`",
    [POSTGRES_KIND_MISSING] = "the configuration lacks a kind that the database has served",
    [POSTGRES_REFUSED_ACCESS] = "the database refuses what it is asked",
};

static const char kind_missing[] =
    "an account has a balance of a kind that another server began and this configuration lacks: "
    "add the kind's section and start again";

void postgres_store_note(struct store_postgres *store, enum postgres_state state,
                         const char *message)
{
    (void)pthread_mutex_lock(&store->lock);
    enum postgres_state before = store->state;
    store->state = state;
    if (before == POSTGRES_SERVING && state != POSTGRES_SERVING) {
        store->down_mono_ns = base_now_mono_ns(&base_clock_system);
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (state == before) {
        return;
    }
    if (state != POSTGRES_SERVING) {
        base_log(BASE_LOG_WARNING, "%s%s%s", reasons[state], message[0] != '\0' ? ": " : "",
                 message);
    } else if (before != POSTGRES_UNTRIED) {
        base_log(BASE_LOG_INFO, "the database serves again");
    }
}

bool postgres_store_is_another(struct store_postgres *store)
{
    (void)pthread_mutex_lock(&store->lock);
    enum postgres_state state = store->state;
    (void)pthread_mutex_unlock(&store->lock);
    return state == POSTGRES_NO_SCHEMA || state == POSTGRES_OTHER_SCHEMA ||
           state == POSTGRES_BEHIND;
}

void postgres_store_note_load(struct store_postgres *store)
{
    /* A load that was under way while the keeper looked proves nothing against what it saw. */
    if (!postgres_store_is_another(store)) {
        postgres_store_note(store, POSTGRES_SERVING, "");
    }
}

bool postgres_store_may_be_back_soon(struct store_postgres *store)
{
    int64_t now_mono_ns = base_now_mono_ns(&base_clock_system);
    (void)pthread_mutex_lock(&store->lock);
    bool soon = store->state == POSTGRES_SERVING ||
                now_mono_ns - store->down_mono_ns < BASE_UNAVAILABLE_TIMEOUT_MS * BASE_NS_PER_MS;
    (void)pthread_mutex_unlock(&store->lock);
    return soon;
}

void postgres_store_note_kind_missing(struct store_postgres *store)
{
    if (!atomic_exchange(&store->kind_missing, true)) {
        base_log(BASE_LOG_WARNING, "%s", kind_missing);
    }
}

enum store_fault postgres_store_note_failure(struct store_postgres *store, enum postgres_end end,
                                             const struct postgres_exchange *exchange)
{
    static const struct {
        const char *sqlstate;
        enum store_fault fault;
        enum postgres_state state;
    } rows[] = {
        {"40", STORE_CONFLICT, POSTGRES_SERVING},         /* serialization, deadlock */
        {"55P03", STORE_CONFLICT, POSTGRES_SERVING},      /* a lock is held for too long */
        {"23505", STORE_CONFLICT, POSTGRES_SERVING},      /* an id is recorded */
        {"XX001", STORE_CORRUPT, POSTGRES_SERVING},       /* data, index corrupted */
        {"XX002", STORE_CORRUPT, POSTGRES_SERVING},       /* */
        {"25006", STORE_UNAVAILABLE, POSTGRES_READ_ONLY}, /* read-only transaction */
        {"25P03", STORE_UNAVAILABLE, POSTGRES_SERVING},   /* idle in transaction for too long */
        {"57", STORE_UNAVAILABLE, POSTGRES_UNREACHABLE},  /* shutdown, terminated */
        {"08", STORE_UNAVAILABLE, POSTGRES_UNREACHABLE},
        {"3F000", STORE_UNAVAILABLE, POSTGRES_NO_SCHEMA}, /* no such schema, table */
        {"42P01", STORE_UNAVAILABLE, POSTGRES_NO_SCHEMA},
    };
    if (end == POSTGRES_LOST) {
        postgres_store_note(store, POSTGRES_UNREACHABLE, exchange->message);
        return STORE_UNAVAILABLE;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (postgres_sqlstate_is(exchange, rows[i].sqlstate)) {
            if (rows[i].state == POSTGRES_READ_ONLY) {
                postgres_disconnect(exchange->connection);
                postgres_readers_retire(store);
            }
            postgres_store_note(store, rows[i].state, exchange->message);
            return rows[i].fault;
        }
    }
    postgres_store_note(store, POSTGRES_REFUSED_ACCESS, exchange->message);
    return STORE_UNAVAILABLE;
}

/* --- connecting --- */

static bool may_try(struct store_postgres *store)
{
    (void)pthread_mutex_lock(&store->lock);
    bool may = base_now_mono_ns(&base_clock_system) >= store->next_try_mono_ns;
    (void)pthread_mutex_unlock(&store->lock);
    return may;
}

static void try_later(struct store_postgres *store)
{
    (void)pthread_mutex_lock(&store->lock);
    store->next_try_mono_ns =
        base_now_mono_ns(&base_clock_system) + BASE_DATABASE_RECONNECT_WAIT_MS * BASE_NS_PER_MS;
    (void)pthread_mutex_unlock(&store->lock);
}

/* Looks at the answer to POSTGRES_READ_STORE. */
static enum postgres_state judge_store(struct store_postgres *store, const PGresult *result,
                                       int64_t *ret_position_base)
{
    if (PQntuples(result) != 1) {
        return POSTGRES_NO_SCHEMA;
    }
    struct postgres_row row = {.result = result};
    int64_t version = postgres_row_int64(&row, 0);
    if (version == POSTGRES_SCHEMA_VERSION_COPYING && !store->copying) {
        return POSTGRES_COPYING;
    }
    if (version != (store->copying ? POSTGRES_SCHEMA_VERSION_COPYING : POSTGRES_SCHEMA_VERSION)) {
        return POSTGRES_OTHER_SCHEMA;
    }
    *ret_position_base = postgres_row_int64(&row, 1);
    if (postgres_row_bool(&row, 2) && !store->only_reads) {
        return POSTGRES_READ_ONLY;
    }
    int64_t n_kinds = postgres_row_int64(&row, 3);
    if (atomic_load(&store->prepared) && n_kinds > (int64_t)store->base.kinds->n_kinds &&
        !atomic_exchange(&store->kinds_grown, true)) {
        base_log(BASE_LOG_WARNING, "another server has begun a kind that this configuration lacks: "
                                   "add its section here too, before the kind is used");
    }
    return row.failed ? POSTGRES_OTHER_SCHEMA : POSTGRES_SERVING;
}

/* Fails with what the exchange has shown. */
static enum postgres_state refused(struct store_postgres *store, enum postgres_end end,
                                   const struct postgres_exchange *exchange)
{
    (void)postgres_store_note_failure(store, end, exchange);
    (void)pthread_mutex_lock(&store->lock);
    enum postgres_state state = store->state;
    (void)pthread_mutex_unlock(&store->lock);
    /* What may pass by itself, such as a conflict, is no reason to call this session serving. */
    return state == POSTGRES_SERVING ? POSTGRES_UNREACHABLE : state;
}

/* Tells the session what it must know, and looks at the schema: before anything is prepared, since
 * that fails on another version's tables. */
static enum postgres_state open_session(struct store_postgres *store,
                                        struct postgres_connection *connection,
                                        int64_t *ret_position_base,
                                        char message[POSTGRES_MESSAGE_BYTES])
{
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, connection);
    postgres_exchange_add_settings(&exchange);
    postgres_exchange_add_text(&exchange, postgres_statements[POSTGRES_READ_STORE].text);
    enum postgres_end end = postgres_exchange_end(&exchange);
    memcpy(message, exchange.message, POSTGRES_MESSAGE_BYTES);
    enum postgres_state state = end == POSTGRES_DONE
                                    ? judge_store(store, exchange.results[1], ret_position_base)
                                    : refused(store, end, &exchange);
    postgres_exchange_close(&exchange);
    return state;
}

static enum postgres_state prepare_statements(struct store_postgres *store,
                                              struct postgres_connection *connection, bool writes,
                                              char message[POSTGRES_MESSAGE_BYTES])
{
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, connection);
    for (int i = writes ? 0 : POSTGRES_WRITING_END; i < POSTGRES_STATEMENT_COUNT; i++) {
        postgres_exchange_add_preparation(&exchange, (enum postgres_statement_number)i);
    }
    enum postgres_end end = postgres_exchange_end(&exchange);
    memcpy(message, exchange.message, POSTGRES_MESSAGE_BYTES);
    enum postgres_state state =
        end == POSTGRES_DONE ? POSTGRES_SERVING : refused(store, end, &exchange);
    postgres_exchange_close(&exchange);
    return state;
}

/* Looks at the answer to POSTGRES_READ_JOURNAL_END. Positions rise with the database's numbers of
 * its transactions. Those begin anew where a dump was restored. What is right is kept for the
 * commits that follow. */
static enum postgres_state judge_journal(struct store_postgres *store, const PGresult *result,
                                         int64_t position_base)
{
    if (store->only_reads) {
        return POSTGRES_SERVING;
    }
    struct postgres_row row = {.result = result};
    int64_t last = postgres_row_int64(&row, 0) / POSTGRES_POSITIONS_PER_BATCH;
    if (last >= postgres_row_int64(&row, 1) + position_base || row.failed) {
        return POSTGRES_BEHIND;
    }
    atomic_store(&store->position_base, position_base);
    return POSTGRES_SERVING;
}

static enum postgres_state look_at_journal(struct store_postgres *store,
                                           struct postgres_connection *connection,
                                           int64_t position_base,
                                           char message[POSTGRES_MESSAGE_BYTES])
{
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, connection);
    postgres_exchange_add(&exchange, POSTGRES_READ_JOURNAL_END, NULL);
    enum postgres_end end = postgres_exchange_end(&exchange);
    memcpy(message, exchange.message, POSTGRES_MESSAGE_BYTES);
    enum postgres_state state = end == POSTGRES_DONE
                                    ? judge_journal(store, exchange.results[0], position_base)
                                    : refused(store, end, &exchange);
    postgres_exchange_close(&exchange);
    return state;
}

/* What must be right before anything is served. Once for the store. */
static enum postgres_state prepare_store(struct store_postgres *store,
                                         struct postgres_connection *connection,
                                         char message[POSTGRES_MESSAGE_BYTES])
{
    enum postgres_state state = POSTGRES_SERVING;
    (void)pthread_mutex_lock(&store->preparing);
    if (!atomic_load(&store->prepared)) {
        if (postgres_kinds_match(store, connection, &state, message)) {
            state = POSTGRES_SERVING;
            atomic_store(&store->prepared, true);
        }
    }
    (void)pthread_mutex_unlock(&store->preparing);
    return state;
}

bool postgres_store_connect(struct store_postgres *store, struct postgres_connection *connection,
                            bool writes)
{
    if (!may_try(store)) {
        return false;
    }
    char message[POSTGRES_MESSAGE_BYTES] = "";
    int64_t position_base = 0;
    enum postgres_state state = POSTGRES_UNREACHABLE;
    if (postgres_connect(connection, store->url, store->only_reads, message)) {
        state = open_session(store, connection, &position_base, message);
    }
    if (state == POSTGRES_SERVING) {
        state = prepare_statements(store, connection, writes, message);
    }
    if (state == POSTGRES_SERVING) {
        state = look_at_journal(store, connection, position_base, message);
    }
    if (state == POSTGRES_SERVING) {
        state = prepare_store(store, connection, message);
    }
    postgres_store_note(store, state, message);
    if (state != POSTGRES_SERVING) {
        try_later(store);
        (void)pthread_mutex_lock(&store->lock);
        memcpy(store->message, message, sizeof message);
        (void)pthread_mutex_unlock(&store->lock);
        postgres_disconnect(connection);
    }
    return state == POSTGRES_SERVING;
}

/* --- the keeper --- */

/* Asks the database how it is. */
static void look_after(struct store_postgres *store)
{
    struct postgres_connection *connection = postgres_reader_take(store);
    if (connection == NULL) {
        return;
    }
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, connection);
    postgres_exchange_add(&exchange, POSTGRES_READ_STORE, NULL);
    postgres_exchange_add(&exchange, POSTGRES_READ_JOURNAL_END, NULL);
    enum postgres_end end = postgres_exchange_end(&exchange);
    if (end != POSTGRES_DONE) {
        (void)postgres_store_note_failure(store, end, &exchange);
    } else {
        int64_t position_base;
        enum postgres_state state = judge_store(store, exchange.results[0], &position_base);
        if (state == POSTGRES_SERVING) {
            state = judge_journal(store, exchange.results[1], position_base);
        }
        if (state == POSTGRES_READ_ONLY) {
            postgres_disconnect(connection);
            postgres_readers_retire(store);
        }
        postgres_store_note(store, state, "");
    }
    postgres_exchange_close(&exchange);
    postgres_reader_give_back(store, connection);
}

static void *keep(void *argument)
{
    struct store_postgres *store = argument;
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

static bool postgres_ready(struct store *base, const char **ret_reason)
{
    struct store_postgres *store = (struct store_postgres *)base;
    (void)pthread_mutex_lock(&store->lock);
    enum postgres_state state = store->state;
    (void)pthread_mutex_unlock(&store->lock);
    if (state != POSTGRES_SERVING) {
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

static void postgres_close(struct store *base)
{
    struct store_postgres *store = (struct store_postgres *)base;
    if (store->has_keeper) {
        (void)pthread_mutex_lock(&store->lock);
        store->closing = true;
        (void)pthread_cond_broadcast(&store->changed);
        (void)pthread_mutex_unlock(&store->lock);
        (void)pthread_join(store->keeper, NULL);
    }
    for (size_t i = 0; i < BASE_DATABASE_SESSIONS; i++) {
        postgres_session_close(&store->sessions[i]);
    }
    postgres_snapshot_close(store->snapshot);
    postgres_snapshot_close(store->spare);
    postgres_readers_close(store);
    (void)pthread_cond_destroy(&store->changed);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_mutex_destroy(&store->preparing);
    base_arena_release(&store->kinds_arena);
    free(store->url);
    free(store);
}

static struct store_postgres *new_store(const struct store_postgres_options *options)
{
    static const struct store_backend backend = {
        .load = postgres_load,
        .commit = postgres_commit,
        .abandon = postgres_abandon,
        .read_transaction = postgres_read_transaction,
        .read_caller = postgres_read_caller,
        .read_accounts = postgres_read_accounts,
        .read_entries = postgres_read_entries,
        .read_journal = postgres_read_journal,
        .cursor_open = postgres_cursor_open,
        .cursor_next = postgres_cursor_next,
        .cursor_close = postgres_cursor_close,
        .ready = postgres_ready,
        .close = postgres_close,
        .copy_in = postgres_copy_in,
        .copy_end = postgres_copy_end,
    };
    struct store_postgres *store = base_allocate_zeroed(1, sizeof *store);
    store->base = (struct store){.backend = &backend,
                                 .kinds = options->kinds,
                                 .n_sessions = BASE_DATABASE_SESSIONS,
                                 .batch_max = BASE_DATABASE_BATCH_MAX};
    size_t length = strlen(options->url) + 1;
    store->url = base_allocate(length);
    memcpy(store->url, options->url, length);
    store->only_reads = options->kinds == NULL;
    store->copying = options->copying;
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_mutex_init(&store->preparing, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return store;
}

/* Whether a store in that state can come to serve by itself, so that a server may wait for it. */
static bool may_come_back(const struct store_postgres *store)
{
    return !store->only_reads && !store->copying &&
           (store->state == POSTGRES_UNREACHABLE || store->state == POSTGRES_READ_ONLY);
}

struct store *store_postgres_open(const struct store_postgres_options *options,
                                  struct base_arena *arena, struct base_text *ret_message)
{
    if (options->copying && !postgres_copy_begin(options->url, arena, ret_message)) {
        return NULL;
    }
    struct store_postgres *store = new_store(options);
    struct postgres_connection *connection = postgres_reader_take(store);
    bool there = connection != NULL;
    if (there) {
        postgres_reader_give_back(store, connection);
    }
    if (there && store->only_reads) {
        store->snapshot = postgres_snapshot_open(store);
        there = store->snapshot != NULL;
    }
    if (!there && !may_come_back(store)) {
        const char *reason = reasons[store->state];
        *ret_message = base_arena_print(arena, "%s%s%s", reason,
                                        store->message[0] != '\0' ? ": " : "", store->message);
        postgres_close(&store->base);
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

/* --- URLs --- */

bool store_postgres_check_url(const char *url, struct base_arena *arena,
                              struct base_text *ret_message)
{
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    if (options == NULL) {
        struct base_text said = base_text_trim(base_text_of(why), "\n ");
        *ret_message = base_arena_print(arena, "%.*s", BASE_TEXT_ARGS(said));
        PQfreemem(why);
        return false;
    }
    PQconninfoFree(options);
    return true;
}

/* The first place of `what` in the text from `from` on, or the text's length. */
static size_t find(struct base_text text, size_t from, const char *what)
{
    size_t length = strlen(what);
    while (from + length <= text.length && memcmp(text.bytes + from, what, length) != 0) {
        from++;
    }
    return from + length <= text.length ? from : text.length;
}

struct base_text store_postgres_shown_url(const char *url, struct base_arena *arena)
{
    struct base_text text = base_text_of(url);
    /* A password stands between the user's `:` and the host's `@`, or is a parameter. */
    size_t authority = find(text, 0, "://") + 3;
    size_t slash = find(text, authority, "/");
    size_t question = find(text, authority, "?");
    size_t authority_end = slash < question ? slash : question;
    size_t at = find(text, authority, "@");
    size_t colon = find(text, authority, ":");
    if (at < authority_end && colon < at) {
        text = base_arena_print(arena, "%.*s:***%.*s", (int)colon, text.bytes,
                                (int)(text.length - at), text.bytes + at);
    }
    size_t password = find(text, 0, "password=");
    if (password < text.length) {
        size_t end = find(text, password, "&");
        text = base_arena_print(arena, "%.*spassword=***%.*s", (int)password, text.bytes,
                                (int)(text.length - end), text.bytes + end);
    }
    return text;
}
