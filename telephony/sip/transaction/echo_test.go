package transaction_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
)

// Whatever is done with answers its own retransmissions with its own response, until its time is over and nothing of it is left.
func TestEchoesAnswerWithTheirOwnResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t, 100_000)
		bye := func(i int) string { return s.receive(false, scan(t, "BYE", fmt.Sprint("b", i), "tag", i)) }
		const many = 500 // of one Call-ID: several pages of one shard
		sent := make([]string, many)
		for i := range many {
			if got := bye(i); got != "fresh" {
				t.Fatal(i, got)
			}
			s.Respond(signal.Reply{Tx: s.tx, Status: 200, Headers: []telephony.Header{{Name: "X-Own", Value: fmt.Sprintf("%0*d", i%90+1, i)}}})
			sent[i] = s.peer.last()
			time.Sleep(50 * time.Millisecond)
		}
		for round := range 2 {
			for i := range many {
				if got := bye(i); got != "absorbed" || s.peer.last() != sent[i] || s.spent != (round+1)*len(sent[i]) {
					t.Fatalf("%d: %s, %d spent\n%s\nwant\n%s", i, got, s.spent, s.peer.last(), sent[i])
				}
			}
		}
		time.Sleep(32*time.Second - 250*50*time.Millisecond)
		synctest.Wait()
		if got := s.Len(); got != 249 && got != 250 {
			t.Errorf("%d are left of the later half", got)
		}
		if got := bye(251); got != "absorbed" || s.peer.last() != sent[251] {
			t.Errorf("%s\n%s", got, s.peer.last())
		}
		if got := bye(10); got != "fresh" {
			t.Errorf("one whose time is over: %s", got)
		}
		s.Respond(signal.Reply{Tx: s.tx, Status: 481})
		again := s.peer.last()
		time.Sleep(20 * time.Second)
		if got := bye(10); got != "absorbed" || s.peer.last() != again || s.Len() != 1 {
			t.Errorf("%s, %d left\n%s", got, s.Len(), s.peer.last())
		}
		time.Sleep(13 * time.Second)
		synctest.Wait()
		if s.Len() != 0 || s.wheel.Armed() != 0 {
			t.Errorf("%d are left, %d timers", s.Len(), s.wheel.Armed())
		}
	})
}

// An INVITE whose 2xx was acknowledged is known for T4, by all that it can be known by.
func TestEchoOfAnAcceptedINVITE(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t, 100)
		invite := scan(t, "INVITE", "1", "", 1)
		s.receive(false, invite)
		s.Respond(signal.Reply{Tx: s.tx, Status: 200, ToTag: "tag"})
		if got := s.receive(false, scan(t, "ACK", "2", "tag", 1)); got != "acked true" {
			t.Fatal(got)
		}
		for range 2 {
			for request, want := range map[string]string{
				"INVITE 1 ": "absorbed", "INVITE 7 ": "merged", "ACK 3 tag": "absorbed", "ACK 3 other": "stray", "ACK 1 tag": "absorbed",
			} {
				var method, branch, tag string
				_, _ = fmt.Sscanf(request, "%s %s %s", &method, &branch, &tag)
				if got := s.receive(false, scan(t, method, branch, tag, 1)); got != want {
					t.Errorf("%s: %s, want %s", request, got, want)
				}
			}
			if tx, tag, pending := s.Canceled(scan(t, "CANCEL", "1", "", 1), 7); tx != s.tx || tag != "tag" || pending {
				t.Errorf("CANCEL: %v %q %v", tx, tag, pending)
			}
			if _, ok := s.Pracked(scan(t, "PRACK", "9", "tag", 2), 1, 1); ok {
				t.Error("a PRACK is taken for it")
			}
			if got := s.peer.statuses(); got != "200" || s.State(s.tx) != sip.Accepted {
				t.Errorf("sent %q, %s", got, s.State(s.tx))
			}
			time.Sleep(2400 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		if got := s.receive(false, invite); got != "fresh" || s.Len() != 1 {
			t.Errorf("%s, %d", got, s.Len())
		}
	})
}
