#!/bin/sh
# The API's linter, and its guard against breaking what callers hold:
#   tests/interface/buf.sh BUILD
# buf comes by npm into BUILD/interface. Exit status 77, with the reason, where it cannot be had.
set -eu
source=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$source/../.." && pwd)
work=$1/interface
baseline=$root/proto/zandaka/v1/baseline.binpb

skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}

command -v npm >/dev/null || skip "there is no npm: apt-get install npm"
mkdir -p "$work"
work=$(cd "$work" && pwd)
if ! cmp -s "$source/package-lock.json" "$work/package-lock.json" ||
    [ ! -x "$work/node_modules/.bin/buf" ]; then
    cp "$source/package.json" "$work/"
    (cd "$work" && cp "$source/package-lock.json" . && npm_config_cache=$work/cache \
        npm ci --no-audit --no-fund) >"$work/npm.log" 2>&1 || {
        rm -f "$work/package-lock.json"
        skip "buf cannot be had: $(tail -n 1 "$work/npm.log")"
    }
fi
buf() { "$work/node_modules/.bin/buf" "$@"; }

cd "$root"
buf --version
buf lint
buf breaking --against "$baseline"

# Both must be able to fail: on a copy whose amounts lose their number, and on one without comments.
rm -rf "$work/broken"
mkdir "$work/broken"
cp -r proto buf.yaml "$work/broken/"
cd "$work/broken"
proto=proto/zandaka/v1/balance_service.proto
sed -i 's/  int64 amount = 2 /  int64 amount = 4 /' $proto
! cmp -s $proto "$root/$proto" || { echo "the field to break is not there" >&2; exit 1; }
! buf breaking --against "$baseline" >breaking.txt || { echo "a changed number passed" >&2; exit 1; }
grep -q '"amount"' breaking.txt
sed -i '/^ *\/\/ /d' $proto
! buf lint >lint.txt || { echo "an API without comments passed" >&2; exit 1; }
grep -q 'non-empty comment' lint.txt
