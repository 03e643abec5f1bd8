#!/bin/sh
# Builds the test of consistency from outside in BUILD/consistency and runs it:
#   tests/consistency/run.sh BUILD [flags of main.go ...]
# BUILD has the server. Exit status 77, with the reason, where Go or its modules cannot be had.
set -eu
source=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$source/../.." && pwd)
build=$(cd "$1" && pwd)
shift

skip() {
    echo "SKIPPED: $*" >&2
    exit 77
}

command -v go >/dev/null || skip "there is no go: apt-get install golang-go"
# The Go that is there, never one that it would download for itself.
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
work=$build/consistency
mkdir -p "$work/messages"
cp "$source"/*.go "$source/go.mod" "$source/go.sum" "$work/"
cd "$work"
go mod download >modules.log 2>&1 || skip "the modules cannot be had: $(tail -n 1 modules.log)"

go build -o protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
messages=zandaka/consistency/messages
protoc -I "$root/proto" --plugin=protoc-gen-go=protoc-gen-go --go_out=messages \
    --go_opt=module=$messages \
    --go_opt=Mzandaka/v1/transaction.proto=$messages/zandakav1 \
    --go_opt=Mzandaka/v1/balance_service.proto=$messages/zandakav1 \
    --go_opt=Mgoogle/api/field_behavior.proto=$messages/annotations \
    --go_opt=Mgoogle/rpc/status.proto=google.golang.org/genproto/googleapis/rpc/status \
    zandaka/v1/transaction.proto zandaka/v1/balance_service.proto google/api/field_behavior.proto
go build -o consistency .
go vet .
go test .
exec ./consistency -binary "$build/zandaka" -keep "$work/failures" "$@"
