package sdp

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"demarc/internal/account"
)

// suites are the ones we know, with the bytes of master key and salt (RFC 4568 §6.2, RFC 6188 §6, RFC 7714 §12), best
// first.
var suites = []struct {
	name  string
	bytes int
}{
	{"AEAD_AES_256_GCM", 44},
	{"AES_256_CM_HMAC_SHA1_80", 46},
	{"AES_CM_128_HMAC_SHA1_80", 30},
	{"AES_CM_128_HMAC_SHA1_32", 30},
}

// crypto keeps the key of an a=crypto line when we can do all that it says; others are as if not there (RFC 4568 §7.1.2).
// Errors would repeat a key, so there are none.
func (s *section) crypto(value string) {
	var room [6]string
	f := fields(value, room[:0])
	if len(f) < 3 || len(f[0]) > 9 || len(s.Keys) == maxKeys || !harmless(f[3:]) {
		return
	}
	tag, err := strconv.Atoi(f[0])
	if err != nil || tag < 0 {
		return
	}
	for _, k := range s.Keys {
		if k.Tag == tag {
			return // the first one counts: tags are unique (§4.1)
		}
	}
	for _, suite := range suites {
		if !strings.EqualFold(f[1], suite.name) {
			continue
		}
		if key, ok := inline(f[2], suite.bytes); ok {
			s.Keys = append(s.Keys, Key{Tag: tag, Suite: suite.name, Key: key})
		}
	}
}

// inline reads a key parameter: base64, and perhaps a lifetime and a master key identifier. A lifetime needs no answer, and no call lasts for
// the 2^31 packets of the shortest default (RFC 4568 §6.1). Which of several keys protects a packet only its identifier tells: we take one
// key alone, so such a line is not for us.
func inline(param string, size int) (account.Secret, bool) {
	method, text, ok := strings.Cut(param, ":")
	if !ok || !strings.EqualFold(method, "inline") || strings.Contains(text, ";") {
		return "", false
	}
	text, more, _ := strings.Cut(text, "|")
	lifetime, identifier, both := strings.Cut(more, "|")
	if !both && strings.Contains(lifetime, ":") {
		lifetime, identifier = "", lifetime
	}
	if strings.Contains(lifetime, ":") || both && identifier == "" || identifier != "" && len(Identifier(identifier)) == 0 {
		return "", false
	}
	const most = 64 // bytes; the longest key and salt are 46
	if len(text) > most*4/3 {
		return "", false
	}
	var room [most]byte
	raw, err := base64.RawStdEncoding.AppendDecode(room[:0], []byte(strings.TrimRight(text, "=")))
	if err != nil || len(raw) != size {
		return "", false
	}
	var again [most*4/3 + 4]byte
	if usual := base64.StdEncoding.AppendEncode(again[:0], raw); string(usual) != text {
		text = string(usual)
	}
	if identifier != "" {
		text += "|" + identifier
	}
	return account.Secret(text), true
}

// Identifier returns a master key identifier as packets hold it, in network order, or nothing when the text is none: its value and its length in
// bytes (RFC 4568 §6.1), as in "1:4".
func Identifier(text string) []byte {
	value, length, _ := strings.Cut(text, ":")
	size, err := strconv.ParseUint(length, 10, 8)
	n, fault := strconv.ParseUint(value, 10, 64)
	if err != nil || fault != nil || size == 0 || size > 128 || size < 8 && n>>(8*size) != 0 {
		return nil
	}
	b := make([]byte, max(size, 8))
	binary.BigEndian.PutUint64(b[len(b)-8:], n)
	return b[len(b)-int(size):]
}

// harmless reports whether no session parameter asks for what we do not do: the size of a replay window is a hint, and
// those that begin with a minus may be ignored (RFC 4568 §6.3.7).
func harmless(params []string) bool {
	for _, p := range params {
		if !strings.HasPrefix(p, "WSH=") && !strings.HasPrefix(p, "-") {
			return false
		}
	}
	return true
}
