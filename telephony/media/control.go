package media

import (
	"net/netip"
	"time"

	"demarc/telephony/rtp"
)

// reportEvery is the seconds between two reports to a phone (RFC 3550 §6.2: 5 at least on the average, but the first of a call
// between two may come at once).
const reportEvery = 5

// reports reads a compound RTCP packet.
func (l *loop) reports(k *socket, b []byte, from netip.AddrPort) {
	s := k.stream
	if !s.terms.open || !k.control && !s.as.Mux {
		s.refuse(unagreed, from)
		return
	}
	if s.terms.plain {
		if !l.admit(k, from) {
			return
		}
	} else {
		keys := s.ofReports()
		if keys.unprotect == nil {
			s.refuse(keyless, from)
			return
		}
		var err error
		if b, err = keys.unprotect.RTCP(b); err != nil {
			s.refuse(forged, from)
			return
		}
		l.learn(k, from)
	}
	if l.afford(s) && rtp.ReadRTCP(b, (*listener)(s)) {
		s.heard = l.clock.now
	}
}

// ofReports returns what protects RTCP: what its own handshake gave, if it has had one, else what protects RTP.
func (s *stream) ofReports() *keys {
	if s.apart != nil && s.apart.keys.protect != nil {
		return &s.apart.keys
	}
	return &s.keys
}

// listener is a stream as the reader of the phone's reports.
type listener stream

// SenderReport remembers when it came, for our next report to say.
func (s *listener) SenderReport(r rtp.SenderReport) {
	if ssrc, ok := s.in.SSRC(); ok && ssrc == r.SSRC {
		s.in.Heard(r, s.leg.loop.clock.now)
	}
}

// longestJitter bounds what is believed of a phone's jitter: one that lies would be all that the node's metrics show.
const longestJitter = 10 * time.Second

// Block is what the phone says of what we send.
func (s *listener) Block(b rtp.Block) {
	if b.SSRC != s.out.SSRC {
		return
	}
	s.there.lost, s.there.jitter = uint64(b.Lost), min(b.JitterAt(s.terms.rate), longestJitter)
	if t, ok := s.out.RoundTrip(b, s.leg.loop.clock.now); ok {
		s.there.roundTrip = t
	}
}

// mostAsks is how often in a second a phone may ask the other one to repair the picture. One datagram holds more than a hundred such wishes, and
// each costs the other phone a packet, and a whole picture perhaps.
const mostAsks = 200

// Feedback goes to whom the phone sees: which picture to repair.
func (s *listener) Feedback(b []byte) {
	to := s.path.to
	if to == nil || (*stream)(s) != s.leg.video {
		return
	}
	if s.asks == 0 {
		(*stream)(s).refuse(excess, s.media.place.target())
		return
	}
	s.asks--
	source, ok := to.in.SSRC()
	if !ok {
		return
	}
	l := s.leg.loop
	report := rtp.AppendName(rtp.AppendReceiverReport(l.scratch.report[:0], to.out.SSRC), to.out.SSRC, l.name)
	if report, ok = rtp.AppendFeedback(report, b, to.out.SSRC, source, s.out.Original); ok {
		l.transmitControl(to, report)
	}
}

// report sends the phone our own reports on what we send and hear.
func (l *loop) report(s *stream, wall time.Time) {
	if !s.terms.open {
		return
	}
	heard, ok := s.in.Block(l.clock.now)
	s.terms.reported = s.terms.reported || ok
	blocks := []rtp.Block{heard}[:0]
	if ok {
		blocks = append(blocks, heard)
	}
	b := l.scratch.report[:0]
	if own, ok := s.out.Report(l.clock.now, wall, s.terms.rate); ok {
		b = rtp.AppendSenderReport(b, own, blocks...)
	} else {
		b = rtp.AppendReceiverReport(b, s.out.SSRC, blocks...)
	}
	l.transmitControl(s, rtp.AppendName(b, s.out.SSRC, l.name))
}

func (l *loop) transmitControl(s *stream, b []byte) {
	k := s.control
	if s.as.Mux {
		k = s.media
	}
	if s.terms.plain {
		k.send(b)
		return
	}
	keys := s.ofReports()
	if keys.protect == nil {
		return
	}
	if sealed, err := keys.protect.RTCP(l.scratch.out[:0], b); err == nil {
		k.send(sealed)
	}
}
