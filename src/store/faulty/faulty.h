/*
 * store/faulty: wraps any other store and does to it what the world does to stores. For tests and
 * the simulator. Which fault comes next is the test's decision, so that runs repeat.
 */
#ifndef ZANDAKA_STORE_FAULTY_H
#define ZANDAKA_STORE_FAULTY_H

#include "store/store.h"

/* What happens to one load, commit or read. */
enum store_faulty_event {
    STORE_FAULTY_NONE,         /* the wrapped store is asked */
    STORE_FAULTY_CONFLICT,     /* commit: nothing written, STORE_CONFLICT */
    STORE_FAULTY_UNAVAILABLE,  /* nothing written, STORE_UNAVAILABLE */
    STORE_FAULTY_UNKNOWN_DONE, /* commit: written, but STORE_UNKNOWN is told */
    STORE_FAULTY_UNKNOWN_LOST, /* commit: not written, STORE_UNKNOWN is told */
    STORE_FAULTY_UNKNOWN_LATE, /* commit: not written yet, STORE_UNKNOWN is told; it arrives with
                                  store_faulty_land, or never */
    STORE_FAULTY_CORRUPT       /* load and reads: STORE_CORRUPT */
};

enum store_faulty_call { STORE_FAULTY_LOAD, STORE_FAULTY_COMMIT, STORE_FAULTY_READ };

/* Asked before each call, on the thread of the call: that of the session, or any that reads. */
typedef enum store_faulty_event (*store_faulty_choose)(void *context, enum store_faulty_call call);

/* Takes ownership of `wrapped`: store_close closes both. */
struct store *store_faulty_open(struct store *wrapped, store_faulty_choose choose, void *context);

/* Lets the oldest of the late commits arrive: what the wrapped store says to it is told to nobody
 * but the test. It comes beside the loads and commits under way, so the wrapped store must be one
 * that finds out when facts are no longer true (store.h, 2), and takes commits from any thread,
 * such as store/memory. False: none is on its way, *ret_fault alone. */
bool store_faulty_land(struct store *store, enum store_fault *ret_fault) BASE_MUST_USE;

#endif
