/*
 * What a test and a preloaded shim tell each other while the process runs: a file of eight-byte
 * words that both have mapped. The shim counts; the test says, by number, which call is to meet
 * what. A zero means never. tests/disk/shim.py names the same words in the same order.
 */
#ifndef ZANDAKA_TESTS_DISK_PRELOAD_CONTROL_H
#define ZANDAKA_TESTS_DISK_PRELOAD_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

struct control {
    /* Counted by the disk's shim, from the start of the process. */
    _Atomic uint64_t n_changes; /* calls that change the disk, syncs included */
    _Atomic uint64_t n_writes;
    _Atomic uint64_t n_syncs;
    _Atomic uint64_t n_written_bytes;
    _Atomic uint64_t n_syncs_held; /* syncs that wait for hold_syncs to become zero */
    _Atomic uint64_t n_faults;     /* how often the test got what it asked for */
    /* Asked for by the test. */
    _Atomic uint64_t kill_at_change; /* SIGKILL instead of this call */
    _Atomic uint64_t fail_write;     /* EIO to this write, and only to this */
    _Atomic uint64_t fail_sync;
    _Atomic uint64_t full_at_bytes; /* ENOSPC once so many have been written */
    _Atomic uint64_t free_bytes_and_one;
    _Atomic uint64_t hold_syncs;
    /* Counted by the memory's shim. */
    _Atomic uint64_t n_allocations;
    _Atomic uint64_t n_failed;
    /* Asked for by the test. */
    _Atomic uint64_t fail_allocation;
    _Atomic uint64_t fail_from_then_on; /* 1: and every one after it */
};

#define CONTROL_BYTES 4096

_Static_assert(sizeof(struct control) <= CONTROL_BYTES, "the file is one page");

#endif
