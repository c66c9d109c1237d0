package softphone

import (
	"fmt"
	"log/slog"
)

// Secret is an enrolment code, a device token or an HA1. However it is printed, logged or encoded it shows as "***";
// only Reveal gives the value.
type Secret string

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "***".
func (s Secret) String() string { return "***" }

// GoString returns "***".
func (s Secret) GoString() string { return "***" }

// Format writes "***" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// LogValue returns "***".
func (s Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText returns "***"; it covers encoding/json and encoding/xml.
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
