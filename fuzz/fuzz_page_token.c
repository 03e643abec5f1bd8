/*
 * Page tokens. The input is a filter (a position, a choice of operations, lengths of the account's
 * id and of a kind, and both) and, behind it, a token, or changes to the filter's own.
 *
 *  1. The filter's own token gives its position back.
 *  2. A token that is taken is the filter's own for the position that it gives: no other text.
 *  3. A refused token leaves the position alone.
 */
#include "api/page_token.h"
#include "fuzz.h"

#include <string.h>

static void check(struct base_arena *arena, const struct api_entries_filter *filter,
                  struct base_text token)
{
    int64_t below_sequence = -7;
    if (!api_page_token_read(arena, filter, token, &below_sequence)) {
        base_assert(below_sequence == -7);
        return;
    }
    base_assert(below_sequence >= 1);
    base_assert(base_text_equal(api_page_token_make(arena, filter, below_sequence), token));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_reader reader = base_reader_of((struct base_bytes){bytes, length});
    uint64_t number = base_read_u64_be(&reader);
    uint8_t operations = base_read_u8(&reader);
    struct base_bytes account_id = base_read_bytes(&reader, base_read_u8(&reader) % 65);
    struct base_bytes kind = base_read_bytes(&reader, base_read_u8(&reader) % 33);
    if (reader.failed) {
        base_arena_release(&arena);
        return -1;
    }
    struct api_entries_filter filter = {.account_id = base_text_from(account_id),
                                        .operations = operations == 0 ? UINT32_MAX : operations,
                                        .start_time_us = INT64_MIN,
                                        .end_time_us = INT64_MAX};
    if (kind.length > 0) {
        base_assert(api_entries_filter_add_kind(&filter, base_text_from(kind)));
    }
    int64_t position = (int64_t)(number >> 1) + (number < UINT64_MAX - 1 ? 1 : 0);
    struct base_text own = api_page_token_make(&arena, &filter, position);
    int64_t read = 0;
    base_assert(api_page_token_read(&arena, &filter, own, &read) && read == position);

    struct base_text rest = {(const char *)reader.at, (size_t)(reader.end - reader.at)};
    check(&arena, &filter, rest);
    char changed[BASE_PAGE_TOKEN_MAX_BYTES];
    memcpy(changed, own.bytes, own.length);
    for (size_t i = 0; i < rest.length && i < own.length; i++) {
        changed[i] = (char)((uint8_t)changed[i] ^ (uint8_t)rest.bytes[i]);
    }
    check(&arena, &filter, (struct base_text){changed, own.length});
    base_arena_release(&arena);
    return 0;
}
