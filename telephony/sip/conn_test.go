package sip_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"demarc/telephony"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// A handler that panics costs its request alone.
func TestPanicEndsOneRequest(t *testing.T) {
	for _, transport := range []telephony.Transport{telephony.TCP, telephony.UDP} {
		_, p := pair(t, sip.Config{Transport: transport, Log: slog.New(slog.DiscardHandler), Handler: func(m *wire.Message) sip.Answer {
			if m.Is("OPTIONS") {
				panic("injected")
			}
			return sip.Answer{Status: 486}
		}})
		for method, want := range map[string]int{"OPTIONS": 500, "MESSAGE": 486} {
			p.write(method + " sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK" + method + "\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n" +
				"Call-ID: 1\r\nCSeq: 1 " + method + "\r\nContent-Length: 0\r\n\r\n")
			if p.next() != wire.Whole || p.msg.Status != want {
				t.Errorf("%s over %s: %d", method, transport, p.msg.Status)
			}
		}
	}
}

// peer is the far end of a Conn over a pipe.
type peer struct {
	t      *testing.T
	nc     net.Conn
	framer *wire.Framer
	msg    wire.Message
}

func pair(t *testing.T, cfg sip.Config) (*sip.Conn, *peer) {
	t.Helper()
	near, far := net.Pipe()
	c := sip.NewConn(near, cfg)
	t.Cleanup(func() { _ = c.Close(); _ = far.Close() })
	return c, &peer{t: t, nc: far, framer: wire.NewFramer(wire.Limits{})}
}

// next returns the next event of the stream.
func (p *peer) next() wire.Event {
	p.t.Helper()
	for {
		event, err := p.framer.Next(&p.msg)
		if err != nil {
			p.t.Fatal(err)
		}
		if event != wire.More {
			return event
		}
		n, err := p.nc.Read(p.framer.Space())
		if err != nil {
			p.t.Fatal(err)
		}
		p.framer.Fill(n)
	}
}

func (p *peer) write(s string) {
	p.t.Helper()
	if _, err := p.nc.Write([]byte(s)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) respond(status int) {
	raw := sip.AppendResponse(nil, &p.msg, addr("192.0.2.7:4711"), status, "", "far")
	raw = sip.AppendHeader(raw, "Contact", "<sip:a@b>;expires=60, <sip:c@d>;expires=7")
	raw = sip.AppendHeader(raw, "m", "<sip:e@f>")
	p.write(string(sip.AppendEnd(raw, nil)))
}

func request(method string) sip.Request {
	return sip.Request{Method: method, URI: "sip:example.com", Headers: []sip.Header{
		{Name: "From", Value: "<sip:1001@example.com>;tag=near"}, {Name: "To", Value: "<sip:1001@example.com>"},
		{Name: "Call-ID", Value: "one"}, {Name: "CSeq", Value: "7 " + method},
	}}
}

func TestDo(t *testing.T) {
	c, p := pair(t, sip.Config{Transport: telephony.TCP})
	go func() {
		p.next()
		p.respond(100)
		p.respond(401)
	}()
	r, err := c.Do(t.Context(), request("REGISTER"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 401 || r.Reason != "Unauthorized" || r.ToTag() != "far" {
		t.Errorf("got %d %q tag %q", r.Status, r.Reason, r.ToTag())
	}
	if got := strings.Join(r.Values("Contact"), "|"); got != "<sip:a@b>;expires=60|<sip:c@d>;expires=7|<sip:e@f>" {
		t.Errorf("contacts: %s", got)
	}
	if r.Seen != addr("192.0.2.7:4711") {
		t.Errorf("seen at %s", r.Seen)
	}
}

func TestDoTimesOutAfterTimerF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := pair(t, sip.Config{Transport: telephony.UDP})
		count := make(chan int, 1)
		go func() {
			buf := make([]byte, 4096)
			for sent := 0; ; sent++ {
				if _, err := p.nc.Read(buf); err != nil {
					count <- sent
					return
				}
			}
		}()
		start := time.Now()
		_, err := c.Do(t.Context(), request("OPTIONS"))
		if !errors.Is(err, sip.ErrTimeout) || time.Since(start) != 32*time.Second {
			t.Fatalf("%v after %s", err, time.Since(start))
		}
		_ = c.Close()
		// At 0, .5, 1.5, 3.5, then every 4 s up to 32 (RFC 3261 §17.1.2.2).
		if sent := <-count; sent != 11 {
			t.Errorf("sent %d times", sent)
		}
		_ = p.nc.Close()
	})
}

func TestDoEndsWithContextAndConnection(t *testing.T) {
	c, p := pair(t, sip.Config{Transport: telephony.TLS})
	read := make(chan wire.Event, 1)
	go func() { read <- p.next() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, request("REGISTER")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	<-read
	go func() {
		p.next()
		_ = p.nc.Close()
	}()
	if _, err := c.Do(t.Context(), request("REGISTER")); !errors.Is(err, sip.ErrClosed) {
		t.Errorf("got %v", err)
	}
	<-c.Done()
	if !errors.Is(c.Err(), sip.ErrClosed) {
		t.Errorf("got %v", c.Err())
	}
}

func TestConnAnswersRequests(t *testing.T) {
	for method, want := range map[string]int{"OPTIONS": 200, "INVITE": 405, "CANCEL": 481, "NOTIFY": 405} {
		_, p := pair(t, sip.Config{Transport: telephony.TCP})
		p.write(method + " sip:me SIP/2.0\r\nVia: SIP/2.0/TCP far;branch=z9hG4bKx;rport\r\nFrom: <sip:a@b>;tag=1\r\n" +
			"To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 " + method + "\r\nContent-Length: 0\r\n\r\n")
		p.next()
		if p.msg.Status != want {
			t.Errorf("%s: %d, want %d", method, p.msg.Status, want)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := pair(t, sip.Config{Transport: telephony.TLS, KeepAlive: 30 * time.Second})
		for range 3 {
			p.next()
			if p.next() != wire.Ping {
				t.Fatal("no ping")
			}
			p.write("\r\n")
		}
		start := time.Now()
		go func() { _, _ = io.Copy(io.Discard, p.nc) }() // reads the ping and stays silent
		<-c.Done()
		if !errors.Is(c.Err(), sip.ErrNoPong) || time.Since(start) != 40*time.Second {
			t.Errorf("%v after %s", c.Err(), time.Since(start))
		}
		_ = c.Close()
		_ = p.nc.Close()
	})
}

func TestKeepAliveSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := pair(t, sip.Config{Transport: telephony.TLS})
		c.KeepAlive(time.Hour)
		time.Sleep(time.Minute)
		c.KeepAlive(20 * time.Second)
		c.KeepAlive(0)
		c.KeepAlive(30 * time.Second) // others want them sooner
		for range 3 {
			start := time.Now()
			p.next()
			if p.next() != wire.Ping || time.Since(start) != 20*time.Second {
				t.Fatalf("after %v", time.Since(start))
			}
			p.write("\r\n")
			synctest.Wait()
		}
		_ = p.nc.Close()
		_ = c.Close()
	})
}
