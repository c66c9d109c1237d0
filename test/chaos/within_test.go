package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

// acknowledged takes an ACK to a 2xx.
func (p *phone) acknowledged(m *message) {
	d := p.dialogs[m.get("call-id")+" "+param(m.get("to"), "tag")]
	if d == nil || d.awaits == nil {
		return
	}
	of, _ := d.awaits.m.cseq()
	if n, _ := m.cseq(); n != of {
		return
	}
	d.awaits.acked = true
	d.awaits = nil
	if m.body != "" && d.session.open {
		d.answered(m.body)
	}
}

// asked takes a request within the dialog.
func (d *dialog) asked(s *server) {
	m, w := s.m, d.p.whims
	seq, _ := m.cseq()
	if seq <= d.theirSeq {
		if m.body != "" && m.method == "INVITE" {
			d.reads(m.body)
		}
		s.respond(500, "CSeq Out Of Order", "", "")
		return
	}
	d.theirSeq = seq
	switch m.method {
	case "BYE":
		d.p.world.count("BYE for " + m.get("reason"))
		s.respond(200, "OK", "", "")
		if i := d.incoming; i != nil {
			i.respond(487, "Request Terminated", d.mine, "")
			d.incoming = nil
		}
		d.end("BYE came")
	case "PRACK":
		var rseq uint32
		_, _ = fmt.Sscan(m.get("rack"), &rseq)
		if rseq != d.reliable {
			s.respond(481, "Unknown Response", "", "")
			return
		}
		d.reliable = 0
		s.respond(200, "OK", "", "")
		if d.session.stands && !d.session.open && w.one(3) && !d.p.world.calm.Load() {
			d.change("UPDATE", "sendrecv", false, true)
		}
	case "INVITE":
		d.reinvited(s)
	case "UPDATE":
		if m.body != "" {
			d.p.blame(d, "an UPDATE holds an offer")
		}
		if w.one(40) {
			s.respond(405, "Method Not Allowed", "", "", allow)
			return
		}
		s.respond(200, "OK", "", "", d.p.contact(), allow)
	case "NOTIFY":
		s.respond(200, "OK", "", "")
		if strings.HasPrefix(m.get("subscription-state"), "terminated") && strings.Contains(m.body, " 200 ") && w.one(2) {
			d.later(w.soon(0, 500), d.bye)
		}
	default:
		s.respond(200, "OK", "", "")
	}
}

// mostAsks is how many re-INVITEs of the gateway in two seconds follow from no wish of anybody's.
const mostAsks = 20

// reinvited takes a re-INVITE.
func (d *dialog) reinvited(s *server) {
	w := d.p.whims
	d.asks = append(d.asks, time.Now())
	if n := len(d.asks) - mostAsks; n >= 0 && time.Since(d.asks[n]) < 2*time.Second {
		d.p.blame(d, "it is asked for a change again and again")
	}
	switch {
	case d.busy || d.session.open || d.awaits != nil:
		if s.m.body != "" {
			d.reads(s.m.body)
		}
		s.respond(491, "Request Pending", "", "")
		return
	case s.m.body == "":
		d.p.blame(d, "a re-INVITE without an offer")
	case w.one(12) && !d.p.world.calm.Load():
		d.reads(s.m.body)
		switch w.below(8) {
		case 0:
			s.respond(500, "Server Internal Error", "", "", "Retry-After: 1")
		case 1:
			s.respond(491, "Request Pending", "", "")
		case 2:
			s.respond(422, "Session Interval Too Small", "", "")
		case 3:
			s.respond(408, "Request Timeout", "", "")
		case 4:
			s.respond(481, "Call Does Not Exist", "", "")
		default:
			s.respond(488, "Not Acceptable Here", "", "")
		}
		return
	case common(s.m.body) == "":
		d.reads(s.m.body)
		s.respond(488, "Not Acceptable Here", "", "")
		return
	}
	d.awaits = s
	s.respond(200, "OK", "", d.answer(s.m.body, w.one(2)), d.p.contact(), allow)
}
