/* Every error that a caller can meet here: its reason, code and status, what it says of retrying,
 * and its details, in gRPC and in JSON. */
#include "api/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const enum wire_form forms[] = {WIRE_GRPC, WIRE_HTTP};
#define N_FORMS (sizeof forms / sizeof forms[0])

#define WRITE(id, amounts)                                                                         \
    "{\"transactionId\":\"" id "\",\"accountId\":\"alice\",\"amounts\":[" amounts "]}"
#define AMOUNT(kind, amount) "{\"kind\":\"" kind "\",\"amount\":\"" amount "\"}"
#define ID(id) "{\"transactionId\":\"" id "\"}"
#define INVALID(fields) "INVALID_REQUEST invalid_argument no never violations=" fields " : "

/* A request that is refused, and how: the beginning of what answer_text gives. */
struct refusal {
    const char *method;
    const char *request;
    int http_status;
    const char *text;
};

static void expect_refusal(struct server *server, enum wire_form form,
                           const struct refusal *refusal)
{
    struct answer answer = server_call(server, form, refusal->method, refusal->request);
    const char *text = answer_text(server, refusal->method, &answer);
    if (strncmp(text, refusal->text, strlen(refusal->text)) != 0) {
        fail_msg("%s %s\n  gives    %s\n  expected %s", refusal->method, refusal->request, text,
                 refusal->text);
    }
    if (form == WIRE_HTTP) {
        assert_int_equal(answer.reply.http_status, refusal->http_status);
    }
    assert_false(answer.reply.grpc_status == BASE_CODE_OK && form == WIRE_GRPC);
}

static void expect_refusals(struct server *server, size_t n, const struct refusal *refusals)
{
    for (size_t form = 0; form < N_FORMS; form++) {
        for (size_t i = 0; i < n; i++) {
            expect_refusal(server, forms[form], &refusals[i]);
        }
    }
}
#define EXPECT_REFUSALS(server, refusals)                                                          \
    expect_refusals(server, sizeof(refusals) / sizeof(refusals)[0], refusals)

static void succeed(struct server *server, const char *method, const char *request)
{
    struct answer answer = server_call(server, WIRE_GRPC, method, request);
    assert_int_equal(answer.reply.grpc_status, BASE_CODE_OK);
}

static void the_rules_refuse_with_their_reasons(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"Consume", WRITE("t2", AMOUNT("money", "1") "," AMOUNT("points", "101")), 400,
         "INSUFFICIENT_BALANCE failed_precondition no after_change kind=money"
         " : account has too little money"},
        {"Consume", WRITE("t2", AMOUNT("points", "101")), 400,
         "INSUFFICIENT_BALANCE failed_precondition no after_change kind=points"
         " : account has too little points"},
        {"Add", WRITE("t2", AMOUNT("gold", "1")), 400,
         "UNKNOWN_KIND invalid_argument no after_change kind=gold"
         " : kind gold is not configured, or withdrawn"},
        {"Add", WRITE("t2", AMOUNT("points", "501")), 400,
         "AMOUNT_LIMIT_EXCEEDED failed_precondition no after_change kind=points"
         " : the amount of points is above its limit for a transaction"},
        {"Consume", WRITE("t2", AMOUNT("points", "501")), 400,
         "AMOUNT_LIMIT_EXCEEDED failed_precondition no after_change kind=points : "},
        {"Add",
         "{\"transactionId\":\"t2\",\"accountId\":\"full\",\"amounts\":[" AMOUNT(
             "points", "500") "," AMOUNT("money", "1") "]}",
         400,
         "BALANCE_LIMIT_EXCEEDED failed_precondition no after_change kind=points"
         " : the balance of points would be above its limit"},
        {"Add", WRITE("fenced", AMOUNT("points", "1")), 400,
         "TRANSACTION_CANCELLED failed_precondition no never : "},
        {"Cancel", ID("t1"), 400, "TRANSACTION_SUCCEEDED failed_precondition no never : "},
        {"Add", WRITE("t1", AMOUNT("points", "99")), 400,
         "TRANSACTION_ID_REUSED invalid_argument no never fields=amounts"
         " : this transaction id is recorded with other content: amounts"},
        {"Consume",
         "{\"transactionId\":\"t1\",\"accountId\":\"bob\",\"amounts\":[" AMOUNT("points",
                                                                                "99") "]}",
         400,
         "TRANSACTION_ID_REUSED invalid_argument no never fields=operation,account_id,amounts : "},
        {"GetTransaction", ID("nothing"), 404,
         "TRANSACTION_NOT_FOUND not_found no after_change"
         " : nothing is recorded under this transaction id"},
        {"GetTransaction", ID("zandaka:anything"), 404,
         "TRANSACTION_NOT_FOUND not_found no after_change : "},
    };
    struct server server;
    server_open(&server, 0);
    succeed(&server, "Add", WRITE("t1", AMOUNT("points", "100")));
    succeed(&server, "Add",
            "{\"transactionId\":\"t0\",\"accountId\":\"full\",\"amounts\":[" AMOUNT("points",
                                                                                    "500") "]}");
    succeed(&server, "Add",
            "{\"transactionId\":\"t00\",\"accountId\":\"full\",\"amounts\":[" AMOUNT("points",
                                                                                     "1") "]}");
    succeed(&server, "Cancel", ID("fenced"));
    EXPECT_REFUSALS(&server, refusals);
    server_close(&server);
}

static void requests_that_are_not_well_formed_name_every_field(void **state)
{
    (void)state;
#define SPOILT(field) "{\"transactionId\":\"t\",\"accountId\":\"a\",\"amounts\":[" field "]}"
    static const struct refusal refusals[] = {
        {"Add", "{}", 400, INVALID("transaction_id,account_id,amounts")},
        {"Consume", "{}", 400, INVALID("transaction_id,account_id,amounts")},
        {"Cancel", "{}", 400,
         INVALID("transaction_id") "transaction_id: must be 1 to 64 bytes of printable ASCII (0x21 "
                                   "to 0x7E)"},
        {"Cancel", ID("zandaka:x"), 400, INVALID("transaction_id")},
        {"Add", SPOILT(""), 400, INVALID("amounts")},
        {"Add", SPOILT(AMOUNT("points", "0")), 400, INVALID("amounts[0].amount")},
        {"Consume", SPOILT(AMOUNT("points", "-1")), 400, INVALID("amounts[0].amount")},
        {"Add", SPOILT(AMOUNT("points", "1000000000000001")), 400, INVALID("amounts[0].amount")},
        {"Add", SPOILT(AMOUNT("", "1")), 400, INVALID("amounts[0].kind")},
        {"Add", SPOILT(AMOUNT("Points", "1")), 400, INVALID("amounts[0].kind")},
        {"Add", SPOILT(AMOUNT("points", "1") "," AMOUNT("points", "2")), 400,
         INVALID("amounts[1].kind")},
        {"Add",
         SPOILT("{\"kind\":\"points\",\"amount\":1,\"expireTime\":\"2030-01-01T00:00:00Z\"}"), 400,
         INVALID("amounts[0].expire_time")},
        {"Consume",
         SPOILT("{\"kind\":\"points\",\"amount\":1,\"expireTime\":\"2030-01-01T00:00:00Z\"}"), 400,
         INVALID("amounts[0].expire_time")},
        {"Add",
         "{\"transactionId\":\"t\",\"accountId\":\"a\",\"amounts\":[" AMOUNT(
             "points", "1") "],\"metadata\":{\"a b\":\"1\"}}",
         400, INVALID("metadata")},
        {"Submit", "{}", 400, INVALID("commands")},
        {"GetBalance", "{}", 400, INVALID("account_id")},
        {"GetBalance", "{\"accountId\":\"a b\"}", 400, INVALID("account_id")},
        {"BatchGetBalances", "{}", 400, INVALID("account_ids")},
        {"BatchGetBalances", "{\"accountIds\":[\"a\",\"\",\"b\",\"c d\"]}", 400,
         INVALID("account_ids[1],account_ids[3]")},
        {"GetTransaction", "{}", 400, INVALID("transaction_id")},
        {"ListEntries", "{}", 400, INVALID("account_id")},
        {"ListEntries", "{\"accountId\":\"a\",\"pageSize\":-1}", 400, INVALID("page_size")},
        {"ListEntries", "{\"accountId\":\"a\",\"pageToken\":\"x\"}", 400, INVALID("page_token")},
        {"ListEntries", "{\"accountId\":\"a\",\"kinds\":[\"points\",\"P\",\"\"]}", 400,
         INVALID("kinds[1],kinds[2]")},
        {"ListEntries", "{\"accountId\":\"a\",\"operations\":[1,0,13,0]}", 400,
         INVALID("operations[1],operations[3]")},
        /* While the filter is wrong, nothing is said of the token. */
        {"ListEntries", "{\"kinds\":[\"P\"],\"pageSize\":-1,\"pageToken\":\"x\"}", 400,
         INVALID("account_id,kinds[0],page_size")},
    };
    struct server server;
    server_open(&server, 0);
    EXPECT_REFUSALS(&server, refusals);
    server_close(&server);
}

/* In JSON the codec refuses these; in protobuf an enum may hold any number. */
static void operations_that_no_transaction_has_are_refused_in_protobuf(void **state)
{
    (void)state;
    /* account_id "a"; operations 1, 13, 14 and -1. */
    static const uint8_t body[] = {0x0A, 1,    'a',  0x1A, 13,   1,    13,   14,   0xFF,
                                   0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1};
    struct server server;
    server_open(&server, 0);
    struct answer answer =
        server_send(&server, server_request(&server, WIRE_GRPC, "ListEntries",
                                            (struct base_bytes){body, sizeof body}));
    const char *text = answer_text(&server, "ListEntries", &answer);
    const char *expected = INVALID("operations[2],operations[3]");
    assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
    server_close(&server);
}

static struct base_text list_of(struct base_arena *arena, const char *element, int n)
{
    struct base_text list = BASE_TEXT("");
    for (int i = 0; i < n; i++) {
        list = base_arena_print(arena, "%.*s%s%s", BASE_TEXT_ARGS(list), i > 0 ? "," : "", element);
    }
    return list;
}

static void lists_have_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *before;
        const char *element;
        int limit;
        const char *text;
    } rows[] = {
        {"BatchGetBalances", "{\"accountIds\":[", "\"a\"", 1000, INVALID("account_ids")},
        {"ListEntries", "{\"accountId\":\"a\",\"kinds\":[", "\"points\"", 64, INVALID("kinds")},
        {"ListEntries", "{\"accountId\":\"a\",\"operations\":[", "1", 16, INVALID("operations")},
    };
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int past = 0; past < 2; past++) {
            struct base_text list = list_of(&server.arena, rows[i].element, rows[i].limit + past);
            struct base_text request =
                base_arena_print(&server.arena, "%s%.*s]}", rows[i].before, BASE_TEXT_ARGS(list));
            for (size_t form = 0; form < N_FORMS; form++) {
                struct answer answer =
                    server_call(&server, forms[form], rows[i].method, request.bytes);
                const char *text = answer_text(&server, rows[i].method, &answer);
                assert_int_equal(strncmp(text, rows[i].text, strlen(rows[i].text)) == 0, past == 1);
            }
        }
    }
    server_close(&server);
}

/* The whole error stays below the 8 KiB of headers that several gRPC clients take. */
static void the_largest_refusal_fits_a_client_s_headers(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct base_text list = list_of(&server.arena, "\"\"", 1000);
    struct base_text request =
        base_arena_print(&server.arena, "{\"accountIds\":[%.*s]}", BASE_TEXT_ARGS(list));
    struct answer answer = server_call(&server, WIRE_GRPC, "BatchGetBalances", request.bytes);
    const char *text = answer_text(&server, "BatchGetBalances", &answer);
    assert_non_null(strstr(text, "account_ids[31] : "));
    assert_null(strstr(text, "account_ids[32]"));
    assert_non_null(strstr(text, "(and 31 more)"));
    size_t base64 = answer.reply.grpc_status_details.length * 4 / 3;
    assert_true(base64 + 3 * answer.reply.grpc_message.length < 7000);
    server_close(&server);
}

static void bodies_that_cannot_be_read_are_refused_in_their_form(void **state)
{
    (void)state;
    static const struct {
        enum wire_form form;
        const char *method;
        struct base_text body;
    } rows[] = {
        {WIRE_GRPC, "Add", {"\xFF\xFF", 2}},
        {WIRE_GRPC,
         "GetBalance",
         {"\x0A\x05"
          "a",
          3}},
        {WIRE_GRPC,
         "GetBalance",
         {"\x0A\x03"
          "a\0b",
          5}},
        {WIRE_GRPC, "Cancel", {"\xA0\x06\x01", 3}},
        {WIRE_HTTP, "Add", {"", 0}},
        {WIRE_HTTP, "Add", {"{", 1}},
        {WIRE_HTTP, "GetBalance", {"{\"nobody\":1}", 12}},
        {WIRE_HTTP, "GetBalance", {"{\"accountId\":\"\xFF\"}", 17}},
        {WIRE_HTTP, "Submit", {"{\"commands\":[{\"add\":{},\"cancel\":{}}]}", 36}},
    };
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer =
            server_send(&server, server_request(&server, rows[i].form, rows[i].method,
                                                base_bytes_of(rows[i].body)));
        const char *text = answer_text(&server, rows[i].method, &answer);
        assert_non_null(strstr(text, "INVALID_REQUEST invalid_argument no never violations="));
        if (rows[i].form == WIRE_HTTP) {
            assert_int_equal(answer.reply.http_status, 400);
        }
    }
    server_close(&server);
}

static void a_message_in_json_is_escaped(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    struct answer answer = server_send(
        &server, server_request(&server, WIRE_HTTP, "GetBalance",
                                base_bytes_of(BASE_TEXT("{\"a\\\"\\\\\\u0001\\n\":1}"))));
    assert_int_equal(answer.reply.http_status, 400);
    assert_non_null(answer_text(&server, "GetBalance", &answer)); /* it parses */
    server_close(&server);
}

static void a_request_with_a_defect_is_told_so(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    for (size_t form = 0; form < N_FORMS; form++) {
        struct wire_request *request =
            server_request(&server, forms[form], "Add", (struct base_bytes){NULL, 0});
        request->defect = WIRE_DEFECT_TOO_LARGE;
        struct answer answer = server_send(&server, request);
        assert_string_equal(answer_text(&server, "Add", &answer),
                            "REQUEST_TOO_LARGE resource_exhausted no never"
                            " : the request is larger than 4 MiB");
        if (forms[form] == WIRE_HTTP) {
            assert_int_equal(answer.reply.http_status, 429);
        }
    }
    struct wire_request *request = server_request(
        &server, WIRE_HTTP, "GetBalance", base_bytes_of(BASE_TEXT("{\"accountId\":\"a\"}")));
    request->defect = WIRE_DEFECT_TIMEOUT;
    struct answer answer = server_send(&server, request);
    assert_string_equal(answer_text(&server, "GetBalance", &answer),
                        INVALID("") "connect-timeout-ms must be 1 to 10 digits");
    server_close(&server);
}

/* --- the world --- */

static void a_store_that_is_unavailable_wrote_nothing(void **state)
{
    (void)state;
#define UNAVAILABLE(reason) reason " unavailable no same_request retry_info : "
    static const struct refusal refusals[] = {
        {"Add", WRITE("t1", AMOUNT("points", "1")), 503, UNAVAILABLE("STORE_UNAVAILABLE")},
        {"GetBalance", "{\"accountId\":\"alice\"}", 503, UNAVAILABLE("STORE_UNAVAILABLE")},
        {"BatchGetBalances", "{\"accountIds\":[\"a\"]}", 503, UNAVAILABLE("STORE_UNAVAILABLE")},
        {"GetTransaction", ID("t1"), 503, UNAVAILABLE("STORE_UNAVAILABLE")},
        {"ListEntries", "{\"accountId\":\"alice\"}", 503, UNAVAILABLE("STORE_UNAVAILABLE")},
    };
    struct server server;
    server_open(&server, 0);
    server.on_load = STORE_FAULTY_UNAVAILABLE;
    server.on_read = STORE_FAULTY_UNAVAILABLE;
    EXPECT_REFUSALS(&server, refusals);
    server_close(&server);
}

static void a_corrupt_store_is_told_as_internal_and_nothing_more(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"Add", WRITE("t1", AMOUNT("points", "1")), 500,
         "INTERNAL internal unknown same_request : internal error"},
        {"GetBalance", "{\"accountId\":\"alice\"}", 500,
         "INTERNAL internal unknown same_request : internal error"},
        {"GetTransaction", ID("t1"), 500,
         "INTERNAL internal unknown same_request : internal error"},
    };
    struct server server;
    server_open(&server, 0);
    server.on_load = STORE_FAULTY_CORRUPT;
    server.on_read = STORE_FAULTY_CORRUPT;
    EXPECT_REFUSALS(&server, refusals);
    server_close(&server);
}

static void an_unknown_outcome_is_told_as_unknown(void **state)
{
    (void)state;
    static const struct refusal refusal = {
        "Add", WRITE("t1", AMOUNT("points", "1")), 503,
        "OUTCOME_UNKNOWN unavailable unknown same_request : "
        "the store may have written it; repeat the same request"};
    for (size_t form = 0; form < N_FORMS; form++) {
        struct server server;
        server_open(&server, 0);
        server.on_commit = STORE_FAULTY_UNKNOWN_LOST;
        server.after_commit = STORE_FAULTY_UNAVAILABLE;
        expect_refusal(&server, forms[form], &refusal);
        server_close(&server);
    }
}

static void a_deadline_that_has_passed_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *request;
    } rows[] = {{"Add", WRITE("t1", AMOUNT("points", "1"))},
                {"GetBalance", "{\"accountId\":\"alice\"}"}};
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const int64_t timeouts_ns[] = {0, 1, INT64_MAX};
        for (size_t at = 0; at < 3; at++) {
            struct wire_request *request = server_request(
                &server, WIRE_HTTP, rows[i].method, base_bytes_of(base_text_of(rows[i].request)));
            request->timeout_ns = timeouts_ns[at];
            struct answer answer = server_send(&server, request);
            assert_int_equal(answer.reply.http_status, at == 0 ? 504 : 200);
            if (at == 0) {
                assert_string_equal(answer_text(&server, rows[i].method, &answer),
                                    "DEADLINE_EXCEEDED deadline_exceeded unknown same_request"
                                    " : the deadline passed; repeat the same request");
            }
        }
    }
    server_close(&server);
}

static void a_server_that_stops_says_so(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"Add", WRITE("t1", AMOUNT("points", "1")), 503, UNAVAILABLE("SHUTTING_DOWN")},
        {"Submit", "{\"commands\":[{\"cancel\":" ID("t1") "}]}", 503, UNAVAILABLE("SHUTTING_DOWN")},
        {"GetBalance", "{\"accountId\":\"alice\"}", 503, UNAVAILABLE("SHUTTING_DOWN")},
    };
    struct server server;
    server_open(&server, 0);
    service_stop(server.service);
    EXPECT_REFUSALS(&server, refusals);
    server_close(&server);
}

/* A call that stands in the service's line and is never looked at. */
static void ignore_done(struct service_call *call)
{
    (void)call;
}

static void a_full_queue_says_so(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"Add", WRITE("t1", AMOUNT("points", "1")), 503, UNAVAILABLE("OVERLOADED")},
        {"Submit", "{\"commands\":[{\"cancel\":" ID("t1") "}]}", 503, UNAVAILABLE("OVERLOADED")},
    };
    static struct ledger_command commands[BASE_SUBMIT_MAX];
    static struct service_result results[BASE_SUBMIT_MAX];
    static struct service_call calls[BASE_QUEUE_MAX / BASE_SUBMIT_MAX];
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < BASE_SUBMIT_MAX; i++) {
        commands[i] = (struct ledger_command){.operation = RECORD_OPERATION_CANCEL,
                                              .transaction_id = BASE_TEXT("fill")};
    }
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        calls[i] = (struct service_call){.caller = i,
                                         .n_commands = BASE_SUBMIT_MAX,
                                         .commands = commands,
                                         .results = results,
                                         .deadline_mono_ns = BASE_NO_DEADLINE,
                                         .arena = &server.arena,
                                         .done = ignore_done};
        assert_int_equal(service_submit(server.service, &calls[i]), BASE_REASON_NONE);
    }
    EXPECT_REFUSALS(&server, refusals);
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_refuse_with_their_reasons),
        cmocka_unit_test(requests_that_are_not_well_formed_name_every_field),
        cmocka_unit_test(operations_that_no_transaction_has_are_refused_in_protobuf),
        cmocka_unit_test(lists_have_their_limits),
        cmocka_unit_test(the_largest_refusal_fits_a_client_s_headers),
        cmocka_unit_test(bodies_that_cannot_be_read_are_refused_in_their_form),
        cmocka_unit_test(a_message_in_json_is_escaped),
        cmocka_unit_test(a_request_with_a_defect_is_told_so),
        cmocka_unit_test(a_store_that_is_unavailable_wrote_nothing),
        cmocka_unit_test(a_corrupt_store_is_told_as_internal_and_nothing_more),
        cmocka_unit_test(an_unknown_outcome_is_told_as_unknown),
        cmocka_unit_test(a_deadline_that_has_passed_is_told),
        cmocka_unit_test(a_server_that_stops_says_so),
        cmocka_unit_test(a_full_queue_says_so),
    };
    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
