#!/bin/bash
# Builds an example caller in BUILD/clients/<language>, and runs its tests against BUILD's server:
#   tests/clients/run.sh LANGUAGE BUILD
# What the language's own client (go, mvn, npm, cargo) downloads stays in BUILD/clients too. Exit
# status 77, with the reason, where a toolchain or a library cannot be had; whatever was had must work.
set -eu
language=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$2" && pwd)
example=$root/examples/clients/$language
work=$build/clients/$language
mkdir -p "$work"

skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || skip "there is no $1: apt-get install $2"
}

# VERSION is at least LEAST.
at_least() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

case $language in
python)
    need grpc_python_plugin protobuf-compiler-grpc
    protoc -I "$root/proto" --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" \
        --python_out="$work" --grpc_out="$work" zandaka/v1/transaction.proto \
        zandaka/v1/balance_service.proto google/api/field_behavior.proto google/rpc/status.proto \
        google/rpc/error_details.proto
    export PYTHONPATH=$work
    command=(/usr/bin/python3 "$example/buy.py")
    ;;
go)
    need go golang-go
    # The Go that is there, never one that it would download for itself.
    export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
    cp "$example"/*.go "$example"/go.* "$example/generate.sh" "$work/"
    cd "$work"
    go mod download >modules.log 2>&1 || skip "the modules cannot be had: $(tail -n 1 modules.log)"
    ./generate.sh "$root/proto"
    go vet .
    go build -o buy .
    command=("$work/buy")
    ;;
java)
    need javac openjdk-17-jdk-headless
    need mvn maven
    cp -r "$example/pom.xml" "$example/src" "$work/"
    cd "$work"
    build_java() { # FLAG ...
        mvn --batch-mode -Dmaven.repo.local="$work/repository" -Dproto="$root/proto" "$@" \
            package >maven.log 2>&1
    }
    # Without asking anybody first, then with downloads.
    if ! build_java --offline && ! build_java; then
        ! grep -qE 'Could not (transfer|find) artifact|Unknown host|Connection (refused|timed out)' \
            maven.log || skip "the libraries cannot be had: $(grep -m 1 'Could not' maven.log)"
        tail -n 40 maven.log
        exit 1
    fi
    command=(java -XX:TieredStopAtLevel=1 -jar "$work/target/buy.jar")
    ;;
node)
    need node nodejs
    need npm npm
    at_least "$(node --version)" v18 || skip "this is node $(node --version); v18 is the oldest"
    cp "$example"/*.ts "$example"/*.json "$work/"
    cd "$work"
    if ! cmp -s package-lock.json installed.json; then
        npm_config_cache=$work/cache npm ci --no-audit --no-fund >npm.log 2>&1 ||
            skip "the packages cannot be had: $(tail -n 1 npm.log)"
        cp package-lock.json installed.json
    fi
    PROTO=$root/proto npm run --silent build
    command=(node "$work/built/buy.js")
    ;;
rust)
    need cargo cargo
    at_least "$(rustc --version | cut -d ' ' -f 2)" 1.63 ||
        skip "this is $(rustc --version); 1.63 is the oldest"
    cp -r "$example"/Cargo.* "$example/build.rs" "$example/src" "$work/"
    cd "$work"
    export CARGO_HOME=$work/cargo PROTO=$root/proto
    cargo fetch --locked >fetch.log 2>&1 || skip "the crates cannot be had: $(tail -n 1 fetch.log)"
    cargo build --release --locked --offline >build.log 2>&1 || { tail -n 40 build.log; exit 1; }
    # tonic knows no service configs; its own loop is all that it has.
    export ZANDAKA_NO_SERVICE_CONFIG=1
    command=("$work/target/release/buy")
    ;;
*)
    echo "no such language: $language" >&2
    exit 2
    ;;
esac

export ZANDAKA=$build/zandaka ZANDAKA_MESSAGES=$build/python
exec /usr/bin/python3 "$root/tests/clients/test_clients.py" "${command[@]}"
