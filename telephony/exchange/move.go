package exchange

import (
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// seek finds the dialog that a REFER wants to be replaced: it must be the sender's own.
func (w *worker) seek(r *running, c callswitch.Seek) {
	to, leg := w.x.byTag(c.Replaces.OurTag)
	if to == nil || to == r || to.account != r.account {
		w.answer(callswitch.Adopted{Leg: c.Leg, Refused: &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 481,
			Text: "The call to transfer to has ended."}}})
		return
	}
	record, ok := to.seen.get()
	if !ok {
		w.answer(callswitch.Adopted{Leg: c.Leg, Refused: &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 481,
			Text: "The call to transfer to has not begun."}}})
		return
	}
	w.answer(callswitch.Merge{Leg: c.Leg, Into: callswitch.Into{Call: record.ID, Leg: leg, Place: true, Named: c.Replaces, By: c.By}})
}

func otherEnded() *callswitch.Refusal {
	return &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 481, Text: "The other call has ended."}}
}

// release takes a leg to another call; its messages wait until that has answered.
func (w *worker) release(r *running, c callswitch.Release) {
	to, ok := w.x.tables.calls.get(c.Into.Call)
	leg := r.call.Leg(c.Leg)
	if !ok || leg == nil || to == r {
		w.answer(callswitch.Adopted{Leg: c.Leg, Refused: otherEnded()})
		return
	}
	if r.away == nil {
		r.away = make(map[int][]item)
	}
	r.away[c.Leg] = nil
	copied := *leg
	to.worker.post(item{to: to, event: callswitch.Event{Fact: callswitch.Adopt{From: r.call.ID, Moved: &copied, Into: c.Into,
		Account: r.account}}})
}

// adoption tells the call that released a leg what became of it; r is needed when it came.
func (w *worker) adoption(r *running, c callswitch.Adoption) {
	from, ok := w.x.tables.calls.get(c.From)
	if !ok {
		return
	}
	adopted := item{to: from, event: callswitch.Event{Fact: callswitch.Adopted{Leg: c.Was, Refused: c.Refused}}}
	if c.Refused == nil {
		w.movedHere(r, c)
		adopted.lands = &landing{moved: moved{r, c.Leg}}
	}
	from.worker.post(adopted)
}

// landing is where a leg goes on that was handed over, with the messages that came for it meanwhile.
type landing struct {
	moved
	held []item
}

// movedHere has the tables find an adopted leg under the names it was born with.
func (w *worker) movedHere(r *running, c callswitch.Adoption) {
	if r.landing == nil {
		r.landing = make(map[int][]item)
	}
	r.landing[c.Leg] = nil
	l := r.call.Leg(c.Leg)
	if l == nil {
		return
	}
	if p, ok := placeOf(l.Dialog.LocalTag); ok {
		w.x.tables.moved.put(p, moved{r, c.Leg})
		r.places = append(r.places, p)
	}
	w.x.tables.media.put(l.Session.Media, moved{r, c.Leg})
	r.media = append(r.media, l.Session.Media)
}

// landed goes on with the messages of a leg that was handed over: here when it was not taken, else where it is now.
func (w *worker) landed(r *running, a callswitch.Adopted, there *landing) {
	held := r.away[a.Leg]
	delete(r.away, a.Leg)
	if there == nil {
		for _, i := range held {
			w.do(i)
		}
		return
	}
	for _, i := range held {
		r.answered(i.event.Signal)
		if request, ok := i.event.Signal.(*signal.Request); ok {
			i.to, i.event.Leg = there.to, there.leg
			if request.Method == "INVITE" {
				w.x.tables.servers.put(request.Tx, there.to) // its ACK comes there
			}
			there.held = append(there.held, i)
		}
	}
	there.to.worker.post(item{to: there.to, lands: there})
}

// land does what came for a leg at the call that had it before, and then what has come here since: no message overtakes another one.
func (w *worker) land(l *landing) {
	since := l.to.landing[l.leg]
	delete(l.to.landing, l.leg)
	for _, i := range append(l.held, since...) {
		w.do(i)
	}
}
