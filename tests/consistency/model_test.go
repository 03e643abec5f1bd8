package main

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"zandaka/consistency/messages/zandakav1"
)

// The world of these histories: a +10, then b -4 on alice; c is fenced; d is not recorded.
var (
	addA     = request{verb: verbAdd, id: "a", account: "alice", amounts: []amount{{0, 10}}}
	consumeB = request{verb: verbConsume, id: "b", account: "alice", amounts: []amount{{0, 4}}}
	consumeC = request{verb: verbConsume, id: "c", account: "alice", amounts: []amount{{0, 5}}}
	consumeD = request{verb: verbConsume, id: "d", account: "alice", amounts: []amount{{0, 8}}}
	changedA = request{verb: verbAdd, id: "a", account: "bob", amounts: []amount{{0, 10}}}
	cancelA  = request{verb: verbCancel, id: "a"}
	cancelC  = request{verb: verbCancel, id: "c"}
	readA    = request{verb: verbGetTransaction, id: "a"}
	readC    = request{verb: verbGetTransaction, id: "c"}
	balance  = request{verb: verbGetBalance, account: "alice"}
	entries  = request{verb: verbListEntries, account: "alice"}
)

func recordOf(r request) *zandakav1.Transaction {
	transaction := &zandakav1.Transaction{TransactionId: r.id, AccountId: r.account,
		State: zandakav1.State_STATE_SUCCEEDED, Operation: zandakav1.Operation_OPERATION_ADD}
	sign := int64(1)
	switch r.verb {
	case verbCancel:
		transaction.State = zandakav1.State_STATE_CANCELLED
		transaction.Operation = zandakav1.Operation_OPERATION_CANCEL
	case verbConsume:
		transaction.Operation, sign = zandakav1.Operation_OPERATION_CONSUME, -1
	}
	for _, each := range r.amounts {
		transaction.Legs = append(transaction.Legs, &zandakav1.Leg{AccountId: r.account,
			Kind: kinds[each.kind], Amount: sign * each.minor})
	}
	return transaction
}

func ok(r request) answer {
	transaction := recordOf(r)
	record, err := proto.Marshal(transaction)
	if err != nil {
		panic(err)
	}
	return answer{status: statusOK, record: record, transaction: transaction}
}

func replayed(r request) answer {
	told := ok(r)
	told.replayed = true
	return told
}

func refused(reason string) answer {
	told := answer{status: statusRefused, reason: reason}
	if reason == "INSUFFICIENT_BALANCE" {
		told.kind = "points"
	}
	return told
}

func points(points int64) answer {
	return answer{status: statusOK, balances: [len(kinds)]int64{points, 0}}
}

func entryOf(sequence, after int64, r request) *zandakav1.Entry {
	transaction := recordOf(r)
	return &zandakav1.Entry{Sequence: sequence, TransactionId: r.id, Kind: "points",
		Operation: transaction.Operation, Amount: transaction.Legs[0].Amount, BalanceAfter: after}
}

func page(newestFirst ...*zandakav1.Entry) answer {
	return answer{status: statusOK, entries: newestFirst}
}

func truthOfTests() *truth {
	first, second, fence := ok(addA), ok(consumeB), ok(cancelC)
	six := points(6)
	nothing := points(0)
	return &truth{
		records:  map[string]*answer{"a": &first, "b": &second, "c": &fence},
		contents: map[string]*request{"a": &addA, "b": &consumeB},
		accounts: map[string]*accountTruth{
			"alice": newAccountTruth("alice", []*zandakav1.Entry{entryOf(1, 10, addA),
				entryOf(2, 6, consumeB)}),
			"bob": newAccountTruth("bob", nil)},
		balances: map[string]*answer{"alice": &six, "bob": &nothing},
	}
}

// step is an operation from one moment to another; 0 for `to` is never.
type step struct {
	from, to int64
	request  request
	answer   answer
}

var unknown = answer{reason: "cut"}

// Each history has these three too, far apart unless it says otherwise itself.
var appliedA = step{10, 20, addA, ok(addA)}
var appliedB = step{30, 40, consumeB, ok(consumeB)}
var fencedC = step{50, 60, cancelC, ok(cancelC)}

var histories = []struct {
	name       string
	consistent bool
	steps      []step
}{
	{"one after another", true, []step{appliedA, appliedB, fencedC, {70, 80, balance, points(6)}}},
	{"a read before all", true, []step{{1, 5, balance, points(0)}, appliedA, appliedB, fencedC}},
	{"a read beside the first sees either", true, []step{{10, 25, balance, points(10)},
		{10, 25, balance, points(0)}, appliedA, appliedB, fencedC}},
	{"a stale read", false, []step{appliedA, appliedB, {45, 48, balance, points(10)}, fencedC}},
	{"a read of the future", false, []step{appliedA, {22, 28, balance, points(6)}, appliedB, fencedC}},
	{"reads that go back", false, []step{appliedA, {31, 33, balance, points(6)},
		{34, 36, balance, points(10)}, appliedB, fencedC}},
	{"a balance that never was", false, []step{appliedA, appliedB, {45, 48, balance, points(2)}, fencedC}},
	{"a page of its moment", true, []step{appliedA, {22, 28, entries, page(entryOf(1, 10, addA))},
		appliedB, fencedC}},
	{"a stale page", false, []step{appliedA, appliedB,
		{45, 48, entries, page(entryOf(1, 10, addA))}, fencedC}},
	{"a page with a hole", false, []step{appliedA, appliedB,
		{45, 48, entries, page(entryOf(2, 6, consumeB))}, fencedC}},

	{"an unknown one was the first", true, []step{{10, 0, addA, unknown},
		{15, 25, addA, replayed(addA)}, appliedB, fencedC}},
	{"an unknown one came late", true, []step{{1, 0, addA, unknown}, {5, 8, balance, points(0)},
		{9, 25, addA, replayed(addA)}, appliedB, fencedC}},
	{"an unknown one whose retry was the first", true, []step{{1, 0, addA, unknown},
		{5, 8, balance, points(0)}, appliedA, appliedB, fencedC}},
	{"a replay before any success", false, []step{{1, 5, addA, replayed(addA)}, appliedA, appliedB, fencedC}},
	{"a replay without a success", false, []step{{10, 20, addA, replayed(addA)}, appliedB, fencedC}},
	{"two first successes", false, []step{appliedA, {22, 28, addA, ok(addA)}, appliedB, fencedC}},

	{"a refusal for too little", true, []step{{1, 5, consumeB, refused("INSUFFICIENT_BALANCE")},
		appliedA, appliedB, fencedC}},
	{"a refusal although there is enough", false, []step{appliedA,
		{22, 28, consumeD, refused("INSUFFICIENT_BALANCE")}, appliedB, fencedC}},
	{"a refusal once there is too little", true, []step{appliedA, appliedB,
		{45, 48, consumeD, refused("INSUFFICIENT_BALANCE")}, fencedC}},
	{"a refusal for too little on a replay", false, []step{appliedA, appliedB,
		{45, 48, consumeB, refused("INSUFFICIENT_BALANCE")}, fencedC}},
	{"a refusal that was not attempted", true, []step{appliedA, appliedB,
		{45, 48, consumeB, refused("OVERLOADED")}, fencedC}},

	{"other content", true, []step{appliedA, {22, 28, changedA, refused("TRANSACTION_ID_REUSED")},
		appliedB, fencedC}},
	{"other content before the first", false, []step{
		{1, 5, changedA, refused("TRANSACTION_ID_REUSED")}, appliedA, appliedB, fencedC}},
	{"the same content as other content", false, []step{appliedA,
		{22, 28, addA, refused("TRANSACTION_ID_REUSED")}, appliedB, fencedC}},
	{"other content is executed", false, []step{appliedA, {22, 28, changedA, ok(changedA)}, appliedB, fencedC}},

	{"a fence holds", true, []step{appliedA, appliedB, fencedC,
		{70, 80, consumeC, refused("TRANSACTION_CANCELLED")}}},
	{"a fence before it was set", false, []step{appliedA, appliedB,
		{45, 48, consumeC, refused("TRANSACTION_CANCELLED")}, fencedC}},
	{"a fence is forgotten", false, []step{appliedA, appliedB, fencedC,
		{70, 80, readC, refused("TRANSACTION_NOT_FOUND")}}},
	{"a fence comes too late", true, []step{appliedA, {22, 28, cancelA, refused("TRANSACTION_SUCCEEDED")},
		appliedB, fencedC}},
	{"a fence comes too late too early", false, []step{
		{1, 5, cancelA, refused("TRANSACTION_SUCCEEDED")}, appliedA, appliedB, fencedC}},
	{"an unknown fence", true, []step{appliedA, appliedB, {50, 0, cancelC, unknown},
		{52, 58, readC, refused("TRANSACTION_NOT_FOUND")}, {60, 65, readC, ok(cancelC)}}},
	{"a record before its success", false, []step{{1, 5, readA, ok(addA)}, appliedA, appliedB, fencedC}},
	{"no record after its success", false, []step{appliedA,
		{22, 28, readA, refused("TRANSACTION_NOT_FOUND")}, appliedB, fencedC}},
}

func operationsOf(steps []step) []*operation {
	operations := make([]*operation, len(steps))
	for i, each := range steps {
		operations[i] = &operation{client: i, call: each.from, returned: each.to,
			request: each.request, answer: each.answer}
		if each.to == 0 {
			operations[i].returned = never
		}
	}
	return operations
}

func TestHistories(t *testing.T) {
	home := map[string]string{"a": "alice", "b": "alice", "c": "alice", "d": "alice"}
	for _, each := range histories {
		found := truthOfTests()
		operations := operationsOf(each.steps)
		stories := check(partitions(operations, found, home), t.TempDir())
		if (len(stories) == 0) != each.consistent {
			t.Errorf("%s: consistent is %v, found %q", each.name, each.consistent, stories)
		}
	}
}

// What the audit sees: each case damages one thing of a sound world.
func TestAudit(t *testing.T) {
	sound := []step{appliedA, appliedB, fencedC}
	otherRecord := ok(addA)
	otherRecord.record = append([]byte(nil), otherRecord.record...)
	otherRecord.record[3]++
	for _, each := range []struct {
		name   string
		steps  []step
		damage func(*truth)
	}{
		{"a success is lost", sound, func(t *truth) { delete(t.records, "a") }},
		{"another answer", append([]step{{45, 48, addA, otherRecord}}, sound...), nil},
		{"two first successes", append([]step{{45, 48, addA, ok(addA)}}, sound...), nil},
		{"a record that nobody asked for", sound[:2], nil},
		{"an internal error", append([]step{{45, 48, addA, answer{reason: "INTERNAL"}}}, sound...), nil},
		{"a balance beside the history", sound, func(t *truth) { t.balances["alice"].balances[0]++ }},
		{"a hole in the history", sound, func(t *truth) { t.accounts["alice"].entries[1].Sequence = 3 }},
		{"a wrong balance after", sound, func(t *truth) { t.accounts["alice"].entries[1].BalanceAfter = 7 }},
		{"no entry for a record", sound, func(t *truth) {
			t.accounts["alice"] = newAccountTruth("alice", []*zandakav1.Entry{entryOf(1, 10, addA)})
		}},
		{"applied twice", sound, func(t *truth) {
			t.accounts["alice"] = newAccountTruth("alice", []*zandakav1.Entry{entryOf(1, 10, addA),
				entryOf(2, 6, consumeB), entryOf(3, 16, addA)})
			t.balances["alice"].balances[0] = 16
		}},
	} {
		found := truthOfTests()
		if violations := audit(operationsOf(sound), found); len(violations) > 0 {
			t.Fatalf("the sound world: %q", violations)
		}
		if each.damage != nil {
			each.damage(found)
		}
		if violations := audit(operationsOf(each.steps), found); len(violations) == 0 {
			t.Errorf("%s: not seen", each.name)
		}
	}
}

// A Submit's order is looked at where its commands were applied.
func TestAuditOfSubmits(t *testing.T) {
	for _, each := range []struct {
		steps []step
		sound bool
	}{
		{[]step{{10, 40, addA, ok(addA)}, {10, 40, consumeB, ok(consumeB)}, fencedC}, true},
		{[]step{{10, 40, consumeB, ok(consumeB)}, {10, 40, addA, ok(addA)}, fencedC}, false},
	} {
		operations := operationsOf(each.steps)
		operations[0].submit, operations[1].submit, operations[1].place = 1, 1, 1
		if violations := audit(operations, truthOfTests()); (len(violations) == 0) != each.sound {
			t.Errorf("sound is %v, found %q", each.sound, violations)
		}
	}
}
