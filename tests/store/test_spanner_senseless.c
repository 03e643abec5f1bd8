/*
 * store: rows of Cloud Spanner that make no sense, on a FAKE (fake_spanner.h). The schema refuses
 * most of them, so they are put beneath it, as another program with the right to write might leave
 * them. Whoever asks is told of a fault, and never of what such a row says.
 */
#include "asks.h"
#include "batch.h"
#include "fake_spanner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EXIT_SKIPPED 77
#define NOW_US INT64_C(1764028800000000)
#define ORDINARY .max_balance_minor = INT64_MAX, .max_amount_minor = BASE_AMOUNT_MAX

static const struct ledger_kinds kinds = {
    .n_kinds = 2, .kinds = {{.code = {"points", 6}, ORDINARY}, {.code = {"money", 5}, ORDINARY}}};
static const struct ledger_kinds only_points = {.n_kinds = 1,
                                                .kinds = {{.code = {"points", 6}, ORDINARY}}};

/* --- who asks --- */

/* t1 has added 5 points to alice. */
static enum store_fault load_line(struct store *store, const char *line)
{
    struct batch *batch = batch_open(&kinds);
    batch_add_line(batch, line);
    enum store_fault fault = batch_load(batch, store);
    if (fault == STORE_OK) {
        store_abandon(store, 0, &batch->facts);
    }
    batch_close(batch);
    return fault;
}

static enum store_fault load_alice(struct store *store)
{
    return load_line(store, "consume t9 alice points=1");
}

static enum store_fault load_t1(struct store *store)
{
    return load_line(store, "add t1 bob points=5");
}

static enum store_fault read_t1(struct store *store)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    bool found;
    struct base_bytes record;
    enum store_fault fault =
        store_read_transaction(store, BASE_TEXT("t1"), &arena, &found, &record);
    assert_true(fault != STORE_OK || found);
    base_arena_release(&arena);
    return fault;
}

/* --- what makes no sense --- */

#define ASKED_MAX 4
#define ACCOUNT                                                                                    \
    {                                                                                              \
        load_alice, read_alice, walk_accounts                                                      \
    }
#define TRANSACTION                                                                                \
    {                                                                                              \
        load_t1, read_t1, walk_journal, read_history                                               \
    }
#define ENTRY                                                                                      \
    {                                                                                              \
        read_history, walk_entries                                                                 \
    }

static const struct {
    const char *spoilt; /* TABLE COLUMN VALUE */
    asks *told[ASKED_MAX];
} rows[] = {
    {"accounts version 0", ACCOUNT},
    {"accounts version -1", ACCOUNT},
    {"accounts version 'one'", ACCOUNT},
    {"accounts version '9223372036854775808'", ACCOUNT},
    {"accounts version None", ACCOUNT},
    {"accounts last_time 'yesterday'", ACCOUNT},
    {"accounts last_time '2026-13-01T00:00:00Z'", ACCOUNT},
    {"accounts last_time '2026-02-01T24:00:00Z'", ACCOUNT},
    {"accounts last_time '2026-02-01T00:00:00+01:00'", ACCOUNT},
    {"accounts last_time '2026-02-01T00:00:00.000000001Z'", ACCOUNT},
    {"accounts last_time '2026-0x-01T00:00:00Z'", ACCOUNT},
    {"accounts kind_numbers (64,)", ACCOUNT},
    {"accounts kind_numbers (-1,)", ACCOUNT},
    {"accounts kind_numbers (0,0)", ACCOUNT}, /* more than there are balances */
    {"accounts kind_numbers None", ACCOUNT},
    {"accounts kind_numbers (None,)", ACCOUNT},
    {"accounts available (-1,)", ACCOUNT},
    {"accounts available ()", ACCOUNT},
    {"accounts available ('much',)", ACCOUNT},
    {"accounts held (-1,)", ACCOUNT},
    {"accounts held (9223372036854775807,)", ACCOUNT}, /* with 5 available */
    {"accounts account_id 'a b'", {read_alice, walk_accounts}},
    {"transactions transaction_id 'a b'", {load_t1, read_t1, walk_ids}},
    {"transactions transaction_id ''", {load_t1, read_t1, walk_ids}},
    {"transactions record '?'", TRANSACTION},                   /* no base64 */
    {"transactions record b'?'", {read_history, walk_entries}}, /* no record */
    {"transactions caller None", TRANSACTION},
    {"transactions commit_mark 'x'", TRANSACTION},
    {"transactions place 1024", {load_t1, read_t1, walk_ids, read_history}},
    {"transactions place -1", {load_t1, read_t1, walk_ids, read_history}},
    {"transactions journal_shard 8", {load_t1, read_t1, walk_ids, read_history}},
    {"transactions journal_shard -1", {load_t1, read_t1, walk_ids, read_history}},
    {"transactions commit_time '2019-12-31T23:59:59Z'", {load_t1, read_t1, walk_ids}},
    {"entries first_sequence 0", ENTRY},
    {"entries first_sequence 9223372036854775807", ENTRY},
    {"entries transaction_id 'a b'", ENTRY},
    {"entries transaction_id 't2'", {read_history}}, /* there is none */
    {"entries operation 'add'", ENTRY},
    {"entries operation 7", ENTRY},
    {"entries operation 3", ENTRY},          /* a fence has none */
    {"entries operation 4294967297", ENTRY}, /* 1, for who looks at 32 bits */
    {"entries create_time ''", ENTRY},
    {"entries kind_numbers ()", ENTRY},
    {"entries kind_numbers (64,)", ENTRY},
    {"entries amounts (5,5)", ENTRY},
    {"entries amounts ('5x',)", ENTRY},
    {"entries balances_after ()", ENTRY},
    {"entries held_after (None,)", ENTRY},
};

static void what_makes_no_sense_is_a_fault_to_all_who_ask(void **state)
{
    (void)state;
    static const char *const lines[] = {"add t1 alice points=5"};
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct base_text url = fake_spanner_database(&arena);
        struct store *store = fake_spanner_store(url, &kinds);
        assert_int_equal(batch_run_lines(store, NOW_US, 1, lines), STORE_OK);
        for (size_t asked = 0; asked < ASKED_MAX && rows[i].told[asked] != NULL; asked++) {
            assert_int_equal(rows[i].told[asked](store), STORE_OK);
        }
        fake_spanner_command("spoil %s %s", url.bytes + strlen("spanner:"), rows[i].spoilt);
        for (size_t asked = 0; asked < ASKED_MAX && rows[i].told[asked] != NULL; asked++) {
            enum store_fault fault = rows[i].told[asked](store);
            if (fault != STORE_CORRUPT) {
                fail_msg("who asks as number %zu is told %d after: %s", asked, (int)fault,
                         rows[i].spoilt);
            }
        }
        store_close(store);
    }
    base_arena_release(&arena);
    assert_int_equal(fake_spanner_count("violations"), 0);
}

/* --- what a server needs to begin --- */

static void assert_refused(struct base_text url, const struct ledger_kinds *configured,
                           const char *words)
{
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text message = BASE_TEXT("");
    struct store *store = fake_spanner_try_store(url, configured, &arena, &message);
    assert_null(store);
    if (strstr(message.bytes, words) == NULL) {
        fail_msg("it said `%.*s`, not `%s`", BASE_TEXT_ARGS(message), words);
    }
    base_arena_release(&arena);
}

/* contract.md 5: a slip in a configuration turns no payments away. */
static void a_kind_that_was_served_must_be_configured(void **state)
{
    (void)state;
    struct base_arena arena = BASE_ARENA_EMPTY;
    struct base_text url = fake_spanner_database(&arena);
    store_close(fake_spanner_store(url, &only_points));
    store_close(fake_spanner_store(url, &kinds));
    assert_refused(url, &only_points, "has served the kind `money`, which the configuration lacks");
    store_close(fake_spanner_store(url, &kinds));
    base_arena_release(&arena);
}

static void a_schema_of_another_version_is_refused(void **state)
{
    (void)state;
    static const char *const versions[] = {"99", "'?'", "-7"};
    struct base_arena arena = BASE_ARENA_EMPTY;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct base_text url = fake_spanner_database(&arena);
        fake_spanner_command("spoil %s store schema_version %s", url.bytes + strlen("spanner:"),
                             versions[i]);
        assert_refused(url, &kinds, "version");
    }
    base_arena_release(&arena);
}

int main(void)
{
    if (!fake_spanner_is_present()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_a_fault_to_all_who_ask),
        cmocka_unit_test(a_kind_that_was_served_must_be_configured),
        cmocka_unit_test(a_schema_of_another_version_is_refused),
    };
    return cmocka_run_group_tests_name("store_spanner_senseless", tests, NULL, NULL);
}
