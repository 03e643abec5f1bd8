/*
 * The flags of a verb: one table says what there is, what may follow, and what --help prints.
 */
#ifndef ZANDAKA_APP_OPTIONS_H
#define ZANDAKA_APP_OPTIONS_H

#include "app/app.h"

/* A flag with an argument writes to `text`, one without to `given`; the other is NULL. */
struct app_flag {
    const char *name;     /* without the dashes */
    const char *argument; /* what --help calls it; NULL: none follows */
    const char **text;
    bool *given;
    const char *help; /* one line */
};

struct app_verb_usage {
    const char *verb;
    const char *operands; /* what stands beside the flags: `KIND=AMOUNT…`; empty: nothing may */
    const char *help;     /* what the verb does, in lines of at most 80 characters */
    size_t n_flags;
    const struct app_flag *flags;
};

/* Takes the flags of argv, whether they stand before, between or behind the operands, and moves
 * them before these. A flag twice is wrong, and so is an operand where the verb has none.
 *
 * True: argv[*ret_first_operand] is the first operand; argc: there is none.
 * False: the verb is over, with *ret_status. Either `--help`, a flag of every verb, was asked for
 * and printed, or what is wrong was printed on standard error. */
bool app_options_parse(int argc, char **argv, const struct app_verb_usage *usage,
                       int *ret_first_operand, int *ret_status) BASE_MUST_USE;

/* Prints `zandaka VERB: message`, and where help is found; gives APP_EXIT_USAGE. */
int app_options_wrong(const struct app_verb_usage *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Seconds with up to three decimals, 0.001 to 86400. False: malformed. */
bool app_options_timeout(const char *text, int64_t *ret_timeout_ms) BASE_MUST_USE;

/* `points=100`. NULL: taken; otherwise what is wrong with it, static. The kind points into
 * `text`. */
const char *app_options_amount(const char *text, struct ledger_amount *ret_amount) BASE_MUST_USE;

/* What every verb that calls a server takes. */
struct app_server_flags {
    const char *server; /* --server over ZANDAKA_SERVER over APP_DEFAULT_LISTEN */
    const char *timeout;
    bool tls;
    const char *ca;
    const char *certificate;
    const char *key;
    const char *token_file; /* --token-file over ZANDAKA_TOKEN_FILE over none */
    char authorization[sizeof "Bearer " + BASE_TOKEN_MAX_BYTES];
    struct app_destination destination; /* what they say together; points into this */
};

#define APP_SERVER_FLAGS(server_flags)                                                             \
    {"server", "HOST:PORT", &(server_flags).server, NULL,                                          \
     "the server (default: ZANDAKA_SERVER, then " APP_DEFAULT_LISTEN ")"},                         \
        {"timeout", "SECONDS", &(server_flags).timeout, NULL, "how long to wait (default 10)"},    \
        {"tls", NULL, NULL, &(server_flags).tls, "speak TLS with the server"},                     \
        {"ca", "FILE", &(server_flags).ca, NULL,                                                   \
         "believe the authorities in this file, not the system's (PEM)"},                          \
        {"certificate", "FILE", &(server_flags).certificate, NULL,                                 \
         "show this certificate to the server (PEM)"},                                             \
        {"key", "FILE", &(server_flags).key, NULL, "the certificate's private key (PEM)"},         \
    {                                                                                              \
        "token-file", "FILE", &(server_flags).token_file, NULL,                                    \
            "send the token in this file (or ZANDAKA_TOKEN_FILE)"                                  \
    }

/* Fills in what was not given. False: printed what is wrong. */
bool app_options_server(const struct app_verb_usage *usage,
                        struct app_server_flags *flags) BASE_MUST_USE;

#endif
