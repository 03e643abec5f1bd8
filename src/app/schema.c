/* zandaka schema: the tables of a database. */
#include "app/options.h"
#include "store/postgres/postgres.h"
#include "store/spanner/spanner.h"

#include <stdlib.h>

static bool starts_with(const char *url, const char *scheme)
{
    return base_text_starts_with(base_text_of(url), base_text_of(scheme));
}

static bool apply_postgres(const char *url, struct base_arena *arena, struct base_text *ret_message)
{
    return store_postgres_apply_schema(url, arena, ret_message);
}

static bool apply_spanner(const char *url, struct base_arena *arena, struct base_text *ret_message)
{
    const struct store_spanner_options options = {.url = base_text_of(url),
                                                  .emulator = app_spanner_emulator()};
    return store_spanner_apply_schema(&options, arena, ret_message);
}

/* The databases, which need a schema. */
static const struct database {
    const char *scheme;
    void (*print)(FILE *out);
    bool (*apply)(const char *url, struct base_arena *arena, struct base_text *ret_message);
} databases[] = {
    {"postgres://", store_postgres_print_schema, apply_postgres},
    {"postgresql://", store_postgres_print_schema, apply_postgres},
    {"spanner:", store_spanner_print_schema, apply_spanner},
};

/* NULL: the URL names no database. */
static const struct database *find_database(const char *url)
{
    for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
        if (starts_with(url, databases[i].scheme)) {
            return &databases[i];
        }
    }
    return NULL;
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
    const struct database *database = find_database(url);
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message;
    if (!app_store_check_url(base_text_of(url), &arena, &message)) {
        status = app_options_wrong(&usage, "%.*s", BASE_TEXT_ARGS(message));
    } else if (database == NULL) {
        status = app_options_wrong(&usage, "`%s` is no database: it needs no schema", url);
    } else if (!apply) {
        database->print(stdout);
        status = APP_EXIT_DONE;
    } else if (database->apply(url, &arena, &message)) {
        (void)printf("%.*s\n", BASE_TEXT_ARGS(message));
        status = APP_EXIT_DONE;
    } else {
        (void)fprintf(stderr, "zandaka schema: %.*s\n", BASE_TEXT_ARGS(message));
        status = APP_EXIT_COULD_NOT;
    }
    base_arena_release(&arena);
    return status;
}
