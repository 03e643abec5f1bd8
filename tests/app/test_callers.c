/* app: the callers' file is what it says, or an error that names its file and line. */
#include "app/callers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define HASH2 "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
#define HASH3 "FD61A03AF4F77D870FC21E05E7E80678095C92D808CFB3B5C279EE04C74ACA13"
#define TOKEN "token_sha256 = " HASH "\n"

static const struct ledger_kinds *two_kinds(void)
{
    static struct ledger_kinds kinds;
    kinds.n_kinds = 2;
    kinds.kinds[0].code = BASE_TEXT("points");
    kinds.kinds[1].code = BASE_TEXT("money");
    kinds.kinds[1].withdrawn = true;
    return &kinds;
}

/* Loads `text` as a file. NULL: sound; otherwise the message behind `FILE:`. */
static const char *load(struct base_arena *arena, const char *text, struct app_callers *ret_callers)
{
    char path[] = "/tmp/zandaka-callers-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    struct base_text message;
    bool sound = app_callers_load(arena, path, two_kinds(), ret_callers, &message);
    assert_int_equal(unlink(path), 0);
    if (sound) {
        return NULL;
    }
    assert_true(base_text_starts_with(message, base_text_of(path)));
    return message.bytes + strlen(path) + 1;
}

static void assert_texts(size_t n, const struct base_text *texts, const char *expected)
{
    char joined[512] = "";
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(texts[i].bytes[texts[i].length], '\0');
        strcat(strcat(joined, i > 0 ? "|" : ""), texts[i].bytes);
    }
    assert_string_equal(joined, expected);
}

static void a_file_is_read_as_the_manual_shows_it(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_callers callers;
    const char *wrong = load(&arena,
                             "; who may call\n"
                             "[caller.campaign]\n"
                             "token_sha256 = " HASH "   ; since May\n"
                             "methods = Add,Cancel , GetTransaction\n"
                             "kinds   = points\n"
                             "ids     = campaign-, promo-\n"
                             "rate    = 500\n"
                             "[caller.payment]\n"
                             "token_sha256 = " HASH2 ", " HASH3 "\n"
                             "certificate_names = Payment.Internal, spiffe://example.org/Payment\n",
                             &callers);
    if (wrong != NULL) {
        fail_msg("%s", wrong);
    }
    assert_int_equal(callers.n_callers, 2);
    const struct access_caller *campaign = &callers.callers[0];
    assert_string_equal(campaign->name.bytes, "campaign");
    assert_int_equal(campaign->n_tokens, 1);
    assert_int_equal(campaign->n_certificate_names, 0);
    assert_texts(campaign->n_methods, campaign->methods, "Add|Cancel|GetTransaction");
    assert_texts(campaign->n_kinds, campaign->kinds, "points");
    assert_texts(campaign->n_id_prefixes, campaign->id_prefixes, "campaign-|promo-");
    assert_int_equal(campaign->rate_per_s, 500);
    const struct access_caller *payment = &callers.callers[1];
    assert_int_equal(payment->n_tokens, 2);
    uint8_t digest[BASE_SHA256_BYTES];
    base_sha256(base_bytes_of(BASE_TEXT("test")), digest);
    assert_memory_equal(campaign->token_sha256[0], digest, sizeof digest);
    base_sha256(base_bytes_of(BASE_TEXT("test3")), digest);
    assert_memory_equal(payment->token_sha256[1], digest, sizeof digest);
    assert_texts(payment->n_certificate_names, payment->certificate_names,
                 "payment.internal|spiffe://example.org/Payment");
    assert_int_equal(payment->n_methods + payment->n_kinds + payment->n_id_prefixes, 0);
    assert_int_equal(payment->rate_per_s, 0);
    base_arena_release(&arena);
}

static void every_slip_is_an_error_that_names_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message; /* how it begins */
    } rows[] = {
        {"", "0: there is no caller"},
        {"; nothing\n", "1: there is no caller"},
        {"[server]\n", "1: the section [server] is unknown; there is [caller.NAME]"},
        {"[callers.a]\n", "1: the section [callers.a] is unknown"},
        {"[caller.]\n", "1: the caller ``: a caller's name is 1 to 64"},
        {"[caller.a b]\n", "1: the caller `a b`: a caller's name"},
        {TOKEN, "1: the key `token_sha256` stands in no section"},
        {"[caller.a]\n" TOKEN "[caller.a]\n", "3: the section [caller.a] stands twice"},
        {"[caller.a]\nrate = 1\n[caller.b]\n" TOKEN,
         "3: the section [caller.a] above has neither token_sha256 nor certificate_names"},
        {"[caller.a]\n", "1: the section [caller.a] above has neither"},
        {"[caller.a]\ntoken = x\n",
         "2: the key `token` is unknown in this section; there are token_sha256, "
         "certificate_names, methods, kinds, ids, rate"},
        {"[caller.a]\n" TOKEN TOKEN, "3: the key `token_sha256` stands twice"},
        {"[caller.a]\ntoken_sha256 =\n", "2: the key `token_sha256` has no value"},
        {"[caller.a]\ntoken_sha256 = 9f86\n", "2: token_sha256 is the SHA-256 of a token"},
        {"[caller.a]\ntoken_sha256 = " HASH "0\n", "2: token_sha256 is the SHA-256"},
        {"[caller.a]\ntoken_sha256 = zandaka_secret\n", "2: token_sha256 is the SHA-256"},
        {"[caller.a]\ntoken_sha256 = g" HASH "\n", "2: token_sha256 is the SHA-256"},
        {"[caller.a]\ntoken_sha256 = " HASH ", " HASH "\n", "2: this token is that of a"},
        {"[caller.a]\n" TOKEN "[caller.b]\n" TOKEN, "4: this token is that of a"},
        {"[caller.a]\ntoken_sha256 = " HASH "," HASH2 "," HASH3 "\n",
         "2: the line is longer than 198 bytes"},
        {"[caller.a]\ncertificate_names = *.internal\n", "2: `*.internal` is no name of a"},
        {"[caller.a]\ncertificate_names = a b\n", "2: `a b` is no name of a certificate"},
        {"[caller.a]\ncertificate_names = x.org\n[caller.b]\ncertificate_names = y, X.org\n",
         "4: the certificate name x.org is that of a"},
        {"[caller.a]\n" TOKEN "methods = Add,\n", "3: an element of the list is empty"},
        {"[caller.a]\n" TOKEN "methods = ,Add\n", "3: an element of the list is empty"},
        {"[caller.a]\n" TOKEN "methods = Add,,Cancel\n", "3: an element of the list is empty"},
        {"[caller.a]\n" TOKEN "methods = add\n", "3: there is no method add; there are Add, "},
        {"[caller.a]\n" TOKEN "methods = Add Cancel\n", "3: there is no method Add Cancel"},
        {"[caller.a]\n" TOKEN "kinds = points, gold\n", "3: the kind gold is not configured"},
        {"[caller.a]\n" TOKEN "ids = zandaka:\n", "3: no transaction id begins with `zandaka:`"},
        {"[caller.a]\n" TOKEN "ids = a b\n", "3: no transaction id begins with `a b`"},
        {"[caller.a]\n" TOKEN "rate = 0\n", "3: rate is 1 to 1000000 calls a second"},
        {"[caller.a]\n" TOKEN "rate = 1000001\n", "3: rate is 1 to 1000000 calls a second"},
        {"[caller.a]\n" TOKEN "rate = 10/s\n", "3: rate is 1 to 1000000 calls a second"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct base_arena arena = BASE_ARENA_EMPTY;
        struct app_callers callers = {77, NULL};
        const char *wrong = load(&arena, rows[i].text, &callers);
        if (wrong == NULL || strncmp(wrong, rows[i].message, strlen(rows[i].message)) != 0) {
            fail_msg("%s\nis told as `%s`", rows[i].text, wrong);
        }
        assert_int_equal(callers.n_callers, 77);
        base_arena_release(&arena);
    }
}

static void what_is_just_within_its_limit_is_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[caller.a]\n" TOKEN "rate = 1000000\n",
        "[caller.a]\n" TOKEN "rate = 1\n",
        "[caller.a]\n" TOKEN "kinds = points, money\n",
        "[caller.a]\ncertificate_names = urn:a\n",
        "[caller.a]\n" TOKEN
        "ids = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,A,B,C,D,E,F,"
        "G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U,V,W,X,Y,Z,0,1,2,3,4,5,6,7,8,9,-,.\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct base_arena arena = BASE_ARENA_EMPTY;
        struct app_callers callers;
        const char *wrong = load(&arena, texts[i], &callers);
        if (wrong != NULL) {
            fail_msg("%s\nis told as `%s`", texts[i], wrong);
        }
        base_arena_release(&arena);
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_callers callers;
    const char *wrong =
        load(&arena,
             "[caller.a]\n" TOKEN
             "ids = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,A,B,C,D,E,F,"
             "G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U,V,W,X,Y,Z,0,1,2,3,4,5,6,7,8,9,-,.,_\n",
             &callers);
    assert_string_equal(wrong, "3: more than 64 elements in a list");
    base_arena_release(&arena);
}

static void there_may_be_256_callers_and_no_more(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_writer text = {NULL, 0, 0};
    for (size_t i = 0; i <= BASE_CALLERS_MAX; i++) {
        struct app_callers callers;
        struct base_text section =
            base_arena_print(&arena, "[caller.c%zu]\ncertificate_names = c%zu.internal\n", i, i);
        base_write_bytes(&text, base_bytes_of(section));
        base_write_u8(&text, '\0');
        if (i == BASE_CALLERS_MAX - 1) {
            assert_null(load(&arena, (const char *)text.bytes, &callers));
            assert_int_equal(callers.n_callers, BASE_CALLERS_MAX);
        } else if (i == BASE_CALLERS_MAX) {
            assert_string_equal(load(&arena, (const char *)text.bytes, &callers),
                                "513: more than 256 callers");
        }
        text.length--;
    }
    base_writer_release(&text);
    base_arena_release(&arena);
}

static void a_file_that_is_not_there_is_told(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_callers callers;
    struct base_text message;
    assert_false(app_callers_load(&arena, "/nowhere/callers.ini", two_kinds(), &callers, &message));
    assert_string_equal(message.bytes,
                        "cannot read /nowhere/callers.ini: No such file or directory");
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_as_the_manual_shows_it),
        cmocka_unit_test(every_slip_is_an_error_that_names_its_line),
        cmocka_unit_test(what_is_just_within_its_limit_is_taken),
        cmocka_unit_test(there_may_be_256_callers_and_no_more),
        cmocka_unit_test(a_file_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests_name("app callers", tests, NULL, NULL);
}
