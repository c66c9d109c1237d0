package read_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"demarc/telephony"
	"demarc/telephony/edge/read"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/wire"
)

// Whatever arrives, what the registrar is given is text that may be stored and written into an answer.
func FuzzRegister(f *testing.F) {
	f.Add([]byte(message("REGISTER", "UDP", "%31001",
		`Contact: "x\"" <sip:1@[::1]:5;ob>;q=0.1;reg-id=2;+sip.instance="<u>"`,
		"Path: <sip:a>", "User-Agent: \xff", "Authorization: Digest a=\"b\"")))
	f.Add([]byte(message("REGISTER", "UDP", "1", "Contact: *", "Expires: 0")))
	files, _ := filepath.Glob("../../wire/testdata/rfc*/reg*.dat")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m wire.Message
		if m.Scan(data, wire.Limits{}) != nil {
			return
		}
		var req registration.Request
		bad := read.Register(&req, telephony.Flow{}, &m)
		if bad != "" {
			return
		}
		texts := []string{req.Domain, req.CallID, req.UserAgent, req.To.User, req.To.Domain, req.From.User, req.From.Domain}
		for _, c := range req.Contacts {
			texts = append(texts, c.URI, c.Instance)
			if c.Q < 0 || c.Q > 1000 || c.RegID < 0 || c.Expires < -1 || c.URI == "" {
				t.Errorf("contact %+v", c)
			}
		}
		for _, s := range append(texts, req.Path...) {
			if !utf8.ValidString(s) {
				t.Errorf("%q is no text", s)
			}
			for i := range len(s) {
				if s[i] < ' ' || s[i] == 0x7f {
					t.Errorf("%q holds a control character", s)
				}
			}
		}
	})
}

// The same holds for what the notifier is given.
func FuzzSubscribe(f *testing.F) {
	f.Add([]byte(message("SUBSCRIBE", "UDP", "1", "Event: dialog;id=7", "Accept: a/b, c/d;q=1", "Expires: 300",
		"Contact: \"A, B\" <sip:1001@192.0.2.1;ob>", "Record-Route: <sip:p1;lr>, <sip:p2;lr>")))
	f.Add([]byte(message("SUBSCRIBE", "TCP", "%31", "o: reg", "m: <sip:a>")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m wire.Message
		if m.Scan(data, wire.Limits{}) != nil {
			return
		}
		req, bad := read.Subscribe(telephony.Flow{}, &m)
		if bad != "" {
			return
		}
		texts := []string{req.Target.User, req.Target.Domain, req.User.User, req.User.Domain, req.From, req.To, req.RemoteTag, req.ToTag,
			req.CallID, req.Event, req.EventID, req.Contact}
		for _, s := range append(texts, req.Route...) {
			for i := range len(s) {
				if s[i] < ' ' || s[i] >= 0x7f {
					t.Errorf("%q holds what cannot be written into a NOTIFY", s)
				}
			}
		}
		if strings.ContainsAny(req.Contact, " <>\"") {
			t.Errorf("the contact %q cannot be a Request-URI", req.Contact)
		}
	})
}

// What the exchange is given of a message is its own: the buffer that the message came in is written over by the next one.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(message("INVITE", "UDP", "1", "m: \"A, B\" <sip:1001@192.0.2.1;ob>", "Record-Route: <sip:p1;lr>, <sip:p2;lr>",
		"k: timer", "X-Own: a", "Refer-To: <sip:a@b>", "RAck: 1 2 INVITE")))
	f.Add([]byte(message("BYE", "TCP", "%31", "Contact: *")))
	f.Fuzz(func(t *testing.T, data []byte) {
		data = slices.Clone(data)
		var m wire.Message
		if m.Scan(data, wire.Limits{}) != nil {
			return
		}
		var to signal.Message
		uri, bad := read.Message(&to, &m, m.RequestURI)
		if bad != "" {
			return
		}
		if uri != string(m.RequestURI) || to.CallID != string(m.CallID) || to.From != string(m.From) || to.To != string(m.To) {
			t.Errorf("%+v of %q", to, data)
		}
		from, _ := m.FromAddr()
		if tag, _ := wire.Param(from.Params, "tag"); to.FromTag != string(tag) {
			t.Errorf("tag %q, want %q", to.FromTag, tag)
		}
		before := fmt.Sprintf("%q %+v", uri, to)
		for i := range data {
			data[i] ^= 0x55
		}
		if after := fmt.Sprintf("%q %+v", uri, to); after != before {
			t.Errorf("%s\nwas %s", after, before)
		}
	})
}

// message is a request of a phone.
func message(method, via, user string, more ...string) string {
	return method + " sip:example.com SIP/2.0\r\nVia: SIP/2.0/" + via + " 192.0.2.1:5060;branch=z9hG4bK" + user + ";rport\r\n" +
		"Max-Forwards: 70\r\nFrom: <sip:" + user + "@example.com>;tag=f\r\nTo: <sip:" + user + "@Example.com>\r\n" +
		"Call-ID: call-" + user + "\r\nCSeq: 1 " + method + "\r\n" + strings.Join(append(more, "Content-Length: 0"), "\r\n") + "\r\n\r\n"
}
