package callswitch_test

import (
	"encoding/base64"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/encoding"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// TestNoOrderOfEventsBreaksACall lets phones do anything that the edge would let through, in any order.
// Each call is in the memory of those before it.
func TestNoOrderOfEventsBreaksACall(t *testing.T) {
	var spare callswitch.Spare
	rapid.Check(t, func(r *rapid.T) {
		var w *world
		w = newWorld(func(format string, args ...any) {
			r.Helper()
			r.Fatalf(format+"\n%s", append(args, strings.Join(w.log, "\n"))...)
		})
		w.borrow(&spare)
		w.route = func(q callswitch.Question) callswitch.Routed {
			if q.Why == callswitch.Failed || rapid.IntRange(0, 9).Draw(r, "refused") == 0 {
				return callswitch.Routed{Refused: &callswitch.Refusal{}}
			}
			all := targets(rapid.IntRange(1, 3).Draw(r, "phones"))
			all[len(all)-1].Q = rapid.SampledFrom([]int{500, 1000}).Draw(r, "q")
			return callswitch.Routed{Callee: bob, Targets: all}
		}
		w.adopt = func(x callswitch.Release) callswitch.Adopted {
			a := callswitch.Adopted{Leg: x.Leg}
			if rapid.Bool().Draw(r, "refused") {
				a.Refused = &callswitch.Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: 481, Text: "gone"}}
			}
			return a
		}
		w.slow = rapid.Bool().Draw(r, "slow")
		if rapid.Bool().Draw(r, "reliable") {
			w.requires = "100rel"
		}
		if rapid.IntRange(0, 3).Draw(r, "expires") == 0 {
			w.change = func(q *signal.Request) { q.Headers = append(q.Headers, telephony.Header{Name: "Expires", Value: "30"}) }
		}
		w.invite(rapid.Bool().Draw(r, "offer"))
		for range rapid.IntRange(0, 40).Draw(r, "events") {
			w.anything(r)
			w.kept(r)
		}
		w.finish()
		w.giveBack()
	})
}

// anything lets one thing happen.
func (w *world) anything(r *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 40_000).Draw(r, "wait")) * time.Millisecond)
	if at := w.call.Deadline(); !at.IsZero() && !at.After(w.now) {
		w.fact(callswitch.Tick{})
	}
	switch rapid.IntRange(0, 15).Draw(r, "what") {
	case 15:
		if len(w.released) > 0 {
			w.fact(w.answerRelease())
		}
	case 0, 1, 2, 3:
		w.someResponse(r)
	case 4, 5:
		w.someAck(r)
	case 6:
		open := pending(w.servers, func(s *server) bool { return s.method == "INVITE" && (s.final == 0 || s.held) })
		if len(open) > 0 {
			w.step(callswitch.Event{Signal: &signal.Cancel{Tx: rapid.SampledFrom(open).Draw(r, "tx")}})
		}
	case 7, 8, 9, 10:
		w.someRequest(r)
	case 11:
		w.fact(callswitch.Merge{Leg: rapid.IntRange(1, 3).Draw(r, "leg"), Into: callswitch.Into{Call: "other", Leg: 1}})
	case 12:
		w.someJoin(r)
	case 13:
		w.someOther(r)
	case 14:
		w.somePrack(r)
	}
}

func (w *world) somePrack(r *rapid.T) {
	due := pending(w.servers, func(s *server) bool { return s.prackDue })
	if len(due) == 0 {
		return
	}
	tx := rapid.SampledFrom(due).Draw(r, "tx")
	s, f := w.servers[tx], w.fars[w.servers[tx].leg]
	var body []byte
	switch rapid.IntRange(0, 2).Draw(r, "body") {
	case 0:
		body = f.offer(sdp.SendRecv)
	case 1:
		if s.offerLess && len(s.body) > 0 {
			body = f.answerTo(s.body)
		}
	}
	w.prack(tx, rapid.IntRange(0, 5).Draw(r, "missing") == 0, body)
}

func (w *world) someResponse(r *rapid.T) {
	open := pending(w.clients, func(*client) bool { return true })
	if len(open) == 0 {
		return
	}
	tx := rapid.SampledFrom(open).Draw(r, "tx")
	k := w.clients[tx]
	if w.moving(k.leg) {
		return
	}
	if k.out.Method != "INVITE" {
		w.respond(tx, rapid.SampledFrom([]int{200, 200, 481, 500, 408, 430}).Draw(r, "status"), nil)
		return
	}
	status := rapid.SampledFrom([]int{100, 180, 183, 200, 200, 200, 302, 404, 407, 421, 422, 486, 487, 488, 491, 503, 603}).Draw(r, "status")
	early, gone := rapid.Bool().Draw(r, "early"), rapid.Bool().Draw(r, "gone")
	w.respond(tx, status, func(p *signal.Response) {
		if status == 183 && early && !w.fars[k.leg].answered {
			p.ContentType, p.Body = "application/sdp", w.fars[k.leg].answerTo(k.out.Body)
			p.RSeq = uint32(rapid.IntRange(0, 2).Draw(r, "rseq"))
			if p.RSeq > 0 && rapid.Bool().Draw(r, "beside") { // of a further phone behind the same target
				p.ToTag = rapid.SampledFrom([]string{"beside", "another"}).Draw(r, "tag")
			}
		}
		p.Local = status == 503 && gone
		if status == 200 && rapid.IntRange(0, 9).Draw(r, "broken") == 0 {
			p.Fault = "Bad Contact"
		}
		if status == 302 {
			p.Contact = "sip:1003@acme.example"
		}
		p.Headers = []telephony.Header{{Name: "Require", Value: "100rel"}, {Name: "Min-SE", Value: "3600"}, {Name: "Allow", Value: "UPDATE, INFO"}}
	})
}

func (w *world) someAck(r *rapid.T) {
	due := pending(w.servers, func(s *server) bool { return s.ackDue })
	if len(due) > 0 {
		w.ack(rapid.SampledFrom(due).Draw(r, "tx"), rapid.IntRange(0, 5).Draw(r, "missing") == 0)
	}
}

func (w *world) someRequest(r *rapid.T) {
	f := w.fars[rapid.IntRange(1, max(1, w.call.LastLeg)).Draw(r, "leg")]
	if f == nil || f.ours == "" || w.moving(f.leg) || w.call.State == states.Ended { // the exchange answers for a call that has ended
		return
	}
	method := rapid.SampledFrom([]string{"BYE", "INVITE", "INVITE", "INVITE", "UPDATE", "INFO", "REFER", "OPTIONS"}).Draw(r, "method")
	if !f.answered && method == "INVITE" {
		return
	}
	direction := rapid.SampledFrom([]sdp.Direction{sdp.SendRecv, sdp.SendOnly, sdp.Inactive}).Draw(r, "direction")
	body := rapid.Bool().Draw(r, "body")
	w.inDialog(f, method, func(q *signal.Request) {
		switch {
		case method == "REFER":
			to := rapid.SampledFrom([]string{"<sip:1003@acme.example>", "<sip:1003@acme.example?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>", "nonsense"}).Draw(r, "to")
			q.Headers = []telephony.Header{{Name: "Refer-To", Value: to}}
		case body && (method == "INVITE" || method == "UPDATE"):
			q.ContentType, q.Body = "application/sdp", f.offer(direction)
		}
	})
}

// someJoin brings a leg from outside: adopted, or by an INVITE with Replaces.
func (w *world) someJoin(r *rapid.T) {
	leg := rapid.IntRange(1, max(1, w.call.LastLeg)).Draw(r, "leg")
	if w.call.State >= states.Closing {
		return
	}
	f := &far{aor: carol, tag: "theirs", callID: "callx", flow: targets(1)[0].Ways[0].Flow, side: sdp.Side{Local: local("192.0.2.9", 4800), Session: 3}}
	f.leg = w.call.LastLeg + 1
	w.fars[f.leg] = f
	tx := w.tx(f.leg, "INVITE")
	q := w.request(f, tx, "INVITE")
	q.ContentType, q.Body = "application/sdp", f.offer(sdp.SendRecv)
	w.fact(callswitch.Replacing{Leg: leg, Join: rapid.Bool().Draw(r, "join"), Request: q})
}

func (w *world) someOther(r *rapid.T) {
	leg := rapid.IntRange(0, 3).Draw(r, "leg")
	switch rapid.IntRange(0, 4).Draw(r, "other") {
	case 0:
		w.fact(callswitch.Transfer{Leg: leg, To: "sip:1003@acme.example"})
	case 1:
		w.fact(callswitch.Hangup{Leg: leg, Cause: telephony.Cause{Who: telephony.Person, Code: 200, Text: "ended by the admin"}})
	case 2:
		if l := w.call.Leg(leg); l != nil {
			kind := rapid.SampledFrom([]telephony.MediaEventKind{telephony.MediaStopped, telephony.MediaOneWay}).Draw(r, "kind")
			w.fact(callswitch.Noticed{Leg: leg, Event: telephony.MediaEvent{ID: l.Session.Media, Kind: kind}})
		}
	case 3:
		w.fact(callswitch.Woken{AoR: bob, Target: targets(1)[0]})
	case 4:
		w.fact(callswitch.Lost{Cause: telephony.Cause{Who: telephony.Network, Code: 500, Text: "node lost"}})
	}
}

// kept holds that the state survives its encoding.
func (w *world) kept(r *rapid.T) {
	state := encoding.Encode(w.call)
	back, err := encoding.Decode(state)
	if err != nil {
		w.fault("decode: %v", err)
	}
	if encoding.Encode(back) != state {
		w.fault("a state changes when it is encoded again")
	}
	for i, l := range w.call.Legs {
		if !reflect.DeepEqual(l.Forks, back.Legs[i].Forks) {
			w.fault("leg %d: further phones have answered %q, and after decoding %q", l.ID, l.Forks, back.Legs[i].Forks)
		}
	}
}

// finish answers everything, hangs up, and holds that nothing is left.
func (w *world) finish() {
	w.fact(callswitch.Hangup{Cause: telephony.Cause{Who: telephony.Person, Code: 200, Text: "over"}})
	for range 100 {
		if len(w.released) > 0 {
			w.fact(w.answerRelease())
		}
		for _, tx := range pending(w.servers, func(s *server) bool { return s.held }) {
			w.prack(tx, false, nil)
		}
		for _, tx := range pending(w.servers, func(s *server) bool { return s.ackDue }) {
			w.ack(tx, false)
		}
		for _, tx := range pending(w.clients, func(*client) bool { return true }) {
			status := 200
			if w.clients[tx].cancelled {
				status = 487
			}
			w.respond(tx, status, nil)
		}
	}
	if w.call.State != states.Ended || w.ends != 1 {
		w.fault("the call is %v with %d ends of its history", w.call.State, w.ends)
	}
	if len(w.media) != 0 || len(w.clients) != 0 {
		w.fault("left open: media %v, requests %v", w.media, w.clients)
	}
	for tx, s := range w.servers {
		if s.final == 0 {
			w.fault("%s %d never got its final response", s.method, tx)
		}
	}
	for tx, n := range w.acks {
		if n != 0 {
			w.fault("a 2xx in %x was not acknowledged", tx)
		}
	}
	for _, l := range w.call.Legs {
		if l.Since.Ended.IsZero() || l.Cause.Code == 0 {
			w.fault("leg %d has not ended: %+v", l.ID, l.Cause)
		}
	}
}

// TestEveryFieldSurvivesItsEncoding fills a call by reflection, so that a field that somebody forgets to encode is found.
func TestEveryFieldSurvivesItsEncoding(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.invite(true)
	tx := pending(w.clients, func(*client) bool { return true })[0]
	w.respond(tx, 200, nil)
	full := w.call
	for _, part := range []any{full.Legs[0], &full.Times, &full.Cause, &full.Asked} {
		fill(reflect.ValueOf(part).Elem())
	}
	full.Attempt = &callswitch.Attempt{}
	fill(reflect.ValueOf(full.Attempt).Elem())
	full.Recorded = true
	callswitch.Settle(full)
	back, err := encoding.Decode(encoding.Encode(full))
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]any{{full.Legs, back.Legs}, {full.Attempt, back.Attempt}, {full.Times, back.Times}, {full.Asked, back.Asked},
		{full.Cause, back.Cause}, {full.LastLeg, back.LastLeg}, {full.State, back.State}, {full.Recorded, back.Recorded}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("was %+v\nis  %+v", pair[0], pair[1])
		}
	}
}

// fill sets every field that is zero, but what is read from bytes (descriptions) or has its own limits (states).
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			*at = time.Unix(1_780_000_000, 5).UTC()
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && v.Type().Field(i).Name != "State" {
				fill(f)
			}
		}
	case reflect.String:
		if v.Len() == 0 {
			v.SetString("text of " + v.Type().Name())
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(21)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(21)
	case reflect.Slice:
		if v.Len() == 0 && v.Type().Elem().Kind() != reflect.Uint8 && !strings.HasSuffix(v.Type().String(), "Media") {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0))
		}
	}
}

// anOlder returns a call as an older version has written it.
func anOlder(t *testing.T, path string) *callswitch.Call {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	state, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	call, err := encoding.Decode(account.Secret(state))
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// TestStateOfAnEarlierRelease reads a call of two as it was written before a way said which of our addresses it leads over.
func TestStateOfAnEarlierRelease(t *testing.T) {
	a := talking(t)
	a.call.Legs[0].Way.Flow.Local = netip.MustParseAddr("192.0.2.9")
	if now, err := encoding.Decode(encoding.Encode(a.call)); err != nil || now.Legs[0].Way != a.call.Legs[0].Way {
		t.Errorf("%+v came back as %+v, %v", a.call.Legs[0].Way, now, err)
	}
	a.call.Legs[0].Way.Flow.Local = netip.Addr{}
	a.call.Legs[1].Way.Instance, a.call.Legs[1].Way.Contact = "", "" // the phone of then had neither
	old := anOlder(t, "testdata/state-1.base64")
	for i, l := range old.Legs {
		if now := a.call.Legs[i]; l.Way.Flow != now.Way.Flow || l.Way.AoR != now.Way.AoR || l.Dialog.CallID == "" || l.State != now.State {
			t.Errorf("leg %d is %+v by %+v", i+1, l.State, l.Way)
		}
	}
	if len(old.Legs) != 2 || old.State != a.call.State {
		t.Errorf("%d legs, %v", len(old.Legs), old.State)
	}
}

// A call that rings as it was written before what further phones behind a target have answered was part of it.
func TestAStateWithoutForks(t *testing.T) {
	c := anOlder(t, "testdata/state-3.base64")
	if c.State != states.Ringing || len(c.Legs) != 2 || c.Attempt == nil || c.Attempt.For != 1 {
		t.Fatalf("read %+v", c)
	}
	l := c.Leg(2)
	if l.State != states.Early || l.Dialog.CallID != "call2" || l.Session.State != states.OfferSent || len(l.Forks) != 0 || l.Invite.Seq != 1 {
		t.Errorf("leg %+v", l)
	}
}

// A call that an older version has written is read as it was: two who talk, one of whom has rung reliably.
func TestOlderStatesAreRead(t *testing.T) {
	c := anOlder(t, "testdata/state-1-reliable.base64")
	if c.State != states.Talking || len(c.Legs) != 2 || c.Asked.Caller != alice || c.Leg(2).Who.AoR != bob || c.Leg(2).Invite.PutOff != 0 {
		t.Errorf("read %+v", c)
	}
	for _, l := range c.Legs {
		if l.State != states.Confirmed || l.Session.Side.Local.Audio.RTP != uint16(20000+2*l.ID) || !l.Session.Side.Agreed.Stands() ||
			l.Session.Side.Local.Audio.Ufrag != "ufrag" || l.Session.Side.Local.Video.Pwd != "pwd" {
			t.Errorf("leg %+v", l)
		}
	}
}

func TestBrokenStatesAreRefused(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.invite(true)
	state := encoding.Encode(w.call)
	for n := range len(state) {
		if _, err := encoding.Decode(state[:n]); err == nil {
			t.Fatalf("%d of %d bytes were read as a whole call", n, len(state))
		}
	}
	if _, err := encoding.Decode("\x40" + state[1:]); err == nil {
		t.Error("a newer version was read")
	}
	for i := range len(state) {
		broken := []byte(state)
		broken[i] ^= 0xff
		_, _ = encoding.Decode(account.Secret(broken)) // may be read, must not panic
	}
}
