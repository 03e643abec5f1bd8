/*
 * One line for each event, on standard error: readable, or a JSON object. Never a secret. What a
 * caller may have chosen is escaped, so that no text can end a line or steer a terminal.
 */
#ifndef ZANDAKA_BASE_LOG_H
#define ZANDAKA_BASE_LOG_H

#include "base/bytes.h"

enum base_log_level { BASE_LOG_ERROR, BASE_LOG_WARNING, BASE_LOG_INFO, BASE_LOG_DEBUG };
enum base_log_form { BASE_LOG_TEXT, BASE_LOG_JSON };

/* How lines look, and which are written: those up to `level`. From the start it is text, up to
 * BASE_LOG_INFO. Standard error is the process's one, and so is this, the one setting that is no
 * argument: an assertion anywhere must be able to speak. */
void base_log_configure(enum base_log_form form, enum base_log_level level);
/* Whether a line of that level is written. */
bool base_log_wants(enum base_log_level level);

/* Writes in one write, any thread:
 *   2026-11-25T00:00:00.123Z error: message
 *   {"time":"2026-11-25T00:00:00.123Z","level":"error","message":"message"} */
void base_log(enum base_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with fields behind the message, `name=value` or JSON members. A value that is not plain
 * stands in quotes. Fields for which the line has no room are left out. */
struct base_log_field {
    const char *name; /* ours: lower case and '_' */
    struct base_text value;
};
void base_log_fields(enum base_log_level level, const char *message, size_t n_fields,
                     const struct base_log_field *fields);

/* Logs as an error, then ends the process at once with exit status 1 and without running exit
 * handlers: for what must not go on, such as a failed sync or memory that is out. */
_Noreturn void base_stop(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
