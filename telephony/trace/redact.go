package trace

import (
	"bytes"
	"iter"

	"demarc/telephony"
)

const hidden = "***"

// Redact returns a copy of a SIP message without what is secret: what answers a digest challenge (name and realm stay,
// for they say what is wrong), passwords in URIs, keys and passwords in SDP (RFC 4567, RFC 4568, RFC 4566 §5.12, RFC 8839 §5.4; RFC 5939 §3.4.1 may hold any of them), and push
// tokens (RFC 8599).
func Redact(text []byte) []byte {
	redacted, _ := appendRedacted(make([]byte, 0, len(text)), text)
	return redacted
}

// appendPlain is appendRedacted for a message without a body, of which is known where its credentials stand, if it has some.
func appendPlain(out, text, credentials []byte) (redacted []byte, tokens bool) {
	if clean, found := telephony.HidePasswords(text); found {
		return appendRedacted(out, clean)
	}
	rest := text
	if credentials != nil {
		at := placeOf(text, credentials)
		if at < 0 {
			return appendRedacted(out, text)
		}
		start := bytes.LastIndexByte(text[:at], '\n') + 1
		line := lineAt(text, start)
		tokens, _ = mayHold(text[:start])
		out = appendAuthorization(appendWithoutTokens(out, text[:start], tokens), line)
		rest = text[start+len(line):]
	}
	more, _ := mayHold(rest)
	return appendWithoutTokens(out, rest, more), tokens || more
}

// placeOf returns where a part of a text stands, or −1 when it is none or empty.
func placeOf(text, part []byte) int {
	at := cap(text) - cap(part)
	if len(part) == 0 || at < 0 || at+len(part) > len(text) || &text[at] != &part[0] {
		return -1
	}
	return at
}

// appendRedacted copies what is not secret in pieces as large as can be: most messages are one piece, or two around their
// credentials, and are not read line by line. It reports whether push tokens may have been in it.
func appendRedacted(out, text []byte) (redacted []byte, tokens bool) {
	text, _ = telephony.HidePasswords(text)
	tokens, keys := mayHold(text)
	if keys || namesAuthorization(text, 'Z') >= 0 {
		return appendLines(out, text, tokens), tokens
	}
	kept := 0 // text[:kept] is dealt with
	for at := 0; ; {
		i := namesAuthorization(text[at:], 'z')
		if i < 0 {
			return appendWithoutTokens(out, text[kept:], tokens), tokens
		}
		at += i + 1
		start := bytes.LastIndexByte(text[kept:at], '\n') + 1 + kept
		line := lineAt(text, start)
		if !isAuthorization(line) {
			continue
		}
		out = appendAuthorization(appendWithoutTokens(out, text[kept:start], tokens), line)
		kept = start + len(line)
		for kept < len(text) && isFold(text[kept]) {
			kept += len(lineAt(text, kept))
		}
		at = kept
	}
}

// lineAt returns the line that begins at a place, with its end.
func lineAt(text []byte, at int) []byte {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return text[at : at+i+1]
	}
	return text[at:]
}

// isFold reports whether a line that begins so goes on with the one before (RFC 3261 §7.3.1).
func isFold(c byte) bool { return c == ' ' || c == '\t' }

// appendLines copies a message line by line. Credentials are hidden in a body too, which may be a part of a message (RFC 3420).
func appendLines(out, text []byte, tokens bool) []byte {
	body, credentials := false, false
	kept := 0 // text[:kept] is dealt with
	for at := 0; at < len(text); {
		line := lineAt(text, at)
		end, folded := at+len(line), isFold(line[0])
		body = body || line[0] == '\r' || line[0] == '\n'
		key := body && isKey(line)
		credentials = !key && (folded && credentials || isAuthorization(line))
		if key || credentials {
			out = appendWithoutTokens(out, text[kept:at], tokens)
			kept = end
		}
		switch {
		case key:
			out = appendKey(out, line)
		case credentials && !folded: // the fold of a hidden header is hidden with it
			out = appendAuthorization(out, line)
		}
		at = end
	}
	return appendWithoutTokens(out, text[kept:], tokens)
}

// mayHold looks at what keys and push tokens have near them, however their letters are written: most follow an equals sign, of which a
// message has few. What it finds may be harmless.
func mayHold(text []byte) (tokens, keys bool) {
	for i := range all(text, '=') {
		tokens = tokens || namesToken(text[:i])
		keys = keys || namesKey(text, i)
	}
	return tokens, keys
}

// all yields where a byte stands.
func all(text []byte, c byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; ; i++ {
			next := bytes.IndexByte(text[i:], c)
			if next < 0 || !yield(i+next) {
				return
			}
			i += next
		}
	}
}

// namesToken reports whether a text ends with the name of a push token.
func namesToken(text []byte) bool {
	name := ""
	switch n := len(text); {
	case n > 0 && text[n-1]|0x20 == 'k':
		name = "pn-tok"
	case n > 0 && text[n-1]|0x20 == 'd':
		name = "pn-prid"
	}
	return name != "" && len(text) >= len(name) && bytes.EqualFold(text[len(text)-len(name):], []byte(name))
}

// namesKey reports whether a line that holds a key may begin around the equals sign.
func namesKey(text []byte, equals int) bool {
	if equals == 0 {
		return false
	}
	switch text[equals-1] | 0x20 {
	case 'k':
		return true
	case 'a':
		return equals+1 < len(text) && beginsKey(text[equals+1])
	}
	return false
}

// namesAuthorization looks for the name of a header with credentials by its rarest letter, and returns where that stands, or −1.
func namesAuthorization(text []byte, z byte) int {
	for i := range all(text, z) {
		if i > 0 && i+1 < len(text) && text[i-1]|0x20 == 'i' && text[i+1]|0x20 == 'a' {
			return i
		}
	}
	return -1
}

func isAuthorization(line []byte) bool {
	if c := line[0] | 0x20; c != 'a' && c != 'p' {
		return false
	}
	name, _, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) > 32 {
		return false
	}
	name = bytes.TrimRight(name, " \t")
	return bytes.EqualFold(name, []byte("Authorization")) || bytes.EqualFold(name, []byte("Proxy-Authorization"))
}

func isKey(line []byte) bool { return keyOf(line) != "" }

// keyOf returns how a line of SDP that holds a key begins.
func keyOf(line []byte) string {
	if len(line) > 2 && line[1] == '=' && line[0] != 'k' && line[0] != 'K' && (line[0]|0x20 != 'a' || !beginsKey(line[2])) {
		return "" // most lines
	}
	trimmed := bytes.TrimLeft(line, " \t")
	for _, key := range [...]string{"a=crypto:", "a=key-mgmt:", "a=ice-pwd:", "a=acap:", "k="} {
		if len(trimmed) >= len(key) && bytes.EqualFold(trimmed[:len(key)], []byte(key)) {
			return key
		}
	}
	return ""
}

// beginsKey reports whether the name of an attribute that holds a key may begin with a letter.
func beginsKey(c byte) bool {
	switch c | 0x20 {
	case 'a', 'c', 'i', 'k':
		return true
	}
	return false
}

func appendKey(out, line []byte) []byte { return append(append(out, keyOf(line)...), hidden+"\r\n"...) }

// appendWithoutTokens hides the values of pn-prid and pn-tok, wherever they stand.
func appendWithoutTokens(out, line []byte, tokens bool) []byte {
	if !tokens {
		return append(out, line...)
	}
	for len(line) > 0 {
		at, length := findToken(line)
		if at < 0 {
			return append(out, line...)
		}
		out = append(append(out, line[:at+length]...), hidden...)
		line = line[at+length:]
		end := bytes.IndexAny(line, ";>?\"', \t\r\n")
		if end < 0 {
			return out
		}
		line = line[end:]
	}
	return out
}

func findToken(line []byte) (at, length int) {
	for i := 0; ; {
		j := bytes.IndexByte(line[i:], '-')
		if j < 0 {
			return -1, 0
		}
		i += j
		for _, name := range []string{"pn-prid=", "pn-tok="} {
			if start := i - 2; start >= 0 && len(line)-start >= len(name) &&
				bytes.EqualFold(line[start:start+len(name)], []byte(name)) {
				return start, len(name)
			}
		}
		i++
	}
}

// callID reads the Call-ID of a message.
func callID(text []byte) string {
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return ""
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if bytes.EqualFold(name, []byte("Call-ID")) || bytes.EqualFold(name, []byte("i")) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
