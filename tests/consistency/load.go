package main

import (
	"fmt"
	"math/rand"
	"sync"
	"time"
)

// A group is a few clients on two accounts and the ids that they share. When each has made its
// calls the group goes on with new accounts, so that a history of one account stays small enough
// to be checked, and is still made by clients that race.
const (
	clientsPerGroup = 4
	callsPerClient  = 50
	submitMax       = 6
)

// pauseMax is what a caller waits at most before it repeats.
const pauseMax = 10 * time.Millisecond

// load is what the clients of a run work on.
type load struct {
	prefix  string // of every id and account of this run
	seed    int64
	history *history
	stop    chan struct{}
	mutex   sync.Mutex
	home    map[string]string // of each id: the account that it was made for
	failure error
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *load) fail(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.failure == nil {
		l.failure = err
	}
}

// business is what a group's clients share: the events that they send, and send again.
type business struct {
	load     *load
	name     string
	accounts [2]string
	mutex    sync.Mutex
	events   []request
}

// runGroup works until the load stops. `connections` has, for each client, one to each server.
func (l *load) runGroup(group int, connections [][]*connection) {
	for generation := 0; !l.stopped(); generation++ {
		name := fmt.Sprintf("%s-%d-%d", l.prefix, group, generation)
		shared := &business{load: l, name: name, accounts: [2]string{name + "-a", name + "-b"}}
		var clients sync.WaitGroup
		for number := range connections {
			clients.Add(1)
			seed := l.seed<<24 ^ int64(group)<<16 ^ int64(generation)<<4 ^ int64(number)
			c := &client{number: group*clientsPerGroup + number, business: shared,
				random: rand.New(rand.NewSource(seed)), connections: connections[number]}
			go func() {
				defer clients.Done()
				c.run()
			}()
		}
		clients.Wait()
	}
}

type client struct {
	number      int
	business    *business
	random      *rand.Rand
	connections []*connection
}

func (c *client) run() {
	for i := 0; i < callsPerClient && !c.business.load.stopped(); i++ {
		var err error
		if c.random.Intn(8) == 0 {
			err = c.submit()
		} else {
			err = c.one(c.choose())
		}
		if err != nil {
			c.business.load.fail(err)
			return
		}
	}
}

// one makes a call, and when its outcome is unknown often does what a caller should: the same
// again, until it is known (contract 6). Sometimes it leaves that to others, or to nobody.
func (c *client) one(r request) error {
	for {
		history := c.business.load.history
		done := &operation{client: c.number, call: history.now(), request: r}
		var err error
		if done.answer, err = c.connection().call(c.timeout(), &r); err != nil {
			return err
		}
		history.record(done)
		if done.answer.status != statusUnknown || c.business.load.stopped() ||
			c.random.Intn(10) < 4 {
			return nil
		}
		time.Sleep(time.Duration(c.random.Int63n(int64(pauseMax))))
	}
}

func (c *client) submit() error {
	requests := make([]*request, 2+c.random.Intn(submitMax-1))
	for i := range requests {
		r := c.choose()
		for !r.verb.moves() && r.verb != verbCancel {
			r = c.choose()
		}
		requests[i] = &r
	}
	history := c.business.load.history
	call := history.now()
	answers, err := c.connection().submit(c.timeout(), requests)
	if err != nil {
		return err
	}
	operations := make([]*operation, len(requests))
	for i, r := range requests {
		operations[i] = &operation{client: c.number, call: call, request: *r, answer: answers[i]}
	}
	history.record(operations...)
	return nil
}

func (c *client) connection() *connection {
	return c.connections[c.random.Intn(len(c.connections))]
}

// timeout is mostly long enough on a good day, sometimes hopeless, sometimes patient.
func (c *client) timeout() time.Duration {
	switch c.random.Intn(10) {
	case 0:
		return 25 * time.Millisecond
	case 1:
		return 1200 * time.Millisecond
	}
	return 250 * time.Millisecond
}

// choose makes the next request.
func (c *client) choose() request {
	switch chance := c.random.Intn(100); {
	case chance < 38:
		return c.business.newEvent(c.fresh())
	case chance < 58: // a repeat: of one's own, or of a neighbour's at the same moment
		return c.recent()
	case chance < 66:
		return c.changed(c.recent())
	case chance < 73:
		return request{verb: verbCancel, id: c.recent().id}
	case chance < 85:
		return request{verb: verbGetBalance, account: c.account()}
	case chance < 94:
		return request{verb: verbGetTransaction, id: c.recent().id}
	}
	return request{verb: verbListEntries, account: c.account()}
}

func (c *client) account() string { return c.business.accounts[c.random.Intn(2)] }

// fresh is a write without its id: small amounts on small balances, so that many are refused.
func (c *client) fresh() request {
	r := request{verb: verbAdd, account: c.account()}
	if c.random.Intn(2) == 0 {
		r.verb = verbConsume
	}
	r.amounts = []amount{{kind: c.random.Intn(len(kinds)), minor: 1 + c.random.Int63n(25)}}
	if c.random.Intn(3) == 0 {
		other := amount{kind: 1 - r.amounts[0].kind, minor: 1 + c.random.Int63n(25)}
		r.amounts = append(r.amounts, other)
	}
	return r
}

// changed keeps the id, and makes it another event; or the same one, with its amounts in another
// order (contract 3.5).
func (c *client) changed(r request) request {
	amounts := append([]amount(nil), r.amounts...)
	switch c.random.Intn(5) {
	case 0:
		amounts[0].minor++
	case 1:
		r.account = c.account()
	case 2:
		r.verb = verbAdd + verbConsume - r.verb
	case 3:
		if len(amounts) == 1 {
			amounts[0].kind = 1 - amounts[0].kind
		} else {
			amounts = amounts[:1]
		}
	default:
		if len(amounts) == 2 {
			amounts[0], amounts[1] = amounts[1], amounts[0]
		}
	}
	r.amounts = amounts
	return r
}

// recent is one of the group's last events, mostly one of the very last.
func (c *client) recent() request {
	shared := c.business
	shared.mutex.Lock()
	n := len(shared.events)
	if n > 0 {
		back := c.random.Intn(6)
		if c.random.Intn(4) == 0 {
			back = c.random.Intn(n)
		}
		if back >= n {
			back = n - 1
		}
		defer shared.mutex.Unlock()
		return shared.events[n-1-back]
	}
	shared.mutex.Unlock()
	return shared.newEvent(c.fresh())
}

// newEvent gives a write its id.
func (b *business) newEvent(r request) request {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	r.id = fmt.Sprintf("%s-%d", b.name, len(b.events))
	b.events = append(b.events, r)
	b.load.mutex.Lock()
	defer b.load.mutex.Unlock()
	b.load.home[r.id] = r.account
	return r
}
