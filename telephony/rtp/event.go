package rtp

import (
	"encoding/binary"
	"time"
)

// digits are the events 0 to 15 (RFC 4733 §3.2); others, such as flash, are relayed and not told.
const digits = "0123456789*#ABCD"

// lapse is how long after its last packet an event is over whose end was lost.
const lapse = time.Second

// lateStamps is by how much less the timestamp of a packet may be that merely comes late: no more than 64 packets are let by, of 60 ms each at
// 48 kHz. A phone whose clock was set back by more, after a hold perhaps, begins another event.
const lateStamps = 1 << 18

// Events follows the telephone-events of one stream. An event is told once, when it ends: its end comes three times, and
// everything it consists of may be lost but one packet (RFC 4733 §2.5.1).
type Events struct {
	stamp    uint32
	duration uint16
	code     byte
	open     bool // begun and not told
	known    bool // stamp is that of an event, told or not
	last     time.Duration
}

// Read takes the payload of an event's packet and its timestamp, and returns the digit that it ended.
func (e *Events) Read(payload []byte, stamp uint32, now time.Duration) (digit byte, ok bool) {
	if len(payload) < 4 || int(payload[0]) >= len(digits) {
		return 0, false
	}
	code, end, duration := payload[0], payload[1]&0x80 != 0, binary.BigEndian.Uint16(payload[2:])
	if e.known && (stamp == e.stamp || e.continues(code, stamp)) {
		e.stamp, e.last, e.duration = stamp, now, max(duration, e.duration)
	} else {
		if back := int32(e.stamp - stamp); e.known && back > 0 && back < lateStamps {
			return 0, false // late, of an event that is over
		}
		digit, ok = e.finish()
		*e = Events{stamp: stamp, code: code, duration: duration, open: true, known: true, last: now}
	}
	if end && !ok {
		return e.finish()
	}
	return digit, ok
}

// continues reports whether a packet goes on with an event that is too long for one duration (RFC 4733 §2.5.1.3).
func (e *Events) continues(code byte, stamp uint32) bool {
	return e.open && code == e.code && e.duration == 0xffff && stamp == e.stamp+0xffff
}

// Lapse returns the digit of an event whose end never came.
func (e *Events) Lapse(now time.Duration) (digit byte, ok bool) {
	if !e.open || now-e.last < lapse {
		return 0, false
	}
	return e.finish()
}

// End returns the digit of an event that is open, and forgets what came: the stream counts its timestamps anew.
func (e *Events) End() (digit byte, ok bool) {
	digit, ok = e.finish()
	*e = Events{}
	return digit, ok
}

func (e *Events) finish() (byte, bool) {
	if !e.open {
		return 0, false
	}
	e.open = false
	return digits[e.code], true
}
