package media_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"demarc/telephony"
	"demarc/telephony/media"
	"demarc/telephony/sdp"
)

// fixture is the media of a node, running.
type fixture struct {
	t     *testing.T
	media *media.Media
	next  telephony.MediaID

	mu     sync.Mutex
	events []telephony.MediaEvent
}

// start serves media at ports below those that the kernel gives to anybody who asks for none (32768 and on): no phone of a test that
// runs beside can have one of them. Tests that count on every port have ownPorts.
func start(t *testing.T, change func(*media.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t}
	c := media.Config{Ports: media.PortRange{First: 8000, Last: 8999}, Loops: 2, Events: f.note}
	if change != nil {
		change(&c)
	}
	m, err := media.New(c)
	if err != nil {
		t.Fatal(err)
	}
	f.media = m
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { m.Serve(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

func (f *fixture) note(e telephony.MediaEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
}

// told returns the events of a kind.
func (f *fixture) told(kind telephony.MediaEventKind) []telephony.MediaEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []telephony.MediaEvent
	for _, e := range f.events {
		if e.Kind == kind {
			all = append(all, e)
		}
	}
	return all
}

// wait waits until something is so.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func suites() []string {
	return []string{"", "AEAD_AES_256_GCM", "AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"}
}

func TestEverySecurityIsRelayedToEveryOther(t *testing.T) {
	t.Parallel()
	for i, one := range suites() {
		for j, other := range suites() {
			t.Run(one+"-"+other, func(t *testing.T) {
				t.Parallel()
				f := start(t, nil)
				a := f.call(setting{suite: one, payload: 0, digits: 101, mux: i%2 == 0})
				b := f.call(setting{suite: other, payload: 8, digits: 96, mux: j%2 == 1})
				f.media.Relay(a.id, b.id)
				converse(t, a, b)
				converse(t, b, a)
				for _, p := range []*phone{a, b} {
					if r := f.media.Close(p.id); r.Received != 40 || r.Sent != 40 || r.Lost != 0 || r.Refused != 0 {
						t.Errorf("phone %d: %+v", p.id, r)
					}
				}
			})
		}
	}
}

// converse sends packets over the turn of the sequence numbers, and looks at what comes out.
func converse(t *testing.T, from, to *phone) {
	t.Helper()
	var first uint16
	for n := range 40 {
		said := fmt.Appendf(nil, "packet %03d of phone %d", n, from.id)
		from.say(from.as.Send, said)
		heard := to.hear()
		if n == 0 {
			first = heard.SequenceNumber
		}
		if !bytes.Equal(heard.Payload, said) || heard.PayloadType != to.as.Send || heard.SequenceNumber != first+uint16(n) {
			t.Fatalf("packet %d came as %q, type %d, number %d after %d", n, heard.Payload, heard.PayloadType, heard.SequenceNumber, first)
		}
		if heard.SSRC == from.ssrc {
			t.Fatal("the phone's SSRC crosses")
		}
	}
}

func TestReportsAreMadePerLeg(t *testing.T) {
	t.Parallel()
	for _, suite := range suites() {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			a, b := f.call(setting{suite: suite, payload: 0, mux: suite == ""}), f.call(setting{payload: 0})
			f.media.Relay(a.id, b.id)
			for n := range 20 {
				if n != 7 && n != 8 {
					a.say(0, []byte("sound"))
				} else {
					a.sequence++
				}
				b.say(0, []byte("other"))
			}
			a.hear()
			sent := a.awaitReport(t)
			for len(sent.Reports) == 0 || uint16(sent.Reports[0].LastSequenceNumber) != a.sequence {
				sent = a.awaitReport(t)
			}
			if len(sent.Reports) != 1 || sent.Reports[0].SSRC != a.ssrc || sent.Reports[0].TotalLost != 2 {
				t.Errorf("what we say of the phone: %+v", sent.Reports)
			}
			a.report(&rtcp.ReceiverReport{SSRC: a.ssrc, Reports: []rtcp.ReceptionReport{{
				SSRC: sent.SSRC, TotalLost: 3, Jitter: 80, LastSenderReport: uint32(sent.NTPTime >> 16), Delay: 0,
			}}}, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: a.ssrc}}})
			var r telephony.MediaReport
			wait(t, "the phone's report counts", func() bool {
				r = f.media.Report(a.id)
				return r.LostThere == 3
			})
			if r.Lost != 2 || r.JitterThere != 10*time.Millisecond || r.RoundTrip <= 0 || r.RoundTrip > patience {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// awaitReport waits for a sender report of ours.
func (p *phone) awaitReport(t *testing.T) *rtcp.SenderReport {
	t.Helper()
	for {
		for _, packet := range p.hearReports() {
			if r, ok := packet.(*rtcp.SenderReport); ok {
				return r
			}
		}
	}
}

func TestForgersHearAndInjectNothing(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"", "AES_CM_128_HMAC_SHA1_80"} {
		for _, flowing := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s flowing=%t", suite, flowing), func(t *testing.T) {
				f := start(t, nil)
				a, b := f.call(setting{suite: suite}), f.call(setting{suite: suite})
				f.media.Relay(a.id, b.id)
				if flowing {
					a.say(0, []byte("true"))
					b.hear()
				}
				forger := listenUDP(t)
				f.spray(forger, a)
				for range 50 {
					b.say(0, []byte("true"))
					a.hear()
				}
				a.say(0, []byte("the next one"))
				if heard := b.hear(); string(heard.Payload) != "the next one" {
					t.Errorf("the listener hears %q", heard.Payload)
				}
				if n := queued(t, forger); n != 0 {
					t.Errorf("the forger was sent %d packets", n)
				}
			})
		}
	}
}

// spray sends what a stranger can make: RTP, RTCP, STUN, DTLS and nonsense, to every port.
func (f *fixture) spray(from *net.UDPConn, at *phone) {
	f.t.Helper()
	for n := range 200 {
		forged := []byte{0x80, 0, byte(n), 1, 0, 0, 0, 0, 1, 2, 3, byte(n), 'f', 'o', 'r', 'g', 'e', 'd', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
		forged[0] = []byte{0x80, 0x80, 0x90, 0, 22, 0xff}[n%6]
		forged[1] = []byte{0, 200, 201, 101}[n%4]
		for _, port := range []uint16{at.local.Audio.RTP, at.local.Audio.RTCP} {
			if _, err := from.WriteToUDPAddrPort(forged, netip.AddrPortFrom(at.there().Addr(), port)); err != nil {
				f.t.Logf("spraying: %v", err) // word of a port that is closed to strangers
			}
		}
	}
}

// TestForgedPacketsAtAPortCostNoMemory keeps a port as busy as its loop can work, with what looks like SRTP of ever other sources.
func TestForgedPacketsAtAPortCostNoMemory(t *testing.T) {
	f := start(t, nil)
	a, b := f.call(setting{suite: "AES_CM_128_HMAC_SHA1_80"}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	const many, ahead = 1_000_000, 150 // fewer than a socket's queue holds
	before := heap()
	forger, forged := listenUDP(t), make([]byte, 182)
	forged[0] = 0x80
	for sent, refused := uint64(0), uint64(0); sent < many; {
		for ; sent < refused+ahead && sent < many; sent++ {
			binary.BigEndian.PutUint64(forged[4:], sent<<32|sent)
			if _, err := forger.WriteToUDPAddrPort(forged, a.there()); err != nil {
				t.Fatal(err)
			}
		}
		wait(t, "they are refused", func() bool {
			refused = f.media.Report(a.id).Refused
			return refused+ahead > sent
		})
	}
	wait(t, "all are refused", func() bool { return f.media.Report(a.id).Refused == many })
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	a.say(0, []byte("true"))
	if heard := b.hear(); string(heard.Payload) != "true" {
		t.Errorf("after it %q is heard", heard.Payload)
	}
	if queued(t, forger) != 0 {
		t.Error("the forger was answered")
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAPhoneBehindNATIsFoundAtItsSignallingAddress(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]netip.Addr{
		"a private address": netip.MustParseAddr("192.168.7.7"),
		"a name":            netip.IPv4Unspecified(), // is told so by the SDP
	} {
		t.Run(name, func(t *testing.T) { isFoundAtItsSignallingAddress(t, told) })
	}
}

func isFoundAtItsSignallingAddress(t *testing.T, told netip.Addr) {
	f := start(t, nil)
	a, b := f.call(setting{told: told}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	b.say(0, []byte("before anybody knows where to"))
	a.say(0, []byte("here"))
	if heard := b.hear(); string(heard.Payload) != "here" {
		t.Fatalf("heard %q", heard.Payload)
	}
	second := listenUDP(t)
	a.sequence++
	a.send(second, a.packet(0, []byte("another port, later")))
	b.say(0, []byte("there"))
	if heard := a.hear(); string(heard.Payload) != "there" {
		t.Errorf("heard %q", heard.Payload)
	}
	a.say(0, []byte("again"))
	if heard := b.hear(); string(heard.Payload) != "again" {
		t.Errorf("a later source got in: %q", heard.Payload)
	}
	if queued(t, second) != 0 {
		t.Error("a later source was sent to")
	}
}

// A phone may tell an address of the other version of IP, and yet send from the one that its SIP comes from.
func TestAPhoneOfTheOtherVersionOfIPIsFoundAtItsSignallingAddress(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"", "AEAD_AES_256_GCM"} {
		f := start(t, nil)
		a, b := f.call(setting{suite: suite, told: netip.MustParseAddr("2001:db8::7")}), f.call(setting{})
		f.media.Relay(a.id, b.id)
		a.say(0, []byte("here"))
		if heard := b.hear(); string(heard.Payload) != "here" {
			t.Fatalf("%q: heard %q", suite, heard.Payload)
		}
		b.say(0, []byte("there"))
		if heard := a.hear(); string(heard.Payload) != "there" {
			t.Errorf("%q: heard %q", suite, heard.Payload)
		}
	}
}

func TestNothingIsSentToThisMachineForAPhoneElsewhere(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"", "AEAD_AES_256_GCM"} {
		f := start(t, nil)
		elsewhere := netip.MustParseAddr("192.0.2.1")
		a, b := f.call(setting{suite: suite, signalled: elsewhere}), f.call(setting{})
		f.media.Relay(a.id, b.id)
		f.media.Play(a.id, "busy", true)
		b.say(0, []byte("to whom?"))
		wait(t, "it is counted", func() bool { return f.media.Report(b.id).Received == 1 && f.media.Report(a.id).Sent > 5 })
		if n := queued(t, a.media); n != 0 {
			t.Errorf("%q: %d packets went to what a phone elsewhere calls 127.0.0.1", suite, n)
		}
	}
}

func TestAnAuthenticPhoneMoves(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a, b := f.call(setting{suite: "AEAD_AES_256_GCM"}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	a.say(0, []byte("from home"))
	b.hear()
	a.media = listenUDP(t)
	wait(t, "it is found elsewhere", func() bool {
		a.say(0, []byte("from the train"))
		return queued(t, b.media) > 0
	})
	b.say(0, []byte("hello"))
	if heard := a.hear(); string(heard.Payload) != "hello" {
		t.Errorf("heard %q", heard.Payload)
	}
}

func TestDirectionsAreKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		direction sdp.Direction
		hears     bool // the phone hears the other one
		heard     bool
	}{
		{sdp.SendRecv, true, true}, {sdp.SendOnly, true, false}, {sdp.RecvOnly, false, true}, {sdp.Inactive, false, false},
	} {
		t.Run(string(c.direction), func(t *testing.T) {
			f := start(t, nil)
			a, b := f.call(setting{direction: c.direction}), f.call(setting{})
			f.media.Relay(a.id, b.id)
			for range 10 {
				a.say(0, []byte("a"))
				b.say(0, []byte("b"))
			}
			wait(t, "both are counted", func() bool { return f.media.Report(a.id).Received == 10 && f.media.Report(b.id).Received == 10 })
			if n := queued(t, a.media); (n == 10) != c.hears || (n == 0) == c.hears {
				t.Errorf("the phone heard %d", n)
			}
			if n := queued(t, b.media); (n == 10) != c.heard || (n == 0) == c.heard {
				t.Errorf("the phone was heard %d times", n)
			}
		})
	}
}

func TestNumbersGoOnWhoeverIsHeard(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a, b, c := f.call(setting{suite: "AEAD_AES_256_GCM"}), f.call(setting{}), f.call(setting{suite: "AES_CM_128_HMAC_SHA1_32"})
	f.media.Relay(a.id, b.id)
	b.say(0, []byte("one"))
	first := a.hear()
	f.media.Relay(a.id, c.id)
	c.sequence, c.stamp = 12, 1<<31
	c.say(0, []byte("two"))
	second := a.hear()
	c.ssrc, c.sequence = 0xabcdef, 40000 // the phone begins anew
	c.say(0, []byte("three"))
	third := a.hear()
	if second.SequenceNumber != first.SequenceNumber+1 || third.SequenceNumber != first.SequenceNumber+2 || !second.Marker {
		t.Errorf("numbers %d, %d, %d", first.SequenceNumber, second.SequenceNumber, third.SequenceNumber)
	}
	if first.SSRC != second.SSRC || third.SSRC != first.SSRC {
		t.Error("the SSRC changed")
	}
	if step := second.Timestamp - first.Timestamp; step == 0 || step > 8000*10 {
		t.Errorf("the timestamp stepped by %d", int32(step))
	}
	b.say(0, []byte("nobody hears me now"))
	wait(t, "it is counted", func() bool { return f.media.Report(b.id).Received == 2 })
	if queued(t, a.media) != 0 {
		t.Error("a former partner is still heard")
	}
}

func TestPortsAreBoundedAndComeBack(t *testing.T) {
	ports := ownPorts(t, 4)
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(ports.First) + 2})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f := start(t, func(c *media.Config) { c.Ports = ports })
	open := func() error {
		f.next++
		_, err := f.media.Open(telephony.MediaOpening{ID: f.next, Peer: netip.MustParseAddr("127.0.0.1")})
		return err
	}
	for round := range 20 {
		for range 3 { // of four pairs somebody else holds one
			if err := open(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if err := open(); !errors.Is(err, media.ErrNoPorts) {
			t.Fatalf("a fourth leg: %v", err)
		}
		for n := range 4 {
			f.media.Close(f.next - telephony.MediaID(n))
		}
	}
}

func TestAddressesAreToldByNetworkAndListener(t *testing.T) {
	inside, outside, web := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("198.51.100.2")
	f := start(t, func(c *media.Config) {
		c.Address = netip.MustParseAddr("127.0.0.1")
		c.Advertise = outside
		c.Networks = []media.Network{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Address: inside}}
		c.Listeners = map[string]netip.Addr{"wss": web}
	})
	for _, c := range []struct {
		listener, peer string
		want           netip.Addr
	}{{"udp", "10.1.2.3", inside}, {"wss", "::ffff:10.1.2.3", inside}, {"wss", "192.0.2.1", web}, {"udp", "192.0.2.1", outside}} {
		f.next++
		local, err := f.media.Open(telephony.MediaOpening{ID: f.next, Listener: c.listener, Peer: netip.MustParseAddr(c.peer)})
		if err != nil || local.Addr != c.want {
			t.Errorf("%s at %s is told %s, %v; not %s", c.peer, c.listener, local.Addr, err, c.want)
		}
	}
}

func TestSilenceEndsUnlessItIsMeant(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Timeout = 2 * time.Second })
	silent, held := f.call(setting{}), f.call(setting{direction: sdp.SendOnly})
	watched := f.call(setting{}) // sends no sound, but reports
	wait(t, "the silent leg is told", func() bool {
		watched.report(&rtcp.ReceiverReport{SSRC: watched.ssrc})
		return len(f.told(telephony.MediaStopped)) > 0
	})
	for _, e := range f.told(telephony.MediaStopped) {
		if e.ID != silent.id {
			t.Errorf("leg %d is told as silent (held is %d, reporting is %d)", e.ID, held.id, watched.id)
		}
		if e.After != 2*time.Second {
			t.Errorf("it is told after %s", e.After)
		}
	}
}

func TestOneWayAudioIsNamed(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	mute, other := f.call(setting{}), f.call(setting{})
	f.media.Relay(mute.id, other.id)
	stranger := listenUDP(t)
	wait(t, "it is told", func() bool {
		other.say(0, []byte("anybody there?"))
		mute.sequence++
		mute.send(stranger, mute.packet(0, []byte("from the wrong place")))
		return len(f.told(telephony.MediaOneWay)) > 0
	})
	e := f.told(telephony.MediaOneWay)[0]
	if e.ID != mute.id || !bytes.Contains([]byte(e.Text), []byte(addrOf(stranger).String())) {
		t.Errorf("told %+v", e)
	}
}

// A phone that only keeps its firewall open, as some do with STUN, is silent all the same: its media is neither forged nor from elsewhere.
func TestWhatIsNoMediaIsNoReason(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	for _, suite := range []string{"", "AEAD_AES_256_GCM"} {
		silent, other := f.call(setting{suite: suite}), f.call(setting{})
		f.media.Relay(silent.id, other.id)
		forged := silent.packet(0, []byte("by another key, and from elsewhere"))
		forged[len(forged)-1] ^= 1
		silent.send(listenUDP(t), forged)
		wait(t, "it is refused", func() bool { return f.media.Report(silent.id).Refused == 1 })
		silent.say(0, []byte("the last word"))
		other.hear()
		var told []telephony.MediaEvent
		wait(t, "it is told", func() bool {
			other.say(0, []byte("anybody there?"))
			silent.send(silent.media, []byte("\x00\x01\x00\x00\x21\x12\xa4\x42twelve bytes"))
			told = slices.DeleteFunc(f.told(telephony.MediaOneWay), func(e telephony.MediaEvent) bool { return e.ID != silent.id })
			return len(told) > 0
		})
		if !strings.HasPrefix(told[0].Text, "nothing comes from the phone") {
			t.Errorf("%q: told %+v", suite, told)
		}
	}
	if c := f.media.Counters(); c.OneWay["silent"] != 2 || c.Refused["ice"] == 0 {
		t.Errorf("%+v", c)
	}
}

// A phone that floods its leg, by right of the address or of the key, is heard as much as any; the rest is counted and told once.
func TestAFloodOfAuthenticPacketsIsBounded(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"", "AEAD_AES_256_GCM"} {
		f := start(t, nil)
		a, b := f.call(setting{suite: suite}), f.call(setting{})
		f.media.Relay(a.id, b.id)
		a.say(0, []byte("first"))
		b.hear()
		begin := time.Now()
		const all = 20_000
		for n := 0; n < all; n += 50 {
			for range 50 {
				a.say(0, make([]byte, 20))
			}
			time.Sleep(2 * time.Millisecond) // a port's queue takes no more
		}
		wait(t, "it has told of it", func() bool { return len(f.told(telephony.MediaExcess)) > 0 })
		took := time.Since(begin)
		refused, relayed := f.media.Counters().Refused["excess"], f.media.Counters().Relayed
		if most := uint64(1000 * (int(took/time.Second) + 2)); relayed > most || refused == 0 {
			t.Errorf("%q: of %d packets in %v %d were sent on, %d refused", suite, all, took, relayed, refused)
		}
		wait(t, "the next second is as any", func() bool {
			before := f.media.Counters().Relayed
			a.say(0, []byte("again"))
			time.Sleep(10 * time.Millisecond)
			return f.media.Counters().Relayed > before
		})
		if told := f.told(telephony.MediaExcess); len(told) != 1 || told[0].ID != a.id {
			t.Errorf("%q: told %+v", suite, told)
		}
	}
}

// Two calls whose legs tell each other's ports go round in a circle: what gets into it does not take all of the loop.
func TestACircleOfLegsIsBounded(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	var legs []*phone
	for range 4 {
		legs = append(legs, f.call(setting{}))
	}
	toward := func(p, q *phone) {
		t.Helper()
		agreed := p.agreed(setting{})
		agreed.Audio.Remote = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), q.local.Audio.RTP)
		agreed.Audio.RemoteRTCP = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), q.local.Audio.RTCP)
		if err := f.media.Agree(p.id, agreed); err != nil {
			t.Fatal(err)
		}
	}
	f.media.Relay(legs[0].id, legs[1].id)
	f.media.Relay(legs[2].id, legs[3].id)
	for n, to := range []int{3, 2, 1, 0} {
		toward(legs[n], legs[to])
	}
	begin := time.Now()
	for n := range 5 { // which were under way when the circle was closed
		f.media.Take(legs[0].id, []byte{0x80, 0, 0, byte(n), 0, 0, 0, byte(n), 0, 0, 0, 1, 1, 2, 3})
	}
	wait(t, "the circle is told of", func() bool { return len(f.told(telephony.MediaExcess)) > 0 })
	time.Sleep(time.Second)
	seconds := uint64(time.Since(begin)/time.Second) + 2
	if relayed := f.media.Counters().Relayed; relayed > 4*1000*seconds {
		t.Errorf("%d packets went round within %d s", relayed, seconds)
	}
}
