#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {
    [BASE_LOG_ERROR] = "error", [BASE_LOG_WARNING] = "warning", [BASE_LOG_INFO] = "info"};

static void log_line(enum base_log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void log_line(enum base_log_level level, const char *format, va_list arguments)
{
    char line[BASE_LOG_LINE_MAX_BYTES];
    int64_t now_us = base_now_real_us(&base_clock_system);
    time_t seconds = (time_t)(now_us / BASE_US_PER_S);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    size_t length = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    length += (size_t)snprintf(line + length, sizeof line - length,
                               ".%03dZ %s: ", (int)(now_us / 1000 % 1000), level_names[level]);
    int printed = vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    if (printed > 0) {
        size_t room = sizeof line - length - 2;
        length += (size_t)printed < room ? (size_t)printed : room;
    }
    line[length++] = '\n';
    /* There is nowhere to tell that standard error is gone. */
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored;
}

void base_log(enum base_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(level, format, arguments);
    va_end(arguments);
}

_Noreturn void base_stop(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(BASE_LOG_ERROR, format, arguments);
    va_end(arguments);
    _exit(1);
}

_Noreturn void base_assert_failed(const char *condition, const char *file, int line)
{
    base_log(BASE_LOG_ERROR, "a bug in zandaka: %s does not hold at %s:%d; the process stops",
             condition, file, line);
    abort();
}
