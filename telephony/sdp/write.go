package sdp

import (
	"bytes"
	"slices"
	"strconv"
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
	if s.Last == nil {
		return s.describe(1, media, bundle)
	}
	version := uint64(1)
	if last, err := Parse(s.Last); err == nil {
		version = last.Origin.Version
	}
	if same := s.describe(version, media, bundle); bytes.Equal(same, s.Last) {
		return same
	}
	return s.describe(version+1, media, bundle) // RFC 3264 §8
}

// usualSize is that of a description with some audio codecs, or with an SDES key.
const usualSize = 512

func (s *Side) describe(version uint64, media []written, bundle []string) []byte {
	w := make(writer, 0, usualSize)
	addr := "IN IP4 "
	if s.Local.Addr.Unmap().Is6() {
		addr = "IN IP6 "
	}
	addr += s.Local.Addr.Unmap().String()
	w.line("v=0")
	w.line("o=demarc ", decimal(s.Session), " ", decimal(version), " ", addr)
	w.line("s=-")
	w.line("c=", addr)
	w.line("t=0 0")
	if len(bundle) > 0 {
		w.line("a=group:BUNDLE ", strings.Join(bundle, " "))
	}
	if slices.ContainsFunc(media, func(m written) bool { return m.ice }) {
		w.line("a=ice-lite")
	}
	for i := range media {
		w.media(&s.Local, &media[i])
	}
	return w
}

// writer is a description as far as it is written.
type writer []byte

func (w *writer) line(parts ...string) {
	w.text(parts...)
	*w = append(*w, '\r', '\n')
}

func (w *writer) text(parts ...string) {
	for _, p := range parts {
		*w = append(*w, p...)
	}
}

func (w *writer) media(local *Local, m *written) {
	if m.line.RTP == 0 {
		w.line("m=", m.kind, " 0 ", m.profile, " ", m.format)
		w.attribute("mid", m.mid)
		return
	}
	w.text("m=", m.kind, " ", decimal(m.line.RTP), " ", m.profile)
	for _, c := range m.codecs {
		w.text(" ", decimal(c.Payload))
	}
	w.line()
	for _, c := range m.codecs {
		w.codec(c)
	}
	if m.ptime > 0 {
		w.line("a=ptime:", strconv.Itoa(m.ptime))
	}
	if m.mux {
		w.line("a=rtcp-mux")
	} else {
		w.line("a=rtcp:", decimal(m.line.RTCP))
	}
	for _, k := range m.keys {
		w.line("a=crypto:", strconv.Itoa(k.Tag), " ", k.Suite, " inline:", k.Key.Reveal())
	}
	if m.setup != "" {
		w.line("a=fingerprint:", local.Fingerprint.Hash, " ", local.Fingerprint.Value)
		w.line("a=setup:", m.setup)
	}
	if m.ice {
		w.ice(local, m)
	}
	w.attribute("mid", m.mid)
	w.line("a=", string(m.direction))
}

func (w *writer) codec(c Codec) {
	payload := decimal(c.Payload)
	w.text("a=rtpmap:", payload, " ", c.Name, "/", strconv.Itoa(c.Rate))
	if c.Channels > 1 {
		w.text("/", strconv.Itoa(c.Channels))
	}
	w.line()
	if c.Params != "" {
		w.line("a=fmtp:", payload, " ", c.Params)
	}
	for _, f := range c.Feedback {
		w.line("a=rtcp-fb:", payload, " ", f)
	}
}

// ice writes our only address as the only candidate of each component; priorities are those of RFC 8445 §5.1.2.1 for a host
// with one address.
func (w *writer) ice(local *Local, m *written) {
	addr := local.Addr.Unmap().String()
	w.line("a=ice-ufrag:", local.Ufrag)
	w.line("a=ice-pwd:", local.Pwd.Reveal())
	w.line("a=candidate:1 1 udp 2130706431 ", addr, " ", decimal(m.line.RTP), " typ host")
	if !m.mux {
		w.line("a=candidate:1 2 udp 2130706430 ", addr, " ", decimal(m.line.RTCP), " typ host")
	}
	w.line("a=end-of-candidates")
}

func (w *writer) attribute(name, value string) {
	if value != "" {
		w.line("a=", name, ":", value)
	}
}

func decimal[N ~uint8 | ~uint16 | ~uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }
