/* The rules of a well-formed request (contract 3.1, 3.10 and docs/api.md, Limits). */
#include "api/validate.h"

#include "api/api.h"

/* The texts below tell the limits as numbers. */
static_assert(BASE_ID_MAX_BYTES == 64, "told in a text");
static_assert(BASE_KIND_MAX_BYTES == 32, "told in a text");
static_assert(BASE_AMOUNTS_MAX == 16, "told in a text");
static_assert(BASE_AMOUNT_MAX == 1000000000000000, "told in a text");
static_assert(BASE_DESCRIPTION_MAX_BYTES == 256, "told in a text");
static_assert(BASE_METADATA_MAX == 16, "told in a text");
static_assert(BASE_METADATA_KEY_MAX_BYTES == 64, "told in a text");
static_assert(BASE_METADATA_VALUE_MAX_BYTES == 256, "told in a text");
static_assert(BASE_METADATA_TOTAL_MAX_BYTES == 1024, "told in a text");

#define ID_RULE "must be 1 to 64 bytes of printable ASCII (0x21 to 0x7E)"
#define RESERVED_RULE "must not begin with " BASE_RESERVED_ID_PREFIX ", which the service keeps"
#define KIND_RULE "must be a kind's code: [a-z][a-z0-9_-]{0,31}"
#define AMOUNT_RULE "must be 1 to 1000000000000000 minor units"
#define AMOUNTS_RULE "must be 1 to 16 amounts"
#define DESCRIPTION_RULE "must be at most 256 bytes of UTF-8 without NUL"
#define METADATA_RULE "must be at most 16 entries and 1024 bytes in all"
#define KEY_RULE "must have keys of 1 to 64 bytes of printable ASCII (0x21 to 0x7E)"
#define KEY_TWICE_RULE "must not have a key twice"
#define VALUE_RULE "must be at most 256 bytes of UTF-8 without NUL"
#define TIME_RULE "must be from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z"

/* --- gathering --- */

/* The front of `text`, at most `limit` bytes, without half a character at its end. */
static struct base_text cut(struct base_text text, size_t limit)
{
    if (text.length > limit) {
        text.length = limit;
        while (text.length > 0 && ((uint8_t)text.bytes[text.length] & 0xC0) == 0x80) {
            text.length--;
        }
    }
    /* What goes out must be UTF-8, whatever the caller sent. */
    return base_text_is_utf8(text) ? text : BASE_TEXT("");
}

void api_violations_add(struct api_violations *violations, struct base_text field,
                        struct base_text description)
{
    if (violations->violations == NULL) {
        violations->violations = base_arena_take(
            violations->arena, BASE_VIOLATIONS_MAX * sizeof violations->violations[0]);
    }
    field = cut(field, BASE_VIOLATION_FIELD_MAX_BYTES);
    description = cut(description, BASE_VIOLATION_DESCRIPTION_MAX_BYTES);
    size_t n_bytes = violations->n_bytes + field.length + description.length;
    if (violations->n_violations == BASE_VIOLATIONS_MAX ||
        (violations->n_violations > 0 && n_bytes > violations->bytes_max)) {
        return;
    }
    violations->n_bytes = n_bytes;
    violations->violations[violations->n_violations++] = (struct api_violation){
        .field = base_arena_text(violations->arena, field),
        .description = base_arena_text(violations->arena, description),
    };
}

void api_violations_place(struct api_violations *violations, struct base_text prefix)
{
    for (size_t i = 0; i < violations->n_violations; i++) {
        struct base_text *field = &violations->violations[i].field;
        *field = base_arena_print(violations->arena, "%.*s%.*s", BASE_TEXT_ARGS(prefix),
                                  BASE_TEXT_ARGS(*field));
    }
}

static void add_if_wrong(struct api_violations *violations, struct base_text field,
                         const char *wrong)
{
    if (wrong != NULL) {
        api_violations_add(violations, field, base_text_of(wrong));
    }
}

/* --- single values --- */

static bool is_id(struct base_text text)
{
    return text.length >= 1 && text.length <= BASE_ID_MAX_BYTES &&
           base_text_is_printable_ascii(text);
}

const char *api_check_account_id(struct base_text account_id)
{
    return is_id(account_id) ? NULL : ID_RULE;
}

const char *api_check_transaction_id(struct base_text transaction_id)
{
    if (!is_id(transaction_id)) {
        return ID_RULE;
    }
    return base_text_starts_with(transaction_id, BASE_TEXT(BASE_RESERVED_ID_PREFIX)) ? RESERVED_RULE
                                                                                     : NULL;
}

const char *api_check_kind_code(struct base_text code)
{
    if (code.length < 1 || code.length > BASE_KIND_MAX_BYTES) {
        return KIND_RULE;
    }
    for (size_t i = 0; i < code.length; i++) {
        char byte = code.bytes[i];
        bool letter = byte >= 'a' && byte <= 'z';
        bool later = (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
        if (!letter && (i == 0 || !later)) {
            return KIND_RULE;
        }
    }
    return NULL;
}

void api_validate_account_id(struct api_violations *violations, struct base_text field,
                             struct base_text account_id)
{
    add_if_wrong(violations, field, api_check_account_id(account_id));
}

void api_validate_transaction_id(struct api_violations *violations, struct base_text field,
                                 struct base_text transaction_id)
{
    add_if_wrong(violations, field, api_check_transaction_id(transaction_id));
}

void api_validate_time(struct api_violations *violations, struct base_text field,
                       const Google__Protobuf__Timestamp *time, int64_t *ret_time_us)
{
    if (time == NULL) {
        return;
    }
    if (time->seconds < BASE_TIME_MIN_US / BASE_US_PER_S ||
        time->seconds > BASE_TIME_MAX_US / BASE_US_PER_S || time->nanos < 0 ||
        time->nanos >= BASE_NS_PER_S) {
        api_violations_add(violations, field, BASE_TEXT(TIME_RULE));
        return;
    }
    *ret_time_us =
        time->seconds * BASE_US_PER_S + (time->nanos + BASE_NS_PER_US - 1) / BASE_NS_PER_US;
}

/* --- commands --- */

static void validate_amount(struct api_violations *violations, const struct ledger_amount *amounts,
                            size_t index)
{
    const struct ledger_amount *amount = &amounts[index];
    const char *wrong = api_check_kind_code(amount->kind);
    if (wrong != NULL) {
        api_violations_add(violations,
                           base_arena_print(violations->arena, "amounts[%zu].kind", index),
                           base_text_of(wrong));
    }
    for (size_t before = 0; wrong == NULL && before < index; before++) {
        if (base_text_equal(amounts[before].kind, amount->kind)) {
            api_violations_add(
                violations, base_arena_print(violations->arena, "amounts[%zu].kind", index),
                base_arena_print(violations->arena, "must not repeat the kind of amounts[%zu]",
                                 before));
            break;
        }
    }
    if (amount->amount_minor < 1 || amount->amount_minor > BASE_AMOUNT_MAX) {
        api_violations_add(violations,
                           base_arena_print(violations->arena, "amounts[%zu].amount", index),
                           BASE_TEXT(AMOUNT_RULE));
    }
}

static void validate_label(struct api_violations *violations, const struct record_label *metadata,
                           size_t index)
{
    const struct record_label *label = &metadata[index];
    if (label->key.length < 1 || label->key.length > BASE_METADATA_KEY_MAX_BYTES ||
        !base_text_is_printable_ascii(label->key)) {
        api_violations_add(violations, BASE_TEXT("metadata"), BASE_TEXT(KEY_RULE));
        return; /* the key is not fit to name its value by */
    }
    for (size_t before = 0; before < index; before++) {
        if (base_text_equal(metadata[before].key, label->key)) {
            api_violations_add(violations, BASE_TEXT("metadata"), BASE_TEXT(KEY_TWICE_RULE));
            break;
        }
    }
    if (label->value.length > BASE_METADATA_VALUE_MAX_BYTES || !base_text_is_utf8(label->value)) {
        api_violations_add(
            violations,
            base_arena_print(violations->arena, "metadata[\"%.*s\"]", BASE_TEXT_ARGS(label->key)),
            BASE_TEXT(VALUE_RULE));
    }
}

static void validate_labels(struct api_violations *violations, const struct ledger_command *command)
{
    if (command->description.length > BASE_DESCRIPTION_MAX_BYTES ||
        !base_text_is_utf8(command->description)) {
        api_violations_add(violations, BASE_TEXT("description"), BASE_TEXT(DESCRIPTION_RULE));
    }
    size_t total = 0;
    for (size_t i = 0; i < command->n_metadata; i++) {
        total += command->metadata[i].key.length + command->metadata[i].value.length;
    }
    if (command->n_metadata > BASE_METADATA_MAX || total > BASE_METADATA_TOTAL_MAX_BYTES) {
        api_violations_add(violations, BASE_TEXT("metadata"), BASE_TEXT(METADATA_RULE));
    }
    for (size_t i = 0; i < command->n_metadata && i < BASE_METADATA_MAX; i++) {
        validate_label(violations, command->metadata, i);
    }
}

void api_validate_command(struct api_violations *violations, const struct ledger_command *command)
{
    api_validate_transaction_id(violations, BASE_TEXT("transaction_id"), command->transaction_id);
    if (command->operation == RECORD_OPERATION_CANCEL) {
        return; /* has nothing else */
    }
    api_validate_account_id(violations, BASE_TEXT("account_id"), command->account_id);
    if (command->n_amounts < 1 || command->n_amounts > BASE_AMOUNTS_MAX) {
        api_violations_add(violations, BASE_TEXT("amounts"), BASE_TEXT(AMOUNTS_RULE));
    }
    for (size_t i = 0; i < command->n_amounts && i < BASE_AMOUNTS_MAX; i++) {
        validate_amount(violations, command->amounts, i);
    }
    validate_labels(violations, command);
}

const char *api_check_command(struct base_arena *arena, const struct ledger_command *command)
{
    struct api_violations violations = api_violations_open(arena, BASE_VIOLATIONS_MAX_BYTES);
    api_validate_command(&violations, command);
    if (violations.n_violations == 0) {
        return NULL;
    }
    const struct api_violation *first = &violations.violations[0];
    return base_arena_print(arena, "%.*s: %.*s", BASE_TEXT_ARGS(first->field),
                            BASE_TEXT_ARGS(first->description))
        .bytes;
}
