/*
 * Time is an input: who needs it is given a clock, so that a simulator can give another.
 */
#ifndef ZANDAKA_BASE_CLOCK_H
#define ZANDAKA_BASE_CLOCK_H

#include "base/bytes.h"

#include <stdint.h>

struct base_clock {
    /* Microseconds since 1970-01-01T00:00:00Z; may jump. */
    int64_t (*real_us)(void *context);
    /* Nanoseconds since some moment; never goes back. */
    int64_t (*mono_ns)(void *context);
    void *context;
};

/* The machine's clock. Any thread. */
extern const struct base_clock base_clock_system;

static inline int64_t base_now_real_us(const struct base_clock *clock)
{
    return clock->real_us(clock->context);
}
static inline int64_t base_now_mono_ns(const struct base_clock *clock)
{
    return clock->mono_ns(clock->context);
}

#define BASE_NS_PER_US INT64_C(1000)
#define BASE_NS_PER_MS INT64_C(1000000)
#define BASE_NS_PER_S INT64_C(1000000000)
#define BASE_US_PER_S INT64_C(1000000)

/* A deadline that never comes, for `deadline_mono_ns`. */
#define BASE_NO_DEADLINE INT64_MAX

/* The range of google.protobuf.Timestamp: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z. */
#define BASE_TIME_MIN_US INT64_C(-62135596800000000)
#define BASE_TIME_MAX_US INT64_C(253402300799999999)

#endif
