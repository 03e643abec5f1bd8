/* What is to happen, in order of virtual time; of two at one moment, the one that was added first.
 */
#ifndef ZANDAKA_SIM_EVENTS_H
#define ZANDAKA_SIM_EVENTS_H

#include "base/base.h"

struct sim_world;

struct sim_event {
    int64_t time_ns;
    uint64_t sequence;
    void (*happen)(struct sim_world *world, void *subject, uint64_t number);
    void *subject;
    uint64_t number; /* the event's own: which of the subject's turns it was meant for */
};

struct sim_events {
    size_t n_events;
    size_t capacity;
    uint64_t sequence;
    struct sim_event *heap;
};

void sim_events_add(struct sim_events *events, struct sim_event event);
/* The next event that is not after `until_ns`; false: there is none. */
bool sim_events_take(struct sim_events *events, int64_t until_ns, struct sim_event *ret_event);
void sim_events_release(struct sim_events *events);

#endif
