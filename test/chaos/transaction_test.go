package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

// The timers of RFC 3261, here and in the gateway.
const (
	t1       = 50 * time.Millisecond
	t2       = 400 * time.Millisecond
	t4       = 500 * time.Millisecond
	lifetime = 64 * t1
)

// client is a request of the phone's.
type client struct {
	p       *phone
	d       *dialog // nil outside of dialogs
	method  string
	uri     string
	headers []string
	body    string
	on      func(*message) // provisional responses and the final one; nil: none came

	cseq    uint32
	branch  string
	to      string
	raw     string
	tried   bool // with credentials
	heard   bool // a provisional response
	over    bool
	ack     string // to what ended it
	excused bool   // it may get no answer: the phone or the gateway was away meanwhile
	began   time.Time
}

// ask sends a request.
func (p *phone) ask(c *client) *client {
	c.p, c.began = p, time.Now()
	c.launch("")
	return c
}

func (c *client) launch(authorization string) {
	p := c.p
	c.branch = p.token("z9hG4bK")
	from, to, id := p.aor()+";tag="+p.callID, p.aor(), p.callID
	if d := c.d; d != nil {
		d.seq++
		c.cseq, from, to, id = d.seq, d.from(), d.to(), d.callID
	} else {
		p.seq++
		c.cseq = p.seq
	}
	c.to = to
	c.raw = write(c.method+" "+c.uri+" SIP/2.0", c.body, append([]string{p.via(c.branch), "Max-Forwards: 70", "From: " + from, "To: " + to,
		"Call-ID: " + id, fmt.Sprintf("CSeq: %d %s", c.cseq, c.method), authorization, "User-Agent: chaos " + p.String()}, c.headers...)...)
	p.clients[c.key()] = c
	c.excused = c.excused || p.away()
	p.send(c.raw)
	c.again(t1, c.branch)
	p.after(lifetime, func() {
		if !c.heard && !c.over && c.raw != "" {
			c.fail()
		}
	})
}

func (c *client) key() string { return c.branch + " " + c.method }

// again sends over UDP until something is heard.
func (c *client) again(interval time.Duration, branch string) {
	if c.p.transport != "udp" {
		return
	}
	c.p.after(interval, func() {
		if c.over || c.branch != branch || c.method == "INVITE" && c.heard {
			return
		}
		c.p.send(c.raw)
		c.again(min(2*interval, t2), branch)
	})
}

// fail ends it without an answer.
func (c *client) fail() {
	if c.over {
		return
	}
	c.over = true
	delete(c.p.clients, c.key())
	if !c.excused && !c.p.away() && !c.p.world.silent.Load() {
		c.p.blame(c.d, "%s got no answer (CSeq %d)", c.method, c.cseq)
	}
	c.on(nil)
}

func (p *phone) response(m *message) {
	_, method := m.cseq()
	c := p.clients[m.branch()+" "+method]
	if c == nil {
		return
	}
	if m.status < 200 {
		if !c.over {
			c.heard = true
			c.on(m)
		}
		return
	}
	if c.over {
		if c.ack != "" && method == "INVITE" {
			p.send(c.ack)
		}
		return
	}
	c.judge(m)
	if method == "INVITE" && m.status >= 300 {
		c.ack = write("ACK "+c.uri+" SIP/2.0", "", p.via(c.branch), "Max-Forwards: 70", "From: "+m.get("from"), "To: "+m.get("to"),
			"Call-ID: "+m.get("call-id"), fmt.Sprintf("CSeq: %d ACK", c.cseq))
		p.send(c.ack)
	}
	if (m.status == 401 || m.status == 407) && !c.tried {
		stale := *c
		stale.over = true
		p.clients[c.key()] = &stale
		p.forget(stale.key())
		c.tried, c.heard = true, false
		c.launch(authorize(p, c.method, c.uri, m))
		return
	}
	c.over = true
	p.forget(c.key())
	c.on(m)
}

// forget drops a request once its answers do not come again.
func (p *phone) forget(key string) { p.after(2*lifetime, func() { delete(p.clients, key) }) }

// judge looks for answers that must not be.
func (c *client) judge(m *message) {
	c.p.world.count(fmt.Sprintf("%s %d", c.method, m.status))
	late := m.reason == "CSeq Out Of Order" && c.p.transport == "udp"
	passed := strings.HasPrefix(m.get("reason"), "SIP;cause=42") // that a phone asks the gateway for something is none of the caller's business
	switch {
	case m.status < 500 || m.status >= 600 || late || passed || m.get("retry-after") != "":
	case m.status == 500 || !c.excused && !c.p.away():
		c.p.blame(c.d, "%s was answered %d %s", c.method, m.status, m.reason)
	}
}

// server is a request that came to the phone.
type server struct {
	p     *phone
	m     *message
	d     *dialog
	last  string // response
	final int
	acked bool
}

func (p *phone) request(m *message) {
	method := m.method
	if method == "ACK" {
		method = "INVITE"
	}
	if s := p.servers[m.branch()+" "+method]; s != nil {
		switch {
		case m.method == "ACK":
			s.acked = true
		case s.last != "":
			p.send(s.last)
		}
		return
	}
	if m.method == "ACK" {
		p.acknowledged(m)
		return
	}
	s := &server{p: p, m: m}
	key := m.branch() + " " + method
	p.servers[key] = s
	p.world.count("got " + m.method)
	p.asked(s)
}

// respond answers, and says it again while that is due.
func (s *server) respond(status int, reason, tag, body string, headers ...string) {
	if s.final > 0 {
		return
	}
	to := s.m.get("to")
	if tag != "" && param(to, "tag") == "" {
		to += ";tag=" + tag
	}
	var all []string
	for _, via := range s.m.all("via") {
		all = append(all, "Via: "+via)
	}
	all = append(all, "From: "+s.m.get("from"), "To: "+to, "Call-ID: "+s.m.get("call-id"), "CSeq: "+s.m.get("cseq"))
	s.last = write(fmt.Sprintf("SIP/2.0 %d %s", status, reason), body, append(all, headers...)...)
	s.p.send(s.last)
	if status < 200 {
		return
	}
	s.final = status
	key := s.m.branch() + " " + s.m.method
	s.p.after(2*lifetime, func() { delete(s.p.servers, key) })
	if s.m.method == "INVITE" && (status < 300 || s.p.transport == "udp") {
		s.again(t1, time.Now())
	}
}

func (s *server) again(interval time.Duration, began time.Time) {
	s.p.after(interval, func() {
		switch {
		case s.acked || s.d != nil && s.d.over:
		case time.Since(began) > lifetime:
			if s.d != nil && s.final < 300 {
				s.d.unacked(s)
			}
		default:
			s.p.send(s.last)
			s.again(min(2*interval, t2), began)
		}
	})
}

func (p *phone) via(branch string) string {
	return "Via: SIP/2.0/" + strings.ToUpper(p.transport) + " " + p.local() + ";branch=" + branch + ";rport"
}
