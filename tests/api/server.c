#include "api/server.h"

#include "api/codec.h"
#include "api/exchange.h"
#include "store/memory/memory.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zandaka/v1/balance_service.pb-c.h>

#include <cmocka.h>

/* --- the server --- */

static int64_t clock_real_us(void *context)
{
    return ((struct server *)context)->now_us;
}

static int64_t clock_mono_ns(void *context)
{
    return ((struct server *)context)->now_ns;
}

static enum store_faulty_event choose(void *context, enum store_faulty_call call)
{
    struct server *server = context;
    switch (call) {
    case STORE_FAULTY_LOAD:
        return server->on_load;
    case STORE_FAULTY_COMMIT:
        if (server->after_commit != STORE_FAULTY_NONE) {
            server->on_load = server->after_commit;
        }
        return server->on_commit;
    case STORE_FAULTY_READ:
        return server->on_read;
    }
    return STORE_FAULTY_NONE;
}

static void open_service(struct server *server, unsigned n_readers)
{
    server->n_readers = n_readers;
    server->service = service_open(&(struct service_options){.store = server->store,
                                                             .kinds = &server->kinds,
                                                             .clock = &server->clock,
                                                             .n_readers = n_readers,
                                                             .seed = 1});
    server->api = api_open(&(struct api_options){.service = server->service,
                                                 .store = server->store,
                                                 .kinds = &server->kinds,
                                                 .clock = &server->clock});
}

void server_open(struct server *server, unsigned n_readers)
{
    memset(server, 0, sizeof *server);
    server->kinds.n_kinds = 3;
    server->kinds.kinds[0] = (struct ledger_kind){BASE_TEXT("points"), 1000, 500, false};
    server->kinds.kinds[1] =
        (struct ledger_kind){BASE_TEXT("old"), INT64_MAX, BASE_AMOUNT_MAX, false};
    server->kinds.kinds[2] =
        (struct ledger_kind){BASE_TEXT("money"), INT64_MAX, BASE_AMOUNT_MAX, false};
    server->now_us = SERVER_NOW_US;
    server->now_ns = 1;
    server->clock = (struct base_clock){clock_real_us, clock_mono_ns, server};
    server->store = store_faulty_open(store_memory_open(&server->kinds), choose, server);
    open_service(server, n_readers);
}

void server_withdraw(struct server *server)
{
    service_close(server->service);
    api_close(server->api);
    server->kinds.kinds[1].withdrawn = true;
    open_service(server, 0);
}

void server_close(struct server *server)
{
    service_close(server->service);
    api_close(server->api);
    store_close(server->store);
    base_arena_release(&server->arena);
}

/* --- requests --- */

struct wire_request *server_request(struct server *server, enum wire_form form, const char *method,
                                    struct base_bytes body)
{
    struct wire_request *request = base_allocate_zeroed(1, sizeof *request);
    request->form = form;
    request->method = BASE_TEXT("POST");
    request->path = base_arena_print(&server->arena, "/zandaka.v1.BalanceService/%s", method);
    request->content_type =
        form == WIRE_GRPC ? BASE_TEXT("application/grpc") : BASE_TEXT("application/json");
    request->timeout_ns = -1;
    request->body_memory = base_allocate(body.length);
    if (body.length > 0) {
        memcpy(request->body_memory, body.bytes, body.length);
    }
    request->body = (struct base_bytes){request->body_memory, body.length};
    return request;
}

/* Whether the exchange is finished; signalled by whichever thread finishes it. */
struct finish {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_times;
};

static void finished(void *context)
{
    struct finish *finish = context;
    pthread_mutex_lock(&finish->lock);
    finish->n_times++;
    pthread_cond_signal(&finish->changed);
    pthread_mutex_unlock(&finish->lock);
}

static void let_time_pass(void *context, int64_t duration_ns)
{
    ((struct server *)context)->now_ns += duration_ns;
}

static int count_finishes(struct finish *finish)
{
    pthread_mutex_lock(&finish->lock);
    int n_times = finish->n_times;
    pthread_mutex_unlock(&finish->lock);
    return n_times;
}

static void wait_for(struct finish *finish)
{
    pthread_mutex_lock(&finish->lock);
    while (finish->n_times == 0) {
        pthread_cond_wait(&finish->changed, &finish->lock);
    }
    pthread_mutex_unlock(&finish->lock);
}

static const struct wire_header *copy_headers(struct base_arena *arena, size_t n,
                                              const struct wire_header *headers)
{
    struct wire_header *copies = base_arena_take(arena, n * sizeof *copies);
    for (size_t i = 0; i < n; i++) {
        copies[i] = (struct wire_header){base_arena_text(arena, headers[i].name),
                                         base_arena_text(arena, headers[i].value)};
    }
    return copies;
}

static struct wire_reply copy_reply(struct base_arena *arena, const struct wire_reply *reply)
{
    struct wire_reply copy = *reply;
    copy.grpc_message = base_arena_text(arena, reply->grpc_message);
    copy.grpc_status_details = base_arena_bytes(arena, reply->grpc_status_details);
    copy.trailers = copy_headers(arena, reply->n_trailers, reply->trailers);
    copy.content_type = base_arena_text(arena, reply->content_type);
    copy.headers = copy_headers(arena, reply->n_headers, reply->headers);
    copy.body = base_arena_bytes(arena, reply->body);
    return copy;
}

struct answer server_send(struct server *server, struct wire_request *request)
{
    struct answer answer = {.form = request->form};
    struct finish finish = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct api_exchange *exchange =
        api_start(server->api, request, &server->peer, finished, &finish);
    answer.held_bytes = api_held_bytes(exchange);
    assert_true(answer.held_bytes > 0);
    if (server->n_readers == 0 && count_finishes(&finish) == 0) {
        while (service_step(server->service, let_time_pass, server)) {
        }
    }
    wait_for(&finish);
    struct wire_reply reply;
    api_reply(exchange, &reply);
    assert_true(api_held_bytes(exchange) >= reply.body.length);
    answer.reply = copy_reply(&server->arena, &reply);
    api_end(exchange);
    assert_int_equal(count_finishes(&finish), 1);
    return answer;
}

struct answer server_call(struct server *server, enum wire_form form, const char *method,
                          const char *json)
{
    struct base_bytes body = base_bytes_of(base_text_of(json));
    if (form == WIRE_GRPC) {
        struct base_text path =
            base_arena_print(&server->arena, "/zandaka.v1.BalanceService/%s", method);
        struct api_codec_error wrong;
        const ProtobufCMessage *message = api_codec_from_json(
            &server->arena, api_method_at(path)->request, base_text_from(body), &wrong);
        if (message == NULL) {
            fail_msg("%.*s: %.*s in %s", BASE_TEXT_ARGS(wrong.field), BASE_TEXT_ARGS(wrong.message),
                     json);
        }
        body = api_codec_pack(&server->arena, message);
    }
    return server_send(server, server_request(server, form, method, body));
}

/* --- answers --- */

static const ProtobufCMessageDescriptor *response_of(const char *method)
{
    static const struct {
        const char *method;
        const ProtobufCMessageDescriptor *response;
    } rows[] = {
        {"Add", &zandaka__v1__transaction__descriptor},
        {"Consume", &zandaka__v1__transaction__descriptor},
        {"Cancel", &zandaka__v1__transaction__descriptor},
        {"Submit", &zandaka__v1__submit_response__descriptor},
        {"GetBalance", &zandaka__v1__account_balance__descriptor},
        {"BatchGetBalances", &zandaka__v1__batch_get_balances_response__descriptor},
        {"GetTransaction", &zandaka__v1__transaction__descriptor},
        {"ListEntries", &zandaka__v1__list_entries_response__descriptor},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].method, method) == 0) {
            return rows[i].response;
        }
    }
    fail_msg("no such method: %s", method);
    return NULL;
}

static ProtobufCMessage *unpack(struct base_arena *arena,
                                const ProtobufCMessageDescriptor *descriptor,
                                struct base_bytes bytes)
{
    struct api_codec_error wrong;
    ProtobufCMessage *message =
        api_codec_unpack(arena, descriptor, bytes, API_CODEC_REFUSE_UNKNOWN, &wrong);
    if (message == NULL) {
        fail_msg("%s: %.*s", descriptor->name, BASE_TEXT_ARGS(wrong.message));
    }
    return message;
}

static const ProtobufCMessageDescriptor *detail_named(const char *name)
{
    static const ProtobufCMessageDescriptor *const types[] = {&google__rpc__error_info__descriptor,
                                                              &google__rpc__bad_request__descriptor,
                                                              &google__rpc__retry_info__descriptor};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i]->name, name) == 0) {
            return types[i];
        }
    }
    fail_msg("an unknown detail: %s", name);
    return NULL;
}

/* A Connect error as the status that it stands for, each `debug` compared with its value. */
static Google__Rpc__Status *status_of_json(struct base_arena *arena, struct base_bytes body)
{
    json_error_t wrong;
    json_t *json =
        json_loadb((const char *)body.bytes, body.length, JSON_REJECT_DUPLICATES, &wrong);
    assert_non_null(json);
    Google__Rpc__Status *status = base_arena_take(arena, sizeof *status);
    google__rpc__status__init(status);
    status->code = -1;
    const char *code = json_string_value(json_object_get(json, "code"));
    for (int number = 0; number <= 16; number++) {
        if (strcmp(base_code_connect_name((enum base_code)number), code) == 0) {
            status->code = number;
        }
    }
    const char *message = json_string_value(json_object_get(json, "message"));
    status->message = (char *)base_arena_text(arena, base_text_of(message)).bytes;
    json_t *details = json_object_get(json, "details");
    status->n_details = json_array_size(details);
    status->details = base_arena_take(arena, status->n_details * sizeof(status->details[0]));
    for (size_t i = 0; i < status->n_details; i++) {
        json_t *detail = json_array_get(details, i);
        const char *type = json_string_value(json_object_get(detail, "type"));
        struct base_text value = base_text_of(json_string_value(json_object_get(detail, "value")));
        struct base_bytes bytes;
        assert_true(base_base64_decode(arena, value, BASE_BASE64_UNPADDED, &bytes));
        assert_true(value.length == 0 || value.bytes[value.length - 1] != '=');
        char *debug = json_dumps(json_object_get(detail, "debug"), JSON_COMPACT);
        struct base_text expected =
            api_codec_to_json(arena, unpack(arena, detail_named(type), bytes));
        assert_true(base_text_equal(base_text_of(debug), expected));
        free(debug);
        Google__Protobuf__Any *any = base_arena_take(arena, sizeof *any);
        google__protobuf__any__init(any);
        any->type_url = (char *)base_arena_print(arena, "type.googleapis.com/%s", type).bytes;
        any->value = (ProtobufCBinaryData){bytes.length, (uint8_t *)bytes.bytes};
        status->details[i] = any;
    }
    json_decref(json);
    return status;
}

static const char *info_text(struct base_arena *arena, const Google__Rpc__ErrorInfo *info,
                             const char *code)
{
    assert_string_equal(info->domain, "zandaka");
    struct base_text text = base_arena_print(arena, "%s %s", info->reason, code);
    for (size_t i = 0; i < info->n_metadata; i++) {
        const char *key = info->metadata[i]->key;
        bool named = strcmp(key, "applied") != 0 && strcmp(key, "retry") != 0;
        text = base_arena_print(arena, "%s %s%s%s", text.bytes, named ? key : "", named ? "=" : "",
                                info->metadata[i]->value);
    }
    return text.bytes;
}

static const char *violations_text(struct base_arena *arena, const Google__Rpc__BadRequest *request)
{
    struct base_text text = BASE_TEXT(" violations=");
    for (size_t i = 0; i < request->n_field_violations; i++) {
        assert_true(strlen(request->field_violations[i]->description) > 0);
        text = base_arena_print(arena, "%s%s%s", text.bytes, i > 0 ? "," : "",
                                request->field_violations[i]->field);
    }
    return text.bytes;
}

static const char *status_text(struct base_arena *arena, const Google__Rpc__Status *status)
{
    const char *text = "";
    const char *code = base_code_connect_name((enum base_code)status->code);
    for (size_t i = 0; i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        assert_int_equal(strncmp(any->type_url, "type.googleapis.com/", 20), 0);
        const ProtobufCMessage *detail =
            unpack(arena, detail_named(any->type_url + 20),
                   (struct base_bytes){any->value.data, any->value.len});
        const char *more = " retry_info";
        if (detail->descriptor == &google__rpc__error_info__descriptor) {
            more = info_text(arena, (const Google__Rpc__ErrorInfo *)detail, code);
        } else if (detail->descriptor == &google__rpc__bad_request__descriptor) {
            more = violations_text(arena, (const Google__Rpc__BadRequest *)detail);
        } else {
            const Google__Protobuf__Duration *delay =
                ((const Google__Rpc__RetryInfo *)detail)->retry_delay;
            assert_int_equal(delay->seconds, 0);
            assert_int_equal(delay->nanos, 500000000);
        }
        text = base_arena_print(arena, "%s%s", text, more).bytes;
    }
    return base_arena_print(arena, "%s : %s", text, status->message).bytes;
}

static const char *grpc_error_text(struct base_arena *arena, const struct wire_reply *reply)
{
    const Google__Rpc__Status *status = (const Google__Rpc__Status *)unpack(
        arena, &google__rpc__status__descriptor, reply->grpc_status_details);
    assert_int_equal(status->code, reply->grpc_status);
    assert_string_equal(status->message, reply->grpc_message.bytes);
    const char *text = status_text(arena, status);
    bool never = strstr(text, " never") != NULL;
    assert_int_equal(reply->n_trailers, never ? 1 : 0);
    if (never) {
        assert_string_equal(reply->trailers[0].name.bytes, "grpc-retry-pushback-ms");
        assert_string_equal(reply->trailers[0].value.bytes, "-1");
    }
    assert_int_equal(reply->n_headers, 0);
    return text;
}

const char *answer_text(struct server *server, const char *method, const struct answer *answer)
{
    struct base_arena *arena = &server->arena;
    const struct wire_reply *reply = &answer->reply;
    if (answer->form == WIRE_GRPC) {
        if (reply->grpc_status != BASE_CODE_OK) {
            return grpc_error_text(arena, reply);
        }
        const ProtobufCMessage *message = unpack(arena, response_of(method), reply->body);
        return base_arena_text(arena, api_codec_to_json(arena, message)).bytes;
    }
    assert_string_equal(reply->content_type.bytes, "application/json");
    if (reply->http_status != 200) {
        return status_text(arena, status_of_json(arena, reply->body));
    }
    return (const char *)reply->body.bytes;
}

bool answer_replayed(const struct answer *answer)
{
    if (answer->reply.n_headers == 0) {
        return false;
    }
    assert_int_equal(answer->reply.n_headers, 1);
    assert_string_equal(answer->reply.headers[0].name.bytes, "zandaka-replayed");
    assert_string_equal(answer->reply.headers[0].value.bytes, "true");
    return true;
}
