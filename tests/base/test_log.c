/* base: a line stays one line, and JSON stays JSON, whatever is put into it. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What was written behind the time and the level. */
static const char *written(enum base_log_form form, enum base_log_level level, const char *message,
                           size_t n_fields, const struct base_log_field *fields)
{
    static char line[4096];
    int ends[2];
    int before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    base_log_configure(form, BASE_LOG_INFO);
    base_log_fields(level, message, n_fields, fields);
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);
    ssize_t length = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    assert_true(length >= 0);
    line[length] = '\0';
    base_log_configure(BASE_LOG_TEXT, BASE_LOG_INFO);
    const char *behind = strstr(line, form == BASE_LOG_JSON ? "\"level\":" : "Z ");
    return length == 0 ? "" : behind + (form == BASE_LOG_JSON ? 0 : 2);
}

static void what_a_caller_chose_ends_no_line(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *text;
        const char *json;
    } rows[] = {
        {"plain-1/x", "plain-1/x", "plain-1/x"},
        {"", "\"\"", ""},
        {"a b", "\"a b\"", "a b"},
        {"a=b", "\"a=b\"", "a=b"},
        {"a\nerror: no", "\"a\\u000aerror: no\"", "a\\u000aerror: no"},
        {"\"\\", "\"\\\"\\\\\"", "\\\"\\\\"},
        {"\x1b[2J\x7f", "\"\\u001b[2J\\u007f\"", "\\u001b[2J\\u007f"},
        {"\xc2\x9b", "\"\\u009b\"", "\\u009b"},
        {"\xe6\xae\x8b\xc2\xa0", "\"\xe6\xae\x8b\xc2\xa0\"", "\xe6\xae\x8b\xc2\xa0"},
        {"\xff\xc2", "\"\\u00ff\\u00c2\"", "\\u00ff\\u00c2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_log_field field = {"f", base_text_of(rows[i].value)};
        char expected[256];
        (void)snprintf(expected, sizeof expected, "info: m f=%s\n", rows[i].text);
        assert_string_equal(written(BASE_LOG_TEXT, BASE_LOG_INFO, "m", 1, &field), expected);
        (void)snprintf(expected, sizeof expected,
                       "\"level\":\"info\",\"message\":\"m\",\"f\":\"%s\"}\n", rows[i].json);
        assert_string_equal(written(BASE_LOG_JSON, BASE_LOG_INFO, "m", 1, &field), expected);
    }
}

static void a_long_line_is_cut_and_stays_whole(void **state)
{
    (void)state;
    char message[4000];
    memset(message, '"', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    for (size_t length = 0; length < sizeof message; length += 7) {
        struct base_log_field fields[2] = {{"first", {message, length}}, {"second", {"2", 1}}};
        const char *line = written(BASE_LOG_JSON, BASE_LOG_ERROR, "m", 2, fields);
        size_t n = strlen(line);
        assert_true(n > 3 && n <= BASE_LOG_LINE_MAX_BYTES);
        assert_string_equal(line + n - 3, "\"}\n");
        /* Quotes that are not escaped come in pairs: nothing was cut open. */
        size_t quotes = 0;
        for (size_t i = 0; i < n; i++) {
            quotes += line[i] == '"';
            i += line[i] == '\\';
        }
        assert_int_equal(quotes % 2, 0);
    }
    const char *line = written(BASE_LOG_TEXT, BASE_LOG_ERROR, message, 0, NULL);
    assert_true(strlen(line) < BASE_LOG_LINE_MAX_BYTES);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void levels_beyond_the_configured_one_are_silent(void **state)
{
    (void)state;
    assert_string_equal(written(BASE_LOG_TEXT, BASE_LOG_DEBUG, "m", 0, NULL), "");
    assert_string_equal(written(BASE_LOG_TEXT, BASE_LOG_WARNING, "m", 0, NULL), "warning: m\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_caller_chose_ends_no_line),
        cmocka_unit_test(a_long_line_is_cut_and_stays_whole),
        cmocka_unit_test(levels_beyond_the_configured_one_are_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
