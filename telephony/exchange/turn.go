package exchange

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/signal"
)

// begin gives an INVITE its call.
func (w *worker) begin(r *running, req *signal.Request) {
	r.call = w.spare.Call(req.Account, w.dice.callID(w.now), w.x.cfg.Node, r.serial)
	r.call.Interval = int(w.x.cfg.Session.Seconds())
	r.servers = append(r.servers, req.Tx)
	w.x.register(r)
	w.x.count.begun.Add(1)
}

// register puts a call into the tables.
func (x *Exchange) register(r *running) {
	x.tables.calls.put(r.call.ID, r)
	x.tables.serials.put(r.serial, r)
	r.known = true
	x.tables.account.change(r.account, func(n int) (int, bool) { return n + 1, true })
}

// turn lets an event happen to a call, with everything that is answered at once.
func (w *worker) turn(r *running, e callswitch.Event) {
	defer w.caught(r)
	if _, ticked := e.Fact.(callswitch.Tick); ticked {
		r.at = time.Time{} // what the timer was set to has come
	}
	w.owed = 0
	if request, ok := e.Signal.(*signal.Request); ok && request.Method != "INVITE" {
		w.owed = request.Tx
	}
	r.answered(e.Signal)
	w.events = append(w.events[:0], e)
	for i := 0; i < len(w.events); i++ {
		e := w.events[i]
		e.At, e.Chance = w.now, rand.Uint32() // it spreads what is sent again, and guards nothing
		w.note(r, e)
		w.commands = callswitch.Step(r.call, e, w.commands[:0])
		for _, c := range w.commands {
			w.execute(r, c)
		}
	}
	w.done()
	if r.call.State == states.Ended {
		w.x.forget(r)
		return
	}
	w.set(r)
}

// done forgets what a turn was about.
func (w *worker) done() {
	w.owed = 0
	clear(w.events)
	clear(w.commands)
	w.spare.Clear()
}

// note keeps the table of INVITEs that came in.
func (w *worker) note(r *running, e callswitch.Event) {
	switch s := e.Signal.(type) {
	case *signal.Request:
		if s.Method == "INVITE" && !slices.Contains(r.servers, s.Tx) {
			r.servers = append(r.servers, s.Tx)
		}
	case *signal.Ack:
		w.over(r, s.Tx)
	case *signal.AckMissing:
		w.over(r, s.Tx)
	}
	if f, ok := e.Fact.(callswitch.Replacing); ok {
		r.servers = append(r.servers, f.Request.Tx)
	}
}

// over forgets an INVITE that came in.
func (w *worker) over(r *running, tx signal.TxID) {
	if i := slices.Index(r.servers, tx); i >= 0 {
		w.x.tables.servers.remove(tx)
		r.servers = slices.Delete(r.servers, i, i+1)
	}
}

// answer has a fact happen next, in the same turn.
func (w *worker) answer(f callswitch.Fact) { w.events = append(w.events, callswitch.Event{Fact: f}) }

func (w *worker) execute(r *running, c callswitch.Command) {
	x := w.x
	switch c := c.(type) {
	case *callswitch.Send:
		if w.asked(r, &c.Outgoing) {
			x.ports.Signalling.Send(c.Outgoing)
		}
	case *callswitch.Reply:
		if c.Status >= 300 {
			w.over(r, c.Tx)
		}
		if c.Tx == w.owed {
			w.owed = 0
		}
		x.ports.Signalling.Reply(c.Reply)
	case callswitch.Cancel:
		x.ports.Signalling.Cancel(c.Tx, c.Reason)
	case *callswitch.Prepare:
		w.answer(w.prepare(r, c))
	case *callswitch.Route:
		routed := w.spare.Routed()
		*routed = w.route(r, c.Question)
		w.answer(routed)
	case *callswitch.Agree:
		w.agree(r, c)
	case callswitch.Relay:
		x.ports.Paths.Relay(c.A, c.B)
	case callswitch.Play:
		x.ports.Paths.Play(c.Media, "music", true)
	case callswitch.Mix:
		x.ports.Paths.Mix(c.Media...)
	case callswitch.Hush:
		x.ports.Paths.Hush(c.Media)
	case *callswitch.Close:
		reported := w.spare.Reported()
		reported.Leg, reported.Report = c.Leg, x.ports.Media.Close(c.Media)
		w.answer(reported)
	default:
		w.executeRest(r, c)
	}
}

func (w *worker) executeRest(r *running, c callswitch.Command) {
	x := w.x
	switch c := c.(type) {
	case *callswitch.Learn:
		x.habits.learn(r.account, c.Way, c.Security, w.now)
	case callswitch.Wake:
		w.wakeUp(r, c)
	case callswitch.Record:
		w.write(r)
	case callswitch.Note:
		x.note(r.account, c.AoR, c.Text, c.Cause)
	case callswitch.Seek:
		w.seek(r, c)
	case callswitch.Release:
		w.release(r, c)
	case callswitch.Adoption:
		w.adoption(r, c)
	}
}

// write keeps a snapshot for those who ask, and sees to it that it gets into the store.
func (w *worker) write(r *running) {
	x := w.x
	before := r.seen.take(r.call)
	record := &r.seen.record // nobody else writes it
	if record.State == telephony.CallTalking && before != telephony.CallTalking {
		x.count.answered.Add(1)
	}
	if record.State == telephony.CallRinging {
		w.keep(r, ringing)
	} else {
		w.keep(r, soon)
	}
	x.join(r, record)
	x.tell(r)
	x.part(r, record)
}

// set has the worker look at the call again when its next deadline comes.
func (w *worker) set(r *running) {
	next := r.call.Deadline()
	if next.Equal(r.at) {
		return
	}
	r.at = next
	if next.IsZero() {
		w.x.wheel.Stop(&r.timer)
		return
	}
	if r.timer.Owner == nil { // once: the wheel reads it while it fires
		r.timer.Owner = r
	}
	w.x.wheel.Set(&r.timer, next.Sub(w.now))
}

// Fire lets the call look at its clock.
func (r *running) Fire() {
	r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Tick{}}})
}

// forget takes a call that has ended out of the tables.
func (x *Exchange) forget(r *running) {
	x.wheel.Stop(&r.timer)
	x.tables.calls.remove(r.call.ID)
	x.tables.serials.remove(r.serial)
	for _, tx := range r.servers {
		x.tables.servers.remove(tx)
	}
	elsewhere := func(m moved) (moved, bool) { return m, m.to != nil && m.to != r } // unless it has gone on to another call
	for _, p := range r.places {
		x.tables.moved.change(p, elsewhere)
	}
	for _, id := range r.media {
		x.tables.media.change(id, elsewhere)
	}
	r.call.Return()
	r.call, r.over = nil, true
	x.gone(r)
}

// caught ends a call whose step has panicked, and nothing else. What a panic says is logged only when it is the runtime's: other values could hold
// parts of a message.
func (w *worker) caught(r *running) {
	what := recover()
	if what == nil {
		return
	}
	known, _ := what.(runtime.Error)
	w.x.count.panics.Add(1)
	w.events, w.commands = nil, nil
	if r.over {
		w.x.log.Error("the end of a call has panicked", "error", known, "stack", string(debug.Stack()))
		return
	}
	w.x.log.Error("a step of a call has panicked: the call was ended", "call", string(r.call.ID), "error", known,
		"stack", string(debug.Stack()))
	w.abandon(r)
	w.done()
}

// abandon ends what is left of a call without its own rules.
func (w *worker) abandon(r *running) {
	defer func() {
		if again := recover(); again != nil {
			known, _ := again.(runtime.Error)
			w.x.log.Error("a call could not be ended in order", "call", string(r.call.ID), "error", known, "stack", string(debug.Stack()))
		}
		r.call.State = states.Ended
		w.x.forget(r)
	}()
	if w.owed != 0 {
		w.x.ports.Signalling.Reply(signal.Reply{Tx: w.owed, Status: 500})
	}
	for _, tx := range r.servers {
		if r.call.Ignores(tx) {
			w.x.ports.Signalling.Reply(signal.Reply{Tx: tx, Status: 500})
		}
	}
	for _, c := range callswitch.Abandon(r.call, w.x.now(), nil) {
		switch c := c.(type) {
		case *callswitch.Send:
			w.x.ports.Signalling.Send(c.Outgoing)
		case *callswitch.Reply:
			w.x.ports.Signalling.Reply(c.Reply)
		case callswitch.Cancel:
			w.x.ports.Signalling.Cancel(c.Tx, c.Reason)
		case *callswitch.Close:
			w.x.ports.Media.Close(c.Media)
		case callswitch.Note:
			w.x.note(r.account, c.AoR, c.Text, c.Cause)
		}
	}
	w.write(r)
}
