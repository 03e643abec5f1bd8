/* zandaka schema: the tables of a database. */
#include "app/options.h"
#include "store/postgres/postgres.h"

#include <stdlib.h>

static bool is_database(struct base_text url)
{
    return base_text_starts_with(url, BASE_TEXT("postgres://")) ||
           base_text_starts_with(url, BASE_TEXT("postgresql://"));
}

int app_verb_schema(int argc, char **argv)
{
    const char *url = NULL;
    bool apply = false;
    const struct app_flag flags[] = {
        {"store", "URL", &url, NULL, "the database (or ZANDAKA_STORE)"},
        {"apply", NULL, NULL, &apply, "run the statements instead of printing them"},
    };
    const struct app_verb_usage usage = {
        "schema", "",
        "Prints the statements that make the tables in a database, or runs them where\n"
        "there are none. Where they are, nothing is changed.",
        sizeof flags / sizeof flags[0], flags};
    int first_operand;
    int status;
    if (!app_options_parse(argc, argv, &usage, &first_operand, &status)) {
        return status;
    }
    if (url == NULL) {
        url = getenv("ZANDAKA_STORE");
    }
    if (url == NULL || url[0] == '\0') {
        return app_options_wrong(&usage, "--store is missing");
    }
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message;
    if (!app_store_check_url(base_text_of(url), &arena, &message)) {
        status = app_options_wrong(&usage, "%.*s", BASE_TEXT_ARGS(message));
    } else if (!is_database(base_text_of(url))) {
        status = app_options_wrong(&usage, "`%s` is no database: it needs no schema", url);
    } else if (!apply) {
        store_postgres_print_schema(stdout);
        status = APP_EXIT_DONE;
    } else if (store_postgres_apply_schema(url, &arena, &message)) {
        (void)printf("%.*s\n", BASE_TEXT_ARGS(message));
        status = APP_EXIT_DONE;
    } else {
        (void)fprintf(stderr, "zandaka schema: %.*s\n", BASE_TEXT_ARGS(message));
        status = APP_EXIT_COULD_NOT;
    }
    base_arena_release(&arena);
    return status;
}
