package chaos_test

import (
	"fmt"
	"strconv"
	"strings"
)

// message is a SIP message as a phone reads it. Phones have a reader of their own, so that they do not share the gateway's faults.
type message struct {
	method, uri string // of a request
	status      int    // of a response
	reason      string
	fields      [][2]string // lower-case name, value
	body        string
}

func parse(raw string) (*message, error) {
	head, body, ok := strings.Cut(raw, "\r\n\r\n")
	if !ok {
		return nil, fmt.Errorf("no empty line in %q", raw)
	}
	lines := strings.Split(head, "\r\n")
	m := &message{body: body}
	first := strings.SplitN(lines[0], " ", 3)
	if len(first) < 3 {
		return nil, fmt.Errorf("the start line %q", lines[0])
	}
	if first[0] == "SIP/2.0" {
		status, err := strconv.Atoi(first[1])
		if err != nil {
			return nil, err
		}
		m.status, m.reason = status, first[2]
	} else {
		m.method, m.uri = first[0], first[1]
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("the line %q", line)
		}
		m.fields = append(m.fields, [2]string{strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)})
	}
	if n, err := strconv.Atoi(m.get("content-length")); err != nil || n != len(body) {
		return nil, fmt.Errorf("Content-Length %q of a body of %d bytes", m.get("content-length"), len(body))
	}
	return m, nil
}

func (m *message) get(name string) string {
	for _, f := range m.fields {
		if f[0] == name {
			return f[1]
		}
	}
	return ""
}

func (m *message) all(name string) (values []string) {
	for _, f := range m.fields {
		if f[0] == name {
			values = append(values, f[1])
		}
	}
	return values
}

// says reports whether a header of option tags has one.
func (m *message) says(name, option string) bool {
	for _, value := range m.all(name) {
		for one := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(one), option) {
				return true
			}
		}
	}
	return false
}

func (m *message) cseq() (uint32, string) {
	number, method, _ := strings.Cut(m.get("cseq"), " ")
	n, _ := strconv.ParseUint(number, 10, 32)
	return uint32(n), method
}

func (m *message) branch() string { return param(m.get("via"), "branch") }

func (m *message) contact() string {
	_, uri, _ := strings.Cut(m.get("contact"), "<")
	uri, _, _ = strings.Cut(uri, ">")
	return uri
}

func (m *message) String() string {
	if m.status > 0 {
		return fmt.Sprintf("%d %s (%s)", m.status, m.reason, m.get("cseq"))
	}
	return fmt.Sprintf("%s (%s)", m.method, m.get("cseq"))
}

// param returns a parameter behind a value.
func param(value, name string) string {
	if at := strings.LastIndexByte(value, '>'); at >= 0 {
		value = value[at:]
	}
	for part := range strings.SplitSeq(value, ";") {
		if n, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}

// write renders a message.
func write(first string, body string, headers ...string) string {
	var b strings.Builder
	b.WriteString(first + "\r\n")
	for _, h := range headers {
		if h != "" {
			b.WriteString(h + "\r\n")
		}
	}
	if strings.HasPrefix(body, "v=0") {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}
