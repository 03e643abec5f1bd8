#!/bin/sh
# The long forms of tests/disk, on build/release: `faults.sh disk [SEED]`: a thousand states that a
# power cut could leave of a server's store and five hundred of a store with small buffers, forty
# faults of each sort, and every byte of a store changed (an hour on two busy cores);
# `faults.sh memory [SEED]`: every allocation of every call, and 150 of each start (about 20).
set -eu
cd "$(dirname "$0")/.."
build=$PWD/build/release
export ZANDAKA_SEED="${2:-$(date +%s)}"
export ZANDAKA="$build/zandaka" ZANDAKA_MESSAGES="$build/python"
export ZANDAKA_DISK_SHIM="$build/tests/libdisk_shim.so"
export ZANDAKA_MEMORY_SHIM="$build/tests/libmemory_shim.so"
export ZANDAKA_DISK_WRITER="$build/tests/disk_writer"
echo "seed $ZANDAKA_SEED"
case "${1:-}" in
disk)
    ZANDAKA_POINTS=1000 /usr/bin/python3 tests/disk/test_power_cut.py
    ZANDAKA_FAULTS=40 /usr/bin/python3 tests/disk/test_faults.py
    # What the damaged stores tell is not news: their errors go, what the test says stays.
    words=$(mktemp)
    status=0
    ZANDAKA_FLIPS=0 "$build/tests/disk_damage" 2>"$words" || status=$?
    grep -av "error: the store could not be read" "$words"
    rm "$words"
    exit "$status"
    ;;
memory)
    ZANDAKA_ALLOCATIONS=0 ZANDAKA_STARTS=150 /usr/bin/python3 tests/disk/test_memory.py
    ;;
*)
    echo "usage: faults.sh disk|memory [SEED]" >&2
    exit 2
    ;;
esac
