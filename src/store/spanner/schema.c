/*
 * The schema, version 1: what can be said of the contract in the database's own words, so that a
 * wrong state is refused whoever tries to write it. Spanner changes a schema statement by
 * statement: each can be run again, so that what was interrupted is gone on with, and the version
 * is noted at the end.
 */
#include "google/longrunning/operations.pb-c.h"
#include "google/spanner/admin/database/v1/spanner_database_admin.pb-c.h"
#include "google/spanner/admin/instance/v1/spanner_instance_admin.pb-c.h"
#include "store/spanner/database.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const statements[] = {
    "-- The one row that says what this is.\n"
    "CREATE TABLE IF NOT EXISTS store (\n"
    "    only_row INT64 NOT NULL,\n"
    "    schema_version INT64 NOT NULL,\n"
    "    CHECK (only_row = 0)\n"
    ") PRIMARY KEY (only_row)",

    "-- The kinds of balance that were ever served. Numbers are given in order, for good.\n"
    "CREATE TABLE IF NOT EXISTS kinds (\n"
    "    kind_number INT64 NOT NULL,\n"
    "    code STRING(32) NOT NULL,\n"
    "    CHECK (kind_number BETWEEN 0 AND 63 AND REGEXP_CONTAINS(code, "
    "r'^[a-z][a-z0-9_-]*$'))\n"
    ") PRIMARY KEY (kind_number)",
    "CREATE UNIQUE INDEX IF NOT EXISTS kinds_by_code ON kinds (code)",

    "-- The record of every transaction, as every repeat of it is answered: the bytes of the\n"
    "-- message zandaka.v1.Transaction. commit_mark says which commit of which server wrote it;\n"
    "-- caller, who asked for it. shard is a hash of the id, journal_shard one of the mark: ids "
    "and\n"
    "-- times that rise do not all meet in one place.\n"
    "CREATE TABLE IF NOT EXISTS transactions (\n"
    "    shard INT64 NOT NULL,\n"
    "    transaction_id STRING(64) NOT NULL,\n"
    "    commit_time TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),\n"
    "    journal_shard INT64 NOT NULL,\n"
    "    place INT64 NOT NULL,\n"
    "    record BYTES(8192) NOT NULL,\n"
    "    caller STRING(64) NOT NULL,\n"
    "    commit_mark INT64 NOT NULL,\n"
    "    CONSTRAINT transaction_is_sound CHECK (\n"
    "        shard BETWEEN 0 AND 15 AND REGEXP_CONTAINS(transaction_id, r'^[!-~]+$')\n"
    "        AND journal_shard BETWEEN 0 AND 7 AND place BETWEEN 0 AND 1023)\n"
    ") PRIMARY KEY (shard, transaction_id)",
    "-- The order in which everything happened. No two have one place in it.\n"
    "CREATE UNIQUE INDEX IF NOT EXISTS transactions_by_position\n"
    "ON transactions (journal_shard, commit_time, place)",

    "-- An account: the length of its history, the time of its last transaction, and its balances\n"
    "-- in minor units: kind_numbers[i] has available[i] and held[i]; of a kind that is not "
    "listed\n"
    "-- it has nothing.\n"
    "CREATE TABLE IF NOT EXISTS accounts (\n"
    "    shard INT64 NOT NULL,\n"
    "    account_id STRING(64) NOT NULL,\n"
    "    version INT64 NOT NULL,\n"
    "    last_time TIMESTAMP NOT NULL,\n"
    "    kind_numbers ARRAY<INT64> NOT NULL,\n"
    "    available ARRAY<INT64> NOT NULL,\n"
    "    held ARRAY<INT64> NOT NULL,\n"
    "    CONSTRAINT balances_are_never_negative CHECK (\n"
    "        ARRAY_MIN(available) >= 0 AND ARRAY_MIN(held) >= 0),\n"
    "    CONSTRAINT account_is_sound CHECK (\n"
    "        shard BETWEEN 0 AND 15 AND REGEXP_CONTAINS(account_id, r'^[!-~]+$')\n"
    "        AND version >= 1 AND ARRAY_LENGTH(available) = ARRAY_LENGTH(kind_numbers)\n"
    "        AND ARRAY_LENGTH(held) = ARRAY_LENGTH(kind_numbers))\n"
    ") PRIMARY KEY (shard, account_id)",

    "-- An account's history: a row for what one transaction did to it, one element for each leg.\n"
    "-- The elements are numbered from first_sequence on, and all of an account's from 1 without\n"
    "-- gaps.\n"
    "CREATE TABLE IF NOT EXISTS entries (\n"
    "    shard INT64 NOT NULL,\n"
    "    account_id STRING(64) NOT NULL,\n"
    "    first_sequence INT64 NOT NULL,\n"
    "    transaction_id STRING(64) NOT NULL,\n"
    "    operation INT64 NOT NULL,\n"
    "    create_time TIMESTAMP NOT NULL,\n"
    "    kind_numbers ARRAY<INT64> NOT NULL,\n"
    "    amounts ARRAY<INT64> NOT NULL,\n"
    "    balances_after ARRAY<INT64> NOT NULL,\n"
    "    held_amounts ARRAY<INT64> NOT NULL,\n"
    "    held_after ARRAY<INT64> NOT NULL,\n"
    "    CONSTRAINT entries_are_sound CHECK (\n"
    "        first_sequence >= 1 AND operation BETWEEN 1 AND 31\n"
    "        AND ARRAY_LENGTH(kind_numbers) BETWEEN 1 AND 32\n"
    "        AND ARRAY_LENGTH(amounts) = ARRAY_LENGTH(kind_numbers)\n"
    "        AND ARRAY_LENGTH(balances_after) = ARRAY_LENGTH(kind_numbers)\n"
    "        AND ARRAY_LENGTH(held_amounts) = ARRAY_LENGTH(kind_numbers)\n"
    "        AND ARRAY_LENGTH(held_after) = ARRAY_LENGTH(kind_numbers)\n"
    "        AND ARRAY_MIN(balances_after) >= 0 AND ARRAY_MIN(held_after) >= 0)\n"
    ") PRIMARY KEY (shard, account_id, first_sequence DESC),\n"
    "  INTERLEAVE IN PARENT accounts ON DELETE NO ACTION",

    "-- For people: a row for each balance that is not zero, and one for each entry.\n"
    "CREATE OR REPLACE VIEW balances SQL SECURITY INVOKER AS\n"
    "SELECT account.account_id, kind.code AS kind, account.available[OFFSET(place)] AS available,\n"
    "       account.held[OFFSET(place)] AS held\n"
    "FROM accounts AS account, UNNEST(account.kind_numbers) AS kind_number WITH OFFSET AS place\n"
    "JOIN kinds AS kind ON kind.kind_number = kind_number",
    "CREATE OR REPLACE VIEW history SQL SECURITY INVOKER AS\n"
    "SELECT entry.account_id, entry.first_sequence + place AS sequence, entry.transaction_id,\n"
    "       entry.operation, kind.code AS kind, entry.amounts[OFFSET(place)] AS amount,\n"
    "       entry.balances_after[OFFSET(place)] AS balance_after,\n"
    "       entry.held_amounts[OFFSET(place)] AS held_amount,\n"
    "       entry.held_after[OFFSET(place)] AS held_after, entry.create_time\n"
    "FROM entries AS entry, UNNEST(entry.kind_numbers) AS kind_number WITH OFFSET AS place\n"
    "JOIN kinds AS kind ON kind.kind_number = kind_number",
};
#define N_STATEMENTS (sizeof statements / sizeof statements[0])
static_assert(BASE_KINDS_MAX == 64, "a kind's number must fit its column");
static_assert(BASE_ID_MAX_BYTES == 64 && BASE_CALLER_MAX_BYTES == 64, "an id must fit its column");
static_assert(BASE_KIND_MAX_BYTES == 32, "a code must fit its column");
static_assert(BASE_RECORD_MAX_BYTES == 8192, "a record must fit its column");
static_assert(BASE_LEGS_MAX == 32, "a transaction's entries must fit a row");
static_assert(BASE_BATCH_MAX == 1024, "a place in the batch must fit its column");
static_assert(SPANNER_SHARDS == 16 && SPANNER_JOURNAL_SHARDS == 8, "shards must fit their columns");

/* The row that says the version is no statement of the schema. */
#define NOTE_VERSION "INSERT INTO store (only_row, schema_version) VALUES (0, 1)"
static_assert(SPANNER_SCHEMA_VERSION == 1, "the schema must say its version");

/* The statements as they are sent: what is said of them is for readers. */
static char **bare_statements(struct base_arena *arena)
{
    char **bare = base_arena_take(arena, N_STATEMENTS * sizeof(char *));
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        const char *at = statements[i];
        while (at[0] == '-' && at[1] == '-') {
            at = strchr(at, '\n') + 1;
        }
        bare[i] = (char *)(uintptr_t)at;
    }
    return bare;
}

void store_spanner_print_schema(FILE *out)
{
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        (void)fprintf(out, "%s;\n\n", statements[i]);
    }
    (void)fprintf(out, "-- When all of them are done:\n%s;\n", NOTE_VERSION);
}

/* --- making it --- */

/* A change of the schema under way. */
struct change {
    struct spanner_connection *connection;
    struct base_arena *arena;
    struct spanner_result result;
};

/* Asks for an operation, and waits for its end. False: change->result says why it has failed. */
static bool run_operation(struct change *change, const char *path, const char *route_key,
                          struct base_text route, const ProtobufCMessage *request)
{
    const struct timespec wait = {.tv_nsec = BASE_DATABASE_RECONNECT_WAIT_MS * BASE_NS_PER_MS};
    struct spanner_call call = {.path = path,
                                .request = request,
                                .route_key = route_key,
                                .route = route,
                                .arena = change->arena};
    int64_t until_mono_ns = spanner_deadline(BASE_SPANNER_SCHEMA_TIMEOUT_MS);
    for (;;) {
        spanner_run_one(change->connection, &call, spanner_answer_deadline(change->connection),
                        &change->result);
        if (change->result.status != BASE_CODE_OK) {
            return false;
        }
        const Google__Longrunning__Operation *operation =
            spanner_unpack(change->arena, &google__longrunning__operation__descriptor, call.body);
        if (operation == NULL || base_now_mono_ns(&base_clock_system) > until_mono_ns) {
            change->result.status = BASE_CODE_DEADLINE_EXCEEDED;
            (void)snprintf(change->result.message, sizeof change->result.message,
                           "the change of the schema has not ended; run this again");
            return false;
        }
        if (operation->done && operation->error != NULL && operation->error->code != 0) {
            change->result.status = operation->error->code;
            (void)snprintf(change->result.message, sizeof change->result.message, "%s",
                           operation->error->message);
            return false;
        }
        if (operation->done) {
            return true;
        }
        (void)nanosleep(&wait, NULL);
        Google__Longrunning__GetOperationRequest *next =
            base_arena_take(change->arena, sizeof *next);
        google__longrunning__get_operation_request__init(next);
        next->name = operation->name;
        call = (struct spanner_call){.path = "/google.longrunning.Operations/GetOperation",
                                     .request = &next->base,
                                     .route_key = "name",
                                     .route = base_text_of(next->name),
                                     .arena = change->arena};
    }
}

/* The last part of a name: `D` of `…/databases/D`. */
static struct base_text last_part(struct base_text name)
{
    const char *slash = memrchr(name.bytes, '/', name.length);
    return (struct base_text){slash + 1, name.length - (size_t)(slash + 1 - name.bytes)};
}

/* What is before `/instances/…`: `projects/P`. */
static struct base_text project_of(struct base_text instance)
{
    struct base_text id = last_part(instance);
    return (struct base_text){instance.bytes, instance.length - id.length - strlen("/instances/")};
}

/* The emulator begins without any. */
static bool make_instance(struct change *change, const struct spanner_target *target)
{
    struct base_text id = base_arena_text(change->arena, last_part(target->instance));
    struct base_text project = base_arena_text(change->arena, project_of(target->instance));
    struct base_text config = base_arena_print(
        change->arena, "%.*s/instanceConfigs/emulator-config", BASE_TEXT_ARGS(project));
    Google__Spanner__Admin__Instance__V1__Instance instance =
        GOOGLE__SPANNER__ADMIN__INSTANCE__V1__INSTANCE__INIT;
    instance.name = spanner_string(target->instance);
    instance.config = spanner_string(config);
    instance.display_name = spanner_string(id);
    instance.node_count = 1;
    Google__Spanner__Admin__Instance__V1__CreateInstanceRequest request =
        GOOGLE__SPANNER__ADMIN__INSTANCE__V1__CREATE_INSTANCE_REQUEST__INIT;
    request.parent = spanner_string(project);
    request.instance_id = spanner_string(id);
    request.instance = &instance;
    return run_operation(change, "/google.spanner.admin.instance.v1.InstanceAdmin/CreateInstance",
                         "parent", project, &request.base) ||
           change->result.status == SPANNER_ALREADY_EXISTS;
}

static bool make_database(struct change *change, const struct spanner_target *target)
{
    struct base_text id = last_part(target->database);
    Google__Spanner__Admin__Database__V1__CreateDatabaseRequest request =
        GOOGLE__SPANNER__ADMIN__DATABASE__V1__CREATE_DATABASE_REQUEST__INIT;
    request.parent = spanner_string(target->instance);
    request.create_statement = spanner_string(
        base_arena_print(change->arena, "CREATE DATABASE `%.*s`", BASE_TEXT_ARGS(id)));
    request.n_extra_statements = N_STATEMENTS;
    request.extra_statements = bare_statements(change->arena);
    return run_operation(change, "/google.spanner.admin.database.v1.DatabaseAdmin/CreateDatabase",
                         "parent", target->instance, &request.base);
}

static bool make_tables(struct change *change, const struct spanner_target *target)
{
    Google__Spanner__Admin__Database__V1__UpdateDatabaseDdlRequest request =
        GOOGLE__SPANNER__ADMIN__DATABASE__V1__UPDATE_DATABASE_DDL_REQUEST__INIT;
    request.database = spanner_string(target->database);
    request.n_statements = N_STATEMENTS;
    request.statements = bare_statements(change->arena);
    return run_operation(change,
                         "/google.spanner.admin.database.v1.DatabaseAdmin/UpdateDatabaseDdl",
                         "database", target->database, &request.base);
}

/* Reads the version that is there; 0: none, and *ret_is_there whether there is a database at all.
 */
static bool read_version(struct change *change, int64_t *ret_version, bool *ret_is_there)
{
    size_t n_kinds;
    *ret_version = 0;
    *ret_is_there = spanner_session_ready(change->connection, &change->result);
    if (!*ret_is_there) {
        return change->result.status == BASE_CODE_NOT_FOUND;
    }
    return spanner_read_store(change->connection, ret_version, &n_kinds, &change->result) ||
           (change->result.status == BASE_CODE_NOT_FOUND &&
            !spanner_session_is_lost(&change->result));
}

static bool make(struct change *change, const struct spanner_target *target, bool is_there)
{
    if (is_there) {
        return make_tables(change, target) &&
               spanner_note_version(change->connection, &change->result);
    }
    return (!target->emulator || make_instance(change, target)) && make_database(change, target) &&
           spanner_session_ready(change->connection, &change->result) &&
           spanner_note_version(change->connection, &change->result);
}

static bool apply(struct change *change, const struct spanner_target *target,
                  struct base_text *ret_message)
{
    int64_t version;
    bool is_there;
    struct base_arena *arena = change->arena;
    if (!read_version(change, &version, &is_there)) {
        *ret_message = base_arena_print(arena, "%s", change->result.message);
        return false;
    }
    if (version == SPANNER_SCHEMA_VERSION) {
        *ret_message = base_arena_print(arena, "the schema stands, version %d: nothing to do",
                                        SPANNER_SCHEMA_VERSION);
        return true;
    }
    if (version == SPANNER_SCHEMA_VERSION_COPYING) {
        *ret_message = BASE_TEXT("the database holds a copy of another store that has not come to "
                                 "its end; nothing was changed");
        return false;
    }
    if (version != 0) {
        *ret_message = base_arena_print(
            arena,
            "the schema in the database has version %lld, which this zandaka does not know; "
            "nothing was changed",
            (long long)version);
        return false;
    }
    bool made = make(change, target, is_there);
    *ret_message =
        made ? base_arena_print(arena, "made the schema, version %d", SPANNER_SCHEMA_VERSION)
             : base_arena_print(arena, "%s", change->result.message);
    return made;
}

bool store_spanner_apply_schema(const struct store_spanner_options *options,
                                struct base_arena *arena, struct base_text *ret_message)
{
    struct spanner_target target;
    int64_t staleness_ms;
    if (!spanner_target_open(options->url, options->emulator, arena, &target, &staleness_ms,
                             ret_message)) {
        return false;
    }
    struct spanner_connection *connection = base_allocate(sizeof *connection);
    spanner_connection_open(connection, &target, 1);
    struct change change = {.connection = connection, .arena = arena};
    bool applied = apply(&change, &target, ret_message);
    spanner_connection_close(connection);
    free(connection);
    spanner_target_close(&target);
    return applied;
}
