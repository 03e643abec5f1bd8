/*
 * The calls that wait for a batch: bounded, and fair among callers. A pure data structure: no
 * threads, no clock, no memory but its own.
 *
 *   1. Calls of one caller that are of one class (lone: one command; bulk: more) leave in the order
 *      in which they came.
 *   2. Lone calls leave before bulk ones, so that nobody waits behind another's bulk; but when bulk
 *      calls waited and a batch took none, the next batch begins with one, so that bulk does not
 *      starve either.
 *   3. Within a class, callers are served in turn, one call each.
 *   4. A call is never split: its commands are one batch's.
 *   5. No more than BASE_QUEUE_MAX commands wait, and who has some waiting may have no more than
 *      there is room left for others: one caller alone has half at the most, two a third each, n of
 *      them leave 1/(n + 1). So no caller's storm makes another's call OVERLOADED. (Where there are
 *      several queues, the service counts over all of them.)
 */
#ifndef ZANDAKA_SERVICE_QUEUE_H
#define ZANDAKA_SERVICE_QUEUE_H

#include "service/lines.h"

/* Zeroed memory is an empty queue; there is nothing to close. About 2 MiB, touched as needed. */
struct service_queue {
    size_t n_commands;
    size_t batch_max; /* commands of a batch, 1 to BASE_BATCH_MAX; 0: just that */
    bool bulk_is_due; /* the last batch took none of the bulk calls that waited */
    struct service_lines lone;
    struct service_lines bulk;
};

/* Commands of a caller that wait in it. Constant time. */
size_t service_queue_held(const struct service_queue *queue, uint64_t caller);

/* Puts a call into its caller's line, in constant time. False: its commands do not fit, or the
 * caller has its share, and it was not taken. */
bool service_queue_push(struct service_queue *queue, struct service_call *call) BASE_MUST_USE;

/* Takes the calls of the next batch, in the order in which they are to take effect: as many
 * commands as a batch should have, or a single call that has more. Returns how many calls; 0: none
 * wait. Constant time for each. */
size_t service_queue_take(struct service_queue *queue,
                          struct service_call *ret_calls[BASE_BATCH_MAX]);

#endif
