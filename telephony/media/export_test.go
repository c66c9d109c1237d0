package media

import "demarc/telephony"

// Certificate is what a browser is shown.
func (m *Media) Certificate() []byte { return m.identity.DER() }

// Warm counts the pairs of ports that are kept for the next legs.
func (m *Media) Warm() (n int) {
	for _, l := range m.loops {
		l.mu.Lock()
		n += l.warm.size()
		l.mu.Unlock()
	}
	return n
}

// KeepFilesBelow says what the numbers of files stay below that are kept.
func (m *Media) KeepFilesBelow(number int) {
	for _, l := range m.loops {
		l.mu.Lock()
		l.warm.files = number
		l.mu.Unlock()
	}
}

// Graded is a Quality that tests add to.
type Graded struct{ Quality }

// NewQuality returns an empty one.
func NewQuality() *Graded { return &Graded{newQuality()} }

// Add takes a leg that has ended.
func (g *Graded) Add(r telephony.MediaReport) { g.add(r) }

// PassFormerTime lets the time pass for which a leg's names from before a restart of ICE are good.
func (m *Media) PassFormerTime(id telephony.MediaID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.legs[id]
	g.loop.mu.Lock()
	defer g.loop.mu.Unlock()
	g.streams(func(s *stream) { s.checks.ends -= formerTime })
}

// Take has a leg take a packet as if it had come from its phone.
func (m *Media) Take(id telephony.MediaID, packet []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.legs[id]
	g.loop.mu.Lock()
	defer g.loop.mu.Unlock()
	g.loop.packet(g.audio, packet)
}
