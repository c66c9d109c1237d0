package telephony

import (
	"bytes"
	"strings"
)

// HidePasswords returns a text in which "***" stands for the password that a URI has in front of its host (RFC 3261 §19.1.1, RFC 3986
// §3.2.1): of one URI, of some words, of a whole message. found is false when there is none; then the text itself is returned.
func HidePasswords(text []byte) (clean []byte, found bool) {
	var out []byte
	kept := 0 // text[:kept] is in out
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '@')
		if i < 0 {
			break
		}
		at += i
		if begin := passwordBefore(text[kept:at]); begin >= 0 {
			out = append(append(out, text[kept:kept+begin]...), "***"...)
			kept = at + strayed(text[at:])
			at = kept
		}
	}
	if kept == 0 {
		return text, false
	}
	return append(out, text[kept:]...), true
}

// WithoutPasswords is HidePasswords for a text that is to be shown.
func WithoutPasswords(text string) string {
	if strings.IndexByte(text, '@') < 0 {
		return text
	}
	if clean, found := HidePasswords([]byte(text)); found {
		return string(clean)
	}
	return text
}

// passwordBefore returns where the password of a URI begins whose host would follow the text, or −1. Nearly always what stands next before
// is the scheme.
func passwordBefore(text []byte) int {
	colon := len(text) - 1
	for ; colon >= 0 && text[colon] != ':'; colon-- {
		if apart[text[colon]] {
			return -1
		}
	}
	if colon < 0 || endsInScheme(text[:colon]) {
		return -1
	}
	begin := colon
	for begin > 0 && !apart[text[begin-1]] {
		begin--
	}
	user := userOf(text[begin:])
	if user < 0 {
		return -1
	}
	begin += user
	i := bytes.IndexByte(text[begin:], ':')
	if i < 0 {
		return -1
	}
	return begin + i + 1
}

// apart says of each byte whether it can stand in no user part of a URI, nor in its password.
var apart = func() (set [256]bool) {
	for c := range ' ' + 1 {
		set[c] = true
	}
	for _, c := range []byte(`<>"@`) {
		set[c] = true
	}
	return set
}()

// endsInScheme reports whether a text ends in a scheme of SIP that nothing belongs to which could be a user.
func endsInScheme(text []byte) bool {
	n := len(text)
	if n > 0 && text[n-1]|0x20 == 's' {
		n--
	}
	if n < len("sip") || text[n-1]|0x20 != 'p' || text[n-2]|0x20 != 'i' || text[n-3]|0x20 != 's' {
		return false
	}
	return n == len("sip") || apart[text[n-len("sip")-1]]
}

// userOf returns where the user part begins in what may hold a URI up to its '@', or −1. The path of a URI of the web may hold an '@' too.
func userOf(text []byte) int {
	if i := bytes.Index(text, []byte("://")); i >= 0 {
		if i += len("://"); bytes.IndexByte(text[i:], '/') >= 0 {
			return -1
		}
		return i
	}
	for i, c := range text {
		if c|0x20 != 's' {
			continue
		}
		for _, scheme := range [...]string{"sip:", "sips:"} {
			if end := i + len(scheme); end <= len(text) && bytes.EqualFold(text[i:end], []byte(scheme)) {
				return end
			}
		}
	}
	return -1
}

// strayed returns where the host begins in a text that begins with an '@': behind the last one of several, for somebody's password may hold
// one that should be escaped. The host's own end is where parameters, headers or the next value begin.
func strayed(text []byte) int {
	last := 0
	for i, c := range text {
		switch {
		case c == '@':
			last = i
		case apart[c] || c == ';' || c == '?' || c == ',' || c == '/':
			return last
		}
	}
	return last
}
