/*
 * Random traffic from a seed: few ids, accounts and kinds, so that everything meets everything.
 * Repeats, repeats with another content, fences before and after, amounts at the edges, kinds that
 * come and go, limits that move, a clock that jumps.
 */
#ifndef ZANDAKA_TESTS_LEDGER_TRAFFIC_H
#define ZANDAKA_TESTS_LEDGER_TRAFFIC_H

#include "ledger/ledger.h"

#define TRAFFIC_ACCOUNTS 4
#define TRAFFIC_KINDS 4

/* A command and what happens just before it. */
struct traffic_command {
    struct ledger_command command;
    int64_t now_us;
    bool changes_kind; /* to `kind`, the one with that number */
    size_t kind_number;
    struct ledger_kind kind;
};

/* A random number below `bound`, which is above 0. */
uint64_t traffic_random(uint64_t *seed, uint64_t bound);
/* The kinds at first, without limits. */
struct ledger_kinds traffic_kinds(void);
struct base_text traffic_account_id(size_t number);
/* `n` commands in the arena: the same for the same seed. */
struct traffic_command *traffic_make(struct base_arena *arena, uint64_t seed, size_t n);

#endif
