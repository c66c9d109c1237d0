package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

// dialog is one of a phone's calls.
type dialog struct {
	p                    *phone
	callID, mine, theirs string // tags
	local, remote        string // addresses of From and To
	target               string
	seq, theirSeq        uint32
	calls                bool    // the phone has sent its INVITE
	invite               *client // that one, until it has its final response
	incoming             *server // or the one that came, until the phone has answered
	awaits               *server // the one whose 2xx waits for its ACK
	busy                 bool    // a request of the phone's that changes the session is under way
	confirmed, over      bool
	ended                string // how
	reliable             uint32 // RSeq of the last reliable response
	ringing              []*time.Timer
	offerless            bool // the phone's INVITE had no offer
	requires             bool // and required 100rel
	doubtful             bool // the phone or the gateway was away: they may think differently of it
	leaves               bool // it has hung up before the answer
	session              session
	asks                 []time.Time // when the gateway has sent re-INVITEs
	told                 []string    // its messages
}

func (p *phone) newDialog(callID string) *dialog {
	d := &dialog{p: p, callID: callID, mine: p.token("t"), doubtful: p.away()}
	d.session.id = p.whims.between(1, 1<<30)
	p.dialogs[callID+" "+d.mine] = d
	return d
}

func (d *dialog) from() string { return d.local + ";tag=" + d.mine }
func (d *dialog) to() string {
	if d.theirs == "" {
		return d.remote
	}
	return d.remote + ";tag=" + d.theirs
}

// end notes that the phone takes the dialog for over.
func (d *dialog) end(how string) {
	if d.over {
		return
	}
	d.over, d.ended = true, how
	for _, t := range d.ringing {
		t.Stop()
	}
	d.counted()
	d.p.world.unlist(d)
	p := d.p
	if d.confirmed {
		p.past = append(p.past, d)
	}
	p.after(2*lifetime, func() { delete(p.dialogs, d.callID+" "+d.mine) })
}

// call begins a call.
func (p *phone) call(uri string, headers ...string) {
	w := p.whims
	d := p.newDialog(p.token("call-"))
	d.calls, d.local, d.remote = true, p.aor(), "<"+uri+">"
	headers = append(headers, p.contact(), allow)
	body := ""
	if d.offerless = w.one(8); !d.offerless {
		body = d.offer(pick(w, "sendrecv", "sendrecv", "sendrecv", "sendonly", "recvonly"), w.one(4))
	}
	if d.requires = w.one(6); d.requires {
		headers = append(headers, "Require: 100rel")
	}
	switch n := w.below(10); {
	case n == 0 && !p.world.hurried: // it keeps the dialog of a silent phone for most of a minute
		headers = append(headers, "Session-Expires: 90;refresher=uas")
	case n == 1:
		headers = append(headers, "Supported: timer", "Session-Expires: 60") // too short
	case n == 2:
		headers = append(headers, "Expires: 1")
	}
	d.invite = p.ask(&client{d: d, method: "INVITE", uri: uri, headers: headers, body: body, on: d.inviteAnswered})
	switch w.below(12) {
	case 0, 1, 2, 3:
		p.after(p.whims.soon(0, 1500), func() { d.cancel(d.invite) })
	case 4:
		p.after(p.whims.soon(0, 1500), d.byeEarly)
	}
}

// byeEarly hangs up before the call is answered (RFC 3261 §15): the INVITE gets its final response all the same.
func (d *dialog) byeEarly() {
	if c := d.invite; c == nil || c.over || d.theirs == "" || d.over {
		return
	}
	d.p.world.count("BYE early")
	d.leaves = true
	d.p.ask(&client{d: d, method: "BYE", uri: d.target, on: func(*message) {}})
}

// cancel gives up on an INVITE that has no final response yet (RFC 3261 §9.1: not before a provisional one).
func (d *dialog) cancel(c *client) {
	if c == nil || c.over || !c.heard || d.over || d.p.world.silent.Load() {
		return
	}
	d.p.world.count("cancelled")
	raw := write("CANCEL "+c.uri+" SIP/2.0", "", d.p.via(c.branch), "Max-Forwards: 70", "From: "+d.from(), "To: "+c.to, "Call-ID: "+d.callID,
		fmt.Sprintf("CSeq: %d CANCEL", c.cseq), "Reason: SIP;cause=487")
	cancel := &client{p: d.p, d: d, method: "CANCEL", branch: c.branch, raw: raw, excused: c.excused, on: func(*message) {}}
	d.p.clients[cancel.key()] = cancel
	d.p.send(raw)
	cancel.again(t1, c.branch)
	d.p.after(lifetime, cancel.fail)
}

// inviteAnswered takes a response to the INVITE that began the dialog.
func (d *dialog) inviteAnswered(m *message) {
	switch {
	case m == nil:
		d.invite = nil
		d.end("no answer")
	case m.status == 100:
	case m.status < 200:
		d.forms(m)
		d.rings(m)
	case m.status < 300:
		d.forms(m)
		d.confirmed = true
		c := d.invite
		d.invite = nil
		d.takes(c, m)
		if d.leaves { // the answer crossed the BYE
			d.end("hung up early")
			return
		}
		d.p.world.list(d)
		d.p.live(d)
	default:
		d.invite = nil
		d.end(m.String())
	}
}

// forms takes the far end from a response.
func (d *dialog) forms(m *message) {
	tag := param(m.get("to"), "tag")
	if d.theirs != "" && d.theirs != tag {
		d.p.blame(d, "the gateway has the tag %s and had %s", tag, d.theirs)
	}
	d.theirs = tag
	if uri := m.contact(); uri != "" {
		d.target = uri
	}
	d.remote = strings.TrimSuffix(m.get("to"), ";tag="+tag)
}

// rings takes a provisional response; a reliable one is confirmed (RFC 3262).
func (d *dialog) rings(m *message) {
	rseq := m.get("rseq")
	if rseq == "" {
		if d.requires && m.status > 100 {
			d.p.blame(d, "a response is not reliable though that is required: %s", m)
		}
		if m.body != "" {
			d.reads(m.body)
		}
		return
	}
	var n uint32
	_, _ = fmt.Sscan(rseq, &n)
	if n <= d.reliable {
		return // again: its PRACK is on its way
	}
	d.reliable = n
	body := ""
	switch {
	case m.body == "":
	case d.offerless && !d.session.stands:
		body = d.answer(m.body, true)
	case d.session.open:
		d.answered(m.body)
	}
	cseq, _ := m.cseq()
	d.p.ask(&client{d: d, method: "PRACK", uri: d.target, body: body, headers: []string{fmt.Sprintf("RAck: %d %d INVITE", n, cseq)},
		on: func(*message) {
			if !d.over && !d.confirmed && d.session.stands && !d.session.open && d.p.whims.one(3) && !d.p.world.calm.Load() {
				d.change("UPDATE", "sendrecv", false, true)
			}
		}})
}

// takes reads the description of a 2xx to an INVITE of the phone's and acknowledges it.
func (d *dialog) takes(c *client, m *message) {
	body := ""
	switch {
	case c.body == "" && m.body != "" && d.p.whims.one(40): // the gateway has to end the call
		d.reads(m.body)
	case c.body == "" && m.body != "":
		body = d.answer(m.body, true)
	case m.body != "" && d.session.open:
		d.answered(m.body)
	case m.body != "":
		d.reads(m.body)
	case !d.session.stands:
		d.p.blame(d, "a 2xx without a description, and none before it")
	}
	c.ack = write("ACK "+d.target+" SIP/2.0", body, d.p.via(d.p.token("z9hG4bK")), "Max-Forwards: 70", "From: "+d.from(), "To: "+d.to(),
		"Call-ID: "+d.callID, fmt.Sprintf("CSeq: %d ACK", c.cseq))
	d.p.send(c.ack)
}

// unacked gives a call up whose ACK never came (RFC 3261 §13.3.1.4).
func (d *dialog) unacked(s *server) {
	if d.awaits != s || d.over {
		return
	}
	if !d.doubtful && !d.p.away() && !d.p.world.silent.Load() {
		d.p.blame(d, "a 2xx got no ACK")
	}
	d.bye()
}

// bye hangs up.
func (d *dialog) bye() {
	if d.over || !d.confirmed {
		return
	}
	send := func() {
		d.p.ask(&client{d: d, method: "BYE", uri: d.target, on: func(m *message) {
			if m == nil || m.status != 200 && m.status != 481 {
				d.doubtful = true
			}
		}})
	}
	d.end("hung up")
	send()
	if d.p.whims.one(5) { // twice
		send()
	}
}
