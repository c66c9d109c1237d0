package compact_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"demarc/internal/compact"
)

// TestKeptIsReadAsItWasWritten holds what is read beside what was written and kept, texts longer than one byte can count included.
func TestKeptIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(0, 200).Draw(t, "times"))
		number, signed := rapid.Uint64().Draw(t, "number"), rapid.Int64().Draw(t, "signed")
		address := rapid.SampledFrom([]netip.AddrPort{{}, netip.MustParseAddrPort("10.0.0.1:5060"),
			netip.MustParseAddrPort("[2001:db8::1]:65535"), netip.MustParseAddrPort("[fe80::1%eth0]:1")}).Draw(t, "address")
		b := binary.AppendUvarint(compact.AppendText([]byte{7}, text), number)
		b = append(compact.AppendAddress(binary.AppendVarint(b, signed), address), "end"...)
		kept := compact.Keep(b)
		clear(b) // it is a copy
		r := compact.Reader{Rest: kept.Text()}
		if one := r.Byte(); one != 7 {
			t.Errorf("byte %d", one)
		}
		if got := r.Text(); got != text {
			t.Errorf("text %q, want %q", got, text)
		}
		if n, s := r.Number(), r.Signed(); n != number || s != signed {
			t.Errorf("%d and %d, want %d and %d", n, s, number, signed)
		}
		if got := r.Address(); got != address {
			t.Errorf("%v, want %v", got, address)
		}
		if end := r.Take(3); end != "end" || r.Rest != "" {
			t.Errorf("%q and %q are left", end, r.Rest)
		}
	})
}

func TestKeptNothingAndPrinted(t *testing.T) {
	var nothing compact.Kept
	if !nothing.Empty() || nothing.Text() != "" {
		t.Errorf("the zero value keeps %q", nothing.Text())
	}
	kept := compact.Keep([]byte("secret"))
	if kept.Empty() || kept.Text() != "secret" {
		t.Errorf("%q", kept.Text())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if all := fmt.Sprintf(verb, struct{ K compact.Kept }{kept}); strings.Contains(all, "secret") {
			t.Errorf("%s prints %s", verb, all)
		}
	}
}
