package wire

import "bytes"

// Message says where the parts of one SIP message are. A Message may be scanned into again: its lists keep their
// capacity. Values have no white space around them.
type Message struct {
	Head []byte // start line and headers with the empty line
	Body []byte

	Method     []byte // empty in a response
	RequestURI []byte
	Status     int // 0 in a request
	Reason     []byte

	From, To, CallID       []byte
	CSeq                   uint32
	CSeqMethod             []byte
	UserAgent, ContentType []byte
	ContentLength          int // -1 when absent
	MaxForwards            int // -1 when absent
	Expires                int // seconds, -1 when absent; 3600 when malformed (RFC 3261 §20.19)

	// The lists hold the values of one header line each, in order: a line may hold several, separated by commas.
	Vias, Contacts, Authorization, Path, Route, Require, ProxyRequire, Supported [][]byte
	ProxyAuthorization                                                           [][]byte

	lines lines
	parts parts
	seen  uint32 // bit per field
	fault Error  // the first one found; the scan goes on so that the message can be answered
	loose bool   // a fault lets readers differ about where the message ends
}

// IsRequest reports whether the message is a request.
func (m *Message) IsRequest() bool { return m.Status == 0 }

// Is reports whether the message is a request of the method. Methods are compared with case (RFC 3261 §7.1).
func (m *Message) Is(method string) bool { return string(m.Method) == method }

// Answerable reports whether a response can be built around the message: it is a request other than ACK and has what
// brings a response to its transaction (RFC 3261 §17.1.3). Of what else a response copies it may lack something, as insuf of
// RFC 4475 does (§3.3.1): the response then lacks it too.
func (m *Message) Answerable() bool {
	const need = 1<<via | 1<<cseq
	return len(m.Method) > 0 && !m.Is("ACK") && m.seen&need == need
}

// Intact reports whether the scan found nothing wrong: then every header that it knows stands in the message's fields.
func (m *Message) Intact() bool { return m.fault == (Error{}) }

// Framed reports whether it is beyond doubt where the message ends in a stream, whatever else is wrong with it: every line of it can be
// read, and one alone is a Content-Length (RFC 3261 §7.5, §18.3).
func (m *Message) Framed() bool { return m.ContentLength >= 0 && !m.loose }

// Scan reads a whole datagram. Folded headers are unfolded in place: their CR and LF become spaces in b. After an
// error the message holds what was found, so that it may be answered if Answerable says so.
func (m *Message) Scan(b []byte, l Limits) error {
	l = l.withDefaults()
	end := m.lines.find(b[:min(len(b), l.Head)], l)
	if end < 0 {
		m.reset()
		if len(b) >= l.Head {
			return Error{HeadTooLarge, "headers"}
		}
		if bytes.HasSuffix(b, []byte("\r\n")) { // what there is may be enough for an answer
			if err := m.scanHead(b, l); err != nil {
				return err
			}
		}
		return Error{Malformed, "headers"}
	}
	head := b[:end]
	if err := m.scanHead(head, l); err != nil {
		return err
	}
	rest := b[len(head):]
	if m.ContentLength < 0 {
		m.Body = rest
		if len(rest) > l.Body {
			return Error{BodyTooLarge, "body"}
		}
		return nil
	}
	// RFC 3261 §18.3: a datagram that is shorter than it says is refused, one that is longer is cut.
	if m.ContentLength > len(rest) {
		return Error{BadLength, contentLength.String()}
	}
	m.Body = rest[:m.ContentLength]
	return nil
}

// scanHead reads a start line and headers, whose lines have been found, and sets all but Body.
func (m *Message) scanHead(head []byte, l Limits) error {
	m.reset()
	m.Head = head
	if !m.lines.whole(head) { // it must not be answered: the answer would copy what readers differ about
		m.blame(Malformed, lineEnd)
		return m.fault
	}
	if line := m.lines.at(head, 0); !m.startLine(line) {
		m.blame(Malformed, "start line")
		if !m.brokenRequest(line) {
			return m.fault
		}
	}
	m.fields(head, l)
	m.check(l)
	if m.fault != (Error{}) {
		return m.fault
	}
	return nil
}

// reset empties the message. What it holds of another one afterwards is marked as not read.
func (m *Message) reset() {
	m.Head, m.Body, m.Method, m.RequestURI, m.Status, m.Reason = nil, nil, nil, nil, 0, nil
	m.From, m.To, m.CallID, m.CSeq, m.CSeqMethod = nil, nil, nil, 0, nil
	m.UserAgent, m.ContentType, m.ContentLength, m.MaxForwards, m.Expires = nil, nil, -1, -1, -1
	m.Vias, m.Contacts, m.Authorization, m.Path, m.Route = m.Vias[:0], m.Contacts[:0], m.Authorization[:0], m.Path[:0], m.Route[:0]
	m.Require, m.ProxyRequire, m.Supported = m.Require[:0], m.ProxyRequire[:0], m.Supported[:0]
	m.ProxyAuthorization = m.ProxyAuthorization[:0]
	m.parts.forget()
	m.seen, m.fault, m.loose = 0, Error{}, false
}

func (m *Message) blame(f Fault, where string) {
	m.loose = m.loose || loosens(f, where)
	if m.fault == (Error{}) {
		m.fault = Error{f, where}
	}
}

// startLine reads a Request-Line or Status-Line (RFC 3261 §7.1, §7.2): single spaces, nothing around them.
func (m *Message) startLine(line []byte) bool {
	if len(line) >= 4 && EqualFold(line[:4], "SIP/") {
		return m.statusLine(line)
	}
	method, rest, ok := bytes.Cut(line, []byte(" "))
	sp := bytes.LastIndexByte(rest, ' ')
	if !ok || !allToken(method) || sp < 1 {
		return false
	}
	uri, version := rest[:sp], rest[sp+1:]
	if len(version) < 5 || !EqualFold(version[:4], "SIP/") || !all(uri, inLine) {
		return false
	}
	if !EqualFold(version, "SIP/2.0") {
		m.blame(Version, "start line")
	}
	m.Method, m.RequestURI = method, uri
	return true
}

// brokenRequest reports whether a malformed start line is at least a request's, so that its sender can be told (RFC 4475
// §3.1.2.6 to §3.1.2.9): white space or brackets that do not belong there are the usual faults.
func (m *Message) brokenRequest(line []byte) bool {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	rest = trim(rest)
	if !ok || !allToken(method) || !EqualFold(rest[bytes.LastIndexByte(rest, ' ')+1:], "SIP/2.0") {
		return false
	}
	m.Method = method
	return true
}

func (m *Message) statusLine(line []byte) bool {
	version, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(rest) < 4 || rest[3] != ' ' {
		return false
	}
	code, ok := Number(rest[:3])
	if !ok || code < 100 || code > 699 {
		return false
	}
	if !EqualFold(version, "SIP/2.0") {
		m.blame(Version, "start line")
	}
	m.Status, m.Reason = int(code), rest[4:]
	return true
}

// check holds the headers against each other.
func (m *Message) check(l Limits) {
	for _, f := range [...]field{via, from, to, callID, cseq} {
		if m.seen&(1<<f) == 0 {
			m.blame(Missing, f.String())
		}
	}
	if m.seen&(1<<callID) != 0 && (len(m.CallID) == 0 || indexSpace(m.CallID) >= 0 || bytes.IndexByte(m.CallID, 0) >= 0) {
		m.blame(Malformed, callID.String())
	}
	if m.IsRequest() && m.seen&(1<<cseq) != 0 && !bytes.Equal(m.CSeqMethod, m.Method) {
		m.blame(Mismatch, cseq.String())
	}
	if m.ContentLength > l.Body {
		m.blame(BodyTooLarge, "body")
	}
}
