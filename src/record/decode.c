/*
 * Stored bytes become a transaction again, or are refused. Money hangs on what is read here, so the
 * check is total: what was read must be well-formed, and written again it must give the same bytes.
 * That alone refuses what protobuf-c lets through: text that goes on behind a NUL, unknown fields,
 * fields out of order or twice, labels unsorted, numbers in a longer form; and a time finer than
 * the microseconds that are kept.
 */
#include "record/record.h"
#include "zandaka/v1/transaction.pb-c.h"

static_assert(BASE_RECORD_MAX_BYTES >
                  BASE_LEGS_MAX * (BASE_ID_MAX_BYTES + BASE_KIND_MAX_BYTES + 44) +
                      BASE_METADATA_TOTAL_MAX_BYTES + BASE_METADATA_MAX * 10 +
                      BASE_DESCRIPTION_MAX_BYTES + 4 * (BASE_ID_MAX_BYTES + 4) + 64,
              "every record that can be written can be read");

static void *arena_alloc(void *arena, size_t size)
{
    return base_arena_take(arena, size);
}

static void arena_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static bool decode_time(const Google__Protobuf__Timestamp *message, int64_t *ret_time_us)
{
    if (message->seconds < BASE_TIME_MIN_US / BASE_US_PER_S ||
        message->seconds > BASE_TIME_MAX_US / BASE_US_PER_S || message->nanos < 0 ||
        message->nanos >= BASE_NS_PER_S) {
        return false;
    }
    /* Within the Timestamp's range, which in microseconds fits int64. */
    *ret_time_us = message->seconds * BASE_US_PER_S + message->nanos / BASE_NS_PER_US;
    return true;
}

static bool decode_leg(const Zandaka__V1__Leg *message, struct record_leg *ret_leg)
{
    *ret_leg = (struct record_leg){.account_id = base_text_of(message->account_id),
                                   .kind = base_text_of(message->kind),
                                   .amount_minor = message->amount,
                                   .has_expire_time = message->expire_time != NULL};
    return !ret_leg->has_expire_time || decode_time(message->expire_time, &ret_leg->expire_time_us);
}

static bool decode_message(struct base_arena *arena, const Zandaka__V1__Transaction *message,
                           struct record_transaction *ret_transaction)
{
    if (message->create_time == NULL) {
        return false;
    }
    struct record_transaction transaction = {
        .transaction_id = base_text_of(message->transaction_id),
        .state = (enum record_state)message->state,
        .operation = (enum record_operation)message->operation,
        .account_id = base_text_of(message->account_id),
        .n_legs = message->n_legs,
        .original_transaction_id = base_text_of(message->original_transaction_id),
        .description = base_text_of(message->description),
        .n_metadata = message->n_metadata,
    };
    if (!decode_time(message->create_time, &transaction.create_time_us)) {
        return false;
    }
    struct record_leg *legs = base_arena_take_zeroed(arena, message->n_legs, sizeof *legs);
    for (size_t i = 0; i < message->n_legs; i++) {
        if (!decode_leg(message->legs[i], &legs[i])) {
            return false;
        }
    }
    transaction.legs = legs;
    struct record_label *metadata =
        base_arena_take_zeroed(arena, message->n_metadata, sizeof *metadata);
    for (size_t i = 0; i < message->n_metadata; i++) {
        metadata[i].key = base_text_of(message->metadata[i]->key);
        metadata[i].value = base_text_of(message->metadata[i]->value);
    }
    transaction.metadata = metadata;
    *ret_transaction = transaction;
    return true;
}

bool record_decode(struct base_arena *arena, struct base_bytes record,
                   struct record_transaction *ret_transaction)
{
    if (record.length == 0 || record.length > BASE_RECORD_MAX_BYTES) {
        return false;
    }
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    const Zandaka__V1__Transaction *message =
        zandaka__v1__transaction__unpack(&allocator, record.length, record.bytes);
    struct record_transaction transaction;
    if (message == NULL || !decode_message(arena, message, &transaction) ||
        !record_is_well_formed(&transaction) ||
        !base_bytes_equal(record_encode(arena, &transaction), record)) {
        return false;
    }
    *ret_transaction = transaction;
    return true;
}
