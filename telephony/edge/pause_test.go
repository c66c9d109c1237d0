package edge_test

import (
	"testing"
	"time"

	"demarc/telephony/authentication"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
)

// However soon it is known that an answer to a challenge is wrong, it is refused no sooner than when finding that out would be
// over for anybody: REGISTER and INVITE alike. That the sender was wrong counts at once.
func TestWrongAnswersAreRefusedAtOneTime(t *testing.T) {
	const least = 20 * time.Millisecond
	s := newStub(func(*edge.Signalling, signal.Event) {})
	s.decide = func(_ *registration.Request, reply func(registration.Reply)) {
		reply(registration.Reply{Status: 401, Sender: registration.Wrong, Challenges: []string{"Digest realm=\"x\""}})
	}
	asked := make(chan struct{}, 1)
	s.verdict = func(authentication.Credentials) (authentication.Verdict, bool) {
		select {
		case asked <- struct{}{}:
			return authentication.Verdict{}, false // memory does not know
		default:
		}
		return authentication.Verdict{Reply: registration.Reply{Status: 401, Sender: registration.Wrong, Challenges: []string{"Digest realm=\"x\""}}}, true
	}
	r := start(t, s, edge.Limits{})
	s.run(t, r)
	for method, want := range map[string]string{"REGISTER": "401", "INVITE": "407"} {
		for _, transport := range []string{"udp", "tls"} {
			nc := r.dial(transport)
			for len(asked) > 0 {
				<-asked
			}
			began := time.Now()
			if _, err := nc.Write([]byte(message(method, transport, method+transport, "Contact: <sip:1@192.0.2.1>"))); err != nil {
				t.Fatal(err)
			}
			got := "100"
			for got == "100" {
				got = status(answers(t, nc, 1)[0])
			}
			if took := time.Since(began); got != want || took < least {
				t.Errorf("%s over %s: %s after %v, want %s after %v", method, transport, got, took, want, least)
			}
		}
	}
}
