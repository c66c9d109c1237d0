package sdp

import (
	"encoding/base64"
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

// inline reads a key parameter: base64, and perhaps a lifetime. A lifetime needs no answer, and no call lasts for the 2^31
// packets of the shortest default (RFC 4568 §6.1). A master key identifier is in every packet, and several keys need one:
// we do not have them, so such a line is not for us.
func inline(param string, size int) (account.Secret, bool) {
	method, text, ok := strings.Cut(param, ":")
	if !ok || !strings.EqualFold(method, "inline") || strings.Contains(text, ";") {
		return "", false
	}
	text, lifetime, _ := strings.Cut(text, "|")
	if strings.ContainsAny(lifetime, "|:") {
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
	return account.Secret(text), true
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
