package edge_test

import (
	"os"
	"path/filepath"
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
