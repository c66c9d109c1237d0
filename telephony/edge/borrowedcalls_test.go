package edge_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/trace"
)

// keeps is an exchange that lets calls through and keeps what it was told, by call.
type keeps struct {
	through
	call int
	told [][]signal.Event
}

func (k *keeps) Take(ev signal.Event) bool {
	for len(k.told) <= k.call {
		k.told = append(k.told, nil)
	}
	k.told[k.call] = append(k.told[k.call], ev)
	return k.through.Take(ev)
}

// named finds what the texts of the test's calls have in them, which says whose they are.
var named = regexp.MustCompile(`of([0-9]+)call`)

// foreign returns a text of another call than n, or of what has overwritten the receive buffer.
func foreign(text string, n int) string {
	if i := strings.IndexByte(text, '#'); i >= 0 {
		return text[max(0, i-20):min(len(text), i+20)]
	}
	for _, found := range named.FindAllStringSubmatch(text, -1) {
		if found[1] != fmt.Sprint(n) {
			return found[0]
		}
	}
	return ""
}

// Transactions, buffers and flows are used again, and the receive buffer is for every message. Nothing of one call shows in another:
// in what the exchange was told, even much later, in what left, or in the trace.
func TestNothingOfACallShowsInAnother(t *testing.T) {
	traced := trace.NewRecorder(8 << 20)
	e, callee := fed(t, traced, sip.Timers{T4: time.Millisecond})
	k := &keeps{through: through{signalling: e.Signalling(), callee: callee}}
	p := &phones{callee: calleeAt, buffer: make([]byte, 0, 4096)}
	feed := edge.FeedCalls(e, k, func(b []byte, to netip.AddrPort) {
		if bad := foreign(string(b), k.call); bad != "" {
			t.Errorf("call %d sent %q of another one in\n%s", k.call, bad, b)
		}
		p.got(b, to)
	})
	buffer := make([]byte, 4096)
	hand := func(message []byte, from netip.AddrPort) {
		text := bytes.ReplaceAll(message, []byte("a phone 1.0"), fmt.Appendf(nil, "a phone of%dcall", k.call))
		text = bytes.ReplaceAll(text, []byte("sip:1001@"), fmt.Appendf(nil, "sip:1001of%dcall@", k.call))
		text = bytes.ReplaceAll(text, []byte("Supported"), fmt.Appendf(nil, "X-Of%dCall: x\r\nX-Other: of%dcall\r\nSupported", k.call, k.call))
		feed([][]byte{buffer[:copy(buffer, text)]}, from)
		for i := range buffer {
			buffer[i] = '#'
		}
	}
	const calls = 300
	for n := range calls {
		if n%20 == 0 {
			time.Sleep(20 * time.Millisecond) // for transactions to end, and to be used again
		}
		k.call = n
		k.callee.AoR = telephony.NewAoR(fmt.Sprintf("1002of%dcall", n), "example.com")
		sdp := strings.Replace(benchSDP, "s=-", fmt.Sprintf("s=of%dcall", n), 1)
		hand(p.request("INVITE", n, "", sdp), callerAt)
		hand(p.answer("180 Ringing", ""), calleeAt)
		hand(p.answer(fmt.Sprintf("200 Yes of%dcall", n), sdp), calleeAt)
		hand(p.request("ACK", n, ";tag=ours", ""), callerAt)
		hand(p.request("BYE", n, ";tag=ours", ""), callerAt)
		hand(p.answer("200 OK", ""), calleeAt)
	}
	if k.ended != calls {
		t.Fatalf("%d calls of %d ended", k.ended, calls)
	}
	for n, all := range k.told {
		if len(all) != 6 {
			t.Errorf("%d events of call %d", len(all), n)
		}
		text := ""
		for _, ev := range all {
			text += fmt.Sprintf("%+v", ev)
			if r, ok := ev.(*signal.Request); ok {
				text += string(r.Body)
			}
			if r, ok := ev.(*signal.Response); ok {
				text += string(r.Body)
			}
		}
		if bad := foreign(text, n); bad != "" || len(named.FindAllString(text, -1)) < 10 {
			t.Errorf("call %d was told %q of another one in\n%s", n, bad, text)
		}
		for _, user := range []string{"1001", "1002"} {
			entries := traced.Of(telephony.NewAoR(fmt.Sprintf("%sof%dcall", user, n), "example.com"), 0)
			for _, entry := range entries {
				if bad := foreign(string(entry.Text), n); bad != "" {
					t.Errorf("call %d is traced with %q of another one", n, bad)
				}
			}
			if user == "1001" && len(entries) == 0 {
				t.Errorf("nothing is traced of call %d", n)
			}
		}
	}
}
