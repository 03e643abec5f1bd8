/*
 * The beginning and the end of copying another store into this one (what lies between is in
 * write.c). Meanwhile the version of the schema is one that no server takes: half a store would
 * call an id new that had succeeded, and let it succeed again (contract 3.2).
 */
#include "store/spanner/database.h"

static const char *const store_columns[] = {"only_row", "schema_version"};
static const char *const id_columns[] = {"shard"};

static struct spanner_read read_of(const char *table, size_t n_columns, const char *const *columns,
                                   struct base_arena *arena)
{
    return (struct spanner_read){.table = table,
                                 .n_columns = n_columns,
                                 .columns = columns,
                                 .keys = spanner_keys_all(),
                                 .limit = 1,
                                 .arena = arena};
}

static int64_t version_in(const struct spanner_read *read)
{
    struct spanner_row row = {.rows = &read->rows};
    return read->rows.n_rows == 1 ? spanner_row_int64(&row, 1) : 0;
}

bool spanner_copy_look(struct spanner_connection *connection,
                       struct spanner_transaction *transaction, struct base_arena *arena,
                       bool *ret_copying, struct spanner_result *ret_result)
{
    const struct spanner_moment moment = {.which = SPANNER_OF_TRANSACTION,
                                          .transaction = transaction};
    struct spanner_read read = read_of("store", 2, store_columns, arena);
    if (!spanner_read(connection, &moment, 1, &read, ret_result)) {
        return false;
    }
    *ret_copying = version_in(&read) == SPANNER_SCHEMA_VERSION_COPYING;
    return true;
}

static enum spanner_end write_version(struct spanner_connection *connection,
                                      struct spanner_transaction *transaction, int64_t version,
                                      struct base_arena *arena, struct spanner_result *ret_result)
{
    struct spanner_write *write = spanner_write_open(arena, true, "store", 2, store_columns, 1);
    spanner_value *values[] = {spanner_int64(arena, 0), spanner_int64(arena, version)};
    spanner_write_row(arena, write, values);
    Google__Spanner__V1__Mutation *mutations[] = {&write->mutation};
    return spanner_transaction_commit(connection, transaction, 1, mutations, arena, NULL,
                                      ret_result);
}

/* What was read in the transaction, and what is to be done about it. */
static bool mark_empty(struct spanner_connection *connection,
                       struct spanner_transaction *transaction, struct base_arena *arena,
                       const struct spanner_read reads[3], struct base_text *ret_message)
{
    int64_t version = version_in(&reads[0]);
    struct spanner_result result;
    if (version == SPANNER_SCHEMA_VERSION_COPYING) {
        return true;
    }
    if (version != SPANNER_SCHEMA_VERSION) {
        *ret_message = BASE_TEXT("the schema in the database is of a version that this zandaka "
                                 "does not know");
        return false;
    }
    if (reads[1].rows.n_rows > 0 || reads[2].rows.n_rows > 0) {
        *ret_message =
            BASE_TEXT("the database holds a store already, and no copy that was interrupted: make "
                      "an empty database by `zandaka schema --store URL --apply`");
        return false;
    }
    if (write_version(connection, transaction, SPANNER_SCHEMA_VERSION_COPYING, arena, &result) !=
        SPANNER_COMMITTED) {
        *ret_message = base_arena_print(arena,
                                        "the database cannot be copied into: %s: run the "
                                        "same again",
                                        result.message);
        return false;
    }
    return true;
}

bool spanner_copy_begin(struct store_spanner *store, struct base_arena *arena,
                        struct base_text *ret_message)
{
    struct spanner_connection *connection = &store->sessions[0].connection;
    struct spanner_transaction transaction = {.id = {NULL, 0}};
    const struct spanner_moment moment = {.which = SPANNER_OF_TRANSACTION,
                                          .transaction = &transaction};
    struct spanner_read reads[] = {read_of("store", 2, store_columns, arena),
                                   read_of("transactions", 1, id_columns, arena),
                                   read_of("accounts", 1, id_columns, arena)};
    struct spanner_result result;
    bool begun = false;
    if (!spanner_session_ready(connection, &result) ||
        !spanner_read(connection, &moment, sizeof reads / sizeof reads[0], reads, &result)) {
        *ret_message = base_arena_print(arena,
                                        "the database cannot be copied into: %s: a copy needs the "
                                        "schema (`zandaka schema --store URL --apply`)",
                                        result.message);
    } else {
        begun = mark_empty(connection, &transaction, arena, reads, ret_message);
    }
    spanner_transaction_rollback(connection, &transaction);
    return begun;
}

enum store_fault spanner_copy_end(struct store *base)
{
    struct store_spanner *store = (struct store_spanner *)base;
    struct spanner_connection *connection = &store->sessions[0].connection;
    struct spanner_transaction transaction = {.id = {NULL, 0}};
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct spanner_result result;
    bool copying;
    enum spanner_end end = SPANNER_NOT_COMMITTED;
    if (!spanner_store_connect(store, connection)) {
        return STORE_UNAVAILABLE;
    }
    if (spanner_copy_look(connection, &transaction, &arena, &copying, &result)) {
        end = write_version(connection, &transaction, SPANNER_SCHEMA_VERSION, &arena, &result);
    }
    enum store_fault fault = STORE_OK;
    if (end != SPANNER_COMMITTED) {
        fault = spanner_store_note_failure(store, &result);
        fault = end == SPANNER_MAYBE_COMMITTED ? STORE_UNKNOWN : fault;
        spanner_transaction_rollback(connection, &transaction);
    }
    base_arena_release(&arena);
    return fault;
}
