package transaction_test

import (
	"testing"
	"testing/synctest"
	"time"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
)

// change sends an INVITE within a dialog.
func (a *asked) change(flow uint64) {
	a.Helper()
	way := signal.Way{Flow: telephony.Flow{ID: flow}}
	if err := a.Send(&signal.Outgoing{Tx: asker, Method: "INVITE", URI: "sip:c@phone", Ways: []signal.Way{way}, Headers: []telephony.Header{
		{Name: "From", Value: "<sip:a@b>;tag=1"}, {Name: "To", Value: "<sip:c@d>;tag=t"}, {Name: "Call-ID", Value: "x"},
		{Name: "CSeq", Value: "3 INVITE"}}}); err != nil {
		a.Fatal(err)
	}
}

// A phone that says that it works on a change of its call, and nothing more, is asked to leave it: nothing else could be asked of it until
// then, and what waits for its answer would stay for ever.
func TestAChangeIsNotWorkedOnForEver(t *testing.T) {
	for _, flow := range []uint64{1, 2} {
		for name, answers := range map[string]bool{"it leaves it": true, "it says nothing": false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := newAsked(t, 10)
					a.change(flow)
					for range 10 { // and says so again and again
						a.answer(flow, flow, 100, "INVITE", "")
						time.Sleep(3 * time.Second)
					}
					if got := a.roads3[flow].methods(); got != "INVITE" || a.heard() != "" {
						t.Fatalf("while it works on it %q is sent, told is %q", got, a.heard())
					}
					time.Sleep(3 * time.Second)
					if answers {
						a.answer(flow, flow, 200, "CANCEL", "t")
						if got := a.answer(flow, flow, 487, "INVITE", "t"); got != "told" || a.heard() != "" {
							t.Errorf("its answer is %s, told %q", got, a.heard())
						}
						time.Sleep(33 * time.Second)
					} else {
						time.Sleep(33 * time.Second)
						if got := a.heard(); got != "INVITE 487" {
							t.Errorf("told %q", got)
						}
					}
					time.Sleep(33 * time.Second)
					synctest.Wait()
					if a.State(asker) != sip.Terminated || a.Len() != 0 {
						t.Errorf("%d transactions stay, the INVITE's is %s", a.Len(), a.State(asker))
					}
				})
			})
		}
	}
}

// Who was given up is not called over its next way.
func TestWhatWasGivenUpIsNotTriedOverTheNextWay(t *testing.T) {
	a := newAsked(t, 10)
	a.ask("INVITE", 2, 1)
	a.Cancel(asker, "")
	if got := a.answer(2, 2, 430, "INVITE", "t"); got != "told" {
		t.Errorf("the response is %s", got)
	}
	if got := a.roads3[1].methods(); got != "" {
		t.Errorf("over the next way %q is sent", got)
	}
}
