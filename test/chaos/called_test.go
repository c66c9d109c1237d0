package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

// asked takes a request.
func (p *phone) asked(s *server) {
	m := s.m
	switch tag := param(m.get("to"), "tag"); {
	case m.method == "CANCEL":
		p.cancelled(s)
	case tag == "" && m.method == "INVITE":
		p.called(s)
	case m.method == "NOTIFY" && tag == p.callID:
		s.respond(200, "OK", "", "")
	case tag == "": // the gateway asks whether the way is open
		s.respond(200, "OK", p.token("t"), "")
	default:
		d := p.dialogs[m.get("call-id")+" "+tag]
		if d == nil || d.over && m.method != "BYE" || d.theirs != param(m.get("from"), "tag") {
			s.respond(481, "Unknown Dialog", "", "")
			return
		}
		s.d = d
		d.asked(s)
	}
}

func (p *phone) cancelled(s *server) {
	invite := p.servers[s.m.branch()+" INVITE"]
	if invite == nil {
		s.respond(481, "Unknown Transaction", p.token("t"), "")
		return
	}
	s.respond(200, "OK", p.token("t"), "")
	if d := invite.d; d != nil && invite.final == 0 {
		invite.respond(487, "Request Terminated", d.mine, "")
		d.incoming = nil
		d.end("cancelled")
	}
}

// called takes an INVITE that begins a call.
func (p *phone) called(s *server) {
	m, w := s.m, p.whims
	d := p.newDialog(m.get("call-id"))
	s.d, d.incoming = d, s
	d.theirs = param(m.get("from"), "tag")
	d.local, d.remote, d.target = m.get("to"), strings.TrimSuffix(m.get("from"), ";tag="+d.theirs), m.contact()
	d.theirSeq, _ = m.cseq()
	d.session.open = m.body != ""
	if m.body != "" {
		d.reads(m.body)
	}
	if p.world.calm.Load() {
		d.refuse(486, "Busy Here")
		return
	}
	if protected(m.body) && !p.secure() {
		d.refuse(488, "Not Acceptable Here")
		return
	}
	switch w.below(12) {
	case 0, 1, 2:
		d.refuses()
		return
	case 3:
		d.later(w.soon(0, 600), d.refuses)
		d.ring()
		return
	case 4: // says nothing at all, but before the gateway gives up (timer B)
		d.later(w.soon(0, 1200), d.pickUp)
		return
	case 5: // is never answered
		d.later(w.soon(0, 200), d.ring)
		return
	default:
		d.later(w.soon(0, 200), d.ring)
	}
	d.later(w.soon(50, 2500), d.pickUp)
}

// refuses says no to the INVITE in one of many ways.
func (d *dialog) refuses() {
	if d.incoming == nil || d.incoming.final > 0 {
		return
	}
	switch w := d.p.whims; w.below(10) {
	case 0:
		d.refuse(302, "Moved Temporarily", "Contact: <sip:"+d.p.world.somebody(w)+">")
	case 1:
		d.refuse(302, "Moved Temporarily", "Contact: <sip:"+d.p.user+"@"+domain+">") // in a circle
	case 2:
		d.refuse(488, "Not Acceptable Here")
	case 3:
		if !d.p.world.hurried {
			d.refuse(422, "Session Interval Too Small", "Min-SE: 120")
			return
		}
		d.refuse(422, "Session Interval Too Small") // without saying what is enough
	case 4:
		d.refuse(421, "Extension Required", "Require: 100rel")
	case 5:
		d.refuse(401, "Unauthorized", `WWW-Authenticate: Digest realm="phone", nonce="1"`)
	case 6:
		d.refuse(480, "Temporarily Unavailable", "Retry-After: 5")
	case 7:
		d.refuse(603, "Decline")
	default:
		d.refuse(486, "Busy Here")
	}
}

func (d *dialog) refuse(status int, reason string, headers ...string) {
	d.incoming.respond(status, reason, d.mine, "", headers...)
	d.incoming = nil
	d.end(reason)
}

// later does something unless the dialog is over by then.
func (d *dialog) later(wait time.Duration, do func()) {
	d.ringing = append(d.ringing, d.p.after(wait, func() {
		if !d.over {
			do()
		}
	}))
}

// ring says that the phone rings, in one of several ways.
func (d *dialog) ring() {
	s := d.incoming
	if s == nil || s.final > 0 {
		return
	}
	w := d.p.whims
	if d.p.whims.one(4) {
		d.p.world.list(d) // another phone of the user may take the call
	}
	headers := []string{d.p.contact(), allow}
	status, reason, body := 180, "Ringing", ""
	if w.one(3) && !d.session.stands {
		status, reason, body = 183, "Session Progress", d.answer(s.m.body, w.one(2))
	}
	reliable := d.reliable == 0 && (s.m.says("supported", "100rel") || s.m.says("require", "100rel")) && (w.one(2) || s.m.says("require", "100rel"))
	if !reliable {
		if body != "" { // it announces the answer of the 2xx
			d.session.stands = false
		}
		s.respond(status, reason, d.mine, body, headers...)
		return
	}
	d.reliable = uint32(w.between(1, 1000))
	s.respond(status, reason, d.mine, body, append(headers, "Require: 100rel", fmt.Sprintf("RSeq: %d", d.reliable))...)
	d.rerings(s, s.last, d.reliable, t1)
}

// rerings repeats a reliable response until its PRACK has come.
func (d *dialog) rerings(s *server, said string, rseq uint32, interval time.Duration) {
	d.later(interval, func() {
		if d.reliable == rseq && s.final == 0 && interval < lifetime/2 {
			d.p.send(said)
			d.rerings(s, said, rseq, 2*interval)
		}
	})
}

// pickUp answers the call.
func (d *dialog) pickUp() {
	s := d.incoming
	if s == nil || s.final > 0 {
		return
	}
	d.incoming, d.awaits, d.confirmed = nil, s, true
	body := ""
	switch {
	case d.session.stands: // in a reliable response
	case s.m.body == "":
		body = d.offer("sendrecv", false)
	case d.session.mine != "":
		body = d.session.mine
		d.settles(s.m.body, directionOf(body))
	default:
		body = d.answer(s.m.body, d.p.whims.one(2))
	}
	headers := []string{d.p.contact(), allow}
	if d.p.whims.one(4) && s.m.says("supported", "timer") {
		headers = append(headers, "Supported: timer", "Require: timer", "Session-Expires: "+d.p.interval()+";refresher=uac")
	}
	switch early := d.reliable > 0 || d.session.stands && d.session.mine != body; {
	case !early && s.m.body != "" && d.p.whims.one(30): // it cannot be used: the gateway has to end the call
		body = pick(d.p.whims, "", "v=0\r\nnonsense\r\n", strings.Replace(body, "m=audio", "m=text", 1))
	case !early && d.p.whims.one(20): // a proxy before the phone has forked, and another phone answers than rang
		delete(d.p.dialogs, d.callID+" "+d.mine)
		d.mine = d.p.token("t")
		d.p.dialogs[d.callID+" "+d.mine] = d
	case !early && s.m.body != "" && d.p.whims.one(20): // both answer
		d.second(s)
	}
	s.respond(200, "OK", d.mine, body, headers...)
	d.p.world.list(d)
	d.p.live(d)
}

// second answers an INVITE as one more phone behind the same address: the gateway has to take note and hang up one of the two.
func (d *dialog) second(s *server) {
	other := d.p.newDialog(d.callID)
	other.theirs, other.local, other.remote, other.target, other.theirSeq = d.theirs, d.local, d.remote, d.target, d.theirSeq
	other.confirmed, other.doubtful = true, d.doubtful
	other.awaits = &server{p: d.p, m: s.m, d: other}
	other.awaits.respond(200, "OK", other.mine, other.answer(s.m.body, false), d.p.contact(), allow)
	d.p.world.count("answered twice")
}
