/* Page tokens come back for the same walk, and for nothing else. */
#include "api/page_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct api_entries_filter filter_of_all(const char *account_id)
{
    return (struct api_entries_filter){.account_id = base_text_of(account_id),
                                       .operations = UINT32_MAX,
                                       .start_time_us = INT64_MIN,
                                       .end_time_us = INT64_MAX};
}

static struct api_entries_filter with_kinds(struct api_entries_filter filter, const char *one,
                                            const char *two)
{
    assert_true(api_entries_filter_add_kind(&filter, base_text_of(one)));
    assert_true(api_entries_filter_add_kind(&filter, base_text_of(two)));
    return filter;
}

static bool reads(const struct api_entries_filter *filter, struct base_text token,
                  int64_t *ret_position)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    bool taken = api_page_token_read(&arena, filter, token, ret_position);
    base_arena_release(&arena);
    return taken;
}

static void a_token_gives_its_position_back(void **state)
{
    (void)state;
    static const int64_t positions[] = {1, 2, 51, 1000000, INT64_MAX};
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter filter = filter_of_all("alice");
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        struct base_text token = api_page_token_make(&arena, &filter, positions[i]);
        assert_true(token.length > 0 && token.length <= BASE_PAGE_TOKEN_MAX_BYTES);
        assert_int_equal(strlen(token.bytes), token.length);
        int64_t position = 0;
        assert_true(reads(&filter, token, &position));
        assert_true(position == positions[i]);
    }
    base_arena_release(&arena);
}

static void a_token_is_url_safe(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter filter = filter_of_all("alice");
    for (int64_t position = 1; position <= 1000; position++) {
        struct base_text token = api_page_token_make(&arena, &filter, position);
        for (size_t i = 0; i < token.length; i++) {
            assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789-_",
                                   token.bytes[i]));
        }
    }
    base_arena_release(&arena);
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter filter = filter_of_all("alice");
    struct base_text token = api_page_token_make(&arena, &filter, 51);
    for (size_t bit = 0; bit < token.length * 8; bit++) {
        char changed[BASE_PAGE_TOKEN_MAX_BYTES];
        memcpy(changed, token.bytes, token.length);
        changed[bit / 8] = (char)((uint8_t)changed[bit / 8] ^ 1u << bit % 8);
        int64_t position = 77;
        assert_false(reads(&filter, (struct base_text){changed, token.length}, &position));
        assert_true(position == 77);
    }
    base_arena_release(&arena);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter filter = filter_of_all("alice");
    struct base_text token = api_page_token_make(&arena, &filter, 51);
    int64_t position;
    assert_true(reads(&filter, token, &position));
    for (size_t length = 0; length < token.length; length++) {
        assert_false(reads(&filter, (struct base_text){token.bytes, length}, &position));
    }
    static const char *const suffixes[] = {"=", "==", "A", "AAAA", " ", "\n"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        struct base_text longer =
            base_arena_print(&arena, "%.*s%s", BASE_TEXT_ARGS(token), suffixes[i]);
        assert_false(reads(&filter, longer, &position));
    }
    char zeros[BASE_PAGE_TOKEN_MAX_BYTES + 1];
    memset(zeros, 'A', sizeof zeros);
    for (size_t length = 0; length <= sizeof zeros; length++) {
        assert_false(reads(&filter, (struct base_text){zeros, length}, &position));
    }
    /* A position that no walk has, with the right checksum. */
    assert_false(reads(&filter, api_page_token_make(&arena, &filter, 0), &position));
    assert_false(reads(&filter, api_page_token_make(&arena, &filter, -1), &position));
    base_arena_release(&arena);
}

static void changed_filters_are_refused(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter filters[] = {
        filter_of_all("alice"),
        filter_of_all("alicf"),
        filter_of_all("alicepoints"),
        with_kinds(filter_of_all("alice"), "money", "money"),
        with_kinds(filter_of_all("alice"), "money", "points"),
        with_kinds(filter_of_all("alice"), "moneyp", "oints"),
        filter_of_all("alice"),
        filter_of_all("alice"),
        filter_of_all("alice"),
        filter_of_all("alice"),
        filter_of_all("alice"),
    };
    filters[6].operations = 1u << 1;
    filters[7].operations = 1u << 1 | 1u << 2;
    filters[8].start_time_us = 0;
    filters[9].end_time_us = 0;
    filters[10].start_time_us = 1;
    size_t n = sizeof filters / sizeof filters[0];
    for (size_t made = 0; made < n; made++) {
        struct base_text token = api_page_token_make(&arena, &filters[made], 51);
        for (size_t read = 0; read < n; read++) {
            int64_t position;
            assert_int_equal(reads(&filters[read], token, &position), made == read);
        }
    }
    base_arena_release(&arena);
}

static void kinds_are_a_set(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter one = with_kinds(filter_of_all("alice"), "money", "points");
    struct api_entries_filter two = with_kinds(filter_of_all("alice"), "points", "money");
    assert_true(api_entries_filter_add_kind(&two, BASE_TEXT("points")));
    int64_t position = 0;
    assert_true(reads(&two, api_page_token_make(&arena, &one, 51), &position));
    assert_true(position == 51);
    base_arena_release(&arena);
}

static void a_filter_takes_64_kinds_and_no_more(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter filter = filter_of_all("alice");
    for (int i = 0; i < BASE_KINDS_MAX; i++) {
        assert_true(api_entries_filter_add_kind(&filter, base_arena_print(&arena, "k%d", i)));
    }
    assert_true(api_entries_filter_add_kind(&filter, BASE_TEXT("k0")));
    assert_false(api_entries_filter_add_kind(&filter, BASE_TEXT("k64")));
    base_arena_release(&arena);
}

/* The same on every machine and in every version, so that a walk goes on at another server. */
static void a_token_has_one_text_for_ever(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct api_entries_filter filter = with_kinds(filter_of_all("alice"), "points", "money");
    filter.start_time_us = 1764028800000000;
    struct base_text token = api_page_token_make(&arena, &filter, 51);
    assert_string_equal(token.bytes, "AAAAAAAAADMYbYeMk_PVtg");
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_its_position_back),
        cmocka_unit_test(a_token_is_url_safe),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(changed_filters_are_refused),
        cmocka_unit_test(kinds_are_a_set),
        cmocka_unit_test(a_filter_takes_64_kinds_and_no_more),
        cmocka_unit_test(a_token_has_one_text_for_ever),
    };
    return cmocka_run_group_tests_name("page_token", tests, NULL, NULL);
}
