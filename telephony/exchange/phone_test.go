package exchange_test

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// phone is one phone on its own flow: it keeps the dialogs that a test needs.
type phone struct {
	site     *site
	account  account.ID
	aor      telephony.AoR
	flow     telephony.Flow
	codecs   []sdp.Codec
	requests []*signal.Outgoing // to it
	replies  []*signal.Reply
	cancels  []string
	sent     []signal.TxID
	taken    []signal.TxID // requests that a test has looked at
	calls    int
	instance string
	stalls   chan struct{} // the worker that answers it
	dtls     bool          // it knows DTLS alone, and looks at nothing but fingerprints
}

// dialog is one of a phone's.
type dialog struct {
	p            *phone
	callID       string
	mine, theirs string // tags
	from, to     string
	target       string
	seq          uint32
	invite       signal.TxID // of the last INVITE
	side         sdp.Side
	incoming     *signal.Outgoing
}

var flows uint64 = 100

func (s *site) phone(aor telephony.AoR, codecs ...string) *phone {
	s.mu.Lock()
	defer s.mu.Unlock()
	flows++
	p := &phone{site: s, account: acme, aor: aor, flow: telephony.Flow{ID: flows, Listener: "tls", Transport: telephony.TLS,
		Remote: netip.MustParseAddrPort("192.0.2." + strconv.Itoa(int(flows%250)+1) + ":5061")}}
	if len(codecs) == 0 {
		codecs = []string{"opus", "PCMA"}
	}
	for _, name := range codecs {
		for _, c := range sdp.Passed() {
			if c.Name == name {
				p.codecs = append(p.codecs, c)
			}
		}
	}
	s.phones[p.flow.ID] = p
	uri := "sip:" + aor.User + "-0x55@" + p.flow.Remote.String() + ";transport=tls"
	s.contacts[aor] = append(s.contacts[aor], signal.Target{URI: uri, Q: 1000, Name: "phone of " + aor.User, Ways: []signal.Way{p.way()}})
	return p
}

func (p *phone) way() signal.Way {
	return signal.Way{Node: "n1", Flow: p.flow, AoR: p.aor, Instance: p.instance}
}

func (p *phone) newSide() sdp.Side {
	return sdp.Side{Local: local(p.flow.Remote.Addr(), 4000+uint16(p.flow.ID)*2), Session: 7}
}

// tx is a server transaction at the edge.
func (p *phone) tx() signal.TxID {
	p.site.mu.Lock()
	defer p.site.mu.Unlock()
	p.site.lastTx++
	tx := signal.TxID(p.site.lastTx)
	p.sent = append(p.sent, tx)
	return tx
}

// dial begins a call.
func (p *phone) dial(to string, headers ...telephony.Header) *dialog {
	d := p.newDialog(to)
	body, _, err := d.side.Offer(sdp.Offering{Security: sdp.SDES, Direction: sdp.SendRecv, Codecs: p.codecs})
	if err != nil {
		p.site.t.Fatal(err)
	}
	d.side.Last = body
	d.send("INVITE", body, headers...)
	return d
}

func (p *phone) newDialog(to string) *dialog {
	p.calls++
	n := strconv.Itoa(p.calls)
	return &dialog{p: p, callID: p.aor.User + "-call-" + n, mine: "m" + p.aor.User + n, side: p.newSide(),
		from: "\"User " + p.aor.User + "\" <sip:" + p.aor.String() + ">", to: "<" + to + ">", target: to}
}

// send sends a request of the dialog.
func (d *dialog) send(method string, body []byte, headers ...telephony.Header) signal.TxID {
	d.seq++
	tx := d.p.tx()
	if method == "INVITE" {
		d.invite = tx
	}
	r := d.request(tx, method, body, headers)
	if !d.p.site.x.Take(r) {
		d.p.site.t.Error("a request was not taken")
	}
	return tx
}

func (d *dialog) request(tx signal.TxID, method string, body []byte, headers []telephony.Header) *signal.Request {
	r := &signal.Request{Tx: tx, Method: method, URI: d.target, Hops: 70, Way: d.p.way(), Account: d.p.account, User: d.p.aor, Secure: true,
		Message: signal.Message{CallID: d.callID, From: d.from + ";tag=" + d.mine, To: d.to, FromTag: d.mine, ToTag: d.theirs, CSeq: d.seq,
			Contact: "sip:" + d.p.aor.User + "@" + d.p.flow.Remote.String(), Headers: headers}}
	r.Headers = append(r.Headers, telephony.Header{Name: "Allow", Value: "INVITE, ACK, BYE, UPDATE, INFO"})
	if len(body) > 0 {
		r.ContentType, r.Body = "application/sdp", body
	}
	return r
}

// reply waits for the next reply to the phone.
func (p *phone) reply(status int) *signal.Reply {
	p.site.t.Helper()
	var r *signal.Reply
	p.site.until("a "+strconv.Itoa(status)+" to "+p.aor.User, func() bool {
		i := slices.IndexFunc(p.replies, func(r *signal.Reply) bool { return r.Status == status })
		if i < 0 {
			return false
		}
		r = p.replies[i]
		p.replies = slices.Delete(p.replies, i, i+1)
		return true
	})
	return r
}

// answered takes a 2xx to the dialog's INVITE, and acknowledges it.
func (d *dialog) answered() *signal.Reply {
	d.p.site.t.Helper()
	r := d.p.reply(200)
	d.theirs = r.ToTag
	d.target = header(r.Headers, "Contact")
	d.target = strings.Trim(d.target, "<>")
	d.ack(nil)
	if len(r.Body) > 0 && len(d.side.Last) > 0 {
		d.settle(r.Body)
	}
	return r
}

func (d *dialog) ack(body []byte) {
	m := d.request(d.invite, "ACK", body, nil)
	d.p.site.x.Take(&signal.Ack{Tx: d.invite, Message: m.Message})
}

func (d *dialog) settle(body []byte) sdp.Agreed {
	d.p.site.t.Helper()
	ours, err := sdp.Parse(d.side.Last)
	if err != nil {
		d.p.site.t.Fatal(err)
	}
	theirs, err := sdp.Parse(body)
	if err != nil {
		d.p.site.t.Fatalf("%v in\n%s", err, body)
	}
	agreed, err := sdp.Settle(ours, theirs)
	if err != nil {
		d.p.site.t.Fatalf("%v: our offer\n%s\ntheir answer\n%s", err, d.side.Last, body)
	}
	d.side.Theirs, d.side.Agreed = theirs, agreed
	return agreed
}

// incoming waits for the next request of the method to the phone.
func (p *phone) incoming(method string) *signal.Outgoing {
	p.site.t.Helper()
	var o *signal.Outgoing
	p.site.until("a "+method+" to "+p.aor.User, func() bool {
		i := slices.IndexFunc(p.requests, func(o *signal.Outgoing) bool { return o.Method == method })
		if i < 0 {
			return false
		}
		o = p.requests[i]
		p.requests = slices.Delete(p.requests, i, i+1)
		p.taken = append(p.taken, o.Tx)
		return true
	})
	return o
}

// rung waits for an INVITE, and returns its dialog.
func (p *phone) rung() *dialog {
	p.site.t.Helper()
	o := p.incoming("INVITE")
	d := p.newDialog("")
	d.callID, d.from, d.to = header(o.Headers, "Call-ID"), header(o.Headers, "To"), header(o.Headers, "From")
	d.theirs = tagOf(d.to)
	d.target = strings.Trim(header(o.Headers, "Contact"), "<>")
	d.incoming = o
	return d
}

// respond answers the dialog's INVITE from the switch.
func (d *dialog) respond(status int, body []byte, headers ...telephony.Header) {
	d.respondTo(d.incoming, status, body, headers...)
}

func (d *dialog) respondTo(o *signal.Outgoing, status int, body []byte, headers ...telephony.Header) {
	r := &signal.Response{Tx: o.Tx, Method: o.Method, Status: status, Reason: "as told", Way: d.p.way(), Message: signal.Message{
		CallID: d.callID, ToTag: d.mine, Contact: "sip:" + d.p.aor.User + "@" + d.p.flow.Remote.String(), CSeq: 1,
		Headers: append(headers, telephony.Header{Name: "Allow", Value: "INVITE, ACK, BYE, UPDATE, INFO"})}}
	if len(body) > 0 {
		r.ContentType, r.Body = "application/sdp", body
	}
	d.p.site.x.Take(r)
}

// answer answers an offer of the switch.
func (d *dialog) answer(o *signal.Outgoing, direction sdp.Direction) sdp.Agreed {
	d.p.site.t.Helper()
	offer, err := sdp.Parse(o.Body)
	if err != nil {
		d.p.site.t.Fatal(err)
	}
	for i := range offer.Media {
		if m := &offer.Media[i]; len(m.Keys) > 0 && !d.p.dtls {
			m.Fingerprints = nil
		}
	}
	body, agreed, err := d.side.Answer(sdp.Terms{Secure: true}, offer, sdp.Wanted{Direction: direction, Codecs: d.p.codecs})
	if err != nil {
		d.p.site.t.Fatalf("%v\n%s", err, o.Body)
	}
	d.side.Last, d.side.Theirs, d.side.Agreed = body, offer, agreed
	d.respondTo(o, 200, body)
	return agreed
}

// pickUp answers, and takes the ACK.
func (d *dialog) pickUp() {
	d.p.site.t.Helper()
	d.answer(d.incoming, sdp.SendRecv)
	d.p.incoming("ACK")
}

// offer sends a re-INVITE.
func (d *dialog) offer(direction sdp.Direction) {
	d.p.site.t.Helper()
	body, _, err := d.side.Offer(sdp.Offering{Security: sdp.SDES, Direction: direction, Codecs: d.p.codecs})
	if err != nil {
		d.p.site.t.Fatal(err)
	}
	d.side.Last = body
	d.send("INVITE", body)
}

func header(all []telephony.Header, name string) string {
	for _, h := range all {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

func tagOf(value string) string {
	_, tag, _ := strings.Cut(value, ";tag=")
	return tag
}

// talk connects two phones.
func (s *site) talk(from, to *phone) (caller, callee *dialog) {
	s.t.Helper()
	caller = from.dial("sip:" + to.aor.String())
	callee = to.rung()
	callee.respond(180, nil)
	from.reply(180)
	callee.pickUp()
	caller.answered()
	return caller, callee
}

// hangUp ends a dialog from its phone.
func (d *dialog) hangUp() {
	d.p.site.t.Helper()
	d.send("BYE", nil)
	d.p.reply(200)
}

// bye takes a BYE.
func (d *dialog) bye() *signal.Outgoing {
	d.p.site.t.Helper()
	o := d.p.incoming("BYE")
	d.respondTo(o, 200, nil)
	return o
}

// cancel cancels the dialog's INVITE.
func (d *dialog) cancel(reason string) {
	d.p.site.x.Take(&signal.Cancel{Tx: d.invite, Reason: reason})
}

// sipfrag takes a NOTIFY about a transfer.
func (d *dialog) sipfrag(begins string, last bool) {
	d.p.site.t.Helper()
	o := d.p.incoming("NOTIFY")
	d.respondTo(o, 200, nil)
	if !strings.HasPrefix(string(o.Body), begins) {
		d.p.site.t.Errorf("NOTIFY says %q, want %q", o.Body, begins)
	}
	if got := strings.HasPrefix(header(o.Headers, "Subscription-State"), "terminated"); got != last {
		d.p.site.t.Errorf("the last NOTIFY: %v, want %v", got, last)
	}
}

// sound answers a re-INVITE of the switch, which wants that direction as we see it.
func (d *dialog) sound(want sdp.Direction) {
	d.p.site.t.Helper()
	if got := d.answer(d.p.incoming("INVITE"), sdp.SendRecv); got.Audio.Direction != want {
		d.p.site.t.Errorf("%s is asked to %s, want %s", d.p.aor, got.Audio.Direction, want)
	}
	d.p.incoming("ACK")
}

// musicMeanwhile answers the re-INVITE for music.
func (d *dialog) musicMeanwhile() {
	d.p.site.t.Helper()
	d.sound(sdp.RecvOnly)
}

// redirect answers 302.
func (d *dialog) redirect(to string) {
	r := &signal.Response{Tx: d.incoming.Tx, Method: "INVITE", Status: 302, Way: d.p.way(),
		Message: signal.Message{CallID: d.callID, ToTag: d.mine, Contact: to}}
	d.p.site.x.Take(r)
}

// only returns the id of the only call.
func (s *site) only() telephony.CallID {
	s.t.Helper()
	var id telephony.CallID
	s.untilFree("one call", func() bool {
		live := s.x.Live(acme)
		if len(live) == 1 {
			id = live[0].ID
		}
		return len(live) == 1
	})
	return id
}
