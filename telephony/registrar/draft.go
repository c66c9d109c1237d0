package registrar

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/registration"
)

// draft is what a shard is about to save: bindings over those in memory, and what to tell of.
type draft struct {
	shard    *shard
	bindings map[telephony.AoR]drafted // nil while there are none
	changes  []telephony.RegistrationChange
}

// drafted is what becomes of one AoR's bindings.
type drafted struct {
	before, after []registration.Binding
	short         bool // only time has changed
}

func (s *shard) newDraft() *draft {
	return &draft{shard: s}
}

// clone returns a draft for jobs on top of what the draft has. One at a time is in use.
func (d *draft) clone() *draft {
	c := &draft{shard: d.shard, bindings: maps.Clone(d.bindings), changes: slices.Clone(d.changes)}
	if c.bindings == nil {
		c.bindings = d.shard.room.drafts()
	}
	return c
}

// of returns an AoR's bindings as they will be; the slice is not to be written to, and good for this turn.
func (d *draft) of(aor telephony.AoR) []registration.Binding {
	if of, ok := d.bindings[aor]; ok {
		return of.after
	}
	return d.shard.room.of(d.shard.locations, aor)
}

// set drafts what becomes of an AoR's bindings, which of has returned.
func (d *draft) set(aor telephony.AoR, before, after []registration.Binding) {
	if d.bindings == nil {
		d.bindings = make(map[telephony.AoR]drafted)
	}
	of, ok := d.bindings[aor]
	if !ok {
		of.before = before
	}
	of.after, of.short = after, false
	d.bindings[aor] = of
}

// prolong is set for what the short way has decided.
func (d *draft) prolong(aor telephony.AoR, before, after []registration.Binding) {
	of, ok := d.bindings[aor]
	if !ok {
		of = drafted{before: before, short: true}
	}
	of.after = after
	d.bindings[aor] = of
}

// batch is the difference to what is saved, one entry per key.
func (d *draft) batch() Batch {
	b := Batch{
		Node: d.shard.r.node, Changes: append(slices.Clone(d.shard.backlog), d.changes...),
		Prolong: make([]*registration.Binding, 0, len(d.bindings)),
	}
	for i := range b.Changes {
		b.Changes[i].Node = b.Node
	}
	for _, of := range d.bindings {
		for i := range of.after {
			d.write(&b, &of.after[i], of.before)
		}
		for _, o := range of.before {
			if registration.IndexKey(of.after, o.Key) < 0 {
				b.Remove = append(b.Remove, Removal{o.ID(), o.Node})
			}
		}
	}
	d.addUnsaved(&b)
	return b
}

// write adds a binding to the batch, unless the store has it as it is.
func (d *draft) write(b *Batch, n *registration.Binding, before []registration.Binding) {
	i := registration.IndexKey(before, n.Key)
	if i < 0 {
		b.Put = append(b.Put, withRow(n))
		return
	}
	old := &before[i]
	if *old == *n || d.shard.r.volatile && refreshes(n, old) {
		return
	}
	if _, unsaved := d.shard.unsaved[n.ID()]; !unsaved && prolongs(n, old) {
		b.Prolong = append(b.Prolong, n)
		return
	}
	b.Put = append(b.Put, withRow(n))
}

// withRow returns the binding with a name for its row, which it may get only now.
func withRow(b *registration.Binding) registration.Binding {
	if b.Row == 0 {
		b.Row = rand.Int64()
	}
	return *b
}

// prolongs reports whether nothing but time has passed since the old one, whose row is in the store.
func prolongs(b, old *registration.Binding) bool {
	if b.Row == 0 {
		return false
	}
	later := *old
	later.CSeq, later.RefreshedAt, later.Expires, later.Proof = b.CSeq, b.RefreshedAt, b.Expires, b.Proof
	return later == *b
}

// refreshes reports whether the binding is the old one, only later: nothing that anybody is told of.
func refreshes(b, old *registration.Binding) bool {
	return b.Key == old.Key && b.RegisteredAt.Equal(old.RegisteredAt) && b.Reachable == old.Reachable && !b.Moved(old)
}

// addUnsaved adds what memory changed while the store was away, unless the draft itself writes it.
func (d *draft) addUnsaved(b *Batch) {
	if len(d.shard.unsaved) == 0 {
		return
	}
	written := make(map[registration.Key]bool, len(b.Put)+len(b.Prolong)+len(b.Remove))
	for _, p := range b.Put {
		written[p.ID()] = true
	}
	for _, p := range b.Prolong {
		written[p.ID()] = true
	}
	for _, k := range b.Remove {
		written[k.Key] = true
	}
	for k := range d.shard.unsaved {
		if written[k] {
			continue
		}
		b.add(k, d.of(k.AoR))
	}
}

// add lets the store have one of an AoR's bindings as it is, or have it no more.
func (b *Batch) add(k registration.Key, bindings []registration.Binding) {
	if i := registration.IndexKey(bindings, k.Key); i >= 0 {
		b.Put = append(b.Put, bindings[i])
	} else {
		b.Remove = append(b.Remove, Removal{k, b.Node})
	}
}

// decide runs the rules for each job in turn, each on top of the one before.
func (s *shard) decide(d *draft, jobs []*job) []answer {
	answers := s.room.answers[:0]
	for _, j := range jobs {
		answers = append(answers, s.decideOne(d, j))
	}
	s.room.answers = answers
	return answers
}

func (s *shard) decideOne(d *draft, j *job) (a answer) {
	defer func() {
		if fault := recover(); fault != nil {
			s.r.panicked(fault)
			a = answer{j, registration.Reply{Status: 500}, registration.Failed}
		}
	}()
	before := d.of(j.req.To)
	now := s.now()
	state := s.state(before, j)
	if !j.who.Replayed {
		if at, until, ok := registration.Refresh(&s.r.rules, &state, j.req, now); ok {
			after := s.room.copy(before)
			after[at].Prolong(&state, j.req, now, until)
			d.prolong(j.req.To, before, after)
			return answer{j, registration.AnswerRefresh(&s.r.rules, j.req, after, now, registration.Reply{Bindings: s.room.shown(len(after))}), registration.Refreshed}
		}
	}
	decision, ok := s.consider(state, j, now)
	if !ok {
		return answer{j, j.who.Reply, j.who.Outcome}
	}
	if decision.Outcome != registration.Fetched && decision.Outcome != registration.Retransmission || len(decision.Changes) > 0 {
		d.set(j.req.To, before, decision.Bindings)
	}
	d.changes = append(d.changes, decision.Changes...)
	s.notePush(decision.Changes)
	s.refuseBy(d, j, &decision)
	return answer{j, decision.Reply, decision.Outcome}
}

// refuseBy is refuse for what the rules have decided.
func (s *shard) refuseBy(d *draft, j *job, by *registration.Decision) {
	s.refuse(d, j, authentication.Identity{Concerns: j.who.Subscriber, Text: by.Text, Reply: by.Reply})
}

// state is what stands for a job's AoR.
func (s *shard) state(bindings []registration.Binding, j *job) registration.State {
	return registration.State{Account: j.who.Subscriber.Account, Node: s.r.node, AoR: j.req.To, Proof: j.who.Proof, Bindings: bindings, Present: s.r.present}
}

// consider decides one job, unless it is a replay that is no retransmission.
func (s *shard) consider(state registration.State, j *job, now time.Time) (registration.Decision, bool) {
	if j.who.Replayed && !registration.Retransmitted(state, j.req) {
		return registration.Decision{}, false
	}
	return registration.Decide(s.r.rules, state, j.req, now), true
}
