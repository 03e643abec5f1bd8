package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// bytesCodec sends messages as protobuf does, and hands answers up as the bytes that came: a record
// is compared byte for byte (contract 3.4).
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(message any) ([]byte, error) {
	return proto.Marshal(message.(proto.Message))
}

func (bytesCodec) Unmarshal(data []byte, into any) error {
	*into.(*[]byte) = append([]byte(nil), data...)
	return nil
}

type grpcWire struct{ connection *grpc.ClientConn }

func connectGRPC(address string) (*connection, error) {
	// A call is sent once: gRPC's own retries would hide attempts from the history.
	dialed, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(), grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second,
			Backoff: backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2,
				MaxDelay: 50 * time.Millisecond}}),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{}), grpc.WaitForReady(true)))
	if err != nil {
		return nil, err
	}
	return &connection{&grpcWire{dialed}}, nil
}

func (w *grpcWire) close() { w.connection.Close() }

func (w *grpcWire) invoke(timeout time.Duration, method string, message, _ proto.Message) (
	body []byte, replayed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var header metadata.MD
	err = w.connection.Invoke(ctx, service+method, message, &body, grpc.Header(&header))
	if status, ok := grpcstatus.FromError(err); err != nil && ok {
		return nil, false, &refusedError{refusal(status.Proto())}
	}
	values := header.Get("zandaka-replayed")
	return body, len(values) == 1 && values[0] == "true", err
}
