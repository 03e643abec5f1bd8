/* Streamed calls, step by step: health watches, and what reflection tells. */
#include "api/codec.h"
#include "api/reflection.h"
#include "api/server.h"
#include "api/stream.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <grpc/health/v1/health.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define WATCH "/grpc.health.v1.Health/Watch"
#define REFLECTION "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define REFLECTION_ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

static struct api_stream *start(struct server *server, const char *path, int64_t timeout_ns)
{
    struct wire_request *request =
        server_request(server, WIRE_GRPC, "", base_bytes_of(BASE_TEXT("")));
    request->path = base_text_of(path);
    request->streamed = true;
    request->timeout_ns = timeout_ns;
    assert_true(api_stream_message_max(request->path) > 0);
    return api_stream_start(server->api, request, &server->peer);
}

static void assert_step(struct api_stream *stream, enum api_stream_step wanted,
                        struct wire_reply *ret_reply)
{
    enum api_stream_step step = api_stream_step(stream, ret_reply);
    assert_int_equal(step, wanted);
}

static void assert_waits(struct api_stream *stream)
{
    struct wire_reply reply;
    assert_step(stream, API_STREAM_WAIT, &reply);
}

/* The next step ends the call with that status. */
static void assert_ends(struct api_stream *stream, enum base_code status)
{
    struct wire_reply reply;
    assert_step(stream, API_STREAM_END, &reply);
    assert_int_equal(reply.grpc_status, status);
    assert_int_equal(reply.grpc_status_details.length > 0, status != BASE_CODE_OK);
    api_stream_end(stream);
}

/* The next step tells that status. */
static void assert_told(struct api_stream *stream, int status)
{
    struct wire_reply reply;
    assert_step(stream, API_STREAM_MESSAGE, &reply);
    const uint8_t expected[] = {1 << 3, (uint8_t)status};
    assert_int_equal(reply.body.length, sizeof expected);
    assert_memory_equal(reply.body.bytes, expected, sizeof expected);
}

#define SERVING 1
#define NOT_SERVING 2
#define SERVICE_UNKNOWN 3

static void a_path_is_streamed_or_it_is_not(void **state)
{
    (void)state;
    static const char *const streamed[] = {WATCH, REFLECTION, REFLECTION_ALPHA};
    static const char *const others[] = {"",
                                         "/",
                                         WATCH "x",
                                         "/grpc.health.v1.Health/",
                                         "/grpc.health.v1.Health/Check",
                                         "/zandaka.v1.BalanceService/Add"};
    for (size_t i = 0; i < sizeof streamed / sizeof streamed[0]; i++) {
        assert_int_equal(api_stream_message_max(base_text_of(streamed[i])),
                         BASE_STREAM_REQUEST_MAX_BYTES);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(api_stream_message_max(base_text_of(others[i])), 0);
    }
}

/* --- health --- */

static void a_watch_tells_the_status_and_each_change_once(void **state)
{
    (void)state;
    static const char *const services[] = {"", "\n\031zandaka.v1.BalanceService",
                                           "\n\025grpc.health.v1.Health"};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        struct server server;
        server_open(&server, 0);
        struct api_stream *watch = start(&server, WATCH, -1);
        assert_waits(watch);
        api_stream_message(watch, base_bytes_of(base_text_of(services[i])));
        assert_told(watch, SERVING);
        struct wire_reply reply;
        assert_step(watch, API_STREAM_NEXT, &reply);
        assert_waits(watch);
        api_stream_half_close(watch);
        assert_waits(watch);
        api_set_draining(server.api);
        assert_told(watch, NOT_SERVING);
        assert_waits(watch);
        api_stream_stop(watch);
        assert_ends(watch, BASE_CODE_UNAVAILABLE);
        server_close(&server);
    }
}

static void a_watch_of_an_unknown_service_says_so_and_stays(void **state)
{
    (void)state;
    static const char *const services[] = {"\n\004nope", "\n\024zandaka.v1.BalanceSe",
                                           "\n\012zandaka.v1", "\n\026zandaka.v1.Transaction"};
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        struct server server;
        server_open(&server, 0);
        struct api_stream *watch = start(&server, WATCH, -1);
        api_stream_message(watch, base_bytes_of(base_text_of(services[i])));
        api_stream_half_close(watch);
        assert_told(watch, SERVICE_UNKNOWN);
        struct wire_reply reply;
        assert_step(watch, API_STREAM_NEXT, &reply);
        assert_waits(watch);
        assert_true(api_stream_held_bytes(watch) > 0);
        api_stream_end(watch);
        server_close(&server);
    }
}

static void a_watch_has_one_message_that_can_be_read(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct api_stream *watch = start(&server, WATCH, -1);
    api_stream_half_close(watch);
    assert_ends(watch, BASE_CODE_UNIMPLEMENTED);

    watch = start(&server, WATCH, -1);
    api_stream_message(watch, base_bytes_of(BASE_TEXT("")));
    api_stream_message(watch, base_bytes_of(BASE_TEXT("")));
    assert_ends(watch, BASE_CODE_UNIMPLEMENTED);

    watch = start(&server, WATCH, -1);
    api_stream_message(watch, base_bytes_of(BASE_TEXT("\n\001\xff")));
    assert_ends(watch, BASE_CODE_INVALID_ARGUMENT);
    server_close(&server);
}

static void a_watch_ends_at_its_deadline(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct api_stream *watch = start(&server, WATCH, 1000);
    api_stream_message(watch, base_bytes_of(BASE_TEXT("")));
    assert_told(watch, SERVING);
    server.now_ns += 999;
    struct wire_reply reply;
    assert_step(watch, API_STREAM_NEXT, &reply);
    assert_waits(watch);
    server.now_ns += 1;
    assert_ends(watch, BASE_CODE_DEADLINE_EXCEEDED);
    server_close(&server);
}

static void a_check_is_a_call_like_any_other(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    for (unsigned draining = 0; draining < 2; draining++) {
        struct wire_request *request =
            server_request(&server, WIRE_HTTP, "",
                           base_bytes_of(BASE_TEXT("{\"service\":\"zandaka.v1.BalanceService\"}")));
        request->path = BASE_TEXT("/grpc.health.v1.Health/Check");
        struct answer answer = server_send(&server, request);
        assert_int_equal(answer.reply.http_status, 200);
        struct base_text wanted = draining != 0 ? BASE_TEXT("{\"status\":\"NOT_SERVING\"}")
                                                : BASE_TEXT("{\"status\":\"SERVING\"}");
        assert_true(base_text_equal(base_text_from(answer.reply.body), wanted));
        api_set_draining(server.api);
    }
    struct wire_request *request =
        server_request(&server, WIRE_GRPC, "", base_bytes_of(BASE_TEXT("\n\004nope")));
    request->path = BASE_TEXT("/grpc.health.v1.Health/Check");
    struct answer answer = server_send(&server, request);
    assert_int_equal(answer.reply.grpc_status, BASE_CODE_NOT_FOUND);
    server_close(&server);
}

/* --- who calls, and what is counted --- */

static void assert_metric(struct server *server, const char *line)
{
    struct wire_request *request =
        server_request(server, WIRE_HTTP, "Add", (struct base_bytes){NULL, 0});
    request->method = BASE_TEXT("GET");
    request->path = BASE_TEXT("/metrics");
    struct answer answer = server_send(server, request);
    struct base_text text = base_arena_text(&server->arena, base_text_from(answer.reply.body));
    if (strstr(text.bytes, line) == NULL) {
        fail_msg("there is no %s", line);
    }
}

#define OF_WATCH                                                                                   \
    "{grpc_type=\"server_stream\",grpc_service=\"grpc.health.v1.Health\",grpc_method=\"Watch\""
#define OF_REFLECTION                                                                              \
    "{grpc_type=\"bidi_stream\",grpc_service=\"grpc.reflection.v1.ServerReflection\",grpc_method=" \
    "\"ServerReflectionInfo\""

static void each_streamed_call_counts_once_by_how_it_ended(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct api_stream *given_up = start(&server, WATCH, -1);
    assert_metric(&server, "grpc_server_started_total" OF_WATCH "} 1\n");
    assert_metric(&server, "grpc_server_handled_total" OF_WATCH ",grpc_code=\"OK\"} 0\n");
    api_stream_end(given_up);
    assert_metric(&server, "grpc_server_handled_total" OF_WATCH ",grpc_code=\"Canceled\"} 1\n");

    struct api_stream *stopped = start(&server, WATCH, -1);
    api_stream_stop(stopped);
    server.now_ns += 3000000000;
    assert_ends(stopped, BASE_CODE_UNAVAILABLE);
    assert_metric(&server, "grpc_server_handled_total" OF_WATCH ",grpc_code=\"Unavailable\"} 1\n");
    assert_metric(&server, "zandaka_call_errors_total{reason=\"SHUTTING_DOWN\"} 1\n");
    assert_metric(&server, "grpc_server_handling_seconds_count" OF_WATCH "} 2\n");
    assert_metric(&server, "grpc_server_handling_seconds_sum" OF_WATCH "} 3\n");

    struct api_stream *refused = start(&server, WATCH, -1);
    api_stream_refused(refused, BASE_CODE_UNIMPLEMENTED);
    api_stream_end(refused);
    assert_metric(&server,
                  "grpc_server_handled_total" OF_WATCH ",grpc_code=\"Unimplemented\"} 1\n");

    struct api_stream *over = start(&server, REFLECTION, -1);
    api_stream_half_close(over);
    struct wire_reply reply;
    assert_step(over, API_STREAM_END, &reply);
    api_stream_end(over);
    assert_metric(&server, "grpc_server_handled_total" OF_REFLECTION ",grpc_code=\"OK\"} 1\n");
    server_close(&server);
}

/* None of the methods of today asks who calls. */
static void a_streamed_method_that_is_not_everybodys_asks_who_calls(void **state)
{
    (void)state;
    const struct api_stream_method method = {.service = "s", .name = "Follow"};
    struct base_text methods[] = {BASE_TEXT("Follow"), BASE_TEXT("Add")};
    struct access_caller callers[] = {
        {.name = BASE_TEXT("may"), .n_tokens = 1, .n_methods = 1, .methods = &methods[0]},
        {.name = BASE_TEXT("may-not"), .n_tokens = 1, .n_methods = 1, .methods = &methods[1]},
        {.name = BASE_TEXT("once"), .n_tokens = 1, .rate_per_s = 1},
    };
    for (size_t i = 0; i < 3; i++) {
        base_sha256(base_bytes_of(callers[i].name), callers[i].token_sha256[0]);
    }
    static const struct {
        const char *authorization; /* NULL: none */
        enum base_reason reason;
    } rows[] = {
        {NULL, BASE_REASON_UNAUTHENTICATED}, {"Bearer nobody", BASE_REASON_UNAUTHENTICATED},
        {"Bearer may", BASE_REASON_NONE},    {"Bearer may-not", BASE_REASON_PERMISSION_DENIED},
        {"Bearer once", BASE_REASON_NONE},   {"Bearer once", BASE_REASON_RATE_LIMITED},
    };
    struct server server;
    server_open(&server, 0);
    struct access *access = access_open(3, callers);
    struct api api = {.clock = &server.clock, .access = access};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_header header = {
            BASE_TEXT("authorization"),
            base_text_of(rows[i].authorization == NULL ? "" : rows[i].authorization)};
        struct wire_request request = {.n_headers = rows[i].authorization != NULL ? 1 : 0,
                                       .headers = &header};
        struct api_stream stream = {.api = &api, .request = &request, .method = &method};
        bool may = api_permission_stream(&stream, &server.peer);
        assert_int_equal(may, rows[i].reason == BASE_REASON_NONE);
        assert_int_equal(stream.error.reason, rows[i].reason);
        if (stream.known != NULL) {
            access_release(stream.known);
        }
        base_arena_release(&request.arena);
    }
    access_close(access);
    server_close(&server);
}

/* --- reflection --- */

static Grpc__Reflection__V1__ServerReflectionRequest question(void)
{
    Grpc__Reflection__V1__ServerReflectionRequest request =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.host = (char *)"host";
    return request;
}

/* Asks on the stream; the answer lives in the server's arena. */
static const Grpc__Reflection__V1__ServerReflectionResponse *
ask(struct server *server, struct api_stream *stream,
    const Grpc__Reflection__V1__ServerReflectionRequest *request)
{
    struct wire_reply reply;
    api_stream_message(stream, api_codec_pack(&server->arena, &request->base));
    assert_step(stream, API_STREAM_MESSAGE, &reply);
    struct api_codec_error wrong;
    const Grpc__Reflection__V1__ServerReflectionResponse *response =
        (const Grpc__Reflection__V1__ServerReflectionResponse *)api_codec_unpack(
            &server->arena, &grpc__reflection__v1__server_reflection_response__descriptor,
            base_arena_bytes(&server->arena, reply.body), API_CODEC_REFUSE_UNKNOWN, &wrong);
    assert_non_null(response);
    assert_string_equal(response->valid_host, "host");
    assert_int_equal(response->original_request->message_request_case,
                     request->message_request_case);
    assert_step(stream, API_STREAM_NEXT, &reply);
    assert_waits(stream);
    return response;
}

/* The names of the files of an answer, first to last, or the error's code. */
static const char *files_of(struct server *server,
                            const Grpc__Reflection__V1__ServerReflectionResponse *response)
{
    if (response->error_response != NULL &&
        response->message_response_case ==
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE) {
        assert_true(response->error_response->error_message[0] != '\0');
        return base_arena_print(&server->arena, "error %d", response->error_response->error_code)
            .bytes;
    }
    assert_int_equal(
        response->message_response_case,
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE);
    const Grpc__Reflection__V1__FileDescriptorResponse *files = response->file_descriptor_response;
    struct base_text names = BASE_TEXT("");
    ProtobufCAllocator allocator = api_codec_allocator(&server->arena);
    for (size_t i = 0; i < files->n_file_descriptor_proto; i++) {
        const Google__Protobuf__FileDescriptorProto *file =
            google__protobuf__file_descriptor_proto__unpack(&allocator,
                                                            files->file_descriptor_proto[i].len,
                                                            files->file_descriptor_proto[i].data);
        assert_non_null(file);
        names = base_arena_print(&server->arena, "%.*s%s%s", BASE_TEXT_ARGS(names),
                                 i > 0 ? " " : "", file->name);
    }
    return names.bytes;
}

static void a_file_comes_with_what_it_imports(void **state)
{
    (void)state;
#define TRANSACTION "zandaka/v1/transaction.proto google/protobuf/timestamp.proto"
#define HEALTH "grpc/health/v1/health.proto"
    static const struct {
        const char *name;   /* of a file, or NULL */
        const char *symbol; /* otherwise */
        const char *files;
    } rows[] = {
        {"grpc/health/v1/health.proto", NULL, HEALTH},
        {"zandaka/v1/stored_answers.proto", NULL, "error 5"},
        {"", NULL, "error 5"},
        {NULL, "grpc.health.v1.Health", HEALTH},
        {NULL, "grpc.health.v1.Health.Watch", HEALTH},
        {NULL, "grpc.health.v1.Health.Wat", "error 5"},
        {NULL, "grpc.health.v1.HealthCheckResponse.ServingStatus", HEALTH},
        {NULL, "grpc.health.v1.HealthCheckResponse.status", HEALTH},
        {NULL, "grpc.health.v1.HealthCheckResponse.status.x", "error 5"},
        {NULL, "grpc.health.v1", "error 5"},
        {NULL, "grpc.health.v1.", "error 5"},
        {NULL, ".grpc.health.v1.Health", "error 5"},
        {NULL, "", "error 5"},
        {NULL, "google.api.field_behavior",
         "google/api/field_behavior.proto google/protobuf/descriptor.proto"},
        {NULL, "google.rpc.BadRequest.FieldViolation",
         "google/rpc/error_details.proto google/protobuf/duration.proto"},
        {NULL, "google.rpc.Status", "google/rpc/status.proto google/protobuf/any.proto"},
        {NULL, "zandaka.v1.Transaction", TRANSACTION},
        {NULL, "zandaka.v1.State", TRANSACTION},
        {NULL, "zandaka.v1.BalanceService.Add",
         "zandaka/v1/balance_service.proto google/api/field_behavior.proto "
         "google/protobuf/timestamp.proto google/rpc/status.proto zandaka/v1/transaction.proto "
         "google/protobuf/descriptor.proto google/protobuf/any.proto"},
    };
    struct server server;
    server_open(&server, 0);
    struct api_stream *stream = start(&server, REFLECTION, -1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Grpc__Reflection__V1__ServerReflectionRequest request = question();
        if (rows[i].name != NULL) {
            request.message_request_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME;
            request.file_by_filename = (char *)rows[i].name;
        } else {
            request.message_request_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
            request.file_containing_symbol = (char *)rows[i].symbol;
        }
        assert_string_equal(files_of(&server, ask(&server, stream, &request)), rows[i].files);
    }
    api_stream_half_close(stream);
    assert_ends(stream, BASE_CODE_OK);
    server_close(&server);
}

static void extensions_are_found_by_number(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int32_t number; /* 0: all are asked for */
        const char *files;
    } rows[] = {
        {"google.protobuf.FieldOptions", 1052,
         "google/api/field_behavior.proto google/protobuf/descriptor.proto"},
        {"google.protobuf.FieldOptions", 1053, "error 5"},
        {"google.protobuf.MethodOptions", 1052, "error 5"},
        {"google.protobuf.NoOptions", 0, "error 5"},
    };
    struct server server;
    server_open(&server, 0);
    struct api_stream *stream = start(&server, REFLECTION_ALPHA, -1);
    Grpc__Reflection__V1__ServerReflectionRequest request = question();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Grpc__Reflection__V1__ExtensionRequest extension =
            GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
        extension.containing_type = (char *)rows[i].type;
        extension.extension_number = rows[i].number;
        if (rows[i].number != 0) {
            request.message_request_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION;
            request.file_containing_extension = &extension;
        } else {
            request.message_request_case =
                GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE;
            request.all_extension_numbers_of_type = (char *)rows[i].type;
        }
        assert_string_equal(files_of(&server, ask(&server, stream, &request)), rows[i].files);
    }
    request.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE;
    request.all_extension_numbers_of_type = (char *)"google.protobuf.FieldOptions";
    const Grpc__Reflection__V1__ExtensionNumberResponse *numbers =
        ask(&server, stream, &request)->all_extension_numbers_response;
    assert_string_equal(numbers->base_type_name, "google.protobuf.FieldOptions");
    assert_int_equal(numbers->n_extension_number, 1);
    assert_int_equal(numbers->extension_number[0], 1052);
    request.all_extension_numbers_of_type = (char *)"google.protobuf.MethodOptions";
    assert_int_equal(
        ask(&server, stream, &request)->all_extension_numbers_response->n_extension_number, 0);
    api_stream_end(stream);
    server_close(&server);
}

static void services_are_listed(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct api_stream *stream = start(&server, REFLECTION, -1);
    Grpc__Reflection__V1__ServerReflectionRequest request = question();
    request.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES;
    request.list_services = (char *)"*";
    const Grpc__Reflection__V1__ListServiceResponse *list =
        ask(&server, stream, &request)->list_services_response;
    static const char *const names[] = {
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection", "zandaka.v1.BalanceService"};
    assert_int_equal(list->n_service, sizeof names / sizeof names[0]);
    for (size_t i = 0; i < list->n_service; i++) {
        assert_string_equal(list->service[i]->name, names[i]);
    }
    request.message_request_case = 0;
    assert_string_equal(files_of(&server, ask(&server, stream, &request)), "error 3");
    /* What cannot be read ends the call. */
    api_stream_message(stream, base_bytes_of(BASE_TEXT("\xff")));
    assert_ends(stream, BASE_CODE_INVALID_ARGUMENT);
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_streamed_or_it_is_not),
        cmocka_unit_test(a_watch_tells_the_status_and_each_change_once),
        cmocka_unit_test(a_watch_of_an_unknown_service_says_so_and_stays),
        cmocka_unit_test(a_watch_has_one_message_that_can_be_read),
        cmocka_unit_test(a_watch_ends_at_its_deadline),
        cmocka_unit_test(a_check_is_a_call_like_any_other),
        cmocka_unit_test(each_streamed_call_counts_once_by_how_it_ended),
        cmocka_unit_test(a_streamed_method_that_is_not_everybodys_asks_who_calls),
        cmocka_unit_test(a_file_comes_with_what_it_imports),
        cmocka_unit_test(extensions_are_found_by_number),
        cmocka_unit_test(services_are_listed),
    };
    return cmocka_run_group_tests_name("streamed calls", tests, NULL, NULL);
}
