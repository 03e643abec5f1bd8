/*
 * The kinds that the database remembers (contract 5), and the version of its schema. A kind that
 * any server has served must be configured in each, so that no slip of an edit turns payments away
 * or hides balances.
 */
#include "store/spanner/database.h"

#include <stdio.h>

/* The kinds in the database, by its numbers. */
struct remembered {
    size_t n;
    struct base_text codes[BASE_KINDS_MAX];
};

static const char *const kinds_columns[] = {"kind_number", "code"};
static const char *const store_columns[] = {"only_row", "schema_version"};

static struct spanner_read read_of(const char *table, const char *const columns[2],
                                   struct base_arena *arena)
{
    return (struct spanner_read){.table = table,
                                 .n_columns = 2,
                                 .columns = columns,
                                 .keys = spanner_keys_all(),
                                 .ordered = true,
                                 .arena = arena};
}

/* Numbers are given in order and never taken back. */
static bool take_kinds(const struct spanner_rows *rows, struct base_arena *arena,
                       struct remembered *remembered)
{
    if (rows->n_rows > BASE_KINDS_MAX) {
        return false;
    }
    remembered->n = rows->n_rows;
    for (size_t i = 0; i < rows->n_rows; i++) {
        struct spanner_row row = {.rows = rows, .row = i};
        int64_t stored_number = spanner_row_int64(&row, 0);
        struct base_text code = spanner_row_text(&row, 1);
        if (row.failed || stored_number != (int64_t)i || code.length < 1 ||
            code.length > BASE_KIND_MAX_BYTES) {
            return false;
        }
        remembered->codes[i] = base_arena_text(arena, code);
    }
    return true;
}

static bool is_remembered(const struct remembered *remembered, struct base_text code)
{
    for (size_t i = 0; i < remembered->n; i++) {
        if (base_text_equal(remembered->codes[i], code)) {
            return true;
        }
    }
    return false;
}

/* Adds those of the configured kinds that the database does not have, with the numbers that come
 * next. */
static struct spanner_write *new_kinds(struct base_arena *arena,
                                       const struct ledger_kinds *configured,
                                       const struct remembered *remembered)
{
    struct spanner_write *write =
        spanner_write_open(arena, false, "kinds", 2, kinds_columns, configured->n_kinds);
    for (size_t i = 0; i < configured->n_kinds; i++) {
        struct base_text code = configured->kinds[i].code;
        if (!is_remembered(remembered, code)) {
            int64_t number = (int64_t)(remembered->n + write->write.n_values);
            spanner_value *values[] = {spanner_int64(arena, number), spanner_text(arena, code)};
            spanner_write_row(arena, write, values);
        }
    }
    return write;
}

/* Commits, and nothing comes after it. */
static enum spanner_end commit_alone(struct spanner_connection *connection,
                                     struct spanner_transaction *transaction, size_t n_mutations,
                                     Google__Spanner__V1__Mutation **mutations,
                                     struct base_arena *arena, struct spanner_result *ret_result)
{
    return spanner_transaction_commit(connection, transaction, n_mutations, mutations, arena, NULL,
                                      ret_result);
}

/* Reads the kinds, and adds those that are new, in one transaction: what was read still holds when
 * it is committed. False: *ret_result; what may pass by itself is tried again by whoever connects
 * next. */
static bool settle_kinds(struct spanner_connection *connection,
                         const struct ledger_kinds *configured, struct base_arena *arena,
                         struct remembered *remembered, struct spanner_result *ret_result)
{
    struct spanner_transaction transaction = {.id = {NULL, 0}};
    const struct spanner_moment moment = {.which = SPANNER_OF_TRANSACTION,
                                          .transaction = &transaction};
    struct spanner_read read = read_of("kinds", kinds_columns, arena);
    bool settled = spanner_read(connection, &moment, 1, &read, ret_result);
    if (settled && !take_kinds(&read.rows, arena, remembered)) {
        ret_result->status = SPANNER_DATA_LOSS;
        (void)snprintf(ret_result->message, sizeof ret_result->message,
                       "the table kinds holds what no version of zandaka writes");
        settled = false;
    }
    if (!settled) {
        spanner_transaction_rollback(connection, &transaction);
        return false;
    }
    struct spanner_write *write = new_kinds(arena, configured, remembered);
    Google__Spanner__V1__Mutation *mutations[] = {&write->mutation};
    size_t n_mutations = write->write.n_values > 0 ? 1 : 0;
    if (commit_alone(connection, &transaction, n_mutations, mutations, arena, ret_result) !=
        SPANNER_COMMITTED) {
        spanner_transaction_rollback(connection, &transaction);
        return false;
    }
    for (size_t i = 0; i < configured->n_kinds; i++) {
        if (!is_remembered(remembered, configured->kinds[i].code)) {
            remembered->codes[remembered->n++] = configured->kinds[i].code;
        }
    }
    return true;
}

/* Whether each kind in the database is configured. */
static bool none_is_missing(const struct ledger_kinds *configured,
                            const struct remembered *remembered,
                            char message[SPANNER_MESSAGE_BYTES])
{
    for (size_t stored = 0; stored < remembered->n; stored++) {
        struct base_text code = remembered->codes[stored];
        if (ledger_kind_number(configured, code) < 0) {
            (void)snprintf(message, SPANNER_MESSAGE_BYTES,
                           "the database has served the kind `%.*s`, which the configuration "
                           "lacks: keep the section [kind.%.*s]; to take the kind out of use, add "
                           "`withdrawn = yes` to it",
                           BASE_TEXT_ARGS(code), BASE_TEXT_ARGS(code));
            return false;
        }
    }
    return true;
}

static void map_kinds(struct store_spanner *store, const struct remembered *remembered)
{
    struct spanner_kind_map map;
    for (size_t i = 0; i < BASE_KINDS_MAX; i++) {
        map.stored_numbers[i] = -1;
        map.kind_numbers[i] = -1;
    }
    for (size_t stored = 0; stored < remembered->n; stored++) {
        int kind_number = ledger_kind_number(store->base.kinds, remembered->codes[stored]);
        map.stored_numbers[kind_number] = (int)stored;
        map.kind_numbers[stored] = kind_number;
    }
    store->kind_map = map;
}

/* Without a configuration, the remembered kinds are the kinds, in the order of their numbers. */
static void serve_remembered(struct store_spanner *store, const struct remembered *remembered)
{
    store->served_kinds.n_kinds = remembered->n;
    for (size_t i = 0; i < remembered->n; i++) {
        store->served_kinds.kinds[i] = (struct ledger_kind){
            .code = base_arena_text(&store->kinds_arena, remembered->codes[i]),
            .max_balance_minor = INT64_MAX,
            .max_amount_minor = BASE_AMOUNT_MAX,
        };
    }
    store->base.kinds = &store->served_kinds;
}

/* Reads the kinds as of now. */
static bool read_kinds(struct spanner_connection *connection, struct base_arena *arena,
                       struct remembered *remembered, struct spanner_result *ret_result)
{
    const struct spanner_moment moment = {.which = SPANNER_NOW};
    struct spanner_read read = read_of("kinds", kinds_columns, arena);
    if (!spanner_read(connection, &moment, 1, &read, ret_result)) {
        return false;
    }
    if (!take_kinds(&read.rows, arena, remembered)) {
        ret_result->status = SPANNER_DATA_LOSS;
        (void)snprintf(ret_result->message, sizeof ret_result->message,
                       "the table kinds holds what no version of zandaka writes");
        return false;
    }
    return true;
}

static bool lacks_kinds(const struct ledger_kinds *configured, const struct remembered *remembered)
{
    for (size_t i = 0; i < configured->n_kinds; i++) {
        if (!is_remembered(remembered, configured->kinds[i].code)) {
            return true;
        }
    }
    return false;
}

/* What a result that is no success says of the database. */
static enum spanner_state state_of(struct store_spanner *store, const struct spanner_result *result)
{
    (void)spanner_store_note_failure(store, result);
    (void)pthread_mutex_lock(&store->lock);
    enum spanner_state state = store->state;
    (void)pthread_mutex_unlock(&store->lock);
    return state == SPANNER_SERVING ? SPANNER_UNREACHABLE : state;
}

bool spanner_kinds_match(struct store_spanner *store, struct spanner_connection *connection,
                         enum spanner_state *ret_state, char message[SPANNER_MESSAGE_BYTES])
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct remembered remembered = {0};
    struct spanner_result result = {0};
    const struct ledger_kinds *configured = store->base.kinds;
    bool matched = read_kinds(connection, &arena, &remembered, &result);
    bool missing =
        matched && configured != NULL && !none_is_missing(configured, &remembered, message);
    if (matched && !missing && configured != NULL && lacks_kinds(configured, &remembered)) {
        remembered.n = 0;
        matched = settle_kinds(connection, configured, &arena, &remembered, &result);
        missing = matched && !none_is_missing(configured, &remembered, message);
    }
    if (!matched) {
        *ret_state = state_of(store, &result);
        (void)snprintf(message, SPANNER_MESSAGE_BYTES, "%s", result.message);
    } else if (missing) {
        *ret_state = SPANNER_KIND_MISSING;
    } else {
        if (configured == NULL) {
            serve_remembered(store, &remembered);
        }
        map_kinds(store, &remembered);
    }
    base_arena_release(&arena);
    return matched && !missing;
}

/* --- the schema's version --- */

bool spanner_read_store(struct spanner_connection *connection, int64_t *ret_version,
                        size_t *ret_n_kinds, struct spanner_result *ret_result)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct spanner_moment moment = {.which = SPANNER_NOW};
    struct spanner_read reads[] = {read_of("store", store_columns, &arena),
                                   read_of("kinds", kinds_columns, &arena)};
    bool read = spanner_read(connection, &moment, 2, reads, ret_result);
    if (read) {
        struct spanner_row row = {.rows = &reads[0].rows};
        *ret_version = reads[0].rows.n_rows == 1 ? spanner_row_int64(&row, 1) : 0;
        *ret_n_kinds = reads[1].rows.n_rows;
        if (row.failed || (*ret_version < 0 && *ret_version != SPANNER_SCHEMA_VERSION_COPYING)) {
            *ret_version = INT64_MAX;
        }
    }
    base_arena_release(&arena);
    return read;
}

bool spanner_note_version(struct spanner_connection *connection, struct spanner_result *ret_result)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct spanner_transaction transaction = {.id = {NULL, 0}};
    const struct spanner_moment moment = {.which = SPANNER_OF_TRANSACTION,
                                          .transaction = &transaction};
    struct spanner_read read = read_of("store", store_columns, &arena);
    bool noted = spanner_read(connection, &moment, 1, &read, ret_result);
    if (noted) {
        struct spanner_write *write =
            spanner_write_open(&arena, false, "store", 2, store_columns, 1);
        spanner_value *values[] = {spanner_int64(&arena, 0),
                                   spanner_int64(&arena, SPANNER_SCHEMA_VERSION)};
        spanner_write_row(&arena, write, values);
        Google__Spanner__V1__Mutation *mutations[] = {&write->mutation};
        noted = commit_alone(connection, &transaction, 1, mutations, &arena, ret_result) ==
                SPANNER_COMMITTED;
    }
    if (!noted) {
        spanner_transaction_rollback(connection, &transaction);
    }
    base_arena_release(&arena);
    return noted;
}
