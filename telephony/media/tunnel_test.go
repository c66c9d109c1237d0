package media

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"
)

// A deadline that is set while the one before passes ends reads once, and the next one begins anew.
func TestDeadlinesThatMeet(t *testing.T) {
	tun := newTunnel(-1, netip.AddrPort{})
	defer tun.Close()
	for n := range 20_000 {
		if err := tun.SetReadDeadline(time.Now().Add(time.Duration(n%50) * time.Microsecond)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := tun.ReadFrom(nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	if err := tun.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	tun.deliver([]byte("after it"))
	b := make([]byte, 8)
	if n, _, err := tun.ReadFrom(b); n != 8 || err != nil {
		t.Errorf("read %q, %v", b[:n], err)
	}
}
