package transaction

import (
	"strings"
	"unsafe"

	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// appendOutgoing renders a request.
func appendOutgoing(dst []byte, out *signal.Outgoing, c Carrier, id clientID, secret uint64) []byte {
	hops := out.Hops
	if hops == 0 {
		hops = sip.MaxForwards
	}
	dst = appendTop(dst, out.Method, out.URI, c, id, secret, hops)
	for _, h := range out.Headers {
		dst = sip.AppendHeader(dst, h.Name, h.Value)
	}
	if out.ContentType != "" && len(out.Body) > 0 {
		dst = sip.AppendHeader(dst, "Content-Type", out.ContentType)
	}
	return sip.AppendEnd(dst, out.Body)
}

// appendTop renders what comes before the headers that the sender gave.
func appendTop(dst []byte, method, uri string, c Carrier, id clientID, secret uint64, hops int) []byte {
	dst = append(append(append(dst, method...), ' '), uri...)
	dst = append(dst, " SIP/2.0\r\nVia: SIP/2.0/"...)
	dst = append(dst, upper(c.Flow().Transport)...)
	dst = append(append(dst, ' '), c.SentBy()...)
	dst = appendBranch(append(dst, ";branch="...), id, secret)
	dst = append(dst, ";rport\r\n"...)
	dst = sip.AppendMaxForwards(dst, hops)
	if route := c.Route(); route != "" {
		dst = sip.AppendHeader(dst, "Route", route)
	}
	return dst
}

func upper(t telephony.Transport) string {
	switch t {
	case telephony.UDP:
		return "UDP"
	case telephony.TCP:
		return "TCP"
	case telephony.TLS:
		return "TLS"
	}
	return strings.ToUpper(string(t))
}

// tagOf returns the tag of the To among the headers, which is their text.
func tagOf(headers []telephony.Header) []byte {
	for _, h := range headers {
		if strings.EqualFold(h.Name, "To") {
			to, _ := wire.ParseNameAddr(unsafe.Slice(unsafe.StringData(h.Value), len(h.Value))) // which only looks at it
			tag, _ := wire.Param(to.Params, "tag")
			return tag
		}
	}
	return nil
}
