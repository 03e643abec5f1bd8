package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"zandaka/consistency/messages/zandakav1"
)

// service is where the methods are.
const service = "/zandaka.v1.BalanceService/"

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

// connection is a client's own way to one server.
type connection struct{ grpc *grpc.ClientConn }

func connect(address string) (*connection, error) {
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
	return &connection{grpc: dialed}, nil
}

func (c *connection) close() { c.grpc.Close() }

// invoke makes one call; the metadata says whether it was replayed.
func (c *connection) invoke(timeout time.Duration, method string, message proto.Message) (
	body []byte, replayed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var header metadata.MD
	err = c.grpc.Invoke(ctx, service+method, message, &body, grpc.Header(&header))
	values := header.Get("zandaka-replayed")
	return body, len(values) == 1 && values[0] == "true", err
}

// refusal reads an error of the service. Whatever does not say `applied: no` leaves it open.
func refusal(status *rpcstatus.Status) answer {
	for _, detail := range status.GetDetails() {
		info := &errdetails.ErrorInfo{}
		if !detail.MessageIs(info) || detail.UnmarshalTo(info) != nil || info.Domain != "zandaka" {
			continue
		}
		refused := answer{reason: info.Reason, kind: info.Metadata["kind"]}
		if info.Metadata["applied"] == "no" {
			refused.status = statusRefused
		}
		return refused
	}
	return answer{reason: status.GetMessage()}
}

func refusalOf(err error) answer {
	if status, ok := grpcstatus.FromError(err); ok {
		return refusal(status.Proto())
	}
	return answer{reason: err.Error()}
}

func addRequest(r *request) *zandakav1.AddRequest {
	return &zandakav1.AddRequest{TransactionId: r.id, AccountId: r.account, Amounts: amountsOf(r)}
}

func consumeRequest(r *request) *zandakav1.ConsumeRequest {
	return &zandakav1.ConsumeRequest{TransactionId: r.id, AccountId: r.account, Amounts: amountsOf(r)}
}

func amountsOf(r *request) []*zandakav1.Amount {
	amounts := make([]*zandakav1.Amount, len(r.amounts))
	for i, each := range r.amounts {
		amounts[i] = &zandakav1.Amount{Kind: kinds[each.kind], Amount: each.minor}
	}
	return amounts
}

func messageOf(r *request) proto.Message {
	switch r.verb {
	case verbAdd:
		return addRequest(r)
	case verbConsume:
		return consumeRequest(r)
	case verbCancel:
		return &zandakav1.CancelRequest{TransactionId: r.id}
	case verbGetBalance:
		return &zandakav1.GetBalanceRequest{AccountId: r.account}
	case verbGetTransaction:
		return &zandakav1.GetTransactionRequest{TransactionId: r.id}
	}
	return &zandakav1.ListEntriesRequest{AccountId: r.account, PageSize: pageSize}
}

// pageSize is how many of the newest entries a ListEntries of the load asks for.
const pageSize = 8

// call asks for one thing. The error is of answers that cannot be read.
func (c *connection) call(timeout time.Duration, r *request) (answer, error) {
	body, replayed, err := c.invoke(timeout, r.verb.String(), messageOf(r))
	if err != nil {
		return refusalOf(err), nil
	}
	return read(r, body, replayed)
}

func read(r *request, body []byte, replayed bool) (answer, error) {
	told := answer{status: statusOK, replayed: replayed}
	switch r.verb {
	case verbGetBalance:
		message := &zandakav1.AccountBalance{}
		if err := proto.Unmarshal(body, message); err != nil {
			return told, err
		}
		if message.AccountId != r.account || len(message.Balances) != len(kinds) {
			return told, fmt.Errorf("GetBalance %s: %v", r.account, message)
		}
		for i, balance := range message.Balances {
			if balance.Kind != kinds[i] || balance.Held != 0 {
				return told, fmt.Errorf("GetBalance %s: %v", r.account, message)
			}
			told.balances[i] = balance.Available
		}
	case verbListEntries:
		message := &zandakav1.ListEntriesResponse{}
		if err := proto.Unmarshal(body, message); err != nil {
			return told, err
		}
		told.entries = message.Entries
	default:
		told.record, told.transaction = body, &zandakav1.Transaction{}
		if err := proto.Unmarshal(body, told.transaction); err != nil {
			return told, err
		}
	}
	return told, nil
}

// submit sends several writes in one call, and gives an answer for each.
func (c *connection) submit(timeout time.Duration, requests []*request) ([]answer, error) {
	message := &zandakav1.SubmitRequest{}
	for _, r := range requests {
		command := &zandakav1.Command{}
		switch r.verb {
		case verbAdd:
			command.Command = &zandakav1.Command_Add{Add: addRequest(r)}
		case verbConsume:
			command.Command = &zandakav1.Command_Consume{Consume: consumeRequest(r)}
		default:
			command.Command = &zandakav1.Command_Cancel{
				Cancel: &zandakav1.CancelRequest{TransactionId: r.id}}
		}
		message.Commands = append(message.Commands, command)
	}
	answers := make([]answer, len(requests))
	body, _, err := c.invoke(timeout, "Submit", message)
	if err != nil {
		for i := range answers {
			answers[i] = refusalOf(err)
		}
		return answers, nil
	}
	response := &zandakav1.SubmitResponse{}
	if err := proto.Unmarshal(body, response); err != nil {
		return nil, err
	}
	if len(response.Results) != len(requests) {
		return nil, errors.New("a Submit has another number of results than of commands")
	}
	for i, result := range response.Results {
		if result.GetError() != nil {
			answers[i] = refusal(result.GetError())
			continue
		}
		// Requests here have no metadata, so that the encoding is the only one there is.
		record, err := proto.MarshalOptions{Deterministic: true}.Marshal(result.GetTransaction())
		if err != nil {
			return nil, err
		}
		answers[i] = answer{status: statusOK, replayed: result.Replayed, record: record,
			transaction: result.GetTransaction()}
	}
	return answers, nil
}
