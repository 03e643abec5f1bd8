/* A walk through an account's history, page after page. */
#include "api/codec.h"
#include "api/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <zandaka/v1/balance_service.pb-c.h>

#include <cmocka.h>

/* Entry i of alice is at i seconds: of money when i is even, else of old; every sixth consumes. */
static void fill_history(struct server *server, int n_entries)
{
    for (int i = 1; i <= n_entries; i++) {
        server->now_us = (int64_t)i * 1000000;
        struct base_text request =
            base_arena_print(&server->arena,
                             "{\"transactionId\":\"t%d\",\"accountId\":\"alice\",\"amounts\":[{"
                             "\"kind\":\"%s\",\"amount\":%d}]}",
                             i, i % 2 == 0 ? "money" : "old", i % 3 == 0 ? 1 : 10);
        struct answer answer =
            server_call(server, WIRE_GRPC, i % 6 == 0 ? "Consume" : "Add", request.bytes);
        assert_int_equal(answer.reply.grpc_status, BASE_CODE_OK);
    }
}

static Zandaka__V1__ListEntriesResponse *list(struct server *server, const char *filter,
                                              const char *page_token, int page_size)
{
    struct base_text request = base_arena_print(
        &server->arena, "{\"accountId\":\"alice\"%s,\"pageToken\":\"%s\",\"pageSize\":%d}", filter,
        page_token, page_size);
    struct answer answer = server_call(server, WIRE_GRPC, "ListEntries", request.bytes);
    assert_int_equal(answer.reply.grpc_status, BASE_CODE_OK);
    struct api_codec_error wrong;
    return (Zandaka__V1__ListEntriesResponse *)api_codec_unpack(
        &server->arena, &zandaka__v1__list_entries_response__descriptor, answer.reply.body,
        API_CODEC_REFUSE_UNKNOWN, &wrong);
}

static void page_sizes_are_50_by_default_and_cut_to_1000(void **state)
{
    (void)state;
    static const struct {
        int page_size;
        size_t n_entries;
    } rows[] = {{0, 50}, {1, 1}, {50, 50}, {1000, 1000}, {1001, 1000}, {INT32_MAX, 1000}};
    struct server server;
    server_open(&server, 0);
    fill_history(&server, 1001);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const Zandaka__V1__ListEntriesResponse *page = list(&server, "", "", rows[i].page_size);
        assert_int_equal(page->n_entries, rows[i].n_entries);
        assert_string_not_equal(page->next_page_token, "");
    }
    server_close(&server);
}

/* Many small requests for large answers must not be taken before the budget has room for these. */
static void a_read_is_held_to_be_as_large_as_its_answer_from_the_beginning(void **state)
{
    (void)state;
    struct server server;
    server_open(&server, 0);
    fill_history(&server, 1000);
    struct base_writer accounts = {NULL, 0, 0};
    base_write_bytes(&accounts, base_bytes_of(BASE_TEXT("{\"accountIds\":[\"alice\"")));
    for (int i = 1; i < BASE_BATCH_GET_MAX; i++) {
        base_write_bytes(&accounts, base_bytes_of(BASE_TEXT(",\"bob\"")));
    }
    base_write_bytes(&accounts, base_bytes_of(BASE_TEXT("]}")));
    base_write_u8(&accounts, '\0');
    const struct {
        const char *method;
        const char *request;
    } rows[] = {
        {"ListEntries", "{\"accountId\":\"alice\",\"pageSize\":1000}"},
        {"BatchGetBalances", (const char *)accounts.bytes},
        {"GetBalance", "{\"accountId\":\"alice\"}"},
        {"GetTransaction", "{\"transactionId\":\"t1\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int form = WIRE_GRPC; form <= WIRE_HTTP; form++) {
            struct answer answer =
                server_call(&server, (enum wire_form)form, rows[i].method, rows[i].request);
            assert_true(answer.reply.body.length > 0);
            assert_true(answer.held_bytes >= answer.reply.body.length);
        }
    }
    base_writer_release(&accounts);
    server_close(&server);
}

/* Whether entry number `i` of fill_history meets the row's filter. */
static bool all(int i)
{
    (void)i;
    return true;
}
static bool is_money(int i)
{
    return i % 2 == 0;
}
static bool is_consume(int i)
{
    return i % 6 == 0;
}
static bool is_from_50_to_99(int i)
{
    return i >= 50 && i < 100;
}
static bool is_none(int i)
{
    (void)i;
    return false;
}

static void a_walk_meets_every_entry_of_its_filter_once(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        bool (*meets)(int i);
    } rows[] = {
        {"", all},
        {",\"kinds\":[\"money\"]", is_money},
        {",\"kinds\":[\"money\",\"money\",\"nothing\"]", is_money},
        {",\"kinds\":[\"money\",\"old\",\"points\"]", all},
        {",\"kinds\":[\"points\"]", is_none},
        {",\"kinds\":[\"nothing\"]", is_none},
        {",\"operations\":[\"OPERATION_CONSUME\"]", is_consume},
        {",\"operations\":[\"OPERATION_CONSUME\",\"OPERATION_ADD\",\"OPERATION_ADD\"]", all},
        {",\"operations\":[\"OPERATION_REFUND\"]", is_none},
        {",\"startTime\":\"1970-01-01T00:00:50Z\",\"endTime\":\"1970-01-01T00:01:40Z\"",
         is_from_50_to_99},
        {",\"startTime\":\"1970-01-01T00:00:49.000000001Z\","
         "\"endTime\":\"1970-01-01T00:01:39.000000001Z\"",
         is_from_50_to_99},
        {",\"startTime\":\"1970-01-01T00:00:50Z\",\"endTime\":\"1970-01-01T00:00:50Z\"", is_none},
        {",\"startTime\":\"1970-01-01T00:01:50Z\",\"endTime\":\"1970-01-01T00:00:50Z\"", is_none},
        {",\"endTime\":\"1970-01-01T00:00:01Z\"", is_none},
    };
    static const int page_sizes[] = {1, 7, 0, 1000};
    struct server server;
    server_open(&server, 0);
    fill_history(&server, 120);
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        for (size_t size = 0; size < sizeof page_sizes / sizeof page_sizes[0]; size++) {
            const char *token = "";
            int expected = 120;
            do {
                const Zandaka__V1__ListEntriesResponse *page =
                    list(&server, rows[row].filter, token, page_sizes[size]);
                for (size_t i = 0; i < page->n_entries; i++) {
                    while (expected > 0 && !rows[row].meets(expected)) {
                        expected--;
                    }
                    assert_int_equal(page->entries[i]->sequence, expected--);
                }
                token = page->next_page_token;
            } while (strcmp(token, "") != 0);
            while (expected > 0 && !rows[row].meets(expected)) {
                expected--;
            }
            assert_int_equal(expected, 0);
        }
    }
    server_close(&server);
}

/* Else a long history would be walked in vain, page after empty page. */
static void a_filter_that_nothing_can_meet_asks_no_store(void **state)
{
    (void)state;
    static const char *const filters[] = {
        ",\"kinds\":[\"nothing\"]",
        ",\"startTime\":\"1970-01-01T00:00:50Z\",\"endTime\":\"1970-01-01T00:00:50Z\"",
        ",\"startTime\":\"1970-01-01T00:00:51Z\",\"endTime\":\"1970-01-01T00:00:50Z\"",
    };
    struct server server;
    server_open(&server, 0);
    server.on_read = STORE_FAULTY_UNAVAILABLE;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const Zandaka__V1__ListEntriesResponse *page = list(&server, filters[i], "", 0);
        assert_int_equal(page->n_entries, 0);
        assert_string_equal(page->next_page_token, "");
    }
    server_close(&server);
}

static void a_page_token_goes_with_its_filters_and_any_page_size(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        bool taken;
    } rows[] = {
        {"\"accountId\":\"alice\",\"kinds\":[\"money\",\"old\"]", true},
        {"\"accountId\":\"alice\",\"kinds\":[\"old\",\"money\",\"old\"]", true},
        {"\"accountId\":\"alice\",\"kinds\":[\"money\",\"old\"],\"pageSize\":3", true},
        {"\"accountId\":\"bob\",\"kinds\":[\"money\",\"old\"]", false},
        {"\"accountId\":\"alice\"", false},
        {"\"accountId\":\"alice\",\"kinds\":[\"money\"]", false},
        {"\"accountId\":\"alice\",\"kinds\":[\"money\",\"old\"],\"operations\":[1]", false},
        {"\"accountId\":\"alice\",\"kinds\":[\"money\",\"old\"],"
         "\"startTime\":\"1970-01-01T00:00:00Z\"",
         false},
        {"\"accountId\":\"alice\",\"kinds\":[\"money\",\"old\"],"
         "\"endTime\":\"2970-01-01T00:00:00Z\"",
         false},
    };
    struct server server;
    server_open(&server, 0);
    fill_history(&server, 10);
    const char *token = list(&server, ",\"kinds\":[\"money\",\"old\"]", "", 2)->next_page_token;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text request =
            base_arena_print(&server.arena, "{%s,\"pageToken\":\"%s\"}", rows[i].filter, token);
        struct answer answer = server_call(&server, WIRE_HTTP, "ListEntries", request.bytes);
        const char *text = answer_text(&server, "ListEntries", &answer);
        if (rows[i].taken) {
            assert_non_null(strstr(text, "\"sequence\":\"8\""));
        } else {
            assert_non_null(
                strstr(text, "INVALID_REQUEST invalid_argument no never violations=page_token : "));
        }
    }
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_is_held_to_be_as_large_as_its_answer_from_the_beginning),
        cmocka_unit_test(page_sizes_are_50_by_default_and_cut_to_1000),
        cmocka_unit_test(a_walk_meets_every_entry_of_its_filter_once),
        cmocka_unit_test(a_filter_that_nothing_can_meet_asks_no_store),
        cmocka_unit_test(a_page_token_goes_with_its_filters_and_any_page_size),
    };
    return cmocka_run_group_tests_name("entries", tests, NULL, NULL);
}
