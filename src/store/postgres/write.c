/*
 * A batch, in two round trips. What makes them right is the order of the statements, which
 * statements.c explains; here is what their results mean.
 */
#include "store/postgres/database.h"

#include <stdlib.h>

/* --- the session --- */

/* Undoes what was not committed. Should that fail, the end of the connection undoes it. */
static void session_rollback(struct postgres_session *session)
{
    bool open = session->in_transaction && session->connection.link != NULL;
    session->loaded = NULL;
    session->in_transaction = false;
    if (!open) {
        return;
    }
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, &session->connection);
    postgres_exchange_add(&exchange, POSTGRES_ROLLBACK, NULL);
    if (postgres_exchange_end(&exchange) != POSTGRES_DONE) {
        postgres_disconnect(&session->connection);
    }
    postgres_exchange_close(&exchange);
}

void postgres_session_close(struct postgres_session *session)
{
    postgres_disconnect(&session->connection);
    for (size_t i = 0; i < POSTGRES_PARAMETERS_MAX; i++) {
        postgres_array_release(&session->arrays[i]);
    }
}

static int compare_accounts(const void *a, const void *b)
{
    const struct ledger_account *const *left = a;
    const struct ledger_account *const *right = b;
    return base_text_compare((*left)->account_id, (*right)->account_id);
}

static int compare_transactions(const void *a, const void *b)
{
    const struct ledger_transaction *const *left = a;
    const struct ledger_transaction *const *right = b;
    return base_text_compare((*left)->transaction_id, (*right)->transaction_id);
}

/* The batch's accounts in the order of their ids: the order in which all servers lock. */
static struct ledger_account **sorted_accounts(const struct ledger_facts *facts)
{
    struct ledger_account **sorted =
        base_arena_take(facts->arena, facts->n_accounts * sizeof(struct ledger_account *));
    for (size_t i = 0; i < facts->n_accounts; i++) {
        sorted[i] = facts->accounts[i];
    }
    if (facts->n_accounts > 0) {
        qsort(sorted, facts->n_accounts, sizeof *sorted, compare_accounts);
    }
    return sorted;
}

/* The place of an account among them, or SIZE_MAX. */
static size_t place_of(struct base_text account_id, const struct ledger_facts *facts,
                       struct ledger_account **sorted)
{
    const struct ledger_account key = {.account_id = account_id};
    const struct ledger_account *key_pointer = &key;
    struct ledger_account **found =
        bsearch(&key_pointer, sorted, facts->n_accounts, sizeof *sorted, compare_accounts);
    return found != NULL ? (size_t)(found - sorted) : SIZE_MAX;
}

/* Their ids as a parameter. */
static struct base_bytes list_account_ids(struct postgres_session *session,
                                          const struct ledger_facts *facts,
                                          struct ledger_account **sorted)
{
    struct postgres_array *ids = &session->arrays[0];
    postgres_array_begin(ids, POSTGRES_TEXT);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        postgres_array_add_text(ids, sorted[i]->account_id);
    }
    return postgres_array_end(ids);
}

/* The ids of those that may have no row yet. */
static struct base_bytes list_new_account_ids(struct postgres_session *session,
                                              const struct ledger_facts *facts, size_t *ret_n)
{
    struct postgres_array *ids = &session->arrays[1];
    *ret_n = 0;
    postgres_array_begin(ids, POSTGRES_TEXT);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        struct base_text account_id = session->sorted[i]->account_id;
        if (!postgres_account_is_known(&session->known, account_id)) {
            postgres_array_add_text(ids, account_id);
            (*ret_n)++;
        }
    }
    return postgres_array_end(ids);
}

/* --- load --- */

/* The results of a load, by statement; 0 where it was not sent: the first is that of BEGIN. */
struct loading {
    size_t accounts;
    size_t balances;
    size_t transactions;
    bool all_added; /* no account was taken to be there */
};

static struct loading add_loading(struct postgres_session *session,
                                  const struct ledger_facts *facts,
                                  struct postgres_exchange *exchange)
{
    struct postgres_array *ids = &session->arrays[0];
    struct loading loading = {0};
    postgres_exchange_add(exchange, POSTGRES_BEGIN, NULL);
    if (facts->n_accounts > 0) {
        size_t n_new;
        struct base_bytes new_ids = list_new_account_ids(session, facts, &n_new);
        struct base_bytes account_ids = list_account_ids(session, facts, session->sorted);
        loading.all_added = n_new == facts->n_accounts;
        if (n_new > 0) {
            postgres_exchange_add(exchange, POSTGRES_ADD_ACCOUNTS, &new_ids);
        }
        loading.accounts = exchange->n_sent;
        postgres_exchange_add(exchange, POSTGRES_LOCK_ACCOUNTS, &account_ids);
        loading.balances = exchange->n_sent;
        postgres_exchange_add(exchange, POSTGRES_LOAD_BALANCES, &account_ids);
    }
    if (facts->n_transactions > 0) {
        postgres_array_begin(ids, POSTGRES_TEXT);
        for (size_t i = 0; i < facts->n_transactions; i++) {
            postgres_array_add_text(ids, facts->transactions[i]->transaction_id);
        }
        struct base_bytes transaction_ids = postgres_array_end(ids);
        loading.transactions = exchange->n_sent;
        postgres_exchange_add(exchange, POSTGRES_LOAD_TRANSACTIONS, &transaction_ids);
    }
    return loading;
}

/* False: what was read makes no sense. */
static bool take_accounts(struct postgres_session *session, const PGresult *result,
                          const struct ledger_facts *facts)
{
    int n_rows = PQntuples(result);
    for (int i = 0; i < n_rows; i++) {
        struct postgres_row row = {.result = result, .row = i};
        struct ledger_account *account = ledger_facts_account(facts, postgres_row_id(&row, 0));
        if (account == NULL) {
            return false;
        }
        postgres_read_account_row(&row, 1, account);
        if (row.failed) {
            return false;
        }
        if (account->version > 0) {
            postgres_account_note(&session->known, account->account_id);
        }
    }
    return true;
}

/* A balance of a kind that only another server has is none of this batch's business; only reads of
 * the account cannot be answered. */
static bool take_balances(struct store_postgres *store, struct postgres_session *session,
                          const PGresult *result, const struct ledger_facts *facts)
{
    int n_rows = PQntuples(result);
    for (int i = 0; i < n_rows; i++) {
        struct postgres_row row = {.result = result, .row = i};
        size_t place = place_of(postgres_row_id(&row, 0), facts, session->sorted);
        if (place == SIZE_MAX) {
            return false;
        }
        struct ledger_account *account = session->sorted[place];
        int kind_number = postgres_read_balance(store, &row, 1, account);
        if (kind_number >= 0) {
            session->stored_kinds[place] |= UINT64_C(1) << kind_number;
        } else if (!row.failed) {
            postgres_store_note_kind_missing(store);
        }
        bool has_some = postgres_row_int64(&row, 2) > 0 || postgres_row_int64(&row, 3) > 0;
        /* Money without a history came from nowhere. */
        if (row.failed || (account->version == 0 && has_some)) {
            return false;
        }
    }
    return true;
}

static bool take_transactions(const PGresult *result, const struct ledger_facts *facts)
{
    for (size_t i = 0; i < facts->n_transactions; i++) {
        facts->transactions[i]->presence = LEDGER_ABSENT;
        facts->transactions[i]->record = (struct base_bytes){NULL, 0};
    }
    int n_rows = PQntuples(result);
    for (int i = 0; i < n_rows; i++) {
        struct postgres_row row = {.result = result, .row = i};
        struct ledger_transaction *fact = ledger_facts_transaction(facts, postgres_row_id(&row, 0));
        if (fact == NULL) {
            return false;
        }
        fact->presence = LEDGER_RECORDED;
        fact->record = base_arena_bytes(facts->arena, postgres_row_bytes(&row, 1));
        fact->commit_mark = (uint64_t)postgres_row_int64(&row, 2);
        if (row.failed) {
            return false;
        }
    }
    return true;
}

static enum store_fault take_facts(struct store_postgres *store, struct postgres_session *session,
                                   const struct loading *loading,
                                   const struct postgres_exchange *exchange,
                                   const struct ledger_facts *facts)
{
    PGresult *const *results = exchange->results;
    if (facts->n_accounts > 0) {
        if (!take_accounts(session, results[loading->accounts], facts)) {
            return STORE_CORRUPT;
        }
        if ((size_t)PQntuples(results[loading->accounts]) < facts->n_accounts) {
            /* One that was there is not: this is not the database that it was. */
            postgres_accounts_forget(&session->known);
            return loading->all_added ? STORE_CORRUPT : STORE_CONFLICT;
        }
        if (!take_balances(store, session, results[loading->balances], facts)) {
            return STORE_CORRUPT;
        }
    }
    bool sound =
        facts->n_transactions == 0 || take_transactions(results[loading->transactions], facts);
    return sound ? STORE_OK : STORE_CORRUPT;
}

enum store_fault postgres_load(struct store *base, unsigned number, struct ledger_facts *facts)
{
    struct store_postgres *store = (struct store_postgres *)base;
    struct postgres_session *session = &store->sessions[number];
    session_rollback(session);
    if (postgres_store_is_another(store)) {
        return STORE_UNAVAILABLE;
    }
    if (session->connection.link == NULL &&
        !postgres_store_connect(store, &session->connection, true)) {
        return STORE_UNAVAILABLE;
    }
    struct postgres_exchange exchange;
    postgres_exchange_open(&exchange, &session->connection);
    session->sorted = sorted_accounts(facts);
    session->stored_kinds =
        base_arena_take_zeroed(facts->arena, facts->n_accounts, sizeof *session->stored_kinds);
    struct loading loading = add_loading(session, facts, &exchange);
    enum postgres_end end = postgres_exchange_end(&exchange);
    session->in_transaction = session->connection.link != NULL;
    enum store_fault fault = end == POSTGRES_DONE
                                 ? take_facts(store, session, &loading, &exchange, facts)
                                 : postgres_store_note_failure(store, end, &exchange);
    postgres_exchange_close(&exchange);
    if (fault == STORE_OK) {
        postgres_store_note_load(store);
        session->loaded = facts;
    } else {
        session_rollback(session);
    }
    return fault;
}

/* --- commit --- */

/* New transactions go in sorted by id, so that two servers that insert the same ids wait for one
 * another in one direction; their places keep the order of the decisions. */
static void add_transactions(const struct store_postgres *store, struct postgres_session *session,
                             const struct ledger_facts *facts, struct postgres_exchange *exchange)
{
    struct postgres_array *arrays = session->arrays;
    struct ledger_transaction **sorted =
        base_arena_take(facts->arena, facts->n_new * sizeof(struct ledger_transaction *));
    for (size_t i = 0; i < facts->n_new; i++) {
        sorted[i] = facts->new_transactions[i];
    }
    qsort(sorted, facts->n_new, sizeof *sorted, compare_transactions);
    int16_t *places = base_arena_take(facts->arena, facts->n_new * sizeof *places);
    for (size_t i = 0; i < facts->n_new; i++) {
        struct ledger_transaction **found =
            bsearch(&facts->new_transactions[i], sorted, facts->n_new, sizeof *sorted,
                    compare_transactions);
        places[found - sorted] = (int16_t)i;
    }
    postgres_array_begin(&arrays[0], POSTGRES_TEXT);
    postgres_array_begin(&arrays[1], POSTGRES_INT2);
    postgres_array_begin(&arrays[2], POSTGRES_BYTEA);
    postgres_array_begin(&arrays[3], POSTGRES_TEXT);
    for (size_t i = 0; i < facts->n_new; i++) {
        postgres_array_add_text(&arrays[0], sorted[i]->transaction_id);
        postgres_array_add_int16(&arrays[1], places[i]);
        postgres_array_add_bytes(&arrays[2], sorted[i]->record);
        postgres_array_add_text(&arrays[3], sorted[i]->caller);
    }
    struct base_bytes parameters[6];
    for (size_t i = 0; i < 4; i++) {
        parameters[i] = postgres_array_end(&arrays[i]);
    }
    parameters[4] = postgres_int64(facts->arena, atomic_load(&store->position_base));
    parameters[5] = postgres_int64(facts->arena, (int64_t)facts->commit_mark);
    postgres_exchange_add(exchange, POSTGRES_INSERT_TRANSACTIONS, parameters);
}

static void add_entries(const struct store_postgres *store, struct postgres_session *session,
                        const struct ledger_facts *facts, struct postgres_exchange *exchange)
{
    static const uint32_t types[] = {
        POSTGRES_TEXT, POSTGRES_INT8, POSTGRES_TEXT, POSTGRES_INT2, POSTGRES_INT2,
        POSTGRES_INT8, POSTGRES_INT8, POSTGRES_INT8, POSTGRES_INT8, POSTGRES_TIMESTAMPTZ};
    struct postgres_array *arrays = session->arrays;
    for (size_t i = 0; i < POSTGRES_PARAMETERS_MAX; i++) {
        postgres_array_begin(&arrays[i], types[i]);
    }
    for (size_t i = 0; i < facts->n_entries; i++) {
        const struct ledger_entry *entry = &facts->entries[i];
        int stored_number = store->kind_map.stored_numbers[entry->kind_number];
        postgres_array_add_text(&arrays[0], entry->account_id);
        postgres_array_add_int64(&arrays[1], entry->sequence);
        postgres_array_add_text(&arrays[2], entry->transaction_id);
        postgres_array_add_int16(&arrays[3], (int16_t)entry->operation);
        postgres_array_add_int16(&arrays[4], (int16_t)stored_number);
        postgres_array_add_int64(&arrays[5], entry->amount_minor);
        postgres_array_add_int64(&arrays[6], entry->balance_after_minor);
        postgres_array_add_int64(&arrays[7], entry->held_amount_minor);
        postgres_array_add_int64(&arrays[8], entry->held_after_minor);
        postgres_array_add_time(&arrays[9], entry->create_time_us);
    }
    struct base_bytes parameters[POSTGRES_PARAMETERS_MAX];
    for (size_t i = 0; i < POSTGRES_PARAMETERS_MAX; i++) {
        parameters[i] = postgres_array_end(&arrays[i]);
    }
    postgres_exchange_add(exchange, POSTGRES_INSERT_ENTRIES, parameters);
}

/* The kinds of each changed account that its new entries are of, as bits by kind number. */
static uint64_t *changed_kinds(const struct ledger_facts *facts, struct ledger_account **sorted)
{
    uint64_t *kinds = base_arena_take_zeroed(facts->arena, facts->n_accounts, sizeof *kinds);
    for (size_t i = 0; i < facts->n_entries; i++) {
        size_t place = place_of(facts->entries[i].account_id, facts, sorted);
        base_assert(place != SIZE_MAX);
        kinds[place] |= UINT64_C(1) << facts->entries[i].kind_number;
    }
    return kinds;
}

/* Adds the statement that writes balances of the accounts, `kinds` of each as bits by kind number;
 * nothing, if there are none. */
static void add_balances(const struct store_postgres *store, struct postgres_session *session,
                         const struct ledger_facts *facts, struct ledger_account **sorted,
                         const uint64_t *kinds, enum postgres_statement_number statement,
                         struct postgres_exchange *exchange)
{
    struct postgres_array *arrays = session->arrays;
    size_t n_balances = 0;
    postgres_array_begin(&arrays[0], POSTGRES_TEXT);
    postgres_array_begin(&arrays[1], POSTGRES_INT2);
    postgres_array_begin(&arrays[2], POSTGRES_INT8);
    postgres_array_begin(&arrays[3], POSTGRES_INT8);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        for (uint64_t left = kinds[i]; left != 0; left &= left - 1) {
            int kind = __builtin_ctzll(left);
            const struct ledger_balance *balance = &sorted[i]->balances[kind];
            postgres_array_add_text(&arrays[0], sorted[i]->account_id);
            postgres_array_add_int16(&arrays[1], (int16_t)store->kind_map.stored_numbers[kind]);
            postgres_array_add_int64(&arrays[2], balance->available_minor);
            postgres_array_add_int64(&arrays[3], balance->held_minor);
            n_balances++;
        }
    }
    if (n_balances == 0) {
        return;
    }
    struct base_bytes parameters[4];
    for (size_t i = 0; i < 4; i++) {
        parameters[i] = postgres_array_end(&arrays[i]);
    }
    postgres_exchange_add(exchange, statement, parameters);
}

/* The balances that the batch changed: those that have a row, then those that get one. */
static void add_changed_balances(const struct store_postgres *store,
                                 struct postgres_session *session, const struct ledger_facts *facts,
                                 struct postgres_exchange *exchange)
{
    uint64_t *changed = changed_kinds(facts, session->sorted);
    uint64_t *kinds = base_arena_take_zeroed(facts->arena, facts->n_accounts, sizeof *kinds);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        kinds[i] = changed[i] & session->stored_kinds[i];
    }
    add_balances(store, session, facts, session->sorted, kinds, POSTGRES_UPDATE_BALANCES, exchange);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        kinds[i] = changed[i] & ~session->stored_kinds[i];
    }
    add_balances(store, session, facts, session->sorted, kinds, POSTGRES_WRITE_BALANCES, exchange);
}

static void add_accounts(struct postgres_session *session, const struct ledger_facts *facts,
                         struct ledger_account **sorted, struct postgres_exchange *exchange)
{
    struct postgres_array *arrays = session->arrays;
    postgres_array_begin(&arrays[0], POSTGRES_TEXT);
    postgres_array_begin(&arrays[1], POSTGRES_INT8);
    postgres_array_begin(&arrays[2], POSTGRES_TIMESTAMPTZ);
    for (size_t i = 0; i < facts->n_accounts; i++) {
        if (sorted[i]->changed) {
            postgres_array_add_text(&arrays[0], sorted[i]->account_id);
            postgres_array_add_int64(&arrays[1], sorted[i]->version);
            postgres_array_add_time(&arrays[2], sorted[i]->last_time_us);
        }
    }
    struct base_bytes parameters[3];
    for (size_t i = 0; i < 3; i++) {
        parameters[i] = postgres_array_end(&arrays[i]);
    }
    postgres_exchange_add(exchange, POSTGRES_UPDATE_ACCOUNTS, parameters);
}

/*
 * What a commit that did not end well has left behind. A statement before the COMMIT that the
 * server refused ends it: nothing was written. A COMMIT that it refused while it stays connected
 * wrote nothing either, but for the one error that says so. Whatever else it was, nobody knows.
 */
static enum store_fault commit_fault(struct store_postgres *store, enum postgres_end end,
                                     const struct postgres_exchange *exchange)
{
    bool reached_commit = exchange->n_results + 1 >= exchange->n_sent;
    bool alive = exchange->connection->link != NULL;
    enum store_fault fault = postgres_store_note_failure(store, end, exchange);
    if (end == POSTGRES_LOST) {
        return STORE_UNKNOWN;
    }
    if (reached_commit && (!alive || postgres_sqlstate_is(exchange, "08") ||
                           postgres_sqlstate_is(exchange, "40003"))) {
        return STORE_UNKNOWN;
    }
    /* Another server has recorded one of the ids. */
    if (postgres_sqlstate_is(exchange, "23505")) {
        return STORE_CONFLICT;
    }
    return fault == STORE_CORRUPT ? STORE_UNAVAILABLE : fault;
}

static void begin_writing(struct postgres_session *session, struct postgres_exchange *exchange)
{
    session->connection.warned = false;
    postgres_exchange_open(exchange, &session->connection);
}

/* Adds the COMMIT to what is to be written, and waits for its end. */
static enum store_fault end_writing(struct store_postgres *store, struct postgres_session *session,
                                    struct postgres_exchange *exchange)
{
    postgres_exchange_add(exchange, POSTGRES_COMMIT, NULL);
    enum postgres_end end = postgres_exchange_end(exchange);
    enum store_fault fault = STORE_OK;
    if (end != POSTGRES_DONE) {
        fault = commit_fault(store, end, exchange);
    } else if (session->connection.warned) {
        /* It is done, but not replicated as it was asked to be. */
        fault = STORE_UNKNOWN;
    }
    session->in_transaction = end != POSTGRES_DONE && session->connection.link != NULL;
    postgres_exchange_close(exchange);
    session_rollback(session);
    return fault;
}

enum store_fault postgres_commit(struct store *base, unsigned number,
                                 const struct ledger_facts *facts)
{
    struct store_postgres *store = (struct store_postgres *)base;
    struct postgres_session *session = &store->sessions[number];
    if (session->loaded != facts) {
        return STORE_CONFLICT;
    }
    struct postgres_exchange exchange;
    begin_writing(session, &exchange);
    if (facts->n_new > 0) {
        add_transactions(store, session, facts, &exchange);
    }
    if (facts->n_entries > 0) {
        add_entries(store, session, facts, &exchange);
        add_changed_balances(store, session, facts, &exchange);
        add_accounts(session, facts, session->sorted, &exchange);
    }
    if (facts->n_new == 0 && facts->n_accounts == 0) {
        postgres_exchange_add(&exchange, POSTGRES_CONFIRM, NULL);
    }
    return end_writing(store, session, &exchange);
}

void postgres_abandon(struct store *base, unsigned number, const struct ledger_facts *facts)
{
    struct postgres_session *session = &((struct store_postgres *)base)->sessions[number];
    if (session->loaded == facts) {
        session_rollback(session);
    }
}

/* --- copying --- */

/* The balances that are not zero. */
static uint64_t *balances_that_are(const struct ledger_facts *rows, struct ledger_account **sorted)
{
    uint64_t *kinds = base_arena_take_zeroed(rows->arena, rows->n_accounts, sizeof *kinds);
    for (size_t i = 0; i < rows->n_accounts; i++) {
        for (size_t kind = 0; kind < rows->kinds->n_kinds; kind++) {
            const struct ledger_balance *balance = &sorted[i]->balances[kind];
            if (balance->available_minor != 0 || balance->held_minor != 0) {
                kinds[i] |= UINT64_C(1) << kind;
            }
        }
    }
    return kinds;
}

enum store_fault postgres_copy_in(struct store *base, const struct ledger_facts *rows)
{
    struct store_postgres *store = (struct store_postgres *)base;
    struct postgres_session *session = &store->sessions[0];
    if (session->connection.link == NULL &&
        !postgres_store_connect(store, &session->connection, true)) {
        return STORE_UNAVAILABLE;
    }
    struct postgres_exchange exchange;
    begin_writing(session, &exchange);
    postgres_exchange_add(&exchange, POSTGRES_BEGIN, NULL);
    if (rows->n_new > 0) {
        add_transactions(store, session, rows, &exchange);
    }
    if (rows->n_entries > 0) {
        add_entries(store, session, rows, &exchange);
    }
    if (rows->n_accounts > 0) {
        struct ledger_account **sorted = sorted_accounts(rows);
        struct base_bytes account_ids = list_account_ids(session, rows, sorted);
        postgres_exchange_add(&exchange, POSTGRES_ADD_ACCOUNTS, &account_ids);
        add_balances(store, session, rows, sorted, balances_that_are(rows, sorted),
                     POSTGRES_WRITE_BALANCES, &exchange);
        add_accounts(session, rows, sorted, &exchange);
    }
    return end_writing(store, session, &exchange);
}
