package e2e_test

import (
	"syscall"
	"testing"
	"time"

	"demarc/telephony/sip"
)

// A desk phone at one node watches a user whose call lives at another one. The lamp goes on, goes out when that node is killed, and shines
// for a call that was there before anybody watched.
func TestLampOfACallAtAnotherNode(t *testing.T) {
	t.Parallel()
	a, b := twoNodes(t)
	watch := func(name string) *watcher {
		w := newWatcher(t, "tcp", b.tcp, "1001", name)
		w.request("SUBSCRIBE", sip.Header{Name: "Event", Value: "dialog"}, sip.Header{Name: "Expires", Value: "300"},
			sip.Header{Name: "Contact", Value: "<" + w.contact() + ">"})
		return w
	}
	desk := watch("desk")
	desk.expects("NOTIFY", "></dialog-info>")
	phone := newWatcher(t, "tcp", a.tcp, "1001", "phone")
	phone.picksUp.Store(true)
	phone.register()
	if status := newWatcher(t, "tcp", a.tcp, "1002", "caller").call("1001"); status != 200 {
		t.Fatalf("the call got %d", status)
	}
	desk.expects("NOTIFY", "<state>confirmed</state>", "<identity>sip:1002@"+domain+"</identity>")
	late := watch("late")
	late.expects("NOTIFY", "<state>confirmed</state>")
	a.end(syscall.SIGKILL)
	const lease = 20 * time.Second
	desk.expectsWithin(lease+patience, "NOTIFY", "></dialog-info>")
	late.expects("NOTIFY", "></dialog-info>")
}
