// Buy pays orders from a queue, each of them once, whatever the network does.
//
//	buy SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders
//
// An order is a line `order account kind amount`. For each there is one line of what may be told:
// `order paid`, `order not_paid REASON` (and never will be), or `order unsettled REASON`: it belongs
// back in the queue.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	zandaka "zandaka/buy/zandakav1"
)

const (
	firstPause    = 50 * time.Millisecond
	lastPause     = time.Second
	fencePatience = time.Minute
)

// refused is an error that is no use repeating now (retry: after_change or never).
type refused struct{ reason string }

func (r refused) Error() string { return r.reason }

// errOutOfPatience: every attempt so far left the outcome unknown, or asked for another.
var errOutOfPatience = errors.New("GAVE_UP")

// worthRepeating tells of an error of the connection, which carries no details, whether it may have
// left the outcome unknown. Any other says that the request itself is wrong.
func worthRepeating(code codes.Code) bool {
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown, codes.Internal,
		codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return false
}

// whatToDo says of a failed attempt why, whether to repeat it, and how long to wait at least.
func whatToDo(err error) (reason string, repeat bool, wait time.Duration) {
	failed := status.Convert(err)
	reason, repeat = failed.Code().String(), worthRepeating(failed.Code())
	for _, detail := range failed.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "zandaka" {
				reason, repeat = detail.Reason, detail.Metadata["retry"] == "same_request"
			}
		case *errdetails.RetryInfo:
			wait = detail.RetryDelay.AsDuration()
		}
	}
	return reason, repeat, wait
}

type shop struct {
	service  zandaka.BalanceServiceClient
	attempt  time.Duration
	patience time.Duration
}

// settle sends the same request until there is an answer that settles it. It fails with refused, or
// with errOutOfPatience when the outcome is still unknown.
func (s *shop) settle(patience time.Duration, send func(context.Context) error) error {
	giveUpAt := time.Now().Add(patience)
	for pause := firstPause; ; pause = minimum(2*pause, lastPause) {
		attempt, done := context.WithTimeout(context.Background(), s.attempt)
		err := send(attempt)
		done()
		if err == nil {
			return nil
		}
		reason, repeat, wait := whatToDo(err)
		if !repeat {
			return refused{reason}
		}
		wait += time.Duration(rand.Int63n(int64(pause))) // jitter, so that callers do not come in step
		if time.Now().Add(wait).After(giveUpAt) {
			return errOutOfPatience
		}
		time.Sleep(wait)
	}
}

func minimum(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}

// pay says what may be told of the order. The id is made from the order, never from the attempt.
func (s *shop) pay(order, account, kind string, amount int64) string {
	request := &zandaka.ConsumeRequest{TransactionId: order + "-pay", AccountId: account,
		Amounts: []*zandaka.Amount{{Kind: kind, Amount: amount}}}
	err := s.consume(request, s.patience)
	if err == nil {
		return "paid"
	}
	// Both of these say that this request has not succeeded and never will.
	if err == (refused{"TRANSACTION_CANCELLED"}) || err == (refused{"TRANSACTION_ID_REUSED"}) {
		return "not_paid " + err.Error()
	}
	return s.fence(request, err)
}

func (s *shop) consume(request *zandaka.ConsumeRequest, patience time.Duration) error {
	return s.settle(patience, func(ctx context.Context) error {
		_, err := s.service.Consume(ctx, request)
		return err
	})
}

// fence: an earlier attempt may have succeeded, or still arrive, and only a fence settles the id.
func (s *shop) fence(request *zandaka.ConsumeRequest, why error) string {
	err := s.settle(fencePatience, func(ctx context.Context) error {
		_, err := s.service.Cancel(ctx, &zandaka.CancelRequest{TransactionId: request.TransactionId})
		return err
	})
	switch {
	case err == nil:
		return "not_paid " + why.Error()
	case err == errOutOfPatience:
		return "unsettled " + why.Error()
	case err == (refused{"INVALID_REQUEST"}): // nothing can ever have such an id
		return "not_paid " + why.Error()
	case err != (refused{"TRANSACTION_SUCCEEDED"}):
		return "unsettled " + err.Error()
	}
	// The fence came too late. A repeat tells whether it was this very request that succeeded.
	switch err := s.consume(request, fencePatience); {
	case err == nil:
		return "paid"
	case err == errOutOfPatience:
		return "unsettled " + why.Error()
	default:
		return "not_paid " + err.Error()
	}
}

// milliseconds is the argument with that number, or what stands for it.
func milliseconds(argument int, otherwise int) time.Duration {
	if len(os.Args) > argument {
		given, err := strconv.Atoi(os.Args[argument])
		if err != nil {
			log.Fatalf("%s is no number of milliseconds", os.Args[argument])
		}
		otherwise = given
	}
	return time.Duration(otherwise) * time.Millisecond
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: buy SERVER [ATTEMPT_MS [PATIENCE_MS]] < orders")
	}
	path := os.Getenv("SERVICE_CONFIG")
	if path == "" {
		path = "../service_config.json"
	}
	serviceConfig, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(string(serviceConfig)))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	shop := &shop{zandaka.NewBalanceServiceClient(connection), milliseconds(2, 2000),
		milliseconds(3, 30000)}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var order, account, kind string
		var amount int64
		if _, err := fmt.Sscan(lines.Text(), &order, &account, &kind, &amount); err != nil {
			log.Fatalf("not an order: %q", lines.Text())
		}
		fmt.Println(order, shop.pay(order, account, kind, amount))
	}
}
