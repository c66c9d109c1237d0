package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"demarc/store/storetest"
)

// A node is killed and never comes back: another one ends its call in history, once, says why on each leg, and sends BYE to the phone that has
// come to it. A third node, which only
// stood still, is taken for lost too; when it goes on, the end that it writes comes too late, and it says so.
func TestCallsOfANodeThatNeverReturnsEnd(t *testing.T) {
	t.Parallel()
	shipped, database := program(t), storetest.PostgreSQLURL(t)
	a := newNode(t, shipped, "node-a", database, nil)
	a.configure("telephony:", "telephony:\n  calls: {lost_after: 30s}")
	a.start()
	b, c := newNode(t, shipped, "node-b", database, a), newNode(t, shipped, "node-c", database, a)
	b.start()
	c.start()
	b.talks("1001", "1002")
	a.awaitCalls(1, "talking", "")
	c.talks("1002", "1001")
	a.awaitCalls(2, "talking", "")
	b.end(syscall.SIGKILL)
	back := newWatcher(t, "tcp", a.tcp, "1002", "there-1002") // a phone of the call at node-b
	back.register()
	pause := func(by syscall.Signal) {
		if err := c.cmd.Process.Signal(by); err != nil {
			t.Fatal(err)
		}
	}
	pause(syscall.SIGSTOP)
	defer pause(syscall.SIGCONT)

	a.awaitCalls(2, "ended", `node lost: the server node-[bc], which had the call, has not come back`)
	back.expects("BYE")
	pause(syscall.SIGCONT)
	eventually(t, "node-c says that it was taken for lost", func() (bool, any) {
		return strings.Contains(c.said.String(), "has taken this one for lost"), c.said
	})
	b.start() // after all
	a.awaitCalls(2, "ended", `node lost: the server node-[bc], which had the call, has not come back`)
}

// The only node of an installation is killed in the middle of a call, and comes back with another name.
func TestCallsOfARenamedNodeEnd(t *testing.T) {
	t.Parallel()
	n := newNode(t, program(t), "before", "sqlite:"+filepath.Join(t.TempDir(), "demarc.db"), nil)
	n.configure(`  internal_listen: "127.0.0.1:0"`, "")
	n.start()
	n.talks("1001", "1002")
	n.awaitCalls(1, "talking", "")
	n.end(syscall.SIGKILL)
	n.configure("node: before", "node: after")
	n.start()
	n.awaitCalls(1, "ended", "node lost")
}

// configure replaces something in the node's configuration.
func (n *node) configure(was, is string) {
	n.t.Helper()
	path := filepath.Join(n.dir, "demarc.yaml")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), was) {
		n.t.Fatalf("%q is not in %s: %v", was, text, err)
	}
	write(n.t, n.dir, "demarc.yaml", strings.Replace(string(text), was, is, 1))
}

// talks lets a user call another one at the node, and stay in the call.
func (n *node) talks(caller, called string) {
	n.t.Helper()
	there := newWatcher(n.t, "tcp", n.tcp, called, "there-"+called)
	there.picksUp.Store(true)
	there.register()
	here := newWatcher(n.t, "tcp", n.tcp, caller, "here-"+caller)
	here.register()
	if status := here.call(called); status != 200 {
		n.t.Fatalf("the call got %d", status)
	}
}

// awaitCalls waits until history has so many calls, each in a state; and it and both of its legs that lasted say why.
func (n *node) awaitCalls(calls int, state, why string) {
	n.t.Helper()
	pattern := regexp.MustCompile(why)
	var said string
	for began := time.Now(); time.Since(began) < 6*patience; time.Sleep(200 * time.Millisecond) {
		out, _ := n.command("calls", "--json").CombinedOutput() // its exit code stands in what it says
		said = string(out)
		var told struct {
			Calls []struct {
				State string
				Cause struct{ Text string }
				Legs  []struct{ Cause struct{ Text string } }
			}
		}
		if json.Unmarshal(out, &told) != nil || len(told.Calls) != calls {
			continue
		}
		as := 0
		for _, c := range told.Calls {
			legs := 0
			for _, l := range c.Legs {
				if pattern.MatchString(l.Cause.Text) {
					legs++
				}
			}
			if c.State == state && pattern.MatchString(c.Cause.Text) && legs >= 2 {
				as++
			}
		}
		if as == calls {
			return
		}
	}
	n.t.Fatalf("not all of %d calls are %s because of %q:\n%s", calls, state, why, said)
}
