package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"demarc/telephony/wire"
)

const register = "REGISTER sip:example.com SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n" +
	"Via: SIP/2.0/TCP far.example.com;branch=z9hG4bK0\r\n" +
	"Max-Forwards: 70\r\nFrom: \"A, B\" <sip:1001@example.com>;tag=x\r\nTo: <sip:1001@example.com>\r\n" +
	"Call-ID: c@1\r\nCSeq: 9 REGISTER\r\nContact: <sip:1001@192.0.2.1;ob>;q=0.5, <sip:2@b>\r\nm: <sip:3@c>\r\n" +
	"Expires: 600\r\nUser-Agent: Phone/1\r\nAuthorization: Digest a=b\r\nauthorization: Digest c=d\r\n" +
	"k: path, outbound\r\nPath: <sip:p;lr>\r\nRoute: <sip:r;lr>\r\nRequire: a\r\nProxy-Require: b\r\n" +
	"Content-Type: text/plain\r\nContent-Length: 4\r\nX-Other: 1\r\n\r\nbody"

func scan(t *testing.T, s string) (wire.Message, error) {
	t.Helper()
	var m wire.Message
	err := m.Scan([]byte(s), wire.Limits{})
	return m, err
}

func TestScan(t *testing.T) {
	m, err := scan(t, register)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		got  any
		want string
	}{
		{"method", m.Method, "REGISTER"}, {"uri", m.RequestURI, "sip:example.com"}, {"vias", len(m.Vias), "2"},
		{"via", m.Vias[0], "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport"},
		{"from", m.From, `"A, B" <sip:1001@example.com>;tag=x`}, {"to", m.To, "<sip:1001@example.com>"},
		{"call-id", m.CallID, "c@1"}, {"cseq", m.CSeq, "9"}, {"cseq method", m.CSeqMethod, "REGISTER"},
		{"contacts", len(m.Contacts), "2"}, {"contact", m.Contacts[1], "<sip:3@c>"}, {"expires", m.Expires, "600"},
		{"agent", m.UserAgent, "Phone/1"}, {"auth", m.Authorization[1], "Digest c=d"}, {"path", m.Path[0], "<sip:p;lr>"},
		{"route", m.Route[0], "<sip:r;lr>"}, {"require", m.Require[0], "a"}, {"proxy", m.ProxyRequire[0], "b"},
		{"outbound", wire.HasToken(m.Supported, "Outbound"), "true"}, {"type", m.ContentType, "text/plain"},
		{"length", m.ContentLength, "4"}, {"hops", m.MaxForwards, "70"}, {"body", m.Body, "body"},
		{"other", m.Values("x-other")[0], "1"}, {"compact", len(m.Values("Contact")), "2"},
	} {
		got := fmt.Sprint(c.got)
		if b, ok := c.got.([]byte); ok {
			got = string(b)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestScanFolds(t *testing.T) {
	m, err := scan(t, strings.ReplaceAll(register, "From: ", "from \t:\r\n \r\n\t"))
	if err != nil {
		t.Fatal(err)
	}
	if string(m.From) != `"A, B" <sip:1001@example.com>;tag=x` {
		t.Errorf("From: %q", m.From)
	}
}

func TestScanResponse(t *testing.T) {
	m, err := scan(t, "SIP/2.0 401 \r\n"+register[strings.Index(register, "\r\n")+2:])
	if err != nil || m.IsRequest() || m.Status != 401 || m.Answerable() {
		t.Errorf("%v, %d", err, m.Status)
	}
}

func TestScanRefuses(t *testing.T) {
	swap := func(old, new string) string { return strings.Replace(register, old, new, 1) }
	head, fields := strings.Repeat("a", 9000), strings.Repeat("X: 1\r\n", 200)
	for name, c := range map[string]struct {
		in    string
		fault wire.Fault
	}{
		"empty":                  {"", wire.Malformed},
		"no end":                 {register[:80], wire.Malformed},
		"version":                {swap("SIP/2.0\r\n", "SIP/3.0\r\n"), wire.Version},
		"no version":             {swap(" SIP/2.0\r\n", "\r\n"), wire.Malformed},
		"space in URI":           {swap("sip:example.com ", "sip:example.com  "), wire.Malformed},
		"angle URI":              {swap("sip:example.com ", "<sip:example.com> "), wire.Malformed},
		"space before method":    {" " + register, wire.Malformed},
		"fold of start line":     {swap("SIP/2.0\r\n", "SIP/2.0\r\n X\r\n"), wire.Malformed},
		"bare LF":                {swap("Call-ID: c@1\r\n", "Call-ID: c@1\n"), wire.Malformed},
		"bare CR":                {swap("Call-ID: c@1", "Call-ID: c\r@1"), wire.Malformed},
		"no colon":               {swap("Call-ID:", "Call-ID"), wire.Malformed},
		"odd name":               {swap("X-Other:", "X Other:"), wire.Malformed},
		"two Call-IDs":           {swap("X-Other: 1", "i: 2"), wire.Duplicate},
		"two lengths":            {swap("X-Other: 1", "l: 4"), wire.Duplicate},
		"two Froms":              {swap("X-Other: 1", "f: 4"), wire.Duplicate},
		"two CSeqs":              {swap("X-Other: 1", "CSEQ: 9 REGISTER"), wire.Duplicate},
		"no To":                  {swap("To: ", "X: "), wire.Missing},
		"no Via":                 {strings.ReplaceAll(register, "Via: ", "X: "), wire.Missing},
		"other method":           {swap("9 REGISTER", "9 INVITE"), wire.Mismatch},
		"method in other case":   {swap("9 REGISTER", "9 register"), wire.Mismatch},
		"CSeq too large":         {swap("9 REGISTER", "2147483648 REGISTER"), wire.Malformed},
		"CSeq without method":    {swap("9 REGISTER", "9"), wire.Malformed},
		"negative length":        {swap("Length: 4", "Length: -4"), wire.BadLength},
		"length with sign":       {swap("Length: 4", "Length: +4"), wire.BadLength},
		"length too large":       {swap("Length: 4", "Length: 5"), wire.BadLength},
		"length overflows":       {swap("Length: 4", "Length: 18446744073709551620"), wire.BadLength},
		"body too large":         {swap("Length: 4", "Length: 999999"), wire.BodyTooLarge},
		"hops":                   {swap("Forwards: 70", "Forwards: 256"), wire.BadHops},
		"empty Call-ID":          {swap("c@1", ""), wire.Malformed},
		"head too large":         {swap("X-Other: 1", "X: "+head), wire.HeadTooLarge},
		"too many headers":       {swap("X-Other: 1\r\n", fields), wire.TooManyFields},
		"status out of range":    {"SIP/2.0 099 \r\n" + register[34:], wire.Malformed},
		"status without a space": {"SIP/2.0 200\r\n" + register[34:], wire.Malformed},
	} {
		_, err := scan(t, c.in)
		var e wire.Error
		if !errors.As(err, &e) || e.Fault != c.fault {
			t.Errorf("%s: %v, want %s", name, err, c.fault)
		}
	}
}

// A message with a fault in one header must still be answerable: 400 is better than silence.
func TestScanGoesOnAfterAFault(t *testing.T) {
	m, err := scan(t, strings.Replace(register, "Max-Forwards: 70", "Max-Forwards: x", 1))
	if err == nil || !m.Answerable() || string(m.CallID) != "c@1" {
		t.Errorf("%v, answerable %v", err, m.Answerable())
	}
}

// An answer copies Via, From, To and Call-ID: with a CR or LF alone in one of them it could be read as two.
func TestLoneLineEndsAreNotAnswered(t *testing.T) {
	for _, in := range []string{
		strings.Replace(register, "c@1", "c@1\rX: y", 1),
		strings.Replace(register, "Expires: 600\r\n", "Expires: 600\n", 1),
		strings.Replace(strings.Replace(register, "c@1", "c@1\rX", 1), "Expires: 600\r\n", "Expires: 600\n\r\n", 1),
		strings.Replace(strings.Replace(register, "c@1", "c@1\rX", 1), "X-Other: 1\r\n", "X-Other: 1\n\r\n", 1),
		strings.Replace(strings.Replace(register, "c@1", "c@1\rX", 1), "X-Other: 1", "X-Other: 1\n", 1),
	} {
		if m, err := scan(t, in); err == nil || m.Answerable() {
			t.Errorf("%v, answerable %v: %q", err, m.Answerable(), in)
		}
	}
}

func TestScanDoesNotAllocateAgain(t *testing.T) {
	var m wire.Message
	b := []byte(register)
	_ = m.Scan(b, wire.Limits{})
	if n := testing.AllocsPerRun(100, func() { _ = m.Scan(b, wire.Limits{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Who sends a request with a broken start line, or without the empty line, can be told; of what is no request, or an ACK,
// nothing is to be said.
func TestBrokenRequestsAreAnswerable(t *testing.T) {
	_, headers, _ := strings.Cut(register, "\r\n")
	for line, answerable := range map[string]bool{
		"REGISTER  sip:a@b SIP/2.0": true, "REGISTER sip:a@b SIP/2.0  ": true, "REGISTER <sip:a@b> SIP/2.0": true,
		"REGISTER sip:a@b; lr SIP/2.0": true, "REGISTER sip/2.0": true, "REGISTER  \t sip:a@b  SIP/2.0": true,
		"GET / HTTP/1.1": false, "REGISTER sip:a@b": false, "SIP/2.0": false, "SIP/2.0 abc": false, "": false,
		"ACK  sip:a@b SIP/2.0": false, "REG(ISTER sip:a@b SIP/2.0": false,
	} {
		var m wire.Message
		if err := m.Scan([]byte(line+"\r\n"+headers), wire.Limits{}); err == nil || m.Answerable() != answerable {
			t.Errorf("%q: %v, answerable %t", line, err, m.Answerable())
		}
	}
	var m wire.Message
	head, _, _ := strings.Cut(register, "\r\n\r\n")
	if err := m.Scan([]byte(head+"\r\n"), wire.Limits{}); err == nil || !m.Answerable() {
		t.Errorf("without the empty line: %v, answerable %t", err, m.Answerable())
	}
	if err := m.Scan([]byte(head), wire.Limits{}); err == nil || m.Answerable() {
		t.Errorf("cut in a line: %v, answerable %t", err, m.Answerable())
	}
}
