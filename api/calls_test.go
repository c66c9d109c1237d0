package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/store"
	"demarc/telephony"
)

// Calls answers with the one call of each account, and remembers what was asked for.
func (w *world) Calls(_ context.Context, id account.ID, f telephony.CallFilter) ([]telephony.CallRecord, string, error) {
	w.did("calls %s %s live=%t since=%d after=%q limit=%d", id, f.Party, f.Live, f.Since.Unix(), f.After, f.Limit)
	if f.After == "bad" {
		return nil, "", telephony.ErrCallCursor
	}
	return []telephony.CallRecord{w.callOf(id)}, "cursor", w.fail
}

func (w *world) Call(_ context.Context, id account.ID, call telephony.CallID) (telephony.CallRecord, error) {
	if err := store.CheckText(string(call)); err != nil {
		return telephony.CallRecord{}, errors.New("invalid byte sequence for encoding") // as PostgreSQL has it
	}
	if c := w.callOf(id); c.ID == call {
		return c, w.fail
	}
	return telephony.CallRecord{}, telephony.ErrNoCall
}

func (w *world) Hangup(_ context.Context, id account.ID, call telephony.CallID) error {
	if w.callOf(id).ID != call {
		return telephony.ErrNoCall
	}
	w.did("hang up %s %s", id, call)
	return w.fail
}

func (w *world) Transfer(_ context.Context, id account.ID, call telephony.CallID, leg int, to telephony.AoR) error {
	if w.callOf(id).ID != call {
		return telephony.ErrNoCall
	}
	w.did("transfer %s %s leg %d to %s", id, call, leg, to)
	return w.fail
}

func (w *world) Conference(_ context.Context, id account.ID, call telephony.CallID, leg int, with telephony.CallID) error {
	if w.callOf(id).ID != call {
		return telephony.ErrNoCall
	}
	w.did("conference %s %s leg %d with %s", id, call, leg, with)
	return w.fail
}

func (w *world) callOf(id account.ID) telephony.CallRecord {
	ann := telephony.AoR{User: "200", Domain: "one.example"}
	return telephony.CallRecord{
		Account: id, ID: telephony.CallID("call_" + string(id[4:])), Node: "one", State: telephony.CallEnded, Caller: ann,
		CallerName: "Ann", Dialled: "201", StartedAt: w.now, AnsweredAt: w.now.Add(time.Second), EndedAt: w.now.Add(time.Minute),
		Cause: telephony.Cause{Who: telephony.Caller, Code: 200, Text: "hung up"},
		Legs: []telephony.LegRecord{{Leg: 1, AoR: ann, StartedAt: w.now, SIPCallID: "a@b", Media: telephony.MediaReport{
			Sent: 50, Jitter: 1500 * time.Microsecond, Security: "sdes",
		}}},
	}
}

func TestNoCallHasSuchAnID(t *testing.T) {
	w := newWorld()
	op := operator(t, w)
	for _, id := range []string{"%00", "%FF", "call_one%00", "call_two"} {
		for _, r := range []reply{
			op.do("account acc_one", "GET", "/v1/calls/"+id, ""),
			op.do("account acc_one", "DELETE", "/v1/calls/"+id, ""),
			op.do("account acc_one", "POST", "/v1/calls/"+id+"/transfer", `{"leg":2,"to":"201"}`),
			op.do("account acc_one", "POST", "/v1/calls/"+id+"/conference", `{"leg":2,"with":"x"}`),
		} {
			op.want(r, 404, "not_found")
			if !strings.Contains(r.body, "list of calls") {
				t.Errorf("%q: the reply does not say where calls are found: %s", id, r.body)
			}
		}
	}
}

func TestCalls(t *testing.T) {
	w := newWorld()
	op := operator(t, w)
	r := op.do("account acc_one", "GET", "/v1/calls?user=200&live=true&since=2026-01-02T03:04:05Z&after=x&limit=7", "")
	op.want(r, 200, "")
	want := `calls acc_one 200@one.example live=true since=1767323045 after="x" limit=7`
	if got := w.acts[len(w.acts)-1]; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	for _, part := range []string{
		`"id":"call_one"`, `"caller":"200@one.example"`, `"dialled":"201"`, `"next":"cursor"`, `"jitterMillis":1.5`,
		`"cause":{"who":"caller","code":200,"text":"hung up"}`, `"sipCallId":"a@b"`, `"security":"sdes"`,
	} {
		if !strings.Contains(r.body, part) {
			t.Errorf("%s is missing in %s", part, r.body)
		}
	}
	op.want(op.do("account acc_one", "GET", "/v1/calls?after=bad", ""), 422, "invalid")
	op.want(op.do("account acc_one", "POST", "/v1/calls/call_one/transfer", `{"leg":2,"to":"201"}`), 202, "")
	if got := w.acts[len(w.acts)-1]; got != "transfer acc_one call_one leg 2 to 201@one.example" {
		t.Errorf("did %s", got)
	}
	op.want(op.do("account acc_one", "POST", "/v1/calls/call_one/transfer", `{"leg":0,"to":"201"}`), 422, "invalid")
	op.want(op.do("account acc_one", "POST", "/v1/calls/call_one/conference", `{"leg":1,"with":"call_x"}`), 202, "")
	if got := w.acts[len(w.acts)-1]; got != "conference acc_one call_one leg 1 with call_x" {
		t.Errorf("did %s", got)
	}
	op.want(op.do("account acc_one", "POST", "/v1/calls/call_one/conference", `{"leg":1,"with":""}`), 422, "invalid")
	w.fail = telephony.ErrNotInBoth
	op.want(op.do("account acc_one", "POST", "/v1/calls/call_one/conference", `{"leg":1,"with":"call_x"}`), 409, "not_in_both")
	w.fail = telephony.ErrNoLeg
	op.want(op.do("account acc_one", "POST", "/v1/calls/call_one/transfer", `{"leg":2,"to":"201"}`), 409, "no_leg")
	w.fail = telephony.ErrCallAway
	op.want(op.do("account acc_one", "DELETE", "/v1/calls/call_one", ""), 409, "other_node")
}
