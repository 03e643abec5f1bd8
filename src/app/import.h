/*
 * The parts of zandaka import: a file becomes rows (import_csv.c), the rows are sent in its order
 * (import_send.c), the balances are compared (import_compare.c).
 */
#ifndef ZANDAKA_APP_IMPORT_H
#define ZANDAKA_APP_IMPORT_H

#include "api/api.h"
#include "app/app.h"

/* Where in the file a row's parts are. NULL: no such column is wanted. */
struct import_columns {
    const char *kind;    /* the kind of all rows, instead of a column `kind` */
    const char *amount;  /* the amount's column */
    const char *balance; /* the balance's column */
};

struct import_row {
    int64_t line_number; /* where it begins; the header is line 1 */
    enum record_operation operation;
    struct base_text transaction_id;
    struct base_text account_id;
    struct ledger_amount amount;
    struct base_text description;
    int64_t balance_minor; /* after it, in the source; only with a balance's column */
};

struct import_rows {
    size_t n_rows;
    size_t capacity;
    struct import_row *rows; /* freed with free(); texts are in the arena */
};

/* Reads the whole file. False: *ret_message says what is wrong, with line and column, in the
 * arena; the rows are freed all the same. `path` is for messages. */
bool import_read(FILE *stream, const char *path, const struct import_columns *columns,
                 struct base_arena *arena, struct import_rows *rows,
                 struct base_text *ret_message) BASE_MUST_USE;

/* A connection that is made anew when it breaks, and calls that are repeated until they are
 * answered. */
struct import_link {
    const struct app_destination *server; /* its timeout counts without any progress */
    struct app_client *client;            /* NULL: not connected */
    int64_t progress_ns;                  /* when something was last settled */
    int64_t wait_ms;                      /* before the next attempt */
    struct api_failure failure;           /* the last one */
    struct base_arena arena;              /* of the failure, and of the call under way */
};

void import_link_open(struct import_link *link, const struct app_destination *server);
/* Makes the call once. True: the answer's message is in link->arena, valid until the next call.
 * False: link->failure says why. */
bool import_link_call(struct import_link *link, const struct api_call *call,
                      struct base_bytes *ret_message) BASE_MUST_USE;
/* Something was settled: the patience begins anew. */
void import_link_progress(struct import_link *link);
/* Waits before the same is tried again. False: without progress for the timeout, so give up. */
bool import_link_wait(struct import_link *link) BASE_MUST_USE;
void import_link_close(struct import_link *link);

struct import_counts {
    size_t n_applied;
    size_t n_replayed;
    size_t n_refused;
};

/* Sends the rows in their order and lists those that were refused on standard error. Other than
 * APP_EXIT_DONE: printed why it gave up. */
enum app_exit import_send(struct import_link *link, const struct import_rows *rows,
                          struct import_counts *ret_counts);

struct import_comparison {
    size_t n_accounts;
    size_t n_matching; /* balances; an account has one for each of its kinds */
    size_t n_differing;
};

/* Compares each account's last balance with the server's and lists on standard error those that
 * differ. Other than APP_EXIT_DONE: printed why it gave up. */
enum app_exit import_compare(struct import_link *link, const struct import_rows *rows,
                             struct import_comparison *ret_comparison);

#endif
