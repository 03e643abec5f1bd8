/* Every method's success, in gRPC and in JSON, and what a repeat is answered with. */
#include "api/codec.h"
#include "api/server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zandaka/v1/balance_service.pb-c.h>

#include <cmocka.h>

static const enum wire_form forms[] = {WIRE_GRPC, WIRE_HTTP};
#define N_FORMS (sizeof forms / sizeof forms[0])

#define TIME ",\"createTime\":\"2025-11-25T00:00:00.123456Z\""
#define RECORD(id, operation, legs)                                                                \
    "{\"transactionId\":\"" id                                                                     \
    "\",\"state\":\"STATE_SUCCEEDED\",\"operation\":\"OPERATION_" operation                        \
    "\",\"accountId\":\"alice\",\"legs\":[" legs "]" TIME "}"
#define LEG(kind, amount)                                                                          \
    "{\"accountId\":\"alice\",\"kind\":\"" kind "\",\"amount\":\"" amount "\"}"
#define CANCELLED(id)                                                                              \
    "{\"transactionId\":\"" id                                                                     \
    "\",\"state\":\"STATE_CANCELLED\",\"operation\":\"OPERATION_CANCEL\"" TIME "}"
#define WRITE(id, amounts)                                                                         \
    "{\"transactionId\":\"" id "\",\"accountId\":\"alice\",\"amounts\":[" amounts "]}"
#define AMOUNT(kind, amount) "{\"kind\":\"" kind "\",\"amount\":\"" amount "\"}"
#define BALANCE(kind, available)                                                                   \
    "{\"kind\":\"" kind "\",\"available\":\"" available "\",\"held\":\"0\"}"

/* One call of a story and what it is answered with. */
struct step {
    const char *method;
    const char *request;
    const char *answer;
    bool replayed;
};

static void tell(struct server *server, enum wire_form form, size_t n, const struct step *steps)
{
    for (size_t i = 0; i < n; i++) {
        struct answer answer = server_call(server, form, steps[i].method, steps[i].request);
        assert_string_equal(answer_text(server, steps[i].method, &answer), steps[i].answer);
        assert_int_equal(answer_replayed(&answer), steps[i].replayed);
    }
}

static void tell_in_every_form(size_t n, const struct step *steps)
{
    for (size_t i = 0; i < N_FORMS; i++) {
        struct server server;
        server_open(&server, 0);
        tell(&server, forms[i], n, steps);
        server_close(&server);
    }
}
#define TELL(steps) tell_in_every_form(sizeof(steps) / sizeof(steps)[0], steps)

static void writes_are_answered_with_their_record_and_repeats_with_the_same(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"Add", WRITE("t1", AMOUNT("points", "100") "," AMOUNT("money", "500")),
         RECORD("t1", "ADD", LEG("points", "100") "," LEG("money", "500")), false},
        {"Consume", WRITE("t2", AMOUNT("money", "500") "," AMOUNT("points", "100")),
         RECORD("t2", "CONSUME", LEG("money", "-500") "," LEG("points", "-100")), false},
        {"Cancel", "{\"transactionId\":\"t3\"}", CANCELLED("t3"), false},
        /* The order of the legs is not content, and no balance is looked at again. */
        {"Add", WRITE("t1", AMOUNT("money", "500") "," AMOUNT("points", "100")),
         RECORD("t1", "ADD", LEG("points", "100") "," LEG("money", "500")), true},
        {"Consume", WRITE("t2", AMOUNT("money", "500") "," AMOUNT("points", "100")),
         RECORD("t2", "CONSUME", LEG("money", "-500") "," LEG("points", "-100")), true},
        {"Cancel", "{\"transactionId\":\"t3\"}", CANCELLED("t3"), true},
    };
    TELL(steps);
}

static void labels_are_recorded_and_the_first_ones_stay(void **state)
{
    (void)state;
    static const char recorded[] =
        "{\"transactionId\":\"t1\",\"state\":\"STATE_SUCCEEDED\",\"operation\":\"OPERATION_ADD\","
        "\"accountId\":\"alice\",\"legs\":[" LEG(
            "points", "1") "]" TIME
                           ",\"description\":\"first\",\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}";
    static const struct step steps[] = {
        {"Add",
         "{\"transactionId\":\"t1\",\"accountId\":\"alice\",\"amounts\":[" AMOUNT(
             "points", "1") "],\"description\":\"first\",\"metadata\":{\"b\":\"2\",\"a\":\"1\"}}",
         recorded, false},
        {"Add",
         "{\"transactionId\":\"t1\",\"accountId\":\"alice\",\"amounts\":[" AMOUNT(
             "points", "1") "],\"description\":\"second\",\"metadata\":{\"c\":\"3\"}}",
         recorded, true},
        {"GetTransaction", "{\"transactionId\":\"t1\"}", recorded, false},
    };
    TELL(steps);
}

static void a_repeat_is_byte_equal_in_each_form(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"Add", WRITE("t1", AMOUNT("points", "100") "," AMOUNT("money", "1")), NULL, false},
        {"Consume", WRITE("t2", AMOUNT("points", "100")), NULL, false},
        {"Cancel", "{\"transactionId\":\"t3\"}", NULL, false},
    };
    struct server server;
    server_open(&server, 0);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct answer first = server_call(&server, WIRE_GRPC, steps[i].method, steps[i].request);
        assert_int_equal(first.reply.grpc_status, BASE_CODE_OK);
        assert_false(answer_replayed(&first));
        struct answer json = server_call(&server, WIRE_HTTP, steps[i].method, steps[i].request);
        for (int repeat = 0; repeat < 3; repeat++) {
            server.now_us += 1000000;
            struct answer again =
                server_call(&server, WIRE_GRPC, steps[i].method, steps[i].request);
            assert_true(base_bytes_equal(again.reply.body, first.reply.body));
            assert_true(answer_replayed(&again));
            again = server_call(&server, WIRE_HTTP, steps[i].method, steps[i].request);
            assert_true(base_bytes_equal(again.reply.body, json.reply.body));
            assert_true(answer_replayed(&again));
        }
        struct base_text id =
            base_arena_print(&server.arena, "{\"transactionId\":\"t%zu\"}", i + 1);
        struct answer read = server_call(&server, WIRE_GRPC, "GetTransaction", id.bytes);
        assert_true(base_bytes_equal(read.reply.body, first.reply.body));
        assert_false(answer_replayed(&read));
    }
    server_close(&server);
}

static void balances_name_every_kind_in_the_order_of_the_configuration(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"GetBalance", "{\"accountId\":\"alice\"}",
         "{\"accountId\":\"alice\",\"balances\":[" BALANCE("points", "0") "," BALANCE(
             "old", "0") "," BALANCE("money", "0") "]}",
         false},
        {"Add", WRITE("t1", AMOUNT("money", "7")), RECORD("t1", "ADD", LEG("money", "7")), false},
        {"GetBalance", "{\"accountId\":\"alice\"}",
         "{\"accountId\":\"alice\",\"balances\":[" BALANCE("points", "0") "," BALANCE(
             "old", "0") "," BALANCE("money", "7") "]}",
         false},
        {"BatchGetBalances", "{\"accountIds\":[\"bob\",\"alice\",\"bob\"]}",
         "{\"accounts\":[{\"accountId\":\"bob\",\"balances\":[" BALANCE("points", "0") "," BALANCE("old", "0") "," BALANCE("money", "0") "]},{\"accountId\":\"alice\",\"balances\":[" BALANCE(
             "points",
             "0") "," BALANCE("old", "0") "," BALANCE("money",
                                                      "7") "]},{\"accountId\":\"bob\",\"balances\":"
                                                           "[" BALANCE("points", "0") "," BALANCE(
                                                               "old", "0") "," BALANCE("money",
                                                                                       "0") "]}]}",
         false},
    };
    TELL(steps);
}

static void a_withdrawn_kind_is_shown_last_and_only_while_there_is_some(void **state)
{
    (void)state;
    static const struct step before[] = {
        {"Add", WRITE("t1", AMOUNT("old", "7")), RECORD("t1", "ADD", LEG("old", "7")), false},
    };
    static const struct step after[] = {
        {"GetBalance", "{\"accountId\":\"alice\"}",
         "{\"accountId\":\"alice\",\"balances\":[" BALANCE("points", "0") "," BALANCE(
             "money", "0") "," BALANCE("old", "7") "]}",
         false},
        {"GetBalance", "{\"accountId\":\"bob\"}",
         "{\"accountId\":\"bob\",\"balances\":[" BALANCE("points", "0") "," BALANCE("money",
                                                                                    "0") "]}",
         false},
        {"Add", WRITE("t1", AMOUNT("old", "7")), RECORD("t1", "ADD", LEG("old", "7")), true},
        {"Add", WRITE("t2", AMOUNT("old", "7")),
         "UNKNOWN_KIND invalid_argument no after_change kind=old"
         " : kind old is not configured, or withdrawn",
         false},
    };
    for (size_t i = 0; i < N_FORMS; i++) {
        struct server server;
        server_open(&server, 0);
        tell(&server, forms[i], 1, before);
        server_withdraw(&server);
        tell(&server, forms[i], sizeof after / sizeof after[0], after);
        server_close(&server);
    }
}

static void a_command_of_a_submit_succeeds_or_fails_by_itself(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"Add", WRITE("t0", AMOUNT("points", "1")), RECORD("t0", "ADD", LEG("points", "1")), false},
        {"Submit",
         "{\"commands\":[{\"add\":" WRITE(
             "t1",
             AMOUNT(
                 "points",
                 "5")) "},"
                       "{\"add\":" WRITE(
                           "t2",
                           AMOUNT(
                               "points",
                               "0")) "},"
                                     "{\"consume\":" WRITE(
                                         "t3",
                                         AMOUNT(
                                             "points",
                                             "6")) "},"
                                                   "{\"cancel\":{\"transactionId\":\"t4\"}},"
                                                   "{},"
                                                   "{\"add\":" WRITE(
                                                       "t0",
                                                       AMOUNT(
                                                           "points",
                                                           "1")) "},"
                                                                 "{\"consume\":" WRITE(
                                                                     "t3",
                                                                     AMOUNT(
                                                                         "points",
                                                                         "6")) "},"
                                                                               "{\"consume\""
                                                                               ":" WRITE(
                                                                                   "t5",
                                                                                   AMOUNT(
                                                                                       "points",
                                                                                       "1")) "}]}",
         "{\"results\":["
         "{\"transaction\":" RECORD(
             "t1", "ADD",
             LEG("points",
                 "5")) "},"
                       "{\"error\":{\"code\":3,\"message\":\"commands[1].add.amounts[0].amount: "
                       "must be 1 to "
                       "1000000000000000 minor "
                       "units\",\"details\":[{\"@type\":\"type.googleapis.com/"
                       "google.rpc.ErrorInfo\",\"reason\":\"INVALID_REQUEST\",\"domain\":"
                       "\"zandaka\",\"metadata\":"
                       "{\"applied\":\"no\",\"retry\":\"never\"}},{\"@type\":\"type.googleapis.com/"
                       "google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"commands[1].add."
                       "amounts[0]."
                       "amount\",\"description\":\"must be 1 to 1000000000000000 minor "
                       "units\"}]}]}},"
                       "{\"transaction\":" RECORD(
                           "t3", "CONSUME",
                           LEG("points",
                               "-6")) "},"
                                      "{\"transaction\":" CANCELLED(
                                          "t4") "},"
                                                "{\"error\":{\"code\":3,\"message\":\"commands[4]: "
                                                "must have one operation set\","
                                                "\"details\":[{\"@type\":\"type.googleapis.com/"
                                                "google.rpc.ErrorInfo\",\"reason\":"
                                                "\"INVALID_REQUEST\",\"domain\":\"zandaka\","
                                                "\"metadata\":{\"applied\":\"no\",\"retry\":"
                                                "\"never\"}},{\"@type\":\"type.googleapis.com/"
                                                "google.rpc.BadRequest\",\"fieldViolations\":"
                                                "[{\"field\":\"commands[4]\",\"description\":"
                                                "\"must have one operation set\"}]}]}},"
                                                "{\"transaction\":" RECORD(
                                                    "t0", "ADD",
                                                    LEG("points",
                                                        "1")) ",\"replayed\":true},"
                                                              "{\"transaction\":" RECORD(
                                                                  "t3", "CONSUME",
                                                                  LEG("points",
                                                                      "-6")) ",\"replayed\":true},"
                                                                             "{\"error\":{\"code\":"
                                                                             "9,\"message\":"
                                                                             "\"account has too "
                                                                             "little "
                                                                             "points\",\"details\":"
                                                                             "["
                                                                             "{\"@type\":\"type."
                                                                             "googleapis.com/"
                                                                             "google.rpc."
                                                                             "ErrorInfo\","
                                                                             "\"reason\":"
                                                                             "\"INSUFFICIENT_"
                                                                             "BALANCE\",\"domain\":"
                                                                             "\"zandaka\","
                                                                             "\"metadata\":{"
                                                                             "\"applied\":\"no\","
                                                                             "\"kind\":"
                                                                             "\"points\",\"retry\":"
                                                                             "\"after_change\"}}]}}"
                                                                             "]}",
         false},
    };
    TELL(steps);
}

static void a_submit_without_a_well_formed_command_asks_no_service(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    service_stop(server.service); /* whatever reached it would be SHUTTING_DOWN */
    for (size_t i = 0; i < N_FORMS; i++) {
        struct answer answer =
            server_call(&server, forms[i], "Submit", "{\"commands\":[{},{\"cancel\":{}}]}");
        const char *text = answer_text(&server, "Submit", &answer);
        assert_non_null(strstr(text, "commands[0]: must have one operation set"));
        assert_non_null(strstr(text, "commands[1].cancel.transaction_id: must be 1 to 64"));
        assert_null(strstr(text, "SHUTTING_DOWN"));
    }
    server_close(&server);
}

/* 1,024 cancels, or one more. */
static const char *many_cancels(struct server *server, int n)
{
    struct base_writer writer = {NULL, 0, 0};
    base_write_bytes(&writer, base_bytes_of(BASE_TEXT("{\"commands\":[")));
    for (int i = 0; i < n; i++) {
        base_write_bytes(&writer, base_bytes_of(base_arena_print(
                                      &server->arena, "%s{\"cancel\":{\"transactionId\":\"c%d\"}}",
                                      i > 0 ? "," : "", i)));
    }
    base_write_bytes(&writer, base_bytes_of(BASE_TEXT("]}")));
    const char *json =
        base_arena_text(&server->arena, base_text_from(base_writer_bytes(&writer))).bytes;
    base_writer_release(&writer);
    return json;
}

static void a_submit_takes_1024_commands_and_no_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FORMS; i++) {
        struct server server;
        server_open(&server, 0);
        struct answer answer =
            server_call(&server, forms[i], "Submit", many_cancels(&server, 1025));
        assert_string_equal(answer_text(&server, "Submit", &answer),
                            "INVALID_REQUEST invalid_argument no never violations=commands"
                            " : commands: must be 1 to 1024 commands");
        answer = server_call(&server, forms[i], "Submit", many_cancels(&server, 1024));
        const char *text = answer_text(&server, "Submit", &answer);
        assert_non_null(strstr(text, "\"transactionId\":\"c0\""));
        assert_non_null(strstr(text, "\"transactionId\":\"c1023\""));
        assert_null(strstr(text, "error"));
        server_close(&server);
    }
}

/* What wrong commands cause stays well below the 4 MiB that gRPC clients take. */
static void a_submit_of_wrong_commands_is_answered_within_2_mib(void **state)
{
    (void)state;
    Zandaka__V1__Amount amount = ZANDAKA__V1__AMOUNT__INIT;
    char kind[200];
    memset(kind, 'K', sizeof kind - 1);
    kind[sizeof kind - 1] = '\0';
    amount.kind = kind;
    Zandaka__V1__Amount *amounts[BASE_AMOUNTS_MAX];
    for (size_t i = 0; i < BASE_AMOUNTS_MAX; i++) {
        amounts[i] = &amount;
    }
    Zandaka__V1__AddRequest add = ZANDAKA__V1__ADD_REQUEST__INIT;
    add.n_amounts = BASE_AMOUNTS_MAX;
    add.amounts = amounts;
    Zandaka__V1__Command command = ZANDAKA__V1__COMMAND__INIT;
    command.command_case = ZANDAKA__V1__COMMAND__COMMAND_ADD;
    command.add = &add;
    static Zandaka__V1__Command *commands[BASE_SUBMIT_MAX];
    for (size_t i = 0; i < BASE_SUBMIT_MAX; i++) {
        commands[i] = &command;
    }
    Zandaka__V1__SubmitRequest request = ZANDAKA__V1__SUBMIT_REQUEST__INIT;
    request.n_commands = BASE_SUBMIT_MAX;
    request.commands = commands;

    struct server server;
    server_open(&server, 0);
    struct base_bytes body = api_codec_pack(&server.arena, &request.base);
    assert_true(body.length <= BASE_REQUEST_MAX_BYTES);
    struct answer answer = server_send(&server, server_request(&server, WIRE_GRPC, "Submit", body));
    assert_int_equal(answer.reply.grpc_status, BASE_CODE_OK);
    assert_true(answer.reply.body.length > (1u << 20));
    assert_true(answer.reply.body.length < (2u << 20));
    server_close(&server);
}

static void entries_are_the_history_newest_first(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"ListEntries", "{\"accountId\":\"alice\"}", "{}", false},
        {"Add",
         "{\"transactionId\":\"t1\",\"accountId\":\"alice\",\"amounts\":[" AMOUNT(
             "points", "9") "],\"description\":\"gift\"}",
         "{\"transactionId\":\"t1\",\"state\":\"STATE_SUCCEEDED\",\"operation\":\"OPERATION_ADD\","
         "\"accountId\":\"alice\",\"legs\":[" LEG("points", "9") "]" TIME
                                                                 ",\"description\":\"gift\"}",
         false},
        {"Consume", WRITE("t2", AMOUNT("points", "4")),
         RECORD("t2", "CONSUME", LEG("points", "-4")), false},
        {"ListEntries", "{\"accountId\":\"alice\"}",
         "{\"entries\":[{\"sequence\":\"2\",\"transactionId\":\"t2\",\"operation\":"
         "\"OPERATION_CONSUME\",\"kind\":\"points\",\"amount\":\"-4\",\"balanceAfter\":\"5\","
         "\"heldAmount\":\"0\",\"heldAfter\":\"0\"" TIME "},"
         "{\"sequence\":\"1\",\"transactionId\":\"t1\",\"operation\":\"OPERATION_ADD\",\"kind\":"
         "\"points\",\"amount\":\"9\",\"balanceAfter\":\"9\",\"heldAmount\":\"0\",\"heldAfter\":"
         "\"0\"" TIME ",\"description\":\"gift\"}]}",
         false},
    };
    TELL(steps);
}

static void a_read_passes_over_unknown_fields_and_a_write_refuses_them(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    /* Field 1 as the methods have it, and a field 100 that nobody has. */
    static const uint8_t body[] = {0x0A, 2, 't', '1', 0xA0, 0x06, 1};
    static const struct {
        const char *method;
        bool refused;
    } rows[] = {{"Cancel", true},
                {"Add", true},
                {"Consume", true},
                {"GetBalance", false},
                {"BatchGetBalances", false},
                {"ListEntries", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer =
            server_send(&server, server_request(&server, WIRE_GRPC, rows[i].method,
                                                (struct base_bytes){body, sizeof body}));
        assert_int_equal(answer.reply.grpc_status,
                         rows[i].refused ? BASE_CODE_INVALID_ARGUMENT : BASE_CODE_OK);
    }
    server_close(&server);
}

/* --- threads --- */

static void *repeat_one_consume(void *context)
{
    struct server *server = context;
    /* Each thread has an arena of its own; the rest of the server is what is shared. */
    struct server mine = *server;
    mine.arena = BASE_ARENA_EMPTY;
    struct answer answer =
        server_call(&mine, WIRE_GRPC, "Consume", WRITE("t2", AMOUNT("points", "100")));
    bool succeeded = answer.reply.grpc_status == BASE_CODE_OK;
    (void)server_call(&mine, WIRE_HTTP, "GetBalance", "{\"accountId\":\"alice\"}");
    base_arena_release(&mine.arena);
    return succeeded ? server : NULL;
}

static void racing_repeats_are_all_answered_with_success(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 2);
    (void)server_call(&server, WIRE_GRPC, "Add", WRITE("t1", AMOUNT("points", "100")));
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, repeat_one_consume, &server), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        void *succeeded;
        assert_int_equal(pthread_join(threads[i], &succeeded), 0);
        assert_non_null(succeeded);
    }
    struct answer answer =
        server_call(&server, WIRE_HTTP, "GetBalance", "{\"accountId\":\"alice\"}");
    assert_non_null(strstr((const char *)answer.reply.body.bytes, BALANCE("points", "0")));
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_are_answered_with_their_record_and_repeats_with_the_same),
        cmocka_unit_test(labels_are_recorded_and_the_first_ones_stay),
        cmocka_unit_test(a_repeat_is_byte_equal_in_each_form),
        cmocka_unit_test(balances_name_every_kind_in_the_order_of_the_configuration),
        cmocka_unit_test(a_withdrawn_kind_is_shown_last_and_only_while_there_is_some),
        cmocka_unit_test(a_command_of_a_submit_succeeds_or_fails_by_itself),
        cmocka_unit_test(a_submit_without_a_well_formed_command_asks_no_service),
        cmocka_unit_test(a_submit_takes_1024_commands_and_no_more),
        cmocka_unit_test(a_submit_of_wrong_commands_is_answered_within_2_mib),
        cmocka_unit_test(entries_are_the_history_newest_first),
        cmocka_unit_test(a_read_passes_over_unknown_fields_and_a_write_refuses_them),
        cmocka_unit_test(racing_repeats_are_all_answered_with_success),
    };
    return cmocka_run_group_tests_name("methods", tests, NULL, NULL);
}
