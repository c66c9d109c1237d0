package edge_test

import (
	"strings"
	"testing"
)

// Whatever we say that we support in a call may be required of us there: phones that join a call, or transfer without reports, do.
func TestWhatCallsSupportMayBeRequired(t *testing.T) {
	r, s := startCalls(t, answering)
	p := r.party("tcp")
	for i, option := range []string{"100rel", "replaces", "timer", "join", "norefersub", "path", "outbound"} {
		d := &dialogue{via: "TCP", callID: "required-" + option, cseq: 1}
		p.say(d.request("INVITE", "i", "Require: "+option))
		if got := status(p.answer()); got != "180" {
			t.Errorf("an INVITE that requires %s gets %s", option, got)
			continue
		}
		p.heard("200")
		d.toTag, d.cseq = "to", 2
		p.say(d.request("REFER", "r", "Refer-To: <sip:1003@example.com>", "Require: "+option))
		if got := status(p.heard("200")); got != "200" || strings.Count(s.names(), "REFER") != i+1 {
			t.Errorf("a REFER that requires %s gets %s; told: %s", option, got, s.names())
		}
		p.say(message("OPTIONS", "TCP", "1002"))
		if got := p.heard("200"); !strings.Contains(got, option) {
			t.Errorf("OPTIONS does not tell of %s:\n%s", option, got)
		}
	}
	d := &dialogue{via: "TCP", callID: "unknown", cseq: 1}
	p.say(d.request("INVITE", "u", "Require: join, nonesuch"))
	if got := p.heard("420"); !strings.Contains(got, "Unsupported: nonesuch\r\n") {
		t.Error(got)
	}
}
