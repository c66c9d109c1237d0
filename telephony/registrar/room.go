package registrar

import (
	"demarc/telephony"
	"demarc/telephony/registrar/location"
	"demarc/telephony/registration"
)

// room is memory for what a shard works on within a turn, used again by the next one: nothing in it may be kept.
type room struct {
	admitted []*job
	answers  []answer
	bindings []registration.Binding
	drafted  map[telephony.AoR]drafted

	replies []registration.ReplyBinding // of one turn: whoever gets a reply may keep it
}

// roomy is how many requests of one turn the room keeps memory for.
const roomy = 1024

// clear ends a turn.
func (r *room) clear() {
	if len(r.bindings) > 2*roomy || len(r.answers) > roomy {
		*r = room{}
		return
	}
	clear(r.admitted)
	clear(r.answers)
	clear(r.bindings)
	r.admitted, r.answers, r.bindings, r.replies = r.admitted[:0], r.answers[:0], r.bindings[:0], nil
}

// of returns the bindings of an AoR.
func (r *room) of(l *location.Service, aor telephony.AoR) []registration.Binding {
	start := len(r.bindings)
	r.bindings = l.AppendOf(r.bindings, aor)
	return r.bindings[start:len(r.bindings):len(r.bindings)]
}

// copy returns a copy of bindings.
func (r *room) copy(b []registration.Binding) []registration.Binding {
	start := len(r.bindings)
	r.bindings = append(r.bindings, b...)
	return r.bindings[start:len(r.bindings):len(r.bindings)]
}

// shown returns an empty list with a place for n.
func (r *room) shown(n int) []registration.ReplyBinding {
	if cap(r.replies)-len(r.replies) < n {
		r.replies = make([]registration.ReplyBinding, 0, max(n, min(cap(r.admitted), roomy)))
	}
	start := len(r.replies)
	r.replies = r.replies[:start+n]
	return r.replies[start:start:len(r.replies)]
}

// drafts returns an empty map.
func (r *room) drafts() map[telephony.AoR]drafted {
	if r.drafted == nil {
		r.drafted = make(map[telephony.AoR]drafted)
	}
	clear(r.drafted)
	return r.drafted
}
