/* app: a configuration is what it says, or an error that names its file and line. */
#include "app/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define TEN_LONG "0123456789"
#define HUNDRED_LONG                                                                               \
    TEN_LONG TEN_LONG TEN_LONG TEN_LONG TEN_LONG TEN_LONG TEN_LONG TEN_LONG TEN_LONG TEN_LONG

static const char directory[] = "/tmp/zandaka-config-XXXXXX";

static const char *write_file(struct base_arena *arena, const char *bytes, size_t length)
{
    char *path = base_arena_take(arena, sizeof directory);
    memcpy(path, directory, sizeof directory);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(close(fd), 0);
    return path;
}

/* Loads `text` as a file. NULL: sound; otherwise the message behind `FILE:`. */
static const char *load(struct base_arena *arena, const char *text, size_t length,
                        struct app_config *ret_config)
{
    const char *path = write_file(arena, text, length);
    struct app_config_flags flags = {.config_file = path};
    struct base_text message = {NULL, 0};
    bool sound = app_config_load(arena, &flags, ret_config, &message);
    assert_int_equal(unlink(path), 0);
    if (sound) {
        return NULL;
    }
    assert_true(base_text_starts_with(message, base_text_of(path)));
    return message.bytes + strlen(path) + 1;
}

static void without_a_file_there_are_points_and_money(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_config config;
    struct base_text message;
    struct app_config_flags flags = {NULL, NULL, NULL, NULL};
    assert_true(app_config_load(&arena, &flags, &config, &message));
    assert_string_equal(config.listen.bytes, "127.0.0.1:8630");
    assert_string_equal(config.store_url.bytes, "rocksdb:zandaka-data");
    assert_int_equal(config.address_file.length, 0);
    assert_int_equal(config.kinds.n_kinds, 2);
    assert_string_equal(config.kinds.kinds[0].code.bytes, "points");
    assert_string_equal(config.kinds.kinds[1].code.bytes, "money");
    for (size_t i = 0; i < 2; i++) {
        assert_true(config.kinds.kinds[i].max_balance_minor == INT64_MAX);
        assert_true(config.kinds.kinds[i].max_amount_minor == BASE_AMOUNT_MAX);
        assert_false(config.kinds.kinds[i].withdrawn);
    }
    base_arena_release(&arena);
}

static void a_file_is_read_as_the_manual_shows_it(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF; a comment\r\n"
                               "[server]\r\n"
                               "listen = 127.0.0.1:9 ; behind the value\r\n"
                               "[store]\n"
                               "  url = memory:\n"
                               "# another\n"
                               "[kind.points] ; the first\n"
                               "max_balance = 9223372036854775807\n"
                               "\tmax_amount=1000000000000000\n"
                               "withdrawn = no\n"
                               "\n"
                               "  [kind.gold-2_x]\n"
                               "max_amount = 1\n"
                               "withdrawn = yes\n"
                               "[kind.money]";
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_config config;
    assert_null(load(&arena, text, sizeof text - 1, &config));
    assert_string_equal(config.listen.bytes, "127.0.0.1:9");
    assert_string_equal(config.store_url.bytes, "memory:");
    assert_int_equal(config.kinds.n_kinds, 3);
    const struct ledger_kind *kinds = config.kinds.kinds;
    assert_string_equal(kinds[0].code.bytes, "points");
    assert_true(kinds[0].max_balance_minor == INT64_MAX);
    assert_true(kinds[0].max_amount_minor == BASE_AMOUNT_MAX);
    assert_string_equal(kinds[1].code.bytes, "gold-2_x");
    assert_true(kinds[1].max_amount_minor == 1);
    assert_true(kinds[1].withdrawn);
    assert_string_equal(kinds[2].code.bytes, "money");
    assert_false(kinds[2].withdrawn);
    base_arena_release(&arena);
}

/* inih's buffer has room for the line, a line break and a NUL. */
static void a_line_has_198_bytes_and_no_more_also_the_last_without_a_break(void **state)
{
    (void)state;
    static const char *const ends[] = {"", "\n", "\r\n"};
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < COUNT(ends); i++) {
        for (int length = 197; length <= 200; length++) {
            struct base_text spaces =
                base_arena_print(&arena, "[store]\nurl=memory:%*s%s",
                                 length - (int)strlen("url=memory:;"), ";", ends[i]);
            size_t line_length = (size_t)length - 1 + (ends[i][0] == '\r' ? 1 : 0);
            struct app_config config;
            const char *wrong = load(&arena, spaces.bytes, spaces.length, &config);
            if (line_length <= 198) {
                assert_null(wrong);
                assert_string_equal(config.store_url.bytes, "memory:");
            } else {
                assert_string_equal(wrong, "2: the line is longer than 198 bytes");
            }
        }
    }
    base_arena_release(&arena);
}

static void every_slip_is_an_error_that_names_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length; /* 0: up to the NUL */
        const char *message;
    } rows[] = {
        {"[server]\nlisten = 127.0.0.1:1\n[serve]\n", 0, "3: the section [serve] is unknown"},
        {"[empty]\n", 0, "1: the section [empty] is unknown"},
        {"[Server]\n", 0, "1: the section [Server] is unknown"},
        {"[kind]\n", 0, "1: the section [kind] is unknown"},
        {"[server\n", 0, "1: a section is"},
        {"[server] x\n", 0, "1: a section is"},
        {"\n[server]\n\n[store]\n[server]\n", 0, "5: the section [server] stands twice"},
        {"[store]\n[store]\n", 0, "2: the section [store] stands twice"},
        {"[kind.a]\n[kind.b]\n[kind.a]\n", 0, "3: the section [kind.a] stands twice"},
        {"[kind.]\n", 0, "1: the kind ``"},
        {"[kind.Points]\n", 0, "1: the kind `Points`"},
        {"[kind.a b]\n", 0, "1: the kind `a b`"},
        {"[kind.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", 0, "1: the kind `aaaa"},
        {"listen = 127.0.0.1:1\n", 0, "1: the key `listen` stands in no section"},
        {"[server]\nport = 1\n", 0, "2: the key `port` is unknown"},
        {"[server]\nurl = memory:\n", 0, "2: the key `url` is unknown"},
        {"[kind.a]\nListen = 1\n", 0, "2: the key `Listen` is unknown"},
        {"[server]\n= 1\n", 0, "2: the key `` is unknown"},
        {"[server]\nlisten = 127.0.0.1:1\n\nlisten = 127.0.0.1:1\n", 0,
         "4: the key `listen` stands twice"},
        {"[server]\nlisten =\n", 0, "2: the key `listen` has no value"},
        {"[server]\nlisten = ; nothing\n", 0, "2: the key `listen` has no value"},
        {"[server]\nlisten = here\n", 0, "2: listen is HOST:PORT"},
        {"[log]\nformat = xml\n", 0, "2: format is text, json, not `xml`"},
        {"[log]\nlevel = loud\n", 0, "2: level is error, warn, info, debug, not `loud`"},
        {"[log]\nslow_ms = 86400001\n", 0, "2: slow_ms is 0 to 86400000 in plain digits"},
        {"[server]\nlame_duck_ms = 60001\n", 0, "2: lame_duck_ms is 0 to 60000 in plain digits"},
        {"[server]\nlame_duck_ms = -1\n", 0, "2: lame_duck_ms is 0 to 60000 in plain digits"},
        {"[server]\nlisten\n[nonsense]\n", 0, "2: neither a section nor"},
        {"[server]\nlisten ; = 127.0.0.1:1\n[nonsense]\n", 0, "2: neither a section nor"},
        {"[kind.a]\nmax_balance = 0\n", 0, "2: max_balance is 1 to 9223372036854775807"},
        {"[kind.a]\nmax_balance = 9223372036854775808\n", 0, "2: max_balance is 1 to"},
        {"[kind.a]\nmax_balance = 1e3\n", 0, "2: max_balance is 1 to"},
        {"[kind.a]\nmax_amount = -1\n", 0, "2: max_amount is 1 to 1000000000000000"},
        {"[kind.a]\nmax_amount = 1000000000000001\n", 0, "2: max_amount is 1 to"},
        {"[kind.a]\nwithdrawn = true\n", 0, "2: withdrawn is yes or no"},
        {"[kind.a]\n max_amount = 1\n  2\n", 0, "3: neither a section nor"},
        {"[server]\nlis\0ten = 1\n", 20, "2: a NUL byte"},
        {"[store]\nurl = " HUNDRED_LONG HUNDRED_LONG "\n", 0, "2: the line is longer than"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct base_arena arena = BASE_ARENA_EMPTY;
        struct app_config config;
        size_t length = rows[i].length > 0 ? rows[i].length : strlen(rows[i].text);
        const char *message = load(&arena, rows[i].text, length, &config);
        if (message == NULL || strncmp(message, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("row %zu: `%s`, not `%s`", i, message == NULL ? "sound" : message,
                     rows[i].message);
        }
        base_arena_release(&arena);
    }
}

static void there_may_be_64_kinds_and_no_more(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text text = {"", 0};
    for (int i = 0; i < BASE_KINDS_MAX; i++) {
        text = base_arena_print(&arena, "%s[kind.k%d]\n", text.bytes, i);
    }
    struct app_config config;
    assert_null(load(&arena, text.bytes, text.length, &config));
    assert_int_equal(config.kinds.n_kinds, BASE_KINDS_MAX);
    text = base_arena_print(&arena, "%s[kind.last]\n", text.bytes);
    assert_string_equal(load(&arena, text.bytes, text.length, &config), "65: more than 64 kinds");
    base_arena_release(&arena);
}

static void flags_win_over_environment_over_file(void **state)
{
    (void)state;
    static const char text[] = "[server]\nlisten = 127.0.0.1:1\n[store]\nurl = rocksdb:file\n";
    struct base_arena arena = BASE_ARENA_EMPTY;
    const char *path = write_file(&arena, text, sizeof text - 1);
    struct app_config config;
    struct base_text message;
    struct app_config_flags flags = {NULL, NULL, NULL, NULL};
    assert_int_equal(setenv("ZANDAKA_CONFIG", path, 1), 0);
    assert_true(app_config_load(&arena, &flags, &config, &message));
    assert_string_equal(config.listen.bytes, "127.0.0.1:1");
    assert_string_equal(config.store_url.bytes, "rocksdb:file");

    assert_int_equal(setenv("ZANDAKA_LISTEN", "127.0.0.1:2", 1), 0);
    assert_int_equal(setenv("ZANDAKA_STORE", "rocksdb:environment", 1), 0);
    assert_true(app_config_load(&arena, &flags, &config, &message));
    assert_string_equal(config.listen.bytes, "127.0.0.1:2");
    assert_string_equal(config.store_url.bytes, "rocksdb:environment");

    flags = (struct app_config_flags){NULL, "127.0.0.1:3", "rocksdb:flag", "address"};
    assert_true(app_config_load(&arena, &flags, &config, &message));
    assert_string_equal(config.listen.bytes, "127.0.0.1:3");
    assert_string_equal(config.store_url.bytes, "rocksdb:flag");
    assert_string_equal(config.address_file.bytes, "address");

    flags.config_file = "/nowhere/zandaka.ini";
    assert_false(app_config_load(&arena, &flags, &config, &message));
    assert_string_equal(message.bytes,
                        "cannot read /nowhere/zandaka.ini: No such file or directory");
    assert_int_equal(
        unsetenv("ZANDAKA_CONFIG") + unsetenv("ZANDAKA_LISTEN") + unsetenv("ZANDAKA_STORE"), 0);
    assert_int_equal(unlink(path), 0);
    base_arena_release(&arena);
}

static void what_cannot_be_served_is_told_before_anything_is_opened(void **state)
{
    (void)state;
    static const struct {
        struct app_config_flags flags;
        const char *message; /* NULL: it can be */
    } rows[] = {
        {{.listen = "here"}, "cannot listen on `here`: it is not HOST:PORT"},
        {{.listen = "0.0.0.0:8630"},
         "will not listen on 0.0.0.0:8630, which others can reach, because it has no TLS"},
        {{.listen = "[::]:8630"}, "will not listen on [::]:8630"},
        {{.listen = "[::1]:0"}, NULL},
        {{.listen = "127.0.0.2:65535"}, NULL},
        {{.store_url = "memory:"}, NULL},
        {{.store_url = "memory:x"}, "`memory:x` names no store: `memory:` stands alone"},
        {{.store_url = "rocksdb:"}, "`rocksdb:` names no store: `rocksdb:` needs a directory"},
        {{.store_url = "data"}, "`data` names no store: it is `rocksdb:DIRECTORY`, "},
        {{.store_url = "postgres://u@h/d"}, NULL},
        {{.store_url = "spanner:projects/p"}, "`spanner:projects/p` names no store: `spanner:`"},
        {{.store_url = "spanner:projects/p/instances/i/databases/d"}, NULL},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct app_config config;
        struct base_text message = BASE_TEXT("");
        bool sound = app_config_load(&arena, &rows[i].flags, &config, &message);
        assert_int_equal(sound, rows[i].message == NULL);
        if (!sound && strstr(message.bytes, rows[i].message) == NULL) {
            fail_msg("row %zu says: %s", i, message.bytes);
        }
    }
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_there_are_points_and_money),
        cmocka_unit_test(a_file_is_read_as_the_manual_shows_it),
        cmocka_unit_test(a_line_has_198_bytes_and_no_more_also_the_last_without_a_break),
        cmocka_unit_test(every_slip_is_an_error_that_names_its_line),
        cmocka_unit_test(there_may_be_64_kinds_and_no_more),
        cmocka_unit_test(flags_win_over_environment_over_file),
        cmocka_unit_test(what_cannot_be_served_is_told_before_anything_is_opened),
    };
    return cmocka_run_group_tests_name("app config", tests, NULL, NULL);
}
