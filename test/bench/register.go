package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// phone registers over and over: REGISTER → 401 → REGISTER with digest → 200. It builds and reads bytes itself, so that the
// generator costs less than the server.
type phone struct {
	user, realm, ha1 string
	transport        string
	conn             net.Conn
	callID, tag      string
	cseq             int
	out, in          []byte
}

func newPhone(user, realm, password, transport string, conn net.Conn) *phone {
	return &phone{
		user: user, realm: realm, ha1: md5hex(user + ":" + realm + ":" + password), transport: transport, conn: conn,
		callID: "bench-" + user + "-" + strconv.FormatInt(time.Now().UnixNano(), 36), tag: "t" + user,
		in: make([]byte, 8<<10),
	}
}

// register does one operation.
func (p *phone) register() error {
	reply, err := p.exchange("")
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(reply, []byte("SIP/2.0 401 ")) {
		return fmt.Errorf("to the first REGISTER: %.40q", reply)
	}
	nonce := between(reply, `nonce="`, `"`)
	if nonce == "" {
		return errors.New("the challenge has no nonce")
	}
	uri := "sip:" + p.realm
	response := md5hex(p.ha1 + ":" + nonce + ":00000001:0a4f113b:auth:" + md5hex("REGISTER:"+uri))
	reply, err = p.exchange(`Authorization: Digest username="` + p.user + `", realm="` + p.realm + `", nonce="` + nonce +
		`", uri="` + uri + `", response="` + response + `", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001` + "\r\n")
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(reply, []byte("SIP/2.0 200 ")) {
		return fmt.Errorf("to the REGISTER with digest: %.60q", reply)
	}
	return nil
}

func (p *phone) exchange(authorization string) ([]byte, error) {
	p.cseq++
	cseq := strconv.Itoa(p.cseq)
	local := p.conn.LocalAddr().String()
	p.out = append(p.out[:0], "REGISTER sip:"+p.realm+" SIP/2.0\r\nVia: SIP/2.0/"+p.transport+" "+local+
		";rport;branch=z9hG4bK"+p.user+cseq+"\r\nMax-Forwards: 70\r\nFrom: <sip:"+p.user+"@"+p.realm+">;tag="+p.tag+
		"\r\nTo: <sip:"+p.user+"@"+p.realm+">\r\nCall-ID: "+p.callID+"\r\nCSeq: "+cseq+" REGISTER\r\nContact: <sip:"+
		p.user+"@"+local+">\r\nExpires: 600\r\n"+authorization+"Content-Length: 0\r\n\r\n"...)
	if err := p.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := p.conn.Write(p.out); err != nil {
		return nil, err
	}
	// One answer without a body is outstanding: it ends with an empty line, on a stream too.
	n := 0
	for {
		got, err := p.conn.Read(p.in[n:])
		if err != nil {
			return nil, err
		}
		if n += got; bytes.HasSuffix(p.in[:n], []byte("\r\n\r\n")) {
			return p.in[:n], nil
		}
	}
}

// load is one closed loop of many phones.
type load struct {
	phones []*phone
}

// dial opens one flow per phone.
func dial(ctx context.Context, users []user, realm, transport, address string, config *tls.Config) (*load, error) {
	l := &load{}
	for _, u := range users {
		var conn net.Conn
		var err error
		switch transport {
		case "TLS":
			dialer := tls.Dialer{Config: config}
			conn, err = dialer.DialContext(ctx, "tcp", address)
		default:
			var dialer net.Dialer
			conn, err = dialer.DialContext(ctx, "udp", address)
		}
		if err != nil {
			return nil, err
		}
		l.phones = append(l.phones, newPhone(u.extension, realm, u.password, transport, conn))
	}
	return l, nil
}

func (l *load) close() {
	for _, p := range l.phones {
		_ = p.conn.Close()
	}
}

// run keeps every phone busy for a while and returns the number of operations.
func (l *load) run(ctx context.Context, length time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var done atomic.Int64
	var first atomic.Pointer[error]
	var wait sync.WaitGroup
	for _, p := range l.phones {
		wait.Go(func() {
			for ctx.Err() == nil {
				if err := p.register(); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
				done.Add(1)
			}
		})
	}
	wait.Wait()
	if err := first.Load(); err != nil {
		return 0, *err
	}
	return done.Load(), nil
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func between(b []byte, from, to string) string {
	_, rest, ok := bytes.Cut(b, []byte(from))
	if !ok {
		return ""
	}
	value, _, ok := bytes.Cut(rest, []byte(to))
	if !ok {
		return ""
	}
	return string(value)
}

// user is one subscriber of the bench.
type user struct{ extension, name, email, password string }

func users(n int) []user {
	all := make([]user, n)
	for i := range all {
		e := strconv.Itoa(100000 + i)
		all[i] = user{extension: e, name: "User " + e, email: "u" + e + "@perf.example", password: "p" + e}
	}
	return all
}
