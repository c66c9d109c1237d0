package callswitch_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// reply returns the last reply with a status that a phone was told.
func (w *world) reply(leg, status int) callswitch.Reply {
	for i := len(w.told) - 1; i >= 0; i-- {
		if r := w.told[i]; r.Leg == leg && r.Status == status {
			return r
		}
	}
	w.fault("leg %d was never told %d: %+v", leg, status, w.told)
	return callswitch.Reply{}
}

// offerless is a call whose caller requires 100rel and leaves the offer to us: it has got that with the ringing.
func offerless(t *testing.T) (w *world, tx, out signal.TxID) {
	t.Helper()
	w = newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) })
	w.requires = "100rel"
	tx = w.invite(false)
	out, _ = w.sentTo(2, "INVITE")
	w.respond(out, 180, nil)
	if r := w.reply(1, 180); !r.Reliable || !bytes.Contains(r.Body, []byte("m=audio 20002")) {
		t.Fatalf("the first reliable response holds no offer: %+v", r)
	}
	return w, tx, out
}

func (w *world) agreed(leg int) bool {
	s := w.call.Leg(leg).Session
	return s.State == states.Stable && s.Side.Agreed.Stands()
}

func TestAnOfferInAReliableResponseIsAnsweredInPRACK(t *testing.T) {
	for _, fast := range []bool{false, true} { // the callee answers before the PRACK is here
		w, tx, out := offerless(t)
		answer := w.fars[1].answerTo(w.servers[tx].body)
		if !fast {
			w.prack(tx, false, answer)
		}
		w.respond(out, 200, nil)
		if r := w.reply(1, 200); len(r.Body) > 0 && r.Tx == tx {
			t.Errorf("the 200 holds a second offer:\n%s", r.Body)
		}
		if fast {
			w.prack(tx, false, answer)
		}
		if !w.agreed(1) || !w.agreed(2) {
			t.Errorf("fast %t: not agreed", fast)
		}
		w.ack(tx, false)
		if w.call.State != states.Talking {
			t.Errorf("fast %t: the call is %v", fast, w.call.State)
		}
		w.finish()
	}
}

func TestAPRACKWithoutAnAnswerToOurOffer(t *testing.T) {
	for name, c := range map[string]struct {
		fast bool
		body []byte
		code int
	}{
		"an answer that is none": {false, []byte("v=0"), 488},
		"the same, late":         {true, []byte("v=0"), 488},
		"no answer at all":       {true, nil, 488},
	} {
		t.Run(name, func(t *testing.T) {
			w, tx, out := offerless(t)
			if c.fast {
				w.respond(out, 200, nil)
			}
			w.prack(tx, false, c.body)
			if c.fast {
				w.ack(tx, false)
				w.sentTo(1, "BYE")
				w.sentTo(2, "BYE")
			} else if w.servers[tx].final != c.code {
				t.Errorf("the INVITE got %d, want %d", w.servers[tx].final, c.code)
			}
			if got := w.call.Cause; got.Who != telephony.Caller || got.Code != c.code {
				t.Errorf("cause %v", got)
			}
			w.finish()
		})
	}
}

// earlyMedia is a call whose caller hears the callee's early media, by a reliable 183.
func earlyMedia(t *testing.T) (w *world, tx, out signal.TxID) {
	t.Helper()
	w = newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) })
	w.requires = "100rel"
	tx = w.invite(true)
	out, _ = w.sentTo(2, "INVITE")
	w.respond(out, 183, func(r *signal.Response) {
		r.ContentType, r.Body, r.RSeq = "application/sdp", w.fars[2].answerTo(w.clients[out].out.Body), 1
	})
	if r := w.reply(1, 183); !r.Reliable || len(r.Body) == 0 {
		t.Fatalf("the caller got %+v", r)
	}
	prack, _ := w.sentTo(2, "PRACK")
	w.respond(prack, 200, nil)
	return w, tx, out
}

func TestAnOfferInPRACKIsAnsweredInIts200(t *testing.T) {
	w, tx, out := earlyMedia(t)
	w.prack(tx, false, w.fars[1].offer(sdp.SendOnly))
	answer := w.told[len(w.told)-1]
	if answer.Status != 200 || !bytes.Contains(answer.Body, []byte("a=recvonly")) {
		t.Fatalf("the PRACK got %+v", answer)
	}
	w.respond(out, 200, func(r *signal.Response) { r.ContentType, r.Body = "", nil })
	if r := w.reply(1, 200); r.Tx != tx || len(r.Body) > 0 {
		t.Errorf("the 200 tells what was agreed once more:\n%s", r.Body)
	}
	w.ack(tx, false)
	if w.call.State != states.Talking || !w.call.Leg(1).Session.Holds {
		t.Errorf("the call is %v", w.call.State)
	}
	w.finish()
}

func TestAnOfferInPRACKThatCannotBeTaken(t *testing.T) {
	w, tx, out := earlyMedia(t)
	w.prack(tx, false, []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=image 4 udptl t38\r\n"))
	if got := w.told[len(w.told)-1]; got.Status != 488 {
		t.Errorf("the PRACK got %+v", got)
	}
	w.respond(out, 200, nil) // what was agreed before stays (RFC 6337 §3.4)
	w.ack(tx, false)
	if w.call.State != states.Talking {
		t.Errorf("the call is %v", w.call.State)
	}
	w.finish()
}

// TestA2xxThatWaitedForAPRACKInVain holds that nobody is left behind who has answered.
func TestA2xxThatWaitedForAPRACKInVain(t *testing.T) {
	w, tx, out := offerless(t)
	w.respond(out, 200, nil)
	w.prack(tx, true, nil)
	if got := w.servers[tx].final; got != 504 {
		t.Errorf("the INVITE got %d, want 504", got)
	}
	w.sentTo(2, "BYE")
	w.quiet(1, "BYE")
	w.finish()
}

// TestAReliableAnswerCountsThoughOthersRing has two phones ring, of which one answers our offer in a 183 and not again in its
// 200 (RFC 3262 §5); the caller hears no early media of it.
func TestAReliableAnswerCountsThoughOthersRing(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.route = func(callswitch.Question) callswitch.Routed {
		return callswitch.Routed{Callee: bob, Targets: targets(2)}
	}
	tx := w.invite(true)
	first, _ := w.sentTo(2, "INVITE")
	second, _ := w.sentTo(3, "INVITE")
	for leg, out := range map[int]signal.TxID{2: first, 3: second} {
		w.respond(out, 183, func(r *signal.Response) {
			r.ContentType, r.Body, r.RSeq = "application/sdp", w.fars[leg].answerTo(w.clients[out].out.Body), 1
		})
		if r := w.told[0]; r.Status != 180 || len(r.Body) > 0 {
			t.Fatalf("the caller got %+v", r)
		}
	}
	for _, l := range w.call.Legs {
		if l.Session.Hears.Kind != callswitch.HearsNothing {
			t.Errorf("leg %d hears somebody before anybody has answered", l.ID)
		}
	}
	w.respond(first, 200, func(r *signal.Response) { r.ContentType, r.Body = "", nil })
	w.ack(tx, false)
	if w.call.State != states.Talking || !w.agreed(1) || !w.agreed(2) {
		t.Errorf("the call is %v", w.call.State)
	}
	w.finish()
}

// A caller may hang up while his 2xx waits for his PRACK. When that never comes his INVITE is refused all the same.
func TestAnINVITEIsAnsweredThoughItsCallerHungUpBeforeThePRACK(t *testing.T) {
	for _, missing := range []bool{true, false} {
		w, tx, out := offerless(t)
		w.respond(out, 200, nil)
		w.inDialog(w.fars[1], "BYE", nil)
		bye, _ := w.sentTo(2, "BYE")
		w.respond(bye, 200, nil)
		w.prack(tx, missing, nil)
		if missing {
			if r := w.reply(1, 504); r.Tx != tx {
				t.Errorf("the INVITE got %+v", r)
			}
		} else {
			w.ack(tx, false)
		}
		w.finish()
	}
}

// Each dialog that an INVITE begins numbers its reliable responses by itself (RFC 3262 §4): every one gets its PRACK, in its dialog.
func TestForkedPhonesArePrackedEachInItsDialog(t *testing.T) {
	for _, early := range []bool{false, true} { // the first one has told what its early media is
		w := newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) })
		tx := w.invite(true)
		out, k := w.sentTo(2, "INVITE")
		answer := w.fars[2].answerTo(k.out.Body)
		last := map[string]int{}
		rings := func(tag string, rseq uint32, body []byte) {
			t.Helper()
			w.respond(out, 183, func(r *signal.Response) {
				r.ToTag, r.RSeq, r.Contact = tag, rseq, "sip:"+tag+"@192.0.2.8"
				if r.Body = body; len(body) > 0 {
					r.ContentType = "application/sdp"
				}
			})
			prack, p := w.sentTo(2, "PRACK")
			rack := value(p.out.Headers, "RAck")
			if !strings.HasSuffix(value(p.out.Headers, "To"), ";tag="+tag) || rack != fmt.Sprint(rseq, " 1 INVITE") || p.out.URI != "sip:"+tag+"@192.0.2.8" {
				t.Errorf("%s rings as %d: PRACK %s with %v", tag, rseq, p.out.URI, p.out.Headers)
			}
			seq, _, _ := strings.Cut(value(p.out.Headers, "CSeq"), " ")
			if n, err := strconv.Atoi(seq); err != nil || n <= last[tag] {
				t.Errorf("%s: CSeq %s after %d", tag, seq, last[tag])
			} else {
				last[tag] = n
			}
			w.respond(prack, 200, func(r *signal.Response) { r.ToTag = tag })
		}
		var first []byte
		if early {
			first = answer
		}
		rings("one", 100, first)
		rings("two", 1, nil)
		rings("two", 2, answer)
		rings("one", 101, nil)
		rings("six", 7, nil)
		w.fars[2].tag = "two"
		w.respond(out, 200, func(r *signal.Response) { r.ContentType, r.Body = "", nil }) // RFC 3262 §5: it has answered before
		w.ack(tx, false)
		if l := w.call.Leg(2); w.call.State != states.Talking || l.Dialog.RemoteTag != "two" || !w.agreed(2) {
			t.Errorf("early %t: the call is %v by %v", early, w.call.State, w.call.Cause)
		}
		byes := w.byes
		w.acks[out]++
		w.step(callswitch.Event{Leg: 2, Signal: &signal.Response{Tx: out, Method: "INVITE", Status: 200,
			Message: signal.Message{ToTag: "one", CSeq: 1, Contact: "sip:one@192.0.2.8"}}})
		if w.byes != byes+1 {
			t.Fatal("the other phone that answered got no BYE")
		}
		bye, b := w.sentTo(2, "BYE")
		seq, _, _ := strings.Cut(value(b.out.Headers, "CSeq"), " ")
		if n, err := strconv.Atoi(seq); err != nil || n <= last["one"] {
			t.Errorf("BYE with CSeq %s after a PRACK with %d", seq, last["one"])
		}
		w.respond(bye, 200, nil)
		w.finish()
	}
}

// What answers further phones behind one target may give is bounded; who is one more is not confirmed.
func TestAnswersOfForkedPhonesAreBounded(t *testing.T) {
	w := newWorld(t.Fatalf)
	w.invite(true)
	out, k := w.sentTo(2, "INVITE")
	answer := w.fars[2].answerTo(k.out.Body)
	for i := range 30 {
		w.respond(out, 183, func(r *signal.Response) {
			r.ToTag, r.RSeq, r.ContentType, r.Body = fmt.Sprint("fork", i), 1, "application/sdp", answer
		})
	}
	pracks := pending(w.clients, func(k *client) bool { return k.out.Method == "PRACK" })
	if n := len(pracks); n < 2 || n > 8 {
		t.Errorf("%d forks got a PRACK", n)
	}
	w.finish()
}
