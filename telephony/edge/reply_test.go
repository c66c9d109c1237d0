package edge_test

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/sip"
)

func TestReplies(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var reply registration.Reply
	h := &fake{decide: func(_ *registration.Request, answer func(registration.Reply)) { answer(reply) }}
	r := start(t, h, edge.Limits{})
	nc := r.dial("tcp")
	for name, c := range map[string]struct {
		reply registration.Reply
		want  []string
	}{
		"challenges": {
			registration.Reply{Status: 401, Challenges: []string{`Digest realm="a"`, `Digest realm="b"`}},
			[]string{"401 Unauthorized", "WWW-Authenticate: Digest realm=\"a\"\r\nWWW-Authenticate: Digest realm=\"b\"\r\n"},
		},
		"too brief": {
			registration.Reply{Status: 423, MinExpires: 60}, []string{"423 Interval Too Brief", "Min-Expires: 60\r\n"},
		},
		"busy": {registration.Reply{Status: 503, RetryAfter: 7}, []string{"503 Service", "Retry-After: 7\r\n"}},
		"own reason": {
			registration.Reply{Status: 403, Reason: "Not Here"}, []string{"SIP/2.0 403 Not Here\r\n"},
		},
		"outbound": {
			registration.Reply{Status: 200, Outbound: true, Date: when},
			[]string{"Require: outbound\r\n", "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n", "Supported: path, outbound\r\n"},
		},
		"extensions": {
			registration.Reply{Status: 200, FlowTimer: 29, Push: []string{"fcm", "apns"}, Path: []string{"<sip:p;lr>"}},
			[]string{"Flow-Timer: 29\r\n", "Feature-Caps: *;+sip.pns=\"fcm\"\r\nFeature-Caps: *;+sip.pns=\"apns\"\r\n",
				"Path: <sip:p;lr>\r\n"},
		},
		"unknown extension": {
			registration.Reply{Status: 420, Unknown: "path"}, []string{"420 Bad Extension", "Unsupported: path\r\n"},
		},
		"no status": {registration.Reply{}, []string{"SIP/2.0 500 Server Internal Error\r\n"}},
	} {
		reply = c.reply
		_, _ = io.WriteString(nc, message("REGISTER", "TCP", "1", "Contact: <sip:1@a>"))
		got := answers(t, nc, 1)[0]
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in\n%s", name, want, got)
			}
		}
	}
	reply = registration.Reply{Drop: true}
	_, _ = io.WriteString(nc, message("REGISTER", "TCP", "1")+message("OPTIONS", "TCP", "1"))
	if got := answers(t, nc, 1)[0]; !strings.Contains(got, "CSeq: 1 OPTIONS") {
		t.Errorf("a dropped request got\n%s", got)
	}
}

// The client of telephony/sip registers, and its pings are answered.
func TestOwnClient(t *testing.T) {
	for _, transport := range []telephony.Transport{telephony.UDP, telephony.TCP, telephony.TLS} {
		r := start(t, &fake{}, edge.Limits{})
		c, err := sip.Dial(t.Context(), sip.Config{
			Transport: transport, Address: r.Addr(string(transport)).String(), KeepAlive: 10 * time.Millisecond,
			TLS: &tls.Config{RootCAs: r.roots, ServerName: "localhost"},
		})
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Do(t.Context(), sip.Request{Method: "REGISTER", URI: "sip:example.com", Headers: []sip.Header{
			{Name: "From", Value: "<sip:1@example.com>;tag=" + sip.NewToken()}, {Name: "To", Value: "<sip:1@example.com>"},
			{Name: "Call-ID", Value: sip.NewToken()}, {Name: "CSeq", Value: "1 REGISTER"},
			{Name: "Contact", Value: "<sip:1@" + c.LocalAddr().String() + ">"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if response.Status != 200 || response.Seen != c.LocalAddr() || len(response.Values("Contact")) != 1 {
			t.Errorf("%s: %d, seen at %s, %q", transport, response.Status, response.Seen, response.Values("Contact"))
		}
		eventually(t, "keep-alives arrive", func() bool { return r.Counters().KeepAlives >= 5 })
		if c.Err() != nil {
			t.Error(c.Err())
		}
		_ = c.Close()
	}
}
