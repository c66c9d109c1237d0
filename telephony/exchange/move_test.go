package exchange_test

import (
	"net/url"
	"testing"

	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// A phone whose leg goes to another call writes two requests meanwhile, the first one before the other call has the leg, the second one
// after: they are answered in their order, and none is refused for coming late.
func TestNoRequestOvertakesAnotherWhenALegMoves(t *testing.T) {
	s := newSite(t)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	first, far := s.talk(a, b)
	s.mu.Lock()
	for signal.TxID(s.lastTx+1)%2 == first.invite%2 { // the other call is to have the other worker
		s.lastTx++
	}
	s.mu.Unlock()
	second, other := s.talk(a, c)
	there := s.stall(c)
	other.send("INFO", nil)
	<-there // the other call's worker stands
	named := url.PathEscape(second.callID + ";to-tag=" + second.theirs + ";from-tag=" + second.mine)
	first.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:" + carol.String() + "?Replaces=" + named + ">"})
	a.reply(202)
	far.offer(sdp.SendRecv)
	here := s.stall(a)
	first.send("INFO", nil)
	<-here // so does the one that has kept the re-INVITE
	there <- struct{}{}
	second.bye() // the other call has the leg
	update := far.send("UPDATE", nil)
	other.send("INFO", nil)
	c.reply(200)
	c.reply(200) // what came before it is done, or waits
	here <- struct{}{}
	got := make(map[signal.TxID]int)
	s.until("both are answered", func() bool {
		for _, r := range b.replies {
			if r.Status >= 200 {
				got[r.Tx] = r.Status
			}
		}
		return got[far.invite] > 0 && got[update] > 0
	})
	if got[far.invite] != 200 || got[update] != 200 {
		t.Errorf("the re-INVITE got %d, and the UPDATE %d", got[far.invite], got[update])
	}
}
