package edge

import (
	"bytes"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// back is where the responses to a request go: the flow it came over while that is open, and then the newest flow of the
// same phone; never to another phone of the user.
type back struct {
	signalling *Signalling
	flow       *flow
	whose      whose
	budget     int // bytes that an address gets where nobody proved anything: it may be forged
}

// whose is the phone that sent a request, as far as a way names it: all requests that wait for retransmissions keep it.
type whose struct {
	aor               telephony.AoR
	instance, contact string
}

// budget is what an answer may cost who did not ask for it.
func budget(m *wire.Message) int { return 3 * (len(m.Head) + len(m.Body)) / 2 }

// Send sends a response, and reports whether there was a flow for it.
func (b *back) Send(raw []byte) bool {
	f := b.flow
	if f.ended() {
		other, err := b.signalling.another(signal.Way{AoR: b.whose.aor, Instance: b.whose.instance, Contact: b.whose.contact})
		if err != nil {
			b.signalling.edge.count.rejects.add(Reject{f.Listener, "response_lost"}, 1)
			return false
		}
		f = other
	}
	if !f.Transport.Stream() && !f.known.Load() && !b.affords(f, raw) {
		return true
	}
	b.signalling.edge.tap(f, b.whose.aor, false, raw)
	f.writer.Send(raw)
	return true
}

// Answered counts a request by the final response that it has got.
func (b *back) Answered(method string, status int) {
	b.flow.serving.Add(-1)
	b.signalling.edge.count.messages.add(answered(b.flow.Listener, method, status), 1)
}

// affords takes a response off the budget. What is provisional is not worth it.
func (b *back) affords(f *flow, raw []byte) bool {
	if provisional := []byte("SIP/2.0 1"); bytes.HasPrefix(raw, provisional) {
		return false
	}
	if b.budget -= len(raw); b.budget >= 0 {
		return true
	}
	b.signalling.edge.count.rejects.add(Reject{f.Listener, "amplification"}, 1)
	return false
}
