#include "service/queue.h"

#include <stddef.h>

static_assert(BASE_SUBMIT_MAX <= BASE_BATCH_MAX, "an unsplit call must fit an empty batch");
static_assert(BASE_SUBMIT_MAX <= BASE_QUEUE_MAX / 2, "and a caller's share of an empty queue");

static struct service_call *call_of(struct service_link *link)
{
    return (struct service_call *)((char *)link - offsetof(struct service_call, link));
}

size_t service_queue_held(const struct service_queue *queue, uint64_t caller)
{
    return service_lines_held(&queue->lone, caller) + service_lines_held(&queue->bulk, caller);
}

bool service_queue_push(struct service_queue *queue, struct service_call *call)
{
    base_assert(call->n_commands >= 1 && call->n_commands <= BASE_SUBMIT_MAX);
    size_t room = BASE_QUEUE_MAX - queue->n_commands;
    if (service_queue_held(queue, call->caller) + call->n_commands > room) {
        return false;
    }
    service_lines_push(call->n_commands == 1 ? &queue->lone : &queue->bulk, call->caller,
                       call->n_commands, &call->link);
    queue->n_commands += call->n_commands;
    return true;
}

/* A batch that is being taken. */
struct taken {
    size_t n_calls;
    struct service_call **calls;
    size_t room; /* for more commands */
};

/* Takes the call whose turn it is, if it fits, or if it is the batch's first. */
static bool take_one(struct service_queue *queue, struct service_lines *lines, struct taken *taken)
{
    struct service_link *first = service_lines_first(lines);
    if (first == NULL || (taken->n_calls > 0 && call_of(first)->n_commands > taken->room)) {
        return false;
    }
    struct service_call *call = call_of(first);
    service_lines_take(lines, call->n_commands);
    queue->n_commands -= call->n_commands;
    taken->room -= call->n_commands < taken->room ? call->n_commands : taken->room;
    taken->calls[taken->n_calls++] = call;
    return true;
}

size_t service_queue_take(struct service_queue *queue,
                          struct service_call *ret_calls[BASE_BATCH_MAX])
{
    struct taken taken = {.calls = ret_calls,
                          .room = queue->batch_max > 0 ? queue->batch_max : BASE_BATCH_MAX};
    size_t n_bulk = 0;
    if (queue->bulk_is_due) {
        bool there_was = take_one(queue, &queue->bulk, &taken);
        base_assert(there_was);
        n_bulk++;
    }
    while (take_one(queue, &queue->lone, &taken)) {
    }
    /* A bulk call that does not fit ends the batch, though a smaller one behind it might fit: else
     * the small would overtake the large for ever. */
    while (take_one(queue, &queue->bulk, &taken)) {
        n_bulk++;
    }
    queue->bulk_is_due = n_bulk == 0 && service_lines_first(&queue->bulk) != NULL;
    return taken.n_calls;
}
