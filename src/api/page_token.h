/*
 * Where a walk through an account's history goes on. A token holds a position and a checksum over
 * everything that must not change between two pages; it grants nothing, so it needs no secret, and
 * every server reads every other's (docs/api.md, ListEntries).
 */
#ifndef ZANDAKA_API_PAGE_TOKEN_H
#define ZANDAKA_API_PAGE_TOKEN_H

#include "base/base.h"

/* What a walk is over. Equal filters are equal field by field. */
struct api_entries_filter {
    struct base_text account_id;
    size_t n_kinds;                         /* 0: all kinds */
    struct base_text kinds[BASE_KINDS_MAX]; /* in the order of their bytes, each once */
    uint32_t operations;                    /* bit 1 << record_operation; UINT32_MAX: all */
    int64_t start_time_us;                  /* INT64_MIN: none */
    int64_t end_time_us;                    /* INT64_MAX: none */
};

/* Puts a kind into the filter's set. False: there is no room for it. */
bool api_entries_filter_add_kind(struct api_entries_filter *filter,
                                 struct base_text kind) BASE_MUST_USE;

/* URL-safe, in the arena, ended by a NUL not counted. `below_sequence` is 1 or more. */
struct base_text api_page_token_make(struct base_arena *arena,
                                     const struct api_entries_filter *filter,
                                     int64_t below_sequence);
/* Back. False: no token that was made for this filter, *ret_below_sequence alone. */
bool api_page_token_read(struct base_arena *arena, const struct api_entries_filter *filter,
                         struct base_text token, int64_t *ret_below_sequence) BASE_MUST_USE;

#endif
