/* app: the flags of a verb, and what may stand behind them. */
#include "app/answers.h"
#include "app/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define ARGUMENTS_MAX 8

#define RUN (-1)

static void flags_stand_anywhere_and_once(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[ARGUMENTS_MAX];
        int status; /* RUN: the verb goes on */
        const char *id;
        bool json;
        int n_operands;
    } rows[] = {
        {{"add"}, RUN, NULL, false, 0},
        {{"add", "--id", "x", "a=1", "b=2"}, RUN, "x", false, 2},
        {{"add", "a=1", "--id=x", "--json", "b=2"}, RUN, "x", true, 2},
        {{"add", "--id", "--json"}, RUN, "--json", false, 0},
        {{"add", "--id", ""}, RUN, "", false, 0},
        {{"add", "--json", "--", "--id"}, RUN, NULL, true, 1},
        {{"add", "--help"}, APP_EXIT_DONE, NULL, false, 0},
        {{"add", "--id"}, APP_EXIT_USAGE, NULL, false, 0},
        {{"add", "--id", "x", "--id", "x"}, APP_EXIT_USAGE, "x", false, 0},
        {{"add", "--json", "--json"}, APP_EXIT_USAGE, NULL, true, 0},
        {{"add", "--json=yes"}, APP_EXIT_USAGE, NULL, false, 0},
        {{"add", "--ids", "x"}, APP_EXIT_USAGE, NULL, false, 0},
        {{"add", "-i", "x"}, APP_EXIT_USAGE, NULL, false, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *id = NULL;
        bool json = false;
        const struct app_flag flags[] = {{"id", "ID", &id, NULL, "an id"},
                                         {"json", NULL, NULL, &json, "JSON"}};
        const struct app_verb_usage usage = {"add", "KIND=AMOUNT…", "Adds.", COUNT(flags), flags};
        char *argv[ARGUMENTS_MAX + 1] = {NULL};
        int argc = 0;
        while (argc < ARGUMENTS_MAX && rows[i].arguments[argc] != NULL) {
            argv[argc] = (char *)rows[i].arguments[argc];
            argc++;
        }
        int first = 0;
        int status = RUN;
        assert_int_equal(app_options_parse(argc, argv, &usage, &first, &status),
                         rows[i].status == RUN);
        assert_int_equal(status, rows[i].status);
        assert_int_equal(json, rows[i].json);
        assert_int_equal(id == NULL, rows[i].id == NULL);
        assert_true(id == NULL || strcmp(id, rows[i].id) == 0);
        if (rows[i].status == RUN) {
            assert_int_equal(argc - first, rows[i].n_operands);
        }
    }
}

static void a_verb_without_operands_takes_none(void **state)
{
    (void)state;
    const struct app_verb_usage usage = {"version", "", "Prints.", 0, NULL};
    char *argv[] = {"version", "x", NULL};
    int first = 0;
    int status = RUN;
    assert_false(app_options_parse(2, argv, &usage, &first, &status));
    assert_int_equal(status, APP_EXIT_USAGE);
    assert_true(app_options_parse(1, argv, &usage, &first, &status));
    assert_int_equal(first, 1);
}

static void a_timeout_is_seconds_with_up_to_three_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t timeout_ms; /* 0: refused */
    } rows[] = {
        {"10", 10000},       {"0.5", 500}, {"0.001", 1}, {"1.25", 1250},
        {"86400", 86400000}, {"0", 0},     {"0.000", 0}, {"86400.001", 0},
        {"86401", 0},        {"", 0},      {".5", 0},    {"1.", 0},
        {"1.2345", 0},       {"1.2.3", 0}, {"-1", 0},    {"+1", 0},
        {"1s", 0},           {" 1", 0},    {"1e3", 0},   {"99999999999999999999999999", 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t timeout_ms = 77;
        bool taken = app_options_timeout(rows[i].text, &timeout_ms);
        assert_int_equal(taken, rows[i].timeout_ms > 0);
        assert_true(timeout_ms == (taken ? rows[i].timeout_ms : 77));
    }
}

static void an_amount_is_a_kind_and_plain_digits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *kind; /* NULL: refused */
        int64_t amount_minor;
    } rows[] = {
        {"points=1", "points", 1},
        {"gold_2-x=1000000000000000", "gold_2-x", 1000000000000000},
        {"points=1000000000000001", NULL, 0},
        {"points=0", NULL, 0},
        {"points=-1", NULL, 0},
        {"points=+1", NULL, 0},
        {"points=01", NULL, 0},
        {"points=1.0", NULL, 0},
        {"points=", NULL, 0},
        {"points= 1", NULL, 0},
        {"points", NULL, 0},
        {"=1", NULL, 0},
        {"Points=1", NULL, 0},
        {"points=1=2", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ledger_amount amount = {{NULL, 0}, 0};
        const char *wrong = app_options_amount(rows[i].text, &amount);
        assert_int_equal(wrong == NULL, rows[i].kind != NULL);
        if (rows[i].kind != NULL) {
            assert_true(base_text_equal(amount.kind, base_text_of(rows[i].kind)));
            assert_true(amount.amount_minor == rows[i].amount_minor);
        }
    }
}

static void the_server_is_the_flag_then_the_environment_then_the_default(void **state)
{
    (void)state;
    const struct app_verb_usage usage = {"balance", "", "", 0, NULL};
    assert_int_equal(unsetenv("ZANDAKA_SERVER"), 0);
    struct app_server_flags flags = {0};
    assert_true(app_options_server(&usage, &flags));
    assert_string_equal(flags.server, "127.0.0.1:8630");
    assert_true(flags.destination.network.timeout_ms == 10000);

    assert_int_equal(setenv("ZANDAKA_SERVER", "[::1]:2", 1), 0);
    flags = (struct app_server_flags){.timeout = "0.2"};
    assert_true(app_options_server(&usage, &flags));
    assert_string_equal(flags.server, "[::1]:2");
    assert_true(flags.destination.network.timeout_ms == 200);

    flags = (struct app_server_flags){.server = "localhost:3"};
    assert_true(app_options_server(&usage, &flags));
    assert_string_equal(flags.server, "localhost:3");

    flags = (struct app_server_flags){.server = "localhost"};
    assert_false(app_options_server(&usage, &flags));
    flags = (struct app_server_flags){.timeout = "soon"};
    assert_false(app_options_server(&usage, &flags));
    assert_int_equal(unsetenv("ZANDAKA_SERVER"), 0);
}

static void write_file(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void a_token_is_one_line_of_a_file_and_stays_off_the_open_network(void **state)
{
    (void)state;
    const struct app_verb_usage usage = {"balance", "", "", 0, NULL};
    char path[] = "/tmp/zandaka-token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    char longest[BASE_TOKEN_MAX_BYTES + 2];
    memset(longest, 'a', sizeof longest);
    longest[BASE_TOKEN_MAX_BYTES] = '\n';
    const struct {
        const char *bytes;
        size_t length;
        const char *authorization; /* NULL: it is none */
    } rows[] = {
        {"zandaka_x", 9, "Bearer zandaka_x"},
        {"zandaka_x\n", 10, "Bearer zandaka_x"},
        {"zandaka_x\r\n", 11, "Bearer zandaka_x"},
        {"", 0, NULL},
        {"\n", 1, NULL},
        {"a b\n", 4, NULL},
        {"a\nb\n", 4, NULL},
        {"a\0b", 3, NULL},
        {longest, BASE_TOKEN_MAX_BYTES + 2, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_file(path, rows[i].bytes, rows[i].length);
        struct app_server_flags flags = {.token_file = path};
        assert_int_equal(app_options_server(&usage, &flags), rows[i].authorization != NULL);
        if (rows[i].authorization != NULL) {
            assert_true(base_text_equal(flags.destination.authorization,
                                        base_text_of(rows[i].authorization)));
        }
    }
    write_file(path, longest, BASE_TOKEN_MAX_BYTES + 1);
    assert_int_equal(setenv("ZANDAKA_TOKEN_FILE", path, 1), 0);
    struct app_server_flags flags = {0};
    assert_true(app_options_server(&usage, &flags));
    assert_int_equal(flags.destination.authorization.length, 7 + BASE_TOKEN_MAX_BYTES);
    /* In the clear it goes to this machine only. */
    flags = (struct app_server_flags){.server = "192.0.2.1:8630"};
    assert_false(app_options_server(&usage, &flags));
    flags = (struct app_server_flags){.server = "192.0.2.1:8630", .tls = true};
    assert_true(app_options_server(&usage, &flags));
    assert_int_equal(unlink(path), 0);
    flags = (struct app_server_flags){0};
    assert_false(app_options_server(&usage, &flags));
    assert_int_equal(unsetenv("ZANDAKA_TOKEN_FILE"), 0);
    flags = (struct app_server_flags){0};
    assert_true(app_options_server(&usage, &flags));
}

static void the_exit_status_follows_from_what_to_do_next(void **state)
{
    (void)state;
    static const struct {
        enum base_code code;
        const char *retry; /* NULL: not told */
        enum app_exit status;
    } rows[] = {
        {BASE_CODE_UNAVAILABLE, "same_request", APP_EXIT_AGAIN},
        {BASE_CODE_RESOURCE_EXHAUSTED, "never", APP_EXIT_REFUSED},
        {BASE_CODE_FAILED_PRECONDITION, "after_change", APP_EXIT_REFUSED},
        {BASE_CODE_INVALID_ARGUMENT, "never", APP_EXIT_REFUSED},
        {BASE_CODE_UNAVAILABLE, NULL, APP_EXIT_AGAIN},
        {BASE_CODE_DEADLINE_EXCEEDED, NULL, APP_EXIT_AGAIN},
        {BASE_CODE_UNIMPLEMENTED, NULL, APP_EXIT_REFUSED},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct api_failure failure = {.code = rows[i].code, .retry = base_text_of(rows[i].retry)};
        assert_int_equal(app_answers_exit(&failure), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_stand_anywhere_and_once),
        cmocka_unit_test(a_verb_without_operands_takes_none),
        cmocka_unit_test(a_timeout_is_seconds_with_up_to_three_decimals),
        cmocka_unit_test(an_amount_is_a_kind_and_plain_digits),
        cmocka_unit_test(the_server_is_the_flag_then_the_environment_then_the_default),
        cmocka_unit_test(a_token_is_one_line_of_a_file_and_stays_off_the_open_network),
        cmocka_unit_test(the_exit_status_follows_from_what_to_do_next),
    };
    return cmocka_run_group_tests_name("app options", tests, NULL, NULL);
}
