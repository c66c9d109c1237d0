package e2e_test

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"demarc/store/storetest"
)

// A node is killed and stays away. Within its lease and a moment the other one says that the phones which were connected to it are
// not reachable, or asleep, and why; who calls one of them then is told so at once. A phone over UDP stays.
func TestAKilledNodesConnectionsEndWithItsLease(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	desk := newWatcher(t, "tcp", b.tcp, "1001", "desk")
	desk.register()
	far := newWatcher(t, "udp", b.udp, "1002", "far")
	far.register()
	caller := newWatcher(t, "tcp", a.tcp, "1002", "caller")
	caller.register()
	a.awaitReach("1001", "at node node-b answered 200")

	b.end(syscall.SIGKILL)
	if got := a.reach("1001"); !strings.Contains(got, "at node node-b did not answer") {
		t.Errorf("while nobody knows: %s", got)
	}
	a.awaitLeaseEnd("1001")
	if !strings.Contains(a.said.String(), "a node is silent") {
		t.Error("the log of node-a does not name it")
	}
	if status := caller.call("1001"); status != 480 {
		t.Errorf("a call to the phone got %d", status)
	}
	if got := a.reach("1002"); !strings.Contains(got, far.contact()+" at node node-b did not answer") {
		t.Errorf("a phone over UDP: %s", got)
	}

	// It comes back: what the other one has told is not told again, and the phone registers as before.
	b.start()
	again := newWatcher(t, "tcp", b.tcp, "1001", "desk")
	again.register()
	a.awaitReach("1001", "at node node-b answered 200")
}

// A node stands still for longer than its lease, and its phone's connection outlives that: it is told as gone, and as registered again
// when the node goes on.
func TestANodeThatStoodStillHasItsPhonesAgain(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	desk := newWatcher(t, "tcp", b.tcp, "1001", "desk")
	desk.register()
	a.awaitReach("1001", "at node node-b answered 200")
	pause := func(by syscall.Signal) {
		if err := b.cmd.Process.Signal(by); err != nil {
			t.Fatal(err)
		}
	}
	pause(syscall.SIGSTOP)
	defer pause(syscall.SIGCONT)
	a.awaitLeaseEnd("1001")
	pause(syscall.SIGCONT)
	a.awaitReach("1001", "at node node-b answered 200")
	if caller := newWatcher(t, "tcp", a.tcp, "1002", "caller"); caller.call("1001") != 486 {
		t.Error("a call does not reach the phone")
	}
}

// talksFar lets 1002 at a node call 1001 at another one, and returns the phone that has picked up.
func talksFar(t *testing.T, a, b *node) (far *watcher) {
	t.Helper()
	far = newWatcher(t, "tcp", b.tcp, "1001", "far")
	far.picksUp.Store(true)
	far.register()
	a.awaitReach("1001", "at node node-b answered 200")
	if status := newWatcher(t, "tcp", a.tcp, "1002", "caller").call("1001"); status != 200 {
		t.Fatalf("the call got %d", status)
	}
	return far
}

// A node is stopped while it has a call with a phone of another node: the phone is told that the call ends.
func TestAStoppedNodeHangsUpPhonesOfAnother(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	far := talksFar(t, a, b)
	a.end(syscall.SIGTERM)
	far.expects("BYE")
}

// A phone changes its connection while it is in a call that another node has. The end of the call comes over the new one.
func TestACallAtAnotherNodeFollowsThePhone(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	far := talksFar(t, a, b)
	moved := newWatcher(t, "tcp", b.tcp, "1001", "far")
	moved.register()
	if err := far.conn.Close(); err != nil {
		t.Fatal(err)
	}
	a.awaitReach("1001", moved.contact()+" at node node-b answered 200")
	a.end(syscall.SIGTERM)
	moved.expects("BYE")
}

// A node is killed while it has a call with a phone of another node, and starts again: it tells that phone that the call is over.
func TestAKilledNodeHangsUpPhonesOfAnotherWhenItIsBack(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	phones := []*watcher{newWatcher(t, "tcp", a.tcp, "1001", "far"), newWatcher(t, "udp", a.udp, "1002", "far")}
	for i, far := range phones {
		far.picksUp.Store(true)
		far.register()
		b.awaitReach(far.user, "at node node-a answered 200")
		if status := newWatcher(t, "tcp", b.tcp, phones[1-i].user, "caller").call(far.user); status != 200 {
			t.Fatalf("the call got %d", status)
		}
	}
	eventually(t, "the calls are in history", func() (bool, any) {
		out, err := a.command("calls", "--live").CombinedOutput()
		return err == nil && strings.Count(string(out), " talking ") == 2, string(out)
	})
	b.end(syscall.SIGKILL)
	b.start()
	for _, far := range phones {
		far.expects("BYE")
	}
}

// A second process with the name of a node that is there does not start, says what to do, and leaves the first one its phones.
func TestANodeHasItsNameAlone(t *testing.T) {
	t.Parallel()
	shipped, database := program(t), storetest.PostgreSQLURL(t)
	a := newNode(t, shipped, "node-a", database, nil)
	a.start()
	desk := newWatcher(t, "tcp", a.tcp, "1001", "desk")
	desk.register()
	twin := newNode(t, shipped, "node-a", database, a)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	second := exec.CommandContext(ctx, twin.program, twin.command("serve").Args[1:]...)
	said, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "telephony.node") || !strings.Contains(string(said), "node-a") {
		t.Errorf("%v: %s", err, said)
	}
	a.awaitReach("1001", "at node node-a answered 200")
	a.end(syscall.SIGKILL)
	began := time.Now()
	a.start() // at once, with its own name
	t.Logf("after a crash it starts within %v", time.Since(began).Round(100*time.Millisecond))
	newWatcher(t, "tcp", a.tcp, "1001", "desk").register()
	a.awaitReach("1001", "at node node-a answered 200")
}

// awaitLeaseEnd waits until the node says that no phone of a user is connected, because the lease of another node is over.
func (n *node) awaitLeaseEnd(user string) {
	n.t.Helper()
	began, said := time.Now(), ""
	for time.Since(began) < 3*patience {
		if said = n.reach(user); strings.Contains(said, "no phone of "+user+" is connected") {
			n.t.Logf("the node says so after %v", time.Since(began).Round(100*time.Millisecond))
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	n.t.Fatalf("after %v: %s", time.Since(began).Round(time.Second), said)
}
