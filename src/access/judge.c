/* What a caller that is recognized may do. */
#include "access/table.h"

struct base_text access_name(const struct access_known *known)
{
    return known->caller.name;
}

uint64_t access_line(const struct access_known *known)
{
    return base_hash(base_bytes_of(known->caller.name)) | (UINT64_C(1) << 63);
}

/*
 * A token bucket that holds a second's calls, told by one number: the moment at which what is used
 * up would have come in. It lies at most a second ahead of now; each call moves it on by its share
 * of a second.
 */
bool access_take_call(struct access_known *known, int64_t now_mono_ns, int64_t *ret_wait_ns)
{
    if (known->caller.rate_per_s == 0) {
        return true;
    }
    _Atomic int64_t *used_up = &known->used_up_mono_ns;
    int64_t each_ns = BASE_NS_PER_S / known->caller.rate_per_s;
    int64_t before_ns = atomic_load_explicit(used_up, memory_order_relaxed);
    int64_t after_ns;
    do {
        after_ns = (before_ns > now_mono_ns ? before_ns : now_mono_ns) + each_ns;
        if (after_ns > now_mono_ns + BASE_NS_PER_S) {
            *ret_wait_ns = after_ns - now_mono_ns - BASE_NS_PER_S;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(used_up, &before_ns, after_ns,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static bool is_one_of(size_t n, const struct base_text *texts, struct base_text text)
{
    for (size_t i = 0; i < n; i++) {
        if (base_text_equal(texts[i], text)) {
            return true;
        }
    }
    return n == 0;
}

bool access_allows_method(const struct access_known *known, struct base_text method)
{
    return is_one_of(known->caller.n_methods, known->caller.methods, method);
}

bool access_allows_kind(const struct access_known *known, struct base_text kind)
{
    return is_one_of(known->caller.n_kinds, known->caller.kinds, kind);
}

bool access_allows_id(const struct access_known *known, struct base_text transaction_id)
{
    const struct access_caller *caller = &known->caller;
    for (size_t i = 0; i < caller->n_id_prefixes; i++) {
        if (base_text_starts_with(transaction_id, caller->id_prefixes[i])) {
            return true;
        }
    }
    return caller->n_id_prefixes == 0;
}
