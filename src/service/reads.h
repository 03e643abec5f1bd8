/*
 * The reads that wait for a reading thread, bounded, and fair among callers: they stand in lines,
 * which are served in turn, one read each, so that nobody waits behind another's thousand pages. A
 * pure data structure, but for service_read_answer, which does one.
 */
#ifndef ZANDAKA_SERVICE_READS_H
#define ZANDAKA_SERVICE_READS_H

#include "service/service.h"

/* Lines of reads. Callers are numbered one after the other, so that with fewer callers than this
 * each has a line of its own; beyond it some share one. */
#define SERVICE_READ_LINES 256

/* First come, first served. */
struct service_read_line {
    struct service_read *first; /* linked by `next` */
    struct service_read *last;
};

/* Zeroed memory is empty. */
struct service_reads {
    size_t n_reads;
    size_t turn; /* the line that is looked at next */
    struct service_read_line lines[SERVICE_READ_LINES];
};

/* False: BASE_READ_QUEUE_MAX wait already, and it was not taken. */
bool service_reads_push(struct service_reads *reads, struct service_read *read) BASE_MUST_USE;
/* The next one, or NULL. At most SERVICE_READ_LINES steps. */
struct service_read *service_reads_take(struct service_reads *reads);

/* Does the read, unless its deadline has passed: nobody waits for what it would find. */
void service_read_answer(struct service_read *read, struct store *store,
                         const struct base_clock *clock);

#endif
