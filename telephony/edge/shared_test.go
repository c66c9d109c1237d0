package edge_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"demarc/telephony"
	"demarc/telephony/edge"
)

// Phones over TLS and browsers over WSS come to one port, and to the listener that is theirs.
func TestOnePortForPhonesAndBrowsers(t *testing.T) {
	for _, c := range []struct {
		under, web telephony.Transport
	}{{telephony.TLS, telephony.WSS}, {telephony.TCP, telephony.WS}} {
		t.Run(string(c.under), func(t *testing.T) {
			h := &fake{}
			r := startWith(t, h, edge.Limits{FirstMessage: time.Second}, nil,
				edge.Listener{Name: "browsers", Transport: c.web, Shares: "both", Path: "/sip"},
				edge.Listener{Name: "both", Transport: c.under, Address: "127.0.0.1:0"})
			if r.Addr("browsers") != r.Addr("both") || !r.Addr("both").IsValid() {
				t.Fatalf("%s and %s", r.Addr("browsers"), r.Addr("both"))
			}
			phone := r.dialAs("both", c.under)
			for _, b := range []byte(message("REGISTER", "TLS", "phone", "Contact: <sip:a@b>")) { // G, GE … must not be taken for GET
				_, _ = phone.Write([]byte{b})
			}
			if got := answers(t, phone, 1)[0]; status(got) != "200" {
				t.Fatal(got)
			}
			_, _ = io.WriteString(phone, "\r\n\r\n")
			answers(t, phone, 1)
			page := r.webAt("browsers", c.web, "/sip")
			sendWeb(t, page, websocket.MessageText, message("REGISTER", "WSS", "page", "Contact: <sip:x@abc.invalid>"))
			if _, answer, err := receive(t, page); err != nil || status(answer) != "200" {
				t.Fatal(answer, err)
			}
			got := map[string]string{}
			all, _ := h.seen()
			for _, req := range all {
				got[req.To.User] = req.Flow.Listener + " " + string(req.Flow.Transport)
			}
			if got["phone"] != "both "+string(c.under) || got["page"] != "browsers "+string(c.web) {
				t.Errorf("%v", got)
			}
			silent := r.dialAs("both", c.under)
			_, _ = io.WriteString(silent, "GE")
			if n, err := silent.Read(make([]byte, 10)); n > 0 || !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
				t.Errorf("silent: %d bytes, %v", n, err)
			}
			if n := r.Counters().Rejects[edge.Reject{Listener: "both", Reason: "silent"}]; n != 1 {
				t.Errorf("%d silent ones counted", n)
			}
		})
	}
}

// dialAs connects to a listener over its transport.
func (r *running) dialAs(listener string, transport telephony.Transport) net.Conn {
	r.t.Helper()
	var nc net.Conn
	var err error
	if transport == telephony.TLS {
		nc, err = tls.Dial("tcp", r.Addr(listener).String(), &tls.Config{RootCAs: r.roots, ServerName: "localhost"})
	} else {
		nc, err = net.Dial("tcp", r.Addr(listener).String())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc
}

func TestSharesIsChecked(t *testing.T) {
	for name, l := range map[string]edge.Listener{
		"nobody":       {Name: "web", Transport: telephony.WSS, Shares: "x"},
		"itself":       {Name: "web", Transport: telephony.WSS, Shares: "web"},
		"another kind": {Name: "web", Transport: telephony.WSS, Shares: "tcp"},
		"UDP":          {Name: "web", Transport: telephony.UDP, Shares: "tcp"},
	} {
		_, err := edge.New(edge.Config{Listeners: []edge.Listener{l, {Name: "tcp", Transport: telephony.TCP, Address: "127.0.0.1:0"}}})
		if !errors.Is(err, edge.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMediaAddress(t *testing.T) {
	r := startWith(t, &fake{}, edge.Limits{}, nil,
		edge.Listener{Name: "told", Transport: telephony.TCP, Address: "127.0.0.1:0", Advertise: "192.0.2.1:5060",
			Media: netip.MustParseAddr("192.0.2.2")},
		edge.Listener{Name: "advertised", Transport: telephony.TCP, Address: "127.0.0.1:0", Advertise: "192.0.2.1:5060"},
		edge.Listener{Name: "named", Transport: telephony.TCP, Address: "127.0.0.1:0", Advertise: "sip.example.org:5060"},
		edge.Listener{Name: "everywhere", Transport: telephony.TCP, Address: "0.0.0.0:0"})
	for listener, want := range map[string]string{
		"told": "192.0.2.2", "advertised": "192.0.2.1", "named": "127.0.0.1", "everywhere": "invalid IP", "nobody's": "invalid IP",
	} {
		if got := r.MediaAddress(listener).String(); got != want {
			t.Errorf("%s: %s, want %s", listener, got, want)
		}
	}
}
