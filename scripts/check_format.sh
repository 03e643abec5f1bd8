#!/bin/sh
# Layout is clang-format's. `--mend` lets it write.
set -eu
cd "$(dirname "$0")/.."
mode="--dry-run -Werror"
[ "${1:-}" != --mend ] || mode="-i"
git ls-files -z '*.c' '*.h' | xargs -0 clang-format $mode
