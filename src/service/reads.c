#include "service/reads.h"

bool service_reads_push(struct service_reads *reads, struct service_read *read)
{
    if (reads->n_reads == BASE_READ_QUEUE_MAX) {
        return false;
    }
    read->next = NULL;
    if (reads->first == NULL) {
        reads->first = read;
    } else {
        reads->last->next = read;
    }
    reads->last = read;
    reads->n_reads++;
    return true;
}

struct service_read *service_reads_take(struct service_reads *reads)
{
    struct service_read *read = reads->first;
    if (read != NULL) {
        reads->first = read->next;
        reads->n_reads--;
        read->next = NULL;
    }
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
