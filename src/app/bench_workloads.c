#include "app/bench.h"

#include <string.h>

static const struct bench_workload workloads[] = {
    {"single", "single Adds, 8 connections x 100 in flight", BENCH_ADD, 8, 100, 1, 800},
    {"single64", "single Adds, 8 connections x 8 in flight", BENCH_ADD, 8, 8, 1, 64},
    {"batch", "Submits of 256 Adds, 4 connections x 2 in flight", BENCH_ADD, 4, 2, 256, 1024},
    {"batch1024", "Submits of 1,024 Adds, 2 connections x 2 in flight", BENCH_ADD, 2, 2, 1024,
     1024},
    {"lone", "one Add at a time", BENCH_ADD, 1, 1, 1, 1},
    {"hot", "single Adds to one account, 8 connections x 100 in flight", BENCH_ADD_HOT, 8, 100, 1,
     800},
    {"hot64", "single Adds to one account, 8 connections x 8 in flight", BENCH_ADD_HOT, 8, 8, 1,
     64},
    {"replay", "Adds that were answered before, 8 connections x 100 in flight", BENCH_REPLAY, 8,
     100, 1, 0},
    {"refused", "Consumes from empty accounts, 8 connections x 100 in flight", BENCH_REFUSED, 8,
     100, 1, 0},
    {"reads", "GetBalance, 8 connections x 100 in flight", BENCH_BALANCE, 8, 100, 1, 0},
    /* A payment asks for the balance before it consumes; campaigns add; networks repeat a few in a
     * hundred; some customers have too little; people look at their history now and then. */
    {"mixed",
     "35 % Consume, 15 % Add, 40 % GetBalance, 5 % ListEntries, 3 % repeats, 2 % too poor; "
     "8 connections x 100 in flight",
     BENCH_MIXED, 8, 100, 1, 800},
    {"door", "a method that there is not: the door alone, 8 connections x 100 in flight",
     BENCH_DOOR, 8, 100, 1, 0},
};

const struct bench_workload *bench_workload_at(size_t index)
{
    return index < sizeof workloads / sizeof workloads[0] ? &workloads[index] : NULL;
}

const struct bench_workload *bench_workload_named(const char *name)
{
    for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            return &workloads[i];
        }
    }
    return NULL;
}
