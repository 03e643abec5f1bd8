package main

import (
	"fmt"
	"math/rand"
	"time"
)

// nemesis makes the faults of a run, in an order that the seed decides.
type nemesis struct {
	random  *rand.Rand
	servers []*server
	durable bool // the store outlives its server
	stop    <-chan struct{}

	kills, pauses, drains, changes int
}

// wait lasts for the chosen time, or until the run ends: then it is false.
func (n *nemesis) wait(least, most time.Duration) bool {
	timer := time.NewTimer(least + time.Duration(n.random.Int63n(int64(most-least))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-n.stop:
		return false
	}
}

// run makes faults until the run ends, and leaves every server running under a calm sky.
func (n *nemesis) run() error {
	for n.wait(30*time.Millisecond, 350*time.Millisecond) {
		target := n.servers[n.random.Intn(len(n.servers))]
		if err := target.health(); err != nil {
			return err
		}
		if err := n.strike(target); err != nil {
			return err
		}
	}
	for _, each := range n.servers {
		each.proxy.setWeather(weathers[0])
		each.proxy.cutAll()
		if err := each.health(); err != nil {
			return err
		}
	}
	return nil
}

func (n *nemesis) strike(target *server) error {
	if n.random.Intn(2) == 0 {
		target.proxy.setWeather(weathers[n.random.Intn(len(weathers))])
		n.changes++
	}
	chance := n.random.Intn(100)
	switch {
	case chance < 20:
		return nil // the weather alone
	case chance < 60 && n.durable:
		n.kills++
		if n.random.Intn(4) == 0 { // stopped first: what is in its sockets is never read
			if err := target.pause(); err != nil {
				return err
			}
			n.pauses++
			n.wait(time.Millisecond, 100*time.Millisecond)
		}
		if err := target.kill(); err != nil {
			return err
		}
		return n.again(target)
	case chance < 75 && n.durable:
		n.drains++
		if err := target.drain(); err != nil {
			return err
		}
		return n.again(target)
	}
	n.pauses++
	if err := target.pause(); err != nil {
		return err
	}
	n.wait(20*time.Millisecond, 800*time.Millisecond)
	return target.resume()
}

func (n *nemesis) again(target *server) error {
	n.wait(time.Millisecond, 150*time.Millisecond)
	return target.start()
}

func (n *nemesis) String() string {
	return fmt.Sprintf("%d kills, %d pauses, %d drains, %d changes of weather", n.kills, n.pauses,
		n.drains, n.changes)
}
