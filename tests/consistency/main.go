// Consistency from outside: many clients on real sockets, a network that loses things, servers that
// are killed and paused; and a checker that knows only the contract and judges the history. See
// docs/testing.md.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	binary  string
	stores  []string
	servers int
	groups  int
	length  time.Duration
	keep    string
}

func newRandom(seed int64) *rand.Rand { return rand.New(rand.NewSource(seed)) }

func main() {
	o := &options{}
	var stores string
	var seed int64
	var runs int
	var atLeast time.Duration
	flag.StringVar(&o.binary, "binary", "build/release/zandaka", "the server's `file`")
	flag.StringVar(&stores, "store", "rocksdb:,memory:",
		"store `URLs`, between commas: each run is on the next; `rocksdb:` has a fresh directory")
	flag.IntVar(&o.servers, "servers", 1, "how many servers have the store at once")
	flag.IntVar(&o.groups, "groups", 6, "groups of 4 clients")
	flag.DurationVar(&o.length, "length", 10*time.Second, "how long a run works")
	flag.StringVar(&o.keep, "keep", "consistency-failures", "`directory` for histories that fail")
	flag.Int64Var(&seed, "seed", time.Now().UnixNano()%1000000, "of the first run; then counts up")
	flag.IntVar(&runs, "runs", 2, "how many runs at least")
	flag.DurationVar(&atLeast, "for", 0, "begin runs for so long")
	flag.Parse()
	o.stores = strings.Split(stores, ",")
	for _, store := range o.stores {
		if o.servers > 1 && !shared(store) {
			fmt.Fprintf(os.Stderr, "consistency: `%s` is one server's alone\n", store)
			os.Exit(2)
		}
	}
	if !repeat(o, seed, runs, atLeast) {
		os.Exit(1)
	}
}

// repeat is false when a run has failed; it then stops.
func repeat(o *options, seed int64, runs int, atLeast time.Duration) bool {
	begin, sum := time.Now(), &totals{}
	for n := 0; n < runs || time.Since(begin) < atLeast; n++ {
		store := o.stores[n%len(o.stores)]
		fmt.Printf("seed %d on %s, %d server(s)\n", seed, store, o.servers)
		counts, violations, err := world(o, store, seed)
		if err != nil {
			fmt.Printf("FAILED: %v\nrepeat it with -seed %d -store %s -runs 1\n", err, seed, store)
			return false
		}
		fmt.Println("  " + counts.String())
		sum.add(counts)
		if len(violations) > 0 {
			for _, violation := range violations {
				fmt.Println("  VIOLATION " + violation)
			}
			fmt.Printf("FAILED: the same choices again with -seed %d -store %s -runs 1\n", seed, store)
			return false
		}
		seed++
	}
	fmt.Printf("%d runs in %.1f minutes, all consistent: %s\n", sum.runs,
		time.Since(begin).Minutes(), sum)
	return true
}
