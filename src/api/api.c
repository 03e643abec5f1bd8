/* Exchanges: routing, the way through the service, and the reply in the request's form. */
#include "api/api.h"

#include "api/exchange.h"
#include "zandaka/v1/transaction.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* gRPC with messages in JSON, as clients without protobuf speak it. */
#define GRPC_JSON "application/grpc+json"

struct api *api_open(const struct api_options *options)
{
    struct api *api = base_allocate_zeroed(1, sizeof *api);
    api->service = options->service;
    api->store = options->store;
    api->kinds = options->kinds;
    api->clock = options->clock;
    api->reflection = api_reflection_open();
    api->access = options->access;
    atomic_init(&api->draining, false);
    api->write_metrics = options->write_metrics;
    api->metrics_context = options->metrics_context;
    api_counts_open(&api->counts);
    for (size_t i = 0; i < api->kinds->n_kinds; i++) {
        struct base_text code = api->kinds->kinds[i].code;
        base_assert(code.length <= BASE_KIND_MAX_BYTES);
        memcpy(api->kind_codes[i], code.bytes, code.length);
    }
    return api;
}

void api_set_draining(struct api *api)
{
    atomic_store(&api->draining, true);
}

bool api_ready(struct api *api, const char **ret_reason)
{
    if (atomic_load(&api->draining)) {
        *ret_reason = "draining";
        return false;
    }
    return store_ready(api->store, ret_reason);
}

void api_close(struct api *api)
{
    api_counts_close(&api->counts);
    api_reflection_close(api->reflection);
    free(api);
}

/* --- start --- */

int64_t api_deadline_of(const struct api *api, int64_t timeout_ns)
{
    if (timeout_ns < 0) {
        return BASE_NO_DEADLINE;
    }
    int64_t now_ns = base_now_mono_ns(api->clock);
    return timeout_ns > BASE_NO_DEADLINE - now_ns ? BASE_NO_DEADLINE : now_ns + timeout_ns;
}

bool api_exchange_refuse(struct api_exchange *exchange, const struct api_violations *violations)
{
    struct api_violations *kept = base_arena_take(exchange->arena, sizeof *kept);
    *kept = *violations;
    exchange->error = (struct api_error){.reason = BASE_REASON_INVALID_REQUEST, .violations = kept};
    return false;
}

bool api_exchange_refuse_field(struct api_exchange *exchange, struct base_text field,
                               struct base_text description)
{
    struct api_violations violations =
        api_violations_open(exchange->arena, BASE_VIOLATIONS_MAX_BYTES);
    api_violations_add(&violations, field, description);
    return api_exchange_refuse(exchange, &violations);
}

/* What HTTP itself refuses, in our words: too large, a form that is not spoken here, or wrong. */
static bool refuse_as_http(struct api_exchange *exchange)
{
    const struct wire_refusal *refusal = &exchange->request->refusal;
    exchange->page.http_status = refusal->http_status;
    exchange->error.message = refusal->message;
    switch (refusal->http_status) {
    case 431:
        exchange->error.reason = BASE_REASON_REQUEST_TOO_LARGE;
        break;
    case 501:
    case 505:
        exchange->error.reason = BASE_REASON_UNIMPLEMENTED;
        break;
    default:
        exchange->error.reason = BASE_REASON_INVALID_REQUEST;
        break;
    }
    return false;
}

static bool start_defective(struct api_exchange *exchange)
{
    if (exchange->request->defect == WIRE_DEFECT_REFUSED) {
        return refuse_as_http(exchange);
    }
    if (exchange->request->defect == WIRE_DEFECT_TOO_LARGE) {
        exchange->error.reason = BASE_REASON_REQUEST_TOO_LARGE;
        return false;
    }
    return api_exchange_refuse_field(exchange, BASE_TEXT(""),
                                     BASE_TEXT("connect-timeout-ms must be 1 to 10 digits"));
}

/* Decodes the body and begins the method; as api_method's start. */
static bool start_method(struct api_exchange *exchange)
{
    const struct api_method *method = exchange->method;
    struct base_bytes body = exchange->message;
    struct api_codec_error wrong;
    ProtobufCMessage *message =
        exchange->form == API_FORM_JSON
            ? api_codec_from_json(exchange->arena, method->request, base_text_from(body), &wrong)
            : api_codec_unpack(exchange->arena, method->request, body, method->unknown, &wrong);
    if (message == NULL) {
        return api_exchange_refuse_field(exchange, wrong.field, wrong.message);
    }
    exchange->deadline_mono_ns = api_deadline_of(exchange->api, exchange->request->timeout_ns);
    return method->start(exchange, message);
}

bool api_admits(struct api *api, const struct wire_request *request, const struct api_peer *peer)
{
    const struct api_method *method = api_method_at(request->path);
    return method != NULL && !method->is_everybodys && api_permission_knows(api, request, peer);
}

/* Nothing else was wrong with a request that api_admits refused. */
static bool refuse_unread(struct api_exchange *exchange)
{
    /* A caller that has become known since, by another table, comes again with its body. */
    exchange->error.reason = exchange->method->is_everybodys ? BASE_REASON_REQUEST_TOO_LARGE
                                                             : BASE_REASON_UNAUTHENTICATED;
    return false;
}

/* True: the service has it. */
static bool start(struct api_exchange *exchange)
{
    exchange->form = base_text_equal(exchange->request->content_type, BASE_TEXT(GRPC_JSON))
                         ? API_FORM_JSON
                         : API_FORM_PROTOBUF;
    exchange->message = exchange->request->body;
    exchange->method = api_method_at(exchange->request->path);
    exchange->counted = exchange->method != NULL || exchange->request->form == WIRE_GRPC;
    if (exchange->counted) {
        api_counts_start(api_counts_of(&exchange->api->counts, exchange->method));
    }
    bool unread = exchange->request->defect == WIRE_DEFECT_UNREAD;
    if (exchange->request->defect != WIRE_DEFECT_NONE && !unread) {
        return start_defective(exchange);
    }
    if (exchange->request->form == WIRE_HTTP && api_page_for(exchange)) {
        return false;
    }
    if (exchange->method == NULL) {
        exchange->error.reason = BASE_REASON_UNIMPLEMENTED;
        return false;
    }
    /* Before the body is looked at: a stranger's costs nothing, and tells a stranger nothing. */
    return api_permission_begin(exchange) &&
           (unread ? refuse_unread(exchange) : start_method(exchange));
}

static size_t count_held_bytes(const struct api_exchange *exchange)
{
    return base_arena_held(exchange->arena) + exchange->request->body.length;
}

struct api_exchange *api_start(struct api *api, struct wire_request *request,
                               const struct api_peer *peer, void (*finished)(void *context),
                               void *context)
{
    struct api_exchange *exchange = base_arena_take_zeroed(&request->arena, 1, sizeof *exchange);
    exchange->api = api;
    exchange->request = request;
    exchange->arena = &request->arena;
    exchange->caller = peer->number;
    exchange->peer = peer;
    exchange->finished = finished;
    exchange->context = context;
    exchange->started_mono_ns = base_now_mono_ns(api->clock);
    if (!start(exchange)) {
        exchange->held_bytes = count_held_bytes(exchange);
        finished(context);
    }
    return exchange;
}

/* --- through the service --- */

static void write_done(struct service_call *call)
{
    struct api_exchange *exchange = call->context;
    exchange->finished(exchange->context);
}

bool api_exchange_write(struct api_exchange *exchange, size_t n_commands,
                        const struct ledger_command *commands)
{
    exchange->results =
        base_arena_take_zeroed(exchange->arena, n_commands, sizeof exchange->results[0]);
    exchange->call = (struct service_call){
        .caller = exchange->caller,
        .n_commands = n_commands,
        .commands = commands,
        .results = exchange->results,
        .deadline_mono_ns = exchange->deadline_mono_ns,
        .arena = exchange->arena,
        .done = write_done,
        .context = exchange,
    };
    /* Counted now: from the next line on the arena is the service's. */
    exchange->held_bytes = count_held_bytes(exchange);
    enum base_reason refusal = service_submit(exchange->api->service, &exchange->call);
    if (refusal != BASE_REASON_NONE) {
        exchange->error.reason = refusal;
        return false;
    }
    return true;
}

static void read_run(struct service_read *read, struct store *store)
{
    struct api_exchange *exchange = read->context;
    exchange->fault = exchange->method->read(exchange, store);
}

static enum base_reason reason_of_fault(enum store_fault fault)
{
    switch (fault) {
    case STORE_OK:
        return BASE_REASON_NONE;
    case STORE_UNAVAILABLE:
        return BASE_REASON_STORE_UNAVAILABLE;
    case STORE_CORRUPT:
    case STORE_CONFLICT:
    case STORE_UNKNOWN:
        break;
    }
    base_log(BASE_LOG_ERROR, "a read failed: what the store holds is corrupt");
    return BASE_REASON_INTERNAL;
}

static void read_done(struct service_read *read, enum base_reason reason)
{
    struct api_exchange *exchange = read->context;
    exchange->error.reason = reason != BASE_REASON_NONE ? reason : reason_of_fault(exchange->fault);
    exchange->finished(exchange->context);
}

bool api_exchange_read(struct api_exchange *exchange, size_t answer_bytes)
{
    exchange->read = (struct service_read){
        .caller = exchange->caller,
        .run = read_run,
        .done = read_done,
        .deadline_mono_ns = exchange->deadline_mono_ns,
        .context = exchange,
    };
    exchange->held_bytes = count_held_bytes(exchange) + answer_bytes;
    enum base_reason refusal = service_submit_read(exchange->api->service, &exchange->read);
    if (refusal != BASE_REASON_NONE) {
        exchange->error.reason = refusal;
        return false;
    }
    return true;
}

/* --- reply --- */

static const struct wire_header *one_header(struct base_arena *arena, struct base_text name,
                                            struct base_text value)
{
    struct wire_header *header = base_arena_take(arena, sizeof *header);
    *header = (struct wire_header){name, value};
    return header;
}

/* The answer's body in the exchange's form. False: a record that cannot be read, exchange->error
 * says so. */
static bool encode_answer(struct api_exchange *exchange, const struct api_answer *answer,
                          struct base_bytes *ret_body)
{
    const ProtobufCMessage *message = answer->message;
    if (exchange->form == API_FORM_PROTOBUF) {
        *ret_body = message == NULL ? answer->record : api_codec_pack(exchange->arena, message);
        return true;
    }
    if (message == NULL) {
        message = api_record_message(exchange, answer->record);
    }
    if (message == NULL) {
        return false;
    }
    *ret_body = base_bytes_of(api_codec_to_json(exchange->arena, message));
    return true;
}

const ProtobufCMessage *api_record_message(struct api_exchange *exchange, struct base_bytes record)
{
    /* A later version may have recorded fields that this one does not know. */
    struct api_codec_error wrong;
    const ProtobufCMessage *message =
        api_codec_unpack(exchange->arena, &zandaka__v1__transaction__descriptor, record,
                         API_CODEC_PASS_UNKNOWN, &wrong);
    if (message == NULL) {
        base_log(BASE_LOG_ERROR, "a record cannot be read: %.*s", BASE_TEXT_ARGS(wrong.message));
        exchange->error = (struct api_error){.reason = BASE_REASON_INTERNAL};
    }
    return message;
}

/* The answer of a method that did not fail so far. False: exchange->error says why. */
static bool reply_answer(struct api_exchange *exchange, struct wire_reply *ret_reply)
{
    struct api_answer answer = {0};
    exchange->method->answer(exchange, &answer);
    if (exchange->error.reason != BASE_REASON_NONE) {
        return false;
    }
    struct base_bytes body;
    if (!encode_answer(exchange, &answer, &body)) {
        return false;
    }
    *ret_reply = (struct wire_reply){
        .grpc_status = BASE_CODE_OK,
        .http_status = 200,
        .content_type = api_connect_content_type(exchange->form),
        .body = body,
    };
    if (base_text_equal(exchange->request->method, BASE_TEXT("GET"))) {
        /* A balance of a moment ago must not come out of a cache on the way. */
        ret_reply->n_headers = 1;
        ret_reply->headers =
            one_header(exchange->arena, BASE_TEXT("cache-control"), BASE_TEXT("no-store"));
    }
    if (answer.replayed) {
        ret_reply->n_headers = 1;
        ret_reply->headers =
            one_header(exchange->arena, BASE_TEXT("zandaka-replayed"), BASE_TEXT("true"));
    }
    return true;
}

void api_error_reply_grpc(struct base_arena *arena, const struct api_error *error,
                          struct wire_reply *ret_reply)
{
    const struct base_error *row = base_error_of(error->reason);
    Google__Rpc__Status *status = api_error_status(arena, error);
    *ret_reply = (struct wire_reply){
        .grpc_status = row->code,
        .grpc_message = base_text_of(status->message),
        .grpc_status_details = api_codec_pack(arena, &status->base),
    };
    /* gRPC's own words for "do not repeat it", and for "not before" (contract 4). */
    struct base_text pushback = BASE_TEXT("");
    if (base_text_equal(base_text_of(row->retry), BASE_TEXT("never"))) {
        pushback = BASE_TEXT("-1");
    } else if (error->retry_delay_ns > 0) {
        int64_t delay_ms = (error->retry_delay_ns - 1) / BASE_NS_PER_MS + 1;
        pushback = base_arena_print(arena, "%lld", (long long)delay_ms);
    }
    if (pushback.length > 0) {
        ret_reply->n_trailers = 1;
        ret_reply->trailers = one_header(arena, BASE_TEXT("grpc-retry-pushback-ms"), pushback);
    }
}

static void reply_http_error(struct api_exchange *exchange, struct wire_reply *ret_reply)
{
    int http_status = exchange->page.http_status;
    *ret_reply = (struct wire_reply){
        .http_status =
            http_status != 0 ? http_status : base_error_of(exchange->error.reason)->http_status,
        .content_type = BASE_TEXT("application/json"),
        .body = base_bytes_of(api_error_json(exchange->arena, &exchange->error)),
    };
    if (exchange->page.allow.length > 0) {
        ret_reply->n_headers = 1;
        ret_reply->headers = one_header(exchange->arena, BASE_TEXT("allow"), exchange->page.allow);
    } else if (exchange->error.reason == BASE_REASON_UNAUTHENTICATED) {
        ret_reply->n_headers = 1;
        ret_reply->headers =
            one_header(exchange->arena, BASE_TEXT("www-authenticate"), BASE_TEXT("Bearer"));
    }
}

static void reply_page(const struct api_page *page, struct wire_reply *ret_reply)
{
    *ret_reply = (struct wire_reply){
        .http_status = page->http_status,
        .content_type = page->content_type.length > 0 ? page->content_type
                                                      : BASE_TEXT("text/plain; charset=utf-8"),
        .body = base_bytes_of(page->text),
    };
}

void api_reply(struct api_exchange *exchange, struct wire_reply *ret_reply)
{
    bool failed = exchange->error.reason != BASE_REASON_NONE;
    if (!failed && exchange->page.http_status != 0) {
        reply_page(&exchange->page, ret_reply);
    } else if (failed || !reply_answer(exchange, ret_reply)) {
        if (exchange->request->form == WIRE_GRPC) {
            api_error_reply_grpc(exchange->arena, &exchange->error, ret_reply);
        } else {
            reply_http_error(exchange, ret_reply);
        }
    }
    exchange->answered = true;
    if (exchange->request->form == WIRE_GRPC && exchange->form == API_FORM_JSON) {
        ret_reply->content_type = BASE_TEXT(GRPC_JSON);
    }
    exchange->held_bytes = count_held_bytes(exchange);
}

size_t api_held_bytes(const struct api_exchange *exchange)
{
    return exchange->held_bytes;
}

void api_end(struct api_exchange *exchange)
{
    struct api *api = exchange->api;
    if (exchange->counted) {
        api_counts_end(&api->counts, api_counts_of(&api->counts, exchange->method),
                       exchange->error.reason, exchange->answered,
                       base_now_mono_ns(api->clock) - exchange->started_mono_ns);
    }
    if (exchange->known != NULL) {
        access_release(exchange->known);
    }
    /* The exchange lives in what is released. */
    wire_request_release(exchange->request);
}
