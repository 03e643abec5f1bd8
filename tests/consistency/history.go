package main

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"time"

	"zandaka/consistency/messages/zandakav1"
)

// never is the return of an operation whose outcome is unknown: it may still take effect.
const never = math.MaxInt64

type verb int

const (
	verbAdd verb = iota
	verbConsume
	verbCancel
	verbGetBalance
	verbGetTransaction
	verbListEntries
)

var verbNames = [...]string{"Add", "Consume", "Cancel", "GetBalance", "GetTransaction", "ListEntries"}

func (v verb) String() string { return verbNames[v] }

func (v verb) moves() bool { return v == verbAdd || v == verbConsume }

// amount is one kind's part of a write, in minor units.
type amount struct {
	kind  int
	minor int64
}

// request is what one operation asks; of an Add, a Consume and a Cancel it is the content.
type request struct {
	verb    verb
	id      string
	account string
	amounts []amount
}

// sameContent is contract 3.5: the operation, the account, and the set of kinds and amounts.
func (r *request) sameContent(other *request) bool {
	if r.verb != other.verb || r.account != other.account || len(r.amounts) != len(other.amounts) {
		return false
	}
	var sum, otherSum [len(kinds)]int64
	for i := range r.amounts {
		sum[r.amounts[i].kind] += r.amounts[i].minor
		otherSum[other.amounts[i].kind] += other.amounts[i].minor
	}
	return sum == otherSum
}

func (r *request) String() string {
	words := []string{r.verb.String()}
	if r.id != "" {
		words = append(words, r.id)
	}
	if r.account != "" {
		words = append(words, r.account)
	}
	for _, each := range r.amounts {
		words = append(words, fmt.Sprintf("%s=%d", kinds[each.kind], each.minor))
	}
	return strings.Join(words, " ")
}

type status int

const (
	// statusUnknown: it may have taken effect, may do so later, or never.
	statusUnknown status = iota
	statusOK
	// statusRefused: this attempt took no effect; `reason` says why.
	statusRefused
)

// answer is what one operation was told.
type answer struct {
	status      status
	reason      string // when refused, or a word on why it is unknown
	kind        string // of INSUFFICIENT_BALANCE and BALANCE_LIMIT_EXCEEDED
	replayed    bool
	record      []byte // of a write and of GetTransaction: the bytes as they came
	transaction *zandakav1.Transaction
	balances    [len(kinds)]int64
	entries     []*zandakav1.Entry // newest first
}

func (a *answer) String() string {
	switch {
	case a.status == statusUnknown:
		return "unknown (" + a.reason + ")"
	case a.status == statusRefused:
		return strings.TrimSpace(a.reason + " " + a.kind)
	case a.transaction != nil && a.replayed:
		return "the record, replayed"
	case a.transaction != nil:
		return "the record"
	case a.entries != nil:
		newest := a.entries[0]
		return fmt.Sprintf("newest entry %d of %s", newest.Sequence, newest.TransactionId)
	}
	words := make([]string, len(kinds))
	for i, each := range a.balances {
		words[i] = fmt.Sprintf("%s=%d", kinds[i], each)
	}
	return strings.Join(words, " ")
}

// operation is one request as one client saw it. Commands of one Submit share `submit` (above 0)
// and their times; `place` is the command's place in it.
type operation struct {
	client   int
	call     int64 // nanoseconds since the run began, on one monotonic clock
	returned int64 // or never
	submit   int64
	place    int
	request  request
	answer   answer
}

func (o *operation) String() string {
	returned := "never"
	if o.returned != never {
		returned = fmt.Sprintf("%.3f", float64(o.returned)/1e6)
	}
	return fmt.Sprintf("[%.3f, %s] ms client %d: %s -> %s", float64(o.call)/1e6, returned, o.client,
		&o.request, &o.answer)
}

// history is what all clients of a run saw.
type history struct {
	begin      time.Time
	mutex      sync.Mutex
	operations []*operation
	submits    int64
}

func newHistory() *history { return &history{begin: time.Now()} }

func (h *history) now() int64 { return int64(time.Since(h.begin)) }

// record keeps operations of one call; an unknown outcome stays open.
func (h *history) record(operations ...*operation) {
	returned := h.now()
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if len(operations) > 1 {
		h.submits++
	}
	for place, each := range operations {
		each.returned = returned
		if each.answer.status == statusUnknown {
			each.returned = never
		}
		if len(operations) > 1 {
			each.submit, each.place = h.submits, place
		}
		h.operations = append(h.operations, each)
	}
}

// sorted gives the operations in order of their calls.
func (h *history) sorted() []*operation {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	sort.SliceStable(h.operations, func(i, j int) bool {
		return h.operations[i].call < h.operations[j].call
	})
	return h.operations
}
