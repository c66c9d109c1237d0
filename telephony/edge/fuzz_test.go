package edge_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/wire"
)

// Whatever arrives, what the registrar is given is text that may be stored and written into an answer.
func FuzzReadRegister(f *testing.F) {
	f.Add([]byte(message("REGISTER", "UDP", "%31001",
		`Contact: "x\"" <sip:1@[::1]:5;ob>;q=0.1;reg-id=2;+sip.instance="<u>"`,
		"Path: <sip:a>", "User-Agent: \xff", "Authorization: Digest a=\"b\"")))
	f.Add([]byte(message("REGISTER", "UDP", "1", "Contact: *", "Expires: 0")))
	files, _ := filepath.Glob("../wire/testdata/rfc*/reg*.dat")
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
		req, bad := edge.ReadRegister(registrar.Flow{}, &m)
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
func FuzzReadSubscribe(f *testing.F) {
	f.Add([]byte(message("SUBSCRIBE", "UDP", "1", "Event: dialog;id=7", "Accept: a/b, c/d;q=1", "Expires: 300",
		"Contact: \"A, B\" <sip:1001@192.0.2.1;ob>", "Record-Route: <sip:p1;lr>, <sip:p2;lr>")))
	f.Add([]byte(message("SUBSCRIBE", "TCP", "%31", "o: reg", "m: <sip:a>")))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m wire.Message
		if m.Scan(data, wire.Limits{}) != nil {
			return
		}
		req, bad := edge.ReadSubscribe(registrar.Flow{}, &m)
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
