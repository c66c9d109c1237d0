package read

import (
	"bytes"

	"demarc/telephony"
	"demarc/telephony/registration"
	"demarc/telephony/wire"
)

// Register fills a Request from the scan, or says what is bad as a reason phrase. Every text is valid and without control
// characters, and most are borrowed from the message.
func Register(req *registration.Request, f telephony.Flow, m *wire.Message) (bad string) {
	req.Reset()
	req.Flow, req.CSeq, req.Expires, req.UserAgent = f, m.CSeq, m.Expires, borrowedText(m.UserAgent, 128)
	req.Outbound, req.PathKnown = wire.HasToken(m.Supported, "outbound"), wire.HasToken(m.Supported, "path")
	req.PathAsked, req.Proxied = wire.HasToken(m.Require, "path"), proxied(m)
	if !readAoRs(req, m) {
		return "Bad To"
	}
	if !printable(m.CallID) || len(m.CallID) > 255 {
		return "Bad Call-ID"
	}
	req.CallID = wire.Borrowed(m.CallID)
	if bad := contacts(req, m.Contacts); bad != "" {
		return bad
	}
	for _, line := range m.Path {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			if _, ok := wire.ParseNameAddr(value); !ok || !printable(value) {
				return "Bad Path"
			}
			req.Path = append(req.Path, wire.Borrowed(value))
		}
	}
	if req.Proxied {
		pushers(req, m)
	}
	for _, value := range m.Authorization {
		req.Authorize = append(req.Authorize, wire.Borrowed(value))
	}
	return ""
}

// pushers reads which push providers proxies in between say that they serve. What cannot be read promises nothing.
func pushers(req *registration.Request, m *wire.Message) {
	for _, line := range m.Values("Feature-Caps") {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			params := value[1:] // after the "*" (RFC 6809 §6.2.1)
			if provider, ok := wire.Param(params, "+sip.pns"); ok && len(provider) > 0 && printable(provider) {
				req.Pushers = append(req.Pushers, wire.Borrowed(provider))
			}
		}
	}
}

// proxied reports whether the request has more than one Via value.
func proxied(m *wire.Message) bool {
	_, rest, ok := m.TopVia()
	return len(m.Vias) > 1 || ok && len(rest) > 0
}

// readAoRs reads To, From and the domain of the Request-URI, which mostly say the same: one text serves them all. A From
// of another scheme is nobody we know.
func readAoRs(req *registration.Request, m *wire.Message) (ok bool) {
	if req.To, ok = m.ToAoR(); !ok {
		return false
	}
	to, _ := m.ToAddr()
	if from, ok := m.FromAddr(); ok && bytes.Equal(from.URI, to.URI) {
		req.From = req.To
	} else {
		req.From, _ = AoR(from, ok)
	}
	if uri, _ := m.URI(); string(uri.Host) == req.To.Domain {
		req.Domain = req.To.Domain
	} else {
		req.Domain = telephony.NewAoR("", string(uri.Host)).Domain
	}
	return true
}

func contacts(req *registration.Request, lines [][]byte) (bad string) {
	for _, line := range lines {
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			if string(value) == "*" {
				req.Star = true
				continue
			}
			c, ok := contact(value)
			if !ok {
				return "Bad Contact"
			}
			req.Contacts = append(req.Contacts, c)
		}
	}
	if req.Star && len(req.Contacts) > 0 { // RFC 3261 §10.2.2: it stands alone
		return "Bad Contact"
	}
	return ""
}

// contact reads one Contact value. A URI of another scheme is kept as it is (RFC 3261 §10.3).
func contact(value []byte) (registration.Contact, bool) {
	n, ok := wire.ParseNameAddr(value)
	if !ok {
		return registration.Contact{}, false
	}
	if s := wire.Scheme(n.URI); wire.EqualFold(s, "sip") || wire.EqualFold(s, "sips") {
		if _, ok := wire.ParseURI(n.URI); !ok {
			return registration.Contact{}, false
		}
	}
	c := registration.Contact{URI: wire.Borrowed(n.URI), Q: 1000, Expires: -1}
	if v, ok := wire.Param(n.Params, "expires"); ok {
		c.Expires = wire.Seconds(v)
	}
	if v, ok := wire.Param(n.Params, "q"); ok {
		if c.Q, ok = thousandths(v); !ok {
			return registration.Contact{}, false
		}
	}
	if v, ok := wire.Param(n.Params, "reg-id"); ok {
		id, ok := wire.Number(v)
		if !ok || id == 0 || id > 1<<31-1 {
			return registration.Contact{}, false
		}
		c.RegID = int(id)
	}
	if v, ok := wire.Param(n.Params, "+sip.instance"); ok {
		if c.Instance, ok = instance(v); !ok {
			return registration.Contact{}, false
		}
	}
	return c, true
}

// instance takes the brackets off a +sip.instance (RFC 5626 §4.1).
func instance(v []byte) (string, bool) {
	v = bytes.TrimSuffix(bytes.TrimPrefix(v, []byte("<")), []byte(">"))
	if len(v) == 0 || len(v) > 255 || !printable(v) || bytes.ContainsAny(v, " <>\"\\") {
		return "", false
	}
	return wire.Borrowed(v), true
}

// thousandths reads a qvalue (RFC 3261 §25.1): 0 to 1 with up to three digits after the point.
func thousandths(v []byte) (int, bool) {
	whole, fraction, _ := bytes.Cut(v, []byte("."))
	w, ok := wire.Number(whole)
	if !ok && len(whole) > 0 || w > 1 || len(fraction) > 3 || len(v) == 0 {
		return 0, false
	}
	q := int(w) * 1000
	for i, c := range fraction {
		if c < '0' || c > '9' {
			return 0, false
		}
		q += int(c-'0') * [...]int{100, 10, 1}[i]
	}
	return q, q <= 1000
}
