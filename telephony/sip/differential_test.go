package sip_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sipgo "github.com/emiago/sipgo/sip"

	"demarc/telephony/wire"
)

// deviations lists where the full parser reads otherwise and is wrong, so that a new version of it is looked at again.
func deviations() map[string]string {
	return map[string]string{
		"regbadct": "takes a question mark in a URI without brackets, which RFC 3261 §20.10 forbids",
		"unkscm":   "writes the scheme in lower case",
		"intmeth":  "writes the method in upper case, which RFC 3261 §7.1 tells apart",
		"wsinv":    "keeps white space around parameters and so misses both tags",
	}
}

// fromScan and fromParser write down what both readers make of a request.
func fromScan(m *wire.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s call %s cseq %d %s\n", m.Method, m.RequestURI, m.CallID, m.CSeq, m.CSeqMethod)
	for _, value := range append([][]byte{m.From, m.To}, m.Contacts...) {
		for v, rest, ok := wire.NextValue(value); ok; v, rest, ok = wire.NextValue(rest) {
			if string(v) == "*" {
				b.WriteString("* tag \n")
				continue
			}
			n, _ := wire.ParseNameAddr(v)
			tag, _ := wire.Param(n.Params, "tag")
			fmt.Fprintf(&b, "%s tag %s\n", n.URI, tag)
		}
	}
	fmt.Fprintf(&b, "%d bytes", len(m.Body))
	return b.String()
}

func fromParser(r *sipgo.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s call %s cseq %d %s\n",
		r.Method, r.Recipient.String(), r.CallID().Value(), r.CSeq().SeqNo, r.CSeq().MethodName)
	fromTag, _ := r.From().Params.Get("tag")
	toTag, _ := r.To().Params.Get("tag")
	fmt.Fprintf(&b, "%s tag %s\n%s tag %s\n", r.From().Address.String(), fromTag, r.To().Address.String(), toTag)
	for _, h := range r.GetHeaders("Contact") {
		address := h.(*sipgo.ContactHeader).Address
		uri := address.String()
		if address.Wildcard {
			uri = "*"
		}
		fmt.Fprintf(&b, "%s tag \n", uri)
	}
	fmt.Fprintf(&b, "%d bytes", len(r.Body()))
	return b.String()
}

func TestScanAndParserAgree(t *testing.T) {
	files, err := filepath.Glob("../wire/testdata/rfc*/*.dat")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	compared := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".dat")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := sipgo.ParseMessage([]byte(string(raw)))
		request, ok := msg.(*sipgo.Request)
		var m wire.Message
		if m.Scan(raw, wire.Limits{}) != nil || err != nil || !ok {
			continue
		}
		compared++
		a, b := fromScan(&m), fromParser(request)
		if _, deviates := deviations()[name]; deviates != (a != b) {
			t.Errorf("%s: the scan reads\n%s\nthe parser\n%s", name, a, b)
		}
	}
	if compared < 35 {
		t.Errorf("only %d messages compared", compared)
	}
}

// variants are ways to write one header of a REGISTER; each is a whole line or several.
func variants() [][]string {
	return [][]string{
		{"Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKa;rport", "v: SIP/2.0/UDP host.example;branch=z9hG4bKb",
			"VIA : SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKc;alias",
			"Via: SIP/2.0/TLS p1.example;branch=z9hG4bKd\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKe;received=192.0.2.9"},
		{"From: <sip:1001@example.com>;tag=a", "f: \"A, \\\"B\\\" <c>\" <sip:1001@example.com;user=phone>;tag=a.b",
			"From: Ada <sips:ada%20l@example.com:5061>;x=y;tag=t", "FROM:\t<sip:+4930123;ext=1@example.com>;tag=1"},
		{"To: <sip:1001@example.com>", "t: sip:1001@Example.COM", "To: \"\" <sip:1001@192.0.2.7>"},
		{"Contact: <sip:1001-0x55@192.0.2.1:34567;transport=tls>;expires=60;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
			"m: <sip:x@abc.invalid;transport=ws;ob>;q=0.7", "Contact: sip:1001@192.0.2.1;expires=0",
			"Contact: <sip:a@h;pn-provider=fcm;pn-prid=x%3Ay>\r\nContact: \"Desk, two\" <sip:b@h2>;expires=5", "Contact: *"},
		{"Call-ID: 87302ce764dc03c1", "i: a.b-c@192.0.2.1"},
		{"CSeq: 4900 REGISTER", "CSeq:   2147483647 REGISTER"}, // more space before the method is lawful, and lost on the parser
		{"Expires: 3600", "expires: 0", "X-Nothing: at all"},
		{"Content-Length: 0", "l: 0", "Content-Length:   0"},
	}
}

// requests writes a REGISTER with every variant of every header, the other headers in the form that the number picks.
func requests() []string {
	var all []string
	table := variants()
	for at, forms := range table {
		for i := range forms {
			for pick := range 4 {
				text := "REGISTER sip:example.com SIP/2.0\r\nMax-Forwards: 70\r\n"
				for other, otherForms := range table {
					line := otherForms[(pick*(other+1))%len(otherForms)]
					if other == at {
						line = forms[i]
					}
					text += line + "\r\n"
				}
				all = append(all, text+"\r\n")
			}
		}
	}
	return all
}

// scanDetails writes down what the registrar lives on and the corpora lack: every Via, and the parameters of Contact.
func scanDetails(m *wire.Message) string {
	var b strings.Builder
	for _, line := range m.Vias {
		v, _, _ := wire.ParseVia(line)
		branch, _ := wire.Param(v.Params, "branch")
		fmt.Fprintf(&b, "via %s %s %d\n", v.Host, branch, v.Port)
	}
	for _, value := range m.Contacts {
		for v, rest, ok := wire.NextValue(value); ok; v, rest, ok = wire.NextValue(rest) {
			n, _ := wire.ParseNameAddr(v)
			for _, name := range []string{"expires", "q", "+sip.instance", "reg-id"} {
				p, _ := wire.Param(n.Params, name)
				fmt.Fprintf(&b, "%s %s\n", name, p)
			}
		}
	}
	fmt.Fprintf(&b, "expires %s\n", strings.Join(texts(m.Values("Expires")), ","))
	return b.String()
}

func texts(values [][]byte) (all []string) {
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

func parserDetails(r *sipgo.Request) string {
	var b strings.Builder
	for _, h := range r.GetHeaders("Via") {
		v := h.(*sipgo.ViaHeader)
		branch, _ := v.Params.Get("branch")
		fmt.Fprintf(&b, "via %s %s %d\n", strings.Trim(v.Host, "[]"), branch, v.Port)
	}
	for _, h := range r.GetHeaders("Contact") {
		for _, name := range []string{"expires", "q", "+sip.instance", "reg-id"} {
			p, _ := h.(*sipgo.ContactHeader).Params.Get(name)
			fmt.Fprintf(&b, "%s %s\n", name, strings.Trim(p, `"`))
		}
	}
	value := ""
	if h := r.GetHeader("Expires"); h != nil {
		value = h.Value()
	}
	fmt.Fprintf(&b, "expires %s\n", value)
	return b.String()
}

// The same bytes mean the same to both, for the messages that phones really send.
func TestScanAndParserAgreeOnPhones(t *testing.T) {
	for _, text := range requests() {
		var m wire.Message
		if err := m.Scan([]byte(text), wire.Limits{}); err != nil {
			t.Errorf("the scan: %v in\n%s", err, text)
			continue
		}
		msg, err := sipgo.ParseMessage([]byte(text))
		request, ok := msg.(*sipgo.Request)
		if err != nil || !ok {
			t.Errorf("the parser: %v in\n%s", err, text)
			continue
		}
		a, b := fromScan(&m)+"\n"+scanDetails(&m), fromParser(request)+"\n"+parserDetails(request)
		if a != b {
			t.Errorf("%s\nthe scan reads\n%s\nthe parser\n%s", text, a, b)
		}
	}
}
