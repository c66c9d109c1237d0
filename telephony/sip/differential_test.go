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
		fmt.Fprintf(&b, "%s tag \n", h.(*sipgo.ContactHeader).Address.String())
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
