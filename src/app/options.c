#include "app/options.h"

#include "api/api.h"
#include "net/net.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Flags of one verb, --help aside: what the tables here stay well below. */
#define FLAGS_MAX 15
#define DEFAULT_TIMEOUT "10"

int app_options_wrong(const struct app_verb_usage *usage, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "zandaka %s: ", usage->verb);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\nsee `zandaka %s --help`\n", usage->verb);
    va_end(arguments);
    return APP_EXIT_USAGE;
}

static void print_help(const struct app_verb_usage *usage)
{
    (void)printf("usage: zandaka %s%s%s [FLAG…]\n\n%s\n\n", usage->verb,
                 usage->operands[0] == '\0' ? "" : " ", usage->operands, usage->help);
    for (size_t i = 0; i < usage->n_flags; i++) {
        const struct app_flag *flag = &usage->flags[i];
        char left[48];
        (void)snprintf(left, sizeof left, "--%s%s%s", flag->name, flag->argument == NULL ? "" : " ",
                       flag->argument == NULL ? "" : flag->argument);
        (void)printf("  %-24s %s\n", left, flag->help);
    }
    (void)printf("  %-24s %s\n", "--help", "this text");
}

/* getopt's table. A flag's number is its index and 1, so that it is no '?'. */
static void fill_getopt_table(const struct app_verb_usage *usage, struct option *table)
{
    base_assert(usage->n_flags <= FLAGS_MAX);
    for (size_t i = 0; i < usage->n_flags; i++) {
        table[i] = (struct option){.name = usage->flags[i].name,
                                   .has_arg = usage->flags[i].argument == NULL ? no_argument
                                                                               : required_argument,
                                   .val = (int)i + 1};
    }
    table[usage->n_flags] = (struct option){.name = "help", .val = (int)usage->n_flags + 1};
    table[usage->n_flags + 1] = (struct option){0};
}

/* Why getopt took no flag from `text`; it gave `refusal`, ':' or '?'. */
static int refuse_flag(const struct app_verb_usage *usage, int refusal, const char *text)
{
    if (refusal == ':') {
        return app_options_wrong(usage, "%s needs an argument", text);
    }
    /* It leaves the flag's number behind when there is one, but with an argument it must not have.
     */
    if (strncmp(text, "--", 2) == 0 && optopt > 0) {
        return app_options_wrong(usage, "`%s`: this flag takes no argument", text);
    }
    return app_options_wrong(usage, "there is no flag `%s`", text);
}

bool app_options_parse(int argc, char **argv, const struct app_verb_usage *usage,
                       int *ret_first_operand, int *ret_status)
{
    struct option table[FLAGS_MAX + 2];
    bool seen[FLAGS_MAX + 1] = {false};
    const int help = (int)usage->n_flags + 1;
    fill_getopt_table(usage, table);
    optind = 0; /* begin anew, whatever was parsed before */
    opterr = 0;
    int at = 1;
    int number;
    while ((number = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        if (number == help) {
            print_help(usage);
            *ret_status = APP_EXIT_DONE;
            return false;
        }
        if (number < 1 || number > help) {
            *ret_status = refuse_flag(usage, number, optind > at ? argv[optind - 1] : argv[at]);
            return false;
        }
        const struct app_flag *flag = &usage->flags[number - 1];
        if (seen[number - 1]) {
            *ret_status = app_options_wrong(usage, "--%s stands twice", flag->name);
            return false;
        }
        seen[number - 1] = true;
        if (flag->argument != NULL) {
            *flag->text = optarg;
        } else {
            *flag->given = true;
        }
        at = optind;
    }
    if (optind < argc && usage->operands[0] == '\0') {
        *ret_status = app_options_wrong(usage, "`%s` is not a flag", argv[optind]);
        return false;
    }
    *ret_first_operand = optind;
    return true;
}

bool app_options_timeout(const char *text, int64_t *ret_timeout_ms)
{
    int64_t thousandths = 0;
    size_t n_decimals = 0;
    bool behind_point = false;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] == '.' && !behind_point && text[i + 1] != '\0') {
            behind_point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || n_decimals == 3 ||
            thousandths > BASE_CLIENT_TIMEOUT_MAX_MS) {
            return false;
        }
        thousandths = thousandths * 10 + (text[i] - '0');
        n_decimals += behind_point ? 1 : 0;
    }
    for (; n_decimals < 3; n_decimals++) {
        thousandths *= 10;
    }
    if (thousandths < 1 || thousandths > BASE_CLIENT_TIMEOUT_MAX_MS) {
        return false;
    }
    *ret_timeout_ms = thousandths;
    return true;
}

const char *app_options_amount(const char *text, struct ledger_amount *ret_amount)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        return "an amount is KIND=AMOUNT, such as points=100";
    }
    struct base_text kind = {text, (size_t)(equals - text)};
    const char *wrong = api_check_kind_code(kind);
    if (wrong != NULL) {
        return wrong;
    }
    int64_t amount_minor;
    if (!base_text_to_int64(base_text_of(equals + 1), &amount_minor) || amount_minor < 1 ||
        amount_minor > BASE_AMOUNT_MAX) {
        return "an amount is 1 to 1000000000000000 in plain digits";
    }
    *ret_amount = (struct ledger_amount){kind, amount_minor};
    return NULL;
}

/* The token in the file, alone on its line, as the header that carries it. False: printed what is
 * wrong; never what was read. */
static bool read_token(const struct app_verb_usage *usage, struct app_server_flags *flags)
{
    FILE *file = fopen(flags->token_file, "re");
    if (file == NULL) {
        (void)app_options_wrong(usage, "cannot read the token file %s: %s", flags->token_file,
                                strerror(errno));
        return false;
    }
    char text[BASE_TOKEN_MAX_BYTES + 3]; /* with a line break of two bytes, and one byte too much */
    size_t length = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    struct base_text token = base_text_trim((struct base_text){text, length}, "\r\n");
    if (token.length == 0 || token.length > BASE_TOKEN_MAX_BYTES ||
        !base_text_is_printable_ascii(token)) {
        (void)app_options_wrong(usage,
                                "the token file %s holds no token: one line of up to %d bytes",
                                flags->token_file, BASE_TOKEN_MAX_BYTES);
        return false;
    }
    (void)snprintf(flags->authorization, sizeof flags->authorization, "Bearer %.*s",
                   BASE_TEXT_ARGS(token));
    return true;
}

/* Takes the token, if there is one. False: printed what is wrong. */
static bool take_token(const struct app_verb_usage *usage, struct app_server_flags *flags)
{
    if (flags->token_file == NULL) {
        flags->token_file = getenv("ZANDAKA_TOKEN_FILE");
    }
    if (flags->token_file == NULL || flags->token_file[0] == '\0') {
        return true;
    }
    if (!flags->tls && !net_is_loopback(base_text_of(flags->server))) {
        (void)app_options_wrong(usage,
                                "a token goes to %s only with --tls: whoever reads it on its "
                                "way could use it",
                                flags->server);
        return false;
    }
    return read_token(usage, flags);
}

bool app_options_server(const struct app_verb_usage *usage, struct app_server_flags *flags)
{
    if (flags->server == NULL) {
        flags->server = getenv("ZANDAKA_SERVER");
        if (flags->server == NULL || flags->server[0] == '\0') {
            flags->server = APP_DEFAULT_LISTEN;
        }
    }
    struct base_text host;
    uint16_t port;
    if (!net_split_address(base_text_of(flags->server), &host, &port)) {
        (void)app_options_wrong(usage, "the server `%s` is not HOST:PORT", flags->server);
        return false;
    }
    const char *timeout = flags->timeout == NULL ? DEFAULT_TIMEOUT : flags->timeout;
    int64_t timeout_ms;
    if (!app_options_timeout(timeout, &timeout_ms)) {
        (void)app_options_wrong(usage, "--timeout is in seconds, 0.001 to 86400, not `%s`",
                                timeout);
        return false;
    }
    if (!flags->tls && (flags->ca != NULL || flags->certificate != NULL || flags->key != NULL)) {
        (void)app_options_wrong(usage, "--ca, --certificate and --key need --tls");
        return false;
    }
    if ((flags->certificate != NULL) != (flags->key != NULL)) {
        (void)app_options_wrong(usage, "--certificate and --key need one another");
        return false;
    }
    if (!take_token(usage, flags)) {
        return false;
    }
    flags->destination = (struct app_destination){
        .network = {.address = base_text_of(flags->server),
                    .timeout_ms = timeout_ms,
                    .tls = flags->tls,
                    .files = {.certificate = base_text_of(flags->certificate),
                              .key = base_text_of(flags->key),
                              .authority = base_text_of(flags->ca)}},
        .authorization = base_text_of(flags->authorization),
    };
    return true;
}
