package edge_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
)

// TestManyDatagramsAtOnce sends more than fit into one batch, from both address families to one socket, and wants an
// answer to each, at the socket it came from.
func TestManyDatagramsAtOnce(t *testing.T) {
	e, stop := overUDP(t, "[::]:0", quiet{})
	defer stop()
	port := strconv.Itoa(int(e.Addr("udp").Port()))
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			nc, err := net.Dial("udp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
			ask(t, nc, "first")
			if got := answers(t, nc, 1); !strings.Contains(got[0], "received="+host) {
				t.Errorf("the answer does not say where the request came from: %s", got[0])
			}
			const many = 100
			due := make(map[string]bool)
			for i := range many {
				user := fmt.Sprintf("u%d", i)
				ask(t, nc, user)
				due["Call-ID: call-"+user+"\r\n"] = true
			}
			for _, a := range answers(t, nc, many) {
				for id := range due {
					if strings.Contains(a, id) && status(a) == "200" {
						delete(due, id)
					}
				}
			}
			if len(due) > 0 {
				t.Errorf("without an answer: %v", due)
			}
		})
	}
}

// TestLateAnswersOverUDP has the replies come from another goroutine, while nothing else is under way and all together.
func TestLateAnswersOverUDP(t *testing.T) {
	due := make(chan func(), 64)
	e, stop := overUDP(t, "127.0.0.1:0", &fake{decide: func(req *registration.Request, reply func(registration.Reply)) {
		due <- func() { accept(req, reply) }
	}})
	defer stop()
	nc, err := net.Dial("udp", e.Addr("udp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	for _, n := range []int{1, 40} {
		for i := range n {
			ask(t, nc, fmt.Sprintf("u%d-%d", n, i))
		}
		for range n {
			reply := <-due
			go reply()
		}
		for _, a := range answers(t, nc, n) {
			if status(a) != "200" {
				t.Errorf("want 200: %s", a)
			}
		}
	}
}

// TestDatagramThatCannotBeSent asks an IPv4 socket to write to IPv6: it is counted, and nothing else suffers.
func TestDatagramThatCannotBeSent(t *testing.T) {
	e, stop := overUDP(t, "127.0.0.1:0", quiet{})
	defer stop()
	nowhere := telephony.Flow{
		Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("[::1]:5060"),
	}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() {
		_, err := e.Send(ctx, nowhere, options())
		sent <- err
	}()
	eventually(t, "a counted failure", func() bool {
		return e.Counters().Rejects[edge.Reject{Listener: "udp", Reason: "write"}] > 0
	})
	cancel()
	if err := <-sent; err == nil {
		t.Error("a request that could not be sent was answered")
	}
	nc, err := net.Dial("udp", e.Addr("udp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	ask(t, nc, "1001")
	if got := answers(t, nc, 1); status(got[0]) != "200" {
		t.Errorf("want 200: %s", got[0])
	}
}

// overUDP serves one UDP listener until stop is called.
func overUDP(t *testing.T, address string, h edge.Handler) (e *edge.Edge, stop func()) {
	t.Helper()
	e, err := edge.New(edge.Config{Listeners: []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: address}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, h) }()
	return e, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func ask(t *testing.T, nc net.Conn, user string) {
	t.Helper()
	if _, err := nc.Write([]byte(message("REGISTER", "UDP", user, "Contact: <sip:"+user+"@192.0.2.1>"))); err != nil {
		t.Fatal(err)
	}
}
