package account

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Secret is a password, an HA1, a token or a key. However it is printed, logged or encoded it shows as "***"; only
// Reveal gives the value, so that a search for Reveal finds every place where a secret leaves.
type Secret string

const redacted = "***"

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// Equal compares in constant time.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s), []byte(t)) == 1
}

// Hash returns the SHA-256 of the value in hex: what is stored of a random bearer token. It is not fit for passwords.
func (s Secret) Hash() string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// String returns "***".
func (s Secret) String() string { return redacted }

// GoString returns "***".
func (s Secret) GoString() string { return redacted }

// Format writes "***" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns "***".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "***"; it covers encoding/json, XML and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
