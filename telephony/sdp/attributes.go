package sdp

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"demarc/internal/account"
)

// attribute reads the value of an a= line.
func (r *reader) attribute(line string) error {
	name, value, _ := strings.Cut(line, ":")
	s := r.section()
	switch name {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		s.Direction = Direction(name)
		return nil
	case "ice-lite":
		r.d.Lite = true
		return nil
	case "group":
		r.group(value)
		return nil
	case "fingerprint":
		s.fingerprint(value)
		return nil
	case "setup":
		return s.setup(value)
	case "mid":
		if !token(value) {
			return fmt.Errorf("a=mid:%s is not a token", shorten(value))
		}
		s.Mid = value
		return nil
	case "ice-ufrag":
		s.Ufrag = value
		return iceChars(name, value, 4)
	case "ice-pwd":
		s.Pwd = account.Secret(value)
		return iceChars(name, value, 22)
	}
	if !r.within || !s.rtp() {
		return nil
	}
	return s.ofMedia(name, value)
}

// ofMedia reads an attribute that only a line of RTP has.
func (s *section) ofMedia(name, value string) error {
	switch name {
	case "rtpmap":
		return s.rtpmap(value)
	case "fmtp":
		return s.fmtp(value)
	case "rtcp-fb":
		s.feedback(value)
	case "rtcp-mux":
		s.Mux = true
	case "rtcp":
		return s.readRTCP(value)
	case "ptime":
		s.ptime(value)
	case "crypto":
		s.crypto(value)
	}
	return nil
}

// group keeps the mids of the first BUNDLE group (RFC 9143 §7).
func (r *reader) group(value string) {
	f := strings.Fields(value)
	if r.within || len(f) < 2 || f[0] != "BUNDLE" || r.d.Bundle != nil || len(f) > maxMedia+1 {
		return
	}
	r.d.Bundle = f[1:]
}

// fingerprint keeps a hash of the SHA-2 family; others prove too little, and are as if not there. The session's are for lines that have
// none of their own (RFC 8122 §5).
func (s *section) fingerprint(value string) {
	name, digits, _ := strings.Cut(value, " ")
	name, digits = strings.ToLower(name), strings.ToUpper(strings.TrimSpace(digits))
	size := 0
	switch name {
	case "sha-256":
		size = 32
	case "sha-384":
		size = 48
	case "sha-512":
		size = 64
	}
	if size == 0 || len(digits) != 3*size-1 || !pairs(digits) {
		return
	}
	if !s.printed {
		s.Fingerprints, s.printed = nil, true
	}
	if len(s.Fingerprints) == maxKeys {
		return
	}
	s.Fingerprints = append(s.Fingerprints, Fingerprint{Hash: name, Value: digits})
}

// pairs reports whether s is hexadecimal digits in pairs with colons between them.
func pairs(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case i%3 == 2 && c == ':':
		case i%3 != 2 && ('0' <= c && c <= '9' || 'A' <= c && c <= 'F'):
		default:
			return false
		}
	}
	return true
}

func (s *section) setup(value string) error {
	switch value {
	case "active", "passive", "actpass", "holdconn":
		s.Setup = value
		return nil
	}
	return fmt.Errorf("a=setup:%s: want active, passive, actpass or holdconn", shorten(value))
}

// iceChars checks a name or password of ICE (RFC 8839 §5.4). The value is not repeated.
func iceChars(name, value string, least int) error {
	if len(value) < least || len(value) > 256 {
		return fmt.Errorf("a=%s has %d characters, not %d to 256", name, len(value), least)
	}
	const others = "+/" + "-=_" // the last ones are not in the RFC, but in the world
	for i := range len(value) {
		c := value[i] | 0x20
		if (c < 'a' || c > 'z') && (value[i] < '0' || value[i] > '9') && strings.IndexByte(others, value[i]) < 0 {
			return fmt.Errorf("a=%s holds a character that ICE does not allow", name)
		}
	}
	return nil
}

// readRTCP reads where RTCP goes when that is not the next port (RFC 3605).
func (s *section) readRTCP(value string) error {
	var room [5]string
	f := fields(value, room[:0])
	if len(f) != 1 && len(f) != 4 {
		return fmt.Errorf("a=rtcp:%s: want a port, and perhaps IN IP4 and an address", shorten(value))
	}
	port, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil {
		return fmt.Errorf("a=rtcp: %q is not a port", shorten(f[0]))
	}
	var addr netip.Addr
	if len(f) == 4 {
		if addr, err = hostAddress(f[3]); err != nil {
			return fmt.Errorf("a=rtcp: %w", err)
		}
	}
	s.rtcp = netip.AddrPortFrom(addr, uint16(port))
	return nil
}

// ptime reads a wish in ms, which may have a fraction; one that makes no sense is no wish.
func (s *section) ptime(value string) {
	ms, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err == nil && ms >= 1 && ms <= 200 {
		s.Ptime = int(math.Round(ms))
	}
}
