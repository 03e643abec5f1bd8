/*
 * What is wrong with a request: violations gathered field by field, and the checks that every
 * command goes through. All violations of a request are told at once, so that a caller mends them
 * in one go; how many and how long they may be is bounded.
 */
#ifndef ZANDAKA_API_VALIDATE_H
#define ZANDAKA_API_VALIDATE_H

#include "base/base.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "ledger/ledger.h"

struct api_violation {
    struct base_text field;       /* the proto's path, `amounts[1].amount`; empty: the whole body */
    struct base_text description; /* what is allowed; both end in a NUL not counted */
};

struct api_violations {
    struct base_arena *arena;
    size_t bytes_max; /* one of the limits above */
    size_t n_violations;
    size_t n_bytes;
    struct api_violation *violations; /* room for BASE_VIOLATIONS_MAX, taken with the first one */
};

static inline struct api_violations api_violations_open(struct base_arena *arena, size_t bytes_max)
{
    return (struct api_violations){.arena = arena, .bytes_max = bytes_max};
}

/* Adds one, copied and cut to its limits. The first is always kept; later ones as far as there is
 * room, so "none" always means well-formed. */
void api_violations_add(struct api_violations *violations, struct base_text field,
                        struct base_text description);
/* Puts `prefix` before the field of each. */
void api_violations_place(struct api_violations *violations, struct base_text prefix);

/* Adds a violation of `field` unless the text is an id (or one that a caller may use to write). */
void api_validate_account_id(struct api_violations *violations, struct base_text field,
                             struct base_text account_id);
void api_validate_transaction_id(struct api_violations *violations, struct base_text field,
                                 struct base_text transaction_id);

/* Adds what is wrong with a command, with the paths of its request message. `command` may be
 * anything that the fields of a message can hold. */
void api_validate_command(struct api_violations *violations, const struct ledger_command *command);

/* Adds a violation unless the time (NULL: not given, *ret_time_us alone) is in Timestamp's range.
 * *ret_time_us is rounded up to the microsecond: recorded times are whole ones, and so a bound and
 * its rounding lie between the same two of them. */
void api_validate_time(struct api_violations *violations, struct base_text field,
                       const Google__Protobuf__Timestamp *time, int64_t *ret_time_us);

#endif
