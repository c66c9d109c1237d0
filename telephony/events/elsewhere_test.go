package events_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/events"
)

// elsewhere notes what it is told.
type elsewhere struct {
	mu   sync.Mutex
	told []string
}

func (e *elsewhere) Watch(acc account.ID, aor telephony.AoR) {
	e.note(fmt.Sprint("+", acc, " ", aor.User))
}
func (e *elsewhere) Unwatch(aor telephony.AoR) { e.note("-" + aor.User) }

func (e *elsewhere) note(s string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = append(e.told, s)
}

func (e *elsewhere) is(want string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.told, ", ") == want
}

// Whose dialogs are watched is told with the first watcher and the last one, whatever ends a subscription.
func TestWatchedDialogsAreToldElsewhere(t *testing.T) {
	e := &elsewhere{}
	s, w := start(t, func(c *events.Config) { c.Elsewhere = e })
	call := func(id string, flow uint64) func(*events.Request) {
		return func(r *events.Request) { r.CallID, r.Flow.ID = id, flow }
	}
	for _, r := range []*events.Request{subscribe("reg", alice, call("a", 1)), subscribe("dialog", bob, call("b", 1)),
		subscribe("dialog", bob, call("c", 2)), subscribe("dialog", alice, call("d", 2))} {
		if reply := ask(t, s, r); reply.Status != 200 {
			t.Fatalf("%+v", reply)
		}
	}
	eventually(t, "all are notified", func() bool { return len(w.sent()) == 4 })
	ask(t, s, subscribe("dialog", bob, call("b", 1), within("ours", 2, 0)))
	if want := "+acc_1 1002, +acc_1 1001"; !e.is(want) {
		t.Errorf("told %v, want %s", e.told, want)
	}
	s.FlowClosed(telephony.Flow{ID: 2, Listener: "tls", Transport: telephony.TLS})
	if !e.is("+acc_1 1002, +acc_1 1001, -1002, -1001") && !e.is("+acc_1 1002, +acc_1 1001, -1001, -1002") {
		t.Errorf("told %v", e.told)
	}
	ask(t, s, subscribe("dialog", bob, call("e", 3)))
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if last := e.told[len(e.told)-2:]; strings.Join(last, ", ") != "+acc_1 1002, -1002" {
		t.Errorf("told %v", e.told)
	}
}
