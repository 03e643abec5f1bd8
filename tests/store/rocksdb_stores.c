#include "rocksdb_stores.h"

#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The moment of the first batch. */
#define START_US INT64_C(1764028800000000)

int rocksdb_test_open(void **state)
{
    struct rocksdb_test *test = base_allocate_zeroed(1, sizeof *test);
    struct ledger_kind ordinary = {.max_balance_minor = INT64_MAX,
                                   .max_amount_minor = BASE_AMOUNT_MAX};
    test->place = place_open();
    test->kinds.n_kinds = 2;
    test->kinds.kinds[0] = ordinary;
    test->kinds.kinds[0].code = BASE_TEXT("points");
    test->kinds.kinds[1] = ordinary;
    test->kinds.kinds[1].code = BASE_TEXT("money");
    test->options = store_rocksdb_defaults(test->place->store, &test->kinds);
    *state = test;
    return 0;
}

int rocksdb_test_close(void **state)
{
    struct rocksdb_test *test = *state;
    base_arena_release(&test->arena);
    place_close(test->place);
    free(test);
    return 0;
}

struct store *rocksdb_test_store(struct rocksdb_test *test)
{
    test->message = BASE_TEXT("");
    return store_rocksdb_open(&test->options, &test->arena, &test->message);
}

struct store *rocksdb_test_store_to_read(struct rocksdb_test *test)
{
    struct store_rocksdb_options options = test->options;
    options.kinds = NULL;
    test->message = BASE_TEXT("");
    return store_rocksdb_open(&options, &test->arena, &test->message);
}

bool rocksdb_test_said(const struct rocksdb_test *test, const char *words)
{
    bool said = test->message.length > 0 && strstr(test->message.bytes, words) != NULL;
    if (!said) {
        (void)fprintf(stderr, "it said `%.*s`, not `%s`\n", BASE_TEXT_ARGS(test->message), words);
    }
    return said;
}

void rocksdb_test_fill(struct store *store, int first, int n)
{
    for (int i = first; i < first + n; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "add t%d alice points=1", i);
        const char *lines[] = {line};
        enum store_fault fault = batch_run_lines(store, START_US + i, 1, lines);
        base_assert(fault == STORE_OK);
    }
}

bool rocksdb_test_has(struct rocksdb_test *test, struct store *store, const char *transaction_id)
{
    bool found = false;
    struct base_bytes record;
    enum store_fault fault =
        store_read_transaction(store, base_text_of(transaction_id), &test->arena, &found, &record);
    base_assert(fault == STORE_OK);
    return found;
}

void rocksdb_test_put_row(const struct rocksdb_test *test, const char *family,
                          struct base_bytes key, const struct base_bytes *value)
{
    char *error = NULL;
    size_t n_listed = 0;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_set_create_if_missing(options, 1);
    char **listed = rocksdb_list_column_families(options, test->place->store, &n_listed, &error);
    base_assert(error == NULL && n_listed < 16);
    const char *names[17];
    const rocksdb_options_t *family_options[17];
    rocksdb_column_family_handle_t *handles[17];
    size_t index = n_listed;
    for (size_t i = 0; i < n_listed; i++) {
        names[i] = listed[i];
        family_options[i] = options;
        index = strcmp(names[i], family) == 0 ? i : index;
    }
    /* A family that is not there is made. */
    names[n_listed] = family;
    family_options[n_listed] = options;
    size_t n = n_listed + (index == n_listed);
    rocksdb_t *database = rocksdb_open_column_families(options, test->place->store, (int)n, names,
                                                       family_options, handles, &error);
    base_assert(error == NULL);
    rocksdb_writeoptions_t *write_options = rocksdb_writeoptions_create();
    if (value == NULL) {
        rocksdb_delete_cf(database, write_options, handles[index], (const char *)key.bytes,
                          key.length, &error);
    } else {
        rocksdb_put_cf(database, write_options, handles[index], (const char *)key.bytes, key.length,
                       (const char *)value->bytes, value->length, &error);
    }
    base_assert(error == NULL);
    for (size_t i = 0; i < n; i++) {
        rocksdb_column_family_handle_destroy(handles[i]);
    }
    rocksdb_list_column_families_destroy(listed, n_listed);
    rocksdb_writeoptions_destroy(write_options);
    rocksdb_close(database);
    rocksdb_options_destroy(options);
}
