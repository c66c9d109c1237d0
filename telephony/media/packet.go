package media

import (
	"fmt"
	"net/netip"

	"demarc/telephony"
	"demarc/telephony/rtp"
)

// datagram is the way of what came in.
func (l *loop) datagram(k *socket, b []byte, from netip.AddrPort) {
	s := k.stream
	switch rtp.KindOf(b) {
	case rtp.RTP:
		if p, ok := l.accept(k, b, from); ok {
			l.packet(s, p)
		}
	case rtp.RTCP:
		l.reports(k, b, from)
	case rtp.STUN:
		l.check(k, b, from)
	case rtp.DTLS:
		l.handshake(k, b, from)
	default:
		s.refuse(malformed, from)
	}
}

// accept lets in what is authentic, or comes from where plain RTP has to.
func (l *loop) accept(k *socket, b []byte, from netip.AddrPort) (rtp.Packet, bool) {
	s := k.stream
	if k.control || !s.terms.open {
		s.refuse(unagreed, from)
		return nil, false
	}
	var p rtp.Packet
	ok, fault := false, keyless
	switch {
	case s.terms.plain:
		if k.age < grown && !l.admit(k, from) {
			return nil, false
		}
		p, ok = rtp.Read(b)
		fault = malformed
	case s.keys.unprotect != nil:
		var err error
		fault = forged
		if p, err = s.keys.unprotect.RTP(b); err == nil {
			ok = true
			l.learn(k, from)
		}
	}
	if !ok {
		s.refuse(fault, from)
		return nil, false
	}
	return p, true
}

// admit lets a plain packet in by where it comes from.
func (l *loop) admit(k *socket, from netip.AddrPort) bool {
	ok, found := k.place.admits(from)
	if !ok {
		k.stream.refuse(elsewhere, from)
	}
	if found {
		k.settle(k.stream.exclusive())
	}
	return ok
}

// learn remembers where an authentic packet came from.
func (l *loop) learn(k *socket, from netip.AddrPort) {
	if k.age >= grown || k.stream.as.RemoteUfrag != "" {
		return // it can be nobody else; or ICE's checks tell where to
	}
	if k.place.found == from && (k.linked || !k.stream.exclusive()) {
		return
	}
	k.place.found = from
	k.settle(k.stream.exclusive())
}

func (s *stream) refuse(w why, from netip.AddrPort) {
	s.leg.loop.tally.refused[w]++
	s.refused.count++
	switch w {
	case elsewhere, keyless, forged:
		s.refused.media++
		s.refused.from = from
	}
}

// mostAudio and mostVideo are how many packets a second are let in of a line: more than twice what the shortest frames take (2.5 ms, Opus), and a
// picture of 40 Mbit/s. Whoever sends more would have the loop work for him alone, or, with legs that tell each other's ports in their SDP, for
// nobody: what goes round there comes back as fast as it is sent on.
const (
	mostAudio = 1000
	mostVideo = 5000
)

// most is how many packets a second are let in.
func (s *stream) most() int {
	if s == s.leg.video {
		return mostVideo
	}
	return mostAudio
}

// afford reports whether one more packet is let in this second. Packets that prove nothing of themselves are none of these: nobody can use up
// what is somebody else's.
func (l *loop) afford(s *stream) bool {
	if s.left > 0 {
		s.left--
		return true
	}
	s.refuse(excess, s.media.place.target())
	if g := s.leg; !g.told.excess {
		g.told.excess = true
		l.tell(telephony.MediaEvent{ID: g.id, Kind: telephony.MediaExcess,
			Text: fmt.Sprintf("More than %d packets a second come from the phone: the rest is thrown away.", s.most())})
	}
	return false
}

// packet counts an accepted packet and sends it on.
func (l *loop) packet(s *stream, p rtp.Packet) {
	s.heard = l.clock.now
	if !l.afford(s) {
		return
	}
	if !s.terms.flows {
		s.terms.flows = true
		l.tell(telephony.MediaEvent{ID: s.leg.id, Kind: telephony.MediaFlows})
	}
	digit, rate := s.terms.digitsReceive != 0 && p.PayloadType() == s.terms.digitsReceive, s.terms.rate
	if digit {
		rate = 0
	}
	number, verdict := s.in.Count(p, l.clock.now, rate)
	if verdict == rtp.Repeated || !s.terms.receives {
		return
	}
	if verdict == rtp.Restart {
		ended, ok := s.digits.End()
		l.digit(s, ended, ok)
	}
	if digit {
		ended, ok := s.digits.Read(p.Payload(), p.Timestamp(), l.clock.now)
		l.digit(s, ended, ok)
	} else if p.PayloadType() != s.terms.receive { // not agreed on: the other side could not know what it is
		s.skip(number)
		return
	}
	switch {
	case s.path.to != nil:
		l.relay(s, p, number, digit)
	case s.path.room != nil && !digit:
		l.listen(s, p)
	}
}

// relay sends a packet to who hears the stream.
func (l *loop) relay(s *stream, p rtp.Packet, number uint64, digit bool) {
	to := s.path.to
	payload := to.terms.send
	if digit {
		payload = to.terms.digitsSend
	}
	if digit && payload == 0 {
		s.skip(number)
		return
	}
	if !to.terms.sends || !to.out.Forward(p, &s.in, number, l.clock.now, s.terms.rate) {
		return
	}
	p.SetPayloadType(payload)
	l.tally.relayed++
	l.transmit(to, p)
}

// skip lets who hears the stream not miss a packet that is not for him, such as a digit or comfort noise: it would count as lost. Of a
// picture there is none, and who asks for its packets again names them by number.
func (s *stream) skip(number uint64) {
	if s.path.to != nil && s == s.leg.audio {
		s.path.to.out.Skip(&s.in, number)
	}
}

// transmit protects a numbered packet and sends it.
func (l *loop) transmit(to *stream, p rtp.Packet) {
	if to.terms.plain {
		to.media.send(p)
		return
	}
	if to.keys.protect == nil {
		return // no keys yet
	}
	if b, err := to.keys.protect.RTP(l.scratch.out[:0], p); err == nil {
		to.media.send(b) // an error is the key's end after 2^48 packets
	}
}
