/*
 * The two round trips of a batch keep the contract on a shared database by their order alone:
 *
 *   1. The accounts are locked first, in the order of their ids, so that servers cannot wait for
 *      one another in a circle; and everything else is read behind the locks, by statements of
 *      their own. At READ COMMITTED each statement sees what was committed when it began: an id
 *      that was read before the lock could be recorded by the time that the lock is granted, and
 *      its repeat then be refused for the balance that it took itself (contract 3.8); and a balance
 *      that is joined to the row that is locked is one from before the wait. The level is named,
 *      since a default of REPEATABLE READ would bring both back.
 *   2. New transactions and entries are inserted plainly. An id that another server has recorded
 *      since is then an error, which ends the pipeline and the transaction with it. Were it passed
 *      over (ON CONFLICT DO NOTHING), its entries and balances would be written a second time
 *      (contract 3.2).
 *
 *   3. A commit that has written something is answered once a synchronous standby has it, and all
 *      that was committed before it. So is that of a batch which only repeats or refuses, since
 *      locks are written, too; where it has not even an account, something is written for it. Else
 *      it could tell of what no standby has, and a failover lose it (contract 3.12): a backend that
 *      is ended in its wait shows its commit at once.
 *
 * An account that does not exist yet cannot be locked, so it is inserted, with version 0 and in the
 * same order, before the lock, unless its row is known to be there. Such a row is no account: the
 * reads pass over it. What has a row is updated, since to insert it, meet it and update it then
 * costs the database half as much again.
 */
#include "store/postgres/statements.h"

#include "store/postgres/values.h"

/* A transaction's place in the journal: the database's number of the batch, then its place in the
 * batch, which is below BASE_BATCH_MAX. */
#define POSITION "((SELECT pg_current_xact_id())::text::bigint + $5) * 1024 + place"
static_assert(BASE_BATCH_MAX <= 1024, "a place in the batch must fit its part of the position");

const struct postgres_statement postgres_statements[POSTGRES_STATEMENT_COUNT] = {
    [POSTGRES_BEGIN] = {"begin", "BEGIN ISOLATION LEVEL READ COMMITTED", 0, {0}},
    [POSTGRES_COMMIT] = {"commit", "COMMIT", 0, {0}},
    [POSTGRES_ROLLBACK] = {"rollback", "ROLLBACK", 0, {0}},
    [POSTGRES_ADD_ACCOUNTS] = {"add_accounts",
                               "INSERT INTO zandaka.accounts (account_id, version) "
                               "SELECT account_id, 0 FROM unnest($1) AS named (account_id) "
                               "ORDER BY account_id COLLATE \"C\" "
                               "ON CONFLICT (account_id) DO NOTHING",
                               1,
                               {POSTGRES_TEXT_ARRAY}},
    [POSTGRES_LOCK_ACCOUNTS] = {"lock_accounts",
                                "SELECT account_id, version, last_time FROM zandaka.accounts "
                                "WHERE account_id = ANY ($1) ORDER BY account_id FOR UPDATE",
                                1,
                                {POSTGRES_TEXT_ARRAY}},
    [POSTGRES_LOAD_BALANCES] = {"load_balances",
                                "SELECT account_id, kind_number, available, held "
                                "FROM zandaka.balances WHERE account_id = ANY ($1)",
                                1,
                                {POSTGRES_TEXT_ARRAY}},
    [POSTGRES_LOAD_TRANSACTIONS] = {"load_transactions",
                                    "SELECT transaction_id, record, commit_mark "
                                    "FROM zandaka.transactions WHERE transaction_id = ANY ($1)",
                                    1,
                                    {POSTGRES_TEXT_ARRAY}},
    [POSTGRES_INSERT_TRANSACTIONS] =
        {"insert_transactions",
         "INSERT INTO zandaka.transactions "
         "(transaction_id, position, record, caller, commit_mark) "
         "SELECT transaction_id, " POSITION ", record, caller, $6 "
         "FROM unnest($1, $2, $3, $4) AS new (transaction_id, place, record, caller)",
         6,
         {POSTGRES_TEXT_ARRAY, POSTGRES_INT2_ARRAY, POSTGRES_BYTEA_ARRAY, POSTGRES_TEXT_ARRAY,
          POSTGRES_INT8, POSTGRES_INT8}},
    [POSTGRES_INSERT_ENTRIES] =
        {"insert_entries",
         "INSERT INTO zandaka.entries (account_id, sequence, transaction_id, operation, "
         "kind_number, amount, balance_after, held_amount, held_after, create_time) "
         "SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
         10,
         {POSTGRES_TEXT_ARRAY, POSTGRES_INT8_ARRAY, POSTGRES_TEXT_ARRAY, POSTGRES_INT2_ARRAY,
          POSTGRES_INT2_ARRAY, POSTGRES_INT8_ARRAY, POSTGRES_INT8_ARRAY, POSTGRES_INT8_ARRAY,
          POSTGRES_INT8_ARRAY, POSTGRES_TIMESTAMPTZ_ARRAY}},
    [POSTGRES_WRITE_BALANCES] =
        {"write_balances",
         "INSERT INTO zandaka.balances (account_id, kind_number, available, held) "
         "SELECT * FROM unnest($1, $2, $3, $4) "
         "ON CONFLICT (account_id, kind_number) "
         "DO UPDATE SET available = excluded.available, held = excluded.held",
         4,
         {POSTGRES_TEXT_ARRAY, POSTGRES_INT2_ARRAY, POSTGRES_INT8_ARRAY, POSTGRES_INT8_ARRAY}},
    [POSTGRES_UPDATE_BALANCES] =
        {"update_balances",
         "UPDATE zandaka.balances SET available = changed.available, held = changed.held "
         "FROM unnest($1, $2, $3, $4) AS changed (account_id, kind_number, available, held) "
         "WHERE balances.account_id = changed.account_id "
         "AND balances.kind_number = changed.kind_number",
         4,
         {POSTGRES_TEXT_ARRAY, POSTGRES_INT2_ARRAY, POSTGRES_INT8_ARRAY, POSTGRES_INT8_ARRAY}},
    [POSTGRES_UPDATE_ACCOUNTS] =
        {"update_accounts",
         "UPDATE zandaka.accounts SET version = changed.version, last_time = changed.last_time "
         "FROM unnest($1, $2, $3) AS changed (account_id, version, last_time) "
         "WHERE accounts.account_id = changed.account_id",
         3,
         {POSTGRES_TEXT_ARRAY, POSTGRES_INT8_ARRAY, POSTGRES_TIMESTAMPTZ_ARRAY}},
    [POSTGRES_CONFIRM] = {"confirm",
                          "SELECT CASE WHEN current_setting('synchronous_standby_names') <> '' "
                          "THEN pg_logical_emit_message(true, 'zandaka', '') END",
                          0,
                          {0}},
    [POSTGRES_READ_STORE] = {"read_store",
                             "SELECT schema_version::bigint, position_base, "
                             "pg_is_in_recovery() OR "
                             "current_setting('default_transaction_read_only') = 'on', "
                             "(SELECT count(*) FROM zandaka.kinds) FROM zandaka.store",
                             0,
                             {0}},
    [POSTGRES_READ_KINDS] = {"read_kinds",
                             "SELECT kind_number, code FROM zandaka.kinds ORDER BY kind_number",
                             0,
                             {0}},
    /* Servers that add a kind at once meet in its key; who comes second finds it there. */
    [POSTGRES_ADD_KIND] = {"add_kind",
                           "INSERT INTO zandaka.kinds (kind_number, code) "
                           "SELECT count(*), $1 FROM zandaka.kinds ON CONFLICT DO NOTHING",
                           1,
                           {POSTGRES_TEXT}},
    [POSTGRES_READ_JOURNAL_END] =
        {"read_journal_end",
         "SELECT coalesce(max(position), 0), "
         "pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM zandaka.transactions",
         0,
         {0}},
    [POSTGRES_READ_TRANSACTION] = {"read_transaction",
                                   "SELECT record, caller FROM zandaka.transactions "
                                   "WHERE transaction_id = $1",
                                   1,
                                   {POSTGRES_TEXT}},
    [POSTGRES_READ_POSITION] = {"read_position",
                                "SELECT record FROM zandaka.transactions WHERE position = $1",
                                1,
                                {POSTGRES_INT8}},
    [POSTGRES_READ_ACCOUNTS] =
        {"read_accounts",
         "SELECT account_id, version, last_time, kind_number, available, held "
         "FROM zandaka.accounts LEFT JOIN zandaka.balances USING (account_id) "
         "WHERE account_id = ANY ($1) AND version <> 0 ORDER BY account_id",
         1,
         {POSTGRES_TEXT_ARRAY}},
    /* One row for the bounds of what is looked at, beside each entry that is wanted. */
    [POSTGRES_READ_ENTRIES] =
        {"read_entries",
         "WITH account AS (SELECT least(version, $2 - 1) AS newest "
         "                 FROM zandaka.accounts WHERE account_id = $1), "
         "bounds AS (SELECT newest, greatest(newest - $3 + 1, 1) AS oldest FROM account) "
         "SELECT newest, oldest, "
         "(SELECT create_time FROM zandaka.entries WHERE account_id = $1 AND sequence = oldest), "
         "sequence, transaction_id, operation, kind_number, amount, balance_after, held_amount, "
         "held_after, create_time, record "
         "FROM bounds LEFT JOIN LATERAL ("
         "    SELECT sequence, entries.transaction_id, operation, kind_number, amount, "
         "    balance_after, held_amount, held_after, create_time, record "
         "    FROM zandaka.entries JOIN zandaka.transactions "
         "    ON transactions.transaction_id = entries.transaction_id "
         "    WHERE account_id = $1 AND sequence BETWEEN oldest AND newest "
         "    AND create_time >= $4 AND create_time < $5 "
         "    AND ($6 >> kind_number::integer) & 1 = 1 AND ($7 >> operation::integer) & 1 = 1 "
         "    ORDER BY sequence DESC LIMIT $8) AS wanted ON true "
         "ORDER BY sequence DESC",
         8,
         {POSTGRES_TEXT, POSTGRES_INT8, POSTGRES_INT8, POSTGRES_TIMESTAMPTZ, POSTGRES_TIMESTAMPTZ,
          POSTGRES_INT8, POSTGRES_INT8, POSTGRES_INT8}},
};
