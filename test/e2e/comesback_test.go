package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"demarc/telephony/sip"
)

// A phone whose connection is gone when it is put on hold hears of that, and still has its call, once it has registered over another one.
func TestAPhoneThatComesBackHearsOfItsHold(t *testing.T) {
	t.Parallel()
	n := newNode(t, program(t), "one", "sqlite:"+filepath.Join(t.TempDir(), "demarc.db"), nil)
	n.configure(`  internal_listen: "127.0.0.1:0"`, "")
	n.start()
	there, here := newWatcher(t, "tcp", n.tcp, "1002", "there"), newWatcher(t, "tcp", n.tcp, "1001", "here")
	there.picksUp.Store(true)
	there.register()
	here.register()
	answer := here.invite("1002")
	if answer.Status != 200 {
		t.Fatalf("the call got %d", answer.Status)
	}
	here.within("ACK", answer, "")
	n.awaitCalls(1, "talking", "")
	_ = there.conn.Close()
	n.awaitReach("1002", "no phone of 1002 is connected")
	if status := here.within("INVITE", answer, offer+"a=sendonly\r\n"); status != 200 {
		t.Fatalf("the hold got %d", status)
	}
	here.within("ACK", answer, "")

	back := newWatcher(t, "tcp", n.tcp, "1002", "there")
	back.picksUp.Store(true)
	back.register()
	back.expects("INVITE", "a=sendonly")
	n.awaitCalls(1, "talking", "")
}

// Support staff are told who does not exist, and who merely has no phone there.
func TestReachTellsWhoIsNobody(t *testing.T) {
	t.Parallel()
	n := newNode(t, program(t), "one", "sqlite:"+filepath.Join(t.TempDir(), "demarc.db"), nil)
	n.configure(`  internal_listen: "127.0.0.1:0"`, "")
	n.start()
	for user, want := range map[string]string{
		"1001": "no phone of 1001 is connected", "9999": "nobody in the registrar's directory has this address",
		"1001@elsewhere.test": "nobody in the registrar's directory has this address",
	} {
		if got := n.reach(user); !strings.Contains(got, want) {
			t.Errorf("of %s it says %q, not %q", user, got, want)
		}
	}
}

// within sends a request within the dialog of an answered call, and returns its status; of an ACK to the last INVITE nothing comes back.
func (w *watcher) within(method string, answer *sip.Response, body string) int {
	w.t.Helper()
	if method != "ACK" {
		w.cseq++
	}
	uri := strings.Trim(answer.Header("Contact"), "<>")
	headers := []sip.Header{
		{Name: "From", Value: answer.Header("From")}, {Name: "To", Value: answer.Header("To")}, {Name: "Call-ID", Value: answer.Header("Call-ID")},
		{Name: "CSeq", Value: fmt.Sprint(w.cseq, " ", method)}, {Name: "Contact", Value: "<" + w.contact() + ">"},
	}
	if method == "ACK" {
		text := "ACK " + uri + " SIP/2.0\r\nVia: SIP/2.0/TCP " + w.conn.LocalAddr().String() + ";branch=z9hG4bK" + sip.NewToken() + "\r\nMax-Forwards: 70\r\n"
		for _, h := range headers {
			text += h.Name + ": " + h.Value + "\r\n"
		}
		if err := w.conn.Write([]byte(text + "Content-Length: 0\r\n\r\n")); err != nil {
			w.t.Fatal(err)
		}
		return 0
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	response, err := w.conn.Do(ctx, sip.Request{Method: method, URI: uri, Body: []byte(body),
		Headers: append(headers, sip.Header{Name: "Content-Type", Value: "application/sdp"})})
	if err != nil {
		w.t.Fatal(err)
	}
	return response.Status
}
