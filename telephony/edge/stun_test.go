package edge_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/edge"
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

// asksSTUN sends a binding request and returns the answer, or nothing after a while.
func asksSTUN(t *testing.T, nc net.Conn, request []byte, wait time.Duration) []byte {
	t.Helper()
	_, _ = nc.Write(request)
	_ = nc.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 100)
	n, err := nc.Read(buf)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestSTUNKeepsTheWayOpen(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	nc := r.dial("udp")
	if got := r.register(nc, "1", ""); got != "200" {
		t.Fatal(got)
	}
	if got, want := asksSTUN(t, nc, unhex(binding), time.Minute), stun.Reply(unhex(binding), local(nc)); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if c := r.Counters(); c.KeepAlives != 1 {
		t.Errorf("%d keep-alives", c.KeepAlives)
	}
}

// The address may be forged: nobody gets more than one and a half times what they sent.
func TestSTUNOfStrangers(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	nc := r.dial("udp")
	if got := asksSTUN(t, nc, unhex(binding), silence); len(got) > 0 {
		t.Errorf("20 bytes got %d", len(got))
	}
	if n := r.Counters().Rejects[edge.Reject{Listener: "udp", Reason: "amplification"}]; n != 1 {
		t.Errorf("%d refused", n)
	}
	padded := unhex("0001000c2112a442" + transaction + "802200067465737400000000")
	if got, want := asksSTUN(t, nc, padded, time.Minute), stun.Reply(padded, local(nc)); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	r.Resume(telephony.Flow{ID: 7, Listener: "udp", Transport: telephony.UDP, Remote: local(nc)})
	if got := asksSTUN(t, nc, unhex(binding), time.Minute); len(got) == 0 {
		t.Error("a phone of the earlier life is not answered")
	}
}
