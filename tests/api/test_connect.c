/* The Connect protocol's unary calls: both forms, POST and GET, and errors that are always JSON. */
#include "api/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ADD                                                                                        \
    "{\"transactionId\":\"t1\",\"accountId\":\"a\",\"amounts\":[{\"kind\":\"points\",\"amount\":"  \
    "5}]}"
/* The same as protobuf, and a GetBalanceRequest for account a. */
#define ADD_PROTO "\n\002t1\022\001a\032\n\n\006points\020\005"
#define GET_BALANCE_PROTO "\n\001a"
#define GET_BALANCE_JSON                                                                           \
    "{\"accountId\":\"a\",\"balances\":[{\"kind\":\"points\",\"available\":\"5\""

static struct answer post(struct server *server, const char *method, const char *content_type,
                          struct base_text body)
{
    struct wire_request *request = server_request(server, WIRE_HTTP, method, base_bytes_of(body));
    request->content_type = base_text_of(content_type);
    return server_send(server, request);
}

static bool starts_with(const struct answer *answer, const char *text)
{
    return base_text_starts_with(base_text_from(answer->reply.body), base_text_of(text));
}

static void both_forms_are_answered_in_kind(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct answer as_grpc = server_call(&server, WIRE_GRPC, "Add", ADD);
    struct answer as_proto = post(&server, "Add", "application/proto", BASE_TEXT(ADD_PROTO));
    assert_int_equal(as_proto.reply.http_status, 200);
    assert_string_equal(as_proto.reply.content_type.bytes, "application/proto");
    assert_true(base_bytes_equal(as_proto.reply.body, as_grpc.reply.body));
    assert_true(answer_replayed(&as_proto));
    struct answer as_json = post(&server, "Add", "application/json", BASE_TEXT(ADD));
    assert_string_equal(as_json.reply.content_type.bytes, "application/json");
    assert_true(answer_replayed(&as_json));
    server_close(&server);
}

static void an_error_is_json_in_both_forms(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct answer as_proto = post(&server, "Consume", "application/proto", BASE_TEXT(ADD_PROTO));
    struct answer as_json = post(&server, "Consume", "application/json", BASE_TEXT(ADD));
    assert_int_equal(as_proto.reply.http_status, 400);
    assert_string_equal(as_proto.reply.content_type.bytes, "application/json");
    assert_true(base_bytes_equal(as_proto.reply.body, as_json.reply.body));
    assert_true(starts_with(&as_proto, "{\"code\":\"failed_precondition\",\"message\":"));

    /* What cannot be read as what it says to be is refused by the same rules as in gRPC. */
    as_proto = post(&server, "Add", "application/proto", BASE_TEXT(ADD));
    assert_int_equal(as_proto.reply.http_status, 400);
    as_proto = post(&server, "Add", "application/proto", BASE_TEXT(ADD_PROTO "\x98\x06\x01"));
    assert_int_equal(as_proto.reply.http_status, 400); /* an unknown field of a write */
    server_close(&server);
}

static void a_read_may_be_asked_by_get(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *query;
        int http_status;
    } rows[] = {
        {"GetBalance", "connect=v1&encoding=json&message=%7B%22accountId%22%3A%22a%22%7D", 200},
        {"GetBalance", "encoding=json&message={%22accountId%22:%22a%22}", 200},
        {"GetBalance", "message=%7b%22accountId%22%3a%22a%22%7d&encoding=json&base64=0", 200},
        {"GetBalance", "encoding=json&base64=1&message=eyJhY2NvdW50SWQiOiJhIn0", 200},
        {"GetBalance", "encoding=json&base64=1&message=eyJhY2NvdW50SWQiOiJhIn0%3D", 200},
        {"GetBalance", "encoding=json&message=%7B%22accountId%22:+%22a%22%7D&x=y&z&=", 200},
        {"GetBalance", "encoding=json&compression=identity&message={\"accountId\":\"a\"}", 200},
        {"GetBalance", "", 400},
        {"GetBalance", "encoding=json", 400},
        {"GetBalance", "message={}", 400},
        {"GetBalance", "encoding=json&message=", 400},
        {"GetBalance", "encoding=json&message", 400},
        {"GetBalance", "encoding=json&message={}&message={}", 400},
        {"GetBalance", "encoding=json&message=%7", 400},
        {"GetBalance", "encoding=json&message=%", 400},
        {"GetBalance", "encoding=json&message=%G0", 400},
        {"GetBalance", "encoding=json&base64=1&message=%21", 400},
        {"GetBalance", "connect=v2&encoding=json&message={\"accountId\":\"a\"}", 400},
        {"GetBalance", "encoding=json&compression=gzip&message={\"accountId\":\"a\"}", 415},
        {"GetBalance", "encoding=xml&message={\"accountId\":\"a\"}", 415},
        {"Add", "encoding=json&message={}", 405},
        {"Cancel", "encoding=json&message={}", 405},
    };
    struct server server;
    server_open(&server, 0);
    (void)server_call(&server, WIRE_GRPC, "Add", ADD);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_request *request =
            server_request(&server, WIRE_HTTP, rows[i].method, (struct base_bytes){NULL, 0});
        request->method = BASE_TEXT("GET");
        request->content_type = BASE_TEXT("");
        request->query = base_text_of(rows[i].query);
        struct answer answer = server_send(&server, request);
        if (answer.reply.http_status != rows[i].http_status) {
            fail_msg("%s: %d", rows[i].query, answer.reply.http_status);
        }
        if (rows[i].http_status == 200) {
            assert_true(starts_with(&answer, GET_BALANCE_JSON));
            assert_int_equal(answer.reply.n_headers, 1);
            assert_string_equal(answer.reply.headers[0].name.bytes, "cache-control");
            assert_string_equal(answer.reply.headers[0].value.bytes, "no-store");
        } else {
            assert_true(starts_with(&answer, "{\"code\":"));
        }
    }
    server_close(&server);
}

static void a_get_carries_protobuf_in_base64(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    (void)server_call(&server, WIRE_GRPC, "Add", ADD);
    struct answer as_post =
        post(&server, "GetBalance", "application/proto", BASE_TEXT(GET_BALANCE_PROTO));
    struct wire_request *request =
        server_request(&server, WIRE_HTTP, "GetBalance", (struct base_bytes){NULL, 0});
    request->method = BASE_TEXT("GET");
    request->query = BASE_TEXT("encoding=proto&base64=1&message=CgFh");
    struct answer as_get = server_send(&server, request);
    assert_int_equal(as_get.reply.http_status, 200);
    assert_string_equal(as_get.reply.content_type.bytes, "application/proto");
    assert_true(base_bytes_equal(as_get.reply.body, as_post.reply.body));
    server_close(&server);
}

static void grpc_may_carry_json(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum base_code status;
    } rows[] = {{ADD, BASE_CODE_OK}, {"{", BASE_CODE_INVALID_ARGUMENT}};
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_request *request =
            server_request(&server, WIRE_GRPC, "Add", base_bytes_of(base_text_of(rows[i].body)));
        request->content_type = BASE_TEXT("application/grpc+json");
        struct answer answer = server_send(&server, request);
        assert_int_equal(answer.reply.grpc_status, rows[i].status);
        assert_string_equal(answer.reply.content_type.bytes, "application/grpc+json");
        if (rows[i].status == BASE_CODE_OK) {
            assert_true(starts_with(&answer, "{\"transactionId\":\"t1\","));
        }
    }
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_are_answered_in_kind),
        cmocka_unit_test(an_error_is_json_in_both_forms),
        cmocka_unit_test(a_read_may_be_asked_by_get),
        cmocka_unit_test(grpc_may_carry_json),
        cmocka_unit_test(a_get_carries_protobuf_in_base64),
    };
    return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
