package chaos_test

import (
	"crypto/tls"
	"net"
	"strings"
	"time"

	"demarc/telephony/wire"
)

// link is the way from a phone to the gateway: a UDP socket or a connection.
type link struct {
	net.Conn
	transport string
}

// connect opens the phone's way to the gateway.
func (p *phone) connect() {
	if p.world.era.Load()%2 == 1 { // the gateway is being started again
		p.after(50*time.Millisecond, p.connect)
		return
	}
	var nc net.Conn
	var err error
	address := p.world.addresses[p.transport]
	switch p.transport {
	case "udp":
		nc, err = net.Dial("udp", address)
	case "tcp":
		nc, err = net.DialTimeout("tcp", address, 5*time.Second)
	default:
		nc, err = tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, p.world.tls)
	}
	if err != nil { // it ends in this moment
		p.after(300*time.Millisecond, p.connect)
		return
	}
	l := &link{nc, p.transport}
	p.link, p.registered = l, false
	go p.read(l)
	p.register()
}

// read hands what comes to the phone until the connection ends.
func (p *phone) read(l *link) {
	buf := make([]byte, 64<<10)
	framer := wire.NewFramer(wire.Limits{})
	var m wire.Message
	for {
		n, err := l.Read(buf)
		switch {
		case err == nil:
		case l.transport == "udp" && !p.world.isOver(): // nobody listens while the gateway is started again
			time.Sleep(10 * time.Millisecond)
			continue
		default:
			p.post(func() { p.lost(l) })
			return
		}
		if l.transport == "udp" {
			raw := string(buf[:n])
			p.post(func() { p.whims.carry(p, func() { p.received(l, raw) }) })
			continue
		}
		for rest := buf[:n]; len(rest) > 0; {
			taken := copy(framer.Space(), rest)
			framer.Fill(taken)
			rest = rest[taken:]
			for {
				event, err := framer.Next(&m)
				if err != nil {
					p.post(func() { p.blame(nil, "what came over a connection cannot be read: %v", err) })
					return
				}
				if event == wire.More {
					break
				}
				if event == wire.Whole {
					raw := string(m.Head) + string(m.Body)
					p.post(func() { p.received(l, raw) })
				}
			}
		}
	}
}

// send writes a message, as well as the network lets it.
func (p *phone) send(raw string) {
	l := p.link
	if l == nil || p.mute || p.world.silent.Load() {
		return
	}
	p.log(">", raw)
	out := func() { _, _ = l.Write([]byte(raw)) } // who is cut off hears of it by reading
	if l.transport == "udp" {
		p.whims.carry(p, out)
		return
	}
	_ = l.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if p.whims.one(8) { // in two pieces
		at := p.whims.below(len(raw))
		_, _ = l.Write([]byte(raw[:at]))
		raw = raw[at:]
	}
	out()
}

// lost is what happens to a phone whose connection has ended: it comes back after a while.
func (p *phone) lost(l *link) {
	_ = l.Close()
	if p.link != l {
		return
	}
	p.link, p.registered = nil, false
	p.doubt()
	for _, c := range p.clients {
		c.fail()
	}
	if !p.world.isOver() {
		p.after(p.whims.soon(20, 1500), p.connect)
	}
}

// received takes a message.
func (p *phone) received(l *link, raw string) {
	if p.link != l || p.mute || p.world.silent.Load() || strings.TrimSpace(raw) == "" {
		return
	}
	m, err := parse(raw)
	if err != nil {
		p.blame(nil, "a message cannot be read: %v", err)
		return
	}
	p.log("<", raw)
	if m.status > 0 {
		p.response(m)
	} else {
		p.request(m)
	}
}
