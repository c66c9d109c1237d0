package wire

import "demarc/telephony"

// parts are what several readers of a message ask for: each is read when it is first asked for, and once.
type parts struct {
	uri      URI
	via      Via
	afterVia []byte
	from, to NameAddr

	fromAoR, toAoR telephony.AoR

	uriRead, viaRead, fromRead, toRead, fromAoRRead, toAoRRead outcome
}

// forget marks all of it as not read.
func (p *parts) forget() {
	p.uriRead, p.viaRead, p.fromRead, p.toRead, p.fromAoRRead, p.toAoRRead = unread, unread, unread, unread, unread, unread
}

// outcome tells how the reading of a part went.
type outcome uint8

const (
	unread outcome = iota
	good
	bad
)

func outcomeOf(ok bool) outcome {
	if ok {
		return good
	}
	return bad
}

// URI returns the parsed Request-URI.
func (m *Message) URI() (URI, bool) {
	p := &m.parts
	if p.uriRead == unread {
		uri, ok := ParseURI(m.RequestURI)
		p.uri, p.uriRead = uri, outcomeOf(ok)
	}
	return p.uri, p.uriRead == good
}

// TopVia returns the topmost Via value and what follows it in its line. The message must have a Via.
func (m *Message) TopVia() (v Via, rest []byte, ok bool) {
	p := &m.parts
	if p.viaRead == unread {
		v, rest, ok := ParseVia(m.Vias[0])
		p.via, p.afterVia, p.viaRead = v, rest, outcomeOf(ok)
	}
	return p.via, p.afterVia, p.viaRead == good
}

// FromAddr returns the parsed From.
func (m *Message) FromAddr() (NameAddr, bool) {
	p := &m.parts
	if p.fromRead == unread {
		n, ok := ParseNameAddr(m.From)
		p.from, p.fromRead = n, outcomeOf(ok)
	}
	return p.from, p.fromRead == good
}

// ToAddr returns the parsed To.
func (m *Message) ToAddr() (NameAddr, bool) {
	p := &m.parts
	if p.toRead == unread {
		n, ok := ParseNameAddr(m.To)
		p.to, p.toRead = n, outcomeOf(ok)
	}
	return p.to, p.toRead == good
}

// ToAoR returns the address of record in To, when its URI is a sip or sips one. Its texts may be the message's own memory:
// they are good as long as the message is.
func (m *Message) ToAoR() (telephony.AoR, bool) {
	p := &m.parts
	if p.toAoRRead == unread {
		p.toAoR, p.toAoRRead = recordOf(m.ToAddr())
	}
	return p.toAoR, p.toAoRRead == good
}

// FromAoR is ToAoR for From.
func (m *Message) FromAoR() (telephony.AoR, bool) {
	p := &m.parts
	if p.fromAoRRead == unread {
		p.fromAoR, p.fromAoRRead = recordOf(m.FromAddr())
	}
	return p.fromAoR, p.fromAoRRead == good
}

// recordOf returns the address of record in what was read of a From or To.
func recordOf(n NameAddr, ok bool) (aor telephony.AoR, read outcome) {
	if ok {
		aor, ok = n.borrowedAoR()
	}
	return aor, outcomeOf(ok)
}
