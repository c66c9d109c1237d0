package nodes_test

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"testing"

	"demarc/telephony"
	"demarc/telephony/nodes"
)

func TestTokens(t *testing.T) {
	ours := nodes.NewTokens([]byte("0123456789abcdef"))
	for _, f := range []telephony.Flow{
		{ID: 1<<63 + 5, Listener: "tls", Transport: telephony.TLS, Remote: netip.MustParseAddrPort("[2001:db8::1]:5061")},
		{ID: 7, Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060")},
		{ID: 8, Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060"), Local: netip.MustParseAddr("192.0.2.9")},
		{},
	} {
		token := ours.Seal(f)
		if got, err := ours.Open(token); err != nil || got != f {
			t.Errorf("%+v came back as %+v, %v", f, got, err)
		}
		raw, _ := base64.RawURLEncoding.DecodeString(token)
		for i := range raw {
			forged := append([]byte(nil), raw...)
			forged[i] ^= 1
			if _, err := ours.Open(base64.RawURLEncoding.EncodeToString(forged)); !errors.Is(err, nodes.ErrToken) {
				t.Fatalf("byte %d changed, and the token is taken", i)
			}
		}
		if _, err := nodes.NewTokens([]byte("another key.....")).Open(token); !errors.Is(err, nodes.ErrToken) {
			t.Error("a token under another key is taken")
		}
	}
	for _, text := range []string{"", "x", "AAAA", "....", string(make([]byte, 2000))} {
		if _, err := ours.Open(text); !errors.Is(err, nodes.ErrToken) {
			t.Errorf("%.20q is taken", text)
		}
	}
}
