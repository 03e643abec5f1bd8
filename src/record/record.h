/*
 * record: the recorded transaction as bytes and back, and the comparison of what a request asks
 * with what is recorded. The one place that knows the encoding, which is the protobuf message
 * zandaka.v1.Transaction: what is stored is, byte for byte, what every repeat is answered with.
 *
 * Pure functions; any thread, as long as an arena is used by one at a time.
 */
#ifndef ZANDAKA_RECORD_H
#define ZANDAKA_RECORD_H

#include "base/base.h"

/* The numbers are those of zandaka.v1.State. */
enum record_state { RECORD_STATE_SUCCEEDED = 1, RECORD_STATE_CANCELLED = 2 };

/* The numbers are those of zandaka.v1.Operation, and stored: they never change. */
enum record_operation {
    RECORD_OPERATION_NONE = 0,
    RECORD_OPERATION_ADD = 1,
    RECORD_OPERATION_CONSUME = 2,
    RECORD_OPERATION_CANCEL = 3
};

/* One movement of one kind in one account. */
struct record_leg {
    struct base_text account_id;
    struct base_text kind;
    int64_t amount_minor; /* positive: received, negative: given; never 0 */
    bool has_expire_time; /* whether the request gave an expiry time */
    int64_t expire_time_us;
};

struct record_label {
    struct base_text key;
    struct base_text value;
};

/*
 * A transaction, decoded. Also what a request asks for, before it is known whether it happens: then
 * `state` and `create_time_us` mean nothing. All that it points to belongs to the arena or the
 * bytes that it was made from.
 *
 * Content (contract 3.5) is: operation, account_id, legs as a set, original_transaction_id. Labels
 * and times of recording are not.
 */
struct record_transaction {
    struct base_text transaction_id;
    enum record_state state;
    enum record_operation operation;
    struct base_text account_id; /* empty for a cancel */
    size_t n_legs;
    const struct record_leg *legs;            /* in the order of the first request */
    struct base_text original_transaction_id; /* empty: refers to none */
    int64_t create_time_us;                   /* since 1970-01-01T00:00:00Z */
    struct base_text description;
    size_t n_metadata;
    const struct record_label *metadata;
};

/* Whether this version can record it: every text within its limits and made of what it may be made
 * of, the legs such as the operation makes them, the time within a Timestamp's range. A fence holds
 * nothing but its id. */
bool record_is_well_formed(const struct record_transaction *transaction);

/* The record of `transaction`, which must be well-formed, in the arena. Equal transactions give
 * equal bytes; metadata is put in the order of its keys. */
struct base_bytes record_encode(struct base_arena *arena,
                                const struct record_transaction *transaction);

/* Back. False: these bytes are no record that this version could have written (corruption, or a
 * later version's), *ret_transaction alone. What it points to is in the arena. */
bool record_decode(struct base_arena *arena, struct base_bytes record,
                   struct record_transaction *ret_transaction) BASE_MUST_USE;

/* The content fields in which two transactions differ, as bits of base_content_field; 0: the same
 * content. Field by field, never by a hash; the order of the legs does not count. Differences of
 * kinds and amounts are BASE_CONTENT_AMOUNTS; of a leg's account, where the transaction's own
 * account is the same, BASE_CONTENT_ACCOUNT_ID; of a leg's expiry, BASE_CONTENT_EXPIRE_TIME. */
uint32_t record_compare(const struct record_transaction *recorded,
                        const struct record_transaction *requested);

#endif
