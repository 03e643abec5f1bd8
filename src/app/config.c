/*
 * What a server is told: flags over environment over file over defaults (docs/cli.md). inih reads
 * the lines; sections are looked at by the reader that feeds it, since inih tells of a section only
 * with its first key, and a section without keys means something here.
 */
#include "api/api.h"
#include "app/app.h"
#include "net/net.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum key { KEY_LISTEN, KEY_URL, KEY_MAX_BALANCE, KEY_MAX_AMOUNT, KEY_WITHDRAWN };

enum section { SECTION_NONE, SECTION_SERVER, SECTION_STORE, SECTION_KIND };

/* A file in the reading. */
struct config_file {
    const char *path;
    FILE *stream;
    struct base_arena *arena;
    struct app_config *config;
    int line_number; /* of the line that was read last, from 1 */
    enum section section;
    unsigned keys_seen;     /* bits of enum key, in this section */
    unsigned sections_seen; /* bits of enum section; kinds are told by their codes */
    bool failed;
    struct base_text *ret_message;
};

/* Keeps the first thing that is wrong; nothing is read behind it. */
static void fail(struct config_file *file, struct base_text what)
{
    if (!file->failed) {
        file->failed = true;
        *file->ret_message = base_arena_print(file->arena, "%s:%d: %.*s", file->path,
                                              file->line_number, BASE_TEXT_ARGS(what));
    }
}

#define SPACES " \t\r\n"

/* --- sections --- */

static void open_kind(struct config_file *file, struct base_text code)
{
    struct ledger_kinds *kinds = &file->config->kinds;
    const char *wrong = api_check_kind_code(code);
    if (wrong != NULL) {
        fail(file,
             base_arena_print(file->arena, "the kind `%.*s`: %s", BASE_TEXT_ARGS(code), wrong));
    } else if (ledger_kind_number(kinds, code) >= 0) {
        fail(file, base_arena_print(file->arena, "the section [kind.%.*s] stands twice",
                                    BASE_TEXT_ARGS(code)));
    } else if (kinds->n_kinds == BASE_KINDS_MAX) {
        fail(file, base_arena_print(file->arena, "more than %d kinds", BASE_KINDS_MAX));
    } else {
        kinds->kinds[kinds->n_kinds++] =
            (struct ledger_kind){.code = base_arena_text(file->arena, code),
                                 .max_balance_minor = INT64_MAX,
                                 .max_amount_minor = BASE_AMOUNT_MAX};
        file->section = SECTION_KIND;
    }
}

static void open_section(struct config_file *file, struct base_text line)
{
    const char *end = memchr(line.bytes, ']', line.length);
    struct base_text behind = {NULL, 0};
    if (end != NULL) {
        behind = (struct base_text){end + 1, line.length - (size_t)(end + 1 - line.bytes)};
        behind = base_text_trim(behind, SPACES);
    }
    if (end == NULL || (behind.length > 0 && behind.bytes[0] != ';' && behind.bytes[0] != '#')) {
        fail(file, BASE_TEXT("a section is [NAME], alone on its line"));
        return;
    }
    struct base_text name = {line.bytes + 1, (size_t)(end - line.bytes) - 1};
    struct base_text kind = BASE_TEXT("kind.");
    file->keys_seen = 0;
    if (base_text_starts_with(name, kind)) {
        open_kind(file, (struct base_text){name.bytes + kind.length, name.length - kind.length});
        return;
    }
    if (base_text_equal(name, BASE_TEXT("server"))) {
        file->section = SECTION_SERVER;
    } else if (base_text_equal(name, BASE_TEXT("store"))) {
        file->section = SECTION_STORE;
    } else {
        fail(file, base_arena_print(file->arena,
                                    "the section [%.*s] is unknown; there are [server], [store] "
                                    "and [kind.CODE]",
                                    BASE_TEXT_ARGS(name)));
        return;
    }
    if ((file->sections_seen & 1u << file->section) != 0) {
        fail(file, base_arena_print(file->arena, "the section [%.*s] stands twice",
                                    BASE_TEXT_ARGS(name)));
    }
    file->sections_seen |= 1u << file->section;
}

/* --- lines --- */

/* The next line of the file with its line break. False: there are no more, or it cannot be one. */
static bool read_line(struct config_file *file, char *line, size_t capacity)
{
    size_t length = 0;
    int byte;
    while ((byte = getc(file->stream)) != EOF) {
        file->line_number += length == 0 ? 1 : 0;
        if (byte == '\0') {
            fail(file, BASE_TEXT("a NUL byte"));
            return false;
        }
        if (length + 2 > capacity) {
            fail(file,
                 base_arena_print(file->arena, "the line is longer than %zu bytes", capacity - 2));
            return false;
        }
        line[length++] = (char)byte;
        if (byte == '\n') {
            break;
        }
    }
    line[length] = '\0';
    if (ferror(file->stream)) {
        fail(file, base_arena_print(file->arena, "cannot be read: %s", strerror(errno)));
    } else if (file->line_number > BASE_CONFIG_LINES_MAX) {
        fail(file, base_arena_print(file->arena, "more than %d lines", BASE_CONFIG_LINES_MAX));
    }
    return length > 0 && !file->failed;
}

/* Whether inih would find a key in it: a separator in front of any comment. */
static bool has_key(struct base_text line)
{
    for (size_t i = 0; i < line.length; i++) {
        if (line.bytes[i] == '=' || line.bytes[i] == ':') {
            return true;
        }
        if (line.bytes[i] == ';' && i > 0 && strchr(" \t", line.bytes[i - 1]) != NULL) {
            return false;
        }
    }
    return false;
}

/* inih's reader. Indentation is taken off, since to inih an indented line goes on with the value
 * before it. */
static char *next_line(char *line, int capacity, void *stream)
{
    struct config_file *file = stream;
    if (file->failed || !read_line(file, line, (size_t)capacity)) {
        return NULL;
    }
    struct base_text text = base_text_of(line);
    struct base_text mark = BASE_TEXT("\xEF\xBB\xBF");
    if (file->line_number == 1 && base_text_starts_with(text, mark)) {
        text = (struct base_text){text.bytes + mark.length, text.length - mark.length};
    }
    text = base_text_trim(text, SPACES);
    memmove(line, text.bytes, text.length);
    line[text.length] = '\n';
    line[text.length + 1] = '\0';
    text.bytes = line;
    if (text.length == 0 || line[0] == ';' || line[0] == '#') {
        return line;
    }
    if (line[0] == '[') {
        open_section(file, text);
    } else if (!has_key(text)) {
        fail(file, BASE_TEXT("neither a section nor KEY = VALUE"));
    }
    return file->failed ? NULL : line;
}

/* --- keys --- */

static const struct {
    const char *name;
    enum section section;
    enum key key;
} keys[] = {
    {"listen", SECTION_SERVER, KEY_LISTEN},         {"url", SECTION_STORE, KEY_URL},
    {"max_balance", SECTION_KIND, KEY_MAX_BALANCE}, {"max_amount", SECTION_KIND, KEY_MAX_AMOUNT},
    {"withdrawn", SECTION_KIND, KEY_WITHDRAWN},
};

static void take_limit(struct config_file *file, const char *name, struct base_text value,
                       int64_t max, int64_t *ret_limit)
{
    int64_t limit;
    if (!base_text_to_int64(value, &limit) || limit < 1 || limit > max) {
        fail(file, base_arena_print(file->arena, "%s is 1 to %lld in plain digits, not `%.*s`",
                                    name, (long long)max, BASE_TEXT_ARGS(value)));
        return;
    }
    *ret_limit = limit;
}

/* The kind whose section is being read. */
static struct ledger_kind *current_kind(struct config_file *file)
{
    struct ledger_kinds *kinds = &file->config->kinds;
    base_assert(file->section == SECTION_KIND && kinds->n_kinds > 0);
    return &kinds->kinds[kinds->n_kinds - 1];
}

static void take_value(struct config_file *file, enum key key, struct base_text value)
{
    struct base_text host;
    uint16_t port;
    switch (key) {
    case KEY_LISTEN:
        /* Checked here too, since here the line is known. */
        if (!net_split_address(value, &host, &port)) {
            fail(file, base_arena_print(file->arena, "listen is HOST:PORT, not `%.*s`",
                                        BASE_TEXT_ARGS(value)));
        }
        file->config->listen = base_arena_text(file->arena, value);
        return;
    case KEY_URL:
        file->config->store_url = base_arena_text(file->arena, value);
        return;
    case KEY_MAX_BALANCE:
        take_limit(file, "max_balance", value, INT64_MAX, &current_kind(file)->max_balance_minor);
        return;
    case KEY_MAX_AMOUNT:
        take_limit(file, "max_amount", value, BASE_AMOUNT_MAX,
                   &current_kind(file)->max_amount_minor);
        return;
    case KEY_WITHDRAWN:
        current_kind(file)->withdrawn = base_text_equal(value, BASE_TEXT("yes"));
        if (!current_kind(file)->withdrawn && !base_text_equal(value, BASE_TEXT("no"))) {
            fail(file, base_arena_print(file->arena, "withdrawn is yes or no, not `%.*s`",
                                        BASE_TEXT_ARGS(value)));
        }
        return;
    }
}

/* inih's handler. Its own idea of the section is not used: the reader's is the same, and checked.
 */
static int take_key(void *user, const char *section, const char *name, const char *value)
{
    (void)section;
    struct config_file *file = user;
    if (file->section == SECTION_NONE) {
        fail(file, base_arena_print(file->arena, "the key `%s` stands in no section", name));
        return 0;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].section != file->section || strcmp(keys[i].name, name) != 0) {
            continue;
        }
        if ((file->keys_seen & 1u << keys[i].key) != 0) {
            fail(file, base_arena_print(file->arena, "the key `%s` stands twice", name));
            return 0;
        }
        file->keys_seen |= 1u << keys[i].key;
        if (value[0] == '\0') {
            fail(file, base_arena_print(file->arena, "the key `%s` has no value", name));
            return 0;
        }
        take_value(file, keys[i].key, base_text_of(value));
        return file->failed ? 0 : 1;
    }
    fail(file, base_arena_print(file->arena, "the key `%s` is unknown in this section", name));
    return 0;
}

static bool load_file(struct base_arena *arena, const char *path, struct app_config *config,
                      struct base_text *ret_message)
{
    struct config_file file = {.path = path,
                               .stream = fopen(path, "re"),
                               .arena = arena,
                               .config = config,
                               .ret_message = ret_message};
    if (file.stream == NULL) {
        *ret_message = base_arena_print(arena, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    int wrong = ini_parse_stream(next_line, &file, take_key, &file);
    if (wrong > 0 && !file.failed) {
        file.line_number = wrong;
        fail(&file, BASE_TEXT("neither a section nor KEY = VALUE"));
    }
    (void)fclose(file.stream);
    return !file.failed;
}

/* --- all of it --- */

static const char *first_given(const char *flag, const char *environment)
{
    if (flag != NULL) {
        return flag;
    }
    const char *value = getenv(environment);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void add_default_kinds(struct ledger_kinds *kinds)
{
    static const char *const codes[] = {"points", "money"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        kinds->kinds[kinds->n_kinds++] = (struct ledger_kind){.code = base_text_of(codes[i]),
                                                              .max_balance_minor = INT64_MAX,
                                                              .max_amount_minor = BASE_AMOUNT_MAX};
    }
}

/* Without authentication, whoever reaches the port may move money. */
static bool check_listen(struct base_arena *arena, struct base_text listen,
                         struct base_text *ret_message)
{
    struct base_text host;
    uint16_t port;
    if (!net_split_address(listen, &host, &port)) {
        *ret_message = base_arena_print(
            arena, "cannot listen on `%.*s`: it is not HOST:PORT, such as " APP_DEFAULT_LISTEN,
            BASE_TEXT_ARGS(listen));
        return false;
    }
    if (!net_is_loopback(listen)) {
        *ret_message = base_arena_print(
            arena,
            "will not listen on %.*s: there is no authentication, so only loopback "
            "addresses are allowed, such as " APP_DEFAULT_LISTEN,
            BASE_TEXT_ARGS(listen));
        return false;
    }
    return true;
}

bool app_config_load(struct base_arena *arena, const struct app_config_flags *flags,
                     struct app_config *ret_config, struct base_text *ret_message)
{
    struct app_config config = {.listen = BASE_TEXT(APP_DEFAULT_LISTEN),
                                .store_url = BASE_TEXT(APP_DEFAULT_STORE)};
    const char *path = first_given(flags->config_file, "ZANDAKA_CONFIG");
    if (path != NULL && !load_file(arena, path, &config, ret_message)) {
        return false;
    }
    const char *listen = first_given(flags->listen, "ZANDAKA_LISTEN");
    if (listen != NULL) {
        config.listen = base_arena_text(arena, base_text_of(listen));
    }
    const char *store_url = first_given(flags->store_url, "ZANDAKA_STORE");
    if (store_url != NULL) {
        config.store_url = base_arena_text(arena, base_text_of(store_url));
    }
    if (flags->address_file != NULL) {
        config.address_file = base_arena_text(arena, base_text_of(flags->address_file));
    }
    if (config.kinds.n_kinds == 0) {
        add_default_kinds(&config.kinds);
    }
    if (!check_listen(arena, config.listen, ret_message) ||
        !app_store_check_url(config.store_url, arena, ret_message)) {
        return false;
    }
    *ret_config = config;
    return true;
}
