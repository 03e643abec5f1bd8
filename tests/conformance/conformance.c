/* The unary calls of connectrpc.conformance.v1.ConformanceService: they answer what the request
 * says, and tell what came. */
#include "api/codec.h"
#include "conformance.pb-c.h"
#include "conformance/server.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "/connectrpc.conformance.v1.ConformanceService/"
#define PACKAGE "connectrpc.conformance.v1."
#define TYPE_URL "type.googleapis.com/" PACKAGE

typedef Connectrpc__Conformance__V1__UnaryRequest unary_request;
typedef Connectrpc__Conformance__V1__UnaryResponseDefinition response_definition;
typedef Connectrpc__Conformance__V1__Header conformance_header;
typedef Connectrpc__Conformance__V1__ConformancePayload__RequestInfo request_info;

/* A request on its way to its answer. */
struct exchange {
    struct wire_request *request;
    struct base_arena *arena; /* the request's */
    enum api_form form;
    struct base_bytes message;
    unary_request *unary;
    const char *type; /* its message's name in the package */
};

/* --- what came --- */

static void add_value(struct base_arena *arena, conformance_header ***headers, size_t *n_headers,
                      struct base_text name, struct base_text value)
{
    size_t at = 0;
    while (at < *n_headers && !base_text_equal(base_text_of((*headers)[at]->name), name)) {
        at++;
    }
    if (at == *n_headers) {
        conformance_header **grown = base_arena_take(arena, (at + 1) * sizeof grown[0]);
        if (at > 0) {
            memcpy(grown, *headers, at * sizeof grown[0]);
        }
        grown[at] = base_arena_take(arena, sizeof *grown[at]);
        connectrpc__conformance__v1__header__init(grown[at]);
        grown[at]->name = (char *)base_arena_text(arena, name).bytes;
        *headers = grown;
        *n_headers = at + 1;
    }
    conformance_header *header = (*headers)[at];
    char **values = base_arena_take(arena, (header->n_value + 1) * sizeof values[0]);
    if (header->n_value > 0) {
        memcpy(values, header->value, header->n_value * sizeof values[0]);
    }
    values[header->n_value++] = (char *)base_arena_text(arena, value).bytes;
    header->value = values;
}

/* The parameters as they were sent, but for %XX. */
static void add_query(struct base_arena *arena, struct base_text query, request_info *info)
{
    Connectrpc__Conformance__V1__ConformancePayload__ConnectGetInfo *get =
        base_arena_take(arena, sizeof *get);
    connectrpc__conformance__v1__conformance_payload__connect_get_info__init(get);
    info->connect_get_info = get;
    while (query.length > 0) {
        const char *end = memchr(query.bytes, '&', query.length);
        size_t length = end == NULL ? query.length : (size_t)(end - query.bytes);
        const char *equals = memchr(query.bytes, '=', length);
        size_t name_length = equals == NULL ? length : (size_t)(equals - query.bytes);
        size_t value_at = equals == NULL ? length : name_length + 1;
        struct base_text value = {query.bytes + value_at, length - value_at};
        struct base_text decoded = base_arena_text(arena, value);
        size_t decoded_length = 0;
        for (size_t i = 0; i < value.length; i++) {
            unsigned code;
            char byte = value.bytes[i] == '+' ? ' ' : value.bytes[i];
            if (byte == '%' && sscanf(decoded.bytes + i + 1, "%2x", &code) == 1) {
                byte = (char)code;
                i += 2;
            }
            ((char *)(uintptr_t)decoded.bytes)[decoded_length++] = byte;
        }
        add_value(arena, &get->query_params, &get->n_query_params,
                  (struct base_text){query.bytes, name_length},
                  (struct base_text){decoded.bytes, decoded_length});
        query.bytes += length + (end != NULL);
        query.length -= length + (end != NULL);
    }
}

static request_info *info_of(const struct exchange *exchange)
{
    const struct wire_request *request = exchange->request;
    request_info *info = base_arena_take(exchange->arena, sizeof *info);
    connectrpc__conformance__v1__conformance_payload__request_info__init(info);
    for (size_t i = 0; i < request->n_headers; i++) {
        add_value(exchange->arena, &info->request_headers, &info->n_request_headers,
                  request->headers[i].name, request->headers[i].value);
    }
    if (request->content_type.length > 0) {
        add_value(exchange->arena, &info->request_headers, &info->n_request_headers,
                  BASE_TEXT("content-type"), request->content_type);
    }
    if (request->timeout_ns >= 0) {
        info->timeout_case = 2;
        info->timeout_ms = request->timeout_ns / BASE_NS_PER_MS;
    }
    if (base_text_equal(request->method, BASE_TEXT("GET"))) {
        add_query(exchange->arena, request->query, info);
    }
    Google__Protobuf__Any *any = base_arena_take(exchange->arena, sizeof *any);
    google__protobuf__any__init(any);
    any->type_url = (char *)base_arena_print(exchange->arena, TYPE_URL "%s", exchange->type).bytes;
    struct base_bytes packed = api_codec_pack(exchange->arena, &exchange->unary->base);
    any->value = (ProtobufCBinaryData){packed.length, (uint8_t *)(uintptr_t)packed.bytes};
    info->requests = base_arena_take(exchange->arena, sizeof info->requests[0]);
    info->requests[0] = any;
    info->n_requests = 1;
    return info;
}

/* --- answers --- */

static size_t count_values(size_t n_headers, conformance_header *const *headers)
{
    size_t count = 0;
    for (size_t i = 0; i < n_headers; i++) {
        count += headers[i]->n_value;
    }
    return count;
}

static size_t fill_headers(struct base_arena *arena, const char *prefix, size_t n_headers,
                           conformance_header *const *headers, struct wire_header *fields)
{
    size_t count = 0;
    for (size_t i = 0; i < n_headers; i++) {
        struct base_text name = base_arena_print(arena, "%s%s", prefix, headers[i]->name);
        for (char *letter = (char *)(uintptr_t)name.bytes; *letter != '\0'; letter++) {
            *letter = (char)(*letter >= 'A' && *letter <= 'Z' ? *letter + 32 : *letter);
        }
        for (size_t value = 0; value < headers[i]->n_value; value++) {
            fields[count++] = (struct wire_header){
                name, header_bytes(arena, name, base_text_of(headers[i]->value[value]))};
        }
    }
    return count;
}

/* Connect has its trailers among the headers. */
static void add_metadata(const struct exchange *exchange, const response_definition *definition,
                         struct wire_reply *reply)
{
    struct base_arena *arena = exchange->arena;
    bool grpc = exchange->request->form == WIRE_GRPC;
    size_t n_headers = count_values(definition->n_response_headers, definition->response_headers);
    size_t n_trailers =
        count_values(definition->n_response_trailers, definition->response_trailers);
    struct wire_header *fields = base_arena_take(arena, (n_headers + n_trailers) * sizeof *fields);
    (void)fill_headers(arena, "", definition->n_response_headers, definition->response_headers,
                       fields);
    (void)fill_headers(arena, grpc ? "" : "trailer-", definition->n_response_trailers,
                       definition->response_trailers, fields + n_headers);
    reply->headers = fields;
    reply->n_headers = grpc ? n_headers : n_headers + n_trailers;
    reply->trailers = fields + n_headers;
    reply->n_trailers = n_trailers;
}

static void fail_as_told(const struct exchange *exchange,
                         const Connectrpc__Conformance__V1__Error *error, struct wire_reply *reply)
{
    struct base_arena *arena = exchange->arena;
    Google__Protobuf__Any *own = base_arena_take(arena, sizeof *own);
    google__protobuf__any__init(own);
    own->type_url = (char *)TYPE_URL "ConformancePayload.RequestInfo";
    struct base_bytes packed = api_codec_pack(arena, &info_of(exchange)->base);
    own->value = (ProtobufCBinaryData){packed.length, (uint8_t *)(uintptr_t)packed.bytes};
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.code = (int32_t)error->code;
    status.message = error->text_case != 0 ? error->message : (char *)"";
    status.details = base_arena_take(arena, (error->n_details + 1) * sizeof(status.details[0]));
    for (size_t i = 0; i < error->n_details; i++) {
        status.details[status.n_details++] = error->details[i];
    }
    status.details[status.n_details++] = own;
    answer_error(exchange->request, (enum base_code)error->code, status.message, reply);
    reply->grpc_status_details = api_codec_pack(arena, &status.base);
    if (exchange->request->form == WIRE_HTTP) {
        reply->body = base_bytes_of(
            api_connect_error(arena, base_code_connect_name((enum base_code)error->code), &status));
    }
}

/* The answer as JSON. An Any of these types is none that api knows, so that of the request stands
 * here in words, at the end of the three objects around it. */
static struct base_bytes as_json(const struct exchange *exchange,
                                 Connectrpc__Conformance__V1__UnaryResponse *response)
{
    struct base_arena *arena = exchange->arena;
    response->payload->request_info->n_requests = 0;
    struct base_text text = api_codec_to_json(arena, &response->base);
    struct base_text request = api_codec_to_json(arena, &exchange->unary->base);
    bool info_is_empty = text.bytes[text.length - 4] == '{';
    struct base_text whole =
        base_arena_print(arena, "%.*s%s\"requests\":[{\"@type\":\"" TYPE_URL "%s\"%s%.*s]}}}",
                         (int)text.length - 3, text.bytes, info_is_empty ? "" : ",", exchange->type,
                         request.length > 2 ? "," : "", (int)request.length - 1, request.bytes + 1);
    return base_bytes_of(whole);
}

static void succeed(const struct exchange *exchange, const response_definition *definition,
                    struct wire_reply *reply)
{
    Connectrpc__Conformance__V1__UnaryResponse response =
        CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE__INIT;
    Connectrpc__Conformance__V1__ConformancePayload payload =
        CONNECTRPC__CONFORMANCE__V1__CONFORMANCE_PAYLOAD__INIT;
    response.payload = &payload;
    payload.request_info = info_of(exchange);
    if (definition != NULL && definition->response_case == 2) {
        payload.data = definition->response_data;
    }
    answer_message(exchange->request, exchange->form, &response.base, reply);
    if (exchange->form == API_FORM_JSON) {
        reply->body = as_json(exchange, &response);
    }
}

/* --- requests --- */

/* False: answered. */
static bool read_request(struct exchange *exchange, bool idempotent, struct wire_reply *ret_reply)
{
    struct wire_request *request = exchange->request;
    if (request->defect == WIRE_DEFECT_TIMEOUT) {
        answer_error(request, BASE_CODE_INVALID_ARGUMENT, "malformed timeout", ret_reply);
        return false;
    }
    exchange->form = grpc_form(request);
    exchange->message = request->body;
    struct api_connect_refusal refusal;
    if (request->form == WIRE_HTTP &&
        !api_connect_read(request, exchange->arena, idempotent, &exchange->form, &exchange->message,
                          &refusal)) {
        answer_error(request,
                     refusal.http_status == 400 ? BASE_CODE_INVALID_ARGUMENT
                                                : BASE_CODE_UNIMPLEMENTED,
                     refusal.message.bytes, ret_reply);
        ret_reply->http_status = refusal.http_status;
        return false;
    }
    const ProtobufCMessageDescriptor *descriptor =
        &connectrpc__conformance__v1__unary_request__descriptor;
    struct api_codec_error wrong;
    exchange->unary =
        (unary_request *)(exchange->form == API_FORM_JSON
                              ? api_codec_from_json(exchange->arena, descriptor,
                                                    base_text_from(exchange->message), &wrong)
                              : api_codec_unpack(exchange->arena, descriptor, exchange->message,
                                                 API_CODEC_PASS_UNKNOWN, &wrong));
    if (exchange->unary == NULL) {
        answer_error(request, BASE_CODE_INVALID_ARGUMENT, wrong.message.bytes, ret_reply);
        return false;
    }
    return true;
}

bool conformance_answer(struct wire_request *request, struct wire_reply *ret_reply,
                        int64_t *ret_delay_ms)
{
    *ret_delay_ms = 0;
    bool idempotent = base_text_equal(request->path, BASE_TEXT(SERVICE "IdempotentUnary"));
    if (!idempotent && !base_text_equal(request->path, BASE_TEXT(SERVICE "Unary"))) {
        return false;
    }
    struct exchange exchange = {.request = request,
                                .arena = &request->arena,
                                .type = idempotent ? "IdempotentUnaryRequest" : "UnaryRequest"};
    if (!read_request(&exchange, idempotent, ret_reply)) {
        return true;
    }
    const response_definition *told = exchange.unary->response_definition;
    if (told != NULL && told->response_case == 3) {
        fail_as_told(&exchange, told->error, ret_reply);
    } else {
        succeed(&exchange, told, ret_reply);
    }
    if (told != NULL) {
        add_metadata(&exchange, told, ret_reply);
        *ret_delay_ms = told->response_delay_ms;
    }
    return true;
}
