package main

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"zandaka/consistency/messages/zandakav1"
)

// service is where the methods are.
const service = "/zandaka.v1.BalanceService/"

// wire carries calls to a server.
type wire interface {
	// invoke makes one call, once, and gives the answer as protobuf's bytes: those that came, or
	// what `blank`, a message of the answer's type, has read. The error is a *refusedError where
	// the service has spoken, and a *garbledError where it has in a way that nobody understands.
	invoke(timeout time.Duration, method string, message, blank proto.Message) (body []byte,
		replayed bool, err error)
	close()
}

type refusedError struct{ answer answer }

func (r *refusedError) Error() string { return r.answer.String() }

type garbledError struct{ text string }

func (g *garbledError) Error() string { return g.text }

// connection is a client's own way to one server.
type connection struct{ wire }

// failed is the answer of a call that brought none. An unknown outcome is an answer too; the error
// is of what no network can do.
func failed(err error) (answer, error) {
	var refused *refusedError
	var garbled *garbledError
	switch {
	case errors.As(err, &refused):
		return refused.answer, nil
	case errors.As(err, &garbled):
		return answer{}, err
	}
	return answer{reason: err.Error()}, nil
}

// refusal reads an error of the service. What does not say `applied: no` leaves it open.
func refusal(status *rpcstatus.Status) answer {
	for _, detail := range status.GetDetails() {
		info := &errdetails.ErrorInfo{}
		if !detail.MessageIs(info) || detail.UnmarshalTo(info) != nil || info.Domain != "zandaka" {
			continue
		}
		return refusalOf(info.Reason, info.Metadata)
	}
	return answer{reason: status.GetMessage()}
}

func refusalOf(reason string, metadata map[string]string) answer {
	refused := answer{reason: reason, kind: metadata["kind"]}
	if metadata["applied"] == "no" {
		refused.status = statusRefused
	}
	return refused
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

func blankOf(v verb) proto.Message {
	switch v {
	case verbGetBalance:
		return &zandakav1.AccountBalance{}
	case verbListEntries:
		return &zandakav1.ListEntriesResponse{}
	}
	return &zandakav1.Transaction{}
}

// pageSize is how many of the newest entries a ListEntries of the load asks for.
const pageSize = 8

// call asks for one thing. The error is of answers that cannot be read.
func (c *connection) call(timeout time.Duration, r *request) (answer, error) {
	body, replayed, err := c.invoke(timeout, r.verb.String(), messageOf(r), blankOf(r.verb))
	if err != nil {
		return failed(err)
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
	response := &zandakav1.SubmitResponse{}
	body, _, err := c.invoke(timeout, "Submit", message, response)
	if err != nil {
		told, err := failed(err)
		for i := range answers {
			answers[i] = told
		}
		return answers, err
	}
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
