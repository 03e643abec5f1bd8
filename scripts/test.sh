#!/bin/bash
# Every test there is: the suite on four builds (release, AddressSanitizer with
# UndefinedBehaviorSanitizer, ThreadSanitizer, clang), the checks of the source, the tests from
# outside against the release binary, and the fuzz targets on a build of their own. The last line
# counts them all.
#   scripts/test.sh [BUILD ...]    only these builds: release asan tsan clang fuzz
set -u
cd "$(dirname "$0")/.."
builds=("$@")
[ ${#builds[@]} -gt 0 ] || builds=(release asan tsan clang fuzz)
jobs=$(nproc)
passed=0 failed=0 skipped=0

# A kernel whose address randomization is too wide for ThreadSanitizer's shadow needs it off.
without_randomization=""
setarch -R true 2>/dev/null && without_randomization="setarch -R"

export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=1 second_deadlock_stack=1"
export UBSAN_OPTIONS="print_stacktrace=1"

for name in "${builds[@]}"; do
    flags=(-DZANDAKA_TESTS=ON)
    runner=""
    case "$name" in
    release) flags+=(-DZANDAKA_TEST_SOURCE=ON) ;;
    asan) flags+=(-DZANDAKA_SANITIZE=address) ;;
    tsan) flags+=(-DZANDAKA_SANITIZE=thread); runner=$without_randomization ;;
    clang) flags+=(-DCMAKE_C_COMPILER=clang) ;;
    fuzz) flags=(-DCMAKE_C_COMPILER=clang -DZANDAKA_SANITIZE=address -DZANDAKA_FUZZ=ON) ;;
    *) echo "no such build: $name" >&2; exit 2 ;;
    esac
    echo "=== $name"
    log="build/$name/test.log"
    mkdir -p "build/$name"
    if ! { cmake -S . -B "build/$name" -G Ninja -Wno-dev "${flags[@]}" >/dev/null &&
           cmake --build "build/$name" -- -j "$jobs"; } > "build/$name/build.log" 2>&1; then
        tail -n 60 "build/$name/build.log"
        echo "the $name build failed"
        failed=$((failed + 1))
        continue
    fi
    # One more than there are processors: many tests mostly wait for a database.
    $runner ctest --test-dir "build/$name" --output-on-failure -j "$((jobs + 1))" 2>&1 | tee "$log"
    total=$(sed -n 's/.* tests failed out of \([0-9]*\)$/\1/p' "$log" | tail -n 1)
    bad=$(sed -n 's/.*, \([0-9]*\) tests failed out of.*/\1/p' "$log" | tail -n 1)
    not_run=$(grep -c '\*\*\*Skipped' "$log")
    if [ -z "$total" ]; then
        echo "the $name build ran no test"
        failed=$((failed + 1))
        continue
    fi
    passed=$((passed + total - bad - not_run))
    failed=$((failed + bad))
    skipped=$((skipped + not_run))
done

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
