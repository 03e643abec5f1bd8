#include "base/base.h"

#include <time.h>

static int64_t system_real_us(void *context)
{
    (void)context;
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    base_assert(failed == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t system_mono_ns(void *context)
{
    (void)context;
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    base_assert(failed == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

const struct base_clock base_clock_system = {system_real_us, system_mono_ns, NULL};
