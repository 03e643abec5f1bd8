package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"zandaka/consistency/messages/zandakav1"
)

// checkMax is how long the search of one partition may take: longer is a failure, since then
// nothing was proved. Partitions are cut so that one takes milliseconds.
const checkMax = 30 * time.Second

// partition is what is checked for itself: an account or an id.
type partition struct {
	name       string
	model      porcupine.Model
	operations []porcupine.Operation
}

func (p *partition) add(o *operation) {
	p.operations = append(p.operations, porcupine.Operation{ClientId: o.client, Input: o,
		Call: o.call, Return: o.returned})
}

// partitions cuts a history by account and by id. `home` is the account that an id was made for.
func partitions(operations []*operation, t *truth, home map[string]string) []*partition {
	fresh := map[string]bool{}
	for _, each := range operations {
		if each.request.verb <= verbCancel && each.answer.status == statusOK &&
			!each.answer.replayed {
			fresh[each.request.id] = true
		}
	}
	// Where an id is looked at: with the account that it moved, or was meant to move.
	subject := func(id string) string {
		if content := t.contents[id]; content != nil {
			return content.account
		}
		return home[id]
	}
	accounts, ids := map[string]*partition{}, map[string]*partition{}
	for name, account := range t.accounts {
		model := &accountModel{truth: account, recorded: t.contents, fences: map[string]int{}}
		for id, record := range t.records {
			if record.transaction.State == zandakav1.State_STATE_CANCELLED && subject(id) == name {
				model.fences[id] = len(model.fences)
			}
		}
		accounts[name] = &partition{name: "account " + name, model: model.model()}
	}
	for _, each := range operations {
		if !decides(each, t, fresh) {
			continue
		}
		id := each.request.id
		account := each.request.account
		if id != "" {
			if ids[id] == nil {
				ids[id] = &partition{name: "id " + id, model: idModel(t.contents[id])}
			}
			ids[id].add(each)
			// A refusal for the balance is about the balance that it names; all others about the id.
			if reason := each.answer.reason; each.answer.status != statusRefused ||
				reason != "INSUFFICIENT_BALANCE" && reason != "BALANCE_LIMIT_EXCEEDED" {
				account = subject(id)
			}
		}
		accounts[account].add(each)
	}
	var all []*partition
	for _, each := range accounts {
		all = append(all, each)
	}
	for _, each := range ids {
		all = append(all, each)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// decides is whether an operation says anything about the order. An unknown write of which nothing
// is recorded in the end, or whose success another attempt was told, has no effect of its own: all
// ids are settled when the truth is read.
func decides(o *operation, t *truth, fresh map[string]bool) bool {
	switch o.answer.status {
	case statusRefused: // these were not attempted at all
		return o.answer.reason != "OVERLOADED" && o.answer.reason != "SHUTTING_DOWN" &&
			o.answer.reason != "STORE_UNAVAILABLE"
	case statusUnknown:
		record, content := t.records[o.request.id], t.contents[o.request.id]
		if o.request.verb > verbCancel || record == nil || fresh[o.request.id] {
			return false
		}
		if o.request.verb == verbCancel {
			return content == nil
		}
		return content != nil && content.sameContent(&o.request)
	}
	return true
}

// check searches a linearization of every partition, and gives a story for those that have none.
func check(all []*partition, directory string) []string {
	results := make([]porcupine.CheckResult, len(all))
	var workers sync.WaitGroup
	work := make(chan int)
	for i := 0; i < runtime.NumCPU(); i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for n := range work {
				results[n] = porcupine.CheckOperationsTimeout(all[n].model, all[n].operations,
					checkMax)
			}
		}()
	}
	for n := range all {
		work <- n
	}
	close(work)
	workers.Wait()
	const most = 3
	var stories []string
	bad := 0
	for n, result := range results {
		if result == porcupine.Ok {
			continue
		}
		if bad++; bad <= most {
			stories = append(stories, all[n].story(result, directory))
		}
	}
	if bad > most {
		stories = append(stories, fmt.Sprintf("and %d more accounts and ids", bad-most))
	}
	return stories
}

// storyMax is how many operations of a story are printed; the file has all of them.
const storyMax = 16

// story tells where the search got stuck, and leaves the whole history of the partition in a file.
func (p *partition) story(result porcupine.CheckResult, directory string) string {
	var story strings.Builder
	if result == porcupine.Unknown {
		fmt.Fprintf(&story, "%s: THE SEARCH OF %d OPERATIONS TOOK LONGER THAN %v: nothing is proved\n",
			p.name, len(p.operations), checkMax)
	} else {
		fmt.Fprintf(&story, "%s: no order of these %d operations explains the answers\n", p.name,
			len(p.operations))
	}
	_, information := porcupine.CheckOperationsVerbose(p.model, p.operations, checkMax)
	var longest []porcupine.Operation
	for _, each := range information.PartialLinearizationsOperations() {
		for _, prefix := range each {
			if len(prefix) > len(longest) {
				longest = prefix
			}
		}
	}
	state, done := p.model.Init(), map[*operation]bool{}
	for i, each := range longest {
		_, state = p.model.Step(state, each.Input, nil)
		done[each.Input.(*operation)] = true
		if i >= len(longest)-storyMax/2 {
			fmt.Fprintf(&story, "   %s\n", each.Input)
		}
	}
	fmt.Fprintf(&story, "   = %s; then none of these can follow:\n", p.model.DescribeState(state))
	n := 0
	for _, each := range p.operations {
		if o := each.Input.(*operation); !done[o] && n < storyMax/2 {
			fmt.Fprintf(&story, "   %s\n", o)
			n++
		}
	}
	p.keep(&story, information, directory)
	return story.String()
}

func (p *partition) keep(story *strings.Builder, information porcupine.LinearizationInfo,
	directory string) {
	base := filepath.Join(directory, strings.ReplaceAll(p.name, " ", "-"))
	var text strings.Builder
	for _, each := range p.operations {
		fmt.Fprintln(&text, each.Input)
	}
	err := os.MkdirAll(directory, 0o755)
	if err == nil {
		err = os.WriteFile(base+".txt", []byte(text.String()), 0o644)
	}
	if err == nil {
		err = porcupine.VisualizePath(p.model, information, base+".html")
	}
	if err != nil {
		fmt.Fprintf(story, "   (cannot keep the history: %v)\n", err)
		return
	}
	fmt.Fprintf(story, "   all of it: %s.txt, and drawn: %s.html\n", base, base)
}
