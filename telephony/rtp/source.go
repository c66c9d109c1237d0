package rtp

import "time"

// Verdict is what a source's count says of a packet.
type Verdict uint8

// The verdicts.
const (
	Fresh    Verdict = iota + 1 // in order, or late but not yet seen
	Restart                     // the first packet of another source, or of the same one counting anew
	Repeated                    // seen already, or so late or so far ahead that it cannot be told: not to be sent on
)

// Limits of RFC 3550 A.1: a step ahead that is still the same stream, and how late a packet may be.
const (
	maxDropout = 3000
	maxLate    = 64
)

// Source counts what one sender sends. Its memory is the same whatever comes in: a sender that changes its SSRC is counted anew.
type Source struct {
	ssrc     uint32
	epoch    uint32 // how often it was counted anew
	highest  uint64 // sequence number with its turns counted; begins in turn 1, so that nothing is below 0
	first    uint64
	seen     uint64 // bit n: highest - n has come
	bad      uint32 // the sequence number that would confirm a jump; above 16 bits none
	received uint64 // since first
	jitter   uint32 // 16 times, in units of the clock (RFC 3550 A.8)
	transit  uint32
	timed    bool   // transit is known
	past     Loss   // of what was counted before
	reported Loss   // what the last report said
	report   report // the sender's own last one
}

// Loss is how many packets were expected and came.
type Loss struct{ Expected, Received uint64 }

// Lost returns how many did not come.
func (l Loss) Lost() uint64 { return l.Expected - min(l.Expected, l.Received) }

const noJump = 1 << 16

// Count counts the packet that arrived at the time now, which is any clock that only goes forward, at a clock rate in Hz. At a rate of 0
// nothing is learnt of the jitter: all packets of a telephone-event bear the time of its begin (RFC 4733 §2.2.1). The number it returns
// is the sequence number with its turns counted.
func (s *Source) Count(p Packet, now time.Duration, rate int) (uint64, Verdict) {
	sequence := p.Sequence()
	if s.first == 0 || p.SSRC() != s.ssrc {
		s.restart(p.SSRC(), sequence)
		s.arrived(p, now, rate)
		return s.highest, Restart
	}
	step := int(int16(sequence - uint16(s.highest)))
	switch {
	case step > 0 && step < maxDropout:
		s.highest += uint64(step)
		s.seen = s.seen<<step | 1
		s.bad = noJump
	case step <= 0 && step > -maxLate:
		bit := uint64(1) << -step
		if s.seen&bit != 0 {
			return 0, Repeated
		}
		s.seen |= bit
		s.received++
		return s.highest - uint64(-step), Fresh
	case uint32(sequence) == s.bad:
		s.restart(s.ssrc, sequence)
		s.arrived(p, now, rate)
		return s.highest, Restart
	default:
		s.bad = uint32(sequence + 1)
		return 0, Repeated
	}
	s.arrived(p, now, rate)
	return s.highest, Fresh
}

// restart begins a count. Everything before its first packet counts as seen: what comes late belongs to the former count.
func (s *Source) restart(ssrc uint32, sequence uint16) {
	s.past = s.Total()
	s.ssrc, s.first, s.seen, s.bad, s.received = ssrc, 1<<16|uint64(sequence), ^uint64(0), noJump, 0
	s.timed = false
	s.highest = s.first
	s.epoch++
}

func (s *Source) arrived(p Packet, now time.Duration, rate int) {
	s.received++
	if rate == 0 {
		return
	}
	transit := uint32(int64(now)*int64(rate/1000)/int64(time.Millisecond)) - p.Timestamp()
	if d := int64(int32(transit - s.transit)); s.timed && max(d, -d) < int64(rate) {
		s.jitter += uint32(max(d, -d)) - (s.jitter+8)>>4
	} // else its clock has stood still or was set, as by phones that were on hold: a second and more is no jitter
	s.transit, s.timed = transit, true
}

// SSRC returns the source that is counted, and whether there is one.
func (s *Source) SSRC() (uint32, bool) { return s.ssrc, s.first != 0 }

// Total returns the loss since the beginning, over all counts.
func (s *Source) Total() Loss {
	if s.first == 0 {
		return s.past
	}
	return Loss{s.past.Expected + s.highest - s.first + 1, s.past.Received + s.received}
}

// Jitter returns the interarrival jitter at a clock rate in Hz (RFC 3550 §6.4.1).
func (s *Source) Jitter(rate int) time.Duration { return span(s.jitter>>4, rate) }

func span(units uint32, rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(units) * time.Second / time.Duration(rate)
}

// Heard remembers the source's own report, for the next block to tell how long ago it came.
func (s *Source) Heard(r SenderReport, now time.Duration) {
	s.report = report{uint32(r.NTP >> 16), now}
}

// Block returns the report block on the source, and begins the interval of the next.
func (s *Source) Block(now time.Duration) (Block, bool) {
	if s.first == 0 {
		return Block{}, false
	}
	total := s.Total()
	expected, received := total.Expected-s.reported.Expected, total.Received-s.reported.Received
	s.reported = total
	b := Block{SSRC: s.ssrc, Highest: uint32(s.highest - 1<<16), Jitter: s.jitter >> 4}
	b.Lost = uint32(min(Loss{s.highest - s.first + 1, s.received}.Lost(), 1<<23-1))
	if s.report.middle != 0 {
		b.LastReport, b.Delay = s.report.middle, uint32((now-s.report.at)*(1<<16)/time.Second)
	}
	if expected > received {
		b.Fraction = uint8(min((expected-received)<<8/expected, 255))
	}
	return b, true
}
