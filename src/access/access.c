/* The table in use and its successors; and what was refused. */
#include "access/access.h"

#include "access/table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct access {
    pthread_mutex_t lock; /* over `table`, and every table's n_users */
    struct access_table *table;
    struct base_counter refusals[ACCESS_REFUSALS];
    _Atomic uint64_t n_unsaid;    /* refusals since the last line about them */
    _Atomic int64_t said_mono_ns; /* when that was */
};

const char *access_check_name(struct base_text name)
{
    static const char rule[] =
        "a caller's name is 1 to 64 letters, digits, dots, underscores and hyphens";
    static_assert(BASE_CALLER_MAX_BYTES == 64, "told in a text");
    if (name.length < 1 || name.length > BASE_CALLER_MAX_BYTES) {
        return rule;
    }
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.bytes[i];
        bool allowed = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
        if (!allowed) {
            return rule;
        }
    }
    return NULL;
}

struct access *access_open(size_t n_callers, const struct access_caller *callers)
{
    struct access *access = base_allocate_zeroed(1, sizeof *access);
    pthread_mutex_init(&access->lock, NULL);
    atomic_init(&access->said_mono_ns, INT64_MIN);
    access->table = access_table_open(access, n_callers, callers);
    return access;
}

/* Under no lock. */
static void let_go(struct access *access, struct access_table *table)
{
    pthread_mutex_lock(&access->lock);
    bool last = --table->n_users == 0;
    pthread_mutex_unlock(&access->lock);
    if (last) {
        access_table_close(table);
    }
}

void access_replace(struct access *access, size_t n_callers, const struct access_caller *callers)
{
    struct access_table *next = access_table_open(access, n_callers, callers);
    pthread_mutex_lock(&access->lock);
    struct access_table *before = access->table;
    access->table = next;
    pthread_mutex_unlock(&access->lock);
    let_go(access, before);
}

void access_close(struct access *access)
{
    base_assert(access->table->n_users == 1);
    access_table_close(access->table);
    pthread_mutex_destroy(&access->lock);
    free(access);
}

struct access_known *access_recognize(struct access *access,
                                      const struct access_credentials *credentials)
{
    pthread_mutex_lock(&access->lock);
    struct access_table *table = access->table;
    table->n_users++;
    pthread_mutex_unlock(&access->lock);
    struct access_known *known = access_table_find(table, credentials);
    if (known == NULL) {
        let_go(access, table);
    }
    return known;
}

void access_release(struct access_known *known)
{
    let_go(known->table->access, known->table);
}

/* --- what was refused --- */

/* Whether it is this thread's turn to log. */
static bool take_turn(struct access *access, int64_t now_mono_ns)
{
    int64_t said_ns = atomic_load_explicit(&access->said_mono_ns, memory_order_relaxed);
    int64_t pause_ns = BASE_REFUSALS_LOGGED_EVERY_MS * BASE_NS_PER_MS;
    return (said_ns == INT64_MIN || now_mono_ns - said_ns >= pause_ns) &&
           atomic_compare_exchange_strong(&access->said_mono_ns, &said_ns, now_mono_ns);
}

void access_note_refusal(struct access *access, enum access_refusal refusal,
                         const struct access_known *known, struct base_text what,
                         int64_t now_mono_ns)
{
    static const char *const verdicts[ACCESS_REFUSALS] = {"was not recognized", "was denied",
                                                          "is above its rate"};
    base_counter_add(&access->refusals[refusal], 1);
    if (!take_turn(access, now_mono_ns)) {
        (void)atomic_fetch_add_explicit(&access->n_unsaid, 1, memory_order_relaxed);
        return;
    }
    unsigned long long n_unsaid =
        atomic_exchange_explicit(&access->n_unsaid, 0, memory_order_relaxed);
    char before[64] = "";
    if (n_unsaid > 0) {
        (void)snprintf(before, sizeof before, " (and %llu refusal%s before it)", n_unsaid,
                       n_unsaid == 1 ? "" : "s");
    }
    struct base_text name = known != NULL ? known->caller.name : BASE_TEXT("");
    base_log(BASE_LOG_WARNING, "%s%.*s %s: %.*s%s", known != NULL ? "the caller " : "a caller",
             BASE_TEXT_ARGS(name), verdicts[refusal], BASE_TEXT_ARGS(what), before);
}

uint64_t access_count_refusals(const struct access *access, enum access_refusal refusal)
{
    return base_counter_value(&access->refusals[refusal]);
}
