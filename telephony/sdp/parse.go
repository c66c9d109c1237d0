package sdp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// Bounds of what is read: some times what a browser writes with every codec and a camera.
const (
	maxBytes = 32 << 10
	maxMedia = 16
	maxKeys  = 16
	maxToken = 64
)

// errEmpty is made once: what we wrote last is read before there is anything.
var errEmpty = fmt.Errorf("%w: it is empty", ErrMalformed)

// Parse reads a description (RFC 8866). Attributes that it does not know are ignored, as are lines other than v=, o=, c=,
// m= and a=; a broken one that it needs is ErrMalformed. The texts of the description are those of body, which nobody may
// write to any more.
func Parse(body []byte) (*Description, error) {
	if len(body) == 0 {
		return nil, errEmpty
	}
	if len(body) > maxBytes {
		return nil, fmt.Errorf("%w: it has %d bytes, %d are read", ErrMalformed, len(body), maxBytes)
	}
	read := &roomy{}
	read.Media = read.room[:0]
	r := reader{d: &read.Description}
	for number, rest := 1, unsafe.String(unsafe.SliceData(body), len(body)); rest != ""; number++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		line = strings.TrimRight(line, "\r\t ")
		if line == "" {
			continue // some end with an empty line
		}
		if err := r.line(line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrMalformed, number, err)
		}
	}
	if !r.origin {
		return nil, fmt.Errorf("%w: it has no o= line", ErrMalformed)
	}
	if err := r.endMedia(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return r.d, nil
}

// roomy is a description with memory for the one media line that most have.
type roomy struct {
	Description
	room [1]Media
}

// reader is the state of one Parse: the session's own lines come first, then those of each m= line.
type reader struct {
	d       *Description
	version bool // v= was read
	origin  bool // o= was read
	session section
	media   section // of the last m= line
	within  bool    // there is one
}

// section is what is being read, before it is put together.
type section struct {
	Media
	connected bool       // there was a c= line
	address   netip.Addr // not valid: the one of an old hold
	port      uint16
	rtcp      netip.AddrPort // address not valid: the same as address
	codecs    []Codec        // of the m= line, whether named yet or not
	printed   bool           // Fingerprints are its own, not the session's
}

func (r *reader) line(line string) error {
	if len(line) < 2 || line[1] != '=' {
		return fmt.Errorf("%q is not of the form x=…", shorten(line))
	}
	kind, value := line[0], line[2:]
	if !r.version {
		if r.version = kind == 'v' && strings.TrimSpace(value) == "0"; !r.version {
			return fmt.Errorf("it begins with %q, not with v=0", shorten(line))
		}
		return nil
	}
	switch kind {
	case 'o':
		return r.readOrigin(value)
	case 'm':
		return r.beginMedia(value)
	}
	err := error(nil)
	switch kind {
	case 'c':
		err = r.section().connect(value)
	case 'a':
		err = r.attribute(value)
	}
	if r.within && r.media.port == 0 { // what stands in a refused line says nothing (RFC 3264 §8.2)
		return nil
	}
	return err
}

// section returns what a line belongs to.
func (r *reader) section() *section {
	if r.within {
		return &r.media
	}
	return &r.session
}

func (r *reader) readOrigin(value string) error {
	var room [7]string
	f := fields(value, room[:0])
	if len(f) != 6 || r.origin || r.within {
		return fmt.Errorf("o=%s: want one, with six fields, before all m= lines", shorten(value))
	}
	session, err := number(f[1])
	version, err2 := number(f[2])
	if err != nil || err2 != nil {
		return fmt.Errorf("o=%s: session and version are numbers", shorten(value))
	}
	r.origin, r.d.Origin = true, Origin{Session: session, Version: version}
	return nil
}

// number reads digits; more than fit are as good as none, because nothing is computed with a phone's.
func number(s string) (uint64, error) {
	if strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number", shorten(s))
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, nil
	}
	return n, nil
}

// connect reads the value of a c= line.
func (s *section) connect(value string) (err error) {
	var room [4]string
	f := fields(value, room[:0])
	if len(f) != 3 || f[0] != "IN" || f[1] != "IP4" && f[1] != "IP6" {
		return fmt.Errorf("c=%s: want IN, IP4 or IP6, and an address", shorten(value))
	}
	s.connected = true
	s.address, err = hostAddress(f[2])
	return err
}

func (r *reader) beginMedia(value string) error {
	if err := r.endMedia(); err != nil {
		return err
	}
	if len(r.d.Media) == maxMedia {
		return fmt.Errorf("there are more than %d m= lines", maxMedia)
	}
	var room [24]string // more than most offer
	f := fields(value, room[:0])
	if len(f) < 4 {
		return fmt.Errorf("m=%s: want kind, port, profile and formats", shorten(value))
	}
	if !token(f[0]) || !tokens(f[2]) || !token(f[3]) {
		return fmt.Errorf("m=%s: kind, profile or format is not a token", shorten(value))
	}
	port, err := mediaPort(f[1])
	if err != nil {
		return fmt.Errorf("m=%s: %q is not a port", shorten(value), shorten(f[1]))
	}
	r.media, r.within = r.session, true // with what the session says for all
	r.media.printed = false
	m := &r.media
	m.Kind, m.Profile, m.Format, m.port = strings.ToLower(f[0]), f[2], f[3], port
	if m.rtp() {
		m.readFormats(f[3:])
	}
	return nil
}

// mediaPort reads the port of an m= line. Layers on several ports (RFC 8866 §5.14) have none: they are refused like all that we do
// not know.
func mediaPort(field string) (uint16, error) {
	text, many, several := strings.Cut(field, "/")
	port, err := strconv.ParseUint(text, 10, 16)
	if several && many != "1" {
		port = 0
	}
	return uint16(port), err
}

// endMedia puts a media line together once all of it has been read.
func (r *reader) endMedia() error {
	if !r.within {
		return nil
	}
	r.within = false
	m := &r.media
	if m.port != 0 && !m.connected {
		return fmt.Errorf("m=%s has no c= line", m.Kind)
	}
	m.Remote = netip.AddrPortFrom(m.address, m.port)
	m.RTCP = netip.AddrPortFrom(m.address, m.port+1)
	switch {
	case m.Mux:
		m.RTCP = m.Remote
	case m.rtcp.Port() != 0 && m.rtcp.Addr().IsValid():
		m.RTCP = m.rtcp
	case m.rtcp.Port() != 0:
		m.RTCP = netip.AddrPortFrom(m.address, m.rtcp.Port())
	}
	if m.Direction == "" {
		m.Direction = SendRecv
	}
	if !m.address.IsValid() && m.Ufrag == "" { // with ICE it only says that the candidates count
		m.Direction = m.Direction.And(SendOnly)
	}
	m.Codecs = slices.DeleteFunc(m.codecs, func(c Codec) bool { return c.Name == "" })
	r.d.Media = append(r.d.Media, m.Media)
	return nil
}

// fields cuts at white space, as strings.Fields does, into the room that is given.
func fields(s string, room []string) []string {
	for field := range strings.FieldsSeq(s) {
		room = append(room, field)
	}
	return room
}

// shorten bounds what an error repeats of a description.
func shorten(s string) string {
	const most = 32 // an a=crypto that got lost in another line does not reach its key
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// tokens reports whether s is tokens between slashes, as a profile is; empty ones count as long as one is not.
func tokens(s string) bool {
	some := false
	for part := range strings.SplitSeq(s, "/") {
		if part != "" && !token(part) {
			return false
		}
		some = some || part != ""
	}
	return some && len(s) <= maxToken
}

// token reports whether s is a token (RFC 8866 §9), and not too long to be repeated.
func token(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]`, c) >= 0 {
			return false
		}
	}
	return true
}
