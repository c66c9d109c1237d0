package wire

// fields walks the header lines up to the empty one.
func (m *Message) fields(head []byte, l Limits) {
	for n, count := 1, 1; n < len(m.lines.ends); n, count = n+1, count+1 {
		line := m.lines.at(head, n)
		if len(line) == 0 {
			return
		}
		for n+1 < len(m.lines.ends) && m.lines.folded(head, n+1) { // RFC 3261 §7.3.1: a fold is white space
			n, count = n+1, count+1
			crlf := len(line)
			line = line[:crlf+2+len(m.lines.at(head, n))]
			line[crlf], line[crlf+1] = ' ', ' '
		}
		if count > l.Fields {
			m.blame(TooManyFields, "headers")
			return
		}
		m.field(line)
	}
}

// field reads one unfolded header line.
func (m *Message) field(line []byte) {
	end := 0
	for end < len(line) && classes[line[end]]&inToken != 0 {
		end++
	}
	colon := end
	for colon < len(line) && isSpace(line[colon]) {
		colon++
	}
	if end == 0 || colon == len(line) || line[colon] != ':' {
		m.blame(Malformed, unreadable)
		return
	}
	f := fieldOf(line[:end])
	if f == other {
		return
	}
	start := colon + 1
	for start < len(line) && isSpace(line[start]) { // nearly always one
		start++
	}
	m.keep(f, trim(line[start:]))
}

// keep stores the value of a header that the scan knows.
func (m *Message) keep(f field, value []byte) {
	first := m.seen&(1<<f) == 0
	m.seen |= 1 << f
	switch f {
	case via:
		m.Vias = append(m.Vias, value)
	case authorization:
		m.Authorization = append(m.Authorization, value)
	case contact:
		m.Contacts = append(m.Contacts, value)
	case path:
		m.Path = append(m.Path, value)
	case route:
		m.Route = append(m.Route, value)
	case require:
		m.Require = append(m.Require, value)
	case proxyRequire:
		m.ProxyRequire = append(m.ProxyRequire, value)
	case supported:
		m.Supported = append(m.Supported, value)
	case proxyAuthorization:
		m.ProxyAuthorization = append(m.ProxyAuthorization, value)
	default:
		if !first {
			m.blame(Duplicate, f.String())
			return
		}
		m.single(f, value)
	}
}

// single reads a header that may stand once.
func (m *Message) single(f field, value []byte) {
	switch f {
	case from:
		m.From = value
	case to:
		m.To = value
	case callID:
		m.CallID = value
	case userAgent:
		m.UserAgent = value
	case contentType:
		m.ContentType = value
	case cseq:
		m.cseq(value)
	case contentLength:
		n, ok := Number(value)
		if !ok || n > 1<<31-1 {
			m.blame(BadLength, f.String())
			return
		}
		m.ContentLength = int(n)
	case maxForwards:
		n, ok := Number(value)
		if !ok || n > 255 {
			m.blame(BadHops, f.String())
			return
		}
		m.MaxForwards = int(n)
	case expires:
		m.Expires = Seconds(value)
	}
}

// Seconds reads a delta-seconds as an expiry: what is malformed or too large means one hour (RFC 3261 §20.19).
func Seconds(value []byte) int {
	n, ok := Number(value)
	if !ok || n > 1<<31-1 {
		return 3600
	}
	return int(n)
}

// cseq reads "number method" (RFC 3261 §20.16): the number is below 2**31 (§8.1.1.5).
func (m *Message) cseq(value []byte) {
	sp := indexSpace(value)
	if sp < 0 {
		m.blame(Malformed, cseq.String())
		return
	}
	n, ok := Number(value[:sp])
	m.CSeqMethod = trim(value[sp:])
	if !ok || n > 1<<31-1 || !allToken(m.CSeqMethod) {
		m.blame(Malformed, cseq.String())
		return
	}
	m.CSeq = n
}
