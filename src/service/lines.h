/*
 * Lines, one for each caller, which are served in turn: what calls and reads wait in. A pure data
 * structure: no threads, no clock, no memory but its own.
 *
 *   1. What one caller has put in leaves in the order in which it came.
 *   2. Callers are served in turn, one element each; who comes back stands behind the others.
 *   3. A line exists while there is something in it, so that there are never more lines than
 *      elements.
 */
#ifndef ZANDAKA_SERVICE_LINES_H
#define ZANDAKA_SERVICE_LINES_H

#include "service/service.h"

/* Elements that may wait, and so lines; also how many buckets there are. */
#define SERVICE_LINES_MAX BASE_QUEUE_MAX
static_assert(BASE_READ_QUEUE_MAX <= SERVICE_LINES_MAX, "every waiting read may have a line");

struct service_line {
    uint64_t caller;
    size_t held; /* weight of what is in it */
    struct service_link *first;
    struct service_link *last;
    struct service_line *next_in_turn; /* who is served after this one */
    struct service_line *next_in_bucket;
};

/* Zeroed memory is empty; there is nothing to close. About 1 MiB, touched as needed. */
struct service_lines {
    struct service_line *first_in_turn;
    struct service_line *last_in_turn;
    struct service_line *spare; /* linked by next_in_bucket */
    size_t n_made;
    struct service_line *buckets[SERVICE_LINES_MAX]; /* by caller */
    struct service_line lines[SERVICE_LINES_MAX];
};

/* The weight of what the caller has waiting. These take constant time. */
size_t service_lines_held(const struct service_lines *lines, uint64_t caller);
/* Puts an element into its caller's line; the owner sees to it that there are no more than
 * SERVICE_LINES_MAX. */
void service_lines_push(struct service_lines *lines, uint64_t caller, size_t weight,
                        struct service_link *element);
/* The element whose turn it is, or NULL. */
struct service_link *service_lines_first(const struct service_lines *lines);
/* Takes that one out, which there must be, and whose weight this is. */
void service_lines_take(struct service_lines *lines, size_t weight);

#endif
