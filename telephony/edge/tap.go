package edge

import (
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/trace"
	"demarc/telephony/wire"
)

// Tracer remembers messages; it copies what it keeps and never blocks for long.
type Tracer interface{ Record(m trace.Message) }

// tapped shows a message that came in at a time to the tracer.
func (e *Edge) tapped(f *flow, m *wire.Message, came time.Time) {
	if e.cfg.Trace == nil {
		return
	}
	shown := inbound(m, came)
	e.show(f, phoneOf(m), &shown)
}

// seen shows what came last over a flow to the tracer, unless that is done.
func (e *Edge) seen(f *flow) {
	if m := f.unseen; m != nil {
		f.unseen = nil
		e.tapped(f, m, f.heard)
	}
}

// seenWith shows what came last over a flow together with what answers it.
func (e *Edge) seenWith(f *flow, aor telephony.AoR, answer []byte) {
	m := f.unseen
	f.unseen = nil
	if e.cfg.Trace == nil {
		return
	}
	shown := inbound(m, f.heard)
	shown.Answer = answer
	e.show(f, aor, &shown)
}

// inbound is a message that came in at a time, as it is shown.
func inbound(m *wire.Message, came time.Time) trace.Message {
	shown := trace.Message{At: came, Inbound: true, Text: whole(m)}
	if len(m.Body) > 0 || len(m.Authorization) > 1 || len(m.ProxyAuthorization) > 0 || !m.Intact() {
		return shown
	}
	shown.Plain = true // it was read to its end: there is nothing but that
	if len(m.Authorization) > 0 {
		shown.Credentials = m.Authorization[0]
	}
	return shown
}

// whole returns a message as it came. Its body nearly always follows its head in the same buffer.
func whole(m *wire.Message) []byte {
	if len(m.Body) == 0 {
		return m.Head
	}
	if size := len(m.Head) + len(m.Body); cap(m.Head) >= size {
		if both := m.Head[:size]; &both[len(m.Head)] == &m.Body[0] {
			return both
		}
	}
	return slices.Concat(m.Head, m.Body)
}

// tap shows a message to or from a phone.
func (e *Edge) tap(f *flow, aor telephony.AoR, inbound bool, text []byte) {
	e.show(f, aor, &trace.Message{At: e.cfg.Now(), Inbound: inbound, Text: text})
}

// tapAnswer shows an answer of ours that has no body. Answers hold no credentials.
func (e *Edge) tapAnswer(f *flow, aor telephony.AoR, text []byte, at time.Time) {
	e.show(f, aor, &trace.Message{At: at, Text: text, Plain: true})
}

// show completes a message and gives it to the tracer.
func (e *Edge) show(f *flow, aor telephony.AoR, m *trace.Message) {
	if e.cfg.Trace == nil {
		return
	}
	defer e.recovered("trace") // who only watches must not end what is watched
	m.AoR, m.Known, m.Transport, m.Local, m.Remote = aor, f.known.Load(), f.Transport, f.local, f.Remote
	e.cfg.Trace.Record(*m)
}

// phoneOf says whose phone sent the message: who registers, who asks, or who was asked. Its texts are borrowed.
func phoneOf(m *wire.Message) telephony.AoR {
	if !m.IsRequest() || m.Is("REGISTER") {
		aor, _ := m.ToAoR()
		return aor
	}
	aor, _ := m.FromAoR()
	return aor
}
