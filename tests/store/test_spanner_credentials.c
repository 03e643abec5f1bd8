/*
 * store: the tokens that a service account's key signs for the Spanner store. Keys are made here
 * and thrown away; signatures are verified with the public key. No token has met Google.
 */
#include "store/spanner/credentials.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_S INT64_C(1764028800)
#define NOW_US (NOW_S * 1000000)
#define S_US INT64_C(1000000)
#define EMAIL "zandaka@project.iam.gserviceaccount.com"

/* --- keys and key files --- */

/* The key in PEM (PKCS #8, as Google gives it), with a password or NULL, in the arena. */
static const char *print_pem(EVP_PKEY *key, const char *password, struct base_arena *arena)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *bytes;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(out, key,
                                                   password == NULL ? NULL : EVP_aes_128_cbc(),
                                                   NULL, 0, NULL, (void *)(uintptr_t)password),
                     1);
    long length = BIO_get_mem_data(out, &bytes);
    const char *pem = base_arena_text(arena, (struct base_text){bytes, (size_t)length}).bytes;
    BIO_free(out);
    return pem;
}

/* A key file with these fields; a NULL one is left out. In the arena. */
static const char *print_key_file(const char *type, const char *key_id, const char *email,
                                  const char *pem, struct base_arena *arena)
{
    const char *const fields[][2] = {
        {"type", type}, {"private_key_id", key_id}, {"client_email", email}, {"private_key", pem}};
    json_t *json = json_pack("{s:s}", "project_id", "project");
    for (size_t i = 0; i < 4; i++) {
        if (fields[i][1] != NULL) {
            assert_int_equal(json_object_set_new(json, fields[i][0], json_string(fields[i][1])), 0);
        }
    }
    char *text = json_dumps(json, 0);
    const char *file = base_arena_text(arena, base_text_of(text)).bytes;
    free(text);
    json_decref(json);
    return file;
}

struct world {
    struct base_arena arena;
    EVP_PKEY *key;
    char path[64]; /* of the key file */
};

static void write_key_file(const struct world *world, const char *content)
{
    FILE *file = fopen(world->path, "we");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *good_key_file(struct world *world)
{
    return print_key_file("service_account", "key-1", EMAIL,
                          print_pem(world->key, NULL, &world->arena), &world->arena);
}

static struct world world;

static int make_key(void **state)
{
    world.key = EVP_RSA_gen(2048);
    assert_non_null(world.key);
    (void)snprintf(world.path, sizeof world.path, "/tmp/zandaka-key-%d.json", (int)getpid());
    *state = &world;
    return 0;
}

static int drop_key(void **state)
{
    (void)state;
    (void)unlink(world.path);
    EVP_PKEY_free(world.key);
    base_arena_release(&world.arena);
    return 0;
}

static struct spanner_credentials *open_key_file(struct world *at, struct base_text *ret_message)
{
    struct spanner_credentials_options options = {.key_file = at->path};
    return spanner_credentials_open(&options, &at->arena, ret_message);
}

/* --- what a token says --- */

/* The part of a token before the next dot, decoded; *token goes on behind the dot. */
static struct base_bytes take_part(struct base_text *token, struct base_arena *arena)
{
    const char *dot = memchr(token->bytes, '.', token->length);
    size_t length = dot == NULL ? token->length : (size_t)(dot - token->bytes);
    struct base_bytes part;
    assert_true(base_base64_decode(arena, (struct base_text){token->bytes, length},
                                   BASE_BASE64_URL_UNPADDED, &part));
    token->bytes += length + (dot != NULL);
    token->length -= length + (dot != NULL);
    return part;
}

static json_t *parse(struct base_bytes bytes)
{
    json_t *json =
        json_loadb((const char *)bytes.bytes, bytes.length, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static void assert_field(const json_t *json, const char *name, const char *value)
{
    assert_string_equal(json_string_value(json_object_get(json, name)), value);
}

static bool is_signed_by(EVP_PKEY *key, struct base_text text, struct base_bytes signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    int verified = EVP_DigestVerify(context, signature.bytes, signature.length,
                                    (const unsigned char *)text.bytes, text.length);
    EVP_MD_CTX_free(context);
    return verified == 1;
}

static struct base_text token_at(struct spanner_credentials *credentials, int64_t now_us)
{
    struct base_text token;
    struct base_text message = BASE_TEXT("");
    if (!spanner_credentials_token(credentials, now_us, &world.arena, &token, &message)) {
        fail_msg("%.*s", BASE_TEXT_ARGS(message));
    }
    return token;
}

static void a_key_file_signs_tokens_that_its_public_key_verifies(void **state)
{
    struct world *at = *state;
    struct base_text message;
    write_key_file(at, good_key_file(at));
    struct spanner_credentials *credentials = open_key_file(at, &message);
    assert_non_null(credentials);
    struct base_text token = token_at(credentials, NOW_US + 999999);
    assert_true(base_text_starts_with(token, BASE_TEXT("Bearer ")));
    token.bytes += 7;
    token.length -= 7;
    const char *start = token.bytes;
    json_t *header = parse(take_part(&token, &at->arena));
    json_t *claims = parse(take_part(&token, &at->arena));
    struct base_text text = {start, (size_t)(token.bytes - start) - 1};
    struct base_bytes signature = take_part(&token, &at->arena);
    assert_int_equal(token.length, 0);
    assert_true(is_signed_by(at->key, text, signature));
    EVP_PKEY *other = EVP_RSA_gen(2048);
    assert_false(is_signed_by(other, text, signature));
    EVP_PKEY_free(other);

    assert_int_equal(json_object_size(header), 3);
    assert_field(header, "alg", "RS256");
    assert_field(header, "typ", "JWT");
    assert_field(header, "kid", "key-1");
    assert_int_equal(json_object_size(claims), 5);
    assert_field(claims, "iss", EMAIL);
    assert_field(claims, "sub", EMAIL);
    assert_field(claims, "scope", "https://www.googleapis.com/auth/cloud-platform");
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), NOW_S);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), NOW_S + 3600);
    json_decref(header);
    json_decref(claims);
    spanner_credentials_release(credentials);
}

static void a_token_is_kept_until_it_is_renewed_ahead_of_its_end(void **state)
{
    struct world *at = *state;
    struct base_text message;
    write_key_file(at, good_key_file(at));
    struct spanner_credentials *credentials = open_key_file(at, &message);
    struct base_text first = token_at(credentials, NOW_US);
    int64_t renew_us = NOW_US + (3600 - BASE_ACCESS_TOKEN_RENEW_AHEAD_S) * S_US;
    assert_true(base_text_equal(token_at(credentials, renew_us - 1), first));
    struct base_text second = token_at(credentials, renew_us);
    assert_false(base_text_equal(second, first));
    assert_true(base_text_equal(token_at(credentials, renew_us + S_US), second));
    /* A clock that is set back a little changes nothing; by more, and nobody knows. */
    int64_t back_us = renew_us - BASE_ACCESS_TOKEN_RENEW_AHEAD_S * S_US;
    assert_true(base_text_equal(token_at(credentials, back_us + 1), second));
    assert_false(base_text_equal(token_at(credentials, back_us), second));
    spanner_credentials_release(credentials);
}

static void the_emulator_is_shown_nothing(void **state)
{
    struct world *at = *state;
    struct base_text message;
    struct spanner_credentials_options options = {.emulator_host = "127.0.0.1:9010",
                                                  .key_file = "/nowhere"};
    struct spanner_credentials *credentials =
        spanner_credentials_open(&options, &at->arena, &message);
    assert_non_null(credentials);
    assert_int_equal(token_at(credentials, NOW_US).length, 0);
    spanner_credentials_release(credentials);
}

static void the_environment_says_what_is_used(void **state)
{
    (void)state;
    (void)setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere", 1);
    (void)setenv("GCE_METADATA_HOST", "metadata", 1);
    (void)unsetenv("SPANNER_EMULATOR_HOST");
    struct spanner_credentials_options options = spanner_credentials_environment();
    assert_string_equal(options.key_file, "/nowhere");
    assert_string_equal(options.metadata_host, "metadata");
    assert_null(options.emulator_host);
}

/* --- key files that cannot be used --- */

/* Opening is refused with words among which are these, and none of the key. */
static void assert_refused(struct world *at, const char *words)
{
    struct base_text message = BASE_TEXT("");
    struct spanner_credentials *credentials = open_key_file(at, &message);
    if (credentials != NULL || strstr(message.bytes, words) == NULL ||
        strstr(message.bytes, at->path) == NULL ||
        strstr(message.bytes, "GOOGLE_APPLICATION_CREDENTIALS") == NULL) {
        fail_msg("expected `%s`, was told `%.*s`", words, BASE_TEXT_ARGS(message));
    }
    assert_null(strstr(message.bytes, "SECRET"));
}

static void a_key_file_that_is_absent_or_unreadable_is_told(void **state)
{
    struct world *at = *state;
    struct world absent = {.path = "/tmp/zandaka-no-such-file"};
    assert_refused(&absent, "cannot be read: No such file or directory");
    base_arena_release(&absent.arena);
    struct world directory = {.path = "/tmp"};
    assert_refused(&directory, "cannot be read: Is a directory");
    base_arena_release(&directory.arena);
    if (geteuid() != 0) { /* root may read it all the same */
        write_key_file(at, good_key_file(at));
        assert_int_equal(chmod(at->path, 0), 0);
        assert_refused(at, "cannot be read: Permission denied");
    }
}

static void a_key_file_of_another_kind_is_told(void **state)
{
    struct world *at = *state;
    const char *pem = print_pem(at->key, NULL, &at->arena);
    write_key_file(at, "");
    assert_refused(at, "no well-formed JSON (line 1");
    write_key_file(at, "{\"type\": \"service_account\", \"private_key\": SECRET}");
    assert_refused(at, "no well-formed JSON (line 1, column");
    write_key_file(at, "[1]");
    assert_refused(at, "lacks \"type\"");
    write_key_file(at, "{\"type\": 1}");
    assert_refused(at, "lacks \"type\"");
    write_key_file(at, "{\"type\": \"service_account\", \"type\": \"service_account\"}");
    assert_refused(at, "no well-formed JSON");
    write_key_file(at, print_key_file("authorized_user", "key-1", EMAIL, pem, &at->arena));
    assert_refused(at, "not of the type \"service_account\"");
    write_key_file(at, print_key_file(NULL, "key-1", EMAIL, pem, &at->arena));
    assert_refused(at, "lacks \"type\"");
    write_key_file(at, print_key_file("service_account", NULL, EMAIL, pem, &at->arena));
    assert_refused(at, "lacks \"private_key_id\"");
    write_key_file(at, print_key_file("service_account", "key-1", "", pem, &at->arena));
    assert_refused(at, "lacks \"client_email\"");
    write_key_file(at, print_key_file("service_account", "key-1", EMAIL, NULL, &at->arena));
    assert_refused(at, "lacks \"private_key\"");
}

static void a_private_key_that_cannot_sign_is_told(void **state)
{
    struct world *at = *state;
    write_key_file(at, print_key_file("service_account", "key-1", EMAIL, "SECRET", &at->arena));
    assert_refused(at, "no private key in PEM");
    char *pem = (char *)(uintptr_t)print_pem(at->key, NULL, &at->arena);
    pem[strlen(pem) / 2] = '!';
    write_key_file(at, print_key_file("service_account", "key-1", EMAIL, pem, &at->arena));
    assert_refused(at, "no private key in PEM");
    write_key_file(at, print_key_file("service_account", "key-1", EMAIL,
                                      print_pem(at->key, "SECRET", &at->arena), &at->arena));
    assert_refused(at, "without a password");
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    write_key_file(at, print_key_file("service_account", "key-1", EMAIL,
                                      print_pem(curve, NULL, &at->arena), &at->arena));
    assert_refused(at, "is no RSA key");
    EVP_PKEY_free(curve);
}

static void a_key_has_so_many_bits(void **state)
{
    struct world *at = *state;
    static const struct {
        unsigned bits;
        const char *words; /* NULL: taken */
    } cases[] = {
        {BASE_KEY_MIN_BITS, NULL},
        {BASE_KEY_MIN_BITS - 8, "has 2040 bits"},
        {BASE_KEY_MAX_BITS, NULL},
        {BASE_KEY_MAX_BITS + 8, "has 4104 bits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EVP_PKEY *key = EVP_RSA_gen(cases[i].bits);
        write_key_file(at, print_key_file("service_account", "key-1", EMAIL,
                                          print_pem(key, NULL, &at->arena), &at->arena));
        EVP_PKEY_free(key);
        if (cases[i].words != NULL) {
            assert_refused(at, cases[i].words);
        } else {
            struct base_text message;
            struct spanner_credentials *credentials = open_key_file(at, &message);
            assert_non_null(credentials);
            (void)token_at(credentials, NOW_US);
            spanner_credentials_release(credentials);
        }
    }
}

static void a_key_file_has_so_many_bytes(void **state)
{
    struct world *at = *state;
    const char *good = good_key_file(at);
    for (int more = 0; more <= 1; more++) {
        /* White space behind it is no mistake. */
        write_key_file(
            at, base_arena_print(&at->arena, "%-*s", BASE_KEY_FILE_MAX_BYTES + more, good).bytes);
        if (more != 0) {
            assert_refused(at, "more than 16384 bytes");
        } else {
            struct base_text message;
            struct spanner_credentials *credentials = open_key_file(at, &message);
            assert_non_null(credentials);
            spanner_credentials_release(credentials);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_file_signs_tokens_that_its_public_key_verifies),
        cmocka_unit_test(a_token_is_kept_until_it_is_renewed_ahead_of_its_end),
        cmocka_unit_test(the_emulator_is_shown_nothing),
        cmocka_unit_test(the_environment_says_what_is_used),
        cmocka_unit_test(a_key_file_that_is_absent_or_unreadable_is_told),
        cmocka_unit_test(a_key_file_of_another_kind_is_told),
        cmocka_unit_test(a_private_key_that_cannot_sign_is_told),
        cmocka_unit_test(a_key_has_so_many_bits),
        cmocka_unit_test(a_key_file_has_so_many_bytes),
    };
    return cmocka_run_group_tests(tests, make_key, drop_key);
}
