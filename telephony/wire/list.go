package wire

import "bytes"

// NextValue cuts the first value off a comma separated list, without regard to commas in quoted strings and between <
// and >. ok is false at the end of the list. Empty values are skipped (RFC 3261 §7.3.1 allows none, phones send them).
func NextValue(b []byte) (value, rest []byte, ok bool) {
	for {
		i := until(b, ',')
		value = trim(b[:i])
		if i == len(b) {
			return value, nil, len(value) > 0
		}
		b = b[i+1:]
		if len(value) > 0 {
			return value, b, true
		}
	}
}

// until returns the index of the first stop byte outside of quoted strings and angle brackets, or len(b).
func until(b []byte, stop byte) int {
	at := bytes.IndexByte(b, stop)
	if at < 0 { // mostly
		return len(b)
	}
	if bytes.IndexByte(b[:at], '"') < 0 && bytes.IndexByte(b[:at], '<') < 0 {
		return at
	}
	if bytes.IndexByte(b, '"') < 0 {
		return untilUnquoted(b, stop)
	}
	quoted, angle := false, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"' && !angle:
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == stop && !angle:
			return i
		}
	}
	return len(b)
}

// untilUnquoted is until for text without quotes.
func untilUnquoted(b []byte, stop byte) int {
	for from := 0; ; {
		at := bytes.IndexByte(b[from:], stop)
		if at < 0 {
			return len(b)
		}
		open := bytes.IndexByte(b[from:from+at], '<')
		if open < 0 {
			return from + at
		}
		closing := bytes.IndexByte(b[from+open:], '>')
		if closing < 0 {
			return len(b)
		}
		from += open + closing + 1
	}
}

// NextParam cuts the first ";name" or ";name=value" off a parameter list. A quoted value is given without its quotes,
// its escapes untouched. ok is false when b is empty or no parameter list.
func NextParam(b []byte) (name, value, rest []byte, ok bool) {
	if name, value, rest, ok = usualParam(b); ok {
		return name, value, rest, true
	}
	return anyParam(b)
}

// usualParam is anyParam for tokens without white space around them, which nearly all are. ok is false when it takes a closer look.
func usualParam(b []byte) (name, value, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != ';' {
		return nil, nil, nil, false
	}
	end := 1
	for end < len(b) && classes[b[end]]&inToken != 0 {
		end++
	}
	name = b[1:end]
	if end < len(b) && b[end] == '=' {
		start := end + 1
		for end = start; end < len(b) && classes[b[end]]&inToken != 0; {
			end++
		}
		if value = b[start:end]; len(value) == 0 {
			return nil, nil, nil, false
		}
	}
	return name, value, b[end:], len(name) > 0 && (end == len(b) || b[end] == ';')
}

// anyParam is NextParam for whatever there is.
func anyParam(b []byte) (name, value, rest []byte, ok bool) {
	b = trim(b)
	if len(b) == 0 || b[0] != ';' {
		return nil, nil, nil, false
	}
	b = b[1:]
	end := until(b, ';')
	one, rest := b[:end], b[end:]
	name = one
	for i, c := range one {
		if c == '=' {
			name, value = one[:i], trim(one[i+1:])
			if len(value) == 0 {
				return nil, nil, nil, false
			}
			break
		}
	}
	if name = trim(name); !allToken(name) {
		return nil, nil, nil, false
	}
	if bytes.IndexByte(value, '"') >= 0 {
		if !quotedString(value) {
			return nil, nil, nil, false
		}
		value = value[1 : len(value)-1]
	}
	return name, value, rest, true
}

// quotedString reports whether b is one quoted string from its first byte to its last (RFC 3261 §25.1).
func quotedString(b []byte) bool {
	if b[0] != '"' {
		return false
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i == len(b)-1
		}
	}
	return false
}

// Param finds a parameter by its name without regard to case. The value of a flag is empty.
func Param(params []byte, name string) (value []byte, ok bool) {
	for len(params) > 0 {
		n, v, rest, more := NextParam(params)
		if !more {
			return nil, false
		}
		if EqualFold(n, name) {
			return v, true
		}
		params = rest
	}
	return nil, false
}

// validParams reports whether b is a parameter list, or empty.
func validParams(b []byte) bool {
	for b = trim(b); len(b) > 0; {
		_, _, rest, ok := NextParam(b)
		if !ok {
			return false
		}
		b = trim(rest)
	}
	return true
}

// HasToken reports whether one of the lines of a comma separated list holds the token, without regard to case.
func HasToken(lines [][]byte, token string) bool {
	for _, line := range lines {
		for value, rest, ok := NextValue(line); ok; value, rest, ok = NextValue(rest) {
			if EqualFold(value, token) {
				return true
			}
		}
	}
	return false
}
