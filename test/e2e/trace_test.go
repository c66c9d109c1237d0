package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Support reads what a phone and the registrar said to each other, and no secret.
func TestTraceOfAPhone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	phone := newLivePhone(t, s.gateway.SIPAddress("tcp"), "tcp")
	if status := phone.register(60); status != 200 {
		t.Fatalf("register got %d", status)
	}
	type message struct {
		Inbound      bool
		AoR, CallID  string
		Text, Remote string
	}
	read := func(of string) (all []message) {
		var told struct{ Messages []message }
		s.owner.call(http.MethodGet, "/v1/trace?of="+url.QueryEscape(of), nil, &told)
		return told.Messages
	}
	var got []message
	for end := time.Now().Add(patience); len(got) < 4 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = read("1001")
	}
	var heads []string
	for _, m := range got {
		heads = append(heads, strings.SplitN(m.Text, "\r\n", 2)[0])
		if m.AoR != "1001@"+domain || m.Remote != phone.conn.LocalAddr().String() {
			t.Errorf("%+v", m)
		}
	}
	want := "REGISTER sip:pbx.test SIP/2.0|SIP/2.0 401 Unauthorized|REGISTER sip:pbx.test SIP/2.0|SIP/2.0 200 OK"
	if strings.Join(heads, "|") != want {
		t.Fatalf("%s", strings.Join(heads, "|"))
	}
	if text := got[2].Text; !strings.Contains(text, `username="1001"`) || !strings.Contains(text, "response=***") {
		t.Errorf("%s", text)
	}
	if call := read(got[0].CallID); len(call) != 4 {
		t.Errorf("by Call-ID: %d messages", len(call))
	}
	for _, of := range []string{"1001@other.test", "4711", "sip:1002@" + domain} {
		if found := read(of); len(found) != 0 {
			t.Errorf("%s: %d messages", of, len(found))
		}
	}
}
