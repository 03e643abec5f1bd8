/* app: a store URL becomes a store, or a message and the status to end with. */
#include "app/app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct ledger_kinds kinds = {
    .n_kinds = 1,
    .kinds = {{.code = {"points", 6},
               .max_balance_minor = INT64_MAX,
               .max_amount_minor = BASE_AMOUNT_MAX}},
};

static void urls_that_open_nothing_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const struct ledger_kinds *kinds;
        enum app_exit exit_status;
        const char *says;
    } rows[] = {
        {"", &kinds, APP_EXIT_USAGE, "names no store"},
        {"zandaka-data", &kinds, APP_EXIT_USAGE, "names no store"},
        {"mysql://localhost", &kinds, APP_EXIT_USAGE, "`mysql://localhost`"},
        {"rocksdb:", &kinds, APP_EXIT_USAGE, "rocksdb:DIRECTORY"},
        {"memory:x", &kinds, APP_EXIT_USAGE, "stands alone"},
        {"memory:", NULL, APP_EXIT_USAGE, "nothing to read"},
        {"postgres:a", &kinds, APP_EXIT_USAGE, "names no store"},
        {"postgres://a@b/c?wrong=1", &kinds, APP_EXIT_USAGE, "wrong"},
        {"postgresql://a:secret@b/c?wrong=1", &kinds, APP_EXIT_USAGE, "`postgresql://a:***@b/c"},
        {"postgres://a@/c?host=/nowhere", NULL, APP_EXIT_COULD_NOT, "cannot be reached"},
        {"spanner:", &kinds, APP_EXIT_USAGE, "needs a database"},
        {"spanner:projects/p/instances/i", &kinds, APP_EXIT_USAGE, "needs a database"},
        {"spanner:projects/p/instances/i/databases/", &kinds, APP_EXIT_USAGE, "needs a database"},
        {"spanner:projects/p/instances/i/databases/d/e", &kinds, APP_EXIT_USAGE, "a database"},
        {"spanner:projects/p/instances/i/databases/d?max_staleness_ms=3600001", &kinds,
         APP_EXIT_USAGE, "0 to 3600000"},
        {"spanner:projects/p/instances/i/databases/d?staleness=1", &kinds, APP_EXIT_USAGE,
         "nothing else"},
        {"spanner:projects/p/instances/i/databases/d?max_staleness_ms=3600000", NULL,
         APP_EXIT_COULD_NOT, "cannot be reached"},
        {"rocksdb:/nowhere/at/all", &kinds, APP_EXIT_COULD_NOT, "does not exist"},
        {"rocksdb:/nowhere/at/all", NULL, APP_EXIT_COULD_NOT, "no store there"},
    };
    struct base_arena arena = BASE_ARENA_EMPTY;
    /* Nobody listens there. */
    assert_int_equal(setenv("SPANNER_EMULATOR_HOST", "127.0.0.1:1", 1), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text message = BASE_TEXT("");
        enum app_exit exit_status = APP_EXIT_DONE;
        assert_null(app_store_open(base_text_of(rows[i].url), rows[i].kinds, &arena, &message,
                                   &exit_status));
        assert_int_equal(exit_status, rows[i].exit_status);
        struct base_text said = base_arena_text(&arena, message);
        if (strstr(said.bytes, rows[i].says) == NULL) {
            fail_msg("`%s`: `%s` does not say `%s`", rows[i].url, said.bytes, rows[i].says);
        }
    }
    base_arena_release(&arena);
}

static void memory_and_rocksdb_open(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    char directory[] = "/tmp/zandaka-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct base_text urls[] = {BASE_TEXT("memory:"),
                               base_arena_print(&arena, "rocksdb:%s", directory)};
    for (size_t i = 0; i < 2; i++) {
        struct base_text message;
        enum app_exit exit_status;
        struct store *store = app_store_open(urls[i], &kinds, &arena, &message, &exit_status);
        assert_non_null(store);
        assert_ptr_equal(store_kinds(store), &kinds);
        store_close(store);
    }
    struct base_text remove = base_arena_print(&arena, "rm -r %s", directory);
    assert_int_equal(system(remove.bytes), 0);
    base_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_open_nothing_say_why),
        cmocka_unit_test(memory_and_rocksdb_open),
    };
    return cmocka_run_group_tests_name("app: store URLs", tests, NULL, NULL);
}
