#include "app/audit.h"

#include "app/answers.h"

#define VERB "transaction"

/* What is kept under an id. */
struct found {
    bool found;
    struct base_bytes record;
    struct base_text caller; /* empty: not known */
};

static enum store_fault find(struct store *store, struct base_text transaction_id,
                             struct base_arena *arena, struct found *ret_found)
{
    enum store_fault fault =
        store_read_transaction(store, transaction_id, arena, &ret_found->found, &ret_found->record);
    if (fault != STORE_OK || !ret_found->found) {
        return fault;
    }
    /* What is recorded stays, and so does what is beside it: two reads show one moment. */
    return store_read_caller(store, transaction_id, arena, &ret_found->found, &ret_found->caller);
}

static enum app_exit print_json(struct base_arena *arena, const struct found *found)
{
    struct api_call call;
    struct base_text json;
    api_call_get_transaction(arena, BASE_TEXT("any"), &call);
    if (!api_read_json(arena, call.path, found->record, &json)) {
        return APP_EXIT_COULD_NOT;
    }
    /* A caller's name needs no escaping. */
    (void)printf("{\"transaction\":%.*s,\"caller\":\"%.*s\"}\n", BASE_TEXT_ARGS(json),
                 BASE_TEXT_ARGS(found->caller));
    return APP_EXIT_DONE;
}

static enum app_exit print_lines(struct base_arena *arena, const struct found *found)
{
    struct record_transaction transaction;
    if (!record_decode(arena, found->record, &transaction)) {
        return APP_EXIT_COULD_NOT;
    }
    app_answers_transaction(arena, &transaction, APP_LOOKED_UP);
    (void)printf(
        "caller       %.*s\n",
        BASE_TEXT_ARGS(found->caller.length > 0 ? found->caller : BASE_TEXT("(nobody was asked)")));
    return APP_EXIT_DONE;
}

static enum app_exit print_found(struct store *store, const char *transaction_id, bool json,
                                 struct base_arena *arena)
{
    struct found found = {0};
    if (find(store, base_text_of(transaction_id), arena, &found) != STORE_OK) {
        (void)fprintf(stderr, "zandaka " VERB ": the store cannot be read there: run `zandaka "
                              "verify` on it\n");
        return APP_EXIT_COULD_NOT;
    }
    if (!found.found) {
        struct api_failure failure = {
            .code = BASE_CODE_NOT_FOUND,
            .message = base_text_of(base_error_of(BASE_REASON_TRANSACTION_NOT_FOUND)->message),
            .reason = BASE_TEXT("TRANSACTION_NOT_FOUND"),
            .applied = BASE_TEXT("no"),
            .retry = BASE_TEXT("after_change")};
        return (enum app_exit)app_answers_failure(VERB, &failure);
    }
    enum app_exit status = json ? print_json(arena, &found) : print_lines(arena, &found);
    if (status != APP_EXIT_DONE) {
        (void)fprintf(stderr,
                      "zandaka " VERB ": the record cannot be read: run `zandaka verify` on "
                      "the store\n");
    }
    return status;
}

enum app_exit app_audit_transaction(const char *store_url, const char *transaction_id, bool json)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message;
    enum app_exit status = APP_EXIT_COULD_NOT;
    struct store *store = app_store_open(base_text_of(store_url), NULL, &arena, &message, &status);
    if (store == NULL) {
        (void)fprintf(stderr, "zandaka " VERB ": %.*s\n", BASE_TEXT_ARGS(message));
    } else {
        status = print_found(store, transaction_id, json, &arena);
        store_close(store);
    }
    base_arena_release(&arena);
    return status;
}
