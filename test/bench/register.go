package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// realm is the SIP domain and digest realm of every server here.
const realm = "perf.test"

// readPatience is how long one read waits on UDP, where what is under way is then repeated. On a stream nothing is lost: a
// machine that does much else may be slow, and that is no fault.
const readPatience = 2 * time.Second

// patience returns how long one read waits on a connection.
func patience(c net.Conn) time.Duration {
	if c.RemoteAddr().Network() == "udp" {
		return readPatience
	}
	return 15 * readPatience
}

// phone registers over and over: REGISTER → 401 → REGISTER with digest → 200. It builds and reads bytes itself, so that
// the generator costs less than the server.
type phone struct {
	user, ha1 string
	cseq      int
	out       []byte
}

// sign answers a challenge (RFC 7616 §3.4.1); the client's nonce may be any.
func (p *phone) sign(nonce string) string { return p.answer("REGISTER", "sip:"+realm, nonce) }

func (p *phone) answer(method, uri, nonce string) string {
	response := md5hex(p.ha1 + ":" + nonce + ":00000001:0a4f113b:auth:" + md5hex(method+":"+uri))
	return `Authorization: Digest username="` + p.user + `", realm="` + realm + `", nonce="` + nonce + `", uri="` + uri +
		`", response="` + response + `", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001` + "\r\n"
}

// load is a closed loop of many phones against one server.
type load struct {
	lanes []*lane
	done  atomic.Int64
}

// shape says how a load is laid out.
type shape struct {
	transport    string // UDP or TLS
	lanes, slots int    // slots per lane
	phones       int    // per slot
	first        int    // number of the first phone
	challenged   bool   // callers prove with each INVITE who they are
}

// dial opens the lanes. first is the number of the first user.
func dial(ctx context.Context, s shape, address string, config *tls.Config) (*load, error) {
	l := &load{}
	number := s.first
	for i := range s.lanes {
		var conn net.Conn
		var err error
		if s.transport == "TLS" {
			dialer := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: from(s.first + i)}, Config: config}
			conn, err = dialer.DialContext(ctx, "tcp", address)
		} else {
			var dialer net.Dialer
			conn, err = dialer.DialContext(ctx, "udp", address)
		}
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		made := &lane{
			conn: conn, local: conn.LocalAddr().String(), in: make([]byte, 4<<10), done: &l.done,
			via: "Via: SIP/2.0/" + s.transport + " " + conn.LocalAddr().String() + ";rport;branch=z9hG4bK",
		}
		for range s.slots {
			var one slot
			for range s.phones {
				u := subscriber(number)
				one.phones = append(one.phones, &phone{user: u, cseq: int(time.Now().UnixMicro() & (1<<30 - 1)), ha1: md5hex(u + ":" + realm + ":p" + u)})
				number++
			}
			made.slots = append(made.slots, one)
		}
		l.lanes = append(l.lanes, made)
	}
	return l, nil
}

func (l *load) close() error {
	var all []error
	for _, one := range l.lanes {
		all = append(all, one.conn.Close())
	}
	return errors.Join(all...)
}

// run keeps all lanes busy until ctx ends.
func (l *load) run(ctx context.Context) error {
	return everybody(ctx, l.lanes, func(ctx context.Context, one *lane) error { return one.run(ctx) })
}

// everybody runs work for each of all at the same time, and ends all with the first that fails.
func everybody[T any](ctx context.Context, all []T, work func(context.Context, T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	var failed atomic.Pointer[error]
	for _, one := range all {
		wait.Go(func() {
			if err := work(ctx, one); err != nil {
				failed.CompareAndSwap(nil, &err)
				cancel()
			}
		})
	}
	wait.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// settle runs until about everybody has registered once: the first time is a different operation.
func (l *load) settle(ctx context.Context, phones int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	for l.done.Load() < phones+phones/8 {
		if err := pause(ctx, 10*time.Millisecond, ended); err != nil {
			return err
		}
	}
	cancel()
	return <-ended
}

// subscriber returns the user name of the nth user; the password is "p" and the name.
func subscriber(n int) string { return strconv.Itoa(100000 + n) }

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
