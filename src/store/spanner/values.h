/*
 * Values as Spanner's API has them: an INT64 is a string of digits, BYTES are base64, a TIMESTAMP
 * is RFC 3339. Reading is strict, since a balance that was guessed is worse than none. For the
 * files of this folder only; pure functions, any thread.
 */
#ifndef ZANDAKA_STORE_SPANNER_VALUES_H
#define ZANDAKA_STORE_SPANNER_VALUES_H

#include "base/base.h"
#include "google/protobuf/struct.pb-c.h"

typedef Google__Protobuf__Value spanner_value;
typedef Google__Protobuf__ListValue spanner_list;

/* --- what is sent: in the arena --- */

spanner_value *spanner_int64(struct base_arena *arena, int64_t value);
/* The text must be UTF-8 without a NUL. */
spanner_value *spanner_text(struct base_arena *arena, struct base_text text);
spanner_value *spanner_bytes(struct base_arena *arena, struct base_bytes bytes);
/* Microseconds since 1970; before and beyond what a Timestamp can be is its nearest end. */
spanner_value *spanner_time(struct base_arena *arena, int64_t time_us);
/* The time of the commit that it is sent with. */
spanner_value *spanner_commit_time(struct base_arena *arena);
spanner_value *spanner_int64s(struct base_arena *arena, size_t n, const int64_t *values);
/* A row, or a key: the values by reference. */
spanner_list *spanner_list_of(struct base_arena *arena, size_t n, spanner_value *const *values);

/* --- what is read --- */

/* The rows of a result, one after another. */
struct spanner_rows {
    size_t n_columns;
    size_t n_rows;
    spanner_value **values; /* n_rows * n_columns */
};

/* Reads one row's columns. After the first value that is not what it should be it is `failed`, and
 * numbers are 0: check once, at the end. */
struct spanner_row {
    const struct spanner_rows *rows;
    size_t row;
    bool failed;
};

bool spanner_row_is_null(const struct spanner_row *row, size_t column);
int64_t spanner_row_int64(struct spanner_row *row, size_t column);
/* As the result has it, which it lives as long as. */
struct base_text spanner_row_text(struct spanner_row *row, size_t column);
/* An id: 1 to BASE_ID_MAX_BYTES bytes of printable ASCII. */
struct base_text spanner_row_id(struct spanner_row *row, size_t column);
/* In the arena. */
struct base_bytes spanner_row_bytes(struct spanner_row *row, size_t column,
                                    struct base_arena *arena);
/* Microseconds since 1970. */
int64_t spanner_row_time(struct spanner_row *row, size_t column);
/* Up to `capacity` numbers; gives how many there are. */
size_t spanner_row_int64s(struct spanner_row *row, size_t column, int64_t *ret_values,
                          size_t capacity);

#endif
