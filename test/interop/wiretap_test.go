package interop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"demarc/telephony/audio"
	"demarc/telephony/rtp"
)

// wiretap listens to the loopback interface, to the RTP of one phone.
type wiretap struct {
	at    netip.AddrPort // where the phone's audio is
	mu    sync.Mutex
	heard []frame // what was sent there
	said  []frame // what came from there
}

// frame is the sound of one packet, in samples of 8000 Hz.
type frame struct {
	at      time.Time
	samples []float64
}

// tap begins to listen to a phone that sends and gets plain G.711. The test's end ends it.
func tap(t *testing.T, at netip.AddrPort) *wiretap {
	t.Helper()
	const everyIPv4 = 0x0008 // ETH_P_IP in the order of the network
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, everyIPv4)
	if err != nil {
		t.Fatalf("THIS TEST LISTENS TO THE LOOPBACK INTERFACE and may not: run it as root, or with CAP_NET_RAW: %v", err)
	}
	second := syscall.NsecToTimeval(int64(200 * time.Millisecond))
	if err := errors.Join(syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &second),
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<20)); err != nil {
		t.Fatal(err)
	}
	w, end := &wiretap{at: at}, make(chan struct{})
	var listening sync.WaitGroup
	listening.Go(func() {
		defer syscall.Close(fd)
		packet := make([]byte, 4096)
		for {
			select {
			case <-end:
				return
			default:
			}
			n, from, err := syscall.Recvfrom(fd, packet, 0)
			if link, ok := from.(*syscall.SockaddrLinklayer); err == nil && ok && link.Pkttype != syscall.PACKET_OUTGOING {
				w.take(packet[:n]) // each packet comes by twice, on its way out and in
			}
		}
	})
	t.Cleanup(func() {
		close(end)
		listening.Wait()
	})
	return w
}

// take keeps the sound of a packet of the phone's.
func (w *wiretap) take(b []byte) {
	if len(b) < 28 || b[9] != syscall.IPPROTO_UDP || int(b[0]&15)*4+8 > len(b) {
		return
	}
	source, to := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	b = b[int(b[0]&15)*4:]
	from, into := netip.AddrPortFrom(source, binary.BigEndian.Uint16(b)), netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:]))
	if from != w.at && into != w.at {
		return
	}
	packet, ok := rtp.Read(b[8:])
	law, known := map[uint8]string{0: "PCMU", 8: "PCMA"}[packet.PayloadType()]
	if !ok || !known {
		return
	}
	decode, _ := audio.LawNamed(law)
	f := frame{at: time.Now()}
	for _, s := range decode.Decode(nil, packet.Payload()) {
		f.samples = append(f.samples, float64(s)/32768)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if into == w.at {
		w.heard = append(w.heard, f)
	} else {
		w.said = append(w.said, f)
	}
}

// forget drops what was heard and said so far.
func (w *wiretap) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard, w.said = nil, nil
}

// lately is the sound of the last seconds; older ones tell nothing of now.
func lately(frames []frame) sound {
	s := sound{rate: 8000}
	for _, f := range frames {
		if time.Since(f.at) < 3*time.Second {
			s.samples = append(s.samples, f.samples...)
		}
	}
	return s
}

// mouth is what the phone says, as it stands on the wire.
type mouth struct{ *wiretap }

func (m mouth) heard() (sound, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return lately(m.wiretap.said), nil
}

// tapped is a phone that is judged by what stands on the wire instead of by its own recording.
type tapped struct {
	caller
	wire *wiretap
}

func (p tapped) heard() (sound, error) {
	p.wire.mu.Lock()
	defer p.wire.mu.Unlock()
	return lately(p.wire.heard), nil
}

// What was on the wire before tells nothing of what comes then.
func (p tapped) hold()   { p.caller.hold(); p.wire.forget() }
func (p tapped) resume() { p.caller.resume(); p.wire.forget() }

// onTheWire taps a phone in a call, at the address of its own description.
func (f *callFloor) onTheWire(t *testing.T, s seat) (seat, mouth) {
	t.Helper()
	for _, m := range f.messages(s.extension) {
		// Port 9 stands in answers to OPTIONS, and means nothing.
		if line := audioLine.FindStringSubmatch(m.Text); m.Inbound && line != nil && line[1] != "9" {
			port, err := strconv.ParseUint(line[1], 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			wire := tap(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)))
			return seat{caller: tapped{s.caller, wire}, extension: s.extension, hertz: s.hertz}, mouth{wire}
		}
	}
	t.Fatalf("%s has described nothing", s.extension)
	return seat{}, mouth{}
}

// plainBaresip is judged by its packets, which nobody has to decrypt.
var plainBaresip = model{"baresip", "plain", "PCMU/8000/1,PCMA/8000/1"}

// baresip 1.0.0 writes nothing down any more once it was re-INVITEd. Its packets tell that it is heard, and what it is given to
// hear, after each of the two has held the other, and after it was transferred.
func TestBaresipOnTheWire(t *testing.T) {
	f := newCallFloor(t, false)
	sdes := model{"linphone", "sdes", ""}
	both := func(t *testing.T, phone seat, says mouth, other seat) {
		t.Helper()
		phone.caller.(tapped).wire.forget()
		hears(t, "baresip, on the wire,", phone, other.hertz)
		hears(t, "the wire from baresip", says, phone.hertz)
		hears(t, "the other phone", other, phone.hertz)
	}
	for _, calls := range []bool{true, false} {
		t.Run(fmt.Sprintf("held and resumed, calling: %v", calls), func(t *testing.T) {
			t.Parallel()
			phone, other := f.seat(t, plainBaresip, callerTone), f.seat(t, sdes, calleeTone)
			if calls {
				talk(t, phone, other)
			} else {
				talk(t, other, phone)
			}
			phone, says := f.onTheWire(t, phone)
			both(t, phone, says, other)
			holds(t, phone, other)
			both(t, phone, says, other)
			holds(t, other, phone)
			both(t, phone, says, other)
			other.hangup()
			phone.awaitEnd()
		})
	}
	t.Run("transferred", func(t *testing.T) {
		t.Parallel()
		phone, by, to := f.seat(t, plainBaresip, callerTone), f.seat(t, sdes, calleeTone), f.seat(t, sdes, thirdTone)
		talk(t, phone, by)
		phone, says := f.onTheWire(t, phone)
		by.refer(to.uri())
		to.awaitRing()
		to.answer()
		to.awaitTalk(1)
		by.awaitEnd()
		both(t, phone, says, to)
		to.hangup()
		phone.awaitEnd()
	})
	t.Run("transfers", func(t *testing.T) {
		t.Parallel()
		first, phone, to := f.seat(t, sdes, callerTone), f.seat(t, plainBaresip, calleeTone), f.seat(t, plainBaresip, thirdTone)
		talk(t, first, phone)
		phone.refer(to.uri())
		to.awaitRing()
		to.answer()
		to.awaitTalk(1)
		phone.awaitEnd()
		to, says := f.onTheWire(t, to)
		both(t, to, says, first)
		holds(t, first, to)
		both(t, to, says, first)
		first.hangup()
		to.awaitEnd()
	})
}
