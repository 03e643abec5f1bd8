#include "service/queue.h"

static_assert(BASE_SUBMIT_MAX <= BASE_BATCH_MAX, "an unsplit call must fit an empty batch");

/* Callers are numbered by the server, often one after the other: a multiplication spreads them, and
 * nobody outside can choose them so that they meet in one bucket. */
static struct service_line **bucket_of(struct service_lines *lines, uint64_t caller)
{
    uint64_t spread = caller * UINT64_C(0x9E3779B97F4A7C15);
    return &lines->buckets[(spread >> 32) % BASE_QUEUE_MAX];
}

static void put_last_in_turn(struct service_lines *lines, struct service_line *line)
{
    line->next_in_turn = NULL;
    if (lines->first_in_turn == NULL) {
        lines->first_in_turn = line;
    } else {
        lines->last_in_turn->next_in_turn = line;
    }
    lines->last_in_turn = line;
}

static struct service_line *line_open(struct service_queue *queue, struct service_lines *lines,
                                      uint64_t caller)
{
    struct service_line *line = queue->spare_lines;
    if (line != NULL) {
        queue->spare_lines = line->next_in_bucket;
    } else {
        /* Every line holds a command, and the commands are bounded. */
        base_assert(queue->n_lines_made < BASE_QUEUE_MAX);
        line = &queue->lines[queue->n_lines_made++];
    }
    struct service_line **bucket = bucket_of(lines, caller);
    *line = (struct service_line){.caller = caller, .next_in_bucket = *bucket};
    *bucket = line;
    put_last_in_turn(lines, line);
    return line;
}

static void line_close(struct service_queue *queue, struct service_lines *lines,
                       struct service_line *line)
{
    struct service_line **link = bucket_of(lines, line->caller);
    while (*link != line) {
        link = &(*link)->next_in_bucket;
    }
    *link = line->next_in_bucket;
    line->next_in_bucket = queue->spare_lines;
    queue->spare_lines = line;
}

bool service_queue_push(struct service_queue *queue, struct service_call *call)
{
    base_assert(call->n_commands >= 1 && call->n_commands <= BASE_SUBMIT_MAX);
    if (call->n_commands > BASE_QUEUE_MAX - queue->n_commands) {
        return false;
    }
    struct service_lines *lines = call->n_commands == 1 ? &queue->lone : &queue->bulk;
    struct service_line *line = *bucket_of(lines, call->caller);
    while (line != NULL && line->caller != call->caller) {
        line = line->next_in_bucket;
    }
    if (line == NULL) {
        line = line_open(queue, lines, call->caller);
    }
    call->next = NULL;
    if (line->first == NULL) {
        line->first = call;
    } else {
        line->last->next = call;
    }
    line->last = call;
    queue->n_commands += call->n_commands;
    return true;
}

/* Takes the first call of the line whose turn it is, if it has no more than `room` commands. */
static struct service_call *take_one(struct service_queue *queue, struct service_lines *lines,
                                     size_t room)
{
    struct service_line *line = lines->first_in_turn;
    if (line == NULL || line->first->n_commands > room) {
        return NULL;
    }
    struct service_call *call = line->first;
    lines->first_in_turn = line->next_in_turn;
    line->first = call->next;
    if (line->first != NULL) {
        put_last_in_turn(lines, line);
    } else {
        line_close(queue, lines, line);
    }
    queue->n_commands -= call->n_commands;
    call->next = NULL;
    return call;
}

size_t service_queue_take(struct service_queue *queue,
                          struct service_call *ret_calls[BASE_BATCH_MAX])
{
    size_t n_calls = 0;
    size_t n_bulk = 0;
    size_t room = BASE_BATCH_MAX;
    struct service_call *call;
    if (queue->bulk_is_due) {
        call = take_one(queue, &queue->bulk, room);
        base_assert(call != NULL);
        room -= call->n_commands;
        ret_calls[n_calls++] = call;
        n_bulk++;
    }
    while ((call = take_one(queue, &queue->lone, room)) != NULL) {
        room -= call->n_commands;
        ret_calls[n_calls++] = call;
    }
    /* A bulk call that does not fit ends the batch, though a smaller one behind it might fit: else
     * the small would overtake the large for ever. */
    while ((call = take_one(queue, &queue->bulk, room)) != NULL) {
        room -= call->n_commands;
        ret_calls[n_calls++] = call;
        n_bulk++;
    }
    queue->bulk_is_due = n_bulk == 0 && queue->bulk.first_in_turn != NULL;
    return n_calls;
}
