/* zandaka import: the verb. */
#include "app/import.h"

#include "app/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int run(const struct app_server_flags *server, const struct import_rows *rows, bool compares)
{
    struct import_link link;
    import_link_open(&link, &server->destination);
    struct import_counts counts = {0};
    struct import_comparison comparison = {0};
    enum app_exit status = import_send(&link, rows, &counts);
    if (status == APP_EXIT_DONE && compares) {
        status = import_compare(&link, rows, &comparison);
    }
    import_link_close(&link);
    if (status != APP_EXIT_DONE) {
        return (int)status;
    }
    (void)printf("%zu rows: %zu applied, %zu replayed, %zu refused", rows->n_rows, counts.n_applied,
                 counts.n_replayed, counts.n_refused);
    if (compares) {
        (void)printf("; %zu accounts: %zu balances match", comparison.n_accounts,
                     comparison.n_matching);
        if (comparison.n_differing > 0) {
            (void)printf(", %zu do not", comparison.n_differing);
        }
    }
    (void)printf("\n");
    return counts.n_refused > 0 || comparison.n_differing > 0 ? APP_EXIT_REFUSED : APP_EXIT_DONE;
}

static int import_file(const char *path, const struct import_columns *columns,
                       const struct app_server_flags *server)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        (void)fprintf(stderr, "zandaka import: cannot read %s: %s\n", path, strerror(errno));
        return APP_EXIT_USAGE;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct import_rows rows;
    struct base_text message;
    int status;
    if (import_read(stream, path, columns, &arena, &rows, &message)) {
        status = run(server, &rows, columns->balance != NULL);
        free(rows.rows);
    } else {
        (void)fprintf(stderr, "zandaka import: %.*s\nnothing was sent\n", BASE_TEXT_ARGS(message));
        status = APP_EXIT_USAGE;
    }
    (void)fclose(stream);
    base_arena_release(&arena);
    return status;
}

int app_verb_import(int argc, char **argv)
{
    struct import_columns columns = {NULL, NULL, NULL};
    struct app_server_flags server = {0};
    const struct app_flag flags[] = {
        {"kind", "KIND", &columns.kind, NULL, "the kind of all rows, without a column `kind`"},
        {"amount-column", "NAME", &columns.amount, NULL, "the amount's column (default: amount)"},
        {"balance-column", "NAME", &columns.balance, NULL,
         "compare, at the end, with the balances in this column"},
        APP_SERVER_FLAGS(server),
    };
    const struct app_verb_usage usage = {
        "import", "FILE.csv",
        "Applies the rows of a CSV file in its order, each once: importing it again, or\n"
        "after a crash, changes nothing twice. The header names the columns\n"
        "transaction_id, operation (add or consume), account_id, kind, amount and, if\n"
        "wanted, description; others are passed over. The whole file is checked before\n"
        "anything is sent. What the server cannot take now is tried again until nothing\n"
        "has moved for --timeout.",
        sizeof flags / sizeof flags[0], flags};
    int first;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first, &status)) {
        return status;
    }
    if (argc - first != 1) {
        return app_options_wrong(&usage, "needs one file");
    }
    const char *wrong =
        columns.kind == NULL ? NULL : api_check_kind_code(base_text_of(columns.kind));
    if (wrong != NULL) {
        return app_options_wrong(&usage, "--kind: %s", wrong);
    }
    if (!app_options_server(&usage, &server)) {
        return APP_EXIT_USAGE;
    }
    return import_file(argv[first], &columns, &server);
}
