#!/bin/sh
# clang-tidy over src/, by .clang-tidy, with the compile commands of the build named first.
set -eu
build=$1
cd "$(dirname "$0")/.."
git ls-files -z 'src/*.c' | xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet -p "$build"
