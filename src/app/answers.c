#include "app/answers.h"

#define COLUMNS_MAX 8

/* A table: the first row is the heading; numbers stand to the right. */
struct table {
    size_t n_columns;
    bool right[COLUMNS_MAX];
    size_t n_rows;
    struct base_text (*rows)[COLUMNS_MAX];
};

/* Columns that a text takes on a terminal, near enough: its UTF-8 characters. */
static size_t width_of(struct base_text text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.length; i++) {
        width += ((unsigned char)text.bytes[i] & 0xC0) != 0x80 ? 1 : 0;
    }
    return width;
}

static void print_spaces(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)putchar(' ');
    }
}

static void print_table(const struct table *table)
{
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t row = 0; row < table->n_rows; row++) {
        for (size_t column = 0; column < table->n_columns; column++) {
            size_t width = width_of(table->rows[row][column]);
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    for (size_t row = 0; row < table->n_rows; row++) {
        size_t owed = 0; /* spaces, printed only when something follows */
        for (size_t column = 0; column < table->n_columns; column++) {
            struct base_text cell = table->rows[row][column];
            size_t padding = widths[column] - width_of(cell);
            if (cell.length > 0) {
                print_spaces(owed + (table->right[column] ? padding : 0));
                (void)printf("%.*s", BASE_TEXT_ARGS(cell));
                owed = 0;
            }
            owed += 2 + (cell.length > 0 && table->right[column] ? 0 : padding);
        }
        (void)putchar('\n');
    }
}

static struct base_text number(struct base_arena *arena, int64_t value)
{
    return base_arena_print(arena, "%lld", (long long)value);
}

/* A caller's text with what could steer a terminal, or break the line, replaced. */
static struct base_text printable(struct base_arena *arena, struct base_text text)
{
    struct base_text copy = base_arena_text(arena, text);
    char *bytes = (char *)copy.bytes;
    for (size_t i = 0; i < copy.length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        /* C2 followed by 80 to 9F are the control characters of Latin 1. */
        bool c1 = byte == 0xC2 && i + 1 < copy.length && (unsigned char)bytes[i + 1] < 0xA0;
        if (byte < 0x20 || byte == 0x7F) {
            bytes[i] = '?';
        } else if (c1) {
            bytes[i] = '?';
            bytes[i + 1] = '?';
        }
    }
    return copy;
}

/* --- failures --- */

enum app_exit app_answers_exit(const struct api_failure *failure)
{
    if (failure->retry.length > 0) {
        return base_text_equal(failure->retry, BASE_TEXT("same_request")) ? APP_EXIT_AGAIN
                                                                          : APP_EXIT_REFUSED;
    }
    /* Not told by a zandaka: a proxy, or a connection that broke. */
    switch (failure->code) {
    case BASE_CODE_UNAVAILABLE:
    case BASE_CODE_DEADLINE_EXCEEDED:
    case BASE_CODE_RESOURCE_EXHAUSTED:
    case BASE_CODE_CANCELLED:
    case BASE_CODE_INTERNAL:
    case BASE_CODE_UNKNOWN:
        return APP_EXIT_AGAIN;
    default:
        return APP_EXIT_REFUSED;
    }
}

static const char *advice(const struct api_failure *failure)
{
    if (app_answers_exit(failure) == APP_EXIT_AGAIN) {
        return "same_request: repeat the same command, with the same id";
    }
    if (base_text_equal(failure->retry, BASE_TEXT("after_change"))) {
        return "after_change: pointless until something changes, such as the balance or the "
               "configuration";
    }
    return "never: this command cannot succeed as it is";
}

static void print_fact(const char *name, struct base_text value)
{
    if (value.length > 0) {
        (void)fprintf(stderr, "  %-8s %.*s\n", name, BASE_TEXT_ARGS(value));
    }
}

int app_answers_failure(const char *verb, const struct api_failure *failure)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = printable(&arena, failure->message);
    if (message.length == 0) {
        message = base_text_of(base_code_connect_name(failure->code));
    }
    (void)fprintf(stderr, "zandaka %s: %.*s\n", verb, BASE_TEXT_ARGS(message));
    print_fact("reason", failure->reason.length > 0
                             ? failure->reason
                             : base_text_of(base_code_connect_name(failure->code)));
    print_fact("applied", failure->applied.length > 0 ? failure->applied : BASE_TEXT("unknown"));
    print_fact("retry", base_text_of(advice(failure)));
    print_fact("kind", failure->kind);
    print_fact("fields", printable(&arena, failure->fields));
    base_arena_release(&arena);
    return (int)app_answers_exit(failure);
}

/* --- answers --- */

static const char *operation_name(enum record_operation operation)
{
    switch (operation) {
    case RECORD_OPERATION_ADD:
        return "add";
    case RECORD_OPERATION_CONSUME:
        return "consume";
    case RECORD_OPERATION_CANCEL:
        return "cancel";
    case RECORD_OPERATION_NONE:
        break;
    }
    return "unknown";
}

static struct base_text state_text(const struct record_transaction *transaction,
                                   enum app_occasion occasion)
{
    bool cancelled = transaction->state == RECORD_STATE_CANCELLED;
    switch (occasion) {
    case APP_APPLIED_NOW:
        return cancelled ? BASE_TEXT("cancelled now: nothing will ever succeed under this id")
                         : BASE_TEXT("succeeded now");
    case APP_REPLAYED:
        return cancelled ? BASE_TEXT("cancelled before: nothing has changed")
                         : BASE_TEXT("succeeded before: nothing has changed");
    case APP_LOOKED_UP:
        break;
    }
    return cancelled ? BASE_TEXT("cancelled") : BASE_TEXT("succeeded");
}

void app_answers_transaction(struct base_arena *arena, const struct record_transaction *transaction,
                             enum app_occasion occasion)
{
    struct table table = {.n_columns = 2};
    table.rows = base_arena_take_zeroed(arena, 6 + transaction->n_legs, sizeof table.rows[0]);
    const struct {
        struct base_text name;
        struct base_text value;
    } facts[] = {
        {BASE_TEXT("transaction"), transaction->transaction_id},
        {BASE_TEXT("state"), state_text(transaction, occasion)},
        {BASE_TEXT("operation"), base_text_of(operation_name(transaction->operation))},
        {BASE_TEXT("account"), transaction->account_id},
        {BASE_TEXT("time"), api_time_text(arena, transaction->create_time_us)},
        {BASE_TEXT("description"), printable(arena, transaction->description)},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (facts[i].value.length > 0) {
            table.rows[table.n_rows][0] = facts[i].name;
            table.rows[table.n_rows++][1] = facts[i].value;
        }
    }
    for (size_t i = 0; i < transaction->n_legs; i++) {
        const struct record_leg *leg = &transaction->legs[i];
        table.rows[table.n_rows][0] = BASE_TEXT("amount");
        table.rows[table.n_rows++][1] = base_arena_print(
            arena, "%.*s %+lld", BASE_TEXT_ARGS(leg->kind), (long long)leg->amount_minor);
    }
    print_table(&table);
}

void app_answers_account(struct base_arena *arena, const struct api_account *account)
{
    struct table table = {.n_columns = 3, .right = {false, true, true}};
    table.rows = base_arena_take_zeroed(arena, account->n_balances + 1, sizeof table.rows[0]);
    table.rows[table.n_rows][0] = BASE_TEXT("kind");
    table.rows[table.n_rows][1] = BASE_TEXT("available");
    table.rows[table.n_rows++][2] = BASE_TEXT("held");
    for (size_t i = 0; i < account->n_balances; i++) {
        const struct api_balance *balance = &account->balances[i];
        table.rows[table.n_rows][0] = balance->kind;
        table.rows[table.n_rows][1] = number(arena, balance->available_minor);
        table.rows[table.n_rows++][2] = number(arena, balance->held_minor);
    }
    print_table(&table);
}

void app_answers_entries(struct base_arena *arena, size_t n_entries,
                         const struct api_entry *entries)
{
    static const char *const heading[] = {"sequence", "time",   "transaction", "operation",
                                          "kind",     "amount", "balance",     "description"};
    struct table table = {.n_columns = COLUMNS_MAX, .right = {[0] = true, [5] = true, [6] = true}};
    table.rows = base_arena_take_zeroed(arena, n_entries + 1, sizeof table.rows[0]);
    for (size_t column = 0; column < COLUMNS_MAX; column++) {
        table.rows[0][column] = base_text_of(heading[column]);
    }
    table.n_rows = 1;
    for (size_t i = 0; i < n_entries; i++) {
        const struct api_entry *entry = &entries[i];
        const struct base_text cells[COLUMNS_MAX] = {
            number(arena, entry->sequence),
            api_time_text(arena, entry->create_time_us),
            entry->transaction_id,
            entry->operation,
            entry->kind,
            base_arena_print(arena, "%+lld", (long long)entry->amount_minor),
            number(arena, entry->balance_after_minor),
            printable(arena, entry->description)};
        for (size_t column = 0; column < COLUMNS_MAX; column++) {
            table.rows[table.n_rows][column] = cells[column];
        }
        table.n_rows++;
    }
    print_table(&table);
}
