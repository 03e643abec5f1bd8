/*
 * One line for each event, on standard error. Never a secret, and of a caller's text only ids.
 */
#ifndef ZANDAKA_BASE_LOG_H
#define ZANDAKA_BASE_LOG_H

enum base_log_level { BASE_LOG_ERROR, BASE_LOG_WARNING, BASE_LOG_INFO };

/* Writes `2026-11-25T00:00:00.123Z error: message` in one write. Any thread. */
void base_log(enum base_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Logs as an error, then ends the process at once with exit status 1 and without running exit
 * handlers: for what must not go on, such as a failed sync or memory that is out. */
_Noreturn void base_stop(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
