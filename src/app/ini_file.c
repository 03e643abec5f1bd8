#include "app/ini_file.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

#define SPACES " \t\r\n"

void app_ini_fail(struct app_ini_file *file, struct base_text what)
{
    if (!file->failed) {
        file->failed = true;
        file->message = base_arena_print(file->arena, "%s:%d: %.*s", file->path, file->line_number,
                                         BASE_TEXT_ARGS(what));
    }
}

/* inih tells of a section only with its first key, and a section without keys means something here:
 * so sections are looked at by the reader that feeds it. */
static void open_section(struct app_ini_file *file, struct base_text line)
{
    const char *end = memchr(line.bytes, ']', line.length);
    struct base_text behind = {NULL, 0};
    if (end != NULL) {
        behind = (struct base_text){end + 1, line.length - (size_t)(end + 1 - line.bytes)};
        behind = base_text_trim(behind, SPACES);
    }
    if (end == NULL || (behind.length > 0 && behind.bytes[0] != ';' && behind.bytes[0] != '#')) {
        app_ini_fail(file, BASE_TEXT("a section is [NAME], alone on its line"));
        return;
    }
    file->keys_seen = 0;
    file->open_section(file, (struct base_text){line.bytes + 1, (size_t)(end - line.bytes) - 1});
}

/* The next line of the file with its line break. False: there are no more, or it cannot be one. */
static bool read_line(struct app_ini_file *file, char *line, size_t capacity)
{
    base_assert(capacity >= BASE_CONFIG_LINE_MAX_BYTES + 2);
    size_t length = 0;
    int byte;
    while ((byte = getc(file->stream)) != EOF) {
        file->line_number += length == 0 ? 1 : 0;
        if (byte == '\0') {
            app_ini_fail(file, BASE_TEXT("a NUL byte"));
            return false;
        }
        /* Behind what it holds there is room for a line break, which the last line may lack. */
        if (byte != '\n' && length == BASE_CONFIG_LINE_MAX_BYTES) {
            app_ini_fail(file, base_arena_print(file->arena, "the line is longer than %d bytes",
                                                BASE_CONFIG_LINE_MAX_BYTES));
            return false;
        }
        line[length++] = (char)byte;
        if (byte == '\n') {
            break;
        }
    }
    line[length] = '\0';
    if (ferror(file->stream)) {
        app_ini_fail(file, base_arena_print(file->arena, "cannot be read: %s", strerror(errno)));
    } else if (file->line_number > BASE_CONFIG_LINES_MAX) {
        app_ini_fail(file,
                     base_arena_print(file->arena, "more than %d lines", BASE_CONFIG_LINES_MAX));
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
    struct app_ini_file *file = stream;
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
        app_ini_fail(file, BASE_TEXT("neither a section nor KEY = VALUE"));
    }
    return file->failed ? NULL : line;
}

/* Those of the section, `rate, ids`. */
static const char *names_of_keys(const struct app_ini_file *file)
{
    const char *names = "";
    for (size_t i = 0; i < file->n_keys; i++) {
        if (file->keys[i].section == file->section) {
            names = base_arena_print(file->arena, "%s%s%s", names, names[0] == '\0' ? "" : ", ",
                                     file->keys[i].name)
                        .bytes;
        }
    }
    return names;
}

/* inih's handler. Its own idea of the section is not used: the reader's is the same, and checked.
 */
static int take_key(void *user, const char *section, const char *name, const char *value)
{
    (void)section;
    struct app_ini_file *file = user;
    if (file->section == 0) {
        app_ini_fail(file,
                     base_arena_print(file->arena, "the key `%s` stands in no section", name));
        return 0;
    }
    for (size_t i = 0; i < file->n_keys; i++) {
        const struct app_ini_key *key = &file->keys[i];
        if (key->section != file->section || strcmp(key->name, name) != 0) {
            continue;
        }
        if ((file->keys_seen & 1u << key->key) != 0) {
            app_ini_fail(file, base_arena_print(file->arena, "the key `%s` stands twice", name));
            return 0;
        }
        file->keys_seen |= 1u << key->key;
        if (value[0] == '\0') {
            app_ini_fail(file, base_arena_print(file->arena, "the key `%s` has no value", name));
            return 0;
        }
        file->take_value(file, key->key, base_text_of(value));
        return file->failed ? 0 : 1;
    }
    app_ini_fail(file, base_arena_print(file->arena,
                                        "the key `%s` is unknown in this section; there are %s",
                                        name, names_of_keys(file)));
    return 0;
}

bool app_ini_read(struct app_ini_file *file, struct base_text *ret_message)
{
    file->stream = fopen(file->path, "re");
    if (file->stream == NULL) {
        *ret_message =
            base_arena_print(file->arena, "cannot read %s: %s", file->path, strerror(errno));
        return false;
    }
    int wrong = ini_parse_stream(next_line, file, take_key, file);
    if (wrong > 0 && !file->failed) {
        file->line_number = wrong;
        app_ini_fail(file, BASE_TEXT("neither a section nor KEY = VALUE"));
    }
    (void)fclose(file->stream);
    if (file->failed) {
        *ret_message = file->message;
    }
    return !file->failed;
}
