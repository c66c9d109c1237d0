package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
	"demarc/telephony/trace"
)

// keeper is a store that keeps what it is told.
type keeper struct {
	ownPassword
	mu      sync.Mutex
	batches []string
}

func (k *keeper) Save(_ context.Context, b registrar.Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches = append(k.batches, fmt.Sprintf("%+v", b))
	return nil
}

// Most texts of a REGISTER are the receive buffer's own memory while it is served. Here that is overwritten after each message, and
// nothing that is kept changes with it: bindings, what the store is told, the trace, and who is known.
func TestNothingBorrowedIsKept(t *testing.T) {
	for _, volatile := range []bool{true, false} {
		k := &keeper{ownPassword: ownPassword{"example.com"}}
		r := registrar.New(registrar.Config{Node: "n", Directory: k, Bindings: k, Volatile: volatile})
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		traced := trace.NewRecorder(8 << 20)
		e, err := edge.New(edge.Config{Trace: traced, Limits: edge.Limits{UDPReplies: 1 << 20},
			Listeners: []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"}}})
		if err != nil {
			t.Fatal(err)
		}
		feed := edge.Feed(e, r)
		buffer := make([]byte, 4096)
		send := func(message []byte) string {
			n := copy(buffer, message)
			answer := string(feed([][]byte{buffer[:n]}, netip.MustParseAddrPort("192.0.2.1:5060"))[0])
			for i := range buffer {
				buffer[i] = '#'
			}
			return answer
		}
		const rounds = 4
		for n := range 20 {
			p := newBenchPhone(fmt.Sprint(1000 + n))
			if n%2 == 0 {
				p.parameters = fmt.Sprintf(`;+sip.instance="<urn:x:%d>";reg-id=1`, n)
			}
			for round := range rounds { // at first the directory is asked, then memory knows; the last two say the same
				p.more = fmt.Sprintf("Supported: outbound, path\r\nUser-Agent: phone %d, version %d\r\n", n, min(round, rounds-2))
				p.learn([]byte(send(p.request(""))))
				if answer := send(p.signed()); status(answer) != "200" || !strings.Contains(answer, "sip:"+p.user+"@") {
					t.Fatalf("volatile %t: %s", volatile, answer)
				}
			}
			p.ha1 = strings.Repeat("0", 32)
			p.learn([]byte(send(p.request(""))))
			if answer := send(p.signed()); status(answer) != "401" {
				t.Fatal(answer)
			}
		}
		checkKept(t, r, traced)
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		k.mu.Lock()
		told := strings.Join(k.batches, "\n")
		k.mu.Unlock()
		if strings.Contains(told, "#") || strings.Count(told, "refused") < 20 {
			t.Errorf("volatile %t: the store was told %s", volatile, told)
		}
	}
}

func checkKept(t *testing.T, r *registrar.Registrar, traced *trace.Recorder) {
	t.Helper()
	bindings := 0
	r.Each(func(b registration.Binding) {
		bindings++
		if text := fmt.Sprintf("%+v", b); strings.Contains(text, "#") || b.Contact != "sip:"+b.AoR.User+"@192.0.2.1:5060" {
			t.Errorf("kept as %s", text)
		}
	})
	if bindings != 20 {
		t.Errorf("%d bindings", bindings)
	}
	for n := range 20 {
		entries := traced.Of(telephony.NewAoR(fmt.Sprint(1000+n), "example.com"), 0)
		if len(entries) != 20 {
			t.Errorf("%d messages of phone %d", len(entries), n)
		}
		for _, entry := range entries {
			if bytes.Contains(entry.Text, []byte("#")) || strings.Contains(entry.CallID, "#") {
				t.Errorf("traced %s", entry.Text)
			}
		}
	}
}
