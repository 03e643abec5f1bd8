/*
 * What TLS connections are made from: versions, ciphers, certificates, keys, and whose certificates
 * are believed.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

/* What RFC 9113 (section 9.2.2) leaves for HTTP/2 over TLS 1.2: ephemeral keys and AEAD. TLS 1.3
 * has nothing else. */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* What OpenSSL says went wrong first: what it says last is only which part of it said so. It is
 * forgotten then. */
static const char *take_problem(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return reason == NULL ? "no reason is known" : reason;
}

/* Asked before OpenSSL opens a file: of one that is absent or closed to us it only says "system
 * lib". The file is named as the configuration names it. */
static bool may_read(struct base_text file, struct base_arena *arena, struct base_text *ret_message)
{
    if (access(file.bytes, R_OK) == 0) {
        return true;
    }
    *ret_message = base_arena_print(
        arena, "%s cannot be read: %s; name a file in PEM that the user who runs this may read",
        file.bytes, strerror(errno));
    return false;
}

static SSL_CTX *context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (context == NULL) {
        base_stop("out of memory (for TLS)");
    }
    long set = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    base_assert(set == 1);
    set = SSL_CTX_set_cipher_list(context, TLS12_CIPHERS);
    base_assert(set == 1);
    /* HTTP says itself where a message ends, so an end of the stream without TLS's own takes
     * nothing away unseen. */
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* An idle connection holds no buffers; what a full socket left over may move in memory. */
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ERR_clear_error();
    return context;
}

/* What is wrong with a key, and what to do. */
static struct base_text key_problem(const char *key, const char *certificate,
                                    struct base_arena *arena)
{
    if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH) {
        ERR_clear_error();
        return base_arena_print(arena,
                                "%s is a private key, but not that of the first certificate in %s: "
                                "name the pair that was made together, the server's own "
                                "certificate first",
                                key, certificate);
    }
    return base_arena_print(arena,
                            "%s is no private key in PEM that can be used: %s; it has a block that "
                            "begins with -----BEGIN PRIVATE KEY----- (or BEGIN EC or RSA PRIVATE "
                            "KEY) and is not encrypted by a passphrase",
                            key, take_problem());
}

/* Our certificate, with those that lead up from it, and its key. */
static bool load_identity(SSL_CTX *context, const struct net_tls_files *files,
                          struct base_arena *arena, struct base_text *ret_message)
{
    struct base_text certificate = base_arena_text(arena, files->certificate);
    struct base_text key = base_arena_text(arena, files->key);
    if (!may_read(certificate, arena, ret_message) || !may_read(key, arena, ret_message)) {
        return false;
    }
    if (SSL_CTX_use_certificate_chain_file(context, certificate.bytes) != 1) {
        *ret_message = base_arena_print(
            arena,
            "%s is no certificate in PEM that can be used: %s; it has a block that "
            "begins with -----BEGIN CERTIFICATE-----, and behind it those of the "
            "authorities between, if any",
            certificate.bytes, take_problem());
        return false;
    }
    /* Nobody is there to be asked for a key's passphrase; OpenSSL would ask the terminal, but for
     * one that it is given, and the empty one opens no key. */
    SSL_CTX_set_default_passwd_cb_userdata(context, (void *)(uintptr_t) "");
    if (SSL_CTX_use_PrivateKey_file(context, key.bytes, SSL_FILETYPE_PEM) != 1) {
        *ret_message = key_problem(key.bytes, certificate.bytes, arena);
        return false;
    }
    return true;
}

/* Whose certificates are believed. */
static bool load_authority(SSL_CTX *context, struct base_text file, struct base_arena *arena,
                           struct base_text *ret_message)
{
    struct base_text authority = base_arena_text(arena, file);
    if (!may_read(authority, arena, ret_message)) {
        return false;
    }
    if (SSL_CTX_load_verify_file(context, authority.bytes) != 1) {
        *ret_message =
            base_arena_print(arena,
                             "%s holds no certificate of an authority in PEM: %s; it has "
                             "blocks that begin with -----BEGIN CERTIFICATE-----",
                             authority.bytes, take_problem());
        return false;
    }
    return true;
}

/* Asks callers for a certificate, and tells them of which authorities. */
static bool ask_callers(SSL_CTX *context, const struct net_tls_files *files,
                        struct base_arena *arena, struct base_text *ret_message)
{
    if (!load_authority(context, files->authority, arena, ret_message)) {
        return false;
    }
    struct base_text authority = base_arena_text(arena, files->authority);
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(authority.bytes);
    if (names == NULL) {
        *ret_message =
            base_arena_print(arena, "%s cannot be read: %s", authority.bytes, take_problem());
        return false;
    }
    SSL_CTX_set_client_CA_list(context, names);
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (files->peer_required) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(context, mode, NULL);
    return true;
}

/* The first of ours that the client offers too; a client that offers only others is told so. */
static int choose_protocol(SSL *tls, const unsigned char **ret_chosen, unsigned char *ret_length,
                           const unsigned char *offered, unsigned n_offered, void *user)
{
    (void)tls;
    (void)user;
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, ret_length, ours, sizeof ours - 1, offered, n_offered) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *ret_chosen = chosen;
    return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *net_tls_server_context(const struct net_tls_files *files, struct base_arena *arena,
                                struct base_text *ret_message)
{
    SSL_CTX *context = context_new(TLS_server_method());
    /* No session is resumed: callers stay connected, so it would save little, and a ticket would
     * let in who was let in once, for hours, whatever authority was taken out since. */
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (!load_identity(context, files, arena, ret_message) ||
        (files->authority.length > 0 && !ask_callers(context, files, arena, ret_message))) {
        SSL_CTX_free(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

SSL_CTX *net_tls_client_context(const struct net_tls_files *files, struct base_arena *arena,
                                struct base_text *ret_message)
{
    SSL_CTX *context = context_new(TLS_client_method());
    static const unsigned char h2[] = "\x02h2";
    /* Unlike the rest of OpenSSL, 0 is success here. */
    int failed = SSL_CTX_set_alpn_protos(context, h2, sizeof h2 - 1);
    base_assert(failed == 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    bool sound = true;
    if (files->authority.length > 0) {
        sound = load_authority(context, files->authority, arena, ret_message);
    } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
        *ret_message =
            base_arena_print(arena, "the system's certificates cannot be read: %s", take_problem());
        sound = false;
    }
    if (!sound ||
        (files->certificate.length > 0 && !load_identity(context, files, arena, ret_message))) {
        SSL_CTX_free(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

SSL_CTX *net_tls_context_share(SSL_CTX *context)
{
    int shared = SSL_CTX_up_ref(context);
    base_assert(shared == 1);
    return context;
}

void net_tls_context_release(SSL_CTX *context)
{
    SSL_CTX_free(context);
}
