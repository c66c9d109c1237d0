package exchange_test

import (
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

func TestCallIsMadeAndEndedByEitherSide(t *testing.T) {
	for _, who := range []telephony.Who{telephony.Caller, telephony.Callee} {
		t.Run(string(who), func(t *testing.T) {
			s := newSite(t)
			a, b := s.phone(alice), s.phone(bob)
			caller, callee := s.talk(a, b)
			if who == telephony.Caller {
				caller.hangUp()
				callee.bye()
			} else {
				callee.hangUp()
				caller.bye()
			}
			r := s.ended()
			if r.Cause.Who != who || r.Cause.Code != 200 || r.AnsweredAt.IsZero() || r.Caller != alice || len(r.Legs) != 2 {
				t.Errorf("record %+v", r)
			}
			for _, l := range r.Legs {
				if l.Cause.Code != 200 || l.EndedAt.IsZero() || l.Media.Received != 42 {
					t.Errorf("leg %+v", l)
				}
			}
			s.until("all media closed", func() bool { return len(s.open) == 0 })
		})
	}
}

func TestSessionsLastAsConfigured(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Session = 2 * time.Minute })
	a, b := s.phone(alice), s.phone(bob)
	caller := a.raw(func(r *signal.Request) {
		r.Headers = append(r.Headers, telephony.Header{Name: "Supported", Value: "timer"})
	})
	callee := b.rung()
	if got := header(callee.incoming.Headers, "Session-Expires"); got != "120" {
		t.Errorf("the callee is asked for %q seconds", got)
	}
	callee.pickUp()
	if got := header(caller.answered().Headers, "Session-Expires"); got != "120;refresher=uas" {
		t.Errorf("the caller is told %q", got)
	}
	caller.hangUp()
	callee.bye()
	s.ended()
}

func TestBothLegsAgreeOnOneCodec(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice, "opus", "G722", "PCMA"), s.phone(bob, "PCMA")
	caller, callee := s.talk(a, b)
	for _, d := range []*dialog{caller, callee} {
		if got := d.side.Agreed.Audio.Codec.Name; got != "PCMA" {
			t.Errorf("%s talks %s", d.p.aor, got)
		}
		if d.side.Agreed.Security != sdp.SDES {
			t.Errorf("%s is protected by %s", d.p.aor, d.side.Agreed.Security)
		}
	}
	s.until("the relay", func() bool { return len(s.paths) == 1 && s.paths[0] == "relay" })
}

func TestAnAnswerCancelsTheOtherPhones(t *testing.T) {
	s := newSite(t)
	a, desk, app := s.phone(alice), s.phone(bob), s.phone(bob)
	caller := a.dial("sip:" + bob.String())
	onDesk, onApp := desk.rung(), app.rung()
	onDesk.respond(180, nil)
	onApp.respond(180, nil)
	onDesk.pickUp()
	caller.answered()
	s.until("the app's CANCEL", func() bool {
		return len(app.cancels) == 1 && app.cancels[0] == `SIP;cause=200;text="Call completed elsewhere"`
	})
	onApp.respond(487, nil)
	caller.hangUp()
	onDesk.bye()
	r := s.ended()
	if len(r.Legs) != 3 || r.Legs[2].Cause.Text != "Call completed elsewhere" {
		t.Errorf("legs %+v", r.Legs)
	}
}

func TestCancelEndsTheCallEverywhere(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	caller := a.dial("sip:" + bob.String())
	callee := b.rung()
	callee.respond(180, nil)
	a.reply(180)
	caller.cancel("")
	a.reply(487)
	s.until("the CANCEL to bob", func() bool { return len(b.cancels) == 1 })
	callee.respond(487, nil)
	if r := s.ended(); r.Cause.Who != telephony.Caller || r.Cause.Code != 487 || !r.AnsweredAt.IsZero() {
		t.Errorf("cause %v", r.Cause)
	}
}

func TestRefusalsReachTheCallerAsTheBest(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse []int
		want   int
	}{
		{"busy", []int{486}, 486},
		{"busy beats not here", []int{404, 486}, 486},
		{"a decline for all wins", []int{486, 603}, 603},
		{"a lower class wins", []int{500, 486}, 486},
		{"a challenge never passes", []int{407}, 480},
		{"overload stays here", []int{503}, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			a := s.phone(alice)
			var phones []*phone
			for range c.refuse {
				phones = append(phones, s.phone(bob, "PCMA"))
			}
			a.dial("sip:" + bob.String())
			for i, p := range phones {
				d := p.rung()
				d.respond(c.refuse[i], nil)
			}
			a.reply(c.want)
			s.ended()
		})
	}
}

func TestWhoIsNotThereIsToldSo(t *testing.T) {
	s := newSite(t)
	a := s.phone(alice)
	s.contacts[carol] = nil
	a.dial("sip:nobody@acme.example")
	a.reply(404)
	a.dial("sip:" + carol.String())
	a.reply(480)
	a.dial("tel:+4930123456")
	a.reply(416)
	s.allEnded(3)
}

func TestNothingOfOneSideIsSeenOnTheOther(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	a.dial("sip:"+bob.String(), telephony.Header{Name: "Subject", Value: "lunch"}, telephony.Header{Name: "X-Inside", Value: "secret"},
		telephony.Header{Name: "User-Agent", Value: "Phone 1.0"}, telephony.Header{Name: "Record-Route", Value: "<sip:10.0.0.1;lr>"})
	d := b.rung()
	var all strings.Builder
	for _, h := range d.incoming.Headers {
		all.WriteString(h.Name + ": " + h.Value + "\n")
	}
	all.Write(d.incoming.Body)
	text := all.String()
	for _, inside := range []string{"1001-call-1", "m10011", a.flow.Remote.Addr().String(), "X-Inside", "Phone 1.0", "10.0.0.1"} {
		if strings.Contains(text, inside) {
			t.Errorf("%q is seen by who is called:\n%s", inside, text)
		}
	}
	if !strings.Contains(text, "Subject: lunch") || !strings.Contains(text, `From: "User 1001" <sip:1001@acme.example>;tag=`) {
		t.Errorf("what may cross has not:\n%s", text)
	}
	d.respond(486, nil)
	a.reply(486)
}
