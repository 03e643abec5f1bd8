#include "emulator.h"

#include "companion.h"

/* Its word is its address. */
static struct companion emulator;
static unsigned n_databases;
static struct base_arena urls; /* as long as the program runs */

bool emulator_is_present(void)
{
    static const char *const arguments[] = {ZANDAKA_SOURCE "/scripts/spanner_emulator.sh", NULL};
    return companion_is_present(&emulator, "the Spanner emulator", arguments);
}

struct store_spanner_options emulator_database(bool with_schema)
{
    base_assert(emulator_is_present());
    struct store_spanner_options options = {
        .url = base_arena_print(
            &urls, "spanner:projects/test-project/instances/test/databases/test-%u", n_databases++),
        .emulator = base_text_of(emulator.word),
    };
    struct base_text message;
    if (with_schema && !store_spanner_apply_schema(&options, &urls, &message)) {
        base_stop("%.*s", BASE_TEXT_ARGS(message));
    }
    return options;
}
