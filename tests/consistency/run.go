package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// run is one world: fresh servers, their faults, their clients, and the judgement.
type run struct {
	options *options
	store   string // a store URL; `rocksdb:` and `memory:` are fresh for the run
	seed    int64

	directory string
	servers   []*server
	faults    networkFaults
	history   *history
	load      *load
	nemesis   *nemesis
}

// durable is whether a store outlives its server.
func durable(store string) bool { return store != "memory:" }

// shared is whether several servers may have the store at once.
func shared(store string) bool { return durable(store) && !strings.HasPrefix(store, "rocksdb:") }

// world runs a seed against a store. Violations are of the contract; an error is of anything else.
func world(o *options, store string, seed int64) (*totals, []string, error) {
	directory, err := os.MkdirTemp("", "zandaka-consistency-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(directory)
	r := &run{options: o, store: store, seed: seed, directory: directory, history: newHistory()}
	if store == "rocksdb:" {
		r.store = "rocksdb:" + directory + "/store"
	}
	defer r.close()
	if err := r.open(); err != nil {
		return nil, nil, err
	}
	if err := r.work(); err != nil {
		return nil, nil, err
	}
	return r.judge()
}

func (r *run) open() error {
	for number := 0; number < r.options.servers; number++ {
		proxy, err := newProxy(r.seed<<8^int64(number), &r.faults)
		if err != nil {
			return err
		}
		s := &server{binary: r.options.binary, store: r.store, directory: r.directory,
			number: number, proxy: proxy}
		r.servers = append(r.servers, s)
		if err := s.start(); err != nil {
			return err
		}
	}
	stop := make(chan struct{})
	// A database that is shared keeps the names of earlier runs, so they differ.
	prefix := fmt.Sprintf("s%d", r.seed)
	if shared(r.store) {
		prefix = fmt.Sprintf("s%d.%d", r.seed, time.Now().UnixMilli())
	}
	r.load = &load{prefix: prefix, seed: r.seed, history: r.history, stop: stop,
		home: map[string]string{}}
	r.nemesis = &nemesis{random: newRandom(r.seed), servers: r.servers, durable: durable(r.store),
		stop: stop}
	return nil
}

func (r *run) close() {
	for _, each := range r.servers {
		if each.process != nil {
			each.process.Process.Kill()
			<-each.ended
		}
		each.proxy.close()
	}
}

// work lets clients and faults loose for the time of a run.
func (r *run) work() error {
	var all []*connection
	defer func() {
		for _, each := range all {
			each.close()
		}
	}()
	var groups sync.WaitGroup
	for group := 0; group < r.options.groups; group++ {
		connections := make([][]*connection, clientsPerGroup)
		for number := range connections {
			// One client of each group speaks JSON, the others gRPC: the same ids on both wires.
			connect := connectGRPC
			if number == 0 {
				connect = connectJSON
			}
			for _, server := range r.servers {
				made, err := connect(server.proxy.address())
				if err != nil {
					return err
				}
				all = append(all, made)
				connections[number] = append(connections[number], made)
			}
		}
		group := group
		groups.Add(1)
		go func() {
			defer groups.Done()
			r.load.runGroup(group, connections)
		}()
	}
	struck := make(chan error, 1)
	go func() { struck <- r.nemesis.run() }()
	var err error
	select {
	case err = <-struck:
		close(r.load.stop)
	case <-time.After(r.options.length):
		close(r.load.stop)
		err = <-struck
	}
	groups.Wait()
	if err == nil {
		err = r.load.failure
	}
	return err
}

// judge settles what is open, pulls the plug once more, reads everything and checks the history.
func (r *run) judge() (*totals, []string, error) {
	settled, err := r.audited(func(a *auditor) (int, error) { return a.settle() })
	if err != nil {
		return nil, nil, err
	}
	if durable(r.store) {
		for _, each := range r.servers {
			if err := each.kill(); err != nil {
				return nil, nil, err
			}
		}
		for _, each := range r.servers {
			if err := each.start(); err != nil {
				return nil, nil, err
			}
		}
	}
	var found *truth
	if _, err = r.audited(func(a *auditor) (int, error) {
		ids, accounts := r.names()
		found, err = a.find(ids, accounts)
		return 0, err
	}); err != nil {
		return nil, nil, err
	}
	violations := few(audit(r.history.sorted(), found))
	all := partitions(r.history.sorted(), found, r.load.home)
	violations = append(violations, check(all, r.options.keep)...)
	if durable(r.store) {
		if err := r.verify(); err != nil {
			violations = append(violations, err.Error())
		}
	}
	return r.count(settled, len(all)), violations, nil
}

// few keeps what a person wants to read of many violations.
func few(violations []string) []string {
	const most = 6
	if len(violations) > most {
		more := fmt.Sprintf("and %d more of this kind", len(violations)-most)
		violations = append(violations[:most:most], more)
	}
	return violations
}

func (r *run) audited(do func(*auditor) (int, error)) (int, error) {
	direct, err := connectGRPC(r.servers[0].proxy.upstream())
	if err != nil {
		return 0, err
	}
	defer direct.close()
	return do(&auditor{history: r.history, connection: direct,
		number: r.options.groups * clientsPerGroup})
}

func (r *run) names() (ids, accounts []string) {
	seen := map[string]bool{}
	for _, each := range r.history.sorted() {
		for _, name := range []string{each.request.account, r.load.home[each.request.id]} {
			if name != "" && !seen[name] {
				seen[name] = true
				accounts = append(accounts, name)
			}
		}
	}
	for id := range r.load.home {
		ids = append(ids, id)
	}
	return ids, accounts
}

// verify proves the store of the stopped servers.
func (r *run) verify() error {
	for _, each := range r.servers {
		if err := each.drain(); err != nil {
			return err
		}
	}
	told, err := exec.Command(r.options.binary, "verify", "--store", r.store).CombinedOutput()
	if err != nil {
		return fmt.Errorf("zandaka verify: %w:\n%s", err, told)
	}
	return nil
}

// totals are the counts of one run, or of all.
type totals struct {
	runs, operations, unknown, refused, replayed, settled, partitions int
	kills, pauses, drains, changes                                    int
	connections, stalls, cuts, tears, swallows                        int
}

func (r *run) count(settled, partitions int) *totals {
	n := r.nemesis
	t := &totals{runs: 1, settled: settled, partitions: partitions, kills: n.kills,
		pauses: n.pauses, drains: n.drains, changes: n.changes,
		connections: int(r.faults.connections.get()), stalls: int(r.faults.stalls.get()),
		cuts: int(r.faults.cuts.get()), tears: int(r.faults.tears.get()),
		swallows: int(r.faults.swallows.get())}
	for _, each := range r.history.sorted() {
		t.operations++
		switch {
		case each.answer.status == statusUnknown:
			t.unknown++
		case each.answer.status == statusRefused:
			t.refused++
		case each.answer.replayed:
			t.replayed++
		}
	}
	return t
}

func (t *totals) add(other *totals) {
	t.runs += other.runs
	t.operations += other.operations
	t.unknown += other.unknown
	t.refused += other.refused
	t.replayed += other.replayed
	t.settled += other.settled
	t.partitions += other.partitions
	t.kills += other.kills
	t.pauses += other.pauses
	t.drains += other.drains
	t.changes += other.changes
	t.connections += other.connections
	t.stalls += other.stalls
	t.cuts += other.cuts
	t.tears += other.tears
	t.swallows += other.swallows
}

func (t *totals) String() string {
	return fmt.Sprintf("%d operations (%d replayed, %d refused, %d of unknown outcome), %d ids fenced "+
		"at the end, %d partitions; %d kills, %d pauses, %d drains, %d changes of weather; "+
		"%d connections, %d cut, %d torn, %d swallowed, %d stalls", t.operations, t.replayed,
		t.refused, t.unknown, t.settled, t.partitions, t.kills, t.pauses, t.drains, t.changes,
		t.connections, t.cuts, t.tears, t.swallows, t.stalls)
}
