/*
 * How a transaction that writes comes to its end.
 *
 * Spanner takes a Commit that is asked again with the same transaction's id for the same commit, so
 * one of which nothing is heard is asked again for as long as the time lasts. Once one attempt may
 * have committed, only a success settles it: a later attempt's refusal is told as unknown, since
 * it may be the refusal of a transaction that has ended. The marks beside the records settle those.
 */
#include "store/spanner/exchange.h"

#include <time.h>

void spanner_transaction_take_token(
    struct spanner_transaction *transaction, struct base_arena *arena,
    const Google__Spanner__V1__MultiplexedSessionPrecommitToken *token)
{
    if (token != NULL && (!transaction->has_token || token->seq_num > transaction->token_number)) {
        transaction->has_token = true;
        transaction->token_number = token->seq_num;
        transaction->precommit_token =
            base_arena_bytes(arena, spanner_bytes_of(token->precommit_token));
    }
}

/* Whether the status leaves it open whether the commit happened. */
static bool is_open(int status)
{
    switch (status) {
    case SPANNER_LOST:
    case BASE_CODE_CANCELLED:
    case BASE_CODE_UNKNOWN:
    case BASE_CODE_DEADLINE_EXCEEDED:
    case BASE_CODE_INTERNAL:
    case BASE_CODE_UNAVAILABLE:
        return true;
    default:
        return false;
    }
}

/* What the answer of a Commit asks for beside: its transaction comes back with a token. NULL
 * *ret_token: it has committed. False: it is no such answer. */
static bool read_answer(struct base_arena *arena, struct base_bytes body,
                        const Google__Spanner__V1__MultiplexedSessionPrecommitToken **ret_token)
{
    const Google__Spanner__V1__CommitResponse *response =
        spanner_unpack(arena, &google__spanner__v1__commit_response__descriptor, body);
    if (response == NULL) {
        return false;
    }
    *ret_token = response->precommit_token;
    return true;
}

static void fill_request(const struct spanner_connection *connection,
                         const struct spanner_transaction *transaction,
                         Google__Spanner__V1__CommitRequest *request,
                         Google__Spanner__V1__MultiplexedSessionPrecommitToken *token)
{
    request->session = (char *)(uintptr_t)connection->session;
    request->transaction_id = spanner_binary(transaction->id);
    if (transaction->has_token) {
        token->precommit_token = spanner_binary(transaction->precommit_token);
        token->seq_num = transaction->token_number;
        request->precommit_token = token;
    }
}

static void rest(int64_t wait_ms)
{
    const struct timespec wait = {.tv_sec = wait_ms / 1000,
                                  .tv_nsec = wait_ms % 1000 * BASE_NS_PER_MS};
    (void)nanosleep(&wait, NULL);
}

/* The beginning of the transaction that comes next. */
struct beginning {
    Google__Spanner__V1__BeginTransactionRequest request;
    Google__Spanner__V1__TransactionOptions options;
    Google__Spanner__V1__TransactionOptions__ReadWrite read_write;
    struct spanner_call call;
};

static void beginning_open(struct beginning *beginning, struct spanner_connection *connection,
                           struct base_arena *arena)
{
    google__spanner__v1__begin_transaction_request__init(&beginning->request);
    google__spanner__v1__transaction_options__init(&beginning->options);
    google__spanner__v1__transaction_options__read_write__init(&beginning->read_write);
    beginning->options.mode_case = GOOGLE__SPANNER__V1__TRANSACTION_OPTIONS__MODE_READ_WRITE;
    beginning->options.read_write = &beginning->read_write;
    beginning->request.session = connection->session;
    beginning->request.options = &beginning->options;
    beginning->call = (struct spanner_call){.path = "/google.spanner.v1.Spanner/BeginTransaction",
                                            .request = &beginning->request.base,
                                            .route_key = "session",
                                            .route = base_text_of(connection->session),
                                            .to_leader = true,
                                            .arena = arena};
}

/* Whatever else it may have come to, a transaction that has not begun is nobody's loss. */
static void beginning_take(const struct beginning *beginning, struct base_arena *arena,
                           struct base_writer *next)
{
    const Google__Spanner__V1__Transaction *begun =
        beginning->call.status == BASE_CODE_OK
            ? spanner_unpack(arena, &google__spanner__v1__transaction__descriptor,
                             beginning->call.body)
            : NULL;
    if (begun != NULL) {
        base_write_bytes(next, spanner_bytes_of(begun->id));
    }
}

/* The first attempt of a commit, and beside it the beginning of what comes next. */
static void run_first(struct spanner_connection *connection, struct spanner_call *commit,
                      int64_t deadline_mono_ns, struct base_writer *next,
                      struct spanner_result *ret_result)
{
    struct beginning beginning;
    struct spanner_call *calls[] = {commit, &beginning.call};
    bool ahead = next != NULL && connection->multiplexed;
    beginning_open(&beginning, connection, commit->arena);
    spanner_channel_run(&connection->channel, ahead ? 2 : 1, calls, deadline_mono_ns);
    *ret_result = spanner_result_of(commit);
    if (ahead) {
        beginning_take(&beginning, commit->arena, next);
    }
}

enum spanner_end spanner_transaction_commit(struct spanner_connection *connection,
                                            struct spanner_transaction *transaction,
                                            size_t n_mutations,
                                            Google__Spanner__V1__Mutation **mutations,
                                            struct base_arena *arena, struct base_writer *next,
                                            struct spanner_result *ret_result)
{
    Google__Spanner__V1__CommitRequest request = GOOGLE__SPANNER__V1__COMMIT_REQUEST__INIT;
    Google__Spanner__V1__MultiplexedSessionPrecommitToken token =
        GOOGLE__SPANNER__V1__MULTIPLEXED_SESSION_PRECOMMIT_TOKEN__INIT;
    request.n_mutations = n_mutations;
    request.mutations = mutations;
    struct spanner_call call = {.path = "/google.spanner.v1.Spanner/Commit",
                                .request = &request.base,
                                .route_key = "session",
                                .route = base_text_of(connection->session),
                                .to_leader = true,
                                .arena = arena};
    int64_t deadline_mono_ns = spanner_answer_deadline(connection);
    int64_t wait_ms = BASE_SPANNER_REPEAT_WAIT_FIRST_MS;
    bool may_have_committed = false;
    int n_tokens = 0;
    for (;;) {
        const Google__Spanner__V1__MultiplexedSessionPrecommitToken *again_with = NULL;
        fill_request(connection, transaction, &request, &token);
        if (call.request_number == 0 && n_tokens == 0) {
            run_first(connection, &call, deadline_mono_ns, next, ret_result);
        } else {
            spanner_run_one(connection, &call, deadline_mono_ns, ret_result);
        }
        if (ret_result->status == BASE_CODE_OK) {
            if (!read_answer(arena, call.body, &again_with)) {
                return SPANNER_MAYBE_COMMITTED;
            }
            if (again_with == NULL) {
                return SPANNER_COMMITTED;
            }
            if (++n_tokens > BASE_SPANNER_COMMIT_TOKENS_MAX) {
                return SPANNER_MAYBE_COMMITTED;
            }
            /* The server has the mutations already: they are not sent twice. */
            spanner_transaction_take_token(transaction, arena, again_with);
            request.n_mutations = 0;
            call.request_number = 0;
            continue;
        }
        may_have_committed = may_have_committed || is_open(ret_result->status);
        bool again = ret_result->status == SPANNER_UNSENT || is_open(ret_result->status);
        if (!again ||
            base_now_mono_ns(&base_clock_system) + wait_ms * BASE_NS_PER_MS >= deadline_mono_ns) {
            return may_have_committed ? SPANNER_MAYBE_COMMITTED : SPANNER_NOT_COMMITTED;
        }
        rest(wait_ms);
        wait_ms = wait_ms * 2 < BASE_SPANNER_REPEAT_WAIT_LAST_MS ? wait_ms * 2
                                                                 : BASE_SPANNER_REPEAT_WAIT_LAST_MS;
    }
}

void spanner_transaction_rollback(struct spanner_connection *connection,
                                  struct spanner_transaction *transaction)
{
    if (transaction->id.length == 0 || connection->session[0] == '\0') {
        return;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    Google__Spanner__V1__RollbackRequest request = GOOGLE__SPANNER__V1__ROLLBACK_REQUEST__INIT;
    request.session = connection->session;
    request.transaction_id = spanner_binary(transaction->id);
    struct spanner_call call = {.path = "/google.spanner.v1.Spanner/Rollback",
                                .request = &request.base,
                                .route_key = "session",
                                .route = base_text_of(connection->session),
                                .to_leader = true,
                                .arena = &arena};
    struct spanner_result ignored;
    spanner_run_one(connection, &call, spanner_deadline(BASE_DATABASE_CONNECT_TIMEOUT_MS),
                    &ignored);
    base_arena_release(&arena);
    *transaction = (struct spanner_transaction){.id = {NULL, 0}};
}

/* --- writes --- */

struct spanner_write *spanner_write_open(struct base_arena *arena, bool update, const char *table,
                                         size_t n_columns, const char *const *columns,
                                         size_t capacity)
{
    struct spanner_write *write = base_arena_take(arena, sizeof *write);
    google__spanner__v1__mutation__init(&write->mutation);
    google__spanner__v1__mutation__write__init(&write->write);
    write->mutation.operation_case = update ? GOOGLE__SPANNER__V1__MUTATION__OPERATION_UPDATE
                                            : GOOGLE__SPANNER__V1__MUTATION__OPERATION_INSERT;
    write->mutation.insert = &write->write;
    write->write.table = (char *)(uintptr_t)table;
    write->write.n_columns = n_columns;
    write->write.columns = (char **)(uintptr_t)columns;
    write->write.values = base_arena_take(arena, capacity * sizeof(spanner_list *));
    return write;
}

void spanner_write_row(struct base_arena *arena, struct spanner_write *write,
                       spanner_value *const *values)
{
    write->write.values[write->write.n_values++] =
        spanner_list_of(arena, write->write.n_columns, values);
}
