package exchange_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/exchange"
)

// others are the other nodes on the store, with their calls that have not ended.
type others struct {
	mu    sync.Mutex
	signs map[string]int64
	lives string // the sign of this node changes whenever somebody looks
	away  bool
	looks int
	open  map[string][]telephony.CallRecord
	ended []telephony.CallRecord
	kept  map[telephony.CallID]account.Secret // states of calls
}

func (o *others) Holders(context.Context) (map[string]int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks++
	if o.away {
		return nil, errAway
	}
	if o.lives != "" {
		o.signs[o.lives]++
	}
	signs := map[string]int64{}
	for node, calls := range o.open {
		if len(calls) > 0 {
			signs[node] = o.signs[node]
		}
	}
	return signs, nil
}

func (o *others) End(_ context.Context, node string, sign int64, limit int, end func(telephony.CallRecord) telephony.CallRecord) (
	ended []telephony.CallChange, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.open[node]) > 0 && len(ended) < limit && o.signs[node] == sign {
		r := end(o.open[node][0])
		ended = append(ended, telephony.CallChange{Record: r, State: o.kept[r.ID]})
		o.open[node], o.ended = o.open[node][1:], append(o.ended, r)
	}
	return ended, nil
}

func (o *others) all() []telephony.CallRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]telephony.CallRecord(nil), o.ended...)
}

// looked waits for so many more looks.
func (o *others) looked(s *site, more int) {
	s.t.Helper()
	o.mu.Lock()
	until := o.looks + more
	o.mu.Unlock()
	s.untilFree("a look at the others", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.looks >= until
	})
}

var saidLast = time.UnixMilli(1_790_000_000_000).UTC()

// open is a call of another node, in which the callee's first phone was given up.
func openCall(node string, n int) telephony.CallRecord {
	return telephony.CallRecord{Account: acme, ID: telephony.CallID(node + strconv.Itoa(n)), Node: node, Epoch: 3, State: telephony.CallTalking,
		Caller: alice, Dialled: "1002", StartedAt: saidLast.Add(-time.Hour), AnsweredAt: saidLast.Add(-time.Hour),
		Legs: []telephony.LegRecord{{Leg: 1, AoR: alice}, {Leg: 2, AoR: bob, EndedAt: saidLast.Add(-time.Hour), Cause: telephony.Cause{Code: 486}},
			{Leg: 3, AoR: bob}}}
}

func withOthers(t *testing.T, o *others) *site {
	return newSite(t, func(c *exchange.Config) { c.Ports.Orphans, c.Lost = o, 60*time.Millisecond })
}

// The calls of a node that says nothing any more end in history, each once and with the reason on the legs that lasted; those of one that
// is there, and our own, do not.
func TestCallsOfANodeThatIsGoneEnd(t *testing.T) {
	const many = 1200 // more than two transactions
	o := &others{signs: map[string]int64{"gone": saidLast.UnixMilli()}, lives: "lives", open: map[string][]telephony.CallRecord{
		"lives": {openCall("lives", 1)}, "n1": {openCall("n1", 1)}}}
	for n := range many {
		o.open["gone"] = append(o.open["gone"], openCall("gone", n))
	}
	s := withOthers(t, o)
	s.untilFree("the end of its calls", func() bool { return s.x.Counters().Orphans == many })
	o.looked(s, 40)
	ended := o.all()
	if len(ended) != many {
		t.Fatalf("%d calls have ended", len(ended))
	}
	for _, r := range ended {
		if r.Node != "gone" || r.State != telephony.CallEnded || !r.EndedAt.Equal(saidLast) || !strings.Contains(r.Cause.Text, "node lost") ||
			!strings.Contains(r.Cause.Text, "gone") || r.Legs[0].Cause != r.Cause || r.Legs[1].Cause.Code != 486 || r.Legs[2].Cause != r.Cause ||
			!r.Legs[2].EndedAt.Equal(saidLast) {
			t.Fatalf("%+v", r)
		}
	}
	s.tells(alice, 500, "node lost")
	s.tells(bob, 500, "node lost")
}

// Phones of such a call that are at this node by now get a BYE, which tells them nothing of nodes; history is written by nobody else, and a
// state that cannot be read costs the others nothing.
func TestPhonesOfANodeThatIsGoneGetBYE(t *testing.T) {
	gone := newSite(t, func(c *exchange.Config) { c.Node = "gone" })
	a, b := gone.phone(alice), gone.phone(bob)
	gone.talk(a, b)
	o := &others{signs: map[string]int64{}, open: map[string][]telephony.CallRecord{}, kept: map[telephony.CallID]account.Secret{"gone1": "?"}}
	gone.until("the answered call in history", func() bool {
		for _, c := range gone.written {
			if c.Record.State == telephony.CallTalking && c.State != "" {
				o.open["gone"], o.kept[c.Record.ID] = []telephony.CallRecord{openCall("gone", 1), openCall("gone", 2), c.Record}, c.State
			}
		}
		return len(o.open) > 0
	})
	s := newSite(t, func(c *exchange.Config) {
		c.Ports.Orphans, c.Lost = o, 60*time.Millisecond
		h := c.Ports.History.(history)
		h.phones[a.flow.ID], h.phones[b.flow.ID] = a, b
	})
	a.site, b.site = s, s
	for _, p := range []*phone{a, b} {
		why := header(p.newDialog("").bye().Headers, "Reason")
		if !strings.Contains(why, "node lost") || strings.Contains(why, "gone") {
			t.Errorf("BYE says %q", why)
		}
	}
	s.untilFree("the end of all three calls", func() bool { return s.x.Counters().Orphans == 3 })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.written) != 0 || s.x.Counters().Live != 0 {
		t.Errorf("history gets %+v of calls that were ended, and %d are here", s.written, s.x.Counters().Live)
	}
}

// While the store cannot be asked nobody's time runs: a node is not gone for what nobody could have seen.
func TestNobodyIsGoneWhileTheStoreIsAway(t *testing.T) {
	o := &others{signs: map[string]int64{"other": 1}, away: true, open: map[string][]telephony.CallRecord{"other": {openCall("other", 1)}}}
	s := withOthers(t, o)
	o.looked(s, 40)
	o.mu.Lock()
	o.away, o.lives = false, "other"
	o.mu.Unlock()
	o.looked(s, 40)
	if ended := o.all(); len(ended) != 0 {
		t.Fatalf("%+v", ended)
	}
	o.mu.Lock()
	o.lives = ""
	o.mu.Unlock()
	s.untilFree("its end", func() bool { return len(o.all()) == 1 })
}

// fenced is a history in which another node has ended our calls.
type fenced struct{ history }

func (f fenced) Write(ctx context.Context, changes []telephony.CallChange) (int, error) {
	_, err := f.history.Write(ctx, changes)
	return len(changes), err
}

// A node that others took for lost says that its calls' ends are not written, and carries on.
func TestACallThatOthersHaveEndedGoesOn(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) { c.Ports.History = fenced{c.Ports.History.(history)} })
	a, b := s.phone(alice), s.phone(bob)
	from, to := s.talk(a, b)
	from.hangUp()
	to.bye()
	s.ended()
	s.untilFree("a count of it", func() bool { return s.x.Counters().Fenced > 0 })
	if c := s.x.Counters(); c.Dropped != 0 || c.Unwritten != 0 {
		t.Errorf("%+v", c)
	}
}

// A node with a new name on a store of its own ends the calls that it had under the old one, in an epoch in which they can be written.
func TestCallsOfBeforeARenamingEnd(t *testing.T) {
	s := newSite(t, func(c *exchange.Config) {
		c.Ports.History.(history).held = []telephony.CallChange{{Record: openCall("old name", 1)}}
	})
	if r := s.ended(); r.Node != "n1" || r.Epoch != 4 || !strings.Contains(r.Cause.Text, "node lost") {
		t.Errorf("%+v", r)
	}
}
