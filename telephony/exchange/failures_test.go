package exchange_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// failing is one way in which a call fails, and what everybody is told of it.
type failing struct {
	change func(*exchange.Config)
	run    func(s *site, a, b *phone) // alice calls bob
	status int                        // that alice's INVITE gets; 0: it is not for the test to see
	who    telephony.Who
	code   int
	text   string          // stands in the cause and in the timelines
	noted  []telephony.AoR // whose timelines
}

// raw sends an INVITE that a test has changed.
func (p *phone) raw(change func(*signal.Request)) *dialog {
	d := p.newDialog("sip:" + bob.String())
	body, _, err := d.side.Offer(sdp.Offering{Security: sdp.SDES, Direction: sdp.SendRecv, Codecs: p.codecs})
	if err != nil {
		p.site.t.Fatal(err)
	}
	d.seq++
	d.invite = p.tx()
	r := d.request(d.invite, "INVITE", body, nil)
	change(r)
	p.site.x.Take(r)
	return d
}

// refuses has a phone answer every INVITE in a way.
func refuses(status int, change func(*signal.Response)) func(s *site, a, b *phone) {
	return func(s *site, a, b *phone) {
		a.dial("sip:" + bob.String())
		d := b.rung()
		r := &signal.Response{Tx: d.incoming.Tx, Method: "INVITE", Status: status, Reason: "as told", Way: b.way(),
			Message: signal.Message{CallID: d.callID, ToTag: d.mine, CSeq: 1}}
		if change != nil {
			change(r)
		}
		s.x.Take(r)
	}
}

func asked(change func(*signal.Request)) func(s *site, a, b *phone) {
	return func(_ *site, a, _ *phone) { a.raw(change) }
}

// lookupFails is a directory that cannot be asked.
type lookupFails struct{}

func (lookupFails) Targets(context.Context, account.ID, telephony.AoR) ([]signal.Target, error) {
	return nil, errors.New("the directory is away")
}

var (
	both   = []telephony.AoR{alice, bob}
	caller = []telephony.AoR{alice}
	nobody = []telephony.AoR(nil)
)

func failures() map[string]failing {
	talking := func(then func(s *site, from, to *dialog)) func(s *site, a, b *phone) {
		return func(s *site, a, b *phone) {
			from, to := s.talk(a, b)
			then(s, from, to)
		}
	}
	media := func(kind telephony.MediaEventKind) func(s *site, from, to *dialog) {
		return func(s *site, from, to *dialog) {
			var id telephony.MediaID
			s.until("media", func() bool {
				for open := range s.agreed {
					id = open
				}
				return id != 0
			})
			s.x.Media(telephony.MediaEvent{ID: id, Kind: kind, Text: "as told"})
			from.bye()
			to.bye()
		}
	}
	return map[string]failing{
		"the caller has too many calls": {func(c *exchange.Config) { c.Limits.UserCalls = -1 },
			asked(func(*signal.Request) {}), 480, telephony.Switch, 480, "too many calls", caller},
		"the account has too many calls": {func(c *exchange.Config) { c.Limits.AccountCalls = -1 },
			asked(func(*signal.Request) {}), 480, telephony.Switch, 480, "company has too many calls", caller},
		"no ports": {nil, func(s *site, a, _ *phone) {
			s.mu.Lock()
			s.noPorts = true
			s.mu.Unlock()
			a.dial("sip:" + bob.String())
		}, 503, telephony.Switch, 503, "media ports", caller},
		"a loop, by Max-Forwards": {nil, asked(func(r *signal.Request) { r.Hops = 0 }), 483, telephony.Switch, 483, "loop", caller},
		"a loop, by depth": {nil, asked(func(r *signal.Request) {
			r.Headers = append(r.Headers, telephony.Header{Name: "X-Call-Depth", Value: "11"})
		}), 482, telephony.Switch, 482, "loop", caller},
		"an extension":  {nil, asked(func(r *signal.Request) { r.Headers = append(r.Headers, telephony.Header{Name: "Require", Value: "x"}) }), 420, telephony.Switch, 420, "extensions", caller},
		"no Contact":    {nil, asked(func(r *signal.Request) { r.Contact = "" }), 400, telephony.Switch, 400, "Contact", caller},
		"no SDP wanted": {nil, asked(func(r *signal.Request) { r.Headers = append(r.Headers, telephony.Header{Name: "Accept", Value: "a/b"}) }), 406, telephony.Switch, 406, "Accept", caller},
		"another body":  {nil, asked(func(r *signal.Request) { r.ContentType = "text/plain" }), 415, telephony.Switch, 415, "body", caller},
		"a broken body": {nil, asked(func(r *signal.Request) { r.Body = []byte("v=0") }), 400, telephony.Caller, 400, "", caller},
		"no codec": {nil, asked(func(r *signal.Request) {
			r.Body = []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4 RTP/AVP 3\r\n")
		}), 488, telephony.Switch, 488, "codec", caller},
		"plain media where it must be encrypted": {func(c *exchange.Config) {
			c.Policy = func(account.ID, signal.Way) (sdp.Policy, sdp.Security) { return sdp.Required, "" }
		}, func(_ *site, a, _ *phone) { a.offering(sdp.Plain, bob) }, 488, telephony.Switch, 488, "encrypted", caller},
		"a short session": {nil, asked(func(r *signal.Request) {
			r.Headers = append(r.Headers, telephony.Header{Name: "Session-Expires", Value: "10"}, telephony.Header{Name: "Supported", Value: "timer"})
		}), 422, telephony.Switch, 422, "interval", caller},
		"no such user":    {nil, func(_ *site, a, _ *phone) { a.dial("sip:nobody@acme.example") }, 404, telephony.Switch, 404, "Nobody", caller},
		"no such scheme":  {nil, func(_ *site, a, _ *phone) { a.dial("tel:1") }, 416, telephony.Switch, 416, "tel:1", caller},
		"no phone":        {nil, func(s *site, a, _ *phone) { s.contacts[carol] = nil; a.dial("sip:" + carol.String()) }, 480, telephony.Switch, 480, "registered", []telephony.AoR{alice, carol}},
		"a lookup failed": {func(c *exchange.Config) { c.Ports.Contacts = lookupFails{} }, asked(func(*signal.Request) {}), 500, telephony.Switch, 500, "away", caller},
		"SRTP mismatch": {nil, func(s *site, a, b *phone) {
			refuses(488, nil)(s, a, b)
			b.rung().respond(488, nil)
			b.rung().respond(488, nil)
		}, 488, telephony.Callee, 488, "as told", both},
		"a phone's fault": {nil, refuses(500, nil), 500, telephony.Callee, 500, "as told", both},
		"a phone's 503":   {nil, refuses(503, nil), 500, telephony.Callee, 503, "as told", both},
		"a password":      {nil, refuses(401, nil), 480, telephony.Callee, 401, "password", both},
		"a lost way":      {nil, refuses(503, func(r *signal.Response) { r.Local = true }), 480, telephony.Network, 503, "as told", both},
		"no response":     {nil, refuses(408, func(r *signal.Response) { r.Local = true }), 408, telephony.Network, 408, "as told", both},
		"busy":            {nil, refuses(486, nil), 486, telephony.Callee, 486, "as told", nobody},
		"declined":        {nil, refuses(603, nil), 603, telephony.Callee, 603, "as told", nobody},
		"given up":        {nil, func(_ *site, a, _ *phone) { a.dial("sip:" + bob.String()).cancel("") }, 487, telephony.Caller, 487, "hung up", nobody},
		"an unusable answer": {nil, func(_ *site, a, b *phone) {
			a.dial("sip:" + bob.String())
			d := b.rung()
			d.respond(200, []byte("v=0"))
			d.bye()
		}, 488, telephony.Callee, 488, "", both},
		"sound stops":          {nil, talking(media(telephony.MediaStopped)), 0, telephony.Network, 408, "No sound came", both},
		"media is not secured": {nil, talking(media(telephony.SecurityFailed)), 0, telephony.Network, 488, "secured", both},
		"the ACK never comes": {nil, func(s *site, a, b *phone) {
			from := a.dial("sip:" + bob.String())
			to := b.rung()
			to.pickUp()
			from.theirs = a.reply(200).ToTag
			s.x.Take(&signal.AckMissing{Tx: from.invite})
			from.bye()
			to.bye()
		}, 0, telephony.Network, 408, "ACK", both},
		"the PRACK never comes": {nil, func(s *site, a, b *phone) {
			from := a.raw(func(r *signal.Request) {
				r.Headers = append(r.Headers, telephony.Header{Name: "Require", Value: "100rel"})
			})
			b.rung().respond(180, nil)
			a.reply(180)
			s.x.Take(&signal.Pracked{Tx: from.invite, RSeq: 1, Missing: true})
		}, 504, telephony.Network, 504, "PRACK", both},
		"a panic": {func(c *exchange.Config) { c.Ports.Next = panics{} }, func(_ *site, a, _ *phone) { a.dial("sip:boom@acme.example") },
			500, telephony.Switch, 500, "error inside", caller},
		"an admin hangs up": {nil, func(s *site, a, b *phone) {
			from, to := s.talk(a, b)
			_ = s.x.Hangup(acme, s.only(), telephony.Cause{Who: telephony.Person, Code: 200, Text: "An operator or admin hung up."})
			from.bye()
			to.bye()
		}, 0, telephony.Person, 200, "admin", nobody},
	}
}

// TestEveryFailureSpeaks holds that history has a cause for the call and each leg, the phone a response that says why, and the
// timelines of both users an entry, unless people have just not come together.
func TestEveryFailureSpeaks(t *testing.T) {
	for name, f := range failures() {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(c *exchange.Config) {
				if f.change != nil {
					f.change(c)
				}
			})
			a, b := s.phone(alice), s.phone(bob)
			f.run(s, a, b)
			if f.status != 0 {
				r := a.reply(f.status)
				if why := header(r.Headers, "Reason"); f.status != 500 && !strings.HasPrefix(why, "SIP;cause=") {
					t.Errorf("%d does not say why: %v", r.Status, r.Headers)
				}
			}
			r := s.ended()
			if r.Cause.Who != f.who || r.Cause.Code != f.code || !strings.Contains(r.Cause.Text, f.text) || r.Cause.Text == "" {
				t.Errorf("history says %+v", r.Cause)
			}
			for _, l := range r.Legs {
				if l.Cause.Code == 0 || l.Cause.Who == "" || l.EndedAt.IsZero() {
					t.Errorf("leg %d: %+v", l.Leg, l)
				}
			}
			s.noteIs(f)
		})
	}
}

// noteIs checks the timelines.
func (s *site) noteIs(f failing) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, aor := range []telephony.AoR{alice, bob, carol} {
		entries, wanted := s.noted[aor], slices.Contains(f.noted, aor)
		if (len(entries) == 1) != wanted || len(entries) > 1 {
			s.t.Errorf("the timeline of %s: %+v", aor, entries)
		}
		for _, e := range entries {
			if e.Code != f.code || e.Kind != timeline.CallFailed || e.Actor != string(f.who) || !strings.Contains(e.Text, f.text) || e.Account != acme {
				s.t.Errorf("the timeline of %s says %+v", aor, e)
			}
		}
	}
}

// noted waits for an entry of a timeline with a code and a text.
func (s *site) tells(aor telephony.AoR, code int, text string) {
	s.t.Helper()
	s.until("an entry for "+aor.User+" about "+text, func() bool {
		return slices.ContainsFunc(s.noted[aor], func(e timeline.Entry) bool { return e.Code == code && strings.Contains(e.Text, text) })
	})
}

// TestRefusalsWithoutACallSpeak are those that leave nothing in history.
func TestRefusalsWithoutACallSpeak(t *testing.T) {
	t.Run("the node is full", func(t *testing.T) {
		s := newSite(t, func(c *exchange.Config) { c.Limits.Calls = -1 })
		a := s.phone(alice)
		d := a.newDialog("sip:" + bob.String())
		if s.x.Take(d.request(a.tx(), "INVITE", nil, nil)) {
			t.Error("it was taken")
		}
		s.tells(alice, 503, "can carry")
	})
	t.Run("Replaces names nothing", func(t *testing.T) {
		s := newSite(t)
		a := s.phone(alice)
		a.dial("sip:x@acme.example", telephony.Header{Name: "Replaces", Value: "gone;to-tag=0123456789abcdef01234567-1-abc;from-tag=b"})
		a.reply(481)
		s.tells(alice, 481, "taken over")
	})
	t.Run("Replaces names another dialog", func(t *testing.T) {
		s := newSite(t)
		a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
		from, to := s.talk(a, b)
		c.dial("sip:x@acme.example", telephony.Header{Name: "Replaces", Value: "wrong;to-tag=" + to.theirs + ";from-tag=wrong"})
		c.reply(481)
		s.tells(carol, 481, "taken over")
		from.hangUp()
		to.bye()
		s.ended()
	})
	t.Run("a change is refused", func(t *testing.T) {
		s := newSite(t)
		from, to := s.talk(s.phone(alice), s.phone(bob))
		from.send("INVITE", []byte("v=0"))
		from.p.reply(400)
		s.tells(alice, 400, "change a call")
		from.hangUp()
		to.bye()
		s.ended()
	})
	t.Run("transfers", func(t *testing.T) {
		s := newSite(t)
		from, to := s.talk(s.phone(alice), s.phone(bob))
		to.send("REFER", nil)
		to.p.reply(400)
		s.tells(bob, 400, "Refer-To")
		to.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:nobody@acme.example>"})
		to.p.reply(202)
		to.sipfrag("SIP/2.0 100", false)
		to.sipfrag("SIP/2.0 404", true)
		s.tells(bob, 404, "Nobody here")
		from.hangUp()
		to.bye()
		s.ended()
	})
	t.Run("a phone failed where another one answered", func(t *testing.T) {
		s := newSite(t)
		a, desk, app := s.phone(alice), s.phone(bob), s.phone(bob)
		from := a.dial("sip:" + bob.String())
		onDesk, onApp := desk.rung(), app.rung()
		onDesk.respond(500, nil)
		onApp.pickUp()
		from.answered()
		s.tells(bob, 500, "phone of 1002 192.0.2.")
		from.hangUp()
		onApp.bye()
		s.ended()
	})
	t.Run("a node was lost while it rang", func(t *testing.T) {
		s := newSite(t, func(c *exchange.Config) {
			c.Ports.History.(history).held = []telephony.CallChange{{Record: telephony.CallRecord{Account: acme, ID: "rang", Caller: alice,
				Dialled: "sip:" + bob.String(), State: telephony.CallRinging, Legs: []telephony.LegRecord{{Leg: 1, AoR: alice}, {Leg: 2, AoR: bob}}}}}
		})
		if r := s.ended(); r.Cause.Code != 500 || r.Legs[0].Cause.Code != 500 {
			t.Errorf("%+v", r)
		}
		s.tells(alice, 500, "node lost")
		s.tells(bob, 500, "node lost")
	})
}
