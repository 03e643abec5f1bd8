#!/bin/sh
# Generates the stubs into zandakav1/, with the plugins that go.mod pins; protoc is Debian's
# protobuf-compiler.
set -eu
proto=${1:-../../../proto}
go build -o . google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
module=zandaka/buy
protos="zandaka/v1/transaction.proto zandaka/v1/balance_service.proto google/api/field_behavior.proto"
options=""
for kind in go go-grpc; do
    options="$options --plugin=protoc-gen-$kind=protoc-gen-$kind --${kind}_out=."
    options="$options --${kind}_opt=module=$module"
    options="$options --${kind}_opt=Mzandaka/v1/transaction.proto=$module/zandakav1"
    options="$options --${kind}_opt=Mzandaka/v1/balance_service.proto=$module/zandakav1"
    options="$options --${kind}_opt=Mgoogle/api/field_behavior.proto=$module/annotations"
    options="$options --${kind}_opt=Mgoogle/rpc/status.proto=google.golang.org/genproto/googleapis/rpc/status"
done
protoc -I "$proto" $options $protos
