package edge

import (
	"demarc/telephony"
	"demarc/telephony/trace"
	"demarc/telephony/wire"
)

// Tracer remembers messages; it copies what it keeps and never blocks for long.
type Tracer interface{ Record(m trace.Message) }

// tapped shows a message that came in to the tracer.
func (e *Edge) tapped(f *flow, m *wire.Message) {
	if e.cfg.Trace == nil {
		return
	}
	text := m.Head
	if len(m.Body) > 0 {
		text = append(append(make([]byte, 0, len(m.Head)+len(m.Body)), m.Head...), m.Body...)
	}
	e.tap(f, phoneOf(m), true, text)
}

// tap shows a message to or from a phone.
func (e *Edge) tap(f *flow, aor telephony.AoR, inbound bool, text []byte) {
	if e.cfg.Trace == nil {
		return
	}
	defer e.recovered("trace") // who only watches must not end what is watched
	e.cfg.Trace.Record(trace.Message{
		At: e.cfg.Now(), AoR: aor, Inbound: inbound, Known: f.known.Load(), Transport: f.Transport, Local: f.local,
		Remote: f.Remote, Text: text,
	})
}

// phoneOf says whose phone sent the message: who registers, who asks, or who was asked.
func phoneOf(m *wire.Message) telephony.AoR {
	if !m.IsRequest() || m.Is("REGISTER") {
		aor, _ := m.ToAoR()
		return aor
	}
	aor, _ := aorOf(m.FromAddr())
	return aor
}
