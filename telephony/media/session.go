package media

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/rtp"
	"demarc/telephony/sdp"
)

// A handshake that takes longer has failed. linger is how long the end of a handshake is repeated to a phone that missed it: then
// all that DTLS holds is forgotten, and the keys alone are left.
const (
	handshakeTime = 20 * time.Second
	linger        = 10 * time.Second
	maxHandshakes = 5 // that may fail
)

// session is the DTLS of a port of a media line.
type session struct {
	*tunnel
	id       telephony.MediaID
	stream   *stream
	of       *association
	client   bool // we have begun it
	expected []sdp.Fingerprint
	suite    string // once it is there
	cancel   context.CancelFunc
}

// handshake hands a datagram of DTLS to the session of its port, which the first one begins unless that is for us to do. With ICE it
// must come from where a check has come from; without it from where plain RTP would have to.
func (l *loop) handshake(k *socket, b []byte, from netip.AddrPort) {
	s := k.stream
	if k.control && s.as.Mux || !s.terms.open || s.leg.security != sdp.DTLS || !l.reached(k, from) {
		s.refuse(unprompted, from)
		return
	}
	a := k.association()
	if a.session == nil {
		l.associate(k, from)
	}
	a.session.deliver(b)
}

// association returns whose handshake a port's is.
func (k *socket) association() *association {
	s := k.stream
	if !k.control {
		return &s.association
	}
	if s.apart == nil {
		s.apart = &association{}
	}
	return s.apart
}

// aim says where the phone is that a port's handshake is with.
func (k *socket) aim(at netip.AddrPort) {
	if k.control && k.stream.apart == nil {
		return
	}
	if a := k.association(); a.session != nil {
		a.session.aim(at)
	}
}

// associate begins a session with a phone, in the role that was agreed on.
func (l *loop) associate(k *socket, at netip.AddrPort) {
	ctx, cancel := context.WithTimeout(l.serving, handshakeTime)
	s, a := k.stream, k.association()
	a.session = &session{
		tunnel: newTunnel(k.fd, at), id: s.leg.id, stream: s, of: a, client: s.as.Active,
		expected: slices.Clone(s.as.Fingerprints), cancel: cancel,
	}
	l.shake(ctx, a.session)
}

// initiate begins the handshakes with a phone that waits for them (a=setup:passive).
func (l *loop) initiate(s *stream) {
	if !s.as.Active || !s.terms.open || s.leg.security != sdp.DTLS || l.serving == nil {
		return
	}
	l.initiateAt(s.media)
	if !s.as.Mux {
		l.initiateAt(s.control)
	}
}

// initiateAt begins the handshake of a port, as soon as it is known where the phone's is: with ICE after its first check, else where its SDP
// says. One that has failed is begun again a second later.
func (l *loop) initiateAt(k *socket) {
	if a := k.association(); a.session != nil || a.failures >= maxHandshakes {
		return
	}
	at := k.place.target()
	if k.stream.as.RemoteUfrag != "" {
		at = k.place.found
	}
	if at.IsValid() {
		l.associate(k, at)
	}
}

func (l *loop) reached(k *socket, from netip.AddrPort) bool {
	if k.stream.as.RemoteUfrag != "" {
		return k.place.found == from
	}
	ok, found := k.place.admits(from)
	if found {
		k.settle(false)
	}
	return ok
}

// failed lets another handshake begin. It is told when that is of no use: an alert without protection, which anybody can
// send who forges an address, must not end a call. One of RTCP alone costs reports, and no sound.
func (s *stream) failed(a *association, err error) {
	a.session = nil
	a.failures++
	if a == s.apart {
		return
	}
	if errors.Is(err, rtp.ErrFingerprint) || errors.Is(err, context.DeadlineExceeded) || a.failures == maxHandshakes {
		s.leg.loop.tally.unsecured++
		s.leg.loop.tell(telephony.MediaEvent{ID: s.leg.id, Kind: telephony.SecurityFailed, Text: err.Error()})
	}
}

// end forgets the sessions; the handshakes' goroutines end by themselves.
func (s *stream) end() {
	s.association.end()
	s.endApart()
}

func (s *stream) endApart() {
	if s.apart != nil {
		s.apart.end()
		s.apart = nil
	}
}

func (a *association) end() {
	if a.session != nil {
		a.session.mute()
		a.session.cancel()
		a.session = nil
	}
}

// associate does the handshake of a session, and holds its end for a while.
func (m *Media) associate(ctx context.Context, s *session) {
	defer s.cancel()
	shake := m.identity.Accept
	if s.client {
		shake = m.identity.Connect
	}
	a, err := shake(ctx, s.tunnel, nobody{}, s.expected)
	m.secured(s, a, err)
	if err != nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(linger):
	}
	s.mute() // not a word to the phone: it would take the end of DTLS for the end of the media
	if err := a.Close(); err != nil {
		m.config.Logger.Debug("end of a DTLS association", "id", s.id, "error", err)
	}
}

// secured takes over what a handshake gave, unless the line has gone on to another one.
func (m *Media) secured(s *session, a *rtp.Association, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.legs[s.id]
	if g == nil {
		return
	}
	l := g.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.of.session != s {
		return
	}
	defer l.poller.rouse()
	if err != nil {
		s.stream.failed(s.of, err)
		return
	}
	s.suite = a.Suite
	s.of.keys = keys{protect: a.Protection, unprotect: a.Unprotection}
	s.stream.heard = l.clock.now
}
