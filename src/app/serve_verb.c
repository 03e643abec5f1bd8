/* zandaka serve and zandaka version. */
#include "app/options.h"
#include "net/net.h"

int app_verb_serve(int argc, char **argv)
{
    struct app_config_flags given = {NULL, NULL, NULL, NULL};
    bool check_config = false;
    const struct app_flag flags[] = {
        {"config", "FILE", &given.config_file, NULL, "the configuration (or ZANDAKA_CONFIG)"},
        {"listen", "HOST:PORT", &given.listen, NULL,
         "where to listen (or ZANDAKA_LISTEN; default " APP_DEFAULT_LISTEN "); port 0: a free one"},
        {"store", "URL", &given.store_url, NULL,
         "rocksdb:DIR, memory:, postgres://… or spanner:… (or ZANDAKA_STORE; "
         "default " APP_DEFAULT_STORE ")"},
        {"address-file", "FILE", &given.address_file, NULL,
         "is written with the HOST:PORT in use once the server is ready"},
        {"check-config", NULL, NULL, &check_config, "check the configuration and do nothing else"},
    };
    const struct app_verb_usage usage = {
        "serve", "", "Serves until SIGTERM or SIGINT; then answers what is under way and ends.",
        sizeof flags / sizeof flags[0], flags};
    int first_operand;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first_operand, &status)) {
        return status;
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct app_config *config = base_arena_take(&arena, sizeof *config);
    struct base_text message;
    if (!app_config_load(&arena, &given, config, &message)) {
        (void)fprintf(stderr, "zandaka serve: %.*s\n", BASE_TEXT_ARGS(message));
        status = APP_EXIT_USAGE;
    } else if (check_config) {
        struct base_text store_url = app_store_shown_url(config->store_url, &arena);
        (void)printf("the configuration is sound: %zu kind%s, %.*s on %.*s\n",
                     config->kinds.n_kinds, config->kinds.n_kinds == 1 ? "" : "s",
                     BASE_TEXT_ARGS(store_url), BASE_TEXT_ARGS(config->listen));
        status = APP_EXIT_DONE;
    } else {
        status = (int)app_serve(config);
    }
    base_arena_release(&arena);
    return status;
}

int app_verb_version(int argc, char **argv)
{
    const struct app_verb_usage usage = {"version", "", "Prints the program's version.", 0, NULL};
    int first_operand;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first_operand, &status)) {
        return status;
    }
    (void)printf("zandaka %s\n", ZANDAKA_VERSION);
    return APP_EXIT_DONE;
}
