/*
 * Looking up names within a time. getaddrinfo knows none, and a name server that does not answer
 * keeps it for half a minute or more: so it runs on a thread of its own, and who has waited long
 * enough leaves it there. Threads that were left end by themselves; there are up to
 * BASE_LOOKUPS_MAX, counted for the whole process, since they all wait for the same name servers.
 */
#include "net/loop.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

static atomic_uint n_under_way;

struct lookup {
    struct base_arena arena; /* the two texts */
    struct base_text name;
    struct base_text service;
    struct addrinfo hints;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t is_done;
    bool done;
    bool left; /* nobody waits any more: the thread frees it */
    int error; /* of getaddrinfo */
    struct addrinfo *found;
};

static struct lookup *lookup_open(const char *name, const char *service,
                                  const struct addrinfo *hints)
{
    struct lookup *lookup = base_allocate_zeroed(1, sizeof *lookup);
    lookup->name = base_arena_text(&lookup->arena, base_text_of(name));
    lookup->service = base_arena_text(&lookup->arena, base_text_of(service));
    lookup->hints = *hints;
    (void)pthread_mutex_init(&lookup->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lookup->is_done, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return lookup;
}

static void lookup_close(struct lookup *lookup)
{
    if (lookup->found != NULL) {
        freeaddrinfo(lookup->found);
    }
    (void)pthread_cond_destroy(&lookup->is_done);
    (void)pthread_mutex_destroy(&lookup->lock);
    base_arena_release(&lookup->arena);
    free(lookup);
}

static void *look_up(void *argument)
{
    struct lookup *lookup = argument;
    struct addrinfo *found = NULL;
    int error = getaddrinfo(lookup->name.bytes, lookup->service.bytes, &lookup->hints, &found);
    atomic_fetch_sub(&n_under_way, 1);
    (void)pthread_mutex_lock(&lookup->lock);
    lookup->error = error;
    lookup->found = found;
    lookup->done = true;
    bool left = lookup->left;
    (void)pthread_cond_signal(&lookup->is_done);
    (void)pthread_mutex_unlock(&lookup->lock);
    if (left) {
        lookup_close(lookup);
    }
    return NULL;
}

/* Signals are for the threads that wait for them. 0, or an errno. */
static int start_thread(struct lookup *lookup)
{
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, look_up, lookup);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0) {
        (void)pthread_detach(thread);
    }
    return failed;
}

/* Waits for the thread, or leaves it. False: it was left. */
static bool wait_for(struct lookup *lookup, int64_t until_ns)
{
    const struct timespec until = {.tv_sec = until_ns / BASE_NS_PER_S,
                                   .tv_nsec = until_ns % BASE_NS_PER_S};
    (void)pthread_mutex_lock(&lookup->lock);
    while (!lookup->done &&
           pthread_cond_timedwait(&lookup->is_done, &lookup->lock, &until) != ETIMEDOUT) {
    }
    bool done = lookup->done;
    lookup->left = !done;
    (void)pthread_mutex_unlock(&lookup->lock);
    return done;
}

static enum net_lookup_end run(struct lookup *lookup, int64_t until_ns, int *ret_error,
                               struct addrinfo **ret_found)
{
    if (start_thread(lookup) != 0) {
        atomic_fetch_sub(&n_under_way, 1);
        lookup_close(lookup);
        return NET_LOOKUP_NO_THREAD;
    }
    if (!wait_for(lookup, until_ns)) {
        return NET_LOOKUP_LATE;
    }
    *ret_error = lookup->error;
    *ret_found = lookup->found;
    lookup->found = NULL;
    lookup_close(lookup);
    return NET_LOOKUP_DONE;
}

enum net_lookup_end net_look_up(const char *name, const char *service, const struct addrinfo *hints,
                                int64_t until_ns, int *ret_error, struct addrinfo **ret_found)
{
    /* An address in digits asks nobody. */
    struct addrinfo numeric = *hints;
    numeric.ai_flags |= AI_NUMERICHOST;
    *ret_error = getaddrinfo(name, service, &numeric, ret_found);
    if (*ret_error != EAI_NONAME) {
        return NET_LOOKUP_DONE;
    }
    if (atomic_fetch_add(&n_under_way, 1) >= BASE_LOOKUPS_MAX) {
        atomic_fetch_sub(&n_under_way, 1);
        return NET_LOOKUP_TOO_MANY;
    }
    return run(lookup_open(name, service, hints), until_ns, ret_error, ret_found);
}
