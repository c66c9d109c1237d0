package rtp

import (
	"math/rand/v2"
	"time"
)

// Sender numbers one stream that we send. It keeps one SSRC and counts on without a gap whoever feeds it: what is heard can
// change from a phone to music and to another phone, and the listener's decoder, and the index that SRTP draws its key stream
// from (RFC 3711 §3.3.1), never step back.
type Sender struct {
	SSRC            uint32
	Packets, Octets uint64
	Spurts          bool // of audio: a marker tells that something else begins (RFC 3551 §4.1); in video it means the end of a picture

	source  *Source // who feeds it; nil: whoever comes next begins anew
	epoch   uint32  // of the source
	own     bool    // we feed it ourselves
	shift   uint64  // added to the source's numbers
	floor   uint64  // the first number of this source
	last    uint64  // the highest number sent
	ahead   uint32  // added to the source's timestamps
	stamp   uint32  // the highest timestamp sent
	sent    time.Duration
	reports report
}

// report remembers a sender report, to know the round trip by its echo.
type report struct {
	middle uint32 // of its NTP time
	at     time.Duration
}

// NewSender returns a sender with random beginnings (RFC 3550 §5.1). The first sequence number is in the lower half, so that a
// listener who misses the first packets does not miss a turn (RFC 3711 §3.3.1).
func NewSender(spurts bool) Sender {
	return Sender{Spurts: spurts, SSRC: rand.Uint32(), last: 1<<16 | rand.Uint64N(1<<14), stamp: rand.Uint32()}
}

// Forward renumbers a packet of the source, which counted it as number, and reports whether it may be sent: a late one from
// before the source began to feed this sender may not.
func (s *Sender) Forward(p Packet, from *Source, number uint64, now time.Duration, rate int) bool {
	if s.source != from || s.epoch != from.epoch {
		s.turnTo(from, number, p.Timestamp(), now, rate)
		s.mark(p)
	}
	n := number + s.shift
	if int64(n-s.floor) < 0 {
		return false
	}
	stamp := p.Timestamp() + s.ahead
	p.Renumber(uint16(n), stamp, s.SSRC)
	if int64(n-s.last) > 0 {
		s.last, s.stamp, s.sent = n, stamp, now
	}
	s.count(p)
	return true
}

// Skip leaves out a packet of the source that is for nobody here: what comes after it follows what was sent last, so that the listener
// misses nothing. Late ones from before it can have no number any more.
func (s *Sender) Skip(from *Source, number uint64) {
	if s.source == from && s.epoch == from.epoch && number+s.shift == s.last+1 {
		s.shift--
		s.floor = s.last + 1
	}
}

// Next numbers a packet of our own, which is samples later than the one before.
func (s *Sender) Next(p Packet, samples uint32, now time.Duration, rate int) {
	if !s.own {
		s.stamp += s.pause(now, rate)
		s.source, s.own = nil, true
		s.mark(p)
	} else {
		s.stamp += samples
	}
	s.last++
	s.sent = now
	p.Renumber(uint16(s.last), s.stamp, s.SSRC)
	s.count(p)
}

// Renew goes on as another source, numbered anew: a key that protected this one begins to count its packets again, and must protect none of
// the same number twice (RFC 3711 §9.1). What was sent stays counted.
func (s *Sender) Renew() {
	s.Break()
	again := NewSender(s.Spurts)
	s.SSRC, s.last = again.SSRC, again.last
}

// Break lets whatever is sent next follow without a gap, the same source too: it was not heard for a while.
func (s *Sender) Break() { s.source, s.own = nil, false }

// turnTo lets the source's number follow the last one sent, and its timestamp be as much later as time has passed.
func (s *Sender) turnTo(from *Source, number uint64, stamp uint32, now time.Duration, rate int) {
	s.source, s.epoch, s.own = from, from.epoch, false
	s.floor = s.last + 1
	s.shift = s.floor - number
	s.ahead = s.stamp + s.pause(now, rate) - stamp
}

func (s *Sender) pause(now time.Duration, rate int) uint32 {
	if s.sent == 0 {
		return 0
	}
	return uint32(max(int64(now-s.sent), int64(time.Millisecond)) * int64(rate/1000) / int64(time.Millisecond))
}

func (s *Sender) mark(p Packet) {
	if s.Spurts {
		p.SetMarker()
	}
}

func (s *Sender) count(p Packet) {
	s.Packets++
	s.Octets += uint64(len(p) - HeaderSize)
}

// Report returns the sender report of the time now; wall is the same in wall time. It is false before anything was sent.
func (s *Sender) Report(now time.Duration, wall time.Time, rate int) (SenderReport, bool) {
	if s.Packets == 0 {
		return SenderReport{}, false
	}
	ntp := ntpTime(wall)
	s.reports = report{uint32(ntp >> 16), now}
	return SenderReport{
		SSRC: s.SSRC, NTP: ntp, Timestamp: s.stamp + s.pause(now, rate), Packets: uint32(s.Packets), Octets: uint32(s.Octets),
	}, true
}

// RoundTrip returns the time to the phone and back by its report on what we sent (RFC 3550 §6.4.1); ok is false when the block does
// not speak of our last report.
func (s *Sender) RoundTrip(b Block, now time.Duration) (t time.Duration, ok bool) {
	if b.LastReport == 0 || b.LastReport != s.reports.middle {
		return 0, false
	}
	return max(0, now-s.reports.at-time.Duration(b.Delay)*time.Second/(1<<16)), true
}

// Original returns which of the source's sequence numbers became n: feedback speaks of ours, its addressee knows its own.
func (s *Sender) Original(n uint16) uint16 { return n - uint16(s.shift) }

// ntpTime returns the NTP timestamp, seconds since 1900 in the upper half (RFC 3550 §4).
func ntpTime(t time.Time) uint64 {
	const from1900 = 2208988800
	return uint64(t.Unix()+from1900)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}
