#!/bin/bash
# The benchmark: a server on a fresh store, and each workload in rounds beside the machine's own
# limits. ROUNDS, SECONDS_EACH and WORKLOADS say how long; DIRECTORY is where the store and the bare log are kept.
set -eu
cd "$(dirname "$0")/.."
binary=build/release/zandaka
directory=${DIRECTORY:-build/bench}
rm -rf "$directory"
mkdir -p "$directory"
"$binary" serve --listen 127.0.0.1:0 --store "rocksdb:$directory/store" \
    --address-file "$directory/address" > "$directory/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$directory"' EXIT
while [ ! -e "$directory/address" ]; do
    kill -0 "$server"
    sleep 0.05
done
echo "$(nproc) cores, Linux $(uname -r), $(date -u +%Y-%m-%d)"
address=$(cat "$directory/address")
for workload in ${WORKLOADS:-single batch batch1024 lone hot replay refused reads mixed}; do
    echo
    "$binary" bench --server "$address" --directory "$directory" --workload "$workload" \
        --rounds "${ROUNDS:-5}" --seconds "${SECONDS_EACH:-5}"
done
echo
echo "the server: $(grep -E 'VmHWM' "/proc/$server/status" | tr -s ' \t' ' ')"
