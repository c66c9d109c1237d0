package gateway_test

import (
	"strings"
	"testing"

	"demarc/gateway"
)

// TestMediaHasAnAddressOfThisMachine: one that is another machine's ends the start, and not every call.
func TestMediaHasAnAddressOfThisMachine(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1"} {
		if err := gateway.OwnAddress(address); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
	if err := gateway.OwnAddress("192.0.2.1"); err == nil || !strings.HasPrefix(err.Error(), "telephony.media.address: ") {
		t.Errorf("an address for documentation: %v", err)
	}
}
