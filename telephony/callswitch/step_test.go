package callswitch_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/encoding"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// sentTo returns the only request of the method to the leg that owes its final response.
func (w *world) sentTo(leg int, method string) (signal.TxID, *client) {
	all := pending(w.clients, func(k *client) bool { return k.leg == leg && k.out.Method == method })
	if len(all) != 1 {
		w.fault("%d %s are under way to leg %d, want one\n%s", len(all), method, leg, strings.Join(w.log, "\n"))
		return 0, nil
	}
	return all[0], w.clients[all[0]]
}

func (w *world) quiet(leg int, method string) {
	if all := pending(w.clients, func(k *client) bool { return k.leg == leg && k.out.Method == method }); len(all) > 0 {
		w.fault("a %s went to leg %d", method, leg)
	}
}

// talking is a call of two.
func talking(t *testing.T, allow ...telephony.Header) *world {
	t.Helper()
	w := newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) })
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 200, func(r *signal.Response) { r.Headers = allow })
	w.fars[1].side.Theirs, w.fars[1].side.Agreed = nil, sdp.Agreed{}
	w.ack(tx, false)
	return w
}

// later lets the time pass until the deadline.
func (w *world) later() time.Duration {
	at := w.call.Deadline()
	if at.IsZero() {
		w.fault("nothing is due")
	}
	wait := at.Sub(w.now)
	w.now = at
	w.fact(callswitch.Tick{})
	return wait
}

func value(all []telephony.Header, name string) string {
	for _, h := range all {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

func TestEarlyMediaComesFromASolePhoneAlone(t *testing.T) {
	for _, phones := range []int{1, 2} {
		w := newWorld(t.Fatalf)
		w.route = func(callswitch.Question) callswitch.Routed {
			return callswitch.Routed{Callee: bob, Targets: targets(phones)}
		}
		tx := w.invite(true)
		out, k := w.sentTo(2, "INVITE")
		early := w.fars[2].answerTo(k.out.Body)
		w.respond(out, 183, func(r *signal.Response) { r.ContentType, r.Body = "application/sdp", early })
		first := w.told[0]
		if phones > 1 {
			if first.Status != 180 || len(first.Body) > 0 {
				t.Errorf("with two phones the caller got %d with %q", first.Status, first.Body)
			}
			continue
		}
		if first.Status != 183 || len(first.Body) == 0 {
			t.Fatalf("the caller got %d with %q", first.Status, first.Body)
		}
		w.respond(out, 200, func(r *signal.Response) { r.Body = early })
		answer := w.told[1]
		if answer.Status != 200 || !bytes.Equal(answer.Body, first.Body) || answer.ToTag != first.ToTag {
			t.Errorf("the answer is %d\n%s\nafter\n%s", answer.Status, answer.Body, first.Body)
		}
		w.ack(tx, false)
		w.finish()
	}
}

func TestAnswerUnderAnotherTagThanTheEarlyOneCounts(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, k := w.sentTo(2, "INVITE")
	w.respond(out, 183, func(r *signal.Response) {
		r.ContentType, r.Body = "application/sdp", w.fars[2].answerTo(k.out.Body)
	})
	w.fars[2].tag = "another"
	w.respond(out, 200, nil)
	w.ack(tx, false)
	if l := w.call.Leg(2); l.Dialog.RemoteTag != "another" || l.State != states.Confirmed || l.Session.State != states.Stable {
		t.Errorf("leg %+v", l)
	}
	w.finish()
}

func TestFurther2xxUnderAnotherTagGetsAckAndBye(t *testing.T) {
	w := talking(t)
	tx := signal.TxID(0)
	for out := range w.acks {
		tx = out
	}
	w.acks[tx]++
	byes := w.byes
	w.step(callswitch.Event{Leg: 2, Signal: &signal.Response{Tx: tx, Method: "INVITE", Status: 200,
		Message: signal.Message{ToTag: "second", CSeq: 1, Contact: "sip:second@192.0.2.8"}}})
	if w.byes != byes+1 {
		t.Error("the second phone got no BYE")
	}
	out, k := w.sentTo(2, "BYE")
	if !strings.Contains(value(k.out.Headers, "To"), "tag=second") {
		t.Errorf("BYE to %s", value(k.out.Headers, "To"))
	}
	w.respond(out, 200, nil)
	if w.call.State != states.Talking {
		t.Errorf("the call is %v", w.call.State)
	}
	w.finish()
}

func TestAnswerThatCrossesCancelIsTakenBack(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 180, nil)
	w.step(callswitch.Event{Signal: &signal.Cancel{Tx: tx}})
	w.respond(out, 200, nil)
	bye, _ := w.sentTo(2, "BYE")
	w.respond(bye, 200, nil)
	if w.call.State != states.Ended || w.call.Cause.Code != 487 {
		t.Errorf("the call is %v, %v", w.call.State, w.call.Cause)
	}
	w.finish()
}

func TestInviteWithoutOffer(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(false)
	out, k := w.sentTo(2, "INVITE")
	if len(k.out.Body) == 0 {
		t.Fatal("the far side gets no early offer")
	}
	w.respond(out, 200, nil)
	if len(w.servers[tx].body) == 0 {
		t.Fatal("the 2xx has no offer")
	}
	w.ack(tx, false)
	if got, want := w.call.Leg(1).Session.Side.Agreed.Audio.Codec.Name, w.call.Leg(2).Session.Side.Agreed.Audio.Codec.Name; got != want {
		t.Errorf("codecs %s and %s", got, want)
	}
	w.finish()

	w = newWorld(t.Fatalf)
	tx = w.invite(false)
	out, _ = w.sentTo(2, "INVITE")
	w.respond(out, 200, nil)
	w.servers[tx].body = nil // the ACK brings no answer
	w.ack(tx, false)
	if w.call.Cause.Code != 488 {
		t.Errorf("the call ended by %v", w.call.Cause)
	}
	w.finish()
}

func TestWhatConcernsOnePhoneIsAnsweredHere(t *testing.T) {
	w := talking(t)
	w.told = nil
	w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendRecv) })
	if len(w.told) != 1 || w.told[0].Status != 200 {
		t.Fatalf("replies %+v", w.told)
	}
	w.quiet(2, "INVITE")
	w.inDialog(w.fars[1], "UPDATE", nil)
	w.quiet(2, "UPDATE")
	if w.told[1].Status != 200 {
		t.Errorf("UPDATE got %d", w.told[1].Status)
	}
	w.finish()
}

// TestEveryWayOfHolding has phones hold by direction and by an address of zero, by re-INVITE and by UPDATE, and resume.
func TestEveryWayOfHolding(t *testing.T) {
	for name, c := range map[string]struct {
		method    string
		direction sdp.Direction
		zero      bool   // the way of RFC 2543
		answer    string // the direction that who holds is told
	}{
		"sendonly":            {"INVITE", sdp.SendOnly, false, "a=recvonly"},
		"inactive":            {"INVITE", sdp.Inactive, false, "a=inactive"},
		"0.0.0.0":             {"INVITE", sdp.SendRecv, true, "a=recvonly"},
		"0.0.0.0, sendonly":   {"INVITE", sdp.SendOnly, true, "a=recvonly"},
		"0.0.0.0, inactive":   {"INVITE", sdp.Inactive, true, "a=inactive"},
		"sendonly, by UPDATE": {"UPDATE", sdp.SendOnly, false, "a=recvonly"},
		"0.0.0.0, by UPDATE":  {"UPDATE", sdp.SendRecv, true, "a=recvonly"},
	} {
		t.Run(name, func(t *testing.T) {
			w := talking(t)
			offer := func(d sdp.Direction, zero bool) {
				w.inDialog(w.fars[1], c.method, func(r *signal.Request) {
					r.ContentType, r.Body = "application/sdp", w.fars[1].offer(d)
					if zero {
						r.Body = bytes.ReplaceAll(r.Body, []byte("IN IP4 192.0.2.9"), []byte("IN IP4 0.0.0.0"))
					}
				})
				for _, tx := range pending(w.servers, func(s *server) bool { return s.ackDue }) {
					w.ack(tx, false)
				}
			}
			held := func(want string) {
				t.Helper()
				out, k := w.sentTo(2, "INVITE")
				if !bytes.Contains(k.out.Body, []byte(want)) {
					t.Errorf("the other phone is offered\n%s\nwant %s", k.out.Body, want)
				}
				w.respond(out, 200, nil)
			}
			offer(c.direction, c.zero)
			if r := w.reply(1, 200); !bytes.Contains(r.Body, []byte(c.answer)) {
				t.Errorf("who holds is told\n%s\nwant %s", r.Body, c.answer)
			}
			held("a=sendonly")
			if !w.call.Leg(1).Session.Holds || w.hears(2) != callswitch.HearsMusic || w.hears(1) != callswitch.HearsNothing {
				t.Errorf("holds %t, the other phone hears %d, who holds %d", w.call.Leg(1).Session.Holds, w.hears(2), w.hears(1))
			}
			offer(sdp.SendRecv, false)
			held("a=sendrecv")
			if w.call.Leg(1).Session.Holds || w.hears(1) != callswitch.HearsOther || w.hears(2) != callswitch.HearsOther {
				t.Errorf("still holds %t; they hear %d and %d", w.call.Leg(1).Session.Holds, w.hears(1), w.hears(2))
			}
			w.finish()
		})
	}
}

func TestReinvitesThatMeet(t *testing.T) {
	w := talking(t)
	w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendOnly) })
	w.told = nil
	w.inDialog(w.fars[2], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[2].offer(sdp.SendRecv) })
	if w.told[0].Status != 491 {
		t.Errorf("the phone's re-INVITE got %d", w.told[0].Status)
	}
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 491, nil)
	w.quiet(2, "INVITE")
	if wait := w.later(); wait < 2100*time.Millisecond || wait > 4*time.Second {
		t.Errorf("who made the Call-ID waits %v, want 2.1 to 4 s", wait)
	}
	if _, k := w.sentTo(2, "INVITE"); !bytes.Contains(k.out.Body, []byte("a=sendonly")) {
		t.Errorf("the second attempt offers\n%s", k.out.Body)
	}
	w.finish()
}

func TestPeerThatWants100relGetsIt(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 421, func(r *signal.Response) { r.Headers = []telephony.Header{{Name: "Require", Value: "100rel"}} })
	out, k := w.sentTo(2, "INVITE")
	if value(k.out.Headers, "Require") != "100rel" || !strings.HasPrefix(value(k.out.Headers, "CSeq"), "2 ") {
		t.Errorf("the second INVITE has %v", k.out.Headers)
	}
	w.respond(out, 180, func(r *signal.Response) { r.RSeq = 7 })
	prack, p := w.sentTo(2, "PRACK")
	if value(p.out.Headers, "RAck") != "7 2 INVITE" {
		t.Errorf("RAck: %s", value(p.out.Headers, "RAck"))
	}
	w.respond(prack, 200, nil)
	w.respond(out, 200, nil)
	w.ack(tx, false)
	w.finish()
}

func TestCallerWhoRequires100rel(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.requires = "100rel"
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 180, nil)
	if r := w.told[0]; r.Status != 180 || !r.Reliable {
		t.Errorf("the caller got %+v", r)
	}
	w.step(callswitch.Event{Signal: &signal.Pracked{Tx: tx, RSeq: 1, Missing: true}})
	if w.told[1].Status != 504 {
		t.Errorf("an INVITE whose PRACK never came got %d", w.told[1].Status)
	}
	w.finish()
}

func TestUnknownExtensionsAreRefused(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.requires = "teleport"
	w.invite(true)
	if r := w.told[0]; r.Status != 420 || value(r.Headers, "Unsupported") != "teleport" {
		t.Errorf("the caller got %+v", r)
	}
	w.finish()
}

func TestLoopsAreBroken(t *testing.T) {
	for name, change := range map[string]func(*signal.Request){
		"483": func(r *signal.Request) { r.Hops = 0 },
		"482": func(r *signal.Request) { r.Headers = []telephony.Header{{Name: "X-Call-Depth", Value: "11"}} },
	} {
		w := newWorld(t.Fatalf)
		w.change = change
		w.invite(true)
		if got := w.told[0].Status; name != map[int]string{482: "482", 483: "483"}[got] {
			t.Errorf("got %d, want %s", got, name)
		}
		w.finish()
	}
}

func TestMissingAckEndsTheCall(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 200, nil)
	w.ack(tx, true)
	w.sentTo(1, "BYE")
	w.sentTo(2, "BYE")
	if w.call.Cause.Who != telephony.Network || w.call.Cause.Code != 408 {
		t.Errorf("cause %v", w.call.Cause)
	}
	w.finish()
}

func TestByeBeforeTheAckWaitsForIt(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 200, nil)
	w.inDialog(w.fars[2], "BYE", nil)
	w.quiet(1, "BYE")
	w.ack(tx, false)
	w.sentTo(1, "BYE")
	w.finish()
}

func TestLostByeStillEndsTheCall(t *testing.T) {
	w := talking(t)
	w.inDialog(w.fars[1], "BYE", nil)
	if w.ends != 1 {
		t.Error("the history waits for a BYE's answer")
	}
	out, _ := w.sentTo(2, "BYE")
	w.respond(out, 408, func(r *signal.Response) { r.Local = true })
	if w.call.State != states.Ended {
		t.Errorf("the call is %v", w.call.State)
	}
	w.finish()
}

func TestSessionIsRefreshedByUs(t *testing.T) {
	for _, update := range []bool{true, false} {
		allow, method := telephony.Header{Name: "Allow", Value: "INVITE, UPDATE"}, "UPDATE"
		if !update {
			allow, method = telephony.Header{Name: "Allow", Value: "INVITE"}, "INVITE"
		}
		w := talking(t, allow, telephony.Header{Name: "Session-Expires", Value: "200;refresher=uac"}, telephony.Header{Name: "Supported", Value: "timer"})
		if wait := w.later(); wait != 100*time.Second {
			t.Errorf("refreshed after %v, want half of 200 s", wait)
		}
		out, k := w.sentTo(2, method)
		if got := value(k.out.Headers, "Session-Expires"); got != "200;refresher=uac" {
			t.Errorf("Session-Expires: %s", got)
		}
		if !update && !bytes.Equal(k.out.Body, w.call.Leg(2).Session.Side.Last) {
			t.Error("the refresh changes the session")
		}
		w.respond(out, 408, func(r *signal.Response) { r.Local = true })
		if w.call.Cause.Code != 408 {
			t.Errorf("a phone that is gone ends the call by %v", w.call.Cause)
		}
		w.finish()
	}
}

func TestSessionThatThePhoneDoesNotRefreshIsEnded(t *testing.T) {
	w := talking(t, telephony.Header{Name: "Session-Expires", Value: "120;refresher=uas"}, telephony.Header{Name: "Supported", Value: "timer"})
	w.now = w.now.Add(10 * time.Second)
	if wait := w.later(); wait != 78*time.Second { // 120 - min(32, 40) - 10
		t.Errorf("ended after %v", wait)
	}
	if w.call.Cause.Who != telephony.Network {
		t.Errorf("cause %v", w.call.Cause)
	}
	w.finish()
}

func TestSessionIntervals(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.change = func(r *signal.Request) {
		r.Headers = []telephony.Header{{Name: "Supported", Value: "timer"}, {Name: "Session-Expires", Value: "30"}}
	}
	w.invite(true)
	if r := w.told[0]; r.Status != 422 || value(r.Headers, "Min-SE") != "90" {
		t.Errorf("a small interval got %+v", r)
	}
	w.finish()

	w = newWorld(t.Fatalf)
	w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 422, func(r *signal.Response) { r.Headers = []telephony.Header{{Name: "Min-SE", Value: "7200"}} })
	out, k := w.sentTo(2, "INVITE")
	if got := value(k.out.Headers, "Session-Expires"); got != "7200" {
		t.Errorf("after 422 we ask for %s", got)
	}
	w.respond(out, 486, nil)
	w.finish()
}

func TestProtectionGivesWay(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, k := w.sentTo(2, "INVITE")
	if !bytes.Contains(k.out.Body, []byte("RTP/SAVP ")) {
		t.Errorf("over TLS the first offer is\n%s", k.out.Body)
	}
	w.respond(out, 488, nil)
	out, k = w.sentTo(2, "INVITE")
	if !bytes.Contains(k.out.Body, []byte("UDP/TLS/RTP/SAVP")) || bytes.Contains(k.out.Body, []byte("a=crypto")) {
		t.Errorf("after 488 to SDES the offer is\n%s", k.out.Body)
	}
	w.respond(out, 415, nil)
	out, k = w.sentTo(2, "INVITE")
	if !bytes.Contains(k.out.Body, []byte("RTP/AVP ")) || bytes.Contains(k.out.Body, []byte("a=crypto")) {
		t.Errorf("after 415 to DTLS the offer is\n%s", k.out.Body)
	}
	w.route = func(callswitch.Question) callswitch.Routed { return callswitch.Routed{Refused: &callswitch.Refusal{}} }
	w.respond(out, 488, nil)
	if w.servers[tx].final != 488 {
		t.Errorf("the caller got %d", w.servers[tx].final)
	}
	w.finish()

	w = newWorld(t.Fatalf)
	w.policy = sdp.Required
	w.plain = true
	tx = w.invite(true)
	if w.servers[tx].final != 488 {
		t.Errorf("RTP/AVP where SRTP is required got %d", w.servers[tx].final)
	}
	w.finish()
}

func TestUnansweredCallsEnd(t *testing.T) {
	for _, rings := range []bool{true, false} {
		w := newWorld(t.Fatalf)
		tx := w.invite(true)
		if rings {
			out, _ := w.sentTo(2, "INVITE")
			w.respond(out, 180, nil)
		}
		w.route = func(callswitch.Question) callswitch.Routed { return callswitch.Routed{Refused: &callswitch.Refusal{}} }
		w.later()
		want := map[bool]int{true: 480, false: 408}[rings]
		if w.servers[tx].final != want {
			t.Errorf("rings %v: the caller got %d, want %d", rings, w.servers[tx].final, want)
		}
		w.finish()
	}
}

func TestSerialForking(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.route = func(callswitch.Question) callswitch.Routed {
		all := targets(2)
		all[1].Q = 100
		return callswitch.Routed{Callee: bob, Targets: all}
	}
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 480, nil)
	out, _ = w.sentTo(3, "INVITE")
	w.respond(out, 200, nil)
	w.ack(tx, false)
	w.finish()
}

func TestDigitsByInfoCross(t *testing.T) {
	w := talking(t, telephony.Header{Name: "Allow", Value: "INFO"})
	w.inDialog(w.fars[1], "INFO", func(r *signal.Request) { r.ContentType, r.Body = "application/dtmf-relay", []byte("Signal=5\r\n") })
	if _, k := w.sentTo(2, "INFO"); string(k.out.Body) != "Signal=5\r\n" {
		t.Errorf("INFO holds %q", k.out.Body)
	}
	w.inDialog(w.fars[1], "INFO", func(r *signal.Request) { r.ContentType, r.Body = "text/plain", []byte("?") })
	if got := w.told[len(w.told)-1].Status; got != 415 {
		t.Errorf("an unknown INFO got %d", got)
	}
	w.finish()
}

func TestRequestsOfStrangersAndOldOnesAreRefused(t *testing.T) {
	w := talking(t)
	for name, c := range map[string]struct {
		change func(*signal.Request)
		want   int
	}{
		"another Call-ID": {func(r *signal.Request) { r.CallID = "x" }, 481},
		"another tag":     {func(r *signal.Request) { r.FromTag = "x" }, 481},
		"another flow":    {func(r *signal.Request) { r.Way.Flow.ID, r.User = 4711, telephony.AoR{} }, 407},
		"another user":    {func(r *signal.Request) { r.Way.Flow.ID, r.User = 4711, carol }, 407},
		"an old CSeq":     {func(r *signal.Request) { r.CSeq = 1 }, 500},
		"another method":  {func(r *signal.Request) { r.Method = "PUBLISH" }, 405},
	} {
		w.told = nil
		w.inDialog(w.fars[1], "INFO", c.change)
		if w.told[0].Status != c.want || (c.want == 407) != w.told[0].Challenge {
			t.Errorf("%s got %+v, want %d", name, w.told[0], c.want)
		}
	}
	w.told = nil
	w.inDialog(w.fars[1], "BYE", func(r *signal.Request) { r.Way.Flow.ID = 4711 }) // the same user, from a new connection
	if w.told[0].Status != 200 {
		t.Errorf("the user's BYE over a new flow got %d", w.told[0].Status)
	}
	w.finish()
}

func TestUDPIsTheSameFlowUnderAnotherNumber(t *testing.T) {
	for remote, want := range map[string]int{"192.0.2.1:5060": 200, "192.0.2.1:5062": 407} {
		w := newWorld(t.Fatalf)
		w.change = func(r *signal.Request) {
			r.Way.Flow.Transport, r.Way.Flow.Remote, r.Secure = telephony.UDP, netip.MustParseAddrPort("192.0.2.1:5060"), false
		}
		w.plain = true
		tx := w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		w.respond(out, 200, nil)
		w.ack(tx, false)
		w.told = nil
		w.inDialog(w.fars[1], "OPTIONS", func(r *signal.Request) {
			r.Way.Flow = telephony.Flow{ID: 4711, Listener: "tls", Transport: telephony.UDP, Remote: netip.MustParseAddrPort(remote)}
			r.User = telephony.AoR{}
		})
		if w.told[0].Status != want {
			t.Errorf("%s got %d, want %d", remote, w.told[0].Status, want)
		}
		w.finish()
	}
}

func TestAnotherProcessGoesOnWithACall(t *testing.T) {
	a := talking(t)
	b := newWorld(t.Fatalf)
	moved, err := encoding.Decode(encoding.Encode(a.call))
	if err != nil {
		t.Fatal(err)
	}
	moved.Bind("n2", 77)
	b.call, b.fars, b.now = moved, a.fars, a.now
	b.lastTx = a.lastTx
	b.inDialog(b.fars[1], "BYE", nil)
	if b.told[0].Status != 200 {
		t.Errorf("BYE got %d", b.told[0].Status)
	}
	out, k := b.sentTo(2, "BYE")
	if !strings.Contains(value(k.out.Headers, "To"), "tag=their2") || k.out.URI != "sip:phone@192.0.2.9" ||
		value(k.out.Headers, "CSeq") != "102 BYE" {
		t.Errorf("BYE %s with %v", k.out.URI, k.out.Headers)
	}
	b.respond(out, 200, nil)
	b.finish()
}

func TestMediaThatStopsEndsTheCallUnlessHeld(t *testing.T) {
	w := talking(t)
	w.fact(callswitch.Noticed{Leg: 1, Event: telephony.MediaEvent{ID: 1, Kind: telephony.MediaStopped}})
	if w.call.Cause.Who != telephony.Network || w.call.Cause.Code != 408 {
		t.Errorf("cause %v", w.call.Cause)
	}
	w.finish()

	w = talking(t)
	w.inDialog(w.fars[1], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[1].offer(sdp.SendOnly) })
	w.fact(callswitch.Noticed{Leg: 1, Event: telephony.MediaEvent{ID: 1, Kind: telephony.MediaStopped}})
	if w.call.Cause.Code != 0 {
		t.Errorf("a held call ended by %v", w.call.Cause)
	}
	w.finish()
}

// A proxy in front of the caller learns from the response alone that it is in the dialog (RFC 3261 §12.1.1).
func TestResponsesThatFormADialogNameWhoRecordedTheRoute(t *testing.T) {
	w := newWorld(t.Fatalf)
	recorded := []string{"<sip:192.0.2.20;lr>", "<sip:192.0.2.21;transport=tls;lr>"}
	w.change = func(r *signal.Request) { r.RecordRoute = recorded }
	tx := w.invite(true)
	out, _ := w.sentTo(2, "INVITE")
	w.respond(out, 180, nil)
	w.respond(out, 200, nil)
	if len(w.told) != 2 {
		t.Fatalf("the caller got %d responses", len(w.told))
	}
	for _, r := range w.told {
		var told []string
		for _, h := range r.Headers {
			if h.Name == "Record-Route" {
				told = append(told, h.Value)
			}
		}
		if !slices.Equal(told, recorded) {
			t.Errorf("the %d has Record-Route %q", r.Status, told)
		}
	}
	w.ack(tx, false)
	w.finish()
}
