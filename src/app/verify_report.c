#include "app/verify.h"

#include <stdarg.h>
#include <unistd.h>

/* Time between two lines of progress: often enough to be seen moving. */
#define PROGRESS_NS INT64_C(250000000)
/* Rows between two looks at the clock. */
#define PROGRESS_ROWS 1024

/* Counts a violation; whether it is one to list. */
static bool count_violation(struct verify *verify)
{
    verify->n_violations++;
    if (verify->n_violations > BASE_VERIFY_LISTED_MAX) {
        return false;
    }
    verify_progress_clear(verify);
    return true;
}

void verify_violation(struct verify *verify, const char *format, ...)
{
    if (count_violation(verify)) {
        va_list arguments;
        va_start(arguments, format);
        (void)vfprintf(verify->err, format, arguments);
        va_end(arguments);
        (void)fputc('\n', verify->err);
    }
}

void verify_violation_of_entry(struct verify *verify, const struct ledger_entry *entry,
                               const char *format, ...)
{
    if (count_violation(verify)) {
        (void)fprintf(verify->err, "entries: account %s, sequence %lld: ",
                      verify_shown(verify, entry->account_id), (long long)entry->sequence);
        va_list arguments;
        va_start(arguments, format);
        (void)vfprintf(verify->err, format, arguments);
        va_end(arguments);
        (void)fputc('\n', verify->err);
    }
}

void verify_unread(struct verify *verify, enum store_fault fault, const char *format, ...)
{
    if (count_violation(verify)) {
        (void)fputs("could not read ", verify->err);
        va_list arguments;
        va_start(arguments, format);
        (void)vfprintf(verify->err, format, arguments);
        va_end(arguments);
        (void)fprintf(verify->err, ": %s: not called sound\n",
                      fault == STORE_CORRUPT ? "it is corrupt" : "the store is unavailable");
    }
}

void verify_report_rest(struct verify *verify)
{
    if (verify->n_violations > BASE_VERIFY_LISTED_MAX) {
        (void)fprintf(verify->err, "and %llu more\n",
                      (unsigned long long)(verify->n_violations - BASE_VERIFY_LISTED_MAX));
    }
}

const char *verify_shown(struct verify *verify, struct base_text id)
{
    static const char digits[] = "0123456789abcdef";
    char *shown = base_arena_take(&verify->arena, 4 * id.length + 1);
    size_t length = 0;
    for (size_t i = 0; i < id.length; i++) {
        unsigned char byte = (unsigned char)id.bytes[i];
        if (byte > 0x20 && byte < 0x7F) {
            shown[length++] = (char)byte;
        } else {
            shown[length++] = '\\';
            shown[length++] = 'x';
            shown[length++] = digits[byte >> 4];
            shown[length++] = digits[byte & 15];
        }
    }
    shown[length] = '\0';
    return shown;
}

const char *verify_shown_sum(struct verify *verify, verify_sum sum)
{
    enum { DIGITS = 48 }; /* more than 2^127 has, and a sign */
    char *shown = base_arena_take(&verify->arena, DIGITS);
    size_t at = DIGITS - 1;
    shown[at] = '\0';
    bool negative = sum < 0;
    do {
        int digit = (int)(sum % 10);
        shown[--at] = (char)('0' + (digit < 0 ? -digit : digit));
        sum /= 10;
    } while (sum != 0);
    if (negative) {
        shown[--at] = '-';
    }
    return shown + at;
}

void verify_progress(struct verify *verify)
{
    verify->n_rows++;
    if (verify->n_rows % PROGRESS_ROWS != 0 || !isatty(fileno(verify->err))) {
        return;
    }
    int64_t now = base_now_mono_ns(&base_clock_system);
    if (now - verify->progress_mono_ns >= PROGRESS_NS) {
        verify->progress_mono_ns = now;
        verify->progress_shown = true;
        (void)fprintf(verify->err, "\rverifying: %llu rows", (unsigned long long)verify->n_rows);
        (void)fflush(verify->err);
    }
}

void verify_progress_clear(struct verify *verify)
{
    if (verify->progress_shown) {
        verify->progress_shown = false;
        (void)fputs("\r\033[K", verify->err);
    }
}
