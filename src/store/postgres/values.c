#include "store/postgres/values.h"

/* Between 1970 and 2000. */
#define EPOCH_OFFSET_US (INT64_C(946684800) * BASE_US_PER_S)
/* Before the elements: dimensions, whether there are NULLs, the type, the length, the first index.
 */
#define HEADER_BYTES 20

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

static void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}

static uint64_t get_unsigned(struct base_bytes bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        value = value << 8 | bytes.bytes[i];
    }
    return value;
}

static int64_t stored_time(int64_t time_us)
{
    if (time_us < BASE_TIME_MIN_US) {
        return INT64_MIN;
    }
    return time_us > BASE_TIME_MAX_US ? INT64_MAX : time_us - EPOCH_OFFSET_US;
}

/* --- parameters --- */

void postgres_array_begin(struct postgres_array *array, uint32_t element_type)
{
    array->writer.length = 0;
    array->n_elements = 0;
    uint8_t *header = base_write_room(&array->writer, HEADER_BYTES);
    put_u32(header, 1);
    put_u32(header + 4, 0);
    put_u32(header + 8, element_type);
    put_u32(header + 16, 1);
}

static uint8_t *add_element(struct postgres_array *array, size_t length)
{
    array->n_elements++;
    uint8_t *at = base_write_room(&array->writer, 4 + length);
    put_u32(at, (uint32_t)length);
    return at + 4;
}

void postgres_array_add_bytes(struct postgres_array *array, struct base_bytes bytes)
{
    array->n_elements++;
    put_u32(base_write_room(&array->writer, 4), (uint32_t)bytes.length);
    base_write_bytes(&array->writer, bytes);
}

void postgres_array_add_text(struct postgres_array *array, struct base_text text)
{
    postgres_array_add_bytes(array, base_bytes_of(text));
}

void postgres_array_add_int64(struct postgres_array *array, int64_t value)
{
    put_u64(add_element(array, 8), (uint64_t)value);
}

void postgres_array_add_int16(struct postgres_array *array, int16_t value)
{
    uint8_t *at = add_element(array, 2);
    at[0] = (uint8_t)((uint16_t)value >> 8);
    at[1] = (uint8_t)value;
}

void postgres_array_add_time(struct postgres_array *array, int64_t time_us)
{
    postgres_array_add_int64(array, stored_time(time_us));
}

struct base_bytes postgres_array_end(struct postgres_array *array)
{
    put_u32(array->writer.bytes + 12, array->n_elements);
    return base_writer_bytes(&array->writer);
}

void postgres_array_release(struct postgres_array *array)
{
    base_writer_release(&array->writer);
}

struct base_bytes postgres_int64(struct base_arena *arena, int64_t value)
{
    uint8_t *bytes = base_arena_take(arena, 8);
    put_u64(bytes, (uint64_t)value);
    return (struct base_bytes){bytes, 8};
}

struct base_bytes postgres_time(struct base_arena *arena, int64_t time_us)
{
    return postgres_int64(arena, stored_time(time_us));
}

/* --- results --- */

struct base_bytes postgres_row_bytes(const struct postgres_row *row, int column)
{
    return (struct base_bytes){
        (const uint8_t *)PQgetvalue(row->result, row->row, column),
        (size_t)PQgetlength(row->result, row->row, column),
    };
}

bool postgres_row_is_null(const struct postgres_row *row, int column)
{
    return PQgetisnull(row->result, row->row, column) != 0;
}

struct base_text postgres_row_id(struct postgres_row *row, int column)
{
    struct base_text id = base_text_from(postgres_row_bytes(row, column));
    if (id.length < 1 || id.length > BASE_ID_MAX_BYTES || !base_text_is_printable_ascii(id)) {
        row->failed = true;
    }
    return id;
}

/* A number of that many bytes; 0 and failed when it is NULL or another type. */
static uint64_t row_number(struct postgres_row *row, int column, size_t length)
{
    struct base_bytes bytes = postgres_row_bytes(row, column);
    if (postgres_row_is_null(row, column) || bytes.length != length) {
        row->failed = true;
        return 0;
    }
    return get_unsigned(bytes);
}

int64_t postgres_row_int64(struct postgres_row *row, int column)
{
    return (int64_t)row_number(row, column, 8);
}

int postgres_row_int16(struct postgres_row *row, int column)
{
    return (int16_t)row_number(row, column, 2);
}

bool postgres_row_bool(struct postgres_row *row, int column)
{
    return row_number(row, column, 1) != 0;
}

int64_t postgres_row_time(struct postgres_row *row, int column)
{
    int64_t time = postgres_row_int64(row, column);
    if (time < BASE_TIME_MIN_US - EPOCH_OFFSET_US || time > BASE_TIME_MAX_US - EPOCH_OFFSET_US) {
        row->failed = true;
        return 0;
    }
    return time + EPOCH_OFFSET_US;
}
