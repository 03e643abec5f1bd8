#!/bin/bash
# zandaka on PostgreSQL beside the stored procedure that one would write first, in one run, on one
# throw-away cluster with durable commits, in turn. ROUNDS (3) and SECONDS_EACH (5) say how long,
# ACCOUNTS (10000) on how many accounts, CLIENTS ("1 4 8 16 32") how pgbench is tried.
set -eu
cd "$(dirname "$0")/.."
binary=build/release/zandaka
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} accounts=${ACCOUNTS:-10000}
clients=${CLIENTS:-1 4 8 16 32}
directory=$(mktemp -d)
coproc cluster { scripts/postgres_cluster.sh fsync=on shared_buffers=256MB max_wal_size=4GB; }
trap 'kill "${server:-}" 2>/dev/null; eval "exec ${cluster[1]}>&-"; wait; rm -rf "$directory"' EXIT
read -r _ host <&"${cluster[0]}"

query() { psql -X -q -t -A -v ON_ERROR_STOP=1 "postgres://owner@/$1?host=$host" -c "$2"; }
query postgres "CREATE DATABASE ours" >/dev/null
query postgres "CREATE DATABASE theirs" >/dev/null
query theirs "
CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE entries (id bigserial PRIMARY KEY, transaction_id text NOT NULL UNIQUE,
    account_id bigint NOT NULL REFERENCES accounts, amount bigint NOT NULL,
    balance_after bigint NOT NULL, created timestamptz NOT NULL DEFAULT now());
INSERT INTO accounts SELECT n, 1000000000 FROM generate_series(1, $accounts) AS n;
CREATE FUNCTION move(the_id text, the_account bigint, the_amount bigint) RETURNS bigint
LANGUAGE plpgsql AS \$\$
DECLARE found bigint;
BEGIN
    SELECT balance_after INTO found FROM entries WHERE transaction_id = the_id;
    IF FOUND THEN RETURN found; END IF;
    SELECT balance INTO found FROM accounts WHERE id = the_account FOR UPDATE;
    IF found + the_amount < 0 THEN RAISE EXCEPTION 'insufficient balance'; END IF;
    UPDATE accounts SET balance = found + the_amount WHERE id = the_account;
    INSERT INTO entries (transaction_id, account_id, amount, balance_after)
        VALUES (the_id, the_account, the_amount, found + the_amount);
    RETURN found + the_amount;
END \$\$;" >/dev/null
query theirs "VACUUM ANALYZE" >/dev/null
cat >"$directory/many.sql" <<SQL
\\set account random(1, $accounts)
\\set id random(1, 9000000000000000000)
SELECT move(:id::text, :account, 1);
SQL
sed 's/random(1, '"$accounts"')/1/' "$directory/many.sql" >"$directory/hot.sql"

"$binary" schema --store "postgres://owner@/ours?host=$host" --apply >/dev/null
"$binary" serve --listen 127.0.0.1:0 --store "postgres://owner@/ours?host=$host" \
    --address-file "$directory/address" >"$directory/log" 2>&1 &
server=$!
while [ ! -e "$directory/address" ]; do kill -0 "$server"; sleep 0.05; done
address=$(cat "$directory/address")

theirs() { # SCRIPT CLIENTS
    pgbench -n -M prepared -f "$directory/$1.sql" -c "$2" -j 2 -T "$seconds" -h "$host" \
        -U owner theirs 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p'
}
ours() { # WORKLOAD
    "$binary" bench --server "$address" --directory "$directory" --workload "$1" --rounds 1 \
        --seconds "$seconds" --accounts "$accounts" --json
}

echo "$(nproc) cores, Linux $(uname -r), PostgreSQL $(query postgres 'SHOW server_version'), $(date -u +%Y-%m-%d)"
echo "pgbench: transactions a second; zandaka: as bench tells, JSON"
for round in $(seq "$rounds"); do
    for script in many hot; do
        for number in $clients; do
            echo "round $round: procedure, $script accounts, $number connections: $(theirs $script "$number")"
        done
    done
    for workload in ${WORKLOADS:-single batch hot}; do
        echo "round $round: zandaka, $workload: $(ours "$workload")"
    done
    query ours "CHECKPOINT"
done
