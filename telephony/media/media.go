package media

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"demarc/telephony"
	"demarc/telephony/rtp"
	"demarc/telephony/sdp"
)

// Media is all media of a node.
type Media struct {
	config Config
	ports  *pool
	routes routes
	loops  []*loop

	identity   *rtp.Identity
	sounds     map[string][]int16
	handshakes sync.WaitGroup

	mu      sync.Mutex // taken before a loop's
	legs    map[telephony.MediaID]*leg
	spare   spareLegs
	quality Quality
	stopped bool
}

// New returns the media of a node. Serve must be called, which also releases what New has taken.
func New(c Config) (*Media, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	identity, err := rtp.NewIdentity()
	if err != nil {
		return nil, err
	}
	sounds, err := c.loadSounds()
	if err != nil {
		return nil, err
	}
	m := &Media{config: c, ports: newPool(c.Ports), identity: identity, sounds: sounds, legs: map[telephony.MediaID]*leg{}, quality: newQuality()}
	begun := time.Now().Add(-time.Second)       // one clock for all: legs move between loops; 0 stands for never
	name := fmt.Sprintf("%016x", rand.Uint64()) // says nothing of this machine (RFC 7022 §4.2)
	for range c.Loops {
		l, err := newLoop(begun, c.Timeout, name, m.ports)
		if err != nil {
			m.close()
			return nil, err
		}
		l.warm.limit, l.warm.files = mostWarm/c.Loops, warmFiles()
		l.shake = func(ctx context.Context, s *session) { m.handshakes.Go(func() { m.associate(ctx, s) }) }
		m.loops = append(m.loops, l)
	}
	return m, nil
}

// Serve relays until the context ends. Then every port is closed.
func (m *Media) Serve(ctx context.Context) {
	var loops sync.WaitGroup
	for _, l := range m.loops {
		loops.Go(func() { l.run(ctx, m.config.Events) })
	}
	<-ctx.Done()
	m.mu.Lock()
	m.stopped = true
	clear(m.legs)
	m.mu.Unlock()
	loops.Wait()
	m.handshakes.Wait()
}

func (m *Media) close() {
	for _, l := range m.loops {
		l.close()
	}
}

// Agree takes over what a completed offer and answer have settled. Until the next one plain RTP comes from one place alone.
func (m *Media) Agree(id telephony.MediaID, a sdp.Agreed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.legs[id]
	if g == nil {
		return fmt.Errorf("%w: %d", ErrUnknown, id)
	}
	g.loop.mu.Lock()
	defer g.loop.mu.Unlock()
	return g.agree(&a)
}

// Close gives the ports of a leg back and says how its audio was. Of one that is not open it says nothing.
func (m *Media) Close(id telephony.MediaID) telephony.MediaReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.legs[id]
	if g == nil {
		return telephony.MediaReport{}
	}
	delete(m.legs, id)
	l := g.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.legs[id] != g {
		return g.report() // the media has been stopped
	}
	report := g.report() // while the leg has its DTLS still, whose suite is in it
	l.forget(g)
	g.close()
	m.quality.add(report)
	m.spare.give(g)
	return report
}

// Report says how a leg's audio is so far; of one that is not open it says nothing.
func (m *Media) Report(id telephony.MediaID) telephony.MediaReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.legs[id]
	if g == nil {
		return telephony.MediaReport{}
	}
	g.loop.mu.Lock()
	defer g.loop.mu.Unlock()
	return g.report()
}

// Relay lets two legs hear each other from now on, and nobody else.
func (m *Media) Relay(a, b telephony.MediaID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one, other := m.legs[a], m.legs[b]
	if one == nil || other == nil || one == other || !m.together(one, other) {
		return // closed meanwhile
	}
	one.loop.mu.Lock()
	defer one.loop.mu.Unlock()
	one.join(other)
}

// Play lets a leg hear a sound by its name and nobody hear it: "music", an announcement, or a tone (dial, ringing, busy, congestion,
// beep), over and over or once, which PlayEnded tells. A leg whose codec is not G.711 hears silence, and so does whoever is to hear a sound
// that nobody knows.
func (m *Media) Play(id telephony.MediaID, what string, loop bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.legs[id]
	if g == nil {
		return
	}
	g.loop.mu.Lock()
	defer g.loop.mu.Unlock()
	g.part()
	samples, ok := m.sound(what)
	if !ok {
		m.config.Logger.Warn("there is no such sound: put it into telephony.media.announcements", "sound", what)
		return
	}
	g.loop.start(g.audio, samples, loop)
}

// Mix lets all legs hear all others, and nobody else. Each call takes them out of what they were part of; who was with them before and
// is not named stays there.
func (m *Media) Mix(ids ...telephony.MediaID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var legs []*leg
	for _, id := range ids {
		if g := m.legs[id]; g != nil && (len(legs) == 0 || m.together(legs[0], g)) {
			legs = append(legs, g)
		}
	}
	if len(legs) == 0 {
		return
	}
	l := legs[0].loop
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &room{}
	for _, g := range legs {
		g.part()
		l.enter(r, g.audio)
	}
}

// Hush lets a leg hear nothing, and nobody hear it.
func (m *Media) Hush(id telephony.MediaID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g := m.legs[id]; g != nil {
		g.loop.mu.Lock()
		defer g.loop.mu.Unlock()
		g.part()
	}
}

// together brings a leg to the loop of another one, out of whatever it was part of.
func (m *Media) together(stays, moves *leg) bool {
	if stays.loop == moves.loop {
		return true
	}
	if !moves.loop.leave(moves) {
		return false
	}
	if err := stays.loop.adopt(moves); err != nil {
		m.config.Logger.Error("media of a leg is lost", "id", moves.id, "error", err)
		delete(m.legs, moves.id)
		moves.streams((*stream).end)
		moves.streams(stays.loop.dismiss)
		return false
	}
	return true
}
