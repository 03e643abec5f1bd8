/*
 * Sessions. A multiplexed one is asked for, which takes any number of transactions; a server that
 * knows none gives an ordinary one, which takes one transaction at a time, and no more are begun on
 * it here: each connection has its own. A session is never ended by us: an ordinary one that nobody
 * uses is gone after an hour, and a multiplexed one after 28 days.
 */
#include "store/spanner/exchange.h"

#include <stdio.h>
#include <string.h>

int64_t spanner_deadline(int64_t timeout_ms)
{
    return base_now_mono_ns(&base_clock_system) + timeout_ms * BASE_NS_PER_MS;
}

int64_t spanner_answer_deadline(const struct spanner_connection *connection)
{
    return spanner_deadline(connection->channel.target->emulator
                                ? BASE_SPANNER_EMULATOR_ANSWER_TIMEOUT_MS
                                : BASE_DATABASE_ANSWER_TIMEOUT_MS);
}

void spanner_connection_open(struct spanner_connection *connection,
                             const struct spanner_target *target, unsigned number)
{
    memset(connection, 0, sizeof *connection);
    connection->channel.target = target;
    connection->channel.number = number;
}

void spanner_connection_close(struct spanner_connection *connection)
{
    spanner_channel_close(&connection->channel);
}

struct spanner_result spanner_result_of(const struct spanner_call *call)
{
    struct spanner_result result = {.status = call->status, .retry_delay_ms = call->retry_delay_ms};
    memcpy(result.message, call->message, sizeof result.message);
    return result;
}

void spanner_run_one(struct spanner_connection *connection, struct spanner_call *call,
                     int64_t deadline_mono_ns, struct spanner_result *ret_result)
{
    spanner_channel_run(&connection->channel, 1, &call, deadline_mono_ns);
    *ret_result = spanner_result_of(call);
}

/* A multiplexed session is replaced long before its end, as Google's clients do. */
static bool is_worn(const struct spanner_connection *connection)
{
    return connection->multiplexed &&
           base_now_mono_ns(&base_clock_system) - connection->session_opened_mono_ns >
               BASE_SPANNER_SESSION_AGE_MAX_S * BASE_NS_PER_S;
}

static bool create_session(struct spanner_connection *connection, struct base_arena *arena,
                           struct spanner_result *ret_result)
{
    struct base_text database = connection->channel.target->database;
    Google__Spanner__V1__Session wanted = GOOGLE__SPANNER__V1__SESSION__INIT;
    wanted.multiplexed = 1;
    Google__Spanner__V1__CreateSessionRequest request =
        GOOGLE__SPANNER__V1__CREATE_SESSION_REQUEST__INIT;
    request.database = spanner_string(database);
    request.session = &wanted;
    struct spanner_call call = {.path = "/google.spanner.v1.Spanner/CreateSession",
                                .request = &request.base,
                                .route_key = "database",
                                .route = database,
                                .to_leader = true,
                                .arena = arena};
    spanner_run_one(connection, &call, spanner_answer_deadline(connection), ret_result);
    if (ret_result->status != BASE_CODE_OK) {
        return false;
    }
    const Google__Spanner__V1__Session *session =
        spanner_unpack(arena, &google__spanner__v1__session__descriptor, call.body);
    if (session == NULL || session->name[0] == '\0' ||
        strlen(session->name) >= sizeof connection->session) {
        ret_result->status = BASE_CODE_INTERNAL;
        (void)snprintf(ret_result->message, sizeof ret_result->message,
                       "the answer to CreateSession names no session");
        return false;
    }
    memcpy(connection->session, session->name, strlen(session->name) + 1);
    connection->multiplexed = session->multiplexed != 0;
    connection->session_opened_mono_ns = base_now_mono_ns(&base_clock_system);
    return true;
}

bool spanner_session_ready(struct spanner_connection *connection, struct spanner_result *ret_result)
{
    if (connection->session[0] != '\0' && !is_worn(connection)) {
        return true;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    bool ready = create_session(connection, &arena, ret_result);
    base_arena_release(&arena);
    return ready;
}

bool spanner_session_is_lost(const struct spanner_result *result)
{
    return result->status == BASE_CODE_NOT_FOUND && strstr(result->message, "ession") != NULL;
}

void spanner_session_judge(struct spanner_connection *connection,
                           const struct spanner_result *result)
{
    if (spanner_session_is_lost(result)) {
        connection->session[0] = '\0';
    }
}
