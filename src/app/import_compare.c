/* Each account's last balance in the file, and the server's. */
#include "app/answers.h"
#include "app/import.h"

#include <stdlib.h>

/* The rows sorted by account, kind and place in the file have each balance's last row at the end of
 * its run. */
static int compare_rows(const void *a, const void *b)
{
    const struct import_row *left = *(const struct import_row *const *)a;
    const struct import_row *right = *(const struct import_row *const *)b;
    int order = base_text_compare(left->account_id, right->account_id);
    if (order == 0) {
        order = base_text_compare(left->amount.kind, right->amount.kind);
    }
    return order != 0 ? order : (left > right) - (left < right);
}

static bool same_account(const struct import_row *a, const struct import_row *b)
{
    return base_text_equal(a->account_id, b->account_id);
}

/* The last rows of all balances, those of an account together. The caller frees. */
static const struct import_row **last_rows(const struct import_rows *rows, size_t *ret_n_last)
{
    const struct import_row **last = base_allocate(rows->n_rows * sizeof(*last));
    for (size_t i = 0; i < rows->n_rows; i++) {
        last[i] = &rows->rows[i];
    }
    qsort(last, rows->n_rows, sizeof(*last), compare_rows);
    size_t n_last = 0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        bool goes_on = i + 1 < rows->n_rows && same_account(last[i], last[i + 1]) &&
                       base_text_equal(last[i]->amount.kind, last[i + 1]->amount.kind);
        if (!goes_on) {
            last[n_last++] = last[i];
        }
    }
    *ret_n_last = n_last;
    return last;
}

static void compare_one(const struct import_row *row, const struct api_account *account,
                        struct import_comparison *comparison)
{
    int64_t available_minor = 0; /* also of a kind that the server does not have */
    for (size_t i = 0; i < account->n_balances; i++) {
        if (base_text_equal(account->balances[i].kind, row->amount.kind)) {
            available_minor = account->balances[i].available_minor;
        }
    }
    if (available_minor == row->balance_minor) {
        comparison->n_matching++;
        return;
    }
    comparison->n_differing++;
    (void)fprintf(
        stderr, "account %.*s: %.*s is %lld here, and after line %lld it should be %lld\n",
        BASE_TEXT_ARGS(row->account_id), BASE_TEXT_ARGS(row->amount.kind),
        (long long)available_minor, (long long)row->line_number, (long long)row->balance_minor);
}

/* Asks until there is an answer. */
static enum app_exit ask(struct import_link *link, struct base_arena *arena, size_t n_ids,
                         const struct base_text *ids, struct api_account **ret_accounts)
{
    struct api_call call;
    api_call_batch_get_balances(arena, n_ids, ids, &call);
    struct base_bytes message;
    import_link_progress(link);
    while (!import_link_call(link, &call, &message)) {
        enum app_exit status = app_answers_exit(&link->failure);
        if (status != APP_EXIT_AGAIN || !import_link_wait(link)) {
            return (enum app_exit)app_answers_failure("import", &link->failure);
        }
    }
    size_t n_accounts;
    if (!api_read_accounts(arena, message, &n_accounts, ret_accounts) || n_accounts != n_ids) {
        (void)fprintf(stderr, "zandaka import: the server's answer cannot be read\n");
        return APP_EXIT_COULD_NOT;
    }
    return APP_EXIT_DONE;
}

/* The accounts of last[0 … n_last), at most BASE_BATCH_GET_MAX of them. */
static size_t collect_ids(const struct import_row **last, size_t n_last, struct base_text *ids,
                          size_t *ret_n_ids)
{
    size_t n_ids = 0;
    size_t at = 0;
    for (; at < n_last; at++) {
        if (at > 0 && same_account(last[at - 1], last[at])) {
            continue;
        }
        if (n_ids == BASE_BATCH_GET_MAX) {
            break;
        }
        ids[n_ids++] = last[at]->account_id;
    }
    *ret_n_ids = n_ids;
    return at;
}

enum app_exit import_compare(struct import_link *link, const struct import_rows *rows,
                             struct import_comparison *ret_comparison)
{
    struct import_comparison comparison = {0};
    struct base_arena arena = BASE_ARENA_EMPTY;
    size_t n_last;
    const struct import_row **last = last_rows(rows, &n_last);
    enum app_exit status = APP_EXIT_DONE;
    for (size_t at = 0; at < n_last && status == APP_EXIT_DONE;) {
        base_arena_reset(&arena);
        struct base_text *ids = base_arena_take(&arena, BASE_BATCH_GET_MAX * sizeof ids[0]);
        struct api_account *accounts = NULL;
        size_t n_ids;
        size_t n_taken = collect_ids(last + at, n_last - at, ids, &n_ids);
        status = ask(link, &arena, n_ids, ids, &accounts);
        size_t account = 0;
        for (size_t i = 0; i < n_taken && status == APP_EXIT_DONE; i++) {
            base_assert(accounts != NULL);
            account += i > 0 && !same_account(last[at + i - 1], last[at + i]) ? 1 : 0;
            compare_one(last[at + i], &accounts[account], &comparison);
        }
        comparison.n_accounts += n_ids;
        at += n_taken;
    }
    free(last);
    base_arena_release(&arena);
    *ret_comparison = comparison;
    return status;
}
