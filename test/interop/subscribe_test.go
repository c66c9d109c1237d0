package interop_test

import (
	"strings"
	"testing"
)

// A phone with a lamp for a colleague, and one that asks for its messages.
func TestSubscriptions(t *testing.T) {
	s := newSystem(t)
	if err := sipp(t, "subscribe.xml", s.sip("udp"), "1001", domain, adaPassword, "watched", "1002"); err != nil {
		t.Errorf("sipp: %v", err)
	}
	for _, refused := range []string{"4711", "1002@other.test;x="} {
		if err := sipp(t, "subscribe.xml", s.sip("udp"), "1001", domain, adaPassword, "watched", refused); err == nil {
			t.Errorf("%s can be watched", refused)
		}
	}
	phone := baresip(t, s.sip("tls"), s.caFile, "1002", domain, gracePassword)
	eventually(t, "baresip is told of its messages", func() (bool, any) {
		said := phone.output.String()
		return strings.Contains(said, "Messages-Waiting: no") && strings.Contains(said, "Message-Account: sip:1002@"+domain), said
	})
}
