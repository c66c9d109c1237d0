package interop_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icholy/digest"

	"demarc/telephony"
	"demarc/telephony/sip"
)

// Scanners behind the same address as a good phone: they find no extension, crack no password in time, and the phone never
// notices.
func TestSIPVicious(t *testing.T) {
	s := newSystem(t)
	runSDK(t, s, "1001")
	s.await("1001", "is registered", is("registered"))
	refreshed := keepsRegistering(t, s)
	target := fmt.Sprintf("udp://%s", s.sip("udp"))
	run := func(name string, args ...string) string {
		t.Helper()
		p := start(t, t.TempDir(), name, append(args, target)...)
		_ = p.wait() // how it ends says nothing: what it says counts
		said := p.output.String()
		if strings.Contains(said, "Traceback") {
			t.Errorf("%s broke:\n%s", name, said)
		}
		return said
	}
	host, port, _ := strings.Cut(s.sip("udp").String(), ":")
	mapper := start(t, t.TempDir(), "svmap", "-p", port, host)
	_ = mapper.wait()
	if said := mapper.output.String(); strings.Contains(strings.ToLower(said), "demarc") {
		t.Errorf("svmap learns what runs here:\n%s", said)
	}
	for _, method := range []string{"REGISTER", "INVITE", "OPTIONS"} {
		said := run("svwar", "-m", method, "-e", "1000-1003", "--domain", domain)
		found := func(extension string) bool { return strings.Contains(said, extension) }
		if found("1001") != found("1003") || found("1002") != found("1000") {
			t.Errorf("svwar by %s tells who is there:\n%s", method, said)
		}
	}
	crack := func(extension string, passwords ...string) string {
		t.Helper()
		dictionary := write(t, t.TempDir(), "passwords", strings.Join(passwords, "\n")+"\n")
		return run("svcrack", "-u", extension, "-d", dictionary, "--domain", domain, "--maximumtime=10")
	}
	// It can crack, when the password is the first that it tries.
	if said := crack("1002", gracePassword); !strings.Contains(said, gracePassword) {
		t.Errorf("svcrack does not work at all:\n%s", said)
	}
	many := append(make([]string, 0, 101), strings.Fields(strings.Repeat("wrong ", 100))...)
	if said := crack("1001", append(many, adaPassword)...); strings.Contains(said, adaPassword) {
		t.Errorf("svcrack found the password:\n%s", said)
	}
	if n := refreshed(); n < 10 {
		t.Errorf("the good phone registered %d times while the scanners were at work", n)
	}
	if u := s.user("1001"); u.State != "registered" {
		t.Errorf("the good phone is %s: %s", u.State, u.Text)
	}
	// Another phone of somebody else, behind the same address, is not kept out.
	baresip(t, s.sip("tls"), s.caFile, "1002", domain, gracePassword)
	s.await("1002", "has its phone", func(u user) bool { return u.registered(agent("baresip")) })
}

// keepsRegistering runs a phone of the user under attack, behind the address of the attackers: it registers anew all the
// time, with the answer to a fresh challenge, and must get its 200 each time. The function that is returned ends that and
// says how often it went well.
func keepsRegistering(t *testing.T, s *system) (refreshed func() int64) {
	t.Helper()
	conn, err := sip.Dial(t.Context(), sip.Config{Transport: telephony.UDP, Address: s.sip("udp").String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	var times atomic.Int64
	work.Go(func() {
		callID := sip.NewToken()
		for cseq := 1; ctx.Err() == nil; cseq += 2 {
			status, err := registerOnce(conn, callID, cseq)
			if err != nil || status != 200 {
				t.Errorf("the good phone's registration %d: %d, %v", cseq/2+1, status, err)
				return
			}
			times.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() int64 {
		stop()
		work.Wait()
		return times.Load()
	}
}

// registerOnce asks and answers the challenge.
func registerOnce(conn *sip.Conn, callID string, cseq int) (status int, err error) {
	const aor = "<sip:1001@" + domain + ">"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	headers := []sip.Header{
		{Name: "From", Value: aor + ";tag=good"}, {Name: "To", Value: aor}, {Name: "Call-ID", Value: callID}, {Name: "Expires", Value: "60"},
		{Name: "Contact", Value: "<sip:1001@" + conn.LocalAddr().String() + `>;+sip.instance="<urn:uuid:the-good-phone>"`},
		{Name: "User-Agent", Value: "good phone"},
	}
	for range 2 {
		response, err := conn.Do(ctx, sip.Request{Method: "REGISTER", URI: "sip:" + domain,
			Headers: append(headers, sip.Header{Name: "CSeq", Value: fmt.Sprint(cseq, " REGISTER")})})
		if err != nil || response.Status != 401 {
			if err == nil {
				status = response.Status
			}
			return status, err
		}
		challenge, err := digest.ParseChallenge(response.Header("WWW-Authenticate"))
		if err != nil {
			return 0, err
		}
		answer, err := digest.Digest(challenge, digest.Options{
			Method: "REGISTER", URI: "sip:" + domain, Username: "1001", Password: adaPassword,
		})
		if err != nil {
			return 0, err
		}
		headers, cseq = append(headers, sip.Header{Name: "Authorization", Value: answer.String()}), cseq+1
	}
	return 401, nil
}
