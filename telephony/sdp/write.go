package sdp

import (
	"bytes"
	"net/netip"
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
func (s *Side) write(media []written, bundle []string) (text []byte, version uint64) {
	if s.Last == nil {
		return s.describe(1, media, bundle), 1
	}
	version = 1
	if last, err := Parse(s.Last); err == nil {
		version = last.Origin.Version
	}
	if same := s.describe(version, media, bundle); bytes.Equal(same, s.Last) {
		return same, version
	}
	version++ // RFC 3264 §8
	return s.describe(version, media, bundle), version
}

// room estimates the bytes of a description: more than it takes, nearly always.
func room(media []written) int {
	n := 112
	for i := range media {
		m := &media[i]
		n += 96 + 96*len(m.keys)
		if m.setup != "" {
			n += 128
		}
		if m.ice {
			n += 256
		}
		for j := range m.codecs {
			n += 36 + len(m.codecs[j].Params) + 32*len(m.codecs[j].Feedback)
		}
	}
	return n
}

func (s *Side) describe(version uint64, media []written, bundle []string) []byte {
	w := make(writer, 0, room(media))
	family, addr := "IN IP4 ", s.Local.Addr.Unmap()
	if addr.Is6() {
		family = "IN IP6 "
	}
	host := addr.String()
	w.line("v=0")
	w.text("o=demarc ")
	w.number(s.Session)
	w.text(" ")
	w.number(version)
	w.line(" ", family, host)
	w.line("s=-")
	w.line("c=", family, host)
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

// says is what a description says that was written so: what Parse would read of it.
func (s *Side) says(version uint64, media []written, bundle []string) *Description {
	read := &roomy{Description: Description{Origin: Origin{Session: s.Session, Version: version}, Bundle: bundle}}
	read.Media = read.room[:0]
	for i := range media {
		read.Media = append(read.Media, media[i].says(&s.Local))
		read.Lite = read.Lite || media[i].ice
	}
	return &read.Description
}

func (m *written) says(local *Local) Media {
	addr := local.Addr.Unmap()
	said := Media{Kind: m.kind, Profile: m.profile, Format: m.format, Remote: netip.AddrPortFrom(addr, m.line.RTP), Transport: Transport{Mid: m.mid}}
	if m.line.RTP == 0 {
		said.RTCP, said.Direction, said.Codecs = netip.AddrPortFrom(addr, 1), SendRecv, m.refusedCodecs()
		return said
	}
	said.Format = strconv.Itoa(int(m.codecs[0].Payload))
	said.RTCP, said.Mux = netip.AddrPortFrom(addr, m.line.RTCP), m.mux
	if m.mux {
		said.RTCP = said.Remote
	}
	said.Direction, said.Codecs, said.Ptime, said.Keys = m.direction, m.codecs, m.ptime, m.keys
	if m.setup != "" {
		said.Setup, said.Fingerprints = m.setup, []Fingerprint{local.Fingerprint}
	}
	if m.ice {
		said.Ufrag, said.Pwd = m.line.Ufrag, m.line.Pwd
	}
	return said
}

// refusedCodecs is what the one format of a refused line names by itself.
func (m *written) refusedCodecs() []Codec {
	read := section{Media: Media{Kind: m.kind, Profile: m.profile}}
	if read.rtp() {
		read.readFormats([]string{m.format})
	}
	return slices.DeleteFunc(read.codecs, func(c Codec) bool { return c.Name == "" })
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

func (w *writer) number(n uint64) { *w = strconv.AppendUint(*w, n, 10) }

func (w *writer) media(local *Local, m *written) {
	if m.line.RTP == 0 {
		w.line("m=", m.kind, " 0 ", m.profile, " ", m.format)
		w.attribute("mid", m.mid)
		return
	}
	w.text("m=", m.kind, " ")
	w.number(uint64(m.line.RTP))
	w.text(" ", m.profile)
	for i := range m.codecs {
		w.text(" ")
		w.number(uint64(m.codecs[i].Payload))
	}
	w.line()
	for i := range m.codecs {
		w.codec(&m.codecs[i])
	}
	if m.ptime > 0 {
		w.line("a=ptime:", strconv.Itoa(m.ptime))
	}
	if m.mux {
		w.line("a=rtcp-mux")
	} else {
		w.text("a=rtcp:")
		w.number(uint64(m.line.RTCP))
		w.line()
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

func (w *writer) codec(c *Codec) {
	w.about("rtpmap", c, c.Name, "/")
	w.number(uint64(c.Rate))
	if c.Channels > 1 {
		w.text("/")
		w.number(uint64(c.Channels))
	}
	w.line()
	if c.Params != "" {
		w.about("fmtp", c, c.Params)
		w.line()
	}
	for _, f := range c.Feedback {
		w.about("rtcp-fb", c, f)
		w.line()
	}
}

// about begins an attribute that speaks of a codec.
func (w *writer) about(name string, c *Codec, parts ...string) {
	w.text("a=", name, ":")
	w.number(uint64(c.Payload))
	w.text(" ")
	w.text(parts...)
}

// ice writes our only address as the only candidate of each component; priorities are those of RFC 8445 §5.1.2.1 for a host
// with one address.
func (w *writer) ice(local *Local, m *written) {
	addr := local.Addr.Unmap().String()
	w.line("a=ice-ufrag:", m.line.Ufrag)
	w.line("a=ice-pwd:", m.line.Pwd.Reveal())
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

func decimal(n uint16) string { return strconv.FormatUint(uint64(n), 10) }
