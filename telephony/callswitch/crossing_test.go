package callswitch_test

import (
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/signal"
)

// What a caller has cross must leave room for the rest of the INVITE: a phone that is sent more than it takes ends its connection.
func TestNobodyIsSentMoreThanAPhoneTakes(t *testing.T) {
	subject := telephony.Header{Name: "Subject", Value: "lunch"}
	for name, lines := range map[string][]telephony.Header{
		"one long line":   {{Name: "User-to-User", Value: strings.Repeat("a", 7000)}, subject},
		"many short ones": append([]telephony.Header{subject}, many(telephony.Header{Name: "Priority", Value: "urgent"}, 120)...),
	} {
		w := newWorld(t.Fatalf)
		w.change = func(r *signal.Request) { r.Headers = append(r.Headers, lines...) }
		w.invite(true)
		_, k := w.sentTo(2, "INVITE")
		size, subjects := 0, 0
		for _, h := range k.out.Headers {
			size += len(h.Name) + len(h.Value) + 4
			if h == subject {
				subjects++
			}
		}
		if size > 4<<10 || len(k.out.Headers) > 40 {
			t.Errorf("%s: %d headers with %d bytes go on", name, len(k.out.Headers), size)
		}
		if subjects != 1 {
			t.Errorf("%s: what is short does not cross", name)
		}
		w.finish()
	}
}

func many(h telephony.Header, n int) (all []telephony.Header) {
	for range n {
		all = append(all, h)
	}
	return all
}
