package media

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/telephony/rtp"
	"demarc/telephony/sdp"
)

// stream is one media line of a leg. What every packet needs stands first, close together.
type stream struct {
	terms       terms
	media       *socket
	heard       time.Duration // when the last packet was accepted, RTCP included
	path        path
	association // of RTP, and of RTCP where that has none apart
	former      protected
	in          rtp.Source
	out         rtp.Sender
	leg         *leg
	control     *socket
	digits      rtp.Events
	left        int          // of the packets that are let in this second
	asks        int          // of what the phone may ask of the other one in this second
	apart       *association // of RTCP at a port of its own, with DTLS (RFC 5764 §3); nil: none has begun
	checks      checks
	refused     refused
	there       there
	as          sdp.Stream
}

// terms is what was agreed, as each packet asks for it.
type terms struct {
	open                      bool // the line was agreed on
	plain                     bool // packets prove nothing
	sends, receives           bool // we to the phone, and from it
	flows                     bool // something was accepted: it was told
	reported                  bool // the phone got a report on what it sent
	send, receive             uint8
	digitsSend, digitsReceive uint8
	rate                      int // of the codec's clock, in Hz
}

func (t *terms) agree(as *sdp.Stream, security sdp.Security) {
	t.open, t.plain = as.Codec.Name != "", security == sdp.Plain
	t.sends, t.receives = t.open && as.Direction.Sends(), t.open && as.Direction.Receives()
	t.send, t.receive, t.digitsSend, t.digitsReceive = as.Send, as.Receive, as.DTMFSend, as.DTMFRecv
	if t.rate = as.Codec.Rate; t.rate <= 0 {
		t.rate = 8000
	}
}

// path is what a stream hears and who hears it: one of these.
type path struct {
	to     *stream // each hears the other
	player *player
	room   *room
	member *member // as which it is in the room
}

// refused is the packets that were not let in.
type refused struct {
	count uint64
	media uint64         // of them, media that came from elsewhere, or was not protected as agreed
	from  netip.AddrPort // the last of those
}

// keys protect what is sent and unprotect what comes; nil while there are none.
type keys struct {
	protect   *rtp.Protection
	unprotect *rtp.Unprotection
	of        [2]sdp.Key // SDES: ours and the phone's, of which they were made
}

// association is what protects a port.
type association struct {
	keys     keys
	session  *session // DTLS: begun or ended well; nil before
	failures uint8    // of DTLS handshakes
}

// protected is the keys of SDES that have protected what is sent, and do not any more.
type protected []account.Secret

func (p *protected) add(k *keys) {
	if k.of[0].Key != "" {
		*p = append(*p, k.of[0].Key)
	}
}

// there is what the phone reports of what we send.
type there struct {
	lost              uint64
	jitter, roundTrip time.Duration
}

// agree takes over what a media line has settled.
func (s *stream) agree(as *sdp.Stream, sameSecurity bool, signalled netip.Addr) {
	security, turned := s.leg.security, as.Direction != s.as.Direction || !s.terms.open
	switch {
	case security == sdp.DTLS && (!sameSecurity || !sameFingerprints(as.Fingerprints, s.as.Fingerprints)), security == sdp.Plain:
		s.end()
		s.take(keys{})
	case security == sdp.SDES:
		s.end()
	case as.Mux:
		s.endApart()
	}
	checked := s.as.RemoteUfrag != "" && as.RemoteUfrag != ""
	s.as = *as
	s.terms.agree(as, security)
	s.checks.restart(as, s.leg.loop.clock.now)
	s.settle(s.media, newPlace(as.Remote, signalled), checked)
	s.settle(s.control, newPlace(as.RemoteRTCP, signalled), checked)
	s.leg.loop.initiate(s)
	if turned {
		s.heard = s.leg.loop.clock.now // the time-out begins
		s.out.Break()
		if s.path.to != nil {
			s.path.to.out.Break()
		}
	}
}

// key makes the keys of an SDES line. A key that stays keeps what was made of it: the same key must never number packets anew
// (RFC 3711 §9.1), nor forget which ones have come.
func (s *stream) key(as *sdp.Stream, fresh bool) (keys, error) {
	made := s.keys
	var err error
	if fresh || !sameKey(as.LocalKey, made.of[0]) {
		if made.protect, err = rtp.NewProtection(as.LocalKey); err != nil {
			return made, fmt.Errorf("%w: our key: %w", ErrAgreed, err)
		}
	}
	if fresh || !sameKey(as.RemoteKey, made.of[1]) {
		if made.unprotect, err = rtp.NewUnprotection(as.RemoteKey); err != nil {
			return made, fmt.Errorf("%w: the phone's key: %w", ErrAgreed, err)
		}
		if !fresh {
			made.unprotect.Follow(s.keys.unprotect)
		}
	}
	made.of = [2]sdp.Key{as.LocalKey, as.RemoteKey}
	return made, nil
}

// take has other keys from now on. One that has been in use before would number the packets that it protects from the beginning again.
func (s *stream) take(k keys) {
	if k.protect == s.keys.protect {
		s.keys = k
		return
	}
	s.former.add(&s.keys)
	if slices.Contains(s.former, k.of[0].Key) {
		s.out.Renew()
	}
	s.keys = k
}

func sameKey(a, b sdp.Key) bool { return a.Suite == b.Suite && a.Key == b.Key }

func sameFingerprints(a, b []sdp.Fingerprint) bool {
	return slices.EqualFunc(a, b, func(f, g sdp.Fingerprint) bool {
		return strings.EqualFold(f.Hash, g.Hash) && strings.EqualFold(f.Value, g.Value)
	})
}

// settle takes over where a phone says that it is. One that checks has found stays where those say: what its SDP names means nothing to
// them, and changes with every candidate.
func (s *stream) settle(k *socket, p place, checked bool) {
	if checked {
		p.found = k.place.found
	}
	if checked || !k.place.sameAs(p) {
		k.place = p
	}
	k.settle(s.exclusive())
}

// exclusive reports whether only the place that was found may send: not with ICE, whose checks come from everywhere.
func (s *stream) exclusive() bool { return s.as.RemoteUfrag == "" }

// join lets two streams hear each other.
func (s *stream) join(with *stream) {
	s.path.to, with.path.to = with, s
	s.out.Break()
	with.out.Break()
}

// part takes a stream out of what it hears and is heard in.
func (s *stream) part() {
	if s.path.to != nil {
		s.path.to.path.to, s.path.to = nil, nil
	}
	if s.path.player != nil {
		s.leg.loop.silence(s)
	}
	if s.path.room != nil {
		s.leg.loop.leaveRoom(s)
	}
}
