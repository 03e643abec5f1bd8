/*
 * CSV files to import; the first byte says which columns are wanted. A file is refused with a
 * message that names it, or all its rows are such as a request may hold, in the order of their
 * lines, and written as CSV again they are read as the same rows.
 */
#include "app/import.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static bool read_bytes(struct base_arena *arena, struct base_bytes bytes,
                       const struct import_columns *columns, struct import_rows *rows)
{
    FILE *stream = bytes.length == 0 ? fopen("/dev/null", "re")
                                     : fmemopen((void *)(uintptr_t)bytes.bytes, bytes.length, "r");
    base_assert(stream != NULL);
    struct base_text message = {NULL, 0};
    bool sound = import_read(stream, "f", columns, arena, rows, &message);
    (void)fclose(stream);
    if (!sound) {
        base_assert(rows->rows == NULL && rows->n_rows == 0);
        base_assert(base_text_starts_with(message, BASE_TEXT("f:")));
    }
    return sound;
}

static void write_quoted(struct base_writer *file, struct base_text text)
{
    base_write_u8(file, '"');
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] == '"') {
            base_write_u8(file, '"');
        }
        base_write_u8(file, (uint8_t)text.bytes[i]);
    }
    base_write_bytes(file, base_bytes_of(BASE_TEXT("\",")));
}

static void write_rows(struct base_arena *arena, const struct import_rows *rows,
                       struct base_writer *file)
{
    base_write_bytes(file, base_bytes_of(BASE_TEXT(
                               "transaction_id,account_id,kind,description,operation,amount,b\n")));
    for (size_t i = 0; i < rows->n_rows; i++) {
        const struct import_row *row = &rows->rows[i];
        write_quoted(file, row->transaction_id);
        write_quoted(file, row->account_id);
        write_quoted(file, row->amount.kind);
        write_quoted(file, row->description);
        const char *operation = row->operation == RECORD_OPERATION_ADD ? "add" : "consume";
        base_write_bytes(file, base_bytes_of(base_arena_print(arena, "%s,%lld,%lld\n", operation,
                                                              (long long)row->amount.amount_minor,
                                                              (long long)row->balance_minor)));
    }
}

static void check_row(const struct import_row *row)
{
    base_assert(api_check_transaction_id(row->transaction_id) == NULL);
    base_assert(api_check_account_id(row->account_id) == NULL);
    base_assert(api_check_kind_code(row->amount.kind) == NULL);
    base_assert(row->amount.amount_minor >= 1 && row->amount.amount_minor <= BASE_AMOUNT_MAX);
    base_assert(row->description.length <= BASE_DESCRIPTION_MAX_BYTES);
    base_assert(row->line_number >= 2);
}

static void check_same(const struct import_row *a, const struct import_row *b)
{
    base_assert(a->operation == b->operation && a->balance_minor == b->balance_minor);
    base_assert(base_text_equal(a->transaction_id, b->transaction_id));
    base_assert(base_text_equal(a->account_id, b->account_id));
    base_assert(base_text_equal(a->amount.kind, b->amount.kind));
    base_assert(a->amount.amount_minor == b->amount.amount_minor);
    base_assert(base_text_equal(a->description, b->description));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return -1;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    const struct import_columns columns = {.kind = (bytes[0] & 1) != 0 ? "gold" : NULL,
                                           .amount = (bytes[0] & 2) != 0 ? "sum" : NULL,
                                           .balance = (bytes[0] & 4) != 0 ? "after" : NULL};
    const struct import_columns written = {.balance = "b"};
    struct import_rows rows;
    struct import_rows again;
    if (read_bytes(&arena, (struct base_bytes){bytes + 1, length - 1}, &columns, &rows)) {
        for (size_t i = 0; i < rows.n_rows; i++) {
            check_row(&rows.rows[i]);
            base_assert(i == 0 || rows.rows[i].line_number > rows.rows[i - 1].line_number);
        }
        struct base_writer file = {NULL, 0, 0};
        write_rows(&arena, &rows, &file);
        base_assert(read_bytes(&arena, base_writer_bytes(&file), &written, &again));
        base_assert(again.n_rows == rows.n_rows);
        for (size_t i = 0; i < rows.n_rows; i++) {
            check_same(&rows.rows[i], &again.rows[i]);
        }
        base_writer_release(&file);
        free(again.rows);
    }
    free(rows.rows);
    base_arena_release(&arena);
    return 0;
}
