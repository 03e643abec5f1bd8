/*
 * Who calls, and whether it may (contract 4 and 7): what access knows of callers, in the words of
 * requests. Without access nobody is asked who calls, and all is allowed.
 */
#include "api/exchange.h"
#include "api/stream.h"

/* What the page /metrics is called among a caller's methods. */
#define METRICS "metrics"

/* A call, as far as who calls is concerned: an exchange's or a stream's. */
struct asked {
    struct api *api;
    const struct wire_request *request;
    struct base_arena *arena; /* for what is told of a refusal */
    const struct api_peer *peer;
    const char *method;          /* as callers are allowed or denied it */
    struct access_known **known; /* the call's, to be set */
    struct api_error *error;     /* the same */
};

static struct asked asked_of(struct api_exchange *exchange)
{
    return (struct asked){.api = exchange->api,
                          .request = exchange->request,
                          .arena = exchange->arena,
                          .peer = exchange->peer,
                          .method = exchange->method != NULL ? exchange->method->name : METRICS,
                          .known = &exchange->known,
                          .error = &exchange->error};
}

/* Refuses, counts and logs. Always false. */
static bool refuse_asked(const struct asked *asked, enum access_refusal refusal,
                         struct api_error error, struct base_text what)
{
    *asked->error = error;
    struct base_text told = base_arena_print(asked->arena, "%s%s%.*s", asked->method,
                                             what.length > 0 ? ": " : "", BASE_TEXT_ARGS(what));
    access_note_refusal(asked->api->access, refusal, *asked->known, told,
                        base_now_mono_ns(asked->api->clock));
    return false;
}

static bool refuse(struct api_exchange *exchange, enum access_refusal refusal,
                   struct api_error error, struct base_text what)
{
    struct asked asked = asked_of(exchange);
    return refuse_asked(&asked, refusal, error, what);
}

/* Two different words on who calls are none. */
static bool take_authorization(const struct wire_request *request,
                               struct access_credentials *credentials)
{
    struct base_text name = BASE_TEXT("authorization");
    for (size_t i = 0; i < request->n_headers; i++) {
        if (!base_text_equal(request->headers[i].name, name)) {
            continue;
        }
        if (credentials->has_authorization) {
            return false;
        }
        credentials->has_authorization = true;
        credentials->authorization = request->headers[i].value;
    }
    return true;
}

static const char *recognize(const struct asked *asked)
{
    const struct api_peer *peer = asked->peer;
    struct access_credentials credentials = {.n_certificate_names = peer->n_certificate_names,
                                             .certificate_names = peer->certificate_names};
    if (!take_authorization(asked->request, &credentials)) {
        return "there are two authorization headers";
    }
    *asked->known = access_recognize(asked->api->access, &credentials);
    if (*asked->known != NULL) {
        return NULL;
    }
    return credentials.has_authorization ? "the authorization is not a known caller's Bearer token"
           : credentials.n_certificate_names > 0
               ? "the certificate is not a known caller's, and there is no authorization"
               : "there is no authorization: send the header `authorization: Bearer TOKEN`";
}

/* There is access. */
static bool begin_asked(const struct asked *asked)
{
    const char *unknown = recognize(asked);
    if (unknown != NULL) {
        struct api_error error = {.reason = BASE_REASON_UNAUTHENTICATED,
                                  .message = base_text_of(unknown)};
        return refuse_asked(asked, ACCESS_UNAUTHENTICATED, error, error.message);
    }
    int64_t wait_ns;
    if (!access_take_call(*asked->known, base_now_mono_ns(asked->api->clock), &wait_ns)) {
        struct api_error error = {.reason = BASE_REASON_RATE_LIMITED, .retry_delay_ns = wait_ns};
        return refuse_asked(asked, ACCESS_RATE_LIMITED, error, BASE_TEXT(""));
    }
    return true;
}

static bool begin(struct api_exchange *exchange)
{
    struct asked asked = asked_of(exchange);
    if (!begin_asked(&asked)) {
        return false;
    }
    exchange->caller = access_line(exchange->known);
    return true;
}

bool api_permission_knows(struct api *api, const struct wire_request *request,
                          const struct api_peer *peer)
{
    if (api->access == NULL) {
        return true;
    }
    struct access_known *known = NULL;
    struct asked asked = {.api = api, .request = request, .peer = peer, .known = &known};
    if (recognize(&asked) != NULL) {
        return false;
    }
    access_release(known);
    return true;
}

bool api_permission_begin(struct api_exchange *exchange)
{
    return exchange->api->access == NULL || exchange->method->is_everybodys || begin(exchange);
}

static struct api_error denied_method(struct base_arena *arena, const char *method)
{
    return (struct api_error){.reason = BASE_REASON_PERMISSION_DENIED,
                              .message =
                                  base_arena_print(arena, "this caller may not call %s", method)};
}

static bool judge_method(const struct asked *asked)
{
    if (*asked->known == NULL || access_allows_method(*asked->known, base_text_of(asked->method))) {
        return true;
    }
    return refuse_asked(asked, ACCESS_DENIED, denied_method(asked->arena, asked->method),
                        BASE_TEXT(""));
}

bool api_permission_method(struct api_exchange *exchange)
{
    struct asked asked = asked_of(exchange);
    return judge_method(&asked);
}

bool api_permission_metrics(struct api_exchange *exchange)
{
    struct asked asked = asked_of(exchange);
    return exchange->api->access == NULL || (begin(exchange) && judge_method(&asked));
}

bool api_permission_stream(struct api_stream *stream, const struct api_peer *peer)
{
    struct asked asked = {.api = stream->api,
                          .request = stream->request,
                          .arena = &stream->request->arena,
                          .peer = peer,
                          .method = stream->method->name,
                          .known = &stream->known,
                          .error = &stream->error};
    return stream->api->access == NULL || stream->method->is_everybodys ||
           (begin_asked(&asked) && judge_method(&asked));
}

/* The name of a method that callers are allowed or denied; NULL: the method is everybody's. */
static const char *grantable_name(size_t index)
{
    if (index >= api_method_count()) {
        const struct api_stream_method *streamed =
            api_stream_method_number(index - api_method_count());
        return streamed->is_everybodys ? NULL : streamed->name;
    }
    struct base_text service;
    const struct api_method *method = api_method_number(index, &service);
    return method->is_everybodys ? NULL : method->name;
}

/* Unary and streamed. */
static size_t n_methods(void)
{
    return api_method_count() + api_stream_method_count();
}

bool api_has_method(struct base_text name)
{
    for (size_t i = 0; i < n_methods(); i++) {
        const char *grantable = grantable_name(i);
        if (grantable != NULL && base_text_equal(name, base_text_of(grantable))) {
            return true;
        }
    }
    return base_text_equal(name, BASE_TEXT(METRICS));
}

const char *api_method_names(struct base_arena *arena)
{
    struct base_text names = BASE_TEXT("");
    for (size_t i = 0; i < n_methods(); i++) {
        const char *grantable = grantable_name(i);
        if (grantable != NULL) {
            names = base_arena_print(arena, "%.*s%s, ", BASE_TEXT_ARGS(names), grantable);
        }
    }
    return base_arena_print(arena, "%.*s" METRICS, BASE_TEXT_ARGS(names)).bytes;
}

static const char *method_of(enum record_operation operation)
{
    switch (operation) {
    case RECORD_OPERATION_ADD:
        return "Add";
    case RECORD_OPERATION_CONSUME:
        return "Consume";
    case RECORD_OPERATION_CANCEL:
        return "Cancel";
    case RECORD_OPERATION_NONE:
        break;
    }
    base_assert(false);
    return "";
}

static struct api_error denied_id(struct api_exchange *exchange, struct base_text transaction_id)
{
    return (struct api_error){
        .reason = BASE_REASON_PERMISSION_DENIED,
        .message = base_arena_print(exchange->arena,
                                    "this caller may not use the transaction id %.*s: its ids "
                                    "begin otherwise",
                                    BASE_TEXT_ARGS(transaction_id))};
}

static struct api_error denied_kind(struct api_exchange *exchange, struct base_text kind)
{
    return (struct api_error){.reason = BASE_REASON_PERMISSION_DENIED,
                              .kind = kind,
                              .message = base_arena_print(exchange->arena,
                                                          "this caller may not use the kind %.*s",
                                                          BASE_TEXT_ARGS(kind))};
}

/* The method first, then the id, then each kind in the request's order: one request has one
 * answer. Reason NONE: allowed. */
static struct api_error judge_command(struct api_exchange *exchange,
                                      const struct ledger_command *command)
{
    const struct access_known *known = exchange->known;
    const char *method = method_of(command->operation);
    if (!access_allows_method(known, base_text_of(method))) {
        return denied_method(exchange->arena, method);
    }
    if (!access_allows_id(known, command->transaction_id)) {
        return denied_id(exchange, command->transaction_id);
    }
    for (size_t i = 0; i < command->n_amounts; i++) {
        if (!access_allows_kind(known, command->amounts[i].kind)) {
            return denied_kind(exchange, command->amounts[i].kind);
        }
    }
    return (struct api_error){.reason = BASE_REASON_NONE};
}

bool api_permission_command(struct api_exchange *exchange, struct ledger_command *command)
{
    if (exchange->known == NULL) {
        return true;
    }
    command->caller = access_name(exchange->known);
    struct api_error error = judge_command(exchange, command);
    return error.reason == BASE_REASON_NONE ||
           refuse(exchange, ACCESS_DENIED, error, error.message);
}

bool api_permission_id(struct api_exchange *exchange, struct base_text transaction_id)
{
    if (exchange->known == NULL || access_allows_id(exchange->known, transaction_id)) {
        return true;
    }
    struct api_error error = denied_id(exchange, transaction_id);
    return refuse(exchange, ACCESS_DENIED, error, error.message);
}

bool api_permission_kind(struct api_exchange *exchange, struct base_text kind)
{
    if (exchange->known == NULL || access_allows_kind(exchange->known, kind)) {
        return true;
    }
    struct api_error error = denied_kind(exchange, kind);
    return refuse(exchange, ACCESS_DENIED, error, error.message);
}

bool api_permission_shows_id(const struct api_exchange *exchange, struct base_text transaction_id)
{
    return exchange->known == NULL || access_allows_id(exchange->known, transaction_id);
}

bool api_permission_shows_kind(const struct api_exchange *exchange, struct base_text kind)
{
    return exchange->known == NULL || access_allows_kind(exchange->known, kind);
}
