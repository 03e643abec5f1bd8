/* What a path, a method and a media type lead to, and what /livez and /readyz say. */
#include "api/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void paths_methods_and_media_types_are_answered_as_http_does(void **state)
{
    (void)state;
#define BALANCE_PATH "/zandaka.v1.BalanceService/GetBalance"
    static const struct {
        const char *method;
        const char *path;
        const char *content_type;
        const char *parameters;
        int http_status;
        const char *allow;
    } rows[] = {
        {"POST", BALANCE_PATH, "application/json", "", 200, NULL},
        {"POST", BALANCE_PATH, "application/json", "charset=utf-8", 200, NULL},
        {"POST", BALANCE_PATH, "application/json", "Charset=\"UTF-8\"", 200, NULL},
        {"POST", BALANCE_PATH, "application/json", "charset=latin1", 415, NULL},
        {"POST", BALANCE_PATH, "application/proto", "charset=utf-8", 415, NULL},
        {"POST", BALANCE_PATH, "text/plain", "", 415, NULL},
        {"POST", BALANCE_PATH, "", "", 415, NULL},
        {"PUT", BALANCE_PATH, "application/json", "", 405, "GET, POST"},
        {"post", BALANCE_PATH, "application/json", "", 405, "GET, POST"},
        {"HEAD", BALANCE_PATH, "", "", 405, "GET, POST"},
        {"GET", "/zandaka.v1.BalanceService/Add", "", "", 405, "POST"},
        {"POST", BALANCE_PATH "s", "application/json", "", 404, NULL},
        {"POST", "/zandaka.v1.balanceservice/GetBalance", "application/json", "", 404, NULL},
        {"POST", "/zandaka.v1.BalanceService/", "application/json", "", 404, NULL},
        {"GET", "/", "", "", 404, NULL},
        {"GET", "", "", "", 404, NULL},
        {"GET", "/livez/", "", "", 404, NULL},
        {"HEAD", "/livez", "", "", 200, NULL},
        {"HEAD", "/readyz", "", "", 200, NULL},
        {"POST", "/livez", "", "", 405, "GET, HEAD"},
        {"DELETE", "/readyz", "", "", 405, "GET, HEAD"},
    };
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_request *request = server_request(
            &server, WIRE_HTTP, "", base_bytes_of(BASE_TEXT("{\"accountId\":\"alice\"}")));
        request->method = base_text_of(rows[i].method);
        request->path = base_text_of(rows[i].path);
        request->content_type = base_text_of(rows[i].content_type);
        request->content_type_parameters = base_text_of(rows[i].parameters);
        struct answer answer = server_send(&server, request);
        assert_int_equal(answer.reply.http_status, rows[i].http_status);
        if (rows[i].http_status != 200) {
            const char *text = answer_text(&server, "GetBalance", &answer);
            assert_int_equal(strncmp(text, "UNIMPLEMENTED unimplemented no never : ", 39), 0);
        }
        assert_int_equal(answer.reply.n_headers, rows[i].allow != NULL ? 1 : 0);
        if (rows[i].allow != NULL) {
            assert_string_equal(answer.reply.headers[0].name.bytes, "allow");
            assert_string_equal(answer.reply.headers[0].value.bytes, rows[i].allow);
        }
    }
    server_close(&server);
}

static void a_compressed_body_is_not_taken(void **state)
{
    (void)state;
    static const struct {
        struct wire_header header;
        int http_status;
    } rows[] = {
        {{{"content-encoding", 16}, {"gzip", 4}}, 415},
        {{{"content-encoding", 16}, {"identity", 8}}, 200},
        {{{"accept-encoding", 15}, {"gzip", 4}}, 200},
    };
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_request *request =
            server_request(&server, WIRE_HTTP, "GetBalance",
                           base_bytes_of(BASE_TEXT("{\"accountId\":\"alice\"}")));
        request->n_headers = 1;
        request->headers = &rows[i].header;
        assert_int_equal(server_send(&server, request).reply.http_status, rows[i].http_status);
    }
    server_close(&server);
}

static void an_unknown_method_in_grpc_is_unimplemented(void **state)
{
    (void)state;
    static const char *const paths[] = {"/zandaka.v1.BalanceService/Transfer",
                                        "/zandaka.v1.BalanceService/add",
                                        "/zandaka.v1.BalanceService/Add/",
                                        "/zandaka.v1.Balance/Add",
                                        "/livez",
                                        "/",
                                        ""};
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct wire_request *request =
            server_request(&server, WIRE_GRPC, "", (struct base_bytes){NULL, 0});
        request->path = base_text_of(paths[i]);
        struct answer answer = server_send(&server, request);
        assert_int_equal(answer.reply.grpc_status, BASE_CODE_UNIMPLEMENTED);
        assert_string_equal(answer_text(&server, "", &answer),
                            "UNIMPLEMENTED unimplemented no never : there is no such method");
    }
    server_close(&server);
}

static void what_http_refuses_is_answered_like_any_error(void **state)
{
    (void)state;
    static const struct {
        int http_status;
        const char *text;
    } rows[] = {
        {400, "INVALID_REQUEST invalid_argument no never : it is wrong"},
        {417, "INVALID_REQUEST invalid_argument no never : it is wrong"},
        {431, "REQUEST_TOO_LARGE resource_exhausted no never : it is wrong"},
        {501, "UNIMPLEMENTED unimplemented no never : it is wrong"},
        {505, "UNIMPLEMENTED unimplemented no never : it is wrong"},
    };
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_request *request =
            server_request(&server, WIRE_HTTP, "Add", (struct base_bytes){NULL, 0});
        request->method = BASE_TEXT("");
        request->path = BASE_TEXT("");
        request->content_type = BASE_TEXT("");
        request->defect = WIRE_DEFECT_REFUSED;
        request->refusal = (struct wire_refusal){rows[i].http_status, BASE_TEXT("it is wrong")};
        struct answer answer = server_send(&server, request);
        assert_int_equal(answer.reply.http_status, rows[i].http_status);
        assert_string_equal(answer_text(&server, "", &answer), rows[i].text);
    }
    server_close(&server);
}

static struct answer ask_page(struct server *server, const char *path)
{
    struct wire_request *request =
        server_request(server, WIRE_HTTP, "", (struct base_bytes){NULL, 0});
    request->method = BASE_TEXT("GET");
    request->path = base_text_of(path);
    request->content_type = BASE_TEXT("");
    struct answer answer = server_send(server, request);
    assert_string_equal(answer.reply.content_type.bytes, "text/plain; charset=utf-8");
    return answer;
}

static void health_is_told_in_words(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct answer answer = ask_page(&server, "/livez");
    assert_int_equal(answer.reply.http_status, 200);
    assert_string_equal((const char *)answer.reply.body.bytes, "ok");
    answer = ask_page(&server, "/readyz");
    assert_int_equal(answer.reply.http_status, 200);
    assert_string_equal((const char *)answer.reply.body.bytes, "ok");

    api_set_draining(server.api);
    answer = ask_page(&server, "/readyz");
    assert_int_equal(answer.reply.http_status, 503);
    assert_string_equal((const char *)answer.reply.body.bytes, "draining");
    assert_int_equal(ask_page(&server, "/livez").reply.http_status, 200);
    /* Calls are still answered. */
    answer = server_call(&server, WIRE_GRPC, "GetBalance", "{\"accountId\":\"alice\"}");
    assert_int_equal(answer.reply.grpc_status, BASE_CODE_OK);
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_methods_and_media_types_are_answered_as_http_does),
        cmocka_unit_test(a_compressed_body_is_not_taken),
        cmocka_unit_test(an_unknown_method_in_grpc_is_unimplemented),
        cmocka_unit_test(what_http_refuses_is_answered_like_any_error),
        cmocka_unit_test(health_is_told_in_words),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
