package media

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"demarc/telephony"
	"demarc/telephony/rtp"
	"demarc/telephony/sdp"
)

// Open takes ports for a leg and makes what is said of it in SDP.
func (m *Media) Open(o telephony.MediaOpening) (sdp.Local, error) {
	bind, told, err := m.addresses(o)
	if err != nil {
		return sdp.Local{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped:
		return sdp.Local{}, ErrStopped
	case m.legs[o.ID] != nil:
		return sdp.Local{}, fmt.Errorf("%w: %d", ErrOpen, o.ID)
	}
	g := m.spare.take()
	g.id, g.local = o.ID, sdp.Local{Addr: told, Fingerprint: m.identity.Fingerprint}
	var by rtp.Credentials
	by, g.local.Seed = rtp.NewCredentials()
	g.begin(o.Video && m.config.Video, by)
	if l := m.idlest(); !l.welcome(g, bind) {
		if err := m.equip(l, g, bind); err != nil {
			g.streams(l.dismiss)
			return sdp.Local{}, err
		}
	}
	g.local.Audio = g.audio.line(o.Open, by)
	if g.video != nil {
		g.local.Video = g.video.line(o.Open, by)
	}
	m.legs[o.ID] = g
	return g.local, nil
}

// begin makes the media lines of a leg, which have no ports yet. From when they have some, they are the loop's.
func (g *leg) begin(video bool, by rtp.Credentials) {
	g.audio = &g.first
	g.audio.leg, g.audio.out = g, rtp.NewSender(true)
	if video {
		g.video = &stream{leg: g, out: rtp.NewSender(false)}
	}
	g.streams(func(s *stream) { s.left, s.asks, s.checks.Now = s.most(), mostAsks, by })
}

// line is what is said of a media line in SDP. Where strangers can listen it has no keys.
func (s *stream) line(open bool, by rtp.Credentials) sdp.Line {
	line := sdp.Line{RTP: s.media.port, RTCP: s.control.port, Ufrag: by.Ufrag, Pwd: by.Pwd}
	if !open {
		line.Keys = rtp.NewKeys()
	}
	return line
}

// equip binds ports for the lines of a leg that have none, and brings the leg to a loop. The kernel takes its time for that, and so no
// loop waits for it.
func (m *Media) equip(l *loop, g *leg, at netip.Addr) (err error) {
	g.streams(func(s *stream) {
		if err == nil && s.media == nil {
			s.media, s.control, err = m.bind(at)
		}
	})
	if err != nil {
		return err
	}
	return l.adopt(g)
}

// bind binds a pair of ports. Where no port or file is left for it, those that are kept for other legs make room.
func (m *Media) bind(at netip.Addr) (media, control *socket, err error) {
	for {
		media, control, err = m.ports.takePair(at)
		if !errors.Is(err, ErrNoPorts) && !errors.Is(err, unix.EMFILE) || !m.coolOne() {
			return media, control, err
		}
	}
}

// coolOne closes a pair that a loop keeps; false when there is none.
func (m *Media) coolOne() bool {
	return slices.ContainsFunc(m.loops, (*loop).coolOne)
}

// idlest returns the loop with the fewest legs.
func (m *Media) idlest() *loop {
	return slices.MinFunc(m.loops, func(a, b *loop) int { return cmp.Compare(a.carries.Load(), b.carries.Load()) })
}
