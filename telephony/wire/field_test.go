package wire_test

import (
	"strings"
	"testing"

	"demarc/telephony/wire"
)

// Every byte is tried in a header name: only the characters of a token may stand there (RFC 3261 §25.1).
func TestHeaderNamesAreTokens(t *testing.T) {
	const tokens = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~"
	for c := range 256 {
		name := "X" + string([]byte{byte(c)}) + "Y"
		if c == ':' {
			continue // ends the name
		}
		var m wire.Message
		err := m.Scan([]byte(strings.Replace(register, "X-Other", name, 1)), wire.Limits{})
		if want := strings.IndexByte(tokens, byte(c)) >= 0; (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestHeaderNamesInAnyCase(t *testing.T) {
	for _, names := range []func(string) string{strings.ToUpper, strings.ToLower} {
		var m wire.Message
		head, rest, _ := strings.Cut(register, "\r\n")
		lines := strings.Split(rest, "\r\n")
		for i, line := range lines {
			if name, value, ok := strings.Cut(line, ":"); ok {
				lines[i] = names(name) + ":" + value
			}
		}
		if err := m.Scan([]byte(head+"\r\n"+strings.Join(lines, "\r\n")), wire.Limits{}); err != nil {
			t.Fatal(err)
		}
		if len(m.Contacts) != 2 || len(m.Authorization) != 2 || m.Expires != 600 || len(m.ProxyRequire) != 1 {
			t.Errorf("%+v", m)
		}
	}
}
