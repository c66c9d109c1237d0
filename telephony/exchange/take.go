package exchange

import (
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/signal"
)

// Take takes what happens in calls from the edge, and never blocks. It returns false when there is no room for a request.
func (x *Exchange) Take(e signal.Event) bool {
	switch e := e.(type) {
	case *signal.Request:
		return x.takeRequest(e)
	case *signal.Response:
		x.takeResponse(e)
	case *signal.Cancel:
		x.server(e.Tx, e)
	case *signal.Ack:
		x.server(e.Tx, e)
	case *signal.AckMissing:
		x.server(e.Tx, e)
	case *signal.Pracked:
		x.server(e.Tx, e)
	}
	return true
}

// takeResponse hands a response to its call. One that comes when that is over can make a dialog that nobody has.
func (x *Exchange) takeResponse(e *signal.Response) {
	serial, leg, ours := callswitch.Serial(e.Tx)
	if r, ok := x.tables.serials.get(serial); ok {
		r.worker.post(item{to: r, event: callswitch.Event{Signal: e, Leg: leg}})
	} else if ours && e.Method == "INVITE" && e.Status/100 == 2 {
		w := x.workers[serial%uint64(len(x.workers))]
		w.postInside(item{event: callswitch.Event{Signal: e}})
	}
}

// server hands an event to the call that has the INVITE.
func (x *Exchange) server(tx signal.TxID, e signal.Event) {
	if r, ok := x.tables.servers.get(tx); ok {
		r.worker.post(item{to: r, event: callswitch.Event{Signal: e}})
	}
}

func (x *Exchange) takeRequest(e *signal.Request) bool {
	if e.ToTag == "" && e.Method == "INVITE" {
		return x.takeInvite(e)
	}
	r, leg := x.find(e)
	if r == nil {
		w := x.workers[uint64(e.Tx)%uint64(len(x.workers))]
		return w.postInside(item{event: callswitch.Event{Signal: e}})
	}
	if e.Method == "INVITE" {
		x.tables.servers.put(e.Tx, r)
	}
	if !r.worker.postInside(item{to: r, event: callswitch.Event{Signal: e, Leg: leg}}) {
		x.tables.servers.remove(e.Tx)
		x.count.refused.Add(1)
		return false
	}
	return true
}

// takeInvite makes room for a new call, or a new leg of one that the INVITE names.
func (x *Exchange) takeInvite(e *signal.Request) bool {
	if n := named(e); n.some {
		return x.takeReplacing(e, n)
	}
	if x.closed.Load() {
		x.count.refused.Add(1)
		x.turnedAway(e, stopping.Code, stopping.Text)
		return false
	}
	if x.full() {
		x.count.refused.Add(1)
		x.turnedAway(e, 503, fullText)
		return false
	}
	w := x.workers[uint64(e.Tx)%uint64(len(x.workers))]
	r := &running{worker: w, serial: x.serial.Add(1), account: e.Account}
	x.tables.servers.put(e.Tx, r)
	x.begun(r)
	if !w.postNew(item{to: r, event: callswitch.Event{Signal: e}}) {
		x.tables.servers.remove(e.Tx)
		x.gone(r)
		x.count.refused.Add(1)
		x.turnedAway(e, 503, fullText)
		return false
	}
	return true
}

// naming is the dialog that an INVITE names by Replaces or Join.
type naming struct {
	some, join bool
	ok         bool // it can be read, and is the only one (RFC 3891 §3, RFC 3911 §4)
	dialog     callswitch.Replaces
}

// named returns the dialog that an INVITE names.
func named(e *signal.Request) (n naming) {
	all, joins := e.Values("Replaces"), e.Values("Join")
	n.join = len(all) == 0
	all = append(all, joins...)
	if n.some = len(all) > 0; n.some {
		n.dialog, n.ok = callswitch.ParseReplaces(all[0])
		n.ok = n.ok && len(all) == 1
	}
	return n
}

// takeReplacing hands an INVITE to the call that it names (RFC 3891, RFC 3911). One that names none gets 481.
func (x *Exchange) takeReplacing(e *signal.Request, n naming) bool {
	r, leg := x.byTag(n.dialog.OurTag)
	if !n.ok || r == nil || r.account != e.Account {
		w := x.workers[uint64(e.Tx)%uint64(len(x.workers))]
		return w.postInside(item{event: callswitch.Event{Signal: e}})
	}
	x.tables.servers.put(e.Tx, r)
	fact := callswitch.Replacing{Leg: leg, Join: n.join, Named: n.dialog, Request: e}
	if !r.worker.postInside(item{to: r, event: callswitch.Event{Fact: fact}}) {
		x.tables.servers.remove(e.Tx)
		x.count.refused.Add(1)
		x.turnedAway(e, 503, fullText)
		return false
	}
	return true
}

// find returns the call and leg of a request within a dialog: by our Contact, or else by our tag.
func (x *Exchange) find(e *signal.Request) (*running, int) {
	if _, p, ok := x.tokens.open(tokenOf(e.URI)); ok {
		if r, leg := x.at(p); r != nil {
			return r, leg
		}
	}
	return x.byTag(e.ToTag)
}

func (x *Exchange) byTag(tag string) (*running, int) {
	p, ok := placeOf(tag)
	if !ok {
		return nil, 0
	}
	return x.at(p)
}

// at returns where a leg is now.
func (x *Exchange) at(p place) (*running, int) {
	if m, ok := x.tables.moved.get(p); ok {
		return m.to, m.leg
	}
	r, _ := x.tables.calls.get(p.call)
	return r, p.leg
}

// Media takes what the media of a leg noticed.
func (x *Exchange) Media(e telephony.MediaEvent) {
	r, leg := x.mediaAt(e.ID)
	if r != nil {
		r.worker.post(item{to: r, event: callswitch.Event{Fact: callswitch.Noticed{Leg: leg, Event: e}}})
	}
}

// A media id is the call's serial and the leg's number.
func mediaID(serial uint64, leg int) telephony.MediaID {
	return telephony.MediaID(serial<<8 | uint64(leg)&0xff)
}

func (x *Exchange) mediaAt(id telephony.MediaID) (*running, int) {
	if m, ok := x.tables.media.get(id); ok {
		return m.to, m.leg
	}
	r, _ := x.tables.serials.get(uint64(id >> 8))
	return r, int(id & 0xff)
}
