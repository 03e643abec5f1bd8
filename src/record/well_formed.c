/* What a transaction must look like to be recorded: one rule for what is written and for what is
 * read back, so that the two cannot drift apart. */
#include "record/record.h"

/* What an operation's record looks like. */
struct form {
    enum record_state state;
    bool moves;          /* it has an account and legs */
    bool leg_may_expire; /* only what comes in can be given an expiry time */
    int64_t amount_min;  /* of a leg: the sign is the direction (contract 5, Leg) */
    int64_t amount_max;
};

static const struct form forms[] = {
    [RECORD_OPERATION_ADD] = {RECORD_STATE_SUCCEEDED, true, true, 1, BASE_AMOUNT_MAX},
    [RECORD_OPERATION_CONSUME] = {RECORD_STATE_SUCCEEDED, true, false, -BASE_AMOUNT_MAX, -1},
    [RECORD_OPERATION_CANCEL] = {RECORD_STATE_CANCELLED, false, false, 0, 0},
};

/* The operation's row, or NULL. `operation` may come from outside and be any number. */
static const struct form *form_of(enum record_operation operation)
{
    switch (operation) {
    case RECORD_OPERATION_ADD:
    case RECORD_OPERATION_CONSUME:
    case RECORD_OPERATION_CANCEL:
        return &forms[operation];
    case RECORD_OPERATION_NONE:
        break;
    }
    return NULL;
}

/* Contract 3.1. */
static bool is_id(struct base_text id)
{
    return id.length >= 1 && id.length <= BASE_ID_MAX_BYTES && base_text_is_printable_ascii(id);
}

/* Contract 5, Kind: `[a-z][a-z0-9_-]{0,31}`. */
static bool is_kind_code(struct base_text code)
{
    if (code.length < 1 || code.length > BASE_KIND_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < code.length; i++) {
        char byte = code.bytes[i];
        bool letter = byte >= 'a' && byte <= 'z';
        bool other = (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
        if (!letter && (!other || i == 0)) {
            return false;
        }
    }
    return true;
}

static bool is_time(int64_t time_us)
{
    return time_us >= BASE_TIME_MIN_US && time_us <= BASE_TIME_MAX_US;
}

static bool is_leg(const struct record_leg *leg, const struct form *form,
                   struct base_text account_id)
{
    if (!base_text_equal(leg->account_id, account_id) || !is_kind_code(leg->kind) ||
        leg->amount_minor < form->amount_min || leg->amount_minor > form->amount_max) {
        return false;
    }
    return !leg->has_expire_time || (form->leg_may_expire && is_time(leg->expire_time_us));
}

static bool are_legs(const struct record_transaction *transaction, const struct form *form)
{
    if (transaction->n_legs < 1 || transaction->n_legs > BASE_AMOUNTS_MAX) {
        return false;
    }
    for (size_t i = 0; i < transaction->n_legs; i++) {
        const struct record_leg *leg = &transaction->legs[i];
        if (!is_leg(leg, form, transaction->account_id)) {
            return false;
        }
        for (size_t earlier = 0; earlier < i; earlier++) {
            if (base_text_equal(transaction->legs[earlier].kind, leg->kind)) {
                return false;
            }
        }
    }
    return true;
}

static bool are_labels(const struct record_transaction *transaction)
{
    if (transaction->description.length > BASE_DESCRIPTION_MAX_BYTES ||
        !base_text_is_utf8(transaction->description) ||
        transaction->n_metadata > BASE_METADATA_MAX) {
        return false;
    }
    size_t total = 0; /* of checked lengths only, so it cannot overflow */
    for (size_t i = 0; i < transaction->n_metadata; i++) {
        struct base_text key = transaction->metadata[i].key;
        struct base_text value = transaction->metadata[i].value;
        if (key.length < 1 || key.length > BASE_METADATA_KEY_MAX_BYTES ||
            !base_text_is_printable_ascii(key) || value.length > BASE_METADATA_VALUE_MAX_BYTES ||
            !base_text_is_utf8(value)) {
            return false;
        }
        for (size_t earlier = 0; earlier < i; earlier++) {
            if (base_text_equal(transaction->metadata[earlier].key, key)) {
                return false;
            }
        }
        total += key.length + value.length;
    }
    return total <= BASE_METADATA_TOTAL_MAX_BYTES;
}

/* A fence holds nothing but its id: it is the same record whoever asked for it and how. */
static bool is_bare(const struct record_transaction *transaction)
{
    return transaction->account_id.length == 0 && transaction->n_legs == 0 &&
           transaction->original_transaction_id.length == 0 &&
           transaction->description.length == 0 && transaction->n_metadata == 0;
}

bool record_is_well_formed(const struct record_transaction *transaction)
{
    const struct form *form = form_of(transaction->operation);
    if (form == NULL || transaction->state != form->state || !is_id(transaction->transaction_id) ||
        !is_time(transaction->create_time_us)) {
        return false;
    }
    if (!form->moves) {
        return is_bare(transaction);
    }
    struct base_text original = transaction->original_transaction_id;
    return is_id(transaction->account_id) && (original.length == 0 || is_id(original)) &&
           are_legs(transaction, form) && are_labels(transaction);
}
