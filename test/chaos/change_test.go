package chaos_test

const allow = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY, PRACK"

// change sends a re-INVITE, or an UPDATE, with an offer or without one.
func (d *dialog) change(method string, direction string, video, offer bool) {
	if d.busy || d.session.open || d.awaits != nil {
		return
	}
	d.busy = true
	before := d.session
	body := ""
	if offer {
		body = d.offer(direction, video)
	}
	c := &client{d: d, method: method, uri: d.target, body: body, headers: []string{d.p.contact(), allow}}
	c.on = func(m *message) {
		if m != nil && m.status < 200 {
			return
		}
		d.busy = false
		switch {
		case m != nil && m.status < 300 && method == "INVITE":
			d.takes(c, m)
		case m != nil && m.status < 300 && offer:
			d.answered(m.body)
		default:
			now := d.session
			d.session = before // what it says counts, but for what must not come again
			d.session.version, d.session.origin, d.session.texts = now.version, now.origin, now.texts
			if m != nil && (m.status == 481 || m.status == 408) {
				d.gone(m)
			}
		}
	}
	d.p.ask(c)
	if method == "INVITE" && d.p.whims.one(6) {
		d.p.after(d.p.whims.soon(0, 20), func() { d.cancel(c) })
	}
}

// gone takes the gateway's word that it does not know the dialog. Its BYE may be on the way.
func (d *dialog) gone(m *message) {
	d.p.doubts++
	d.p.after(lifetime, func() {
		d.p.doubts--
		if !d.over && !d.doubtful && !d.p.away() && !d.p.world.silent.Load() {
			d.p.blame(d, "the gateway ended the dialog without a word: %d", m.status)
		}
		d.end("unknown")
	})
}

// ask sends another request of the dialog's.
func (d *dialog) ask(method, body string, headers ...string) {
	d.p.ask(&client{d: d, method: method, uri: d.target, body: body, headers: headers, on: func(m *message) {
		if m != nil && m.status == 481 {
			d.gone(m)
		}
	}})
}
