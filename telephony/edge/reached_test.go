package edge_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/edge"
)

// A listener on all addresses is told to a phone as the one by which the phone reaches it, for whatever it sends there within a dialog.
func TestListenerOnAllAddressesIsReached(t *testing.T) {
	for kind, hosts := range map[string][]string{
		"udp": {"127.0.0.1", "::1"}, "tcp": {"127.0.0.1", "127.0.0.3", "::1"}, "tls": {"127.0.0.3", "::1"},
	} {
		for _, host := range hosts {
			t.Run(kind+" "+host, func(t *testing.T) {
				h := &fake{}
				r := startWith(t, h, edge.Limits{}, nil, edge.Listener{Name: kind, Transport: telephony.Transport(kind), Address: ":0"})
				want := net.JoinHostPort(host, fmt.Sprint(r.Addr(kind).Port()))
				nc, err := r.connectTo(kind, want)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = nc.Close() }()
				_, _ = io.WriteString(nc, message("REGISTER", strings.ToUpper(kind), "1", "Contact: <sip:1@192.0.2.1>"))
				if got := status(answers(t, nc, 1)[0]); got != "200" {
					t.Fatal(got)
				}
				requests, _ := h.seen()
				if got, same := r.Reached(requests[0].Flow); got != want || same {
					t.Errorf("it is reached at %s, want %s; the same for all: %t", got, want, same)
				}
				if got := r.ContactURI(requests[0].Flow); got != "sip:demarc@"+want+";transport="+kind {
					t.Errorf("our Contact is %s", got)
				}
			})
		}
	}
}

// What is advertised, or bound to one address, is the same for all.
func TestListenerOfOneAddressIsReached(t *testing.T) {
	r := startWith(t, &fake{}, edge.Limits{}, nil, edge.Listener{Name: "one", Transport: telephony.UDP, Address: "127.0.0.1:0"},
		edge.Listener{Name: "nat", Transport: telephony.UDP, Address: ":0", Advertise: "sip.example.com:5060"})
	for name, want := range map[string]string{"one": r.Addr("one").String(), "nat": "sip.example.com:5060"} {
		if got, same := r.Reached(telephony.Flow{Listener: name, Transport: telephony.UDP, Remote: r.Addr("one")}); got != want || !same {
			t.Errorf("%s is reached at %s, want %s; the same for all: %t", name, got, want, same)
		}
	}
}
