package edge_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

const contactURI = "sip:1001-0x55;ob@192.0.2.9:1;transport=udp"

// phoneOn registers over a connection of its own and returns the flow that the edge saw.
func phoneOn(t *testing.T, r *running, h *fake, transport telephony.Transport,
	answer func(*wire.Message) sip.Answer) (*sip.Conn, telephony.Flow) {
	t.Helper()
	c, err := sip.Dial(t.Context(), sip.Config{
		Transport: transport, Address: r.Addr(string(transport)).String(), Handler: answer,
		TLS: &tls.Config{RootCAs: r.roots, ServerName: "localhost"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Do(t.Context(), sip.Request{Method: "REGISTER", URI: "sip:example.com", Headers: []sip.Header{
		{Name: "From", Value: "<sip:1001@example.com>;tag=a"}, {Name: "To", Value: "<sip:1001@example.com>"},
		{Name: "Call-ID", Value: sip.NewToken()}, {Name: "CSeq", Value: "1 REGISTER"},
		{Name: "Contact", Value: "<" + contactURI + ">"},
	}}); err != nil {
		t.Fatal(err)
	}
	seen, _ := h.seen()
	return c, seen[len(seen)-1].Flow
}

func options() sip.Request {
	return sip.Request{Method: "OPTIONS", URI: contactURI, Headers: []sip.Header{
		{Name: "From", Value: "<sip:example.com>;tag=x"}, {Name: "To", Value: "<sip:1001@example.com>"},
		{Name: "Call-ID", Value: sip.NewToken()}, {Name: "CSeq", Value: "1 OPTIONS"},
	}}
}

func TestSendReachesThePhoneOnItsFlow(t *testing.T) {
	h := &fake{}
	r := start(t, h, edge.Limits{})
	for _, transport := range []telephony.Transport{telephony.UDP, telephony.TCP, telephony.TLS} {
		uris := make(chan string, 2)
		c, flow := phoneOn(t, r, h, transport, func(m *wire.Message) sip.Answer {
			uris <- string(m.RequestURI)
			return sip.Answer{Status: 486}
		})
		response, err := r.Send(t.Context(), flow, options())
		if err != nil || response.Status != 486 {
			t.Fatalf("%s: %+v, %v", transport, response, err)
		}
		if uri := <-uris; uri != contactURI {
			t.Errorf("%s: Request-URI %s", transport, uri)
		}
		if !transport.Stream() {
			continue
		}
		_ = c.Close()
		eventually(t, "the flow is gone", func() bool {
			_, err := r.Send(t.Context(), flow, options())
			return errors.Is(err, edge.ErrFlowGone)
		})
	}
	if sent := r.Counters().Sent[edge.Message{Listener: "udp", Method: "OPTIONS", Status: 486}]; sent != 1 {
		t.Errorf("counted %d", sent)
	}
}

// A response counts only when it comes over the flow that the request went out on.
func TestNobodyAnswersForAnother(t *testing.T) {
	h := &fake{}
	r := start(t, h, edge.Limits{})
	branches := make(chan string, 8)
	_, flow := phoneOn(t, r, h, telephony.TCP, func(m *wire.Message) sip.Answer {
		branches <- string(m.Vias[0])
		return sip.Answer{Status: 100}
	})
	forger := r.dial("tcp")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	go func() {
		_, _ = fmt.Fprintf(forger, "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: <sip:example.com>;tag=x\r\nTo: <sip:1001@example.com>;tag=y\r\n"+
			"Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", <-branches)
	}()
	if response, err := r.Send(ctx, flow, options()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", response, err)
	}
	eventually(t, "the forged response is counted", func() bool {
		return r.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "response"}] == 1
	})
}

// Over UDP a request is sent again until there is a response.
func TestSendIsRepeatedOverUDP(t *testing.T) {
	h := &fake{}
	r := start(t, h, edge.Limits{})
	nc := r.dial("udp")
	_, _ = nc.Write([]byte(message("REGISTER", "UDP", "1", "Contact: <sip:1@a>")))
	answers(t, nc, 1)
	seen, _ := h.seen()
	done := make(chan error, 1)
	go func() {
		response, err := r.Send(t.Context(), seen[0].Flow, options())
		if err == nil && response.Status != 200 {
			err = fmt.Errorf("status %d", response.Status)
		}
		done <- err
	}()
	first := answers(t, nc, 1)[0]
	again := answers(t, nc, 1)[0]
	if first != again || !strings.HasPrefix(first, "OPTIONS "+contactURI+" SIP/2.0\r\n") {
		t.Fatalf("%s\nthen\n%s", first, again)
	}
	head := strings.SplitN(first, "\r\n", 2)[1]
	_, _ = nc.Write([]byte("SIP/2.0 200 OK\r\n" + strings.Replace(head, "Max-Forwards: 70\r\n", "", 1)))
	if err := <-done; err != nil {
		t.Error(err)
	}
}
