package main

import (
	"bytes"
	"fmt"
	"sort"

	"zandaka/consistency/messages/zandakav1"
)

// audit holds the history against the truth, with what needs no search. Each violation names the
// rule of the contract.
func audit(operations []*operation, t *truth) []string {
	a := &auditing{truth: t, fresh: map[string]*operation{}, attempts: map[string][]*request{}}
	for _, each := range operations {
		a.look(each)
	}
	for id, record := range t.records {
		a.lookRecord(id, record)
	}
	for _, account := range t.accounts {
		a.lookAccount(account)
	}
	a.lookSubmits(operations)
	sort.Strings(a.violations)
	return a.violations
}

type auditing struct {
	truth      *truth
	fresh      map[string]*operation // of each id: the success or fence that was not a replay
	attempts   map[string][]*request
	violations []string
}

func (a *auditing) violated(format string, arguments ...any) {
	a.violations = append(a.violations, fmt.Sprintf(format, arguments...))
}

// expected are the refusals that these requests can have; anything else is a fault of the service.
var expected = map[string]bool{
	"INSUFFICIENT_BALANCE": true, "BALANCE_LIMIT_EXCEEDED": true, "TRANSACTION_ID_REUSED": true,
	"TRANSACTION_CANCELLED": true, "TRANSACTION_SUCCEEDED": true, "TRANSACTION_NOT_FOUND": true,
	"OVERLOADED": true, "SHUTTING_DOWN": true, "STORE_UNAVAILABLE": true,
}

func (a *auditing) look(o *operation) {
	if o.answer.reason == "INTERNAL" ||
		o.answer.status == statusRefused && !expected[o.answer.reason] {
		a.violated("contract 4: a refusal that nothing here gives cause for: %s", o)
	}
	id := o.request.id
	if o.request.verb <= verbCancel {
		a.attempts[id] = append(a.attempts[id], &o.request)
	}
	if o.answer.status != statusOK || o.answer.transaction == nil {
		return
	}
	final := a.truth.records[id]
	switch {
	case final == nil:
		a.violated("contract 3.12: an answered success is lost: %s", o)
	case !bytes.Equal(final.record, o.answer.record):
		a.violated("contract 3.4: not the answer of always: %s: %v; in the end: %v", o,
			o.answer.transaction, final.transaction)
	}
	if o.request.verb <= verbCancel && !o.answer.replayed {
		if a.fresh[id] != nil {
			a.violated("contract 3.2: two first successes: %s; %s", a.fresh[id], o)
		}
		a.fresh[id] = o
	}
}

// lookRecord: what is recorded was asked for.
func (a *auditing) lookRecord(id string, record *answer) {
	for _, attempt := range a.attempts[id] {
		content := a.truth.contents[id]
		if content == nil && attempt.verb == verbCancel ||
			content != nil && attempt.sameContent(content) {
			return
		}
	}
	a.violated("contract 3.5: a record that nobody asked for: %v", record.transaction)
}

// lookAccount: the history is gapless, adds up to the balance, and is that of the records.
func (a *auditing) lookAccount(account *accountTruth) {
	var sums [len(kinds)]int64
	for i, entry := range account.entries {
		kind := 0
		for kind < len(kinds)-1 && kinds[kind] != entry.Kind {
			kind++
		}
		sums[kind] += entry.Amount
		if entry.Sequence != int64(i+1) || entry.BalanceAfter != sums[kind] || sums[kind] < 0 ||
			sums[0] > pointsMax {
			a.violated("contract 5: %s: entry %v where %d of %s follow from those before",
				account.name, entry, sums[kind], entry.Kind)
		}
		if i > 0 && entry.CreateTime.AsTime().Before(account.entries[i-1].CreateTime.AsTime()) {
			a.violated("contract 3.13: %s: time went back at entry %d", account.name, i+1)
		}
	}
	if told := a.truth.balances[account.name]; told.balances != sums {
		a.violated("contract 5: %s: the balance is %s, the history adds up to %v", account.name,
			told, sums)
	}
	if len(account.position) != len(account.order) {
		a.violated("contract 3.2: %s: an id took effect twice", account.name)
	}
	a.lookEffects(account)
}

// lookEffects: each record has its entries, all of them and no others (contract 3.9).
func (a *auditing) lookEffects(account *accountTruth) {
	first := 0
	for place, id := range account.order {
		next := account.newest[place+1]
		record := a.truth.records[id]
		if record == nil || !hasEffects(record.transaction, account.name, account.entries[first:next]) {
			a.violated("contract 3.9: %s: the entries of %s are not those of its record",
				account.name, id)
		}
		first = next
	}
	for id, content := range a.truth.contents {
		if _, ok := account.position[id]; content.account == account.name && !ok {
			a.violated("contract 3.9: %s: %s is recorded and has no entries", account.name, id)
		}
	}
}

func hasEffects(transaction *zandakav1.Transaction, account string, entries []*zandakav1.Entry) bool {
	if len(transaction.Legs) != len(entries) {
		return false
	}
	for i, leg := range transaction.Legs {
		if leg.AccountId != account || leg.Kind != entries[i].Kind ||
			leg.Amount != entries[i].Amount || transaction.Operation != entries[i].Operation {
			return false
		}
	}
	return true
}

// lookSubmits: what one Submit applied on one account stands in the order of its commands
// (contract 3.14).
func (a *auditing) lookSubmits(operations []*operation) {
	type line struct {
		submit  int64
		account string
	}
	last := map[line]*operation{}
	for _, each := range operations {
		if each.submit == 0 || !each.request.verb.moves() || each.answer.status != statusOK ||
			each.answer.replayed {
			continue
		}
		key := line{each.submit, each.request.account}
		before := last[key]
		position := a.truth.accounts[each.request.account].position
		if before != nil && position[before.request.id] >= position[each.request.id] {
			a.violated("contract 3.14: the commands of a Submit took effect out of order: %s; %s",
				before, each)
		}
		last[key] = each
	}
}
