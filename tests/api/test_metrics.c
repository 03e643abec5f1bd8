/* api: a call whose caller has gone is over too, as cancelled. */
#include "api/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void note(void *context)
{
    *(bool *)context = true;
}

static struct base_text metrics_of(struct server *server)
{
    struct wire_request *request =
        server_request(server, WIRE_HTTP, "Add", (struct base_bytes){NULL, 0});
    request->method = BASE_TEXT("GET");
    request->path = BASE_TEXT("/metrics");
    struct answer answer = server_send(server, request);
    assert_int_equal(answer.reply.http_status, 200);
    assert_true(base_text_equal(answer.reply.content_type,
                                BASE_TEXT("text/plain; version=0.0.4; charset=utf-8")));
    return base_arena_text(&server->arena, base_text_from(answer.reply.body));
}

static void a_call_that_nobody_waits_for_was_cancelled(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    const char *json = "{\"accountId\":\"alice\"}";
    struct wire_request *request = server_request(
        &server, WIRE_HTTP, "GetBalance", (struct base_bytes){(const uint8_t *)json, strlen(json)});
    bool finished = false;
    struct api_exchange *exchange =
        api_start(server.api, request, &(struct api_peer){.number = 1}, note, &finished);
    while (service_step(server.service, NULL, NULL)) {
    }
    assert_true(finished);
    api_end(exchange);
    struct base_text text = metrics_of(&server);
    assert_non_null(strstr(
        text.bytes, "grpc_server_handled_total{grpc_type=\"unary\",grpc_service=\"zandaka.v1."
                    "BalanceService\",grpc_method=\"GetBalance\",grpc_code=\"Canceled\"} 1\n"));
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_nobody_waits_for_was_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
