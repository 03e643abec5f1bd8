/* A transaction becomes the bytes that are stored, and answered, for ever. */
#include "record/record.h"
#include "zandaka/v1/transaction.pb-c.h"

static_assert((int)RECORD_STATE_SUCCEEDED == (int)ZANDAKA__V1__STATE__STATE_SUCCEEDED &&
                  (int)RECORD_STATE_CANCELLED == (int)ZANDAKA__V1__STATE__STATE_CANCELLED,
              "states are stored by the proto's numbers");
static_assert((int)RECORD_OPERATION_ADD == (int)ZANDAKA__V1__OPERATION__OPERATION_ADD &&
                  (int)RECORD_OPERATION_CONSUME == (int)ZANDAKA__V1__OPERATION__OPERATION_CONSUME &&
                  (int)RECORD_OPERATION_CANCEL == (int)ZANDAKA__V1__OPERATION__OPERATION_CANCEL,
              "operations are stored by the proto's numbers");

/* protobuf-c packs strings that end with a NUL, and does not change them. */
static char *message_text(struct base_arena *arena, struct base_text text)
{
    return (char *)base_arena_text(arena, text).bytes;
}

static Google__Protobuf__Timestamp *message_time(struct base_arena *arena, int64_t time_us)
{
    int64_t seconds = time_us / BASE_US_PER_S;
    int64_t microseconds = time_us % BASE_US_PER_S;
    if (microseconds < 0) {
        /* A Timestamp counts its fraction forward, also before 1970. */
        seconds -= 1;
        microseconds += BASE_US_PER_S;
    }
    Google__Protobuf__Timestamp *message = base_arena_take(arena, sizeof *message);
    google__protobuf__timestamp__init(message);
    message->seconds = seconds;
    message->nanos = (int32_t)(microseconds * BASE_NS_PER_US);
    return message;
}

static void message_legs(struct base_arena *arena, const struct record_transaction *transaction,
                         Zandaka__V1__Transaction *message)
{
    size_t n = transaction->n_legs;
    Zandaka__V1__Leg *legs = base_arena_take_zeroed(arena, n, sizeof *legs);
    message->n_legs = n;
    message->legs = base_arena_take_zeroed(arena, n, sizeof *message->legs);
    for (size_t i = 0; i < n; i++) {
        const struct record_leg *leg = &transaction->legs[i];
        zandaka__v1__leg__init(&legs[i]);
        legs[i].account_id = message_text(arena, leg->account_id);
        legs[i].kind = message_text(arena, leg->kind);
        legs[i].amount = leg->amount_minor;
        if (leg->has_expire_time) {
            legs[i].expire_time = message_time(arena, leg->expire_time_us);
        }
        message->legs[i] = &legs[i];
    }
}

/* In the order of the keys: a map has none of its own, and equal transactions must give equal
 * bytes. Insertion sort, since there are BASE_METADATA_MAX at most. */
static void message_metadata(struct base_arena *arena, const struct record_transaction *transaction,
                             Zandaka__V1__Transaction *message)
{
    const struct record_label *sorted[BASE_METADATA_MAX];
    size_t n = transaction->n_metadata;
    for (size_t i = 0; i < n; i++) {
        const struct record_label *label = &transaction->metadata[i];
        size_t at = i;
        while (at > 0 && base_text_compare(sorted[at - 1]->key, label->key) > 0) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = label;
    }
    Zandaka__V1__Transaction__MetadataEntry *entries =
        base_arena_take_zeroed(arena, n, sizeof *entries);
    message->n_metadata = n;
    message->metadata = base_arena_take_zeroed(arena, n, sizeof *message->metadata);
    for (size_t i = 0; i < n; i++) {
        zandaka__v1__transaction__metadata_entry__init(&entries[i]);
        entries[i].key = message_text(arena, sorted[i]->key);
        entries[i].value = message_text(arena, sorted[i]->value);
        message->metadata[i] = &entries[i];
    }
}

struct base_bytes record_encode(struct base_arena *arena,
                                const struct record_transaction *transaction)
{
    base_assert(record_is_well_formed(transaction));
    Zandaka__V1__Transaction message = ZANDAKA__V1__TRANSACTION__INIT;
    message.transaction_id = message_text(arena, transaction->transaction_id);
    message.state = (Zandaka__V1__State)transaction->state;
    message.operation = (Zandaka__V1__Operation)transaction->operation;
    message.account_id = message_text(arena, transaction->account_id);
    message_legs(arena, transaction, &message);
    message.original_transaction_id = message_text(arena, transaction->original_transaction_id);
    message.create_time = message_time(arena, transaction->create_time_us);
    message.description = message_text(arena, transaction->description);
    message_metadata(arena, transaction, &message);

    size_t length = zandaka__v1__transaction__get_packed_size(&message);
    uint8_t *bytes = base_arena_take(arena, length);
    size_t packed = zandaka__v1__transaction__pack(&message, bytes);
    base_assert(packed == length);
    return (struct base_bytes){bytes, length};
}
