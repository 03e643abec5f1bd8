/*
 * Records, as a store gives them back: bytes that are taken are what would be written for the
 * transaction in them, and that is the same content as itself.
 */
#include "fuzz.h"
#include "record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct record_transaction transaction;
    struct base_bytes record = {bytes, length};
    if (record_decode(&arena, record, &transaction)) {
        base_assert(record_is_well_formed(&transaction));
        struct base_bytes again = record_encode(&arena, &transaction);
        struct record_transaction decoded;
        base_assert(record_decode(&arena, again, &decoded));
        base_assert(base_bytes_equal(record_encode(&arena, &decoded), again));
        base_assert(record_compare(&transaction, &decoded) == 0);
        base_assert(base_bytes_equal(again, record));
    }
    base_arena_release(&arena);
    return 0;
}
