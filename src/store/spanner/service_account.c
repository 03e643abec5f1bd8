/*
 * Tokens that a service account's key signs: JSON Web Tokens (RFC 7519) by RS256 (RFC 7518, section
 * 3.3), which Google takes in place of an access token (AIP-4111). They name what they are for by
 * the scope, so that they are good for the database's administration too.
 */
#include "store/spanner/token_sources.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE "https://www.googleapis.com/auth/cloud-platform"
/* Google wants exactly this. */
#define LIFETIME_S 3600
#define NAMED_BY "GOOGLE_APPLICATION_CREDENTIALS"

struct spanner_service_account {
    EVP_PKEY *key;
    struct base_arena arena; /* holds the two texts */
    struct base_text key_id;
    struct base_text email;
};

/* --- reading the file --- */

/* The file's bytes, to be freed. NULL: *ret_message. */
static uint8_t *read_file(const char *path, struct base_arena *arena, size_t *ret_length,
                          struct base_text *ret_message)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        *ret_message = base_arena_print(arena, "%s, which " NAMED_BY " names, cannot be read: %s",
                                        path, strerror(errno));
        return NULL;
    }
    uint8_t *bytes = base_allocate(BASE_KEY_FILE_MAX_BYTES + 1);
    size_t length = fread(bytes, 1, BASE_KEY_FILE_MAX_BYTES + 1, file);
    bool is_whole = false;
    if (ferror(file)) {
        *ret_message = base_arena_print(arena, "%s, which " NAMED_BY " names, cannot be read: %s",
                                        path, strerror(errno));
    } else if (length > BASE_KEY_FILE_MAX_BYTES) {
        *ret_message = base_arena_print(
            arena, "%s, which " NAMED_BY " names, has more than %d bytes, and so is no key file",
            path, BASE_KEY_FILE_MAX_BYTES);
    } else {
        is_whole = true;
    }
    (void)fclose(file);
    if (!is_whole) {
        OPENSSL_cleanse(bytes, BASE_KEY_FILE_MAX_BYTES + 1);
        free(bytes);
        return NULL;
    }
    *ret_length = length;
    return bytes;
}

/* The file as JSON, to be released. NULL: *ret_message. What jansson says of an error may quote the
 * file, and so is not passed on. */
static json_t *read_json(const char *path, struct base_arena *arena, struct base_text *ret_message)
{
    size_t length;
    uint8_t *bytes = read_file(path, arena, &length, ret_message);
    if (bytes == NULL) {
        return NULL;
    }
    json_error_t error;
    json_t *json = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, &error);
    OPENSSL_cleanse(bytes, length);
    free(bytes);
    if (json == NULL && json_error_code(&error) == json_error_out_of_memory) {
        base_stop("out of memory (for a key file)");
    }
    if (json == NULL) {
        *ret_message =
            base_arena_print(arena,
                             "%s, which " NAMED_BY
                             " names, is no well-formed JSON (line %d, column %d): name a service "
                             "account's key file",
                             path, error.line, error.column);
    }
    return json;
}

/* A field's text, as long as `json`. NULL: it is missing, empty or no string; *ret_message. */
static const char *read_field(const json_t *json, const char *name, const char *path,
                              struct base_arena *arena, struct base_text *ret_message)
{
    const char *text = json_string_value(json_object_get(json, name));
    if (text == NULL || *text == '\0') {
        *ret_message = base_arena_print(
            arena, "%s, which " NAMED_BY " names, lacks \"%s\": name a service account's key file",
            path, name);
        return NULL;
    }
    return text;
}

/* --- the private key --- */

/* A key file has no password; without this OpenSSL would ask for one at the terminal. */
static int give_no_password(char *buffer, int size, int for_writing, void *user)
{
    (void)for_writing;
    (void)user;
    if (size > 0) {
        buffer[0] = '\0';
    }
    return -1;
}

/* The key, to be freed. NULL: it is none that can be used, and *ret_message says why. */
static EVP_PKEY *read_key(const char *pem, const char *path, struct base_arena *arena,
                          struct base_text *ret_message)
{
    BIO *source = BIO_new_mem_buf(pem, -1);
    if (source == NULL) {
        base_stop("out of memory (for a key)");
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(source, NULL, give_no_password, NULL);
    BIO_free(source);
    ERR_clear_error();
    if (key == NULL) {
        *ret_message = base_arena_print(arena,
                                        "the \"private_key\" of %s, which " NAMED_BY
                                        " names, is no private key in PEM without a password",
                                        path);
        return NULL;
    }
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        *ret_message = base_arena_print(
            arena, "the \"private_key\" of %s, which " NAMED_BY " names, is no RSA key", path);
    } else if (EVP_PKEY_get_bits(key) < BASE_KEY_MIN_BITS ||
               EVP_PKEY_get_bits(key) > BASE_KEY_MAX_BITS) {
        *ret_message = base_arena_print(
            arena,
            "the \"private_key\" of %s, which " NAMED_BY " names, has %d bits: %d to %d are taken",
            path, EVP_PKEY_get_bits(key), BASE_KEY_MIN_BITS, BASE_KEY_MAX_BITS);
    } else {
        return key;
    }
    EVP_PKEY_free(key);
    return NULL;
}

struct spanner_service_account *spanner_service_account_open(const char *path,
                                                             struct base_arena *arena,
                                                             struct base_text *ret_message)
{
    struct spanner_service_account *account = NULL;
    const char *key_id = NULL;
    const char *email = NULL;
    const char *pem = NULL;
    json_t *json = read_json(path, arena, ret_message);
    if (json == NULL) {
        return NULL;
    }
    const char *type = read_field(json, "type", path, arena, ret_message);
    if (type == NULL) {
        goto release_json;
    }
    if (strcmp(type, "service_account") != 0) {
        /* Such as what gcloud keeps of a person who has logged in. */
        *ret_message = base_arena_print(arena,
                                        "%s, which " NAMED_BY
                                        " names, is not of the type \"service_account\": only a "
                                        "service account's key file is understood",
                                        path);
        goto release_json;
    }
    if ((key_id = read_field(json, "private_key_id", path, arena, ret_message)) == NULL ||
        (email = read_field(json, "client_email", path, arena, ret_message)) == NULL ||
        (pem = read_field(json, "private_key", path, arena, ret_message)) == NULL) {
        goto release_json;
    }
    EVP_PKEY *key = read_key(pem, path, arena, ret_message);
    if (key == NULL) {
        goto release_json;
    }
    account = base_allocate_zeroed(1, sizeof *account);
    account->key = key;
    account->key_id = base_arena_text(&account->arena, base_text_of(key_id));
    account->email = base_arena_text(&account->arena, base_text_of(email));
release_json:
    json_decref(json);
    return account;
}

void spanner_service_account_release(struct spanner_service_account *account)
{
    if (account != NULL) {
        EVP_PKEY_free(account->key);
        base_arena_release(&account->arena);
        free(account);
    }
}

/* --- signing --- */

/* The JSON as a part of a token. Takes the reference. */
static struct base_text encode_part(json_t *json, struct base_arena *arena)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    if (text == NULL) {
        base_stop("out of memory (for a token)");
    }
    struct base_text part =
        base_base64_encode(arena, base_bytes_of(base_text_of(text)), BASE_BASE64_URL_UNPADDED);
    free(text);
    json_decref(json);
    return part;
}

static struct base_bytes sign(EVP_PKEY *key, struct base_text text, struct base_arena *arena)
{
    size_t length = (size_t)EVP_PKEY_get_size(key);
    uint8_t *signature = base_arena_take(arena, length);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &length, (const unsigned char *)text.bytes,
                       text.length) != 1) {
        base_stop("out of memory (for a signature)");
    }
    EVP_MD_CTX_free(context);
    return (struct base_bytes){signature, length};
}

struct spanner_token spanner_service_account_sign(const struct spanner_service_account *account,
                                                  int64_t now_s, struct base_arena *arena)
{
    struct base_text header = encode_part(
        json_pack("{s:s, s:s, s:s}", "alg", "RS256", "typ", "JWT", "kid", account->key_id.bytes),
        arena);
    struct base_text claims =
        encode_part(json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", account->email.bytes, "sub",
                              account->email.bytes, "scope", SCOPE, "iat", (json_int_t)now_s, "exp",
                              (json_int_t)now_s + LIFETIME_S),
                    arena);
    struct base_text signed_text =
        base_arena_print(arena, "%.*s.%.*s", BASE_TEXT_ARGS(header), BASE_TEXT_ARGS(claims));
    struct base_text signature =
        base_base64_encode(arena, sign(account->key, signed_text, arena), BASE_BASE64_URL_UNPADDED);
    return (struct spanner_token){
        base_arena_print(arena, "%.*s.%.*s", BASE_TEXT_ARGS(signed_text),
                         BASE_TEXT_ARGS(signature)),
        LIFETIME_S,
    };
}
