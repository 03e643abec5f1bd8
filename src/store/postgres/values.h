/*
 * Values as PostgreSQL's binary format has them: numbers big-endian, times in microseconds since
 * 2000, arrays with a header of their own. Reading is strict, since a balance that was guessed is
 * worse than none. For the files of this folder only; pure functions, any thread.
 */
#ifndef ZANDAKA_STORE_POSTGRES_VALUES_H
#define ZANDAKA_STORE_POSTGRES_VALUES_H

#include "base/base.h"

#include <libpq-fe.h>

/* The types that are used, by the numbers that PostgreSQL gives them for good. */
#define POSTGRES_BYTEA 17
#define POSTGRES_INT8 20
#define POSTGRES_INT2 21
#define POSTGRES_TEXT 25
#define POSTGRES_TIMESTAMPTZ 1184
#define POSTGRES_BYTEA_ARRAY 1001
#define POSTGRES_INT2_ARRAY 1005
#define POSTGRES_TEXT_ARRAY 1009
#define POSTGRES_INT8_ARRAY 1016
#define POSTGRES_TIMESTAMPTZ_ARRAY 1185

/* --- parameters --- */

/* An array under construction, in memory that is used again; begins zeroed. */
struct postgres_array {
    struct base_writer writer;
    uint32_t n_elements;
};

/* Empties it for elements of the type with that number. */
void postgres_array_begin(struct postgres_array *array, uint32_t element_type);
void postgres_array_add_bytes(struct postgres_array *array, struct base_bytes bytes);
void postgres_array_add_text(struct postgres_array *array, struct base_text text);
void postgres_array_add_int64(struct postgres_array *array, int64_t value);
void postgres_array_add_int16(struct postgres_array *array, int16_t value);
/* Microseconds since 1970; before and beyond what a Timestamp can be is minus and plus infinity. */
void postgres_array_add_time(struct postgres_array *array, int64_t time_us);
/* The whole array as a parameter; valid until the next call on it. */
struct base_bytes postgres_array_end(struct postgres_array *array);
void postgres_array_release(struct postgres_array *array);

/* One number as a parameter, in the arena. */
struct base_bytes postgres_int64(struct base_arena *arena, int64_t value);
struct base_bytes postgres_time(struct base_arena *arena, int64_t time_us);

/* --- results --- */

/* Reads one row's columns. After the first value that is not what it should be it is `failed`, and
 * numbers are 0: check once, at the end. */
struct postgres_row {
    const PGresult *result;
    int row;
    bool failed;
};

/* What is read points into the result, and lives as long. */
struct base_bytes postgres_row_bytes(const struct postgres_row *row, int column);
bool postgres_row_is_null(const struct postgres_row *row, int column);
/* An id: 1 to BASE_ID_MAX_BYTES bytes of printable ASCII. */
struct base_text postgres_row_id(struct postgres_row *row, int column);
int64_t postgres_row_int64(struct postgres_row *row, int column);
int postgres_row_int16(struct postgres_row *row, int column);
bool postgres_row_bool(struct postgres_row *row, int column);
/* Microseconds since 1970. */
int64_t postgres_row_time(struct postgres_row *row, int column);

#endif
