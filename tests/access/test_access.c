/* access: who is recognized, what each caller may do, how often, and what is told of refusals. */
#include "access/access.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void add_token(struct access_caller *caller, const char *token)
{
    base_sha256(base_bytes_of(base_text_of(token)), caller->token_sha256[caller->n_tokens++]);
}

/* Three callers: one by two tokens, one by two names of certificates, one by both. */
static struct access *open_three(void)
{
    const struct base_text names[] = {BASE_TEXT("settlement.internal"),
                                      BASE_TEXT("spiffe://example.org/settlement")};
    const struct base_text name[] = {BASE_TEXT("payment.internal")};
    struct access_caller callers[3] = {
        {.name = BASE_TEXT("campaign")},
        {.name = BASE_TEXT("settlement"), .n_certificate_names = 2, .certificate_names = names},
        {.name = BASE_TEXT("payment"), .n_certificate_names = 1, .certificate_names = name},
    };
    add_token(&callers[0], "zandaka_old");
    add_token(&callers[0], "zandaka_new");
    add_token(&callers[2], "zandaka_payment");
    return access_open(3, callers);
}

static void a_caller_is_recognized_by_its_token_or_its_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *authorization; /* NULL: there is none */
        const char *names[2];
        const char *caller; /* NULL: nobody */
    } rows[] = {
        {"Bearer zandaka_old", {NULL}, "campaign"},
        {"Bearer zandaka_new", {NULL}, "campaign"},
        {"bearer zandaka_new", {NULL}, "campaign"},
        {"BEARER zandaka_payment", {NULL}, "payment"},
        {NULL, {"settlement.internal"}, "settlement"},
        {NULL, {"spiffe://example.org/settlement"}, "settlement"},
        {NULL, {"other.internal", "payment.internal"}, "payment"},
        {NULL, {"settlement.internal", "spiffe://example.org/settlement"}, "settlement"},
        /* A token is the nearer word: a proxy's certificate says nothing of whom it speaks for. */
        {"Bearer zandaka_new", {"payment.internal"}, "campaign"},
        /* Nothing, or nobody's. */
        {NULL, {NULL}, NULL},
        {NULL, {"other.internal"}, NULL},
        {NULL, {"payment.internal.example.org"}, NULL},
        {NULL, {"payment.interna"}, NULL},
        {"", {NULL}, NULL},
        {"Bearer", {NULL}, NULL},
        {"Bearer ", {NULL}, NULL},
        {"Bearer zandaka_ne", {NULL}, NULL},
        {"Bearer zandaka_neww", {NULL}, NULL},
        {"Bearer zandaka_new ", {NULL}, NULL},
        {"Bearer  zandaka_new", {NULL}, NULL},
        {"Bearer ZANDAKA_NEW", {NULL}, NULL},
        {"Basic zandaka_new", {NULL}, NULL},
        {"zandaka_new", {NULL}, NULL},
        /* A wrong token is not mended by a certificate, nor one name by another caller's. */
        {"Bearer wrong", {"payment.internal"}, NULL},
        {NULL, {"payment.internal", "settlement.internal"}, NULL},
    };
    struct access *access = open_three();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct base_text names[2];
        struct access_credentials credentials = {
            .has_authorization = rows[i].authorization != NULL,
            .authorization = base_text_of(rows[i].authorization),
            .certificate_names = names,
        };
        for (size_t at = 0; at < 2 && rows[i].names[at] != NULL; at++) {
            names[credentials.n_certificate_names++] = base_text_of(rows[i].names[at]);
        }
        struct access_known *known = access_recognize(access, &credentials);
        const char *name = known == NULL ? "nobody" : access_name(known).bytes;
        if (strcmp(name, rows[i].caller == NULL ? "nobody" : rows[i].caller) != 0) {
            fail_msg("row %zu, `%s`, is %s", i, rows[i].authorization, name);
        }
        if (known != NULL) {
            access_release(known);
        }
    }
    access_close(access);
}

static struct access_known *recognize(struct access *access, const char *authorization)
{
    struct access_credentials credentials = {.has_authorization = true,
                                             .authorization = base_text_of(authorization)};
    return access_recognize(access, &credentials);
}

/* A table of one caller, `team`, by the token `t`. */
static struct access *open_one(struct access_caller caller)
{
    caller.name = BASE_TEXT("team");
    add_token(&caller, "t");
    return access_open(1, &caller);
}

static void what_is_not_limited_is_allowed(void **state)
{
    (void)state;
    struct access *access = open_one((struct access_caller){.n_methods = 0});
    struct access_known *known = recognize(access, "Bearer t");
    assert_true(access_allows_method(known, BASE_TEXT("Consume")));
    assert_true(access_allows_kind(known, BASE_TEXT("points")));
    assert_true(access_allows_id(known, BASE_TEXT("anything")));
    int64_t wait_ns;
    for (int i = 0; i < 100000; i++) {
        assert_true(access_take_call(known, 1, &wait_ns));
    }
    access_release(known);
    access_close(access);
}

static void a_limited_caller_may_do_what_its_lists_have_and_no_more(void **state)
{
    (void)state;
    static const struct {
        bool (*allows)(const struct access_known *known, struct base_text text);
        const char *text;
        bool allowed;
    } rows[] = {
        {access_allows_method, "Add", true},
        {access_allows_method, "Cancel", true},
        {access_allows_method, "Consume", false},
        {access_allows_method, "Ad", false},
        {access_allows_method, "Adds", false},
        {access_allows_method, "add", false},
        {access_allows_method, "", false},
        {access_allows_kind, "points", true},
        {access_allows_kind, "money", false},
        {access_allows_kind, "points2", false},
        {access_allows_id, "campaign-", true},
        {access_allows_id, "campaign-1", true},
        {access_allows_id, "promo/1", true},
        {access_allows_id, "campaign", false},
        {access_allows_id, "Campaign-1", false},
        {access_allows_id, "my-campaign-1", false},
        {access_allows_id, "", false},
        {access_allows_id, "zandaka:1", false},
    };
    const struct base_text methods[] = {BASE_TEXT("Add"), BASE_TEXT("Cancel")};
    const struct base_text kinds[] = {BASE_TEXT("points")};
    const struct base_text prefixes[] = {BASE_TEXT("campaign-"), BASE_TEXT("promo/")};
    struct access *access = open_one((struct access_caller){.n_methods = 2,
                                                            .methods = methods,
                                                            .n_kinds = 1,
                                                            .kinds = kinds,
                                                            .n_id_prefixes = 2,
                                                            .id_prefixes = prefixes});
    struct access_known *known = recognize(access, "Bearer t");
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].allows(known, base_text_of(rows[i].text)) != rows[i].allowed) {
            fail_msg("row %zu, `%s`", i, rows[i].text);
        }
    }
    access_release(known);
    access_close(access);
}

static void a_rate_is_a_seconds_calls_at_once_and_then_each_in_its_time(void **state)
{
    (void)state;
    static const struct {
        uint32_t rate_per_s; /* another than before: a caller that begins */
        int64_t now_ns;
        uint32_t n_calls; /* that are taken at that moment */
        int64_t wait_ns;  /* that the next one is told */
    } rows[] = {
        {10, 5 * BASE_NS_PER_S, 10, 100 * BASE_NS_PER_MS},
        {10, 5 * BASE_NS_PER_S + 99 * BASE_NS_PER_MS, 0, BASE_NS_PER_MS},
        {10, 5 * BASE_NS_PER_S + 100 * BASE_NS_PER_MS, 1, 100 * BASE_NS_PER_MS},
        {10, 5 * BASE_NS_PER_S + 350 * BASE_NS_PER_MS, 2, 50 * BASE_NS_PER_MS},
        {10, 60 * BASE_NS_PER_S, 10, 100 * BASE_NS_PER_MS},
        {1, 0, 1, BASE_NS_PER_S},
        {1, BASE_NS_PER_S - 1, 0, 1},
        {1, BASE_NS_PER_S, 1, BASE_NS_PER_S},
        {BASE_CALLER_RATE_MAX, BASE_NS_PER_S, BASE_CALLER_RATE_MAX, 1000},
        {BASE_CALLER_RATE_MAX, BASE_NS_PER_S + 5000, 5, 1000},
    };
    struct access *access = NULL;
    struct access_known *known = NULL;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (i == 0 || rows[i].rate_per_s != rows[i - 1].rate_per_s) {
            if (known != NULL) {
                access_release(known);
                access_close(access);
            }
            access = open_one((struct access_caller){.rate_per_s = rows[i].rate_per_s});
            known = recognize(access, "Bearer t");
        }
        int64_t wait_ns = 0;
        uint32_t n_calls = 0;
        while (access_take_call(known, rows[i].now_ns, &wait_ns)) {
            n_calls++;
        }
        assert_int_equal(n_calls, rows[i].n_calls);
        assert_true(wait_ns == rows[i].wait_ns);
        /* Not a nanosecond earlier; and a refusal costs nothing. */
        int64_t again_ns;
        assert_false(access_take_call(known, rows[i].now_ns + wait_ns - 1, &again_ns));
        assert_true(again_ns == 1);
    }
    access_release(known);
    access_close(access);
}

static void allowances_and_lines_are_each_callers_own(void **state)
{
    (void)state;
    struct access_caller callers[2] = {{.name = BASE_TEXT("a"), .rate_per_s = 1},
                                       {.name = BASE_TEXT("b"), .rate_per_s = 1}};
    add_token(&callers[0], "ta");
    add_token(&callers[1], "tb");
    struct access *access = access_open(2, callers);
    struct access_known *a = recognize(access, "Bearer ta");
    struct access_known *b = recognize(access, "Bearer tb");
    int64_t wait_ns;
    assert_true(access_take_call(a, 1, &wait_ns));
    assert_false(access_take_call(a, 1, &wait_ns));
    assert_true(access_take_call(b, 1, &wait_ns));
    assert_true(access_line(a) != access_line(b));
    assert_true(access_line(a) > INT64_MAX && access_line(b) > INT64_MAX);
    access_release(a);
    access_release(b);
    access_close(access);
}

static void a_call_is_judged_by_the_table_that_it_began_with(void **state)
{
    (void)state;
    const struct base_text methods[] = {BASE_TEXT("Add")};
    struct access *access =
        open_one((struct access_caller){.n_methods = 1, .methods = methods, .rate_per_s = 1});
    struct access_known *before = recognize(access, "Bearer t");
    int64_t wait_ns;
    assert_true(access_take_call(before, 1, &wait_ns));
    struct access_caller other = {.name = BASE_TEXT("team")};
    add_token(&other, "u");
    access_replace(access, 1, &other);
    assert_null(recognize(access, "Bearer t"));
    struct access_known *after = recognize(access, "Bearer u");
    assert_false(access_allows_method(before, BASE_TEXT("Consume")));
    assert_true(access_allows_method(after, BASE_TEXT("Consume")));
    assert_false(access_take_call(before, 1, &wait_ns));
    assert_true(access_take_call(after, 1, &wait_ns));
    /* Its calls stand in one line whichever table they came by. */
    assert_true(access_line(before) == access_line(after));
    access_replace(access, 0, NULL);
    assert_null(recognize(access, "Bearer u"));
    access_release(before);
    access_release(after);
    access_close(access);
}

/* --- many threads --- */

struct storm {
    struct access *access;
    _Atomic unsigned n_taken;
    _Atomic bool over;
};

static void *call_on_and_on(void *context)
{
    struct storm *storm = context;
    while (!storm->over) {
        struct access_known *known = recognize(storm->access, "Bearer t");
        base_assert(known != NULL && strcmp(access_name(known).bytes, "team") == 0);
        access_release(known);
    }
    struct access_known *known = recognize(storm->access, "Bearer t");
    int64_t wait_ns;
    for (int i = 0; i < 2000; i++) {
        storm->n_taken += access_take_call(known, 1, &wait_ns);
    }
    access_release(known);
    return NULL;
}

static void threads_see_whole_tables_and_share_one_allowance(void **state)
{
    (void)state;
    struct access_caller caller = {.name = BASE_TEXT("team"), .rate_per_s = 1000};
    add_token(&caller, "t");
    struct storm storm = {.access = access_open(1, &caller)};
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, call_on_and_on, &storm), 0);
    }
    for (int i = 0; i < 2000; i++) {
        access_replace(storm.access, 1, &caller);
    }
    storm.over = true;
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(storm.n_taken, 1000);
    access_close(storm.access);
}

/* --- refusals, names, limits --- */

/* Notes the refusals of a table's rows while standard error goes to `told`. */
static void note_rows(struct access *access, struct access_known *known, FILE *told)
{
    static const struct {
        int64_t now_ms;
        enum access_refusal refusal;
    } rows[] = {
        {5000, ACCESS_UNAUTHENTICATED}, {5999, ACCESS_DENIED},       {5999, ACCESS_RATE_LIMITED},
        {6000, ACCESS_DENIED},          {6001, ACCESS_RATE_LIMITED}, {9000, ACCESS_UNAUTHENTICATED},
        {9000, ACCESS_DENIED},
    };
    int before = dup(STDERR_FILENO);
    assert_int_equal(dup2(fileno(told), STDERR_FILENO), STDERR_FILENO);
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool nobody = rows[i].refusal == ACCESS_UNAUTHENTICATED;
        access_note_refusal(access, rows[i].refusal, nobody ? NULL : known, BASE_TEXT("Consume"),
                            rows[i].now_ms * BASE_NS_PER_MS);
    }
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(before), 0);
}

static void refusals_are_counted_and_told_once_a_second(void **state)
{
    (void)state;
    struct access *access = open_one((struct access_caller){.n_methods = 0});
    struct access_known *known = recognize(access, "Bearer t");
    FILE *told = tmpfile();
    note_rows(access, known, told);
    rewind(told);
    char text[2048];
    text[fread(text, 1, sizeof text - 1, told)] = '\0';
    assert_int_equal(fclose(told), 0);
    static const char *const lines[] = {
        "a caller was not recognized: Consume\n",
        "the caller team was denied: Consume (and 2 refusals before it)\n",
        "a caller was not recognized: Consume (and 1 refusal before it)\n",
    };
    const char *rest = text;
    for (size_t i = 0; i < COUNT(lines); i++) {
        rest = strstr(rest, lines[i]);
        if (rest == NULL) {
            fail_msg("no `%s` in its place in:\n%s", lines[i], text);
        }
        rest += strlen(lines[i]);
    }
    assert_string_equal(rest, "");
    assert_int_equal(access_count_refusals(access, ACCESS_UNAUTHENTICATED), 2);
    assert_int_equal(access_count_refusals(access, ACCESS_DENIED), 3);
    assert_int_equal(access_count_refusals(access, ACCESS_RATE_LIMITED), 2);
    access_release(known);
    access_close(access);
}

static void names_are_such_as_may_stand_in_a_log(void **state)
{
    (void)state;
    char longest[BASE_CALLER_MAX_BYTES + 1];
    memset(longest, 'a', sizeof longest);
    assert_null(access_check_name((struct base_text){longest, BASE_CALLER_MAX_BYTES}));
    assert_non_null(access_check_name((struct base_text){longest, BASE_CALLER_MAX_BYTES + 1}));
    assert_null(access_check_name(BASE_TEXT("Team-1.payments_eu")));
    const struct base_text wrong[] = {
        BASE_TEXT(""),    BASE_TEXT("a b"),  BASE_TEXT("a\nb"),        BASE_TEXT("a\0b"),
        BASE_TEXT("a/b"), BASE_TEXT("a\"b"), BASE_TEXT("caf\xC3\xA9"),
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_non_null(access_check_name(wrong[i]));
    }
}

static void every_caller_of_a_full_table_is_found(void **state)
{
    (void)state;
    static struct access_caller callers[BASE_CALLERS_MAX];
    static char names[BASE_CALLERS_MAX][32];
    for (size_t i = 0; i < BASE_CALLERS_MAX; i++) {
        char token[32];
        (void)snprintf(names[i], sizeof names[i], "caller-%zu", i);
        callers[i] = (struct access_caller){.name = base_text_of(names[i])};
        for (int at = 0; at < BASE_CALLER_TOKENS_MAX; at++) {
            (void)snprintf(token, sizeof token, "%zu-%d", i, at);
            add_token(&callers[i], token);
        }
    }
    struct access *access = access_open(BASE_CALLERS_MAX, callers);
    for (size_t i = 0; i < BASE_CALLERS_MAX; i++) {
        char authorization[48];
        (void)snprintf(authorization, sizeof authorization, "Bearer %zu-%zu", i, i % 2);
        struct access_known *known = recognize(access, authorization);
        assert_non_null(known);
        assert_string_equal(access_name(known).bytes, names[i]);
        access_release(known);
    }
    access_close(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_is_recognized_by_its_token_or_its_certificate),
        cmocka_unit_test(what_is_not_limited_is_allowed),
        cmocka_unit_test(a_limited_caller_may_do_what_its_lists_have_and_no_more),
        cmocka_unit_test(a_rate_is_a_seconds_calls_at_once_and_then_each_in_its_time),
        cmocka_unit_test(allowances_and_lines_are_each_callers_own),
        cmocka_unit_test(a_call_is_judged_by_the_table_that_it_began_with),
        cmocka_unit_test(threads_see_whole_tables_and_share_one_allowance),
        cmocka_unit_test(refusals_are_counted_and_told_once_a_second),
        cmocka_unit_test(names_are_such_as_may_stand_in_a_log),
        cmocka_unit_test(every_caller_of_a_full_table_is_found),
    };
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
