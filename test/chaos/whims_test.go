package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"
)

// whims are what a phone takes it into its head to do, and what the network does to it.
type whims struct {
	*rand.Rand
	world *world
}

func (w *whims) below(n int) int          { return w.IntN(n) }
func (w *whims) one(in int) bool          { return w.IntN(in) == 0 }
func (w *whims) between(from, to int) int { return from + w.IntN(to-from) }

// soon is a wait of so many milliseconds.
func (w *whims) soon(from, to int) time.Duration {
	return time.Duration(w.between(from, to)) * time.Millisecond
}

func pick[T any](w *whims, all ...T) T { return all[w.IntN(len(all))] }

// carry takes a datagram over the network: one may be lost, doubled or late.
func (w *whims) carry(p *phone, arrive func()) {
	if w.world.calm.Load() {
		arrive()
		return
	}
	switch n := w.below(100); {
	case n < 6:
	case n < 11:
		arrive()
		arrive()
	case n < 20:
		p.after(w.soon(0, 120), arrive)
	default:
		arrive()
	}
}

// lives has the phone do something every now and then until the network is calm.
func (p *phone) lives() {
	if p.world.calm.Load() {
		return
	}
	p.after(p.whims.soon(30, 300), p.lives)
	if p.out() {
		return
	}
	w := p.whims
	switch n := w.below(60); {
	case n == 0 && w.one(2):
		p.vanish()
	case n < 3:
		p.call("sip:nobody@" + domain)
	case n < 6:
		p.takeOver()
	case n < 7:
		p.meddle()
	case n < 8:
		p.ask(&client{method: "SUBSCRIBE", uri: "sip:" + p.world.somebody(w), headers: []string{"Event: " + pick(w, "dialog", "reg"),
			"Expires: " + pick(w, "0", "60"), p.contact()}, on: func(*message) {}})
	case n < 9 && p.transport == "udp":
		_, _ = p.link.Write([]byte(pick(w, "nonsense", "INVITE sip:x SIP/2.0\r\n\r\n", "\x00\x01\x00\x00", "SIP/2.0 200 OK\r\nVia: x\r\n\r\n")))
	case len(p.dialogs)-len(p.past) < 12 && n < 40:
		p.call("sip:" + p.world.somebody(w))
	}
}

// vanish has the phone lose its way, or its power for a moment.
func (p *phone) vanish() {
	p.world.count("vanished")
	p.doubt()
	switch {
	case p.whims.one(4): // it says so
		p.registered = false
		p.ask(&client{method: "REGISTER", uri: "sip:" + domain, headers: []string{"Contact: *", "Expires: 0"}, excused: true, on: func(m *message) {
			if m == nil || m.status >= 200 {
				p.after(p.whims.soon(0, 500), p.register)
			}
		}})
		return
	case p.transport != "udp" || p.whims.one(3): // then it comes from another port
		p.lost(p.link)
		return
	}
	p.mute = true
	p.after(p.whims.soon(300, 2500), func() {
		p.mute, p.back = false, time.Now()
		p.doubt()
	})
}

// takeOver calls to take the place of another phone of the same user, or to join its call.
func (p *phone) takeOver() {
	if other, ok := p.world.listed(p.whims, p.user); ok {
		name := pick(p.whims, "Replaces", "Replaces", "Join")
		p.world.count(name)
		p.call("sip:"+p.user+"@"+domain, fmt.Sprintf("%s: %s;to-tag=%s;from-tag=%s", name, other.callID, other.theirs, other.mine))
	}
}

// meddle speaks in somebody else's dialog: it must have no effect.
func (p *phone) meddle() {
	user := strconv.Itoa(firstUser + p.whims.below(people))
	other, ok := p.world.listed(p.whims, user)
	if !ok || user == p.user {
		return
	}
	d := p.newDialog(other.callID)
	d.mine, d.theirs, d.local, d.remote, d.seq = other.mine, other.theirs, p.aor(), p.aor(), 1000
	method := pick(p.whims, "BYE", "REFER", "UPDATE", "INFO")
	d.over = true
	p.ask(&client{d: d, method: method, uri: "sip:" + domain, headers: []string{"Refer-To: <sip:" + p.user + "@" + domain + ">", p.contact()},
		on: func(m *message) {
			if m != nil && m.status/100 == 2 {
				p.blame(d, "a stranger's %s was answered %d", method, m.status)
			}
		}})
}

// live has an answered dialog do something every now and then.
func (p *phone) live(d *dialog) {
	p.speak(d)
	var next func()
	next = func() {
		if d.over || p.world.calm.Load() {
			return
		}
		p.after(p.whims.soon(20, 700), next)
		if !p.out() {
			d.act()
		}
	}
	p.after(p.whims.soon(0, 300), next)
}

// speak sends sound while the dialog lasts.
func (p *phone) speak(d *dialog) {
	if d.over || p.world.silent.Load() {
		return
	}
	if d.session.sends && !p.mute {
		p.sound.say(d.session.remote, d.session.payload, p.whims.one(5))
	}
	p.after(150*time.Millisecond, func() { p.speak(d) })
}

// act does one thing with a dialog that is answered.
func (d *dialog) act() {
	w := d.p.whims
	switch w.below(20) {
	case 0, 1, 2:
		d.change("INVITE", pick(w, "sendonly", "inactive", "sendrecv"), false, true)
	case 3:
		d.change("INVITE", "sendrecv", true, true)
	case 4:
		d.change("INVITE", "sendrecv", false, false)
	case 5, 6:
		d.change("UPDATE", pick(w, "sendonly", "sendrecv"), w.one(4), true)
	case 7:
		d.ask("UPDATE", "", d.p.contact())
	case 8:
		d.ask("INFO", "Signal=5\r\nDuration=160\r\n", "Content-Type: application/dtmf-relay")
	case 9:
		d.ask("OPTIONS", "")
	case 10:
		d.refer("<sip:" + d.p.world.somebody(w) + ">")
	case 11:
		d.attend()
	case 12, 13:
		d.bye()
	case 14:
		if w.one(3) {
			d.ask("MESSAGE", "hello", "Content-Type: text/plain")
		}
	}
}

// refer transfers the far end to somebody.
func (d *dialog) refer(to string) {
	d.p.world.count("transfers")
	d.ask("REFER", "", "Refer-To: "+to, d.p.contact(), pick(d.p.whims, "", "", "Refer-Sub: false"))
}

// attend connects the far ends of two of the phone's dialogs.
func (d *dialog) attend() {
	for _, other := range d.p.dialogs {
		if other != d && other.confirmed && !other.over && other.theirs != "" {
			d.refer("<sip:" + d.p.world.somebody(d.p.whims) + "?Replaces=" +
				url.QueryEscape(fmt.Sprintf("%s;to-tag=%s;from-tag=%s", other.callID, other.theirs, other.mine)) + ">")
			return
		}
	}
}
