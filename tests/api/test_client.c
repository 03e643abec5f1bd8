/* The client's half: commands become the calls that the service reads, answers and failures come
 * back with all that they say, also those of a newer server. */
#include "api/api.h"
#include "api/codec.h"

#include <google/rpc/error_details.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zandaka/v1/balance_service.pb-c.h>

#include <cmocka.h>

static struct base_arena arena;

static int release_arena(void **state)
{
    (void)state;
    base_arena_release(&arena);
    return 0;
}

static const struct ledger_amount amounts[] = {{{"points", 6}, 100}, {{"money", 5}, 500}};
static const struct record_label labels[] = {{{"till", 4}, {"7", 1}}, {{"shop", 4}, {"", 0}}};
static const struct ledger_command commands[] = {
    {.operation = RECORD_OPERATION_ADD,
     .transaction_id = {"grant", 5},
     .account_id = {"alice", 5},
     .n_amounts = 2,
     .amounts = amounts,
     .description = {"a gift", 6},
     .n_metadata = 2,
     .metadata = labels},
    {.operation = RECORD_OPERATION_CONSUME,
     .transaction_id = {"pay", 3},
     .account_id = {"bob", 3},
     .n_amounts = 1,
     .amounts = amounts,
     .n_metadata = 1,
     .metadata = labels},
    {.operation = RECORD_OPERATION_CANCEL, .transaction_id = {"late", 4}},
};

#define AMOUNT_JSON "{\"kind\":\"points\",\"amount\":\"100\"}"
#define ADD_JSON                                                                                   \
    "{\"transactionId\":\"grant\",\"accountId\":\"alice\",\"amounts\":[" AMOUNT_JSON               \
    ",{\"kind\":\"money\",\"amount\":\"500\"}],\"description\":\"a gift\","                        \
    "\"metadata\":{\"shop\":\"\",\"till\":\"7\"}}"
#define CONSUME_JSON                                                                               \
    "{\"transactionId\":\"pay\",\"accountId\":\"bob\",\"amounts\":[" AMOUNT_JSON                   \
    "],\"metadata\":{\"till\":\"7\"}}"
#define CANCEL_JSON "{\"transactionId\":\"late\"}"

static void check_call(const struct api_call *call, const char *method, const char *json)
{
    struct base_text prefix = BASE_TEXT("/zandaka.v1.BalanceService/");
    assert_true(base_text_starts_with(call->path, prefix));
    assert_string_equal(base_arena_text(&arena, call->path).bytes + prefix.length, method);
    const ProtobufCMessageDescriptor *request =
        protobuf_c_service_descriptor_get_method_by_name(&zandaka__v1__balance_service__descriptor,
                                                         method)
            ->input;
    struct api_codec_error error;
    const ProtobufCMessage *message =
        api_codec_unpack(&arena, request, call->message, API_CODEC_REFUSE_UNKNOWN, &error);
    assert_non_null(message);
    assert_string_equal(api_codec_to_json(&arena, message).bytes, json);
}

static void a_command_becomes_the_call_of_its_method(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *request;
    } rows[] = {{"Add", ADD_JSON}, {"Consume", CONSUME_JSON}, {"Cancel", CANCEL_JSON}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct api_call call;
        api_call_command(&arena, &commands[i], &call);
        check_call(&call, rows[i].method, rows[i].request);
    }
}

static void commands_become_a_submit_in_their_order(void **state)
{
    (void)state;
    struct api_call call;
    api_call_submit(&arena, 3, commands, &call);
    check_call(&call, "Submit",
               "{\"commands\":[{\"add\":" ADD_JSON "},{\"consume\":" CONSUME_JSON
               "},{\"cancel\":" CANCEL_JSON "}]}");
}

static void reads_become_calls(void **state)
{
    (void)state;
    static const struct base_text accounts[] = {{"alice", 5}, {"bob", 3}, {"alice", 5}};
    struct base_text none = BASE_TEXT("");
    struct api_call call;
    api_call_get_balance(&arena, accounts[0], &call);
    check_call(&call, "GetBalance", "{\"accountId\":\"alice\"}");
    api_call_batch_get_balances(&arena, 3, accounts, &call);
    check_call(&call, "BatchGetBalances", "{\"accountIds\":[\"alice\",\"bob\",\"alice\"]}");
    api_call_get_transaction(&arena, BASE_TEXT("pay"), &call);
    check_call(&call, "GetTransaction", "{\"transactionId\":\"pay\"}");
    api_call_list_entries(&arena, accounts[1], none, 0, none, &call);
    check_call(&call, "ListEntries", "{\"accountId\":\"bob\",\"pageSize\":0}");
    api_call_list_entries(&arena, accounts[1], BASE_TEXT("points"), 7, BASE_TEXT("more"), &call);
    check_call(&call, "ListEntries",
               "{\"accountId\":\"bob\",\"kinds\":[\"points\"],\"pageSize\":7,\"pageToken\":"
               "\"more\"}");
}

/* --- failures --- */

static Google__Protobuf__Any *detail(const ProtobufCMessage *message)
{
    struct base_bytes packed = api_codec_pack(&arena, message);
    Google__Protobuf__Any *any = base_arena_take(&arena, sizeof *any);
    google__protobuf__any__init(any);
    any->type_url =
        (char *)base_arena_print(&arena, "type.googleapis.com/%s", message->descriptor->name).bytes;
    any->value = (ProtobufCBinaryData){packed.length, (uint8_t *)packed.bytes};
    return any;
}

static Google__Rpc__ErrorInfo__MetadataEntry *label(const char *key, const char *value)
{
    Google__Rpc__ErrorInfo__MetadataEntry *entry = base_arena_take(&arena, sizeof *entry);
    google__rpc__error_info__metadata_entry__init(entry);
    entry->key = (char *)key;
    entry->value = (char *)value;
    return entry;
}

/* The status of a refusal: ErrorInfo, and field violations where they are asked for. */
static Google__Rpc__Status *status_of(const char *reason, bool with_violations)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *metadata[] = {
        label("applied", "no"), label("kind", "points"), label("retry", "after_change"),
        label("later", "?")};
    info.reason = (char *)reason;
    info.n_metadata = 4;
    info.metadata = metadata;
    Google__Rpc__BadRequest__FieldViolation first = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation second = first;
    Google__Rpc__BadRequest__FieldViolation *violations[] = {&first, &second};
    Google__Rpc__BadRequest bad_request = GOOGLE__RPC__BAD_REQUEST__INIT;
    first.field = (char *)"amounts[0].amount";
    first.description = (char *)"must be at least 1";
    second.description = (char *)"must be small";
    bad_request.n_field_violations = 2;
    bad_request.field_violations = violations;

    Google__Rpc__Status *status = base_arena_take(&arena, sizeof *status);
    google__rpc__status__init(status);
    status->code = 9;
    status->message = (char *)"account has too little points";
    status->details = base_arena_take(&arena, 2 * sizeof status->details[0]);
    status->details[status->n_details++] = detail(&info.base);
    if (with_violations) {
        status->details[status->n_details++] = detail(&bad_request.base);
    }
    return status;
}

static void check_text(struct base_text text, const char *expected)
{
    assert_string_equal(base_arena_text(&arena, text).bytes, expected);
}

static void a_failure_tells_reason_applied_and_retry(void **state)
{
    (void)state;
    struct wire_response response = {
        .grpc_status = 9,
        .message = BASE_TEXT("as in the trailer"),
        .status_details = api_codec_pack(&arena, &status_of("INSUFFICIENT_BALANCE", false)->base),
    };
    struct api_failure failure;
    api_failure_read(&arena, &response, &failure);
    assert_int_equal(failure.code, BASE_CODE_FAILED_PRECONDITION);
    check_text(failure.message, "as in the trailer");
    check_text(failure.reason, "INSUFFICIENT_BALANCE");
    check_text(failure.applied, "no");
    check_text(failure.retry, "after_change");
    check_text(failure.kind, "points");
    check_text(failure.fields, "");
}

static void violations_are_told_in_words(void **state)
{
    (void)state;
    struct wire_response response = {
        .grpc_status = 3,
        .status_details = api_codec_pack(&arena, &status_of("INVALID_REQUEST", true)->base),
    };
    struct api_failure failure;
    api_failure_read(&arena, &response, &failure);
    check_text(failure.message, "account has too little points");
    check_text(failure.fields, "amounts[0].amount: must be at least 1; must be small");
}

static void what_a_server_does_not_send_stays_empty(void **state)
{
    (void)state;
    static const struct {
        int grpc_status;
        struct base_bytes details;
        enum base_code code;
    } rows[] = {
        {-1, {NULL, 0}, BASE_CODE_UNAVAILABLE},
        {14, {NULL, 0}, BASE_CODE_UNAVAILABLE},
        {12, {(const uint8_t *)"\xFF", 1}, BASE_CODE_UNIMPLEMENTED},
        {17, {NULL, 0}, BASE_CODE_UNKNOWN},
        {-2, {NULL, 0}, BASE_CODE_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_response response = {.grpc_status = rows[i].grpc_status,
                                         .status_details = rows[i].details};
        struct api_failure failure;
        api_failure_read(&arena, &response, &failure);
        assert_int_equal(failure.code, rows[i].code);
        assert_int_equal(failure.message.length + failure.reason.length + failure.applied.length +
                             failure.retry.length + failure.kind.length + failure.fields.length,
                         0);
    }
}

/* --- answers --- */

/* The message that reads so in JSON, encoded. */
static struct base_bytes message_of(const ProtobufCMessageDescriptor *descriptor, const char *json)
{
    struct api_codec_error error;
    const ProtobufCMessage *message =
        api_codec_from_json(&arena, descriptor, base_text_of(json), &error);
    assert_non_null(message);
    return api_codec_pack(&arena, message);
}

static void a_submit_gives_records_and_failures_in_order(void **state)
{
    (void)state;
    Zandaka__V1__Transaction record = ZANDAKA__V1__TRANSACTION__INIT;
    record.transaction_id = (char *)"t";
    Zandaka__V1__SubmitResult first = ZANDAKA__V1__SUBMIT_RESULT__INIT;
    Zandaka__V1__SubmitResult second = ZANDAKA__V1__SUBMIT_RESULT__INIT;
    Zandaka__V1__SubmitResult *both[] = {&first, &second};
    Zandaka__V1__SubmitResponse response = ZANDAKA__V1__SUBMIT_RESPONSE__INIT;
    first.result_case = ZANDAKA__V1__SUBMIT_RESULT__RESULT_TRANSACTION;
    first.transaction = &record;
    first.replayed = true;
    second.result_case = ZANDAKA__V1__SUBMIT_RESULT__RESULT_ERROR;
    second.error = status_of("INSUFFICIENT_BALANCE", false);
    response.n_results = 2;
    response.results = both;

    size_t n_results;
    struct api_result *results;
    assert_true(
        api_read_submit(&arena, api_codec_pack(&arena, &response.base), &n_results, &results));
    assert_int_equal(n_results, 2);
    assert_true(results[0].succeeded && results[0].replayed);
    assert_true(base_bytes_equal(results[0].record, api_codec_pack(&arena, &record.base)));
    assert_false(results[1].succeeded || results[1].replayed);
    assert_int_equal(results[1].failure.code, BASE_CODE_FAILED_PRECONDITION);
    check_text(results[1].failure.message, "account has too little points");
    check_text(results[1].failure.reason, "INSUFFICIENT_BALANCE");
    check_text(results[1].failure.kind, "points");
}

static void a_result_without_an_answer_is_none(void **state)
{
    (void)state;
    size_t n_results;
    struct api_result *results;
    struct base_bytes empty_result = {(const uint8_t *)"\x0A\x00", 2};
    struct base_bytes garbage = {(const uint8_t *)"\x0A\x02x", 3};
    assert_false(api_read_submit(&arena, empty_result, &n_results, &results));
    assert_false(api_read_submit(&arena, garbage, &n_results, &results));
}

static void balances_come_back_in_order(void **state)
{
    (void)state;
    static const char alice[] =
        "{\"accountId\":\"alice\",\"balances\":[{\"kind\":\"points\",\"available\":\"900\","
        "\"held\":\"3\"},{\"kind\":\"money\",\"available\":\"0\",\"held\":\"0\"}]}";
    struct api_account account;
    assert_true(api_read_account(
        &arena, message_of(&zandaka__v1__account_balance__descriptor, alice), &account));
    check_text(account.account_id, "alice");
    assert_int_equal(account.n_balances, 2);
    check_text(account.balances[0].kind, "points");
    assert_int_equal(account.balances[0].available_minor, 900);
    assert_int_equal(account.balances[0].held_minor, 3);
    check_text(account.balances[1].kind, "money");
    assert_int_equal(account.balances[1].available_minor, 0);

    const char *both =
        base_arena_print(&arena, "{\"accounts\":[%s,{\"accountId\":\"bob\"}]}", alice).bytes;
    struct api_account *accounts;
    size_t n_accounts;
    assert_true(api_read_accounts(
        &arena, message_of(&zandaka__v1__batch_get_balances_response__descriptor, both),
        &n_accounts, &accounts));
    assert_int_equal(n_accounts, 2);
    assert_int_equal(accounts[0].balances[0].available_minor, 900);
    check_text(accounts[1].account_id, "bob");
    assert_int_equal(accounts[1].n_balances, 0);
}

static void the_largest_answer_is_read(void **state)
{
    (void)state;
    Zandaka__V1__Balance balance = ZANDAKA__V1__BALANCE__INIT;
    Zandaka__V1__Balance *balances[BASE_KINDS_MAX];
    Zandaka__V1__AccountBalance account = ZANDAKA__V1__ACCOUNT_BALANCE__INIT;
    Zandaka__V1__AccountBalance *accounts[BASE_BATCH_GET_MAX];
    Zandaka__V1__BatchGetBalancesResponse response = ZANDAKA__V1__BATCH_GET_BALANCES_RESPONSE__INIT;
    balance.kind = (char *)"p";
    balance.available = 1;
    balance.held = 1;
    account.account_id = (char *)"a";
    account.n_balances = BASE_KINDS_MAX;
    account.balances = balances;
    response.n_accounts = BASE_BATCH_GET_MAX;
    response.accounts = accounts;
    for (size_t i = 0; i < BASE_KINDS_MAX; i++) {
        balances[i] = &balance;
    }
    for (size_t i = 0; i < BASE_BATCH_GET_MAX; i++) {
        accounts[i] = &account;
    }
    size_t n_accounts;
    struct api_account *read;
    assert_true(
        api_read_accounts(&arena, api_codec_pack(&arena, &response.base), &n_accounts, &read));
    assert_int_equal(n_accounts, BASE_BATCH_GET_MAX);
}

static void entries_come_back_with_their_json(void **state)
{
    (void)state;
    static const char first[] =
        "{\"sequence\":\"2\",\"transactionId\":\"pay\",\"operation\":\"OPERATION_CONSUME\","
        "\"kind\":\"points\",\"amount\":\"-100\",\"balanceAfter\":\"900\",\"heldAmount\":\"0\","
        "\"heldAfter\":\"0\",\"createTime\":\"2026-11-23T00:00:00.123456Z\",\"description\":"
        "\"tea\"}";
    const char *page = base_arena_print(&arena,
                                        "{\"entries\":[%s,{\"sequence\":1,\"operation\":1}],"
                                        "\"nextPageToken\":\"more\"}",
                                        first)
                           .bytes;
    size_t n_entries;
    struct api_entry *entries;
    struct base_text token;
    assert_true(api_read_entries(&arena,
                                 message_of(&zandaka__v1__list_entries_response__descriptor, page),
                                 &n_entries, &entries, &token));
    assert_int_equal(n_entries, 2);
    check_text(token, "more");
    assert_int_equal(entries[0].sequence, 2);
    check_text(entries[0].transaction_id, "pay");
    check_text(entries[0].operation, "consume");
    check_text(entries[0].kind, "points");
    assert_int_equal(entries[0].amount_minor, -100);
    assert_int_equal(entries[0].balance_after_minor, 900);
    assert_true(entries[0].create_time_us == INT64_C(1795392000123456));
    check_text(entries[0].description, "tea");
    check_text(entries[0].json, first);
    check_text(entries[1].operation, "add");
    assert_int_equal(entries[1].create_time_us, 0);
}

static void what_a_newer_server_adds_is_passed_over(void **state)
{
    (void)state;
    /* An entry with operation 99 and a field number 99. */
    struct base_bytes message = {(const uint8_t *)"\x0A\x08\x08\x01\x18\x63\x9A\x06\x01x", 10};
    size_t n_entries;
    struct api_entry *entries;
    struct base_text token;
    assert_true(api_read_entries(&arena, message, &n_entries, &entries, &token));
    assert_int_equal(n_entries, 1);
    check_text(entries[0].operation, "operation 99");
    check_text(entries[0].json,
               "{\"sequence\":\"1\",\"operation\":99,\"amount\":\"0\",\"balanceAfter\":\"0\","
               "\"heldAmount\":\"0\",\"heldAfter\":\"0\"}");
}

static void an_answer_is_json_by_its_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *bytes;
        const char *json; /* NULL: it is none */
    } rows[] = {
        {"/zandaka.v1.BalanceService/Add", "\x0A\x01t\x10\x01",
         "{\"transactionId\":\"t\",\"state\":\"STATE_SUCCEEDED\"}"},
        {"/zandaka.v1.BalanceService/Cancel", "\x10\x02", "{\"state\":\"STATE_CANCELLED\"}"},
        {"/zandaka.v1.BalanceService/GetBalance", "\x0A\x02x", NULL}, /* cut short */
        {"/zandaka.v1.BalanceService/GetBalance",
         "\x0A\x01"
         "a",
         "{\"accountId\":\"a\"}"},
        {"/zandaka.v1.BalanceService/Submit", "", "{}"},
        {"/zandaka.v1.BalanceService/Transfer", "", NULL},
        {"/zandaka.v1.BalanceService/", "", NULL},
        {"/other/Add", "", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text json = BASE_TEXT("-");
        bool read = api_read_json(&arena, base_text_of(rows[i].path),
                                  base_bytes_of(base_text_of(rows[i].bytes)), &json);
        assert_int_equal(read, rows[i].json != NULL);
        check_text(json, read ? rows[i].json : "-");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_command_becomes_the_call_of_its_method, release_arena),
        cmocka_unit_test_teardown(commands_become_a_submit_in_their_order, release_arena),
        cmocka_unit_test_teardown(reads_become_calls, release_arena),
        cmocka_unit_test_teardown(a_failure_tells_reason_applied_and_retry, release_arena),
        cmocka_unit_test_teardown(violations_are_told_in_words, release_arena),
        cmocka_unit_test_teardown(what_a_server_does_not_send_stays_empty, release_arena),
        cmocka_unit_test_teardown(a_submit_gives_records_and_failures_in_order, release_arena),
        cmocka_unit_test_teardown(a_result_without_an_answer_is_none, release_arena),
        cmocka_unit_test_teardown(balances_come_back_in_order, release_arena),
        cmocka_unit_test_teardown(the_largest_answer_is_read, release_arena),
        cmocka_unit_test_teardown(entries_come_back_with_their_json, release_arena),
        cmocka_unit_test_teardown(what_a_newer_server_adds_is_passed_over, release_arena),
        cmocka_unit_test_teardown(an_answer_is_json_by_its_path, release_arena),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
