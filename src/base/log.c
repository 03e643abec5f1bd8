#include "base/base.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {[BASE_LOG_ERROR] = "error",
                                          [BASE_LOG_WARNING] = "warning",
                                          [BASE_LOG_INFO] = "info",
                                          [BASE_LOG_DEBUG] = "debug"};

static atomic_int form_in_use = BASE_LOG_TEXT;
static atomic_int level_in_use = BASE_LOG_INFO;

void base_log_configure(enum base_log_form form, enum base_log_level level)
{
    atomic_store(&form_in_use, (int)form);
    atomic_store(&level_in_use, (int)level);
}

bool base_log_wants(enum base_log_level level)
{
    return (int)level <= atomic_load_explicit(&level_in_use, memory_order_relaxed);
}

/* --- a line in the making --- */

/* What must still fit behind a text: `"}` and the line break. */
#define END_BYTES 3
/* The longest escape, \u00ff. */
#define ESCAPE_BYTES 6
/* A field is begun only where this much of its value fits. */
#define VALUE_LEAST_BYTES 16

struct line {
    enum base_log_form form;
    size_t length;
    char bytes[BASE_LOG_LINE_MAX_BYTES];
};

static void put(struct line *line, const char *text, size_t length)
{
    base_assert(length <= sizeof line->bytes - line->length);
    memcpy(line->bytes + line->length, text, length);
    line->length += length;
}

static void put_string(struct line *line, const char *string)
{
    put(line, string, strlen(string));
}

/* Puts as much as there is room for, so that nothing in it ends a line, a string of JSON or, in a
 * terminal, the text: control characters (C1 ones in UTF-8 too) are escaped, and every byte beyond
 * ASCII of what is no UTF-8. `quoted`: quotes and backslashes too. */
static void put_escaped(struct line *line, struct base_text text, bool quoted)
{
    bool utf8 = base_text_is_utf8(text);
    for (size_t i = 0; i < text.length; i++) {
        if (sizeof line->bytes - line->length < ESCAPE_BYTES + END_BYTES) {
            return;
        }
        uint8_t byte = (uint8_t)text.bytes[i];
        bool c1 = utf8 && byte == 0xC2 && i + 1 < text.length && (uint8_t)text.bytes[i + 1] < 0xA0;
        if (c1) {
            byte = (uint8_t)text.bytes[++i];
        }
        if (byte < 0x20 || byte == 0x7F || c1 || (!utf8 && byte >= 0x80)) {
            char escape[ESCAPE_BYTES + 1];
            (void)snprintf(escape, sizeof escape, "\\u%04x", byte);
            put_string(line, escape);
        } else if (quoted && (byte == '"' || byte == '\\')) {
            put(line, (const char[]){'\\', (char)byte}, 2);
        } else {
            put(line, (const char *)&byte, 1);
        }
    }
}

static void open_line(struct line *line, enum base_log_level level, struct base_text message)
{
    char time_text[32];
    int64_t now_us = base_now_real_us(&base_clock_system);
    time_t seconds = (time_t)(now_us / BASE_US_PER_S);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    size_t length = strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(time_text + length, sizeof time_text - length, ".%03dZ",
                   (int)(now_us / 1000 % 1000));
    line->form = (enum base_log_form)atomic_load_explicit(&form_in_use, memory_order_relaxed);
    line->length = 0;
    bool json = line->form == BASE_LOG_JSON;
    put_string(line, json ? "{\"time\":\"" : "");
    put_string(line, time_text);
    put_string(line, json ? "\",\"level\":\"" : " ");
    put_string(line, level_names[level]);
    put_string(line, json ? "\",\"message\":\"" : ": ");
    put_escaped(line, message, json);
    put_string(line, json ? "\"" : "");
}

static bool is_plain(struct base_text value)
{
    for (size_t i = 0; i < value.length; i++) {
        if (strchr("\"\\= ", value.bytes[i]) != NULL) {
            return false;
        }
    }
    return value.length > 0 && base_text_is_printable_ascii(value);
}

static void put_field(struct line *line, const struct base_log_field *field)
{
    const bool json = line->form == BASE_LOG_JSON;
    size_t needed = strlen(field->name) + VALUE_LEAST_BYTES + END_BYTES;
    if (sizeof line->bytes - line->length < needed) {
        return;
    }
    put_string(line, json ? ",\"" : " ");
    put_string(line, field->name);
    put_string(line, json ? "\":" : "=");
    bool quoted = json || !is_plain(field->value);
    put_string(line, quoted ? "\"" : "");
    put_escaped(line, field->value, quoted);
    put_string(line, quoted ? "\"" : "");
}

static void write_line(struct line *line)
{
    put_string(line, line->form == BASE_LOG_JSON ? "}\n" : "\n");
    /* There is nowhere to tell that standard error is gone. */
    ssize_t ignored = write(STDERR_FILENO, line->bytes, line->length);
    (void)ignored;
}

void base_log_fields(enum base_log_level level, const char *message, size_t n_fields,
                     const struct base_log_field *fields)
{
    if (!base_log_wants(level)) {
        return;
    }
    struct line line;
    open_line(&line, level, base_text_of(message));
    for (size_t i = 0; i < n_fields; i++) {
        put_field(&line, &fields[i]);
    }
    write_line(&line);
}

static void log_message(enum base_log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void log_message(enum base_log_level level, const char *format, va_list arguments)
{
    char message[BASE_LOG_LINE_MAX_BYTES];
    int length = vsnprintf(message, sizeof message, format, arguments);
    size_t printed = length < 0 ? 0 : (size_t)length;
    struct line line;
    open_line(&line, level,
              (struct base_text){message, printed < sizeof message ? printed : sizeof message - 1});
    write_line(&line);
}

void base_log(enum base_log_level level, const char *format, ...)
{
    if (!base_log_wants(level)) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    log_message(level, format, arguments);
    va_end(arguments);
}

_Noreturn void base_stop(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_message(BASE_LOG_ERROR, format, arguments);
    va_end(arguments);
    _exit(1);
}

_Noreturn void base_assert_failed(const char *condition, const char *file, int line)
{
    base_log(BASE_LOG_ERROR, "a bug in zandaka: %s does not hold at %s:%d; the process stops",
             condition, file, line);
    abort();
}
