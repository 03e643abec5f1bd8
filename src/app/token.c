/* zandaka token: a new bearer token, and what to configure for it. */
#include "app/options.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* Bytes of randomness in a token: as many as its hash has. */
#define TOKEN_RANDOM_BYTES 32
/* What a token begins with, so that who finds one in a log or a repository knows what it is. */
#define TOKEN_PREFIX "zandaka_"

/* A token that nobody can guess. False: the system has no randomness; errno says why. */
static bool make_token(struct base_arena *arena, struct base_text *ret_token)
{
    uint8_t random[TOKEN_RANDOM_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    struct base_text text = base_base64_encode(arena, (struct base_bytes){random, sizeof random},
                                               BASE_BASE64_URL_UNPADDED);
    *ret_token = base_arena_print(arena, TOKEN_PREFIX "%.*s", BASE_TEXT_ARGS(text));
    return true;
}

static void print_token(struct base_arena *arena, const char *caller, struct base_text token)
{
    uint8_t digest[BASE_SHA256_BYTES];
    base_sha256(base_bytes_of(token), digest);
    struct base_text hash = base_hex_encode(arena, (struct base_bytes){digest, sizeof digest});
    (void)printf(
        "%.*s\n\n"
        "This is the token, shown once: nobody can read it out of the server. Put it into a\n"
        "file that only the caller can read; it is sent as `authorization: Bearer TOKEN`.\n"
        "The callers' file gets these lines, and SIGHUP makes the server read it:\n\n"
        "[caller.%s]\n"
        "token_sha256 = %.*s\n",
        BASE_TEXT_ARGS(token), caller, BASE_TEXT_ARGS(hash));
}

int app_verb_token(int argc, char **argv)
{
    const char *caller = NULL;
    const struct app_flag flags[] = {
        {"caller", "NAME", &caller, NULL, "the caller whose token it is to be"},
    };
    const struct app_verb_usage usage = {
        "token", "",
        "Makes a token for a caller of the server, and prints it with the lines to\n"
        "configure. It is printed once and kept nowhere.",
        sizeof flags / sizeof flags[0], flags};
    int first;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first, &status)) {
        return status;
    }
    if (caller == NULL) {
        return app_options_wrong(&usage, "needs --caller");
    }
    const char *wrong = access_check_name(base_text_of(caller));
    if (wrong != NULL) {
        return app_options_wrong(&usage, "--caller `%s`: %s", caller, wrong);
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text token;
    if (make_token(&arena, &token)) {
        print_token(&arena, caller, token);
        status = APP_EXIT_DONE;
    } else {
        (void)fprintf(stderr, "zandaka token: no randomness: %s\n", strerror(errno));
        status = APP_EXIT_COULD_NOT;
    }
    base_arena_release(&arena);
    return status;
}
