package sip

import (
	"cmp"
	"crypto/rand"
	"net/netip"

	"demarc/telephony"
	"demarc/telephony/wire"
)

// Header is one header line to be sent.
type Header = telephony.Header

// Request is a request to be sent by Conn.Do, which adds Via, Max-Forwards and Content-Length. From, To, Call-ID, CSeq
// (whose method must be Method) and all else stand in Headers.
type Request struct {
	Method  string
	URI     string
	Headers []Header
	Body    []byte
	Hops    int // Max-Forwards; 70 when 0
}

// Response is a final response. It is a copy that the caller owns.
type Response struct {
	Status int
	Reason string
	Body   []byte
	Seen   netip.AddrPort // where the peer saw the request come from (RFC 3581); zero when it does not say
	msg    wire.Message
}

// Values returns the values of a header, in order: one per line, or per comma for the headers whose values are lists.
// Challenges hold commas themselves and are given by the line (RFC 3261 §7.3.1).
func (r *Response) Values(name string) []string {
	lines := r.msg.Values(name)
	values := make([]string, 0, len(lines))
	for _, line := range lines {
		if !commaList(name) {
			values = append(values, string(line))
			continue
		}
		for value, rest, ok := wire.NextValue(line); ok; value, rest, ok = wire.NextValue(rest) {
			values = append(values, string(value))
		}
	}
	return values
}

// Fields returns the header lines of the response in order, unfolded, but for those that each hop writes itself.
func (r *Response) Fields() []Header { return fields(&r.msg) }

// Header returns the first value of a header, or nothing.
func (r *Response) Header(name string) string {
	if values := r.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// ToTag returns the tag of the To header, or nothing.
func (r *Response) ToTag() string {
	to, _ := wire.ParseNameAddr(r.msg.To)
	tag, _ := wire.Param(to.Params, "tag")
	return string(tag)
}

func commaList(name string) bool {
	for _, list := range []string{"Contact", "Path", "Service-Route", "Supported", "Require", "Allow", "Via", "Warning"} {
		if wire.EqualFold([]byte(name), list) {
			return true
		}
	}
	return false
}

// newResponse copies a message out of the receive buffer.
func newResponse(m *wire.Message) (*Response, error) {
	own, err := m.Clone()
	if err != nil {
		return nil, err
	}
	r := &Response{msg: *own}
	r.Status, r.Reason, r.Body = r.msg.Status, string(r.msg.Reason), r.msg.Body
	r.Seen = seen(r.msg.Vias[0])
	return r, nil
}

// seen reads received and rport of the topmost Via.
func seen(line []byte) netip.AddrPort {
	v, _, ok := wire.ParseVia(line)
	if !ok {
		return netip.AddrPort{}
	}
	host, ok := wire.Param(v.Params, "received")
	if !ok {
		host = v.Host
	}
	port := uint32(v.Port)
	if rport, ok := wire.Param(v.Params, "rport"); ok && len(rport) > 0 {
		port, _ = wire.Number(rport)
	}
	addr, err := netip.ParseAddr(string(host))
	if err != nil || port == 0 || port > 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

// NewToken returns a random token with at least 128 bits, fit for branches, tags and Call-IDs (RFC 3261 §19.3).
func NewToken() string { return rand.Text() }

// AppendRequest renders the request with the Via it leaves under.
func AppendRequest(dst []byte, r Request, transport, sentBy, branch string) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.URI...)
	dst = append(dst, " SIP/2.0\r\nVia: SIP/2.0/"...)
	dst = append(dst, transport...)
	dst = append(dst, ' ')
	dst = append(dst, sentBy...)
	dst = append(dst, ";branch="...)
	dst = append(dst, branch...)
	dst = append(dst, ";rport\r\n"...)
	dst = AppendMaxForwards(dst, cmp.Or(r.Hops, MaxForwards))
	for _, h := range r.Headers {
		dst = AppendHeader(dst, h.Name, h.Value)
	}
	return AppendEnd(dst, r.Body)
}

// MaxForwards is what a request begins with that nobody has sent on yet (RFC 3261 §8.1.1.6).
const MaxForwards = 70
