package callswitch_test

import (
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/signal"
)

// Who does not want to be known by who is called is not told to him, in whatever way.
func TestAnonymousCallers(t *testing.T) {
	for asks, hidden := range map[string]bool{"": false, "none": false, "header": false, "session": false, "user": true, "id": true,
		"header;user;critical": true, "Session; ID": true} {
		w := newWorld(t.Fatalf)
		w.change = func(r *signal.Request) {
			r.From = `"Alice Liddell" <sip:1001@acme.example>;tag=` + r.FromTag
			if asks != "" {
				r.Headers = append(r.Headers, telephony.Header{Name: "Privacy", Value: asks})
			}
		}
		tx := w.invite(true)
		out, k := w.sentTo(2, "INVITE")
		names := func(out signal.Outgoing) bool {
			for _, h := range out.Headers {
				if strings.Contains(h.Value, "1001") || strings.Contains(h.Value, "Alice") {
					return true
				}
			}
			return false
		}
		if got := value(k.out.Headers, "From"); names(k.out) == hidden || strings.Contains(got, `"Anonymous" <sip:anonymous@anonymous.invalid>;tag=`) != hidden {
			t.Errorf("Privacy %q: From is %s, and of it all %v", asks, got, k.out.Headers)
		}
		w.respond(out, 200, nil)
		w.ack(tx, false)
		w.inDialog(w.fars[1], "REFER", func(r *signal.Request) {
			r.Headers = []telephony.Header{{Name: "Refer-To", Value: "<sip:1003@acme.example>"}}
		})
		_, k = w.sentTo(3, "INVITE")
		if names(k.out) == hidden {
			t.Errorf("Privacy %q: when he transfers: %v", asks, k.out.Headers)
		}
		if got := w.call.Asked.Caller; got != alice {
			t.Errorf("history says that %v called", got)
		}
		w.settle(1)
		w.finish()
	}
}
