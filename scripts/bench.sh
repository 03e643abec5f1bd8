#!/bin/bash
# The benchmark: a server on a fresh store, and each workload in rounds beside the machine's own
# limits, and what the writer's time went to. ROUNDS, SECONDS_EACH and WORKLOADS say how long;
# DIRECTORY is where the store and the bare log are kept.
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
phases() {
    curl -s "http://$address/metrics" |
        sed -n 's/^zandaka_batch_phase_seconds_total{phase="\(.*\)"} /\1 /p'
}
for workload in ${WORKLOADS:-single batch batch1024 lone hot replay refused reads mixed}; do
    echo
    before=$(phases)
    "$binary" bench --server "$address" --directory "$directory" --workload "$workload" \
        --rounds "${ROUNDS:-5}" --seconds "${SECONDS_EACH:-5}"
    { echo "$before"; phases; } | awk '
        NR <= 4 { before[$1] = $2; next }
        { spent[$1] = $2 - before[$1]; all += spent[$1]; order[NR - 4] = $1 }
        END {
            printf "the writer:"
            for (i = 1; i <= 4; i++)
                printf " %s %.2f s (%.1f %%)", order[i], spent[order[i]], (all > 0 ? 100 * spent[order[i]] / all : 0)
            print ""
        }'
done
echo
echo "the server: $(grep -E 'VmHWM' "/proc/$server/status" | tr -s ' \t' ' ')"
