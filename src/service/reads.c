#include "service/reads.h"

#include <stddef.h>

bool service_reads_push(struct service_reads *reads, struct service_read *read)
{
    size_t room = BASE_READ_QUEUE_MAX - reads->n_reads;
    if (service_lines_held(&reads->lines, read->caller) + 1 > room) {
        return false;
    }
    service_lines_push(&reads->lines, read->caller, 1, &read->link);
    reads->n_reads++;
    return true;
}

struct service_read *service_reads_take(struct service_reads *reads)
{
    struct service_link *first = service_lines_first(&reads->lines);
    if (first == NULL) {
        return NULL;
    }
    service_lines_take(&reads->lines, 1);
    reads->n_reads--;
    return (struct service_read *)((char *)first - offsetof(struct service_read, link));
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
