package read

import (
	"strings"
	"unicode/utf8"

	"demarc/telephony"
	"demarc/telephony/wire"
)

const maxParty = 1024 // a From or To

// AoR turns a parsed From or To into an address of record.
func AoR(n wire.NameAddr, ok bool) (telephony.AoR, bool) {
	if !ok {
		return telephony.AoR{}, false
	}
	return n.AoR()
}

// printable reports whether b is printable ASCII.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// borrowedText is text that may be borrowed.
func borrowedText(b []byte, limit int) string {
	if printable(b) && len(b) <= limit { // nearly always
		return wire.Borrowed(b)
	}
	return Text(b, limit)
}

// Text makes something that may be stored and shown out of what a phone says about itself.
func Text(b []byte, limit int) string {
	if printable(b) && len(b) <= limit {
		return string(b)
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), ""))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// plain reports whether b is text without control characters.
func plain(b []byte) bool {
	if printable(b) {
		return len(b) <= maxParty
	}
	if len(b) > maxParty || !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
