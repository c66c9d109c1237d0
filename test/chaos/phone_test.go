package chaos_test

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// phone is one device. All that happens to it happens in its own goroutine, one thing after another.
type phone struct {
	world      *world
	number     int
	user       string
	transport  string
	whims      *whims
	inbox      chan func()
	link       *link
	sound      *sound
	registered bool
	mute       bool      // it is out of reach
	back       time.Time // when it was in reach again
	era        int64     // of the gateway, as it registered
	callID     string
	seq        uint32
	clients    map[string]*client
	servers    map[string]*server
	dialogs    map[string]*dialog // by Call-ID and own tag
	past       []*dialog          // that were answered and are over
	doubts     int                // dialogs that the gateway does not know, while its BYE may be on the way
	counter    int
}

const (
	people    = 12
	devices   = 24
	firstUser = 2000
)

func (p *phone) String() string { return fmt.Sprintf("%s#%d/%s", p.user, p.number, p.transport) }
func (p *phone) aor() string    { return "<sip:" + p.user + "@" + domain + ">" }
func (p *phone) password() string {
	return "secret-" + p.user
}

// post has something happen to the phone.
func (p *phone) post(what func()) {
	select {
	case p.inbox <- what:
	case <-p.world.over:
	}
}

// after has it happen later.
func (p *phone) after(wait time.Duration, what func()) *time.Timer {
	round := p.world.round.Load()
	return time.AfterFunc(wait, func() {
		p.post(func() {
			if p.world.round.Load() == round || p.link == nil {
				what()
			}
		})
	})
}

func (p *phone) run() {
	for {
		select {
		case what := <-p.inbox:
			what()
		case <-p.world.over:
			if p.link != nil {
				_ = p.link.Close()
			}
			_ = p.sound.conn.Close()
			return
		}
	}
}

// do has something happen to the phone and waits for it.
func (p *phone) do(what func()) {
	done := make(chan struct{})
	p.post(func() { what(); close(done) })
	select {
	case <-done:
	case <-p.world.over:
	}
}

func (p *phone) token(prefix string) string {
	p.counter++
	return fmt.Sprintf("%s%d-%d-%d", prefix, p.number, p.counter, p.whims.between(1, 1<<30))
}

func (p *phone) local() string {
	if p.link == nil {
		return "192.0.2.1:5060"
	}
	return p.link.LocalAddr().String()
}

func (p *phone) contact() string {
	return fmt.Sprintf("Contact: <sip:%s@%s;transport=%s>", p.user, p.local(), p.transport)
}

// out reports whether the phone has no way, or the gateway is not the one that it knows.
func (p *phone) out() bool {
	era := p.world.era.Load()
	return p.mute || p.link == nil || !p.registered || p.era != era || era%2 == 1
}

// away reports whether the phone cannot be expected to hear everything: for a while after it was out of reach it hears of what the
// gateway has given up already.
func (p *phone) away() bool { return p.out() || time.Since(p.back) < 2*lifetime || p.world.slow() }

// interval is a session interval. One that RFC 4028 allows keeps the dialogs of silent phones for a minute, and a hurried test waiting.
func (p *phone) interval() string {
	if p.world.hurried {
		return pick(p.whims, "2", "4")
	}
	return pick(p.whims, "2", "4", "90")
}

// doubt notes that something may be missed in all that is under way.
func (p *phone) doubt() {
	for _, d := range p.dialogs {
		d.doubtful = true
	}
	for _, d := range p.past {
		d.doubtful = true
	}
	for _, c := range p.clients {
		c.excused = true
	}
}

// register tells the gateway where the phone is, until that is known.
func (p *phone) register() {
	l, era := p.link, p.world.era.Load()
	if l == nil {
		return // it registers once it has a way again
	}
	contact := fmt.Sprintf(`%s;+sip.instance="<urn:uuid:%08d-0000-4000-8000-000000000000>";q=%s`, p.contact(), p.number, pick(p.whims, "1.0", "1.0", "0.5"))
	p.ask(&client{method: "REGISTER", uri: "sip:" + domain, headers: []string{contact, "Expires: 3000"}, excused: true, on: func(m *message) {
		switch {
		case p.link != l:
		case m != nil && m.status == 200:
			p.registered, p.era = true, era
		case m == nil || m.status >= 300:
			p.after(200*time.Millisecond, func() {
				if p.link == l {
					p.register()
				}
			})
		}
	}})
}

// authorize answers a challenge (RFC 7616 §3.4.1: MD5, qop auth).
func authorize(p *phone, method, uri string, m *message) string {
	name, challenge := "Authorization", m.get("www-authenticate")
	if m.status == 407 {
		name, challenge = "Proxy-Authorization", m.get("proxy-authenticate")
	}
	_, nonce, _ := strings.Cut(challenge, `nonce="`)
	nonce, _, _ = strings.Cut(nonce, `"`)
	sum := func(s string) string {
		h := md5.Sum([]byte(s))
		return hex.EncodeToString(h[:])
	}
	const cnonce, nc = "c", "00000001"
	response := sum(sum(p.user+":"+domain+":"+p.password()) + ":" + nonce + ":" + nc + ":" + cnonce + ":auth:" + sum(method+":"+uri))
	return fmt.Sprintf(`%s: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5, qop=auth, cnonce="%s", nc=%s`,
		name, p.user, domain, nonce, uri, response, cnonce, nc)
}

// log remembers a message with its dialog.
func (p *phone) log(way, raw string) {
	m, err := parse(raw)
	if err != nil {
		return
	}
	tag := param(m.get("to"), "tag")
	if (way == "<") == (m.status > 0) {
		tag = param(m.get("from"), "tag")
	}
	if d := p.dialogs[m.get("call-id")+" "+tag]; d != nil && len(d.told) < 400 {
		line := fmt.Sprintf("%s %s %s", time.Now().Format("05.000"), way, m)
		if m.body != "" {
			_, origin, _ := strings.Cut(m.body, "o=- ")
			origin, _, _ = strings.Cut(origin, " IN")
			_, media, _ := strings.Cut(m.body, "m=")
			media, _, _ = strings.Cut(media, "\r\n")
			line += " body " + origin + " " + directionOf(m.body) + " " + media
		}
		for _, name := range []string{"reason", "require", "rseq", "rack", "retry-after", "refer-to", "session-expires", "subscription-state"} {
			if v := m.get(name); v != "" {
				line += " " + name + "=" + v
			}
		}
		d.told = append(d.told, line)
	}
}

// blame tells of a fault of the gateway's in a dialog.
func (p *phone) blame(d *dialog, format string, args ...any) {
	text := fmt.Sprintf("%s: %s", p, fmt.Sprintf(format, args...))
	if d != nil {
		text += "\n  " + d.callID + " " + d.mine + "\n  " + strings.Join(d.told, "\n  ")
	}
	p.world.fault(format, text)
}
