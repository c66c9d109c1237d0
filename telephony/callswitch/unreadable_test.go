package callswitch_test

import (
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// What a change of a call cannot be read from is refused by what it is (RFC 3261 §8.2.3), and more than one Refer-To too
// (RFC 3515 §2.4.1).
func TestWhatCannotBeReadIsRefusedAsThat(t *testing.T) {
	body := []byte("hello")
	for name, c := range map[string]struct {
		method string
		change func(*signal.Request)
		status int
		header string
	}{
		"a text as re-INVITE": {"INVITE", func(r *signal.Request) { r.ContentType, r.Body = "text/plain", body }, 415, "Accept"},
		"a text as UPDATE":    {"UPDATE", func(r *signal.Request) { r.ContentType, r.Body = "text/plain", body }, 415, "Accept"},
		"packed SDP": {"INVITE", func(r *signal.Request) {
			r.ContentType, r.Body = "application/sdp", body
			r.Headers = []telephony.Header{{Name: "Content-Encoding", Value: "gzip"}}
		}, 415, "Accept-Encoding"},
		"broken SDP": {"INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", body }, 400, ""},
		"two targets": {"REFER", func(r *signal.Request) {
			r.Headers = []telephony.Header{{Name: "Refer-To", Value: "<sip:1003@acme.example>"}, {Name: "Refer-To", Value: "<sip:1004@acme.example>"}}
		}, 400, ""},
		"no target": {"REFER", nil, 400, ""},
		"another method": {"REFER", func(r *signal.Request) {
			r.Headers = []telephony.Header{{Name: "Refer-To", Value: "<sip:1003@acme.example;method=INVITEX>"}}
		}, 400, ""},
	} {
		w := talking(t)
		w.told = nil
		w.inDialog(w.fars[1], c.method, c.change)
		if got := w.told[0]; got.Status != c.status || c.header != "" && value(got.Headers, c.header) == "" {
			t.Errorf("%s got %d %v, want %d with %s", name, got.Status, got.Headers, c.status, c.header)
		}
		if l := w.call.Leg(1); l.Session.State != states.Stable || w.call.State != states.Talking {
			t.Errorf("after %s the leg is %v, the call %v", name, l.Session.State, w.call.State)
		}
		w.finish()
	}
	w := newWorld(t.Fatalf)
	w.change = func(r *signal.Request) { r.Headers = []telephony.Header{{Name: "Content-Encoding", Value: "gzip"}} }
	tx := w.invite(true)
	if got := w.servers[tx].final; got != 415 {
		t.Errorf("an INVITE with packed SDP got %d", got)
	}
	w.finish()
}

// A phone whose 2xx cannot be read has taken the call: it gets its ACK, and a BYE at once (RFC 3261 §13.2.2.4).
func TestAnAnswerThatCannotBeReadIsTakenBack(t *testing.T) {
	broken := func(r *signal.Response) { r.Contact, r.Fault = "", "Bad Contact" }
	w := newWorld(t.Fatalf)
	w.route = func(q callswitch.Question) callswitch.Routed {
		if q.Why == callswitch.Failed {
			return callswitch.Routed{Refused: &callswitch.Refusal{}}
		}
		return callswitch.Routed{Callee: bob, Targets: targets(1)}
	}
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 200, broken)
	_, bye := w.sentTo(2, "BYE")
	if bye.out.URI != targets(1)[0].URI || w.acks[out] != 0 {
		t.Errorf("BYE goes to %s; ACKs that are missing: %d", bye.out.URI, w.acks[out])
	}
	if w.servers[tx].final != 502 || w.call.Cause.Code != 502 || len(w.notes) == 0 {
		t.Errorf("the caller gets %d, history says %v, told are %v", w.servers[tx].final, w.call.Cause, w.notes)
	}
	w.finish()

	w, music := held(t)
	w.respond(music, 200, broken)
	w.sentTo(2, "BYE")
	if w.acks[music] != 0 || w.call.Cause.Code != 502 {
		t.Errorf("after a re-INVITE the call ended by %v; ACKs that are missing: %d", w.call.Cause, w.acks[music])
	}
	w.finish()
}

// A phone that has answered may ask for something before its 2xx has come: it is told to ask again, not that there is no call. Whoever knows the call
// by less than its tag and Call-ID hears nothing of it.
func TestARequestThatComesBeforeItsPhonesAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		rang   bool // the phone has been heard of by another tag
		method string
		change func(*signal.Request)
		want   int
	}{
		"a digit":                  {false, "INFO", nil, 500},
		"a change":                 {false, "UPDATE", nil, 500},
		"from a second phone":      {true, "INFO", func(r *signal.Request) { r.FromTag = "other" }, 500},
		"a BYE":                    {false, "BYE", nil, 481},
		"in somebody's other call": {false, "INFO", func(r *signal.Request) { r.CallID = "other" }, 481},
		"by another tag of ours":   {false, "INFO", func(r *signal.Request) { r.ToTag = "other" }, 481},
	} {
		w := newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(name+": "+format, args...) })
		tx := w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		if c.rang {
			w.respond(out, 180, nil)
		}
		w.told = nil
		w.inDialog(w.fars[2], c.method, c.change)
		if got := w.told[0]; got.Status != c.want || (value(got.Headers, "Retry-After") != "") != (c.want == 500) {
			t.Errorf("%s got %d %v, want %d", name, got.Status, got.Headers, c.want)
		}
		w.respond(out, 200, nil)
		w.fars[1].side.Theirs, w.fars[1].side.Agreed = nil, sdp.Agreed{}
		w.ack(tx, false)
		if w.call.State != states.Talking {
			t.Errorf("%s: the call is %v", name, w.call.State)
		}
		w.finish()
	}
}
