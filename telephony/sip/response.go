package sip

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"strconv"

	"demarc/telephony/wire"
)

// AppendResponse begins a response to req that came from src: AppendStatus and AppendFrame. Further headers are
// appended with AppendHeader; AppendEnd ends it.
func AppendResponse(dst []byte, req *wire.Message, src netip.AddrPort, status int, reason, tag string) []byte {
	return AppendFrame(AppendStatus(dst, status, reason), req, src, tag)
}

// AppendStatus appends a status line. An empty reason means the standard one.
func AppendStatus(dst []byte, status int, reason string) []byte {
	if reason == "" {
		reason = Reason(status)
	}
	dst = append(dst, "SIP/2.0 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	return append(appendOneLine(dst, reason), "\r\n"...)
}

// AppendFrame appends what a response copies from its request, which must be Answerable: Via with received and rport
// (RFC 3261 §18.2.1, RFC 3581 §4), From, To with tag when it has none and tag is not empty, Call-ID and CSeq. What the
// request lacks is left out.
func AppendFrame[T string | []byte](dst []byte, req *wire.Message, src netip.AddrPort, tag T) []byte {
	dst = AppendParties(dst, req, src)
	if len(tag) > 0 && len(req.To) > 0 && !HasTag(req) {
		dst = append(dst, ";tag="...)
		dst = append(dst, tag...)
	}
	return AppendOrigin(dst, req)
}

// AppendParties appends Via, From and To up to where a tag may follow.
func AppendParties(dst []byte, req *wire.Message, src netip.AddrPort) []byte {
	dst = append(dst, "Via: "...)
	dst = appendTopVia(dst, req, src)
	for _, via := range req.Vias[1:] {
		dst = appendField(dst, "Via", via)
	}
	dst = appendPresent(dst, "From", req.From)
	return appendPresent(dst, "To", req.To)
}

func AppendOrigin(dst []byte, req *wire.Message) []byte {
	dst = appendPresent(dst, "Call-ID", req.CallID)
	dst = append(dst, "\r\nCSeq: "...)
	dst = strconv.AppendUint(dst, uint64(req.CSeq), 10)
	dst = append(dst, ' ')
	dst = append(dst, req.CSeqMethod...)
	return append(dst, "\r\n"...)
}

// AppendHeader appends one header line. CR and LF in the value become spaces, so that no value can forge a header.
func AppendHeader[T string | []byte](dst []byte, name string, value T) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	return append(appendOneLine(dst, value), "\r\n"...)
}

// appendOneLine appends text in which CR, LF and NUL become spaces.
func appendOneLine[T string | []byte](dst []byte, text T) []byte {
	start := len(dst)
	dst = append(dst, text...)
	if !holdsControls(dst[start:]) { // nearly always
		return dst
	}
	for i, c := range dst[start:] {
		if c == '\r' || c == '\n' || c == 0 {
			dst[start+i] = ' '
		}
	}
	return dst
}

// holdsControls reports whether text holds a byte below the space. It looks at eight at a time.
func holdsControls(b []byte) bool {
	const spaces, highest = 0x2020202020202020, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		if (w-spaces)&^w&highest != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < ' ' {
			return true
		}
	}
	return false
}

// AppendEnd appends Content-Length, the empty line and the body.
func AppendEnd(dst, body []byte) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// Tag returns a To tag that is the same for every retransmission of a request, so that an answer needs no kept state
// (RFC 3261 §8.2.7), and that nobody can foretell.
func Tag(seed maphash.Seed, req *wire.Message) string { return string(AppendTag(nil, seed, req)) }

// AppendTag appends what Tag returns: 13 bytes.
func AppendTag(dst []byte, seed maphash.Seed, req *wire.Message) []byte {
	return appendBase32(dst, maphash.Comparable(seed, origin{wire.Borrowed(req.CallID), wire.Borrowed(req.From), wire.Borrowed(req.Vias[0])}))
}

// origin is what retransmissions of a request have in common, and no two requests.
type origin struct{ callID, from, via string }

// appendBase32 appends a number in 13 digits, the lowest first.
func appendBase32(dst []byte, n uint64) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	for range 13 {
		dst = append(dst, digits[n&31])
		n >>= 5
	}
	return dst
}

// appendPresent is appendField for what a request may lack.
func appendPresent(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	return appendField(dst, name, value)
}

func appendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, "\r\n"...)
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	return append(dst, value...)
}

// HasTag reports whether To has a tag. It looks without judging: the value may be malformed and the answer to it a 400.
func HasTag(req *wire.Message) bool {
	addr, ok := req.ToAddr()
	if !ok {
		return bytes.Contains(req.To, []byte(";tag="))
	}
	_, ok = wire.Param(addr.Params, "tag")
	return ok
}

// appendTopVia copies the topmost Via line. Its first value gets rport where it asked for that, and received where the
// packet's source is not what it says; what the sender wrote there itself is dropped.
func appendTopVia(dst []byte, req *wire.Message, src netip.AddrPort) []byte {
	v, rest, ok := req.TopVia()
	if !ok {
		return append(dst, req.Vias[0]...)
	}
	source := src.Addr().Unmap()
	dst = append(dst, v.Protocol...)
	dst = append(dst, ' ')
	dst = append(dst, v.SentBy...)
	asked := false
	for params := v.Params; ; {
		name, _, next, more := wire.NextParam(params)
		if !more {
			break
		}
		whole := params[:len(params)-len(next)]
		for len(whole) > 0 && (whole[len(whole)-1] == ' ' || whole[len(whole)-1] == '\t') {
			whole = whole[:len(whole)-1]
		}
		switch {
		case wire.EqualFold(name, "received"):
		case wire.EqualFold(name, "rport"):
			asked = true
			dst = append(dst, ";rport="...)
			dst = strconv.AppendUint(dst, uint64(src.Port()), 10)
		default:
			dst = append(dst, whole...)
		}
		params = next
	}
	if asked || !sameHost(v.Host, source) {
		dst = append(dst, ";received="...)
		dst = source.WithZone("").AppendTo(dst)
	}
	if len(rest) > 0 {
		dst = append(dst, ',')
		dst = append(dst, rest...)
	}
	return dst
}

func sameHost(host []byte, source netip.Addr) bool {
	a, err := netip.ParseAddr(string(host))
	return err == nil && a.Unmap() == source.WithZone("")
}
