/*
 * A batch: its facts are read in a transaction that writes, which is committed with what changed.
 *
 * What was read is locked until then, absent rows included, or the transaction is aborted: so what
 * was decided on still holds when it is written, and also a batch that changed nothing is
 * committed, since only that confirms what its refusals rest on (contract 3.8). New rows are
 * inserted and never put over others: should another have recorded an id, nothing is written.
 */
#include "store/spanner/database.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Mutations that Spanner counts for a command: each column of its rows, and what the index has. */
#define TRANSACTION_WRITTEN_COLUMNS 8
#define INDEX_COLUMNS 5
#define ACCOUNT_WRITTEN_COLUMNS 7
#define ENTRIES_WRITTEN_COLUMNS 11
static_assert(TRANSACTION_WRITTEN_COLUMNS + INDEX_COLUMNS + ACCOUNT_WRITTEN_COLUMNS +
                      ENTRIES_WRITTEN_COLUMNS <=
                  BASE_SPANNER_MUTATIONS_OF_COMMAND,
              "a command must have no more mutations than the limit counts for it");

/* --- the session --- */

/* Gives up what was not committed. */
static void session_rollback(struct spanner_session *session)
{
    session->loaded = NULL;
    spanner_transaction_rollback(&session->connection, &session->transaction);
    session->transaction = (struct spanner_transaction){.id = {NULL, 0}};
}

void spanner_session_close(struct spanner_session *session)
{
    session_rollback(session);
    session->transaction.id = base_writer_bytes(&session->next);
    session_rollback(session);
    spanner_connection_close(&session->connection);
    base_arena_release(&session->arena);
    base_writer_release(&session->previous);
    base_writer_release(&session->next);
}

/* After an aborted transaction the next waits as long as Spanner asks, or longer with each in turn;
 * and it names the one before, which gives it that one's age. */
static void note_aborted(struct spanner_session *session, const struct spanner_result *result)
{
    int64_t wait_ms = result->retry_delay_ms;
    if (wait_ms < 0) {
        wait_ms = BASE_SPANNER_ABORTED_WAIT_FIRST_MS;
        for (unsigned i = 0; i < session->n_aborted && wait_ms < BASE_SPANNER_ABORTED_WAIT_LAST_MS;
             i++) {
            wait_ms = wait_ms * 13 / 10;
        }
    }
    if (wait_ms > BASE_SPANNER_ABORTED_WAIT_LAST_MS) {
        wait_ms = BASE_SPANNER_ABORTED_WAIT_LAST_MS;
    }
    session->n_aborted++;
    session->not_before_mono_ns = base_now_mono_ns(&base_clock_system) + wait_ms * BASE_NS_PER_MS;
    if (session->transaction.id.length > 0) {
        session->previous.length = 0;
        base_write_bytes(&session->previous, session->transaction.id);
    }
}

static void note_not_aborted(struct spanner_session *session)
{
    session->n_aborted = 0;
    session->previous.length = 0;
}

/* On a session of its own a transaction keeps its age by itself. */
static struct base_bytes previous_of(const struct spanner_session *session)
{
    return session->connection.multiplexed ? base_writer_bytes(&session->previous)
                                           : (struct base_bytes){NULL, 0};
}

/* A transaction that was begun ahead, beside the commit of the one before, is this batch's, so that
 * all reads go out at once. One that has rested for long is left to Spanner, which ends it: it
 * holds nothing. */
static void take_next(struct spanner_session *session)
{
    bool usable = session->next.length > 0 && session->connection.session[0] != '\0' &&
                  session->next_session_mono_ns == session->connection.session_opened_mono_ns &&
                  base_now_mono_ns(&base_clock_system) < session->next_until_mono_ns;
    if (usable) {
        session->transaction.id =
            base_arena_bytes(&session->arena, base_writer_bytes(&session->next));
    }
    session->next.length = 0;
}

static void note_next(struct spanner_session *session)
{
    session->next_until_mono_ns = spanner_deadline(BASE_SPANNER_BEGUN_AHEAD_MAX_MS);
    session->next_session_mono_ns = session->connection.session_opened_mono_ns;
}

static void wait_after_aborted(const struct spanner_session *session)
{
    int64_t wait_ns = session->not_before_mono_ns - base_now_mono_ns(&base_clock_system);
    if (session->n_aborted > 0 && wait_ns > 0) {
        const struct timespec wait = {.tv_sec = wait_ns / BASE_NS_PER_S,
                                      .tv_nsec = wait_ns % BASE_NS_PER_S};
        (void)nanosleep(&wait, NULL);
    }
}

/* What an exchange that did not go well means to the batch, and to the next. */
static enum store_fault failure(struct store_spanner *store, struct spanner_session *session,
                                const struct spanner_result *result)
{
    if (result->status == SPANNER_ABORTED) {
        note_aborted(session, result);
    }
    spanner_session_judge(&session->connection, result);
    return spanner_store_note_failure(store, result);
}

/* --- load --- */

static struct spanner_read read_of(struct spanner_session *session, const char *table,
                                   size_t n_columns, const char *const *columns, size_t capacity)
{
    return (struct spanner_read){.table = table,
                                 .n_columns = n_columns,
                                 .columns = columns,
                                 .keys = spanner_keys(&session->arena, capacity),
                                 .arena = &session->arena};
}

static size_t add_reads(struct spanner_session *session, const struct ledger_facts *facts,
                        struct spanner_read reads[2])
{
    size_t n = 0;
    if (facts->n_transactions > 0) {
        reads[n] = read_of(session, "transactions", SPANNER_TRANSACTION_COLUMNS,
                           spanner_transaction_columns, facts->n_transactions);
        for (size_t i = 0; i < facts->n_transactions; i++) {
            spanner_keys_add(
                &reads[n].keys,
                spanner_key_of(&session->arena, facts->transactions[i]->transaction_id));
        }
        n++;
    }
    if (facts->n_accounts > 0) {
        reads[n] = read_of(session, "accounts", SPANNER_ACCOUNT_COLUMNS, spanner_account_columns,
                           facts->n_accounts);
        for (size_t i = 0; i < facts->n_accounts; i++) {
            spanner_keys_add(&reads[n].keys,
                             spanner_key_of(&session->arena, facts->accounts[i]->account_id));
        }
        n++;
    }
    return n;
}

static enum store_fault take_transactions(const struct spanner_rows *rows,
                                          const struct ledger_facts *facts)
{
    for (size_t i = 0; i < facts->n_transactions; i++) {
        facts->transactions[i]->presence = LEDGER_ABSENT;
        facts->transactions[i]->record = (struct base_bytes){NULL, 0};
    }
    for (size_t i = 0; i < rows->n_rows; i++) {
        struct spanner_transaction_row row;
        if (!spanner_take_transaction(rows, i, facts->arena, &row)) {
            return STORE_CORRUPT;
        }
        struct ledger_transaction *fact = ledger_facts_transaction(facts, row.transaction_id);
        if (fact == NULL) {
            return STORE_CORRUPT;
        }
        fact->presence = LEDGER_RECORDED;
        fact->record = row.record;
        fact->commit_mark = row.commit_mark;
    }
    return STORE_OK;
}

/* An account's row is written whole, so one with a kind that only another server has is not to be
 * decided on here. */
static enum store_fault take_accounts(struct store_spanner *store, const struct spanner_rows *rows,
                                      const struct ledger_facts *facts)
{
    for (size_t i = 0; i < rows->n_rows; i++) {
        struct spanner_row row = {.rows = rows, .row = i};
        struct ledger_account *account = ledger_facts_account(facts, spanner_row_text(&row, 0));
        bool known;
        if (account == NULL || !spanner_take_account(store, rows, i, account, &known)) {
            return STORE_CORRUPT;
        }
        if (!known) {
            spanner_store_note_kind_missing(store);
            return STORE_UNAVAILABLE;
        }
    }
    return STORE_OK;
}

static enum store_fault take_facts(struct store_spanner *store, const struct spanner_read *reads,
                                   const struct ledger_facts *facts)
{
    enum store_fault fault = STORE_OK;
    size_t at = 0;
    if (facts->n_transactions > 0) {
        fault = take_transactions(&reads[at++].rows, facts);
    }
    if (fault == STORE_OK && facts->n_accounts > 0) {
        fault = take_accounts(store, &reads[at].rows, facts);
    }
    return fault;
}

enum store_fault spanner_load(struct store *base, unsigned number, struct ledger_facts *facts)
{
    struct store_spanner *store = (struct store_spanner *)base;
    struct spanner_session *session = &store->sessions[number];
    session_rollback(session);
    wait_after_aborted(session);
    base_arena_reset(&session->arena);
    struct spanner_read reads[2];
    size_t n_reads = add_reads(session, facts, reads);
    if (n_reads == 0) {
        session->loaded = facts;
        return STORE_OK;
    }
    if (!spanner_store_connect(store, &session->connection)) {
        return STORE_UNAVAILABLE;
    }
    take_next(session);
    const struct spanner_moment moment = {.which = SPANNER_OF_TRANSACTION,
                                          .transaction = &session->transaction,
                                          .previous = previous_of(session)};
    struct spanner_result result;
    enum store_fault fault;
    if (spanner_read(&session->connection, &moment, n_reads, reads, &result)) {
        fault = take_facts(store, reads, facts);
    } else {
        fault = failure(store, session, &result);
    }
    if (fault == STORE_OK) {
        spanner_store_note(store, SPANNER_SERVING, "");
        session->loaded = facts;
    } else {
        session_rollback(session);
    }
    return fault;
}

/* --- commit --- */

static const char *const written_transaction_columns[TRANSACTION_WRITTEN_COLUMNS] = {
    "shard", "transaction_id", "commit_time", "journal_shard",
    "place", "record",         "caller",      "commit_mark"};

static const char *const written_account_columns[ACCOUNT_WRITTEN_COLUMNS] = {
    "shard", "account_id", "version", "last_time", "kind_numbers", "available", "held"};

static const char *const written_entries_columns[ENTRIES_WRITTEN_COLUMNS] = {
    "shard",        "account_id", "first_sequence", "transaction_id", "operation", "create_time",
    "kind_numbers", "amounts",    "balances_after", "held_amounts",   "held_after"};

static struct spanner_write *new_transactions(struct base_arena *arena,
                                              const struct ledger_facts *facts)
{
    struct spanner_write *write =
        spanner_write_open(arena, false, "transactions", TRANSACTION_WRITTEN_COLUMNS,
                           written_transaction_columns, facts->n_new);
    for (size_t i = 0; i < facts->n_new; i++) {
        const struct ledger_transaction *transaction = facts->new_transactions[i];
        spanner_value *values[] = {
            spanner_int64(arena, spanner_shard(transaction->transaction_id)),
            spanner_text(arena, transaction->transaction_id),
            spanner_commit_time(arena),
            spanner_int64(arena, spanner_journal_shard(facts->commit_mark)),
            spanner_int64(arena, (int64_t)i),
            spanner_bytes(arena, transaction->record),
            spanner_text(arena, transaction->caller),
            spanner_int64(arena, (int64_t)facts->commit_mark),
        };
        spanner_write_row(arena, write, values);
    }
    return write;
}

/* The balances that are not zero, in the order of the database's numbers. */
static size_t list_balances(const struct store_spanner *store, const struct ledger_account *account,
                            int64_t kinds[BASE_KINDS_MAX], int64_t available[BASE_KINDS_MAX],
                            int64_t held[BASE_KINDS_MAX])
{
    size_t n = 0;
    for (int stored = 0; stored < BASE_KINDS_MAX; stored++) {
        int kind_number = store->kind_map.kind_numbers[stored];
        if (kind_number < 0) {
            continue;
        }
        const struct ledger_balance *balance = &account->balances[kind_number];
        if (balance->available_minor != 0 || balance->held_minor != 0) {
            kinds[n] = stored;
            available[n] = balance->available_minor;
            held[n++] = balance->held_minor;
        }
    }
    return n;
}

/* The accounts that changed: those that are new, or those that were there. */
static struct spanner_write *changed_accounts(const struct store_spanner *store,
                                              struct base_arena *arena,
                                              const struct ledger_facts *facts, bool were_there)
{
    struct spanner_write *write =
        spanner_write_open(arena, were_there, "accounts", ACCOUNT_WRITTEN_COLUMNS,
                           written_account_columns, facts->n_accounts);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        const struct ledger_account *account = facts->accounts[i];
        if (!account->changed || (account->loaded_version > 0) != were_there) {
            continue;
        }
        int64_t kinds[BASE_KINDS_MAX];
        int64_t available[BASE_KINDS_MAX];
        int64_t held[BASE_KINDS_MAX];
        size_t n = list_balances(store, account, kinds, available, held);
        spanner_value *values[] = {
            spanner_int64(arena, spanner_shard(account->account_id)),
            spanner_text(arena, account->account_id),
            spanner_int64(arena, account->version),
            spanner_time(arena, account->last_time_us),
            spanner_int64s(arena, n, kinds),
            spanner_int64s(arena, n, available),
            spanner_int64s(arena, n, held),
        };
        spanner_write_row(arena, write, values);
    }
    return write;
}

/* One row for the entries from `first` on that are of one transaction in one account; gives how
 * many they are. */
static size_t add_entries(const struct store_spanner *store, struct base_arena *arena,
                          struct spanner_write *write, size_t n_left,
                          const struct ledger_entry *first)
{
    enum { KINDS, AMOUNTS, BALANCES_AFTER, HELD_AMOUNTS, HELD_AFTER, LISTS };
    int64_t lists[LISTS][BASE_LEGS_MAX];
    size_t n = 0;
    while (n < n_left && n < BASE_LEGS_MAX && first[n].sequence == first->sequence + (int64_t)n &&
           base_text_equal(first[n].account_id, first->account_id) &&
           base_text_equal(first[n].transaction_id, first->transaction_id)) {
        lists[KINDS][n] = store->kind_map.stored_numbers[first[n].kind_number];
        lists[AMOUNTS][n] = first[n].amount_minor;
        lists[BALANCES_AFTER][n] = first[n].balance_after_minor;
        lists[HELD_AMOUNTS][n] = first[n].held_amount_minor;
        lists[HELD_AFTER][n] = first[n].held_after_minor;
        n++;
    }
    spanner_value *values[ENTRIES_WRITTEN_COLUMNS] = {
        spanner_int64(arena, spanner_shard(first->account_id)),
        spanner_text(arena, first->account_id),
        spanner_int64(arena, first->sequence),
        spanner_text(arena, first->transaction_id),
        spanner_int64(arena, (int64_t)first->operation),
        spanner_time(arena, first->create_time_us),
    };
    for (size_t list = 0; list < LISTS; list++) {
        values[6 + list] = spanner_int64s(arena, n, lists[list]);
    }
    spanner_write_row(arena, write, values);
    return n;
}

static struct spanner_write *new_entries(const struct store_spanner *store,
                                         struct base_arena *arena, const struct ledger_facts *facts)
{
    struct spanner_write *write =
        spanner_write_open(arena, false, "entries", ENTRIES_WRITTEN_COLUMNS,
                           written_entries_columns, facts->n_entries);
    for (size_t at = 0; at < facts->n_entries;) {
        at += add_entries(store, arena, write, facts->n_entries - at, &facts->entries[at]);
    }
    return write;
}

/* What the batch changed: accounts before the entries, whose parents they are. */
static size_t add_mutations(const struct store_spanner *store, struct base_arena *arena,
                            const struct ledger_facts *facts,
                            Google__Spanner__V1__Mutation *mutations[4])
{
    struct spanner_write *writes[] = {
        new_transactions(arena, facts), changed_accounts(store, arena, facts, false),
        changed_accounts(store, arena, facts, true), new_entries(store, arena, facts)};
    size_t n = 0;
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        if (writes[i]->write.n_values > 0) {
            mutations[n++] = &writes[i]->mutation;
        }
    }
    return n;
}

static enum store_fault commit(struct store_spanner *store, struct spanner_session *session,
                               size_t n_mutations, Google__Spanner__V1__Mutation **mutations)
{
    struct spanner_result result;
    enum store_fault fault = STORE_OK;
    switch (spanner_transaction_commit(&session->connection, &session->transaction, n_mutations,
                                       mutations, &session->arena, &session->next, &result)) {
    case SPANNER_COMMITTED:
        note_next(session);
        note_not_aborted(session);
        session->transaction = (struct spanner_transaction){.id = {NULL, 0}};
        return STORE_OK;
    case SPANNER_NOT_COMMITTED:
        fault = failure(store, session, &result);
        fault = fault == STORE_CORRUPT ? STORE_UNAVAILABLE : fault;
        break;
    case SPANNER_MAYBE_COMMITTED:
        (void)failure(store, session, &result);
        fault = STORE_UNKNOWN;
        break;
    }
    session_rollback(session);
    /* The next attempt begins by itself, and names this one. */
    session->transaction.id = base_arena_bytes(&session->arena, base_writer_bytes(&session->next));
    session->next.length = 0;
    session_rollback(session);
    return fault;
}

enum store_fault spanner_commit(struct store *base, unsigned number,
                                const struct ledger_facts *facts)
{
    struct store_spanner *store = (struct store_spanner *)base;
    struct spanner_session *session = &store->sessions[number];
    if (session->loaded != facts) {
        return STORE_CONFLICT;
    }
    session->loaded = NULL;
    if (facts->n_transactions == 0 && facts->n_accounts == 0) {
        return STORE_OK;
    }
    Google__Spanner__V1__Mutation *mutations[4];
    size_t n_mutations = add_mutations(store, &session->arena, facts, mutations);
    return commit(store, session, n_mutations, mutations);
}

void spanner_abandon(struct store *base, unsigned number, const struct ledger_facts *facts)
{
    struct spanner_session *session = &((struct store_spanner *)base)->sessions[number];
    if (session->loaded == facts) {
        session_rollback(session);
    }
}

/* --- copying --- */

static int compare_entries(const void *a, const void *b)
{
    const struct ledger_entry *left = a;
    const struct ledger_entry *right = b;
    int order = base_text_compare(left->account_id, right->account_id);
    return order != 0 ? order
                      : (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

enum store_fault spanner_copy_in(struct store *base, const struct ledger_facts *rows)
{
    struct store_spanner *store = (struct store_spanner *)base;
    struct spanner_session *session = &store->sessions[0];
    session_rollback(session);
    wait_after_aborted(session);
    base_arena_reset(&session->arena);
    if (!spanner_store_connect(store, &session->connection)) {
        return STORE_UNAVAILABLE;
    }
    struct spanner_result result;
    bool copying;
    if (!spanner_copy_look(&session->connection, &session->transaction, &session->arena, &copying,
                           &result)) {
        enum store_fault fault = failure(store, session, &result);
        session_rollback(session);
        return fault;
    }
    if (!copying) {
        session_rollback(session);
        return STORE_CONFLICT;
    }
    /* A walk has an account's entries newest first; a row has those of a transaction in order. */
    struct ledger_facts sorted = *rows;
    sorted.entries = base_arena_take(&session->arena, rows->n_entries * sizeof *sorted.entries);
    for (size_t i = 0; i < rows->n_entries; i++) {
        sorted.entries[i] = rows->entries[i];
    }
    if (rows->n_entries > 1) {
        qsort(sorted.entries, rows->n_entries, sizeof *sorted.entries, compare_entries);
    }
    Google__Spanner__V1__Mutation *mutations[4];
    size_t n_mutations = add_mutations(store, &session->arena, &sorted, mutations);
    return commit(store, session, n_mutations, mutations);
}
