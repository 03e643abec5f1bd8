/* zandaka: the table of verbs. */
#include "app/app.h"
#include "app/last_words.h"

#include <signal.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    {"serve", app_verb_serve, "serve balances over gRPC and JSON"},
    {"add", app_verb_add, "bring amounts into an account"},
    {"consume", app_verb_consume, "take amounts out of an account"},
    {"cancel", app_verb_cancel, "fence a transaction id, so that nothing succeeds under it"},
    {"balance", app_verb_balance, "show an account's balances"},
    {"history", app_verb_history, "show an account's history"},
    {"transaction", app_verb_transaction, "show what is recorded under a transaction id"},
    {"import", app_verb_import, "apply the transactions of a CSV file, each once"},
    {"bench", app_verb_bench, "measure a server beside the machine's own limit"},
    {"verify", app_verb_verify, "prove a whole store sound"},
    {"copy", app_verb_copy, "copy a stopped store into an empty one"},
    {"schema", app_verb_schema, "print or make the tables of a database"},
    {"token", app_verb_token, "make a token for a caller of the server"},
    {"version", app_verb_version, "print the version"},
};

static void print_usage(FILE *out)
{
    (void)fprintf(out, "usage: zandaka VERB [FLAG…]\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        (void)fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].help);
    }
    (void)fprintf(out, "\n`zandaka VERB --help` tells more.\n");
}

int main(int argc, char **argv)
{
    /* A peer or a pipe that has gone away is an error to be met where it is written to. */
    (void)signal(SIGPIPE, SIG_IGN);
    app_last_words_prepare();
    if (argc < 2) {
        print_usage(stderr);
        return APP_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return APP_EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(name, verbs[i].name) == 0) {
            int status = verbs[i].run(argc - 1, argv + 1);
            /* An answer that did not get out is none. */
            return fflush(stdout) != 0 && status == APP_EXIT_DONE ? APP_EXIT_COULD_NOT : status;
        }
    }
    (void)fprintf(stderr, "zandaka: there is no verb `%s`\n\n", name);
    print_usage(stderr);
    return APP_EXIT_USAGE;
}
