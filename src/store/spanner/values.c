#include "store/spanner/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- what is sent --- */

static spanner_value *value_of_text(struct base_arena *arena, struct base_text text)
{
    spanner_value *value = base_arena_take(arena, sizeof *value);
    google__protobuf__value__init(value);
    value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    value->string_value = (char *)(uintptr_t)text.bytes;
    return value;
}

spanner_value *spanner_int64(struct base_arena *arena, int64_t value)
{
    return value_of_text(arena, base_arena_print(arena, "%" PRId64, value));
}

spanner_value *spanner_text(struct base_arena *arena, struct base_text text)
{
    return value_of_text(arena, base_arena_text(arena, text));
}

spanner_value *spanner_bytes(struct base_arena *arena, struct base_bytes bytes)
{
    struct base_text text = base_base64_encode(arena, bytes, BASE_BASE64_PADDED);
    return value_of_text(arena, base_arena_text(arena, text));
}

spanner_value *spanner_time(struct base_arena *arena, int64_t time_us)
{
    if (time_us < BASE_TIME_MIN_US) {
        time_us = BASE_TIME_MIN_US;
    } else if (time_us > BASE_TIME_MAX_US) {
        time_us = BASE_TIME_MAX_US;
    }
    int64_t us = ((time_us % BASE_US_PER_S) + BASE_US_PER_S) % BASE_US_PER_S;
    time_t seconds = (time_t)((time_us - us) / BASE_US_PER_S);
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    return value_of_text(arena,
                         base_arena_print(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
                                          parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                                          parts.tm_hour, parts.tm_min, parts.tm_sec, (int)us));
}

spanner_value *spanner_commit_time(struct base_arena *arena)
{
    return value_of_text(arena, BASE_TEXT("spanner.commit_timestamp()"));
}

spanner_value *spanner_int64s(struct base_arena *arena, size_t n, const int64_t *values)
{
    spanner_value **elements = base_arena_take(arena, n * sizeof(spanner_value *));
    for (size_t i = 0; i < n; i++) {
        elements[i] = spanner_int64(arena, values[i]);
    }
    spanner_value *value = base_arena_take(arena, sizeof *value);
    google__protobuf__value__init(value);
    value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE;
    value->list_value = spanner_list_of(arena, n, elements);
    return value;
}

spanner_list *spanner_list_of(struct base_arena *arena, size_t n, spanner_value *const *values)
{
    spanner_list *list = base_arena_take(arena, sizeof *list);
    google__protobuf__list_value__init(list);
    list->n_values = n;
    list->values = base_arena_take(arena, n * sizeof(spanner_value *));
    for (size_t i = 0; i < n; i++) {
        list->values[i] = values[i];
    }
    return list;
}

/* --- what is read --- */

static const spanner_value *value_at(const struct spanner_row *row, size_t column)
{
    base_assert(row->row < row->rows->n_rows && column < row->rows->n_columns);
    return row->rows->values[row->row * row->rows->n_columns + column];
}

bool spanner_row_is_null(const struct spanner_row *row, size_t column)
{
    return value_at(row, column)->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE;
}

struct base_text spanner_row_text(struct spanner_row *row, size_t column)
{
    const spanner_value *value = value_at(row, column);
    if (value->kind_case != GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE) {
        row->failed = true;
        return BASE_TEXT("");
    }
    return base_text_of(value->string_value);
}

struct base_text spanner_row_id(struct spanner_row *row, size_t column)
{
    struct base_text text = spanner_row_text(row, column);
    if (text.length < 1 || text.length > BASE_ID_MAX_BYTES || !base_text_is_printable_ascii(text)) {
        row->failed = true;
    }
    return text;
}

static int64_t number_of(struct spanner_row *row, struct base_text text)
{
    int64_t value = 0;
    if (!base_text_to_int64(text, &value)) {
        row->failed = true;
    }
    return value;
}

int64_t spanner_row_int64(struct spanner_row *row, size_t column)
{
    return number_of(row, spanner_row_text(row, column));
}

struct base_bytes spanner_row_bytes(struct spanner_row *row, size_t column,
                                    struct base_arena *arena)
{
    struct base_bytes bytes = {NULL, 0};
    if (!base_base64_decode(arena, spanner_row_text(row, column), BASE_BASE64_PADDED, &bytes)) {
        row->failed = true;
    }
    return bytes;
}

/* Digits of a fixed number, at a fixed place; -1: other bytes. */
static int digits(const char *text, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* `2026-11-30T12:00:00Z`, or with a fraction of up to nine digits, of which nanoseconds are 0: what
 * is stored here has microseconds. */
static bool parse_time(struct base_text text, int64_t *ret_time_us)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t length = sizeof form - 1;
    if (text.length < length + 1 || text.length > length + 11 ||
        text.bytes[text.length - 1] != 'Z') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (form[i] != 'd' && form[i] != text.bytes[i]) {
            return false;
        }
    }
    const char *at = text.bytes;
    struct tm parts = {.tm_year = digits(at, 4) - 1900,
                       .tm_mon = digits(at + 5, 2) - 1,
                       .tm_mday = digits(at + 8, 2),
                       .tm_hour = digits(at + 11, 2),
                       .tm_min = digits(at + 14, 2),
                       .tm_sec = digits(at + 17, 2)};
    size_t n_digits = 0;
    int fraction = 0;
    if (text.length > length + 1) {
        n_digits = text.length - length - 2;
        fraction = at[length] == '.' && n_digits > 0 ? digits(at + length + 1, n_digits) : -1;
    }
    if (parts.tm_year < 1 - 1900 || parts.tm_mon < 0 || parts.tm_mon > 11 || parts.tm_mday < 1 ||
        parts.tm_mday > 31 || parts.tm_hour < 0 || parts.tm_hour > 23 || parts.tm_min < 0 ||
        parts.tm_min > 59 || parts.tm_sec < 0 || parts.tm_sec > 59 || fraction < 0) {
        return false;
    }
    for (size_t i = n_digits; i < 9; i++) {
        fraction *= 10;
    }
    if (fraction % BASE_NS_PER_US != 0) {
        return false;
    }
    *ret_time_us = (int64_t)timegm(&parts) * BASE_US_PER_S + fraction / BASE_NS_PER_US;
    return true;
}

int64_t spanner_row_time(struct spanner_row *row, size_t column)
{
    int64_t time_us = 0;
    if (!parse_time(spanner_row_text(row, column), &time_us)) {
        row->failed = true;
    }
    return time_us;
}

size_t spanner_row_int64s(struct spanner_row *row, size_t column, int64_t *ret_values,
                          size_t capacity)
{
    const spanner_value *value = value_at(row, column);
    if (value->kind_case != GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE ||
        value->list_value->n_values > capacity) {
        row->failed = true;
        return 0;
    }
    for (size_t i = 0; i < value->list_value->n_values; i++) {
        const spanner_value *element = value->list_value->values[i];
        if (element->kind_case != GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE) {
            row->failed = true;
            return 0;
        }
        ret_values[i] = number_of(row, base_text_of(element->string_value));
    }
    return value->list_value->n_values;
}
