package media_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/sdp"
)

// checked is a call between a browser, whose checks the test sends by itself, and a phone: they hear each other.
func checked(t *testing.T) (f *fixture, b *browser, p *phone) {
	t.Helper()
	f = start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	b = f.browser(false)
	b.theirs = "theirs"
	b.ours = names{b.local.Audio.Ufrag, b.local.Audio.Pwd}
	b.agree(f, b.certificate.Certificate[0], netip.MustParseAddrPort("192.0.2.1:9"))
	b.move()
	if !b.check(b.ours, true) {
		t.Fatal("the first check has got no answer")
	}
	p = f.call(setting{payload: 96, digits: 101})
	f.media.Relay(b.id, p.id)
	if err := b.secure(ctx, f); err != nil {
		t.Fatal(err)
	}
	wait(t, "our side has the keys too", func() bool { return f.media.Report(b.id).Suite != "" })
	b.sounds(p, "before the restart")
	return f, b, p
}

// A browser may check as soon as it has our description, before its own has come.
func TestChecksBeforeTheAnswer(t *testing.T) {
	f := start(t, nil)
	b := f.browser(false)
	b.theirs = "theirs"
	b.move()
	b.ask(names{b.local.Audio.Ufrag, b.local.Audio.Pwd}, true)
	select {
	case <-b.answers:
	case <-time.After(patience):
		t.Error("the check has got no answer")
	}
}

// Who knows the password is let ask so often as any phone needs to, and not so that the loop works for him alone.
func TestAFloodOfChecksIsBounded(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	b := f.browser(false)
	b.theirs = "theirs"
	b.move()
	check := b.ask(names{b.local.Audio.Ufrag, b.local.Audio.Pwd}, true)
	flood, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(b.local.Audio.RTP)})
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	wait(t, "what is too much is refused", func() bool {
		for range 100 { // a port's queue takes no more
			_, _ = flood.Write(check.Raw)
		}
		return f.media.Counters().Refused["excess"] > 0
	})
}

// A phone that does not multiplex checks the pair of its RTCP too, while the handshake of its RTP is under way: that goes on where it was.
func TestChecksOfRTCPLeaveTheHandshakeAlone(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	b := f.browser(false)
	b.passive, b.theirs, b.ours = true, "theirs", names{b.local.Audio.Ufrag, b.local.Audio.Pwd}
	b.agree(f, b.certificate.Certificate[0], netip.MustParseAddrPort("192.0.2.1:9"))
	b.move()
	if !b.check(b.ours, true) {
		t.Fatal("the first check has got no answer")
	}
	control := *b
	control.local.Audio.RTP = b.local.Audio.RTCP
	control.move()
	if !control.check(b.ours, true) {
		t.Fatal("the check of RTCP has got no answer")
	}
	if err := b.secure(ctx, f); err != nil {
		t.Fatal(err)
	}
	if n := len(control.dtls); n != 0 {
		t.Errorf("%d datagrams of the handshake went to the port of RTCP", n)
	}
}

// names are credentials of ICE.
type names struct {
	ufrag string
	pwd   account.Secret
}

// move has the browser send from another port from now on.
func (b *browser) move() {
	b.t.Helper()
	c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(b.local.Audio.RTP)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	b.conn, b.dtls, b.media, b.answers = c, make(chan []byte, 100), make(chan []byte, 100), make(chan []byte, 100)
	b.receive()
}

// ask sends a check over the browser's present port.
func (b *browser) ask(by names, nominates bool) *stun.Message {
	b.t.Helper()
	setters := []stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(by.ufrag + ":" + b.theirs),
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: make([]byte, 8)}}
	if nominates {
		setters = append(setters, stun.RawAttribute{Type: stun.AttrUseCandidate})
	}
	request, err := stun.Build(append(setters, stun.NewShortTermIntegrity(by.pwd.Reveal()), stun.Fingerprint)...)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.conn.Write(request.Raw); err != nil {
		b.t.Fatal(err)
	}
	return request
}

// check sends a check, and reports whether it is answered: else it is counted as refused.
func (b *browser) check(by names, nominates bool) bool {
	b.t.Helper()
	refused := b.node.Report(b.id).Refused
	request := b.ask(by, nominates)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		select {
		case raw := <-b.answers:
			answer := &stun.Message{Raw: raw}
			if answer.Decode() != nil || answer.Type != stun.BindingSuccess || answer.TransactionID != request.TransactionID ||
				stun.NewShortTermIntegrity(by.pwd.Reveal()).Check(answer) != nil {
				b.t.Fatalf("the answer is %v", answer)
			}
			return true
		case <-time.After(5 * time.Millisecond):
			if b.node.Report(b.id).Refused > refused {
				return false
			}
		}
	}
	b.t.Fatal("a check is neither answered nor refused")
	return false
}

// restart agrees on an offer that restarts ICE: on other names of both sides, and another address in the SDP.
func (b *browser) restart(f *fixture, n int) names {
	b.t.Helper()
	b.theirs = fmt.Sprint("theirs", n)
	b.ours = names{fmt.Sprint("restart", n), account.Secret(fmt.Sprint("a password of the restart ", n))}
	b.agree(f, b.certificate.Certificate[0], netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), uint16(1000+n)))
	return b.ours
}

// sounds holds that both hear each other.
func (b *browser) sounds(p *phone, when string) {
	b.t.Helper()
	for n := range 5 {
		said := fmt.Appendf(nil, "%s, packet %d", when, n)
		b.say(said)
		if heard := p.hear(); !bytes.Equal(heard.Payload, said) {
			b.t.Fatalf("%s the phone hears %q", when, heard.Payload)
		}
		p.say(96, said)
		heard, _ := b.hear()
		for heard == nil {
			heard, _ = b.hear()
		}
		if !bytes.Equal(heard.Payload, said) {
			b.t.Fatalf("%s the browser hears %q", when, heard.Payload)
		}
	}
}

// A restart of ICE interrupts nothing: sound goes on over the old pair, whose checks are answered, until one of the new names
// nominates another. From then on the old names are nobody's.
func TestSoundGoesOnWhileICERestarts(t *testing.T) {
	t.Parallel()
	f, b, p := checked(t)
	before := b.ours
	after := b.restart(f, 1)
	b.sounds(p, "while it restarts")
	if !b.check(before, true) {
		t.Error("a check of the pair that is in use is refused while ICE restarts")
	}
	if b.check(names{after.ufrag, "a guess"}, true) || b.check(names{before.ufrag, after.pwd}, true) {
		t.Error("a forged check is answered")
	}
	b.sounds(p, "after forged checks")
	old := *b
	b.move()
	if !b.check(after, false) {
		t.Error("a check of the new names is refused")
	}
	if !b.check(before, true) {
		t.Error("a check of the old names from elsewhere is refused")
	}
	old.sequence = b.sequence
	old.sounds(p, "before one is nominated") // to its old port
	b.sequence = old.sequence
	if !b.check(after, true) {
		t.Error("a nomination is refused")
	}
	b.sounds(p, "over the new pair")
	if b.check(before, true) || old.check(before, true) {
		t.Error("the old names are still known once the new pair is in use")
	}
	b.agree(f, b.certificate.Certificate[0], netip.MustParseAddrPort("192.0.2.3:7")) // an offer that restarts nothing
	if !b.check(after, false) || b.check(before, false) {
		t.Error("an offer without a restart changes the names")
	}
	b.sounds(p, "after another offer")
}

// Of any number of restarts that come to nothing, no more is kept than the names that the sound goes by, and those for a while.
func TestRestartsThatComeToNothingLeaveNothing(t *testing.T) {
	t.Parallel()
	f, b, p := checked(t)
	before := b.ours
	var all []names
	for n := range 20 {
		all = append(all, b.restart(f, n))
	}
	last := len(all) - 1
	for n, by := range all {
		if b.check(by, false) != (n == last) {
			t.Errorf("restart %d of %d: its names are answered %t", n, last, n != last)
		}
	}
	if !b.check(before, false) {
		t.Error("the names that the sound goes by are refused")
	}
	b.sounds(p, "after many restarts")
	f.media.PassFormerTime(b.id)
	wait(t, "the names from before are forgotten", func() bool { return !b.check(before, false) })
	if !b.check(all[last], true) {
		t.Error("the last names are refused")
	}
	b.sounds(p, "after the last restart")
}

// A phone that nobody has found yet may restart too: whichever check comes first finds it.
func TestARestartBeforeThePhoneIsFound(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	b := f.browser(false)
	b.theirs, b.ours = "theirs", names{b.local.Audio.Ufrag, b.local.Audio.Pwd}
	b.agree(f, b.certificate.Certificate[0], netip.MustParseAddrPort("192.0.2.1:9"))
	before := b.ours
	after := b.restart(f, 1)
	b.move()
	if !b.check(before, false) || !b.check(after, true) || b.check(before, false) {
		t.Error("not as after any restart")
	}
	if got := f.media.Report(b.id); got.Security != string(sdp.DTLS) || got != (telephony.MediaReport{Security: "dtls", Codec: "opus/48000/2", Refused: 1}) {
		t.Errorf("report %+v", got)
	}
}
