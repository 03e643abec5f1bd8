/* The verbs that make one call, or walk pages: add, consume, cancel, balance, history, transaction.
 */
#include "app/answers.h"
#include "app/audit.h"
#include "app/options.h"

/* What the flags of these verbs say; each verb has some of them. */
struct given {
    const char *id;
    const char *account;
    const char *description;
    const char *kind;
    const char *limit;
    struct app_server_flags server;
    bool json;
};

#define ID_FLAG(given)                                                                             \
    {                                                                                              \
        "id", "ID", &(given).id, NULL, "the transaction's id, which you choose"                    \
    }
#define ACCOUNT_FLAG(given)                                                                        \
    {                                                                                              \
        "account", "ID", &(given).account, NULL, "the account"                                     \
    }
#define JSON_FLAG(given)                                                                           \
    {                                                                                              \
        "json", NULL, NULL, &(given).json, "print the answer as JSON, on one line"                 \
    }

/* A call under way, and what came of it. */
struct exchange {
    const char *verb;
    struct base_arena arena;
    struct app_client *client;
    int grpc_status;
    bool replayed;
    struct base_bytes body;
    struct api_failure failure;
};

static void take_response(void *user, const struct wire_response *response)
{
    struct exchange *exchange = user;
    exchange->grpc_status = response->grpc_status;
    if (response->grpc_status != 0) {
        api_failure_read(&exchange->arena, response, &exchange->failure);
        return;
    }
    exchange->body = base_arena_bytes(&exchange->arena, response->body);
    for (size_t i = 0; i < response->n_headers; i++) {
        exchange->replayed =
            exchange->replayed ||
            (base_text_equal(response->headers[i].name, BASE_TEXT("zandaka-replayed")) &&
             base_text_equal(response->headers[i].value, BASE_TEXT("true")));
    }
}

/* Connects. Otherwise printed why not, and the exit status. */
static int connect_server(struct exchange *exchange, const char *verb, const struct given *given)
{
    *exchange = (struct exchange){.verb = verb};
    struct base_text message;
    exchange->client = app_client_open(&given->server.destination, &exchange->arena, &message);
    if (exchange->client != NULL) {
        return APP_EXIT_DONE;
    }
    struct api_failure failure = {.code = BASE_CODE_UNAVAILABLE,
                                  .message = message,
                                  .applied = BASE_TEXT("no"),
                                  .retry = BASE_TEXT("same_request")};
    int status = app_answers_failure(verb, &failure);
    base_arena_release(&exchange->arena);
    return status;
}

static void disconnect(struct exchange *exchange)
{
    app_client_close(exchange->client);
    base_arena_release(&exchange->arena);
}

/* Makes the call and waits. APP_EXIT_DONE: the answer is in exchange->body. */
static int make_call(struct exchange *exchange, const struct api_call *call)
{
    app_client_call(exchange->client, call->path, call->message, take_response, exchange);
    app_client_wait(exchange->client, 0);
    return exchange->grpc_status == 0 ? APP_EXIT_DONE
                                      : app_answers_failure(exchange->verb, &exchange->failure);
}

static int unreadable(const struct exchange *exchange)
{
    (void)fprintf(stderr, "zandaka %s: the server's answer cannot be read: is it a zandaka?\n",
                  exchange->verb);
    return APP_EXIT_COULD_NOT;
}

static int print_json(struct exchange *exchange, const struct api_call *call)
{
    struct base_text json;
    if (!api_read_json(&exchange->arena, call->path, exchange->body, &json)) {
        return unreadable(exchange);
    }
    (void)printf("%.*s\n", BASE_TEXT_ARGS(json));
    return APP_EXIT_DONE;
}

/* Makes a call whose answer is a transaction, and prints it. */
static int call_for_transaction(const char *verb, const struct given *given,
                                const struct api_call *call, bool is_write)
{
    struct exchange exchange;
    int status = connect_server(&exchange, verb, given);
    if (status != APP_EXIT_DONE) {
        return status;
    }
    status = make_call(&exchange, call);
    struct record_transaction transaction;
    if (status == APP_EXIT_DONE && given->json) {
        status = print_json(&exchange, call);
    } else if (status == APP_EXIT_DONE) {
        if (record_decode(&exchange.arena, exchange.body, &transaction)) {
            app_answers_transaction(&exchange.arena, &transaction,
                                    !is_write           ? APP_LOOKED_UP
                                    : exchange.replayed ? APP_REPLAYED
                                                        : APP_APPLIED_NOW);
        } else {
            status = unreadable(&exchange);
        }
    }
    disconnect(&exchange);
    return status;
}

/* Parses the flags of a verb. Otherwise *ret_status is the exit status. */
static bool parse(int argc, char **argv, const struct app_verb_usage *usage, struct given *given,
                  int *ret_first_operand, int *ret_status)
{
    if (!app_options_parse(argc, argv, usage, ret_first_operand, ret_status)) {
        return false;
    }
    *ret_status = APP_EXIT_USAGE;
    return app_options_server(usage, &given->server);
}

/* Whether a verb's --id or --account is there and can be one. Otherwise printed what is wrong. A
 * read takes the ids that are kept from callers too. */
static bool has_id(const struct app_verb_usage *usage, const char *flag, const char *id)
{
    if (id == NULL) {
        (void)app_options_wrong(usage, "needs --%s", flag);
        return false;
    }
    const char *wrong = api_check_account_id(base_text_of(id));
    if (wrong != NULL) {
        (void)app_options_wrong(usage, "--%s: %s", flag, wrong);
    }
    return wrong == NULL;
}

/* --- writes --- */

static int submit_command(const struct app_verb_usage *usage, const struct given *given,
                          const struct ledger_command *command)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    int status;
    const char *wrong = api_check_command(&arena, command);
    if (wrong != NULL) {
        status = app_options_wrong(usage, "%s", wrong);
    } else {
        struct api_call call;
        api_call_command(&arena, command, &call);
        status = call_for_transaction(usage->verb, given, &call, true);
    }
    base_arena_release(&arena);
    return status;
}

static int change_balance(int argc, char **argv, enum record_operation operation, const char *verb,
                          const char *help)
{
    struct given given = {0};
    const struct app_flag flags[] = {
        ID_FLAG(given),
        ACCOUNT_FLAG(given),
        {"description", "TEXT", &given.description, NULL, "a label of at most 256 bytes"},
        APP_SERVER_FLAGS(given.server),
        JSON_FLAG(given),
    };
    const struct app_verb_usage usage = {verb, "KIND=AMOUNT…", help, sizeof flags / sizeof flags[0],
                                         flags};
    int first;
    int status;
    if (!parse(argc, argv, &usage, &given, &first, &status)) {
        return status;
    }
    if (given.id == NULL || given.account == NULL || first == argc) {
        return app_options_wrong(&usage, "needs --id, --account and at least one KIND=AMOUNT");
    }
    if (argc - first > BASE_AMOUNTS_MAX) {
        return app_options_wrong(&usage, "at most %d amounts", BASE_AMOUNTS_MAX);
    }
    struct ledger_amount amounts[BASE_AMOUNTS_MAX];
    for (int i = first; i < argc; i++) {
        const char *wrong = app_options_amount(argv[i], &amounts[i - first]);
        if (wrong != NULL) {
            return app_options_wrong(&usage, "`%s`: %s", argv[i], wrong);
        }
    }
    struct ledger_command command = {.operation = operation,
                                     .transaction_id = base_text_of(given.id),
                                     .account_id = base_text_of(given.account),
                                     .n_amounts = (size_t)(argc - first),
                                     .amounts = amounts,
                                     .description = base_text_of(given.description)};
    return submit_command(&usage, &given, &command);
}

int app_verb_add(int argc, char **argv)
{
    return change_balance(argc, argv, RECORD_OPERATION_ADD, "add",
                          "Brings amounts, in minor units, into an account. However often it is\n"
                          "repeated with one id, it takes effect once.");
}

int app_verb_consume(int argc, char **argv)
{
    return change_balance(argc, argv, RECORD_OPERATION_CONSUME, "consume",
                          "Takes amounts, in minor units, out of an account: all of them, or none\n"
                          "when one is too large. However often it is repeated with one id, it\n"
                          "takes effect once.");
}

int app_verb_cancel(int argc, char **argv)
{
    struct given given = {0};
    const struct app_flag flags[] = {ID_FLAG(given), APP_SERVER_FLAGS(given.server),
                                     JSON_FLAG(given)};
    const struct app_verb_usage usage = {
        "cancel", "",
        "Fences a transaction id: if nothing has succeeded under it, nothing ever will.\n"
        "What has succeeded is not undone: exit status 3.",
        sizeof flags / sizeof flags[0], flags};
    int first;
    int status;
    if (!parse(argc, argv, &usage, &given, &first, &status)) {
        return status;
    }
    if (given.id == NULL) {
        return app_options_wrong(&usage, "needs --id");
    }
    struct ledger_command command = {.operation = RECORD_OPERATION_CANCEL,
                                     .transaction_id = base_text_of(given.id)};
    return submit_command(&usage, &given, &command);
}

/* --- reads --- */

int app_verb_transaction(int argc, char **argv)
{
    struct given given = {0};
    const char *store = NULL;
    const struct app_flag flags[] = {
        ID_FLAG(given),
        APP_SERVER_FLAGS(given.server),
        JSON_FLAG(given),
        {"store", "URL", &store, NULL, "ask this store, whose server is stopped, and no server"}};
    const struct app_verb_usage usage = {
        "transaction", "",
        "Shows what is recorded under a transaction id. That nothing is does not mean\n"
        "that nothing will be: only cancel settles that. With --store it also shows\n"
        "which caller first succeeded under the id.",
        sizeof flags / sizeof flags[0], flags};
    int first;
    int status;
    if (!parse(argc, argv, &usage, &given, &first, &status)) {
        return status;
    }
    if (!has_id(&usage, "id", given.id)) {
        return APP_EXIT_USAGE;
    }
    if (store != NULL) {
        return (int)app_audit_transaction(store, given.id, given.json);
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_call call;
    api_call_get_transaction(&arena, base_text_of(given.id), &call);
    status = call_for_transaction(usage.verb, &given, &call, false);
    base_arena_release(&arena);
    return status;
}

int app_verb_balance(int argc, char **argv)
{
    struct given given = {0};
    const struct app_flag flags[] = {ACCOUNT_FLAG(given), APP_SERVER_FLAGS(given.server),
                                     JSON_FLAG(given)};
    const struct app_verb_usage usage = {"balance", "",
                                         "Shows what an account has of each kind, in minor units.",
                                         sizeof flags / sizeof flags[0], flags};
    int first;
    int status;
    if (!parse(argc, argv, &usage, &given, &first, &status)) {
        return status;
    }
    if (!has_id(&usage, "account", given.account)) {
        return APP_EXIT_USAGE;
    }
    struct exchange exchange;
    status = connect_server(&exchange, usage.verb, &given);
    if (status != APP_EXIT_DONE) {
        return status;
    }
    struct api_call call;
    api_call_get_balance(&exchange.arena, base_text_of(given.account), &call);
    status = make_call(&exchange, &call);
    struct api_account account;
    if (status == APP_EXIT_DONE && given.json) {
        status = print_json(&exchange, &call);
    } else if (status == APP_EXIT_DONE) {
        if (api_read_account(&exchange.arena, exchange.body, &account)) {
            app_answers_account(&exchange.arena, &account);
        } else {
            status = unreadable(&exchange);
        }
    }
    disconnect(&exchange);
    return status;
}

/* Reads pages until there are `limit` entries or no more. */
static int read_history(struct exchange *exchange, const struct given *given, size_t limit,
                        struct api_entry *entries, size_t *ret_n_entries)
{
    struct base_text page_token = {NULL, 0};
    size_t n_entries = 0;
    do {
        size_t missing = limit - n_entries;
        int32_t page_size = (int32_t)(missing < BASE_PAGE_MAX ? missing : BASE_PAGE_MAX);
        struct api_call call;
        api_call_list_entries(&exchange->arena, base_text_of(given->account),
                              base_text_of(given->kind), page_size, page_token, &call);
        int status = make_call(exchange, &call);
        if (status != APP_EXIT_DONE) {
            return status;
        }
        size_t n_page;
        struct api_entry *page;
        if (!api_read_entries(&exchange->arena, exchange->body, &n_page, &page, &page_token) ||
            n_page > missing) {
            return unreadable(exchange);
        }
        for (size_t i = 0; i < n_page; i++) {
            entries[n_entries++] = page[i];
        }
    } while (page_token.length > 0 && n_entries < limit);
    *ret_n_entries = n_entries;
    return APP_EXIT_DONE;
}

static int show_history(const struct given *given, size_t limit)
{
    struct exchange exchange;
    int status = connect_server(&exchange, "history", given);
    if (status != APP_EXIT_DONE) {
        return status;
    }
    size_t n_entries = 0;
    struct api_entry *entries = base_arena_take(&exchange.arena, limit * sizeof entries[0]);
    status = read_history(&exchange, given, limit, entries, &n_entries);
    if (status == APP_EXIT_DONE && given->json) {
        for (size_t i = 0; i < n_entries; i++) {
            (void)printf("%.*s\n", BASE_TEXT_ARGS(entries[i].json));
        }
    } else if (status == APP_EXIT_DONE) {
        app_answers_entries(&exchange.arena, n_entries, entries);
    }
    disconnect(&exchange);
    return status;
}

int app_verb_history(int argc, char **argv)
{
    struct given given = {0};
    const struct app_flag flags[] = {
        ACCOUNT_FLAG(given),
        {"kind", "KIND", &given.kind, NULL, "only entries of this kind"},
        {"limit", "N", &given.limit, NULL, "at most so many, 1 to 100000 (default 50)"},
        APP_SERVER_FLAGS(given.server),
        JSON_FLAG(given),
    };
    const struct app_verb_usage usage = {"history", "", "Shows an account's history, newest first.",
                                         sizeof flags / sizeof flags[0], flags};
    int first;
    int status;
    if (!parse(argc, argv, &usage, &given, &first, &status)) {
        return status;
    }
    if (!has_id(&usage, "account", given.account)) {
        return APP_EXIT_USAGE;
    }
    const char *wrong = given.kind == NULL ? NULL : api_check_kind_code(base_text_of(given.kind));
    if (wrong != NULL) {
        return app_options_wrong(&usage, "--kind: %s", wrong);
    }
    int64_t limit = BASE_HISTORY_DEFAULT;
    if (given.limit != NULL && (!base_text_to_int64(base_text_of(given.limit), &limit) ||
                                limit < 1 || limit > BASE_HISTORY_MAX)) {
        return app_options_wrong(&usage, "--limit is 1 to %d, not `%s`", BASE_HISTORY_MAX,
                                 given.limit);
    }
    return show_history(&given, (size_t)limit);
}
