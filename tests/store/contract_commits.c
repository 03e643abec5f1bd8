/* Loads, commits, conflicts, and the records themselves. */
#include "contract.h"

#include <stdio.h>
#include <string.h>

/* --- load --- */

static void load_says_absent_and_zero_for_what_was_never_seen(void **state)
{
    struct contract *contract = *state;
    struct batch *batch = batch_open(contract->kinds);
    batch_add_line(batch, "add t1 alice points=100");
    batch_add_line(batch, "cancel t2");
    assert_int_equal(batch_load(batch, contract->store), STORE_OK);
    assert_int_equal(batch->facts.n_transactions, 2);
    for (size_t i = 0; i < batch->facts.n_transactions; i++) {
        assert_int_equal(batch->facts.transactions[i]->presence, LEDGER_ABSENT);
    }
    assert_int_equal(batch->facts.n_accounts, 1);
    const struct ledger_account *account = batch->facts.accounts[0];
    assert_text_equal(account->account_id, BASE_TEXT("alice"));
    assert_true(account->version == 0);
    assert_true(account->loaded_version == 0);
    assert_true(account->last_time_us == INT64_MIN);
    assert_false(account->changed);
    for (size_t i = 0; i < contract->kinds->n_kinds; i++) {
        assert_true(account->balances[i].available_minor == 0);
        assert_true(account->balances[i].held_minor == 0);
    }
    store_abandon(contract->store, 0, &batch->facts);
    batch_close(batch);
}

static void load_gives_back_what_was_committed(void **state)
{
    struct contract *contract = *state;
    int64_t committed_us = contract->now_us;
    struct batch *first = batch_open(contract->kinds);
    batch_add_line(first, "add t1 alice points=100 money=500");
    batch_add_line(first, "cancel t2");
    assert_int_equal(batch_run(first, contract->store, committed_us), STORE_OK);

    struct batch *second = batch_open(contract->kinds);
    batch_add_line(second, "consume t3 alice points=1");
    batch_add_line(second, "cancel t1");
    batch_add_line(second, "cancel t2");
    assert_int_equal(batch_load(second, contract->store), STORE_OK);
    for (size_t i = 0; i < 2; i++) {
        const struct ledger_transaction *fact =
            ledger_facts_transaction(&second->facts, i == 0 ? BASE_TEXT("t1") : BASE_TEXT("t2"));
        assert_int_equal(fact->presence, LEDGER_RECORDED);
        assert_bytes_equal(fact->record, first->outcomes[i].record);
    }
    assert_int_equal(ledger_facts_transaction(&second->facts, BASE_TEXT("t3"))->presence,
                     LEDGER_ABSENT);
    const struct ledger_account *account = ledger_facts_account(&second->facts, BASE_TEXT("alice"));
    assert_true(account->version == 2);
    assert_true(account->loaded_version == 2);
    assert_true(account->last_time_us == committed_us);
    assert_false(account->changed);
    assert_true(account->balances[0].available_minor == 100);
    assert_true(account->balances[1].available_minor == 500);
    store_abandon(contract->store, 0, &second->facts);
    batch_close(second);
    batch_close(first);
}

/* --- commit --- */

static void a_commit_shows_in_every_read_at_once(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "add t1 alice points=100", "consume t2 alice points=30",
                    "add t3 bob money=5");
    contract_assert_recorded(contract, "t1", true);
    contract_assert_recorded(contract, "t2", true);
    contract_assert_recorded(contract, "t3", true);
    contract_assert_balance(contract, "alice", "points=70 money=0");
    contract_assert_balance(contract, "bob", "points=0 money=5");
    struct store_entries_page page =
        contract_walk_entries(contract, contract->store, contract_query_all("alice"));
    assert_int_equal(page.n_entries, 2);
    assert_text_equal(page.entries[0].transaction_id, BASE_TEXT("t2"));
    assert_text_equal(page.entries[1].transaction_id, BASE_TEXT("t1"));
}

static void nothing_shows_before_the_commit_or_after_an_abandon(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "add t1 alice points=100");
    struct batch *batch = batch_open(contract->kinds);
    batch_add_line(batch, "consume t2 alice points=30");
    batch_add_line(batch, "add t3 bob points=30");
    assert_int_equal(batch_load(batch, contract->store), STORE_OK);
    batch_decide(batch, contract->now_us);
    for (int round = 0; round < 2; round++) {
        contract_assert_recorded(contract, "t2", false);
        contract_assert_recorded(contract, "t3", false);
        contract_assert_balance(contract, "alice", "points=100 money=0");
        contract_assert_balance(contract, "bob", "points=0 money=0");
        assert_int_equal(contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL).n_rows,
                         1);
        assert_int_equal(contract_read_table(contract, contract->store, STORE_TABLE_ENTRIES).n_rows,
                         1);
        if (round == 0) {
            store_abandon(contract->store, 0, &batch->facts);
        }
    }
    batch_close(batch);
    contract_commit(contract, "consume t2 alice points=40");
    contract_assert_balance(contract, "alice", "points=60 money=0");
}

static void a_commit_that_changes_nothing_is_ok_and_writes_nothing(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "add t1 alice points=100");
    /* A replay, a refusal for lack of balance (also of an account never seen), a late cancel. */
    contract_commit(contract, "add t1 alice points=100", "consume t2 alice points=101",
                    "consume t3 bob points=1", "cancel t1");
    struct batch *empty = batch_open(contract->kinds);
    assert_int_equal(batch_run(empty, contract->store, contract->now_us), STORE_OK);
    batch_close(empty);
    contract_assert_recorded(contract, "t2", false);
    contract_assert_recorded(contract, "t3", false);
    contract_assert_balance(contract, "alice", "points=100 money=0");
    static const size_t n_rows[] = {1, 1, 1, 1};
    for (int table = STORE_TABLE_JOURNAL; table <= STORE_TABLE_ENTRIES; table++) {
        assert_int_equal(
            contract_read_table(contract, contract->store, (enum store_table)table).n_rows,
            n_rows[table]);
    }
}

static void changes_within_a_batch_add_up(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "add t1 alice points=10", "consume t2 alice points=10",
                    "consume t3 alice points=1", "add t4 alice points=7 money=1",
                    "add t1 alice points=10", "cancel t5", "add t5 alice points=1");
    contract_assert_balance(contract, "alice", "points=7 money=1");
    contract_assert_recorded(contract, "t3", false);
    struct store_entries_page page =
        contract_walk_entries(contract, contract->store, contract_query_all("alice"));
    assert_int_equal(page.n_entries, 4);
    assert_true(page.entries[0].sequence == 4);
}

/* In one batch with accounts that were only looked at, before it, between and behind. */
static void every_account_that_changed_is_written(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "consume t1 poor points=9", "add t2 alice points=1",
                    "consume t3 broke points=9", "add t4 bob points=2", "consume t5 bare points=9");
    contract_assert_balance(contract, "alice", "points=1 money=0");
    contract_assert_balance(contract, "bob", "points=2 money=0");
    contract_assert_balance(contract, "poor", "points=0 money=0");
    assert_int_equal(contract_read_table(contract, contract->store, STORE_TABLE_ACCOUNTS).n_rows,
                     2);
}

/* --- conflicts --- */

/*
 * Two working sets are loaded, `other` after `stale`, and `other` is committed first. So a backend
 * with one writer may simply refuse every working set but the one loaded last.
 */
static void a_commit_on_facts_no_longer_true_conflicts_and_writes_nothing(void **state)
{
    struct contract *contract = *state;
    static const struct {
        const char *stale;
        const char *other;
    } rows[] = {
        {"add a1 alice points=5", "add b1 alice points=1"},     /* the account changed */
        {"add a2 dave points=5", "add b2 dave points=1"},       /* it came to be */
        {"add a3 alice points=5", "add a3 bob points=1"},       /* the id was recorded */
        {"add a4 alice points=5", "cancel a4"},                 /* the id was fenced */
        {"cancel a5", "add a5 bob points=1"},                   /* the fence is too late */
        {"consume a6 bob money=99", "add b6 bob money=99"},     /* the refusal is untrue */
        {"consume a7 carol points=1", "cancel a7"},             /* the refused id is fenced */
        {"add start alice points=9", "add b8 alice points=1"},  /* a refusal, and its account */
        {"consume a9 alice points=1", "add a9 alice points=1"}, /* both */
    };
    contract_commit(contract, "add start alice points=100");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct batch *stale = batch_open(contract->kinds);
        struct batch *other = batch_open(contract->kinds);
        batch_add_line(stale, rows[i].stale);
        batch_add_line(other, rows[i].other);
        assert_int_equal(batch_load(stale, contract->store), STORE_OK);
        assert_int_equal(batch_load(other, contract->store), STORE_OK);
        batch_decide(stale, contract->now_us);
        batch_decide(other, contract->now_us);
        assert_int_equal(batch_commit(other, contract->store), STORE_OK);
        struct contract_table before =
            contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL);
        assert_int_equal(batch_commit(stale, contract->store), STORE_CONFLICT);
        struct contract_table after =
            contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL);
        assert_int_equal(after.n_rows, before.n_rows);
        batch_close(other);
        batch_close(stale);
        /* Loaded and decided again, it goes through. */
        contract_commit_lines(contract, 1, &rows[i].stale);
    }
    struct contract_table entries =
        contract_read_table(contract, contract->store, STORE_TABLE_ENTRIES);
    for (size_t i = 1; i < entries.n_rows; i++) {
        const struct ledger_entry *newer = &entries.rows[i - 1].entry;
        const struct ledger_entry *older = &entries.rows[i].entry;
        if (base_text_equal(newer->account_id, older->account_id)) {
            assert_true(newer->sequence == older->sequence + 1);
        }
    }
}

/* An embedded store has one. */
static void each_session_takes_a_batch(void **state)
{
    struct contract *contract = *state;
    unsigned n_sessions = store_sessions(contract->store);
    assert_true(n_sessions >= 1 && n_sessions <= BASE_STORE_SESSIONS_MAX);
    assert_true(!contract->backend->is_embedded || n_sessions == 1);
    for (unsigned i = 0; i < n_sessions; i++) {
        char line[64];
        snprintf(line, sizeof line, "add t%u alice points=1", i);
        struct batch *batch = batch_open(contract->kinds);
        batch_add_line(batch, line);
        assert_int_equal(store_load(contract->store, i, &batch->facts), STORE_OK);
        batch_decide(batch, contract->now_us);
        assert_int_equal(store_commit(contract->store, i, &batch->facts), STORE_OK);
        batch_close(batch);
    }
    char balance[64];
    snprintf(balance, sizeof balance, "points=%u money=0", n_sessions);
    contract_assert_balance(contract, "alice", balance);
}

/* Of a batch of three, each id and each account in turn is the one that another batch was first
 * with. */
static void every_fact_of_a_batch_is_looked_at(void **state)
{
    struct contract *contract = *state;
    for (int i = 0; i < 6; i++) {
        struct batch *stale = batch_open(contract->kinds);
        struct batch *other = batch_open(contract->kinds);
        char line[64];
        for (int at = 0; at < 3; at++) {
            snprintf(line, sizeof line, "add round-%d-%d account-%d points=1", i, at, at);
            batch_add_line(stale, line);
        }
        if (i < 3) {
            snprintf(line, sizeof line, "cancel round-%d-%d", i, i);
        } else {
            snprintf(line, sizeof line, "add round-%d-other account-%d points=1", i, i - 3);
        }
        batch_add_line(other, line);
        assert_int_equal(batch_load(stale, contract->store), STORE_OK);
        assert_int_equal(batch_load(other, contract->store), STORE_OK);
        batch_decide(stale, contract->now_us);
        batch_decide(other, contract->now_us);
        assert_int_equal(batch_commit(other, contract->store), STORE_OK);
        assert_int_equal(batch_commit(stale, contract->store), STORE_CONFLICT);
        batch_close(other);
        batch_close(stale);
    }
    contract_assert_balance(contract, "account-1", "points=1 money=0");
}

/* --- records and journal --- */

/* The largest transaction that the limits allow, in four-byte UTF-8 where text is free. */
static void add_largest_command(struct batch *batch, char fill, enum record_operation operation)
{
    struct base_arena *arena = &batch->arena;
    struct ledger_command command = {.operation = operation};
    char *id = base_arena_take(arena, BASE_ID_MAX_BYTES);
    memset(id, fill, BASE_ID_MAX_BYTES);
    command.transaction_id = (struct base_text){id, BASE_ID_MAX_BYTES};
    command.account_id = (struct base_text){"~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"
                                            "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
                                            BASE_ID_MAX_BYTES};
    struct ledger_amount *amounts = base_arena_take(arena, BASE_AMOUNTS_MAX * sizeof *amounts);
    for (size_t i = 0; i < BASE_AMOUNTS_MAX; i++) {
        amounts[i] = (struct ledger_amount){
            .kind = batch->facts.kinds->kinds[BASE_KINDS_MAX - 1 - 3 * i].code,
            .amount_minor = i % 2 == 0 ? BASE_AMOUNT_MAX : 1,
        };
    }
    command.amounts = amounts;
    command.n_amounts = BASE_AMOUNTS_MAX;
    char *text = base_arena_take(arena, BASE_DESCRIPTION_MAX_BYTES);
    for (size_t i = 0; i < BASE_DESCRIPTION_MAX_BYTES; i += 4) {
        memcpy(text + i, "\xF0\x9F\x92\xB4", 4);
    }
    command.description = (struct base_text){text, BASE_DESCRIPTION_MAX_BYTES};
    struct record_label *metadata = base_arena_take(arena, BASE_METADATA_MAX * sizeof *metadata);
    size_t value_length = BASE_METADATA_TOTAL_MAX_BYTES / BASE_METADATA_MAX - 4;
    for (size_t i = 0; i < BASE_METADATA_MAX; i++) {
        metadata[i].key = base_arena_print(arena, "k%03zu", BASE_METADATA_MAX - i);
        metadata[i].value = (struct base_text){text, value_length};
    }
    command.metadata = metadata;
    command.n_metadata = BASE_METADATA_MAX;
    batch_add(batch, &command);
}

static void the_largest_records_come_back_byte_for_byte(void **state)
{
    struct contract *contract = *state;
    struct batch *batch = batch_open(contract->kinds);
    add_largest_command(batch, '!', RECORD_OPERATION_ADD);
    add_largest_command(batch, '~', RECORD_OPERATION_CONSUME);
    assert_int_equal(batch_run(batch, contract->store, contract->now_us), STORE_OK);
    struct batch *again = batch_open(contract->kinds);
    add_largest_command(again, '!', RECORD_OPERATION_ADD);
    add_largest_command(again, '~', RECORD_OPERATION_CONSUME);
    assert_int_equal(batch_run(again, contract->store, contract->now_us + 5), STORE_OK);

    struct contract_table journal =
        contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL);
    assert_int_equal(journal.n_rows, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(batch->outcomes[i].result, LEDGER_APPLIED);
        assert_int_equal(again->outcomes[i].result, LEDGER_REPLAYED);
        struct base_bytes record = batch->outcomes[i].record;
        assert_bytes_equal(again->outcomes[i].record, record);
        assert_bytes_equal(journal.rows[i].record, record);
        bool found;
        struct base_bytes read;
        assert_int_equal(store_read_transaction(contract->store, batch->commands[i].transaction_id,
                                                &contract->arena, &found, &read),
                         STORE_OK);
        assert_true(found);
        assert_bytes_equal(read, record);
        assert_int_equal(store_read_journal(contract->store, journal.rows[i].position,
                                            &contract->arena, &found, &read),
                         STORE_OK);
        assert_true(found);
        assert_bytes_equal(read, record);
    }
    struct store_entries_query query = contract_query_all("");
    query.account_id = batch->commands[0].account_id;
    struct store_entries_page page = contract_walk_entries(contract, contract->store, query);
    assert_int_equal(page.n_entries, 2 * BASE_AMOUNTS_MAX);
    assert_text_equal(page.entries[0].description, batch->commands[0].description);
    assert_text_equal(page.entries[0].transaction_id, batch->commands[1].transaction_id);
    batch_close(again);
    batch_close(batch);
}

static void assert_caller(struct contract *contract, const char *transaction_id, const char *caller)
{
    bool found = false;
    struct base_text kept;
    assert_int_equal(store_read_caller(contract->store, base_text_of(transaction_id),
                                       &contract->arena, &found, &kept),
                     STORE_OK);
    assert_int_equal(found, caller != NULL);
    if (caller != NULL) {
        assert_text_equal(kept, base_text_of(caller));
    }
}

/* Who asked is kept beside the record: the record is the same bytes whoever it was, and a repeat by
 * another changes nothing. */
static void who_first_succeeded_stays_beside_the_record(void **state)
{
    struct contract *contract = *state;
    char longest[BASE_CALLER_MAX_BYTES + 1] = {0};
    memset(longest, 'z', BASE_CALLER_MAX_BYTES);
    static const char *const lines[] = {"add t1 alice points=5", "cancel t2",
                                        "add t3 alice points=1", "add t4 alice points=9"};
    const char *const callers[] = {"campaign", longest, "", "campaign"};
    struct batch *batch = batch_open(contract->kinds);
    struct batch *again = batch_open(contract->kinds);
    for (size_t i = 0; i < 4; i++) {
        batch_add_line(batch, lines[i]);
        batch->commands[i].caller = base_text_of(callers[i]);
        batch_add_line(again, lines[i]);
        again->commands[i].caller = BASE_TEXT("another");
    }
    assert_int_equal(batch_run(batch, contract->store, contract->now_us), STORE_OK);
    assert_int_equal(batch_run(again, contract->store, contract->now_us + 1), STORE_OK);
    struct contract_table journal =
        contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL);
    assert_int_equal(journal.n_rows, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(again->outcomes[i].result, LEDGER_REPLAYED);
        assert_bytes_equal(again->outcomes[i].record, batch->outcomes[i].record);
        assert_bytes_equal(journal.rows[i].record, batch->outcomes[i].record);
        assert_text_equal(journal.rows[i].caller, base_text_of(callers[i]));
        char id[] = {'t', (char)('1' + i), '\0'};
        assert_caller(contract, id, callers[i]);
    }
    assert_caller(contract, "t5", NULL);
    batch_close(again);
    batch_close(batch);
}

/* So that a server that has not heard of its commit's end can tell it from another's. */
static void a_commit_leaves_its_mark_beside_what_it_records(void **state)
{
    struct contract *contract = *state;
    if (!contract->backend->keeps_marks) {
        skip();
    }
    static const char *const lines[] = {"add t1 alice points=5", "cancel t2"};
    static const uint64_t marks[] = {UINT64_MAX, 7};
    for (size_t i = 0; i < 2; i++) {
        struct batch *batch = batch_open(contract->kinds);
        batch_add_line(batch, lines[i]);
        assert_int_equal(batch_load(batch, contract->store), STORE_OK);
        batch_decide(batch, contract->now_us);
        batch->facts.commit_mark = marks[i];
        assert_int_equal(batch_commit(batch, contract->store), STORE_OK);
        batch_close(batch);
    }
    struct batch *again = batch_open(contract->kinds);
    batch_add_line(again, lines[0]);
    batch_add_line(again, lines[1]);
    assert_int_equal(batch_load(again, contract->store), STORE_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_true(again->facts.transactions[i]->commit_mark == marks[i]);
    }
    store_abandon(contract->store, 0, &again->facts);
    batch_close(again);
}

static void the_journal_keeps_the_order_of_the_decisions(void **state)
{
    struct contract *contract = *state;
    contract_commit(contract, "add z1 alice points=5", "cancel m1", "consume a1 alice points=2");
    contract_commit(contract, "add k1 bob money=5", "add z1 alice points=5",
                    "consume b1 alice points=3");
    contract_commit(contract, "consume x1 bob money=9", "add x1 bob money=1");
    static const char *const order[] = {"z1", "m1", "a1", "k1", "b1", "x1"};
    struct contract_table journal =
        contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL);
    assert_int_equal(journal.n_rows, sizeof order / sizeof order[0]);
    for (size_t i = 0; i < journal.n_rows; i++) {
        struct record_transaction transaction;
        assert_true(record_decode(&contract->arena, journal.rows[i].record, &transaction));
        assert_text_equal(transaction.transaction_id, base_text_of(order[i]));
        assert_true(journal.rows[i].position > (i > 0 ? journal.rows[i - 1].position : 0));
    }
    uint64_t last = journal.rows[journal.n_rows - 1].position;
    static const struct {
        bool after_last;
        uint64_t offset;
    } nowhere[] = {{false, 0}, {true, 1}, {true, 1000000}};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        bool found = true;
        struct base_bytes record;
        uint64_t position = nowhere[i].after_last ? last + nowhere[i].offset : 0;
        assert_int_equal(
            store_read_journal(contract->store, position, &contract->arena, &found, &record),
            STORE_OK);
        assert_false(found);
    }
}

static void ids_are_compared_byte_by_byte(void **state)
{
    struct contract *contract = *state;
    static const char *const ids[] = {"t", "T", "tt", "t!", "t~", "!", "~", "t1", "t10", "t0"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        contract_assert_recorded(contract, ids[i], false);
        char line[64];
        (void)snprintf(line, sizeof line, "add %s %s points=%zu", ids[i], ids[i], i + 1);
        contract_commit_lines(contract, 1, (const char *const[]){line});
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        contract_assert_recorded(contract, ids[i], true);
        char balance[64];
        (void)snprintf(balance, sizeof balance, "points=%zu money=0", i + 1);
        contract_assert_balance(contract, ids[i], balance);
        struct store_entries_page page =
            contract_walk_entries(contract, contract->store, contract_query_all(ids[i]));
        assert_int_equal(page.n_entries, 1);
        assert_text_equal(page.entries[0].transaction_id, base_text_of(ids[i]));
    }
}

/* --- sizes --- */

static void a_full_batch_of_the_largest_transactions_is_one_commit(void **state)
{
    struct contract *contract = *state;
    struct batch *batch = batch_open(contract->kinds);
    for (size_t i = 0; i < BASE_BATCH_MAX; i++) {
        struct ledger_amount *amounts =
            base_arena_take(&batch->arena, BASE_AMOUNTS_MAX * sizeof *amounts);
        for (size_t at = 0; at < BASE_AMOUNTS_MAX; at++) {
            amounts[at].kind = contract->kinds->kinds[(i + at * 4) % BASE_KINDS_MAX].code;
            amounts[at].amount_minor = (int64_t)(i + 1);
        }
        struct ledger_command command = {
            .operation = RECORD_OPERATION_ADD,
            .transaction_id = base_arena_print(&batch->arena, "t%zu", i),
            /* Half of them meet in one account, the others have one each. */
            .account_id =
                i % 2 == 0 ? BASE_TEXT("hot") : base_arena_print(&batch->arena, "account-%zu", i),
            .n_amounts = BASE_AMOUNTS_MAX,
            .amounts = amounts,
        };
        batch_add(batch, &command);
    }
    assert_int_equal(batch_run(batch, contract->store, contract->now_us), STORE_OK);
    struct contract_table entries =
        contract_read_table(contract, contract->store, STORE_TABLE_ENTRIES);
    assert_int_equal(entries.n_rows, BASE_BATCH_MAX * BASE_AMOUNTS_MAX);
    assert_int_equal(contract_read_table(contract, contract->store, STORE_TABLE_ACCOUNTS).n_rows,
                     BASE_BATCH_MAX / 2 + 1);
    struct store_entries_page hot =
        contract_walk_entries(contract, contract->store, contract_query_all("hot"));
    assert_int_equal(hot.n_entries, BASE_BATCH_MAX / 2 * BASE_AMOUNTS_MAX);
    struct contract_table journal =
        contract_read_table(contract, contract->store, STORE_TABLE_JOURNAL);
    assert_int_equal(journal.n_rows, BASE_BATCH_MAX);
    for (size_t i = 0; i < BASE_BATCH_MAX; i++) {
        assert_bytes_equal(journal.rows[i].record, batch->outcomes[i].record);
    }
    batch_close(batch);
}

struct contract_tests contract_commits(void)
{
    static const struct CMUnitTest tests[] = {
        CONTRACT_TEST(load_says_absent_and_zero_for_what_was_never_seen),
        CONTRACT_TEST(load_gives_back_what_was_committed),
        CONTRACT_TEST(a_commit_shows_in_every_read_at_once),
        CONTRACT_TEST(nothing_shows_before_the_commit_or_after_an_abandon),
        CONTRACT_TEST(a_commit_that_changes_nothing_is_ok_and_writes_nothing),
        CONTRACT_TEST(changes_within_a_batch_add_up),
        CONTRACT_TEST(a_commit_on_facts_no_longer_true_conflicts_and_writes_nothing),
        CONTRACT_TEST(every_account_that_changed_is_written),
        CONTRACT_TEST(each_session_takes_a_batch),
        CONTRACT_TEST(every_fact_of_a_batch_is_looked_at),
        CONTRACT_TEST_WIDE(the_largest_records_come_back_byte_for_byte),
        CONTRACT_TEST(who_first_succeeded_stays_beside_the_record),
        CONTRACT_TEST(a_commit_leaves_its_mark_beside_what_it_records),
        CONTRACT_TEST(the_journal_keeps_the_order_of_the_decisions),
        CONTRACT_TEST(ids_are_compared_byte_by_byte),
        CONTRACT_TEST_WIDE(a_full_batch_of_the_largest_transactions_is_one_commit),
    };
    return (struct contract_tests){tests, sizeof tests / sizeof tests[0]};
}
