package main

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"zandaka/consistency/messages/zandakav1"
)

// truth is what the service says when all is over: every id is settled, and nothing is under way.
type truth struct {
	records  map[string]*answer  // by id; none: nothing was recorded
	contents map[string]*request // of the records that succeeded
	accounts map[string]*accountTruth
	balances map[string]*answer
}

// patience is for calls without faults: how long one may take, on a machine that is busy.
const patience = 20 * time.Second

// auditor asks on a connection without a proxy. What it asks is part of the history.
type auditor struct {
	history    *history
	connection *connection
	number     int // as a client of the history
}

// ask repeats until the outcome is known.
func (a *auditor) ask(r request) (*answer, error) {
	for begin := time.Now(); ; {
		done := &operation{client: a.number, call: a.history.now(), request: r}
		var err error
		if done.answer, err = a.connection.call(patience, &r); err != nil {
			return nil, err
		}
		a.history.record(done)
		if done.answer.status != statusUnknown {
			return &done.answer, nil
		}
		if time.Since(begin) > 3*patience {
			return nil, fmt.Errorf("%s, without faults: %s", &r, &done.answer)
		}
	}
}

// forEach asks about many names at once.
func forEach(names []string, do func(name string) error) error {
	const workers = 8
	var all sync.WaitGroup
	errs := make([]error, workers)
	for worker := 0; worker < workers; worker++ {
		worker := worker
		all.Add(1)
		go func() {
			defer all.Done()
			for i := worker; i < len(names) && errs[worker] == nil; i += workers {
				errs[worker] = do(names[i])
			}
		}()
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// settle fences every id that has an attempt of unknown outcome, as a caller does that gives up:
// from here on nothing can happen any more (contract 3.7), whatever is still on its way.
func (a *auditor) settle() (int, error) {
	open := map[string]bool{}
	for _, each := range a.history.sorted() {
		if each.answer.status == statusUnknown && each.request.verb <= verbCancel {
			open[each.request.id] = true
		}
	}
	ids := make([]string, 0, len(open))
	for id := range open {
		ids = append(ids, id)
	}
	return len(ids), forEach(ids, func(id string) error {
		_, err := a.ask(request{verb: verbCancel, id: id})
		return err
	})
}

// find reads everything.
func (a *auditor) find(ids, accounts []string) (*truth, error) {
	t := &truth{records: map[string]*answer{}, contents: map[string]*request{},
		accounts: map[string]*accountTruth{}, balances: map[string]*answer{}}
	var mutex sync.Mutex
	err := forEach(ids, func(id string) error {
		told, err := a.ask(request{verb: verbGetTransaction, id: id})
		if err != nil || told.status != statusOK {
			return err
		}
		mutex.Lock()
		defer mutex.Unlock()
		t.records[id] = told
		if told.transaction.State == zandakav1.State_STATE_SUCCEEDED {
			t.contents[id] = contentOf(told.transaction)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, forEach(accounts, func(name string) error {
		balance, err := a.ask(request{verb: verbGetBalance, account: name})
		if err != nil {
			return err
		}
		entries, err := a.entries(name)
		mutex.Lock()
		defer mutex.Unlock()
		t.balances[name] = balance
		t.accounts[name] = newAccountTruth(name, entries)
		return err
	})
}

// entries walks an account's whole history; oldest first.
func (a *auditor) entries(account string) ([]*zandakav1.Entry, error) {
	var newestFirst []*zandakav1.Entry
	message := &zandakav1.ListEntriesRequest{AccountId: account, PageSize: 50}
	for {
		page := &zandakav1.ListEntriesResponse{}
		body, _, err := a.connection.invoke(patience, "ListEntries", message, page)
		if err != nil {
			return nil, fmt.Errorf("ListEntries %s, without faults: %w", account, err)
		}
		if err := proto.Unmarshal(body, page); err != nil {
			return nil, err
		}
		newestFirst = append(newestFirst, page.Entries...)
		if page.NextPageToken == "" {
			break
		}
		message.PageToken = page.NextPageToken
	}
	entries := make([]*zandakav1.Entry, len(newestFirst))
	for i, entry := range newestFirst {
		entries[len(entries)-1-i] = entry
	}
	return entries, nil
}

// contentOf is the request that a record would answer.
func contentOf(transaction *zandakav1.Transaction) *request {
	content := &request{verb: verbAdd, id: transaction.TransactionId, account: transaction.AccountId}
	sign := int64(1)
	if transaction.Operation == zandakav1.Operation_OPERATION_CONSUME {
		content.verb, sign = verbConsume, -1
	}
	for _, leg := range transaction.Legs {
		for kind := range kinds {
			if kinds[kind] == leg.Kind {
				content.amounts = append(content.amounts, amount{kind: kind, minor: sign * leg.Amount})
			}
		}
	}
	return content
}
