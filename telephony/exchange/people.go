package exchange

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/events"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// straight sends every call to the phones of who was dialled.
type straight struct {
	contacts Contacts
	ring     time.Duration
}

// Next implements Next.
func (s straight) Next(ctx context.Context, q callswitch.Question) callswitch.Routed {
	refuse := func(code int, text string) callswitch.Routed {
		return callswitch.Routed{Refused: &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: code, Text: text}}}
	}
	if q.Why == callswitch.Failed {
		return callswitch.Routed{Refused: &callswitch.Refusal{}}
	}
	aor, ok := dialled(q)
	if !ok {
		return refuse(416, "Only sip: addresses can be called here: "+q.Dialled)
	}
	targets, err := s.contacts.Targets(ctx, q.Account, aor)
	switch {
	case errors.Is(err, ErrUnknown):
		return refuse(404, "Nobody here has the address "+aor.String()+".")
	case err != nil:
		return refuse(500, "It cannot be looked up where "+aor.String()+" is: "+err.Error())
	case len(targets) == 0:
		away := refuse(480, "No phone of "+aor.String()+" is registered.")
		away.Callee = aor
		return away
	}
	return callswitch.Routed{Callee: aor, Targets: targets, Ring: s.ring}
}

// dialled reads who is called. Phones that know their server by its number write that where the domain belongs.
func dialled(q callswitch.Question) (telephony.AoR, bool) {
	u, ok := wire.ParseURI([]byte(q.Dialled))
	if !ok || len(u.User) == 0 {
		return telephony.AoR{}, false
	}
	domain := string(u.Host)
	if numeric(domain) {
		domain = q.By.Domain
	}
	return telephony.NewAoR(wire.CanonicalUser(u.User), domain), true
}

// numeric reports whether a host is an address. That ends with a digit or holds a colon: most names are told by it.
func numeric(host string) bool {
	if host == "" || (host[len(host)-1] < '0' || host[len(host)-1] > '9') && strings.IndexByte(host, ':') < 0 {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// enter notes that a user is in a call.
func (x *Exchange) enter(r *running, aor telephony.AoR) {
	if aor.IsZero() || slices.Contains(r.people, aor) {
		return
	}
	r.people = append(r.people, aor)
	x.tables.people.change(aor, func(calls []*running) ([]*running, bool) {
		return append(slices.Clip(calls), r), true // readers hold the old one
	})
}

// leave takes a call from its users.
func (x *Exchange) leave(r *running) {
	for _, aor := range r.people {
		x.exit(r, aor)
	}
}

// exit takes a call from one of its users.
func (x *Exchange) exit(r *running, aor telephony.AoR) {
	x.tables.people.change(aor, func(calls []*running) ([]*running, bool) {
		if len(calls) < 2 { // nearly always
			return nil, false
		}
		rest := make([]*running, 0, len(calls)-1)
		for _, c := range calls {
			if c != r {
				rest = append(rest, c)
			}
		}
		return rest, len(rest) > 0
	})
}

// join notes the users of all legs, those that were adopted too.
func (x *Exchange) join(r *running, record *telephony.CallRecord) {
	for i := range record.Legs {
		if record.Legs[i].EndedAt.IsZero() {
			x.enter(r, record.Legs[i].AoR)
		}
	}
}

// part takes a call from those who have left it: the receptionist who passes calls on is not in them.
func (x *Exchange) part(r *running, record *telephony.CallRecord) {
	if record.State == telephony.CallEnded { // for people: a phone that is gone may not answer its BYE for long
		x.endedForPeople(r)
		return
	}
	r.people = slices.DeleteFunc(r.people, func(aor telephony.AoR) bool {
		if a := r.call.Attempt; a != nil && a.Callee == aor { // whose phones may be asleep
			return false
		}
		stays := slices.ContainsFunc(record.Legs, func(l telephony.LegRecord) bool { return l.AoR == aor && l.EndedAt.IsZero() })
		if !stays {
			x.exit(r, aor)
		}
		return !stays
	})
}

func (x *Exchange) tell(r *running) {
	if x.ports.Watchers == nil {
		return
	}
	for _, aor := range r.people {
		x.ports.Watchers(aor)
	}
}

// Registered says that a phone is there again: calls that wait for it ring it.
func (x *Exchange) Registered(_ account.ID, aor telephony.AoR, target signal.Target) {
	calls, _ := x.tables.people.get(aor)
	for _, r := range calls {
		r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Woken{AoR: aor, Target: target}}})
	}
}

// Live returns the calls of an account that last, in no order.
func (x *Exchange) Live(id account.ID) []telephony.CallRecord {
	var all []telephony.CallRecord
	x.tables.calls.all(func(r *running) {
		if r.account != id {
			return
		}
		if record, ok := r.seen.get(); ok && record.State != telephony.CallEnded {
			all = append(all, record)
		}
	})
	return all
}

// call returns a call of an account.
func (x *Exchange) call(id account.ID, call telephony.CallID) (*running, error) {
	r, ok := x.tables.calls.get(call)
	if !ok || r.account != id {
		return nil, telephony.ErrNoCall
	}
	return r, nil
}

// Hangup ends a call for somebody who is not in it. It is telephony.ErrNoCall when this node has no such call.
func (x *Exchange) Hangup(id account.ID, call telephony.CallID, cause telephony.Cause) error {
	r, err := x.call(id, call)
	if err != nil {
		return err
	}
	r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Hangup{Cause: cause}}})
	return nil
}

// Transfer connects whoever talks with a leg with somebody else, for a phone that cannot transfer. It is telephony.ErrNoCall when
// this node has no such call, and telephony.ErrNoLeg when the leg does not talk with exactly one other.
func (x *Exchange) Transfer(id account.ID, call telephony.CallID, leg int, to telephony.AoR) error {
	r, err := x.call(id, call)
	if err != nil {
		return err
	}
	if record, ok := r.seen.get(); !ok || !talksWithOne(&record, leg) {
		return telephony.ErrNoLeg
	}
	r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Transfer{Leg: leg, To: "sip:" + to.String()}}})
	return nil
}

// talksWithOne reports whether a leg talks with exactly one other.
func talksWithOne(record *telephony.CallRecord, leg int) bool {
	there, talking := false, 0
	for i := range record.Legs {
		if l := &record.Legs[i]; !l.AnsweredAt.IsZero() && l.EndedAt.IsZero() {
			there = there || l.Leg == leg
			talking++
		}
	}
	return there && talking == 2
}

// Conference has whoever talks with a leg join another call of that leg's user, where all then hear each other; the leg itself
// is hung up, for its user is in the other call already. It is telephony.ErrNoCall when this node has not both calls,
// telephony.ErrNoLeg when the leg does not talk with exactly one other, and telephony.ErrNotInBoth when its user does not talk
// in the other call.
func (x *Exchange) Conference(id account.ID, call telephony.CallID, leg int, with telephony.CallID) error {
	r, err := x.call(id, call)
	if err != nil {
		return err
	}
	other, err := x.call(id, with)
	if err != nil {
		return err
	}
	record, ok := r.seen.get()
	if !ok || !talksWithOne(&record, leg) {
		return telephony.ErrNoLeg
	}
	into, ok := other.seen.get()
	there := legOf(&into, userOf(&record, leg))
	if !ok || there == 0 || r == other {
		return telephony.ErrNotInBoth
	}
	fact := callswitch.Merge{Leg: leg, Into: callswitch.Into{Call: with, Leg: there}}
	r.worker.post(item{to: r, event: callswitch.Event{Fact: fact}})
	return nil
}

// userOf returns whose leg it is.
func userOf(record *telephony.CallRecord, leg int) telephony.AoR {
	for i := range record.Legs {
		if record.Legs[i].Leg == leg {
			return record.Legs[i].AoR
		}
	}
	return telephony.AoR{}
}

// legOf returns the leg of a user who talks in a call, or 0.
func legOf(record *telephony.CallRecord, user telephony.AoR) int {
	if user.IsZero() {
		return 0
	}
	for i := range record.Legs {
		if l := &record.Legs[i]; l.AoR == user && !l.AnsweredAt.IsZero() && l.EndedAt.IsZero() {
			return l.Leg
		}
	}
	return 0
}

// Dialogs returns the dialogs of a user as watchers see them (RFC 4235): one for each call.
func (x *Exchange) Dialogs(_ context.Context, id account.ID, aor telephony.AoR) ([]events.Dialog, error) {
	calls, _ := x.tables.people.get(aor)
	var all []events.Dialog
	for _, r := range calls {
		record, ok := r.seen.get()
		if !ok || r.account != id || record.State == telephony.CallEnded {
			continue
		}
		if d, ok := dialogOf(&record, aor); ok {
			all = append(all, d)
		}
	}
	return all, nil
}

// dialogOf is a user's part in a call: his leg that was answered, or else one that rings.
func dialogOf(record *telephony.CallRecord, aor telephony.AoR) (d events.Dialog, ok bool) {
	for i := range record.Legs {
		l := &record.Legs[i]
		if l.AoR != aor || !l.EndedAt.IsZero() || ok && l.AnsweredAt.IsZero() {
			continue
		}
		ok = true
		d = events.Dialog{ID: string(record.ID), State: "early", Initiator: l.Leg == 1, Remote: record.Caller, Since: l.StartedAt}
		if !l.AnsweredAt.IsZero() {
			d.State = "confirmed"
		}
		if d.Initiator {
			d.Remote, _ = dialled(callswitch.Question{Dialled: record.Dialled, By: record.Caller})
		}
	}
	return d, ok
}
