package exchange_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// offering begins a call whose media is protected in a certain way.
func (p *phone) offering(s sdp.Security, to telephony.AoR) *dialog {
	p.site.t.Helper()
	d := p.newDialog("sip:" + to.String())
	body, _, err := d.side.Offer(sdp.Offering{Security: s, Direction: sdp.SendRecv, Codecs: p.codecs})
	if err != nil {
		p.site.t.Fatal(err)
	}
	d.side.Last = body
	d.send("INVITE", body)
	return d
}

// profiles are those of the audio that a phone is offered, until it takes one.
func (s *site) profiles(to *phone, takes string) (all []string) {
	s.t.Helper()
	for {
		d := to.rung()
		offer, err := sdp.Parse(d.incoming.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, offer.Audio().Profile)
		if offer.Audio().Profile == takes {
			d.pickUp()
			return all
		}
		d.respond(488, nil)
		if len(all) == 3 {
			s.t.Fatalf("it was offered %s and goes on", all)
		}
	}
}

func TestAPhoneIsCalledAsItCalls(t *testing.T) {
	for own, want := range map[sdp.Security]string{
		sdp.DTLS: "UDP/TLS/RTP/SAVPF", sdp.SDES: "RTP/SAVP", sdp.Plain: "RTP/AVP",
	} {
		t.Run(string(own), func(t *testing.T) {
			s := newSite(t)
			a, b := s.phone(alice), s.phone(bob)
			b.instance = "urn:uuid:b"
			s.contacts[bob][0].Ways[0] = b.way()
			d := b.offering(own, alice)
			a.rung().pickUp()
			d.answered()
			d.hangUp()
			a.dial("sip:" + bob.String())
			if got := s.profiles(b, want); len(got) != 1 {
				t.Errorf("it was offered %s", got)
			}
			a.reply(200)
		})
	}
}

// A phone that knows DTLS alone, has never called, and does not refuse SDES finds a fingerprint beside the keys. It is held in
// the profile that it wrote, and is offered DTLS at once when it is called again.
func TestAPhoneTakesTheFingerprintBesideTheKeys(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	b.instance, b.dtls = "urn:uuid:b", true
	s.contacts[bob][0].Ways[0] = b.way()
	caller, callee := s.talk(a, b)
	if got := callee.side.Agreed.Security; got != sdp.DTLS {
		t.Errorf("it is protected by %s", got)
	}
	caller.offer(sdp.SendOnly)
	a.reply(200)
	caller.ack(nil)
	held, err := sdp.Parse(b.incoming("INVITE").Body)
	if err != nil {
		t.Fatal(err)
	}
	if m := held.Audio(); m.Profile != "RTP/SAVP" || len(m.Keys) != 0 || len(m.Fingerprints) != 1 {
		t.Errorf("it is held by %+v", m)
	}
	caller.hangUp()
	callee.bye()
	a.dial("sip:" + bob.String())
	if got := s.profiles(b, "UDP/TLS/RTP/SAVPF"); len(got) != 1 {
		t.Errorf("it was offered %s", got)
	}
	a.reply(200)
}

// TestASettingOfAUserHolds has the user's setting weigh more than what his phone does.
func TestASettingOfAUserHolds(t *testing.T) {
	for _, c := range []struct {
		policy sdp.Policy
		own    sdp.Security
		takes  string
		want   string
	}{
		{sdp.Required, sdp.SDES, "RTP/SAVP", "RTP/SAVP"},
		{sdp.Required, sdp.DTLS, "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVPF"},
		{sdp.Preferred, sdp.SDES, "RTP/AVP", "RTP/SAVP UDP/TLS/RTP/SAVPF RTP/AVP"},
		{sdp.Preferred, sdp.DTLS, "RTP/AVP", "UDP/TLS/RTP/SAVPF RTP/AVP"},
		{sdp.Off, sdp.SDES, "RTP/AVP", "RTP/AVP"},
	} {
		t.Run(string(c.policy)+" "+string(c.own), func(t *testing.T) {
			s := newSite(t, func(cfg *exchange.Config) {
				cfg.Policy = func(_ account.ID, w signal.Way) (sdp.Policy, sdp.Security) {
					if w.AoR == bob {
						return c.policy, ""
					}
					return sdp.Preferred, ""
				}
			})
			a, b := s.phone(alice), s.phone(bob)
			b.instance = "urn:uuid:b"
			s.contacts[bob][0].Ways[0] = b.way()
			b.offering(c.own, alice).cancel("")
			b.reply(487)
			a.dial("sip:" + bob.String())
			if got := strings.Join(s.profiles(b, c.takes), " "); got != c.want {
				t.Errorf("it was offered %s, want %s", got, c.want)
			}
			a.reply(200)
		})
	}
}

func TestPlainMediaIsRefusedWhereItMustBeEncrypted(t *testing.T) {
	s := newSite(t, func(cfg *exchange.Config) {
		cfg.Policy = func(account.ID, signal.Way) (sdp.Policy, sdp.Security) { return sdp.Required, "" }
	})
	a, b := s.phone(alice), s.phone(bob)
	b.offering(sdp.Plain, alice)
	b.reply(488)
	// And who is called gets no weaker offer.
	a.dial("sip:" + bob.String())
	for _, want := range []string{"RTP/SAVP", "UDP/TLS/RTP/SAVPF"} {
		d := b.rung()
		if offer, err := sdp.Parse(d.incoming.Body); err != nil || offer.Audio().Profile != want {
			t.Errorf("%v: it was not offered %s:\n%s", err, want, d.incoming.Body)
		}
		d.respond(488, nil)
	}
	a.reply(488)
	s.allEnded(2)
}

// shelf is a store of habits.
type shelf struct {
	mu   sync.Mutex
	kept []telephony.MediaHabit
	away bool
}

func (s *shelf) KeepHabits(_ context.Context, all []telephony.MediaHabit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		s.away = false
		return errAway
	}
	s.kept = append(s.kept, all...)
	return nil
}

func (s *shelf) Habits(context.Context, time.Time, int) ([]telephony.MediaHabit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept), nil
}

// TestHabitsOutliveTheProcess has one node learn how a phone calls, and another one call it.
func TestHabitsOutliveTheProcess(t *testing.T) {
	kept := &shelf{away: true} // at first
	with := func(c *exchange.Config) { c.Ports.Habits = kept }
	first := newSite(t, with)
	first.phone(alice)
	b := first.phone(bob)
	b.instance = "urn:uuid:b"
	b.offering(sdp.DTLS, alice).cancel("")
	b.reply(487)
	first.untilFree("it is kept", func() bool {
		kept.mu.Lock()
		defer kept.mu.Unlock()
		return len(kept.kept) == 1
	})

	second := newSite(t, with)
	a, again := second.phone(alice), second.phone(bob)
	again.instance = "urn:uuid:b"
	second.contacts[bob][0].Ways[0] = again.way()
	second.untilFree("the phone is called as it calls", func() bool {
		d := a.dial("sip:" + bob.String())
		rung := again.rung()
		rung.respond(486, nil)
		a.reply(486)
		_ = d
		return strings.Contains(string(rung.incoming.Body), "UDP/TLS/RTP/SAVPF")
	})
}

// TestHabitsAreBounded has more phones call than are remembered: the newest are.
func TestHabitsAreBounded(t *testing.T) {
	h := exchange.NewMemory()
	way := func(n int) signal.Way { return signal.Way{AoR: bob, Instance: strconv.Itoa(n)} }
	for n := range 2 * exchange.MaxHabits {
		h.Learn(way(n), sdp.DTLS)
		if h.Of(way(0)) != sdp.DTLS {
			t.Fatal("a phone that is used all the time was forgotten")
		}
	}
	if got := h.Len(); got > exchange.MaxHabits {
		t.Errorf("%d phones are remembered", got)
	}
	if h.Of(way(2*exchange.MaxHabits-1)) != sdp.DTLS || h.Of(way(1)) != "" {
		t.Error("the wrong ones are remembered")
	}
	h.Learn(signal.Way{AoR: bob}, sdp.DTLS)
	if h.Of(signal.Way{AoR: bob}) != "" {
		t.Error("a phone that cannot be known again was remembered")
	}
}
