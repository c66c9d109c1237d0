package e2e_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"demarc/internal/account"
)

// plainPhone is a phone that knows a clear password and registers over UDP: no part of it is ours.
type plainPhone struct {
	t              *testing.T
	conn           net.Conn
	user, password string
	callID         string
	cseq           int
}

func newPlainPhone(t *testing.T, address, user, password string) *plainPhone {
	t.Helper()
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &plainPhone{t: t, conn: conn, user: user, password: password, callID: account.NewID("call")}
}

// register answers the challenge and returns the last status code. expires 0 takes the registration back.
func (p *plainPhone) register(expires int) int {
	p.t.Helper()
	status, challenge := p.ask(expires, "")
	if status != 401 {
		return status
	}
	c, err := digest.ParseChallenge(challenge)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := digest.Digest(c, digest.Options{
		Method: "REGISTER", URI: "sip:" + domain, Username: p.user, Password: p.password,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	status, _ = p.ask(expires, "Authorization: "+answer.String()+"\r\n")
	return status
}

// ask sends a REGISTER, again after half a second without an answer (RFC 3261 §17.1.2.2), and reads the final answer.
func (p *plainPhone) ask(expires int, authorization string) (status int, challenge string) {
	p.t.Helper()
	p.cseq++
	local := p.conn.LocalAddr().String()
	request := fmt.Sprintf("REGISTER sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bK%[3]s;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:%[4]s@%[1]s>;tag=%[5]s\r\nTo: <sip:%[4]s@%[1]s>\r\nCall-ID: %[5]s\r\n"+
		"CSeq: %[6]d REGISTER\r\nContact: <sip:%[4]s@%[2]s>\r\nExpires: %[7]d\r\nUser-Agent: Plain phone\r\n%[8]s"+
		"Content-Length: 0\r\n\r\n", domain, local, account.NewID("b"), p.user, p.callID, p.cseq, expires, authorization)
	answer := make([]byte, 64<<10)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := p.conn.Write([]byte(request)); err != nil {
			p.t.Fatal(err)
		}
		_ = p.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := p.conn.Read(answer)
		if err != nil {
			continue
		}
		return readAnswer(p.t, string(answer[:n]))
	}
	p.t.Fatalf("no answer to REGISTER within %v", patience)
	return 0, ""
}

func readAnswer(t *testing.T, answer string) (status int, challenge string) {
	t.Helper()
	head, _, _ := strings.Cut(answer, "\r\n")
	code := strings.Fields(head)
	if len(code) < 2 || code[0] != "SIP/2.0" {
		t.Fatalf("this is no SIP answer: %q", answer)
	}
	status, err := strconv.Atoi(code[1])
	if err != nil {
		t.Fatal(err)
	}
	for header := range strings.SplitSeq(answer, "\r\n") {
		if name, value, ok := strings.Cut(header, ":"); ok && strings.EqualFold(name, "WWW-Authenticate") {
			challenge = strings.TrimSpace(value)
		}
	}
	return status, challenge
}
