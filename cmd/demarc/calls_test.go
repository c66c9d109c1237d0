package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
)

// history is three calls, the newest first, and what was done to them.
type history struct {
	hungUp      telephony.CallID
	transferred string
	joined      string
}

func (h *history) Calls(_ context.Context, _ account.ID, f telephony.CallFilter) ([]telephony.CallRecord, string, error) {
	all := []telephony.CallRecord{record("call_3", telephony.CallTalking), record("call_2", telephony.CallEnded),
		record("call_1", telephony.CallEnded)}
	from := map[string]int{"": 0, "1": 1, "2": 2}[f.After]
	if to := from + 1; to < len(all) {
		return all[from:to], string(rune('0' + to)), nil
	}
	return all[from:], "", nil
}

func (h *history) Call(_ context.Context, _ account.ID, id telephony.CallID) (telephony.CallRecord, error) {
	if id == "call_9" {
		return telephony.CallRecord{}, telephony.ErrNoCall
	}
	return record(id, telephony.CallEnded), nil
}

func (h *history) Hangup(_ context.Context, _ account.ID, id telephony.CallID) error {
	switch id {
	case "call_9":
		return telephony.ErrNoCall
	case "call_1":
		return telephony.ErrCallEnded
	}
	h.hungUp = id
	return nil
}

func (h *history) Transfer(_ context.Context, _ account.ID, id telephony.CallID, leg int, to telephony.AoR) error {
	h.transferred = fmt.Sprint(id, " ", leg, " ", to)
	return nil
}

func (h *history) Conference(_ context.Context, _ account.ID, id telephony.CallID, leg int, with telephony.CallID) error {
	if with == "call_9" {
		return telephony.ErrNoCall
	}
	h.joined = fmt.Sprint(id, " ", leg, " ", with)
	return nil
}

func record(id telephony.CallID, state telephony.CallState) telephony.CallRecord {
	ann := telephony.AoR{User: "1001", Domain: "pbx.test"}
	at := time.Unix(1_700_000_000, 0)
	c := telephony.CallRecord{
		ID: id, Node: "one", State: state, Caller: ann, CallerName: "Ann\x1b[31m", Dialled: "sip:1002@pbx.test;transport=udp", StartedAt: at,
		AnsweredAt: at.Add(2 * time.Second), Legs: []telephony.LegRecord{
			{Leg: 1, AoR: ann, Phone: "Desk", SIPCallID: "a@b", Media: telephony.MediaReport{Received: 50, Sent: 49, Codec: "PCMA/8000"}},
		},
	}
	if state == telephony.CallEnded {
		c.EndedAt = at.Add(67 * time.Second)
		c.Cause = telephony.Cause{Who: telephony.Callee, Code: 200, Text: "hung up"}
	}
	return c
}

func TestCalls(t *testing.T) {
	h := &history{}
	r := serving(t, nil, h)
	for name, c := range map[string]struct {
		run  func(context.Context, *root, io.Writer) error
		want []string
	}{
		"list":  {(&callsCmd{Limit: 50}).Run, []string{"call_3", "call_2", "call_1", "1:05", "callee: 200 hung up"}},
		"limit": {(&callsCmd{Limit: 2}).Run, []string{"call_3", "call_2", "!call_1"}},
		"json":  {(&callsCmd{Limit: 9, JSON: true}).Run, []string{`"id": "call_1"`, `"state": "talking"`}},
		"one": {(&callCmd{ID: "call_1"}).Run,
			[]string{"call_1: ended from 1001 (Ann[31m) to 1002", "PCMA/8000", "50/49", "a@b", "!\x1b"}},
	} {
		var out bytes.Buffer
		if err := c.run(t.Context(), r, &out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if text, not := strings.CutPrefix(want, "!"); strings.Contains(out.String(), text) == not {
				t.Errorf("%s: %q in %s", name, want, out.String())
			}
		}
	}
	if err := (&transferCmd{ID: "call_3", Leg: 2, To: "1003@pbx.test"}).Run(t.Context(), r, nil); err != nil || h.transferred != "call_3 2 1003@pbx.test" {
		t.Errorf("%v %s", err, h.transferred)
	}
	if err := (&conferenceCmd{ID: "call_3", Leg: 1, With: "call_2"}).Run(t.Context(), r, nil); err != nil || h.joined != "call_3 1 call_2" {
		t.Errorf("%v %s", err, h.joined)
	}
	if err := (&hangupCmd{ID: "call_3"}).Run(t.Context(), r, nil); err != nil || h.hungUp != "call_3" {
		t.Errorf("%v %s", err, h.hungUp)
	}
}

// What can only be a slip of the keyboard is told, and not answered with no calls or with all.
func TestCallsThatCannotBeMeant(t *testing.T) {
	for _, args := range [][]string{{"calls", "--limit", "0"}, {"calls", "--limit=-5"}, {"calls", "--since=-2h"}} {
		var out, said bytes.Buffer
		if code := run(args, &out, &said); code != exitUsage || !strings.Contains(said.String(), strings.TrimLeft(args[1][:7], "-")) {
			t.Errorf("%v: %d %s", args, code, said.String())
		}
	}
}

// Who names a call that is not there, or is over, is told so, and where calls are found.
func TestCallsThatAreNotThere(t *testing.T) {
	r := serving(t, nil, &history{})
	for _, c := range []struct {
		run  func(context.Context, *root, io.Writer) error
		want string
	}{
		{(&callCmd{ID: "call_9"}).Run, `no call has the id "call_9": see "demarc calls"`},
		{(&hangupCmd{ID: "call_9"}).Run, `no call has the id "call_9": see "demarc calls"`},
		{(&conferenceCmd{ID: "call_8", Leg: 1, With: "call_9"}).Run, `no call has the id "call_8" or "call_9": see "demarc calls"`},
		{(&hangupCmd{ID: "call_1"}).Run, "the call has ended already"},
	} {
		if err := c.run(t.Context(), r, io.Discard); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// A caller without a name leaves no empty brackets.
func TestCallOfNobodyWithAName(t *testing.T) {
	var out bytes.Buffer
	if err := printCall(&out, toldCall{ID: "call_1", State: "ended", Caller: "1001@pbx.test", Dialled: "1002"}, time.Now()); err != nil ||
		!strings.HasPrefix(out.String(), "call_1: ended from 1001 to 1002,") {
		t.Errorf("%v %s", err, out.String())
	}
}
