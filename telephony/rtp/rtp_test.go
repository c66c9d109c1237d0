package rtp_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	pionrtcp "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"go.uber.org/goleak"

	"demarc/internal/account"
	"demarc/telephony/rtp"
	"demarc/telephony/sdp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func packet(sequence uint16, stamp, ssrc uint32) rtp.Packet {
	p := rtp.Packet(rtp.Append(nil, 0, false, []byte("payload")))
	p.Renumber(sequence, stamp, ssrc)
	return p
}

func TestDatagramsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want rtp.Kind
	}{
		{"nothing", nil, rtp.Other},
		{"STUN", []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, rtp.STUN},
		{"DTLS handshake", []byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0}, rtp.DTLS},
		{"DTLS data", []byte{63, 0xfe, 0xfd, 0, 0, 0, 0, 0}, rtp.DTLS},
		{"ChannelData of TURN", []byte{64, 0, 0, 0, 0, 0, 0, 0}, rtp.Other},
		{"RTP", packet(1, 2, 3), rtp.RTP},
		{"RTP cut short", packet(1, 2, 3)[:11], rtp.Other},
		{"SR", rtp.AppendSenderReport(nil, rtp.SenderReport{}), rtp.RTCP},
		{"another version", append([]byte{0xc0, 0}, make([]byte, 20)...), rtp.Other},
	} {
		if got := rtp.KindOf(c.b); got != c.want {
			t.Errorf("%s: kind %d, not %d", c.name, got, c.want)
		}
	}
}

func TestPayloadsAreFoundBehindAllHeaders(t *testing.T) {
	header := pionrtp.Header{Version: 2, Padding: true, PaddingSize: 4, PayloadType: 96, Marker: true, SequenceNumber: 7, Timestamp: 8, SSRC: 9, CSRC: []uint32{1, 2}}
	if err := header.SetExtension(1, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	b, err := (&pionrtp.Packet{Header: header, Payload: []byte("sound")}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p, ok := rtp.Read(b)
	if !ok || string(p.Payload()) != "sound" || p.PayloadType() != 96 || !p.Marker() || p.Sequence() != 7 || p.Timestamp() != 8 || p.SSRC() != 9 {
		t.Fatalf("%t %q", ok, p.Payload())
	}
	for n := range len(b) - len("sound") - 4 {
		if _, ok := rtp.Read(b[:n]); ok {
			t.Errorf("a header cut at %d of %d is read", n, len(b))
		}
	}
}

func TestASourceIsCounted(t *testing.T) {
	type step struct {
		sequence uint16
		want     rtp.Verdict
	}
	for _, c := range []struct {
		name  string
		steps []step
		lost  uint64
	}{
		{"over the turn", []step{{65534, rtp.Restart}, {65535, rtp.Fresh}, {0, rtp.Fresh}, {1, rtp.Fresh}}, 0},
		{"one lost", []step{{10, rtp.Restart}, {12, rtp.Fresh}}, 1},
		{"late, and twice", []step{{10, rtp.Restart}, {12, rtp.Fresh}, {11, rtp.Fresh}, {11, rtp.Repeated}, {12, rtp.Repeated}}, 0},
		{"late from before the first", []step{{10, rtp.Restart}, {9, rtp.Repeated}}, 0},
		{"a lone jump", []step{{10, rtp.Restart}, {30000, rtp.Repeated}, {11, rtp.Fresh}}, 0},
		{"a jump that holds", []step{{10, rtp.Restart}, {30000, rtp.Repeated}, {30001, rtp.Restart}, {30002, rtp.Fresh}}, 0},
		{"too late to tell", []step{{100, rtp.Restart}, {200, rtp.Fresh}, {110, rtp.Repeated}}, 99},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s rtp.Source
			before := uint64(0)
			for i, step := range c.steps {
				number, got := s.Count(packet(step.sequence, 0, 5), time.Second, 8000)
				if got != step.want {
					t.Fatalf("step %d (%d): verdict %d, not %d", i, step.sequence, got, step.want)
				}
				if got != rtp.Repeated && uint16(number) != step.sequence {
					t.Errorf("step %d: number %d of %d", i, number, step.sequence)
				}
				before = max(before, number)
			}
			if total := s.Total(); total.Lost() != c.lost {
				t.Errorf("lost %d of %+v", total.Lost(), total)
			}
		})
	}
}

func TestJitterIsThatOfTheRFC(t *testing.T) {
	var s rtp.Source
	var want, transit float64
	for n := range 200 {
		arrival := time.Duration(n)*20*time.Millisecond + time.Duration(n*7919%13)*time.Millisecond
		s.Count(packet(uint16(n), uint32(n)*160, 5), time.Second+arrival, 8000)
		now := float64(arrival.Milliseconds()*8 - int64(n)*160)
		if n > 0 {
			d := now - transit
			want += (max(d, -d) - want) / 16
		}
		transit = now
	}
	if got := float64(s.Jitter(8000).Microseconds()) / 125; got < want-1.5 || got > want+1.5 {
		t.Errorf("jitter %.1f units, by floating point %.1f", got, want)
	}
}

// An even stream with a digit in it stays one: the digit's packets all bear the time of its begin, and the next sound's that of after it.
// A clock that stands still while its phone is on hold, or is set, is no jitter: it would be told as one of hours.
func TestASetClockIsNoJitter(t *testing.T) {
	for name, jump := range map[string]uint32{"stood still": ^uint32(0) - 60*8000 + 1, "was set": 1 << 31, "was set back": 1 << 30} {
		var s rtp.Source
		stamp, now := uint32(1), time.Second
		for n := range uint16(200) {
			if n%100 == 99 {
				stamp += jump
			}
			s.Count(packet(n, stamp, 7), now, 8000)
			stamp, now = stamp+160, now+20*time.Millisecond
		}
		if got := s.Jitter(8000); got > time.Millisecond {
			t.Errorf("a clock that %s makes a jitter of %v", name, got)
		}
	}
}

func TestDigitsAreNoJitter(t *testing.T) {
	var s rtp.Source
	for n := range 100 {
		stamp, rate := uint32(n)*160, 8000
		if n >= 40 && n < 60 {
			stamp, rate = 40*160, 0
		}
		s.Count(packet(uint16(n), stamp, 5), time.Second+time.Duration(n)*20*time.Millisecond, rate)
		if got := s.Jitter(8000); got != 0 {
			t.Fatalf("jitter %s after packet %d", got, n)
		}
	}
	if total := s.Total(); total.Received != 100 || total.Lost() != 0 {
		t.Errorf("%+v", total)
	}
}

func TestASenderNeverNumbersTwice(t *testing.T) {
	sender := rtp.NewSender(true)
	var one, other rtp.Source
	seen := map[uint16]bool{}
	send := func(s *rtp.Source, sequence uint16, ssrc uint32) bool {
		p := packet(sequence, uint32(sequence)*160, ssrc)
		number, verdict := s.Count(p, time.Second, 8000)
		if verdict == rtp.Repeated || !sender.Forward(p, s, number, time.Second, 8000) {
			return false
		}
		if seen[p.Sequence()] {
			t.Fatalf("number %d is used twice", p.Sequence())
		}
		seen[p.Sequence()] = true
		return true
	}
	for n := range uint16(100) {
		send(&one, 100+2*n, 1)
	}
	for n := range uint16(50) {
		send(&other, 500+n, 2)
	}
	send(&one, 299, 1) // new to it after the other one
	for n := range uint16(30) {
		send(&one, 298-2*n-1, 1) // late ones from before: their numbers are the other's
	}
	for n := range uint16(50) {
		send(&one, 60000+n, 3)
	}
	own := rtp.Packet(rtp.Append(nil, 8, false, []byte("music")))
	sender.Next(own, 160, 2*time.Second, 8000)
	if seen[own.Sequence()] || !own.Marker() {
		t.Error("our own packet takes a used number, or no marker")
	}
	first := own.Timestamp()
	sender.Next(own, 160, 2*time.Second, 8000)
	if own.Timestamp() != first+160 {
		t.Error("our own packets are not 160 samples apart")
	}
}

// A packet that is left out leaves no gap, and nothing that comes late takes a number that something else has had.
func TestWhatIsLeftOutLeavesNoGap(t *testing.T) {
	var from rtp.Source
	to := rtp.NewSender(true)
	var sent []uint16
	for _, step := range []struct {
		sequence uint16
		left     bool // out
	}{{65530, false}, {65532, false}, {65533, true}, {65534, true}, {65531, false}, {65535, false}, {1, true}, {0, true}, {2, false}, {3, true}, {3, true}, {4, false}} {
		p := packet(step.sequence, 160*uint32(step.sequence), 5)
		number, verdict := from.Count(p, time.Second, 8000)
		switch {
		case verdict == rtp.Repeated:
		case step.left:
			to.Skip(&from, number)
		case to.Forward(p, &from, number, time.Second, 8000):
			sent = append(sent, p.Sequence()-sent0(sent))
		}
	}
	if want := []uint16{sent[0], 2, 3, 5, 6}; !slices.Equal(sent, want) { // 65531 came too late, and 1 too early to be left out
		t.Errorf("sent as %d, not %d", sent, want)
	}
}

// sent0 is the first number that was sent, from which the others are told.
func sent0(sent []uint16) uint16 {
	if len(sent) == 0 {
		return 0
	}
	return sent[0]
}

func TestReportsReadAsTheyWereWritten(t *testing.T) {
	block := rtp.Block{SSRC: 1, Fraction: 2, Lost: 3, Highest: 4, Jitter: 5, LastReport: 6, Delay: 7}
	b := rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 9, NTP: 1<<63 | 5, Timestamp: 11, Packets: 12, Octets: 13}, block)
	b = rtp.AppendName(b, 9, "0123456789abcdef")
	packets, err := pionrtcp.Unmarshal(b)
	if err != nil || len(packets) != 2 {
		t.Fatalf("%v, %v", packets, err)
	}
	sr, ok := packets[0].(*pionrtcp.SenderReport)
	if !ok || sr.SSRC != 9 || sr.NTPTime != 1<<63|5 || sr.PacketCount != 12 || len(sr.Reports) != 1 || sr.Reports[0].TotalLost != 3 {
		t.Errorf("%+v", packets[0])
	}
	var heard heard
	if !rtp.ReadRTCP(b, &heard) || heard.block != block || heard.report.Octets != 13 {
		t.Errorf("%+v", heard)
	}
	for n := 1; n < len(b); n++ {
		if n != 52 && rtp.ReadRTCP(b[:n], &heard) {
			t.Errorf("read although cut at %d of %d", n, len(b))
		}
	}
}

type heard struct {
	report rtp.SenderReport
	block  rtp.Block
}

func (h *heard) SenderReport(r rtp.SenderReport) { h.report = r }
func (h *heard) Block(b rtp.Block)               { h.block = b }
func (h *heard) Feedback([]byte)                 {}

func TestDigitsAreHeardOnce(t *testing.T) {
	event := func(code byte, end bool, duration uint16) []byte {
		b := []byte{code, 10, 0, 0}
		if end {
			b[1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[2:], duration)
		return b
	}
	type step struct {
		payload []byte
		stamp   uint32
	}
	end5 := step{event(5, true, 800), 1000}
	for _, c := range []struct {
		name  string
		steps []step
		want  string
	}{
		{"whole", []step{{event(5, false, 160), 1000}, {event(5, false, 320), 1000}, end5, end5, end5}, "5"},
		{"its end alone", []step{end5}, "5"},
		{"no end, then another", []step{{event(5, false, 160), 1000}, {event(11, true, 800), 3000}, {event(11, true, 800), 3000}}, "5#"},
		{"the same twice", []step{end5, {event(5, true, 800), 3000}}, "55"},
		{"late", []step{{event(1, true, 800), 3000}, end5}, "1"},
		{"a clock that was set back", []step{{event(1, true, 800), 900_000}, end5, end5, {event(6, true, 800), 3000}}, "156"},
		{"a clock that comes round", []step{{event(1, true, 800), 1<<32 - 100}, end5}, "15"},
		{"very long", []step{{event(5, false, 0xffff), 1000}, {event(5, false, 500), 1000 + 0xffff}, {event(5, true, 800), 1000 + 0xffff}}, "5"},
		{"no end at all", []step{{event(15, false, 160), 1000}}, "D"},
		{"flash is none", []step{{event(16, true, 160), 1000}}, ""},
		{"cut short", []step{{[]byte{5, 0x80}, 1000}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e rtp.Events
			var got []byte
			note := func(d byte, ok bool) {
				if ok {
					got = append(got, d)
				}
			}
			for _, s := range c.steps {
				note(e.Read(s.payload, s.stamp, time.Second))
			}
			note(e.Lapse(time.Second + time.Millisecond))
			note(e.Lapse(time.Minute))
			note(e.Lapse(time.Hour))
			if string(got) != c.want {
				t.Errorf("heard %q, not %q", got, c.want)
			}
		})
	}
}

func TestEverySuiteProtects(t *testing.T) {
	for _, k := range rtp.NewKeys() {
		t.Run(k.Suite, func(t *testing.T) {
			protect, unprotect := pairOf(t, k)
			plain := packet(5, 6, 7)
			sealed, err := protect.RTP(make([]byte, 0, rtp.MaxPacket), plain)
			if err != nil || bytes.Contains(sealed, []byte("payload")) {
				t.Fatalf("%q, %v", sealed, err)
			}
			again := bytes.Clone(sealed)
			forged := bytes.Clone(sealed)
			forged[14] ^= 1
			if _, err := unprotect.RTP(forged); !errors.Is(err, rtp.ErrNotAuthentic) {
				t.Errorf("forged: %v", err)
			}
			if got, err := unprotect.RTP(sealed); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := unprotect.RTP(again); !errors.Is(err, rtp.ErrNotAuthentic) {
				t.Errorf("repeated: %v", err)
			}
			report := rtp.AppendReceiverReport(nil, 7)
			sealed, err = protect.RTCP(nil, report)
			if err != nil {
				t.Fatal(err)
			}
			again = bytes.Clone(sealed)
			if got, err := unprotect.RTCP(sealed); err != nil || !bytes.Equal(got, report) {
				t.Errorf("%x, %v", got, err)
			}
			if _, err := unprotect.RTCP(again); !errors.Is(err, rtp.ErrNotAuthentic) {
				t.Errorf("repeated RTCP: %v", err)
			}
		})
	}
}

// Packets may name their key in front of their tag: they are taken by the key that its identifier was told for, and by no other.
func TestPacketsThatNameTheirKey(t *testing.T) {
	const identifier, told = "\x00\x00\x01\x02", "|258:4"
	for _, k := range rtp.NewKeys() {
		profiles := map[string]srtp.ProtectionProfile{"AEAD_AES_256_GCM": srtp.ProtectionProfileAeadAes256Gcm, "AES_256_CM_HMAC_SHA1_80": srtp.ProtectionProfileAes256CmHmacSha1_80,
			"AES_CM_128_HMAC_SHA1_80": srtp.ProtectionProfileAes128CmHmacSha1_80, "AES_CM_128_HMAC_SHA1_32": srtp.ProtectionProfileAes128CmHmacSha1_32}
		size, _ := profiles[k.Suite].KeyLen()
		raw, err := base64.StdEncoding.DecodeString(k.Key.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		phone := func(identifier string) *srtp.Context {
			c, err := srtp.CreateContext(raw[:size], raw[size:], profiles[k.Suite], srtp.MasterKeyIndicator([]byte(identifier)))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		unprotect, err := rtp.NewUnprotection(sdp.Key{Suite: k.Suite, Key: k.Key + told})
		if err != nil {
			t.Fatal(err)
		}
		plain, report := packet(5, 6, 7), rtp.AppendReceiverReport(nil, 7)
		for name, c := range map[string]struct {
			identifier string
			want       bool
		}{"its own": {identifier, true}, "another": {"\x00\x00\x01\x03", false}, "none": {"", false}} {
			sealed, err := phone(c.identifier).EncryptRTP(nil, plain, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := unprotect.RTP(sealed); (err == nil) != c.want || c.want && !bytes.Equal(got, plain) {
				t.Errorf("%s: of a packet with %s comes %q, %v", k.Suite, name, got, err)
			}
			if sealed, err = phone(c.identifier).EncryptRTCP(nil, report, nil); err != nil {
				t.Fatal(err)
			}
			if got, err := unprotect.RTCP(sealed); (err == nil) != c.want || c.want && !bytes.Equal(got, report) {
				t.Errorf("%s: of a report with %s comes %x, %v", k.Suite, name, got, err)
			}
			for n := range len(sealed) {
				_, _ = unprotect.RTP(bytes.Clone(sealed[:n]))
				if _, err := unprotect.RTCP(bytes.Clone(sealed[:n])); err == nil {
					t.Fatalf("%s: taken although cut at %d", k.Suite, n)
				}
			}
		}
	}
}

// With a new key a phone counts the turns of its sequence numbers on, as it should, or anew, as many do: it is heard either way, and forged packets that
// come before its own change nothing.
func TestANewKeyInALongCall(t *testing.T) {
	const ssrc = 7
	keys := [2]sdp.Key{rtp.NewKeys()[2], rtp.NewKeys()[2]}
	contexts := func(k sdp.Key) (*srtp.Context, *rtp.Unprotection) {
		raw, err := base64.StdEncoding.DecodeString(k.Key.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		c, err := srtp.CreateContext(raw[:16], raw[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
		if err != nil {
			t.Fatal(err)
		}
		u, err := rtp.NewUnprotection(k)
		if err != nil {
			t.Fatal(err)
		}
		return c, u
	}
	for name, c := range map[string]struct {
		last, next uint32 // numbers of packets, turns included
		kept       bool
	}{"counted on": {150_000, 150_001, true}, "counted anew": {150_000, 150_001, false}, "counted on over a turn": {131_071, 131_072, true},
		"counted anew in the first turn": {40_000, 40_001, false}, "after a gap": {131_000, 131_200, true}} {
		phone, before := contexts(keys[0])
		hear := func(u *rtp.Unprotection, c *srtp.Context, n uint32) {
			t.Helper()
			sealed, err := c.EncryptRTP(nil, packet(uint16(n), n*160, ssrc), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := u.RTP(sealed); err != nil || !bytes.Equal(got, packet(uint16(n), n*160, ssrc)) {
				t.Fatalf("%s: packet %d: %v", name, n, err)
			}
		}
		for n := uint32(1); n <= c.last; n += 1000 {
			hear(before, phone, n)
		}
		hear(before, phone, c.last)
		again, after := contexts(keys[1])
		if c.kept {
			again.SetROC(ssrc, c.next>>16)
		}
		after.Follow(before)
		for range 3 {
			if _, err := after.RTP(append(packet(uint16(c.next), 0, ssrc), make([]byte, 10)...)); !errors.Is(err, rtp.ErrNotAuthentic) {
				t.Errorf("%s: a forged packet: %v", name, err)
			}
		}
		for n := range uint32(5) {
			hear(after, again, c.next+n)
		}
		for n := uint32(5); n < 70_000; n += 1000 {
			hear(after, again, c.next+n)
		}
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	good := rtp.NewKeys()[2]
	for name, k := range map[string]sdp.Key{
		"another suite":    {Suite: "F8_128_HMAC_SHA1_80", Key: good.Key},
		"of another suite": {Suite: "AEAD_AES_256_GCM", Key: good.Key},
		"not base64":       {Suite: good.Suite, Key: "!" + good.Key[1:]},
		"empty":            {Suite: good.Suite},
	} {
		if _, err := rtp.NewProtection(k); !errors.Is(err, rtp.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := rtp.NewUnprotection(k); !errors.Is(err, rtp.ErrKey) || bytes.Contains([]byte(err.Error()), []byte(k.Key.Reveal()+"x")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bare := sdp.Key{Suite: "AES_256_CM_HMAC_SHA1_80", Key: account.Secret(bytes.TrimRight([]byte(rtp.NewKeys()[1].Key.Reveal()), "="))}
	if _, err := rtp.NewProtection(bare); err != nil {
		t.Errorf("a key without padding: %v", err)
	}
}

// TestAMillionForgedPacketsCostNoMemory sends each under an SSRC of its own, RTP and RTCP in turn.
func TestAMillionForgedPacketsCostNoMemory(t *testing.T) {
	protect, unprotect := pairOf(t, rtp.NewKeys()[2])
	forged := packet(1, 2, 3)
	buffer := make([]byte, 0, rtp.MaxPacket)
	before := heap()
	for n := range 1_000_000 {
		b := append(append(buffer, forged...), "0123456789"...)
		binary.BigEndian.PutUint32(b[8-4*(n&1):], uint32(n))
		var err error
		if n&1 == 0 {
			_, err = unprotect.RTP(b)
		} else {
			b[1] = 200
			_, err = unprotect.RTCP(b)
		}
		if err == nil {
			t.Fatal("let in")
		}
	}
	if after := heap(); after > before+64<<10 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	sealed, err := protect.RTP(nil, forged)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unprotect.RTP(sealed); err != nil {
		t.Errorf("the call does not go on: %v", err)
	}
}

func TestWhoHoldsTheKeyCostsNoMoreMemory(t *testing.T) {
	protect, unprotect := pairOf(t, rtp.NewKeys()[0])
	let := 0
	for n := range uint32(500) {
		sealed, err := protect.RTP(nil, packet(1, 2, n))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unprotect.RTP(sealed); err == nil {
			let++
		}
	}
	if let != 64 {
		t.Errorf("%d sources were let in", let)
	}
	sealed, err := protect.RTP(nil, packet(2, 2, 5))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unprotect.RTP(sealed); err != nil {
		t.Errorf("a known source is refused: %v", err)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func pairOf(t *testing.T, k sdp.Key) (*rtp.Protection, *rtp.Unprotection) {
	t.Helper()
	protect, err := rtp.NewProtection(k)
	if err != nil {
		t.Fatal(err)
	}
	unprotect, err := rtp.NewUnprotection(k)
	if err != nil {
		t.Fatal(err)
	}
	return protect, unprotect
}
