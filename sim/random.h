/* The one source of chance: everything that a run does follows from its seed. */
#ifndef ZANDAKA_SIM_RANDOM_H
#define ZANDAKA_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

/* SplitMix64's step: any seed is good, and neighbouring seeds have nothing in common. */
static inline uint64_t sim_random_next(struct sim_random *random)
{
    random->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = random->state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

/* From 0 to bound - 1; `bound` is above 0. */
static inline uint64_t sim_random_below(struct sim_random *random, uint64_t bound)
{
    return sim_random_next(random) % bound;
}

/* From `low` to `high`, both included. */
static inline int64_t sim_random_between(struct sim_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)sim_random_below(random, (uint64_t)(high - low) + 1);
}

/* True `per_mille` times in a thousand. */
static inline bool sim_random_chance(struct sim_random *random, unsigned per_mille)
{
    return sim_random_below(random, 1000) < per_mille;
}

#endif
