package transaction

import (
	"strings"

	"demarc/telephony/sip"
)

// cancel sends the CANCEL, which is a transaction of its own over the same flow and with the same branch (§9.1). When nothing
// comes of it within 64*T1, the INVITE is over.
func (t *clientTx) cancel() {
	t.end = t.wheel.Now() + 64*t.shard.of.timers.T1
	t.set()
	c, err := t.shard.begin(clientID{tx: t.id.tx, cancel: true})
	if err != nil {
		return // then the far end rings until it gives up by itself
	}
	c.method, c.secret, c.state, c.carrier, c.way = "CANCEL", t.secret, sip.Calling, t.carrier, t.way
	c.raw = t.appendRelated(c.room(), "CANCEL", "")
	c.launch()
}

// appendRelated renders the ACK to a final response that is not a 2xx, or a CANCEL (§17.1.1.3, §9.1): both repeat the
// INVITE's Request-URI, branch, Route, From, Call-ID and CSeq; an ACK has the To of the response.
func (t *clientTx) appendRelated(dst []byte, method, to string) []byte {
	dst = appendTop(dst, method, t.asks.out.URI, t.carrier, t.id, t.secret, sip.MaxForwards)
	for _, h := range t.asks.out.Headers {
		switch {
		case strings.EqualFold(h.Name, "To") && to != "":
			dst = sip.AppendHeader(dst, "To", to)
		case strings.EqualFold(h.Name, "CSeq"):
			n, _, _ := strings.Cut(h.Value, " ")
			dst = sip.AppendHeader(dst, "CSeq", n+" "+method)
		case repeated(h.Name):
			dst = sip.AppendHeader(dst, h.Name, h.Value)
		}
	}
	if method == "CANCEL" && t.asks.reason != "" {
		dst = sip.AppendHeader(dst, "Reason", t.asks.reason)
	}
	return sip.AppendEnd(dst, nil)
}

func repeated(name string) bool {
	for _, own := range []string{"Route", "From", "To", "Call-ID"} {
		if strings.EqualFold(name, own) {
			return true
		}
	}
	return false
}

// acked keeps the ACK to the 2xx of a dialog.
func (t *clientTx) acked(tag []byte, c Carrier, raw []byte) {
	a := t.answer(tag)
	if a == nil {
		t.shard.spare.give(&raw)
		return
	}
	t.shard.spare.give(&a.ack)
	a.ack, a.carrier = raw, c
	t.shard.rest(t)
}
