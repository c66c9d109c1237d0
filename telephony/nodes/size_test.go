package nodes_test

import (
	"fmt"
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/signal"
)

// long is header lines of a message that a phone may just send; every hop adds some of its own.
func long(lines int) string {
	each := strings.Repeat("x", 7700/lines)
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "X%d: %s\r\n", i, each[:len(each)-6])
	}
	return b.String()
}

// What a phone may say is longer once it goes on to another node. It must not end the connection that all calls between the two use.
func TestALongMessageOfOnePhoneEndsNoOtherCall(t *testing.T) {
	a, b := authority(t), book{}
	one, two := build(t, "one", a, b), build(t, "two", a, b)
	phone := two.handset("tcp")
	way := two.way("two")
	s := one.edge.Signalling()
	s.Send(toBob("INVITE", 1, 1, way, ""))
	first := phone.next("INVITE")
	phone.respond(first, 180)
	one.hears("180")

	info := toBob("INFO", 2, 2, way, ";tag=bobs") // what crosses from a caller
	info.Headers = append(info.Headers, telephony.Header{Name: "Subject", Value: strings.Repeat("s", 8000)})
	s.Send(info)
	asked := phone.next("INFO")
	phone.respond(asked, 200)
	one.hears("180 200")

	for i, lines := range []int{4, 118} {
		s.Send(toBob("INFO", signal.TxID(10+i), 10+i, way, ";tag=bobs")) // what a phone answers
		asked = phone.next("INFO")
		phone.respond(asked, 200, long(lines))
		one.hears("180 200" + strings.Repeat(" 200", i+1))
	}
	for i, lines := range []int{4, 118} { // what a phone asks
		phone.say(fmt.Sprintf("INFO sip:token@one SIP/2.0\r\nVia: SIP/2.0/X h;branch=z9hG4bKlong%d;rport\r\nMax-Forwards: 70\r\n"+
			"From: <sip:bob@example.org>;tag=bobs\r\nTo: <sip:alice@example.org>;tag=alices\r\nCall-ID: between\r\nCSeq: %d INFO\r\n"+
			"Contact: <sip:bob@phone;ob>\r\n%sContent-Length: 0\r\n\r\n", i, i+1, long(lines)))
		one.hears("180 200 200 200" + strings.Repeat(" INFO", i+1))
	}
	phone.respond(first, 486)
	one.hears("180 200 200 200 INFO INFO 486")
}
