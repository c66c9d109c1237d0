package flood_test

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/telephony/wire"
)

// line is a phone's connection or socket, on which the messages are written as the tests want them.
type line struct {
	net.Conn
	network, user string
	framer        *wire.Framer
	buf           []byte
	m             wire.Message // the last one that came
	sending       sync.Mutex
	out           []byte // what goes out together before the next read
}

// line connects a phone and registers it.
func (s *server) line(t *testing.T, network string, number int) *line {
	t.Helper()
	address := s.tcp
	if network == "udp" {
		address = s.trustedUDP
	}
	nc, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(10 * time.Minute))
	l := &line{Conn: nc, network: network, user: user(number), framer: wire.NewFramer(wire.Limits{}), buf: make([]byte, 64<<10)}
	authorize := ""
	for cseq := 1; ; cseq++ {
		l.say(t, fmt.Appendf(nil, "REGISTER sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/%[2]s %[3]s;branch=z9hG4bKr%[4]d;rport\r\nMax-Forwards: 70\r\n"+
			"From: <sip:%[5]s@%[1]s>;tag=r\r\nTo: <sip:%[5]s@%[1]s>\r\nCall-ID: line-%[3]s\r\nCSeq: %[4]d REGISTER\r\nContact: <%[6]s>\r\n"+
			"Expires: 600\r\nUser-Agent: a line of these tests, as long as others are\r\n%[7]sContent-Length: 0\r\n\r\n",
			domain, strings.ToUpper(network), nc.LocalAddr(), cseq, l.user, l.contact(), authorize))
		if !l.next(t) {
			t.FailNow()
		}
		switch {
		case l.m.Status == 200:
			return l
		case l.m.Status != 401 || authorize != "":
			t.Fatalf("the line of %s got %d", l.user, l.m.Status)
		}
		authorize = "Authorization: " + answer(l.user, password(number), header(&l.m, "WWW-Authenticate")) + "\r\n"
	}
}

func (l *line) contact() string {
	return "sip:" + l.user + "@" + l.LocalAddr().String() + ";transport=" + l.network
}

// say writes what is one datagram over UDP. It may be called by several goroutines.
func (l *line) say(t *testing.T, b []byte) bool {
	l.sending.Lock()
	defer l.sending.Unlock()
	if _, err := l.Write(b); err != nil {
		t.Error(err)
		return false
	}
	return true
}

// later writes what need not go out at once: over a stream together with what else was said since the last read.
func (l *line) later(t *testing.T, b []byte) bool {
	if l.network == "udp" {
		return l.say(t, b)
	}
	l.out = append(l.out, b...)
	return true
}

// flush writes what was kept for later.
func (l *line) flush(t *testing.T) bool {
	if len(l.out) == 0 {
		return true
	}
	said := l.say(t, l.out)
	l.out = l.out[:0]
	return said
}

// next waits for the next message, which is empty for a keep-alive.
func (l *line) next(t *testing.T) bool {
	for {
		event, err := l.framer.Next(&l.m)
		if err != nil {
			t.Error(err)
			return false
		}
		if event == wire.KeepAlive {
			l.m = wire.Message{}
		}
		if event != wire.More {
			return true
		}
		if !l.flush(t) {
			return false
		}
		n, err := l.Read(l.buf)
		if err != nil {
			t.Errorf("%s over %s: %v", l.user, l.network, err)
			return false
		}
		for rest := l.buf[:n]; len(rest) > 0; {
			n := copy(l.framer.Space(), rest)
			l.framer.Fill(n)
			rest = rest[n:]
		}
	}
}

func header(m *wire.Message, name string) (value string) {
	m.Fields(func(n, v []byte) {
		if strings.EqualFold(string(n), name) {
			value = string(v)
		}
	})
	return value
}

// response renders a response to a request.
func response(m *wire.Message, status, more string) []byte {
	b := append([]byte("SIP/2.0 "), status...)
	b = append(b, "\r\n"...)
	for _, via := range m.Vias {
		b = append(append(append(b, "Via: "...), via...), "\r\n"...)
	}
	b = append(append(b, "From: "...), m.From...)
	b = append(append(b, "\r\nTo: "...), m.To...)
	if !bytes.Contains(m.To, []byte(";tag=")) {
		b = append(b, ";tag=callee"...)
	}
	b = append(append(b, "\r\nCall-ID: "...), m.CallID...)
	b = append(strconv.AppendUint(append(b, "\r\nCSeq: "...), uint64(m.CSeq), 10), ' ')
	b = append(append(b, m.CSeqMethod...), "\r\n"...)
	return append(append(b, more...), "Content-Length: 0\r\n\r\n"...)
}
