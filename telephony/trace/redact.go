package trace

import (
	"bytes"
	"strings"
)

const hidden = "***"

// Redact returns a copy of a SIP message without what is secret: what answers a digest challenge (name and realm stay,
// for they say what is wrong), keys in SDP (RFC 4568, RFC 4566 §5.12), and push tokens (RFC 8599).
func Redact(text []byte) []byte {
	out := make([]byte, 0, len(text))
	tokens := mayHoldTokens(text)
	body, secret := false, false
	for len(text) > 0 {
		line, rest, more := bytes.Cut(text, []byte("\n"))
		if more {
			line = text[:len(line)+1]
		}
		text = rest
		folded := line[0] == ' ' || line[0] == '\t'
		switch {
		case body:
			out = appendBody(out, line, tokens)
			continue
		case line[0] == '\r' || line[0] == '\n':
			body = true
		case folded && secret: // the rest of a header that was hidden
			continue
		case !folded:
			if secret = isAuthorization(line); secret {
				out = appendAuthorization(out, line)
				continue
			}
		}
		out = appendWithoutTokens(out, line, tokens)
	}
	return out
}

// mayHoldTokens looks once for what most messages do not have.
func mayHoldTokens(text []byte) bool {
	for i := 0; ; i++ {
		next := bytes.IndexByte(text[i:], '-') // there are few
		if next < 0 {
			return false
		}
		i += next
		if i >= 2 && text[i-2]|0x20 == 'p' && text[i-1]|0x20 == 'n' {
			return true
		}
	}
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

// appendAuthorization keeps scheme, user, realm, algorithm and the like.
func appendAuthorization(out, line []byte) []byte {
	name, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), ":")
	scheme, parameters, _ := strings.Cut(strings.TrimSpace(value), " ")
	out = append(out, name+": "...)
	if !strings.EqualFold(scheme, "Digest") {
		return append(out, hidden+"\r\n"...)
	}
	out = append(out, scheme...)
	separator := " "
	for _, p := range split(parameters) {
		key, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "":
			continue
		case "username", "realm", "uri", "algorithm", "qop", "nc":
			out = append(out, separator+key+"="+v...)
		default:
			out = append(out, separator+key+"="+hidden...)
		}
		separator = ", "
	}
	return append(out, "\r\n"...)
}

// split cuts at commas outside of quotes.
func split(s string) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[min(start, len(s)):])
}

func appendBody(out, line []byte, tokens bool) []byte {
	trimmed := bytes.TrimLeft(line, " \t")
	for _, key := range []string{"a=crypto:", "k="} {
		if len(trimmed) >= len(key) && bytes.EqualFold(trimmed[:len(key)], []byte(key)) {
			return append(out, key+hidden+"\r\n"...)
		}
	}
	return appendWithoutTokens(out, line, tokens)
}

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
