package wire

import "bytes"

// Via is one Via value (RFC 3261 §20.42).
type Via struct {
	Protocol  []byte // "SIP/2.0/UDP" as it stands, white space included
	Transport []byte
	SentBy    []byte // host and port as they stand
	Host      []byte // an IPv6 address without brackets
	Port      int    // 0 when absent
	Params    []byte // from the first ';' on
}

// ParseVia reads the first value of a Via line and returns what follows it after the comma.
func ParseVia(line []byte) (v Via, rest []byte, ok bool) {
	value, rest, ok := NextValue(line)
	if !ok {
		return Via{}, nil, false
	}
	first := bytes.IndexByte(value, '/')
	if first < 0 {
		return Via{}, nil, false
	}
	second := first + 1 + bytes.IndexByte(value[first+1:], '/')
	if second == first || !EqualFold(trim(value[:first]), "SIP") || string(trim(value[first+1:second])) != "2.0" {
		return Via{}, nil, false
	}
	after := value[second+1:]
	start := 0
	for start < len(after) && isSpace(after[start]) {
		start++
	}
	length := indexSpace(after[start:])
	if length < 1 || !allToken(after[start:start+length]) {
		return Via{}, nil, false
	}
	v.Protocol = value[:second+1+start+length]
	v.Transport = after[start : start+length]
	return v.sentBy(after[start+length:], rest)
}

func (v Via) sentBy(b, rest []byte) (Via, []byte, bool) {
	end := bytes.IndexByte(b, ';')
	if end < 0 {
		end = len(b)
	}
	v.SentBy, v.Params = trim(b[:end]), trim(b[end:])
	var ok bool
	if v.Host, v.Port, ok = hostPort(v.SentBy); !ok || !validParams(v.Params) {
		return Via{}, nil, false
	}
	return v, rest, true
}

// Branch returns the branch parameter.
func (v Via) Branch() []byte {
	branch, _ := Param(v.Params, "branch")
	return branch
}
