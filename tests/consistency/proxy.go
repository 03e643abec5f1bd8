package main

import (
	"io"
	"math/rand"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// weather is what the network does at present. Chances are for each piece of bytes that passes.
type weather struct {
	name         string
	delay        time.Duration // each piece waits up to so long
	stallChance  float64       // a direction stands still for up to stallMax
	cutChance    float64       // the connection ends between two pieces
	tearChance   float64       // it ends in the middle of a piece
	swallowLater float64       // from here on no answer arrives, though requests do; then a cut
}

const (
	stallMax   = 700 * time.Millisecond
	swallowMax = 500 * time.Millisecond
	pieceMax   = 16 << 10
)

var weathers = []weather{
	{name: "calm"},
	{name: "slow", delay: 15 * time.Millisecond},
	{name: "late", delay: 250 * time.Millisecond},
	{name: "stalling", stallChance: 0.02},
	{name: "cutting", cutChance: 0.03},
	{name: "tearing", tearChance: 0.03},
	{name: "swallowing", swallowLater: 0.03},
	{name: "storm", delay: 4 * time.Millisecond, stallChance: 0.004, cutChance: 0.008,
		tearChance: 0.008, swallowLater: 0.008},
}

// networkFaults are counted over all proxies of a run.
type networkFaults struct {
	connections, stalls, cuts, tears, swallows atomic32
}

// atomic32 counts from many goroutines.
type atomic32 struct{ n int32 }

func (a *atomic32) add()       { atomic.AddInt32(&a.n, 1) }
func (a *atomic32) get() int32 { return atomic.LoadInt32(&a.n) }

// proxy stands between clients and one server, and is the network: it passes bytes on in order, as
// TCP does, or ends the connection.
type proxy struct {
	listener net.Listener
	seed     int64
	faults   *networkFaults
	mutex    sync.Mutex
	target   string
	weather  weather
	number   int64
	open     map[net.Conn]bool
}

func newProxy(seed int64, faults *networkFaults) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: listener, seed: seed, faults: faults, open: map[net.Conn]bool{}}
	go p.accept()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) setTarget(target string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.target = target
}

func (p *proxy) upstream() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.target
}

func (p *proxy) setWeather(weather weather) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.weather = weather
}

func (p *proxy) now() weather {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.weather
}

func (p *proxy) close() {
	p.listener.Close()
	p.cutAll()
}

// cutAll ends every connection that there is.
func (p *proxy) cutAll() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for connection := range p.open {
		connection.Close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mutex.Lock()
		target := p.target
		p.number++
		seed := p.seed ^ p.number<<20
		p.open[client] = true
		p.mutex.Unlock()
		p.faults.connections.add()
		go p.pass(client, target, seed)
	}
}

// pass carries one connection until either side ends it, or the weather does.
func (p *proxy) pass(client net.Conn, target string, seed int64) {
	upstream, err := net.DialTimeout("tcp", target, time.Second)
	if err == nil {
		p.mutex.Lock()
		p.open[upstream] = true
		p.mutex.Unlock()
		var directions sync.WaitGroup
		directions.Add(2)
		end := func() { client.Close(); upstream.Close() }
		go func() {
			defer directions.Done()
			defer end()
			p.carry(upstream, client, rand.New(rand.NewSource(seed)), false)
		}()
		go func() {
			defer directions.Done()
			defer end()
			p.carry(client, upstream, rand.New(rand.NewSource(seed+1)), true)
		}()
		directions.Wait()
	}
	client.Close()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.open, client)
	if upstream != nil {
		delete(p.open, upstream)
	}
}

// carry passes one direction's bytes on; when it returns the connection is at its end.
func (p *proxy) carry(to, from net.Conn, random *rand.Rand, answers bool) {
	piece := make([]byte, pieceMax)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		now := p.now()
		if now.delay > 0 {
			time.Sleep(time.Duration(random.Int63n(int64(now.delay))))
		}
		switch chance := random.Float64(); {
		case chance < now.stallChance:
			p.faults.stalls.add()
			time.Sleep(time.Duration(random.Int63n(int64(stallMax))))
		case chance < now.stallChance+now.cutChance:
			p.faults.cuts.add()
			return
		case chance < now.stallChance+now.cutChance+now.tearChance:
			p.faults.tears.add()
			to.Write(piece[:random.Intn(n)])
			return
		case answers && chance < now.stallChance+now.cutChance+now.tearChance+now.swallowLater:
			p.faults.swallows.add()
			from.SetReadDeadline(time.Now().Add(time.Duration(random.Int63n(int64(swallowMax)))))
			io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
	}
}
