package trace

import "bytes"

// appendAuthorization keeps scheme, user, realm, algorithm and the like.
func appendAuthorization(out, line []byte) []byte {
	name, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
	scheme, parameters, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
	out = append(append(out, name...), ": "...)
	if !bytes.EqualFold(scheme, []byte("Digest")) {
		return append(out, hidden+"\r\n"...)
	}
	out = append(out, scheme...)
	if done, ok := appendUsual(append(out, ' '), parameters); ok {
		return append(done, "\r\n"...)
	}
	return append(appendClosely(out, parameters), "\r\n"...)
}

// appendClosely appends parameters without what is secret, however they are written.
func appendClosely(out, parameters []byte) []byte {
	separator := " "
	for len(parameters) > 0 {
		var key, v []byte
		key, v, parameters = nextParameter(parameters)
		if len(key) == 0 {
			continue
		}
		out = append(append(append(out, separator...), key...), '=')
		if isPublic(key) {
			out = append(out, v...)
		} else {
			out = append(out, hidden...)
		}
		separator = ", "
	}
	return out
}

// appendUsual is appendClosely, but for the space before it, for parameters with ", " between them. What is public is copied in pieces as large as can be. ok is
// false when it takes a closer look.
func appendUsual(out, b []byte) (done []byte, ok bool) {
	kept := 0 // b[:kept] is dealt with
	for at := 0; ; {
		equals, length, ok := usualParameter(b[at:])
		if !ok {
			return nil, false
		}
		end := at + length
		if !isPublic(b[at : at+equals]) {
			out = append(append(out, b[kept:at+equals+1]...), hidden...)
			kept = end
		}
		if end == len(b) {
			return append(out, b[kept:]...), true
		}
		if at = end + len(", "); at >= len(b) || b[end+1] != ' ' {
			return nil, false
		}
	}
}

// isPublic reports whether a digest parameter tells nothing that helps a thief.
func isPublic(key []byte) bool {
	switch string(key) { // as nearly everybody writes them
	case "nc", "uri", "qop", "realm", "username", "algorithm":
		return true
	case "nonce", "cnonce", "response":
		return false
	}
	for _, name := range [...]string{"nc", "uri", "qop", "realm", "username", "algorithm"} {
		if len(key) == len(name) && bytes.EqualFold(key, []byte(name)) {
			return true
		}
	}
	return false
}

// nextParameter cuts at the first comma outside of quotes. What has no value has nothing to show.
func nextParameter(b []byte) (key, value, rest []byte) {
	end, quoted := len(b), false
	for i := 0; i < end; i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == ',' && !quoted:
			end = i
		}
	}
	key, value, _ = bytes.Cut(bytes.TrimSpace(b[:end]), []byte("="))
	return bytes.TrimSpace(key), value, b[min(end+1, len(b)):]
}

// usualParameter measures a name=token or name="text" without white space: where its equals sign stands, and where it ends, at a
// comma or with b. ok is false when it takes a closer look.
func usualParameter(b []byte) (equals, end int, ok bool) {
	for equals < len(b) && inName[b[equals]] {
		equals++
	}
	if equals == 0 || equals == len(b) || b[equals] != '=' {
		return 0, 0, false
	}
	end = equals + 1
	if end < len(b) && b[end] == '"' {
		end++
		closing := bytes.IndexByte(b[end:], '"')
		if closing < 0 || bytes.IndexByte(b[end:end+closing], '\\') >= 0 {
			return 0, 0, false
		}
		end += closing + 1
	} else {
		for end < len(b) && inName[b[end]] {
			end++
		}
	}
	return equals, end, end == len(b) || b[end] == ','
}

// inName says of each byte whether it may stand in a token, as nearly everybody writes it.
var inName = func() (set [256]bool) {
	for _, c := range []byte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.!%*_+`'~") {
		set[c] = true
	}
	return set
}()
