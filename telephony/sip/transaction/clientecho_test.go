package transaction_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/sip/transaction"
	"demarc/telephony/wire"
)

// A 2xx that has its ACK gets it again for as long as timer M lasts, over whatever flow of the phone; another dialog is told of once.
func TestEchoOfAnAnsweredINVITE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsked(t, 100)
		a.ask("INVITE", 2)
		is := func(by uint64, status int, tag, want string) {
			t.Helper()
			if got := a.answer(2, by, status, "INVITE", tag); got != want {
				t.Errorf("%d of %q over flow %d: %s, want %s", status, tag, by, got, want)
			}
		}
		acks := func(want ...string) {
			t.Helper()
			var got []string
			for _, s := range append(a.roads3[2].sent[1:], a.roads3[3].sent...) {
				_, tag, _ := strings.Cut(s, "To: <sip:c@d>;tag=")
				got = append(got, s[:4]+tag[:1])
			}
			if strings.Join(got, ",") != strings.Join(want, ",") {
				t.Errorf("sent %q, want %q", got, want)
			}
			a.roads3[2].sent, a.roads3[3].sent = a.roads3[2].sent[:1], nil
		}
		ack := func(tag string) {
			t.Helper()
			if err := a.Ack(ackTo(tag, 2)); err != nil {
				t.Error(err)
			}
		}
		is(2, 200, "t", "told")
		ack("t")
		acks("ACK t")
		time.Sleep(10 * time.Second)
		is(2, 200, "t", "old")
		acks("ACK t")
		is(3, 200, "t", "old") // the same phone, from where it is now
		acks("ACK t")
		is(1, 200, "t", "unasked") // another one
		is(2, 180, "t", "old")
		is(2, 486, "t", "old")
		acks()
		is(3, 200, "u", "told")
		is(3, 200, "u", "old") // there is no ACK yet
		acks()
		ack("u")
		acks("ACK u")
		is(3, 200, "u", "old")
		is(3, 200, "t", "old")
		acks("ACK u", "ACK t")
		if a.Len() != 1 || a.State(asker) != sip.Accepted {
			t.Errorf("%d, %s", a.Len(), a.State(asker))
		}
		time.Sleep(33 * time.Second)
		synctest.Wait()
		is(3, 200, "t", "unasked")
		acks()
		if a.Len() != 0 || a.wheel.Armed() != 0 || a.State(asker) != sip.Terminated || a.heard() != "" {
			t.Errorf("%d are left, %d timers, %s, told %q", a.Len(), a.wheel.Armed(), a.State(asker), a.heard())
		}
	})
}

// Whatever has been answered gets its own ACK again, and nothing is left after its time.
func TestClientEchoesHaveTheirOwnACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 3000 // several pages of each shard
		a := newAsked(t, 100_000)
		var answers [many]*wire.Message
		receive := func(n int) transaction.News {
			_, _, news := a.Receive(answers[n], a.roads3[1].flow)
			return news
		}
		for n := range many {
			answers[n] = a.askAs(n)
			ack := ackTo(ownTag(n), 1)
			ack.Tx = asker + signal.TxID(n+1)
			if news, err := receive(n), a.Ack(ack); news != transaction.Told || err != nil {
				t.Fatal(news, err)
			}
			time.Sleep(time.Millisecond)
		}
		for n := range many {
			a.roads3[1].sent = a.roads3[1].sent[:0]
			if got := receive(n); got != transaction.Old || len(a.roads3[1].sent) != 1 || !strings.Contains(a.roads3[1].sent[0], ownTag(n)) {
				t.Fatalf("%d: %v %q", n, got, a.roads3[1].sent)
			}
		}
		if a.Len() != many {
			t.Errorf("%d are kept", a.Len())
		}
		time.Sleep(32*time.Second + 100*time.Millisecond)
		synctest.Wait()
		if got := receive(many - 1); got != transaction.Unasked || a.Len() != 0 || a.wheel.Armed() != 0 {
			t.Errorf("%v, %d are left, %d timers", got, a.Len(), a.wheel.Armed())
		}
	})
}

// ownTag is the To tag of the n-th of many calls.
func ownTag(n int) string { return fmt.Sprintf("tag%dx", n) }

// askAs sends the INVITE of the n-th call, and returns what answers it by a 200.
func (a *asked) askAs(n int) *wire.Message {
	a.Helper()
	err := a.Send(&signal.Outgoing{Tx: asker + signal.TxID(n+1), Method: "INVITE", URI: "sip:c@phone", Ways: []signal.Way{{Flow: telephony.Flow{ID: 1}}},
		Headers: []telephony.Header{{Name: "From", Value: "<sip:a@b>;tag=1"}, {Name: "To", Value: "<sip:c@d>"}, {Name: "Call-ID", Value: "x"},
			{Name: "CSeq", Value: "1 INVITE"}}})
	var m, ok wire.Message
	if err != nil || m.Scan([]byte(a.roads3[1].last()), wire.Limits{}) != nil {
		a.Fatal(err)
	}
	raw := append(sip.AppendResponse(nil, &m, netip.MustParseAddrPort("192.0.2.9:1"), 200, "", ownTag(n)), "\r\n"...)
	if err := ok.Scan(raw, wire.Limits{}); err != nil {
		a.Fatal(err)
	}
	return &ok
}
