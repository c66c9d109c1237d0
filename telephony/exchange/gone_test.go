package exchange_test

import (
	"net/url"
	"testing"

	"demarc/telephony"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// atOnce has the only worker find several events together, which come while it is kept from going on.
func (s *site) atOnce(stops *dialog, events ...signal.Event) {
	s.t.Helper()
	tx := stops.p.tx()
	r := stops.request(tx, "OPTIONS", nil, nil)
	r.CallID = "of no call" // its 481 needs the site
	s.mu.Lock()
	s.x.Take(r)
	for _, e := range events {
		s.x.Take(e)
	}
	s.mu.Unlock()
}

// over is the 200 to a BYE, which is the last message of a call.
func (d *dialog) over(bye *signal.Outgoing) *signal.Response {
	return &signal.Response{Tx: bye.Tx, Method: "BYE", Status: 200, Way: d.p.way(), Message: signal.Message{CallID: d.callID, ToTag: d.mine, CSeq: 1}}
}

func replaces(d *dialog) string { return d.callID + ";to-tag=" + d.theirs + ";from-tag=" + d.mine }

func one(c *exchange.Config) { c.Workers = 1 }

func TestReplacesIsAnsweredThoughTheCallEndsFirst(t *testing.T) {
	s := newSite(t, one)
	a, b, c := s.phone(alice), s.phone(bob), s.phone(carol)
	caller, callee := s.talk(a, b)
	caller.hangUp()
	bye := b.incoming("BYE")
	third := c.newDialog("sip:" + alice.String())
	third.seq++
	tx := c.tx()
	late := third.request(tx, "INVITE", nil, []telephony.Header{{Name: "Replaces", Value: replaces(callee)}})
	s.atOnce(caller, callee.over(bye), late)
	c.reply(481)
	s.ended()
}

func TestATransferIntoACallThatEndsFirstGivesTheLegBack(t *testing.T) {
	s := newSite(t, one)
	a, b, c := s.phone(alice, "PCMA"), s.phone(bob, "PCMA"), s.phone(carol, "PCMA")
	first, far := s.talk(a, b)
	second, other := s.talk(a, c)
	other.hangUp()
	bye := a.incoming("BYE")
	tx := a.tx()
	first.seq++
	refer := first.request(tx, "REFER", nil, []telephony.Header{
		{Name: "Refer-To", Value: "<sip:" + carol.String() + "?Replaces=" + url.PathEscape(replaces(second)) + ">"}})
	s.atOnce(first, refer, second.over(bye))
	a.reply(202)
	first.sipfrag("SIP/2.0 100 Trying", false)
	first.sipfrag("SIP/2.0 481", true)
	far.hangUp()
	first.bye()
	s.allEnded(2)
}

// Somebody who is passed on twice has a leg that has been in three calls. It is found when the one in the middle has ended.
func TestALegThatMovedTwiceIsFound(t *testing.T) {
	s := newSite(t)
	dave := telephony.NewAoR("1004", "acme.example")
	a, b, c, d := s.phone(alice, "PCMA"), s.phone(bob, "PCMA"), s.phone(carol, "PCMA"), s.phone(dave, "PCMA")
	caller, callee := s.talk(a, b)
	asked, asks := s.talk(b, c)
	refer := func(from, to *dialog) {
		from.send("REFER", nil, telephony.Header{Name: "Refer-To", Value: "<sip:x@acme.example?Replaces=" + url.PathEscape(replaces(to)) + ">"})
		from.p.reply(202)
		from.sipfrag("SIP/2.0 100 Trying", false)
		from.sipfrag("SIP/2.0 200 OK", true)
		from.bye()
		to.bye()
	}
	refer(callee, asked)
	s.allEnded(1)
	further, last := s.talk(c, d)
	refer(asks, further)
	s.allEnded(2)
	s.untilFree("one call is left", func() bool { return s.x.Counters().Live == 1 })
	caller.hangUp()
	last.bye()
	s.allEnded(3)
}

// What a phone sends while its leg is handed over belongs to the call that has it then, the ACK to it too.
func TestAReinviteDuringATransferIsConfirmedInTheOtherCall(t *testing.T) {
	s := newSite(t, one)
	a, b, c := s.phone(alice, "PCMA"), s.phone(bob, "PCMA"), s.phone(carol, "PCMA")
	first, far := s.talk(a, b)
	second, other := s.talk(a, c)
	first.seq++
	refer := first.request(a.tx(), "REFER", nil, []telephony.Header{
		{Name: "Refer-To", Value: "<sip:" + carol.String() + "?Replaces=" + url.PathEscape(replaces(second)) + ">"}})
	far.seq++
	far.invite = b.tx()
	s.atOnce(first, refer, far.request(far.invite, "INVITE", nil, nil))
	offer, err := sdp.Parse(b.reply(200).Body)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := far.side.Answer(sdp.Terms{Secure: true}, offer, sdp.Wanted{Direction: sdp.SendRecv})
	if err != nil {
		t.Fatal(err)
	}
	m := far.request(far.invite, "ACK", body, nil)
	m.ContentType = "application/sdp"
	s.x.Take(&signal.Ack{Tx: far.invite, Message: m.Message})
	far.offer(sdp.SendRecv)
	b.reply(200)
	far.ack(nil)
	first.bye()
	second.bye()
	far.hangUp()
	other.bye()
	s.allEnded(2)
}

// Two phones behind one target may answer while they are cancelled. The second one may do so when the call is over, and must not wait for
// an ACK in vain (RFC 3261 §13.2.2.4).
func TestAnAnswerThatComesAfterTheEndIsTakenBack(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice), s.phone(bob)
	caller := a.dial("sip:" + bob.String())
	first := b.rung()
	first.respond(180, nil)
	a.reply(180)
	caller.cancel("")
	a.reply(487)
	first.answer(first.incoming, sdp.SendRecv)
	b.incoming("ACK")
	first.bye()
	s.untilFree("the call is over", func() bool { return s.x.Counters().Live == 0 })

	second := *first
	second.mine = "another"
	r := second.request(0, "INVITE", nil, nil) // whose From and To are those of the phone
	s.x.Take(&signal.Response{Tx: first.incoming.Tx, Method: "INVITE", Status: 200, Way: b.way(), Message: signal.Message{CallID: first.callID,
		From: r.To, FromTag: first.theirs, To: r.From, ToTag: "another", CSeq: 1, Contact: "sip:second@192.0.2.2", RecordRoute: []string{"<sip:p1;lr>", "<sip:p2;lr>"}}})
	ack, bye := b.incoming("ACK"), b.incoming("BYE")
	for _, o := range []*signal.Outgoing{ack, bye} {
		if tagOf(header(o.Headers, "To")) != "another" || tagOf(header(o.Headers, "From")) != first.theirs || o.URI != "sip:second@192.0.2.2" ||
			header(o.Headers, "Call-ID") != first.callID || header(o.Headers, "Route") != "<sip:p2;lr>" {
			t.Errorf("%s %s %v", o.Method, o.URI, o.Headers)
		}
	}
	if ack.Tx != first.incoming.Tx || header(ack.Headers, "CSeq") != "1 ACK" || header(bye.Headers, "CSeq") != "2 BYE" {
		t.Errorf("ACK %v, BYE %v", ack.Headers, bye.Headers)
	}
}
