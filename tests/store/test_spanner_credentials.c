/*
 * store: the tokens that the Spanner store shows. Keys are made here and thrown away; signatures
 * are verified with the public key; the metadata server is a fake, which answers what the test
 * says. Nothing here has met Google's own.
 */
#include "store/spanner/credentials.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* --- a fake of the metadata server --- */

struct metadata_server {
    pthread_t thread;
    int listening;
    char host[32];
    atomic_int n_requests;
    pthread_mutex_t lock; /* held by a test: nobody is answered */
    char answer[BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + 256];
    char request[1024];
};

static void *serve(void *argument)
{
    struct metadata_server *server = argument;
    int peer;
    while ((peer = accept(server->listening, NULL, NULL)) >= 0) {
        size_t length = 0;
        ssize_t more = 1;
        while (more > 0 &&
               (length < 4 || memcmp(server->request + length - 4, "\r\n\r\n", 4) != 0)) {
            more = read(peer, server->request + length, sizeof server->request - 1 - length);
            length += more > 0 ? (size_t)more : 0;
        }
        server->request[length] = '\0';
        atomic_fetch_add(&server->n_requests, 1);
        (void)pthread_mutex_lock(&server->lock);
        const char *answer = server->answer;
        size_t left = strlen(answer);
        while (left > 0 && (more = send(peer, answer, left, MSG_NOSIGNAL)) > 0) {
            answer += more;
            left -= (size_t)more;
        }
        (void)pthread_mutex_unlock(&server->lock);
        (void)close(peer);
    }
    return NULL;
}

static struct metadata_server *server_open(void)
{
    struct metadata_server *server = base_allocate_zeroed(1, sizeof *server);
    (void)pthread_mutex_init(&server->lock, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    server->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listening, 16), 0);
    assert_int_equal(getsockname(server->listening, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(server->host, sizeof server->host, "127.0.0.1:%d", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

/* From here on nobody listens. */
static void server_stop(struct metadata_server *server)
{
    (void)shutdown(server->listening, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listening);
}

static void server_close(struct metadata_server *server)
{
    server_stop(server);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

static void server_answers(struct metadata_server *server, const char *status, const char *body)
{
    (void)pthread_mutex_lock(&server->lock);
    (void)snprintf(server->answer, sizeof server->answer,
                   "HTTP/1.0 %s\r\nContent-Type: application/json\r\n\r\n%s", status, body);
    (void)pthread_mutex_unlock(&server->lock);
}

static void server_gives(struct metadata_server *server, const char *token, int lifetime_s)
{
    char body[BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES];
    (void)snprintf(body, sizeof body,
                   "{\"access_token\":\"%s\",\"expires_in\":%d,\"token_type\":\"Bearer\"}", token,
                   lifetime_s);
    server_answers(server, "200 OK", body);
}

static struct spanner_credentials *open_metadata(const struct metadata_server *server)
{
    struct spanner_credentials_options options = {.metadata_host = server->host};
    struct base_text message;
    struct spanner_credentials *credentials =
        spanner_credentials_open(&options, &world.arena, &message);
    assert_non_null(credentials);
    return credentials;
}

static void assert_token(struct spanner_credentials *credentials, int64_t now_us, const char *token)
{
    struct base_text expected = base_arena_print(&world.arena, "Bearer %s", token);
    struct base_text found = token_at(credentials, now_us);
    if (!base_text_equal(found, expected)) {
        fail_msg("expected `%s`, found `%s`", expected.bytes, found.bytes);
    }
}

/* There is no token, and among the words that say so are these. */
static void assert_no_token(struct spanner_credentials *credentials, int64_t now_us,
                            const char *words)
{
    struct base_text token;
    struct base_text message = BASE_TEXT("");
    if (spanner_credentials_token(credentials, now_us, &world.arena, &token, &message) ||
        strstr(message.bytes, words) == NULL) {
        fail_msg("expected `%s`, was told `%.*s`", words, BASE_TEXT_ARGS(message));
    }
    assert_null(strstr(message.bytes, "SECRET"));
}

static void the_metadata_server_is_asked_once_until_its_token_is_renewed(void **state)
{
    (void)state;
    struct metadata_server *server = server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    assert_int_equal(atomic_load(&server->n_requests), 0);
    server_gives(server, "first", 3599);
    assert_token(credentials, NOW_US, "first");
    assert_non_null(strstr(
        server->request, "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/"));
    (void)pthread_mutex_lock(&server->lock);
    assert_non_null(strstr(server->request, "\r\nMetadata-Flavor: Google\r\n"));
    (void)pthread_mutex_unlock(&server->lock);
    int64_t renew_us = NOW_US + (3599 - BASE_ACCESS_TOKEN_RENEW_AHEAD_S) * S_US;
    assert_token(credentials, renew_us - 1, "first");
    assert_int_equal(atomic_load(&server->n_requests), 1);
    server_gives(server, "second", 3599);
    assert_token(credentials, renew_us, "second");
    assert_int_equal(atomic_load(&server->n_requests), 2);
    spanner_credentials_release(credentials);
    server_close(server);
}

static void a_token_that_comes_with_little_life_is_not_asked_for_in_every_call(void **state)
{
    (void)state;
    struct metadata_server *server = server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    server_gives(server, "short", 10);
    assert_token(credentials, NOW_US, "short");
    assert_token(credentials, NOW_US + BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000 - 1, "short");
    assert_int_equal(atomic_load(&server->n_requests), 1);
    server_gives(server, "long", 3599);
    assert_token(credentials, NOW_US + BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000, "long");
    spanner_credentials_release(credentials);
    server_close(server);
}

static void a_good_token_outlives_a_metadata_server_that_fails(void **state)
{
    (void)state;
    struct metadata_server *server = server_open();
    struct spanner_credentials *credentials = open_metadata(server);
    server_gives(server, "first", 3600);
    assert_token(credentials, NOW_US, "first");
    server_answers(server, "503 Service Unavailable", "SECRET");
    int64_t renew_us = NOW_US + (3600 - BASE_ACCESS_TOKEN_RENEW_AHEAD_S) * S_US;
    int64_t wait_us = BASE_ACCESS_TOKEN_RETRY_WAIT_MS * 1000;
    assert_token(credentials, renew_us, "first");
    assert_token(credentials, renew_us + wait_us - 1, "first");
    assert_int_equal(atomic_load(&server->n_requests), 2);
    assert_token(credentials, renew_us + wait_us, "first");
    assert_int_equal(atomic_load(&server->n_requests), 3);
    assert_token(credentials, NOW_US + 3600 * S_US - 1, "first");
    assert_no_token(credentials, NOW_US + 3600 * S_US, "status 503");
    server_gives(server, "second", 3600);
    assert_no_token(credentials, NOW_US + 3600 * S_US + wait_us - 2, "status 503");
    assert_token(credentials, NOW_US + 3600 * S_US + wait_us, "second");
    spanner_credentials_release(credentials);
    server_close(server);
}

static void what_is_no_token_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        const char *body;
        const char *words;
    } cases[] = {
        {"404 Not Found", "", "knows no service account"},
        {"500 Internal Server Error", "SECRET", "answered with status 500"},
        {"302 Found", "", "answered with status 302"},
        {"200 OK", "", "no token that can be used"},
        {"200 OK", "{\"access_token\":SECRET}", "no token that can be used"},
        {"200 OK", "{\"expires_in\":1,\"token_type\":\"Bearer\"}", "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"token_type\":\"Bearer\"}", "no token that can"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"expires_in\":1,\"token_type\":\"mac\"}",
         "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"expires_in\":0,\"token_type\":\"Bearer\"}",
         "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SECRET\",\"expires_in\":86401,\"token_type\":\"Bearer\"}",
         "no token that can be used"},
        {"200 OK", "{\"access_token\":\"SEC\\r\\nRET\",\"expires_in\":9,\"token_type\":\"Bearer\"}",
         "no token that can be used"},
        {"OK", "", "does not speak HTTP"},
    };
    struct metadata_server *server = server_open();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spanner_credentials *credentials = open_metadata(server);
        server_answers(server, cases[i].status, cases[i].body);
        assert_no_token(credentials, NOW_US, cases[i].words);
        spanner_credentials_release(credentials);
    }
    server_close(server);
}

static void a_token_and_its_answer_have_so_many_bytes(void **state)
{
    struct world *at = *state;
    struct metadata_server *server = server_open();
    for (int more = 0; more <= 1; more++) {
        char *token = base_arena_take(&at->arena, BASE_ACCESS_TOKEN_MAX_BYTES + 2);
        memset(token, 't', BASE_ACCESS_TOKEN_MAX_BYTES + 1);
        token[BASE_ACCESS_TOKEN_MAX_BYTES + more] = '\0';
        struct spanner_credentials *credentials = open_metadata(server);
        server_gives(server, token, 86400);
        if (more == 0) {
            assert_token(credentials, NOW_US, token);
        } else {
            assert_no_token(credentials, NOW_US, "no token that can be used");
        }
        spanner_credentials_release(credentials);
    }
    for (int more = 0; more <= 1; more++) {
        struct spanner_credentials *credentials = open_metadata(server);
        server_gives(server, "token", 3600);
        (void)pthread_mutex_lock(&server->lock);
        size_t length = strlen(server->answer);
        memset(server->answer + length, ' ', BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + 1 - length);
        server->answer[BASE_ACCESS_TOKEN_ANSWER_MAX_BYTES + more] = '\0';
        (void)pthread_mutex_unlock(&server->lock);
        if (more == 0) {
            assert_token(credentials, NOW_US, "token");
        } else {
            assert_no_token(credentials, NOW_US, "16384 bytes");
        }
        spanner_credentials_release(credentials);
    }
    server_close(server);
}

static void a_metadata_server_that_is_not_there_or_silent_is_told(void **state)
{
    (void)state;
    struct metadata_server *server = server_open();
    struct spanner_credentials *silent = open_metadata(server);
    (void)pthread_mutex_lock(&server->lock);
    assert_no_token(silent, NOW_US, "did not answer in full within");
    (void)pthread_mutex_unlock(&server->lock);
    spanner_credentials_release(silent);
    server_stop(server);
    struct spanner_credentials *absent = open_metadata(server);
    assert_no_token(absent, NOW_US, "name a service account's key file");
    assert_no_token(absent, NOW_US, "no server at 127.0.0.1");
    spanner_credentials_release(absent);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

/* --- threads --- */

struct caller {
    pthread_t thread;
    struct spanner_credentials *credentials;
    int64_t now_us;
    char authorization[32];
};

static void *call(void *argument)
{
    struct caller *caller = argument;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text token = BASE_TEXT("");
    struct base_text message;
    if (!spanner_credentials_token(caller->credentials, caller->now_us, &arena, &token, &message)) {
        token = BASE_TEXT("none");
    }
    (void)snprintf(caller->authorization, sizeof caller->authorization, "%.*s",
                   BASE_TEXT_ARGS(token));
    base_arena_release(&arena);
    return NULL;
}

static void one_thread_asks_and_the_others_have_what_it_gets_or_the_old_one(void **state)
{
    (void)state;
    enum { N = 8 };
    struct metadata_server *server = server_open();
    struct caller callers[N];
    struct spanner_credentials *credentials = open_metadata(server);
    server_gives(server, "first", 3600);
    for (int i = 0; i < N; i++) {
        callers[i] = (struct caller){.credentials = credentials, .now_us = NOW_US + i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        assert_string_equal(callers[i].authorization, "Bearer first");
    }
    assert_int_equal(atomic_load(&server->n_requests), 1);

    /* While one of them waits for the second token, the others go on with the first. */
    server_gives(server, "second", 3600);
    (void)pthread_mutex_lock(&server->lock);
    callers[0].now_us = NOW_US + 3500 * S_US;
    assert_int_equal(pthread_create(&callers[0].thread, NULL, call, &callers[0]), 0);
    while (atomic_load(&server->n_requests) < 2) {
        (void)usleep(1000);
    }
    assert_token(credentials, NOW_US + 3500 * S_US, "first");
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_join(callers[0].thread, NULL);
    assert_string_equal(callers[0].authorization, "Bearer second");
    spanner_credentials_release(credentials);
    server_close(server);
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
        cmocka_unit_test(the_metadata_server_is_asked_once_until_its_token_is_renewed),
        cmocka_unit_test(a_token_that_comes_with_little_life_is_not_asked_for_in_every_call),
        cmocka_unit_test(a_good_token_outlives_a_metadata_server_that_fails),
        cmocka_unit_test(what_is_no_token_is_told),
        cmocka_unit_test(a_token_and_its_answer_have_so_many_bytes),
        cmocka_unit_test(a_metadata_server_that_is_not_there_or_silent_is_told),
        cmocka_unit_test(one_thread_asks_and_the_others_have_what_it_gets_or_the_old_one),
    };
    return cmocka_run_group_tests(tests, make_key, drop_key);
}
