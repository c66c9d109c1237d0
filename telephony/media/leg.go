package media

import (
	"time"

	"demarc/telephony"
	"demarc/telephony/sdp"
)

// leg is one phone's side of its media. Its loop's lock guards it.
type leg struct {
	id       telephony.MediaID
	loop     *loop
	local    sdp.Local
	security sdp.Security // that was agreed; what else was, each stream knows
	audio    *stream
	video    *stream // nil: none was opened
	first    stream  // audio's memory
	told     told
}

// spareLegs are memory of legs that have ended and that nobody knows of any more.
type spareLegs []*leg

const mostSpare = 512 // legs: about 1 MB

func (s *spareLegs) take() *leg {
	n := len(*s)
	if n == 0 {
		return &leg{}
	}
	g := (*s)[n-1]
	(*s)[n-1], *s = nil, (*s)[:n-1]
	return g
}

func (s *spareLegs) give(g *leg) {
	if len(*s) < mostSpare {
		*g = leg{}
		*s = append(*s, g)
	}
}

// told is what has been told of a leg.
type told struct {
	stopped time.Duration // when last
	oneWay  bool
	excess  bool
}

// streams calls f for each media line.
func (g *leg) streams(f func(*stream)) {
	f(g.audio)
	if g.video != nil {
		f(g.video)
	}
}

// sockets calls f for each port.
func (g *leg) sockets(f func(*socket)) {
	g.streams(func(s *stream) {
		f(s.media)
		f(s.control)
	})
}

// join lets two legs hear each other, and nobody else.
func (g *leg) join(with *leg) {
	g.part()
	with.part()
	g.audio.join(with.audio)
	if g.video != nil && with.video != nil {
		g.video.join(with.video)
	}
}

// part takes a leg out of what it hears and is heard in.
func (g *leg) part() { g.streams((*stream).part) }

// partner is the leg that hears this one.
func (g *leg) partner() *leg {
	if g.audio.path.to == nil {
		return nil
	}
	return g.audio.path.to.leg
}

// agree takes over what offer and answer have settled.
func (g *leg) agree(a *sdp.Agreed) error {
	if a.Security == sdp.SDES {
		if err := g.key(a); err != nil {
			return err
		}
	}
	same := g.security == a.Security
	g.security = a.Security
	g.audio.agree(&a.Audio, same, a.Signalled)
	if g.video != nil {
		g.video.agree(&a.Video, same, a.Signalled)
	}
	g.told = told{excess: g.told.excess}
	return nil
}

// key makes what protects and unprotects by the keys of an SDES agreement, of all lines or of none.
func (g *leg) key(a *sdp.Agreed) error {
	fresh := g.security != sdp.SDES
	audio, err := g.audio.key(&a.Audio, fresh)
	if err != nil {
		return err
	}
	if g.video != nil && a.Video.Codec.Name != "" {
		video, err := g.video.key(&a.Video, fresh)
		if err != nil {
			return err
		}
		g.video.take(video)
	}
	g.audio.take(audio)
	return nil
}

// close gives the ports back.
func (g *leg) close() {
	g.part()
	g.streams((*stream).end)
	g.streams(g.loop.keep)
}

// report says how the leg's audio was.
func (g *leg) report() telephony.MediaReport {
	s, rate := g.audio, g.audio.terms.rate
	total := s.in.Total()
	r := telephony.MediaReport{
		Sent: s.out.Packets, Received: total.Received, Lost: total.Lost(), LostThere: s.there.lost,
		Jitter: s.in.Jitter(rate), JitterThere: s.there.jitter, RoundTrip: s.there.roundTrip, Refused: s.refused.count,
		Security: string(g.security),
	}
	switch {
	case g.security == sdp.SDES:
		r.Suite = s.as.RemoteKey.Suite
	case s.session != nil:
		r.Suite = s.session.suite
	}
	if c := &s.as.Codec; c.Name != "" {
		r.Codec = c.String()
	}
	return r
}
