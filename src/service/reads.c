#include "service/reads.h"

bool service_reads_push(struct service_reads *reads, struct service_read *read)
{
    if (reads->n_reads == BASE_READ_QUEUE_MAX) {
        return false;
    }
    struct service_read_line *line = &reads->lines[read->caller % SERVICE_READ_LINES];
    read->next = NULL;
    if (line->first == NULL) {
        line->first = read;
    } else {
        line->last->next = read;
    }
    line->last = read;
    reads->n_reads++;
    return true;
}

struct service_read *service_reads_take(struct service_reads *reads)
{
    if (reads->n_reads == 0) {
        return NULL;
    }
    struct service_read_line *line;
    do {
        line = &reads->lines[reads->turn];
        reads->turn = (reads->turn + 1) % SERVICE_READ_LINES;
    } while (line->first == NULL);
    struct service_read *read = line->first;
    line->first = read->next;
    reads->n_reads--;
    read->next = NULL;
    return read;
}

void service_read_answer(struct service_read *read, struct store *store,
                         const struct base_clock *clock)
{
    if (read->deadline_mono_ns <= base_now_mono_ns(clock)) {
        read->done(read, BASE_REASON_DEADLINE_EXCEEDED);
        return;
    }
    read->run(read, store);
    read->done(read, BASE_REASON_NONE);
}
