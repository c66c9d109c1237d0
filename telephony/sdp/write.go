package sdp

import (
	"fmt"
	"net/netip"
	"strings"
)

// written is one media line as it is written.
type written struct {
	kind, profile string
	format        string // of a refused line
	line          Line
	codecs        []Codec
	ptime         int
	keys          []Key
	setup         string // DTLS: active, passive or actpass; empty: no DTLS
	ice           bool
	mux           bool
	mid           string
	direction     Direction
}

// write puts a description together: nothing stands in it but what the media opened for this leg, the codecs, and the
// phone's own mids and payload types.
func (s *Side) write(media []written, bundle []string) []byte {
	version := uint64(1)
	if last, err := Parse(s.Last); err == nil {
		version = last.Origin.Version
		if same := s.describe(version, media, bundle); same == string(s.Last) {
			return []byte(same)
		}
		version++ // RFC 3264 §8
	}
	return []byte(s.describe(version, media, bundle))
}

func (s *Side) describe(version uint64, media []written, bundle []string) string {
	var w writer
	addr := s.Local.Addr
	w.line("v=0")
	w.line("o=demarc %d %d IN %s", s.Session, version, family(addr))
	w.line("s=-")
	w.line("c=IN %s", family(addr))
	w.line("t=0 0")
	if len(bundle) > 0 {
		w.line("a=group:BUNDLE %s", strings.Join(bundle, " "))
	}
	for _, m := range media {
		if m.ice {
			w.line("a=ice-lite")
			break
		}
	}
	for _, m := range media {
		w.media(&s.Local, m)
	}
	return w.String()
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, values ...any) {
	fmt.Fprintf(w, format, values...)
	w.WriteString("\r\n")
}

func (w *writer) media(local *Local, m written) {
	if m.line.RTP == 0 {
		w.line("m=%s 0 %s %s", m.kind, m.profile, m.format)
		w.attribute("mid", m.mid)
		return
	}
	formats := make([]string, len(m.codecs))
	for i, c := range m.codecs {
		formats[i] = fmt.Sprint(c.Payload)
	}
	w.line("m=%s %d %s %s", m.kind, m.line.RTP, m.profile, strings.Join(formats, " "))
	for _, c := range m.codecs {
		w.codec(c)
	}
	if m.ptime > 0 {
		w.line("a=ptime:%d", m.ptime)
	}
	if m.mux {
		w.line("a=rtcp-mux")
	} else {
		w.line("a=rtcp:%d", m.line.RTCP)
	}
	for _, k := range m.keys {
		w.line("a=crypto:%d %s inline:%s", k.Tag, k.Suite, k.Key.Reveal())
	}
	if m.setup != "" {
		w.line("a=fingerprint:%s %s", local.Fingerprint.Hash, local.Fingerprint.Value)
		w.line("a=setup:%s", m.setup)
	}
	if m.ice {
		w.ice(local, m)
	}
	w.attribute("mid", m.mid)
	w.line("a=%s", m.direction)
}

func (w *writer) codec(c Codec) {
	w.line("a=rtpmap:%d %s", c.Payload, c)
	if c.Params != "" {
		w.line("a=fmtp:%d %s", c.Payload, c.Params)
	}
	for _, f := range c.Feedback {
		w.line("a=rtcp-fb:%d %s", c.Payload, f)
	}
}

// ice writes our only address as the only candidate of each component; priorities are those of RFC 8445 §5.1.2.1 for a host
// with one address.
func (w *writer) ice(local *Local, m written) {
	w.line("a=ice-ufrag:%s", local.Ufrag)
	w.line("a=ice-pwd:%s", local.Pwd.Reveal())
	w.line("a=candidate:1 1 udp 2130706431 %s %d typ host", local.Addr, m.line.RTP)
	if !m.mux {
		w.line("a=candidate:1 2 udp 2130706430 %s %d typ host", local.Addr, m.line.RTCP)
	}
	w.line("a=end-of-candidates")
}

func (w *writer) attribute(name, value string) {
	if value != "" {
		w.line("a=%s:%s", name, value)
	}
}

func family(addr netip.Addr) string {
	if addr.Is4() || addr.Is4In6() {
		return "IP4 " + addr.Unmap().String()
	}
	return "IP6 " + addr.String()
}
