package telephony_test

import (
	"testing"

	"demarc/telephony"
)

// The instances of a phone are equal as URNs are (RFC 5626 §4.1, RFC 8141 §3.1, RFC 9562 §4).
func TestInstancesAreComparedAsURNs(t *testing.T) {
	const uuid = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{uuid, uuid, true},
		{uuid, "URN:UUID:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", true},
		{uuid, "urn:uuid:F81d4fae-7dec-11d0-a765-00a0c91e6bf6", true},
		{uuid, "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf7", false},
		{"urn:gsma:imei:90420156-025763-0", "URN:GSMA:imei:90420156-025763-0", true},
		{"urn:example:a123,z456", "URN:EXAMPLE:a123,z456", true}, // the examples of RFC 8141 §3.2
		{"urn:example:a123%2Cz456", "urn:example:a123%2cz456", true},
		{"urn:example:a123%2Cz456", "urn:example:a123,z456", false},
		{"urn:example:a123,z456", "urn:example:A123,z456", false},
		{"phone", "Phone", false}, // no URN
		{"urn:A", "urn:a", false},
		{"", uuid, false},
		{"", "", true},
	} {
		if got := telephony.SameInstance(c.a, c.b); got != c.same || telephony.SameInstance(c.b, c.a) != got {
			t.Errorf("%q and %q: %v, want %v", c.a, c.b, got, c.same)
		}
	}
	if n := testing.AllocsPerRun(100, func() { telephony.CanonicalInstance(uuid) }); n != 0 {
		t.Errorf("%v allocations for one that is canonical", n)
	}
}
