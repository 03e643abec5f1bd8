/* Page tokens: base64url of the position and the checksum, 8 bytes each. */
#include "api/page_token.h"

#include <string.h>

/* Changes when the form of the token or what it covers changes. */
#define TOKEN_VERSION 1

bool api_entries_filter_add_kind(struct api_entries_filter *filter, struct base_text kind)
{
    size_t at = 0;
    while (at < filter->n_kinds && base_text_compare(filter->kinds[at], kind) < 0) {
        at++;
    }
    if (at < filter->n_kinds && base_text_equal(filter->kinds[at], kind)) {
        return true;
    }
    if (filter->n_kinds == BASE_KINDS_MAX) {
        return false;
    }
    memmove(&filter->kinds[at + 1], &filter->kinds[at],
            (filter->n_kinds - at) * sizeof filter->kinds[0]);
    filter->kinds[at] = kind;
    filter->n_kinds++;
    return true;
}

static void write_text(struct base_writer *writer, struct base_text text)
{
    base_write_varint(writer, text.length);
    base_write_bytes(writer, base_bytes_of(text));
}

/* Every part is preceded by its length or has a fixed one, so that no two filters give the same
 * bytes. */
static uint64_t token_checksum(const struct api_entries_filter *filter, int64_t below_sequence)
{
    struct base_writer writer = {NULL, 0, 0};
    base_write_u8(&writer, TOKEN_VERSION);
    write_text(&writer, filter->account_id);
    base_write_varint(&writer, filter->n_kinds);
    for (size_t i = 0; i < filter->n_kinds; i++) {
        write_text(&writer, filter->kinds[i]);
    }
    base_write_u64_be(&writer, filter->operations);
    base_write_u64_be(&writer, (uint64_t)filter->start_time_us);
    base_write_u64_be(&writer, (uint64_t)filter->end_time_us);
    base_write_u64_be(&writer, (uint64_t)below_sequence);
    uint64_t checksum = base_hash(base_writer_bytes(&writer));
    base_writer_release(&writer);
    return checksum;
}

struct base_text api_page_token_make(struct base_arena *arena,
                                     const struct api_entries_filter *filter,
                                     int64_t below_sequence)
{
    struct base_writer writer = {NULL, 0, 0};
    base_write_u64_be(&writer, (uint64_t)below_sequence);
    base_write_u64_be(&writer, token_checksum(filter, below_sequence));
    struct base_text token =
        base_base64_encode(arena, base_writer_bytes(&writer), BASE_BASE64_URL_UNPADDED);
    base_writer_release(&writer);
    base_assert(token.length <= BASE_PAGE_TOKEN_MAX_BYTES);
    return base_arena_text(arena, token);
}

bool api_page_token_read(struct base_arena *arena, const struct api_entries_filter *filter,
                         struct base_text token, int64_t *ret_below_sequence)
{
    struct base_bytes bytes;
    if (token.length > BASE_PAGE_TOKEN_MAX_BYTES ||
        !base_base64_decode(arena, token, BASE_BASE64_URL_UNPADDED, &bytes)) {
        return false;
    }
    struct base_reader reader = base_reader_of(bytes);
    int64_t below_sequence = (int64_t)base_read_u64_be(&reader);
    (void)base_read_u64_be(&reader);
    if (!base_reader_done(&reader) || below_sequence < 1) {
        return false;
    }
    /* The whole text is compared, not the bytes that it stands for: base64 has several texts for
     * the same bytes, and a token has one. */
    if (!base_text_equal(token, api_page_token_make(arena, filter, below_sequence))) {
        return false;
    }
    *ret_below_sequence = below_sequence;
    return true;
}
