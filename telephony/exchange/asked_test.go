package exchange_test

import (
	"testing"

	"demarc/telephony/signal"
)

func (p *phone) asked(method string) (all []*signal.Outgoing) {
	p.site.mu.Lock()
	defer p.site.mu.Unlock()
	for _, o := range p.requests {
		if o.Method == method {
			all = append(all, o)
		}
	}
	return all
}

// A phone that answers nothing is not asked without end what another one says: each request waits for its answer in the node's memory, which is that of
// all calls.
func TestNobodyIsAskedWithoutEnd(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	caller, callee := s.talk(a, b)
	press := func(times int) {
		t.Helper()
		for range times {
			caller.seq++
			r := caller.request(a.tx(), "INFO", []byte("Signal=1"), nil)
			r.ContentType = "application/dtmf-relay"
			if !s.x.Take(r) {
				t.Error("a request was not taken")
			}
			a.reply(200)
		}
	}
	press(500)
	pressed := b.asked("INFO")
	if n := len(pressed); n < 16 || n > 128 {
		t.Fatalf("%d are under way", n)
	}
	for _, o := range pressed {
		callee.respondTo(o, 200, nil)
	}
	press(8)
	s.untilFree("digits again", func() bool { return len(b.asked("INFO")) == len(pressed)+8 })
	caller.hangUp()
	callee.bye()
	s.ended()
}
