#include "sim/events.h"

#include <stdlib.h>

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->sequence < b->sequence;
}

static void exchange(struct sim_event *a, struct sim_event *b)
{
    struct sim_event kept = *a;
    *a = *b;
    *b = kept;
}

void sim_events_add(struct sim_events *events, struct sim_event event)
{
    if (events->n_events == events->capacity) {
        events->capacity = events->capacity > 0 ? events->capacity * 2 : 64;
        events->heap = base_reallocate(events->heap, events->capacity * sizeof *events->heap);
    }
    event.sequence = events->sequence++;
    size_t at = events->n_events++;
    events->heap[at] = event;
    while (at > 0 && before(&events->heap[at], &events->heap[(at - 1) / 2])) {
        exchange(&events->heap[at], &events->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

bool sim_events_take(struct sim_events *events, int64_t until_ns, struct sim_event *ret_event)
{
    if (events->n_events == 0 || events->heap[0].time_ns > until_ns) {
        return false;
    }
    *ret_event = events->heap[0];
    events->heap[0] = events->heap[--events->n_events];
    size_t at = 0;
    for (;;) {
        size_t first = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < events->n_events; child++) {
            first = before(&events->heap[child], &events->heap[first]) ? child : first;
        }
        if (first == at) {
            return true;
        }
        exchange(&events->heap[at], &events->heap[first]);
        at = first;
    }
}

void sim_events_release(struct sim_events *events)
{
    free(events->heap);
    *events = (struct sim_events){0};
}
