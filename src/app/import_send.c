/*
 * Rows are sent in Submits, one at a time: so they take effect in the file's order, for each
 * account and for an id that the file has twice, and a row that has to be repeated is repeated
 * before any that follow it. Repeating changes nothing twice (contract 3.3).
 */
#include "app/answers.h"
#include "app/import.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* --- the link --- */

void import_link_open(struct import_link *link, const struct app_destination *server)
{
    *link = (struct import_link){.server = server};
    import_link_progress(link);
}

void import_link_progress(struct import_link *link)
{
    link->progress_ns = base_now_mono_ns(&base_clock_system);
    link->wait_ms = BASE_IMPORT_WAIT_FIRST_MS;
}

bool import_link_wait(struct import_link *link)
{
    int64_t idle_ms = (base_now_mono_ns(&base_clock_system) - link->progress_ns) / BASE_NS_PER_MS;
    if (idle_ms >= link->server->network.timeout_ms) {
        return false;
    }
    int64_t left_ms = link->server->network.timeout_ms - idle_ms;
    int64_t wait_ms = link->wait_ms < left_ms ? link->wait_ms : left_ms;
    struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * BASE_NS_PER_MS};
    (void)nanosleep(&wait, NULL);
    link->wait_ms =
        link->wait_ms * 2 < BASE_IMPORT_WAIT_LAST_MS ? link->wait_ms * 2 : BASE_IMPORT_WAIT_LAST_MS;
    return true;
}

static void disconnect(struct import_link *link)
{
    if (link->client != NULL) {
        app_client_close(link->client);
        link->client = NULL;
    }
}

void import_link_close(struct import_link *link)
{
    disconnect(link);
    base_arena_release(&link->arena);
}

/* What a call's answer is taken into. */
struct answer {
    struct import_link *link;
    int grpc_status;
    struct base_bytes message;
};

static void take_response(void *user, const struct wire_response *response)
{
    struct answer *answer = user;
    answer->grpc_status = response->grpc_status;
    if (response->grpc_status == 0) {
        answer->message = base_arena_bytes(&answer->link->arena, response->body);
    } else {
        api_failure_read(&answer->link->arena, response, &answer->link->failure);
    }
}

bool import_link_call(struct import_link *link, const struct api_call *call,
                      struct base_bytes *ret_message)
{
    base_arena_reset(&link->arena);
    link->failure = (struct api_failure){.code = BASE_CODE_UNAVAILABLE,
                                         .applied = BASE_TEXT("no"),
                                         .retry = BASE_TEXT("same_request")};
    if (link->client == NULL) {
        link->client = app_client_open(link->server, &link->arena, &link->failure.message);
        if (link->client == NULL) {
            return false;
        }
    }
    struct answer answer = {.link = link};
    app_client_call(link->client, call->path, call->message, take_response, &answer);
    app_client_wait(link->client, 0);
    if (answer.grpc_status == -1) {
        disconnect(link);
    }
    *ret_message = answer.message;
    return answer.grpc_status == 0;
}

/* --- rows --- */

struct sending {
    struct import_link *link;
    const struct import_rows *rows;
    struct import_counts counts;
    size_t n_settled;
    bool shows_progress;
    struct base_arena arena; /* of the batch */
};

static void show_progress(const struct sending *sending)
{
    if (sending->shows_progress) {
        (void)fprintf(stderr, "\r%zu of %zu rows", sending->n_settled, sending->rows->n_rows);
    }
}

static void clear_progress(const struct sending *sending)
{
    if (sending->shows_progress) {
        (void)fprintf(stderr, "\r\x1B[K");
    }
}

static void list_refusal(const struct sending *sending, const struct import_row *row,
                         const struct api_failure *failure)
{
    clear_progress(sending);
    (void)fprintf(stderr, "line %lld: %.*s: %.*s: %.*s\n", (long long)row->line_number,
                  BASE_TEXT_ARGS(row->transaction_id), BASE_TEXT_ARGS(failure->reason),
                  BASE_TEXT_ARGS(failure->message));
}

static struct ledger_command command_of(const struct import_row *row)
{
    return (struct ledger_command){.operation = row->operation,
                                   .transaction_id = row->transaction_id,
                                   .account_id = row->account_id,
                                   .n_amounts = 1,
                                   .amounts = &row->amount,
                                   .description = row->description};
}

/* Counts what has become of a row. False: the same has to be tried again. */
static bool settle(struct sending *sending, const struct import_row *row,
                   const struct api_result *result)
{
    if (result->succeeded) {
        sending->counts.n_replayed += result->replayed ? 1 : 0;
        sending->counts.n_applied += result->replayed ? 0 : 1;
    } else if (app_answers_exit(&result->failure) == APP_EXIT_REFUSED) {
        sending->counts.n_refused++;
        list_refusal(sending, row, &result->failure);
    } else {
        return false;
    }
    sending->n_settled++;
    return true;
}

/* Sends the rows of open[0 … *n_open) once, and leaves in it those that are to be repeated, in
 * their order. */
static enum app_exit send_once(struct sending *sending, const struct import_row **open,
                               size_t *n_open)
{
    base_arena_reset(&sending->arena);
    struct ledger_command *commands =
        base_arena_take(&sending->arena, *n_open * sizeof commands[0]);
    for (size_t i = 0; i < *n_open; i++) {
        commands[i] = command_of(open[i]);
    }
    struct api_call call;
    api_call_submit(&sending->arena, *n_open, commands, &call);
    struct import_link *link = sending->link;
    struct base_bytes message;
    if (!import_link_call(link, &call, &message)) {
        return app_answers_exit(&link->failure);
    }
    size_t n_results;
    struct api_result *results;
    if (!api_read_submit(&sending->arena, message, &n_results, &results) || n_results != *n_open) {
        link->failure =
            (struct api_failure){.code = BASE_CODE_INTERNAL,
                                 .message = BASE_TEXT("the server's answer cannot be read: is it "
                                                      "a zandaka?"),
                                 .retry = BASE_TEXT("never")};
        return APP_EXIT_COULD_NOT;
    }
    size_t n_left = 0;
    for (size_t i = 0; i < n_results; i++) {
        if (!settle(sending, open[i], &results[i])) {
            link->failure = results[i].failure;
            open[n_left++] = open[i];
        }
    }
    if (n_left < *n_open) {
        import_link_progress(link);
    }
    *n_open = n_left;
    return n_left == 0 ? APP_EXIT_DONE : APP_EXIT_AGAIN;
}

static enum app_exit send_batch(struct sending *sending, const struct import_row **open,
                                size_t n_open)
{
    for (;;) {
        enum app_exit status = send_once(sending, open, &n_open);
        if (status == APP_EXIT_AGAIN && import_link_wait(sending->link)) {
            continue;
        }
        if (status != APP_EXIT_DONE) {
            clear_progress(sending);
            (void)app_answers_failure("import", &sending->link->failure);
            (void)fprintf(stderr,
                          "  stopped at line %lld, with %zu of %zu rows settled; importing the "
                          "same file again goes on from there\n",
                          (long long)open[0]->line_number, sending->n_settled,
                          sending->rows->n_rows);
        }
        return status;
    }
}

enum app_exit import_send(struct import_link *link, const struct import_rows *rows,
                          struct import_counts *ret_counts)
{
    struct sending sending = {
        .link = link, .rows = rows, .shows_progress = isatty(STDERR_FILENO) == 1};
    const struct import_row **open = base_allocate(BASE_SUBMIT_MAX * sizeof(*open));
    enum app_exit status = APP_EXIT_DONE;
    for (size_t at = 0; at < rows->n_rows && status == APP_EXIT_DONE;) {
        size_t n_open = 0;
        while (n_open < BASE_SUBMIT_MAX && at < rows->n_rows) {
            open[n_open++] = &rows->rows[at++];
        }
        status = send_batch(&sending, open, n_open);
        show_progress(&sending);
    }
    clear_progress(&sending);
    free(open);
    base_arena_release(&sending.arena);
    *ret_counts = sending.counts;
    return status;
}
