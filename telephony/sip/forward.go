package sip

import (
	"bytes"
	"strconv"

	"demarc/telephony/wire"
)

// perHop reports whether every hop writes the header itself.
func perHop(name []byte) bool {
	for _, own := range []string{"Via", "v", "Content-Length", "l", "Max-Forwards"} {
		if wire.EqualFold(name, own) {
			return true
		}
	}
	return false
}

func fields(m *wire.Message) []Header {
	var all []Header
	m.Fields(func(name, value []byte) {
		if !perHop(name) {
			all = append(all, Header{Name: string(name), Value: string(value)})
		}
	})
	return all
}

// Forwarded makes of a request what a proxy sends on (RFC 3261 §16.6): all of it but for what this hop writes, and
// without its topmost Route value, which named this hop. ok is false when it has no hop left.
func Forwarded(m *wire.Message) (r Request, ok bool) {
	if m.MaxForwards == 0 || m.MaxForwards == 1 { // with the last one the next hop could not forward, and it may have to
		return Request{}, false
	}
	hops := m.MaxForwards - 1
	if m.MaxForwards < 0 {
		hops = MaxForwards
	}
	r = Request{Method: string(m.Method), URI: string(m.RequestURI), Body: bytes.Clone(m.Body), Hops: hops}
	first := true
	for _, h := range fields(m) {
		if first && wire.EqualFold([]byte(h.Name), "Route") {
			first = false
			_, rest, _ := wire.NextValue([]byte(h.Value))
			if len(bytes.TrimSpace(rest)) == 0 {
				continue
			}
			h.Value = string(bytes.TrimSpace(rest))
		}
		r.Headers = append(r.Headers, h)
	}
	return r, true
}

// Returned makes of a response what a proxy sends back: all of it but for what this hop writes or copies from the
// request.
func Returned(r *Response) Answer {
	a := Answer{Status: r.Status, Reason: r.Reason, Body: r.Body, Tag: r.ToTag()}
	for _, h := range r.Fields() {
		if !copied(h.Name) {
			a.Headers = append(a.Headers, h)
		}
	}
	return a
}

func copied(name string) bool {
	for _, own := range []string{"From", "f", "To", "t", "Call-ID", "i", "CSeq"} {
		if wire.EqualFold([]byte(name), own) {
			return true
		}
	}
	return false
}

// AppendMaxForwards appends the header line.
func AppendMaxForwards(dst []byte, hops int) []byte {
	dst = append(dst, "Max-Forwards: "...)
	dst = strconv.AppendInt(dst, int64(hops), 10)
	return append(dst, "\r\n"...)
}
