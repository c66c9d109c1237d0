package stun_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"demarc/telephony/edge/stun"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

const (
	transaction = "b7e7a701bc34d686fa87dfae" // of RFC 5769's samples
	binding     = "00010000" + "2112a442" + transaction
)

func TestReply(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:32853"), netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853")
	for name, c := range map[string]struct {
		request string
		from    netip.AddrPort
		want    string
	}{
		// The addresses and their XOR forms are those of RFC 5769 §2.2 and §2.3.
		"IPv4": {binding, v4, "0101000c2112a442" + transaction + "002000080001a147e112a643"},
		"IPv6": {binding, v6, "010100182112a442" + transaction + "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"},
		"with SOFTWARE": {"0001000c2112a442" + transaction + "80220006746573740000" + "0000", v4,
			"0101000c2112a442" + transaction + "002000080001a147e112a643"},
		"unknown attribute": {"000100082112a442" + transaction + "0024000400000001", v4,
			"011100102112a442" + transaction + "0009000400000414" + "000a000200240000"},
		"short":              {binding[:38], v4, ""},
		"a response":         {"01010000" + binding[8:], v4, ""},
		"another cookie":     {"00010000" + "2112a443" + transaction, v4, ""},
		"a length that lies": {"00010004" + binding[8:], v4, ""},
		"a broken attribute": {"000100042112a442" + transaction + "80220008", v4, ""},
		"half an attribute":  {"000100022112a442" + transaction + "8022", v4, ""},
	} {
		if got := hex.EncodeToString(stun.Reply(unhex(c.request), c.from)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func TestIs(t *testing.T) {
	for text, want := range map[string]bool{binding: true, "": false, hex.EncodeToString([]byte("REGISTER")): false, hex.EncodeToString([]byte("\r\n")): false} {
		if stun.Is(unhex(text)) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
}

func FuzzSTUN(f *testing.F) {
	f.Add(unhex(binding))
	f.Add(unhex("0001000c2112a442" + transaction + "802200067465737400000000"))
	f.Add(unhex("000100082112a442" + transaction + "0024000400000001"))
	from := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Fuzz(func(t *testing.T, b []byte) {
		reply := stun.Reply(b, from)
		if reply == nil {
			return
		}
		if len(reply)%4 != 0 || int(reply[2])<<8|int(reply[3]) != len(reply)-20 || !bytes.Equal(reply[4:20], b[4:20]) {
			t.Errorf("%x for %x", reply, b)
		}
	})
}
