/* Whether a request asks for what is recorded (contract 3.5): field by field, never by a hash. */
#include "record/record.h"

/* Without overflow for INT64_MIN. */
static uint64_t magnitude(int64_t amount_minor)
{
    return amount_minor < 0 ? 0 - (uint64_t)amount_minor : (uint64_t)amount_minor;
}

/* Whether the two legs stand for the same amount of the request: a transaction has one leg at most
 * of a kind in a direction. Where the operations differ, the directions differ with them, and that
 * is told as the operation. */
static bool same_place(const struct record_leg *a, const struct record_leg *b, bool same_operation)
{
    return base_text_equal(a->kind, b->kind) &&
           (!same_operation || (a->amount_minor < 0) == (b->amount_minor < 0));
}

static uint32_t compare_leg(const struct record_leg *recorded, const struct record_leg *requested)
{
    uint32_t fields = 0;
    if (magnitude(recorded->amount_minor) != magnitude(requested->amount_minor)) {
        fields |= BASE_CONTENT_AMOUNTS;
    }
    if (!base_text_equal(recorded->account_id, requested->account_id)) {
        fields |= BASE_CONTENT_ACCOUNT_ID;
    }
    if (recorded->has_expire_time != requested->has_expire_time ||
        (recorded->has_expire_time && recorded->expire_time_us != requested->expire_time_us)) {
        fields |= BASE_CONTENT_EXPIRE_TIME;
    }
    return fields;
}

/* The legs as sets: each of the one must have its counterpart in the other, in any order. */
static uint32_t compare_legs(const struct record_transaction *recorded,
                             const struct record_transaction *requested, bool same_operation)
{
    static_assert(BASE_LEGS_MAX <= 32, "a bit for each leg");
    base_assert(recorded->n_legs <= BASE_LEGS_MAX && requested->n_legs <= BASE_LEGS_MAX);
    uint32_t fields = recorded->n_legs == requested->n_legs ? 0 : BASE_CONTENT_AMOUNTS;
    uint32_t taken = 0; /* the requested legs that have their counterpart, as bits */
    for (size_t i = 0; i < recorded->n_legs; i++) {
        size_t at = 0;
        while (at < requested->n_legs &&
               ((taken & UINT32_C(1) << at) != 0 ||
                !same_place(&recorded->legs[i], &requested->legs[at], same_operation))) {
            at++;
        }
        if (at == requested->n_legs) {
            fields |= BASE_CONTENT_AMOUNTS;
            continue;
        }
        taken |= UINT32_C(1) << at;
        fields |= compare_leg(&recorded->legs[i], &requested->legs[at]);
    }
    return fields;
}

uint32_t record_compare(const struct record_transaction *recorded,
                        const struct record_transaction *requested)
{
    bool same_operation = recorded->operation == requested->operation;
    uint32_t fields = compare_legs(recorded, requested, same_operation);
    if (!same_operation) {
        fields |= BASE_CONTENT_OPERATION;
    }
    if (!base_text_equal(recorded->account_id, requested->account_id)) {
        fields |= BASE_CONTENT_ACCOUNT_ID;
    }
    if (!base_text_equal(recorded->original_transaction_id, requested->original_transaction_id)) {
        fields |= BASE_CONTENT_ORIGINAL_TRANSACTION_ID;
    }
    return fields;
}
