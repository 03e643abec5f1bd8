/*
 * The line of calls that wait for a batch: bounded, and fair among callers. A pure data structure:
 * no threads, no clock, no memory but its own.
 *
 *   1. Calls of one caller that are of one class (lone: one command; bulk: more) leave in the order
 *      in which they came.
 *   2. Lone calls leave before bulk ones, so that nobody waits behind another's bulk; but when bulk
 *      calls waited and a batch took none, the next batch begins with one, so that bulk does not
 *      starve either.
 *   3. Within a class, callers are served in turn, one call each.
 *   4. A call is never split: its commands are one batch's.
 *   5. No more than BASE_QUEUE_MAX commands wait. A caller in line has at least one of them, which
 *      bounds the lines too.
 */
#ifndef ZANDAKA_SERVICE_QUEUE_H
#define ZANDAKA_SERVICE_QUEUE_H

#include "service/service.h"

/* The waiting calls of one caller and one class. It exists while there are any. */
struct service_line {
    uint64_t caller;
    struct service_call *first; /* linked by the calls' `next` */
    struct service_call *last;
    struct service_line *next_in_turn; /* who is served after this one */
    struct service_line *next_in_bucket;
};

/* The lines of one class. */
struct service_lines {
    struct service_line *first_in_turn;
    struct service_line *last_in_turn;
    struct service_line *buckets[BASE_QUEUE_MAX]; /* by caller */
};

/* Zeroed memory is an empty queue; there is nothing to close. About 1 MiB, touched as needed. */
struct service_queue {
    size_t n_commands;
    bool bulk_is_due; /* the last batch took none of the bulk calls that waited */
    struct service_lines lone;
    struct service_lines bulk;
    struct service_line *spare_lines; /* linked by next_in_bucket */
    size_t n_lines_made;
    struct service_line lines[BASE_QUEUE_MAX];
};

/* Puts a call into its caller's line, in constant time. False: its commands do not fit, and it was
 * not taken. */
bool service_queue_push(struct service_queue *queue, struct service_call *call) BASE_MUST_USE;

/* Takes the calls of the next batch, BASE_BATCH_MAX commands at most, in the order in which they
 * are to take effect. Returns how many; 0: none wait. Constant time for each. */
size_t service_queue_take(struct service_queue *queue,
                          struct service_call *ret_calls[BASE_BATCH_MAX]);

#endif
