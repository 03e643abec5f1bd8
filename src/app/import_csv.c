/* A CSV file becomes rows: libcsv takes it apart, here is what the parts may be. */
#include "app/import.h"

#include <csv.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum column {
    COLUMN_TRANSACTION_ID,
    COLUMN_OPERATION,
    COLUMN_ACCOUNT_ID,
    COLUMN_KIND,
    COLUMN_AMOUNT,
    COLUMN_DESCRIPTION,
    COLUMN_BALANCE,
    COLUMN_COUNT
};

#define NOT_THERE SIZE_MAX

struct reading {
    FILE *stream;
    const char *path;
    const struct import_columns *wanted;
    struct base_arena *arena;
    struct import_rows *rows;
    struct base_text *ret_message;
    bool failed;

    int64_t line_number;     /* of the line in the reading */
    int64_t row_line_number; /* where the row began */
    size_t row_bytes;        /* of it so far; 0: none has begun */
    bool has_header;
    size_t n_columns;
    struct base_text names[BASE_IMPORT_COLUMNS_MAX]; /* of the header */
    size_t places[COLUMN_COUNT];                     /* in the file, or NOT_THERE */
    size_t n_fields;                                 /* of the row in the reading */
    struct base_text fields[COLUMN_COUNT];           /* those that are wanted */
    struct base_arena row_arena;                     /* where they are */
};

static const char *column_name(const struct reading *reading, enum column column)
{
    static const char *const names[COLUMN_COUNT] = {
        "transaction_id", "operation", "account_id", "kind", "amount", "description", NULL};
    if (column == COLUMN_AMOUNT && reading->wanted->amount != NULL) {
        return reading->wanted->amount;
    }
    return column == COLUMN_BALANCE ? reading->wanted->balance : names[column];
}

static bool is_required(const struct reading *reading, enum column column)
{
    switch (column) {
    case COLUMN_DESCRIPTION:
        return false;
    case COLUMN_KIND:
        return reading->wanted->kind == NULL;
    case COLUMN_BALANCE:
        return reading->wanted->balance != NULL;
    default:
        return true;
    }
}

/* Keeps the first thing that is wrong; nothing is read behind it. */
static void fail(struct reading *reading, const char *column, const char *what)
{
    if (reading->failed) {
        return;
    }
    reading->failed = true;
    int64_t line_number = reading->row_bytes > 0 ? reading->row_line_number : reading->line_number;
    *reading->ret_message =
        base_arena_print(reading->arena, "%s:%lld: %s%s%s%s", reading->path, (long long)line_number,
                         column == NULL ? "" : "column ", column == NULL ? "" : column,
                         column == NULL ? "" : ": ", what);
}

/* --- the header --- */

static void find_column(struct reading *reading, enum column column)
{
    reading->places[column] = NOT_THERE;
    const char *name = column_name(reading, column);
    if (name == NULL) {
        return;
    }
    for (size_t i = 0; i < reading->n_columns; i++) {
        if (!base_text_equal(reading->names[i], base_text_of(name))) {
            continue;
        }
        if (reading->places[column] != NOT_THERE) {
            fail(reading, name, "stands twice in the header");
        }
        reading->places[column] = i;
    }
    bool found = reading->places[column] != NOT_THERE;
    if (!found && is_required(reading, column)) {
        fail(reading, name, "is missing in the header");
    }
    if (found && column == COLUMN_KIND && reading->wanted->kind != NULL) {
        fail(reading, name, "is there, so --kind cannot stand in for it");
    }
}

static void take_header(struct reading *reading)
{
    reading->has_header = true;
    for (int column = 0; column < COLUMN_COUNT; column++) {
        find_column(reading, (enum column)column);
    }
}

static void take_name(struct reading *reading, struct base_text name)
{
    if (reading->n_columns == BASE_IMPORT_COLUMNS_MAX) {
        fail(reading, NULL, "more than 256 columns");
        return;
    }
    reading->names[reading->n_columns++] = base_arena_text(reading->arena, name);
}

/* --- rows --- */

static void take_operation(struct reading *reading, struct import_row *row)
{
    struct base_text text = reading->fields[COLUMN_OPERATION];
    if (base_text_equal(text, BASE_TEXT("add"))) {
        row->operation = RECORD_OPERATION_ADD;
    } else if (base_text_equal(text, BASE_TEXT("consume"))) {
        row->operation = RECORD_OPERATION_CONSUME;
    } else {
        fail(reading, column_name(reading, COLUMN_OPERATION), "must be add or consume");
    }
}

static void take_numbers(struct reading *reading, struct import_row *row)
{
    int64_t *amount_minor = &row->amount.amount_minor;
    if (!base_text_to_int64(reading->fields[COLUMN_AMOUNT], amount_minor) || *amount_minor < 1 ||
        *amount_minor > BASE_AMOUNT_MAX) {
        fail(reading, column_name(reading, COLUMN_AMOUNT),
             "must be 1 to 1000000000000000 in plain digits");
    }
    if (reading->wanted->balance != NULL &&
        !base_text_to_int64(reading->fields[COLUMN_BALANCE], &row->balance_minor)) {
        fail(reading, reading->wanted->balance, "must be a whole number in plain digits");
    }
}

static void check_text(struct reading *reading, enum column column, const char *wrong)
{
    if (wrong != NULL) {
        fail(reading, column_name(reading, column), wrong);
    }
}

static void keep_row(struct reading *reading, const struct import_row *row)
{
    struct import_rows *rows = reading->rows;
    if (rows->n_rows == BASE_IMPORT_ROWS_MAX) {
        fail(reading, NULL, "more than 10,000,000 rows: split the file, in its order");
        return;
    }
    if (rows->n_rows == rows->capacity) {
        rows->capacity = rows->capacity == 0 ? 1024 : rows->capacity * 2;
        rows->rows = base_reallocate(rows->rows, rows->capacity * sizeof rows->rows[0]);
    }
    struct import_row *kept = &rows->rows[rows->n_rows++];
    *kept = *row;
    kept->transaction_id = base_arena_text(reading->arena, row->transaction_id);
    kept->account_id = base_arena_text(reading->arena, row->account_id);
    if (row->description.length > 0) {
        kept->description = base_arena_text(reading->arena, row->description);
    }
    /* Neighbours mostly have the same kind, which is then kept once. */
    if (rows->n_rows > 1 && base_text_equal(kept[-1].amount.kind, row->amount.kind)) {
        kept->amount.kind = kept[-1].amount.kind;
    } else {
        kept->amount.kind = base_arena_text(reading->arena, row->amount.kind);
    }
}

static void take_row(struct reading *reading)
{
    struct import_row row = {.line_number = reading->row_line_number,
                             .transaction_id = reading->fields[COLUMN_TRANSACTION_ID],
                             .account_id = reading->fields[COLUMN_ACCOUNT_ID],
                             .amount = {.kind = reading->fields[COLUMN_KIND]},
                             .description = reading->fields[COLUMN_DESCRIPTION]};
    if (reading->n_fields < reading->n_columns) {
        base_assert(reading->n_fields < BASE_IMPORT_COLUMNS_MAX);
        fail(reading, reading->names[reading->n_fields].bytes, "is missing in this row");
        return;
    }
    if (reading->wanted->kind != NULL) {
        row.amount.kind = base_text_of(reading->wanted->kind);
    }
    check_text(reading, COLUMN_TRANSACTION_ID, api_check_transaction_id(row.transaction_id));
    check_text(reading, COLUMN_ACCOUNT_ID, api_check_account_id(row.account_id));
    check_text(reading, COLUMN_KIND, api_check_kind_code(row.amount.kind));
    take_operation(reading, &row);
    take_numbers(reading, &row);
    if (row.description.length > BASE_DESCRIPTION_MAX_BYTES ||
        !base_text_is_utf8(row.description)) {
        fail(reading, column_name(reading, COLUMN_DESCRIPTION),
             "must be at most 256 bytes of UTF-8");
    }
    if (!reading->failed) {
        keep_row(reading, &row);
    }
}

/* --- libcsv's events --- */

static void on_field(void *bytes, size_t length, void *user)
{
    struct reading *reading = user;
    struct base_text field = {bytes, length};
    if (reading->failed) {
        return;
    }
    if (!reading->has_header) {
        take_name(reading, field);
        return;
    }
    if (reading->n_fields == reading->n_columns) {
        fail(reading, NULL, "more fields than the header has columns");
        return;
    }
    for (int column = 0; column < COLUMN_COUNT; column++) {
        if (reading->places[column] == reading->n_fields) {
            reading->fields[column] = base_arena_text(&reading->row_arena, field);
        }
    }
    reading->n_fields++;
}

static void on_row(int end, void *user)
{
    (void)end;
    struct reading *reading = user;
    if (!reading->failed && !reading->has_header) {
        take_header(reading);
    } else if (!reading->failed) {
        take_row(reading);
    }
    reading->n_fields = 0;
    reading->row_bytes = 0;
    memset(reading->fields, 0, sizeof reading->fields);
    base_arena_reset(&reading->row_arena);
}

/* Nothing is taken off ids. */
static int is_space(unsigned char byte)
{
    (void)byte;
    return 0;
}

static int is_line_end(unsigned char byte)
{
    return byte == '\n';
}

/* --- lines --- */

/* The next line, with LF for CRLF. Lines are counted here; libcsv does not tell where a row is. */
static size_t read_line(struct reading *reading, char *line)
{
    size_t length = 0;
    int byte;
    while (length < BASE_IMPORT_ROW_MAX_BYTES && (byte = getc_unlocked(reading->stream)) != EOF) {
        line[length++] = (char)byte;
        if (byte == '\n') {
            break;
        }
    }
    reading->line_number += length > 0 ? 1 : 0;
    if (ferror(reading->stream)) {
        fail(reading, NULL, strerror(errno));
    }
    if (length >= 2 && line[length - 1] == '\n' && line[length - 2] == '\r') {
        line[--length - 1] = '\n';
    }
    if (reading->line_number == 1 && length >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        length -= 3;
        memmove(line, line + 3, length);
    }
    return length;
}

/* Strict quotes: only around a whole field, and closed. */
static void fail_quotes(struct reading *reading)
{
    const char *column = reading->has_header && reading->n_fields < reading->n_columns
                             ? reading->names[reading->n_fields].bytes
                             : NULL;
    fail(reading, column, "a quote that is misplaced or not closed");
}

static void read_rows(struct reading *reading, struct csv_parser *parser, char *line)
{
    size_t length;
    while (!reading->failed && (length = read_line(reading, line)) > 0) {
        if (reading->row_bytes == 0) {
            if (length == 1 && line[0] == '\n') {
                continue;
            }
            reading->row_line_number = reading->line_number;
        }
        reading->row_bytes += length;
        if (reading->row_bytes >= BASE_IMPORT_ROW_MAX_BYTES) {
            fail(reading, NULL, "a row of 64 KiB or more (a quote that is not closed?)");
        } else if (csv_parse(parser, line, length, on_field, on_row, reading) != length) {
            fail_quotes(reading);
        }
    }
    if (!reading->failed && csv_fini(parser, on_field, on_row, reading) != 0) {
        fail_quotes(reading);
    }
    if (!reading->failed && !reading->has_header) {
        reading->line_number = 1;
        fail(reading, NULL, "the file has no header");
    }
}

bool import_read(FILE *stream, const char *path, const struct import_columns *columns,
                 struct base_arena *arena, struct import_rows *rows, struct base_text *ret_message)
{
    struct reading *reading = base_allocate_zeroed(1, sizeof *reading);
    struct csv_parser parser;
    char *line = base_allocate(BASE_IMPORT_ROW_MAX_BYTES);
    *rows = (struct import_rows){0};
    *reading = (struct reading){.stream = stream,
                                .path = path,
                                .wanted = columns,
                                .arena = arena,
                                .rows = rows,
                                .ret_message = ret_message};
    int refused = csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI);
    base_assert(refused == 0);
    csv_set_space_func(&parser, is_space);
    csv_set_term_func(&parser, is_line_end);
    read_rows(reading, &parser, line);
    csv_free(&parser);
    free(line);
    bool sound = !reading->failed;
    base_arena_release(&reading->row_arena);
    free(reading);
    if (!sound) {
        free(rows->rows);
        *rows = (struct import_rows){0};
    }
    return sound;
}
