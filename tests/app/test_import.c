/* app: what a CSV file may look like, and how a malformed one is named before anything is sent. */
#include "app/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define HEADER "transaction_id,operation,account_id,kind,amount\n"

/* Reads text as a file. NULL: the rows as lines of text; otherwise the message behind `f:`. */
static const char *read_text(struct base_arena *arena, const char *text, size_t length,
                             const struct import_columns *columns, struct base_text *ret_rows)
{
    FILE *stream = length == 0 ? fopen("/dev/null", "re") : fmemopen((char *)text, length, "r");
    assert_non_null(stream);
    struct import_rows rows;
    struct base_text message = {NULL, 0};
    bool sound = import_read(stream, "f", columns, arena, &rows, &message);
    assert_int_equal(fclose(stream), 0);
    if (!sound) {
        assert_null(rows.rows);
        assert_true(base_text_starts_with(message, BASE_TEXT("f:")));
        return message.bytes + 2;
    }
    struct base_text told = {"", 0};
    for (size_t i = 0; i < rows.n_rows; i++) {
        const struct import_row *row = &rows.rows[i];
        told = base_arena_print(
            arena, "%s%lld %s %s %s %s %lld [%.*s] %lld\n", told.bytes, (long long)row->line_number,
            row->operation == RECORD_OPERATION_ADD ? "add" : "consume", row->transaction_id.bytes,
            row->account_id.bytes, base_arena_text(arena, row->amount.kind).bytes,
            (long long)row->amount.amount_minor, BASE_TEXT_ARGS(row->description),
            (long long)row->balance_minor);
    }
    free(rows.rows);
    *ret_rows = told;
    return NULL;
}

static void reads_what_is_well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct import_columns columns;
        const char *rows;
    } rows[] = {
        {HEADER "t1,add,a,points,100\nt2,consume,b,money,1000000000000000\n",
         {0},
         "2 add t1 a points 100 [] 0\n3 consume t2 b money 1000000000000000 [] 0\n"},
        {HEADER, {0}, ""},
        {"transaction_id,operation,account_id,kind,amount", {0}, ""},
        {HEADER "t1,add,a,points,1", {0}, "2 add t1 a points 1 [] 0\n"},
        {"\xEF\xBB\xBFtransaction_id,operation,account_id,kind,amount\r\nt1,add,a,points,1\r\n",
         {0},
         "2 add t1 a points 1 [] 0\n"},
        {HEADER "\n\nt1,add,a,points,1\n\n", {0}, "4 add t1 a points 1 [] 0\n"},
        {"x,amount,kind,account_id,operation,transaction_id\n,1,points,a,add,t1\n",
         {0},
         "2 add t1 a points 1 [] 0\n"},
        {"\"transaction_id\",\"operation\",account_id,kind,amount\n"
         "\"t,1\",\"add\",\"a\"\"b\",points,\"1\"\n",
         {0},
         "2 add t,1 a\"b points 1 [] 0\n"},
        {"description,transaction_id,operation,account_id,kind,amount\n"
         "\"two\r\n\r\nlines\",t1,add,a,points,1\n,t2,add,a,points,2\n\" a \",t3,add,a,points,3\n",
         {0},
         "2 add t1 a points 1 [two\n\nlines] 0\n5 add t2 a points 2 [] 0\n"
         "6 add t3 a points 3 [ a ] 0\n"},
        {"transaction_id,operation,account_id,sum,after\nt1,add,a,5,5\nt2,add,a,6,-11\n",
         {"gold", "sum", "after"},
         "2 add t1 a gold 5 [] 5\n3 add t2 a gold 6 [] -11\n"},
        /* A column that is not wanted may be empty, stand twice, or hold anything. */
        {"note,note,transaction_id,operation,account_id,kind,amount\n\xFF,,t1,add,a,points,1\n",
         {0},
         "2 add t1 a points 1 [] 0\n"},
        /* The same id again is the server's to judge. */
        {HEADER "t1,add,a,points,1\nt1,add,a,points,1\n",
         {0},
         "2 add t1 a points 1 [] 0\n3 add t1 a points 1 [] 0\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct base_arena arena = BASE_ARENA_EMPTY;
        struct base_text told = {NULL, 0};
        const char *message =
            read_text(&arena, rows[i].text, strlen(rows[i].text), &rows[i].columns, &told);
        if (message != NULL || strcmp(told.bytes, rows[i].rows) != 0) {
            fail_msg("row %zu: %s, not\n%s", i, message != NULL ? message : told.bytes,
                     rows[i].rows);
        }
        base_arena_release(&arena);
    }
}

static void names_the_line_and_the_column_of_what_is_malformed(void **state)
{
    (void)state;
    static const struct import_columns none = {0};
    static const struct import_columns kind = {.kind = "points"};
    static const struct import_columns sum = {.amount = "sum"};
    static const struct import_columns after = {.balance = "after"};
    static const struct {
        const char *text;
        size_t length; /* 0: up to the NUL */
        const struct import_columns *columns;
        const char *message;
    } rows[] = {
        {"", 0, &none, "1: the file has no header"},
        {"\n\n", 0, &none, "1: the file has no header"},
        {"transaction_id,operation,account_id,amount\n", 0, &none, "1: column kind: is missing"},
        {"transaction_id,operation,account_id,kind\n", 0, &none, "1: column amount: is missing"},
        {HEADER, 0, &sum, "1: column sum: is missing"},
        {HEADER, 0, &after, "1: column after: is missing"},
        {HEADER, 0, &kind, "1: column kind: is there, so --kind"},
        {"Transaction_id,operation,account_id,kind,amount\n", 0, &none,
         "1: column transaction_id: is missing"},
        {" transaction_id,operation,account_id,kind,amount\n", 0, &none,
         "1: column transaction_id: is missing"},
        {"amount," HEADER, 0, &none, "1: column amount: stands twice"},
        {HEADER "t1,add,a,points,1\n,add,a,points,1\n", 0, &none, "3: column transaction_id: must"},
        {HEADER "t 1,add,a,points,1\n", 0, &none, "2: column transaction_id: must"},
        {HEADER "t1 ,add,a,points,1\n", 0, &none, "2: column transaction_id: must"},
        {HEADER "zandaka:1,add,a,points,1\n", 0, &none, "2: column transaction_id: must"},
        {HEADER "t\0,add,a,points,1\n", sizeof(HEADER "t\0,add,a,points,1\n") - 1, &none,
         "2: column transaction_id: must"},
        {HEADER "t1,Add,a,points,1\n", 0, &none, "2: column operation: must be add or consume"},
        {HEADER "t1,cancel,a,points,1\n", 0, &none, "2: column operation: must be add or consume"},
        {HEADER "t1,add,,points,1\n", 0, &none, "2: column account_id: must"},
        {HEADER "t1,add,a,Points,1\n", 0, &none, "2: column kind: must"},
        {HEADER "t1,add,a,,1\n", 0, &none, "2: column kind: must"},
        {HEADER "t1,add,a,points,0\n", 0, &none, "2: column amount: must be 1 to"},
        {HEADER "t1,add,a,points,-1\n", 0, &none, "2: column amount: must be 1 to"},
        {HEADER "t1,add,a,points,1.0\n", 0, &none, "2: column amount: must be 1 to"},
        {HEADER "t1,add,a,points, 1\n", 0, &none, "2: column amount: must be 1 to"},
        {HEADER "t1,add,a,points,1000000000000001\n", 0, &none, "2: column amount: must be 1 to"},
        {HEADER "t1,add,a,points,\"1,000\"\n", 0, &none, "2: column amount: must be 1 to"},
        {HEADER "t1,add,a,points,1\r", 0, &none, "2: column amount: must be 1 to"},
        {"after," HEADER ",t1,add,a,points,1\n", 0, &after,
         "2: column after: must be a whole number"},
        {"description," HEADER "\xFF,t1,add,a,points,1\n", 0, &none,
         "2: column description: must be"},
        {HEADER "t1,add,a,points\n", 0, &none, "2: column amount: is missing in this row"},
        {HEADER "t1\n", 0, &none, "2: column operation: is missing in this row"},
        {HEADER "t1,add,a,points,1,2\n", 0, &none, "2: more fields than the header"},
        {HEADER "t1,add,a\"b,points,1\n", 0, &none, "2: column account_id: a quote"},
        {HEADER "t1,add,\"a\"b,points,1\n", 0, &none, "2: column account_id: a quote"},
        {HEADER "t1,add,a,points,1\n\"t2,add,a,points,1\n\n", 0, &none,
         "3: column transaction_id: a quote"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct base_arena arena = BASE_ARENA_EMPTY;
        struct base_text told = {NULL, 0};
        size_t length = rows[i].length > 0 ? rows[i].length : strlen(rows[i].text);
        const char *message = read_text(&arena, rows[i].text, length, rows[i].columns, &told);
        if (message == NULL || strncmp(message, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("row %zu: `%s`, not `%s`", i, message == NULL ? told.bytes : message,
                     rows[i].message);
        }
        base_arena_release(&arena);
    }
}

static struct base_text repeated(struct base_arena *arena, const char *front, char byte, size_t n,
                                 const char *behind)
{
    char *text = base_arena_take(arena, strlen(front) + n + strlen(behind));
    memcpy(text, front, strlen(front));
    memset(text + strlen(front), byte, n);
    memcpy(text + strlen(front) + n, behind, strlen(behind));
    return (struct base_text){text, strlen(front) + n + strlen(behind)};
}

static void a_row_and_a_header_are_bounded(void **state)
{
    (void)state;
    static const struct import_columns none = {0};
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text told = {NULL, 0};
    const char *front = "note," HEADER;
    const char *behind = ",t1,add,a,points,1\n";
    size_t rest = strlen(behind);
    struct base_text text =
        repeated(&arena, front, 'x', BASE_IMPORT_ROW_MAX_BYTES - 1 - rest, behind);
    assert_null(read_text(&arena, text.bytes, text.length, &none, &told));
    text = repeated(&arena, front, 'x', BASE_IMPORT_ROW_MAX_BYTES - rest, behind);
    assert_string_equal(read_text(&arena, text.bytes, text.length, &none, &told),
                        "2: a row of 64 KiB or more (a quote that is not closed?)");
    /* A quote that is not closed does not swallow the file. */
    text = repeated(&arena, HEADER "\"", '\n', 10 * BASE_IMPORT_ROW_MAX_BYTES, "");
    assert_string_equal(read_text(&arena, text.bytes, text.length, &none, &told),
                        "2: a row of 64 KiB or more (a quote that is not closed?)");
    text = repeated(&arena, "", ',', BASE_IMPORT_COLUMNS_MAX, "\n");
    assert_string_equal(read_text(&arena, text.bytes, text.length, &none, &told),
                        "1: more than 256 columns");
    base_arena_release(&arena);
}

static void a_description_may_have_256_bytes_and_no_more(void **state)
{
    (void)state;
    static const struct import_columns none = {0};
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text told = {NULL, 0};
    const char *front = "description," HEADER;
    struct base_text text = repeated(&arena, front, 'x', 256, ",t1,add,a,points,1\n");
    assert_null(read_text(&arena, text.bytes, text.length, &none, &told));
    text = repeated(&arena, front, 'x', 257, ",t1,add,a,points,1\n");
    assert_string_equal(read_text(&arena, text.bytes, text.length, &none, &told),
                        "2: column description: must be at most 256 bytes of UTF-8");
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_well_formed),
        cmocka_unit_test(names_the_line_and_the_column_of_what_is_malformed),
        cmocka_unit_test(a_row_and_a_header_are_bounded),
        cmocka_unit_test(a_description_may_have_256_bytes_and_no_more),
    };
    return cmocka_run_group_tests_name("app import", tests, NULL, NULL);
}
