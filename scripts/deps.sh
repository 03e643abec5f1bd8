#!/bin/sh
# Installs the Debian packages that are missing: `deps.sh build` for building and running,
# `deps.sh build test` for the tests too, `deps.sh build package` for `make deb`. Nothing to do when
# all are there, also offline.
set -eu
cd "$(dirname "$0")/.."

build="gcc libc6-dev cmake ninja-build pkg-config protobuf-compiler libprotobuf-dev
protobuf-c-compiler libprotobuf-c-dev libnghttp2-dev librocksdb-dev libjansson-dev nettle-dev
libxxhash-dev libinih-dev libcsv-dev libpq-dev libssl-dev python3"
test="clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev curl git openssl
python3-grpcio python3-protobuf protobuf-compiler-grpc python3-jsonschema nghttp2-client gcovr
util-linux procps postgresql mandoc python3-yaml python3-pip"
packaging="debhelper dpkg-dev lintian"
# Any Go from 1.19 on will do: the package only where there is none.
command -v go >/dev/null || test="$test golang-go"

wanted=""
for set in "$@"; do
    case "$set" in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test $packaging" ;;
    package) wanted="$wanted $packaging" ;;
    *) echo "usage: deps.sh [build] [test] [package]" >&2; exit 2 ;;
    esac
done

missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done

# Debian's promtool comes with a server that its installation would start: it is only unpacked.
promtool="build/promtool"
unpack_promtool() {
    mkdir -p "$promtool"
    (cd "$promtool" && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb . &&
        rm prometheus_*.deb) || echo "promtool could not be had: its tests will be skipped" >&2
}
case " $* " in
*" test "*) command -v promtool >/dev/null || [ -x "$promtool/usr/bin/promtool" ] ||
    wants_promtool=yes ;;
esac

if [ -z "$missing" ]; then
    [ -z "${wants_promtool:-}" ] || unpack_promtool
    exit 0
fi

install="apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300$missing"
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null; then
    as_root="sudo"
else
    echo "These packages are missing. As root, run:" >&2
    echo "  apt-get update && $install" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update
$as_root $install
[ -z "${wants_promtool:-}" ] || unpack_promtool
