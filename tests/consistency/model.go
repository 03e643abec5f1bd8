package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"zandaka/consistency/messages/zandakav1"
)

// idState is what the contract knows of an id: nothing, a record, or a fence.
type idState int

const (
	idNothing idState = iota
	idSucceeded
	idCancelled
)

var idStateNames = [...]string{"nothing", "succeeded", "cancelled"}

// stepID says whether an operation on an id can have met it in a state, and what it then leaves.
// `recorded` is the content of the record that the id ends with; nil: it ends with none.
//
// An unknown write takes effect if it can. That is no loss: its return is open, so an attempt that
// never took effect is one that comes when the id is recorded already.
func stepID(o *operation, recorded *request, before idState) (bool, idState) {
	same := recorded != nil && recorded.sameContent(&o.request)
	switch o.request.verb {
	case verbAdd, verbConsume:
		switch {
		case o.answer.status == statusUnknown && before == idNothing:
			return true, idSucceeded
		case o.answer.status == statusUnknown:
			return true, before
		case o.answer.status == statusOK && o.answer.replayed: // contract 3.3, 3.5
			return before == idSucceeded && same, before
		case o.answer.status == statusOK: // contract 3.2
			return before == idNothing && same, idSucceeded
		}
		switch o.answer.reason {
		case "INSUFFICIENT_BALANCE", "BALANCE_LIMIT_EXCEEDED": // contract 3.6, 3.8
			return before == idNothing, before
		case "TRANSACTION_ID_REUSED": // contract 3.5
			return before == idSucceeded && !same, before
		case "TRANSACTION_CANCELLED": // contract 3.7
			return before == idCancelled, before
		}
	case verbCancel: // contract 3.7
		switch {
		case o.answer.status == statusUnknown && before == idNothing:
			return true, idCancelled
		case o.answer.status == statusUnknown:
			return true, before
		case o.answer.status == statusOK && o.answer.replayed:
			return before == idCancelled, before
		case o.answer.status == statusOK:
			return before == idNothing, idCancelled
		case o.answer.reason == "TRANSACTION_SUCCEEDED":
			return before == idSucceeded, before
		}
	case verbGetTransaction:
		if o.answer.status == statusRefused {
			return before == idNothing && o.answer.reason == "TRANSACTION_NOT_FOUND", before
		}
		if o.answer.transaction.State == zandakav1.State_STATE_CANCELLED {
			return before == idCancelled, before
		}
		return before == idSucceeded, before
	}
	return false, before
}

// idModel is one id: nothing, then one success or one fence, for ever.
func idModel(recorded *request) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return idNothing },
		Step: func(state, input, _ any) (bool, any) {
			return stepID(input.(*operation), recorded, state.(idState))
		},
		DescribeOperation: describeOperation,
		DescribeState:     func(state any) string { return idStateNames[state.(idState)] },
	}
}

func describeOperation(input, _ any) string {
	o := input.(*operation)
	return fmt.Sprintf("%s -> %s", &o.request, &o.answer)
}

// accountTruth is an account's history as it stands at the end: its transactions in order. Since
// that is itself an answer of the service, a linearization applies them in just this order, and
// the state of an account is a count of them.
type accountTruth struct {
	name     string
	entries  []*zandakav1.Entry // oldest first
	order    []string           // ids
	position map[string]int
	balances [][len(kinds)]int64 // after each count of transactions, by adding up
	newest   []int               // how many entries there are after each count
}

func newAccountTruth(name string, entries []*zandakav1.Entry) *accountTruth {
	t := &accountTruth{name: name, entries: entries, position: map[string]int{},
		balances: make([][len(kinds)]int64, 1), newest: make([]int, 1)}
	for i, entry := range entries {
		last := len(t.order)
		if last == 0 || t.order[last-1] != entry.TransactionId {
			t.position[entry.TransactionId] = last
			t.order = append(t.order, entry.TransactionId)
			t.balances = append(t.balances, t.balances[last])
			t.newest = append(t.newest, i)
			last++
		}
		for kind := range kinds {
			if kinds[kind] == entry.Kind {
				t.balances[last][kind] += entry.Amount
			}
		}
		t.newest[last] = i + 1
	}
	return t
}

// accountState is how many of the account's transactions have been applied, and which of its ids
// are fenced (a byte for each id of the partition).
type accountState struct {
	applied int
	fenced  string
}

// accountModel is one account with its ids. `recorded` gives the content of the record that an id
// ends with, or nil.
type accountModel struct {
	truth    *accountTruth
	recorded map[string]*request
	fences   map[string]int // the ids that are fenced in the end, and their places in `fenced`
}

func (m *accountModel) model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return accountState{fenced: string(make([]byte, len(m.fences)))} },
		Step: func(state, input, _ any) (bool, any) {
			return m.step(state.(accountState), input.(*operation))
		},
		DescribeOperation: describeOperation,
		DescribeState:     func(state any) string { return m.describe(state.(accountState)) },
	}
}

func (m *accountModel) describe(state accountState) string {
	last := "none"
	if state.applied > 0 {
		last = m.truth.order[state.applied-1]
	}
	balances := m.truth.balances[state.applied]
	return fmt.Sprintf("%s: %d transactions, the last %s; points=%d money=%d", m.truth.name,
		state.applied, last, balances[0], balances[1])
}

func (m *accountModel) step(state accountState, o *operation) (bool, accountState) {
	switch o.request.verb {
	case verbGetBalance:
		return o.answer.balances == m.truth.balances[state.applied], state
	case verbListEntries:
		return m.shows(state, o.answer.entries), state
	}
	before, position := idNothing, -1
	if place, ok := m.truth.position[o.request.id]; ok {
		position = place
		if place < state.applied {
			before = idSucceeded
		}
	}
	place, isFence := m.fences[o.request.id]
	if isFence && state.fenced[place] == 1 {
		before = idCancelled
	}
	possible, after := stepID(o, m.recorded[o.request.id], before)
	switch {
	case !possible:
		return false, state
	case after == before:
		return m.refusedRightly(state, o), state
	case after == idSucceeded && position == state.applied:
		state.applied++
		return true, state
	case after == idCancelled && isFence:
		fenced := []byte(state.fenced)
		fenced[place] = 1
		state.fenced = string(fenced)
		return true, state
	}
	// Its turn is another. An unknown one may have none at all: another attempt's may have been it.
	return o.answer.status == statusUnknown, state
}

// refusedRightly is whether a refusal for the balance is one that this balance gives: all amounts
// are tried in the request's order (contract 4).
func (m *accountModel) refusedRightly(state accountState, o *operation) bool {
	reason := ""
	if o.answer.status == statusRefused {
		reason = o.answer.reason
	}
	if reason != "INSUFFICIENT_BALANCE" && reason != "BALANCE_LIMIT_EXCEEDED" {
		return true
	}
	balances := m.truth.balances[state.applied]
	for _, each := range o.request.amounts {
		balance := balances[each.kind]
		short := o.request.verb == verbConsume && balance < each.minor
		full := o.request.verb == verbAdd && each.kind == 0 && balance+each.minor > pointsMax
		if short || full {
			return short == (reason == "INSUFFICIENT_BALANCE") && o.answer.kind == kinds[each.kind]
		}
	}
	return false
}

// shows is whether a page of the newest entries is the one of this state.
func (m *accountModel) shows(state accountState, page []*zandakav1.Entry) bool {
	newest := m.truth.newest[state.applied]
	if len(page) != min(newest, pageSize) {
		return false
	}
	for i, entry := range page {
		if !sameEntry(entry, m.truth.entries[newest-1-i]) {
			return false
		}
	}
	return true
}

func sameEntry(a, b *zandakav1.Entry) bool {
	return a.Sequence == b.Sequence && a.TransactionId == b.TransactionId &&
		a.Operation == b.Operation && a.Kind == b.Kind && a.Amount == b.Amount &&
		a.BalanceAfter == b.BalanceAfter && a.CreateTime.AsTime().Equal(b.CreateTime.AsTime())
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
