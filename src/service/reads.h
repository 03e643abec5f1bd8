/*
 * The reads that wait for a reading thread, bounded, and fair among callers: they stand in lines,
 * which are served in turn, one read each, so that nobody waits behind another's thousand pages;
 * and no caller has more waiting than there is room left for others, as with calls (queue.h). A
 * pure data structure, but for service_read_answer, which does one.
 */
#ifndef ZANDAKA_SERVICE_READS_H
#define ZANDAKA_SERVICE_READS_H

#include "service/lines.h"

/* Zeroed memory is empty. */
struct service_reads {
    size_t n_reads;
    struct service_lines lines;
};

/* False: BASE_READ_QUEUE_MAX wait already, or the caller has its share, and it was not taken. */
bool service_reads_push(struct service_reads *reads, struct service_read *read) BASE_MUST_USE;
/* The next one, or NULL. */
struct service_read *service_reads_take(struct service_reads *reads);

/* Does the read, unless its deadline has passed: nobody waits for what it would find. */
void service_read_answer(struct service_read *read, struct store *store,
                         const struct base_clock *clock);

#endif
